"""When a vehicle stops, in order of precedence (IEEE 2030.1.1 table A.26, the vehicle's half)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from pilotwire.core.evse_link import Side


class EvStopRule(msgspec.Struct, frozen=True, kw_only=True):
    """One reason to stop, seen in the charger's signals and pins."""

    holds: Callable[[Mapping[str, Any], Mapping[str, bool], bool, bool], bool]
    """Signals, pins, whether d2 has been seen, whether power has flowed."""
    words: str
    rule: str
    code: str = ""
    emergency: bool = False
    by: Side = "evse"


def _bit(name: str) -> Callable[[Mapping[str, Any], Mapping[str, bool], bool, bool], bool]:
    return lambda heard, pins, ready, powered: bool(heard.get(name))


STOPS: Final = (
    EvStopRule(holds=lambda heard, pins, ready, powered: not pins["proximity"], words="the plug was pulled",
               rule="pin 7", code="ChargerCommunicationError", emergency=True, by="ev"),
    EvStopRule(holds=_bit("charger_malfunction"), words="the charger reports a malfunction", rule="109.5.1",
               code="ChargerMalfunction", emergency=True),
    EvStopRule(holds=_bit("battery_incompatible"), words="the charger finds the battery incompatible",
               rule="109.5.3", code="EVIncompatible", emergency=True),
    EvStopRule(holds=_bit("charging_system_malfunction"), words="the charger reports a fault of the charging system",
               rule="109.5.4", code="ChargingSystemFault", emergency=True),
    EvStopRule(holds=lambda heard, pins, ready, powered: not pins["d1"], words="the charger took d1 away",
               rule="pin 2", code="ChargerEmergencyStop", emergency=True),
    EvStopRule(holds=lambda heard, pins, ready, powered: ready and not pins["d2"], words="the charger took d2 away",
               rule="pin 10", code="ChargerEmergencyStop", emergency=True),
    EvStopRule(holds=lambda heard, pins, ready, powered: powered and bool(heard.get("charging_stop_control")),
               words="the charger ended charging", rule="109.5.5"),
    EvStopRule(holds=lambda heard, pins, ready, powered: powered and not heard.get("charger_charging"),
               words="the charger is not charging any more", rule="109.5.0"),
)  # fmt: skip


def stop_of(heard: Mapping[str, Any], pins: Mapping[str, bool], *, ready: bool, powered: bool) -> EvStopRule | None:
    """The first rule that holds."""
    return next((rule for rule in STOPS if rule.holds(heard, pins, ready, powered)), None)
