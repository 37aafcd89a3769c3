"""The worker that keeps the figures of reports: it follows the journal, books sessions and statuses, and writes them.

What is kept (`pilotwire.domain.reports` says what is booked):

    report-day    by shard and day: station → EVSEs with their columns
    report-table  by year, quarter, month, week and, for `FINE_DAYS`, day: stations (or sites) in one order, a list
                  per column, so that a table of ten thousand is read at once and several are added quickly
    report-total  by month and site ("" is the whole tenant)   day → columns
    report-state  by shard: what the ledger remembers of stations and running sessions
    report-meta   how far the figures reach

All of a flush is one transaction with the place in the journal, so nothing is booked twice or lost. Sessions that were
there before the first start, or that a rebuild goes through, are booked in the background.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from datetime import date, tzinfo
from typing import Any, TypeVar
from zlib import crc32
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from pilotwire.domain.records import Session
from pilotwire.domain.reports import (
    COLUMNS,
    EXCLUDED,
    KEEP_ENDED_MS,
    PERIODS,
    Booked,
    Days,
    Ledger,
    Outage,
    Row,
    Sums,
    Track,
    Window,
    period_of,
)
from pilotwire.storage.documents import Change, Delete, put, sort_time, unpack
from pilotwire.transport.bus import Event, Subscription

from ..context import ApiContext
from ..tenancy import PLATFORM
from .books import every, every_of
from .follow import Follower
from .records import CURSOR, END, CursorRecord
from .tasks import end
from .worker import CHANGED

log = logging.getLogger(__name__)
T = TypeVar("T")

DAY, TABLE, TOTAL, STATE, META = "report-day", "report-table", "report-total", "report-state", "report-meta"
OUTAGE, EXCLUSION = "outage", "exclusion"
SHARDS = 64
FLUSH_MS = 60_000
LARGE_FLUSH_MS = 300_000
LARGE = 3_000
"""Pending rows from which on a flush is worth waiting with."""
PAGE = 500
FINE_DAYS = 100
"""For how many days back there are tables of single days."""
PASS_ROWS = 20_000
"""Rows that the pass over old sessions gathers before they are written."""
BOOKS_MS = 60_000


class Meta(msgspec.Struct, omit_defaults=True, kw_only=True):
    """How far the figures of a tenant reach."""

    position: int = 0
    """Of the journal's stream."""
    since: int = 0
    """Since when statuses were watched, ms."""
    horizon: int = 0
    """Sessions of which the first message came before this are booked by the pass."""
    cursor: str | None = None
    """Where the pass stands."""
    done: int = 0
    complete: bool = False
    rebuilding: bool = False
    """The journal is being gone through from its beginning."""


