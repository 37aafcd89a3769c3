"""Two composite schedules: what a station answers against what it should.

And a composite in the wire's own grain: whole seconds, tenths of A or W.
"""

from __future__ import annotations

from typing import NamedTuple

from .model import Composite, Interval

_TENTH = 100
"""A wire rate has one digit after the point: 0.1 A, 0.1 W in thousandths."""

_CAPS = ("limit", "limit_l2", "limit_l3")
"""Rounded down."""
_SIGNED = ("discharge", "discharge_l2", "discharge_l3", "setpoint", "setpoint_l2", "setpoint_l3")
_REACTIVE = ("reactive", "reactive_l2", "reactive_l3")
"""These and the ones before: rounded towards zero."""


class Difference(NamedTuple):
    """From `start_ms` for `length_ms` (both into the schedule) the limits differ, in thousandths of the unit."""

    start_ms: int
    length_ms: int
    expected: int | None
    answered: int | None


def on_the_wire(schedule: Composite) -> Composite:
    """In tenths, rounded so that no cap is stated higher than it is, and in whole seconds.

    A second in which several hold has the lowest of them.
    """
    intervals = [_tenths(each) for each in schedule.intervals]
    if any(each.start_ms % 1000 for each in intervals):
        intervals = _seconds(intervals)
    merged: list[Interval] = []
    for each in intervals:
        if not merged or (merged[-1][1:] != each[1:] and each.start_ms < schedule.duration_ms):
            merged.append(each)
    return schedule._replace(intervals=tuple(merged))


def _tenths(interval: Interval) -> Interval:
    rounded: dict[str, int] = {}
    for name in _CAPS:
        value: int | None = getattr(interval, name)
        if value is not None and value % _TENTH:
            rounded[name] = value - value % _TENTH
    if interval.discharge is not None or interval.setpoint is not None or interval.reactive is not None:
        for name in (*_SIGNED, *_REACTIVE):
            value = getattr(interval, name)
            if value is not None and value % _TENTH:
                rounded[name] = value - value % _TENTH if value > 0 else -(-value - -value % _TENTH)
    return interval._replace(**rounded) if rounded else interval


def _seconds(intervals: list[Interval]) -> list[Interval]:
    out: list[Interval] = []
    for at, each in enumerate(intervals):
        begin = each.start_ms
        end = intervals[at + 1].start_ms if at + 1 < len(intervals) else None
        if begin % 1000:
            # The second in which it begins was opened by the one before: both bind it.
            out[-1] = _tighter(out[-1], each)
            begin += 1000 - begin % 1000
        whole = None if end is None else end - end % 1000
        if whole is None or begin < whole:
            out.append(each._replace(start_ms=begin))
        if whole is not None and end != whole and whole >= begin:
            out.append(each._replace(start_ms=whole))
    return out


def _tighter(a: Interval, b: Interval) -> Interval:
    """`a` where `b` binds no more."""
    changed: dict[str, int | None] = {}
    for name in _CAPS:
        x: int | None = getattr(a, name)
        y: int | None = getattr(b, name)
        changed[name] = y if x is None else x if y is None else min(x, y)
    for name in (*_SIGNED, *_REACTIVE):
        x, y = getattr(a, name), getattr(b, name)
        changed[name] = None if x is None or y is None else x if abs(x) <= abs(y) else y
    if a.phases is not None or b.phases is not None:
        changed["phases"] = min(value for value in (a.phases, b.phases) if value is not None)
    return a._replace(**changed)


def differences(expected: Composite, answered: Composite, *, tolerance: int = _TENTH) -> list[Difference]:
    """Where the limit that was answered is another one than expected, by more than `tolerance`.

    Both begin at the same time; compared as far as both reach. numberPhases is not compared: it is optional.
    """
    until = min(expected.duration_ms, answered.duration_ms)
    marks = sorted(
        {0, *(each.start_ms for each in (*expected.intervals, *answered.intervals) if 0 <= each.start_ms < until)}
    )
    found: list[Difference] = []
    for at, begin in enumerate(marks):
        end = marks[at + 1] if at + 1 < len(marks) else until
        ours, theirs = _at(expected, begin), _at(answered, begin)
        one = None if ours is None else _whole(ours, expected.unit)
        other = None if theirs is None else _whole(theirs, answered.unit)
        if end <= begin or one == other or (one is not None and other is not None and abs(one - other) <= tolerance):
            continue
        last = found[-1] if found else None
        if last is not None and last[2:] == (one, other) and last.start_ms + last.length_ms == begin:
            found[-1] = last._replace(length_ms=end - last.start_ms)
        else:
            found.append(Difference(begin, end - begin, one, other))
    return found


def _at(schedule: Composite, offset: int) -> Interval | None:
    found: Interval | None = None
    for each in schedule.intervals:
        if each.start_ms > offset:
            break
        found = each
    return found


def _whole(interval: Interval, unit: str) -> int | None:
    if interval.limit is None:
        return None
    if unit == "W":
        return interval.limit + (interval.limit_l2 or 0) + (interval.limit_l3 or 0)
    return min(value for value in (interval.limit, interval.limit_l2, interval.limit_l3) if value is not None)
