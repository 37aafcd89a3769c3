"""The phases of a vehicle's end as a table: what each waits for, how long, and what comes then."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import msgspec

from .ev_state import EMPTY_MV, SAFE_MA, EvPhase, EvState
from .frames import CHARGER_LIMITS, CHARGER_STATUS


class EvPhaseRule(msgspec.Struct, frozen=True):
    """One phase: what it waits for, what comes then, and how long it waits."""

    done: Callable[[EvState], bool]
    then: EvPhase
    timer: str = ""


def _weld_over(end: EvState) -> bool:
    """Nothing to test, or tested: in an emergency the charger may not bring its output down in order."""
    tested = not end.told_open and bool(end.heard.get("weld_detection_supported")) and not end.emergency
    return not tested or (end.heard.get("present_output_voltage") or 0) <= EMPTY_MV


PHASES: Final[dict[str, EvPhaseRule]] = {
    "greet": EvPhaseRule(
        lambda end: {CHARGER_LIMITS, CHARGER_STATUS} <= end.seen, "waiting", "charger frames first"
    ),
    "waiting": EvPhaseRule(lambda end: end.drive.ready, "ready"),
    "ready": EvPhaseRule(lambda end: end.pins["d2"], "contactors", "charger ready"),
    "contactors": EvPhaseRule(lambda end: end.closed, "output", "contactors"),
    "output": EvPhaseRule(
        lambda end: bool(end.heard.get("charger_charging")) and not end.heard.get("charging_stop_control"),
        "power", "output start",
    ),
    "current down": EvPhaseRule(
        lambda end: abs(end.heard.get("present_output_current") or 0) <= SAFE_MA
        and (end.heard.get("present_discharge_current") or 0) <= SAFE_MA,
        "open", "current down",
    ),
    "open": EvPhaseRule(lambda end: not end.closed, "weld"),
    "weld": EvPhaseRule(_weld_over, "charger off"),
    "charger off": EvPhaseRule(lambda end: not end.pins["d1"] and not end.pins["d2"], "over", "charger off"),
}  # fmt: skip
"""What each phase waits for; `power` waits for nothing, `plugged` for d1."""
