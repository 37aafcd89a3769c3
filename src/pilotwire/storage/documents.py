"""Documents: small records that people make and the desk remembers, by (tenant, kind, id).

They change rarely and are edited by several people at once, so each has a version that a change may name: whoever
names an old one gets `Conflict`, in every process alike, for the comparison is made within the transaction. Version 0
stands for "not there": `expected=0` inserts only. `sort` is text that orders a kind, compared by code points: use
`sort_time` for times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Generic, TypeVar

import msgspec

from pilotwire.core.errors import LocalError

from .codec import decode_cursor, encode, encode_cursor
from .queries import Plan

T = TypeVar("T")


class Conflict(LocalError):
    """The document is not in the version that the change was made for. `found` is its version, 0 when there is none."""

    def __init__(self, kind: str, id: str, found: int) -> None:
        super().__init__(f"{kind} {id!r} is in version {found}")
        self.kind, self.id, self.found = kind, id, found


class Document(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A document as it is kept."""

    id: str
    version: int
    sort: str
    body: bytes


class Put(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Insert or replace. `expected`: the version it must be in, 0 for none there, None for whatever is there."""

    kind: str
    id: str
    body: bytes
    sort: str = ""
    expected: int | None = None


class Delete(msgspec.Struct, frozen=True, gc=False):
    """Delete. `expected` as in `Put`; None: deleting what is not there is no error."""

    kind: str
    id: str
    expected: int | None = None


Change = Put | Delete


class DocumentPage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A page of documents and the cursor of the next (None at the end)."""

    items: list[Document]
    next: str | None = None


def sort_time(ms: int) -> str:
    """A time (ms since the epoch, up to the year 2286) as text that sorts in its order."""
    return f"{ms:013d}"


class Counter:
    """How often documents of a kind were changed, by (tenant, kind)."""

    def __init__(self) -> None:
        self._changes: dict[tuple[str, str], int] = {}

    def count(self, tenant: str, changes: Sequence[Change]) -> None:
        """These were made."""
        for kind in {one.kind for one in changes}:
            self._changes[tenant, kind] = self._changes.get((tenant, kind), 0) + 1

    def of(self, tenant: str, kind: str) -> int:
        """How many there were."""
        return self._changes.get((tenant, kind), 0)


# -- plans of the SQL stores ------------------------------------------------------------------------------------------
def write_plan(tenant: str, changes: Sequence[Change]) -> Plan[list[int]]:
    """All changes or, when one conflicts, none. Returns the new versions, 0 for what is deleted. Raises Conflict."""
    versions: list[int] = []
    for change in changes:
        rows = yield (
            "SELECT version FROM documents WHERE tenant = ?1 AND kind = ?2 AND id = ?3",
            (tenant, change.kind, change.id),
        )
        found = int(rows[0][0]) if rows else 0
        if change.expected is not None and change.expected != found:
            raise Conflict(change.kind, change.id, found)
        if isinstance(change, Delete):
            rows = yield (
                "DELETE FROM documents WHERE tenant = ?1 AND kind = ?2 AND id = ?3 RETURNING version",
                (tenant, change.kind, change.id),
            )
            gone = int(rows[0][0]) if rows else 0
            if change.expected is not None and gone != found:
                raise Conflict(change.kind, change.id, gone)
            versions.append(0)
            continue
        # Another process may have come in between (PostgreSQL): the version is compared once more in the statement.
        rows = yield (
            "INSERT INTO documents (tenant, kind, id, version, sort, body) VALUES (?1, ?2, ?3, 1, ?4, ?5) "
            "ON CONFLICT (tenant, kind, id) DO UPDATE SET version = documents.version + 1, sort = excluded.sort, "
            "body = excluded.body RETURNING version",
            (tenant, change.kind, change.id, change.sort, change.body),
        )
        version = int(rows[0][0])
        if change.expected is not None and version != found + 1:
            raise Conflict(change.kind, change.id, version - 1)
        versions.append(version)
    return versions


def one_plan(tenant: str, kind: str, id: str) -> Plan[Document | None]:
    """One document."""
    rows = yield (
        "SELECT id, version, sort, body FROM documents WHERE tenant = ?1 AND kind = ?2 AND id = ?3",
        (tenant, kind, id),
    )
    return _document(rows[0]) if rows else None


def page_plan(
    tenant: str, kind: str, low: str, high: str | None, cursor: str | None, limit: int, newest_first: bool
) -> Plan[DocumentPage]:
    """A page by (sort, id), of those with low <= sort < high."""
    bounds, arguments = ["tenant = ?1", "kind = ?2", "sort >= ?3"], [tenant, kind, low]
    if high is not None:
        arguments.append(high)
        bounds.append(f"sort < ?{len(arguments)}")
    if cursor is not None:
        arguments += list(decode_cursor(cursor, tuple[str, str]))
        way = "<" if newest_first else ">"
        bounds.append(f"(sort, id) {way} (?{len(arguments) - 1}, ?{len(arguments)})")
    order = "sort DESC, id DESC" if newest_first else "sort, id"
    where = " AND ".join(bounds)
    rows = yield (
        f"SELECT id, version, sort, body FROM documents WHERE {where} ORDER BY {order} LIMIT ?{len(arguments) + 1}",  # noqa: S608 - made of the texts above
        (*arguments, limit + 1),
    )
    return _page([_document(row) for row in rows], limit)


def _document(row: Sequence[object]) -> Document:
    return Document(id=row[0], version=row[1], sort=row[2], body=bytes(row[3]))  # type: ignore[arg-type]


def _page(found: list[Document], limit: int) -> DocumentPage:
    more = len(found) > limit
    items = found[:limit]
    return DocumentPage(items=items, next=encode_cursor(items[-1].sort, items[-1].id) if more else None)


class DocumentTable:
    """The same in memory."""

    def __init__(self) -> None:
        self._rows: dict[tuple[str, str], dict[str, Document]] = {}

    def write(self, tenant: str, changes: Sequence[Change]) -> list[int]:
        """As `write_plan`."""
        kept: dict[tuple[str, str], Document | None] = {}
        versions: list[int] = []
        for change in changes:
            key = (change.kind, change.id)
            there = kept[key] if key in kept else self.one(tenant, *key)
            found = there.version if there else 0
            if change.expected is not None and change.expected != found:
                raise Conflict(change.kind, change.id, found)
            if isinstance(change, Delete):
                kept[key] = None
                versions.append(0)
            else:
                kept[key] = Document(id=change.id, version=found + 1, sort=change.sort, body=change.body)
                versions.append(found + 1)
        for (kind, id), document in kept.items():
            rows = self._rows.setdefault((tenant, kind), {})
            if document is None:
                rows.pop(id, None)
            else:
                rows[id] = document
        return versions

    def one(self, tenant: str, kind: str, id: str) -> Document | None:
        """As `one_plan`."""
        return self._rows.get((tenant, kind), {}).get(id)

    def page(
        self, tenant: str, kind: str, low: str, high: str | None, cursor: str | None, limit: int, newest_first: bool
    ) -> DocumentPage:
        """As `page_plan`."""
        after = decode_cursor(cursor, tuple[str, str]) if cursor is not None else None
        found = [
            one
            for one in self._rows.get((tenant, kind), {}).values()
            if low <= one.sort
            and (high is None or one.sort < high)
            and (after is None or ((one.sort, one.id) < after if newest_first else (one.sort, one.id) > after))
        ]
        found.sort(key=lambda one: (one.sort, one.id), reverse=newest_first)
        return _page(found[: limit + 1], limit)


# -- typed ------------------------------------------------------------------------------------------------------------
class Kept(msgspec.Struct, Generic[T], frozen=True):
    """A document's content and its version."""

    version: int
    value: T


_decoders: dict[type, msgspec.json.Decoder[Any]] = {}


def unpack(document: Document, kind: type[T]) -> Kept[T]:
    """A document's body as `kind`. Raises msgspec.DecodeError. Of the event loop alone: see `codec.decode_as`."""
    decoder = _decoders.get(kind)
    if decoder is None:
        decoder = _decoders[kind] = msgspec.json.Decoder(kind)
    return Kept(document.version, decoder.decode(document.body))


def put(kind: str, id: str, value: object, *, sort: str = "", expected: int | None = None) -> Put:
    """A `Put` of a struct."""
    return Put(kind=kind, id=id, body=encode(value), sort=sort, expected=expected)
