"""The state of an EVSE as a table, and how the versions name it.

`phase` says how far a charging session has come; what overlays it (fault, unavailability, reservation) is decided in
`status`. The table knows no version: 1.6 shows nine statuses (its section 7.7), 2.x five connector statuses
(ConnectorStatusEnumType) and beside them the charging state of the transaction (ChargingStateEnumType).
An event that a phase has no row for leaves it as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

Phase = Literal[
    "Idle", "Plugged", "Authorized", "Ready", "Charging", "SuspendedEV", "SuspendedEVSE", "Parted", "Finishing"
]
"""Authorized: let in, no cable yet. Ready: cable and authorization are there, power not yet. Parted (2.x): let in, the
cable was pulled at the car and may come back (E10)."""

Event = Literal["plug", "unplug", "part", "authorize", "deauthorize", "energize", "ev-pause", "evse-pause", "end"]

IN_SESSION: frozenset[Phase] = frozenset({"Ready", "Charging", "SuspendedEV", "SuspendedEVSE"})

_UNUSED: frozenset[Phase] = frozenset({"Idle", "Plugged"})
"""Nobody has been let in: a reservation shows (H03: a cable alone does not use it up)."""

_WITHIN_SESSION: Mapping[Event, Phase] = {
    "energize": "Charging",
    "ev-pause": "SuspendedEV",
    "evse-pause": "SuspendedEVSE",
    "part": "Parted",
    "deauthorize": "Plugged",
    "end": "Finishing",
}

TRANSITIONS: Mapping[tuple[Phase, Event], Phase] = {
    ("Idle", "plug"): "Plugged",
    ("Idle", "authorize"): "Authorized",
    ("Plugged", "authorize"): "Ready",
    ("Plugged", "unplug"): "Idle",
    ("Authorized", "plug"): "Ready",
    ("Authorized", "deauthorize"): "Idle",
    ("Parted", "plug"): "Ready",
    ("Parted", "deauthorize"): "Idle",
    ("Finishing", "authorize"): "Ready",
    ("Finishing", "unplug"): "Idle",
    **{(phase, event): after for phase in IN_SESSION for event, after in _WITHIN_SESSION.items()},
}

_STATUS_16: Mapping[Phase, str] = {
    "Idle": "Available",
    "Plugged": "Preparing",
    "Authorized": "Preparing",
    "Ready": "Preparing",
    "Charging": "Charging",
    "SuspendedEV": "SuspendedEV",
    "SuspendedEVSE": "SuspendedEVSE",
    "Parted": "SuspendedEV",
    "Finishing": "Finishing",
}

_CHARGING_STATE: Mapping[Phase, str] = {
    "Idle": "Idle",
    "Plugged": "EVConnected",
    "Authorized": "Idle",
    "Ready": "EVConnected",
    "Charging": "Charging",
    "SuspendedEV": "SuspendedEV",
    "SuspendedEVSE": "SuspendedEVSE",
    "Parted": "Idle",
    "Finishing": "EVConnected",
}


def after(phase: Phase, event: Event) -> Phase:
    """The phase that `event` leads to."""
    return TRANSITIONS.get((phase, event), phase)


def status_16(phase: Phase, *, faulted: bool, available: bool, reserved: bool = False) -> str:
    """ChargePointStatus. A session goes on under a pending change to Unavailable."""
    if faulted:
        return "Faulted"
    if not available and phase not in IN_SESSION:
        return "Unavailable"
    if reserved and phase in _UNUSED:
        return "Reserved"
    return _STATUS_16[phase]


def status_2(phase: Phase, *, faulted: bool, available: bool, plugged: bool, reserved: bool = False) -> str:
    """ConnectorStatusEnumType."""
    if faulted:
        return "Faulted"
    if not available and phase not in IN_SESSION:
        return "Unavailable"
    if reserved and phase in _UNUSED:
        return "Reserved"
    return "Occupied" if plugged or phase in IN_SESSION or phase == "Parted" else "Available"


def charging_state(phase: Phase) -> str:
    """ChargingStateEnumType."""
    return _CHARGING_STATE[phase]
