"""What a load or a generator is likely to do: learned from days gone by, and moved by what is measured now.

    base = learned(samples, horizon, zone)          # a building by the quarter, from its meter's past
    row = corrected(base, seen=measured_now)        # the plan of now begins where the meter is

Of PV the past says little: there a weather service's forecast is what `corrected` begins with.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import tzinfo

import msgspec

from .arrivals import NO_HOLIDAYS, Holidays, day_of, kind_of, same_time
from .horizon import Horizon


class Sample(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A mean from `from_ms` (UTC) on, of anything in any unit; import positive."""

    from_ms: int
    value: int


def learned(
    samples: Iterable[Sample],
    horizon: Horizon,
    zone: tzinfo,
    *,
    permille: int = 500,
    days: int = 20,
    holidays: Holidays = NO_HOLIDAYS,
) -> tuple[int, ...]:
    """By step of the plan, what like days (see `arrivals`) had at that time by the clock on the wall.

    `permille` of the last `days` of them lay at or below it: 500 is the middle, 900 is careful with a load. A step of
    which no like day says anything has what other days say, and if none does, what the step before has; first steps
    have what the next one has. Nothing is known: all 0. Samples within one
    step are averaged.
    """
    by_step: dict[int, list[int]] = {}
    for each in samples:
        if each.from_ms < horizon.now_ms:
            by_step.setdefault(each.from_ms - each.from_ms % horizon.step_ms, []).append(each.value)
    known = {at: sum(values) // len(values) for at, values in by_step.items()}
    if not known:
        return (0,) * horizon.steps
    first = day_of(min(known), zone)
    found: list[int | None] = []
    for step in range(horizon.steps):
        begins = horizon.starts_ms + step * horizon.step_ms
        today = day_of(begins, zone)
        kind = kind_of(today, holidays)
        like: list[int] = []
        other: list[int] = []
        for day in range(today, first - 1, -1):
            value = known.get(same_time(begins, day, zone))
            if value is not None and day < today:
                (like if kind_of(day, holidays) == kind else other).append(value)
            if len(like) == days:
                break
        values = sorted(like or other[:days])
        found.append(values[min(len(values) - 1, len(values) * permille // 1000)] if values else None)
    return _filled(found)


def _filled(values: Sequence[int | None]) -> tuple[int, ...]:
    last = next((value for value in values if value is not None), 0)
    found: list[int] = []
    for value in values:
        last = last if value is None else value
        found.append(last)
    return tuple(found)


def corrected(forecast: Sequence[int], seen: int, *, fades: int = 750) -> tuple[int, ...]:
    """`forecast` by step, the first of which is now and was measured to be `seen` (the mean of some minutes).

    What it was wrong by is added to every step, less with each: `fades` per mille of it are left a step later.
    """
    found: list[int] = []
    wrong = seen - forecast[0] if forecast else 0
    for value in forecast:
        found.append(value + wrong)
        wrong = wrong * fades // 1000 if wrong >= 0 else -(-wrong * fades // 1000)
    return tuple(found)
