"""A tick of a site: 200 EVSEs on four levels, 1,000 EVSEs, each with limits per phase, in CPU time of this process.

python -m bench.allocation [--ticks 400] [--json]

The site is short of current everywhere. Each tick has other side loads and other draws, some cars come and go, so
that set-points move up and down in each of them; all orders of the policy take turns. A third of the cars share a pool
that comes and goes, every fourth EVSE with three phases can be switched to one, every fifth rotation is to be learned,
ten loads have a floor, and two in a hundred EVSEs are not heard.
"""

from __future__ import annotations

import argparse
import gc
import json
import random
import sys
import time
from typing import Any, NamedTuple

from pilotwire.domain.energy import (
    Demand,
    Evse,
    Limit,
    Load,
    Lost,
    Moment,
    Node,
    Policy,
    Reading,
    Signals,
    SiteTree,
    State,
    Switching,
    Topology,
    allocate,
    prepare,
)

GOALS_MS = {200: 20.0, 1_000: 100.0}
ROTATIONS: tuple[Any, ...] = ("RST", "STR", "TRS", "RTS", None)
ORDERS: tuple[Any, ...] = (
    "equal", "priority", "first_come", "lowest_soc", "earliest_departure", "least_laxity"
)  # fmt: skip


class Figure(NamedTuple):
    """Milliseconds of CPU of one tick."""

    evses: int
    nodes: int
    median_ms: float
    p99_ms: float
    longest_ms: float
    changes: int
    """Set-points that changed, of all ticks."""


def _phases(ma: int) -> tuple[int, int, int]:
    return (ma, ma, ma)


