"""Firmware and logs of stations over HTTP. Where stations fetch and leave files is `pilotwire.api.files.server`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from litestar import Response, delete, get, patch, post, put
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from .. import types
from ..edit import IfMatch, tagged
from ..language import _
from ..problems import problem
from ..resources import firmware, logs
from .common import (
    Cursor,
    Limit,
    PlainRequest,
    StationPath,
    body_of,
    context_of,
    segment,
    text_or_400,
    whoever,
)

FirmwarePath = Annotated[str, PathParameter(description="Id of the firmware image")]
LogPath = Annotated[str, PathParameter(description="Id of the log")]
_TAGS = ["Firmware"]
_BINARY = "application/octet-stream"


def _file(pieces: object, name: str, size: int) -> Stream:
    """A file to keep, never to show."""
    plain = "".join(letter if letter.isascii() and (letter.isalnum() or letter in "-_. ") else "_" for letter in name)
    headers = {
        "content-disposition": f"attachment; filename=\"{plain or 'file'}\"; filename*=UTF-8''{quote(name, safe='')}",
        "content-length": str(size),
        "cache-control": "no-store",
    }
    return Stream(pieces, media_type=_BINARY, headers=headers)  # type: ignore[arg-type]


# -- images -----------------------------------------------------------------------------------------------------------
@get("/firmware", operation_id="listFirmware", tags=_TAGS, summary="List firmware images")
async def list_firmware(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    q: Annotated[
        str | None, QueryParameter(description="Part of version, vendor, model or name", max_length=100)
    ] = None,
) -> types.FirmwarePage:
    """Images, newest first. A page may hold fewer than `limit` and still have a next one."""
    return await firmware.images(
        context_of(request), whoever(request), search=text_or_400("q", q), cursor=cursor, limit=limit
    )


@post("/firmware", operation_id="createFirmware", tags=_TAGS, summary="Add a firmware image", body=types.NewFirmware)
async def create_firmware(request: PlainRequest) -> Response[types.Firmware]:
    """Say what an image is; send its file afterwards. A signing certificate and a signature belong together."""
    data = await body_of(request, types.NewFirmware)
    return tagged(*await firmware.create(context_of(request), whoever(request), data), status_code=201)


@get("/firmware/{firmware_id:str}", operation_id="getFirmware", tags=_TAGS, summary="One firmware image")
async def get_firmware(request: PlainRequest, firmware_id: FirmwarePath) -> Response[types.Firmware]:
    """What an image is, and whether it can be sent."""
    return tagged(*await firmware.image(context_of(request), whoever(request), segment(firmware_id)))


@patch(
    "/firmware/{firmware_id:str}",
    operation_id="changeFirmware",
    tags=_TAGS,
    summary="Change a firmware image",
    body=types.FirmwareChange,
)
async def change_firmware(
    request: PlainRequest, firmware_id: FirmwarePath, if_match: IfMatch = None
) -> Response[types.Firmware]:
    """Change what is given, keep the rest. A new signature is checked at once; the file never changes."""
    data = await body_of(request, types.FirmwareChange)
    return tagged(
        *await firmware.change(context_of(request), whoever(request), segment(firmware_id), data, if_match=if_match)
    )


@delete("/firmware/{firmware_id:str}", operation_id="deleteFirmware", tags=_TAGS, summary="Delete a firmware image")
async def delete_firmware(request: PlainRequest, firmware_id: FirmwarePath, if_match: IfMatch = None) -> None:
    """The file goes too, and every link to it; not while a roll-out of it is not done."""
    await firmware.remove(context_of(request), whoever(request), segment(firmware_id), if_match=if_match)


@put(
    "/firmware/{firmware_id:str}/content",
    operation_id="putFirmwareContent",
    tags=_TAGS,
    summary="Send the file of an image",
    body=_BINARY,
    request_max_body_size=None,  # `ApiConfig.firmware_limit` counts, while it comes
)
async def put_content(request: PlainRequest, firmware_id: FirmwarePath) -> Response[types.Firmware]:
    """The bytes of the file, once. Size, SHA-256 and signature are checked as soon as it is whole: an image whose
    signature is wrong is kept as `rejected` and sent to nobody."""
    given = request.headers.get("content-type", _BINARY).partition(";")[0].strip().lower()
    if given != _BINARY:
        raise problem(
            "bad-media-type",
            _("The body is sent as {given}; {wanted} is expected here.", given=repr(given[:80]), wanted=_BINARY),
        )
    return tagged(
        *await firmware.receive(context_of(request), whoever(request), segment(firmware_id), request.stream())
    )


@get(
    "/firmware/{firmware_id:str}/content",
    operation_id="getFirmwareContent",
    tags=_TAGS,
    summary="The file of an image",
    media_type=_BINARY,
)
async def get_content(request: PlainRequest, firmware_id: FirmwarePath) -> Stream:
    """The file as it was sent."""
    image, pieces = await firmware.content(context_of(request), whoever(request), segment(firmware_id))
    return _file(pieces, image.name, image.size)


# -- updates ----------------------------------------------------------------------------------------------------------
@get(
    "/stations/{station_id:str}/firmware-update",
    operation_id="getFirmwareUpdate",
    tags=_TAGS,
    summary="A station's newest update",
)
async def get_update(request: PlainRequest, station_id: StationPath) -> types.FirmwareUpdate:
    """How far the newest update is, step by step."""
    return await firmware.update(context_of(request), whoever(request), segment(station_id))


@post(
    "/stations/{station_id:str}/firmware-update",
    operation_id="updateFirmware",
    tags=_TAGS,
    summary="Update a station",
    status_code=200,
    body=types.NewFirmwareUpdate,
)
async def update_firmware(request: PlainRequest, station_id: StationPath) -> types.FirmwareUpdate:
    """Have the station fetch an image from here and install it: UpdateFirmware, SignedUpdateFirmware for signed images
    in 1.6. The link in it is the station's own and expires. The answer is the station's; follow the update from then
    on. An image whose signature does not hold now is not sent."""
    data = await body_of(request, types.NewFirmwareUpdate)
    return await firmware.order(context_of(request), whoever(request), segment(station_id), data)


@post(
    "/stations/{station_id:str}/firmware-publication",
    operation_id="publishFirmware",
    tags=_TAGS,
    summary="Publish firmware at a local controller",
    status_code=200,
    body=types.NewFirmwarePublication,
)
async def publish_firmware(request: PlainRequest, station_id: StationPath) -> types.CommandAnswer:
    """Have a local controller (2.x) fetch an image from here and offer it to its stations. Where it can be had there,
    the station's events tell. `withdrawFirmware` ends it."""
    data = await body_of(request, types.NewFirmwarePublication)
    return await firmware.publish(context_of(request), whoever(request), segment(station_id), data)


