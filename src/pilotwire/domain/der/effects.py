"""What DER controls make of a power that is wanted (2.1 R 2.7; IEEE 1547 5.4 and 6).

- FreqDroop shifts it by the deviation beyond its dead band, 100 % of the rating for each droop.
- FreqWatt and VoltWatt limit what goes to the grid to their percentage; a negative one asks to take up so much.
- LimitMaxDischarge limits what goes to the grid.
- Must-trip and may-trip curves say after how long a deviation ends all exchange, momentary cessation for how long.

The caps of profiles and hardware come last: no control ever draws more than these allow.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isqrt
from typing import NamedTuple

from pilotwire.domain.interpolation import interpolate

from .model import Control, Curve, Droop, Grid, Limit, PowerFactor, Rating, Reactive
from .response import Response

_WHOLE = 100_000
"""100 %."""
_NOMINAL_VOLTS = 100_000

TRIPS: Mapping[str, tuple[str, bool]] = {
    "HFMustTrip": ("f", True),
    "HFMayTrip": ("f", True),
    "LFMustTrip": ("f", False),
    "HVMustTrip": ("v", True),
    "HVMayTrip": ("v", True),
    "LVMustTrip": ("v", False),
    "LVMayTrip": ("v", False),
    "HVMomCess": ("v", True),
    "LVMomCess": ("v", False),
}
"""Kind → (what it watches, whether it is about too high a value)."""
MOMENTARY: frozenset[str] = frozenset(("HVMomCess", "LVMomCess"))
"""These end with the deviation; the others are trips."""

_ACTIVE = ("FreqDroop", "FreqWatt", "VoltWatt", "LimitMaxDischarge")
"""Controls of active power, in the order in which they act; the last word has the last."""

_FAULTS = {("f", True): "OverFrequency", ("f", False): "UnderFrequency"} | {
    ("v", True): "OverVoltage",
    ("v", False): "UnderVoltage",
}


class Shaped(NamedTuple):
    """A power as the controls leave it, in mW towards the vehicle."""

    mw: int
    kind: str = ""
    """The control that changed it last; empty: none did."""
    fault: str | None = None
    """GridEventFaultEnumType."""


def fault_of(kind: str, grid: Grid) -> str | None:
    """The grid's fault that makes a control of `kind` act now."""
    trip = TRIPS.get(kind)
    if trip is not None:
        return _FAULTS[trip]
    if kind in ("FreqDroop", "FreqWatt") and grid.mhz != grid.nominal_mhz:
        return _FAULTS["f", grid.mhz > grid.nominal_mhz]
    if kind in ("VoltWatt", "VoltVar") and grid.volts != _NOMINAL_VOLTS:
        return _FAULTS["v", grid.volts > _NOMINAL_VOLTS]
    return None


def shape(
    wanted: int,
    controls: Mapping[str, Control],
    grid: Grid,
    rating: Rating,
    low: int,
    high: int,
    response: Response | None = None,
) -> Shaped:
    """`wanted` under `controls`, within [low, high] (low is zero or less: how far it may discharge).

    `response`: how fast the inverter follows; without it at once.
    """
    power = max(low, min(high, wanted))
    kind = ""
    for name in _ACTIVE:
        control = controls.get(name)
        if control is None:
            continue
        changed = aim = max(low, min(high, _under(power, control, grid, rating, None)))
        if response is not None:
            changed = max(low, min(high, _under(power, control, grid, rating, response)))
        if changed != power or aim != power:  # it acts from the first moment on, however slowly
            power, kind = changed, name
    return Shaped(power, kind, fault_of(kind, grid))


