"""From records of the store to types of the API."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.domain import records
from pilotwire.domain.tariffs import bill as bills

from . import types


def _time(value: int | None) -> str | None:
    """None for "never" (None or 0) and for an instant that no calendar has."""
    if not value:
        return None
    try:
        return to_rfc3339(value)
    except (OverflowError, ValueError):
        return None


def _moment(value: int) -> str:
    return _time(value) or to_rfc3339(0)


def connector(record: records.Connector) -> types.Connector:
    return types.Connector(
        evse=record.evse,
        connector=record.connector,
        status=record.status,
        status_since=_time(record.since),
        error_code=record.error_code,
        info=record.info,
        power_w=record.power_w,
        session_id=record.session_id or None,
    )


def _place(one: records.Connector) -> tuple[int, int]:
    return one.evse, one.connector


def station(station_id: str, record: records.Station | None, account: records.StationAccount | None) -> types.Station:
    """A station from what it told and from its account; either may be missing."""
    known = record or records.Station(tenant="", id=station_id)
    places = known.connectors
    if len(places) > 1:
        places = sorted(places, key=_place)
    connectors = [connector(one) for one in places]
    return types.Station(
        id=station_id,
        connected=known.connected,
        ocpp_version=known.ocpp_version or None,
        vendor=known.vendor,
        model=known.model,
        serial=known.serial,
        firmware=known.firmware,
        firmware_status=known.firmware_status,
        boot_status=known.boot_status or None,
        booted_at=_time(known.booted_at),
        connected_at=_time(known.connected_at),
        disconnected_at=_time(known.disconnected_at),
        last_seen=_time(known.last_seen),
        peer=known.peer,
        security_profile=account.security_profile if account else known.security_profile,
        clock_skew_ms=known.skew_ms,
        power_w=sum(one.power_w for one in connectors),
        registered=account is not None,
        enabled=account.enabled if account else True,
        note=account.note if account else "",
        site=account.site if account else "",
        connectors=connectors,
    )


def cost(record: records.Session) -> types.Cost | None:
    """What a session costs, as far as it is known; None where it has no tariff."""
    bill = record.bill
    if bill is None:
        return None
    amount = bill.amount if bill.amount is not None else None if bill.told is None else bill.told.amount
    if amount is None:
        return None
    told = bill.told
    return types.Cost(
        amount=str(amount),
        currency=bill.currency,
        tariff_id=bill.tariff_id,
        chosen=bill.why,  # type: ignore[arg-type]
        final=record.reported_stop is not None and (bill.complete or (told is not None and told.final)),
        station_amount=None if told is None or told.failed else str(told.amount),
        agrees=bills.agrees(bill),
    )


def session(record: records.Session) -> types.Session:
    return types.Session(
        id=record.id,
        station_id=record.station_id,
        evse=record.evse,
        connector=record.connector,
        transaction=record.transaction,
        token=record.token,
        token_type=record.token_type,
        status="active" if record.status == "active" else "ended",
        started_at=_moment(record.started_at),
        ended_at=_time(record.ended_at),
        updated_at=_time(record.updated_at),
        energy_wh=record.energy_wh,
        power_w=record.power_w if record.status == "active" else 0,
        soc_percent=None if record.soc is None else record.soc / 10,
        meter_start_wh=record.meter_start_wh,
        meter_stop_wh=record.meter_stop_wh,
        charging_state=record.charging_state,
        stop_reason=record.stop_reason or None,
        ocpp_version=record.ocpp_version,
        flags=list(record.flags),
        cost=None if record.bill is None else cost(record),
        vehicle=None if record.vehicle is None else vehicle(record.vehicle),
    )


def vehicle(record: records.SessionVehicle) -> types.SessionVehicle:
    """What a vehicle has told."""
    return types.SessionVehicle(
        name=record.name or None,
        name_type=record.name_type or None,  # type: ignore[arg-type]
        energy_transfer=record.transfer or None,
        energy_wh=record.energy_wh,
        departure=_time(record.departure),
    )


def sample(record: records.Sample) -> types.Sample:
    # Thousandths divided by 1000 print as the exact decimal up to 15 digits, far above any meter.
    return types.Sample(
        time=_moment(record.time),
        evse=record.evse,
        connector=record.connector,
        measurand=record.measurand,
        value=record.value / 1000,
        unit=record.unit,
        phase=record.phase or None,
        location=record.location or None,
        context=record.context or None,
    )


def json_value(text: str) -> Any:
    """JSON text as a value; text that is none stays text."""
    if not text:
        return None
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text


def command(record: records.Command) -> types.Command:
    return types.Command(
        id=record.id,
        station_id=record.station_id,
        action=record.action,
        payload=json_value(record.payload),
        requested_at=_moment(record.requested_at),
        expires_at=_time(record.expires_at),
        requested_by=record.by,
        outcome=record.outcome,
        answer=json_value(record.answer),
        settled_at=_time(record.settled_at),
    )


def token(record: records.Token, driver: str | None = None) -> types.Token:
    return types.Token(
        token=record.token,
        type=record.type,
        status=record.status,
        parent=record.parent,
        expires_at=_time(record.expires_at),
        credit=record.credit or None,
        sites=record.sites,
        driver_id=driver,
        note=record.note,
        created_at=_moment(record.created_at),
    )


def user(record: records.User, *, second_factor: bool = False, last_login_at: int | None = None) -> types.User:
    return types.User(
        name=record.name,
        role=record.role,
        sites=record.sites,
        tokens=record.tokens,
        email=record.email,
        language=record.language,
        enabled=record.enabled,
        second_factor=second_factor,
        password_set=bool(record.password),
        external=bool(record.subject),
        created_at=_moment(record.created_at),
        last_login_at=_time(last_login_at),
    )


def api_key(record: records.ApiKey, *, last_used_at: int | None = None) -> types.ApiKey:
    return types.ApiKey(
        id=record.id,
        name=record.name,
        role=record.role,
        sites=record.sites,
        created_at=_moment(record.created_at),
        created_by=record.made_by,
        expires_at=_time(record.expires_at),
        rotated_at=_time(record.rotated_at),
        last_used_at=_time(last_used_at),
    )
