"""A plan of the next day: 54 and 200 cars, 96 steps of a quarter of an hour, in CPU time of this process.

python -m bench.planner [--plans 5] [--json]

The site of the allocation's case, with a building, sun that can be cut, a battery, prices that change each quarter,
a demand window with target and peak, and cars that come and go all day.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import time
from typing import NamedTuple

import msgspec

from pilotwire.domain.energy import prepare
from pilotwire.domain.planning import Battery, Load, Need, Options, Prices, Problem, Window, plan

from .allocation import site

GOALS_MS = {54: 500.0, 200: 1_000.0}
_NOW = 1_800_000_420_000
_HOUR = 3_600_000


class Figure(NamedTuple):
    """Milliseconds of CPU."""

    cars: int
    plans: int
    median_ms: float
    longest_ms: float
    again_ms: float
    """A second plan after a small change, beside the first: its median."""
    iterations: int


def problem(cars: int, seed: int) -> Problem:
    """A day with more demand than the connection can carry."""
    draw = random.Random(seed)
    topology = prepare(site(cars))
    needs: list[Need] = []
    for evse in topology.tree.evses:
        arrives = _NOW + draw.randint(-6, 20) * _HOUR
        needs.append(
            Need(
                evse=evse.id,
                energy_wh=draw.randint(2_000, 50_000),
                arrival_ms=arrives,
                departure_ms=arrives + draw.randint(2, 12) * _HOUR,
                phases=draw.choice((1, 3, 3)),
            )
        )
    house, sun = 800 * cars, -600 * cars
    battery = 1_000_000 * cars
    return Problem(
        topology=topology,
        now_ms=_NOW,
        needs=tuple(needs),
        loads=(
            Load(id="house", node="grid", phases_ma=((house, house, house),)),
            Load(
                id="sun",
                node="t0",
                phases_ma=tuple((sun, sun, sun) if 28 < step < 60 else (0, 0, 0) for step in range(96)),
                curtailable=True,
            ),
        ),
        batteries=(Battery("battery", "t1", 1_000 * cars, 2_000 * cars, battery, battery),),
        prices=Prices(tuple(200_000 + draw.randint(-150_000, 150_000) for _ in range(96)), (80_000,)),
        windows=(Window(target_mw=1_500_000 * cars, peak_micro=300_000, incumbent_mw=500_000 * cars),),
        options=Options(),
    )


def measure(cars: int, plans: int) -> Figure:
    """`plans` different days, each planned twice; one before that is not counted."""
    plan(problem(cars, 0))
    costs: list[float] = []
    again: list[float] = []
    iterations = 0
    for seed in range(1, plans + 1):
        day = problem(cars, seed)
        begun = time.process_time_ns()
        made = plan(day)
        costs.append((time.process_time_ns() - begun) / 1e6)
        if made.status != "optimal":
            raise RuntimeError(made.why)
        iterations += made.iterations
        later = msgspec.structs.replace(day, now_ms=_NOW + 60_000)
        begun = time.process_time_ns()
        plan(later, made)
        again.append((time.process_time_ns() - begun) / 1e6)
    costs.sort()
    again.sort()
    return Figure(cars, plans, costs[plans // 2], costs[-1], again[plans // 2], iterations // plans)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.planner", description=__doc__)
    parser.add_argument("--plans", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = [measure(cars, options.plans) for cars in GOALS_MS]
    if options.json:
        print(json.dumps([figure._asdict() for figure in figures], indent=2))
    else:
        for figure in figures:
            print(
                f"{figure.cars} cars, 96 steps: {figure.median_ms:.0f} ms median, {figure.longest_ms:.0f} ms longest "
                f"of {figure.plans} plans; again {figure.again_ms:.0f} ms (goal: {GOALS_MS[figure.cars]:.0f} ms)"
            )
    return 0 if all(figure.median_ms < GOALS_MS[figure.cars] for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
