"""One-time links: who holds one may fetch one file, or leave one, and nothing else.

A link has 256 random bits and is kept as its SHA-256 alone: whoever reads the store cannot use it. It is bound to a
tenant, a station, a purpose, a thing and a time. A link to leave a file is spent with the file that it brought; one to
fetch stays until its time is over, for a station fetches in pieces and again after a broken connection.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from typing import Literal
from urllib.parse import quote

import msgspec

from pilotwire.storage import documents
from pilotwire.storage.documents import Conflict, Delete, Kept, sort_time

from ..context import ApiContext
from ..tenancy import PLATFORM

KIND = "file-link"
PREFIX = "/files/"
Purpose = Literal["firmware", "log"]
_PAGE = 500


class Link(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a link is for."""

    tenant: str
    station: str
    purpose: Purpose
    thing: str
    """Id of the image, or of the log that is waited for."""
    file: str
    """Name below the tenant's folder."""
    made_at: int
    expires_at: int
    limit: int = 0
    """Of what is left: bytes."""
    sha256: str = ""
    """Of what is fetched."""


def digest(token: str) -> str:
    """By what a link is found."""
    return hashlib.sha256(token.encode()).hexdigest()


class Links:
    """The links of every tenant. Made with the app, over the whole context; services that serve one tenant get it by
    `links_of`, and can make and revoke links of theirs alone."""

    def __init__(self, context: ApiContext) -> None:
        self._store = context.store
        self._now = context.scheduler.now
        self._url = context.config.files_url.rstrip("/")

    async def make(self, link: Link, name: str) -> str:
        """Keep a link; its address. `name` stands at the end of it, for people and stations."""
        token = secrets.token_urlsafe(32)
        put = documents.put(KIND, digest(token), link, sort=sort_time(link.expires_at), expected=0)
        await self._store.write_documents(PLATFORM, [put])
        return f"{self._url}/{token}/{quote(name, safe='')}"

    async def find(self, token: str) -> Kept[Link] | None:
        """A link whose time is not over; None else."""
        if not 40 <= len(token) <= 64 or not token.isascii():
            return None
        found = await self._store.document(PLATFORM, KIND, digest(token))
        if found is None:
            return None
        kept = documents.unpack(found, Link)
        return kept if kept.value.expires_at > self._now() else None

    async def spend(self, token: str, version: int) -> bool:
        """Use a link up; False where somebody else has been quicker."""
        try:
            await self._store.write_documents(PLATFORM, [Delete(KIND, digest(token), version)])
        except Conflict:
            return False
        return True

    async def revoke(self, tenant: str, thing: str) -> int:
        """Make every link to a thing worthless, as when it is deleted."""
        return await self._delete(lambda one: one.tenant == tenant and one.thing == thing, None)

    async def purge(self) -> int:
        """Forget the links whose time is over."""
        return await self._delete(lambda one: True, sort_time(self._now()))

    async def _delete(self, chosen: Callable[[Link], bool], high: str | None) -> int:
        cursor: str | None = None
        gone = 0
        while True:
            page = await self._store.documents(PLATFORM, KIND, high=high, cursor=cursor, limit=_PAGE)
            drop: list[documents.Change] = [
                Delete(KIND, one.id) for one in page.items if chosen(documents.unpack(one, Link).value)
            ]
            if drop:
                await self._store.write_documents(PLATFORM, drop)
                gone += len(drop)
            cursor = page.next
            if cursor is None:
                return gone


def links_of(context: ApiContext) -> Links:
    """The links of an app's context, whole or bound to a tenant."""
    links: Links = context.parts[Links]
    return links
