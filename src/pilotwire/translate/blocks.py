"""Blocks C, H, L, N, O, R and S of 2.x ⇄ the domain: what stations say of what they keep, and what they are answered.

The functions read fields alone, so they serve every version that has the action.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pilotwire.domain import blocks as domain
from pilotwire.domain import facts, kept
from pilotwire.domain.blocks import ARRIVAL, Said
from pilotwire.domain.facts import StreamRow, StreamValue
from pilotwire.domain.inputs import Authorize, Outcome

from .metering import milliseconds
from .table import Served, acknowledged, told
from .wire import json_text, number_text, place_of


def _said(*what: Any) -> Said:
    return Said(facts=what)


# ── H ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
_ENDS = {"Expired": "expired", "Removed": "removed", "NoTransaction": "no-transaction"}


def _reservation(request: Any) -> Said:
    why = _ENDS[request.reservation_update_status]
    return _said(facts.ReservationEnded(event_time=ARRIVAL, reservation_id=request.reservation_id, why=why))


# ── N ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _monitors(request: Any) -> Said:
    found = tuple(
        kept.Monitor(
            id=one.id,
            place=place_of(data.component, data.variable),
            kind=one.type,
            value=number_text(one.value),
            severity=one.severity,
            transaction=one.transaction,
            # 2.0.1 does not say whose it is.
            origin=getattr(one, "event_notification_type", None) or "CustomMonitor",
        )
        for data in request.monitor or ()
        for one in data.variable_monitoring
    )
    return _said(
        facts.MonitorsTold(
            event_time=milliseconds(request.generated_at),
            monitors=found,
            request_id=request.request_id,
            seq_no=request.seq_no,
            more=bool(request.tbc),
        )
    )


def _customer(request: Any) -> Said:
    return _said(
        facts.CustomerInformationTold(
            event_time=milliseconds(request.generated_at),
            request_id=request.request_id,
            seq_no=request.seq_no,
            length=len(request.data),
            more=bool(request.tbc),
        )
    )


def stream_row(data: Any) -> StreamRow:
    """ConstantStreamDataType."""
    return StreamRow(
        stream=data.id, monitor=data.variable_monitoring_id, interval_s=data.params.interval, values=data.params.values
    )


def _stream_opened(request: Any) -> domain.StreamOpened:
    return domain.StreamOpened(row=stream_row(request.constant_stream_data))


def _stream_closed(request: Any) -> Said:
    return _said(facts.StreamClosed(event_time=ARRIVAL, stream=request.id))


def _stream_told(request: Any) -> domain.StreamNotified:
    """The values' times are seconds from basetime."""
    base = milliseconds(request.basetime)
    return domain.StreamNotified(
        stream=request.id,
        pending=request.pending,
        values=tuple(StreamValue(base + int((one.t * 1000).to_integral_value()), one.v) for one in request.data),
    )


# ── O ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def display(info: Any) -> kept.Display:
    """MessageInfoType."""
    return kept.Display(
        id=info.id,
        priority=info.priority,
        content=info.message.content,
        format=info.message.format,
        language=info.message.language or "",
        state=info.state or "",
        starts_at=None if info.start_date_time is None else milliseconds(info.start_date_time),
        ends_at=None if info.end_date_time is None else milliseconds(info.end_date_time),
        transaction=info.transaction_id or "",
        more=tuple((one.format, one.language or "", one.content) for one in getattr(info, "message_extra", None) or ()),
    )


def _messages(request: Any) -> Said:
    return _said(
        facts.DisplayMessagesTold(
            event_time=ARRIVAL,
            messages=tuple(display(one) for one in request.message_info or ()),
            request_id=request.request_id,
            more=bool(request.tbc),
        )
    )


# ── L ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _published(request: Any) -> Said:
    info = getattr(request, "status_info", None)
    return _said(
        facts.FirmwarePublished(
            event_time=ARRIVAL,
            status=request.status,
            request_id=request.request_id,
            locations=tuple(request.location or ()),
            why="" if info is None else info.additional_info or info.reason_code,
        )
    )


# ── C ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _settlement(request: Any) -> Said:
    company = request.vat_company
    return _said(
        facts.PaymentSettled(
            event_time=milliseconds(request.settlement_time),
            reference=request.psp_ref,
            status=request.status,
            amount=number_text(request.settlement_amount),
            transaction=request.transaction_id or "",
            receipt=request.receipt_id or "",
            receipt_url=request.receipt_url or "",
            why=request.status_info or "",
            vat_number=request.vat_number or "",
            company="" if company is None else company.name,
        )
    )


def _vat_number(request: Any) -> domain.VatNumber:
    return domain.VatNumber(number=request.vat_number, evse=request.evse_id or 0)


def authorize(request: Any) -> Authorize:
    """Authorize of 2.x: by a token alone, or by a contract certificate too (C07)."""
    token = request.id_token
    hashes = request.iso15118_certificate_hash_data or ()
    if not hashes and not request.certificate:
        return Authorize(token=token.id_token, token_type=token.type)
    return domain.Contract(
        token=token.id_token,
        token_type=token.type,
        certificate=request.certificate or "",
        about=tuple(
            domain.Asked(
                one.hash_algorithm, one.issuer_name_hash, one.issuer_key_hash, one.serial_number, (one.responder_url,)
            )
            for one in hashes
        ),
    )


