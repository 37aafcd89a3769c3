"""What a station's clock is worth: the skew estimate and the derived times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotwire.domain.clock import DAY_MS, observe, regime
from pilotwire.domain.inputs import MeterValues, StartTransaction, StopTransaction
from pilotwire.domain.records import ClockEstimate, Sample

T = 1_767_225_600_000
MIN = 60_000


def feed(clock: ClockEstimate, pairs: list[tuple[int, int]]) -> list[int | None]:
    """(offset, arrival) pairs → the skew after each."""
    return [observe(clock, arrival + offset, arrival) for offset, arrival in pairs]


def test_three_live_messages_tell_the_skew():
    assert feed(ClockEstimate(), [(7000, T), (6800, T + MIN), (6900, T + 2 * MIN)]) == [None, None, 6900]


def test_a_queue_being_drained_does_not_move_the_estimate():
    clock = ClockEstimate()
    feed(clock, [(5000, T + n * MIN) for n in range(5)])
    # a day's messages, five minutes apart, sent within seconds: looked at one in ten seconds
    drained = [(-DAY_MS + n * 5 * MIN - n * 10_000, T + 10 * MIN + n * 10_000) for n in range(200)]
    assert set(feed(clock, drained)) == {5000}
    assert observe(clock, T + 99 * MIN + 5000, T + 99 * MIN) == 5000


def test_a_clock_that_was_set_forward_is_believed_soon():
    clock = ClockEstimate()
    feed(clock, [(-3_600_000, T + n * MIN) for n in range(5)])
    assert feed(clock, [(0, T + 10 * MIN), (10, T + 11 * MIN), (20, T + 12 * MIN)])[-1] == 10


def test_a_clock_that_was_set_back_is_believed_when_it_holds():
    clock = ClockEstimate()
    feed(clock, [(0, T + n * MIN) for n in range(5)])
    skews = feed(clock, [(-3_600_000, T + (10 + n) * MIN) for n in range(4)])
    assert skews[0] == 0 and skews[-1] == -3_600_000


def test_one_message_of_an_old_queue_at_first_contact_is_outvoted():
    clock = ClockEstimate()
    assert feed(clock, [(-9 * DAY_MS, T), (0, T + MIN), (5, T + 2 * MIN), (3, T + 3 * MIN)])[-1] == 3


@given(st.lists(st.tuples(st.integers(-(2**50), 2**50), st.integers(0, 2**45)), max_size=60))
def test_the_estimator_is_bounded_whatever_comes(pairs):
    clock = ClockEstimate()
    feed(clock, pairs)
    assert len(clock.offsets) <= 7 and len(clock.odd) <= 7


@given(
    st.integers(-400 * DAY_MS, 400 * DAY_MS),
    st.lists(st.integers(0, 2000), min_size=20, max_size=40),
    st.lists(st.booleans(), min_size=40, max_size=40),
)
def test_the_estimate_finds_the_true_skew_among_queued_messages(skew, delays, queued):
    """Four in five messages or more are live, the others up to days old: the estimate is true to the delays."""
    clock = ClockEstimate()
    seen = None
    for n, delay in enumerate(delays):
        old = n * 5 * 3_600_000 + 120_000 if queued[n] and n % 5 == 4 else 0
        seen = observe(clock, T + n * MIN + skew - old - delay, T + n * MIN)
    assert seen is not None and skew - 2000 <= seen <= skew


@pytest.mark.parametrize(
    ("time", "expected"),
    [(T, 0), (T - 30 * DAY_MS, 0), (T + DAY_MS, 0), (T + DAY_MS + 1, 1), (0, -1), (946_684_800_000, -1)],
)
def test_which_times_cannot_be_right(time, expected):
    assert regime(time, T) == expected


def session(desk, offset, *, arrival_start=T, arrival_stop=T + 60 * MIN):
    transaction = desk.send(
        StartTransaction(connector=1, token="A", meter_start_wh=0, time=T + offset), at=arrival_start
    ).transaction_id
    desk.send(StopTransaction(transaction_id=transaction, meter_stop_wh=5, time=T + 60 * MIN + offset), at=arrival_stop)
    return desk.session


@pytest.mark.parametrize(("offset", "flag"), [(-T, "clock-1970"), (2000 * DAY_MS, "clock-future")])
def test_impossible_times_are_anchored_at_the_arrival_and_keep_the_length(desk, offset, flag):
    found = session(desk, offset)
    assert (found.started_at, found.ended_at, found.flags) == (T, T + 60 * MIN, [flag])
    assert found.reported_start == T + offset  # the facts keep what was said


def test_a_queued_session_of_an_unset_clock_ends_when_it_came_and_keeps_its_length(desk):
    found = session(desk, -T, arrival_start=T + 9 * 60 * MIN, arrival_stop=T + 9 * 60 * MIN)
    assert found.ended_at == T + 9 * 60 * MIN
    assert found.ended_at - found.started_at == 60 * MIN


def test_a_clock_set_in_mid_session(desk):
    transaction = desk.send(StartTransaction(connector=1, token="A", meter_start_wh=0, time=5000), at=T).transaction_id
    desk.send(StopTransaction(transaction_id=transaction, meter_stop_wh=5, time=T + 50 * MIN), at=T + 50 * MIN)
    assert (desk.session.started_at, desk.session.ended_at) == (T, T + 50 * MIN)


def test_a_known_skew_of_days_is_taken_off_a_smaller_one_stands(desk):
    for offset, flags, moved in [(-3 * DAY_MS, ["clock-skewed"], 3 * DAY_MS), (-40 * MIN, [], 0)]:
        desk.state.station.skew_ms = offset
        start = StartTransaction(connector=1, token="A", meter_start_wh=0, time=T + offset)
        desk.send(start, at=T)
        newest = desk.sessions[-1] if moved == 0 else desk.session
        assert newest.started_at == T + offset + moved
        assert newest.flags == flags


def test_the_skew_is_learnt_from_meter_values(desk):
    offset = 95_000
    transaction = desk.send(
        StartTransaction(connector=1, token="A", meter_start_wh=0, time=T + offset), at=T
    ).transaction_id
    for n in range(1, 4):
        sample = Sample(1, 1, T + n * MIN + offset, "Energy.Active.Import.Register", n * 1000, "Wh")
        desk.send(MeterValues(evse=1, connector=1, transaction_id=transaction, samples=(sample,)), at=T + n * MIN)
    assert desk.state.station.skew_ms == offset
