"""Firmware: images with their signatures, and the updates that stations are given.

What is sent to a station has been checked here first: the file is whole, and where it is signed, the signature is its
own and leads to an authority that this tenant trusts for firmware (A00.FR.707). A signature that is wrong is no reason
to lose the file: it is kept, says what is wrong, and is sent to nobody until that is mended.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.core.ids import StationKey
from pilotwire.core.time import from_rfc3339, to_datetime, to_rfc3339
from pilotwire.domain.firmware import Update, end
from pilotwire.domain.trust import ANCHORS, TrustAnchor
from pilotwire.storage import documents
from pilotwire.storage.documents import sort_time

from .. import audit, types
from ..access import Principal
from ..context import ApiContext
from ..edit import check, tag_of
from ..files.folder import Folder, TooLarge
from ..files.links import Link, links_of
from ..language import _
from ..listing import next_of, question, stored_cursor
from ..problems import Problem, problem
from ..queries import Queries
from .keeping import Collection, Tagged

if TYPE_CHECKING:
    from cryptography import x509

AREA = "firmware"
LINK_MS = 7 * 86_400_000
"""How long a station may fetch what it was told to."""
UPDATE_KIND = "firmware-update"


class FirmwareRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of an image."""

    version: str
    vendor: str = ""
    model: str = ""
    name: str = ""
    note: str = ""
    certificate: str = ""
    signature: str = ""
    signed_by: str = ""
    fault: str = ""
    size: int = 0
    sha256: str = ""
    md5: str = ""
    created_at: int
    created_by: str = ""

    @property
    def signed(self) -> bool:
        return bool(self.certificate)


IMAGES = Collection("firmware", FirmwareRecord, "firmware")
UPDATES = Collection(UPDATE_KIND, Update, "firmware update")
_SECONDS = 1000


def shown(id: str, one: FirmwareRecord) -> types.Firmware:
    """As the API shows it."""
    return types.Firmware(
        id=id,
        version=one.version,
        vendor=one.vendor,
        model=one.model,
        name=one.name,
        note=one.note,
        status="empty" if not one.sha256 else "rejected" if one.fault else "ready",
        fault=one.fault,
        signed=one.signed,
        signed_by=one.signed_by,
        signing_certificate=one.certificate,
        signature=one.signature,
        size=one.size,
        sha256=one.sha256,
        md5=one.md5,
        created_at=to_rfc3339(one.created_at),
        created_by=one.created_by,
    )


def folder_of(context: ApiContext) -> Folder:
    """Where files lie. Raises Problem 503 where there is no such place."""
    if context.files is None:
        raise problem("not-ready", _("This server has no folder for files."))
    return Folder(context.files)


# -- images -----------------------------------------------------------------------------------------------------------
async def images(
    context: ApiContext, principal: Principal, *, search: str | None = None, cursor: str | None = None, limit: int = 50
) -> types.FirmwarePage:
    """Images, newest first. A page may hold fewer than `limit` and still have a next one."""
    principal.need("firmware:read")
    asked = question("firmware", "newest", {"q": search})
    page = await context.store.documents(
        principal.tenant, IMAGES.kind, cursor=stored_cursor(cursor, asked), limit=limit, newest_first=True
    )
    found = [shown(one.id, documents.unpack(one, FirmwareRecord).value) for one in page.items]
    if search:
        needle = search.casefold()
        found = [one for one in found if needle in f"{one.version} {one.vendor} {one.model} {one.name}".casefold()]
    return types.FirmwarePage(items=found, next=next_of(page.next, asked))


async def image(context: ApiContext, principal: Principal, id: str) -> Tagged[types.Firmware]:
    """One image. Raises Problem 404."""
    principal.need("firmware:read")
    kept = await IMAGES.get(context, principal.tenant, id)
    return Tagged(shown(id, kept.value), tag_of(kept.version))


async def create(context: ApiContext, principal: Principal, data: types.NewFirmware) -> Tagged[types.Firmware]:
    """Make an image without a file. Raises Problem 403, 422."""
    principal.need("firmware:write")
    now = context.scheduler.now()
    record = FirmwareRecord(
        version=data.version,
        vendor=data.vendor,
        model=data.model,
        name=data.name or f"{data.version}.bin",
        note=data.note,
        created_at=now,
        created_by=principal.actor,
    )
    _sign(record, data.signing_certificate, data.signature)
    id = context.ids.new()
    version = await IMAGES.add(context, principal.tenant, id, record, sort=sort_time(now))
    await audit.record(context, principal, "firmware.create", f"firmware {id}", detail={"version": record.version})
    return Tagged(shown(id, record), tag_of(version))


