"""When cars come, how long they stay and what they take, learned from visits that are over.

Nothing is guessed from less than a few visits. How long a car stays is taken low and what it needs high (a fifth of
the visits is worse on each side), so that whoever leaves early has been served. What is expected of cars that are not
there yet is what most days of that kind have shown.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta, tzinfo

import msgspec

from pilotwire.domain.tariffs.clock import DAY_MS, local

LEAST = 4
"""Visits before anything is said of the next one."""
LEAST_DAYS = 3
"""Days of a kind before a car is expected on the next one."""
SHARE = 600
"""Per mille of those days on which it came."""
MOST = 60
"""Visits that are kept of each EVSE."""
BACK_MS = 42 * DAY_MS
"""What is older says nothing any more."""
NEAR_MS = 7_200_000
"""Arrivals no further apart, by the clock on the wall, are one habit."""
SHORT_MS = 600_000
"""Whoever stays no longer was no visit."""


class Visit(msgspec.Struct, frozen=True, array_like=True):
    """A car was at an EVSE. `driver`: a digest of whose token it was, "" for nobody's."""

    evse: str
    driver: str
    arrived_ms: int
    left_ms: int
    energy_wh: int


class Habits(msgspec.Struct, frozen=True):
    """`since_ms`: since when visits have been watched, None: not yet. Visits oldest first."""

    since_ms: int | None = None
    visits: tuple[Visit, ...] = ()


class Arrival(msgspec.Struct, frozen=True):
    """A car that is likely to come: `days` of `of` days of the kind it did. Energy is what it took, times that."""

    evse: str
    arrival_ms: int
    departure_ms: int
    energy_wh: int
    days: int
    of: int


def remember(habits: Habits, visit: Visit) -> Habits:
    """With a visit that is over; short ones are none, and of each EVSE the last `MOST` are kept."""
    if visit.left_ms - visit.arrived_ms < SHORT_MS:
        return habits
    since = visit.arrived_ms if habits.since_ms is None else min(habits.since_ms, visit.arrived_ms)
    young = [each for each in habits.visits if visit.left_ms - each.left_ms <= BACK_MS]
    own = [each for each in young if each.evse == visit.evse]
    dropped = set(map(id, own[: max(0, len(own) + 1 - MOST)]))
    kept = [each for each in young if id(each) not in dropped]
    return Habits(since, tuple(sorted([*kept, visit], key=lambda each: (each.left_ms, each.evse))))


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


def arrivals(
    habits: Habits, evses: Iterable[str], taken_until: Mapping[str, int], now_ms: int, until_ms: int, zone: tzinfo
) -> tuple[Arrival, ...]:
    """Cars that are likely to come to these EVSEs until then. `taken_until`: when those that are there now leave."""
    since = habits.since_ms
    if since is None:
        return ()
    today = local(now_ms, zone).date()
    first = local(max(since, now_ms - BACK_MS), zone).date() + timedelta(days=1)
    watched = [first + timedelta(days=each) for each in range(max(0, (today - first).days))]
    ahead = [today + timedelta(days=each) for each in range((local(until_ms, zone).date() - today).days + 1)]
    by_evse: dict[str, list[Visit]] = {}
    for visit in habits.visits:
        by_evse.setdefault(visit.evse, []).append(visit)
    found: list[Arrival] = []
    for evse in sorted(set(evses)):
        free_ms = taken_until.get(evse, now_ms)
        for day in ahead:
            for each in _of_day(by_evse.get(evse, []), day, watched, zone):
                arrival = max(each.arrival_ms, free_ms)
                late = each.arrival_ms + NEAR_MS // 2 < now_ms
                if late or arrival >= until_ms or each.departure_ms - arrival < 1_800_000:
                    continue
                arrival = max(arrival, now_ms + 1)
                found.append(msgspec.structs.replace(each, arrival_ms=arrival))
                free_ms = each.departure_ms
    return tuple(found)


def _of_day(visits: Sequence[Visit], day: date, watched: Sequence[date], zone: tzinfo) -> list[Arrival]:
    """Of one EVSE: what days of this kind have in common. Of this weekday where there are enough, else of its like."""
    for days in (
        {each for each in watched if each.weekday() == day.weekday()},
        {each for each in watched if (each.weekday() < 5) == (day.weekday() < 5)},
    ):
        if len(days) >= LEAST_DAYS:
            break
    else:
        return []
    timed = sorted(
        (_minute(each.arrived_ms, zone), each) for each in visits if local(each.arrived_ms, zone).date() in days
    )
    found: list[Arrival] = []
    while timed:
        # The habit with the most days comes first; the rest is looked at again without it.
        groups = [[each for each in timed if 0 <= (each[0] - start[0]) * 60_000 <= NEAR_MS] for start in timed]
        best = max(groups, key=lambda group: (len(_days(group, zone)), -group[0][0]))
        count = len(_days(best, zone))
        if count < LEAST_DAYS or count * 1_000 < len(days) * SHARE:
            break
        minute = best[len(best) // 2][0]
        stay = _quantile(sorted(each.left_ms - each.arrived_ms for _, each in best), 500)
        takes = _quantile(sorted(each.energy_wh for _, each in best), 500)
        arrival = _instant(day, minute, zone)
        found.append(
            Arrival(best[0][1].evse, arrival, arrival + stay, takes * count // len(days), count, len(days))
        )  # fmt: skip
        timed = [each for each in timed if each not in best]
    return sorted(found, key=lambda each: each.arrival_ms)


def _days(group: Iterable[tuple[int, Visit]], zone: tzinfo) -> set[date]:
    return {local(each.arrived_ms, zone).date() for _, each in group}


def _minute(at_ms: int, zone: tzinfo) -> int:
    shown = local(at_ms, zone)
    return shown.hour * 60 + shown.minute


def _apart(one: int, other: int) -> int:
    """Minutes between two times of the day, the shorter way round."""
    apart = abs(one - other)
    return min(apart, 1_440 - apart)


def _instant(day: date, minute: int, zone: tzinfo) -> int:
    """When the clock on the wall shows that minute of the day; on a day that is moved, about then."""
    epoch = date(1970, 1, 1)
    at = (day - epoch).days * DAY_MS + minute * 60_000
    moved = local(at, zone).utcoffset()
    return at if moved is None else at - int(moved.total_seconds()) * 1_000


def _quantile(ordered: Sequence[int], permille: int) -> int:
    """Of values in order; the lower of two neighbours below the middle, the upper above."""
    at = (len(ordered) - 1) * permille
    return ordered[at // 1_000 if permille <= 500 else -(-at // 1_000)]