def _under(power: int, control: Control, grid: Grid, rating: Rating, response: Response | None) -> int:
    """`power` as this control alone leaves it."""
    setting = control.setting
    if isinstance(setting, Droop):
        shift = _drooped(setting, grid, rating)
        return power + (shift if response is None else response.follow(control, shift))
    if isinstance(setting, Curve):
        x = grid.mhz if control.kind == "FreqWatt" else grid.volts
        percent = interpolate(setting.points, x)
        if response is not None:
            percent = response.follow(control, response.hold(control, percent, x))
        return _floor(power, setting, percent, rating)
    if isinstance(setting, Limit) and setting.percent is not None and setting.monitor is None:
        return max(power, -(rating.discharge_mw * setting.percent // _WHOLE))
    return power


def _drooped(setting: Droop, grid: Grid, rating: Rating) -> int:
    if grid.mhz > setting.over:
        return droop(grid.mhz - setting.over, setting.over_droop, grid.nominal_mhz, _most(rating))
    if grid.mhz < setting.under:
        return -droop(setting.under - grid.mhz, setting.under_droop, grid.nominal_mhz, _most(rating))
    return 0


def _most(rating: Rating) -> int:
    return rating.discharge_mw or rating.charge_mw


def droop(beyond_mhz: int, per_unit: int, nominal_mhz: int, rated_mw: int) -> int:
    """How much the power changes: the whole rating for a deviation of `per_unit` ‰ of the nominal frequency."""
    if per_unit <= 0:
        return rated_mw if beyond_mhz > 0 else 0
    return min(rated_mw, rated_mw * beyond_mhz * 1000 // (nominal_mhz * per_unit))


def _floor(power: int, curve: Curve, percent: int, rating: Rating) -> int:
    """No more to the grid than the curve allows."""
    if percent < 0:
        return max(power, rating.charge_mw * -percent // _WHOLE)
    base = -min(0, power) if curve.unit == "PctWAvail" else rating.discharge_mw
    return max(power, -(base * percent // _WHOLE))


# ── trips ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def trips_after(control: Control, grid: Grid) -> int | None:
    """How many ms a deviation as now may last until the control acts; None: within its bounds."""
    watched = TRIPS.get(control.kind)
    if watched is None or not isinstance(control.setting, Curve):
        return None
    value = grid.mhz if watched[0] == "f" else grid.volts
    points = control.setting.points
    if watched[1]:
        if value <= points[0][0]:
            return None
    elif value >= points[-1][0]:
        return None
    return max(0, interpolate(points, value))


def monitored(controls: Mapping[str, Control], discharge_mw: int, rating: Rating) -> tuple[str, int] | None:
    """(kind, ms from the begin of it) after which so much discharge trips (VDE-AR-N 4105 5.5.2)."""
    for kind in ("PowerMonitoringMustTrip", "LimitMaxDischarge"):
        control = controls.get(kind)
        if control is None or rating.discharge_mw <= 0:
            continue
        setting = control.setting
        least = 0
        if isinstance(setting, Limit):
            if setting.monitor is None:
                continue
            least, curve = setting.percent or 0, setting.monitor
        elif isinstance(setting, Curve):
            curve = setting
        else:
            continue
        percent = discharge_mw * _WHOLE // rating.discharge_mw
        if percent <= least:
            continue
        for time, allowed in curve.points:
            if percent > allowed:
                return kind, time
    return None


# ── reactive power ───────────────────────────────────────────────────────────────────────────────────────────────────


def reactive(
    power: int, controls: Mapping[str, Control], grid: Grid, rating: Rating, response: Response | None = None
) -> tuple[int, str]:
    """(reactive power in mvar, the control that asks for it); positive is absorbed (inductive)."""
    rated = _most(rating)
    for kind, x in (("VoltVar", grid.volts), ("WattVar", _percent(power, rated))):
        control = controls.get(kind)
        if control is not None and isinstance(control.setting, Curve):
            percent = interpolate(control.setting.points, x)
            if response is not None:
                percent = response.follow(control, percent)
            return -(rated * percent // _WHOLE), kind
    fixed = controls.get("FixedVar")
    if fixed is not None and isinstance(fixed.setting, Reactive):
        return -(rated * fixed.setting.percent // _WHOLE), "FixedVar"
    kind = "FixedPFAbsorb" if power >= 0 else "FixedPFInject"
    factor = controls.get(kind)
    if factor is not None and isinstance(factor.setting, PowerFactor):
        size = _quadrature(abs(power), factor.setting.displacement)
        return (size if factor.setting.excitation else -size), kind
    curve = controls.get("WattPF")
    if curve is not None and isinstance(curve.setting, Curve):
        value = interpolate(curve.setting.points, _percent(power, rated))
        size = _quadrature(abs(power), min(1000, abs(value)))
        return (size if value >= 0 else -size), "WattPF"
    return 0, ""


def _percent(power: int, rated: int) -> int:
    """Power to the grid in thousandths of a percent of the rating."""
    return 0 if rated <= 0 else -power * _WHOLE // rated


def _quadrature(power: int, displacement: int) -> int:
    """Reactive power beside `power` at a cos phi of `displacement` ‰."""
    if displacement <= 0 or displacement >= 1000:
        return 0
    return power * isqrt(1_000_000 - displacement * displacement) // displacement