def site(evses: int) -> SiteTree:
    """Connection, transformers, feeders, groups of 10, EVSEs; every 7th is DC, every 3rd has one phase."""
    draw = random.Random(evses)
    nodes = [
        Node(
            id="grid", kind="connection", metered=True, side_lost_ma=_phases(evses * 1_000),
            limits=(
                Limit(source="fuse", phases_ma=_phases(evses * 5_000), imbalance_ma=60_000),
                Limit(source="contract", power_mw=evses * 3_000_000),
            ),
        )
    ]  # fmt: skip
    places: list[str] = []
    for t in range(2):
        top = f"t{t}"
        nodes.append(
            Node(
                id=top,
                kind="transformer",
                parent="grid",
                limits=(Limit(source="rating", phases_ma=_phases(evses * 3_000)),),
            )
        )
        for f in range(max(2, evses // 100)):
            feeder = f"{top}f{f}"
            nodes.append(
                Node(id=feeder, kind="feeder", parent=top, limits=(Limit(source="fuse", phases_ma=_phases(320_000)),))
            )
            for g in range(max(2, evses // 20 // max(2, evses // 100))):
                nodes.append(
                    Node(
                        id=f"{feeder}g{g}",
                        kind="group",
                        parent=feeder,
                        limits=(Limit(source="fuse", phases_ma=_phases(80_000 + 1_000 * draw.randint(0, 40))),),
                    )
                )
                places.append(nodes[-1].id)
    made: list[Evse] = []
    for at in range(evses):
        place = places[at % len(places)]
        if at % 7 == 0:
            made.append(
                Evse(
                    id=f"e{at:04}", node=place, current="DC", minimum=5_000_000, maximum=50_000_000, step=500_000
                )
            )  # fmt: skip
        else:
            made.append(
                Evse(
                    id=f"e{at:04}",
                    node=place,
                    phases=1 if at % 3 == 0 else 3,
                    rotation=ROTATIONS[at % 5],
                    maximum=32_000,
                    step=(1_000, 100, 1_000, 1)[at % 4],
                    switching=Switching() if at % 3 and at % 4 == 1 else None,
                    failsafe=6_000,
                    watchdog_ms=60_000,
                )
            )
    loads = tuple(
        Load(id=f"l{at}", node=places[at % len(places)], maximum=9_000_000, floor=4_200_000 if at % 2 else 0)
        for at in range(10)
    )
    return SiteTree(nodes=tuple(nodes), evses=tuple(made), loads=loads)


def measure(evses: int, ticks: int) -> Figure:
    """`ticks` ticks one second apart, after ten that are not counted."""
    topology = prepare(site(evses))
    draw = random.Random(1)
    state = State()
    cars = {evse.id: _car(draw, evse.id) for evse in topology.tree.evses if draw.random() < 0.9}
    costs: list[float] = []
    changes = 0
    gc.collect()
    for tick in range(ticks + 10):
        now = Moment(tick_ms=tick * 1_000, utc_ms=1_800_000_000_000 + tick * 1_000)
        for _ in range(max(1, evses // 100)):
            id = draw.choice(topology.tree.evses).id
            if cars.pop(id, None) is None:
                cars[id] = _car(draw, id)
        signals = _signals(draw, topology, state, evses, now)
        policy = Policy(order=ORDERS[tick // 20 % len(ORDERS)])
        demands = [*cars.values(), *(Demand(evse=load.id) for load in topology.tree.loads)]
        begun = time.process_time_ns()
        result = allocate(topology, policy, demands, signals, state, now)
        cost = (time.process_time_ns() - begun) / 1e6
        if tick >= 10:
            costs.append(cost)
            before = state.evses
            changes += sum(point.value != before[point.evse].value for point in result.set_points)
        state = result.state
    costs.sort()
    return Figure(evses, len(topology.names), costs[len(costs) // 2], costs[len(costs) * 99 // 100], costs[-1], changes)


def _car(draw: random.Random, id: str) -> Demand:
    return Demand(
        evse=id,
        phases=draw.choice((1, 3, 3)),
        priority=draw.choice((0, 0, 1)),
        arrived_ms=1_800_000_000_000 - draw.randint(0, 36_000_000),
        soc=draw.randint(50, 950),
        energy_wh=draw.randint(1_000, 60_000),
        departure_ms=1_800_000_000_000 + draw.randint(0, 36_000_000),
        pool=draw.choice((None, None, "pv")),
        guaranteed=draw.choice((0, 0, 6_000)),
    )


def _signals(draw: random.Random, topology: Topology, state: State, evses: int, now: Moment) -> Signals:
    draws: dict[str, Reading] = {}
    total = [draw.randint(0, evses * 500) for _ in range(3)]
    lost = {
        evse.id: Lost(since_ms=now.tick_ms // 60_000 * 60_000 - 5_000)
        for at, evse in enumerate(topology.tree.evses)
        if at % 50 == now.tick_ms // 60_000 % 50
    }
    for id, known in state.evses.items():
        ma = known.infeed_ma * draw.randint(97, 100) // 100
        draws[id] = Reading(phases_ma=_phases(ma), at_ms=now.tick_ms)
        for phase in topology.phases(topology.members[id], topology.members[id].phases):
            total[phase] += ma
    grid = Reading(phases_ma=(total[0], total[1], total[2]), at_ms=now.tick_ms)
    pools = {"pv": (Limit(source="surplus", power_mw=draw.randint(0, evses * 800_000)),)}
    return Signals(meters={"grid": grid}, draws=draws, pools=pools, lost=lost)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.allocation", description=__doc__)
    parser.add_argument("--ticks", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = [measure(evses, options.ticks) for evses in GOALS_MS]
    if options.json:
        print(json.dumps([figure._asdict() for figure in figures], indent=2))
    else:
        for figure in figures:
            print(
                f"{figure.evses:,} EVSEs, {figure.nodes} nodes: {figure.median_ms:.1f} ms median, "
                f"{figure.p99_ms:.1f} ms p99, {figure.longest_ms:.1f} ms longest of {options.ticks} ticks "
                f"with {figure.changes:,} changes "
                f"(goal: p99 under {GOALS_MS[figure.evses]:.0f} ms)"
            )
    return 0 if all(figure.p99_ms < GOALS_MS[figure.evses] for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
