"""Sets of sequence numbers as sorted disjoint [first, last] pairs."""

from __future__ import annotations

from bisect import bisect_right

MAX_RANGES = 64
"""More gaps than these are forgotten, oldest first: a station may drop every second event for days."""


def contains(ranges: list[list[int]], number: int) -> bool:
    """Whether `number` is in the set."""
    if not ranges:
        return False
    last = ranges[-1]
    if number >= last[0]:
        return number <= last[1]
    at = bisect_right(ranges, number, key=_first) - 1
    return at >= 0 and number <= ranges[at][1]


def insert(ranges: list[list[int]], number: int) -> bool:
    """Put `number` in. True when the set grew past MAX_RANGES and its oldest gap was taken as filled."""
    if ranges and ranges[-1][1] + 1 == number:
        ranges[-1][1] = number
        return False
    at = bisect_right(ranges, number, key=_first)
    if at and number <= ranges[at - 1][1]:
        return False
    joins_left = at > 0 and ranges[at - 1][1] + 1 == number
    joins_right = at < len(ranges) and ranges[at][0] - 1 == number
    if joins_left and joins_right:
        ranges[at - 1][1] = ranges[at][1]
        del ranges[at]
    elif joins_left:
        ranges[at - 1][1] = number
    elif joins_right:
        ranges[at][0] = number
    else:
        ranges.insert(at, [number, number])
        if len(ranges) > MAX_RANGES:
            ranges[0][1] = ranges[1][1]
            del ranges[1]
            return True
    return False


def _first(pair: list[int]) -> int:
    return pair[0]
