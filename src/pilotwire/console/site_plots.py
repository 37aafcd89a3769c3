"""Courses of a site as SVG, drawn by the server: stacked power, windows against their target, plan against outcome.

The drawings are stretched to the width that there is; texts stand beside them in HTML (as `pages.reports_plot`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from .pages.reports_plot import HEIGHT, WIDTH, top_of
from .view import kw

Values = Sequence[int | None]


class Rect(NamedTuple):
    """A part of a bar; `kind` is its class."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


class Plot(NamedTuple):
    """What the template draws. `ticks`: kW at five lines, from the top down."""

    rects: list[Rect]
    lines: list[tuple[str, str]]
    """(class, points)."""
    ticks: list[float]
    labels: list[str]
    legend: list[tuple[str, str]]
    """(class, name)."""
    zero: float
    """Where 0 is, in the drawing."""


def _scale(highest: float, lowest: float) -> tuple[float, float]:
    """(top, bottom) of an axis of four equal parts, 0 at the end of one of them."""
    part = top_of(max(highest, -lowest) / 4)
    while (below := math.ceil(max(0.0, -lowest) / part - 1e-9)) + math.ceil(max(0.0, highest) / part - 1e-9) > 4:
        part = top_of(part * 1.01)
    return (4 - below) * part, -below * part


def labels_of(times: Sequence[str], every: int) -> list[str]:
    """One in `every` times."""
    return [text if place % every == 0 else "" for place, text in enumerate(times)]


def stacked(
    times: Sequence[str], series: Sequence[tuple[str, str, Values]], titles: Sequence[str], *, top: float | None = None,
    room: int = 8, of: Sequence[tuple[str, str, Values]] = (),
) -> Plot:  # fmt: skip
    """`series` are (class, name, W ≥ 0 of each step), stacked; `of` are lines over them, W."""
    count = max(1, len(times))
    whole = [sum(max(0, values[place] or 0) for _, _, values in series) for place in range(len(times))]
    over = [value for _, _, values in of for value in values if value is not None]
    highest = top or top_of(max([*whole, *over, 1_000]) / 1000) * 1000
    step = WIDTH / count
    rects: list[Rect] = []
    for place in range(len(times)):
        below = 0.0
        for kind, name, values in series:
            value = values[place]
            if not value or value < 0:
                continue
            height = value / highest * HEIGHT
            below += height
            rects.append(
                Rect(
                    round(place * step, 2),
                    round(HEIGHT - below, 2),
                    round(step * 1.01, 2),
                    round(height, 2),
                    kind,
                    f"{titles[place]}: {name} {kw(value)} kW",
                )
            )
    lines = [(kind, _line(values, step, highest, 0)) for kind, _, values in of]
    return Plot(
        rects, [line for line in lines if line[1]], [highest / 1000 * part / 4 for part in (4, 3, 2, 1, 0)],
        labels_of(times, max(1, -(-len(times) // room))), [(kind, name) for kind, name, _ in (*series, *of)], HEIGHT,
    )  # fmt: skip


def compared(
    times: Sequence[str], measured: tuple[str, str, Values], planned: tuple[str, str, Values], titles: Sequence[str], *,
    room: int = 8,
) -> Plot:  # fmt: skip
    """What was measured as bars from zero, what was planned as a line of steps over them; both may be negative."""
    kind, name, values = measured
    known = [value for row in (values, planned[2]) for value in row if value is not None]
    top, bottom = _scale(max([*known, 1_000]) / 1000, min([*known, 0]) / 1000)
    top, bottom = top * 1000, bottom * 1000
    zero = HEIGHT * top / (top - bottom)
    step = WIDTH / max(1, len(times))
    rects: list[Rect] = []
    for place, value in enumerate(values):
        if value:
            height = abs(value) / (top - bottom) * HEIGHT
            y = zero - height if value > 0 else zero
            title = f"{titles[place]}: {name} {kw(value)} kW"
            rects.append(
                Rect(round(place * step, 2), round(y, 2), round(step * 1.01, 2), round(height, 2), kind, title)
            )
    line = _line(planned[2], step, top, bottom)
    ticks = [(top + (bottom - top) * part / 4) / 1000 for part in range(5)]
    legend = [(kind, name), *([(planned[0], planned[1])] if planned[1] else [])]
    return Plot(
        rects,
        [(planned[0], line)] if line else [],
        ticks,
        labels_of(times, max(1, -(-len(times) // room))),
        legend,
        round(zero, 2),
    )


def _line(values: Values, step: float, top: float, bottom: float) -> str:
    """A path of steps; a hole where nothing is known."""
    path: list[str] = []
    broken = True
    for place, value in enumerate(values):
        if value is None:
            broken = True
            continue
        y = round(HEIGHT * (top - value) / (top - bottom), 2)
        path.append(f"{'M' if broken else 'L'}{round(place * step, 2)} {y}H{round((place + 1) * step, 2)}")
        broken = False
    return "".join(path)


class Window(NamedTuple):
    """A demand window in the drawing."""

    from_ms: int
    until_ms: int
    mean_w: int
    target_w: int
    running: bool
    over: bool
    title: str


def windows(
    found: Sequence[Window], from_ms: int, until_ms: int, times: Sequence[str], *, room: int = 8
) -> Plot:  # fmt: skip
    """Bars of mean power against the line of their targets, each where it lies between the two times, which `times`
    part evenly; the running one is hatched."""
    highest = top_of(max([1_000, *(one.mean_w for one in found), *(one.target_w for one in found)]) / 1000) * 1000
    rects: list[Rect] = []
    line = ""
    end = -1.0
    for one in sorted(found, key=lambda one: one.from_ms):
        left, right = (
            round((min(max(at, from_ms), until_ms) - from_ms) / max(1, until_ms - from_ms) * WIDTH, 2)
            for at in (one.from_ms, one.until_ms)
        )
        height, width = max(0, one.mean_w) / highest * HEIGHT, right - left
        kind = f"{'over' if one.over else 'grid-fill'}{' hatched' if one.running else ''}"
        rects.append(
            Rect(
                round(left + width * 0.08, 2), round(HEIGHT - height, 2), round(width * 0.84, 2), round(height, 2),
                kind, one.title,
            )
        )  # fmt: skip
        y = round(HEIGHT - one.target_w / highest * HEIGHT, 2)
        line += f"{'L' if left == end else 'M'}{left} {y}H{right}"
        end = right
    return Plot(
        rects, [("mark-of-target", line)] if line else [], [highest / 1000 * part / 4 for part in (4, 3, 2, 1, 0)],
        labels_of(times, max(1, -(-len(times) // room))), [], HEIGHT,
    )  # fmt: skip


def steps(points: Sequence[tuple[int, int]], from_ms: int, until_ms: int, most: int) -> str:
    """The path of a set-point over time: (since when, value), each until the next; in a drawing of WIDTH × HEIGHT."""
    path: list[str] = []
    for place, (at, value) in enumerate(points):
        begin = max(from_ms, at)
        end = min(until_ms, points[place + 1][0] if place + 1 < len(points) else until_ms)
        if end < begin:
            continue
        left, right = ((moment - from_ms) / max(1, until_ms - from_ms) * WIDTH for moment in (begin, end))
        y = round(HEIGHT - value / max(1, most) * HEIGHT, 2)
        path.append(f"{'L' if path else 'M'}{round(left, 2)} {y}H{round(right, 2)}")
    return "".join(path)
