"""Logins: a random token in a cookie, of which the store keeps the digest.

A login ends when it is logged out, after a week, after a day in which nothing was done with it, and with the password
that it was made with. Its token is replaced every day and whenever the person's rights change; the one before is taken
for half a minute more, since a page sends several requests at once.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import AsyncIterator
from urllib.parse import quote

import msgspec

from pilotwire.domain.records import User
from pilotwire.storage.documents import Change, Conflict, Delete, Document, put, unpack

from .context import ApiContext
from .tenancy import PLATFORM

KIND = "login"
PENDING_KIND = "login-pending"
DAY_MS = 86_400_000
ROTATE_MS = DAY_MS
GRACE_MS = 30_000
PENDING_MS = 300_000
"""How long somebody may take to type the second factor."""
PENDING_TRIES = 5
_SEEN_MS = 60_000
"""When a login was last used is written down at most so often."""
_FRESH_MS = 2_000
"""How long a login that another process ended may still be taken."""
_OF_ONE = 50
"""Logins of one person at most; the oldest are ended."""
_REMEMBERED = 10_000


class LoginRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a login."""

    id: str
    """Public; the same over rotations."""
    tenant: str
    name: str
    made_at: int
    expires_at: int
    seen_at: int
    rotated_at: int
    stamp: str
    """Digest of what it was made with: see `access.stamp_of`."""
    rights: str
    """Digest of what the person may: see `access.rights_of`."""
    by: str = "password"
    client: str = ""
    agent: str = ""
    acting: str = ""
    """The tenant that a platform's admin works in."""
    until: int | None = None
    """Of a token that was replaced: how long it is still taken."""
    id_token: str = ""
    """Of the OpenID provider, locked: needed to log out there."""
    provider: str = ""
    """The tenant whose provider it is."""


class Pending(msgspec.Struct, kw_only=True):
    """Somebody whose password was right and whose second factor is awaited."""

    tenant: str
    name: str
    stamp: str
    expires_at: int
    tries: int = 0


class Found(msgspec.Struct):
    """A login's record as it is kept."""

    key: str
    """Digest of the token: the document's id."""
    record: LoginRecord
    version: int
    read_at: int


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _prefix(tenant: str, name: str) -> str:
    return f"{tenant}/{quote(name, safe='')}/"


def _sort(record: LoginRecord) -> str:
    return f"{_prefix(record.tenant, record.name)}{record.made_at:013d}"


