"""When a charger stops, in order of precedence, and what it says then (IEEE 2030.1.1 table A.26, the charger's half).

The first rule that holds names the reason; one that comes later may make an orderly stop an emergency, never the
other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pilotwire.core.evse_link import Side

Signals = Mapping[str, Any]


class StopRule(msgspec.Struct, frozen=True, kw_only=True):
    """One reason to stop, seen in the vehicle's signals and pins."""

    holds: Callable[[Signals, Mapping[str, bool], Stage], bool]
    words: str
    rule: str
    """Frame and bit."""
    code: str = ""
    """Of the Fault event; empty: an orderly end."""
    emergency: bool = False
    by: Side = "ev"


class Stage(msgspec.Struct, frozen=True):
    """How far the session is, as far as stop rules care."""

    permitted: bool
    """k and 102.5.0 have been seen: taking one back ends the session."""
    closed: bool
    """102.5.3 has been seen clear: setting it again cuts the current."""
    targeted: bool
    """A target voltage has been seen: zero ends the session."""


def _bit(name: str) -> Callable[[Signals, Mapping[str, bool], Stage], bool]:
    return lambda heard, pins, stage: bool(heard.get(name))


STOPS: Final = (
    StopRule(holds=lambda heard, pins, stage: not pins["proximity"], words="the plug was pulled", rule="pin 7",
             code="EVCommunicationError", emergency=True),
    StopRule(holds=_bit("battery_overvoltage"), words="the vehicle reports over-voltage of its battery",
             rule="102.4.0", code="OverVoltage", emergency=True),
    StopRule(holds=_bit("battery_undervoltage"), words="the vehicle reports under-voltage of its battery",
             rule="102.4.1", code="UnderVoltage", emergency=True),
    StopRule(holds=_bit("battery_current_deviation"), words="the vehicle reports a deviation of the current",
             rule="102.4.2", code="OverCurrentFailure", emergency=True),
    StopRule(holds=_bit("high_battery_temperature"), words="the vehicle reports a hot battery",
             rule="102.4.3", code="EVBatteryTemperature"),
    StopRule(holds=_bit("battery_voltage_deviation"), words="the vehicle reports a deviation of the voltage",
             rule="102.4.4", code="EVVoltageDeviation", emergency=True),
    StopRule(holds=_bit("charging_system_fault"), words="the vehicle reports a fault of its charging system",
             rule="102.5.2", code="EVSystemFault", emergency=True),
    StopRule(holds=lambda heard, pins, stage: stage.closed and bool(heard.get("vehicle_contactor_open")),
             words="the vehicle opened its contactors under load", rule="102.5.3", code="EVContactorOpened",
             emergency=True),
    StopRule(holds=lambda heard, pins, stage: not stage.permitted and pins["k"] and not heard,
             words="charge permission before the first frame", rule="pin 4", code="EVPermissionInconsistent",
             emergency=True),
    StopRule(holds=lambda heard, pins, stage: stage.permitted and not pins["k"] and
             bool(heard.get("vehicle_charging_enabled")) and not heard.get("normal_stop_request"),
             words="the vehicle took its charge permission back", rule="pin 4"),
    StopRule(holds=_bit("not_in_park"), words="the vehicle is not in park", rule="102.5.1"),
    StopRule(holds=lambda heard, pins, stage: stage.permitted and not heard.get("vehicle_charging_enabled"),
             words="the vehicle ended charging", rule="102.5.0"),
    StopRule(holds=_bit("normal_stop_request"), words="the vehicle asked to stop", rule="102.5.4"),
    StopRule(holds=lambda heard, pins, stage: stage.targeted and heard.get("target_battery_voltage") == 0,
             words="the vehicle's target voltage went to zero", rule="102.1-2"),
)  # fmt: skip


def stop_of(heard: Signals, pins: Mapping[str, bool], stage: Stage) -> StopRule | None:
    """The first rule that holds."""
    return next((rule for rule in STOPS if rule.holds(heard, pins, stage)), None)
