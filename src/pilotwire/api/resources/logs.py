"""Logs that stations leave: asked for, waited for at a one-time link, kept for a while (1.6 GetDiagnostics; GetLog)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Literal

import msgspec

from pilotwire.core.time import from_rfc3339, to_rfc3339
from pilotwire.storage import documents
from pilotwire.storage.documents import sort_time

from .. import audit, types
from ..access import Principal
from ..context import ApiContext
from ..files.folder import Folder
from ..files.links import Link, links_of
from ..files.server import Upload
from ..language import _
from ..listing import next_of, question, stored_cursor
from ..problems import Problem, not_found, problem
from ..queries import Queries
from ..tenancy import bound
from .firmware import folder_of
from .keeping import Collection

AREA = "logs"
LINK_MS = 86_400_000
"""How long a station may take to leave what it was asked for."""
_OPEN = 20
"""So many logs of one station are waited for at the same time."""
_FAILED = ("UploadFailure", "UploadFailed", "BadMessage", "NotSupportedOperation", "PermissionDenied")
"""UploadLogStatus and DiagnosticsStatus after which nothing comes."""


class LogRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a log beside its file."""

    station: str
    type: Literal["diagnostics", "security"]
    status: Literal["waiting", "received", "failed"] = "waiting"
    told: str = ""
    text: str = ""
    name: str = ""
    size: int = 0
    sha256: str = ""
    request_id: int
    by: str
    asked_at: int
    expires_at: int
    received_at: int | None = None


LOGS = Collection("station-log", LogRecord, "log")


def _sort(one: LogRecord) -> str:
    return f"{one.station}/{sort_time(one.asked_at)}"


def shown(context: ApiContext, id: str, one: LogRecord) -> types.StationLog:
    """As the API shows it."""
    expired = one.status == "waiting" and one.expires_at <= context.scheduler.now()
    until = kept_until(context, one)
    return types.StationLog(
        id=id,
        station_id=one.station,
        type=one.type,
        status="expired" if expired else one.status,
        told=one.told,
        text=one.text,
        name=one.name,
        size=one.size,
        sha256=one.sha256,
        asked_by=one.by,
        asked_at=to_rfc3339(one.asked_at),
        received_at=to_rfc3339(one.received_at) if one.received_at is not None else None,
        kept_until=to_rfc3339(until) if until is not None else None,
    )


def kept_until(context: ApiContext, one: LogRecord) -> int | None:
    """When it is forgotten (ms); None: when somebody deletes it."""
    days = context.config.log_days
    return None if not days else (one.received_at or one.expires_at) + days * 86_400_000


async def ask(context: ApiContext, principal: Principal, station_id: str, data: types.NewLog) -> types.StationLog:
    """Have a station leave a log. Raises Problem as a command does, and 422 when too many are waited for."""
    from ..commands import execute

    principal.need("logs:write")
    folder_of(context)
    await Queries(context, principal).station(station_id)
    for field in ("oldest", "latest"):
        try:
            from_rfc3339(getattr(data, field) or "1970-01-01T00:00:00Z")
        except ValueError:
            raise problem("bad-body", errors=[{"field": field, "message": _("no RFC 3339 time")}]) from None
    now = context.scheduler.now()
    waiting = [one async for _id, one in _of(context, principal.tenant, station_id) if _waited(one, now)]
    if len(waiting) >= _OPEN:
        raise problem("too-many", _("{n} logs of this station are waited for already.", n=len(waiting)))
    id = context.ids.new()
    record = LogRecord(
        station=station_id,
        type=data.type,
        request_id=context.ids.transaction_id(),
        by=principal.actor,
        asked_at=now,
        expires_at=now + LINK_MS,
    )
    link = Link(
        tenant=principal.tenant,
        station=station_id,
        purpose="log",
        thing=id,
        file=id,
        made_at=now,
        expires_at=record.expires_at,
        limit=context.config.log_limit,
    )
    payload: dict[str, Any] = {
        "location": await links_of(context).make(link, f"{data.type}.log"),
        "type": data.type,
        "request_id": record.request_id,
    }
    payload |= {name: getattr(data, name) for name in ("oldest", "latest") if getattr(data, name)}
    # Kept before it is sent: a quick station has left its log before its answer has been read.
    await LOGS.add(context, principal.tenant, id, record, sort=_sort(record))
    command = types.NewCommand(action="get-log", payload=payload, timeout_s=data.timeout_s)
    try:
        answer = await execute(context, principal, station_id, command)
    except Problem as error:
        if error.name != "no-answer":  # what was sent and not answered may still come
            await _fail(context, principal.tenant, id, error.details.detail)
            await links_of(context).revoke(principal.tenant, id)
        raise
    said = answer.answer
    status = str(said.get("status", "Accepted"))
    why = ""
    if answer.outcome == "refused":
        why = f"{said.get('code')}: {said.get('description')}"
    elif status not in ("Accepted", "AcceptedCanceled"):
        why = status
    elif "status" not in said and not said.get("fileName"):
        why = _("the station has no such log")  # 1.6 section 6.26: no file name, nothing to upload
    if why:
        await _fail(context, principal.tenant, id, why)
        await links_of(context).revoke(principal.tenant, id)
    kept = await LOGS.get(context, principal.tenant, id)
    return shown(context, id, kept.value)


def _waited(one: LogRecord, now: int) -> bool:
    return one.status == "waiting" and one.expires_at > now


