"""K Smart charging: profiles and composite schedules (1.6 section 5.5, 5.7, 5.16; 2.x K01, K08, K10)."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pilotwire.core.quantities import scaled
from pilotwire.core.time import from_datetime, to_datetime
from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station.host import Reply
from pilotwire.station.profiles import EXTERNAL, STATION_MAX, TX, TX_DEFAULT, Period, Profile, Schedule
from pilotwire.station.schedules import to_wire

from .handling import V2, V16, evse_of, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_PURPOSE_16 = {"ChargePointMaxProfile": STATION_MAX}
_SUPPORTED = (STATION_MAX, TX_DEFAULT, TX)


# ── 1.6 ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def set_profile_16(station: Station, request: v16.SetChargingProfileRequest) -> Reply:
    wire = request.cs_charging_profiles
    rejected = Reply(v16.SetChargingProfileResponse(status="Rejected"))
    if request.connector_id > len(station.evses) or request.connector_id < 0 or not valid_16(station, wire):
        return rejected
    session_key: str | None = None
    if wire.charging_profile_purpose == TX:
        # 5.16.2: only with a running transaction on that connector.
        session = station.evses[request.connector_id - 1].session if request.connector_id else None
        if session is None or (wire.transaction_id is not None and wire.transaction_id != session.transaction):
            return rejected
        session_key = session.key
    elif wire.charging_profile_purpose == "ChargePointMaxProfile" and request.connector_id != 0:
        return rejected
    profile = profile_16(wire, request.connector_id, session_key)

    def then() -> None:
        station.energy.profiles.put(profile)
        station.energy.profiles_changed()

    return Reply(v16.SetChargingProfileResponse(status="Accepted"), then)


def clear_profile_16(station: Station, request: v16.ClearChargingProfileRequest) -> Reply:
    purpose = request.charging_profile_purpose
    wanted = None if purpose is None else _PURPOSE_16.get(purpose, purpose)

    def matches(profile: Profile) -> bool:
        if request.id is not None:
            return profile.id == request.id
        return (
            (request.connector_id is None or profile.evse == request.connector_id)
            and (wanted is None or profile.purpose == wanted)
            and (request.stack_level is None or profile.stack == request.stack_level)
        )

    cleared = station.energy.clear_profiles(matches)
    return Reply(v16.ClearChargingProfileResponse(status="Accepted" if cleared else "Unknown"))


def composite_schedule_16(station: Station, request: v16.GetCompositeScheduleRequest) -> Reply:
    if not 0 <= request.connector_id <= len(station.evses) or request.duration < 0:
        return Reply(v16.GetCompositeScheduleResponse(status="Rejected"))
    now = station.clock.now()
    evse = evse_of(station, request.connector_id)
    unit = request.charging_rate_unit or ("W" if evse is not None and evse.config.dc else "A")
    rows = station.energy.schedule(evse, unit, now, request.duration)
    return Reply(
        v16.GetCompositeScheduleResponse(
            status="Accepted",
            connector_id=request.connector_id,
            schedule_start=to_datetime(now),
            charging_schedule=v16.ChargingSchedule(
                charging_rate_unit=unit,
                duration=request.duration,
                charging_schedule_period=[
                    v16.ChargingSchedulePeriod(start_period=start, limit=to_wire(value)) for start, value in rows
                ],
            ),
        )
    )


def valid_16(station: Station, wire: v16.ChargingProfile) -> bool:
    """Whether the profile is one that this station can follow."""
    periods = wire.charging_schedule.charging_schedule_period
    settings = station.settings
    return (
        0 <= wire.stack_level <= settings.number("max_stack")
        and 1 <= len(periods) <= settings.number("max_periods")
        and periods[0].start_period == 0
        and all(a.start_period < b.start_period for a, b in pairwise(periods))
        and all(period.limit >= 0 for period in periods)
        and not (wire.charging_profile_kind == "Recurring" and wire.recurrency_kind is None)
        and not (wire.charging_profile_purpose == "ChargePointMaxProfile" and wire.charging_profile_kind == "Relative")
        and len(station.energy.profiles) < settings.number("max_profiles")
    )


def profile_16(wire: v16.ChargingProfile, evse: int, session: str | None) -> Profile:
    """`wire` as the station keeps it, for `evse` and the session of that key."""
    schedule = wire.charging_schedule
    return Profile(
        id=wire.charging_profile_id,
        evse=evse,
        stack=wire.stack_level,
        purpose=_PURPOSE_16.get(wire.charging_profile_purpose, wire.charging_profile_purpose),
        kind=wire.charging_profile_kind,
        recurrency=wire.recurrency_kind,
        valid_from=None if wire.valid_from is None else int(from_datetime(wire.valid_from)),
        valid_to=None if wire.valid_to is None else int(from_datetime(wire.valid_to)),
        session=session,
        schedule=Schedule(
            unit=schedule.charging_rate_unit,
            periods=tuple(
                Period(period.start_period * 1000, scaled(period.limit, 3), period.number_phases)
                for period in schedule.charging_schedule_period
            ),
            start=None if schedule.start_schedule is None else int(from_datetime(schedule.start_schedule)),
            duration_ms=None if schedule.duration is None else schedule.duration * 1000,
        ),
    )


# ── 2.x ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def set_profile(station: Station, request: Any) -> Reply:
    m = station.messages
    wire = request.charging_profile
    purpose = wire.charging_profile_purpose
    rejected = Reply(m.SetChargingProfileResponse(status="Rejected"))
    if not 0 <= request.evse_id <= len(station.evses) or purpose not in _SUPPORTED or not valid(station, wire):
        return rejected
    session_key: str | None = None
    if purpose == TX:
        # K01.FR.09, .16, .33: only for the transaction that runs on that EVSE.
        session = station.evses[request.evse_id - 1].session if request.evse_id else None
        if session is None or wire.transaction_id != session.key:
            return rejected
        session_key = session.key
    elif purpose == STATION_MAX and (request.evse_id != 0 or wire.charging_profile_kind == "Relative"):
        return rejected  # K01.FR.38
    wanted = profile(wire, request.evse_id, session_key)

    def then() -> None:
        station.energy.profiles.put(wanted)
        station.energy.profiles_changed()

    return Reply(m.SetChargingProfileResponse(status="Accepted"), then)


def valid(station: Station, wire: Any) -> bool:
    """Whether the ChargingProfileType is one that this station can follow."""
    settings = station.settings
    if len(wire.charging_schedule) != 1 or wire.charging_profile_kind not in ("Absolute", "Recurring", "Relative"):
        return False
    schedule = wire.charging_schedule[0]
    periods = schedule.charging_schedule_period
    return (
        0 <= wire.stack_level <= settings.number("max_stack")
        and len(periods) <= settings.number("max_periods")
        and periods[0].start_period == 0
        and all(a.start_period < b.start_period for a, b in pairwise(periods))
        and all(period.limit is not None and period.limit >= 0 for period in periods)
        and not (wire.charging_profile_kind == "Recurring" and wire.recurrency_kind is None)
        and len(station.energy.profiles) < settings.number("max_profiles")
    )


def clear_profile(station: Station, request: Any) -> Reply:
    criteria = request.charging_profile_criteria

    def matches(profile: Profile) -> bool:
        if profile.purpose == EXTERNAL:
            return False  # K10.FR.06
        if request.charging_profile_id is not None:
            return profile.id == request.charging_profile_id
        if criteria is None:
            return True
        return (
            (criteria.evse_id is None or profile.evse == criteria.evse_id)
            and (criteria.charging_profile_purpose in (None, profile.purpose))
            and (criteria.stack_level is None or profile.stack == criteria.stack_level)
        )

    cleared = station.energy.clear_profiles(matches)
    return Reply(station.messages.ClearChargingProfileResponse(status="Accepted" if cleared else "Unknown"))


def composite_schedule(station: Station, request: Any) -> Reply:
    m = station.messages
    if not 0 <= request.evse_id <= len(station.evses) or request.duration <= 0:
        return Reply(m.GetCompositeScheduleResponse(status="Rejected"))
    now = station.clock.now()
    evse = evse_of(station, request.evse_id)
    unit = request.charging_rate_unit or ("W" if evse is not None and evse.config.dc else "A")
    rows = station.energy.schedule(evse, unit, now, request.duration)
    return Reply(
        m.GetCompositeScheduleResponse(
            status="Accepted",
            schedule=m.CompositeScheduleType(
                evse_id=request.evse_id,
                duration=request.duration,
                schedule_start=to_datetime(now),
                charging_rate_unit=unit,
                charging_schedule_period=[
                    m.ChargingSchedulePeriodType(start_period=start, limit=to_wire(value)) for start, value in rows
                ],
            ),
        )
    )


def profile(wire: Any, evse: int, session: str | None) -> Profile:
    """`wire` as the station keeps it, for `evse` and the session of that key."""
    schedule = wire.charging_schedule[0]
    return Profile(
        id=wire.id,
        evse=evse,
        stack=wire.stack_level,
        purpose=wire.charging_profile_purpose,
        kind=wire.charging_profile_kind,
        recurrency=wire.recurrency_kind,
        valid_from=None if wire.valid_from is None else int(from_datetime(wire.valid_from)),
        valid_to=None if wire.valid_to is None else int(from_datetime(wire.valid_to)),
        session=session,
        schedule=Schedule(
            unit=schedule.charging_rate_unit,
            periods=tuple(
                Period(period.start_period * 1000, scaled(period.limit, 3), period.number_phases)
                for period in schedule.charging_schedule_period
            ),
            start=None if schedule.start_schedule is None else int(from_datetime(schedule.start_schedule)),
            duration_ms=None if schedule.duration is None else schedule.duration * 1000,
        ),
    )


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
            "GetCompositeSchedule": composite_schedule,
            "SetChargingProfile": set_profile,
        },
    ),
}
