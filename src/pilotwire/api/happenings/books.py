"""What people have set up in a tenant, in memory: rules, mutes, webhooks, subscriptions, sites, who stands where.

Read from the documents at the start, when a service of this process says that something was changed, and every
`FRESH_MS`, since another process may have changed something.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

from pilotwire.domain.alarms_builtin import BUILT_IN
from pilotwire.domain.alarms_rules import Rule
from pilotwire.storage.documents import Document, unpack
from pilotwire.storage.port import Store

from .records import MUTE, RULE, SUBSCRIPTION, WEBHOOK, MuteRecord, SubscriptionRecord, WebhookRecord

T = TypeVar("T")

FRESH_MS = 10_000
ACCOUNTS_FRESH_MS = 60_000
_PAGE = 500


async def every(store: Store, tenant: str, kind: str, low: str = "", high: str | None = None) -> list[Document]:
    """All documents of a kind (of those with low <= sort < high)."""
    found: list[Document] = []
    cursor: str | None = None
    while True:
        page = await store.documents(tenant, kind, low=low, high=high, cursor=cursor, limit=_PAGE)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


async def every_of(store: Store, tenant: str, kind: str, body: type[T]) -> dict[str, T]:
    """All documents of a kind as `body`, by id. One that cannot be read is left out: the others still count."""
    made: dict[str, T] = {}
    for one in await every(store, tenant, kind):
        try:
            made[one.id] = unpack(one, body).value
        except msgspec.DecodeError:
            continue
    return made


def rules_of(kept: dict[str, Rule]) -> dict[str, Rule]:
    """The built-in rules with what was changed of them, and those that were added."""
    return {rule.id: rule for rule in BUILT_IN} | kept


class _Site(msgspec.Struct):
    """What is needed of a site here."""

    name: str = ""
    power_limit_w: int | None = None
    time_zone: str = ""


class Books:
    """See the module."""

    def __init__(self, store: Store, tenant: str) -> None:
        self._store = store
        self.tenant = tenant
        self.at = 0
        self._accounts_at = 0
        self.stale = True
        self.stations_stale = True
        self.rules: dict[str, Rule] = {}
        self.mutes: dict[str, MuteRecord] = {}
        self.webhooks: dict[str, WebhookRecord] = {}
        self.subscriptions: dict[str, SubscriptionRecord] = {}
        self.sites: dict[str, _Site] = {}
        self.site_of_station: dict[str, str] = {}
        self.enabled: set[str] = set()
        """Stations whose account is enabled."""
        self._hooks: dict[str, list[str]] = {}

    def site_of(self, station: str) -> str:
        """Where a station stands; "" where it stands nowhere."""
        return self.site_of_station.get(station, "")

    def aged(self, now: int) -> bool:
        """Whether they should be read again."""
        return self.stale or self.stations_stale or not 0 <= now - self.at < FRESH_MS

    async def read(self, now: int) -> None:
        """Read them."""
        store, tenant = self._store, self.tenant
        self.stale = False
        self.rules = rules_of(await every_of(store, tenant, RULE, Rule))
        self.mutes = await every_of(store, tenant, MUTE, MuteRecord)
        self.webhooks = await every_of(store, tenant, WEBHOOK, WebhookRecord)
        self.subscriptions = await every_of(store, tenant, SUBSCRIPTION, SubscriptionRecord)
        self.sites = await every_of(store, tenant, "site", _Site)
        if self.stations_stale or not 0 <= now - self._accounts_at < ACCOUNTS_FRESH_MS:
            self.stations_stale = False
            accounts = await store.accounts(tenant)
            self.site_of_station = {one.id: one.site for one in accounts if one.site}
            self.enabled = {one.id for one in accounts if one.enabled}
            self._accounts_at = now
        self._hooks.clear()
        self.at = now

    def hooks_for(self, kind: str) -> list[str]:
        """The webhooks that want this type of event."""
        found = self._hooks.get(kind)
        if found is None:
            found = self._hooks[kind] = [
                name
                for name, hook in self.webhooks.items()
                if hook.enabled and ("*" in hook.events or kind in hook.events)
            ]
        return found

    def muted(self, alarm: str, rule: str, station: str, site: str, now: int) -> bool:
        """Whether nobody wants to hear of an alarm now."""
        return is_muted(self.mutes.values(), alarm, rule, station, site, now)


def is_muted(mutes: Any, alarm: str, rule: str, station: str, site: str, now: int) -> bool:
    """Whether any of the mutes is about this alarm."""
    names = {"alarm": alarm, "rule": rule, "station": station, "site": site}
    return any(
        bool(one.value) and names[one.target] == one.value and (one.until is None or one.until > now) for one in mutes
    )
