"""How fast an inverter follows its controls, and the mean of ten minutes (2.1 R)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pilotwire.domain.der.model import Control, Curve, Droop, Hysteresis
from pilotwire.domain.der.response import MEAN_MS, Response, mean, recent


def curve(**more):
    return Control(
        id="A", kind="VoltWatt", default=True, priority=0,
        setting=Curve(((104_000, 100_000), (110_000, 0)), "PctMaxW", **more),
    )  # fmt: skip


def droop(ms):
    return Control(
        id="A", kind="FreqDroop", default=True, priority=0, setting=Droop(50_200, 49_800, 50, 50, response_ms=ms)
    )


@given(st.integers(1, 60_000), st.integers(-10_000_000, 10_000_000))
def test_nine_tenths_are_done_in_the_response_time_and_all_soon_after(taking, target):
    response, control = Response(), droop(taking)
    response.at(0)
    assert response.follow(control, 0) == 0
    response.at(1000)
    response.follow(control, target)
    response.at(1000 + taking)
    assert abs(response.follow(control, target) - target * 9 // 10) <= 1
    while response.again is not None:
        response.at(response.again)
        reached = response.follow(control, target)
    assert reached == target if target else True


@given(
    st.integers(0, 30_000),
    st.lists(st.tuples(st.integers(1, 9_000), st.integers(-5_000, 5_000)), min_size=1, max_size=12),
)
def test_it_goes_from_where_it_is_and_never_beyond_what_was_asked(taking, course):
    response, control, now, before = Response(), droop(taking), 0, 0
    asked = [0]
    for wait, target in course:
        now += wait
        response.at(now)
        value = response.follow(control, target)
        asked.append(target)
        assert min(*asked, before) <= value <= max(*asked, before)
        before = value


def held(hysteresis, course):
    """What a curve allows along (seconds, voltage in percent)."""
    response, control = Response(), curve(hysteresis=hysteresis)
    found, now = [], 0
    for seconds, volts in course:
        now = seconds * 1000
        response.at(now)
        percent = max(0, min(100, (110 - volts) * 100 // 6)) * 1000
        found.append(response.hold(control, percent, volts * 1000) // 1000)
    return found


def test_without_bounds_the_curve_itself_says_when_it_is_over():
    assert held(Hysteresis(delay_ms=10_000), [(0, 107), (5, 105), (6, 104), (15, 104), (16, 104), (20, 107)]) == [
        50, 50, 50, 50, 100, 50,
    ]  # fmt: skip


def test_what_grows_worse_on_the_way_back_counts_at_once():
    back = Hysteresis(low=95_000, high=103_000, gradient=5_000)
    course = [(0, 107), (10, 102), (14, 102), (15, 109), (16, 107), (17, 102), (18, 102), (40, 102)]
    assert held(back, course) == [50, 50, 70, 16, 16, 16, 21, 100]


@given(st.lists(st.tuples(st.integers(1, 400_000), st.integers(80_000, 120_000)), min_size=1, max_size=20))
def test_a_mean_lies_between_its_values_and_old_ones_do_not_count(steps):
    history, now = [], 0
    for wait, volts in steps:
        history.append((now, volts))
        now += wait
    values = [volts for _, volts in history]
    assert min(values) - 1 <= mean(history, now) <= max(values)
    assert mean(recent(history, now), now) == mean(history, now)
    assert all(b > now - MEAN_MS for _, (b, _) in pairwise(recent(history, now)))
    assert mean(history, now + MEAN_MS) == values[-1]
