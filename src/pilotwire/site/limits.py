"""All limits of a site at one moment, and who set them.

    limit_rows(site, inputs, decision) -> rows by node (the connection first), then of EVSEs

Each limit is told as whoever set it said it, not as the allocation counts it (which takes off what volts and power
factors make of a power, and what a battery is about to take).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import msgspec

from pilotwire.domain.energy import Limit
from pilotwire.domain.seen import LimitRow
from pilotwire.domain.steering import Control, Plan
from pilotwire.domain.steering import Site as SteeredSite
from pilotwire.domain.steering.calendar import holds
from pilotwire.domain.steering.inputs import planned
from pilotwire.domain.steering.signals import TAKING
from pilotwire.domain.tariffs.clock import next_change, zone

from .compiled import Site
from .decide import Decision
from .inputs import TickInputs

_AHEAD = 20
"""So many edges of a schedule are looked ahead for its next beginning: a week and more."""
WINDOW = "demand window "
"""How the source of a demand window's limit begins."""
_PAUSES = {"price_wait": "tariff", "cheapest_wait": "tariff"}


def limit_rows(site: Site, inputs: TickInputs, decision: Decision) -> tuple[LimitRow, ...]:
    """See the module. What is over is left out; what is to come is there, not in force."""
    utc = inputs.now.utc_ms
    places: dict[str, int] = {node.id: at for at, node in enumerate(site.topology.tree.nodes)}
    rows = [*_file(site), *_sources(site, inputs, decision)]
    if site.steering is not None:
        rows += _steered(site.steering, inputs, decision)
    rows += _others(site, decision, rows)
    binding = _binding(site, decision)
    found = [
        msgspec.structs.replace(row, in_force=_in_force(row, utc), binding=_in_force(row, utc) and _binds(row, binding))
        for row in rows
        if row.until_ms is None or utc < row.until_ms
    ]
    return tuple(sorted(found, key=lambda row: (places.get(row.node, len(places)), row.node, row.kind, row.source)))


def _in_force(row: LimitRow, utc_ms: int) -> bool:
    return row.in_force and (row.from_ms is None or row.from_ms <= utc_ms)


def _row(node: str, limit: Limit, kind: str, **more: object) -> LimitRow:
    fields: dict[str, object] = {
        "node": node, "source": limit.source, "kind": kind, "phases_ma": limit.phases_ma, "power_mw": limit.power_mw,
        "imbalance_ma": limit.imbalance_ma, "from_ms": limit.from_ms, "until_ms": limit.until_ms,
    }  # fmt: skip
    return LimitRow(**{**fields, **more})  # type: ignore[arg-type]


def _file(site: Site) -> Iterator[LimitRow]:
    tree = site.topology.tree
    for node in tree.nodes:
        for limit in node.limits:
            yield _row(node.id, limit, "file")
    for tenant in tree.tenants:
        for limit in tenant.limits:
            yield _row(tenant.id, limit, "file")


def _sources(site: Site, inputs: TickInputs, decision: Decision) -> Iterator[LimitRow]:
    """As `decide` takes them."""
    for id, source in sorted(site.sources.items()):
        word = decision.state.heard.get(id)
        if word is None or inputs.now.tick_ms - word.at_ms >= source.lost_after_ms:
            if source.lost_limit is not None:
                yield _row(source.node, source.lost_limit, "lost")
        elif word.limit is not None:
            yield _row(source.node, word.limit, "source")


def _steered(site: SteeredSite, inputs: TickInputs, decision: Decision) -> Iterator[LimitRow]:
    utc, config, plan = inputs.now.utc_ms, site.config, inputs.plan
    plan = plan if plan is not None and plan.made_ms <= utc < plan.until_ms else None
    for contract in config.contracts:
        power = _contracted(contract.node, contract.power_mw, contract.hard, plan, utc)
        yield _row(contract.node, Limit(source="contracted capacity", power_mw=power), "file")
    for schedule in config.schedules:
        begin, end, now = _span(schedule.span, schedule.zone, utc)
        limit = schedule.limit
        yield _row(
            schedule.node, limit, "schedule",
            from_ms=_later(begin, limit.from_ms), until_ms=_earlier(end, limit.until_ms),
            in_force=now and limit.in_force(utc),
        )  # fmt: skip
    for view in decision.windows:
        limit = Limit(f"{WINDOW}{view.id}", power_mw=view.limit_mw, until_ms=view.until_ms)
        yield _row(view.node, limit, "window")
    for feed in config.feed_in:
        reason = next((each for each in decision.steered if each.rule == "feed_in" and each.source == feed.node), None)
        most = feed.limit_mw if reason is None else reason.figures.get("export_mw", feed.limit_mw)
        if most is None and feed.share_permille is not None:
            below = site.inverters_below[feed.node]
            installed = sum(each.nominal_mw for each in config.inverters if each.id in below)
            most = installed * feed.share_permille // 1_000
        if most is not None:
            yield _row(feed.node, Limit("feed-in", power_mw=-most), "file")
    for node, limits in sorted(inputs.external.limits.items()):
        if node in site.path:
            yield from (_row(node, limit, "order") for limit in limits)
    for control in inputs.external.controls:
        if control.node in site.path:
            yield from _control(site, control, decision)
    for reason in decision.steered:
        if reason.rule == "surplus_share" and config.surplus is not None:
            limit = Limit("surplus", power_mw=reason.figures.get("limit_mw"))
            yield _row(config.surplus.node, limit, "surplus")
        elif reason.rule in _PAUSES:
            yield _row(reason.subject, Limit(reason.source, power_mw=0), _PAUSES[reason.rule])
    yield from _evses(site, inputs)


