"""One TCP or TLS connection with the machine at its end.

Whatever goes wrong on it ends this conversation and no other: a stream that is no V2GTP, a peer that does not read, a
fault of ours. The machine then hears `lost`, so the output goes off in the way that its protocol foresees.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Sequence
from typing import Any, Final, cast

from pilotwire.core.errors import RemoteError
from pilotwire.core.evse_link import Fault, Side
from pilotwire.core.machines import Close, Machine
from pilotwire.core.runner import Runner
from pilotwire.core.time import Scheduler, Timer
from pilotwire.protocols.iso15118 import v2gtp
from pilotwire.protocols.iso15118.v2gtp import BadHeader, Frame, FrameReader

from .tap import Tap, Tapped
from .tls import Secured, secured

log = logging.getLogger("pilotwire.transport.v2g")

MOST_UNSENT: Final = 262_144
"""Bytes that wait for a peer that does not read; one more and the connection is cut."""

UNREAD_MS: Final = 5_000
"""How long what was sent last may take to go out."""

Events = Callable[[Any], None]


class _Guarded(Runner):
    """A runner whose machine may fail without anybody else noticing."""

    __slots__ = ("_failed",)

    def __init__(self, *given: Any, failed: Callable[[Exception], None], **named: Any) -> None:
        super().__init__(*given, **named)
        self._failed = failed

    def _do(self, step: Callable[[], Sequence[Any]]) -> None:
        try:
            super()._do(step)
        except Exception as error:
            self._failed(error)


class V2gLink(asyncio.Protocol):
    """A connection. `make(link)` gives the machine, `opened(link)` who hears its events; both once it is up. `make` may
    raise a RemoteError for a peer that is not the one it should be.
    """

    def __init__(
        self,
        make: Callable[[V2gLink], Machine],
        opened: Callable[[V2gLink], Events],
        scheduler: Scheduler,
        *,
        peer_side: Side,
        tap: Tap | None = None,
        gone: Callable[[V2gLink], None] = lambda link: None,
    ) -> None:
        self.peer: tuple[str, int] = ("", 0)
        self.local: tuple[str, int] = ("", 0)
        self.secured: Secured | None = None
        """What the handshake came to; None: plain TCP."""
        self.refused = ""
        """Why `make` would have nothing to do with this peer."""
        self.done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        """Why the connection is gone, in words."""
        self._make = make
        self._opened = opened
        self._scheduler = scheduler
        self._peer_side: Side = peer_side
        self._tap = tap
        self._gone = gone
        self._transport: asyncio.Transport | None = None
        self._reader = FrameReader()
        self._events: Events = lambda event: None
        self._runner: Runner | None = None
        self._closing: Timer | None = None
        self._dead = False
        self._why = ""

    @property
    def tls(self) -> bool:
        return self.secured is not None

    @property
    def machine(self) -> Any:
        """The machine at this end."""
        assert self._runner is not None
        return self._runner.machine

    def command(self, command: Any) -> None:
        """Say something to the peer, by the machine. Nothing happens once the connection is gone."""
        if self._runner is not None:
            self._runner.command(command)

    def close(self, reason: str = "closed") -> None:
        """End it now, without a word; the machine hears soon that the carrier is gone."""
        self._cut(reason)

    def drop(self, reason: str) -> None:
        """As `close`, but the machine hears of it before this returns. Not to be called from within its events."""
        self._why, self._dead = self._why or reason, True
        if self._runner is not None:
            self._runner.lost()
        self._abort()

    # -- asyncio ------------------------------------------------------------------------------------------------------
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = carrier = cast(asyncio.Transport, transport)
        self.peer = _name(carrier.get_extra_info("peername"))
        self.local = _name(carrier.get_extra_info("sockname"))
        carrier.set_write_buffer_limits(high=MOST_UNSENT)
        try:
            connection = carrier.get_extra_info("ssl_object")
            if isinstance(connection, ssl.SSLObject):
                self.secured = secured(connection)
            self._runner = _Guarded(
                self._make(self), self._scheduler,
                send=self._send, event=self._tell, close=self._close, failed=self._failed,
            )  # fmt: skip
            self._events = self._opened(self)
        except RemoteError as error:
            self.refused = str(error)
            log.warning("%s port %d: %s", *self.peer, error)
            self._cut(self.refused)
            return
        except Exception as error:
            self._failed(error)
            return
        self._runner.start()

    def data_received(self, data: bytes) -> None:
        if self._runner is None or self._dead:
            return
        try:
            frames = self._reader.feed(data)
        except BadHeader as error:
            self._babbles(str(error))
            return
        for frame in frames:
            self._seen(frame, sent=False)
            self._runner.received(frame)

    def pause_writing(self) -> None:
        self._babbles(f"it does not read: {MOST_UNSENT} bytes wait for it")

    def eof_received(self) -> bool | None:
        if self._reader.waiting:
            self._why = self._why or f"the peer closed the connection within a message, {self._reader.waiting} bytes in"
        self._why = self._why or "the peer closed the connection"
        return None

    def connection_lost(self, exc: Exception | None) -> None:
        if self._closing is not None:
            self._closing.cancel()
        self._transport = None
        if self._runner is not None:
            self._runner.lost()
        if not self.done.done():
            self.done.set_result(self._why or (f"the connection broke: {exc}" if exc else "closed"))
        self._gone(self)

    # -- the machine --------------------------------------------------------------------------------------------------
    def _send(self, frame: Frame) -> None:
        if self._transport is not None and not self._dead and not self._transport.is_closing():
            self._seen(frame, sent=True)
            self._transport.write(v2gtp.write(frame))

    def _tell(self, event: Any) -> None:
        self._events(event)

    def _close(self, close: Close) -> None:
        self._why = self._why or close.reason
        if close.after_ms <= 0:
            self._shut()
        elif self._closing is None:
            self._closing = self._scheduler.call_later(close.after_ms, self._shut)

    def _shut(self) -> None:
        """What was sent still goes out, to a peer that reads it."""
        if self._transport is not None:
            self._transport.close()
            self._closing = self._scheduler.call_later(UNREAD_MS, self._abort)

    def _babbles(self, text: str) -> None:
        log.warning("%s port %d: %s", *self.peer, text)
        self._tell(Fault(code="V2GTP", by=self._peer_side, text=text, rule="ISO 15118-2 7.8.3"))
        self._cut(text)

    def _failed(self, error: Exception) -> None:
        log.error("%s port %d: the conversation failed here", *self.peer, exc_info=error)
        self._cut(f"a fault of ours: {type(error).__name__}")

    def _cut(self, why: str) -> None:
        """`connection_lost` follows, and tells the machine: a machine that is at work now would not hear of it."""
        self._why = self._why or why
        self._dead = True
        self._abort()

    def _abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _seen(self, frame: Frame, *, sent: bool) -> None:
        if self._tap is not None:
            carrier = "tls" if self.tls else "tcp"
            now = int(self._scheduler.now())
            self._tap(Tapped(now, sent, carrier, self.local, self.peer, v2gtp.write(frame)))


def _name(address: Any) -> tuple[str, int]:
    return (str(address[0]).partition("%")[0], int(address[1])) if address else ("", 0)