async def _of(context: ApiContext, tenant: str, station_id: str) -> AsyncIterator[tuple[str, LogRecord]]:
    """The logs of a station, newest first."""
    cursor: str | None = None
    while True:
        page = await context.store.documents(
            tenant, LOGS.kind, low=f"{station_id}/", high=f"{station_id}0", cursor=cursor, limit=100, newest_first=True
        )
        for one in page.items:
            record = documents.unpack(one, LogRecord).value
            if record.station == station_id:  # ids may hold a slash
                yield one.id, record
        if (cursor := page.next) is None:
            return


async def _fail(context: ApiContext, tenant: str, id: str, why: str) -> None:
    kept = await LOGS.find(context, tenant, id)
    if kept is not None and kept.value.status == "waiting":
        kept.value.status, kept.value.text = "failed", why
        await _put(context, tenant, id, kept.value)


async def _put(context: ApiContext, tenant: str, id: str, record: LogRecord) -> None:
    await context.store.write_documents(tenant, [documents.put(LOGS.kind, id, record, sort=_sort(record))])


async def told(context: ApiContext, tenant: str, station_id: str, status: str, request_id: int | None) -> None:
    """LogStatusNotification or DiagnosticsStatusNotification; the latter names no request: it is about the newest."""
    if status == "Idle":
        return
    now = context.scheduler.now()
    async for id, record in _of(context, tenant, station_id):
        if request_id is not None and record.request_id != request_id:
            continue
        if request_id is None and not _waited(record, now) and record.status != "received":
            return
        record.told = status
        if record.status == "waiting" and status in _FAILED:
            record.status = "failed"
        await _put(context, tenant, id, record)
        return


async def received(context: ApiContext, link: Link, upload: Upload) -> None:
    """A station has left its file at a link."""
    context = bound(context, link.tenant)
    kept = await LOGS.find(context, link.tenant, link.thing)
    if kept is None:
        assert context.files is not None
        await Folder(context.files).remove(link.tenant, AREA, link.file)  # forgotten meanwhile
        return
    record = kept.value
    record.status, record.received_at, record.text = "received", context.scheduler.now(), ""
    record.size, record.sha256 = upload.size, upload.sha256
    record.name = "".join(letter for letter in upload.name if letter.isprintable())[-120:]
    await _put(context, link.tenant, link.thing, record)


# -- looking ----------------------------------------------------------------------------------------------------------
async def logs(
    context: ApiContext, principal: Principal, station_id: str, *, cursor: str | None = None, limit: int = 50
) -> types.StationLogPage:
    """The logs of a station, newest first. Raises Problem 404."""
    principal.need("logs:read")
    await Queries(context, principal).station(station_id)
    asked = question(f"logs {station_id}", "newest", {})
    page = await context.store.documents(
        principal.tenant,
        LOGS.kind,
        low=f"{station_id}/",
        high=f"{station_id}0",
        cursor=stored_cursor(cursor, asked),
        limit=limit,
        newest_first=True,
    )
    found = [(one.id, documents.unpack(one, LogRecord).value) for one in page.items]
    items = [shown(context, id, one) for id, one in found if one.station == station_id]
    return types.StationLogPage(items=items, next=next_of(page.next, asked))


async def _one(context: ApiContext, principal: Principal, station_id: str, id: str) -> documents.Kept[LogRecord]:
    await Queries(context, principal).station(station_id)
    kept = await LOGS.get(context, principal.tenant, id)
    if kept.value.station != station_id:
        raise not_found("log", id)
    return kept


async def log(context: ApiContext, principal: Principal, station_id: str, id: str) -> types.StationLog:
    """One. Raises Problem 404."""
    principal.need("logs:read")
    return shown(context, id, (await _one(context, principal, station_id, id)).value)


async def content(
    context: ApiContext, principal: Principal, station_id: str, id: str
) -> tuple[types.StationLog, AsyncIterator[bytes]]:
    """The file in pieces; who fetches it stands in the audit log. Raises Problem 404."""
    principal.need("logs:read")
    found = await log(context, principal, station_id, id)
    folder = folder_of(context)
    if found.status != "received" or await folder.size(principal.tenant, AREA, id) is None:
        raise problem("not-found", _("This log has no file."))
    await audit.record(context, principal, "logs.fetch", f"station {station_id}", detail={"log": id})
    return found, folder.read(principal.tenant, AREA, id)


async def remove(context: ApiContext, principal: Principal, station_id: str, id: str) -> None:
    """Delete a log, its file and the link where it was waited for. Raises Problem 404."""
    principal.need("logs:write")
    await _one(context, principal, station_id, id)
    await _forget(context, principal.tenant, id)
    await audit.record(context, principal, "logs.delete", f"station {station_id}", detail={"log": id})


async def _forget(context: ApiContext, tenant: str, id: str) -> None:
    await context.store.write_documents(tenant, [documents.Delete(LOGS.kind, id)])
    await links_of(context).revoke(tenant, id)
    if context.files is not None:
        await Folder(context.files).remove(tenant, AREA, id)


async def purge(context: ApiContext, tenant: str) -> int:
    """Forget the logs whose time is over."""
    now = context.scheduler.now()
    old = [
        id
        async for id, kept in LOGS.every(context, tenant)
        if (until := kept_until(context, kept.value)) is not None and until <= now
    ]
    for id in old:
        await _forget(context, tenant, id)
    return len(old)
