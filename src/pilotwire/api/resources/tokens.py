"""Tokens: who may charge."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterator
from datetime import datetime

import msgspec

from pilotwire.core.time import from_datetime, to_rfc3339
from pilotwire.domain import records
from pilotwire.storage import documents

from .. import audit, mapping, types
from ..access import Principal
from ..commands import settings_changed
from ..context import ApiContext
from ..edit import check, tag_of
from ..exports import plain
from ..language import _
from ..listing import wanted
from ..problems import not_found, problem
from .keeping import Tagged

CARRIES = "token-driver"
"""Kind of the documents that say whose a token is: id the token without case, body the driver's id."""
FRESH_MS = 2_000
"""How long a change that another process made may be missing in lists."""
_RESERVED = frozenset({"import", "export"})
"""Last parts of addresses of ours."""
EXPORT_COLUMNS = ("token", "type", "status", "group", "expires_at", "note", "created_at")


def instant(field: str, value: datetime | None) -> int | None:
    """A time of a body in ms. Raises Problem 422 for one out of range."""
    if value is None:
        return None
    try:
        return from_datetime(value)
    except OverflowError:
        raise problem("bad-body", errors=[{"field": field, "message": _("out of range")}]) from None


class _Books:
    """The books by tenant, and how often each was forgotten: one read before a change must not be kept after it."""

    def __init__(self) -> None:
        self.by_tenant: dict[str, Book] = {}
        self.forgotten: Counter[str] = Counter()


def _books(context: ApiContext) -> _Books:
    return context.parts.setdefault(_Books, _Books())


class Book:
    """The tokens of one tenant as they are shown, for lists: read anew every `FRESH_MS` at most, and when one was
    changed here. What decides about charging never looks into it."""

    __slots__ = ("at", "groups", "shown")

    def __init__(self, at: int, shown: list[types.Token]) -> None:
        self.at = at
        self.shown = shown
        """By token. Never to be changed."""
        self.groups = Counter(one.parent for one in shown if one.parent)
        """Group → how many tokens are in it."""


async def book(context: ApiContext, tenant: str) -> Book:
    """The book of a tenant."""
    books = _books(context)
    now, forgotten = context.scheduler.now(), books.forgotten[tenant]
    known = books.by_tenant.get(tenant)
    if known is None or not 0 <= now - known.at < FRESH_MS:
        whose = await carriers(context, tenant)
        shown = [mapping.token(one, whose.get(one.token.casefold())) for one in await context.store.tokens(tenant)]
        known = Book(now, shown)
        if books.forgotten[tenant] == forgotten:
            books.by_tenant[tenant] = known
    return known


def forget_book(context: ApiContext, tenant: str) -> None:
    """Tokens, or who carries them, were changed."""
    books = _books(context)
    books.by_tenant.pop(tenant, None)
    books.forgotten[tenant] += 1


async def changed(context: ApiContext, tenant: str) -> None:
    """Tokens were changed: lists show it, and the gateway counts it, before we answer."""
    forget_book(context, tenant)
    await settings_changed(context)


async def carriers(context: ApiContext, tenant: str) -> dict[str, str]:
    """Token without case → the driver who carries it."""
    found: dict[str, str] = {}
    cursor: str | None = None
    while True:
        page = await context.store.documents(tenant, CARRIES, cursor=cursor, limit=500)
        for one in page.items:
            found[one.id] = documents.unpack(one, str).value
        cursor = page.next
        if cursor is None:
            return found


async def _carrier(context: ApiContext, tenant: str, token: str) -> str | None:
    found = await context.store.document(tenant, CARRIES, token.casefold())
    return documents.unpack(found, str).value if found else None


async def tokens(
    context: ApiContext,
    principal: Principal,
    *,
    search: str | None = None,
    status: str | None = None,
    group: str | None = None,
    type: str | None = None,
) -> list[types.Token]:
    """Every token, as far as wanted; `search` is part of token, group or note."""
    principal.need("tokens:read")
    return [
        one
        for one in (await book(context, principal.tenant)).shown
        if (status is None or one.status == status)
        and (group is None or one.parent == group)
        and (type is None or one.type == type)
        and wanted(search, one.token, one.parent, one.note)
    ]


async def find(context: ApiContext, tenant: str, name: str) -> records.Token | None:
    """A token by its name: as written, else in any case, since OCPP compares without."""
    if not 0 < len(name) <= 255 or not name.isprintable():
        return None
    found = await context.store.token(tenant, name)
    if found is None:
        folded = name.casefold()
        found = next((one for one in await context.store.tokens(tenant) if one.token.casefold() == folded), None)
    return found


