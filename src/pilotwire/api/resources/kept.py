"""What a station keeps of what it was told (`domain.kept`)."""

from __future__ import annotations

from typing import cast

import msgspec

from pilotwire.core.ids import StationKey
from pilotwire.core.time import to_rfc3339
from pilotwire.domain import kept

from .. import types
from ..access import Principal
from ..context import ApiContext
from ..queries import Queries


async def of_station(context: ApiContext, principal: Principal, station_id: str) -> types.StationKept:
    """Raises Problem 404."""
    principal.need("stations:read")
    await Queries(context, principal).station(station_id)
    record = await context.store.station(StationKey(principal.tenant, station_id))
    held = None if record is None else record.kept
    return shown(held or kept.Kept(), context.scheduler.now())


def shown(held: kept.Kept, now: int) -> types.StationKept:
    """As the API says it."""
    found = held.local_list
    asked = held.inventory
    return types.StationKept(
        reservations=[_reservation(one, now) for one in reversed(held.reservations)],
        monitoring=types.KeptMonitoring(
            base=held.monitoring_base,
            level=held.monitoring_level,
            monitors=[_monitor(one) for one in sorted(held.monitors, key=lambda one: one.id)],
        ),
        streams=[_stream(one) for one in held.streams],
        display_messages=[_message(one) for one in sorted(held.messages, key=lambda one: one.id)],
        local_list=None
        if found is None
        else types.KeptLocalList(
            version=found.version, at=to_rfc3339(found.at), kind=found.kind, entries=found.entries
        ),
        reports=[_report(one) for one in held.reports],
        grid_controls=[_control(one) for one in held.controls],
        grid_alarms=list(held.alarms),
        grid_signal=None
        if held.signal is None
        else types.KeptSignal(at=to_rfc3339(held.signal[0]), signal=held.signal[1]),
        energy_transfers=[
            types.KeptTransfer(transaction=name, modes=list(modes)) for name, modes in held.transfers.items()
        ],
        battery_swaps=[_swap(one) for one in reversed(held.swaps)],
        payments=[_payment(one) for one in reversed(held.payments)],
        inventory=None
        if asked is None
        else types.KeptInventory(firmware=asked.firmware, at=to_rfc3339(asked.at), status=asked.status),
    )


def _time(at: int | None) -> str | None:
    return None if at is None else to_rfc3339(at)


def _reservation(one: kept.Reservation, now: int) -> types.KeptReservation:
    standing = kept.standing(one, now)
    return types.KeptReservation(
        id=one.id,
        token=one.token,
        token_type=one.token_type,
        group=one.group,
        evse=one.evse or None,
        connector_type=one.connector_type,
        made_at=to_rfc3339(one.made_at),
        expires_at=to_rfc3339(one.expires_at),
        status="no-show" if standing == "expired" else standing,
        ended_at=_time(one.ended_at),
        session_id=one.session or None,
    )


def _monitor(one: kept.Monitor) -> types.KeptMonitor:
    place = one.place
    return types.KeptMonitor(
        id=one.id,
        component=place.component,
        component_instance=place.component_instance,
        variable=place.variable,
        variable_instance=place.variable_instance,
        evse=place.evse,
        connector=place.connector,
        kind=one.kind,
        value=one.value,
        severity=one.severity,
        transaction=one.transaction,
        origin=one.origin,
    )


def _stream(one: kept.Stream) -> types.KeptStream:
    return types.KeptStream(
        id=one.id,
        monitor=one.monitor,
        interval_s=one.interval_s,
        values=one.values,
        opened_at=to_rfc3339(one.opened_at),
        last_at=_time(one.last_at),
        told=one.told,
        pending=one.pending,
    )


def _message(one: kept.Display) -> types.KeptMessage:
    texts = [types.KeptText(format=one.format, language=one.language, content=one.content)]
    texts += [types.KeptText(format=kind, language=language, content=text) for kind, language, text in one.more]
    return types.KeptMessage(
        id=one.id,
        priority=one.priority,
        texts=texts,
        state=one.state,
        starts_at=_time(one.starts_at),
        ends_at=_time(one.ends_at),
        transaction=one.transaction,
    )


def _report(one: kept.Progress) -> types.KeptReport:
    return types.KeptReport(
        kind=one.kind,  # type: ignore[arg-type]
        request_id=one.request_id,
        complete=one.complete,
        missing=one.missing,
        at=to_rfc3339(one.at),
    )


def _control(one: kept.Control) -> types.KeptControl:
    return types.KeptControl(
        id=one.id,
        kind=one.kind,
        default=one.default,
        priority=one.priority,
        starts_at=_time(one.starts_at),
        duration_s=one.duration_s,
        setting=cast("dict[str, object]", msgspec.json.decode(one.setting)) if one.setting else {},
        superseded=one.superseded,
        running=one.running,
    )


def _swap(one: kept.Swap) -> types.KeptSwap:
    return types.KeptSwap(
        request_id=one.request_id,
        kind=one.kind,  # type: ignore[arg-type]
        at=to_rfc3339(one.at),
        token=one.token,
        batteries=[
            types.KeptBattery(
                evse=each.evse,
                serial=each.serial,
                soc_percent=each.soc / 10,
                soh_percent=each.soh / 10,
                made_at=_time(each.made_at),
                info=each.info,
            )
            for each in one.batteries
        ],
    )


def _payment(one: kept.Payment) -> types.KeptPayment:
    return types.KeptPayment(
        reference=one.reference,
        status=one.status,  # type: ignore[arg-type]
        amount=one.amount,
        at=to_rfc3339(one.at),
        transaction=one.transaction,
        receipt=one.receipt,
        receipt_url=one.receipt_url,
        why=one.why,
        vat_number=one.vat_number,
        company=one.company,
    )
