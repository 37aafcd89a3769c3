"""A configuration made ready for ticks: integers in base units, the tree prepared, and what it means checked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import Literal

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import from_rfc3339
from pilotwire.domain import steering
from pilotwire.domain.energy import Evse, Limit, Node, Policy, SiteTree, Tenant, Topology, faults_of, prepare
from pilotwire.domain.energy import model as energy
from pilotwire.domain.energy.failsafe import Overload, check
from pilotwire.domain.energy.model import Switching
from pilotwire.domain.energy.quality import Bounds

from . import loads
from .config import EvseEntry, LimitEntry, NodeEntry, Phases, SiteConfig, zone
from .mirror import unmirrored
from .planning import entries as planning
from .typed import Finding


class Outlet(msgspec.Struct, frozen=True):
    """What a tick needs to know of an EVSE beside its place in the tree. Figures are in the EVSE's unit."""

    id: str
    failsafe: int
    """What it is told when nothing else is certain, and what its registers are set to."""
    watchdog_ms: int | None
    """None: it never falls back by itself."""
    has_failsafe: bool
    in_service: bool
    priority: int
    guaranteed: int
    mode: steering.Mode = "now"
    cheap_below: int | None = None
    cheapest: bool = False
    boost: bool = False


class Source(msgspec.Struct, frozen=True):
    """Somebody outside who sets limits at a node."""

    id: str
    node: str
    lost_after_ms: int
    lost_limit: Limit | None


class Site(msgspec.Struct, frozen=True):
    """All that `decide` needs of the configuration."""

    id: str
    topology: Topology
    policy: Policy
    outlets: Mapping[str, Outlet]
    meters: Mapping[str, str]
    """Node to the device that measures it."""
    sources: Mapping[str, Source]
    bounds: Mapping[str, Bounds]
    """By node: what its meter can show."""
    feeds: Mapping[str, energy.Phases]
    """By node: what may be fed in below it."""
    steering: steering.Site | None
    command_ms: int
    loads: Mapping[str, loads.Told]
    """How each load of the tree is told."""


def compile_site(config: SiteConfig) -> Site:
    """Raises ConfigError with everything that is wrong in what the file says."""
    wrong = [finding for finding in findings(config) if finding.severity == "error"]
    if wrong:
        raise ConfigError("the site cannot be used:\n" + "\n".join(f"  {finding}" for finding in wrong))
    return _compile(config)


def compile_unproven(config: SiteConfig) -> Site:
    """A variant of a site that `compile_site` takes: one that believes less of it, and so may fail the fail-safe's
    proof though the wires are the same. Raises ConfigError for a tree that is none."""
    return _compile(config)


def findings(config: SiteConfig) -> list[Finding]:
    """What is wrong, and what is worth knowing, in a configuration whose form is right."""
    found = list(_own(config))
    if not any(finding.severity == "error" for finding in found):
        found += [Finding(fault.where, fault.text) for fault in faults_of(_tree(config))]
    if not any(finding.severity == "error" for finding in found):
        found += _steering_findings(config)
        found += planning.findings(config)
        found += [Finding(f"nodes[{each.node}]", f"fail-safe: {each.words}") for each in overloads(config)]
    return found


def _steering_findings(config: SiteConfig) -> list[Finding]:
    modes = [each.id for each in config.evses if each.mode in ("pv", "min_pv")]
    if config.steering is None:
        text = "follows the surplus: enter steering.surplus"
        return [Finding(f"evses[{id}].mode", text) for id in modes]
    try:
        made = _steering(config)
    except (ValueError, TypeError) as error:
        return [Finding("steering", str(error))]
    found = [Finding(f"steering, {fault.where}", fault.text) for fault in steering.steering_faults(made)]
    if made.surplus is None:
        found += [Finding(f"evses[{id}].mode", "follows the surplus: enter steering.surplus") for id in modes]
    devices = {device.id: device.kind for device in config.devices}
    for kind, ids in (
        ("battery", [each.id for each in made.batteries]),
        ("inverter", [each.id for each in made.inverters]),
        ("load", [each.id for each in made.loads]),
    ):
        for id in ids:
            if devices.get(id) != kind:
                found.append(Finding(f"steering, {kind} {id}", f"there is no device {id} of kind {kind}"))
    return found


