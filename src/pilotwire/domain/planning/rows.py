"""The limits of a plan: what each row of the tree has left for cars and batteries, step by step, in integers."""

from __future__ import annotations

from pilotwire.domain.energy import Evse, Limit, Topology
from pilotwire.domain.energy.topology import PAIRS, POWER, ROWS, WHAT, Terms

from .horizon import Horizon, at
from .model import Battery, Expected, Need, Problem


class Car:
    """A need on its EVSE. Currents are mA per phase of the grid side; `presence` is ms by step."""

    __slots__ = ("evse", "infeed_high", "infeed_low", "need", "outlet_mw", "power_mw", "presence", "terms")

    def __init__(self, need: Need, topology: Topology, horizon: Horizon, evse: Evse | None = None) -> None:
        evse = topology.evses[need.evse] if evse is None else evse
        self.need, self.evse = need, evse
        self.terms: Terms = topology.terms(evse, need.phases)
        count = topology.count(evse, need.phases)
        voltage = topology.tree.voltage_mv
        low = max(evse.minimum, need.minimum)
        high = evse.maximum if need.maximum is None else min(evse.maximum, need.maximum)
        self.infeed_low, self.infeed_high = self.infeed(low, voltage), self.level(high, voltage)
        self.power_mw = count * voltage / 1000
        """mW at the grid for one mA."""
        self.outlet_mw = self.power_mw * (evse.efficiency / 1000 if evse.current == "DC" else 1)
        """mW at the outlet for one mA."""
        if low > high or need.energy_wh <= 0:
            self.infeed_high = 0
        until = horizon.ends_ms if need.departure_ms is None else need.departure_ms
        since = horizon.now_ms if need.arrival_ms is None else need.arrival_ms
        self.presence = tuple(horizon.overlap(step, since, until) for step in range(horizon.steps))

    def infeed(self, value: int, voltage_mv: int) -> int:
        """mA on each phase for a set-point, rounded up."""
        if self.evse.current == "AC":
            return value
        return -(-value * 1_000_000 // (3 * voltage_mv * self.evse.efficiency))

    def level(self, value: int, voltage_mv: int) -> int:
        """As `infeed`, rounded down."""
        if self.evse.current == "AC":
            return value
        return value * 1_000_000 // (3 * voltage_mv * self.evse.efficiency)

    def value(self, infeed_ma: int, voltage_mv: int) -> int:
        """The set-point, in the EVSE's unit, that loads each phase with no more than that."""
        if self.evse.current == "AC" or not infeed_ma:
            return infeed_ma
        return infeed_ma * 3 * voltage_mv * self.evse.efficiency // 1_000_000


def coming(expected: Expected, topology: Topology, horizon: Horizon) -> Car:
    """What is expected as if it were one car on three phases that can take any current from 0 on."""
    high = expected.power_mw * 1_000 // (3 * topology.tree.voltage_mv)
    evse = Evse(id=f"expected at {expected.node}", node=expected.node, minimum=0, maximum=high)
    need = Need(
        evse=evse.id, energy_wh=expected.energy_wh, departure_ms=expected.departure_ms,
        arrival_ms=expected.arrival_ms, worth_micro=expected.worth_micro,
    )  # fmt: skip
    return Car(need, topology, horizon, evse)


def battery_rows(topology: Topology, battery: Battery) -> list[tuple[int, bool]]:
    """(row, whether it is a power): what a battery on three phases counts in."""
    found: list[tuple[int, bool]] = []
    for place in topology.above[battery.node]:
        found += [(place * ROWS + phase, False) for phase in range(3)]
        found.append((place * ROWS + POWER, True))
    return found


class Rows:
    """`left[step]` maps a row (see `Topology`) to what it has left, mA or µW; rows without a limit are missing."""

    def __init__(self, problem: Problem, horizon: Horizon) -> None:
        topology = problem.topology
        self.topology = topology
        sides = side_loads(problem, horizon)
        constant: dict[int, tuple[int, str]] = {}
        dated: list[tuple[int, Limit]] = []
        for place, node in enumerate(topology.tree.nodes):
            for limit in (*node.limits, *problem.limits.get(node.id, ())):
                self._sort(place, limit, constant, dated)
        for place, tenant in enumerate(topology.tree.tenants, start=len(topology.tree.nodes)):
            for limit in tenant.limits:
                self._sort(place, limit, constant, dated)
        self.left: list[dict[int, int]] = []
        self.sources: list[dict[int, str]] = []
        for step in range(horizon.steps):
            begins, ends = horizon.begins(step), horizon.ends(step)
            found = dict(constant)
            for place, limit in dated:
                # The lowest of all that are in force at any time of the step: a plan has one target for all of it.
                if (limit.from_ms is None or limit.from_ms < ends) and (
                    limit.until_ms is None or begins < limit.until_ms
                ):
                    _lower(found, place, limit)
            left = {row: value for row, (value, _) in found.items()}
            for id, by_step in sides.items():
                base, side = topology.places[id] * ROWS, by_step[step]
                for phase in range(3):
                    if base + phase in left:
                        left[base + phase] -= side[phase]
                if base + POWER in left:
                    left[base + POWER] -= sum(side) * topology.tree.voltage_mv
                for kind, (a, b) in enumerate(PAIRS, start=base + POWER + 1):
                    if kind in left:
                        left[kind] -= side[a] - side[b]
            self.left.append(left)
            self.sources.append({row: source for row, (_, source) in found.items()})

    @staticmethod
    def _sort(place: int, limit: Limit, constant: dict[int, tuple[int, str]], dated: list[tuple[int, Limit]]) -> None:
        if limit.from_ms is None and limit.until_ms is None:
            _lower(constant, place, limit)
        else:
            dated.append((place, limit))

    def name(self, row: int) -> tuple[str, str]:
        """(place, what)."""
        return self.topology.names[row // ROWS], WHAT[row % ROWS]


def _lower(found: dict[int, tuple[int, str]], place: int, limit: Limit) -> None:
    base = place * ROWS
    values: list[tuple[int, int]] = []
    if limit.phases_ma is not None:
        values += [(base + phase, ma) for phase, ma in enumerate(limit.phases_ma)]
    if limit.power_mw is not None:
        values.append((base + POWER, limit.power_mw * 1_000))
    if limit.imbalance_ma is not None:
        values += [(row, limit.imbalance_ma) for row in range(base + POWER + 1, base + ROWS)]
    for row, value in values:
        known = found.get(row)
        if known is None or (value, limit.source) < known:
            found[row] = (value, limit.source)


def side_loads(problem: Problem, horizon: Horizon) -> dict[str, list[tuple[int, int, int]]]:
    """mA on each phase by node and step, with all that flows below; only of nodes that carry any."""
    topology = problem.topology
    sums: dict[str, list[list[int]]] = {}
    for load in problem.loads:
        if not load.phases_ma:
            continue
        for place in topology.above[load.node]:
            rows = sums.setdefault(topology.names[place], [[0, 0, 0] for _ in range(horizon.steps)])
            for step, row in enumerate(rows):
                phases = load.phases_ma[min(step, len(load.phases_ma) - 1)]
                for phase in range(3):
                    row[phase] += phases[phase]
    return {id: [(row[0], row[1], row[2]) for row in rows] for id, rows in sums.items()}


def pool_mw(problem: Problem, pool: str, step: int) -> int:
    """A pool's budget in a step, never below 0."""
    return max(0, at(problem.pools_mw[pool], step))
