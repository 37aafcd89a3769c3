"""F Remote control, the part about messages on demand (1.6 section 5.17 and whitepaper; 2.x F06)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station.host import Reply

from .handling import V2, V16, evses_of, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def trigger_16(station: Station, request: v16.TriggerMessageRequest | v16.ExtendedTriggerMessageRequest) -> Reply:
    extended = isinstance(request, v16.ExtendedTriggerMessageRequest)
    response = v16.ExtendedTriggerMessageResponse if extended else v16.TriggerMessageResponse
    evses = evses_of(station, request.connector_id)
    if evses is None:
        return Reply(response(status="Rejected"))
    maintenance = station.maintenance
    wanted = request.requested_message

    def statuses() -> None:
        if not request.connector_id:
            station.dialect.report_main()
        for evse in evses:
            evse.reported = station.dialect.status(evse)
            station.dialect.report_status(evse, evse.reported)

    def readings() -> None:
        for evse in evses:
            station.energy.send_reading(evse, "Trigger", "Trigger")

    def firmware() -> None:
        update = maintenance.update
        station.dialect.firmware_status(update.status if update else "Idle", update.request_id if update else None)

    actions: dict[str, Callable[[], None]] = {
        "BootNotification": station.conversation.boot_again,
        "Heartbeat": station.conversation.heartbeat,
        "StatusNotification": statuses,
        "MeterValues": readings,
        "FirmwareStatusNotification": firmware,
        "DiagnosticsStatusNotification": lambda: station.dialect.log_status(
            maintenance.log_status, None, diagnostics=True
        ),
        "LogStatusNotification": lambda: station.dialect.log_status(
            maintenance.log_status, maintenance.log_id or 0, diagnostics=False
        ),
    }
    action = actions.get(wanted)
    if action is None:
        return Reply(response(status="NotImplemented"))
    return Reply(response(status="Accepted"), action)


def trigger(station: Station, request: Any) -> Reply:
    m = station.messages
    maintenance = station.maintenance
    evses = evses_of(station, None if request.evse is None else request.evse.id)
    if evses is None:
        return Reply(m.TriggerMessageResponse(status="Rejected"))
    wanted = request.requested_message
    if wanted == "BootNotification":
        if station.conversation.registration == "Accepted":
            return Reply(m.TriggerMessageResponse(status="Rejected"))  # F06.FR.17
        return Reply(m.TriggerMessageResponse(status="Accepted"), station.conversation.boot_again)
    if wanted == "TransactionEvent" and not any(evse.session for evse in evses):
        return Reply(m.TriggerMessageResponse(status="Rejected"))

    def statuses() -> None:
        for evse in evses:
            evse.reported = station.dialect.status(evse)
            station.dialect.report_status(evse, evse.reported)

    def meter_values() -> None:
        for evse in evses:
            reading = station.energy.read(evse, "aligned", "Trigger")
            if reading.values:
                station.dialect.idle_sampled(evse, reading)

    def transactions() -> None:
        for evse in evses:
            if evse.session is not None:
                reading = station.energy.read(evse, "sampled", "Trigger")
                station.dialect.sampled(evse, evse.session, reading, "Trigger")

    def firmware() -> None:
        update = maintenance.update
        station.dialect.firmware_status(update.status if update else "Idle", update.request_id if update else None)

    def log() -> None:
        uploading = maintenance.log_status == "Uploading"
        station.dialect.log_status(maintenance.log_status, maintenance.log_id if uploading else None, diagnostics=False)

    action = {
        "Heartbeat": station.conversation.heartbeat,
        "StatusNotification": statuses,
        "MeterValues": meter_values,
        "TransactionEvent": transactions,
        "FirmwareStatusNotification": firmware,
        "LogStatusNotification": log,
    }.get(wanted)
    if action is None:
        return Reply(m.TriggerMessageResponse(status="NotImplemented"))
    return Reply(m.TriggerMessageResponse(status="Accepted"), action)


HANDLERS = {
    **on(V16, {"ExtendedTriggerMessage": trigger_16, "TriggerMessage": trigger_16}),
    **on(V2, {"TriggerMessage": trigger}),
}
