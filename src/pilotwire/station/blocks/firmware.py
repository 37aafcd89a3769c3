"""L Firmware management: what the CSMS asks for; `maintenance` does it (1.6 section 5.19; 2.x L01, L02)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.core.time import from_datetime
from pilotwire.protocols.ocpp.rpc.errors import NOT_SUPPORTED, RpcError
from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.station.host import Reply
from pilotwire.station.maintenance import Update

from .handling import V2, V16, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station


_RETRY_S = 60


def update_firmware_16(station: Station, request: v16.UpdateFirmwareRequest) -> Reply:
    if station.config.signed_firmware_only:
        raise RpcError(NOT_SUPPORTED, "only signed firmware is installed")  # whitepaper L01.FR.20
    if station.maintenance.too_late:
        return Reply(v16.UpdateFirmwareResponse())  # there is no word for it
    station.maintenance.update_firmware(
        Update(
            location=request.location,
            retrieve_at=int(from_datetime(request.retrieve_date)),
            retries=request.retries or 0,
            interval_ms=_interval_ms(request),
        )
    )
    return Reply(v16.UpdateFirmwareResponse(), station.maintenance.begin_update)


def _interval_ms(request: Any) -> int:
    return 1000 * max(0, _RETRY_S if request.retry_interval is None else request.retry_interval)


def update_firmware(station: Station, request: Any) -> Reply:
    """UpdateFirmware of 2.x, and SignedUpdateFirmware of 1.6, which holds the same."""
    firmware = request.firmware
    install, certificate = firmware.install_date_time, firmware.signing_certificate or ""
    sixteen = station.config.version == "1.6"
    answer = v16.SignedUpdateFirmwareResponse if sixteen else station.messages.UpdateFirmwareResponse
    why: tuple[str, str] | None = None
    if station.config.signed_firmware_only and not (certificate and firmware.signature):
        why = "MissingParam", "only signed firmware is installed"
    elif station.maintenance.too_late:
        why = "FwUpdateInProgress", "the restart for the earlier update is under way"  # L01.FR.27
    if why is not None:
        return Reply(answer(status="Rejected", **({} if sixteen else {"status_info": reason(station.messages, *why)})))
    # Without a way to files nothing is fetched, and there is nothing that could be verified.
    objection = station.maintenance.objection(certificate) if certificate and station.publishing.possible else None
    if objection is not None:
        return Reply(answer(status=objection))
    replaced = station.maintenance.update_firmware(
        Update(
            location=firmware.location,
            retrieve_at=int(from_datetime(firmware.retrieve_date_time)),
            install_at=None if install is None else int(from_datetime(install)),
            request_id=request.request_id,
            certificate=certificate,
            signature=firmware.signature or "",
            retries=request.retries or 0,
            interval_ms=_interval_ms(request),
        )
    )
    return Reply(answer(status="AcceptedCanceled" if replaced else "Accepted"), station.maintenance.begin_update)


HANDLERS = {
    **on(V16, {"UpdateFirmware": update_firmware_16, "SignedUpdateFirmware": update_firmware}),
    **on(V2, {"UpdateFirmware": update_firmware}),
}
