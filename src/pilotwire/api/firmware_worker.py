"""Follows firmware updates and hands to roll-outs what concerns them (rules: `domain.firmware`; `rollout_run`).

What stations tell comes from the journal, so nothing is missed over a restart: each update and each roll-out keeps, in
the transaction with what it made of them, up to which entry it has taken them in.

Updates and roll-outs are followed by the process whose journal tells of them; one process does a roll-out.
"""

from __future__ import annotations

import asyncio
import logging

from pilotwire.core.ids import DEFAULT_TENANT
from pilotwire.domain import facts
from pilotwire.domain.firmware import Update, booted, end, overdue, told
from pilotwire.storage.documents import put, sort_time, unpack
from pilotwire.transport.bus import Event

from .access import TENANT_KIND
from .context import ApiContext
from .files.folder import Folder
from .files.links import links_of
from .happenings import tasks
from .happenings.follow import Follower
from .happenings.records import CURSOR, CursorRecord
from .language import DEFAULT, spoken
from .resources import firmware, logs
from .resources.rollouts import ROLLOUTS
from .rollout_certificates import CertificateRun
from .rollout_firmware import FirmwareRun
from .rollout_run import Run
from .tenancy import PLATFORM, bound

log = logging.getLogger(__name__)

SAVE_MS = 10_000
PURGE_MS = 3_600_000
SILENT_MS = 1_800_000
"""How long an update outside of a roll-out may be silent."""
_CHUNK = 500
_PART_S = 86_400.0


class FirmwareWorker:
    """See the module; `pilotwire.api.workers.Worker`, and `Consumer` in `happenings.follow`."""

    def __init__(self, context: ApiContext) -> None:
        self.context = context
        self.since = context.began_at or context.scheduler.now()
        self._follower = Follower(context, self, "firmware")
        self._cursor = f"firmware.{context.store.stream}"
        self._fleets: dict[str, Fleet] = {}
        self._lock = asyncio.Lock()
        self._saved_at = self._purged_at = 0
        self._saved = -1
        self.tasks: set[asyncio.Task[None]] = set()

    # -- life ---------------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Go on where the last process stopped."""
        self.context.parts[FirmwareWorker] = self
        await self._follower.start()

    async def stop(self) -> None:
        """Keep how far everything is and end."""
        self.context.parts.pop(FirmwareWorker, None)
        await tasks.end(*self.tasks)
        await self._follower.stop()
        if self._saved >= 0:
            try:
                await self._save()
            except Exception:
                log.exception("how far firmware is followed could not be kept; some of the journal is read again")

    async def settle(self) -> None:
        """Everything that was published until now has had its consequences, and what is due by now is done."""
        await self._follower.settle()

    async def fleet(self, tenant: str) -> Fleet:
        """Updates and roll-outs of a tenant."""
        async with self._lock:
            return await self._fleet(tenant)

    async def _fleet(self, tenant: str) -> Fleet:
        found = self._fleets.get(tenant)
        if found is None:
            found = Fleet(self, tenant)
            await found.load()
            self._fleets[tenant] = found
        return found

    # -- consumer -----------------------------------------------------------------------------------------------------
    async def begin(self) -> int | None:
        """See `Consumer`."""
        async with self._lock:
            await tasks.end(*self.tasks)
            self._fleets = {}
            for tenant in await self._tenants():
                await self._fleet(tenant)
        found = await self.context.store.document(PLATFORM, CURSOR, self._cursor)
        return unpack(found, CursorRecord).value.seq if found is not None else None

    async def _tenants(self) -> set[str]:
        found = {DEFAULT_TENANT, *(one.tenant for one in await self.context.store.accounts())}
        cursor: str | None = None
        while True:
            page = await self.context.store.documents(PLATFORM, TENANT_KIND, cursor=cursor, limit=_CHUNK)
            found.update(one.id for one in page.items)
            if (cursor := page.next) is None:
                return found

    async def ready(self) -> None:
        """See `Consumer`."""
        await self._save()

    async def take(self, events: list[Event]) -> None:
        """See `Consumer`."""
        with spoken(DEFAULT):
            for event in events:
                if any(isinstance(fact, _OF_NOTE) for fact in event.facts):
                    await (await self.fleet(event.tenant)).take(event)

    async def tick(self) -> None:
        """See `Consumer`."""
        now = self.context.scheduler.now()
        with spoken(DEFAULT):
            for fleet in list(self._fleets.values()):
                await fleet.tick(now)
            if not 0 <= now - self._purged_at < PURGE_MS:
                self._purged_at = now
                await self._purge()
        if not 0 <= now - self._saved_at < SAVE_MS:
            await self._save()

    async def _purge(self) -> None:
        await links_of(self.context).purge()
        for tenant in self._fleets:
            await logs.purge(bound(self.context, tenant), tenant)
        if self.context.files is not None:
            old = self.context.scheduler.now() / 1000 - _PART_S
            await Folder(self.context.files).sweep(lambda written: written < old)

    async def _save(self) -> None:
        self._saved_at = self.context.scheduler.now()
        for fleet in self._fleets.values():
            await fleet.save()
        if self._saved != self._follower.position:
            self._saved = self._follower.position
            await self.context.store.write_documents(PLATFORM, [put(CURSOR, self._cursor, CursorRecord(self._saved))])


