"""Who is asking: logins of people (cookies), API keys of programs, the lab.

An API key is a random token of which the store keeps the digest; comparing digests leaks nothing of the secret. Logins
are kept the same way (`pilotwire.api.logins`). What somebody may do is looked up anew for every request, so a role that
was taken away, a person that was switched off or a new password counts at once.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal
from urllib.parse import unquote

import msgspec

from pilotwire.domain import permissions
from pilotwire.domain.records import ApiKey, User
from pilotwire.storage.documents import put

from .context import ApiContext
from .language import _
from .limiter import FailureLimiter
from .logins import LoginRecord, Logins
from .problems import problem
from .tenancy import PLATFORM, tenant_name

COOKIE = "pilotwire_login"
SECURE_COOKIE = "__Host-pilotwire_login"
"""Over HTTPS: the prefix makes browsers refuse one that another host or a plain connection tries to set."""
KEY_PREFIX = "pw_"
KEY_USE_KIND = "key-use"
TENANT_KIND = "tenant"
_FRESH_MS = 2_000
"""How long a key that another process revoked, or a tenant that it suspended, may still be let in."""
_STREAM_MS = 5_000
"""How often it is asked whether the reader of a stream may still read."""
_USE_MS = 300_000
"""When a key was last used is written down at most so often."""


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever makes a request, and what for."""

    tenant: str
    name: str
    role: str
    by: Literal["login", "key", "lab", "system"]
    sites: frozenset[str] | None = None
    """The sites that are shown and commanded; None: all."""
    tokens: frozenset[str] | None = None
    """The tokens whose sessions are shown and that may start one; None: all."""
    home: str = ""
    """The tenant of a platform's admin who works in another one; else empty."""
    login: str = ""
    """Id of the login, or of the key."""
    machine: bool = False
    """Whoever may read the data directory: the command line on the machine itself."""

    def may(self, permission: str) -> bool:
        """Whether the role has a permission (`pilotwire.domain.permissions`); one that we do not know has none."""
        return permissions.may(self.role, permission)

    def need(self, permission: str) -> None:
        """Raises Problem 403 naming the permission where the role does not have it."""
        if not self.may(permission):
            raise problem(
                "not-allowed",
                _(
                    "This needs the permission {permission}, which {role} does not have.",
                    permission=permission,
                    role=self.role,
                ),
            )

    @property
    def actor(self) -> str:
        """The name in the audit log: with the tenant where the person is at home, when that is another one."""
        return f"{self.name}@{self.home}" if self.home and self.home != self.tenant else self.name


def system(tenant: str, name: str = "system") -> Principal:
    """The installation itself at work for a tenant: workers, the live picture. Never made from a request."""
    return Principal(tenant=tenant, name=name, role="admin", by="system")


def reach(role: str, sites: Iterable[str] | None) -> frozenset[str] | None:
    """The sites that somebody with this role sees: those given; where none are, none for a role that is about sites."""
    scope = permissions.ROLES.get(role, ("own", frozenset()))[0]
    if sites is None:
        return frozenset() if scope == "sites" else None
    return frozenset(sites)


class TenantRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a tenant."""

    name: str = ""
    suspended: bool = False
    note: str = ""
    created_at: int = 0


class _KeyUse(msgspec.Struct):
    at: int


class Let(msgspec.Struct, frozen=True):
    """Somebody who was let in by a login."""

    principal: Principal
    token: str = ""
    """A new token that takes the place of the one that was shown; empty: none."""


def digest(secret: str) -> str:
    """SHA-256, hex: enough for secrets of 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_key() -> str:
    """A new API key: `pw_` and 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


class Access:
    """Recognises logins and API keys; checks passwords."""

    def __init__(self, context: ApiContext) -> None:
        self.context = context
        """The whole one: of every tenant."""
        self._now = context.scheduler.now
        self.limiter = FailureLimiter(self._now)
        self.logins = Logins(context)
        self._hashing = asyncio.Semaphore(2)
        self._decoy = ""
        self._keys: dict[str, ApiKey] = {}
        self._keys_at = -_FRESH_MS
        self._used: dict[str, int] = {}
        self._tenants: dict[str, tuple[int, TenantRecord | None]] = {}

    # -- tenants ------------------------------------------------------------------------------------------------------
    async def tenant(self, name: str) -> TenantRecord | None:
        """What is kept of a tenant, as it was two seconds ago at most; None where there is none of that name."""
        now = self._now()
        at, record = self._tenants.get(name, (now - _FRESH_MS, None))
        if not 0 <= now - at < _FRESH_MS:
            found = await self.context.store.document(PLATFORM, TENANT_KIND, name) if tenant_name(name) else None
            record = msgspec.json.decode(found.body, type=TenantRecord) if found else None
            if record is None and name == self.context.config.tenant:
                record = TenantRecord()
            if len(self._tenants) > 10_000:
                self._tenants.clear()
            self._tenants[name] = (now, record)
        return record

    def forget_tenants(self) -> None:
        """A tenant was changed here: look again at once."""
        self._tenants.clear()

    async def admit(self, tenant: str) -> None:
        """Raises Problem 403 for whoever is at home in a tenant that is suspended."""
        record = await self.tenant(tenant)
        if record is not None and record.suspended:
            raise problem("tenant-suspended")

    async def work_in(self, principal: Principal, tenant: str) -> Principal:
        """The same person for another tenant. Raises Problem 403 unless a platform's admin, 404 for an unknown one."""
        if tenant == principal.tenant:
            return principal
        if principal.role != "platform-admin":
            raise problem("not-allowed", _("Only a platform admin may name another tenant."))
        if await self.tenant(tenant) is None:
            raise problem("no-tenant", _("There is no tenant {tenant}.", tenant=repr(tenant[:40])))
        return msgspec.structs.replace(
            principal, tenant=tenant, home=principal.home or principal.tenant, sites=None, tokens=None
        )

    # -- people -------------------------------------------------------------------------------------------------------
    async def check_password(self, tenant: str, name: str, password: str, client: str) -> User:
        """Whose name and password these are. Raises Problem 401, or 429 after too many failures."""
        keys = self.counted(tenant, name, client)
        user = await self.context.store.user(tenant, name) if tenant_name(tenant) else None
        verifier = user.password if user and user.password else await self._decoy_verifier()
        right = await self.verify(password, verifier)
        if user is None or not right or not user.password or not user.enabled:
            raise problem("bad-login")
        self.limiter.succeeded(*keys)
        return user

    def counted(self, tenant: str, name: str, client: str) -> tuple[str, str]:
        """Count an attempt before it is looked at, so that a burst of parallel guesses is counted too. Raises 429."""
        keys = (f"client {client}", f"name {tenant}/{name}")
        if wait := self.limiter.wait_ms(*keys):
            raise problem("too-many-attempts", headers={"Retry-After": str(-(-wait // 1000))})
        self.limiter.failed(*keys)
        return keys

    def principal_of(self, user: User, *, login: str = "") -> Principal:
        """A person as who asks. The platform's admin is one only where the platform is at home."""
        role = user.role
        if role == "platform-admin" and user.tenant != self.context.config.tenant:
            role = "admin"
        driver = permissions.ROLES.get(role, ("tenant", None))[0] == "own"
        return Principal(
            tenant=user.tenant,
            name=user.name,
            role=role,
            by="login",
            sites=reach(role, user.sites),
            tokens=frozenset(user.tokens) if driver else None,
            login=login,
        )

    async def by_login(self, token: str) -> Let | None:
        """Whose login this is; None when it is unknown, over, or the person is gone or has a new password.

        Raises Problem 403 while their tenant is suspended.
        """
        found = await self.logins.find(token)
        if found is None:
            return None
        record: LoginRecord = found.record
        user = await self.context.store.user(record.tenant, record.name)
        if user is None or not user.enabled or stamp_of(user) != record.stamp:
            return None
        await self.admit(user.tenant)
        principal = self.principal_of(user, login=record.id)
        if record.acting and principal.role == "platform-admin" and await self.tenant(record.acting) is not None:
            principal = await self.work_in(principal, record.acting)
        fresh = await self.logins.touch(found, rights_of(user))
        return Let(principal, fresh)

    async def hash_password(self, password: str) -> str:
        """Slow, in a thread; at most two at a time, since each takes much memory."""
        async with self._hashing:
            return await asyncio.to_thread(self.context.passwords.hash_human, password)

    async def verify(self, password: str, verifier: str) -> bool:
        """Slow, as `hash_password`."""
        async with self._hashing:
            return await asyncio.to_thread(self.context.passwords.verify_human, password, verifier)

    async def _decoy_verifier(self) -> str:
        """A verifier that nobody's password fits: an unknown name takes as long as a known one."""
        if not self._decoy:
            self._decoy = await self.hash_password(secrets.token_urlsafe(32))
        return self._decoy

    # -- programs -----------------------------------------------------------------------------------------------------
    async def by_key(self, key: str) -> Principal | None:
        """Whose key this is; None when it is unknown or over. Raises Problem 403 while its tenant is suspended."""
        secret, at, tenant = key.partition("@")
        if self.context.process_key and hmac.compare_digest(secret.encode(), self.context.process_key.encode()):
            # Whoever may read the data directory may act for every tenant in it: `key@tenant`.
            named = unquote(tenant) if at else self.context.config.tenant
            if not tenant_name(named):
                return None
            return Principal(tenant=named, name="this machine", role="platform-admin", by="key", machine=True)
        if not key.startswith(KEY_PREFIX):
            return None
        now = self._now()
        if not 0 <= now - self._keys_at < _FRESH_MS:
            await self._read_keys(now)
        given = digest(key)
        record = self._keys.get(given)
        if record is None or (record.expires_at is not None and record.expires_at <= now):
            return None
        if given != record.digest and record.old_until <= now:
            return None
        await self.admit(record.tenant)
        await self._note_use(record, now)
        role = record.role
        if role == "platform-admin" and record.tenant != self.context.config.tenant:
            role = "admin"
        driver = permissions.ROLES.get(role, ("tenant", None))[0] == "own"
        return Principal(
            tenant=record.tenant,
            name=f"key {record.name}",
            role=role,
            by="key",
            sites=reach(role, record.sites),
            tokens=frozenset() if driver else None,
            login=record.id,
        )

    async def _read_keys(self, now: int) -> None:
        keys: dict[str, ApiKey] = {}
        for record in await self.context.store.api_keys():
            keys[record.digest] = record
            if record.old_digest and record.old_until > now:
                keys[record.old_digest] = record
        self._keys, self._keys_at = keys, now

    async def _note_use(self, record: ApiKey, now: int) -> None:
        """In a document of its own: writing the key itself could bring one back that is being revoked."""
        if now - self._used.get(record.id, -_USE_MS) < _USE_MS:
            return
        if len(self._used) > 10_000:
            self._used.clear()
        self._used[record.id] = now
        await self.context.store.write_documents(record.tenant, [put(KEY_USE_KIND, record.id, _KeyUse(now))])

    def forget_keys(self) -> None:
        """A key was made or revoked here: look again at once."""
        self._keys_at = self._now() - _FRESH_MS

    # -- while a stream is open ---------------------------------------------------------------------------------------
    async def still(self, principal: Principal) -> bool:
        """Whether somebody who was let in would be let in as the same now: for streams, which outlast a request."""
        home = principal.home or principal.tenant
        record = await self.tenant(home)
        if principal.machine or principal.by in ("lab", "system"):
            return True
        if record is not None and record.suspended:
            return False
        if principal.by == "key":
            now = self._now()
            keys = [one for one in await self.context.store.api_keys(home) if one.id == principal.login]
            return bool(keys) and not (keys[0].expires_at is not None and keys[0].expires_at <= now)
        user = await self.context.store.user(home, principal.name)
        if user is None or not user.enabled:
            return False
        as_now = self.principal_of(user)
        if as_now.role != principal.role or as_now.tokens != principal.tokens:
            return False
        if not principal.home and as_now.sites != principal.sites:
            return False
        stamp = stamp_of(user)
        logins = await self.logins.of(home, principal.name)
        return any(one.id == principal.login and one.stamp == stamp for one in logins)

    async def while_in(self, principal: Principal, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """A stream that ends when its reader is shut out; whoever logs out hears nothing more within 20 s."""
        looked = self._now()
        try:
            async for piece in pieces:
                now = self._now()
                if now - looked >= _STREAM_MS:
                    looked = now
                    if not await self.still(principal):
                        return
                yield piece
        finally:
            close = getattr(pieces, "aclose", None)
            if close is not None:
                await close()

    def lab(self) -> Principal:
        """Whoever sits at a lab's own machine."""
        return Principal(tenant=self.context.config.tenant, name="lab", role="platform-admin", by="lab")


async def key_used_at(context: ApiContext, tenant: str, key_id: str) -> int | None:
    """When a key was last used, to within five minutes."""
    found = await context.store.document(tenant, KEY_USE_KIND, key_id)
    return msgspec.json.decode(found.body, type=_KeyUse).at if found else None


def stamp_of(user: User) -> str:
    """What a login was made with: a new password, or another identity, ends it."""
    return digest(f"{user.password}\0{user.subject}\0{user.created_at}")


def rights_of(user: User) -> str:
    """What a person may: when it changes, a login's token is replaced."""
    return digest(msgspec.json.encode([user.role, user.sites, user.tokens]).decode())


def access_of(context: ApiContext) -> Access:
    """The one `Access` of this installation."""
    parts: dict[Any, Any] = context.parts
    if Access not in parts:
        parts[Access] = Access(context)
    return parts[Access]
