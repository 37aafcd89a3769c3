"""On the way to the shares: lower at once, raise only into room that is really free.

A set-point that has just been lowered still counts with what the car may draw until its time to follow is over. So the
sum of what is commanded and what is under way never goes above a limit because somebody was raised too early.
"""

from collections.abc import Mapping, Sequence

from .cars import Car
from .quantise import share
from .room import Room
from .state import EvseState
from .topology import Terms


def pace(
    cars: Sequence[Car],
    gone: Mapping[str, tuple[EvseState, Terms]],
    room: Room,
    groups: Sequence[Sequence[Car]],
    now: int,
) -> set[str]:
    """Sets each car's level to what it is to be told now; `room` is that of all limits, with nothing taken.

    `cars` come with their share as `level`, `groups` are those let in, by rank. `gone` are EVSEs without a demand that
    may still draw. Returns who is held back by a change of its own that is not over.
    """
    targets = {car.id: car.level for car in cars}
    for state, terms in gone.values():
        room.take(terms, state.burden_ma(now))
    settling: set[str] = set()
    rising: set[str] = set()
    for car in cars:
        old, target = car.old, 0 if car.paused else targets[car.id]
        told = car.told()
        level = min(target, told)
        if level < car.low:
            level = 0
        if target > level:
            if old.settled(now):
                rising.add(car.id)
            else:
                settling.add(car.id)
        car.set(level)
        if level:
            car.take(room, car.infeed_ma, old.burden_ma(now))
        else:
            car.still_draws(room, old.burden_ma(now))
    if not rising:
        return settling
    for group in groups:
        risers = [car for car in group if car.id in rising]
        if risers:
            _raise(risers, targets, room, now)
    return settling


def _raise(cars: Sequence[Car], targets: Mapping[str, int], room: Room, now: int) -> None:
    started: list[Car] = []
    for car in cars:
        if not car.level:
            needs = car.infeed(car.low)
            if not car.fits(room, needs):
                continue
            car.take(room, needs)
            car.set(car.low)
        started.append(car)
    promised = [car for car in started if car.pool_terms and car.level < min(car.guaranteed, targets[car.id])]
    for car in promised:
        car.top, car.terms = min(car.guaranteed, targets[car.id]), car.tree_terms
    if promised:
        share(promised, room)
    for car in started:
        car.top, car.terms = targets[car.id], car.all_terms
    if started:
        share(started, room)
