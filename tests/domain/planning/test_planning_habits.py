"""How long cars stay and what they take: from visits, and never from too few."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from pilotwire.domain.planning.habits import (
    BACK_MS,
    LEAST,
    MOST,
    Habits,
    Visit,
    alike,
    days,
    departure,
    energy,
    remember,
)

BERLIN = ZoneInfo("Europe/Berlin")
DAY, HOUR = 86_400_000, 3_600_000
MORNING = 1_799_654_400_000
"""2027-01-11T08:00:00Z, a Monday."""


def visits(count: int, *, evse: str = "a", driver: str = "", stay: int = 8 * HOUR, wh: int = 10_000) -> Habits:
    habits = Habits()
    for day in range(count):
        came = MORNING + day * DAY
        habits = remember(
            habits, Visit(evse, driver, came, came + stay + day * HOUR // 4, wh + day * 1_000, 11_000_000)
        )
    return habits


def test_nothing_is_said_after_too_few() -> None:
    few = visits(LEAST - 1)
    now = MORNING + 20 * DAY
    assert alike(few, "a", "", now, BERLIN) == ()
    assert departure(few.visits, now, now) is None
    assert energy(few.visits) is None
    assert days(visits(2), now, BERLIN) == ()
    assert len(days(visits(3), now, BERLIN)) == 3
    assert days(visits(3), MORNING + 2 * DAY + 12 * HOUR, BERLIN) == (), "today is not over"


def test_a_stay_is_taken_low_and_energy_high() -> None:
    habits = visits(11)
    now = MORNING + 20 * DAY
    found = alike(habits, "a", "", now + HOUR, BERLIN)
    assert len(found) == 11
    assert departure(found, now, now) == now + 8 * HOUR + 2 * HOUR // 4
    assert energy(found) == 18_000
    assert departure(found, now, now + 9 * HOUR) == now + 9 * HOUR + 2 * HOUR // 4, "it has stayed longer than most"
    assert departure(found, now, now + 12 * HOUR) is None, "nobody has ever stayed so long"


def test_only_visits_like_this_one_count() -> None:
    habits = visits(6, driver="x")
    now = MORNING + 20 * DAY
    assert alike(habits, "b", "", now, BERLIN) == (), "another EVSE"
    assert len(alike(habits, "b", "x", now, BERLIN)) == 6, "the same driver"
    assert alike(habits, "a", "", now + 6 * HOUR, BERLIN) == (), "another time of the day"


def test_old_and_short_visits_are_forgotten() -> None:
    habits = visits(5)
    assert remember(habits, Visit("a", "", MORNING, MORNING + 60_000, 5, 1)) == habits
    late = MORNING + BACK_MS + 30 * DAY
    assert len(remember(habits, Visit("b", "", late, late + HOUR, 1, 1)).visits) == 1
    many = Habits()
    for number in range(MOST + 5):
        came = MORNING + number * HOUR
        many = remember(many, Visit("a", "", came, came + HOUR // 2, number, 1))
    assert len(many.visits) == MOST
    assert many.visits[0].energy_wh == 5
