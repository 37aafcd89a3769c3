"""Random sites, and an oracle of what a site can carry that shares no code with the allocation.

The oracle goes from each EVSE up through its parents by name and adds up what every phase carries. Where a rotation is
not known it draws the true one by lot and also counts the worst: neither may be too much.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from pilotwire.domain.energy import (
    Allocation,
    Demand,
    Evse,
    Limit,
    Moment,
    Node,
    Policy,
    Reading,
    Signals,
    SiteTree,
    State,
    Tenant,
    allocate,
    prepare,
)

ROTATIONS = ("RST", "RTS", "SRT", "STR", "TRS", "TSR")
ORDERS = ("equal", "priority", "first_come", "lowest_soc", "earliest_departure", "least_laxity")
NOW = Moment(tick_ms=1_000_000, utc_ms=1_800_000_000_000)


class World(NamedTuple):
    """A site with its cars at one moment."""

    tree: SiteTree
    policy: Policy
    demands: tuple[Demand, ...]
    signals: Signals
    true: Mapping[str, str]
    """The rotation that each EVSE really has."""

    def tick(self, state: State | None = None, now: Moment = NOW) -> Allocation:
        return allocate(prepare(self.tree), self.policy, self.demands, self.signals, state or State(), now)


def _limits(draw: random.Random, room: int) -> tuple[Limit, ...]:
    found: list[Limit] = []
    for source in ("fuse", "contract", "night")[: draw.choice((1, 1, 2, 3))]:
        phases: Any = None
        if draw.random() < 0.8:
            base = draw.randint(1, 2 * room)
            phases = (base, base, base) if draw.random() < 0.6 else tuple(draw.randint(1, 2 * room) for _ in range(3))
        found.append(
            Limit(
                source=source,
                phases_ma=phases,
                power_mw=draw.randint(1, room * 1_380) if phases is None or draw.random() < 0.3 else None,
                imbalance_ma=draw.randint(0, 40_000) if draw.random() < 0.2 else None,
                from_ms=NOW.utc_ms + draw.choice((-1, 0, 1)) if source == "night" else None,
            )
        )
    return tuple(found)


def world(seed: int, *, most: int = 14) -> World:
    """Everything from `seed`; up to `most` EVSEs."""
    draw = random.Random(seed)
    count = draw.randint(1, most)
    nodes = [Node(id="n0", kind="connection", limits=_limits(draw, count * 16_000))]
    for at in range(1, draw.randint(1, 7)):
        parent = draw.choice(nodes)
        limits = _limits(draw, count * 10_000) if draw.random() < 0.8 else ()
        nodes.append(
            Node(id=f"n{at}", kind=draw.choice(("transformer", "feeder", "group")), parent=parent.id, limits=limits)
        )
    meters: dict[str, Reading] = {}
    for at, node in enumerate(nodes):
        if draw.random() < 0.25:
            nodes[at] = msgspec.structs.replace(node, metered=True, side_lost_ma=(5_000, 0, 10_000))
            if draw.random() < 0.8:
                side = tuple(draw.randint(-20_000, 30_000) for _ in range(3))
                meters[node.id] = Reading(phases_ma=side, at_ms=NOW.tick_ms - draw.choice((0, 500, 20_000)))
    tenants = tuple(Tenant(id=f"t{at}", limits=_limits(draw, count * 8_000)) for at in range(draw.choice((0, 0, 1, 2))))
    evses = tuple(_evse(draw, f"e{at:02}", nodes, tenants) for at in range(count))
    true = {evse.id: evse.rotation or draw.choice(ROTATIONS) for evse in evses}
    demands = tuple(_demand(draw, evse) for evse in evses if draw.random() < 0.9)
    signalled = {
        node.id: (Limit(source="DSO", phases_ma=(draw.randint(0, 60_000),) * 3),)
        for node in nodes
        if draw.random() < 0.1
    }
    return World(
        tree=SiteTree(nodes=tuple(nodes), evses=evses, tenants=tenants),
        policy=Policy(order=draw.choice(ORDERS)),
        demands=demands,
        signals=Signals(meters=meters, limits=signalled),
        true=true,
    )


def _evse(draw: random.Random, id: str, nodes: list[Node], tenants: tuple[Tenant, ...]) -> Evse:
    node = draw.choice(nodes).id
    tenant = draw.choice(tenants).id if tenants and draw.random() < 0.5 else None
    if draw.random() < 0.15:
        step = draw.choice((100_000, 500_000, 1_000_000))
        least = draw.choice((0, 1_000_000, 5_000_000))
        return Evse(
            id=id, node=node, tenant=tenant, current="DC", minimum=least, maximum=draw.choice((50, 150)) * 1_000_000,
            step=step, efficiency=draw.randint(850, 1000),
        )  # fmt: skip
    least, most = draw.choice((6_000, 6_000, 8_000, 10_000)), draw.choice((10_000, 16_000, 20_000, 32_000, 63_000))
    step = draw.choice((1, 100, 1_000, 1_000, 4_000))
    return Evse(
        id=id,
        node=node,
        tenant=tenant,
        phases=draw.choice((1, 2, 3, 3)),
        rotation=draw.choice((None, *ROTATIONS)),
        minimum=least,
        maximum=most,
        step=step if -(-least // step) * step <= most else 1_000,
    )


def _demand(draw: random.Random, evse: Evse) -> Demand:
    unit = 1_000_000 if evse.current == "DC" else 1_000
    return Demand(
        evse=evse.id,
        phases=draw.choice((1, 2, 3, 3)),
        maximum=draw.choice((None, None, draw.randint(0, 40) * unit)),
        minimum=draw.choice((0, 0, 8 * unit)),
        guaranteed=draw.choice((0, 0, 0, 10 * unit)),
        priority=draw.choice((0, 0, 1)),
        arrived_ms=NOW.utc_ms - draw.randint(0, 5) * 600_000,
        soc=draw.choice((None, draw.randint(0, 1000))),
        energy_wh=draw.choice((None, draw.randint(0, 80_000))),
        departure_ms=draw.choice((None, NOW.utc_ms + draw.randint(-1, 20) * 3_600_000)),
    )


class Oracle:
    """What a site carries, in the oracle's own words."""

    def __init__(self, world: World, *, sides: Mapping[str, tuple[int, int, int]] | None = None) -> None:
        self.world, self.tree = world, world.tree
        self.nodes = {node.id: node for node in world.tree.nodes}
        self.evses = {evse.id: evse for evse in world.tree.evses}
        self.demands = {demand.evse: demand for demand in world.demands}
        self.sides = dict(sides) if sides is not None else {id: self._side(id) for id in self.nodes}

    def _side(self, id: str) -> tuple[int, ...]:
        node = self.nodes[id]
        if node.metered:
            reading = self.world.signals.meters.get(id)
            if reading is None or NOW.tick_ms - reading.at_ms > 11_000:
                return node.side_lost_ma or (0, 0, 0)
            return reading.phases_ma
        below = [self._side(child.id) for child in self.tree.nodes if child.parent == id]
        return tuple(max(0, sum(side[phase] for side in below)) for phase in range(3))

    def used(self, evse: str) -> int:
        each = self.evses[evse]
        return 3 if each.current == "DC" else min(each.phases, self.demands[evse].phases)

    def ma(self, evse: str, value: int) -> int:
        each = self.evses[evse]
        if each.current == "AC":
            return value
        # mW at the vehicle / efficiency / three phases, rounded up.
        return -(-value * 1_000 * 1_000 // (each.efficiency * 3 * self.tree.voltage_mv))

    def on(self, evse: str) -> set[int]:
        """The phases that it really loads."""
        rotation = self.world.true[evse]
        return {"RST".index(letter) for letter in rotation[: self.used(evse)]}

    def may_be_on(self, evse: str) -> set[int]:
        return self.on(evse) if self.evses[evse].rotation or self.used(evse) == 3 else {0, 1, 2}

    def below(self, place: str) -> list[str]:
        """The EVSEs with a car of a node (with all nodes below) or of a tenant."""
        found: list[str] = []
        for id in self.demands:
            at: str | None = self.evses[id].node
            while at is not None and at != place:
                at = self.nodes[at].parent
            if at == place or self.evses[id].tenant == place:
                found.append(id)
        return found

    def limits(self) -> Iterable[tuple[str, Limit]]:
        for node in self.tree.nodes:
            for limit in (*node.limits, *self.world.signals.limits.get(node.id, ())):
                if limit.from_ms is None or limit.from_ms <= NOW.utc_ms:
                    yield node.id, limit
        for tenant in self.tree.tenants:
            for limit in tenant.limits:
                if limit.from_ms is None or limit.from_ms <= NOW.utc_ms:
                    yield tenant.id, limit

    def violations(self, values: Mapping[str, int]) -> list[str]:
        """What is too much; where the side load alone is too much, any car that adds to it."""
        found: list[str] = []
        for place, limit in self.limits():
            cars = [id for id in self.below(place) if values.get(id)]
            side = self.sides.get(place, (0, 0, 0))
            ma = {id: self.ma(id, values[id]) for id in cars}
            if limit.phases_ma is not None:
                for phase in range(3):
                    ours = sum(ma[id] for id in cars if phase in self.may_be_on(id))
                    if ours > max(0, limit.phases_ma[phase] - side[phase] - self.kept(place, phase)):
                        found.append(f"{place} L{phase + 1}: {ours} mA + {side[phase]} > {limit.phases_ma[phase]}")
            if limit.power_mw is not None:
                ours = sum(ma[id] * self.used(id) * self.tree.voltage_mv for id in cars)
                taken = sum(side) * self.tree.voltage_mv + self.kept(place, "power")
                if ours > max(0, limit.power_mw * 1_000 - taken):
                    found.append(f"{place} power: {ours} µW, side {side}, limit {limit.power_mw} mW")
            if limit.imbalance_ma is not None:
                found += self._imbalance(place, limit.imbalance_ma, cars, ma, side)
        return found

    def _imbalance(
        self, place: str, most: int, cars: list[str], ma: Mapping[str, int], side: tuple[int, ...]
    ) -> Iterable[str]:
        for a in range(3):
            for b in range(3):
                if a == b:
                    continue
                # Really, and if all that helps on b were to end.
                worse = sum(ma[id] for id in cars if self.used(id) < 3 and self.may_unbalance(id, a, b))
                real = sum(ma[id] for id in cars if a in self.on(id)) - sum(ma[id] for id in cars if b in self.on(id))
                room = max(0, most - (side[a] - side[b]) - self.kept(place, (a, b)))
                if worse > room or real > room:
                    yield f"{place}: L{a + 1} above L{b + 1} by {real} (worst {worse}) + {side}, limit {most}"

    def kept(self, place: str, what: int | str | tuple[int, int]) -> int:
        """What of a phase, the power (µW) or a pair of phases is kept free for somebody; nothing in a plain world."""
        return 0

    def may_unbalance(self, id: str, a: int, b: int) -> bool:
        if self.evses[id].rotation is None:
            return True
        return a in self.on(id) and b not in self.on(id)

    def bounds(self, id: str) -> tuple[int, int]:
        """(minimum, maximum) in its unit, before steps."""
        evse, demand = self.evses[id], self.demands[id]
        most = evse.maximum if demand.maximum is None else min(evse.maximum, demand.maximum)
        return max(evse.minimum, demand.minimum), most

    def faults(self, values: Mapping[str, int]) -> list[str]:
        """All that must never be in set-points."""
        found = self.violations(values)
        for id, value in values.items():
            evse = self.evses[id]
            if id not in self.demands:
                found += [f"{id} has {value} without a car"] if value else []
                continue
            least, most = self.bounds(id)
            if value and not least <= value <= most:
                found.append(f"{id}: {value} is not within {least} and {most}")
            if value % evse.step:
                found.append(f"{id}: {value} is no multiple of {evse.step}")
            more = dict(values) | {id: value + evse.step}
            if value and value + evse.step <= most and not self.violations(more):
                found.append(f"{id}: {value} though another {evse.step} has room")
            if not value:
                start = max(evse.step, -(-least // evse.step) * evse.step)
                if start <= most and not self.violations(dict(values) | {id: start}):
                    found.append(f"{id}: 0 though its minimum {start} has room")
        return found


def faults_of_seed(seed: int) -> list[str]:
    """What is wrong with the first tick of a random world."""
    here = world(seed)
    result = here.tick()
    values = {point.evse: point.value for point in result.set_points}
    found = Oracle(here).faults(values)
    found += [
        f"{point.evse}: {point.value}, target {point.target}"
        for point in result.set_points
        if point.value != point.target
    ]
    found += [f"{id} is not explained" for id, reason in result.reasons.items() if reason.code == "unexplained"]
    draw = random.Random(seed)
    other = here._replace(
        demands=tuple(draw.sample(here.demands, len(here.demands))),
        tree=msgspec.structs.replace(
            here.tree,
            evses=tuple(draw.sample(here.tree.evses, len(here.tree.evses))),
            nodes=tuple(draw.sample(here.tree.nodes, len(here.tree.nodes))),
        ),
    )
    again = other.tick()
    if again != result:
        found.append("another order of the input gives another result")
    return found


def laminar(seed: int) -> World:
    """A world in which every car loads all three phases alike, in steps of 1 A; nothing is unknown."""
    draw = random.Random(seed)
    count = draw.randint(1, 12)

    def fuse(room: int) -> tuple[Limit, ...]:
        return (Limit(source="fuse", phases_ma=(draw.randint(6_000, room),) * 3),)

    nodes = [Node(id="n0", kind="connection", limits=fuse(count * 20_000))]
    for at in range(1, draw.randint(1, 7)):
        nodes.append(Node(id=f"n{at}", kind="feeder", parent=draw.choice(nodes).id, limits=fuse(count * 14_000)))
    evses = tuple(
        Evse(id=f"e{at:02}", node=draw.choice(nodes).id, maximum=draw.choice((10_000, 16_000, 32_000)))
        for at in range(count)
    )
    demands = tuple(
        Demand(evse=evse.id, priority=draw.choice((0, 1)), arrived_ms=draw.randint(0, 3), soc=draw.randint(0, 1000))
        for evse in evses
    )
    order = draw.choice(("equal", "priority", "first_come", "lowest_soc"))
    return World(
        tree=SiteTree(nodes=tuple(nodes), evses=evses),
        policy=Policy(order=order),
        demands=demands,
        signals=Signals(),
        true=dict.fromkeys((evse.id for evse in evses), "RST"),
    )


def raised(here: World, draw: random.Random) -> World:
    """One node's limits are higher."""
    at = draw.randrange(len(here.tree.nodes))
    more = draw.randint(1, 20_000)

    def raise_one(limit: Limit) -> Limit:
        phases = limit.phases_ma and tuple(ma + more for ma in limit.phases_ma)
        power = limit.power_mw and limit.power_mw + 690 * more
        imbalance = None if limit.imbalance_ma is None else limit.imbalance_ma + more
        return msgspec.structs.replace(limit, phases_ma=phases, power_mw=power, imbalance_ma=imbalance)

    nodes = list(here.tree.nodes)
    nodes[at] = msgspec.structs.replace(nodes[at], limits=tuple(raise_one(limit) for limit in nodes[at].limits))
    return here._replace(tree=msgspec.structs.replace(here.tree, nodes=tuple(nodes)))


def faults_when_raised(seed: int) -> list[str]:
    """Whether more limit gives less in total to the same cars, where all load the same phases."""
    here = laminar(seed)
    before = {point.evse: point.value for point in here.tick().set_points}
    after = {point.evse: point.value for point in raised(here, random.Random(seed)).tick().set_points}
    if [id for id, value in before.items() if value] != [id for id, value in after.items() if value]:
        return []
    less, more = sum(before.values()), sum(after.values())
    return [f"{more} mA in all with more limit, {less} mA before"] if more < less else []


def powers_only(seed: int) -> World:
    """A world whose limits are powers, so that each car counts in the same figure at every node; phases are any."""
    here = world(seed)
    draw = random.Random(seed + 3)
    nodes = tuple(
        msgspec.structs.replace(
            node,
            limits=(Limit(source="contract", power_mw=draw.randint(1_000_000, 40_000_000)),) if node.limits else (),
            metered=False,
        )
        for node in here.tree.nodes
    )
    evses = tuple(
        msgspec.structs.replace(evse, step=1, tenant=None) for evse in here.tree.evses if evse.current == "AC"
    )
    ids = {evse.id for evse in evses}
    tree = SiteTree(nodes=nodes, evses=evses)
    return here._replace(tree=tree, demands=tuple(car for car in here.demands if car.evse in ids), signals=Signals())


def greatest_total(here: World, admitted: Iterable[str], node: str | None = None) -> int:
    """µW that cars let in could have together under limits of power alone: from the leaves up, the lower of the two."""
    oracle = Oracle(here, sides={})
    root = next(each.id for each in here.tree.nodes if each.parent is None) if node is None else node
    total = sum(
        oracle.bounds(id)[1] * oracle.used(id) * here.tree.voltage_mv
        for id in admitted
        if oracle.evses[id].node == root
    )
    total += sum(greatest_total(here, admitted, each.id) for each in here.tree.nodes if each.parent == root)
    limits = [limit.power_mw * 1_000 for limit in oracle.nodes[root].limits if limit.power_mw is not None]
    return min([total, *limits])
