"""Block K of every version ⇄ the domain: what stations say of charging, and what their answers to our commands mean."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.structs import replace

from pilotwire.core.time import from_datetime
from pilotwire.domain import charging as domain
from pilotwire.domain.inputs import Input
from pilotwire.domain.schedules.model import TX, Composite, Unit
from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.protocols.ocpp.v21 import messages as v21

from . import schedules
from .table import Served, acknowledged

# ── what stations send ───────────────────────────────────────────────────────────────────────────────────────────────


def _reported(request: Any) -> domain.ProfilesReported:
    return domain.ProfilesReported(
        evse=request.evse_id,
        source=request.charging_limit_source,
        profiles=tuple(
            replace(
                schedules.profile_2(row, request.evse_id, row.transaction_id, 0), source=request.charging_limit_source
            )
            for row in request.charging_profile
        ),
        request_id=request.request_id,
        more=bool(request.tbc),
    )


def _limit(request: Any) -> domain.LimitNotified:
    limit = request.charging_limit
    return domain.LimitNotified(
        source=limit.charging_limit_source,
        evse=request.evse_id or 0,
        schedules=tuple(schedules.schedule_2(row) for row in request.charging_schedule or ()),
        critical=bool(limit.is_grid_critical),
        local_generation=bool(getattr(limit, "is_local_generation", None)),
    )


def _limit_cleared(request: Any) -> domain.LimitNotified:
    return domain.LimitNotified(source=request.charging_limit_source, evse=request.evse_id or 0, cleared=True)


def _priority(request: v21.NotifyPriorityChargingRequest) -> domain.PriorityNotified:
    return domain.PriorityNotified(transaction=request.transaction_id, activated=request.activated)


def _pull(request: v21.PullDynamicScheduleUpdateRequest) -> domain.RatesAsked:
    return domain.RatesAsked(profile_id=request.charging_profile_id)


def _vehicle_schedule(request: Any) -> domain.VehicleSchedule:
    return domain.VehicleSchedule(
        evse=request.evse_id,
        start=int(from_datetime(request.time_base)),
        schedule=schedules.schedule_2(request.charging_schedule),
    )


def _most(ac: Any, dc: Any, both: Any) -> tuple[Unit, int]:
    """What the vehicle can take: the unit, and how many thousandths of it. `both` are the V2XChargingParametersType,
    which have a sum of all phases, or L1 where the other phases are named too."""
    if ac is not None:
        return "A", int(ac.ev_max_current * 1000)
    if dc is not None:
        power = dc.ev_max_power or dc.ev_max_current * dc.ev_max_voltage
        return "W", int(power * 1000)
    if both is not None and both.max_charge_power is not None:
        power = both.max_charge_power + (both.max_charge_power_l2 or 0) + (both.max_charge_power_l3 or 0)
        return "W", int(power * 1000)
    return "W", 0


def _needs(request: Any) -> domain.NeedsNotified:
    needs = request.charging_needs
    parameters = needs.ac_charging_parameters or needs.dc_charging_parameters
    both = getattr(needs, "v2x_charging_parameters", None)
    energy = None if parameters is None else parameters.energy_amount
    if energy is None and both is not None:
        energy = both.ev_target_energy_request
    unit, most = _most(needs.ac_charging_parameters, needs.dc_charging_parameters, both)
    return domain.NeedsNotified(
        evse=request.evse_id,
        transfer=needs.requested_energy_transfer,
        energy_wh=None if energy is None else int(energy),
        departure=None if needs.departure_time is None else int(from_datetime(needs.departure_time)),
        max_tuples=request.max_schedule_tuples,
        unit=unit,
        most=most,
        newer=both is not None or getattr(needs, "control_mode", None) is not None,
    )


def rows_2(m: Any) -> dict[str, Served]:
    """Of 2.0.1 and 2.1, with the classes of `m`."""

    def needs_answered(outcome: domain.Verdict, now: int) -> Any:
        return m.NotifyEVChargingNeedsResponse(status=outcome.status)

    def schedule_answered(outcome: domain.Verdict, now: int) -> Any:
        return m.NotifyEVChargingScheduleResponse(status=outcome.status)

    return {
        "ReportChargingProfiles": acknowledged(_reported, m.ReportChargingProfilesResponse()),
        "NotifyChargingLimit": acknowledged(_limit, m.NotifyChargingLimitResponse()),
        "ClearedChargingLimit": acknowledged(_limit_cleared, m.ClearedChargingLimitResponse()),
        "NotifyEVChargingNeeds": Served(_needs, needs_answered),
        "NotifyEVChargingSchedule": Served(_vehicle_schedule, schedule_answered),
    }


def rows_21(m: Any) -> dict[str, Served]:
    """Of 2.1 alone."""

    def pulled(outcome: domain.RatesTold, now: int) -> Any:
        if outcome.rates is None:
            return m.PullDynamicScheduleUpdateResponse(
                status="Rejected", status_info=m.StatusInfoType(reason_code="InvalidProfile")
            )
        return m.PullDynamicScheduleUpdateResponse(
            status="Accepted", schedule_update=schedules.update_wire(outcome.rates)
        )

    return {
        "NotifyPriorityCharging": acknowledged(_priority, m.NotifyPriorityChargingResponse()),
        "PullDynamicScheduleUpdate": Served(_pull, pulled),
    }


# ── what stations answer ─────────────────────────────────────────────────────────────────────────────────────────────


def _set(request: Any, response: Any) -> Input | None:
    if response.status != "Accepted":
        return None
    if isinstance(request, v16.SetChargingProfileRequest):
        asked = request.cs_charging_profiles
        key = None if asked.transaction_id is None else str(asked.transaction_id)
        profile = schedules.profile_16(asked, request.connector_id, key, 0)
        return domain.ProfileAccepted(profile=profile, version="1.6")
    wire = request.charging_profile
    profile = schedules.profile_2(wire, request.evse_id, wire.transaction_id, 0)
    return domain.ProfileAccepted(profile=profile, version=_version(request))


def _started(request: Any, response: Any) -> Input | None:
    wire = request.charging_profile
    if response.status != "Accepted" or wire is None or wire.charging_profile_purpose != TX:
        return None
    if isinstance(request, v16.RemoteStartTransactionRequest):
        # 1.6 knows no remoteStartId: the profile is for what starts next on the connector.
        evse = request.connector_id
        if evse is None:
            return None
        profile = schedules.profile_16(wire, evse, None, 0)
        return domain.ProfileAccepted(profile=profile, version="1.6", start_id=-evse)
    profile = schedules.profile_2(wire, request.evse_id or 1, None, 0)
    return domain.ProfileAccepted(profile=profile, version=_version(request), start_id=request.remote_start_id)


def _version(request: Any) -> str:
    return "2.1" if type(request).__module__ == v21.__name__ else "2.0.1"


def _cleared(request: Any, response: Any) -> Input | None:
    # Unknown says the same: the station has none that fits.
    if isinstance(request, v16.ClearChargingProfileRequest):
        return domain.ProfilesCleared(criteria=schedules.cleared_16(request))
    return domain.ProfilesCleared(criteria=schedules.cleared_2(request))


def _updated(request: Any, response: Any) -> Input | None:
    if response.status != "Accepted":
        return None
    return domain.RatesAccepted(profile_id=request.charging_profile_id, rates=schedules.rates(request.schedule_update))


def _composite(request: Any, response: Any) -> Input | None:
    answered: Composite | None
    if isinstance(request, v16.GetCompositeScheduleRequest):
        answered = schedules.answered_16(response, request.connector_id, request.duration)
    else:
        answered = schedules.answered_2(response, request.duration)
    if answered is None:
        return None
    return domain.CompositeAnswered(answered=answered, asked_ms=request.duration * 1000)


_READERS: Mapping[str, Callable[[Any, Any], Input | None]] = {
    "SetChargingProfile": _set,
    "RemoteStartTransaction": _started,
    "RequestStartTransaction": _started,
    "ClearChargingProfile": _cleared,
    "UpdateDynamicSchedule": _updated,
    "GetCompositeSchedule": _composite,
}


def answered(action: str, request: Any, response: Any) -> Input | None:
    """What the answer to a command of ours says of a station's charging, or None."""
    reader = _READERS.get(action)
    return None if reader is None else reader(request, response)