@post(
    "/stations/{station_id:str}/firmware-withdrawal",
    operation_id="withdrawFirmware",
    tags=_TAGS,
    summary="Withdraw firmware at a local controller",
    status_code=200,
    body=types.NewFirmwareWithdrawal,
)
async def withdraw_firmware(request: PlainRequest, station_id: StationPath) -> types.CommandAnswer:
    """Have a local controller (2.x) offer an image no longer. Its answer says whether it did: `NoFirmware` where it had
    none, `DownloadOngoing` while it fetches it or a station does."""
    data = await body_of(request, types.NewFirmwareWithdrawal)
    return await firmware.withdraw(context_of(request), whoever(request), segment(station_id), data)


# -- logs -------------------------------------------------------------------------------------------------------------
@get("/stations/{station_id:str}/logs", operation_id="listStationLogs", tags=_TAGS, summary="Logs of a station")
async def list_logs(
    request: PlainRequest, station_id: StationPath, cursor: Cursor = None, limit: Limit = 50
) -> types.StationLogPage:
    """Logs that were asked for, newest first, and whether they have come."""
    return await logs.logs(context_of(request), whoever(request), segment(station_id), cursor=cursor, limit=limit)


@post(
    "/stations/{station_id:str}/logs",
    operation_id="askForStationLog",
    tags=_TAGS,
    summary="Ask for a log",
    body=types.NewLog,
)
async def ask_log(request: PlainRequest, station_id: StationPath) -> Response[types.StationLog]:
    """Have the station leave its diagnostics or its security log here (GetLog, GetDiagnostics). The link that it is
    given takes one file."""
    data = await body_of(request, types.NewLog)
    return Response(await logs.ask(context_of(request), whoever(request), segment(station_id), data), status_code=201)


@get("/stations/{station_id:str}/logs/{log_id:str}", operation_id="getStationLog", tags=_TAGS, summary="One log")
async def get_log(request: PlainRequest, station_id: StationPath, log_id: LogPath) -> types.StationLog:
    """Whether it has come."""
    return await logs.log(context_of(request), whoever(request), segment(station_id), segment(log_id))


@get(
    "/stations/{station_id:str}/logs/{log_id:str}/content",
    operation_id="getStationLogContent",
    tags=_TAGS,
    summary="The file of a log",
    media_type=_BINARY,
)
async def get_log_content(request: PlainRequest, station_id: StationPath, log_id: LogPath) -> Stream:
    """The file as the station left it. Who fetched it stands in the audit log."""
    found, pieces = await logs.content(context_of(request), whoever(request), segment(station_id), segment(log_id))
    return _file(pieces, found.name or f"{found.station_id}-{found.type}.log", found.size)


@delete(
    "/stations/{station_id:str}/logs/{log_id:str}",
    operation_id="deleteStationLog",
    tags=_TAGS,
    summary="Delete a log",
)
async def delete_log(request: PlainRequest, station_id: StationPath, log_id: LogPath) -> None:
    """The file goes too, and the link where it was waited for."""
    await logs.remove(context_of(request), whoever(request), segment(station_id), segment(log_id))


HANDLERS = [
    list_firmware, create_firmware, get_firmware, change_firmware, delete_firmware, put_content, get_content,
    get_update, update_firmware, publish_firmware, withdraw_firmware, list_logs, ask_log, get_log, get_log_content,
    delete_log,
]  # fmt: skip
