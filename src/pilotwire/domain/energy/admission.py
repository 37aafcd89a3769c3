"""Who may charge when not everybody's minimum fits."""

from collections.abc import Sequence

from .cars import Car, Rank
from .demand import Policy
from .room import Room


def admit(cars: Sequence[Car], room: Room, policy: Policy, now_ms: int) -> list[Car]:
    """Gives the minimum to one after the other as long as it fits, and takes the room; returns those who have it.

    Who does not fit is passed over: those behind may be on other phases. Order: priority; who was let in less than
    `hold_ms` ago; rank; then who has not had `rotate_ms` yet, who waits (the longest first), and who has had his turn
    (the longest last).
    """
    admitted: list[Car] = []
    for car in sorted(cars, key=lambda car: _place(car, policy, now_ms)):
        if car.low > car.top:
            continue
        ma = car.infeed(car.low)
        if car.fits(room, ma):
            car.take(room, ma)
            car.set(car.low)
            admitted.append(car)
    return admitted


def _place(car: Car, policy: Policy, now_ms: int) -> tuple[int, bool, Rank, tuple[int, int], str]:
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
    return first, not holds, car.rank, turn, car.id
