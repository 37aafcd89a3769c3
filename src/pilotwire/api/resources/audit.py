"""Reading the audit log and checking its chain."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.storage.documents import Document, sort_time

from .. import types
from ..access import Principal
from ..audit import KIND, AuditRow, documents, row_id, verify
from ..context import ApiContext
from ..listing import next_of, question, stored_cursor
from ..problems import not_found

_SCANNED_AT_MOST = 10_000
"""How many rows one filtered page looks at before it hands out what it has, with the cursor to go on."""


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows: each None leaves all in."""

    actor: str | None = None
    action: str | None = None
    """Its beginning: `stations` or `stations.create`."""
    target: str | None = None
    """A part of it, in any case."""
    since: int | None = None
    until: int | None = None

    def fits(self, row: AuditRow) -> bool:
        """Whether a row is wanted; times are left to the store."""
        if self.actor and row.actor.casefold() != self.actor.casefold():
            return False
        if self.action and not (row.action == self.action or row.action.startswith(f"{self.action}.")):
            return False
        return not self.target or self.target.casefold() in row.target.casefold()


def _shown(row: AuditRow) -> types.AuditEntry:
    return types.AuditEntry(
        seq=row.seq,
        time=to_rfc3339(row.time),
        actor=row.actor,
        by=row.by,
        role=row.role,
        action=row.action,
        target=row.target,
        detail=row.detail,
        reason=row.reason,
        previous=row.previous,
        digest=row.digest,
    )


def _row(document: Document) -> AuditRow | None:
    """None for one that somebody has made unreadable: `verify` names it."""
    try:
        return msgspec.json.decode(document.body, type=AuditRow)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _bounds(wanted: Wanted) -> dict[str, Any]:
    return {
        "low": sort_time(max(0, wanted.since)) if wanted.since is not None else "",
        "high": sort_time(max(0, wanted.until)) if wanted.until is not None else None,
    }


async def page(
    context: ApiContext, principal: Principal, wanted: Wanted, *, cursor: str | None = None, limit: int = 50
) -> types.AuditPage:
    """Rows, the newest first. A page may hold fewer than `limit` and still have a next. Raises Problem 400."""
    principal.need("audit:read")
    asked = question("audit", "-seq", msgspec.structs.asdict(wanted))
    place = stored_cursor(cursor, asked)
    found: list[types.AuditEntry] = []
    scanned = 0
    while True:
        rows = await context.store.documents(
            principal.tenant, KIND, cursor=place, limit=limit, newest_first=True, **_bounds(wanted)
        )
        for number, document in enumerate(rows.items):
            row = _row(document)
            if row is None or not wanted.fits(row):
                continue
            found.append(_shown(row))
            if len(found) == limit:
                last = number == len(rows.items) - 1 and rows.next is None
                return types.AuditPage(items=found, next=None if last else next_of(_after(document), asked))
        scanned += len(rows.items)
        place = rows.next
        if place is None or scanned >= _SCANNED_AT_MOST:
            return types.AuditPage(items=found, next=next_of(place, asked))


def _after(document: Document) -> str:
    from pilotwire.storage.codec import encode_cursor

    return encode_cursor(document.sort, document.id)


async def entry(context: ApiContext, principal: Principal, seq: int) -> types.AuditEntry:
    """One row. Raises Problem 404."""
    principal.need("audit:read")
    document = await context.store.document(principal.tenant, KIND, row_id(seq))
    row = _row(document) if document else None
    if row is None:
        raise not_found("row of the audit log", str(seq))
    return _shown(row)


async def every(context: ApiContext, principal: Principal, wanted: Wanted) -> AsyncIterator[types.AuditEntry]:
    """Rows, the oldest first, for exports."""
    principal.need("audit:read")
    async for document in documents(context.store, principal.tenant):
        row = _row(document)
        if row is None or not wanted.fits(row):
            continue
        if (wanted.since is None or row.time >= wanted.since) and (wanted.until is None or row.time < wanted.until):
            yield _shown(row)


async def verdict(context: ApiContext, principal: Principal) -> types.AuditVerdict:
    """Look at the whole chain."""
    principal.need("audit:read")
    found = await verify(context.store, context.secret, principal.tenant)
    return types.AuditVerdict(
        sound=found.fault is None,
        rows=found.rows,
        head=found.head,
        bad_row=found.fault.seq if found.fault else None,
        fault=found.fault.text if found.fault else "",
    )
