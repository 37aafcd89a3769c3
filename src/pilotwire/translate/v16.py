"""OCPP 1.6 (with the security extension) ⇄ the domain: what stations send and what they are answered.

1.6 knows connectors alone: connectorId n is EVSE n with its connector 1, and 0 is the whole station.
"""

from __future__ import annotations

from pilotwire.domain import inputs
from pilotwire.domain.inputs import BootVerdict, DataTransferVerdict, Outcome, Started, Stopped, TokenVerdict
from pilotwire.protocols.ocpp.v16 import messages as m

from . import certificates
from .metering import LazySamples, milliseconds, samples_v16
from .table import Served, Table, acknowledged, instant

_ID_TAG_STATUS = frozenset(("Accepted", "Blocked", "Expired", "Invalid", "ConcurrentTx"))
TOKEN_TYPE = "ISO14443"  # noqa: S105
"""1.6 idTags have no type; RFID cards are what they nearly always are."""


def place(connector_id: int) -> tuple[int, int]:
    """connectorId → (evse, connector)."""
    return (connector_id, 1) if connector_id else (0, 0)


def id_tag_info(verdict: TokenVerdict) -> m.IdTagInfo:
    """IdTagInfo. What 1.6 has no word for is Invalid; a parent too long for 1.6 is left out."""
    return m.IdTagInfo(
        status=verdict.status if verdict.status in _ID_TAG_STATUS else "Invalid",  # type: ignore[arg-type]
        parent_id_tag=verdict.parent if 0 < len(verdict.parent) <= 20 else None,
        expiry_date=None if verdict.expires_at is None else instant(verdict.expires_at),
    )


def _boot(request: m.BootNotificationRequest) -> inputs.Boot:
    return inputs.Boot(
        vendor=request.charge_point_vendor,
        model=request.charge_point_model,
        serial=request.charge_point_serial_number or request.charge_box_serial_number or "",
        firmware=request.firmware_version or "",
    )


def _booted(outcome: BootVerdict, now: int) -> m.BootNotificationResponse:
    return m.BootNotificationResponse(
        current_time=instant(now),
        interval=outcome.interval_s,
        status=outcome.verdict,  # type: ignore[arg-type]
    )


_HEARTBEAT = inputs.Heartbeat()


def _heartbeat(request: m.HeartbeatRequest) -> inputs.Heartbeat:
    return _HEARTBEAT


def _beat(outcome: Outcome, now: int) -> m.HeartbeatResponse:
    return m.HeartbeatResponse(current_time=instant(now))


def _status(request: m.StatusNotificationRequest) -> inputs.Status:
    evse, connector = place(request.connector_id)
    return inputs.Status(
        evse=evse,
        connector=connector,
        status=request.status,
        time=None if request.timestamp is None else milliseconds(request.timestamp),
        error_code=request.error_code,
        info=request.info or "",
        vendor_id=request.vendor_id or "",
        vendor_error_code=request.vendor_error_code or "",
    )


def _authorize(request: m.AuthorizeRequest) -> inputs.Authorize:
    return inputs.Authorize(token=request.id_tag, token_type=TOKEN_TYPE)


def _authorized(outcome: TokenVerdict, now: int) -> m.AuthorizeResponse:
    return m.AuthorizeResponse(id_tag_info=id_tag_info(outcome))


def _start(request: m.StartTransactionRequest) -> inputs.StartTransaction:
    return inputs.StartTransaction(
        connector=request.connector_id,
        token=request.id_tag,
        meter_start_wh=request.meter_start,
        time=milliseconds(request.timestamp),
        reservation_id=request.reservation_id,
    )


def _started(outcome: Started, now: int) -> m.StartTransactionResponse:
    return m.StartTransactionResponse(id_tag_info=id_tag_info(outcome.token), transaction_id=outcome.transaction_id)


def _stop(request: m.StopTransactionRequest) -> inputs.StopTransaction:
    return inputs.StopTransaction(
        transaction_id=request.transaction_id,
        meter_stop_wh=request.meter_stop,
        time=milliseconds(request.timestamp),
        reason=request.reason or "Local",  # 1.6 part 2, 6.49: Local may be left out
        token=request.id_tag or "",
        samples=samples_v16(0, 0, request.transaction_data) if request.transaction_data else (),
    )


def _stopped(outcome: Stopped, now: int) -> m.StopTransactionResponse:
    return m.StopTransactionResponse(id_tag_info=None if outcome.token is None else id_tag_info(outcome.token))


def _meter_values(request: m.MeterValuesRequest) -> inputs.MeterValues:
    connector_id = request.connector_id
    connector = 1 if connector_id else 0
    return inputs.MeterValues(
        evse=connector_id,
        connector=connector,
        transaction_id=request.transaction_id,
        samples=LazySamples(connector_id, connector, request.meter_value),
    )


def _data_transfer(request: m.DataTransferRequest) -> inputs.DataTransfer:
    return inputs.DataTransfer(
        vendor_id=request.vendor_id, message_id=request.message_id or "", data=request.data or ""
    )


def _data_transferred(outcome: DataTransferVerdict, now: int) -> m.DataTransferResponse:
    return m.DataTransferResponse(status=outcome.status)  # type: ignore[arg-type]


def _firmware(request: m.FirmwareStatusNotificationRequest) -> inputs.FirmwareStatus:
    return inputs.FirmwareStatus(status=request.status)


def _signed_firmware(request: m.SignedFirmwareStatusNotificationRequest) -> inputs.FirmwareStatus:
    return inputs.FirmwareStatus(status=request.status, request_id=request.request_id)


def _diagnostics(request: m.DiagnosticsStatusNotificationRequest) -> inputs.LogStatus:
    return inputs.LogStatus(status=request.status, kind="diagnostics")


def _log(request: m.LogStatusNotificationRequest) -> inputs.LogStatus:
    return inputs.LogStatus(status=request.status, request_id=request.request_id)


def _security_event(request: m.SecurityEventNotificationRequest) -> inputs.SecurityEvent:
    return inputs.SecurityEvent(
        kind=request.type, time=milliseconds(request.timestamp), tech_info=request.tech_info or ""
    )


TABLE: Table = {
    "BootNotification": Served(_boot, _booted),
    "Heartbeat": Served(_heartbeat, _beat),
    "StatusNotification": acknowledged(_status, m.StatusNotificationResponse()),
    "Authorize": Served(_authorize, _authorized),
    "StartTransaction": Served(_start, _started),
    "StopTransaction": Served(_stop, _stopped),
    "MeterValues": acknowledged(_meter_values, m.MeterValuesResponse()),
    "DataTransfer": Served(_data_transfer, _data_transferred),
    "FirmwareStatusNotification": acknowledged(_firmware, m.FirmwareStatusNotificationResponse()),
    "SignedFirmwareStatusNotification": acknowledged(_signed_firmware, m.SignedFirmwareStatusNotificationResponse()),
    "DiagnosticsStatusNotification": acknowledged(_diagnostics, m.DiagnosticsStatusNotificationResponse()),
    "LogStatusNotification": acknowledged(_log, m.LogStatusNotificationResponse()),
    "SecurityEventNotification": acknowledged(_security_event, m.SecurityEventNotificationResponse()),
    **certificates.rows_16(m),
}
