"""Pictures of a day as SVG, drawn by hand: stacked areas, lines, a limit."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

_WIDTH, _HEIGHT = 920, 300
_LEFT, _RIGHT, _TOP, _BOTTOM = 62, 26, 46, 34
INK, QUIET, GRID = "#1f2933", "#5f6b7a", "#e3e8ee"


class Line(NamedTuple):
    """`values` at equal distances over the day. `area`: stacked upon the areas before it. `dashed`: a limit."""

    name: str
    values: Sequence[float]
    colour: str
    area: bool = False
    dashed: bool = False
    width: float = 1.4


class Panel(NamedTuple):
    """One diagram with an axis of its own."""

    title: str
    unit: str
    lines: Sequence[Line]
    lowest: float | None = None
    highest: float | None = None


def draw(title: str, panels: Sequence[Panel], *, begins_h: int, hours: int) -> str:
    """All panels one below the other, as an SVG document."""
    height = len(panels) * _HEIGHT + 34
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" width="{_WIDTH}" height="{height}" '
        f'font-family="system-ui, sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="22" font-size="16" font-weight="600" fill="{INK}">{escape(title)}</text>',
    ]
    for number, panel in enumerate(panels):
        parts += _panel(panel, 34 + number * _HEIGHT, begins_h, hours)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, top: float, begins_h: int, hours: int) -> list[str]:
    low, high = _range(panel)
    inner_w, inner_h = _WIDTH - _LEFT - _RIGHT, _HEIGHT - _TOP - _BOTTOM
    base = top + _TOP

    def y(value: float) -> float:
        return round(base + inner_h * (1 - (value - low) / (high - low)), 1)

    parts = [f'<text x="{_LEFT}" y="{top + 18}" font-weight="600" fill="{INK}">{escape(panel.title)}</text>']
    at = float(_LEFT)
    for line in panel.lines:
        dash = ' stroke-dasharray="5 3"' if line.dashed else ""
        parts.append(
            f'<line x1="{at:.0f}" x2="{at + 18:.0f}" y1="{top + 33}" y2="{top + 33}" stroke="{line.colour}" '
            f'stroke-width="{8 if line.area else 2.5}"{dash}/>'
            f'<text x="{at + 23:.0f}" y="{top + 37}" fill="{QUIET}">{escape(line.name)}</text>'
        )
        at += 42 + 6.6 * len(line.name)
    parts += [
        f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y(tick)}" y2="{y(tick)}" stroke="{GRID}"/>'
        f'<text x="{_LEFT - 8}" y="{y(tick) + 4}" text-anchor="end" fill="{QUIET}">{tick:g}</text>'
        for tick in _ticks(low, high)
    ]
    parts.append(
        f'<text x="{_WIDTH - _RIGHT}" y="{top + 18}" text-anchor="end" fill="{QUIET}">{escape(panel.unit)}</text>'
    )
    every = 3 if hours > 12 else 1
    for hour in range(0, hours + 1, every):
        x = _LEFT + inner_w * hour / hours
        parts.append(
            f'<text x="{x:.1f}" y="{base + inner_h + 18}" text-anchor="middle" fill="{QUIET}">'
            f"{(begins_h + hour) % 24:02}:00</text>"
        )
    stack = [0.0] * max((len(line.values) for line in panel.lines if line.area), default=0)
    for line in panel.lines:
        count = max(1, len(line.values) - 1)
        xs = [round(_LEFT + inner_w * k / count, 1) for k in range(len(line.values))]
        if line.area:
            upper = [below + value for below, value in zip(stack, line.values, strict=True)]
            points = [f"{x},{y(value)}" for x, value in zip(xs, upper, strict=True)]
            points += [f"{x},{y(value)}" for x, value in zip(reversed(xs), reversed(stack), strict=True)]
            parts.append(f'<polygon points="{" ".join(points)}" fill="{line.colour}" fill-opacity="0.75"/>')
            stack = upper
        else:
            dash = ' stroke-dasharray="6 4"' if line.dashed else ""
            points = [f"{x},{y(min(high, max(low, value)))}" for x, value in zip(xs, line.values, strict=True)]
            parts.append(
                f'<polyline points="{" ".join(points)}" fill="none" stroke="{line.colour}" '
                f'stroke-width="{line.width}"{dash}/>'
            )
    return parts


def _range(panel: Panel) -> tuple[float, float]:
    values = [value for line in panel.lines if not line.area for value in line.values]
    areas = [line.values for line in panel.lines if line.area]
    values += [sum(each) for each in zip(*areas, strict=True)] if areas else []
    low = min([0.0, *values]) if panel.lowest is None else panel.lowest
    high = max(values, default=1.0) if panel.highest is None else panel.highest
    return low, high + (high - low) * 0.04 + 1e-9


def _ticks(low: float, high: float) -> list[float]:
    raw = (high - low) / 5
    scale = 10.0 ** len(str(int(raw))) / 10 if raw >= 1 else 0.1
    step = next(scale * factor for factor in (1, 2, 2.5, 5, 10) if scale * factor >= raw)
    first = -int(-low // step) if low < 0 else 0
    found = [step * k for k in range(-first if low < 0 else 0, int(high / step) + 1)]
    return [tick for tick in found if low <= tick <= high]
