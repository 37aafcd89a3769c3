"""One tenant's desk: facts and time come in, documents go out, all that belongs together in one transaction."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterable
from functools import partial

import msgspec

from pilotwire.core.ids import StationKey
from pilotwire.core.time import to_rfc3339
from pilotwire.domain import facts
from pilotwire.domain.alarms import Cell, Change, Engine, Key, Place
from pilotwire.domain.alarms_digest import Digest, Line, gather, subject, take
from pilotwire.domain.alarms_digest import body as digest_body
from pilotwire.domain.alarms_power import SitePower
from pilotwire.domain.alarms_rules import GaugeCondition, HandshakeRefused, at_least
from pilotwire.domain.records import Session, Station
from pilotwire.storage.documents import Change as DocumentChange
from pilotwire.storage.documents import Conflict, Delete, put, unpack
from pilotwire.transport.bus import AlarmNews, Event

from .. import types
from ..context import ApiContext
from ..language import DEFAULT, in_others, spoken
from . import ends, tell
from .books import Books, every_of
from .records import (
    ALARM,
    CELL,
    CURSOR,
    DELIVERY,
    DIGEST,
    NOTIFICATION,
    AlarmRecord,
    CursorRecord,
    DeliveryRecord,
    NotificationRecord,
    SubscriptionRecord,
    alarm_sort,
    delivery_sort,
    notification_sort,
)

FLUSH = 200
"""Alarm changes and deliveries after which a transaction is closed."""
SKEW_MS = 30_000
"""Times that differ by more than this from ours make a station's clock worth a look."""
LOOKS_PER_TICK = 50
SESSIONS_READ = 100_000
_TRIES = 8


class Counters:
    """Of this process; read when scraped."""

    def __init__(self) -> None:
        self.raised = 0
        self.cleared = 0
        self.notifications = 0


