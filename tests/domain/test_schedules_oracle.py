"""The composite-schedule engine against a plain reading of the rules, second by second."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domain.schedules_check import check_set, check_split
from tests.domain.schedules_worlds import Drawn, Seeded, draw_set


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_drawn_sets_are_what_the_oracle_says(data):
    check_set(draw_set(Drawn(data.draw, st)))


@pytest.mark.parametrize("part", range(4))
def test_a_thousand_seeded_sets_each_are_what_the_oracle_says(part):
    for seed in range(part * 1000, part * 1000 + 1000):
        check_set(draw_set(Seeded(seed)), f"seed {seed}")


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_single_phases_are_never_above_a_cap(data):
    check_split(draw_set(Drawn(data.draw, st), split=True))
