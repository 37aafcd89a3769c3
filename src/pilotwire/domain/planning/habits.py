"""How long a car stays of which nobody knows, and what it takes: as on visits before. `arrivals` says who comes at all.

Nothing is guessed from less than a few visits. How long a car stays is taken low and what it needs high (a fifth of
the visits is worse on each side), so that whoever leaves early has been served.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import tzinfo

import msgspec

from pilotwire.domain.tariffs.clock import DAY_MS, local

from . import arrivals

LEAST = 4
"""Visits before anything is said of the next one."""
LEAST_DAYS = 3
"""Days with visits before anybody is expected."""
MOST = 60
"""Visits that are kept of each EVSE."""
BACK_MS = 42 * DAY_MS
"""What is older says nothing any more."""
NEAR_MS = 7_200_000
"""Arrivals no further apart, by the clock on the wall, are one habit."""
SHORT_MS = 600_000
"""Whoever stays no longer was no visit."""


class Visit(msgspec.Struct, frozen=True, array_like=True):
    """A car was at an EVSE. `driver`: a digest of whose token it was, "" for nobody's. `power_mw`: the most it took."""

    evse: str
    driver: str
    arrived_ms: int
    left_ms: int
    energy_wh: int
    power_mw: int


class Habits(msgspec.Struct, frozen=True):
    """Visits that are over, oldest first."""

    visits: tuple[Visit, ...] = ()


def remember(habits: Habits, visit: Visit) -> Habits:
    """With a visit that is over; short ones are none, and of each EVSE the last `MOST` are kept."""
    if visit.left_ms - visit.arrived_ms < SHORT_MS:
        return habits
    young = [each for each in habits.visits if visit.left_ms - each.left_ms <= BACK_MS]
    own = [each for each in young if each.evse == visit.evse]
    dropped = set(map(id, own[: max(0, len(own) + 1 - MOST)]))
    kept = [each for each in young if id(each) not in dropped]
    return Habits(tuple(sorted([*kept, visit], key=lambda each: (each.left_ms, each.evse))))


def alike(habits: Habits, evse: str, driver: str, arrived_ms: int, zone: tzinfo) -> tuple[Visit, ...]:
    """Visits like this one: of the same driver, else at this EVSE at about this time of the day; none where few."""
    if driver:
        own = tuple(each for each in habits.visits if each.driver == driver)
        if len(own) >= LEAST:
            return own
    time = _minute(arrived_ms, zone)
    near = tuple(
        each
        for each in habits.visits
        if each.evse == evse and _apart(_minute(each.arrived_ms, zone), time) * 60_000 <= NEAR_MS
    )
    return near if len(near) >= LEAST else ()


def departure(visits: Sequence[Visit], arrived_ms: int, now_ms: int) -> int | None:
    """When it is likely to be still there: four of five that have stayed as long as this one left later."""
    stays = sorted(each.left_ms - each.arrived_ms for each in visits)
    left = [stay for stay in stays if arrived_ms + stay > now_ms]
    return arrived_ms + _quantile(left, 200) if len(left) >= LEAST else None


def energy(visits: Sequence[Visit]) -> int | None:
    """What is enough for four of five."""
    return _quantile(sorted(each.energy_wh for each in visits), 800) if len(visits) >= LEAST else None


def days(habits: Habits, now_ms: int, zone: tzinfo) -> tuple[arrivals.Visit, ...]:
    """What `arrivals.expected` goes by; nothing before there were visits on `LEAST_DAYS` days that are over."""
    today = arrivals.day_of(now_ms, zone)
    if len({arrivals.day_of(each.arrived_ms, zone) for each in habits.visits} - {today}) < LEAST_DAYS:
        return ()
    return tuple(
        arrivals.Visit(
            evse=each.evse, arrived_ms=each.arrived_ms, departed_ms=each.left_ms, energy_wh=each.energy_wh,
            power_mw=each.power_mw,
        )
        for each in habits.visits
        if each.power_mw > 0
    )  # fmt: skip


def _minute(at_ms: int, zone: tzinfo) -> int:
    shown = local(at_ms, zone)
    return shown.hour * 60 + shown.minute


def _apart(one: int, other: int) -> int:
    """Minutes between two times of the day, the shorter way round."""
    apart = abs(one - other)
    return min(apart, 1_440 - apart)


def _quantile(ordered: Sequence[int], permille: int) -> int:
    """Of values in order; the lower of two neighbours below the middle, the upper above."""
    at = (len(ordered) - 1) * permille
    return ordered[at // 1_000 if permille <= 500 else -(-at // 1_000)]
