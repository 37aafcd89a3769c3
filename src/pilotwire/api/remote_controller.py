"""A site whose box is at the other end of a link, as `domain.seen.Controller`.

It outlives its connections: while the box is away the last state that was heard stays, with its time, and all else
raises ConnectionError.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final

from pilotwire.core.time import to_rfc3339
from pilotwire.domain.seen import Change, Course, NotKnown, Now, Outlook, Past, Peak
from pilotwire.domain.steering.state import WindowSummary
from pilotwire.protocols.sitelink import IDLE_MS, Hello, Settled
from pilotwire.protocols.sitelink.frames import FASTEST_MS
from pilotwire.translate import site_link

FRESH_MS: Final = 2_000
"""A state that was heard so long ago is asked for anew."""

Ask = Callable[[str, bytes], Awaitable[Settled]]
"""Asks the box that is connected; the answer comes, or says why there is none."""


class RemoteController:
    """One site. The link sets `up`, `heard` and `down`."""

    def __init__(self, site_id: str, now: Callable[[], int]) -> None:
        self.id = site_id
        self.hello = Hello(site=site_id, name=site_id, time_zone="UTC")
        self.heard_ms: int | None = None
        """By our own clock: when the last state came."""
        self.watching = 0
        """Readers of `ticks`."""
        self.on_watching: Callable[[int], None] = lambda every_ms: None
        self._clock = now
        self._ask: Ask | None = None
        self._refuse: Callable[[str], None] = lambda why: None
        self._last: Now | None = None
        self._asking: asyncio.Task[Now] | None = None
        self._news: asyncio.Event = asyncio.Event()

    @property
    def name(self) -> str:
        """As the box calls itself."""
        return self.hello.name or self.id

    @property
    def time_zone(self) -> str:
        """See `Controller`."""
        return self.hello.time_zone or "UTC"

    @property
    def connected(self) -> bool:
        """Whether a box is there."""
        return self._ask is not None

    @property
    def every_ms(self) -> int:
        """How often its state is wanted."""
        return FASTEST_MS if self.watching else IDLE_MS

    # --- told by the link ----------------------------------------------------------------------------------------

    def up(self, hello: Hello, ask: Ask, refuse: Callable[[str], None]) -> None:
        """A box is there. What another site has said before is forgotten."""
        if hello.site != self.hello.site:
            self._last = self.heard_ms = None
        self.hello, self._ask, self._refuse = hello, ask, refuse

    def heard(self, now: Now) -> None:
        """A state has come. Raises BadContent where it is not of this site."""
        if now.picture.site != self.hello.site:
            raise site_link.BadContent(f"a state of site {now.picture.site!r} on the link of {self.hello.site!r}")
        self._last, self.heard_ms = now, self._clock()
        self._wake()

    def down(self) -> None:
        """The box is away."""
        self._ask = None
        self._wake()

    def _wake(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    # --- Controller ----------------------------------------------------------------------------------------------

    async def now(self) -> Now:
        """The last state that was heard; a box that is there is asked where it is old."""
        fresh = self.heard_ms is not None and self._clock() - self.heard_ms < FRESH_MS
        if self._ask is not None and not fresh:
            if self._asking is None or self._asking.done():
                self._asking = asyncio.ensure_future(self._newest())
            try:
                return await asyncio.shield(self._asking)
            except ConnectionError:
                if self._last is None:
                    raise
        if self._last is None:
            raise self._away()
        return self._last

    async def _newest(self) -> Now:
        found: Now = await self._asked("now")
        self.heard(found)
        return found

    async def ticks(self) -> AsyncIterator[Now]:
        """See `Controller`. Raises ConnectionError when the box is away, after the last state."""
        self.watching += 1
        self.on_watching(self.every_ms)
        told: Now | None = None
        try:
            while True:
                news = self._news
                if self._last is not None and self._last is not told:
                    told = self._last
                    yield told
                elif not self.connected:
                    raise self._away()
                else:
                    await news.wait()
        finally:
            self.watching -= 1
            self.on_watching(self.every_ms)

    async def at(self, utc_ms: int) -> Past:
        """See `Controller`."""
        return await self._asked("at", utc_ms)

    async def changes(self, evse: str, from_ms: int, until_ms: int) -> tuple[Change, ...]:
        """See `Controller`."""
        return await self._asked("changes", evse, from_ms, until_ms)

    async def course(self, from_ms: int, until_ms: int, step_ms: int) -> Course:
        """See `Controller`."""
        return await self._asked("course", from_ms, until_ms, step_ms)

    async def windows(self, from_ms: int, until_ms: int) -> tuple[WindowSummary, ...]:
        """See `Controller`."""
        return await self._asked("windows", from_ms, until_ms)

    async def peaks(self, from_ms: int, until_ms: int) -> tuple[Peak, ...]:
        """See `Controller`."""
        return await self._asked("peaks", from_ms, until_ms)

    async def outlook(self) -> Outlook | None:
        """See `Controller`."""
        return await self._asked("outlook")

    async def _asked(self, method: str, *arguments: Any) -> Any:
        ask = self._ask
        if ask is None:
            raise self._away()
        settled = await ask(method, site_link.question(method, *arguments))
        if settled.result is None:
            raise self._failed(method, settled)
        try:
            found = site_link.answered(method, settled.result)
            if isinstance(found, Past) and found.now.picture.site != self.hello.site:
                raise site_link.BadContent("an answer of another site")
        except site_link.BadContent as error:
            self._refuse(f"{method} is not understood: {error}")
            raise ConnectionError(f"the box of {self.name} answers what is not understood: {error}") from None
        return found

    def _failed(self, method: str, settled: Settled) -> Exception:
        match settled.kind:
            case "not_known":
                return NotKnown(settled.words or "nothing is known of that")
            case "unknown":
                return ConnectionError(f"the box of {self.name} is older and knows no {method!r}: update it")
            case "busy":
                return ConnectionError(f"the box of {self.name} is asked too much at once: try again")
            case "late" | "lost":
                return ConnectionError(settled.words)
            case _:
                return ConnectionError(f"the box of {self.name} could not answer: {settled.words or settled.kind}")

    def _away(self) -> ConnectionError:
        if self.heard_ms is None:
            return ConnectionError(f"the box of {self.name} has not been heard yet")
        return ConnectionError(
            f"the box of {self.name} is not connected; it was last heard {to_rfc3339(self.heard_ms)}"
        )
