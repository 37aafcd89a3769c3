"""Bars over time as SVG, drawn by the server: no script, sharp at any size, readable in print.

The drawing is stretched to the width that there is; its texts stand beside it in HTML, so that they are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 1000, 200
"""Of the drawing, before it is stretched."""


class Rect(NamedTuple):
    """A part of a bar."""

    x: float
    y: float
    width: float
    height: float
    series: int
    title: str


class Plot(NamedTuple):
    """What the template draws."""

    rects: list[Rect]
    ticks: list[float]
    """Values at the lines, from the top down; the last is 0."""
    labels: list[str]
    """One for each bar; "" where there is no room."""
    names: list[str]


def top_of(value: float) -> float:
    """A round number at or above `value`, to end the axis with; a quarter of it is round too."""
    if value <= 0:
        return 1.0
    size = 1.0
    while size * 10 <= value:
        size *= 10
    while size > value:
        size /= 10
    for factor in (1, 2, 4, 6, 8, 10):
        if size * factor >= value * 0.999999:
            return size * factor
    return size * 10


def bars(
    labels: Sequence[str],
    series: Sequence[tuple[str, Sequence[float]]],
    titles: Sequence[Sequence[str]],
    *,
    top: float | None = None,
    room: int = 12,
) -> Plot:
    """Stacked bars: `series` are (name, value of each bar), `titles` what each part says when pointed at."""
    count = len(labels)
    whole = [sum(values[place] for _, values in series) for place in range(count)]
    highest = top or top_of(max(whole, default=0))
    step = WIDTH / count if count else WIDTH
    width = step * (0.72 if count > 3 else 0.4)
    rects: list[Rect] = []
    for place in range(count):
        below = 0.0
        for number, (_, values) in enumerate(series):
            if values[place] <= 0:
                continue
            height = values[place] / highest * HEIGHT
            below += height
            x = place * step + (step - width) / 2
            rects.append(
                Rect(
                    round(x, 2),
                    round(HEIGHT - below, 2),
                    round(width, 2),
                    round(height, 2),
                    number,
                    titles[number][place],
                )
            )
    every = max(1, -(-count // room))
    shown = [label if place % every == 0 else "" for place, label in enumerate(labels)]
    return Plot(rects, [highest * part / 4 for part in (4, 3, 2, 1, 0)], shown, [name for name, _ in series])
