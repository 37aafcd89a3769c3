"""F Remote control, the part about messages on demand (1.6 section 5.17 and whitepaper; 2.x F06).

`TRIGGERS` has one row per version and message: what sends it for the named EVSEs, or None where it cannot be sent now.
A message that has no row is answered NotImplemented.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.protocols.ocpp.version import VersionName
from pilotwire.station.evse import Evse
from pilotwire.station.host import Reply
from pilotwire.station.keystore import STATION_USE

from .certificates import sign
from .handling import V2, V16, evses_of, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station

Send = Callable[[], None]
Trigger = Callable[["Station", tuple[Evse, ...], bool], Send | None]
"""(station, the EVSEs it is for, whether these were named) → what sends the message after the answer."""

PER_EVSE = frozenset({"MeterValues", "StatusNotification", "TransactionEvent"})
"""The messages that are about an EVSE; for the others a number that there is not is ignored (F06.FR.03)."""


def _boot(station: Station, evses: tuple[Evse, ...], named: bool) -> Send | None:
    if station.config.version != "1.6" and station.conversation.registration == "Accepted":
        return None  # F06.FR.17
    return station.conversation.boot_again


def _heartbeat(station: Station, evses: tuple[Evse, ...], named: bool) -> Send | None:
    return station.conversation.heartbeat


def _status(station: Station, evses: tuple[Evse, ...], named: bool) -> Send | None:
    def send() -> None:
        if not named:
            station.dialect.report_station()
        for evse in evses:
            evse.reported = station.dialect.status(evse)
            station.dialect.report_status(evse, evse.reported)

    return send


def _meter_values_16(station: Station, evses: tuple[Evse, ...], named: bool) -> Send | None:
    if not station.settings.members("aligned"):
        return None

    def send() -> None:
        for evse in evses:
            station.energy.send_reading(evse, "Trigger", "Trigger")

    return send


def _meter_values(station: Station, evses: tuple[Evse, ...], named: bool) -> Send | None:
    if not station.settings.members("aligned"):
        return None

    def send() -> None:
        for evse in evses:
            reading = station.energy.read(evse, "aligned", "Trigger")
            if reading.values:
                station.dialect.idle_sampled(evse, reading)

    return send


def _transaction(station: Station, evses: tuple[Evse, ...], named: bool) -> Send | None:
    if not any(evse.session for evse in evses):
        return None

    def send() -> None:
        for evse in evses:
            if evse.session is not None:
                reading = station.energy.read(evse, "sampled", "Trigger")
                station.dialect.sampled(evse, evse.session, reading, "Trigger")

    return send


def _firmware_16(station: Station, evses: tuple[Evse, ...], named: bool) -> Send | None:
    def send() -> None:
        update = station.maintenance.update
        station.dialect.firmware_status(update.status if update else "Idle", update.request_id if update else None)

    return send


def _firmware(station: Station, evses: tuple[Evse, ...], named: bool) -> Send | None:
    return lambda: station.dialect.firmware_status(*station.maintenance.told)


def _signed_firmware(station: Station, evses: tuple[Evse, ...], named: bool) -> Send | None:
    return lambda: station.dialect.firmware_status(*station.maintenance.told, signed=True)


def _diagnostics(station: Station, evses: tuple[Evse, ...], named: bool) -> Send | None:
    return lambda: station.dialect.log_status(station.maintenance.log_status, None, diagnostics=True)


def _log_16(station: Station, evses: tuple[Evse, ...], named: bool) -> Send | None:
    maintenance = station.maintenance
    return lambda: station.dialect.log_status(maintenance.log_status, maintenance.log_id or 0, diagnostics=False)


def _log(station: Station, evses: tuple[Evse, ...], named: bool) -> Send | None:
    maintenance = station.maintenance

    def send() -> None:
        uploading = maintenance.log_status == "Uploading"  # F06.FR.14, .15
        station.dialect.log_status(maintenance.log_status, maintenance.log_id if uploading else None, diagnostics=False)

    return send


def _publishing(station: Station, evses: tuple[Evse, ...], named: bool) -> Send | None:
    def send() -> None:
        status, request_id = station.publishing.status
        station.dialect.publish_status(status, request_id, None)

    return send


_SHARED_16 = {
    "SignChargePointCertificate": sign(STATION_USE),
    "BootNotification": _boot,
    "FirmwareStatusNotification": _firmware_16,
    "SignedFirmwareStatusNotification": _signed_firmware,
    "Heartbeat": _heartbeat,
    "MeterValues": _meter_values_16,
    "StatusNotification": _status,
    "DiagnosticsStatusNotification": _diagnostics,
    "LogStatusNotification": _log_16,
}
_SHARED_2 = {
    "SignChargingStationCertificate": sign(STATION_USE),
    "SignCombinedCertificate": sign(STATION_USE),
    "SignV2GCertificate": sign("V2GCertificate"),
    "BootNotification": _boot,
    "FirmwareStatusNotification": _firmware,
    "Heartbeat": _heartbeat,
    "LogStatusNotification": _log,
    "MeterValues": _meter_values,
    "PublishFirmwareStatusNotification": _publishing,
    "StatusNotification": _status,
    "TransactionEvent": _transaction,
}
TRIGGERS: Mapping[tuple[VersionName, str], Trigger] = {
    **{("1.6", message): trigger for message, trigger in _SHARED_16.items()},
    **{(version, message): trigger for version in V2 for message, trigger in _SHARED_2.items()},
    ("2.1", "SignV2G20Certificate"): sign("V2G20Certificate"),
}


def trigger_16(station: Station, request: v16.TriggerMessageRequest | v16.ExtendedTriggerMessageRequest) -> Reply:
    extended = isinstance(request, v16.ExtendedTriggerMessageRequest)
    response = v16.ExtendedTriggerMessageResponse if extended else v16.TriggerMessageResponse
    wanted = request.requested_message
    if extended and wanted == "FirmwareStatusNotification":
        wanted = "SignedFirmwareStatusNotification"  # whitepaper L01.FR.28, .29
    return _trigger(station, response, wanted, request.connector_id, None)


def trigger(station: Station, request: Any) -> Reply:
    wanted = request.requested_message
    if wanted == "CustomTrigger":
        asked = request.custom_trigger or ""
        wanted = asked if asked in station.settings.members("custom_triggers") else ""
    evse = request.evse
    number, connector = (None, None) if evse is None else (evse.id, evse.connector_id)
    return _trigger(station, station.messages.TriggerMessageResponse, wanted, number, connector)


def _trigger(station: Station, response: Any, wanted: str, number: int | None, connector: int | None) -> Reply:
    row = TRIGGERS.get((station.config.version, wanted))
    if row is None:
        return Reply(response(status="NotImplemented"))
    evses = evses_of(station, number, connector) if wanted in PER_EVSE else ()
    send = None if evses is None else row(station, evses, bool(number))
    return Reply(response(status="Rejected" if send is None else "Accepted"), send)


HANDLERS = {
    **on(V16, {"ExtendedTriggerMessage": trigger_16, "TriggerMessage": trigger_16}),
    **on(V2, {"TriggerMessage": trigger}),
}
