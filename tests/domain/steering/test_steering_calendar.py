"""Windows and hours by the local clock."""

from datetime import UTC, datetime

import pytest

from pilotwire.domain.steering import Span
from pilotwire.domain.steering.calendar import bounds, day_of, holds, month_of


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1_000


def windows(begin: int, until: int, minutes: int, zone: str) -> list[tuple[int, int]]:
    """All windows that begin in between; each has to follow on the one before."""
    found: list[tuple[int, int]] = []
    at = begin
    while at < until:
        here = bounds(at, minutes, zone)
        assert here[0] == at < here[1]
        assert bounds((here[0] + here[1]) // 2, minutes, zone) == here == bounds(here[1] - 1, minutes, zone)
        found.append(here)
        at = here[1]
    return found


@pytest.mark.parametrize(
    ("begin", "until", "quarters"),
    [
        ("2026-03-28T23:00", "2026-03-29T22:00", 92),
        ("2026-10-24T22:00", "2026-10-25T23:00", 100),
        ("2026-07-05T22:00", "2026-07-06T22:00", 96),
    ],
)
def test_days_of_92_96_and_100_quarters(begin: str, until: str, quarters: int) -> None:
    found = windows(ms(begin), ms(until), 15, "Europe/Brussels")
    assert len(found) == quarters
    assert {b - a for a, b in found} == {900_000}


def test_hours_of_a_zone_half_an_hour_off_begin_at_the_full_hour_there() -> None:
    assert bounds(ms("2026-01-01T10:10"), 60, "Asia/Kolkata") == (ms("2026-01-01T09:30"), ms("2026-01-01T10:30"))
    assert bounds(ms("2026-01-01T10:10"), 30, "Asia/Kathmandu") == (ms("2026-01-01T09:45"), ms("2026-01-01T10:15"))


def test_a_clock_moved_by_half_an_hour_ends_an_hourly_window() -> None:
    # Lord Howe, 2026-04-05: at 02:00 summer time (15:00Z the day before) the clock shows 01:30 again.
    found = windows(ms("2026-04-04T13:00"), ms("2026-04-04T17:00"), 60, "Australia/Lord_Howe")
    assert sum(b - a for a, b in found) >= 4 * 3_600_000
    assert 1_800_000 in {b - a for a, b in found}


def test_spans_past_midnight_belong_to_the_day_on_which_they_begin() -> None:
    night = Span(from_minute=22 * 60, until_minute=6 * 60, weekdays=(4,))  # Friday
    inside = [holds(night, ms(f"2026-01-{day:02}T{hour:02}:00"), "UTC") for day, hour in
              [(2, 21), (2, 22), (3, 5), (3, 6), (3, 22), (2, 5)]]  # fmt: skip
    assert inside == [False, True, True, False, False, False]
    assert holds(Span(months=(1, 2)), ms("2026-01-02T00:00"), "UTC")
    assert not holds(Span(months=(3,)), ms("2026-01-02T00:00"), "UTC")
    assert holds(Span(), ms("2026-01-02T00:00"), "UTC")


def test_months_and_days_are_those_of_the_wall() -> None:
    late = ms("2026-01-31T23:30")
    assert month_of(late, "Europe/Brussels") == 202_602 and day_of(late, "Europe/Brussels") == 1
    assert month_of(late, "UTC") == 202_601 and day_of(late, "UTC") == 31
