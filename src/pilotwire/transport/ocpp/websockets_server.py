"""The OCPP listener on the sans-IO core of `websockets`: the pure twin of the picows one.

It reads frames, masks and compression with code that shares nothing with picows, on the loop's own transports. Where
the two disagree, one of them is wrong; that is why it is there, besides running where picows cannot.

Differences that stay, each pinned by a test:
- a length that is not coded minimally (RFC 6455 5.2) is accepted here, 1002 on picows;
- a broken deflate stream is 1002 here, 1007 on picows;
- here the core answers a close while it reads it, so an answer to a message that came in the same read is not sent; the
  message itself is delivered on both.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl as ssl_module
from collections import deque
from typing import cast

from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame, Opcode
from websockets.protocol import SEND_EOF, Protocol, Side, State
from websockets.typing import BytesLike

from pilotwire.transport.port import Receiver

from .handshake import Upgrade, accept_key
from .limits import EdgeCounters, EdgeLimits
from .listener import EdgeServer
from .opening import Opening
from .picows_link import close_reason

log = logging.getLogger("pilotwire.transport.ocpp")

_SILENT = logging.getLogger("pilotwire.transport.ocpp.frames")
_SILENT.setLevel(logging.CRITICAL)


class _Core(Protocol):
    """The sans-IO core with what OCPP-J adds: text only, whole messages, valid UTF-8, a bounded number of fragments.

    These are checked while frames are read and not when messages are delivered: once the core has seen a close it
    answers it, and it would be too late to object to what came before.
    """

    def __init__(self, message_limit: int, fragments: int) -> None:
        super().__init__(Side.SERVER, state=State.OPEN, max_size=message_limit, logger=_SILENT)
        self._fragments = fragments
        self._parts: list[BytesLike] = []

    def recv_frame(self, frame: Frame) -> None:
        super().recv_frame(frame)
        if frame.opcode is Opcode.BINARY:
            self.fail(1003, "OCPP-J messages are text")
        elif frame.opcode is Opcode.TEXT and frame.fin:
            _check_utf8(frame.data)
        elif frame.opcode is Opcode.TEXT or frame.opcode is Opcode.CONT:
            self.events.pop()
            self._parts.append(frame.data)
            if self._fragments and len(self._parts) > self._fragments:
                self._parts.clear()
                self.fail(1009, f"more than {self._fragments} fragments")
            elif frame.fin:
                data = b"".join(self._parts)
                self._parts.clear()
                _check_utf8(data)
                self.events.append(Frame(Opcode.TEXT, data))


def _check_utf8(data: BytesLike) -> None:
    """Raises UnicodeDecodeError, which the core turns into 1007."""
    raw = bytes(data)
    if not raw.isascii():
        raw.decode()


class WebsocketsLink(asyncio.Protocol):
    """`Link`, asyncio protocol and shell of the sans-IO core in one object."""

    __slots__ = (
        "_busy",
        "_closing",
        "_counters",
        "_events",
        "_limits",
        "_loop",
        "_over",
        "_paused",
        "_protocol",
        "_receiver",
        "_refilled",
        "_server",
        "_throttle",
        "_timer",
        "_tokens",
        "_transport",
        "heard",
        "quiet",
        "slot",
    )

    def __init__(
        self, server: WebsocketsServer, transport: asyncio.Transport, upgrade: Upgrade, receiver: Receiver
    ) -> None:
        self._server = server
        self._loop = server.loop
        self._limits: EdgeLimits = server.limits
        self._counters: EdgeCounters = server.counters
        self._transport = transport
        self._receiver = receiver
        self._protocol = _Core(server.limits.message_limit(upgrade.subprotocol), server.limits.fragments)
        if upgrade.extension is not None:
            self._protocol.extensions = [_Deflate(upgrade.extension.window_bits, server.limits.deflate_min_bytes)]
        self._events: deque[Frame] = deque()
        self._paused = False
        self._busy = False
        self._closing = False
        self._over = False
        self._tokens = self._limits.rate_burst
        self._refilled = self._loop.time()
        self._throttle: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.heard = True
        self.quiet = 0
        self.slot = 0

    # Link

    def send(self, frame: bytes) -> None:
        if self._closing or self._protocol.state is not State.OPEN:
            return
        self._counters.messages_out += 1
        self._counters.bytes_out += len(frame)
        self._protocol.send_text(frame)
        self._flush()

    def close(self, code: int = 1000, reason: str = "") -> None:
        if self._closing:
            return
        self._stop_delivering()
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, close_reason(reason).decode())
            self._flush()
        if self._throttle is not None:
            self._throttle.cancel()
            self._throttle = None
        self._paused = False
        self._read_on()
        self._expire()

    def ping(self) -> None:
        if not self._closing and self._protocol.state is State.OPEN:
            self._protocol.send_ping(b"")
            self._flush()

    def pause(self) -> None:
        if not self._paused and not self._closing:
            self._paused = True
            if self._throttle is None:
                self._read_no_more()

    def resume(self) -> None:
        if self._paused:
            self._paused = False
            self._drain_events()
            self._read_on()

    @property
    def backlog(self) -> int:
        return self._transport.get_write_buffer_size()

    def abort(self) -> None:
        """Cut the connection without another word."""
        self._transport.abort()

    # asyncio

    def begin(self) -> None:
        """The 101 has been written."""
        self._server.entered(self)
        self._guarded_opened()

    def data_received(self, data: bytes) -> None:
        self.heard = True
        if self._protocol.state is State.CLOSED or self._protocol.eof_sent:
            return
        self._protocol.receive_data(data)
        # Only the opening handshake has other events, and this core begins after it.
        events = cast(list[Frame], self._protocol.events_received())
        self._tokens -= len(events)
        if self._tokens <= 0 and events and not self._closing:
            self._refill()
        self._events.extend(events)
        self._flush()
        if self._protocol.close_expected() and self._protocol.close_rcvd is None:
            # A violation: whole messages that came just before it are dropped too, as on picows; the station repeats
            # what was not answered.
            self._stop_delivering()
        self._drain_events()
        if self._protocol.close_expected():
            self._stop_delivering()
            self._expire()

    def eof_received(self) -> bool:
        if self._protocol.state is not State.CLOSED:
            self._protocol.receive_eof()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._over:
            return
        self._over = True
        for timer in (self._timer, self._throttle):
            if timer is not None:
                timer.cancel()
        self._timer = self._throttle = None
        self._stop_delivering()
        code, reason = self._how_it_ended()
        self._server.left(self, code)
        self._receiver.closed(code, reason)

    def pause_writing(self) -> None:
        """More is waiting to be written than the limit: the peer does not read."""
        self._counters.slow_consumers += 1
        log.warning("cut off a peer that does not read: %d bytes were waiting", self.backlog)
        self.abort()

    def resume_writing(self) -> None:
        """The connection was cut when it was paused."""

    # Within

    def _guarded_opened(self) -> None:
        try:
            self._receiver.opened(self)
        except Exception:
            self._broken()

    def _broken(self) -> None:
        self._counters.receiver_failures += 1
        log.exception("a receiver failed")
        self.close(1011)

    def _stop_delivering(self) -> None:
        self._closing = True
        self._events.clear()

    def _drain_events(self) -> None:
        if self._busy:
            return
        self._busy = True
        try:
            while self._events and not self._paused:
                self._event(self._events.popleft())
        except Exception:
            self._broken()
        finally:
            self._busy = False

    def _event(self, frame: Frame) -> None:
        if self._closing:
            return
        if frame.opcode is Opcode.TEXT:
            self._counters.messages_in += 1
            self._counters.bytes_in += len(frame.data)
            self._receiver.frame(bytes(frame.data))
        elif frame.opcode is Opcode.PONG:
            self._receiver.pong()

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data is not SEND_EOF:
                self._transport.write(data)
            elif self._protocol.close_rcvd is not None:
                self._transport.close()
            else:
                # A violation: read on and drop for a moment, since closing over unread bytes would reset the
                # connection and the peer might never see our close.
                self._loop.call_later(0.05, self._transport.close)

    def _expire(self) -> None:
        if self._timer is None and not self._over:
            self._timer = self._loop.call_later(self._limits.close_s or 3.0, self._transport.abort)

    def _refill(self) -> None:
        limits = self._limits
        if limits.rate_per_s <= 0:
            self._tokens = 1 << 30
            return
        now = self._loop.time()
        self._tokens = min(limits.rate_burst, self._tokens + int((now - self._refilled) * limits.rate_per_s))
        self._refilled = now
        if self._tokens <= 0 and self._throttle is None:
            self._counters.throttled += 1
            self._read_no_more()
            self._throttle = self._loop.call_later((1 - self._tokens) / limits.rate_per_s + 0.25, self._unthrottle)

    def _unthrottle(self) -> None:
        self._throttle = None
        if not self._closing:
            self._refill()
            self._read_on()

    def _read_on(self) -> None:
        # uvloop raises on a transport that is closing, asyncio does not.
        if not self._paused and self._throttle is None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _read_no_more(self) -> None:
        if not self._transport.is_closing():
            self._transport.pause_reading()

    def _how_it_ended(self) -> tuple[int, str]:
        protocol = self._protocol
        received, sent = protocol.close_rcvd, protocol.close_sent
        first = received if protocol.close_rcvd_then_sent or sent is None else sent
        return (int(first.code), first.reason) if first is not None else (1006, "")


class _Deflate(PerMessageDeflate):
    """Sends small messages as they are."""

    def __init__(self, window_bits: int, least: int) -> None:
        super().__init__(True, True, 15, window_bits, {"memLevel": 5})
        self._least = least

    def encode(self, frame: Frame) -> Frame:
        return frame if len(frame.data) < self._least else super().encode(frame)


class WebsocketsServer(EdgeServer):
    """`OcppServer` on `websockets`. With TLS it wants uvloop: asyncio's own TLS takes 280 KB per connection."""

    async def _connect(self, peer: socket.socket, opening: Opening, context: ssl_module.SSLContext | None) -> None:
        await self.loop.connect_accepted_socket(lambda: opening, peer, **self._tls_options(context))

    def _upgrade(
        self,
        transport: asyncio.Transport,
        upgrade: Upgrade,
        receiver: Receiver,
        headers: list[tuple[str, str]],
        rest: bytes,
    ) -> None:
        link = WebsocketsLink(self, transport, upgrade, receiver)
        lines = ["HTTP/1.1 101 Switching Protocols", "Upgrade: websocket", "Connection: Upgrade"]
        lines += [f"Sec-WebSocket-Accept: {accept_key(upgrade.key)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        transport.write("\r\n".join([*lines, "", ""]).encode("ascii"))
        transport.set_protocol(link)
        link.begin()
        if rest:
            link.data_received(rest)
