"""K Smart charging: profiles, composite schedules, priority, dynamic rates (1.6 section 5.5, 5.7, 5.16; 2.x K)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.core.time import to_datetime
from pilotwire.domain.schedules.model import TX, Profile
from pilotwire.domain.schedules.rules import Refusal
from pilotwire.protocols.ocpp.rpc.errors import NOT_SUPPORTED, PROPERTY_CONSTRAINT, RpcError
from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.protocols.ocpp.v21 import messages as v21
from pilotwire.station.host import Reply
from pilotwire.translate import schedules as wire

from .handling import V2, V16, V21, evse_of, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station
    from pilotwire.station.sessions import Session


def _enabled(station: Station) -> None:
    """K01.FR.29; 1.6 errata 3.39."""
    if not station.settings.flag("smart_enabled"):
        raise RpcError(NOT_SUPPORTED, "smart charging is switched off")


# ── 1.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def set_profile_16(station: Station, request: v16.SetChargingProfileRequest) -> Reply:
    _enabled(station)
    asked = request.cs_charging_profiles
    evse = evse_of(station, request.connector_id)
    if request.connector_id and evse is None:
        # Errata 3.39.
        raise RpcError(PROPERTY_CONSTRAINT, f"there is no connector {request.connector_id}")
    key: str | None = None
    if asked.charging_profile_purpose == TX and evse is not None and evse.session is not None:
        # 5.16.2: for the transaction that runs there; whether it is the one that is named, is seen here.
        key = evse.session.key if asked.transaction_id in (None, evse.session.transaction) else ""
    profile = wire.profile_16(asked, request.connector_id, key, station.clock.now())
    if station.smart_charging.check(profile) is not None:
        return Reply(v16.SetChargingProfileResponse(status="Rejected"))
    return Reply(v16.SetChargingProfileResponse(status="Accepted"), lambda: station.smart_charging.install(profile))


def clear_profile_16(station: Station, request: v16.ClearChargingProfileRequest) -> Reply:
    cleared = station.smart_charging.clear(wire.cleared_16(request))
    return Reply(v16.ClearChargingProfileResponse(status="Accepted" if cleared else "Unknown"))


def composite_schedule_16(station: Station, request: v16.GetCompositeScheduleRequest) -> Reply:
    if not 0 <= request.connector_id <= len(station.evses) or request.duration <= 0:
        return Reply(v16.GetCompositeScheduleResponse(status="Rejected"))
    now = station.clock.now()
    evse = evse_of(station, request.connector_id)
    unit = request.charging_rate_unit or ("W" if evse is not None and evse.config.dc else "A")
    if unit not in station.smart_charging.units:
        return Reply(v16.GetCompositeScheduleResponse(status="Rejected"))
    schedule = station.smart_charging.composite(request.connector_id, unit, now, request.duration)
    return Reply(
        v16.GetCompositeScheduleResponse(
            status="Accepted",
            connector_id=request.connector_id,
            schedule_start=to_datetime(now),
            charging_schedule=wire.composite_16(schedule),
        )
    )


# ── 2.x ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def set_profile(station: Station, request: Any) -> Reply:
    _enabled(station)
    m = station.messages
    asked = request.charging_profile
    key = asked.transaction_id if asked.charging_profile_purpose == TX else None
    profile = wire.profile_2(asked, request.evse_id, key, station.clock.now())
    refusal = station.smart_charging.check(profile)
    if refusal is not None:
        return Reply(m.SetChargingProfileResponse(status="Rejected", status_info=_info(m, refusal)))
    return Reply(m.SetChargingProfileResponse(status="Accepted"), lambda: station.smart_charging.install(profile))


def clear_profile(station: Station, request: Any) -> Reply:
    cleared = station.smart_charging.clear(wire.cleared_2(request))
    return Reply(station.messages.ClearChargingProfileResponse(status="Accepted" if cleared else "Unknown"))


def get_profiles(station: Station, request: Any) -> Reply:
    m = station.messages
    criteria = wire.asked(request)
    if not station.smart_charging.store.select(criteria):
        return Reply(m.GetChargingProfilesResponse(status="NoProfiles"))
    return Reply(
        m.GetChargingProfilesResponse(status="Accepted"),
        lambda: _reported(station, request.request_id, criteria),
    )


def _reported(station: Station, request_id: int, criteria: Any) -> None:
    station.smart_charging.report(request_id, criteria)


def composite_schedule(station: Station, request: Any) -> Reply:
    m = station.messages
    evse = evse_of(station, request.evse_id)
    if request.evse_id and evse is None:
        return _no_schedule(m, "UnknownEvse", f"there is no EVSE {request.evse_id}")
    if request.duration <= 0:
        return _no_schedule(m, "ValuePositiveOnly", "duration")
    unit = request.charging_rate_unit or ("W" if evse is not None and evse.config.dc else "A")
    if unit not in station.smart_charging.units:
        return _no_schedule(m, "UnsupportedRateUnit", unit)  # K08.FR.07
    schedule = station.smart_charging.composite(request.evse_id, unit, station.clock.now(), request.duration)
    return Reply(m.GetCompositeScheduleResponse(status="Accepted", schedule=wire.composite_2(m, schedule)))


def _no_schedule(m: Any, code: str, words: str) -> Reply:
    return Reply(m.GetCompositeScheduleResponse(status="Rejected", status_info=reason(m, code, words)))


# ── 2.1 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def use_priority(station: Station, request: v21.UsePriorityChargingRequest) -> Reply:
    smart = station.smart_charging
    evse = smart.evse_of(request.transaction_id)
    if evse is None:
        return Reply(
            v21.UsePriorityChargingResponse(
                status="Rejected", status_info=reason(v21, "TxNotFound", request.transaction_id)
            )
        )
    if request.activate and not smart.can_prioritize(evse):
        return Reply(
            v21.UsePriorityChargingResponse(
                status="NoProfile", status_info=reason(v21, "NotFound", "no PriorityCharging profile")
            )
        )
    key = request.transaction_id

    def then() -> None:
        # The transaction may have ended since.
        if smart.evse_of(key) == evse:
            smart.prioritize(evse, on=request.activate)

    return Reply(v21.UsePriorityChargingResponse(status="Accepted"), then)


def update_dynamic(station: Station, request: v21.UpdateDynamicScheduleRequest) -> Reply:
    refusal = station.smart_charging.update(request.charging_profile_id, wire.rates(request.schedule_update))
    if refusal is not None:
        return Reply(v21.UpdateDynamicScheduleResponse(status="Rejected", status_info=_info(v21, refusal)))
    return Reply(v21.UpdateDynamicScheduleResponse(status="Accepted"))


# ── with a remote start ──────────────────────────────────────────────────────────────────────────────────────────────


def of_start(station: Station, request: Any) -> Any:
    """The profile that comes with a remote start; None also where smart charging is off (F01.FR.12, 1.6 5.11)."""
    return request.charging_profile if station.settings.flag("smart_enabled") else None


def for_start(station: Station, asked: Any, evse_id: int | None, session: Session | None) -> Profile:
    """The profile of a remote start, for the transaction that it is about to begin."""
    make = wire.profile_16 if station.config.version == "1.6" else wire.profile_2
    key = "" if session is None else session.key
    return make(asked, evse_id or 1, key, station.clock.now())


def unfit(station: Station, asked: Any, evse_id: int | None) -> Refusal | None:
    """Why the profile of a remote start cannot be followed (K05.FR.02, .05; 1.6 5.16.2)."""
    if asked.charging_profile_purpose != TX:
        return Refusal("InvalidProfile", f"not a {TX}")
    if asked.transaction_id is not None:
        return Refusal("InvalidProfile", "the transaction has no id yet")  # F01.FR.09
    return station.smart_charging.fits(for_start(station, asked, evse_id, None))


def _info(m: Any, refusal: Refusal) -> Any:
    return reason(m, refusal.reason, refusal.text)


HANDLERS = {
    **on(
        V16,
        {
            "ClearChargingProfile": clear_profile_16,
            "GetCompositeSchedule": composite_schedule_16,
            "SetChargingProfile": set_profile_16,
        },
    ),
    **on(
        V2,
        {
            "ClearChargingProfile": clear_profile,
            "GetChargingProfiles": get_profiles,
            "GetCompositeSchedule": composite_schedule,
            "SetChargingProfile": set_profile,
        },
    ),
    **on(V21, {"UpdateDynamicSchedule": update_dynamic, "UsePriorityCharging": use_priority}),
}
