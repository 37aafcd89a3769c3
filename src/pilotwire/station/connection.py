"""The wire under the conversation: dialling with back-off, pings, and noticing that the other side is gone."""

from __future__ import annotations

from random import Random
from typing import Protocol

from pilotwire.core.time import Scheduler, Timer
from pilotwire.transport.port import Dialer, DialResult, Link

from .backoff import BackOff
from .settings import Settings


class Talk(Protocol):
    """Who uses the connection."""

    def opened(self) -> None: ...

    def frame(self, data: bytes) -> None:
        """One text frame has come."""
        ...

    def ponged(self) -> None:
        """The peer lives."""
        ...

    def closed(self) -> None:
        """The connection is gone; `Connection.redial` is the talker's to call."""
        ...


class Wire:
    """The receiver of one connection: late callbacks of an old one fall on deaf ears."""

    __slots__ = ("_connection",)

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def dialed(self, result: DialResult) -> None:
        if self._connection.wire is self:
            self._connection.dialed(result)

    def opened(self, link: Link) -> None:
        if self._connection.wire is self:
            self._connection.opened(link)
        else:
            link.close(1000, "")

    def frame(self, data: bytes) -> None:
        if self._connection.wire is self:
            self._connection.talk.frame(data)

    def pong(self) -> None:
        if self._connection.wire is self:
            self._connection.ponged()

    def closed(self, code: int, reason: str) -> None:
        if self._connection.wire is self:
            self._connection.closed()


class Connection:
    """One station's connection, now and again."""

    __slots__ = (
        "_agreed",
        "_backoff",
        "_dialer",
        "_offered",
        "_ping_timer",
        "_ponged",
        "_running",
        "_scheduler",
        "_settings",
        "_timer",
        "dials",
        "link",
        "lost",
        "talk",
        "wire",
    )

    def __init__(
        self, talk: Talk, scheduler: Scheduler, dialer: Dialer, subprotocol: str, random: Random, settings: Settings
    ) -> None:
        self.talk = talk
        self._scheduler = scheduler
        self._dialer = dialer
        self._offered = (subprotocol,)
        self._settings = settings
        self._backoff = BackOff(random)
        self._running = False
        self._agreed = False
        self._ponged = True
        self._timer: Timer | None = None
        self._ping_timer: Timer | None = None
        self.link: Link | None = None
        """None while there is no connection."""
        self.wire: Wire | None = None
        self.dials = 0
        self.lost = 0

    def start(self) -> None:
        """Connect, and from then on again whenever the connection is lost."""
        self._running = True
        self._connect()

    def stop(self, code: int | None) -> None:
        """With `code` the connection is closed in order, else it is dropped; nothing more is dialled."""
        self._running = False
        link, self.link, self.wire = self.link, None, None
        self._cancel_timers()
        self._backoff.succeeded()
        if link is None:
            return
        abort = getattr(link, "abort", None)
        if code is not None:
            link.close(code, "")
        elif abort is not None:
            abort()
        else:
            link.close(1001, "")

    def reconnect(self) -> None:
        """Close in order and dial again after the back-off."""
        link = self.link
        if link is not None:
            link.close(1000, "reconnecting")
            if self.link is link:
                self.closed()

    def drop(self) -> None:
        """Give the connection up as dead and dial again after the back-off."""
        link = self.link
        if link is not None:
            link.close(1001, "")
            if self.link is link:
                # Do not wait for a close that a dead peer will not answer.
                self.closed()

    def redial(self) -> None:
        """Dial again after the back-off, if the station still runs."""
        self.wire = None
        if not self._running:
            return
        settings = self._settings
        wait = self._backoff.next_wait_ms(
            settings.number("backoff_minimum"), settings.number("backoff_random"), settings.number("backoff_repeats")
        )
        self._timer = self._scheduler.call_later(wait, self._connect)

    def _connect(self) -> None:
        self._timer = None
        self.wire = Wire(self)
        self.dials += 1
        self._dialer.dial(self.wire, self._offered, self.wire.dialed)

    def dialed(self, result: DialResult) -> None:
        """An attempt to connect has ended."""
        self._agreed = result.subprotocol is not None
        if not result.opened:
            self.redial()

    def opened(self, link: Link) -> None:
        """Connected."""
        self.link = link
        if not self._agreed:
            # No common subprotocol: an OCPP-J client has nothing to say here (part 4, 3.1.2).
            self.drop()
            return
        self._backoff.succeeded()
        self._ponged = True
        self._ping_later()
        self.talk.opened()

    def closed(self) -> None:
        """The connection is gone."""
        self.link = None
        self.lost += 1
        self._cancel_timers()
        self.talk.closed()

    def _cancel_timers(self) -> None:
        for timer in (self._timer, self._ping_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._ping_timer = None

    # ── pings ────────────────────────────────────────────────────────────────────────────────────────────────────

    def ping_interval_changed(self) -> None:
        if self._ping_timer is not None:
            self._ping_timer.cancel()
            self._ping_timer = None
        self._ponged = True
        self._ping_later()

    def _ping_later(self) -> None:
        seconds = self._settings.number("ping_interval")
        if seconds and self.link is not None:
            self._ping_timer = self._scheduler.call_later(seconds * 1000, self._ping_due)

    def _ping_due(self) -> None:
        self._ping_timer = None
        if self.link is None:
            return
        if not self._ponged:
            self.drop()
            return
        self._ponged = False
        self.link.ping()
        self._ping_later()

    def ponged(self) -> None:
        """The peer lives."""
        self._ponged = True
        self.talk.ponged()
