"""L Firmware management, the part of a Local Controller: PublishFirmware, UnpublishFirmware (L03, L04)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.station.host import Reply
from pilotwire.station.publishing import Task

from .handling import V2, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_SCHEMES = ("http://", "https://", "ftp://", "ftps://", "sftp://")
_RETRY_S = 60


def publish(station: Station, request: Any) -> Reply:
    m = station.messages
    publishing = station.publishing
    why: tuple[str, str] | None = None
    if not publishing.possible:
        why = "UnsupportedRequest", "this station is no Local Controller"
    elif publishing.busy:
        why = "FwUpdateInProgress", "another file is being fetched"
    elif not request.location.lower().startswith(_SCHEMES):
        why = "InvalidURL", "no such way to fetch a file"
    if why is not None:
        return Reply(m.PublishFirmwareResponse(status="Rejected", status_info=reason(m, *why)))
    interval = _RETRY_S if request.retry_interval is None else request.retry_interval
    task = Task(
        request.request_id, request.location, request.checksum.lower(), request.retries or 0, max(0, interval) * 1000
    )
    return Reply(m.PublishFirmwareResponse(status="Accepted"), lambda: publishing.begin(task))


def unpublish(station: Station, request: Any) -> Reply:
    return Reply(station.messages.UnpublishFirmwareResponse(status=station.publishing.withdraw(request.checksum)))


HANDLERS = on(V2, {"PublishFirmware": publish, "UnpublishFirmware": unpublish})
