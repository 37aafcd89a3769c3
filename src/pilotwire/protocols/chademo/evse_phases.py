"""The phases of a charger's end as a table: what each waits for, how long, and what comes then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from .evse_state import EMPTY_MV, SAFE_MA, TESTED_MV, EvseState, Phase
from .frames import LIMITS, STATUS, TIMES


class PhaseRule(msgspec.Struct, frozen=True):
    """One phase: what it waits for, how long, and what comes then."""

    done: Callable[[EvseState], bool]
    then: Phase
    timer: str = ""


_has_started: Final = frozenset({LIMITS, TIMES, STATUS})
PHASES: Final[dict[str, PhaseRule]] = {
    "authorize": PhaseRule(lambda end: end.accepted and end.offer is not None, "wake"),
    "wake": PhaseRule(
        lambda end: end.seen >= _has_started,
        "negotiate", "CAN start",
    ),
    "negotiate": PhaseRule(
        lambda end: end.pins["k"] and bool(end.heard.get("vehicle_charging_enabled")), "lock", "vehicle permission"
    ),
    "lock": PhaseRule(lambda end: end.locked, "insulation", "connector lock"),
    "insulation": PhaseRule(lambda end: end.isolation is not None, "discharged", "insulation test"),
    "discharged": PhaseRule(lambda end: end.measured.mv < TESTED_MV, "vehicle contactors", "output discharged"),
    "vehicle contactors": PhaseRule(
        lambda end: not end.heard["vehicle_contactor_open"], "output contactor", "vehicle contactors"
    ),
    "output contactor": PhaseRule(lambda end: end.closed, "power", "output contactor"),
    "current down": PhaseRule(lambda end: abs(end.measured.ma) <= SAFE_MA, "contactors open", "current down"),
    "contactors open": PhaseRule(
        # Without d1 and d2 the vehicle's contactors have no current to hold them.
        lambda end: end.emergency or end.heard.get("vehicle_contactor_open") is not False, "voltage down",
        "vehicle contactors open",
    ),
    "voltage down": PhaseRule(lambda end: end.measured.mv <= EMPTY_MV, "unlock", "voltage down"),
    "unlock": PhaseRule(lambda end: not end.locked, "over", "connector lock"),
}  # fmt: skip
"""What each phase waits for; `power`, `unplugged` and `over` wait for nothing of their own."""
