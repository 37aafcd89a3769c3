"""How much inverters may generate so that no more is exported than is allowed.

What may be generated is what may be exported and what is used here. A limit is lowered at once, raised when that is
worth it, and told again before the inverter would drop it by itself. While the meter is lost nothing is taken to be
used here.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pilotwire.domain.energy import Moment

from .batteries import split
from .flows import Flows
from .inputs import Control, External, Measured
from .outputs import InverterLimit
from .prices import price_at
from .reasons import Reason, Rule
from .site import Site
from .state import InverterState
from .telecontrol import export_mw

FREE_MS = 60_000
"""So long all it can give has to be allowed before its limit is lifted."""


class Fed(NamedTuple):
    """Limits and reasons by inverter in order, and the next state."""

    limits: tuple[InverterLimit, ...]
    reasons: tuple[Reason, ...]
    state: Mapping[str, InverterState]


class _Bound(NamedTuple):
    export_mw: int
    rule: Rule
    source: str
    price_micro: int


def feed(
    site: Site, external: External, flow: Flows, measured: Measured, old: Mapping[str, InverterState], now: Moment
) -> Fed:
    """A tick of all inverters."""
    allowed: dict[str, tuple[int, _Bound, bool]] = {}
    inverters = {each.id: each for each in site.config.inverters}
    for node in site.path:
        bound = _bound(site, external, node, now)
        if bound is None:
            continue
        ours = [id for id in site.inverters_below[node] if inverters[id].controllable]
        power = flow.nodes[node].power_mw
        gives = {id: _gives(site, id, measured, now) for id in site.inverters_below[node]}
        used = 0 if power is None else max(0, power + sum(gives.values()))
        budget = max(0, bound.export_mw + used - sum(mw for id, mw in gives.items() if id not in ours))
        nominal = {id: inverters[id].nominal_mw for id in ours}
        for id, mw in split(budget, nominal, nominal).items():
            if id not in allowed or mw < allowed[id][0]:
                allowed[id] = (mw, bound, power is None)
    limits: list[InverterLimit] = []
    reasons: list[Reason] = []
    state: dict[str, InverterState] = {}
    for id, inverter in sorted(inverters.items()):
        known = old.get(id, InverterState())
        found = allowed.get(id)
        limit, since = _step(None if found is None else found[0], inverter.nominal_mw, known, now)
        state[id] = InverterState(limit, since)
        limits.append(InverterLimit(id, limit, inverter.revert_ms))
        if limit is None or found is None:
            reasons.append(Reason(id, "feed_in_free", "feed-in", {}))
            continue
        _, bound, lost = found
        figures = {"limit_mw": limit, "export_mw": bound.export_mw, "price_micro": bound.price_micro}
        reasons.append(Reason(id, "feed_in_lost" if lost else bound.rule, bound.source, figures))
    return Fed(tuple(limits), tuple(reasons), state)


def _step(allowed: int | None, nominal: int, old: InverterState, now: Moment) -> tuple[int | None, int | None]:
    """(limit, since when all is allowed)."""
    if allowed is None or allowed >= nominal:
        if old.limit_mw is None:
            return None, None
        since = now.tick_ms if old.free_since_ms is None else old.free_since_ms
        # Nothing orders a limit any more: lift it at once. Allowed for the moment: wait whether it stays so.
        return (None, None) if allowed is None or now.tick_ms - since >= FREE_MS else (nominal, since)
    if old.limit_mw is not None and 0 <= allowed - old.limit_mw < nominal // 100:
        return old.limit_mw, None
    return allowed, None


def _gives(site: Site, id: str, measured: Measured, now: Moment) -> int:
    power = measured.inverters.get(id)
    if power is None or not 0 <= now.tick_ms - power.at_ms <= site.config.stale_ms:
        return 0
    return max(0, -power.power_mw)


def _bound(site: Site, external: External, node: str, now: Moment) -> _Bound | None:
    """The strictest of everything that limits the export of a node."""
    found: list[_Bound] = []
    installed = sum(each.nominal_mw for each in site.config.inverters if each.id in site.inverters_below[node])
    for each in site.config.feed_in:
        if each.node != node:
            continue
        if each.share_permille is not None:
            found.append(_Bound(installed * each.share_permille // 1_000, "feed_in", "share of installed power", 0))
        if each.limit_mw is not None:
            found.append(_Bound(each.limit_mw, "feed_in", "feed-in limit", 0))
        price = price_at(site.config, external, now.utc_ms)
        if each.curtail_below is not None and price is not None and price[0].export_micro < each.curtail_below:
            found.append(_Bound(0, "price_negative", price[1], price[0].export_micro))
    orders = _exports(external.controls, node, now)
    found += [_Bound(export_mw(site, control), "feed_in", control.source, 0) for control in orders]
    return min(found, key=lambda bound: bound.export_mw, default=None)


def _exports(controls: Iterable[Control], node: str, now: Moment) -> list[Control]:
    return [
        each for each in controls if each.kind == "export_limit" and each.node == node and each.in_force(now.utc_ms)
    ]


def curtailed(site: Site, measured: Measured, old: Mapping[str, InverterState], now: Moment) -> bool:
    """Whether an inverter gives all that its limit lets it: it may have more."""
    for each in site.config.inverters:
        limit = old.get(each.id, InverterState()).limit_mw
        if limit is not None and limit < each.nominal_mw and _gives(site, each.id, measured, now) * 100 >= limit * 97:
            return True
    return False
