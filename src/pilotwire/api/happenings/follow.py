"""Following the journal: every entry with facts of the stream that this process writes, in order, none left out.

The bus is listened to first, then the journal is read from where the follower stands to its end, then the bus goes on;
whatever was read already is left out. When the bus had to shed something, the journal fills the gap. Where to stand
after a restart is the consumer's to keep, in the same transaction as what it made of the entries.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Protocol

from pilotwire.transport.bus import Event

from ..context import ApiContext
from .tasks import end

log = logging.getLogger(__name__)

QUEUE = 100_000
BATCH = 1_000
GATHER_S = 0.05
"""Events are taken together at most this often: a batch costs far less than as many single ones."""
TICK_S = 1.0
RETRY_S = 2.0


class Consumer(Protocol):
    """Who makes something of the entries."""

    async def begin(self) -> int | None:
        """Read what was kept. Returns the seq of the last entry that was taken in; None: begin at the end of the
        journal. Called again after anything that failed: what is in memory may then be ahead of what was kept."""
        ...

    async def ready(self) -> None:
        """The journal has been read to its end for the first time."""
        ...

    async def take(self, events: list[Event]) -> None:
        """Take in events in order and keep what follows from them, with the place of the last one."""
        ...

    async def tick(self) -> None:
        """Time has passed."""
        ...


class Follower:
    """A task that feeds a consumer, from `start` to `stop`."""

    def __init__(self, context: ApiContext, consumer: Consumer, name: str) -> None:
        self._context = context
        self._consumer = consumer
        self._name = name
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._shed = 0
        self._behind = True
        self.position = 0
        """Seq of the last entry that was handed over."""

    async def start(self) -> None:
        """Listen, read what was missed, go on in a task."""
        self._subscription = self._context.bus.subscribe("facts.>", limit=QUEUE)
        try:
            await self._begin()
        except Exception:
            log.exception("%s could not begin; it is tried again", self._name)
        self._task = asyncio.get_running_loop().create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Take in what is queued, then end."""
        if self._task is None:
            return
        await end(self._task)
        self._task = None
        if not self._behind:
            try:
                await self.settle()
            except Exception:
                log.exception("%s could not keep the last of it; it is read again from the journal", self._name)
        self._subscription.close()

    async def settle(self) -> None:
        """Everything that has been published until now is taken in, and what is due by now is done."""
        async with self._lock:
            if self._behind:
                await self._catch_up()
            while batch := self._subscription.drain(BATCH):
                await self._hand_over([one for _, one in batch])
            await self._consumer.tick()

    async def _begin(self) -> None:
        async with self._lock:
            position = await self._consumer.begin()
            self.position = await self._end() if position is None else position
            await self._catch_up()
            await self._consumer.ready()

    async def _end(self) -> int:
        stream = self._context.store.stream
        async for row in self._context.store.journal(newest_first=True, lenient=True):
            if row.stream == stream:
                return row.seq
        return 0

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        due = 0.0
        while True:
            try:
                if self._behind:
                    await asyncio.sleep(RETRY_S)
                    await self._begin()
                if await self._subscription.wait(TICK_S):
                    await asyncio.sleep(GATHER_S)
                async with self._lock:
                    while batch := self._subscription.drain(BATCH):
                        await self._hand_over([one for _, one in batch])
                        await asyncio.sleep(0)  # stations are answered between two batches
                    now = loop.time()
                    if now >= due:
                        due = now + TICK_S
                        await self._consumer.tick()
            except asyncio.CancelledError:
                raise
            except Exception:  # a store that is away for a moment: what was not kept is read from the journal again
                log.exception("%s stumbled", self._name)
                self._behind = True

    async def _hand_over(self, news: list[object]) -> None:
        if self._subscription.shed != self._shed:
            await self._catch_up()
        stream, position = self._context.store.stream, self.position
        events = [
            one for one in news if isinstance(one, Event) and one.stream == stream and one.seq > position and one.facts
        ]
        if events:
            self._behind = True
            await self._consumer.take(events)
            self.position = events[-1].seq
            self._behind = False

    async def _catch_up(self) -> None:
        """The journal from where we stand to its end."""
        self._behind = True
        self._shed = self._subscription.shed
        await self._read_on()
        self._behind = False

    async def _read_on(self) -> None:
        store, batch = self._context.store, list[Event]()
        # One that cannot be read holds nobody up: it comes without its facts.
        async for row in store.journal(after=self.position, lenient=True):
            if row.stream != store.stream:
                continue
            if row.facts:
                batch.append(
                    Event(
                        stream=row.stream,
                        seq=row.seq,
                        tenant=row.tenant,
                        station=row.station,
                        recv_time=row.recv_time,
                        facts=row.facts,
                    )
                )
            if len(batch) >= BATCH:
                await self._consumer.take(batch)
                self.position, batch = batch[-1].seq, []
        if batch:
            await self._consumer.take(batch)
            self.position = batch[-1].seq
