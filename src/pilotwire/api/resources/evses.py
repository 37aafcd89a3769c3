"""What a station is made of and how it stands: EVSEs, connectors, details."""

from __future__ import annotations

from typing import Literal

from pilotwire.core.ids import StationKey
from pilotwire.core.time import to_rfc3339
from pilotwire.domain.records import Variable

from .. import types
from ..access import Principal
from ..context import ApiContext
from ..problems import not_found
from ..queries import Queries
from .stations import station_url

SKEW_RIGHT_MS = 5_000
SKEW_OFF_MS = 300_000
_WORST = ("Faulted", "Unavailable", "SuspendedEVSE", "SuspendedEV", "Charging", "Occupied", "Preparing", "Finishing",
          "Reserved", "Available")  # fmt: skip
SUBPROTOCOLS = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1", "2.1": "ocpp2.1"}
_INTERVALS = (("", "HeartbeatInterval"), ("", "HeartBeatInterval"), ("OCPPCommCtrlr", "HeartbeatInterval"))


async def connectors(context: ApiContext, principal: Principal, station_id: str) -> list[types.Connector]:
    """Every connector. Raises Problem 404."""
    principal.need("stations:read")
    return (await Queries(context, principal).station(station_id)).connectors


async def evses(context: ApiContext, principal: Principal, station_id: str) -> list[types.Evse]:
    """Every EVSE with its connectors. Raises Problem 404."""
    principal.need("stations:read")
    return evses_of(await Queries(context, principal).station(station_id))


async def evse(context: ApiContext, principal: Principal, station_id: str, number: int) -> types.Evse:
    """One EVSE. Raises Problem 404."""
    for one in await evses(context, principal, station_id):
        if one.evse == number:
            return one
    raise not_found(f"EVSE of {station_id}", str(number))


def evses_of(station: types.Station) -> list[types.Evse]:
    """A station's connectors by EVSE; what concerns the whole station (EVSE 0) belongs to none."""
    by_number: dict[int, list[types.Connector]] = {}
    for one in station.connectors:
        if one.evse:
            by_number.setdefault(one.evse, []).append(one)
    return [
        types.Evse(
            evse=number,
            status=min((one.status for one in found), key=_rank),
            power_w=sum(one.power_w for one in found),
            session_id=next((one.session_id for one in found if one.session_id), None),
            connectors=found,
        )
        for number, found in sorted(by_number.items())
    ]


def _rank(status: str) -> int:
    return _WORST.index(status) if status in _WORST else len(_WORST)


def clock_verdict(skew_ms: int, known: bool) -> Literal["unknown", "right", "off", "wrong"]:
    """What a station's clock is worth."""
    if not known:
        return "unknown"
    if abs(skew_ms) <= SKEW_RIGHT_MS:
        return "right"
    return "off" if abs(skew_ms) <= SKEW_OFF_MS else "wrong"


def heartbeat_interval(variables: list[Variable]) -> int | None:
    """The interval in s that a station reported; None where it did not, or not as a number."""
    for one in variables:
        if (one.component, one.variable) in _INTERVALS and (one.value or "").isdecimal():
            return int(one.value or 0)
    return None


async def details(context: ApiContext, principal: Principal, station_id: str) -> types.StationDetails:
    """All about a station's account, link, clock and firmware. Raises Problem 404."""
    principal.need("stations:read")
    key = StationKey(principal.tenant, station_id)
    shown = await Queries(context, principal).station(station_id)
    record, account = await context.store.station(key), await context.store.account(key)
    variables = await context.store.variables(key)
    profile = account.security_profile if account else None
    seen = record.last_seen if record else 0
    return types.StationDetails(
        id=station_id,
        url=station_url(context, key, profile if profile is not None else shown.security_profile),
        user=station_id,
        password_set=bool(account and account.password),
        security_profile=profile,
        security_profile_used=record.security_profile if record and record.epoch else None,
        organization=account.organization if account else "",
        certificate_name=(account.serial or account.id) if account and profile == 3 else "",
        registered=shown.registered,
        enabled=shown.enabled,
        boot=account.boot if account else None,
        boot_status=shown.boot_status,
        booted_at=shown.booted_at,
        created_at=to_rfc3339(account.created_at) if account and account.created_at else None,
        ocpp_version=shown.ocpp_version,
        subprotocol=SUBPROTOCOLS.get(shown.ocpp_version or ""),
        peer=shown.peer,
        connected=shown.connected,
        connected_at=shown.connected_at,
        disconnected_at=shown.disconnected_at,
        last_seen=shown.last_seen,
        silent_s=max(0, (context.scheduler.now() - seen) // 1000) if seen else None,
        connections=record.epoch if record else 0,
        clock_skew_ms=shown.clock_skew_ms,
        clock_verdict=clock_verdict(shown.clock_skew_ms, bool(record and record.clock)),
        heartbeat_interval_s=heartbeat_interval(variables),
        vendor=shown.vendor,
        model=shown.model,
        serial=shown.serial,
        firmware=shown.firmware,
        firmware_status=shown.firmware_status,
        variables=len(variables),
    )
