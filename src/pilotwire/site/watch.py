"""A running site for all who look at it: `seen.Controller` over its loop.

    watched = Watched(config)
    await run_site(..., watched=watched)        # the same that `Controllers.add(site_id, watched)` shows in the API

A tick costs next to nothing here: what people see is made when somebody asks for it, once for all who do. `run_site`
joins it with the history (`history`, in a thread of its own) and the record of decisions (`past`, in a child process).
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Protocol, TypeVar

from pilotwire.core.time import to_rfc3339
from pilotwire.domain.seen import Change, Course, NotKnown, Now, Outlook, Past, Peak
from pilotwire.domain.steering import WindowSummary

from .compiled import Site
from .config import SiteConfig
from .decide import Decision
from .explain import explain
from .inputs import TickInputs
from .limits import limit_rows
from .loop import Loop
from .outlook import outlook_of
from .picture import DeviceKind, picture

if TYPE_CHECKING:
    from .history import History, Planned

T = TypeVar("T")
APART_MS = 1_000
"""Readers of `ticks` get no more than one state in this time."""
AHEAD_MS = 5_000
"""So much later than the last decision a moment is still that of now: others' clocks differ."""


class Record(Protocol):
    """Makes decisions of the past again (`past.Record`)."""

    async def at(self, utc_ms: int) -> Past: ...

    async def stop(self) -> None: ...


class Watched:
    """One site. `show` is told of each decision; a `run.Part` besides, so that it knows the loop before the first."""

    def __init__(
        self,
        config: SiteConfig,
        *,
        outlook: Callable[[], Outlook | None] | None = None,
        planned: Planned | None = None,
    ) -> None:
        """`outlook`: what a planner says of the plan in force, where there is one. `planned`: see History."""
        self.config = config
        self.outlook_of = outlook
        self.planned_of = planned
        self._kinds: Mapping[str, DeviceKind] = {device.id: device.kind for device in config.devices}
        self._loop: Loop | None = None
        self._last: tuple[TickInputs, Decision] | None = None
        self._made: Now | None = None
        self._ended = False
        self._news: set[asyncio.Future[None]] = set()
        self._history: History | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._record: Record | None = None

    def join(
        self,
        *,
        history: History | None = None,
        thread: ThreadPoolExecutor | None = None,
        record: Record | None = None,
    ) -> None:
        """What it remembers by. `thread`: the one thread that may use the history's file; without it, the caller's.

        They are closed by whoever made them, after `stop`.
        """
        self._history, self._thread, self._record = history, thread, record
        if history is not None and self.planned_of is not None:
            history.planned_of = self.planned_of

    @property
    def id(self) -> str:
        """Of the configuration."""
        return self.config.site.id

    @property
    def name(self) -> str:
        """Of the configuration; its id where it has none."""
        return self.config.site.name or self.config.site.id

    @property
    def time_zone(self) -> str:
        """See `seen.Controller`."""
        return self.config.site.time_zone

    @property
    def heard_ms(self) -> int | None:
        """See `seen.Controller`."""
        return None if self._last is None else self._last[0].now.utc_ms

    # --- fed --------------------------------------------------------------------------------------------------------

    async def start(self, loop: Loop) -> None:
        """See `run.Part`."""
        self._loop, self._ended = loop, False

    async def stop(self) -> None:
        """See `run.Part`. Whoever reads `ticks` is told that it is over."""
        self._ended = True
        self._wake()
        if self._record is not None:
            await self._record.stop()

    def show(self, loop: Loop, inputs: TickInputs, decision: Decision) -> None:
        """A decision was made."""
        self._loop = loop
        self._last, self._made = (inputs, decision), None
        self._wake()
        if self._history is not None:
            self._history.add(inputs, decision)

    def _wake(self) -> None:
        for news in self._news:
            if not news.done():
                news.set_result(None)
        self._news.clear()

    # --- seen -------------------------------------------------------------------------------------------------------

    async def now(self) -> Now:
        """See `seen.Controller`. NotKnown before the first decision."""
        return self._now()

    def _now(self) -> Now:
        if self._last is None or self._loop is None:
            raise NotKnown("the site has not decided anything yet")
        if self._made is None:
            self._made = now_of(self._loop.site, self._kinds, *self._last)
        return self._made

    async def ticks(self) -> AsyncIterator[Now]:
        """See `seen.Controller`."""
        loop = asyncio.get_running_loop()
        seen: tuple[TickInputs, Decision] | None = None
        due = loop.time()
        while not self._ended:
            if self._last is not seen and (wait := due - loop.time()) <= 0:
                seen, due = self._last, max(due, loop.time() - APART_MS / 2_000) + APART_MS / 1_000
                yield self._now()
            elif self._last is not seen:
                await asyncio.sleep(wait)
            else:
                news: asyncio.Future[None] = loop.create_future()
                self._news.add(news)
                try:
                    await news
                finally:
                    self._news.discard(news)

    async def at(self, utc_ms: int) -> Past:
        """See `seen.Controller`."""
        if self._last is not None and self._last[0].now.utc_ms <= utc_ms:
            if utc_ms > self._last[0].now.utc_ms + AHEAD_MS:
                raise NotKnown(
                    f"that is still to come; the last decision was at {to_rfc3339(self._last[0].now.utc_ms)}"
                )
            return Past(now=self._now(), same=True)
        if self._record is None:
            raise NotKnown("this site keeps no record of its decisions")
        if self._ended:
            raise ConnectionError("the site has ended")
        return await self._record.at(utc_ms)

    async def _remembered(self, read: Callable[[History], T]) -> T:
        """What the history says of all up to this moment."""
        history = self._history
        if self._ended:
            raise ConnectionError("the site has ended")
        if history is None:
            raise NotKnown("this site keeps no history")
        history.flush()
        try:
            if self._thread is None:
                return read(history)
            return await asyncio.get_running_loop().run_in_executor(self._thread, read, history)
        except sqlite3.Error as error:
            raise NotKnown(f"the history of the site cannot be read: {error}") from error

    async def changes(self, evse: str, from_ms: int, until_ms: int) -> tuple[Change, ...]:
        """See `seen.Controller`."""
        return await self._remembered(lambda history: history.changes(evse, from_ms, until_ms))

    async def course(self, from_ms: int, until_ms: int, step_ms: int) -> Course:
        """See `seen.Controller`. ValueError for what is no course."""
        return await self._remembered(lambda history: history.course(from_ms, until_ms, step_ms))

    async def windows(self, from_ms: int, until_ms: int) -> tuple[WindowSummary, ...]:
        """See `seen.Controller`."""
        return await self._remembered(lambda history: history.windows(from_ms, until_ms))

    async def peaks(self, from_ms: int, until_ms: int) -> tuple[Peak, ...]:
        """See `seen.Controller`."""
        return await self._remembered(lambda history: history.peaks(from_ms, until_ms))

    async def outlook(self) -> Outlook | None:
        """See `seen.Controller`: by the planner's own words where it has some, else from the plan in force."""
        if self.outlook_of is not None:
            return self.outlook_of()
        if self._last is None or self._loop is None:
            return None
        return outlook_of(self._loop.site, self._last[0])


def now_of(site: Site, kinds: Mapping[str, DeviceKind], inputs: TickInputs, decision: Decision) -> Now:
    """All that there is to see of a decision, whether it has just been made or was made again."""
    return Now(
        picture=picture(site, kinds, inputs, decision),
        why={id: tuple(explain(site, inputs, decision, id)) for id in site.topology.evses},
        limits=limit_rows(site, inputs, decision),
        windows=decision.windows,
    )
