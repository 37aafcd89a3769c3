"""What the parts of a DC power stage are to the rest of the station, in the shape of EVerest's interfaces.

The simulators beside this module keep them, and so does hardware behind a driver. All of them are told the time.
Quantities are integers: mV, mA, mW, Wh, ohm. What flows into the vehicle is positive.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, Protocol

import msgspec

Mode = Literal["Off", "Export", "Import", "Fault"]
Phase = Literal["Other", "CableCheck", "PreCharge", "Charging"]
MEASURE_MS = 250
"""How often a power supply tells voltage and current: 4 Hz."""


class Capabilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a power supply can do now; told again whenever it changes (derating, modules lost)."""

    max_export_mv: int
    min_export_mv: int
    max_export_ma: int
    min_export_ma: int = 0
    max_export_mw: int
    bidirectional: bool = False
    max_import_mv: int = 0
    min_import_mv: int = 0
    max_import_ma: int = 0
    max_import_mw: int = 0
    current_regulation_tolerance_ma: int = 1_000
    peak_current_ripple_ma: int = 500


class VoltageCurrent(msgspec.Struct, frozen=True):
    """What is at an output."""

    mv: int
    ma: int


class SupplyError(msgspec.Struct, frozen=True):
    """Something is wrong; `code` is one of IEC 61851's minimum error codes, where one fits."""

    code: str
    text: str


class PowerSupplyDc(Protocol):
    """One output's power supply. `told` hears `Capabilities`, `VoltageCurrent` (4 Hz), `SupplyError` and the mode."""

    mode: Mode
    told: Callable[[Capabilities | VoltageCurrent | SupplyError | Mode], None]

    def set_mode(self, mode: Mode, phase: Phase = "Other") -> None:
        """Off is reached when the mode is told as Off: current is safe for contactors by then."""
        ...

    def set_export(self, mv: int, ma: int) -> None:
        """Voltage to keep and current limit; within the capabilities."""
        ...

    def set_import(self, mv: int, ma: int) -> None:
        """Draw no more than `ma` for as long as the voltage is above `mv`; ignored if not bidirectional."""
        ...


class IsolationMonitor(Protocol):
    """IEC 61557-8. `told` hears the resistance (ohm) at intervals while it runs, True or False after a self test."""

    told: Callable[[int | bool], None]

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def start_self_test(self, mv: int) -> None:
        """With `mv` at the outlet. Returns at once; the result may take 10 s and more."""
        ...


class OverVoltageMonitor(Protocol):
    """IEC 61851-23:2023, 6.3.1.106. `told` hears `SupplyError` ("OverVoltage"), once until `reset`."""

    told: Callable[[SupplyError], None]

    def set_limits(self, emergency_mv: int, error_mv: int) -> None: ...

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def reset(self) -> None: ...


class MeterReading(msgspec.Struct, frozen=True):
    """A DC meter's registers."""

    mv: int
    ma: int
    mw: int
    import_wh: int
    """Into the vehicle."""
    export_wh: int = 0


class DcMeter(Protocol):
    """The meter at an outlet; counts energy by itself."""

    meter_id: str
    told: Callable[[MeterReading], None]

    def read(self) -> MeterReading: ...
