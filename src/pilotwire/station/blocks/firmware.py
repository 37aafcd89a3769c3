"""L Firmware management: what the CSMS asks for; `maintenance` does it (1.6 section 5.19; 2.x L01, L02)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.core.time import from_datetime
from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station.host import Reply
from pilotwire.station.maintenance import Update

from .handling import V2, V16, on

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def update_firmware_16(station: Station, request: v16.UpdateFirmwareRequest) -> Reply:
    station.maintenance.update_firmware(
        Update(location=request.location, retrieve_at=int(from_datetime(request.retrieve_date)))
    )
    return Reply(v16.UpdateFirmwareResponse(), station.maintenance.begin_update)


def update_firmware(station: Station, request: Any) -> Reply:
    firmware = request.firmware
    install = firmware.install_date_time
    replaced = station.maintenance.update_firmware(
        Update(
            location=firmware.location,
            retrieve_at=int(from_datetime(firmware.retrieve_date_time)),
            install_at=None if install is None else int(from_datetime(install)),
            request_id=request.request_id,
        )
    )
    status = "AcceptedCanceled" if replaced else "Accepted"
    return Reply(station.messages.UpdateFirmwareResponse(status=status), station.maintenance.begin_update)


HANDLERS = {
    **on(V16, {"UpdateFirmware": update_firmware_16}),
    **on(V2, {"UpdateFirmware": update_firmware}),
}