def _contracted(node: str, power_mw: int, hard: bool, plan: Plan | None, utc_ms: int) -> int:
    if hard or plan is None:
        return power_mw
    return max(power_mw, planned(plan.peaks, node, utc_ms) or 0)


def _control(site: SteeredSite, control: Control, decision: Decision) -> Iterator[LimitRow]:
    """An order of telecontrol. That of § 14a is told with what it comes to for the devices."""
    power = control.value_mw
    if control.kind == "export_limit":
        installed = sum(
            each.nominal_mw for each in site.config.inverters if each.id in site.inverters_below[control.node]
        )
        shares: list[int] = [] if control.permille is None else [installed * control.permille // 1_000]
        shares += [] if power is None else [max(0, power)]
        power = -min(shares, default=0)
    elif control.kind == "steuve_limit":
        said = next(
            (
                each.figures.get("limit_mw")
                for each in decision.steered
                if each.rule in ("steuve_limit", "steuve_direct") and each.source == control.source
            ),
            None,
        )
        power = power if said is None else said
    if power is None:
        return
    limit = Limit(control.source, power_mw=power, from_ms=control.from_ms, until_ms=control.until_ms)
    yield _row(control.node, limit, "telecontrol")


def _evses(site: SteeredSite, inputs: TickInputs) -> Iterator[LimitRow]:
    """Orders for single EVSEs."""
    for id, order in sorted(inputs.external.evses.items()):
        evse = site.evses.get(id)
        if evse is None:
            continue
        most = order.maximum_ma
        ma = None if most is None else (most, most, most)
        mw = order.maximum_mw
        if order.pause:
            ma, mw = (None, 0) if evse.current == "DC" else ((0, 0, 0), None)
        if ma is not None or mw is not None:
            yield _row(id, Limit(order.source, phases_ma=ma, power_mw=mw), "order")


def _others(site: Site, decision: Decision, known: list[LimitRow]) -> Iterator[LimitRow]:
    """What the allocation is given beside all these, such as what a battery is about to take: a row of each source."""
    there = {(row.node, row.source): row.kind for row in known}
    for node, limits in decision.limits.items():
        found: dict[str, LimitRow] = {}
        for limit in limits:
            if (node, limit.source) in there:
                continue
            named = limit.source.removesuffix(TAKING)
            kind = "window" if named.startswith(WINDOW) else there.get((node, named), "other")
            row, before = _row(node, limit, kind), found.get(limit.source)
            if before is not None and row.power_mw is None:
                row = msgspec.structs.replace(row, power_mw=before.power_mw)
            if before is not None and row.phases_ma is None:
                row = msgspec.structs.replace(row, phases_ma=before.phases_ma)
            found[limit.source] = row
        yield from found.values()


def _binding(site: Site, decision: Decision) -> Mapping[tuple[str, str], frozenset[str]]:
    """By place and source: what of them keeps some EVSE from more."""
    found: dict[tuple[str, str], set[str]] = {}
    pool = None if site.steering is None else site.steering.config.surplus
    for reason in decision.reasons.values():
        if reason.code not in ("limit", "quota", "pool", "waiting", "under_way"):
            continue
        if reason.code == "pool" and pool is not None and reason.place == pool.pool:
            found.setdefault((pool.node, "surplus"), set()).add("power")
        else:
            found.setdefault((reason.place, reason.source), set()).add(_what(reason.what))
    for id, reason in decision.reasons.items():
        if reason.code in ("no_demand", "own_maximum"):
            for each in decision.steered:
                if each.subject == id and each.rule in ("ordered_maximum", "ordered_pause", *_PAUSES):
                    found.setdefault((id, each.source), set()).update(("phases", "power"))
    return {key: frozenset(what) for key, what in found.items()}


def _what(what: str) -> str:
    if what == "power":
        return "power"
    return "imbalance" if "above" in what else "phases"


def _binds(row: LimitRow, binding: Mapping[tuple[str, str], frozenset[str]]) -> bool:
    what = binding.get((row.node, row.source), frozenset[str]())
    return (
        ("power" in what and row.power_mw is not None)
        or ("phases" in what and row.phases_ma is not None)
        or ("imbalance" in what and row.imbalance_ma is not None)
    )


def _span(span: object, place: str, utc_ms: int) -> tuple[int | None, int | None, bool]:
    """When a schedule begins (None: it has) and ends next, and whether it holds now; None where that is far off."""
    from pilotwire.domain.steering import Span

    assert isinstance(span, Span)
    now = holds(span, utc_ms, place)
    edges = sorted({0, span.from_minute % 1_440, span.until_minute % 1_440})
    at = utc_ms
    begin: int | None = None
    for _ in range(_AHEAD):
        at = next_change(at, zone(place), edges)
        inside = holds(span, at, place)
        if now and not inside:
            return None, at, True
        if not now and begin is None and inside:
            begin = at
        elif not now and begin is not None and not inside:
            return begin, at, False
    return begin, None, now


def _later(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else max(one, other)


def _earlier(one: int | None, other: int | None) -> int | None:
    return other if one is None else one if other is None else min(one, other)