# ── R ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def control(name: str, kind: str, setting: Any, *, default: bool, superseded: bool = False) -> kept.Control:
    """A DER control; `setting` is what is controlled."""
    starts, lasts = getattr(setting, "start_time", None), getattr(setting, "duration", None)
    return kept.Control(
        id=name,
        kind=kind,
        default=default,
        priority=setting.priority,
        starts_at=None if starts is None else milliseconds(starts),
        duration_s="" if lasts is None else number_text(lasts),
        setting=json_text(setting),
        superseded=superseded,
    )


SETTINGS = {
    "curve": "",
    "enter_service": "EnterService",
    "fixed_pf_absorb": "FixedPFAbsorb",
    "fixed_pf_inject": "FixedPFInject",
    "fixed_var": "FixedVar",
    "freq_droop": "FreqDroop",
    "gradient": "Gradients",
    "limit_max_discharge": "LimitMaxDischarge",
}
"""Field of a request → its control type; of a curve the type stands beside it."""


def _controls(request: Any) -> Said:
    found = [
        control(
            one.id,
            kind or one.curve_type,
            getattr(one, field if not field.startswith("fixed_pf") else "fixed_pf"),
            # EnterService and Gradients cannot be scheduled.
            default=getattr(one, "is_default", True),
            superseded=getattr(one, "is_superseded", False),
        )
        for field, kind in SETTINGS.items()
        for one in getattr(request, field) or ()
    ]
    return _said(
        facts.GridControlsTold(
            event_time=ARRIVAL, controls=tuple(found), request_id=request.request_id, more=bool(request.tbc)
        )
    )


def _alarm(request: Any) -> Said:
    return _said(
        facts.GridAlarm(
            event_time=milliseconds(request.timestamp),
            kind=request.control_type,
            fault=request.grid_event_fault or "",
            ended=bool(request.alarm_ended),
            info=request.extra_info or "",
        )
    )


def _ran(request: Any) -> Said:
    return _said(
        facts.GridControlRan(
            event_time=milliseconds(request.timestamp),
            control=request.control_id,
            started=request.started,
            superseded=tuple(request.superseded_ids or ()),
        )
    )


# ── S ────────────────────────────────────────────────────────────────────────────────────────────────────────────────
def _tenths(percent: Decimal) -> int:
    return int((percent * 10).to_integral_value())


def _swap(request: Any) -> Said:
    return _said(
        facts.BatterySwapped(
            event_time=ARRIVAL,
            kind=request.event_type,
            request_id=request.request_id,
            token=request.id_token.id_token,
            token_type=request.id_token.type,
            batteries=tuple(
                kept.Battery(
                    evse=one.evse_id,
                    serial=one.serial_number,
                    soc=_tenths(one.soc),
                    soh=_tenths(one.soh),
                    made_at=None if one.production_date is None else milliseconds(one.production_date),
                    info=one.vendor_info or "",
                )
                for one in request.battery_data
            ),
        )
    )


# ── the rows ─────────────────────────────────────────────────────────────────────────────────────────────────────────
def rows_2(m: Any) -> dict[str, Served]:
    """Of 2.0.1 and 2.1, with the classes of `m`."""
    return {
        "ReservationStatusUpdate": acknowledged(_reservation, m.ReservationStatusUpdateResponse()),
        "NotifyMonitoringReport": acknowledged(_monitors, m.NotifyMonitoringReportResponse()),
        "NotifyCustomerInformation": acknowledged(_customer, m.NotifyCustomerInformationResponse()),
        "NotifyDisplayMessages": acknowledged(_messages, m.NotifyDisplayMessagesResponse()),
        "PublishFirmwareStatusNotification": acknowledged(_published, m.PublishFirmwareStatusNotificationResponse()),
    }


def rows_21(m: Any) -> dict[str, Served]:
    """Of 2.1 alone."""

    def info(outcome: Any) -> Any:
        if not outcome.reason_code:
            return None
        return m.StatusInfoType(reason_code=outcome.reason_code, additional_info=outcome.additional_info or None)

    def opened(outcome: domain.Verdict, now: int) -> Any:
        return m.OpenPeriodicEventStreamResponse(status=outcome.status, status_info=info(outcome))

    def validated(outcome: domain.VatVerdict, now: int) -> Any:
        return m.VatNumberValidationResponse(
            vat_number=outcome.number,
            status=outcome.status,
            evse_id=outcome.evse or None,
            status_info=info(outcome),
        )

    def settled(outcome: Outcome, now: int) -> Any:
        url = outcome.url if isinstance(outcome, domain.Receipt) else ""
        return m.NotifySettlementResponse(receipt_url=url or None)

    return {
        "OpenPeriodicEventStream": Served(_stream_opened, opened),
        "ClosePeriodicEventStream": acknowledged(_stream_closed, m.ClosePeriodicEventStreamResponse()),
        "NotifyPeriodicEventStream": told(_stream_told),
        "NotifySettlement": Served(_settlement, settled),
        "VatNumberValidation": Served(_vat_number, validated),
        "ReportDERControl": acknowledged(_controls, m.ReportDERControlResponse()),
        "NotifyDERAlarm": acknowledged(_alarm, m.NotifyDERAlarmResponse()),
        "NotifyDERStartStop": acknowledged(_ran, m.NotifyDERStartStopResponse()),
        "BatterySwap": acknowledged(_swap, m.BatterySwapResponse()),
    }


def certificate_status(outcome: Outcome) -> str | None:
    """AuthorizeResponse.certificateStatus: told where the certificate was asked about."""
    return outcome.certificate_status or None if isinstance(outcome, domain.ContractVerdict) else None
