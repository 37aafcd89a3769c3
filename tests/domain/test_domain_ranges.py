"""Sets of sequence numbers, against Python's own sets."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from pilotwire.domain.ranges import MAX_RANGES, contains, insert


@given(st.lists(st.integers(0, 60), max_size=80))
def test_ranges_are_a_set(numbers):
    ranges: list[list[int]] = []
    for number in numbers:
        assert insert(ranges, number) is False
    assert {n for n in range(-1, 62) if contains(ranges, n)} == set(numbers)
    assert ranges == sorted(ranges)
    assert all(left[1] + 1 < right[0] for left, right in pairwise(ranges))


def test_the_number_of_ranges_is_bounded_and_nothing_inserted_is_forgotten():
    ranges: list[list[int]] = []
    grown = [insert(ranges, number) for number in range(0, 1000, 2)]
    assert len(ranges) == MAX_RANGES and any(grown) and not grown[MAX_RANGES - 1]
    assert all(contains(ranges, number) for number in range(0, 1000, 2))
    assert not contains(ranges, 999)