def overloads(config: SiteConfig, confirmed: Collection[str] | None = None) -> tuple[Overload, ...]:
    """Which limits could be exceeded when everybody falls back at once; none: the site may run.

    `confirmed`: the EVSEs and loads whose fail-safe has been read back, the others count with their rating; None: all.
    """
    return check(_tree(config, proof=True), confirmed)


def steering_config(config: SiteConfig) -> steering.Config:
    """What is steered, in base units. Raises ValueError for a time of the day that is none."""
    return _steering(config)


def _compile(config: SiteConfig) -> Site:
    safe = config.failsafe
    policy = Policy(
        order=config.policy.order,
        rotate_ms=_milli(config.policy.rotate_s),
        hold_ms=_milli(config.policy.hold_s),
        stale_ms=_milli(safe.meter_s),
    )
    return Site(
        id=config.site.id,
        topology=prepare(_tree(config)),
        policy=policy,
        outlets={entry.id: outlet(config, entry) for entry in config.evses},
        meters={node.id: node.meter for node in config.nodes if node.meter is not None},
        sources={
            source.id: Source(
                id=source.id,
                node=source.node,
                lost_after_ms=_milli(source.lost_after_s),
                lost_limit=None if source.lost_limit is None else _limit(source.lost_limit),
            )
            for source in config.sources
        },
        bounds={node.id: _bounds(config, node) for node in config.nodes if node.meter is not None},
        feeds=_feeds(config),
        steering=steering.prepare(_steering(config)) if _steers(config) else None,
        command_ms=_milli(safe.command_s),
        loads=loads.told_of(config),
    )


def _feeds(config: SiteConfig) -> dict[str, energy.Phases]:
    """Of metered nodes: as the file says, or as much as what is entered below them feeds in together."""
    parents = {node.id: node.parent for node in config.nodes}
    sums: dict[str, list[int]] = {}
    for resource in loads.resources_of(config):
        at: str | None = resource.node
        while at is not None:
            below = sums.setdefault(at, [0, 0, 0])
            for phase, ma in enumerate(resource.feeds_ma):
                below[phase] += ma
            at = parents.get(at)
    found: dict[str, energy.Phases] = {}
    for node in config.nodes:
        if node.meter is not None:
            said, below = _phases(node.feeds_a), sums.get(node.id, [0, 0, 0])
            found[node.id] = (max(said[0], below[0]), max(said[1], below[1]), max(said[2], below[2]))
    return found


def _bounds(config: SiteConfig, node: NodeEntry) -> Bounds:
    limits = [max(_phases(limit.current_a)) for limit in node.limits if limit.current_a is not None]
    powers = [
        _micro(limit.power_kw) * 1_000 // _milli(config.site.voltage_v) for limit in node.limits if limit.power_kw
    ]
    return Bounds(
        # All the power on one phase, where nothing is said of currents.
        carries_ma=max(limits or powers or [10_000_000]),
        voltage_mv=_milli(config.site.voltage_v),
        same_ms=_milli(config.failsafe.frozen_s),
    )


def outlet(config: SiteConfig, entry: EvseEntry) -> Outlet:
    """With the site's fail-safe values where the entry has none of its own."""
    safe = config.failsafe
    if entry.current == "DC":
        failsafe = _micro(safe.power_kw if entry.failsafe_kw is None else entry.failsafe_kw)
        guaranteed = _micro(entry.guaranteed_kw)
    else:
        failsafe = _milli(safe.current_a if entry.failsafe_a is None else entry.failsafe_a)
        guaranteed = _milli(entry.guaranteed_a)
    return Outlet(
        id=entry.id,
        failsafe=failsafe,
        watchdog_ms=_milli(safe.watchdog_s if entry.watchdog_s is None else entry.watchdog_s)
        if entry.has_failsafe
        else None,
        has_failsafe=entry.has_failsafe,
        in_service=entry.in_service,
        priority=entry.priority,
        guaranteed=guaranteed,
        mode=entry.mode,
        cheap_below=None if entry.cheap_below_price is None else int(entry.cheap_below_price * 1_000_000),
        cheapest=entry.cheapest,
        boost=entry.boost,
    )


