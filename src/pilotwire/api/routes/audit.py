"""The audit log."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Literal

import msgspec
from litestar import get
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from .. import types
from ..exports import plain
from ..listing import instant
from ..resources import audit
from .common import Cursor, Limit, PlainRequest, context_of, text_or_400, whoever

Actor = Annotated[str | None, QueryParameter(max_length=200, description="Only what this person or key did")]
Action = Annotated[
    str | None, QueryParameter(max_length=100, description="Only this action, or all of a resource, e.g. stations")
]
Target = Annotated[str | None, QueryParameter(max_length=200, description="Only of targets that hold this text")]
Since = Annotated[datetime | None, QueryParameter(description="Only from this instant on")]
Until = Annotated[datetime | None, QueryParameter(description="Only before this instant")]
Seq = Annotated[int, PathParameter(ge=1, le=999_999_999_999, description="Number of the row")]
_MEDIA = {"csv": "text/csv", "jsonl": "application/jsonl"}


def _wanted(
    actor: str | None, action: str | None, target: str | None, since: datetime | None, until: datetime | None
) -> audit.Wanted:
    return audit.Wanted(
        actor=text_or_400("actor", actor),
        action=text_or_400("action", action),
        target=text_or_400("target", target),
        since=instant("since", since),
        until=instant("until", until),
    )


@get("/audit", operation_id="listAudit", tags=["Audit"], summary="The audit log")
async def list_audit(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    actor: Actor = None,
    action: Action = None,
    target: Target = None,
    since: Since = None,
    until: Until = None,
) -> types.AuditPage:
    """Who did what, when, to what and why, the newest first. A page may hold fewer than `limit` and have a next."""
    wanted = _wanted(actor, action, target, since, until)
    return await audit.page(context_of(request), whoever(request), wanted, cursor=cursor, limit=limit)


@get("/audit/verify", operation_id="verifyAudit", tags=["Audit"], summary="Check the chain")
async def verify_audit(request: PlainRequest) -> types.AuditVerdict:
    """Looks at every row. The first that is not as it was written is named: changed, gone, moved or cut off."""
    return await audit.verdict(context_of(request), whoever(request))


@get("/audit/export", operation_id="exportAudit", tags=["Audit"], summary="Export the audit log", media_type="text/csv")
async def export_audit(
    request: PlainRequest,
    format: Annotated[Literal["csv", "jsonl"], QueryParameter(description="csv or JSON Lines")] = "csv",
    actor: Actor = None,
    action: Action = None,
    target: Target = None,
    since: Since = None,
    until: Until = None,
) -> Stream:
    """Every row that is wanted, the oldest first."""
    context, principal = context_of(request), whoever(request)
    principal.need("audit:read")
    rows = audit.every(context, principal, _wanted(actor, action, target, since, until))
    made = _csv(rows) if format == "csv" else _jsonl(rows)
    name = f"audit-{principal.tenant}.{format}"
    return Stream(made, media_type=_MEDIA[format], headers={"Content-Disposition": f'attachment; filename="{name}"'})


@get("/audit/{seq:int}", operation_id="getAudit", tags=["Audit"], summary="One row of the audit log")
async def get_audit(request: PlainRequest, seq: Seq) -> types.AuditEntry:
    """A row, with the digest of the one before and its own."""
    return await audit.entry(context_of(request), whoever(request), seq)


async def _jsonl(rows: AsyncIterator[types.AuditEntry]) -> AsyncIterator[bytes]:
    async for row in rows:
        yield msgspec.json.encode(row) + b"\n"


async def _csv(rows: AsyncIterator[types.AuditEntry]) -> AsyncIterator[bytes]:
    out = io.StringIO()
    write = csv.writer(out)
    write.writerow(types.AuditEntry.__struct_fields__)
    async for row in rows:
        fields = msgspec.structs.asdict(row) | {"detail": msgspec.json.encode(row.detail).decode()}
        write.writerow([plain(one) if isinstance(one, str) else one for one in fields.values()])
        if out.tell() > 32_768:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()


HANDLERS = [list_audit, verify_audit, export_audit, get_audit]
