"""A station's connection. Calls to it go one at a time, whoever asks, so every answer has one owner."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from pilotwire.core.time import Timer
from pilotwire.transport.port import Link

from . import frames
from .around import Around
from .frames import Frame

_WAITING = 100
"""Calls that may wait for a station; more are refused."""


class Ask(msgspec.Struct):
    """A CALL to the station."""

    message_id: str
    frame: bytes
    answered: Callable[[Frame | None], None]
    """Its CALLRESULT or CALLERROR; None: there is none in time."""


class Serving(Protocol):
    """The seat."""

    def station_open(self, downlink: Downlink) -> None: ...

    def station_gone(self, downlink: Downlink) -> None: ...

    def station_says(self, downlink: Downlink, frame: Frame) -> None:
        """Anything but an answer to a CALL."""
        ...

    def station_garbles(self, downlink: Downlink, data: bytes) -> None: ...


class Downlink:
    """`Receiver` of one connection of a station."""

    def __init__(self, seat: Serving, around: Around, peer: str) -> None:
        self._seat = seat
        self._around = around
        self.peer = peer
        self._link: Link | None = None
        self._waiting: deque[Ask] = deque()
        self._out: Ask | None = None
        self._late: dict[str, Ask] = {}
        self._timer: Timer | None = None
        self.since = around.now()

    @property
    def is_open(self) -> bool:
        return self._link is not None

    def call(self, ask: Ask) -> bool:
        """Ask the station, in its turn. False: it cannot be asked, and `answered` is not called."""
        if self._link is None or len(self._waiting) >= _WAITING:
            return False
        self._waiting.append(ask)
        self._pump()
        return True

    def send(self, frame: bytes) -> None:
        if self._link is not None:
            self._link.send(frame)

    def close(self, code: int, reason: str) -> None:
        """Hang up; the seat hears of it at once."""
        link = self._link
        if link is not None:
            self.closed(code, reason)
            link.close(code, reason)

    # ── Receiver ─────────────────────────────────────────────────────────────────────────────────────────────────

    def opened(self, link: Link) -> None:
        self._link = link
        self._seat.station_open(self)

    def frame(self, data: bytes) -> None:
        if self._link is None:
            return
        frame = frames.read(data)
        if frame is None:
            self._seat.station_garbles(self, data)
        elif frame.kind in (frames.CALLRESULT, frames.CALLERROR):
            self._answer(frame)
        else:
            self._seat.station_says(self, frame)

    def pong(self) -> None:
        """Any frame is a sign of life; nobody is dropped for a missing pong."""

    def closed(self, code: int, reason: str) -> None:
        if self._link is None:
            return
        self._link = None
        self._stop_timer()
        asks = [*((self._out,) if self._out is not None else ()), *self._waiting]
        self._out = None
        self._waiting.clear()
        self._seat.station_gone(self)
        for ask in asks:
            ask.answered(None)

    # ── calls ────────────────────────────────────────────────────────────────────────────────────────────────────

    def _pump(self) -> None:
        if self._out is None and self._waiting and self._link is not None:
            self._out = ask = self._waiting.popleft()
            self._timer = self._around.scheduler.call_later(self._around.config.station_ms, self._silence)
            self._link.send(ask.frame)

    def _answer(self, frame: Frame) -> None:
        ask = self._out
        if ask is not None and ask.message_id == frame.id:
            self._out = None
            self._stop_timer()
        else:
            ask = self._late.pop(frame.id, None)
        if ask is None:
            self._around.counters.strays += 1
        else:
            ask.answered(frame)
        self._pump()

    def _silence(self) -> None:
        self._timer = None
        ask, self._out = self._out, None
        if ask is not None:
            # An upstream may be more patient than we are: its answer is handed on, however late.
            self._late[ask.message_id] = ask
            if len(self._late) > 8:
                del self._late[next(iter(self._late))]
            ask.answered(None)
        self._pump()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