def _sign(record: FirmwareRecord, certificate: str, signature: str) -> None:
    """Take up a certificate and a signature. Raises Problem 422 for what cannot be read."""
    from pilotwire.crypto import firmware as signing

    certificate, signature = certificate.strip(), "".join(signature.split())
    if bool(certificate) != bool(signature):
        field = "signature" if certificate else "signing_certificate"
        raise problem("bad-body", errors=[{"field": field, "message": _("certificate and signature belong together")}])
    record.signed_by = ""
    if certificate:
        try:
            record.signed_by = signing.signer(certificate)[0].subject.rfc4514_string()
        except signing.BadFirmware as error:
            raise problem("bad-body", errors=[{"field": "signing_certificate", "message": str(error)}]) from None
    record.certificate, record.signature = certificate, signature


async def change(
    context: ApiContext, principal: Principal, id: str, data: types.FirmwareChange, *, if_match: str | None = None
) -> Tagged[types.Firmware]:
    """Change what is given. Raises Problem 403, 404, 412, 422."""
    principal.need("firmware:write")
    kept = await IMAGES.get(context, principal.tenant, id)
    check(if_match, tag_of(kept.version))
    record = kept.value
    given = {name: value for name in data.__struct_fields__ if (value := getattr(data, name)) is not msgspec.UNSET}
    for name in ("vendor", "model", "note"):
        if name in given:
            setattr(record, name, given[name])
    if "signing_certificate" in given or "signature" in given:
        _sign(
            record,
            given.get("signing_certificate", record.certificate),
            given.get("signature", record.signature),
        )
        record.fault = await fault_of(context, principal.tenant, record) if record.sha256 else ""
    sort = sort_time(record.created_at)
    version = await IMAGES.replace(context, principal.tenant, id, record, sort=sort, expected=kept.version)
    await audit.record(context, principal, "firmware.change", f"firmware {id}", detail={"fields": sorted(given)})
    return Tagged(shown(id, record), tag_of(version))


async def receive(
    context: ApiContext, principal: Principal, id: str, pieces: AsyncIterator[bytes]
) -> Tagged[types.Firmware]:
    """Take the file of an image, once; it is checked as soon as it is whole. Raises Problem 403, 404, 409, 413."""
    principal.need("firmware:write")
    kept = await IMAGES.get(context, principal.tenant, id)
    if kept.value.sha256:
        raise problem("exists", _("The file of an image never changes: make a new image."))
    incoming = folder_of(context).incoming(principal.tenant, AREA, id, context.config.firmware_limit)
    try:
        async for piece in pieces:
            await incoming.write(piece)
        if not incoming.size:
            raise problem("bad-file", _("The file is empty."))
        record = kept.value
        digests = await incoming.commit()
    except TooLarge:
        limit = context.config.firmware_limit >> 20
        raise problem("too-large", _("An image has at most {n} MiB.", n=limit)) from None
    finally:
        incoming.drop()
    record.size, record.sha256, record.md5 = digests
    record.fault = await fault_of(context, principal.tenant, record)
    sort = sort_time(record.created_at)
    version = await IMAGES.replace(context, principal.tenant, id, record, sort=sort, expected=kept.version)
    detail: dict[str, object] = {"sha256": record.sha256, "size": record.size, "fault": record.fault}
    await audit.record(context, principal, "firmware.upload", f"firmware {id}", detail=detail)
    return Tagged(shown(id, record), tag_of(version))


async def content(context: ApiContext, principal: Principal, id: str) -> tuple[types.Firmware, AsyncIterator[bytes]]:
    """The file in pieces. Raises Problem 404."""
    principal.need("firmware:read")
    kept = await IMAGES.get(context, principal.tenant, id)
    folder = folder_of(context)
    if await folder.size(principal.tenant, AREA, id) is None:
        raise problem("not-found", _("The image has no file."))
    return shown(id, kept.value), folder.read(principal.tenant, AREA, id)


async def remove(context: ApiContext, principal: Principal, id: str, *, if_match: str | None = None) -> None:
    """Delete an image, its file and every link to it. Raises Problem 404, 409 (a roll-out uses it), 412."""
    from .rollouts import uses

    principal.need("firmware:write")
    kept = await IMAGES.get(context, principal.tenant, id)
    check(if_match, tag_of(kept.version))
    if rollout := await uses(context, principal.tenant, id):
        raise problem("in-use", _("The roll-out {id} is not over.", id=rollout))
    await IMAGES.delete(context, principal.tenant, id, expected=kept.version)
    await links_of(context).revoke(principal.tenant, id)
    if context.files is not None:
        await Folder(context.files).remove(principal.tenant, AREA, id)
    await audit.record(context, principal, "firmware.delete", f"firmware {id}", detail={"version": kept.value.version})


