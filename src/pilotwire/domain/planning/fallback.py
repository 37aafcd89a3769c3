"""Without an optimiser: least laxity, step by step, under the same limits. Batteries rest."""

from __future__ import annotations

from collections.abc import Sequence

from .horizon import Horizon, at
from .matrix import windows_of
from .model import Problem
from .repair import Room
from .rows import Car, Rows, side_loads

_HOUR = 3_600_000


def by_laxity(problem: Problem, horizon: Horizon, rows: Rows, cars: Sequence[Car]) -> dict[tuple[int, int], int]:
    """mA by (car, step): who has the least time to spare takes what has room; by priority first.

    Import stays under the targets of demand windows as far as cars can see to that. Prices do not count, but a car
    whose energy is worth less than it costs waits.
    """
    room = Room(problem, rows, cars, ())
    import_uw = _import_room(problem, horizon)
    mwh = [float(car.need.energy_wh) * 1000 for car in cars]
    found: dict[tuple[int, int], int] = {}
    for step in range(horizon.steps):
        there = [
            number
            for number, car in enumerate(cars)
            if car.infeed_high and car.presence[step] and mwh[number] > 0 and _pays(problem, car, step)
        ]
        there.sort(key=lambda number: _turn(cars[number], mwh[number], horizon, step))
        for number in there:
            car = cars[number]
            each = car.outlet_mw * car.presence[step] / _HOUR
            wanted = min(car.infeed_high, int(mwh[number] / each) + 1)
            ma = min(max(wanted, car.infeed_low), room.most(number, step))
            if import_uw[step] is not None:
                ma = min(ma, int(max(0.0, import_uw[step] or 0.0) // (car.power_mw * 1_000)))
            if ma < max(1, car.infeed_low):
                continue
            found[number, step] = ma
            room.take(number, step, ma)
            mwh[number] -= each * ma
            if import_uw[step] is not None:
                import_uw[step] = (import_uw[step] or 0.0) - car.power_mw * 1_000 * ma
    return found


def _turn(car: Car, mwh: float, horizon: Horizon, step: int) -> tuple[int, float, str]:
    left_ms = sum(car.presence[step:])
    needs_ms = mwh / (car.outlet_mw * car.infeed_high) * _HOUR
    return -car.need.priority, left_ms - needs_ms, car.need.evse


def _pays(problem: Problem, car: Car, step: int) -> bool:
    worth = car.need.worth_micro
    return worth is None or worth >= at(problem.prices.import_micro, step)


def _import_room(problem: Problem, horizon: Horizon) -> list[float | None]:
    """µW that cars may add to the import of each step without a window going above its target."""
    found: list[float | None] = [None] * horizon.steps
    root = next(node.id for node in problem.topology.tree.nodes if node.parent is None)
    side = side_loads(problem, horizon).get(root)
    voltage = problem.topology.tree.voltage_mv
    for number, window in enumerate(problem.windows):
        if window.target_mw is None:
            continue
        for begins, ends, steps in windows_of(problem, horizon, number):
            running = begins <= horizon.now_ms < ends
            used_ms = horizon.now_ms - begins if running else 0
            left = window.target_mw * 1_000.0 * (ends - begins) - (window.so_far_wh * 3.6e12 if running else 0.0)
            mean = left / max(1, ends - begins - used_ms)
            for step in steps:
                mine = mean - (sum(side[step]) * voltage if side else 0)
                known = found[step]
                found[step] = mine if known is None else min(known, mine)
    return found
