"""The power of a session over time, from whatever its station measures. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Literal

from pilotwire.core.time import to_rfc3339
from pilotwire.domain.records import Sample

from . import types

_PHASES = frozenset({"L1", "L2", "L3", "L1-N", "L2-N", "L3-N"})
Point = tuple[int, int]
"""(ms, W)."""


def power_curve(session_id: str, powers: Sequence[Sample], registers: Sequence[Sample], points: int) -> types.Curve:
    """Measured power where there is any, else what the steps of the energy register amount to."""
    curve = measured(powers)
    source: Literal["power", "energy"] = "power"
    if not curve:
        curve, source = derived(registers), "energy"
    if not curve:
        return types.Curve(session_id=session_id, source="none", points=[])
    shown = [types.CurvePoint(time=to_rfc3339(time), power_w=power) for time, power in thinned(curve, points)]
    return types.Curve(session_id=session_id, source=source, points=shown)


def measured(samples: Iterable[Sample]) -> list[Point]:
    """Power.Active.Import at the outlet: the total where it is reported, else the sum of the phases."""
    totals: dict[int, int] = {}
    phases: dict[int, dict[str, int]] = defaultdict(dict)
    for sample in samples:
        if sample.measurand != "Power.Active.Import" or sample.location not in ("", "Outlet"):
            continue
        if not sample.phase:
            totals[sample.time] = sample.value // 1000
        elif sample.phase in _PHASES:
            phases[sample.time][sample.phase[:2]] = sample.value // 1000
    for time, values in phases.items():
        totals.setdefault(time, sum(values.values()))
    return sorted(totals.items())


def derived(samples: Iterable[Sample]) -> list[Point]:
    """The mean power between readings of Energy.Active.Import.Register, at the later of the two."""
    readings = sorted(
        (sample.time, sample.value)
        for sample in samples
        if sample.measurand == "Energy.Active.Import.Register"
        and not sample.phase
        and sample.location in ("", "Outlet")
    )
    curve: list[Point] = []
    for (before, low), (after, high) in pairwise(readings):
        if after > before and high >= low:
            curve.append((after, (high - low) * 3600 // (after - before)))  # mWh * 3600 / ms = W
    return curve


def thinned(curve: Sequence[Point], points: int) -> list[Point]:
    """At most about `points` of them. Each bucket gives its lowest and highest, so that no peak or dip is lost."""
    if len(curve) <= points:
        return list(curve)
    buckets = max(1, points // 2)
    begin, end = curve[0][0], curve[-1][0]
    width = max(1, (end - begin) // buckets + 1)
    grouped: dict[int, list[Point]] = defaultdict(list)
    for point in curve:
        grouped[(point[0] - begin) // width].append(point)
    kept: set[Point] = {curve[0], curve[-1]}
    for group in grouped.values():
        kept.add(min(group, key=lambda point: point[1]))
        kept.add(max(group, key=lambda point: point[1]))
    return sorted(kept)
