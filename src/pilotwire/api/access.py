"""Who is asking: logins of people (cookies), API keys of programs, the lab.

A login is a random token of which the store keeps the digest, so that logging out ends it for good and a restart does
not. An API key is a random token of which the store keeps the digest. Comparing digests leaks nothing of the secret.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from typing import Literal
from urllib.parse import unquote

import msgspec

from pilotwire.domain import permissions
from pilotwire.domain.records import ApiKey, User

from .context import ApiContext
from .limiter import FailureLimiter
from .problems import problem
from .tenancy import tenant_name

COOKIE = "pilotwire_login"
KEY_PREFIX = "pw_"
_SETTING = "api.logins"
_MAX_LOGINS = 1000
_KEYS_FRESH_MS = 2_000
"""How long a revoked key may still work when another process revoked it."""


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

    def may(self, permission: str) -> bool:
        """Whether the role has a permission (`pilotwire.domain.permissions`); one that we do not know has none."""
        return permissions.may(self.role, permission)

    def need(self, permission: str) -> None:
        """Raises Problem 403 naming the permission where the role does not have it."""
        if not self.may(permission):
            raise problem("not-allowed", f"This needs the permission {permission}, which {self.role} does not have.")


def system(tenant: str, name: str = "system") -> Principal:
    """The installation itself at work for a tenant: workers, the live picture. Never made from a request."""
    return Principal(tenant=tenant, name=name, role="admin", by="system")


class _LoginRecord(msgspec.Struct, array_like=True):
    tenant: str
    name: str
    expires_at: int
    verifier: str
    """Digest of the password's verifier: a new password ends every login made with the old one."""


def digest(secret: str) -> str:
    """SHA-256, hex: enough for secrets of 256 random bits."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_key() -> str:
    """A new API key: `pw_` and 256 random bits."""
    return KEY_PREFIX + secrets.token_urlsafe(32)


class Access:
    """Logs people in and out and recognises them; recognises API keys."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._now = context.scheduler.now
        self.limiter = FailureLimiter(self._now)
        self._logins: dict[str, _LoginRecord] | None = None
        self._writing = asyncio.Lock()
        self._hashing = asyncio.Semaphore(2)
        self._decoy = ""
        self._keys: dict[str, ApiKey] = {}
        self._keys_at = -_KEYS_FRESH_MS

    # -- people -------------------------------------------------------------------------------------------------------
    async def log_in(self, tenant: str, name: str, password: str, client: str) -> tuple[str, User]:
        """A new login's token. Raises Problem 401, or 429 after too many failures of this client or name."""
        keys = (f"client {client}", f"name {tenant}/{name}")
        if wait := self.limiter.wait_ms(*keys):
            raise problem("too-many-attempts", headers={"Retry-After": str(-(-wait // 1000))})
        # Counted before the slow check, so that a burst of parallel guesses is counted too.
        self.limiter.failed(*keys)
        user = await self._context.store.user(tenant, name)
        verifier = user.password if user else await self._decoy_verifier()
        right = await self._verify(password, verifier)
        if user is None or not right:
            raise problem("bad-login")
        self.limiter.succeeded(*keys)
        token = secrets.token_urlsafe(32)
        record = _LoginRecord(
            tenant=tenant,
            name=name,
            expires_at=self._now() + self._context.config.login_days * 86_400_000,
            verifier=digest(user.password),
        )
        async with self._writing:
            logins = await self._load()
            logins[digest(token)] = record
            await self._save(logins)
        return token, user

    async def log_out(self, token: str) -> None:
        async with self._writing:
            logins = await self._load()
            if logins.pop(digest(token), None) is not None:
                await self._save(logins)

    async def by_login(self, token: str) -> Principal | None:
        """Whose login this is; None when it is unknown, over, or the person is gone or has a new password."""
        logins = self._logins if self._logins is not None else await self._load()
        record = logins.get(digest(token))
        if record is None or record.expires_at <= self._now():
            return None
        user = await self._context.store.user(record.tenant, record.name)
        if user is None or digest(user.password) != record.verifier:
            return None
        return Principal(tenant=user.tenant, name=user.name, role=user.role, by="login")

    async def hash_password(self, password: str) -> str:
        """Slow, in a thread; at most two at a time, since each takes much memory."""
        async with self._hashing:
            return await asyncio.to_thread(self._context.passwords.hash_human, password)

    async def _verify(self, password: str, verifier: str) -> bool:
        async with self._hashing:
            return await asyncio.to_thread(self._context.passwords.verify_human, password, verifier)

    async def _decoy_verifier(self) -> str:
        """A verifier that nobody's password fits: an unknown name takes as long as a known one."""
        if not self._decoy:
            self._decoy = await self.hash_password(secrets.token_urlsafe(32))
        return self._decoy

    async def _load(self) -> dict[str, _LoginRecord]:
        if self._logins is None:
            text = await self._context.store.setting(_SETTING)
            self._logins = msgspec.json.decode(text, type=dict[str, _LoginRecord]) if text else {}
        return self._logins

    async def _save(self, logins: dict[str, _LoginRecord]) -> None:
        now = self._now()
        for key in [key for key, record in logins.items() if record.expires_at <= now]:
            del logins[key]
        while len(logins) > _MAX_LOGINS:
            del logins[next(iter(logins))]
        await self._context.store.put_setting(_SETTING, msgspec.json.encode(logins).decode())

    # -- programs -----------------------------------------------------------------------------------------------------
    async def by_key(self, key: str) -> Principal | None:
        """Whose key this is; None when it is unknown or over."""
        secret, at, tenant = key.partition("@")
        if self._context.process_key and hmac.compare_digest(secret.encode(), self._context.process_key.encode()):
            # Whoever may read the data directory may act for every tenant in it: `key@tenant`.
            named = unquote(tenant) if at else self._context.config.tenant
            if not tenant_name(named):
                return None
            return Principal(tenant=named, name="this machine", role="platform-admin", by="key")
        if not key.startswith(KEY_PREFIX):
            return None
        now = self._now()
        if now - self._keys_at >= _KEYS_FRESH_MS:
            self._keys = {record.digest: record for record in await self._context.store.api_keys()}
            self._keys_at = now
        record = self._keys.get(digest(key))
        if record is None or (record.expires_at is not None and record.expires_at <= now):
            return None
        return Principal(tenant=record.tenant, name=f"key {record.name}", role=record.role, by="key")

    def forget_keys(self) -> None:
        """A key was made or revoked here: look again at once."""
        self._keys_at = -_KEYS_FRESH_MS

    def lab(self) -> Principal:
        """Whoever sits at a lab's own machine."""
        return Principal(tenant=self._context.config.tenant, name="lab", role="platform-admin", by="lab")


def access_of(context: ApiContext) -> Access:
    """The one `Access` of this context."""
    if Access not in context.parts:
        context.parts[Access] = Access(context)
    return context.parts[Access]
