"""Charging profiles that are asked of us and must not be sent (`domain.schedules.sending`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.domain.schedules import sending
from pilotwire.domain.schedules.model import Profile
from pilotwire.translate import schedules

if TYPE_CHECKING:
    from .actor import StationActor


def profile_set(actor: StationActor, request: Any) -> str:
    """SetChargingProfile."""
    station = actor.known().station
    now = actor.around.now() + station.skew_ms
    if actor.version == "1.6":
        profile = _profile_16(request.cs_charging_profiles, request.connector_id)
    else:
        asked = request.charging_profile
        profile = schedules.profile_2(asked, request.evse_id, asked.transaction_id, now)
    charging, kept = station.charging, station.kept
    limits = {} if kept is None else kept.limits
    known = sending.Known(
        version=actor.version,
        now=now,
        profiles=() if charging is None else charging.profiles,
        planning=() if charging is None else charging.planning,
        phase_switching=bool(limits.get(f"phase switching {profile.evse}") or limits.get("phase switching")),
        highest_external=limits.get("external ids"),
    )
    return sending.objection(profile, known)


def started(actor: StationActor, request: Any) -> str:
    """RequestStartTransaction, RemoteStartTransaction: the profile that goes with it."""
    asked = request.charging_profile
    if asked is None:
        return ""
    if actor.version == "1.6":
        return sending.with_start(_profile_16(asked, request.connector_id or 1))
    return sending.with_start(schedules.profile_2(asked, request.evse_id or 1, asked.transaction_id, 0))


def cleared(actor: StationActor, request: Any) -> str:
    """ClearChargingProfile."""
    criteria = schedules.cleared_16(request) if actor.version == "1.6" else schedules.cleared_2(request)
    return sending.clearing(criteria, actor.version)


def _profile_16(asked: Any, connector: int) -> Profile:
    transaction = None if asked.transaction_id is None else str(asked.transaction_id)
    return schedules.profile_16(asked, connector, transaction, 0)
