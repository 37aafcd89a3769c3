"""From fair shares to steps: down to whole steps first, then what that leaves is handed out as long as a step fits."""

import heapq
from collections.abc import Sequence

from .cars import Car
from .filling import fill
from .room import Room


def share(cars: Sequence[Car], room: Room, *, leave_rest: bool = False) -> None:
    """Raises the levels of `cars`, for all of which room has been taken, fairly and until no step of any of them fits.

    `leave_rest`: only whole steps of the fair shares; what is left after rounding down is for a later round.
    """
    fill(cars, room)
    for car in cars:
        level = max(car.level, min(car.top, car.level_at(car.fair)))
        car.set(level)
        room.take(car.terms, car.infeed_ma - car.fair)
    if not leave_rest:
        hand_out(cars, room)


def hand_out(cars: Sequence[Car], room: Room) -> None:
    """Whole steps to whoever has least, then to whoever lost most by rounding down, then to whoever had them before.

    A car whose step does not fit has had its turn for good: the rows only get fuller.
    """
    queue = [(_turn(car), at) for at, car in enumerate(cars) if car.level < car.top]
    heapq.heapify(queue)
    while queue:
        (_, at) = heapq.heappop(queue)
        car = cars[at]
        most = room.most(car.terms)
        top = car.top if most is None else min(car.top, car.level_at(car.infeed_ma + max(0, most)))
        steps = top - car.level
        if steps <= 0:
            continue
        if queue:
            # Many small steps at once, but never more than a fraction of what this car would get if all took as much.
            steps = max(1, steps // (4 * (len(queue) + 1)))
        before = car.infeed_ma
        car.set(car.level + steps)
        room.take(car.terms, car.infeed_ma - before)
        if car.level < car.top:
            heapq.heappush(queue, (_turn(car), at))


def _turn(car: Car) -> tuple[int, int, bool, str]:
    return car.infeed_ma, car.infeed_ma - car.fair, car.old.infeed_ma <= car.infeed_ma, car.id
