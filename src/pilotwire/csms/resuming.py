"""Transactions that go on after a restart of their station (2.1 B13.FR.31, E17.FR.15): their profiles are set again.

A station loses TxProfiles with a restart unless it says otherwise (SmartChargingCtrlr.ChargingProfilePersistence); the
limits of what it then resumes would be gone with them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from pilotwire.domain.context import Decision
from pilotwire.domain.inputs import Input, TransactionEvent
from pilotwire.protocols.ocpp.version import load
from pilotwire.translate.schedules import profile_wire

if TYPE_CHECKING:
    from .actor import StationActor

_ACTION = "SetChargingProfile"


def profiles_again(actor: StationActor, given: Input, decision: Decision) -> None:
    """A TransactionEvent is answered and durable."""
    if not isinstance(given, TransactionEvent) or given.trigger != "TxResumed" or actor.version != "2.1":
        return
    charging = actor.known().station.charging
    m: Any = import_module("pilotwire.protocols.ocpp.v21.messages")
    for profile in () if charging is None else charging.lost:
        if profile.transaction == given.transaction:
            request = m.SetChargingProfileRequest(evse_id=profile.evse, charging_profile=profile_wire(m, profile))
            actor.outbox.ask(_ACTION, load("2.1").actions[_ACTION].encode(request))
