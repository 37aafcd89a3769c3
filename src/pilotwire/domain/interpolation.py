"""Curves of points that are straight between: P(f), P(U), the power that a signal asks for, what a battery takes."""

from __future__ import annotations

from collections.abc import Sequence

Point = tuple[int, int]
"""(x, y), both in base units."""


def interpolate(points: Sequence[Point], x: int) -> int:
    """y at `x`: straight between two points, flat beyond the ends, rounded towards zero.

    `points` in order of x; where two share one, the curve steps there and x itself has the first.
    """
    before = points[0]
    if x <= before[0]:
        return before[1]
    for point in points:
        if x == point[0]:
            return point[1]
        if x < point[0]:
            rise = (point[1] - before[1]) * (x - before[0])
            span = point[0] - before[0]
            y = before[1] * span + rise
            return y // span if y >= 0 else -(-y // span)
        before = point
    return before[1]
