"""Set-points that a station works out itself (2.1 Q08, Q09); mW, positive towards the vehicle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from .interpolation import Point, interpolate


def local_frequency(
    baseline: int, freq_watt: Sequence[Point], mhz: int, signal_watt: Sequence[Point] = (), signal: int | None = None
) -> int:
    """Baseline and what the curve says of the frequency, and of the signal of the grid's operator on top
    (Q08.FR.06, .10)."""
    power = baseline + interpolate(freq_watt, mhz)
    if signal is not None and signal_watt:
        power += interpolate(signal_watt, signal * 1000)
    return power


class Thresholds(NamedTuple):
    """V2XLocalLoadBalancing, mW; the offsets are relative to their thresholds."""

    upper: int
    lower: int
    upper_offset: int = 0
    lower_offset: int = 0


def balanced(setpoint: int, load: int, thresholds: Thresholds) -> int:
    """The next set-point when the building's meter shows `load` (positive: consumption) at `setpoint` (Q09.FR.04)."""
    if load > thresholds.upper:
        return setpoint + thresholds.upper + thresholds.upper_offset - load
    if load < thresholds.lower:
        return setpoint + thresholds.lower + thresholds.lower_offset - load
    return setpoint


def residual(setpoint: int | None, imported: int, exported: int) -> int:
    """Power.Active.Residual (2.4): how much more flows than was asked, in the direction that was asked."""
    if setpoint is None:
        return 0
    if setpoint == 0:
        return imported + exported
    return imported - setpoint if setpoint > 0 else exported + setpoint
