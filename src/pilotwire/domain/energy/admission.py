"""Who may charge when not everybody's minimum fits."""

from collections.abc import Sequence

from .cars import Car, Rank
from .demand import Policy
from .model import Load
from .room import Room


def admit(cars: Sequence[Car], room: Room, policy: Policy, now_ms: int) -> list[Car]:
    """Gives the minimum to one after the other as long as it fits, and takes the room; returns those who have it.

    Loads with a floor come before all, with all of it, then loads that may not be switched off yet. Who does not fit
    is passed over: those behind may be on other phases. Order: priority; who was let in less than `hold_ms` ago; rank;
    then who has not had `rotate_ms` yet, who waits (the longest first), and who has had his turn (the longest last).
    """
    admitted: list[Car] = []
    for car in sorted(cars, key=lambda car: _place(car, policy, now_ms)):
        if car.low > car.top:
            continue
        ma = car.infeed(car.low)
        fits = car.fits(room, ma)
        if not fits and car.instead is not None:
            car.use(car.instead)
            fits = car.fits(room, ma)
        if fits:
            car.take(room, ma)
            car.set(car.low)
            admitted.append(car)
            if isinstance(car.evse, Load) and car.evse.floor:
                _floor(car, room)
    return admitted


def _floor(car: Car, room: Room) -> None:
    """As much of its floor as there is room for; what is promised to it is not in its pool."""
    most = room.most(car.tree_terms)
    top = car.guaranteed if most is None else min(car.guaranteed, car.level_at(car.infeed_ma + max(0, most)))
    if top > car.level:
        before = car.infeed_ma
        car.set(top)
        room.take(car.tree_terms, car.infeed_ma - before)


def _place(car: Car, policy: Policy, now_ms: int) -> tuple[int, int, bool, Rank, tuple[int, int], str]:
    old = car.old
    since = now_ms if old.since_ms is None else old.since_ms
    holds = old.admitted and now_ms - since < policy.hold_ms
    if not old.admitted:
        turn = (1, since)
    elif now_ms - old.turn_ms < policy.rotate_ms:
        turn = (0, since)
    else:
        turn = (2, -since)  # who has been in for longest goes first
    first = 0 if policy.order == "equal" else -car.demand.priority
    # Loads: what has a floor, then what may not be switched off yet.
    before = 0 if isinstance(car.evse, Load) and car.evse.floor else 1 if car.stays else 2
    return before, first, not holds, car.rank, turn, car.id