class State(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What the ledger remembers of a shard's stations."""

    tracks: dict[str, Track] = {}
    booked: dict[str, Booked] = {}


class Table(msgspec.Struct, kw_only=True):
    """Sums per station, a list per column."""

    ids: list[str] = []
    columns: list[list[int]] = msgspec.field(default_factory=lambda: [[] for _ in range(COLUMNS)])


class ExclusionRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Time that somebody excluded."""

    station: str = ""
    site: str = ""
    begin: int
    end: int
    reason: str
    note: str = ""
    by: str = ""
    created_at: int


DayRows = dict[str, list[list[int]]]
"""Station → [evse, columns …] of one day."""
Totals = dict[str, Sums]
"""Day → columns, of one month and site."""


def shard_of(station: str) -> str:
    """Which documents hold a station."""
    return f"{crc32(station.encode()) % SHARDS:02x}"


def zone_named(name: str, default: tzinfo) -> tzinfo:
    """A zone of the IANA database; `default` for none and for what is none."""
    if not name:
        return default
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return default


class _Site(msgspec.Struct):
    time_zone: str = ""


class TenantReports:
    """One tenant's ledger and what is kept of it."""

    def __init__(self, context: ApiContext, tenant: str) -> None:
        self._context = context
        self._store = context.store
        self.tenant = tenant
        self.meta = Meta()
        self._default = Days(context.config.zone)
        self._days: dict[str, Days] = {}
        self._sites: dict[str, str] = {}
        self.ledger = Ledger(self._days_of, self._site_of)
        self.touched: set[str] = set()
        """Sessions whose record is to be booked."""
        self._books_at = -BOOKS_MS
        self.stale = True
        self.flushed_at = 0
        self._orders: dict[str, dict[str, int]] = {}
        """Of stations and of sites: id → place in every table."""
        self._swept = ""

    def _site_of(self, station: str) -> str:
        return self._sites.get(station, "")

    def _days_of(self, station: str) -> Days:
        return self._days.get(self._sites.get(station, ""), self._default)

    async def begin(self, stream: str) -> bool:
        """Read what was kept; False where there is nothing yet."""
        self._meta_id = f"meta.{stream}"
        await self.read_books(force=True)
        for state in (await every_of(self._store, self.tenant, STATE, State)).values():
            self.ledger.tracks.update(state.tracks)
            self.ledger.booked.update(state.booked)
        found = await self._store.document(self.tenant, META, self._meta_id)
        if found is None:
            return False
        self.meta = unpack(found, Meta).value
        return True

    async def read_books(self, *, force: bool = False) -> None:
        """Where stations stand, which zones sites are in, what is excluded."""
        now = self._context.scheduler.now()
        if not (force or self.stale) and 0 <= now - self._books_at < BOOKS_MS:
            return
        self.stale, self._books_at = False, now
        sites = await every_of(self._store, self.tenant, "site", _Site)
        self._sites = {one.id: one.site for one in await self._store.accounts(self.tenant) if one.site}
        zones = {name: zone_named(site.time_zone, self._context.config.zone) for name, site in sites.items()}
        self._days = {
            name: known if (known := self._days.get(name)) is not None and known.zone == zone else Days(zone)
            for name, zone in zones.items()
        }
        exclusions = await every_of(self._store, self.tenant, EXCLUSION, ExclusionRecord)
        self.ledger.windows = [window_of(one) for one in exclusions.values()]

    async def first(self, position: int) -> None:
        """There is nothing yet: watch from now on, and go through the sessions that are there in the background."""
        now = self._context.scheduler.now()
        self.meta = Meta(position=position, since=now, horizon=now)
        await self.meet_stations(now)

    async def meet_stations(self, now: int) -> None:
        """Stations that are not known to the ledger, as their records show them."""
        for record in await self._store.some_stations(self.tenant, None):
            if record.id not in self.ledger.tracks:
                self.ledger.meet(record, now)

    def take(self, event: Event) -> None:
        """An event of this tenant."""
        if event.seq <= self.meta.position:
            return
        for fact in event.facts:
            session = self.ledger.fact(event.recv_time, event.station, fact)
            if session:
                self.touched.add(session)
        self.meta.position = event.seq

    async def book(self) -> None:
        """Book the sessions that told something since the last time."""
        now = self._context.scheduler.now()
        touched, self.touched = sorted(self.touched), set()
        for place in range(0, len(touched), 200):
            for session in await self._store.some_sessions(self.tenant, touched[place : place + 200]):
                if session.id in self.ledger.booked or not self._of_the_pass(session):
                    self.ledger.book(session, now)

    def _of_the_pass(self, session: Session) -> bool:
        return (session.received_at or session.started_at) < self.meta.horizon

    async def go_through(self) -> bool:
        """One step of the pass over old sessions; False when it is done."""
        now = self._context.scheduler.now()
        page = await self._store.sessions(self.tenant, cursor=self.meta.cursor, limit=PAGE)
        for session in page.items:
            assert isinstance(session, Session)
            if session.id in self.ledger.booked or not self._of_the_pass(session):
                continue
            ended = session.ended_at or 0
            self.ledger.book(session, now, remember=session.status != "ended" or now - ended < KEEP_ENDED_MS)
            track = self.ledger.tracks.get(session.station_id)
            if track is None:
                track = self.ledger.tracks[session.station_id] = Track(first=session.started_at)
            track.first = min(track.first or session.started_at, session.started_at)
        self.meta.done += len(page.items)
        self.meta.cursor = page.next
        self.meta.complete = page.next is None
        return not self.meta.complete

    async def flush(self, now: int) -> None:
        """Keep everything up to here, in one transaction."""
        await self.read_books()
        await self.book()
        self.ledger.accrue_all(now)
        self.ledger.forget(now)
        pending, self.ledger.pending = self.ledger.pending, {}
        outages, self.ledger.outages = self.ledger.outages, []
        changed, self.ledger.changed = self.ledger.changed, set()
        try:
            changes: list[Change] = [*await self._rows(pending), *self._state(changed)]
            changes += [put(OUTAGE, outage_id(one), one, sort=sort_time(one.began)) for one in outages]
            changes.append(put(META, self._meta_id, self.meta))
            await self._store.write_documents(self.tenant, changes)
        except BaseException:  # nothing of it was kept: it is kept the next time
            for row, sums in self.ledger.pending.items():
                _into(pending, row, sums)
            self.ledger.pending = pending
            self.ledger.outages[:0] = outages
            self.ledger.changed |= changed
            raise
        self.flushed_at = now

    def _state(self, changed: Iterable[str]) -> list[Change]:
        shards = {shard_of(station) for station in changed}
        states = {shard: State() for shard in shards}
        for station, track in self.ledger.tracks.items():
            state = states.get(shard_of(station))
            if state is not None:
                state.tracks[station] = track
        for name, booked in self.ledger.booked.items():
            state = states.get(shard_of(booked.station))
            if state is not None:
                state.booked[name] = booked
        return [put(STATE, shard, state) for shard, state in sorted(states.items())]

    async def _rows(self, pending: dict[Row, Sums]) -> list[Change]:
        """What pending rows change. Gives way now and then: a large fleet has tens of thousands of them."""
        days: dict[str, dict[Row, Sums]] = {}
        stations: dict[str, dict[str, Sums]] = {}
        sites: dict[str, dict[str, Sums]] = {}
        for count, (row, sums) in enumerate(pending.items()):
            days.setdefault(f"{shard_of(row.station)} {row.day}", {})[row] = sums
            _into(stations.setdefault(row.day, {}), row.station, sums)
            _into(sites.setdefault(row.day, {}), self._site_of(row.station), sums)
            if count % 2_000 == 1_999:
                await asyncio.sleep(0)
        changes: list[Change] = []
        for name, rows in sorted(days.items()):
            changes.append(await self._merge_day(name, rows))
            await asyncio.sleep(0)
        fine = self._default.day(max(0, self._context.scheduler.now() - FINE_DAYS * 86_400_000))
        tables: dict[str, list[dict[str, Sums]]] = {}
        totals: dict[str, dict[str, Sums]] = {}
        for day in sorted(stations):
            for of_stations, of_sites in table_names(day, fine):
                tables.setdefault(of_stations, []).append(stations[day])
                tables.setdefault(of_sites, []).append(sites[day])
            for site, sums in sites[day].items():
                _into(totals.setdefault(total_id(day[:7], ""), {}), day, sums)
                if site:
                    _into(totals.setdefault(total_id(day[:7], site), {}), day, sums)
        for name, several in sorted(tables.items()):
            changes.append(await self._merge_table(name, several))
            await asyncio.sleep(0)
        for name, cells in sorted(totals.items()):
            known = await read(self._store, self.tenant, TOTAL, name, Totals) or {}
            for day, sums in cells.items():
                _into(known, day, sums)
            changes.append(put(TOTAL, name, known, sort=name))
        return [*changes, *await self._old_tables(fine)]

    async def _old_tables(self, fine: str) -> list[Change]:
        """Tables of single days that nobody needs any more; looked for once a day."""
        if self._swept == fine:
            return []
        self._swept = fine
        found = await every(self._store, self.tenant, TABLE, "day ", f"day {fine}")
        found += await every(self._store, self.tenant, TABLE, "site-day ", f"site-day {fine}")
        return [Delete(TABLE, one.id) for one in found]

    async def _merge_day(self, name: str, rows: dict[Row, Sums]) -> Change:
        known = await read(self._store, self.tenant, DAY, name, DayRows) or {}
        for row, sums in rows.items():
            evses = known.setdefault(row.station, [])
            for one in evses:
                if one[0] == row.evse:
                    one[1:] = [a + b for a, b in zip(one[1:], sums, strict=True)]
                    break
            else:
                evses.append([row.evse, *sums])
        return put(DAY, name, known, sort=name)

    async def _merge_table(self, name: str, several: list[dict[str, Sums]]) -> Change:
        """Every table lists its ids in one order, as far as it goes, so that tables can be added column by column."""
        kind = "site-year " if name.startswith("site-") else "year "
        order = self._orders.get(kind)
        if order is None:
            longest: list[str] = []
            for one in await every(self._store, self.tenant, TABLE, kind, kind + END):
                longest = max(longest, unpack(one, Table).value.ids, key=len)
            order = self._orders[kind] = {id: place for place, id in enumerate(longest)}
        last = 0
        for sums in several:
            for id in sorted(sums.keys() - order.keys()):
                order[id] = len(order)
            last = max(last, max(order[id] for id in sums))
        table = await read(self._store, self.tenant, TABLE, name, Table) or Table()
        if last >= len(table.ids):
            more = list(order)[len(table.ids) : last + 1]
            table.ids += more
            for column in table.columns:
                column += [0] * len(more)
        for sums in several:
            for id, values in sums.items():
                place = order[id]
                for column, value in zip(table.columns, values, strict=True):
                    column[place] += value
            await asyncio.sleep(0)
        return put(TABLE, name, table, sort=name)

    async def recount(self, about: ExclusionRecord) -> None:
        """Exclusions of this time and place have changed: book what that means for outages that are over."""
        high = sort_time(max(0, about.end))
        for document in await every(self._store, self.tenant, OUTAGE, "", high):
            outage = unpack(document, Outage).value
            if outage.ended <= about.begin or not window_of(about).concerns(outage.station, outage.site):
                continue
            excluded = self.ledger.excluded(outage, self.ledger.windows)
            before = outage.excluded_by
            for day in {*excluded, *before}:
                amount = excluded.get(day, 0) - before.get(day, 0)
                if amount:
                    self.ledger.add(outage.station, outage.evse, day, EXCLUDED, amount)
            kept = msgspec.structs.replace(outage, excluded=sum(excluded.values()), excluded_by=excluded)
            self.ledger.outages.append(kept)

    async def clear(self) -> None:
        """Forget every figure."""
        for kind in (DAY, TABLE, TOTAL, STATE, OUTAGE, META):
            documents = await every(self._store, self.tenant, kind)
            for place in range(0, len(documents), 500):
                gone = [Delete(kind, one.id) for one in documents[place : place + 500]]
                await self._store.write_documents(self.tenant, gone)
        self.ledger = Ledger(self._days_of, self._site_of)
        self.touched, self._orders = set(), {}
        await self.read_books(force=True)


def _into(table: dict[Any, Sums], key: Any, sums: Sums) -> None:
    known = table.get(key)
    table[key] = list(sums) if known is None else [a + b for a, b in zip(known, sums, strict=True)]


def table_names(day: str, fine: str) -> list[tuple[str, str]]:
    """The ids of the tables that a day goes into: of stations, and of sites."""
    of = date.fromisoformat(day)
    return [
        (name, f"site-{name}")
        for period in PERIODS
        if period != "day" or day >= fine
        for name in (f"{period} {period_of(of, period)}",)
    ]


def total_id(month: str, site: str) -> str:
    """The id of the document of a month and a site."""
    return f"{month} {site}"


def outage_id(one: Outage) -> str:
    """The id of an outage's document."""
    return f"{one.station}.{one.evse}.{one.began}"


def window_of(one: ExclusionRecord) -> Window:
    """An exclusion as the ledger has it."""
    return Window(one.begin, one.end, one.station, one.site)


async def read(store: Any, tenant: str, kind: str, id: str, body: Any) -> Any:
    """A document's body, None where there is none."""
    found = await store.document(tenant, kind, id)
    return unpack(found, body).value if found is not None else None


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
        except Exception:
            log.exception("the figures of reports could not be kept; they are booked again from the journal")
        if self._changes is not None:
            self._changes.close()

    async def settle(self) -> None:
        """Everything that was published until now is booked and kept, and old sessions have been gone through."""
        await self._follower.settle()
        while any(not one.meta.complete for one in self._tenants.values()):
            await self._go_through()
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
            await self._context.store.write_documents(tenant, changes)
            one.stale = True
            await one.read_books()
            await one.recount(about)
            await one.flush(self._context.scheduler.now())

    # -- consumer -----------------------------------------------------------------------------------------------------
    async def begin(self) -> int | None:
        """See `Consumer`."""
        self._tenants = {}
        found = await self._context.store.document(PLATFORM, CURSOR, self._cursor)
        self._first = found is None
        return unpack(found, CursorRecord).value.seq if found is not None else None

    async def ready(self) -> None:
        """See `Consumer`."""
        for tenant in sorted({one.tenant for one in await self._context.store.accounts()}):
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
        due = False
        for one in self._tenants.values():
            wait = LARGE_FLUSH_MS if len(one.ledger.tracks) > LARGE else FLUSH_MS
            due = due or not 0 <= now - one.flushed_at < wait
        if due:
            await self.flush()

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
            except Exception:
                log.exception("old sessions could not be gone through; tried again")
                await asyncio.sleep(5.0)
                self._wake.set()

    async def _go_through(self) -> bool:
        """One step for one tenant; False when all are done."""
        for one in self._tenants.values():
            if one.meta.complete:
                continue
            async with self._lock:
                if one.tenant in self.rebuilding:
                    continue
                more = await one.go_through()
                if not more or len(one.ledger.pending) >= PASS_ROWS:
                    await one.flush(self._context.scheduler.now())
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
                await one.clear()
                now = self._context.scheduler.now()
                one.meta = Meta(since=now, horizon=now, position=self._follower.position, rebuilding=True)
                stream, count = self._context.store.stream, 0
                async for row in self._context.store.journal(tenant=tenant):
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
        except Exception:
            log.exception("the reports of %s could not be made anew", tenant)
        finally:
            self.rebuilding.discard(tenant)
            self._wake.set()
