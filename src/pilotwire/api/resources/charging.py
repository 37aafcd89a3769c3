"""How a station's charging is limited: its profiles as it has accepted or reported them, and what follows."""

from __future__ import annotations

from typing import Literal, cast

from pilotwire.core.ids import StationKey
from pilotwire.core.time import to_rfc3339
from pilotwire.domain import records
from pilotwire.domain.schedules.engine import Engine
from pilotwire.domain.schedules.model import Circumstances, Composite, Place, Profile, Transaction

from .. import types
from ..access import Principal
from ..context import ApiContext
from ..queries import Queries

_HOUR_MS = 3_600_000


async def of_station(
    context: ApiContext, principal: Principal, station_id: str, *, unit: Literal["A", "W"] = "W", hours: int = 24
) -> types.StationCharging:
    """Profiles, and the composite schedule of each EVSE for so many hours from now. Raises Problem 404."""
    principal.need("stations:read")
    queries = Queries(context, principal)
    await queries.station(station_id)
    record = await context.store.station(StationKey(principal.tenant, station_id))
    if record is None:
        return types.StationCharging(profiles=[], limited_by=[], priority=[], schedules=[])
    charging = record.charging or records.Charging()
    page = await context.store.sessions(principal.tenant, station=station_id, status="active", limit=100)
    return types.StationCharging(
        profiles=[_profile(one) for one in charging.profiles],
        limited_by=list(charging.elsewhere),
        priority=list(charging.priority),
        schedules=_schedules(
            record, charging, cast("list[records.Session]", page.items), context.scheduler.now(), unit, hours
        ),
    )


def _schedules(
    record: records.Station,
    charging: records.Charging,
    sessions: list[records.Session],
    now: int,
    unit: Literal["A", "W"],
    hours: int,
) -> list[types.ExpectedSchedule]:
    evses = sorted({one.evse for one in record.connectors if one.evse})
    kinds = {} if record.pricing is None else record.pricing.kinds
    around = Circumstances(
        places={evse: Place(400_000, 1, dc=True) if kinds.get(evse) == "DC" else Place() for evse in (0, *evses)},
        transactions={
            one.evse: Transaction(
                key=one.transaction,
                start=one.reported_start or one.started_at,
                priority=one.transaction in charging.priority,
            )
            for one in sessions
        },
    )
    engine = Engine(tuple(charging.profiles))
    begin = now + record.skew_ms
    if any(profile.evse == 0 for profile in charging.profiles):
        evses = [0, *evses]
    return [
        _schedule(
            engine.composite(now=begin, duration_ms=hours * _HOUR_MS, evse=evse, unit=unit, around=around),
            record.skew_ms,
        )
        for evse in evses
    ]


def _schedule(found: Composite, skew_ms: int) -> types.ExpectedSchedule:
    begin = found.start - skew_ms  # by our clock
    return types.ExpectedSchedule(
        evse=found.evse,
        unit=found.unit,
        start=to_rfc3339(begin),
        duration_s=found.duration_ms // 1000,
        steps=[
            types.ScheduleStep(
                time=to_rfc3339(begin + each.start_ms),
                limit=None
                if each.limit is None
                else (each.limit + ((each.limit_l2 or 0) + (each.limit_l3 or 0) if found.unit == "W" else 0)) / 1000,
            )
            for each in found.intervals
        ],
    )


def _profile(one: Profile) -> types.InstalledProfile:
    schedule = one.schedules[0]
    return types.InstalledProfile(
        id=one.id,
        evse=one.evse,
        purpose=one.purpose,
        kind=one.kind,
        recurrency=one.recurrency,
        stack_level=one.stack,
        source=one.source,
        transaction=one.transaction,
        valid_from=_time(one.valid_from),
        valid_to=_time(one.valid_to),
        unit=schedule.unit,
        start=_time(schedule.start),
        duration_s=None if schedule.duration_ms is None else schedule.duration_ms // 1000,
        periods=[
            types.ChargingProfilePeriod(
                start_s=each.start_ms // 1000,
                limit=None if each.limit is None else each.limit / 1000,
                phases=each.phases,
                mode=each.mode,
            )
            for each in schedule.periods
        ],
    )


def _time(at: int | None) -> str | None:
    if at is None:
        return None
    try:
        return to_rfc3339(at)
    except (OverflowError, ValueError):
        return None
