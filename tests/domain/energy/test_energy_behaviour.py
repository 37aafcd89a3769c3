"""What a reading teaches about a car, and what it does not."""

from typing import Any

import pytest

from pilotwire.domain.energy import EvseState, Reading
from pilotwire.domain.energy.behaviour import observe
from pilotwire.domain.energy.sides import drawn_between


def _told(now_ma: int, before_ma: int, **other: Any) -> EvseState:
    """A set-point was changed at 100 s; it may take 10 s."""
    settled: dict[str, Any] = {"changed_ms": 100_000, "followed": False, "admitted": True} | other
    if now_ma < before_ma:
        settled |= {"ceiling_ma": before_ma, "ceiling_until_ms": 110_000}
    return EvseState(value=now_ma, infeed_ma=now_ma, before_ma=before_ma, **settled)


def _seen(state: EvseState, ma: int, at_s: int, now_s: int | None = None) -> EvseState:
    reading = Reading(phases_ma=(ma, ma, ma), at_ms=at_s * 1_000)
    return observe(state, reading, (at_s if now_s is None else now_s) * 1_000, 11_000)


def test_a_lowered_current_that_is_seen_frees_what_it_leaves():
    after = _seen(_told(10_000, 32_000), 9_900, 104)
    assert (after.followed, after.burden_ma(104_000), after.settle_ms) == (True, 10_000, 10_000 - 5_000 // 8)


def test_a_current_that_is_still_up_frees_nothing():
    after = _seen(_told(10_000, 32_000), 31_000, 104)
    assert (after.followed, after.burden_ma(104_000)) == (False, 32_000)
    assert after.burden_ma(111_000) == 31_000, "when its time is over what it draws still counts"


def test_what_is_nearly_down_counts_with_what_it_draws():
    after = _seen(_told(10_000, 12_000), 10_400, 104)
    assert (after.followed, after.burden_ma(104_000)) == (True, 10_400)


def test_a_low_current_on_its_way_up_is_no_sign_of_having_gone_down():
    """It had been raised to 32 A and not got there when it was lowered: it may still come."""
    after = _seen(_told(10_000, 32_000, sure=False), 6_000, 104)
    assert (after.followed, after.burden_ma(104_000), after.settle_ms) == (False, 32_000, 10_000)


def test_a_change_too_small_to_be_seen_teaches_nothing():
    after = _seen(_told(10_800, 10_000), 10_400, 101)
    assert (after.followed, after.settle_ms) == (False, 10_000)


@pytest.mark.parametrize(("ma", "follows"), [(19_000, True), (20_900, True), (18_900, False), (31_000, False)])
def test_a_raised_car_has_followed_when_it_is_near(ma: int, follows: bool):
    assert _seen(_told(20_000, 6_000), ma, 104).followed is follows


def test_a_reading_before_the_change_says_nothing_about_it():
    assert not _seen(_told(10_000, 32_000), 9_900, 99, now_s=101).followed


@pytest.mark.parametrize(("at", "now"), [(100, 112), (113, 112)])
def test_a_stale_reading_and_one_of_the_future_are_lost(at: int, now: int):
    state = _seen(_told(10_000, 6_000), 10_000, 101)
    assert state.drawn_ma == 10_000
    assert _seen(state, 5_000, at, now_s=now).drawn_ma is None


def test_a_slow_one_is_learned_at_once_and_never_beyond_a_minute():
    assert _seen(_told(20_000, 6_000), 20_000, 116).settle_ms == 20_000
    assert _seen(_told(20_000, 6_000), 20_000, 190).settle_ms == 60_000


@pytest.mark.parametrize(
    ("ma", "behaviour", "excess"),
    [(20_500, "follows", 0), (21_001, "overdraws", 1_001), (19_000, "follows", 0), (18_500, "follows", 0)],
)
def test_near_is_five_per_cent(ma: int, behaviour: str, excess: int):
    state = _seen(_told(20_000, 6_000), ma, 120)
    assert (state.behaviour, state.excess_ma) == (behaviour, excess)


def test_less_than_offered_counts_after_a_minute_and_ends_at_once():
    state = _told(20_000, 6_000)
    for at in range(110, 170, 5):
        state = _seen(state, 8_000, at)
        assert state.behaviour == "follows"
    state = _seen(state, 8_000, 170)
    assert state.behaviour == "takes_less"
    assert _seen(state, 400, 171).behaviour == "asleep"
    assert _seen(state, 19_500, 171).behaviour == "follows"


def test_what_a_paused_car_overdrew_is_remembered():
    state = _seen(_told(20_000, 6_000), 30_000, 120)
    paused = _told(0, 20_000, excess_ma=state.excess_ma, behaviour="overdraws")
    assert _seen(paused, 0, 125).excess_ma == 10_000


@pytest.mark.parametrize(
    ("state", "at_s", "expected"),
    [
        # Read together: no doubt.
        (_told(20_000, 6_000, drawn_ma=9_000, drawn_ms=104_000), 105, (9_000, 9_000)),
        # Not measured, and all is over: what it was given.
        (_told(20_000, 6_000), 110, (20_000, 20_000)),
        # Not measured, and under way: between the two.
        (_told(20_000, 6_000), 109, (6_000, 20_000)),
        (_told(6_000, 20_000), 109, (6_000, 20_000)),
        # Measured at another time.
        (_told(20_000, 6_000, drawn_ma=9_000, drawn_ms=112_000), 119, (9_000, 20_000)),
    ],
)
def test_what_may_have_been_drawn_when_a_meter_was_read(state: EvseState, at_s: int, expected: tuple[int, int]):
    assert drawn_between(state, at_s * 1_000) == expected