_OF_NOTE = (
    facts.FirmwareStatusChanged,
    facts.StationBooted,
    facts.LogStatusChanged,
    facts.SecurityEventNotified,
    facts.SessionEnded,
    facts.CertificateSettled,
)
_RUNS: dict[str, type[Run]] = {"firmware": FirmwareRun, "certificates": CertificateRun}


class Fleet:
    """One tenant's updates that are under way, and its roll-outs that are not done."""

    def __init__(self, worker: FirmwareWorker, tenant: str) -> None:
        self.worker = worker
        self.tenant = tenant
        self.context = bound(worker.context, tenant)
        self.updates: dict[str, Update] = {}
        self.rollouts: dict[str, Run] = {}

    async def load(self) -> None:
        """Read what is under way."""
        async for station, kept in firmware.UPDATES.every(self.context, self.tenant):
            if not kept.value.over:
                self.updates[station] = kept.value
        async for id, kept in ROLLOUTS.every(self.context, self.tenant):
            if kept.value.status != "done":
                self.rollouts[id] = await _RUNS[kept.value.kind].load(self, id, kept.value, kept.version)

    async def take(self, event: Event) -> None:
        """What a station told."""
        update, changed = self.updates.get(event.station), False
        for fact in event.facts:
            match fact:
                case facts.FirmwareStatusChanged() if update is not None and event.seq > update.seq:
                    changed |= told(update, fact.status, fact.request_id, event.recv_time)
                case facts.StationBooted() if update is not None and event.seq > update.seq:
                    changed |= booted(update, fact.firmware, event.recv_time)
                case facts.LogStatusChanged():
                    await logs.told(self.context, self.tenant, event.station, fact.status, fact.request_id)
                case facts.SecurityEventNotified():
                    for run in self.rollouts.values():
                        run.security_event(event, fact.kind)
                case facts.SessionEnded():
                    for run in self.rollouts.values():
                        run.session_ended(event, fact.reason)
                case facts.CertificateSettled():
                    for run in self.rollouts.values():
                        if isinstance(run, CertificateRun):
                            run.certificate_settled(event, fact)
                case _:
                    pass
        if update is not None and changed:
            update.seq = event.seq
            await self.keep(update)

    async def keep(self, update: Update) -> None:
        """An update has gone on; its roll-out hears of it when it is over."""
        change = put(firmware.UPDATE_KIND, update.station, update, sort=sort_time(update.ordered_at))
        await self.context.store.write_documents(self.tenant, [change])
        if update.over:
            if self.updates.get(update.station) is update:
                del self.updates[update.station]
            self._ended(update)

    def _ended(self, update: Update) -> None:
        run = self.rollouts.get(update.rollout)
        if isinstance(run, FirmwareRun):
            run.ended(update)

    async def watch(self, update: Update) -> Update | None:
        """A station gets a new update; the one before, which is over then."""
        before = self.updates.get(update.station)
        if update.over:
            await self.keep(update)
            return before
        if before is not None and before is not update:
            end(before, "cancelled", "another update took its place", self.context.scheduler.now())
            self._ended(before)
        self.updates[update.station] = update
        await self.keep(update)
        return before

    async def tick(self, now: int) -> None:
        """Time has passed."""
        for update in list(self.updates.values()):
            run = self.rollouts.get(update.rollout)
            silent_ms = run.record.policy.silent_s * 1000 if run is not None else SILENT_MS
            if overdue(update, now, silent_ms):
                await self.keep(update)
        for run in list(self.rollouts.values()):
            await run.step()

    async def save(self) -> None:
        """Keep what has not been kept."""
        for run in list(self.rollouts.values()):
            await run.save()

    async def wake(self, id: str) -> None:
        """Somebody made, steered or deleted a roll-out."""
        run = self.rollouts.get(id)
        if run is None:
            kept = await ROLLOUTS.find(self.context, self.tenant, id)
            if kept is None or kept.value.status == "done":
                return
            run = self.rollouts[id] = await _RUNS[kept.value.kind].load(self, id, kept.value, kept.version)
        run.asked = True
        await run.step()


# -- for the resources ------------------------------------------------------------------------------------------------
async def watch(context: ApiContext, tenant: str, update: Update) -> Update | None:
    """Follow an update from now on; the one that the station had before. Where no worker runs it is kept alone."""
    worker: FirmwareWorker | None = context.parts.get(FirmwareWorker)
    if worker is not None:
        return await (await worker.fleet(tenant)).watch(update)
    kept = await firmware.UPDATES.find(context, tenant, update.station)
    change = put(firmware.UPDATE_KIND, update.station, update, sort=sort_time(update.ordered_at))
    await context.store.write_documents(tenant, [change])
    return kept.value if kept is not None else None


async def wake(context: ApiContext, tenant: str, id: str) -> None:
    """Look at this roll-out at once, where the worker runs in this process; else the next that starts does."""
    worker: FirmwareWorker | None = context.parts.get(FirmwareWorker)
    if worker is not None:
        with spoken(DEFAULT):  # what is kept is kept in English, whoever steers it
            await (await worker.fleet(tenant)).wake(id)
