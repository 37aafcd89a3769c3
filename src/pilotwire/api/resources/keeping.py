"""What the resources that are kept as documents share: reading, writing with versions, ETags."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Generic, NamedTuple, TypeVar

from pilotwire.storage import documents
from pilotwire.storage.documents import Conflict, Kept

from .. import edit
from ..context import ApiContext
from ..language import _
from ..problems import not_found, problem

T = TypeVar("T")

_PAGE = 500


class Tagged(NamedTuple, Generic[T]):
    """A resource and its ETag, as the header has it (quoted)."""

    value: T
    etag: str


class Collection(Generic[T]):
    """Documents of one kind, each a Struct `kind_type`; `what` is what a person calls one."""

    def __init__(self, kind: str, kind_type: type[T], what: str) -> None:
        self.kind, self.type, self.what = kind, kind_type, what

    async def find(self, context: ApiContext, tenant: str, id: str) -> Kept[T] | None:
        """One, or None."""
        if not 0 < len(id) <= 255 or not id.isprintable():
            return None
        found = await context.store.document(tenant, self.kind, id)
        return documents.unpack(found, self.type) if found is not None else None

    async def get(self, context: ApiContext, tenant: str, id: str) -> Kept[T]:
        """One. Raises Problem 404."""
        found = await self.find(context, tenant, id)
        if found is None:
            raise not_found(self.what, id)
        return found

    async def every(
        self, context: ApiContext, tenant: str, *, newest_first: bool = False
    ) -> AsyncIterator[tuple[str, Kept[T]]]:
        """All of them by (sort, id)."""
        cursor: str | None = None
        while True:
            page = await context.store.documents(
                tenant, self.kind, cursor=cursor, limit=_PAGE, newest_first=newest_first
            )
            for one in page.items:
                yield one.id, documents.unpack(one, self.type)
            cursor = page.next
            if cursor is None:
                return

    async def add(self, context: ApiContext, tenant: str, id: str, value: T, *, sort: str = "") -> int:
        """Insert; the version. Raises Problem 409 where the id is taken."""
        try:
            return (
                await context.store.write_documents(
                    tenant, [documents.put(self.kind, id, value, sort=sort, expected=0)]
                )
            )[0]
        except Conflict:
            raise problem("exists", _("The {what} {id} exists.", what=_(self.what), id=id)) from None

    async def replace(
        self, context: ApiContext, tenant: str, id: str, value: T, *, sort: str = "", expected: int
    ) -> int:
        """Replace the version that was read; the new one. Raises Problem 412 when somebody was quicker."""
        try:
            return (
                await context.store.write_documents(
                    tenant, [documents.put(self.kind, id, value, sort=sort, expected=expected)]
                )
            )[0]
        except Conflict as conflict:
            raise edit.of_conflict(conflict) from None

    async def delete(self, context: ApiContext, tenant: str, id: str, *, expected: int) -> None:
        """Delete the version that was read. Raises Problem 412 when somebody was quicker."""
        try:
            await context.store.write_documents(tenant, [documents.Delete(self.kind, id, expected)])
        except Conflict as conflict:
            raise edit.of_conflict(conflict) from None
