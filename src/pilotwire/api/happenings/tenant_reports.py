"""One tenant's figures of reports: the ledger in memory, booked from the journal and the sessions, and its keeping.

All of a flush is one transaction with the place in the journal, so nothing is booked twice or lost.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from pilotwire.domain.ledger import EXCLUDED, KEEP_ENDED_MS, Ledger, Track
from pilotwire.domain.outages import Outage
from pilotwire.domain.periods import Days
from pilotwire.domain.records import Session
from pilotwire.storage.documents import Change, Delete, put, sort_time, unpack
from pilotwire.transport.bus import Event

from ..context import ApiContext
from .books import every, every_of
from .report_records import (
    DAY,
    EXCLUSION,
    FINE_DAYS,
    META,
    OUTAGE,
    STATE,
    TABLE,
    TOTAL,
    ExclusionRecord,
    Meta,
    State,
    outage_id,
    shard_of,
    window_of,
)
from .report_tables import Tables, into
from .tasks import whole

PAGE = 500
BOOKS_MS = 60_000


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
        self._tables = Tables(context.store, tenant, self._site_of)

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
        try:
            await self._read_books()
        except BaseException:
            self.stale = True
            raise

    async def _read_books(self) -> None:
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
        touched = sorted(self.touched)
        for place in range(0, len(touched), 200):
            part = touched[place : place + 200]
            for session in await self._store.some_sessions(self.tenant, part):
                if session.id in self.ledger.booked or not self._of_the_pass(session):
                    self.ledger.book(session, now)
            self.touched.difference_update(part)

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
            self.ledger.changed.add(session.station_id)
        self.meta.done += len(page.items)
        self.meta.cursor = page.next
        self.meta.complete = page.next is None
        return not self.meta.complete

    async def flush(self, now: int, *, accrue: bool = True) -> None:
        """Keep everything up to here, in one transaction. `accrue`: also the time that has passed of every station,
        which costs a row of each EVSE."""
        await self.read_books()
        await self.book()
        if accrue:
            self.ledger.accrue_all(now)
        self.ledger.forget(now)
        pending, self.ledger.pending = self.ledger.pending, {}
        outages, self.ledger.outages = self.ledger.outages, []
        changed, self.ledger.changed = self.ledger.changed, set()
        fine = self._default.day(max(0, self._context.scheduler.now() - FINE_DAYS * 86_400_000))
        try:
            changes: list[Change] = [*await self._tables.changes(pending, fine), *self._state(changed)]
            changes += [put(OUTAGE, outage_id(one), one, sort=sort_time(one.began)) for one in outages]
            changes.append(put(META, self._meta_id, self.meta))
            await whole(self._store.write_documents(self.tenant, changes))
        except BaseException:  # nothing of it was kept: it is kept the next time
            for row, sums in self.ledger.pending.items():
                into(pending, row, sums)
            self.ledger.pending = pending
            self.ledger.outages[:0] = outages
            self.ledger.changed |= changed
            raise
        if accrue:
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
                    self.ledger.row(outage.station, outage.evse, day)[EXCLUDED] += amount
            kept = msgspec.structs.replace(outage, excluded=sum(excluded.values()), excluded_by=excluded)
            self.ledger.outages.append(kept)

    async def begin_anew(self, position: int) -> None:
        """Forget every figure. That they are being made anew is kept first: a restart begins with it again."""
        now = self._context.scheduler.now()
        self.meta = Meta(since=now, horizon=now, position=position, rebuilding=True)
        await self._store.write_documents(self.tenant, [put(META, self._meta_id, self.meta)])
        for kind in (DAY, TABLE, TOTAL, STATE, OUTAGE):
            documents = await every(self._store, self.tenant, kind)
            for place in range(0, len(documents), 500):
                gone = [Delete(kind, one.id) for one in documents[place : place + 500]]
                await self._store.write_documents(self.tenant, gone)
        self.ledger = Ledger(self._days_of, self._site_of)
        self.touched = set()
        self._tables = Tables(self._store, self.tenant, self._site_of)
        await self.read_books(force=True)
