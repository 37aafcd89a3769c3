"""OCPP 2.0.1 ⇄ the domain: what stations send and what they are answered. 2.1 is a delta of this (`v21`).

The functions read fields alone, so they serve the messages of both versions; responses are made by `table_for` from the
version's own classes.
"""

from __future__ import annotations

from typing import Any

from pilotwire.domain import inputs
from pilotwire.domain.facts import ReportedVariable
from pilotwire.domain.inputs import BootVerdict, DataTransferVerdict, NotifiedEvent, Outcome, TokenVerdict
from pilotwire.domain.tariffs.model import Text
from pilotwire.protocols.ocpp.v201 import messages as v201_messages

from . import blocks, certificates, charging
from .limits import limit_wire
from .metering import milliseconds, samples_v2
from .table import Read, Served, Table, acknowledged, instant
from .wire import json_text

GROUP_TYPE = "Central"
"""Groups are made by the CSMS, so their ids are of its type."""
_STATUS = frozenset(
    (
        "Accepted",
        "Blocked",
        "ConcurrentTx",
        "Expired",
        "Invalid",
        "NoCredit",
        "NotAllowedTypeEVSE",
        "NotAtThisLocation",
        "NotAtThisTime",
        "Unknown",
    )
)


def _boot(request: Any) -> inputs.Boot:
    station = request.charging_station
    return inputs.Boot(
        vendor=station.vendor_name,
        model=station.model,
        serial=station.serial_number or "",
        firmware=station.firmware_version or "",
        reason=request.reason,
    )


_HEARTBEAT = inputs.Heartbeat()


def _heartbeat(request: Any) -> inputs.Heartbeat:
    return _HEARTBEAT


def _status(request: Any) -> inputs.Status:
    return inputs.Status(
        evse=request.evse_id,
        connector=request.connector_id,
        status=request.connector_status,
        time=milliseconds(request.timestamp),
    )


_NAMES_OF_VEHICLES = frozenset({"EVCCID", "VIN", "MacAddress"})


def _vehicle(token: Any) -> tuple[str, str]:
    """What the vehicle calls itself: beside the token (2.1 Q01.FR.02), or as the token itself."""
    if token is None:
        return "", ""
    if token.type in _NAMES_OF_VEHICLES:
        return token.id_token, token.type
    for more in token.additional_info or ():
        if more.type in _NAMES_OF_VEHICLES:
            return more.additional_id_token, more.type
    return "", ""


def _transaction_event(request: Any) -> inputs.TransactionEvent:
    info = request.transaction_info
    evse = request.evse
    token = request.id_token
    vehicle, vehicle_type = _vehicle(token)
    kind = request.event_type
    return inputs.TransactionEvent(
        kind=kind,
        transaction=info.transaction_id,
        seq_no=request.seq_no,
        time=milliseconds(request.timestamp),
        trigger=request.trigger_reason,
        charging_state=info.charging_state or "",
        # 2.0.1 part 2, TransactionType: stoppedReason may be left out when it is Local
        stopped_reason=info.stopped_reason or ("Local" if kind == "Ended" else ""),
        remote_start_id=info.remote_start_id,
        evse=None if evse is None else evse.id,
        connector=None if evse is None else evse.connector_id,
        token="" if token is None else token.id_token,
        token_type="" if token is None else token.type,
        reservation_id=request.reservation_id,
        offline=bool(request.offline),
        vehicle=vehicle,
        vehicle_type=vehicle_type,
        samples=()
        if request.meter_value is None
        else samples_v2(
            0 if evse is None else evse.id, 0 if evse is None else evse.connector_id or 0, request.meter_value
        ),
    )


def _meter_values(request: Any) -> inputs.MeterValues:
    return inputs.MeterValues(
        evse=request.evse_id, connector=0, samples=samples_v2(request.evse_id, 0, request.meter_value)
    )


def _data_transfer(request: Any) -> inputs.DataTransfer:
    return inputs.DataTransfer(
        vendor_id=request.vendor_id, message_id=request.message_id or "", data=json_text(request.data)
    )


def reported(component: Any, variable: Any, **values: Any) -> ReportedVariable:
    """A ReportedVariable from ComponentType and VariableType."""
    evse = component.evse
    return ReportedVariable(
        component=component.name,
        component_instance=component.instance or "",
        evse=None if evse is None else evse.id,
        connector=None if evse is None else evse.connector_id,
        variable=variable.name,
        variable_instance=variable.instance or "",
        **values,
    )


def _report(request: Any) -> inputs.Report:
    found: list[ReportedVariable] = []
    for data in request.report_data or ():
        traits = data.variable_characteristics
        found.extend(
            reported(
                data.component,
                data.variable,
                attribute=attribute.type or "Actual",
                value=attribute.value,
                mutability=attribute.mutability or "ReadWrite",  # the standard's default
                data_type="" if traits is None else traits.data_type,
                unit="" if traits is None else traits.unit or "",
            )
            for attribute in data.variable_attribute
        )
    return inputs.Report(
        variables=tuple(found),
        time=milliseconds(request.generated_at),
        request_id=request.request_id,
        seq_no=request.seq_no,
        more=bool(request.tbc),
    )


