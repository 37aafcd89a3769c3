"""DER controls in numbers (2.1 R 2.7): settings and curves, without the wire's words.

Frequencies are mHz, voltages thousandths of a percent of the nominal one, percentages thousandths of a percent, times
ms, powers mW. A power is positive towards the vehicle; the percentages of controls are positive towards the grid, as
IEEE 1547 has them.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from pilotwire.domain.interpolation import Point

Kind = Literal[
    "EnterService",
    "FreqDroop",
    "FreqWatt",
    "FixedPFAbsorb",
    "FixedPFInject",
    "FixedVar",
    "Gradients",
    "HFMustTrip",
    "HFMayTrip",
    "HVMustTrip",
    "HVMomCess",
    "HVMayTrip",
    "LimitMaxDischarge",
    "LFMustTrip",
    "LVMustTrip",
    "LVMomCess",
    "LVMayTrip",
    "PowerMonitoringMustTrip",
    "VoltVar",
    "VoltWatt",
    "WattPF",
    "WattVar",
]
"""DERControlEnumType."""

KINDS: tuple[Kind, ...] = (
    "EnterService",
    "FreqDroop",
    "FreqWatt",
    "FixedPFAbsorb",
    "FixedPFInject",
    "FixedVar",
    "Gradients",
    "HFMustTrip",
    "HFMayTrip",
    "HVMustTrip",
    "HVMomCess",
    "HVMayTrip",
    "LimitMaxDischarge",
    "LFMustTrip",
    "LVMustTrip",
    "LVMomCess",
    "LVMayTrip",
    "PowerMonitoringMustTrip",
    "VoltVar",
    "VoltWatt",
    "WattPF",
    "WattVar",
)
DEFAULT_ONLY: frozenset[str] = frozenset(("EnterService", "Gradients"))
"""Controls that cannot be scheduled (R04.FR.14)."""


class Hysteresis(msgspec.Struct, frozen=True, omit_defaults=True):
    """HysteresisType: when and how it goes back to normal. The bounds are in the unit of what is watched (the curve's
    x); one that is missing does not bound."""

    low: int | None = None
    high: int | None = None
    delay_ms: int = 0
    gradient: int = 0
    """Thousandths of a percent a second; 0: at once."""

    def inside(self, x: int, *, otherwise: bool) -> bool:
        """Whether the grid is back; `otherwise` where there are no bounds."""
        if self.low is None and self.high is None:
            return otherwise
        return (self.low is None or x >= self.low) and (self.high is None or x <= self.high)


class Curve(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """DERCurveType. x: mHz, ‰ of a percent, or ms, as the kind says; y: thousandths of `unit`, or ms of trip curves."""

    points: tuple[Point, ...]
    unit: str = "Not_Applicable"
    response_ms: int = 0
    """Until 90 % of a change is done; 0: at once."""
    hysteresis: Hysteresis | None = None
    mean: tuple[int, int] | None = None
    """hv10MinMeanValue (thousandths of a percent) and how many ms the mean of ten minutes may be above it."""


class Droop(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """FreqDroopType: beyond `over` and `under` the power changes by 100 % for each droop (‰ of the nominal
    frequency)."""

    over: int
    under: int
    over_droop: int
    under_droop: int
    response_ms: int = 0


class Limit(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """LimitMaxDischargeType. With `monitor` nothing is limited: what exceeds that curve trips."""

    percent: int | None = None
    monitor: Curve | None = None


class Enter(msgspec.Struct, frozen=True, tag=True, omit_defaults=True):
    """EnterServiceType: between these it may begin again after a trip, so late, and so slowly."""

    high_volts: int
    low_volts: int
    high_mhz: int
    low_mhz: int
    delay_ms: int = 0
    random_ms: int = 0
    ramp_ms: int = 0
    """From nothing to all."""


class Ramp(msgspec.Struct, frozen=True, tag=True):
    """GradientType: how long from nothing to all; 0 is not slowed."""

    ms: int
    soft_ms: int
    """At the begin of a session."""


class PowerFactor(msgspec.Struct, frozen=True, tag=True):
    """FixedPFType: cos phi in ‰; `excitation`: reactive power is absorbed."""

    displacement: int
    excitation: bool


class Reactive(msgspec.Struct, frozen=True, tag=True):
    """FixedVarType: thousandths of a percent of `unit`; negative is absorbed."""

    percent: int
    unit: str


Setting = Curve | Droop | Limit | Enter | Ramp | PowerFactor | Reactive


class Control(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One control as it is installed."""

    id: str
    kind: Kind
    default: bool
    priority: int
    """0 is the highest."""
    setting: Setting
    start: int | None = None
    end: int | None = None
    """None: it does not end by itself."""
    superseded: bool = False
    started: bool = False
    """A scheduled one: its start has come."""
    wire: str = ""
    """The setting as it came (JSON text), to be reported as it was set."""

    def holds(self, now: int) -> bool:
        """Within its time, whether superseded or not."""
        return (self.start is None or self.start <= now) and (self.end is None or now < self.end)


class Grid(msgspec.Struct, frozen=True):
    """What is measured of the grid."""

    mhz: int = 50_000
    volts: int = 100_000
    """Thousandths of a percent of the nominal voltage."""
    nominal_mhz: int = 50_000


class Rating(msgspec.Struct, frozen=True):
    """What an inverter is built for."""

    charge_mw: int
    discharge_mw: int = 0