class Desk:
    """Alarms, notifications and what webhooks are to be sent, of one tenant."""

    def __init__(self, context: ApiContext, tenant: str, counters: Counters) -> None:
        self._context = context
        self._store = context.store
        self._counters = counters
        self.tenant = tenant
        self.books = Books(context.store, tenant)
        self.engine = Engine(tenant, (), self.books.site_of)
        self.power = SitePower(self.books.site_of)
        self.digests: dict[str, Digest] = {}
        self.position = 0
        """Seq of the last entry of the journal that this desk has kept the consequences of."""
        self._kept: set[str] = set()
        """Ids of cells that lie in the documents."""
        self._changes: list[Change] = []
        self._deliveries: list[DocumentChange] = []
        self._woken: set[str] = set()
        self._numbers = 0
        self._queued_at = 0
        self._digested: set[str] = set()
        """Subscriptions whose digest is to be written."""
        self._cursor = CURSOR
        self._open: dict[frozenset[str] | None, Counter[str]] = {}
        self._suspects: dict[str, None] = {}
        self._skewed: set[str] = set()
        self._ends = ends.Ends(context.store, tenant, lambda station: station in self.books.enabled)

    # -- beginning ----------------------------------------------------------------------------------------------------
    async def begin(self, cursor: str) -> None:
        """Read what was kept; `cursor` is the id under which the place in the journal is."""
        store, tenant = self._store, self.tenant
        await self._read_books(0)  # what the journal says next happened before now
        found = await store.document(tenant, CURSOR, cursor)
        self.position = unpack(found, CursorRecord).value.seq if found else 0
        self._cursor = cursor
        cells = await every_of(store, tenant, CELL, Cell)
        self._kept = set(cells)
        self.engine.restore(cells.values())
        self._skewed = {cell.station for cell in cells.values() if cell.rule == "clock-skew"}
        self._ends.remember(cell.station for cell in cells.values() if self._is_of_ends(cell.rule))
        self.digests = await every_of(store, tenant, DIGEST, Digest)
        async for session in self._active():
            self.engine.restore_session(
                session.id,
                session.station_id,
                session.evse,
                session.last.wh if session.last else session.meter_start_wh or 0,
                session.updated_at or session.received_at or session.started_at,
                session.charging_state == "Charging" or session.power_w > 0,
            )
            self.power.set(session.id, session.station_id, session.power_w)

    async def _active(self) -> AsyncIterator[Session]:
        cursor: str | None = None
        for _ in range(SESSIONS_READ // 500):
            page = await self._store.sessions(self.tenant, status="active", cursor=cursor, limit=500)
            for one in page.items:
                assert isinstance(one, Session)
                yield one
            cursor = page.next
            if cursor is None:
                return

    async def look_around(self, *, first: bool, since: int) -> None:
        """What no fact will say any more: stations that were connected to a process that is gone, and, at the very
        first start, what was wrong already. `since`: when this process began (ms)."""
        now = self._context.scheduler.now()
        said: list[tuple[int, str, facts.Fact]] = []
        cursor: str | None = None
        while True:
            page = await self._store.stations(self.tenant, cursor=cursor, limit=500)
            for one in page.items:
                assert isinstance(one, Station)
                if one.id in self.books.enabled:
                    lost = one.connected and one.connected_at < since and await self._ours(one.id)
                    said += self._seen(one, first, lost, now)
            cursor = page.next
            if cursor is None:
                break
        for at, station, fact in sorted(said, key=lambda one: one[:2]):
            self._changes += self.engine.fact(at, station, fact)
        await self.flush()

    async def _ours(self, station: str) -> bool:
        """Whether this process's stream was the last to hear of a station, and not another gateway."""
        if not self._store.shared:
            return True
        rows = self._store.journal(tenant=self.tenant, station=station, limit=1, newest_first=True, lenient=True)
        async for row in rows:
            return row.stream == self._store.stream
        return True

    def _seen(self, record: Station, first: bool, lost: bool, now: int) -> list[tuple[int, str, facts.Fact]]:
        said: list[tuple[int, str, facts.Fact]] = []
        if lost:
            said.append((now, record.id, facts.StationDisconnected(event_time=now, code=1006, reason="not seen since")))
        elif first and not record.connected and record.disconnected_at:
            at = min(record.disconnected_at, now)
            said.append((at, record.id, facts.StationDisconnected(event_time=at, code=1006)))
        if first:
            for one in record.connectors:
                if one.status == "Faulted" or one.error_code not in ("", "NoError"):
                    at = min(one.since or now, now)
                    fact = facts.ConnectorStatusChanged(
                        event_time=at,
                        evse=one.evse,
                        connector=one.connector,
                        status=one.status,
                        error_code=one.error_code,
                        info=one.info,
                    )
                    said.append((at, record.id, fact))
            if abs(record.skew_ms) > SKEW_MS:
                self._suspects[record.id] = None
        return said

    async def _read_books(self, now: int) -> None:
        before = self.books.enabled
        await self.books.read(self._context.scheduler.now())
        self._changes += self.engine.set_rules(self.books.rules.values(), now)
        for station in sorted(before - self.books.enabled):
            self._changes += self.engine.forget_station(station, now)
        self.power.moved()

    # -- facts --------------------------------------------------------------------------------------------------------
    async def take(self, events: Iterable[Event]) -> None:
        """Take in events of this tenant, in order, and keep what follows."""
        last = self.position
        if self.books.stale or self.books.stations_stale:  # what was set up before a fact counts for it
            await self._read_books(self._context.scheduler.now())
        for event in events:
            if event.seq <= self.position:
                continue
            await self._event(event)
            last = event.seq
            if len(self._changes) + len(self._deliveries) >= FLUSH:
                await self.flush(last)
        if self._changes or self._deliveries or self.engine.dirty:
            await self.flush(last)
        else:
            self.position = last

    async def _event(self, event: Event) -> None:
        engine, station = self.engine, event.station
        for number, fact in enumerate(event.facts):
            kind = type(fact)
            if kind is facts.StationDisconnected and await self._is_connected(station):
                pass  # of a connection whose place a newer one had taken
            else:
                self._changes += engine.fact(event.recv_time, station, fact, event.seq)
            if kind in _POWERED:
                site = self.power.fact(station, fact)
                if site:
                    self._site_power(site, event.recv_time)
            if abs(fact.event_time - event.recv_time) > SKEW_MS or station in self._skewed:
                self._suspects[station] = None
            if self.books.webhooks:
                self._to_webhooks(event, number, fact)

    async def _is_connected(self, station: str) -> bool:
        record = await self._store.station(StationKey(self.tenant, station))
        return record is not None and record.connected

    def _site_power(self, site: str, at: int) -> None:
        known = self.books.sites.get(site)
        if known is None or not known.power_limit_w:
            return
        percent = self.power.totals.get(site, 0) * 100 // known.power_limit_w
        self._changes += self.engine.gauge(at, Place("", site), "site-power-percent", percent)

    def refused(self, at: int, station: str, status: int, reason: str, peer: str) -> None:
        """A handshake under a name that is known here was refused."""
        if station in self.books.enabled:
            fact = HandshakeRefused(event_time=at, status=status, reason=reason, peer=peer)
            self._changes += self.engine.fact(at, station, fact)

    def gauge(self, place: Place, gauge: str, value: int) -> None:
        """Something was measured."""
        self._changes += self.engine.gauge(self._context.scheduler.now(), place, gauge, value)

    async def tick(self) -> None:
        """Time has passed: raise and clear what is due, look at clocks, send what was gathered."""
        now = self._context.scheduler.now()
        # A fleet that lost its connection is due at once: some hundreds a transaction, so that stations wait for none.
        while (due := self.engine.next_due) is not None and due <= now:
            self._changes += self.engine.advance(now, FLUSH)
            if len(self._changes) >= FLUSH:
                await self.flush()
        if self.books.aged(now):
            await self._read_books(now)
        await self._look_at_clocks(now)
        for station, days in (await self._ends.look(now)).items():
            self._changes += self.engine.gauge(now, Place(station), ends.GAUGE, days)
        if any(digest.due and digest.due <= now for digest in self.digests.values()):
            self._send_digests(now)
        if self._changes or self._deliveries or self.engine.dirty or self._digested:
            await self.flush()

    def _is_of_ends(self, rule_id: str) -> bool:
        rule = self.engine.rules.get(rule_id)
        return rule is not None and isinstance(rule.condition, GaugeCondition) and rule.condition.gauge == ends.GAUGE

    async def _look_at_clocks(self, now: int) -> None:
        for station in list(self._suspects)[:LOOKS_PER_TICK]:
            del self._suspects[station]
            record = await self._store.station(StationKey(self.tenant, station))
            if record is None:
                continue
            seconds = abs(record.skew_ms) // 1000
            self._changes += self.engine.gauge(now, Place(station), "clock-skew-s", seconds)
            (self._skewed.add if seconds > 0 else self._skewed.discard)(station)

    # -- webhooks -----------------------------------------------------------------------------------------------------
    def _to_webhooks(self, event: Event, number: int, fact: facts.AnyFact) -> None:
        kind, version = tell.tag_of(fact)
        site = self.books.site_of(event.station)
        body, name = "", f"{event.stream}-{event.seq}-{number}"
        for hook in self.books.hooks_for(kind):
            if not self._is_at(hook, site):
                continue
            if not body:
                data = tell.fact_data(fact, event.station, site, event.seq, event.recv_time)
                body = tell.event_body(name, kind, version, event.recv_time, self.tenant, data)
            self._deliver(hook, name, kind, body)

    def _is_at(self, hook: str, site: str) -> bool:
        sites = self.books.webhooks[hook].sites
        return not sites or site in sites

    def _deliver(self, hook: str, event: str, kind: str, body: str) -> None:
        now = max(self._context.scheduler.now(), self._queued_at)
        self._numbers = self._numbers + 1 if now == self._queued_at else 0
        self._queued_at = now
        record = DeliveryRecord(webhook=hook, event=event, type=kind, body=body, created_at=now)
        sort = delivery_sort(hook, "pending", now, self._numbers)
        self._deliveries.append(put(DELIVERY, f"{hook}.{event}", record, sort=sort))
        self._woken.add(hook)

    def _alarm_to_webhooks(self, what: str, at: int, record: AlarmRecord, muted: bool) -> None:
        kind = f"alarm-{what}"
        name = f"{kind}-{record.id}-{at}"
        hooks = [hook for hook in self.books.hooks_for(kind) if self._is_at(hook, record.site)]
        if hooks:
            data = msgspec.to_builtins(tell.shown_alarm(record, muted=muted))
            body = tell.event_body(name, kind, 1, at, self.tenant, data)
            for hook in hooks:
                self._deliver(hook, name, kind, body)

    # -- alarms -------------------------------------------------------------------------------------------------------
    async def flush(self, position: int | None = None) -> None:
        """Keep what follows from everything up to `position` of the journal, in one transaction."""
        position = max(position or 0, self.position)
        changes, self._changes = self._changes, []
        cells = self._cells()
        now = self._context.scheduler.now()
        records: dict[str, AlarmRecord] = {}
        versions: dict[str, int] = {}
        told: list[tuple[Change, AlarmRecord]] = []
        for change in changes:
            record = await self._applied(change, records, versions)
            told.append((change, record))
            if change.what == "again":
                continue
            muted = self.books.muted(record.id, record.rule, record.station, record.site, now)
            self._alarm_to_webhooks(change.what, change.at, record, muted)
            if not muted:
                self._tell_people(change, record, now)
        documents = [*self._deliveries, *cells, *self._digests()]
        documents.append(put(CURSOR, self._cursor, CursorRecord(position)))
        await self._write(records, versions, documents, changes)
        self.position = position
        self._open.clear()
        woken, self._woken = self._woken, set()
        self._deliveries = []
        self._digested.clear()
        for change, record in told:
            self._counters.raised += change.what == "raised"
            self._counters.cleared += change.what == "cleared"
            publish_news(self._context, self.tenant, change.what, record, change.at)
        if woken:
            from .deliver import Deliverer

            deliverer: Deliverer | None = self._context.parts.get(Deliverer)
            if deliverer is not None:
                deliverer.wake(self.tenant, woken)

    async def _write(
        self,
        records: dict[str, AlarmRecord],
        versions: dict[str, int],
        documents: list[DocumentChange],
        changes: list[Change],
    ) -> None:
        for attempt in range(_TRIES):
            alarms = [
                put(ALARM, name, record, sort=alarm_sort(record), expected=versions[name])
                for name, record in records.items()
            ]
            try:
                await self._store.write_documents(self.tenant, [*alarms, *documents])
                return
            except Conflict:  # somebody has acknowledged one meanwhile: what they wrote stays
                if attempt == _TRIES - 1:
                    raise
                again: dict[str, AlarmRecord] = {}
                for change in changes:
                    await self._applied(change, again, versions)
                records = again

    async def _applied(self, change: Change, records: dict[str, AlarmRecord], versions: dict[str, int]) -> AlarmRecord:
        """The alarm's record with the change in it; what people wrote into it stays."""
        cell, rule = change.cell, change.rule
        record = records.get(cell.alarm)
        if record is None:
            found = await self._store.document(self.tenant, ALARM, cell.alarm)
            versions[cell.alarm] = found.version if found else 0
            if found is not None:
                record = unpack(found, AlarmRecord).value
        if record is None:
            evse, connector = tell.place(cell)
            record = AlarmRecord(
                id=cell.alarm,
                rule=rule.id,
                rule_name=rule.name,
                severity=rule.severity,
                state="open",
                station=cell.station,
                site=self.books.site_of(cell.station) if cell.station else self._site_part(rule.id, cell.part),
                part=cell.part,
                evse=evse,
                connector=connector,
                raised_at=cell.raised_at,
                last_at=cell.last_at or cell.raised_at,
            )
        records[cell.alarm] = record
        if change.what != "cleared" or not record.summary:
            with spoken(DEFAULT):
                record.summary = tell.summary(rule, cell)
            record.said = in_others(partial(tell.summary, rule, cell))
        record.last_at = max(record.last_at, cell.last_at)
        record.count, record.returns = max(1, cell.count), cell.returns
        record.value = cell.value or None
        record.seq = cell.seq
        if change.what == "cleared":
            record.state, record.cleared_at, record.cleared_why = "cleared", change.at, change.why
        return record

    def _site_part(self, rule: str, part: str) -> str:
        return part if part in self.books.sites else ""

    def _cells(self) -> list[DocumentChange]:
        made: list[DocumentChange] = []
        dirty, self.engine.dirty = self.engine.dirty, {}
        for key in dirty:
            name = cell_id(key)
            cell = self.engine.cells.get(key)
            if cell is not None:
                made.append(put(CELL, name, cell))
                self._kept.add(name)
            elif name in self._kept:
                made.append(Delete(CELL, name))
                self._kept.discard(name)
        return made

    def count_open(self, sites: frozenset[str] | None) -> Counter[str]:
        """Open alarms by severity, of all or of some sites. Counted anew when something has changed."""
        counted = self._open.get(sites)
        if counted is None:
            counted = Counter()
            for (rule_id, station, part), cell in self.engine.cells.items():
                rule = self.engine.rules.get(rule_id)
                if not cell.alarm or rule is None:
                    continue
                site = self.books.site_of(station) if station else self._site_part(rule_id, part)
                if sites is None or site in sites:
                    counted[rule.severity] += 1
            if len(self._open) > 100:
                self._open.clear()
            self._open[sites] = counted
        return counted

    # -- people -------------------------------------------------------------------------------------------------------
    def _tell_people(self, change: Change, record: AlarmRecord, now: int) -> None:
        for name, one in self.books.subscriptions.items():
            if not wants(one, record, change.what):
                continue
            line = Line(
                alarm=record.id,
                what="raised" if change.what == "raised" else "cleared",
                at=change.at,
                severity=record.severity,
                station=record.station,
                site=record.site,
                text=record.summary,
            )
            self.digests[name] = gather(self.digests.get(name, Digest()), line, now, one.digest_min * 60_000)
            self._digested.add(name)

    def _send_digests(self, now: int) -> None:
        for name in list(self.digests):
            one = self.books.subscriptions.get(name)
            if one is None or not one.enabled:
                del self.digests[name]
                self._digested.add(name)
                continue
            due = self.digests[name].due
            self.digests[name], lines, more = take(self.digests[name], now)
            if not lines:
                continue
            self._digested.add(name)
            self._counters.notifications += 1
            record = notification(name, one, lines, more, now)
            notification_id = f"{name}.{due}"
            if one.channel == "webhook":
                data = {
                    "subject": record.subject,
                    "subscription": one.name,
                    "alarms": [{**msgspec.to_builtins(line), "at": to_rfc3339(line.at)} for line in lines],
                    "more": more,
                }
                event = f"notification-{notification_id}"
                body = tell.event_body(event, "notification", 1, now, self.tenant, data)
                if one.webhook in self.books.webhooks:
                    self._deliver(one.webhook, event, "notification", body)
                    record.state, record.finished_at = "sent", now
                else:
                    record.state, record.finished_at, record.error = "failed", now, "the webhook is gone"
            self._deliveries.append(put(NOTIFICATION, notification_id, record, sort=notification_sort(record)))

    def _digests(self) -> list[DocumentChange]:
        return [
            put(DIGEST, name, self.digests[name]) if name in self.digests else Delete(DIGEST, name)
            for name in sorted(self._digested)
        ]


_POWERED = (facts.SessionUpdated, facts.SessionEnded)


def cell_id(key: Key) -> str:
    """The id of a cell's document."""
    return "\x1f".join(key)


def wants(one: SubscriptionRecord, record: AlarmRecord, what: str) -> bool:
    """Whether a subscription is to tell of this."""
    return (
        one.enabled
        and (what == "raised" or one.cleared)
        and at_least(record.severity, one.min_severity)
        and (not one.sites or record.site in one.sites)
        and (not one.rules or record.rule in one.rules)
    )


def notification(
    subscription: str, one: SubscriptionRecord, lines: tuple[Line, ...], more: int, now: int
) -> NotificationRecord:
    """The message that tells of some alarms."""
    when = {line.at: to_rfc3339(line.at).replace("T", " ")[:19] + " UTC" for line in lines}
    return NotificationRecord(
        subscription=subscription,
        name=one.name,
        channel=one.channel,
        to=one.to,
        subject=subject(lines, more),
        text=digest_body(lines, more, when),
        lines=lines,
        created_at=now,
        next_at=now,
    )


def publish_news(context: ApiContext, tenant: str, what: str, record: AlarmRecord, at: int) -> None:
    """Tell whoever looks at alarms now."""
    news = AlarmNews(
        tenant=tenant,
        alarm=record.id,
        what=what,
        severity=record.severity,
        station=record.station,
        site=record.site,
        time=at,
    )
    context.bus.publish(f"alarms.{tenant}.{record.station or '-'}", news)


def shown(record: AlarmRecord, books: Books, now: int) -> types.Alarm:
    """An alarm as the API shows it."""
    muted = books.muted(record.id, record.rule, record.station, record.site, now)
    return tell.shown_alarm(record, muted=muted)


def open_by(cells: dict[Key, Cell]) -> dict[str, int]:
    """How many alarms of each rule are open."""
    counts: dict[str, int] = {}
    for key, cell in cells.items():
        if cell.alarm:
            counts[key[0]] = counts.get(key[0], 0) + 1
    return counts