def _severity(event: Any) -> int | None:
    return None  # 2.0.1 events carry none


def device_event(request: Any, severity: Any = _severity) -> inputs.DeviceEvent:
    """NotifyEvent; `severity` reads an element's severity where the version has one."""
    return inputs.DeviceEvent(
        time=milliseconds(request.generated_at),
        events=tuple(
            NotifiedEvent(
                event_id=event.event_id,
                time=milliseconds(event.timestamp),
                component=event.component.name,
                variable=event.variable.name,
                trigger=event.trigger,
                actual_value=event.actual_value,
                cleared=bool(event.cleared),
                evse=None if event.component.evse is None else event.component.evse.id,
                connector=None if event.component.evse is None else event.component.evse.connector_id,
                severity=severity(event),
                tech_code=event.tech_code or "",
                tech_info=event.tech_info or "",
                component_instance=event.component.instance or "",
                variable_instance=event.variable.instance or "",
                kind=event.event_notification_type,
                cause=event.cause,
                transaction=event.transaction_id or "",
                monitor=event.variable_monitoring_id,
            )
            for event in request.event_data
        ),
    )


def _security_event(request: Any) -> inputs.SecurityEvent:
    return inputs.SecurityEvent(
        kind=request.type, time=milliseconds(request.timestamp), tech_info=request.tech_info or ""
    )


def _firmware(request: Any) -> inputs.FirmwareStatus:
    return inputs.FirmwareStatus(status=request.status, request_id=request.request_id)


def _log(request: Any) -> inputs.LogStatus:
    return inputs.LogStatus(status=request.status, request_id=request.request_id)


def table_for(m: Any) -> dict[str, Served]:
    """The table with the classes of `m`, the messages of 2.0.1 or 2.1."""

    def id_token_info(verdict: TokenVerdict, now: int) -> Any:
        # C17.FR.01, .02: what is prepaid is to be asked about each time.
        until = now if verdict.credit else verdict.expires_at
        return m.IdTokenInfoType(
            status=verdict.status if verdict.status in _STATUS else "Invalid",
            cache_expiry_date_time=None if until is None else instant(until),
            group_id_token=m.IdTokenType(id_token=verdict.parent, type=GROUP_TYPE)
            if 0 < len(verdict.parent) <= 36
            else None,
            personal_message=next(map(message, verdict.message), None),
        )

    def message(text: Text) -> Any:
        language = text.language if text.language and len(text.language) <= 8 else None
        return m.MessageContentType(format=text.format, content=text.content[:512], language=language)

    def booted(outcome: BootVerdict, now: int) -> Any:
        return m.BootNotificationResponse(
            current_time=instant(now), interval=outcome.interval_s, status=outcome.verdict
        )

    def beat(outcome: Outcome, now: int) -> Any:
        return m.HeartbeatResponse(current_time=instant(now))

    def authorized(outcome: TokenVerdict, now: int) -> Any:
        return m.AuthorizeResponse(
            id_token_info=id_token_info(outcome, now), certificate_status=blocks.certificate_status(outcome)
        )

    nothing = m.TransactionEventResponse()

    def transaction_answered(outcome: inputs.TransactionAnswered, now: int) -> Any:
        if outcome.token is None and outcome.total_cost is None and not outcome.message and outcome.limit is None:
            return nothing
        texts = [message(text) for text in outcome.message]
        more: dict[str, Any] = {}
        if m is not v201_messages:
            if texts[1:]:
                more["updated_personal_message_extra"] = texts[1:5]
            if outcome.limit is not None:
                more["transaction_limit"] = limit_wire(m, outcome.limit)
        return m.TransactionEventResponse(
            total_cost=outcome.total_cost,
            id_token_info=None if outcome.token is None else id_token_info(outcome.token, now),
            updated_personal_message=texts[0] if texts else None,
            **more,
        )

    def data_transferred(outcome: DataTransferVerdict, now: int) -> Any:
        return m.DataTransferResponse(status=outcome.status)

    def plain(action: str, read: Read) -> Served:
        return acknowledged(read, getattr(m, f"{action}Response")())

    return {
        "BootNotification": Served(_boot, booted),
        "Heartbeat": Served(_heartbeat, beat),
        "StatusNotification": plain("StatusNotification", _status),
        "Authorize": Served(blocks.authorize, authorized),
        "TransactionEvent": Served(_transaction_event, transaction_answered),
        "MeterValues": plain("MeterValues", _meter_values),
        "DataTransfer": Served(_data_transfer, data_transferred),
        "NotifyReport": plain("NotifyReport", _report),
        "NotifyEvent": plain("NotifyEvent", device_event),
        "SecurityEventNotification": plain("SecurityEventNotification", _security_event),
        "FirmwareStatusNotification": plain("FirmwareStatusNotification", _firmware),
        "LogStatusNotification": plain("LogStatusNotification", _log),
        **certificates.rows_2(m),
        **charging.rows_2(m),
        **blocks.rows_2(m),
    }


TABLE: Table = table_for(v201_messages)
