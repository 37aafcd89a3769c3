"""Tenants kept apart by construction: what serves a request gets ports that know no tenant but its own.

`context_of(request)` hands out `bound(context, tenant)`: the same context with a store and a bus that look at the
tenant of everything that passes through them, arguments and records alike, and raise `CrossTenant` for another. A
method of the store that is not in the tables below does not exist on the bound one, so a new one has to be sorted in
first; `tests/api/test_api_tenants.py` calls every method of the port with a foreign tenant.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Container
from typing import Any, cast

from pilotwire.core.errors import LocalError
from pilotwire.storage.port import JournalRow, Store
from pilotwire.transport.bus import Bus, Handler, Subscription

from .context import ApiContext

PLATFORM = ""
"""Where documents of the installation itself are kept: the tenants, the logins. No tenant can have this name."""
NOBODY = "\0"
"""The tenant of a request that nobody is known for: there is none such."""
_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]{0,38}[a-z0-9])?")


def tenant_name(text: str) -> bool:
    """Whether a tenant can have this name: it is part of URLs and, where a dot would part it, of the bus's subjects."""
    return _NAME.fullmatch(text) is not None


class CrossTenant(LocalError):
    """A program error of ours: what serves one tenant has asked for something of another. Nothing was read or done."""


class TenantStore:
    """A store of which one tenant can be reached. The same methods as `pilotwire.storage.port.Store`."""

    __slots__ = ("_store", "tenant")

    BY_TENANT = frozenset(
        (
            "stations", "sessions", "session", "samples", "command", "accounts", "token", "tokens", "delete_token",
            "user", "users", "delete_user", "api_keys", "delete_api_key", "write_documents", "document", "documents",
            "some_stations", "find_sessions", "count_sessions", "sum_sessions", "session_totals", "ended_since",
            "some_sessions", "document_changes",
        )
    )  # fmt: skip
    """The first argument is the tenant."""
    BY_KEY = frozenset(("station", "variables", "commands", "account", "delete_account"))
    """The first argument is a StationKey."""
    BY_RECORD = frozenset(("put_account", "put_token", "put_user", "put_api_key", "append"))
    """The first argument has a field `tenant`."""
    BY_RECORDS = frozenset(("put_tokens",))
    """The first argument is a list of such."""
    CLOSED = frozenset(
        (
            "open", "close", "load_station", "find_session", "rebuild", "roll_off", "setting", "put_setting",
        )
    )  # fmt: skip
    """Of the installation or the gateway: not for what serves a tenant."""

    def __init__(self, store: Store, tenant: str) -> None:
        self._store = store
        self.tenant = tenant

    def _check(self, tenant: object) -> None:
        if tenant != self.tenant:
            raise CrossTenant(f"a request of tenant {self.tenant!r} asked for tenant {tenant!r}")

    def __getattr__(self, name: str) -> Any:
        if name in self.BY_TENANT:
            look: Callable[[Any], object] = _itself
        elif name in self.BY_KEY or name in self.BY_RECORD:
            look = _tenant_of
        elif name in self.BY_RECORDS:
            look = self._tenant_of_all
        else:
            raise CrossTenant(f"{name} of the store is not for what serves a tenant")
        method = getattr(self._store, name)

        def checked(first: Any, /, *arguments: Any, **named: Any) -> Any:
            self._check(look(first))
            return method(first, *arguments, **named)

        return checked

    def _tenant_of_all(self, first: Any) -> object:
        """The first foreign tenant of a list of records; our own where there is none."""
        return next((one.tenant for one in first if one.tenant != self.tenant), self.tenant)

    @property
    def ready(self) -> bool:
        """True while commits succeed."""
        return self._store.ready

    @property
    def stream(self) -> str:
        """The name under which this writer's entries stand in the journal."""
        return self._store.stream

    @property
    def position(self) -> int:
        """As the port says."""
        return self._store.position

    @property
    def account_changes(self) -> int:
        """As the port says."""
        return self._store.account_changes

    @property
    def shared(self) -> bool:
        """As the port says."""
        return self._store.shared

    def journal(self, *, tenant: str, **named: Any) -> AsyncIterator[JournalRow]:
        """The tenant's entries."""
        self._check(tenant)
        return self._store.journal(tenant=tenant, **named)


def _itself(first: object) -> object:
    return first


def _tenant_of(first: Any) -> object:
    return getattr(first, "tenant", None)


class TenantBus:
    """A bus of which one tenant's subjects can be reached, and those of nobody (`settings.changed`)."""

    __slots__ = ("_bus", "tenant")

    OF_TENANTS = frozenset(("facts", "live", "command", "power", "refused", "handshakes", "alarms", "jobs", "rollouts"))
    """Subjects whose second part is a tenant."""

    def __init__(self, bus: Bus, tenant: str) -> None:
        self._bus = bus
        self.tenant = tenant

    def _check(self, subject: str) -> None:
        kind, _, rest = subject.partition(".")
        if kind in self.OF_TENANTS:
            if not rest.startswith(f"{self.tenant}."):
                raise CrossTenant(f"a request of tenant {self.tenant!r} asked for {subject!r}")
        elif kind in (">", "*", ""):
            raise CrossTenant(f"a request of tenant {self.tenant!r} asked for {subject!r}")

    @property
    def topics(self) -> Container[str]:
        """As the bus."""
        return self._bus.topics

    def publish(self, subject: str, message: Any) -> None:
        """As the bus."""
        self._check(subject)
        self._bus.publish(subject, message)

    def wanted(self, subject: str) -> bool:
        """As the bus."""
        return self._bus.wanted(subject)

    def subscribe(self, pattern: str, *, limit: int = 1000) -> Subscription:
        """As the bus."""
        self._check(pattern)
        return self._bus.subscribe(pattern, limit=limit)

    def serve(self, pattern: str, handler: Handler) -> Callable[[], None]:
        """As the bus."""
        self._check(pattern)
        return self._bus.serve(pattern, handler)

    async def request(self, subject: str, message: Any, *, timeout_ms: int = 30_000) -> Any:
        """As the bus."""
        self._check(subject)
        return await self._bus.request(subject, message, timeout_ms=timeout_ms)


class _Bound:
    """A context whose store and bus are one tenant's; all else is the whole context's own."""

    __slots__ = ("_whole", "bus", "store", "tenant")

    def __init__(self, whole: ApiContext, tenant: str) -> None:
        self._whole = whole
        self.tenant = tenant
        self.store = TenantStore(whole.store, tenant)
        self.bus = TenantBus(whole.bus, tenant)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._whole, name)


_KEPT = 1_000


def bound(context: ApiContext, tenant: str) -> ApiContext:
    """The context for whatever serves this tenant. Binding one anew to another tenant is refused."""
    if isinstance(context, _Bound):
        if context.tenant != tenant:
            raise CrossTenant(f"a request of tenant {context.tenant!r} asked for tenant {tenant!r}")
        return cast("ApiContext", context)
    kept: dict[str, _Bound] = context.parts.setdefault(_Bound, {})
    found = kept.get(tenant)
    if found is None or found.store._store is not context.store:
        if len(kept) >= _KEPT:
            kept.pop(next(iter(kept)))
        found = kept[tenant] = _Bound(context, tenant)
    return cast("ApiContext", found)
