"""Who did what, when, to what and why: a chain of rows per tenant that nobody can change unseen.

Row n holds the digest of row n-1 and its own: SHA-256 over the digest before it and the row's canonical JSON. A head
record, written in the same transaction as the row, says how long the chain is and what its last digest is, and is
sealed with the installation's secret, so that rows cut off at the end are missed and a chain that was computed anew
without the secret does not fit. Two processes never fork a chain: a row's id is its number and it is only inserted.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from pilotwire.storage.documents import Conflict, Document, Put, sort_time
from pilotwire.storage.port import Store

from .access import Principal
from .context import ApiContext

KIND = "audit"
HEAD_KIND = "audit-head"
HEAD_ID = "head"
_PAGE = 500
_TRIES = 50
_CONCEALED = "(not kept)"
_SECRET_WORDS = (
    "password",
    "passphrase",
    "secret",
    "authorization",
    "cookie",
    "credential",
    "privatekey",
    "otp",
    "pepper",
)
_TEXT_AT_MOST = 500
_DETAIL_AT_MOST = 16_384


class AuditRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the chain. The order of its fields is the order of its canonical JSON."""

    tenant: str
    seq: int
    time: int
    """ms, our clock; never before the row before it."""
    actor: str
    by: str
    """How the actor was let in: login, key, lab or system."""
    role: str
    action: str
    """`resource.verb`, e.g. stations.create."""
    target: str
    """What it was done to, e.g. `station CP-1`."""
    detail: dict[str, Any]
    reason: str
    previous: str
    """Digest of the row before, hex; 64 zeros for the first."""
    digest: str = ""


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """Where the chain ends."""

    seq: int
    time: int
    digest: str
    seal: str
    """HMAC of (tenant, seq, digest) with the installation's secret."""


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """The first place where the chain is broken."""

    seq: int
    text: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a look at the whole chain found."""

    rows: int
    """Rows that are sound, from the first on."""
    head: str
    """Digest of the last sound row."""
    fault: Fault | None = None


FIRST = "0" * 64


def row_id(seq: int) -> str:
    """The id of a row: its number, padded so that it sorts."""
    return f"{seq:012d}"


def digest_of(row: AuditRow) -> str:
    """SHA-256 over the digest before and the row's canonical JSON without its own digest."""
    plain = msgspec.json.encode(msgspec.structs.replace(row, digest=""))
    return hashlib.sha256(bytes.fromhex(row.previous) + plain).hexdigest()


def seal_of(secret: bytes, tenant: str, seq: int, time: int, digest: str) -> str:
    """What only this installation can write into a head."""
    return hmac.new(secret, f"audit-head\0{tenant}\0{seq}\0{time}\0{digest}".encode(), hashlib.sha256).hexdigest()


def concealed(value: Any, name: str = "") -> Any:
    """`value` as it may be kept: whatever goes by the name of a secret is not, and texts are cut to a length."""
    plain = name.casefold().replace("_", "").replace("-", "")
    if value not in (None, "", False, True) and any(word in plain for word in _SECRET_WORDS):
        return _CONCEALED
    match value:
        case Mapping():
            return {str(key): concealed(one, str(key)) for key, one in sorted(value.items(), key=lambda kv: str(kv[0]))}
        case list() | tuple() | set() | frozenset():
            return [concealed(one, name) for one in value]
        case str():
            return value if len(value) <= _TEXT_AT_MOST else f"{value[:_TEXT_AT_MOST]}…"
        case int() if abs(value) >= 1 << 63:  # JSON readers would make a float of it
            return str(value)
        case None | bool() | int() | float():
            return value
        case _:
            return concealed(msgspec.to_builtins(value), name)


