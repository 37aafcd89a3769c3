"""What is likely to flow: a week's profile, blended with the last hours."""

from __future__ import annotations

from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.domain.planning.profile import MEMORY, QUARTER_MS, RECENT, Profile, expected, forecast, learn

BERLIN = ZoneInfo("Europe/Berlin")
MONDAY = 1_799_622_000_000
"""2027-01-10T23:00:00Z: Monday 00:00 in Berlin."""
DAY = 86_400_000
HOUR = 3_600_000


def week(weeks: int = 1, kind: str = "week", start: int = MONDAY) -> Profile:
    """By day 100 + the weekday, at night 10."""
    profile = Profile(kind=kind)  # type: ignore[arg-type]
    for quarter in range(weeks * 7 * 96):
        at = start + quarter * QUARTER_MS
        day, of_day = divmod(quarter, 96)
        value = 100_000 + day % 7 * 1_000 if 32 <= of_day < 72 else 10_000
        profile = learn(profile, at, (value, 0, -value), BERLIN)
    return profile


def test_what_was_measured_is_usual_and_days_of_a_kind_stand_in() -> None:
    profile = Profile()
    assert forecast(profile, MONDAY, QUARTER_MS, 4, BERLIN) == ()
    for quarter in range(96):
        profile = learn(profile, MONDAY + quarter * QUARTER_MS, (quarter, 0, 0), BERLIN)
    assert expected(profile, MONDAY + 7 * DAY + 10 * QUARTER_MS, BERLIN) == (10, 0, 0)
    assert expected(profile, MONDAY + DAY + 10 * QUARTER_MS, BERLIN) == (10, 0, 0), "a Tuesday is like a Monday"
    profile = learn(profile, MONDAY + 5 * DAY, (77, 0, 0), BERLIN)
    assert expected(profile, MONDAY + 6 * DAY, BERLIN) == (77, 0, 0), "a Sunday is like a Saturday"
    assert expected(profile, MONDAY + 6 * DAY + 10 * QUARTER_MS, BERLIN) == (10, 0, 0), "any day is better than none"


def test_a_forecast_is_what_is_usual_corrected_by_the_last_hours() -> None:
    profile = week()
    at = MONDAY + 7 * DAY + 10 * HOUR
    assert [values[0] for values in forecast(profile, at, QUARTER_MS, 4, BERLIN)] == [100_000] * 4, "too long ago"
    for quarter in range(RECENT):
        profile = learn(profile, at - (RECENT - quarter) * QUARTER_MS, (120_000, 0, 0), BERLIN)
    found = [values[0] for values in forecast(profile, at, QUARTER_MS, 96, BERLIN)]
    assert 108_000 < found[0] <= 120_000, "as much above what is usual as it was"
    assert found[0] > found[4] > found[16]
    assert abs(found[8] - 100_000 - (found[0] - 100_000) // 2) < 1_000, "half of it after two hours"
    assert abs(found[88] - 10_000) < 1_000 or abs(found[88] - 101_000) < 1_000


def test_the_sun_is_scaled_and_never_shines_at_night() -> None:
    profile = Profile(kind="day")
    for quarter in range(96):
        value = -1_000 * max(0, 24 - abs(quarter - 48))
        profile = learn(profile, MONDAY + quarter * QUARTER_MS, (value,), BERLIN)
    noon = MONDAY + DAY + 12 * HOUR
    for quarter in range(RECENT):
        half = -500 * max(0, 24 - abs(40 + quarter - 48))
        profile = learn(profile, noon - (RECENT - quarter) * QUARTER_MS, (half,), BERLIN)
    found = [values[0] for values in forecast(profile, noon, QUARTER_MS, 60, BERLIN)]
    assert -18_000 < found[0] < -10_000, "clouds: as they were"
    assert found[40] == 0


def test_without_anything_usual_the_last_hours_go_on_and_the_sun_fades() -> None:
    at = MONDAY + 10 * HOUR
    building = learn(Profile(), at - QUARTER_MS, (5_000, 1_000, 0), BERLIN)
    building = Profile(recent=building.recent)
    assert forecast(building, at, QUARTER_MS, 3, BERLIN) == ((5_000, 1_000, 0),) * 3
    sun = Profile(kind="day", recent=((at - QUARTER_MS, (-8_000,)),))
    found = [values[0] for values in forecast(sun, at, QUARTER_MS, 40, BERLIN)]
    assert found[0] == -8_000
    assert found[8] == -4_000
    assert found[39] > -500


def test_a_quarter_counts_once_and_old_weeks_fade() -> None:
    profile = learn(Profile(), MONDAY, (1_000,), BERLIN)
    assert learn(profile, MONDAY, (9_000,), BERLIN) == profile
    for number in range(1, 30):
        profile = learn(profile, MONDAY + number * 7 * DAY, (9_000,), BERLIN)
    assert profile.usual[0].seen == MEMORY
    assert expected(profile, MONDAY + 40 * 7 * DAY, BERLIN)[0] > 8_700  # type: ignore[index]


def test_a_day_of_23_hours_is_nothing_special() -> None:
    profile = week(11)  # up to 28 March 2027, when the clock is moved
    sunday = 1_806_188_400_000
    found = forecast(profile, sunday, QUARTER_MS, 92, BERLIN)
    assert len(found) == 92
    assert found[28][0] > 50_000, "eight o'clock comes an hour sooner"
    assert found[27][0] < 50_000


@settings(max_examples=40, derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(-(10**9), 10**9)), max_size=60),
    st.integers(0, 3_000),
    st.sampled_from(("week", "day")),
)
def test_no_forecast_is_further_out_than_twice_what_was_seen(
    seen: list[tuple[int, int]], begin: int, kind: str
) -> None:
    profile = Profile(kind=kind)  # type: ignore[arg-type]
    for quarter, value in seen:
        profile = learn(profile, MONDAY + quarter * QUARTER_MS, (value,), BERLIN)
    most = max((abs(value) for _, value in seen), default=0)
    for values in forecast(profile, MONDAY + begin * QUARTER_MS, QUARTER_MS, 30, BERLIN):
        assert len(values) == 1
        assert abs(values[0]) <= 3 * most + 1