def _steers(config: SiteConfig) -> bool:
    """Orders of others go the way of contracts and prices, so who takes them is steered."""
    return (
        config.steering is not None
        or bool(config.modbus_servers)
        or config.mqtt is not None
        or config.telecontrol is not None
        or bool(config.gateway)
        or config.prices is not None
        or config.planning is not None
    )


def _steering(config: SiteConfig) -> steering.Config:
    if config.steering is None:
        return steering.Config(tree=_tree(config), zone=config.site.time_zone, stale_ms=_milli(config.failsafe.meter_s))
    return unmirrored(
        config.steering,
        steering.Config,
        {Limit: _limit},
        {"zone": config.site.time_zone, "stale_ms": _milli(config.failsafe.meter_s)},
        tree=_tree(config),
    )


def _tree(config: SiteConfig, *, proof: bool = False) -> SiteTree:
    """`proof`: without what is out of service, for the sum of the fail-safe values."""
    return SiteTree(
        nodes=tuple(
            Node(
                id=node.id,
                kind=node.kind,
                parent=node.parent,
                limits=tuple(_limit(limit) for limit in node.limits),
                metered=node.meter is not None,
                side_lost_ma=None if node.side_lost_a is None else _phases(node.side_lost_a),
            )
            for node in config.nodes
        ),
        evses=tuple(_with_failsafe(config, entry) for entry in config.evses if entry.in_service or not proof),
        tenants=tuple(
            Tenant(id=tenant.id, limits=tuple(_limit(limit) for limit in tenant.limits)) for tenant in config.tenants
        ),
        loads=loads.loads_of(config),
        resources=loads.resources_of(config),
        voltage_mv=_milli(config.site.voltage_v),
    )


def _with_failsafe(config: SiteConfig, entry: EvseEntry) -> Evse:
    out = outlet(config, entry)
    failsafe = out.failsafe if entry.has_failsafe else None
    return msgspec.structs.replace(evse(entry), failsafe=failsafe, watchdog_ms=out.watchdog_ms)


def evse(entry: EvseEntry) -> Evse:
    """As the allocation sees it."""
    if entry.current == "DC":
        assert entry.maximum_kw is not None  # `findings` has seen to it
        return Evse(
            id=entry.id,
            node=entry.node,
            current="DC",
            maximum=_micro(entry.maximum_kw),
            minimum=_micro(Decimal(5) if entry.minimum_kw is None else entry.minimum_kw),
            step=_micro(Decimal("0.1") if entry.step_kw is None else entry.step_kw),
            efficiency=int(entry.efficiency_percent * 10),
            tenant=entry.tenant,
        )
    return Evse(
        id=entry.id,
        node=entry.node,
        maximum=_milli(Decimal(32) if entry.maximum_a is None else entry.maximum_a),
        minimum=_milli(Decimal(6) if entry.minimum_a is None else entry.minimum_a),
        step=_milli(Decimal(1) if entry.step_a is None else entry.step_a),
        phases=entry.phases,
        rotation=entry.rotation,
        tenant=entry.tenant,
        switching=Switching() if entry.phase_switching else None,
    )


def _own(config: SiteConfig) -> Iterator[Finding]:
    """What the tree itself does not know."""
    if zone(config) is None:
        yield Finding("site.time_zone", f"there is no time zone {config.site.time_zone!r}; e.g. Europe/Berlin")
    for what, ids in (
        ("devices", [each.id for each in config.devices]),
        ("sources", [each.id for each in config.sources]),
    ):
        for id, count in Counter(ids).items():
            if count > 1:
                yield Finding(f"{what}[{id}]", f"is there {count} times; give each an id of its own")
    devices = {device.id: device for device in config.devices}
    nodes = {node.id for node in config.nodes}
    for node in config.nodes:
        if node.meter is not None and node.meter not in devices:
            yield Finding(f"nodes[{node.id}].meter", f"there is no device {node.meter}; enter it below `devices:`")
        elif node.meter is not None and devices[node.meter].kind != "meter":
            yield Finding(f"nodes[{node.id}].meter", f"device {node.meter} is a {devices[node.meter].kind}, no meter")
        for limit in node.limits:
            yield from _times(f"nodes[{node.id}].limits[{limit.source}]", limit)
    for tenant in config.tenants:
        for limit in tenant.limits:
            yield from _times(f"tenants[{tenant.id}].limits[{limit.source}]", limit)
    for source in config.sources:
        if source.node not in nodes:
            yield Finding(f"sources[{source.id}].node", f"there is no node {source.node}")
        if source.lost_limit is not None:
            yield from _times(f"sources[{source.id}].lost_limit", source.lost_limit)
    yield from loads.findings(config)
    for entry in config.evses:
        yield from _evse(config, entry)