async def record(
    context: ApiContext,
    principal: Principal,
    action: str,
    target: str,
    *,
    detail: Mapping[str, object] | None = None,
    reason: str = "",
) -> None:
    """Append a row to the tenant's chain; durable when this returns. No secret belongs into `detail`."""
    kept = concealed(detail or {})
    if len(msgspec.json.encode(kept)) > _DETAIL_AT_MOST:
        kept = {"omitted": "more than is kept here"}
    tenant = principal.tenant
    locks: dict[str, asyncio.Lock] = context.parts.setdefault(AuditRow, {})
    async with locks.setdefault(tenant, asyncio.Lock()):
        for attempt in range(_TRIES):
            version, head = await head_of(context.store, tenant)
            # A clock that was set back must not break the order of the chain.
            now = max(context.scheduler.now(), head.time if head else 0)
            row = AuditRow(
                tenant=tenant,
                seq=head.seq + 1 if head else 1,
                time=now,
                actor=principal.actor,
                by=principal.by,
                role=principal.role,
                action=action,
                target=target[:_TEXT_AT_MOST],
                detail=kept,
                reason=reason[:_TEXT_AT_MOST],
                previous=head.digest if head else FIRST,
            )
            row = msgspec.structs.replace(row, digest=digest_of(row))
            seal = seal_of(context.secret, tenant, row.seq, row.time, row.digest)
            changes = [
                Put(kind=KIND, id=row_id(row.seq), body=msgspec.json.encode(row), sort=sort_time(row.time), expected=0),
                Put(
                    kind=HEAD_KIND,
                    id=HEAD_ID,
                    body=msgspec.json.encode(Head(seq=row.seq, time=row.time, digest=row.digest, seal=seal)),
                    expected=version,
                ),
            ]
            try:
                await context.store.write_documents(tenant, changes)
                return
            except Conflict:  # another process was first
                if attempt == _TRIES - 1:
                    raise


async def head_of(store: Store, tenant: str) -> tuple[int, Head | None]:
    """The head's version and content; (0, None) where nothing was recorded yet."""
    found = await store.document(tenant, HEAD_KIND, HEAD_ID)
    return (found.version, msgspec.json.decode(found.body, type=Head)) if found else (0, None)


async def documents(store: Store, tenant: str) -> AsyncIterator[Document]:
    """Every document of the chain, oldest first."""
    cursor: str | None = None
    while True:
        page = await store.documents(tenant, KIND, cursor=cursor, limit=_PAGE)
        for one in page.items:
            yield one
        cursor = page.next
        if cursor is None:
            return


async def verify(store: Store, secret: bytes, tenant: str) -> Verdict:
    """Look at every row. The first that is not what was written is named: changed, gone, moved or cut off."""
    try:
        _, head = await head_of(store, tenant)
    except msgspec.DecodeError:
        return Verdict(rows=0, head=FIRST, fault=Fault(seq=0, text="the head of the chain cannot be read"))
    seq, previous, time = 0, FIRST, 0
    async for document in documents(store, tenant):
        if head is not None and seq == head.seq:
            # Rows that were appended while we read are for the next look.
            _, newer = await head_of(store, tenant)
            if newer is None or newer.seq <= head.seq:
                return Verdict(rows=seq, head=previous, fault=Fault(seq=seq + 1, text="a row after the chain's end"))
            head = newer
        if wrong := _wrong(document, tenant, seq + 1, previous, time):
            return Verdict(rows=seq, head=previous, fault=Fault(seq=seq + 1, text=wrong))
        row = msgspec.json.decode(document.body, type=AuditRow)
        seq, previous, time = row.seq, row.digest, row.time
    return Verdict(rows=seq, head=previous, fault=_wrong_end(secret, tenant, head, seq, previous))


def _wrong(document: Document, tenant: str, seq: int, previous: str, time: int) -> str:
    """What is wrong with the document that stands where row `seq` should; "" where nothing is."""
    if document.id != row_id(seq):
        return f"row {seq} is missing: {document.id} stands in its place"
    try:
        row = msgspec.json.decode(document.body, type=AuditRow)
        same = msgspec.json.encode(row) == document.body
    except (msgspec.DecodeError, ValueError, UnicodeDecodeError):
        return f"row {seq} cannot be read"
    if row.previous != previous:
        return f"row {seq} does not follow row {seq - 1}"
    if row.tenant != tenant or row.seq != seq:
        return f"row {seq} is another row: {row.seq} of {row.tenant}"
    if not same or not hmac.compare_digest(digest_of(row), row.digest):
        return f"row {seq} was changed after it was written"
    if document.version != 1 or document.sort != sort_time(row.time) or row.time < time:
        return f"row {seq} was put in another place"
    return ""


def _wrong_end(secret: bytes, tenant: str, head: Head | None, seq: int, digest: str) -> Fault | None:
    if head is None:
        return Fault(seq=seq, text="the head of the chain is missing") if seq else None
    if seq < head.seq:
        return Fault(seq=seq + 1, text=f"rows {seq + 1} to {head.seq} are missing at the end")
    if digest != head.digest:
        return Fault(seq=seq, text=f"row {seq} is not the one that the head of the chain names")
    if not hmac.compare_digest(seal_of(secret, tenant, head.seq, head.time, head.digest), head.seal):
        return Fault(seq=seq, text="the head of the chain was not written by this installation")
    return None