class Logins:
    """The logins of all tenants, in documents of the installation."""

    def __init__(self, context: ApiContext) -> None:
        self._store = context.store
        self._config = context.config
        self._now = context.scheduler.now
        self._seen: dict[str, Found] = {}

    async def make(
        self,
        user: User,
        stamp: str,
        rights: str,
        *,
        by: str,
        client: str,
        agent: str,
        id_token: str = "",
        provider: str = "",
    ) -> tuple[str, LoginRecord]:
        """A new login and its token."""
        now = self._now()
        await self._tidy(user, now)
        record = LoginRecord(
            id=secrets.token_hex(8),
            tenant=user.tenant,
            name=user.name,
            made_at=now,
            expires_at=now + self._config.login_days * DAY_MS,
            seen_at=now,
            rotated_at=now,
            stamp=stamp,
            rights=rights,
            by=by,
            client=client[:64],
            agent=_shown(agent),
            id_token=id_token,
            provider=provider,
        )
        token = secrets.token_urlsafe(32)
        await self._store.write_documents(PLATFORM, [put(KIND, _digest(token), record, sort=_sort(record), expected=0)])
        return token, record

    def _over(self, record: LoginRecord, now: int) -> bool:
        idle = now - record.seen_at >= self._config.login_idle_hours * 3_600_000
        return idle or record.expires_at <= now or (record.until is not None and record.until <= now)

    async def find(self, token: str) -> Found | None:
        """The login of a token that is still taken."""
        if not token or len(token) > 200:
            return None
        key, now = _digest(token), self._now()
        found = self._seen.get(key)
        if found is None or not 0 <= now - found.read_at < _FRESH_MS:
            document = await self._store.document(PLATFORM, KIND, key)
            if document is None:
                self._seen.pop(key, None)
                return None
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            kept = unpack(document, LoginRecord)
            found = self._seen[key] = Found(key, kept.value, kept.version, now)
        return None if self._over(found.record, now) else found

    async def touch(self, found: Found, rights: str) -> str:
        """It was used. Returns a new token where the old one's day is over or the person's rights have changed."""
        now, record = self._now(), found.record
        if record.until is not None:
            return ""
        if now - record.rotated_at >= ROTATE_MS or record.rights != rights:
            return await self.rotate(found, rights)
        if now - record.seen_at >= _SEEN_MS:
            record.seen_at = now
            await self._write(found, [put(KIND, found.key, record, sort=_sort(record), expected=found.version)])
        return ""

    async def rotate(self, found: Found, rights: str, *, stamp: str = "") -> str:
        """Replace the token; "" when another request has just done so."""
        now, record = self._now(), found.record
        token = secrets.token_urlsafe(32)
        fresh = msgspec.structs.replace(record, seen_at=now, rotated_at=now, rights=rights, stamp=stamp or record.stamp)
        old = msgspec.structs.replace(record, until=now + GRACE_MS)
        done = await self._write(
            found,
            [
                put(KIND, found.key, old, sort=_sort(old), expected=found.version),
                put(KIND, _digest(token), fresh, sort=_sort(fresh), expected=0),
            ],
        )
        return token if done else ""

    async def work_in(self, token: str, tenant: str) -> None:
        """Remember the tenant that a platform's admin works in."""
        found = await self.find(token)
        if found is not None:
            record = msgspec.structs.replace(found.record, acting=tenant)
            await self._write(found, [put(KIND, found.key, record, sort=_sort(record), expected=found.version)])

    async def _write(self, found: Found, changes: list[Change]) -> bool:
        """False when somebody else has changed or ended this login meanwhile."""
        self._seen.pop(found.key, None)
        try:
            await self._store.write_documents(PLATFORM, changes)
        except Conflict:
            return False
        return True

    async def end(self, token: str) -> LoginRecord | None:
        """Log out: the token is dead. Returns what it was."""
        found = await self.find(token)
        if found is None:
            return None
        await self.end_some(found.record.tenant, found.record.name, only=found.record.id)
        return found.record

    async def of(self, tenant: str, name: str) -> list[LoginRecord]:
        """The logins of a person that are not over, the newest first."""
        now = self._now()
        found: dict[str, LoginRecord] = {}
        async for document in self._documents(tenant, name):
            record = unpack(document, LoginRecord).value
            if not self._over(record, now) and record.until is None:
                found[record.id] = record
        return sorted(found.values(), key=lambda one: (one.made_at, one.id), reverse=True)

    async def end_some(self, tenant: str, name: str, *, only: str = "", but: str = "") -> int:
        """End a person's logins: all, `only` one, or all `but` one (by id). Returns how many there were."""
        ended: set[str] = set()
        changes: list[Change] = []
        async for document in self._documents(tenant, name):
            record = unpack(document, LoginRecord).value
            if (only and record.id != only) or (but and record.id == but):
                continue
            self._seen.pop(document.id, None)
            changes.append(Delete(KIND, document.id))
            ended.add(record.id)
        if changes:
            await self._store.write_documents(PLATFORM, changes)
        return len(ended)

    async def _documents(self, tenant: str, name: str) -> AsyncIterator[Document]:
        prefix = _prefix(tenant, name)
        cursor: str | None = None
        while True:
            page = await self._store.documents(PLATFORM, KIND, low=prefix, high=f"{prefix}~", cursor=cursor, limit=500)
            for one in page.items:
                yield one
            cursor = page.next
            if cursor is None:
                return

    async def _tidy(self, user: User, now: int) -> None:
        """Forget what is over, and the oldest of too many."""
        kept: list[tuple[int, str]] = []
        gone: list[Change] = []
        async for document in self._documents(user.tenant, user.name):
            record = unpack(document, LoginRecord).value
            if self._over(record, now):
                gone.append(Delete(KIND, document.id))
            else:
                kept.append((record.made_at, document.id))
        gone += [Delete(KIND, key) for _, key in sorted(kept)[: -(_OF_ONE - 1)]]
        if gone:
            for one in gone:
                self._seen.pop(one.id, None)
            await self._store.write_documents(PLATFORM, gone)

    # -- between password and second factor ---------------------------------------------------------------------------
    async def await_code(self, user: User, stamp: str) -> str:
        """The token of somebody whose password was right."""
        now = self._now()
        old = await self._store.documents(PLATFORM, PENDING_KIND, high=f"{now:013d}", limit=100)
        token = secrets.token_urlsafe(32)
        record = Pending(tenant=user.tenant, name=user.name, stamp=stamp, expires_at=now + PENDING_MS)
        await self._store.write_documents(
            PLATFORM,
            [
                put(PENDING_KIND, _digest(token), record, sort=f"{record.expires_at:013d}", expected=0),
                *(Delete(PENDING_KIND, one.id) for one in old.items),
            ],
        )
        return token

    async def awaited(self, token: str) -> Pending | None:
        """Who it is, counting one more try; None when it is unknown, too late or was tried too often."""
        key = _digest(token)
        document = await self._store.document(PLATFORM, PENDING_KIND, key) if token else None
        if document is None:
            return None
        kept = unpack(document, Pending)
        record = kept.value
        if record.expires_at <= self._now() or record.tries >= PENDING_TRIES:
            await self._store.write_documents(PLATFORM, [Delete(PENDING_KIND, key)])
            return None
        record.tries += 1
        try:
            await self._store.write_documents(
                PLATFORM,
                [put(PENDING_KIND, key, record, sort=f"{record.expires_at:013d}", expected=kept.version)],
            )
        except Conflict:
            return None
        return record

    async def forget_awaited(self, token: str) -> None:
        """It is used up."""
        if token:
            await self._store.write_documents(PLATFORM, [Delete(PENDING_KIND, _digest(token))])


def _shown(agent: str) -> str:
    return "".join(one for one in agent[:200] if one.isprintable())