def _times(where: str, limit: LimitEntry) -> Iterator[Finding]:
    for name, text in (("from", limit.from_), ("until", limit.until)):
        try:
            _instant(text)
        except ValueError:
            yield Finding(f"{where}.{name}", f"{text!r} is no time with an offset; e.g. 2026-01-31T06:00:00+01:00")


_OF: Mapping[Literal["AC", "DC"], tuple[str, ...]] = {
    "AC": ("maximum_a", "minimum_a", "step_a", "failsafe_a"),
    "DC": ("maximum_kw", "minimum_kw", "step_kw", "failsafe_kw"),
}


def _evse(config: SiteConfig, entry: EvseEntry) -> Iterator[Finding]:
    where = f"evses[{entry.id}]"
    other: Literal["AC", "DC"] = "DC" if entry.current == "AC" else "AC"
    for name in _OF[other]:
        if getattr(entry, name) is not None:
            yield Finding(f"{where}.{name}", f"is for {other}; this EVSE is {entry.current}: set {_twin(name)}")
    if entry.current == "DC" and entry.maximum_kw is None:
        yield Finding(f"{where}.maximum_kw", "is missing; a DC EVSE needs it")
        return
    charger = entry.charger
    if (charger.file is None) == (charger.ocpp is None):
        yield Finding(
            f"{where}.charger", "needs either `file` and `endpoint` (Modbus) or `ocpp` (a station's identity)"
        )
    elif charger.file is not None and charger.endpoint is None:
        yield Finding(f"{where}.charger.endpoint", "is missing; e.g. tcp://192.168.1.20:502 or rtu:///dev/ttyUSB0")
    if not entry.has_failsafe and (entry.failsafe_a or entry.failsafe_kw or entry.watchdog_s):
        yield Finding(where, "has a fail-safe value or a watchdog though has_failsafe is false; drop one of them")
    made, out = evse(entry), outlet(config, entry)
    if out.failsafe > made.maximum:
        yield Finding(where, "its fail-safe value is above its maximum; lower failsafe_a or failsafe_kw")
    elif 0 < out.failsafe < made.minimum:
        yield Finding(
            where, "its fail-safe value is between 0 and its minimum, where no car charges; set one of the two"
        )
    if out.watchdog_ms is not None and out.watchdog_ms < 5_000:
        yield Finding(f"{where}.watchdog_s", "is under 5 s; a busy network would trip it. 30 to 60 s is usual")
    if entry.rotation is None and entry.phases < 3:
        yield Finding(
            f"{where}.rotation", "is not known: the EVSE counts on each of the three phases until it is", "warning"
        )


def _twin(name: str) -> str:
    stem, _, unit = name.rpartition("_")
    return f"{stem}_{'kw' if unit == 'a' else 'a'}"


def _limit(entry: LimitEntry) -> Limit:
    return Limit(
        source=entry.source,
        phases_ma=None if entry.current_a is None else _phases(entry.current_a),
        power_mw=None if entry.power_kw is None else _micro(entry.power_kw),
        imbalance_ma=None if entry.imbalance_a is None else _milli(entry.imbalance_a),
        from_ms=_instant(entry.from_),
        until_ms=_instant(entry.until),
    )


def _instant(text: str | None) -> int | None:
    return None if text is None else int(from_rfc3339(text))


def _phases(value: Phases) -> energy.Phases:
    if isinstance(value, tuple):
        return _milli(value[0]), _milli(value[1]), _milli(value[2])
    ma = _milli(value)
    return ma, ma, ma


def _milli(value: Decimal) -> int:
    return int(value * 1_000)


def _micro(value: Decimal) -> int:
    """kW to mW."""
    return int(value * 1_000_000)
