"""Cars that take their time: what really flows while the allocation commands second by second.

The plant knows nothing of the allocation. Each car draws what its set-point was `lag_s` ago, no more than it can take
now; the meter adds the side load.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

import msgspec
from tests.domain.energy.energy_worlds import NOW, Oracle, World, world

from pilotwire.domain.energy import Allocation, Limit, Moment, Reading, Signals, State, Topology, allocate, prepare


class Plant:
    """A world in time. `lags`: seconds until a car follows; `appetite`: what each can take now, mA per phase."""

    def __init__(self, world: World, lags: Mapping[str, int], *, measured: bool = True) -> None:
        self.world, self.lags, self.measured = world, dict(lags), measured
        self.oracle = Oracle(world, sides={})
        self.topology: Topology = prepare(world.tree)
        self.side: dict[str, tuple[int, int, int]] = {}
        """What flows at a metered node beside the EVSEs; a meter above sees it too."""
        self.appetite: dict[str, int] = {}
        self.stubborn: dict[str, int] = {}
        """Cars that draw this whenever they may draw anything."""
        self.told: dict[str, list[int]] = {evse.id: [] for evse in world.tree.evses}
        self.drawn: dict[str, int] = {evse.id: 0 for evse in world.tree.evses}
        self.state = State()
        self.seconds = 0
        self.last: Allocation | None = None

    def second(self) -> Allocation:
        """Measures, commands, and lets a second pass."""
        now = Moment(tick_ms=NOW.tick_ms + self.seconds * 1_000, utc_ms=NOW.utc_ms)  # scheduled limits stay
        signals = msgspec.structs.replace(self.world.signals, meters=self._meters(now), draws=self._draws(now))
        self.last = allocate(self.topology, self.world.policy, self.world.demands, signals, self.state, now)
        self.state = self.last.state
        for point in self.last.set_points:
            told = self.told[point.evse]
            told.append(point.infeed_ma)
            lag = self.lags[point.evse]
            given = told[-1 - lag] if len(told) > lag else 0
            if given and point.evse in self.stubborn:
                given = self.stubborn[point.evse]
            self.drawn[point.evse] = min(given, self.appetite.get(point.evse, given))
        self.seconds += 1
        return self.last

    def flows(self, place: str) -> tuple[int, int, int]:
        """What the phases of a node or a tenant really carry, side loads included."""
        total = [0, 0, 0]
        for id in self.oracle.below(place):
            for phase in self.oracle.on(id):
                total[phase] += self.drawn[id]
        for id, side in self.side.items():
            at: str | None = id
            while at is not None and at != place:
                at = self.oracle.nodes[at].parent
            if at == place:
                for phase in range(3):
                    total[phase] += side[phase]
        return total[0], total[1], total[2]

    def over(self) -> list[str]:
        """Where more flows than a limit allows, on which phase."""
        found: list[str] = []
        for place, limit in self.oracle.limits():
            flows = self.flows(place)
            found += [
                f"{self.seconds} s: {place} L{phase + 1} {flows[phase]} mA > {limit.phases_ma[phase]}"
                for phase in range(3)
                if limit.phases_ma is not None and flows[phase] > limit.phases_ma[phase]
            ]
            if limit.power_mw is not None and sum(flows) * self.world.tree.voltage_mv > limit.power_mw * 1_000:
                found.append(f"{self.seconds} s: {place} {flows} above {limit.power_mw} mW")
        return found

    def ours(self, fault: str) -> bool:
        """Whether any car below that node still draws: what is too much without them is not for us to mend."""
        place, what = fault.split(": ")[1].split()[:2]
        phases = {int(what[1]) - 1} if what.startswith("L") else {0, 1, 2}
        return any(self.drawn[id] and phases & self.oracle.on(id) for id in self.oracle.below(place))

    def _meters(self, now: Moment) -> dict[str, Reading]:
        return {
            node.id: Reading(phases_ma=self.flows(node.id), at_ms=now.tick_ms)
            for node in self.world.tree.nodes
            if node.metered
        }

    def _draws(self, now: Moment) -> dict[str, Reading]:
        if not self.measured:
            return {}
        return {
            id: Reading(phases_ma=(ma if self.oracle.used(id) > 0 else 0, 0, 0), at_ms=now.tick_ms)
            for id, ma in self.drawn.items()
            if id in self.oracle.demands
        }


def lags(world: World, draw: random.Random, most: int = 8) -> dict[str, int]:
    """Of each EVSE, from nothing to `most` seconds."""
    return {evse.id: draw.randint(0, most) for evse in world.tree.evses}


def _still(seed: int) -> World:
    """A world whose side loads are nothing, without signals: only the cars move."""
    here = world(seed)
    nodes = tuple(msgspec.structs.replace(node, metered=False) for node in here.tree.nodes)
    return here._replace(
        tree=msgspec.structs.replace(here.tree, nodes=nodes),
        signals=Signals(),
        policy=msgspec.structs.replace(here.policy, hold_ms=0),
    )


def faults_in_time(seed: int) -> tuple[int, list[str]]:
    """Cars that come and go and follow late, then a quiet time: (seconds, what flowed above a limit, what was left)."""
    draw = random.Random(seed)
    here = _still(seed)
    there = Plant(here, lags(here, draw))
    for _ in range(5):
        there.world = here._replace(demands=tuple(car for car in here.demands if draw.random() < 0.7))
        for _ in range(draw.randint(1, 25)):
            there.second()
            if over := there.over():
                return there.seconds, over
    for _ in range(60):
        said = there.second()
        if over := there.over():
            return there.seconds, over
    late = [f"{point.evse}: {point.value}, {point.target}" for point in said.set_points if point.value != point.target]
    values = {point.evse: point.value for point in said.set_points}
    return there.seconds, late + Oracle(there.world, sides={}).faults(values)


def faults_when_lowered(seed: int, slowest: int = 8, bound: int = 9) -> list[str]:
    """Signals cut nodes again and again: what flows above a limit for more than `bound` seconds.

    The slowest car needs `slowest` seconds to follow.

    With meters and side loads: these jump too, and a jump is answered in the next second.
    """
    draw = random.Random(seed)
    here = world(seed)
    here = here._replace(signals=Signals(), policy=msgspec.structs.replace(here.policy, hold_ms=0))
    there = Plant(here, lags(here, draw, slowest))
    metered = [node.id for node in here.tree.nodes if node.metered]
    over = 0
    for _ in range(4):
        cut = {
            node.id: (Limit(source="DSO", phases_ma=(draw.randint(0, 80_000),) * 3),)
            for node in here.tree.nodes
            if draw.random() < 0.5
        }
        there.world = here._replace(signals=Signals(limits=cut))
        there.oracle = Oracle(there.world, sides={})
        for id in metered:
            there.side[id] = (draw.randint(-5_000, 20_000), draw.randint(-5_000, 20_000), draw.randint(0, 20_000))
        for _ in range(30):
            there.second()
            flows = [fault for fault in there.over() if there.ours(fault)]
            over = over + 1 if flows else 0
            if over > bound:
                return flows
    return []
