"""A running site for all who look at it: `seen.Controller` over its loop.

    watched = Watched(config)
    await run_site(..., watched=watched)        # the same that `Controllers.add(site_id, watched)` shows in the API

A tick costs next to nothing here: what people see is made when somebody asks for it, once for all who do.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from .compiled import Site
from .config import SiteConfig
from .decide import Decision
from .explain import explain
from .inputs import TickInputs
from .limits import limit_rows
from .loop import Loop
from .picture import DeviceKind, picture
from .seen import NotKnown, Now, Outlook

APART_MS = 1_000
"""Readers of `ticks` get no more than one state in this time."""


class Watched:
    """One site. `show` is told of each decision; a `run.Part` besides, so that it knows the loop before the first."""

    def __init__(self, config: SiteConfig, *, outlook: Callable[[], Outlook | None] | None = None) -> None:
        """`outlook`: what the planner says of the plan in force, where there is one that can."""
        self.config = config
        self.outlook_of = outlook
        self._kinds: Mapping[str, DeviceKind] = {device.id: device.kind for device in config.devices}
        self._loop: Loop | None = None
        self._last: tuple[TickInputs, Decision] | None = None
        self._made: Now | None = None
        self._ended = False
        self._news: set[asyncio.Future[None]] = set()

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

    def show(self, loop: Loop, inputs: TickInputs, decision: Decision) -> None:
        """A decision was made."""
        self._loop = loop
        self._last, self._made = (inputs, decision), None
        self._wake()

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


def now_of(site: Site, kinds: Mapping[str, DeviceKind], inputs: TickInputs, decision: Decision) -> Now:
    """All that there is to see of a decision, whether it has just been made or was made again."""
    return Now(
        picture=picture(site, kinds, inputs, decision),
        why={id: tuple(explain(site, inputs, decision, id)) for id in site.topology.evses},
        limits=limit_rows(site, inputs, decision),
        windows=decision.windows,
    )
