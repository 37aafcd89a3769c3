"""Duty cycle and current, each way, over all of both."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.protocols.iec61851.duty import DIGITAL, STEADY, current, duty, is_digital


@pytest.mark.parametrize(
    ("tenths", "ma"),
    [
        (0, 0), (29, 0), (30, 0), (50, 0), (70, 0), (79, 0), (80, 6_000), (99, 6_000), (100, 6_000), (101, 6_060),
        (267, 16_020), (533, 31_980), (850, 51_000), (851, 52_750), (960, 80_000), (961, 80_000), (970, 80_000),
        (971, 0), (1000, 0),
    ],
)  # fmt: skip
def test_what_a_duty_cycle_means(tenths: int, ma: int):
    assert current(tenths) == ma


def test_what_is_digital():
    assert [d for d in range(1001) if is_digital(d)] == list(range(30, 71))
    assert is_digital(DIGITAL) and current(DIGITAL) == 0


@pytest.mark.parametrize(
    ("ma", "tenths"),
    [(0, STEADY), (5_999, STEADY), (6_000, 100), (16_000, 266), (32_000, 533), (51_000, 850), (52_749, 850),
     (52_750, 851), (63_000, 892), (80_000, 960), (200_000, 960)],
)  # fmt: skip
def test_what_a_current_is_granted_by(ma: int, tenths: int):
    assert duty(ma) == tenths


@settings(derandomize=True, max_examples=500)
@given(st.integers(0, 100_000))
def test_never_more_is_granted_than_there_is_and_never_a_step_less(ma: int):
    granted = current(duty(ma))
    assert granted <= ma
    if 6_000 <= ma < 80_000:
        assert current(duty(ma) + 1) > ma, "the next step would have been allowed"
    if ma < 6_000:
        assert granted == 0


def test_every_duty_cycle_that_is_granted_comes_back_the_same():
    for tenths in range(100, 961):
        assert duty(current(tenths)) == tenths
