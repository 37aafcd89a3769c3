"""The live picture of a tenant: stations, running sessions, totals and news, kept while somebody watches.

Facts on the bus only say *which* stations have changed; their records are read again from the store, at most every
`TICK_MS` and all changes of a tick at once. Present power comes by itself on `power.>`. Each tick is encoded once for
all watchers. A watcher that is too slow loses nothing that matters: it gets the whole picture anew.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator
from itertools import islice

import msgspec

from pilotwire.domain.facts import SessionEnded, SessionStarted, SessionUpdated
from pilotwire.transport.bus import AlarmNews, Event, PowerNow, Subscription

from . import types
from .access import Principal, system
from .context import ApiContext
from .fleet import fleet_of
from .language import speaking, spoken
from .picture import EXACT, NEWS, Picture
from .queries import Queries
from .scope import forget_sites, sees_site
from .words import News, news_of

log = logging.getLogger(__name__)

TICK_MS = 250
GATHER_MS = 20
HEARTBEAT_S = 15
RETRY_S = 2
"""How long after a failure of the store the picture is read anew."""
QUEUE = 16
"""Messages that may wait for one watcher before it gets the whole picture anew."""
WATCHERS = 200
READS_PER_TICK = 500
"""Stations, and sessions, read again in one tick at most; the others wait for the next."""
KEEP_FROM = 500
"""A picture of so many stations is kept up to date for a while after somebody has asked for it: reading them all anew
for each request would be slow. A smaller one is read anew, right to the moment."""
LOAD_S = 10
"""How long somebody waits for the picture that is being read, then reads it for this once and hears why it fails."""
LINGER_S = 600
"""How long it is kept after the last has asked."""
_IDLE_HUBS = 100
"""Pictures of some sites that nobody watches: so many are kept."""

_encode = msgspec.json.encode


def message(event: str, data: object, *, seq: int | None = None) -> bytes:
    """One server-sent event. JSON holds no line breaks, so one data line is enough."""
    head = f"id: {seq}\n" if seq is not None else ""
    return f"{head}event: {event}\ndata: ".encode() + _encode(data) + b"\n\n"


COMMENT = b": still here\n\n"


class _Watcher:
    """A bounded queue of encoded messages."""

    def __init__(self, only: str | None, brief: bool) -> None:
        self.only = only
        self.brief = brief
        self.language = speaking()
        self._queue: deque[bytes] = deque()
        self._wake = asyncio.Event()
        self.behind = False

    def offer(self, data: bytes) -> None:
        if len(self._queue) >= QUEUE:
            self._queue.clear()
            self.behind = True
        if not self.behind:
            self._queue.append(data)
        self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    def clear(self) -> None:
        self._queue.clear()
        self.behind = False

    async def next(self) -> bytes | None:
        """The next message; None when woken without one. Raises TimeoutError when nothing comes for a while."""
        if not self._queue and not self.behind:
            self._wake.clear()
            async with asyncio.timeout(HEARTBEAT_S):
                await self._wake.wait()
        return self._queue.popleft() if self._queue else None


class LiveHub:
    """The live picture of a tenant, or of those of its sites that some people see, and those who watch it."""

    def __init__(self, context: ApiContext, principal: Principal) -> None:
        self._context = context
        self._tenant = principal.tenant
        self._queries = Queries(context, principal)
        self._watchers: set[_Watcher] = set()
        self._task: asyncio.Task[None] | None = None
        self._loaded = asyncio.Event()
        self._picture = Picture(context, self._queries)
        self._dirty: dict[str, None] = {}
        """Stations to be read again."""
        self._changed: dict[str, None] = {}
        """Sessions to be read again."""
        self._powered: set[str] = set()
        self._moved: set[str] = set()
        self._fresh_news: list[News] = []
        self._alarms: dict[str, None] = {}
        """Alarms of which something is to be told."""
        self._wake = asyncio.Event()
        self._subscriptions: list[Subscription] = []
        self._large = False
        self._asked = 0.0
        self.ticks = 0

    @property
    def watching(self) -> int:
        """How many watch now."""
        return len(self._watchers)

    @property
    def full(self) -> bool:
        """No more watchers are taken."""
        return len(self._watchers) >= WATCHERS

    async def overview(self) -> types.Overview:
        """The picture now: the one that is kept while somebody watches, else read from the store for this once."""
        picture = await self.picture()
        if picture is not self._picture:
            await self._recent_news(picture)
        return picture.overview()

    async def picture(self) -> Picture:
        """The same without being laid out; of one read for this once, without the news."""
        self._asked = asyncio.get_running_loop().time()
        if not self._context.closing.is_set():
            self._large = len(await self._queries.fleet.members(await self._queries.visible())) >= KEEP_FROM
            if self._large:
                self._start()
        if self._task is not None:  # all who ask meanwhile wait for one reading
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOAD_S):
                    await self._loaded.wait()
                    return self._picture
        picture = Picture(self._context, self._queries)
        await picture.load()
        return picture

    async def totals(self) -> types.Totals:
        return (await self.overview()).totals

    async def watch(self, *, only: str | None = None, brief: bool = False) -> AsyncIterator[bytes]:
        """Server-sent events: `snapshot` first, then `update`s, `snapshot` again after a gap, comments in silence.

        `only`: of this station alone, with the totals of everything. `brief`: snapshots without stations and sessions.
        """
        watcher = _Watcher(only, brief)
        self._watchers.add(watcher)
        self._start()
        closing = self._context.closing
        try:
            await self._loaded.wait()
            yield b"retry: 2000\n\n" + self._snapshot(watcher)
            while not closing.is_set():
                try:
                    data = await watcher.next()
                except TimeoutError:
                    yield COMMENT
                    continue
                if watcher.behind:
                    yield self._snapshot(watcher)
                elif data is not None:
                    yield data
        finally:
            self._watchers.discard(watcher)
            if self._idle:
                self._stop()

    @property
    def _idle(self) -> bool:
        """Nobody watches, and nobody has asked for a while for what takes long to read."""
        if self._watchers:
            return False
        return not self._large or asyncio.get_running_loop().time() - self._asked > LINGER_S

    def wake(self) -> None:
        """Let every watcher see that the server closes."""
        if not self._watchers:
            self._stop()
        self._loaded.set()
        for watcher in self._watchers:
            watcher.wake()

    def touch(self, station_id: str) -> None:
        """Something about this station was changed by a person: look again."""
        if self._task is not None:
            self._dirty[station_id] = None
            self._wake.set()

    def _snapshot(self, watcher: _Watcher) -> bytes:
        """The whole picture; what waited for this watcher is part of it."""
        watcher.clear()
        with spoken(watcher.language):
            overview = self._picture.overview()
        if watcher.only is not None:
            overview.stations = [one for one in overview.stations if one.id == watcher.only]
            overview.sessions = [one for one in overview.sessions if one.station_id == watcher.only]
            overview.events = [one for one in overview.events if one.station_id == watcher.only]
        if watcher.brief:
            overview.stations, overview.sessions = [], []
        return message("snapshot", overview)

    def _start(self) -> None:
        if self._task is None:
            self._loaded.clear()
            self.ticks = 0
            self._task = asyncio.get_running_loop().create_task(self._run(), name=f"live {self._tenant}")

    def _stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            self._task = None
        for subscription in self._subscriptions:
            subscription.close()
        self._subscriptions = []

    async def _run(self) -> None:
        bus = self._context.bus
        facts = bus.subscribe(f"facts.{self._tenant}.>", limit=50_000)
        powers = bus.subscribe(f"power.{self._tenant}.>", limit=50_000)
        alarms = bus.subscribe(f"alarms.{self._tenant}.>", limit=1_000)
        self._subscriptions = [facts, powers, alarms]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._hear(facts))
            group.create_task(self._hear(powers))
            group.create_task(self._hear(alarms))
            shed = -1
            loop = asyncio.get_running_loop()
            ticked = loop.time()
            while True:
                try:
                    if facts.shed != shed or self._picture.outdated:
                        shed = facts.shed
                        await self._reload()
                    ticked = loop.time()
                    await self._tick()
                    if self._picture.reckoned:
                        await self._picture.refine(EXACT)
                        self._wake.set()
                except asyncio.CancelledError:
                    raise
                except Exception:  # a store that is away for a moment must not end the picture
                    log.exception("the live picture could not be brought up to date")
                    shed = -1
                    await asyncio.sleep(RETRY_S)
                    continue
                if not (self._dirty or self._changed):
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(HEARTBEAT_S):
                            await self._wake.wait()
                self._wake.clear()
                if self._idle:
                    self._stop()
                # After a silence almost at once, so that what belongs together comes together; else a tick apart.
                await asyncio.sleep(max(GATHER_MS / 1000, TICK_MS / 1000 - (loop.time() - ticked)))

    async def _hear(self, subscription: Subscription) -> None:
        async for _, news in subscription:
            if isinstance(news, PowerNow):
                station, session = self._picture.power(news)
                if station is not None:
                    self._powered.add(station.id)
                if session is not None:
                    self._moved.add(session.id)
            elif isinstance(news, AlarmNews):
                if not sees_site(self._queries.principal, news.site):
                    continue
                self._alarms[news.alarm] = None
            elif isinstance(news, Event):
                self._dirty[news.station] = None
                # What changes a session names it; a station that is not shown here has none that is.
                visible = await self._queries.visible()
                if visible is not None and news.station not in visible:
                    continue
                for fact in news.facts:
                    if isinstance(fact, SessionStarted | SessionUpdated | SessionEnded):
                        self._changed[fact.session_id] = None
                    if line := news_of(news.seq, news.station, news.recv_time, fact):
                        self._picture.news.appendleft(line)
                        self._fresh_news.append(line)
            self._wake.set()

    async def _reload(self) -> None:
        picture = Picture(self._context, self._queries)
        await picture.load()
        picture.news = self._picture.news
        if not picture.news:
            await self._recent_news(picture)
        self._picture = picture
        self._loaded.set()
        for watcher in self._watchers:
            watcher.behind = self.ticks > 0
            watcher.wake()

    async def _recent_news(self, picture: Picture) -> None:
        # Where many stations have just told what they are made of, most of what is newest is no news.
        rows = self._context.store.journal(tenant=self._tenant, limit=NEWS * 25, newest_first=True, lenient=True)
        lines: list[News] = []
        visible = await self._queries.visible()
        async for row in rows:
            if visible is not None and row.station not in visible:
                continue
            for fact in reversed(row.facts):
                line = news_of(row.seq, row.station, row.recv_time, fact)
                lines += [line] if line else []
            if len(lines) >= NEWS:
                break
        for line in lines:
            if len(picture.news) == NEWS:
                break
            if line not in picture.news:
                picture.news.append(line)

    async def _tick(self) -> None:
        self.ticks += 1
        batch = _first(self._dirty)
        changed = _first(self._changed)
        powered, self._powered = self._powered, set()
        moved, self._moved = self._moved, set()
        news, self._fresh_news = self._fresh_news[-NEWS:], []
        alarms, self._alarms = list(self._alarms), {}
        removed: list[str] = []
        sessions: dict[str, types.Session] = {}
        if batch or changed:
            try:
                there, removed, again = await self._picture.refresh(batch, changed)
            except BaseException:
                self._dirty.update(dict.fromkeys(batch))
                self._changed.update(dict.fromkeys(changed))
                raise
            powered.update(one.id for one in there)
            sessions = {one.id: one for one in again}
        picture = self._picture
        for session_id in moved:
            if (session := picture.sessions.get(session_id)) is not None:
                sessions[session_id] = session
        stations = [picture.stations[name] for name in sorted(powered) if name in picture.stations]
        if not self._watchers or not (stations or sessions or removed or news or alarms):
            return
        update = types.LiveUpdate(
            totals=picture.totals(),
            stations=stations,
            sessions=list(sessions.values()),
            removed=removed,
            events=[],
            alarms=alarms,
        )
        encoded: dict[tuple[str, str | None], bytes | None] = {}
        for watcher in self._watchers:
            key = watcher.language, watcher.only
            if key not in encoded:
                with spoken(watcher.language):
                    update.events = [one.line() for one in reversed(news)]
                part = _of_station(update, watcher.only) if watcher.only is not None else update
                encoded[key] = message("update", part) if part is not None else None
            if (data := encoded[key]) is not None:
                watcher.offer(data)


def _first(waiting: dict[str, None]) -> list[str]:
    """Take the first of those that wait."""
    batch = list(islice(waiting, READS_PER_TICK))
    for one in batch:
        del waiting[one]
    return batch


def _of_station(update: types.LiveUpdate, station_id: str) -> types.LiveUpdate | None:
    """What an update says of one station; None when that is nothing."""
    part = types.LiveUpdate(
        totals=update.totals,
        stations=[one for one in update.stations if one.id == station_id],
        sessions=[one for one in update.sessions if one.station_id == station_id],
        removed=[one for one in update.removed if one == station_id],
        events=[one for one in update.events if one.station_id == station_id],
        alarms=update.alarms,
    )
    return part if part.stations or part.sessions or part.removed or part.events or part.alarms else None


def hub_of(context: ApiContext, whose: Principal | str) -> LiveHub:
    """The live picture that a principal sees; everybody who sees the same shares one. A tenant's name: all of it."""
    principal = system(whose) if isinstance(whose, str) else whose
    # Who looks does not matter here, only how far: nothing of the person stays in what is shared.
    scope = Principal(
        tenant=principal.tenant, name="live", role="admin", by="system", sites=principal.sites, tokens=principal.tokens
    )
    hubs: dict[Principal, LiveHub] = context.parts.setdefault(LiveHub, {})
    if scope not in hubs:
        for idle in [key for key, hub in hubs.items() if key.sites is not None and not hub.watching][:-_IDLE_HUBS]:
            del hubs[idle]
        hubs[scope] = LiveHub(context, scope)
    return hubs[scope]


def touch(context: ApiContext, tenant: str, station_id: str) -> None:
    """Something about a station, or where it stands, was changed by a person: every picture of it looks again."""
    forget_sites(context, tenant)
    fleet_of(context, tenant).touch(station_id)
    hubs: dict[Principal, LiveHub] = context.parts.get(LiveHub, {})
    for scope, hub in hubs.items():
        if scope.tenant == tenant:
            hub.touch(station_id)


def close_hubs(context: ApiContext) -> None:
    """End every stream: sets `closing` and wakes whoever waits."""
    context.closing.set()
    for hub in context.parts.get(LiveHub, {}).values():
        hub.wake()
