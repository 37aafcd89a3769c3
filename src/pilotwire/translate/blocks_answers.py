"""What a station's answers to our commands say of what it keeps (`domain.kept`): a part of `translate.answers`.

Every reader gets (request, response) and says what is so now; None where the answer changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pilotwire.domain import blocks as domain
from pilotwire.domain import facts, kept
from pilotwire.domain.blocks import ARRIVAL, Said
from pilotwire.domain.inputs import Input
from pilotwire.protocols.ocpp.v16 import messages as v16

from .blocks import SETTINGS, control, display, stream_row
from .metering import milliseconds
from .wire import number_text, place_of

_V16_TOKENS = "ISO14443"


def _said(*what: facts.AnyFact) -> Said:
    return Said(facts=what)


def _accepted(read: Callable[[Any, Any], Input | None]) -> Callable[[Any, Any], Input | None]:
    return lambda request, response: read(request, response) if response.status == "Accepted" else None


# ── H ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _reserved(request: Any, response: Any) -> Said:
    if isinstance(request, v16.ReserveNowRequest):
        made = facts.ReservationMade(
            event_time=ARRIVAL,
            reservation_id=request.reservation_id,
            token=request.id_tag,
            token_type=_V16_TOKENS,
            group=request.parent_id_tag or "",
            evse=request.connector_id,
            expires_at=milliseconds(request.expiry_date),
        )
    else:
        group = request.group_id_token
        made = facts.ReservationMade(
            event_time=ARRIVAL,
            reservation_id=request.id,
            token=request.id_token.id_token,
            token_type=request.id_token.type,
            group="" if group is None else group.id_token,
            evse=request.evse_id or 0,
            connector_type=request.connector_type or "",
            expires_at=milliseconds(request.expiry_date_time),
        )
    return _said(made)


def _cancelled(request: Any, response: Any) -> Said:
    return _said(facts.ReservationEnded(event_time=ARRIVAL, reservation_id=request.reservation_id, why="cancelled"))


# ── D ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _list_sent(request: Any, response: Any) -> Said:
    full = request.update_type == "Full"
    version = request.list_version if isinstance(request, v16.SendLocalListRequest) else request.version_number
    rows = request.local_authorization_list or ()
    return _said(
        facts.LocalListTold(
            event_time=ARRIVAL, version=version, kind=request.update_type, entries=len(rows) if full else None
        )
    )


def _list_version(request: Any, response: Any) -> Said:
    old = isinstance(response, v16.GetLocalListVersionResponse)
    return _said(
        facts.LocalListTold(event_time=ARRIVAL, version=response.list_version if old else response.version_number)
    )


# ── E, K ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _transaction(request: Any, response: Any) -> domain.TransactionStatus:
    return domain.TransactionStatus(
        queued=response.messages_in_queue,
        transaction=request.transaction_id or "",
        ongoing=response.ongoing_indicator if request.transaction_id else None,
    )


def _priority(request: Any, response: Any) -> Said:
    return _said(
        facts.PriorityChargingChanged(
            event_time=ARRIVAL, transaction=request.transaction_id, activated=request.activate
        )
    )


# ── N ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _same(asked: Any, told: Any) -> bool:
    return (
        place_of(asked.component, asked.variable) == place_of(told.component, told.variable)
        and asked.type == told.type
        and asked.severity == told.severity
    )


def _monitors_set(request: Any, response: Any) -> Input | None:
    """Each result names its monitor by variable, kind and severity (N04.FR.05), in whatever order."""
    left = list(request.set_monitoring_data)
    found: list[kept.Monitor] = []
    for told in response.set_monitoring_result:
        asked = next((one for one in left if _same(one, told)), None)
        if asked is None:
            continue
        left.remove(asked)
        name = told.id if told.id is not None else asked.id
        if told.status == "Accepted" and name is not None:
            found.append(
                kept.Monitor(
                    id=name,
                    place=place_of(asked.component, asked.variable),
                    kind=asked.type,
                    value=number_text(asked.value),
                    severity=asked.severity,
                    transaction=bool(asked.transaction),
                )
            )
    return _said(facts.MonitorsTold(event_time=ARRIVAL, monitors=tuple(found))) if found else None


def _monitors_cleared(request: Any, response: Any) -> Input | None:
    # NotFound says the same: there is none (any more).
    gone = tuple(one.id for one in response.clear_monitoring_result if one.status in ("Accepted", "NotFound"))
    return _said(facts.MonitorsCleared(event_time=ARRIVAL, ids=gone)) if gone else None


def _monitors_asked(request: Any, response: Any) -> Input | None:
    asked_for_all = not request.monitoring_criteria and not request.component_variable
    return domain.NoMonitors() if response.status == "EmptyResultSet" and asked_for_all else None


def _base(request: Any, response: Any) -> Said:
    return _said(facts.MonitoringSet(event_time=ARRIVAL, base=request.monitoring_base))


def _monitoring_level(request: Any, response: Any) -> Said:
    return _said(facts.MonitoringSet(event_time=ARRIVAL, severity=request.severity))


def _streams(request: Any, response: Any) -> domain.StreamsAnswered:
    return domain.StreamsAnswered(rows=tuple(stream_row(one) for one in response.constant_stream_data or ()))


def _stream_adjusted(request: Any, response: Any) -> Said:
    pace = request.params
    return _said(facts.StreamSet(event_time=ARRIVAL, stream=request.id, interval_s=pace.interval, values=pace.values))


# ── O ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _displayed(request: Any, response: Any) -> Said:
    return _said(facts.DisplayMessagesTold(event_time=ARRIVAL, messages=(display(request.message),)))


def _display_cleared(request: Any, response: Any) -> Input | None:
    if response.status not in ("Accepted", "Unknown"):
        return None
    return _said(facts.DisplayMessageCleared(event_time=ARRIVAL, message=request.id))


# ── L, C, Q, S ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _unpublished(request: Any, response: Any) -> Input | None:
    if response.status != "Unpublished":
        return None
    return _said(facts.FirmwarePublished(event_time=ARRIVAL, status="Unpublished"))


def _web_payment(request: Any, response: Any) -> Said:
    return _said(facts.WebPaymentStarted(event_time=ARRIVAL, evse=request.evse_id, timeout_s=request.timeout))


def _transfer(request: Any, response: Any) -> Said:
    return _said(
        facts.EnergyTransferAllowed(
            event_time=ARRIVAL, transaction=request.transaction_id, modes=tuple(request.allowed_energy_transfer)
        )
    )


def _signal(request: Any, response: Any) -> Said:
    return _said(facts.GridSignalTaken(event_time=milliseconds(request.timestamp), signal=request.signal))


def _swap(request: Any, response: Any) -> Said:
    return _said(
        facts.BatterySwapRequested(event_time=ARRIVAL, request_id=request.request_id, token=request.id_token.id_token)
    )


# ── R ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _controlled(request: Any, response: Any) -> Input | None:
    setting = next((found for name in SETTINGS if (found := getattr(request, name)) is not None), None)
    if setting is None:
        return None
    made = control(request.control_id, request.control_type, setting, default=request.is_default)
    return _said(
        facts.GridControlsTold(event_time=ARRIVAL, controls=(made,), superseded=tuple(response.superseded_ids or ()))
    )


def _uncontrolled(request: Any, response: Any) -> Input | None:
    if response.status not in ("Accepted", "NotFound"):
        return None
    return _said(
        facts.GridControlsCleared(
            event_time=ARRIVAL,
            default=request.is_default,
            control=request.control_id or "",
            kind=request.control_type or "",
        )
    )


_READERS: Mapping[str, Callable[[Any, Any], Input | None]] = {
    "ReserveNow": _accepted(_reserved),
    "CancelReservation": _accepted(_cancelled),
    "SendLocalList": _accepted(_list_sent),
    "GetLocalListVersion": _list_version,
    "GetTransactionStatus": _transaction,
    "UsePriorityCharging": _accepted(_priority),
    "SetVariableMonitoring": _monitors_set,
    "ClearVariableMonitoring": _monitors_cleared,
    "GetMonitoringReport": _monitors_asked,
    "SetMonitoringBase": _accepted(_base),
    "SetMonitoringLevel": _accepted(_monitoring_level),
    "GetPeriodicEventStream": _streams,
    "AdjustPeriodicEventStream": _accepted(_stream_adjusted),
    "SetDisplayMessage": _accepted(_displayed),
    "ClearDisplayMessage": _display_cleared,
    "UnpublishFirmware": _unpublished,
    "NotifyWebPaymentStarted": _web_payment,
    "NotifyAllowedEnergyTransfer": _accepted(_transfer),
    "AFRRSignal": _accepted(_signal),
    "RequestBatterySwap": _accepted(_swap),
    "SetDERControl": _accepted(_controlled),
    "ClearDERControl": _uncontrolled,
}


def answered(action: str, request: Any, response: Any) -> Input | None:
    """What the answer to a command of ours says of what a station keeps, or None."""
    reader = _READERS.get(action)
    return None if reader is None else reader(request, response)
