"""A configuration that has been checked, laid out so that a tick need not walk the tree."""

from collections.abc import Iterator, Mapping
from zoneinfo import ZoneInfo

from pilotwire.core.errors import ConfigError
from pilotwire.domain.energy import Evse, Fault, Node, Topology, faults_of
from pilotwire.domain.energy import prepare as prepare_tree

from .config import Battery, Config


class Site:
    """See `prepare`. Everything by node is of the node and all below it."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.topology: Topology = prepare_tree(config.tree)
        tree = config.tree
        self.root = next(node.id for node in tree.nodes if node.parent is None)
        self.voltage_mv = tree.voltage_mv
        self.evses: Mapping[str, Evse] = self.topology.evses
        names = [node.id for node in tree.nodes]
        self.path: dict[str, tuple[str, ...]] = {
            node: tuple(names[place] for place in self.topology.above[node]) for node in names
        }
        """Of each node: itself and its ancestors, from below."""
        self.limits = {node.id: node.limits for node in tree.nodes}
        self.upwards: tuple[str, ...] = tuple(names[place] for place in self.topology.upwards)
        """All nodes, each after those below it."""
        self.evses_below = self._below({evse.id: evse.node for evse in tree.evses})
        self.batteries: dict[str, Battery] = {battery.id: battery for battery in config.batteries}
        self.batteries_below = self._below({each.id: each.node for each in config.batteries})
        self.inverters_below = self._below({each.id: each.node for each in config.inverters})
        self.loads_below = self._below({each.id: each.node for each in config.loads})

    def _below(self, nodes: Mapping[str, str]) -> dict[str, tuple[str, ...]]:
        found: dict[str, list[str]] = {node: [] for node in self.path}
        for id, node in nodes.items():
            for each in self.path[node]:
                found[each].append(id)
        return {node: tuple(sorted(ids)) for node, ids in found.items()}

    def unit_mw(self, evse: Evse, phases: int) -> tuple[int, int]:
        """(over, under): what one unit of the EVSE's set-point draws from the grid is over / under mW."""
        if evse.current == "DC":
            return 1_000, evse.efficiency
        return self.voltage_mv * self.topology.count(evse, phases), 1_000

    def draws_mw(self, evse: Evse, value: int, phases: int) -> int:
        """What a set-point (mA or mW at the vehicle) draws from the grid, rounded up."""
        over, under = self.unit_mw(evse, phases)
        return -(-value * over // under)


def prepare(config: Config) -> Site:
    """`config` ready for ticks. Raises ConfigError with every mistake in it."""
    faults = [*faults_of(config.tree), *steering_faults(config)]
    if faults:
        raise ConfigError("the site cannot be steered: " + "; ".join(str(fault) for fault in faults))
    return Site(config)


def steering_faults(config: Config) -> tuple[Fault, ...]:
    """Every mistake in what is beside the tree."""
    return tuple(_faults(config))


def _faults(config: Config) -> Iterator[Fault]:
    nodes = {node.id: node for node in config.tree.nodes}
    evses = {evse.id for evse in config.tree.evses}
    placed = [("demand window", each.id, each.node) for each in config.windows]
    placed += [("battery", each.id, each.node) for each in config.batteries]
    placed += [("inverter", each.id, each.node) for each in config.inverters]
    placed += [("load", each.id, each.node) for each in config.loads]
    placed += [("schedule", each.limit.source, each.node) for each in config.schedules]
    placed += [("contract of", each.node, each.node) for each in config.contracts]
    placed += [("feed-in of", each.node, each.node) for each in config.feed_in]
    placed += [("§ 14a of", each.node, each.node) for each in config.steuve]
    if config.surplus is not None:
        placed.append(("surplus", config.surplus.pool, config.surplus.node))
    seen: set[tuple[str, str]] = set()
    for kind, id, node in placed:
        if node not in nodes:
            yield Fault(f"{kind} {id}", f"its node {node} does not exist")
        if (kind, id) in seen and kind not in ("schedule",):
            yield Fault(f"{kind} {id}", "is there twice")
        seen.add((kind, id))
    for id in {each.id for each in config.batteries} & {each.id for each in config.loads} | evses & (
        {each.id for each in config.batteries} | {each.id for each in config.loads}
    ):
        yield Fault(f"device {id}", "two devices of different kinds have this id")
    for window in config.windows:
        yield from _zone(f"demand window {window.id}", window.zone)
        if window.node in nodes and not nodes[window.node].metered:
            yield Fault(f"demand window {window.id}", f"node {window.node} is not metered: its energy is not known")
        if window.hard and not window.contracted_mw:
            yield Fault(f"demand window {window.id}", "is hard, but nothing is contracted")
        if window.react_ms * 4 > window.minutes * 60_000 or window.react_ms <= 0:
            yield Fault(f"demand window {window.id}", f"react_ms is {window.react_ms}: that leaves no time to control")
        if window.burst_permille < 1_000:
            yield Fault(f"demand window {window.id}", "burst_permille below 1000 would never reach the target")
        if window.worst_mw <= 0 or window.side_lost_mw < 0 or window.reserve_mw < 0:
            yield Fault(f"demand window {window.id}", "worst_mw, side_lost_mw and reserve_mw are powers of import")
    for schedule in config.schedules:
        yield from _zone(f"schedule {schedule.limit.source}", schedule.zone)
    yield from _zone("site", config.zone)
    for battery in config.batteries:
        where = f"battery {battery.id}"
        if not 0 <= battery.backup_permille <= battery.peak_permille <= battery.full_permille <= 1_000:
            yield Fault(where, "backup, peak and full have to rise, from 0 to 1000 per mille")
        if not 0 < battery.efficiency <= 1_000:
            yield Fault(where, f"efficiency is {battery.efficiency} per mille")
        if min(battery.charge_mw, battery.discharge_mw) < 0 or min(battery.capacity_wh, battery.ramp_mw_s) <= 0:
            yield Fault(where, "powers cannot be negative, capacity and ramp have to be positive")
    for feed in config.feed_in:
        if feed.share_permille is None and feed.limit_mw is None and feed.curtail_below is None:
            yield Fault(f"feed-in of {feed.node}", "limits nothing")
    known = evses | {each.id for each in config.batteries} | {each.id for each in config.loads}
    for steuve in config.steuve:
        where = f"§ 14a of {steuve.node}"
        for id in steuve.devices:
            if id not in known:
                yield Fault(where, f"device {id} does not exist")
        if steuve.control == "ems" and steuve.node in nodes:
            for evse in config.tree.evses:
                if evse.id not in steuve.devices and _is_below(nodes, evse.node, steuve.node):
                    text = f"EVSE {evse.id} is below it but no controllable device: a limit there would hit it too"
                    yield Fault(where, text)


def _is_below(nodes: Mapping[str, Node], at: str | None, node: str) -> bool:
    for _ in nodes:  # a circle is a fault of the tree, which says so itself
        if at is None or at == node or at not in nodes:
            break
        at = nodes[at].parent
    return at == node


def _zone(where: str, name: str) -> Iterator[Fault]:
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        yield Fault(where, f"there is no time zone {name!r}")
