"""One WebSocket to one upstream in the name of one station: dialled again with back-off, probed, given up when dead.

`opening` is the first attempt, of which nothing is known yet: it is worth waiting for. `away` is known to be down,
though attempts go on: nobody waits for it.

    state      wanted      opened   failed   closed   unwanted
    closed     opening
    opening                open     away              closed
    away                   open     away              closed
    open                                     away     closed
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Final, Literal, Protocol

from pilotwire.core.time import Scheduler, Timer
from pilotwire.transport.port import Dialer, DialResult, Link

from .config import ControllerConfig
from .counters import Counters

State = Literal["closed", "opening", "away", "open"]
Event = Literal["wanted", "opened", "failed", "lost", "unwanted"]

TABLE: Final[dict[tuple[State, Event], State]] = {
    ("closed", "wanted"): "opening",
    ("opening", "opened"): "open",
    ("opening", "failed"): "away",
    ("away", "opened"): "open",
    ("away", "failed"): "away",
    ("open", "lost"): "away",
    ("opening", "unwanted"): "closed",
    ("away", "unwanted"): "closed",
    ("open", "unwanted"): "closed",
}


class Talker(Protocol):
    """Who speaks through it."""

    def upstream_open(self) -> None: ...

    def upstream_away(self) -> None:
        """It is known to be away: the first attempt failed, or the connection was lost."""
        ...

    def upstream_frame(self, data: bytes) -> None: ...


class _Ear:
    """`Receiver` of one attempt; what comes late from an old one is not heard."""

    __slots__ = ("_uplink", "agreed")

    def __init__(self, uplink: Uplink) -> None:
        self._uplink = uplink
        self.agreed = False

    def dialed(self, result: DialResult) -> None:
        self.agreed = result.subprotocol is not None
        if not result.opened:
            self._uplink.failed(self, result)

    def opened(self, link: Link) -> None:
        self._uplink.opened(self, link)

    def frame(self, data: bytes) -> None:
        self._uplink.frame(self, data)

    def pong(self) -> None:
        self._uplink.alive(self)

    def closed(self, code: int, reason: str) -> None:
        self._uplink.lost(self)


class Uplink:
    """See the head of this file."""

    def __init__(
        self,
        talker: Talker,
        dialer: Dialer,
        subprotocol: str,
        *,
        scheduler: Scheduler,
        random: Random,
        config: ControllerConfig,
        counters: Counters,
    ) -> None:
        self._talker = talker
        self._dialer = dialer
        self.subprotocol = subprotocol
        self._scheduler = scheduler
        self._random = random
        self._config = config
        self._counters = counters
        self.state: State = "closed"
        self.since: int = int(scheduler.now())
        """When the state was entered."""
        self.reason = ""
        """Why the last attempt failed."""
        self._ear: _Ear | None = None
        self._link: Link | None = None
        self._failures = 0
        self._timer: Timer | None = None
        self._heard = True

    @property
    def is_open(self) -> bool:
        return self.state == "open"

    @property
    def expected(self) -> bool:
        """Open, or about to be as far as is known: worth waiting for."""
        return self.state in ("open", "opening")

    def _goes(self, event: Event) -> bool:
        new = TABLE.get((self.state, event))
        if new is None:
            return False
        if new != self.state:
            self.state = new
            self.since = int(self._scheduler.now())
        return True

    def want(self) -> None:
        """Connect, and again whenever it is lost. Nothing happens when it is wanted already."""
        if self._goes("wanted"):
            self._failures = 0
            self._dial()

    def hurry(self) -> None:
        """Something has changed: do not wait for the next attempt."""
        if self.state == "away" and self._ear is None:
            self._stop_timer()
            self._dial()

    def unwant(self, code: int = 1000, reason: str = "") -> None:
        """Close, and stay away."""
        if not self._goes("unwanted"):
            return
        self._stop_timer()
        link, self._link, self._ear = self._link, None, None
        if link is not None:
            link.close(code, reason)

    def send(self, frame: bytes) -> None:
        """To the upstream; nothing happens while it is not open."""
        if self._link is not None:
            self._link.send(frame)

    def drop(self, reason: str) -> None:
        """The peer is dead though the connection looks open: give it up and dial again."""
        link, ear = self._link, self._ear
        if link is not None and ear is not None:
            self.reason = reason
            self.lost(ear)
            link.close(1001, "")

    # ── what the attempts say ────────────────────────────────────────────────────────────────────────────────────

    def _dial(self) -> None:
        self._timer = None
        self._counters.dials += 1
        self._ear = ear = _Ear(self)
        self._dialer.dial(ear, (self.subprotocol,), ear.dialed)

    def failed(self, ear: _Ear, result: DialResult) -> None:
        if ear is not self._ear:
            return
        self.reason = f"HTTP {result.status}" if result.status else result.reason
        news = self.state == "opening"
        self._goes("failed")
        self._again()
        if news:
            self._talker.upstream_away()

    def opened(self, ear: _Ear, link: Link) -> None:
        if ear is not self._ear:
            link.close(1000, "")
            return
        if not ear.agreed:
            # Part 4, 3.1.2: a server that speaks none of ours; it closes, and so do we.
            link.close(1002, "no common subprotocol")
            self.failed(ear, DialResult(status=0, reason="no common subprotocol"))
            return
        self._goes("opened")
        self._link = link
        self._failures = 0
        self.reason = ""
        self._heard = True
        self._probe_later()
        self._talker.upstream_open()

    def frame(self, ear: _Ear, data: bytes) -> None:
        if ear is self._ear:
            self._heard = True
            self._talker.upstream_frame(data)

    def alive(self, ear: _Ear) -> None:
        if ear is self._ear:
            self._heard = True

    def lost(self, ear: _Ear) -> None:
        if ear is not self._ear or self._link is None:
            return
        self._link = None
        self._counters.lost += 1
        self._stop_timer()
        self._goes("lost")
        self._again()
        self._talker.upstream_away()

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _again(self) -> None:
        config = self._config
        self._ear = None
        wait = config.backoff_s * 1000 << min(self._failures, config.backoff_repeats)
        self._failures += 1
        self._at(wait + self._random.randint(0, config.backoff_random_s * 1000), self._dial)

    def _probe_later(self) -> None:
        if self._config.ping_ms:
            self._at(self._config.ping_ms, self._probe)

    def _probe(self) -> None:
        self._timer = None
        if self._link is None:
            return
        if not self._heard:
            self.drop("no sign of life")
            return
        self._heard = False
        self._link.ping()
        self._probe_later()

    def _at(self, wait_ms: int, callback: Callable[[], None]) -> None:
        self._stop_timer()
        self._timer = self._scheduler.call_later(wait_ms, callback)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