async def _get(context: ApiContext, tenant: str, name: str) -> records.Token:
    found = await find(context, tenant, name)
    if found is None:
        raise not_found("token", name)
    return found


async def _tagged(context: ApiContext, record: records.Token) -> Tagged[types.Token]:
    return Tagged(mapping.token(record, await _carrier(context, record.tenant, record.token)), tag_of(record))


async def token(context: ApiContext, principal: Principal, name: str) -> Tagged[types.Token]:
    """One token, in any case. Raises Problem 404."""
    principal.need("tokens:read")
    return await _tagged(context, await _get(context, principal.tenant, name))


async def _check_sites(context: ApiContext, tenant: str, sites: list[str]) -> None:
    for place, site in enumerate(sites):
        if await context.store.document(tenant, "site", site) is None:
            raise problem("bad-body", errors=[{"field": f"sites[{place}]", "message": _("there is no such site")}])


async def put(context: ApiContext, principal: Principal, data: types.NewToken) -> Tagged[types.Token]:
    """Add a token, or replace the one that differs in case at most."""
    principal.need("tokens:write")
    if data.token.casefold() in _RESERVED or not data.token.isprintable():
        raise problem("bad-body", errors=[{"field": "token", "message": _("is not a token that can be used here")}])
    await _check_sites(context, principal.tenant, data.sites)
    known = await find(context, principal.tenant, data.token)
    record = records.Token(
        tenant=principal.tenant,
        token=known.token if known else data.token,
        type=data.type,
        status=data.status,
        parent=data.parent,
        expires_at=instant("expires_at", data.expires_at),
        credit=data.credit or "",
        sites=data.sites,
        note=data.note,
        created_at=known.created_at if known else context.scheduler.now(),
    )
    await context.store.put_token(record)
    await changed(context, principal.tenant)
    action = "tokens.change" if known else "tokens.create"
    detail: dict[str, object] = {"status": record.status, "group": record.parent}
    await audit.record(context, principal, action, f"token {record.token}", detail=detail)
    return await _tagged(context, record)


async def change(
    context: ApiContext, principal: Principal, name: str, data: types.TokenChange, *, if_match: str | None = None
) -> Tagged[types.Token]:
    """Change what is given. It counts from the next Authorize on. Raises Problem 404, 412."""
    principal.need("tokens:write")
    record = await _get(context, principal.tenant, name)
    check(if_match, tag_of(record))
    if data.sites is not msgspec.UNSET:
        await _check_sites(context, principal.tenant, data.sites)
    detail: dict[str, object] = {}
    for field in ("type", "status", "parent", "sites", "note"):
        value = getattr(data, field)
        if value is not msgspec.UNSET:
            setattr(record, field, value)
            detail[field] = value
    if data.expires_at is not msgspec.UNSET:
        record.expires_at = instant("expires_at", data.expires_at)
        detail["expires_at"] = record.expires_at
    if data.credit is not msgspec.UNSET:
        record.credit = detail["credit"] = data.credit or ""
    await context.store.put_token(record)
    await changed(context, principal.tenant)
    await audit.record(context, principal, "tokens.change", f"token {record.token}", detail=detail)
    return await _tagged(context, record)


async def remove(context: ApiContext, principal: Principal, name: str, *, if_match: str | None = None) -> None:
    """Forget a token: it is then unknown, and refused. Raises Problem 404, 412."""
    principal.need("tokens:write")
    record = await _get(context, principal.tenant, name)
    check(if_match, tag_of(record))
    await context.store.delete_token(record.tenant, record.token)
    await changed(context, principal.tenant)
    await audit.record(context, principal, "tokens.delete", f"token {record.token}")


async def export(context: ApiContext, principal: Principal) -> Iterator[bytes]:
    """Every token as CSV with a byte order mark, as spreadsheets want it; what `import` reads again."""
    principal.need("tokens:read")
    found = await context.store.tokens(principal.tenant)
    await audit.record(context, principal, "tokens.export", "tokens", detail={"rows": len(found)})
    return _csv(found)


def _csv(found: list[records.Token]) -> Iterator[bytes]:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\r\n")
    yield b"\xef\xbb\xbf"
    writer.writerow(EXPORT_COLUMNS)
    for number, one in enumerate(found, 1):
        row = (
            one.token,
            one.type,
            one.status,
            one.parent,
            to_rfc3339(one.expires_at) if one.expires_at is not None else "",
            one.note,
            to_rfc3339(one.created_at),
        )
        writer.writerow([plain(value) for value in row])
        if number % 1000 == 0:
            yield out.getvalue().encode()
            out.seek(0)
            out.truncate()
    yield out.getvalue().encode()
