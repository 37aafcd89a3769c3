"""Chargers with a relay: what really flows on which phase while the allocation switches them.

The plant knows nothing of the allocation. A relay moves `relay_s` after it has been told to; a car draws what it was
told `lag_s` ago, on the phases that its relay connects; the relay notes when it moves under current.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable
from typing import Any

from pilotwire.domain.energy import (
    Allocation,
    Demand,
    Evse,
    Limit,
    Load,
    Moment,
    Node,
    Policy,
    Reading,
    Signals,
    SiteTree,
    State,
    Switching,
    allocate,
    prepare,
)


class Relays:
    """A site of cars that may be switched, second by second."""

    def __init__(self, tree: SiteTree, *, lags: dict[str, int], relays: dict[str, int], confirms: bool, measured: bool):
        self.topology = prepare(tree)
        self.lags, self.relays, self.confirms, self.measured = lags, relays, confirms, measured
        members = (*tree.evses, *tree.loads)
        self.true = {each.id: each.rotation or "TSR" for each in members}
        self.conductors: dict[str, int] = {each.id: each.phases for each in members}
        self.commanded: dict[str, list[int]] = {each.id: [] for each in members}
        self.values: dict[str, list[int]] = {each.id: [] for each in members}
        """mA on each phase that it was told."""
        self.drawn: dict[str, int] = {each.id: 0 for each in members}
        self.moves: dict[str, list[int]] = {each.id: [] for each in members}
        self.under_current: list[str] = []
        self.uses: dict[str, int] = {}
        """How many conductors a car has that has not three."""
        self.stuck: set[str] = set()
        """Cars that go on drawing what they draw."""
        self.side = (0, 0, 0)
        self.state, self.second = State(), -1
        self.limits: dict[str, tuple[Limit, ...]] = {}
        self.pools: dict[str, tuple[Limit, ...]] = {}
        self.last: Allocation | None = None

    def tick(self, demands: Iterable[Demand], policy: Policy | None = None) -> Allocation:
        """Measures, commands, lets a second pass."""
        self.second += 1
        now = Moment(tick_ms=self.second * 1_000, utc_ms=0)
        meters = {
            node.id: Reading(phases_ma=self.flows(), at_ms=now.tick_ms)
            for node in self.topology.tree.nodes
            if node.metered
        }
        draws: dict[str, Reading] = {}
        if self.measured:
            draws = {id: Reading(phases_ma=(ma, 0, 0), at_ms=now.tick_ms) for id, ma in self.drawn.items()}
        connected: Any = self.conductors if self.confirms else {}
        wanted = [
            Demand(
                evse=car.evse, phases=car.phases, pool=car.pool, connected=connected.get(car.evse), prefers=car.prefers
            )
            for car in demands
        ]
        signals = Signals(meters=meters, draws=draws, limits=self.limits, pools=self.pools)
        said = self.last = allocate(self.topology, policy or Policy(), wanted, signals, self.state, now)
        self.state = said.state
        here = {car.evse for car in wanted}
        for point in said.set_points:
            self._obey(point.evse, point.value if point.evse in here else 0, point.phases or 3)
        for point in said.loads:
            self._obey(point.evse, point.infeed_ma, self.conductors[point.evse])
        return said

    def _obey(self, id: str, value: int, phases: int) -> None:
        commanded, values = self.commanded[id], self.values[id]
        commanded.append(phases)
        values.append(value)
        relay, lag = self.relays[id], self.lags[id]
        wanted = commanded[-1 - relay] if len(commanded) > relay else self.conductors[id]
        if wanted != self.conductors[id]:
            if self.drawn[id]:
                self.under_current.append(f"{id} at {self.second} s with {self.drawn[id]} mA")
            self.conductors[id] = wanted
            self.moves[id].append(self.second)
        if id not in self.stuck:
            self.drawn[id] = values[-1 - lag] if len(values) > lag else 0

    def flows(self) -> tuple[int, int, int]:
        """Of the connection, per phase."""
        total = list(self.side)
        for id, ma in self.drawn.items():
            for letter in self.true[id][: min(self.conductors[id], self.uses.get(id, 3))]:
                total["RST".index(letter)] += ma
        return total[0], total[1], total[2]


def site(a: int, *evses: Evse, metered: bool = False, loads: tuple[Load, ...] = ()) -> SiteTree:
    fuse = Limit(source="fuse", phases_ma=(a * 1_000,) * 3)
    grid = Node(id="grid", kind="connection", limits=(fuse,), metered=metered, side_lost_ma=(0, 0, 0))
    return SiteTree(nodes=(grid,), evses=evses, loads=loads)


def switchable(id: str, rotation: Any = "RST", **other: Any) -> Evse:
    return Evse(id=id, node="grid", maximum=32_000, rotation=rotation, switching=Switching(**other))


def faults_when_switching(seed: int, seconds: int = 400) -> list[str]:
    """A random site whose limits wander: what was above a limit, what moved under current, what flapped."""
    draw = random.Random(seed)
    config = Switching(
        pause_ms=draw.choice((0, 3_000)), relay_ms=6_000, up_ms=draw.choice((20_000, 60_000)), down_ms=15_000,
        most=draw.choice((2, 5, 10)),
    )  # fmt: skip
    evses = tuple(
        Evse(id=f"e{at}", node="grid", maximum=draw.choice((16_000, 32_000)), step=draw.choice((1_000, 100)),
             phases=3, rotation=draw.choice((None, "RST", "STR", "TSR")),
             switching=config if draw.random() < 0.8 else None)
        for at in range(draw.randint(1, 4))
    )  # fmt: skip
    levels: tuple[int, ...] = draw.choice(((), (2_000_000,), (1_500_000, 3_000_000, 6_000_000)))
    pump = Load(
        id="pump",
        node="grid",
        maximum=levels[-1] if levels else 6_000_000,
        levels=levels,
        floor=draw.choice((0, 2_000_000)),
        min_on_ms=draw.choice((0, 20_000)),
        min_off_ms=draw.choice((0, 20_000)),
        phases=draw.choice((1, 3)),
        rotation=draw.choice((None, "STR")),
    )
    loads = (pump,) if draw.random() < 0.5 else ()
    fuse = draw.randint(20, 60)
    there = Relays(
        site(fuse, *evses, metered=draw.random() < 0.3, loads=loads),
        lags={each.id: draw.randint(0, 6) for each in (*evses, *loads)},
        relays={each.id: draw.randint(0, 5) for each in (*evses, *loads)},
        confirms=draw.random() < 0.5,
        measured=draw.random() < 0.5,
    )
    phases: Any = {evse.id: draw.choice((1, 2, 3, 3, 3)) for evse in evses}
    there.uses = phases
    here = {evse.id for evse in evses}
    pool = draw.choice((None, "pv"))
    found: list[str] = []
    limit, surplus, over = [fuse * 1_000] * 3, 10_000_000, 0
    for second in range(seconds):
        if draw.random() < 0.05:
            limit = [min(fuse * 1_000, max(0, draw.randint(-5_000, 50_000))) for _ in range(3)]
            over = 0
        if draw.random() < 0.05:
            surplus = draw.randint(0, 20_000_000)
        if draw.random() < 0.01:
            here ^= {draw.choice(evses).id}
        cut: Any = tuple(limit)
        there.limits = {"grid": (Limit(source="DSO", phases_ma=cut),)}
        there.pools = {"pv": (Limit(source="surplus", power_mw=surplus),)}
        cars = [Demand(evse=id, phases=phases[id], pool=pool) for id in sorted(here)]
        said = there.tick([*cars, *(Demand(evse=each.id) for each in loads if second % 100 < 80)])
        flows = there.flows()
        if any(ma > most for ma, most in zip(flows, limit, strict=True)):
            over += 1
            # A cut is answered at once; the slowest car needs 6 s to follow.
            if over > 7:
                found.append(f"{second} s: {flows} above {limit} for {over} s")
        else:
            over = 0
        found += [f"{id} is not explained" for id, why in said.reasons.items() if why.code == "unexplained"]
    found += there.under_current
    for id, moves in there.moves.items():
        gaps = [b - a for a, b in itertools.pairwise(moves)]
        if gaps and min(gaps) < 15:
            found.append(f"{id} flaps: {moves}")
    return found[:3]
