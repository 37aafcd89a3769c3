"""Max-min fair shares: all rise together until something is full (progressive filling), exact in integers.

Every constraint is a sum of what cars take, each with a factor that is not negative. Then the shares that cannot be
raised without lowering one that is smaller already are unique, and raising everybody to one level until a row is full,
leaving those in that row where they are and going on with the rest, finds them. What a full row has left is less than
one mA for each car in it; `quantise` hands it out in steps.
"""

from collections.abc import Sequence

from .cars import Car
from .room import Room


def fill(cars: Sequence[Car], room: Room) -> None:
    """Raises `fair` of each car, from its `infeed_ma` (for which room has been taken) to at most that of its `top`."""
    left = room.left
    for car in cars:
        car.fair = car.infeed_ma
    if len(cars) == 1:
        _fill_one(cars[0], room)
        return
    waiting = sorted((car for car in cars if car.level < car.top), key=lambda car: -car.infeed_ma)
    growth: dict[int, int] = {}
    members: dict[int, set[int]] = {}
    growing: dict[int, int] = {}
    """Where each rising car stops, by its number in `cars`."""
    number = {id(car): at for at, car in enumerate(cars)}
    level = 0
    while waiting or growing:
        if not growing:
            level = waiting[-1].infeed_ma
        fresh = False
        while waiting and waiting[-1].infeed_ma == level:
            car = waiting.pop()
            at = number[id(car)]
            growing[at] = car.infeed(car.top)
            fresh = True
            for row, each in car.terms:
                growth[row] = growth.get(row, 0) + each
                members.setdefault(row, set()).add(at)
        stop = [at for row, each in growth.items() if left[row] < each for at in members[row]] if fresh else []
        if not stop:
            reach = min(growing.values())
            if waiting:
                reach = min(reach, waiting[-1].infeed_ma)
            reach = min(reach, level + min((left[row] // each for row, each in growth.items()), default=reach))
            for row, each in growth.items():
                left[row] -= each * (reach - level)
            level = reach
            stop = [at for at, top in growing.items() if top == level]
            stop += [at for row, each in growth.items() if left[row] < each for at in members[row]]
        for at in stop:
            if at not in growing:
                continue
            del growing[at]
            car = cars[at]
            car.fair = level
            for row, each in car.terms:
                members[row].discard(at)
                rest = growth[row] - each
                if rest:
                    growth[row] = rest
                else:
                    del growth[row]


def _fill_one(car: Car, room: Room) -> None:
    if car.level >= car.top:
        return
    more = car.infeed(car.top) - car.infeed_ma
    most = room.most(car.terms)
    if most is not None:
        more = max(0, min(more, most))
    room.take(car.terms, more)
    car.fair = car.infeed_ma + more
