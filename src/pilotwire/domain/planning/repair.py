"""From currents to targets: 0 or at least the minimum, whole mA, and within every limit to the last µW.

First a pattern: in which steps each car is on. A share below the minimum is carried on until it is enough for a step at
the minimum, so that cars whose shares are small take turns. Then the programme is solved again with that pattern, which
gives what was rounded away to whoever can use it. At last whole mA, and what rounding put above a limit is taken back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .horizon import Horizon
from .matrix import Matrix
from .model import Problem
from .rows import Car, Rows, pool_mw

_HALF = 2
_SEEN = 1e-3
"""A, below which a share is nothing."""

Shares = Mapping[tuple[int, int], float]


def shares_of(matrix: Matrix, values: Any) -> dict[tuple[int, int], float]:
    """mA by (car, step), as the solver found them."""
    found = {key: float(values[column]) * 1000 for key, column in matrix.first.items()}
    for key, column in matrix.second.items():
        found[key] = found.get(key, 0.0) + float(values[column]) * 1000
    return found


class Room:
    """What rows and pools have left for cars, in integers, step by step."""

    def __init__(
        self, problem: Problem, rows: Rows, cars: Sequence[Car], batteries: Sequence[Mapping[int, int]]
    ) -> None:
        """`batteries`: by step, what they take of each row (µW, mA); negative where they discharge."""
        self._cars = cars
        self._left = [dict(left) for left in rows.left]
        for step, taken in enumerate(batteries):
            left = self._left[step]
            for row, value in taken.items():
                if row in left:
                    left[row] -= value
        steps = range(len(rows.left))
        self._pools = {pool: [pool_mw(problem, pool, step) * 1_000 for step in steps] for pool in problem.pools_mw}

    def most(self, number: int, step: int) -> int:
        """mA of infeed that have room for a car."""
        car, left = self._cars[number], self._left[step]
        found = car.infeed_high
        for row, each in car.terms:
            if row in left:
                found = min(found, left[row] // each)
        pool = car.need.pool
        if pool in self._pools:
            found = min(found, int(self._pools[pool][step] // (car.power_mw * 1_000)))
        return max(0, found)

    def take(self, number: int, step: int, ma: int) -> None:
        """Used up, or given back."""
        car, left = self._cars[number], self._left[step]
        for row, each in car.terms:
            if row in left:
                left[row] -= each * ma
        if car.need.pool in self._pools:
            self._pools[car.need.pool or ""][step] -= int(car.power_mw * 1_000) * ma

    def short(self, number: int, step: int) -> int:
        """By how many mA a car would have to go down for everything that it loads to be within its limits."""
        car, left = self._cars[number], self._left[step]
        over = [-(left[row] // each) for row, each in car.terms if row in left and left[row] < 0]
        if car.need.pool in self._pools and (rest := self._pools[car.need.pool or ""][step]) < 0:
            over.append(-int(rest // (car.power_mw * 1_000)))
        return max(over, default=0)


def pattern(horizon: Horizon, cars: Sequence[Car], shares: Shares, room: Room) -> dict[tuple[int, int], int]:
    """mA that each car is on with at least, by (car, step); who is not in it is off then.

    Never more energy than it needs by more than a part of its last step at the minimum.
    """
    on: dict[tuple[int, int], int] = {}
    carried = [0.0] * len(cars)
    mwh_left = [float(car.need.energy_wh) * 1000 for car in cars]
    by_step: list[list[int]] = [[] for _ in range(horizon.steps)]
    for number, step in shares:
        by_step[step].append(number)
    for step in range(horizon.steps):
        wanted: list[tuple[int, float, int]] = []
        for number in by_step[step]:
            car, share = cars[number], shares[number, step]
            need = share + carried[number]
            if share >= car.infeed_low - _SEEN:
                wanted.append((0, -share, number))
            elif need * _HALF >= car.infeed_low and (share > _SEEN or need >= car.infeed_low):
                wanted.append((1, -need / max(1, car.infeed_low), number))
        chosen: set[int] = set()
        for _, _, number in sorted(wanted):
            car = cars[number]
            low = max(1, car.infeed_low)
            if mwh_left[number] <= 0 or room.most(number, step) < low:
                continue
            room.take(number, step, low)
            on[number, step] = low
            chosen.add(number)
        for number in by_step[step]:
            car, share = cars[number], shares[number, step]
            given = max(share, float(car.infeed_low)) if number in chosen else 0.0
            carried[number] = max(-float(car.infeed_low), min(carried[number] + share - given, 2.0 * car.infeed_low))
            # Of what it is on with only the minimum is certain: that is what must fit into its need.
            mwh_left[number] -= car.outlet_mw * on.get((number, step), 0) * car.presence[step] / 3_600_000
    return on


def wider(
    horizon: Horizon,
    cars: Sequence[Car],
    on: Mapping[tuple[int, int], int],
    unmet_wh: Mapping[int, float],
    prices: Sequence[int],
    room: Room,
) -> dict[tuple[int, int], int]:
    """`on`, and who goes without more than a little also on in other steps that have room for his minimum.

    The cheapest first. `room` is that with nothing taken by cars.
    """
    found = dict(on)
    for (number, step), low in on.items():
        room.take(number, step, low)
    for number, wh in sorted(unmet_wh.items(), key=lambda each: -each[1]):
        car = cars[number]
        low = max(1, car.infeed_low)
        hour = car.outlet_mw * low / 1000
        if wh * 60 < hour:
            continue
        left = float(car.need.energy_wh)
        left -= sum(hour * car.presence[step] / 3_600_000 for of, step in on if of == number)
        steps = [step for step, present in enumerate(car.presence) if present and (number, step) not in on]
        for step in sorted(steps, key=lambda step: (prices[step], step)):
            if left <= 0 or wh <= 0:
                break
            if room.most(number, step) < low:
                continue
            room.take(number, step, low)
            found[number, step] = low
            left -= hour * car.presence[step] / 3_600_000
            wh -= car.outlet_mw * car.infeed_high / 1000 * car.presence[step] / 3_600_000
    return found


def whole(
    problem: Problem,
    horizon: Horizon,
    cars: Sequence[Car],
    shares: Shares,
    on: Mapping[tuple[int, int], int],
    room: Room,
) -> dict[tuple[int, int], int]:
    """mA by (car, step), whole, 0 or from the minimum to the maximum, nothing above a limit."""
    found: dict[tuple[int, int], int] = {}
    for (number, step), low in on.items():
        share = min(int(shares[number, step] + 1e-3), cars[number].infeed_high)
        found[number, step] = max(low, share)
        room.take(number, step, found[number, step])
    for _ in range(2):
        for number, step in sorted(found, key=lambda key: -found[key]):
            over = room.short(number, step)
            if not over:
                continue
            low = on[number, step]
            down = min(over, found[number, step] - low)
            if not down and _ == 0:
                continue
            if down < over and _ == 1:
                down = found[number, step]  # not even the minimum has room
            room.take(number, step, -down)
            found[number, step] -= down
    return {key: ma for key, ma in found.items() if ma}