# -- checking ---------------------------------------------------------------------------------------------------------
async def fault_of(context: ApiContext, tenant: str, record: FirmwareRecord) -> str:
    """What is wrong with the signature of an image; "" for nothing, and for one that is not signed."""
    from pilotwire.crypto import firmware as signing

    if not record.signed:
        return ""
    try:
        first, others = signing.signer(record.certificate)
        signing.check_signature(first, record.signature, bytes.fromhex(record.sha256))
        anchors = await _anchors(context, tenant)
        signing.check_chain(first, others, anchors, to_datetime(context.scheduler.now()))
    except signing.BadFirmware as error:
        return f"{error.code}: {error}"
    return ""


async def _anchors(context: ApiContext, tenant: str) -> list[x509.Certificate]:
    """Whom the tenant trusts for firmware."""
    from pilotwire.core.errors import PilotwireError
    from pilotwire.crypto import chains, pem

    found: list[x509.Certificate] = []
    cursor: str | None = None
    while True:
        page = await context.store.documents(tenant, ANCHORS, cursor=cursor, limit=500)
        for one in page.items:
            anchor = documents.unpack(one, TrustAnchor).value
            if anchor.use != "manufacturer":
                continue
            try:
                found.append(chains.load(pem.one(anchor.certificate)))
            except PilotwireError:
                continue  # it was readable when it was added; the list of authorities shows it
        cursor = page.next
        if cursor is None:
            return found


async def sendable(context: ApiContext, tenant: str, id: str) -> FirmwareRecord:
    """An image that may be sent, checked now: certificates expire. Raises Problem 404, 422."""
    record = (await IMAGES.get(context, tenant, id)).value
    if not record.sha256:
        raise problem("bad-body", errors=[{"field": "firmware_id", "message": _("the image has no file yet")}])
    if fault := await fault_of(context, tenant, record):
        raise problem("bad-body", errors=[{"field": "firmware_id", "message": fault}])
    return record


# -- updates ----------------------------------------------------------------------------------------------------------
async def update(context: ApiContext, principal: Principal, station_id: str) -> types.FirmwareUpdate:
    """The newest update of a station. Raises Problem 404."""
    principal.need("stations:read")
    await Queries(context, principal).station(station_id)
    return shown_update((await UPDATES.get(context, principal.tenant, station_id)).value)


def shown_update(one: Update) -> types.FirmwareUpdate:
    """As the API shows it."""
    return types.FirmwareUpdate(
        station_id=one.station,
        firmware_id=one.firmware,
        version=one.version,
        version_before=one.before,
        signed=one.signed,
        request_id=one.request_id,
        rollout_id=one.rollout or None,
        ordered_by=one.by,
        ordered_at=to_rfc3339(one.ordered_at),
        status=one.status,
        steps=[types.FirmwareStep(time=to_rfc3339(step.at), status=step.status) for step in one.steps],
        outcome=one.outcome,
        text=one.reason,
        ended_at=to_rfc3339(one.ended_at) if one.ended_at is not None else None,
    )


async def order(
    context: ApiContext,
    principal: Principal,
    station_id: str,
    data: types.NewFirmwareUpdate,
    *,
    rollout: str = "",
) -> types.FirmwareUpdate:
    """Have one station update itself; its progress is followed from now on. Raises Problem as a command does."""
    from ..commands import execute
    from ..firmware_worker import watch

    principal.need("commands:dangerous")
    record = await sendable(context, principal.tenant, data.firmware_id)
    station = await Queries(context, principal).station(station_id)
    _fits(record, station)
    now = context.scheduler.now()
    retrieve, install = _when(data, now)
    request_id = context.ids.transaction_id()
    link = _link(context, principal.tenant, station_id, data.firmware_id, record, retrieve)
    payload: dict[str, Any] = {
        "location": await links_of(context).make(link, record.name),
        "retrieve_at": to_rfc3339(retrieve),
        "retries": data.retries,
        "retry_interval": data.retry_interval_s,
        "request_id": request_id,
    }
    if install:
        payload["install_at"] = to_rfc3339(install)
    if record.signed:
        payload |= {"signing_certificate": record.certificate, "signature": record.signature}
    made = Update(
        station=station_id,
        firmware=data.firmware_id,
        version=record.version,
        before=station.firmware,
        request_id=request_id,
        rollout=rollout,
        by=principal.actor,
        signed=record.signed,
        ordered_at=now,
        changed_at=now,
        wait_until=max(retrieve, install or 0, now),
    )
    # Followed from before it is sent: a quick station tells its first status before its answer has been read.
    before = await watch(context, principal.tenant, made)
    try:
        answer = await execute(
            context,
            principal,
            station_id,
            types.NewCommand(action="update-firmware", payload=payload, reason=data.reason),
        )
    except Problem as error:
        if error.name != "no-answer":  # what was sent and not answered may have been taken
            end(made, "refused", error.details.detail, context.scheduler.now())
            await watch(context, principal.tenant, before if before is not None and not before.over else made)
        raise
    status = str(answer.answer.get("status", "Accepted"))
    if answer.outcome == "refused" or status not in ("Accepted", "AcceptedCanceled"):
        said = answer.answer
        text = f"{said.get('code')}: {said.get('description')}" if answer.outcome == "refused" else status
        end(made, "refused", text, context.scheduler.now())
    else:
        made.taken = True
    await watch(context, principal.tenant, made)
    return shown_update(made)


