"""Instants, their text, and simulated time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotwire.core.time import (
    SimScheduler,
    from_datetime,
    from_rfc3339,
    to_datetime,
    to_rfc3339,
)

INSTANTS = st.integers(-62_135_596_800_000, 253_402_300_799_999)
"""The years 1 to 9999."""


@given(INSTANTS)
def test_text_and_datetime_round_trip(instant):
    assert from_datetime(to_datetime(instant)) == instant
    assert from_rfc3339(to_rfc3339(instant)) == instant
    assert len(to_rfc3339(instant)) == 24


def test_the_text_is_rfc_3339_in_utc_with_three_decimals():
    assert to_rfc3339(0) == "1970-01-01T00:00:00.000Z"
    assert to_rfc3339(-1) == "1969-12-31T23:59:59.999Z"
    assert to_rfc3339(1_767_225_600_007) == "2026-01-01T00:00:00.007Z"


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("2026-01-01T00:00:00Z", 1_767_225_600_000),
        ("2026-01-01T01:30:00.5+01:30", 1_767_225_600_500),
        ("2025-12-31T19:00:00.123456-05:00", 1_767_225_600_123),
    ],
)
def test_offsets_and_fractions(text, instant):
    assert from_rfc3339(text) == instant


@pytest.mark.parametrize("text", ["", "yesterday", "2026-01-01T00:00:00", "2026-13-01T00:00:00Z"])
def test_what_is_no_date_time(text):
    with pytest.raises(ValueError):
        from_rfc3339(text)


def test_a_naive_datetime_is_utc_and_digits_below_a_millisecond_are_cut():
    assert from_datetime(datetime(1970, 1, 1, 0, 0, 1, 999_999)) == 1999  # noqa: DTZ001
    east = timezone(timedelta(hours=2))
    assert from_datetime(datetime(1970, 1, 1, 2, tzinfo=east)) == 0
    assert to_datetime(0) == datetime(1970, 1, 1, tzinfo=UTC)


def test_callbacks_run_in_order_of_due_time_and_ties_in_order_of_scheduling():
    sim = SimScheduler(1000)
    ran: list[tuple[str, int]] = []
    for name, delay in (("b", 20), ("a", 10), ("c", 20), ("z", -5)):
        sim.call_later(delay, lambda name=name: ran.append((name, sim.now())))
    sim.run_for(100)
    assert ran == [("z", 1000), ("a", 1010), ("b", 1020), ("c", 1020)]
    assert sim.now() == 1100


def test_run_until_stops_at_its_instant():
    sim = SimScheduler(0)
    ran: list[int] = []
    for delay in (10, 11):
        sim.call_later(delay, lambda delay=delay: ran.append(delay))
    sim.run_until(10)
    assert (ran, sim.now()) == ([10], 10)
    sim.run_until(5)  # never back
    assert sim.now() == 10


def test_a_cancelled_timer_never_runs_nor_lets_a_later_one_run_early():
    sim = SimScheduler(0)
    ran: list[int] = []
    timer = sim.call_later(5, lambda: ran.append(5))
    sim.call_later(100, lambda: ran.append(100))
    timer.cancel()
    timer.cancel()
    sim.run_until(10)
    assert (ran, sim.now()) == ([], 10)
    sim.run_until(100)
    assert ran == [100]


def test_callbacks_may_schedule_more():
    sim = SimScheduler(0)
    seen: list[int] = []

    def tick() -> None:
        seen.append(sim.now())
        if len(seen) < 5:
            sim.call_later(60_000, tick)

    sim.call_later(0, tick)
    sim.run_for(3_600_000)
    assert seen == [0, 60_000, 120_000, 180_000, 240_000]


def test_step_runs_one_and_says_when_none_is_left():
    sim = SimScheduler(0)
    assert sim.step() is False
    sim.call_later(7, lambda: None)
    assert (sim.step(), sim.now(), sim.step()) == (True, 7, False)


@given(st.lists(st.tuples(st.integers(0, 50), st.booleans()), max_size=30), st.lists(st.integers(0, 60), max_size=6))
def test_any_schedule_runs_once_in_order_and_never_early(timers, stops):
    sim = SimScheduler(0)
    ran: list[tuple[int, int]] = []
    for n, (delay, cancelled) in enumerate(timers):
        timer = sim.call_later(delay, lambda n=n, delay=delay: ran.append((delay, n)))
        if cancelled:
            timer.cancel()
    for stop in sorted(stops):
        sim.run_until(stop)
        assert sim.now() == stop
        assert all(delay <= stop for delay, _ in ran)
    sim.run_until(100)
    assert ran == sorted((delay, n) for n, (delay, cancelled) in enumerate(timers) if not cancelled)
