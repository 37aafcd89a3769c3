"""The worker that follows the journal for alarms, notifications and webhooks of every tenant."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pilotwire.domain.alarms import Place
from pilotwire.storage.documents import put, unpack
from pilotwire.transport.bus import Event, Refused, Subscription

from ..access import Principal
from ..context import ApiContext
from ..tenancy import PLATFORM, tenant_name
from .desk import Counters, Desk
from .follow import Follower
from .records import CURSOR, CursorRecord
from .tasks import end

if TYPE_CHECKING:
    from prometheus_client import Metric

log = logging.getLogger(__name__)

SAVE_MS = 10_000
"""How often the place of the whole worker is kept, of which a restart reads again what was of no consequence."""
CHANGED = "changed.>"
"""Subjects on which services say that accounts or sites were changed."""


class Happenings:
    """See `pilotwire.api.workers.Worker`, and `Consumer` in `follow`."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._since = context.began_at or context.scheduler.now()
        """Stations that connected before it did so to a process that is gone."""
        self._follower = Follower(context, self, "happenings")
        self._cursor = f"happenings.{context.store.stream}"
        self._desks: dict[str, Desk] = {}
        self._making = asyncio.Lock()
        self._first = False
        self._seen = False
        self._saved_at = 0
        self._saved = 0
        self._tasks: list[asyncio.Task[None]] = []
        self._subscriptions: list[Subscription] = []
        self.counters = Counters()

    # -- life ---------------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Go on where the last process stopped."""
        self._context.parts[Happenings] = self
        bus = self._context.bus
        self._subscriptions = [bus.subscribe("refused.>", limit=1_000), bus.subscribe(CHANGED, limit=1)]
        await self._follower.start()
        loop = asyncio.get_running_loop()
        self._tasks = [
            loop.create_task(self._hear_refused(self._subscriptions[0]), name="happenings: refused"),
            loop.create_task(self._hear_changes(self._subscriptions[1]), name="happenings: changes"),
        ]

    async def stop(self) -> None:
        """Keep what is queued and end."""
        await end(*self._tasks)
        self._tasks = []
        await self._follower.stop()
        if self._desks:
            try:
                await self._save()
            except Exception:
                log.exception("where the alarms stand could not be kept; some of the journal is read again")
        for subscription in self._subscriptions:
            subscription.close()
        self._context.parts.pop(Happenings, None)

    async def settle(self) -> None:
        """Everything that was published until now has had its consequences, and what is due by now is done."""
        refused, changes = self._subscriptions
        for _, one in refused.drain(1_000):
            await self._refused(one)
        if changes.drain(1):
            self._all_changed()
        await self._follower.settle()

    def changed(self, tenant: str, *, stations: bool = False) -> None:
        """Somebody changed a rule, a mute, a webhook or a subscription (or where stations stand): it counts for
        whatever is taken in from now on."""
        desk = self._desks.get(tenant)
        if desk is not None:
            desk.books.stale = True
            desk.books.stations_stale = desk.books.stations_stale or stations

    async def gauge(self, tenant: str, place: Place, gauge: str, value: int) -> None:
        """Something was measured elsewhere; it counts from the next tick on."""
        (await self._desk(tenant)).gauge(place, gauge, value)

    def open_alarms(self, tenant: str) -> dict[str, int]:
        """How many alarms of each rule are open."""
        from .desk import open_by

        desk = self._desks.get(tenant)
        return open_by(desk.engine.cells) if desk is not None else {}

    def count_open(self, tenant: str, sites: frozenset[str] | None) -> Counter[str]:
        """Open alarms by severity, of all or of some sites."""
        desk = self._desks.get(tenant)
        if desk is None:
            return Counter()
        return desk.count_open(sites)

    def metrics(self) -> Iterator[Metric]:
        """Counters of this process, and how many alarms are open."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        family = GaugeMetricFamily("pilotwire_alarms_open", "Alarms open now", labels=["severity"])
        counts = dict.fromkeys(("critical", "major", "minor", "warning"), 0)
        for desk in self._desks.values():
            for rule_id, count in self.open_alarms(desk.tenant).items():
                rule = desk.engine.rules.get(rule_id)
                if rule is not None:
                    counts[rule.severity] += count
        for severity, count in counts.items():
            family.add_metric([severity], count)
        yield family
        yield CounterMetricFamily("pilotwire_alarms_raised", "Alarms raised", value=self.counters.raised)
        yield CounterMetricFamily("pilotwire_alarms_cleared", "Alarms cleared", value=self.counters.cleared)
        yield CounterMetricFamily("pilotwire_notifications", "Notifications made", value=self.counters.notifications)
        yield GaugeMetricFamily(
            "pilotwire_happenings_position", "Journal entry taken in", value=self._follower.position
        )

    # -- consumer -----------------------------------------------------------------------------------------------------
    async def begin(self) -> int | None:
        """See `Consumer`."""
        self._desks = {}
        found = await self._context.store.document(PLATFORM, CURSOR, self._cursor)
        self._first = found is None
        return unpack(found, CursorRecord).value.seq if found is not None else None

    async def ready(self) -> None:
        """See `Consumer`."""
        for account in await self._context.store.accounts():
            await self._desk(account.tenant)
        if not self._seen:
            for desk in self._desks.values():
                await desk.look_around(first=self._first, since=self._since)
            self._seen = True
        await self._save()

    async def take(self, events: list[Event]) -> None:
        """See `Consumer`."""
        by_tenant: dict[str, list[Event]] = {}
        for event in events:
            by_tenant.setdefault(event.tenant, []).append(event)
        for tenant, chosen in by_tenant.items():
            await (await self._desk(tenant)).take(chosen)

    async def tick(self) -> None:
        """See `Consumer`."""
        for desk in list(self._desks.values()):
            await desk.tick()
        now = self._context.scheduler.now()
        if not 0 <= now - self._saved_at < SAVE_MS:
            await self._save()

    async def _save(self) -> None:
        self._saved_at = self._context.scheduler.now()
        if self._saved != self._follower.position or self._first:
            self._first = False
            self._saved = self._follower.position
            await self._context.store.write_documents(PLATFORM, [put(CURSOR, self._cursor, CursorRecord(self._saved))])

    async def _desk(self, tenant: str) -> Desk:
        async with self._making:
            desk = self._desks.get(tenant)
            if desk is None:
                desk = Desk(self._context, tenant, self.counters)
                await desk.begin(self._cursor)
                self._desks[tenant] = desk
            return desk

    # -- the bus ------------------------------------------------------------------------------------------------------
    async def _hear_refused(self, subscription: Subscription) -> None:
        async for _, news in subscription:
            await self._refused(news)

    async def _refused(self, news: object) -> None:
        if isinstance(news, Refused) and tenant_name(news.tenant) and news.tenant in self._desks:
            self._desks[news.tenant].refused(news.time, news.station, news.status, news.reason, news.peer)

    async def _hear_changes(self, subscription: Subscription) -> None:
        async for _ in subscription:
            self._all_changed()

    def _all_changed(self) -> None:
        for tenant in self._desks:
            self.changed(tenant, stations=True)


def open_alarms(context: ApiContext, principal: Principal) -> Counter[str]:
    """How many alarms are open now, by severity, of those that a principal sees; none where no worker runs."""
    happenings: Happenings | None = context.parts.get(Happenings)
    if happenings is None or principal.tokens is not None:
        return Counter()
    return happenings.count_open(principal.tenant, principal.sites)
