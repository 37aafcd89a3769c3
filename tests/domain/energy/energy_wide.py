"""Random sites with all there is: pools, loads, batteries, EVSEs that can be switched and EVSEs that nobody hears.

The oracle goes on where that of `energy_pools` ends: loads in watts and levels, what is kept free for those who are
lost on the worst of phases, and cars that have their share on one phase.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import msgspec
from tests.domain.energy.energy_pools import PoolOracle, pooled_world
from tests.domain.energy.energy_worlds import NOW, ROTATIONS, World

from pilotwire.domain.energy import Allocation, Demand, Load, Lost, Reading, Resource, Switching


def wide_world(seed: int) -> World:
    """A world with pools, and the rest."""
    here = pooled_world(seed)
    draw = random.Random(seed + 2)
    nodes = [node.id for node in here.tree.nodes]
    evses = tuple(
        msgspec.structs.replace(
            evse,
            switching=Switching() if evse.current == "AC" and evse.phases == 3 and draw.random() < 0.5 else None,
            failsafe=draw.choice((None, 6_000 if evse.current == "AC" else 0)),
            watchdog_ms=draw.choice((None, 60_000)),
        )
        for evse in here.tree.evses
    )
    loads = tuple(_load(draw, f"l{at}", draw.choice(nodes)) for at in range(draw.randint(0, 3)))
    resources = tuple(
        Resource(id=f"r{at}", node=draw.choice(nodes), kind="battery", lost_ma=(draw.randint(0, 9_000),) * 3)
        for at in range(draw.choice((0, 0, 1)))
    )
    draws = {
        each.id: Reading((draw.randint(-20_000, 20_000), 3_000, -4_000), NOW.tick_ms - draw.choice((0, 20_000)))
        for each in resources
    }
    lost = {
        evse.id: Lost(possible=draw.choice((0, evse.maximum, evse.minimum))) for evse in evses if draw.random() < 0.15
    }
    demands = [car for car in here.demands if car.evse not in lost or draw.random() < 0.5]
    demands += [
        Demand(
            evse=load.id,
            maximum=draw.choice((None, 5_000_000)),
            pool=draw.choice((None, None, "pv")),
            priority=draw.choice((0, 1)),
        )
        for load in loads
        if draw.random() < 0.9
    ]
    tree = msgspec.structs.replace(here.tree, evses=evses, loads=loads, resources=resources)
    true: dict[str, str] = {**here.true, **{load.id: load.rotation or draw.choice(ROTATIONS) for load in loads}}
    signals = msgspec.structs.replace(here.signals, draws=draws, lost=lost)
    return here._replace(tree=tree, demands=tuple(demands), signals=signals, true=true)


def _load(draw: random.Random, id: str, node: str) -> Load:
    levels: tuple[int, ...] = draw.choice(((), (), (3_000_000,), (1_000_000, 2_500_000, 7_000_000)))
    most = levels[-1] if levels else draw.choice((4_000_000, 9_000_000, 20_000_000))
    return Load(
        id=id,
        node=node,
        maximum=most,
        minimum=draw.choice((0, 1_500_000)),
        levels=levels,
        floor=draw.choice((0, 0, 4_200_000)),
        phases=draw.choice((1, 2, 3, 3)),
        rotation=draw.choice((None, "RST", "STR", "TSR")),
    )


class WideOracle(PoolOracle):
    """`aims`: EVSEs that have their share on one phase."""

    def __init__(self, world: World, aims: Mapping[str, int]) -> None:
        self.aims = dict(aims)
        parents = {node.id: node.parent for node in world.tree.nodes}
        self.node_lost: dict[str, bool] = {}
        """Nodes below which somebody is lost who may be drawing, on phases that are known."""
        for evse in world.tree.evses:
            lost = world.signals.lost.get(evse.id)
            known = evse.rotation is not None or evse.phases == 3
            at: str | None = evse.node if lost is not None and lost.possible and known else None
            while at is not None:
                self.node_lost[at] = True
                at = parents[at]
        super().__init__(world)
        members: dict[str, Any] = {**self.evses, **{load.id: load for load in world.tree.loads}}
        self.evses = members
        self.lost = world.signals.lost
        self.demands = {id: car for id, car in self.demands.items() if id not in self.lost}

    def _side(self, id: str) -> tuple[int, ...]:
        node = self.nodes[id]
        if node.metered:
            side = super()._side(id)
            lost = self.node_lost.get(id, False) and id in self.world.signals.meters
            # What feeds in may be a mistake about one that nobody hears: then it is no room.
            return tuple(max(0, ma) for ma in side) if lost else side
        below: list[tuple[int, ...]] = [self._side(child.id) for child in self.tree.nodes if child.parent == id]
        for each in self.tree.resources:
            if each.node == id:
                reading = self.world.signals.draws[each.id]
                below.append(reading.phases_ma if NOW.tick_ms - reading.at_ms <= 11_000 else each.lost_ma)
        return tuple(max(0, sum(side[phase] for side in below)) for phase in range(3))

    def _path(self, node: str | None) -> list[str]:
        found: list[str] = []
        while node is not None:
            found.append(node)
            node = self.nodes[node].parent
        return found

    def kept(self, place: str, what: int | str | tuple[int, int]) -> int:
        """What those may draw who are lost: any car may be there, with as many conductors as it likes."""
        total = 0
        for id, lost in self.lost.items():
            evse: Any = self.evses[id]
            if place not in self._path(evse.node) and evse.tenant != place:
                continue
            ma = self.ma(id, lost.possible or 0)
            most = 3 if evse.current == "DC" else evse.phases
            ways = [most] if evse.current == "DC" else range(1, most + 1)
            turns = ["RST"] if evse.current == "DC" else [evse.rotation] if evse.rotation else ROTATIONS
            loads = [{"RST".index(letter) for letter in turn[:count]} for turn in turns for count in ways]
            if what == "power":
                total += ma * most * self.tree.voltage_mv
            elif isinstance(what, tuple):
                total += ma if any(what[0] in on and what[1] not in on for on in loads) else 0
            else:
                total += ma if any(what in on for on in loads) else 0
        return total

    def promised(self, id: str, car: Demand) -> int:
        each: Any = self.evses[id]
        if not isinstance(each, Load):
            return super().promised(id, car)
        least = max(car.guaranteed, each.floor)
        if each.levels:
            return max((level for level in each.levels if level <= least), default=0)
        return least // each.step * each.step

    def used(self, evse: str) -> int:
        each: Any = self.evses[evse]
        if isinstance(each, Load):
            return each.phases
        return min(super().used(evse), self.aims.get(evse, 3))

    def ma(self, evse: str, value: int) -> int:
        each: Any = self.evses[evse]
        if isinstance(each, Load):
            return -(-value * 1_000 // (each.phases * self.tree.voltage_mv))
        return super().ma(evse, value)

    def steps(self, id: str) -> list[int]:
        """All set-points that it may have, ascending, but 0."""
        least, most = self.bounds(id)
        each: Any = self.evses[id]
        if isinstance(each, Load) and each.levels:
            return [level for level in each.levels if least <= level <= most]
        first = max(each.step, -(-least // each.step) * each.step)
        return list(range(first, most + 1, each.step))

    def faults(self, values: Mapping[str, int]) -> list[str]:
        """All that must never be in shares."""
        found = self.violations(values)
        for id, value in values.items():
            if id not in self.demands:
                found += [f"{id} has {value} without a car"] if value and id not in self.lost else []
                continue
            found += self._own_faults(id, value, values)
        return found

    def _own_faults(self, id: str, value: int, values: Mapping[str, int]) -> list[str]:
        least, most = self.bounds(id)
        each: Any = self.evses[id]
        table = isinstance(each, Load) and each.levels
        if value and (not least <= value <= most or (value not in each.levels if table else value % each.step)):
            return [f"{id}: {value} is none of its set-points"]
        if table:
            above = [level for level in self.steps(id) if level > value]
        elif value:
            above = [value + each.step] if value + each.step <= most else []
        else:
            above = self.steps(id)[:1]
        if not above or self.violations({**values, id: above[0]}):
            return []
        return [f"{id}: {value} though {above[0]} has room"]


def faults_wide(seed: int) -> list[str]:
    """What is wrong with the shares of the first tick of a random world that has everything."""
    here = wide_world(seed)
    result = here.tick()
    targets = {point.evse: point.target for point in (*result.set_points, *result.loads)}
    oracle = WideOracle(here, _aims(result))
    found = oracle.faults({id: value for id, value in targets.items() if id not in oracle.lost})
    found += _without_floor(here, oracle, targets)
    for point in result.set_points:
        switching = result.state.evses[point.evse].phasing.stage != ""
        if point.evse not in oracle.lost and point.value != (0 if switching else point.target):
            found.append(f"{point.evse}: {point.value}, target {point.target}")
    found += [f"{id} is not explained" for id, reason in result.reasons.items() if reason.code == "unexplained"]
    draw = random.Random(seed)
    tree = msgspec.structs.replace(
        here.tree,
        evses=tuple(draw.sample(here.tree.evses, len(here.tree.evses))),
        loads=tuple(draw.sample(here.tree.loads, len(here.tree.loads))),
    )
    other = here._replace(demands=tuple(draw.sample(here.demands, len(here.demands))), tree=tree).tick()
    if other != result:
        found.append("another order of the input gives another result")
    return found


def _aims(result: Allocation) -> dict[str, int]:
    return {id: state.phasing.to for id, state in result.state.evses.items() if state.phasing.to is not None}


def _without_floor(here: World, oracle: WideOracle, targets: Mapping[str, int]) -> list[str]:
    """A load below its floor though all floors together have room: nobody may have what is promised to it."""
    floors = {load.id: load for load in here.tree.loads if load.floor and load.id in oracle.demands}
    found: list[str] = []
    held = {id: targets[id] for id in floors}
    for id in floors:
        step = next((step for step in oracle.steps(id) if step > held[id]), None)
        if step is None or step > floors[id].floor or not held[id]:
            continue
        if not oracle.violations({**held, id: step}):
            found.append(f"{id}: {held[id]} below its floor, and not because of other floors")
    return found