async def publish(
    context: ApiContext, principal: Principal, station_id: str, data: types.NewFirmwarePublication
) -> types.CommandAnswer:
    """Have a local controller fetch an image and offer it (2.x L03). Raises Problem as a command does."""
    from ..commands import execute

    principal.need("commands:dangerous")
    record = await sendable(context, principal.tenant, data.firmware_id)
    await Queries(context, principal).station(station_id)
    link = _link(context, principal.tenant, station_id, data.firmware_id, record)
    payload: dict[str, Any] = {
        "location": await links_of(context).make(link, record.name),
        "checksum": record.md5,
        "requestId": context.ids.transaction_id(),
        "retries": data.retries,
        "retryInterval": data.retry_interval_s,
    }
    command = types.NewCommand(action="PublishFirmware", payload=payload, reason=data.reason)
    return await execute(context, principal, station_id, command)


async def withdraw(
    context: ApiContext, principal: Principal, station_id: str, data: types.NewFirmwareWithdrawal
) -> types.CommandAnswer:
    """Have a local controller offer an image no longer (2.x L04): also one whose signature no longer holds. Raises
    Problem as a command does."""
    from ..commands import execute

    principal.need("commands:dangerous")
    record = (await IMAGES.get(context, principal.tenant, data.firmware_id)).value
    if not record.md5:
        raise problem("bad-body", errors=[{"field": "firmware_id", "message": _("the image has no file yet")}])
    await Queries(context, principal).station(station_id)
    command = types.NewCommand(action="UnpublishFirmware", payload={"checksum": record.md5}, reason=data.reason)
    return await execute(context, principal, station_id, command)


def _link(context: ApiContext, tenant: str, station_id: str, id: str, record: FirmwareRecord, since: int = 0) -> Link:
    """For one station to fetch an image, from now until a week after `since` (ms)."""
    now = context.scheduler.now()
    return Link(
        tenant=tenant,
        station=station_id,
        purpose="firmware",
        thing=id,
        file=id,
        made_at=now,
        expires_at=max(now, since) + LINK_MS,
        sha256=record.sha256,
    )


def _fits(record: FirmwareRecord, station: types.Station) -> None:
    for field, wanted, has in (("vendor", record.vendor, station.vendor), ("model", record.model, station.model)):
        if wanted and has and wanted.casefold() != has.casefold():
            message = _("the image is for {wanted}, the station is {has}", wanted=wanted, has=has)
            raise problem("bad-body", f"{field}: {message}.", errors=[{"field": "firmware_id", "message": message}])


def _when(data: types.NewFirmwareUpdate, now: int) -> tuple[int, int | None]:
    times: list[int | None] = []
    for field in ("retrieve_at", "install_at"):
        text = getattr(data, field)
        try:
            times.append(int(from_rfc3339(text)) if text else None)
        except ValueError:
            raise problem("bad-body", errors=[{"field": field, "message": _("no RFC 3339 time")}]) from None
    retrieve = times[0] if times[0] is not None else now // _SECONDS * _SECONDS
    if retrieve > now + 30 * 86_400_000:
        raise problem("bad-body", errors=[{"field": "retrieve_at", "message": _("at most 30 days ahead")}])
    return retrieve, times[1]


async def station_version(context: ApiContext, tenant: str, station_id: str) -> str:
    """The firmware that a station said it has."""
    station = await context.store.station(StationKey(tenant, station_id))
    return station.firmware if station is not None else ""
