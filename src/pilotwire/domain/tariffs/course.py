"""A message about a session as marks of its course: in the same way for whoever sends it and whoever receives it."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from .costing import Costing, Mark

CHARGING = "Charging"
"""ChargingStateEnumType while energy may flow; every other state is idle time."""


def charging(state: str) -> bool | None:
    """What a charging state says of it; None: nothing was said."""
    return state == CHARGING if state else None


def step(
    costing: Costing,
    time: int,
    state: str,
    registers: Iterable[tuple[int, int]],
    power_w: int | None = None,
) -> None:
    """One message of `time`: its charging state, its register readings (ms, Wh) and its power.

    State and power hold from the message's own time on, whenever its readings were taken.
    """
    marks = [Mark(when, wh) for when, wh in registers]
    marks.append(Mark(time, None, charging(state), None if power_w is None else Decimal(power_w)))
    marks.sort(key=lambda mark: mark.time)
    for mark in marks:
        if mark.wh is not None or mark.charging is not None or mark.power is not None:
            costing.feed(mark)
