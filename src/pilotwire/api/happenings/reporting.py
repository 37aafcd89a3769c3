"""The worker that keeps the figures of reports of every tenant: it follows the journal, and goes through the sessions
that were there before the first start, or that a rebuild goes through, in the background.
"""

from __future__ import annotations

import asyncio
import logging

from pilotwire.storage.documents import Change, put, unpack
from pilotwire.transport.bus import Event, Subscription

from ..context import ApiContext
from ..tenancy import PLATFORM
from .follow import Follower
from .records import CURSOR, CursorRecord
from .report_records import ExclusionRecord
from .tasks import end
from .tenant_reports import TenantReports
from .worker import CHANGED

log = logging.getLogger(__name__)

FLUSH_MS = 60_000
LARGE_FLUSH_MS = 300_000
LARGE = 3_000
"""Stations, or pending rows, from which on a flush is worth waiting with."""
PASS_ROWS = 40_000
"""Rows that the pass over old sessions gathers before they are written."""


class Reporting:
    """See `pilotwire.api.workers.Worker`, and `Consumer` in `follow`."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._follower = Follower(context, self, "reports")
        self._cursor = f"reports.{context.store.stream}"
        self._tenants: dict[str, TenantReports] = {}
        self._first = False
        self._end = 0
        self._lock = asyncio.Lock()
        self._passing: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._changes: Subscription | None = None
        self.rebuilding: set[str] = set()
        self._work: set[asyncio.Task[None]] = set()

    # -- life ---------------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Go on where the last process stopped."""
        self._context.parts[Reporting] = self
        self._changes = self._context.bus.subscribe(CHANGED, limit=1)
        await self._follower.start()
        self._passing = asyncio.get_running_loop().create_task(self._pass(), name="reports: old sessions")

    async def stop(self) -> None:
        """Keep what is booked and end."""
        self._context.parts.pop(Reporting, None)
        await end(*self._work, self._passing)
        await self._follower.stop()
        try:
            await self.flush()
        except Exception:  # a store that is away must not keep the process from ending
            log.exception("the figures of reports could not be kept; they are booked again from the journal")
        if self._changes is not None:
            self._changes.close()

    async def settle(self) -> None:
        """Everything that was published until now is booked and kept, and old sessions have been gone through."""
        await self._follower.settle()
        while any(not one.meta.complete for one in self._tenants.values()):
            await self._go_through()
            await asyncio.sleep(0)
        await self.flush()

    async def fresh(self, tenant: str) -> None:
        """Before somebody reads: bring what is kept up to date, where that takes no time."""
        one = self._tenants.get(tenant)
        if one is None or tenant in self.rebuilding:
            return
        now = self._context.scheduler.now()
        small = len(one.ledger.pending) + len(one.touched) + len(one.ledger.tracks) < LARGE
        if small and not 0 <= now - one.flushed_at < 2_000:
            await self._follower.settle()
            async with self._lock:
                if self._tenants.get(tenant) is one:  # else it was read anew meanwhile
                    await one.flush(now)

    def reports(self, tenant: str) -> TenantReports | None:
        """A tenant's ledger, where this process keeps it."""
        return self._tenants.get(tenant)

    async def flush(self) -> None:
        """Keep everything of every tenant, then the place from which a restart has to read."""
        async with self._lock:
            now = self._context.scheduler.now()
            for one in self._tenants.values():
                await one.flush(now)
            cursor = put(CURSOR, self._cursor, CursorRecord(self._follower.position))
            await self._context.store.write_documents(PLATFORM, [cursor])

    async def recount(self, tenant: str, about: ExclusionRecord, changes: list[Change]) -> None:
        """Write a change of the exclusions; outages that are over and concerned are counted anew. Raises Conflict."""
        async with self._lock:
            one = await self._tenant(tenant)
            # Outages that are over are counted where they are kept.
            await one.flush(self._context.scheduler.now(), accrue=False)
            await self._context.store.write_documents(tenant, changes)
            one.stale = True
            await one.read_books()
            await one.recount(about)
            await one.flush(self._context.scheduler.now())

    # -- consumer -----------------------------------------------------------------------------------------------------
    async def begin(self) -> int | None:
        """See `Consumer`."""
        async with self._lock:  # whoever is writing has to be done before what was kept is read again
            self._tenants = {}
        found = await self._context.store.document(PLATFORM, CURSOR, self._cursor)
        self._first = found is None
        return unpack(found, CursorRecord).value.seq if found is not None else None

    async def ready(self) -> None:
        """See `Consumer`."""
        for tenant in sorted({one.tenant for one in await self._context.store.accounts()}):
            async with self._lock:
                await self._tenant(tenant)
        if self._first:
            await self.flush()
        self._wake.set()

    async def take(self, events: list[Event]) -> None:
        """See `Consumer`."""
        async with self._lock:
            for event in events:
                (self._tenants.get(event.tenant) or await self._tenant(event.tenant, event.seq - 1)).take(event)

    async def tick(self) -> None:
        """See `Consumer`."""
        if self._changes is not None and self._changes.drain(1):
            for one in self._tenants.values():
                one.stale = True
        now = self._context.scheduler.now()
        large = [one for one in self._tenants.values() if len(one.ledger.tracks) > LARGE]
        small = [one for one in self._tenants.values() if len(one.ledger.tracks) <= LARGE]
        due = [one for one in small if not 0 <= now - one.flushed_at < FLUSH_MS]
        if any(not 0 <= now - one.flushed_at < LARGE_FLUSH_MS for one in large) or (due and not large):
            await self.flush()
        elif due:  # those with a large fleet are not written with every small one; a restart reads from their last time
            async with self._lock:
                for one in due:
                    await one.flush(now)

    async def _tenant(self, tenant: str, position: int | None = None) -> TenantReports:
        one = self._tenants.get(tenant)
        if one is None:
            one = TenantReports(self._context, tenant)
            if not await one.begin(self._context.store.stream):
                await one.first(self._follower.position if position is None else position)
            one.flushed_at = self._context.scheduler.now()
            self._tenants[tenant] = one
            self._wake.set()
            if one.meta.rebuilding and tenant not in self.rebuilding:  # a process ended in the middle of it
                self.rebuild(tenant)
        return one

    # -- the pass and the rebuild -------------------------------------------------------------------------------------
    async def _pass(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                more = True
                while more:
                    more = await self._go_through()
                    await asyncio.sleep(0.002)  # requests come first
            except asyncio.CancelledError:
                raise
            except Exception:  # a store that is away for a moment; the task has to outlive it
                log.exception("old sessions could not be gone through; tried again")
                await asyncio.sleep(5.0)
                self._wake.set()

    async def _go_through(self) -> bool:
        """One step for one tenant; False when all are done."""
        async with self._lock:
            for one in self._tenants.values():
                if one.meta.complete or one.tenant in self.rebuilding:
                    continue
                more = await one.go_through()
                if not more or len(one.ledger.pending) >= PASS_ROWS:
                    await one.flush(self._context.scheduler.now(), accrue=False)
                return True
        return False

    def rebuild(self, tenant: str) -> bool:
        """Begin to make a tenant's figures anew, from the journal and all sessions. False: it is under way."""
        if tenant in self.rebuilding:
            return False
        self.rebuilding.add(tenant)
        task = asyncio.get_running_loop().create_task(self._rebuild(tenant), name=f"rebuild reports {tenant}")
        self._work.add(task)
        task.add_done_callback(self._work.discard)
        return True

    async def _rebuild(self, tenant: str) -> None:
        try:
            async with self._lock:
                one = await self._tenant(tenant)
                await one.begin_anew(self._follower.position)
                now, stream, count = one.meta.horizon, self._context.store.stream, 0
                async for row in self._context.store.journal(tenant=tenant, lenient=True):
                    if row.stream != stream or row.seq > one.meta.position:
                        continue
                    one.meta.since = min(one.meta.since, row.recv_time)
                    for fact in row.facts:
                        one.ledger.fact(row.recv_time, row.station, fact)
                    count += 1
                    if count % 500 == 0:
                        await asyncio.sleep(0)
                        if len(one.ledger.pending) >= PASS_ROWS:
                            await one.flush(row.recv_time)
                await one.meet_stations(now)
                one.meta.rebuilding = False
                await one.flush(now)
        except Exception:  # nobody waits for this task: what stopped it is to be read in the log
            log.exception("the reports of %s could not be made anew", tenant)
        finally:
            self.rebuilding.discard(tenant)
            self._wake.set()
