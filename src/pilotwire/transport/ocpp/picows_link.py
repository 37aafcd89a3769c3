"""One WebSocket over picows, for either role: reassembly, UTF-8, compression, rates and the closing handshake.

picows parses frames, unmasks, checks lengths, control frames and the mask bit. What it leaves to the user is here; so
are the reserved bits and the close codes that it lets pass.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable
from typing import Any, cast

from picows import WSCloseCode, WSFrame, WSListener, WSMsgType, WSTransport

from pilotwire.transport.port import Receiver

from . import deflate
from .limits import EdgeCounters, EdgeLimits
from .turn import Turn

log = logging.getLogger("pilotwire.transport.ocpp")

# Integers in truth, which the stubs do not say.
_TEXT: Any = WSMsgType.TEXT
_CONTINUATION = WSMsgType.CONTINUATION
_BINARY = WSMsgType.BINARY
_PING = WSMsgType.PING
_PONG = WSMsgType.PONG
_CLOSE: Any = WSMsgType.CLOSE


class QuietLog:
    """What picows gets as its logger: only what says that our own code failed is passed on.

    A `logging.Logger` would cost a child logger per connection, and each misbehaving peer a line.
    """

    __slots__ = ()
    name = "picows"

    def isEnabledFor(self, level: int) -> bool:
        return False

    def debug(self, message: str, *args: object) -> None:
        """Dropped."""

    log = info = warning = error = debug

    def exception(self, message: str, *args: object) -> None:
        log.exception(message, *args)


QUIET = QuietLog()


class Complaints(QuietLog):
    """picows' logger for one connection of a server.

    What picows calls an error is a violation that it has found, or a failure of our receiver: it ends the conversation
    by itself, and there is no other call that says so. To look after every read whether it has would cost 3 % of a
    message.
    """

    __slots__ = ("_link",)

    def __init__(self, link: PicowsLink) -> None:
        self._link = link

    def error(self, message: str, *args: object) -> None:
        self._link.complained()

    def exception(self, message: str, *args: object) -> None:
        super().exception(message, *args)
        self._link.complained()


def close_reason(text: str) -> bytes:
    """At most the 123 bytes that fit a close frame, cut between characters."""
    raw = text.encode()
    return raw if len(raw) <= 123 else raw[:123].decode("utf-8", "ignore").encode()


class PicowsLink(WSListener):
    """`Link` and picows listener in one object, so that a connection needs few."""

    __slots__ = (
        "_agreement",
        "_before_open",
        "_closing",
        "_counters",
        "_delivering",
        "_held",
        "_left",
        "_limits",
        "_loop",
        "_max",
        "_parts",
        "_parts_count",
        "_parts_deflated",
        "_parts_size",
        "_paused",
        "_pong_due",
        "_receiver",
        "_refilled",
        "_throttle",
        "_timer",
        "_tokens",
        "_transport",
        "_turn",
        "_verdict",
        "heard",
        "quiet",
        "slot",
    )

    def __init__(
        self,
        receiver: Receiver,
        *,
        loop: asyncio.AbstractEventLoop,
        limits: EdgeLimits,
        counters: EdgeCounters,
        message_limit: int,
        agreement: deflate.Agreement | None = None,
        before_open: Callable[[PicowsLink], None] | None = None,
        left: Callable[[PicowsLink, int], None] | None = None,
        turn: Turn | None = None,
    ) -> None:
        """`turn`: where frames wait for the end of the loop's turn; None: they are written at once."""
        self._receiver = receiver
        self._loop = loop
        self._limits = limits
        self._counters = counters
        self._max = message_limit
        self._agreement = agreement
        self._before_open = before_open
        self._left = left
        self._turn = turn
        self._transport: WSTransport | None = None
        self._parts: list[bytes] | None = None
        self._parts_size = self._parts_count = 0
        self._parts_deflated = False
        self._held: deque[bytes] | None = None
        self._paused = False
        self._delivering = False
        self._closing = False
        self._tokens = limits.rate_burst
        self._refilled = loop.time()
        self._throttle: asyncio.TimerHandle | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._verdict: tuple[int, str] | None = None
        self.heard = True
        self.quiet = 0
        self.slot = 0

    # Link

    def send(self, frame: bytes) -> None:
        if self._closing:
            return
        if self._turn is not None:
            self._turn.add(self, frame)
        else:
            self.write(frame)

    def write(self, frame: bytes) -> None:
        """Write at once. After close it does nothing."""
        transport = self._transport
        if self._closing or transport is None:
            return
        counters = self._counters
        counters.messages_out += 1
        counters.bytes_out += len(frame)
        if self._agreement is not None and len(frame) >= self._limits.deflate_min_bytes:
            transport.send(_TEXT, deflate.compress(frame, self._agreement.window_bits), rsv1=True)
        else:
            transport.send(_TEXT, frame)

    def close(self, code: int = 1000, reason: str = "") -> None:
        transport = self._transport
        if self._closing or transport is None:
            return
        if self._turn is not None:
            self._turn.flush()
        self._closing = True
        self._held = self._parts = None
        transport.send_close(code, close_reason(reason))  # type: ignore[arg-type]
        if self._throttle is not None:
            self._throttle.cancel()
            self._throttle = None
        # Read on, if only to see the peer's own close; then, or when it takes too long, the socket goes.
        transport.underlying_transport.resume_reading()
        self._timer = self._loop.call_later(self._limits.close_s or 3.0, self.abort)

    def ping(self) -> None:
        if not self._closing and self._transport is not None:
            self._transport.send_ping()

    def pause(self) -> None:
        if not self._paused and not self._closing and self._transport is not None:
            self._paused = True
            if self._throttle is None:
                self._transport.underlying_transport.pause_reading()

    def resume(self) -> None:
        if not self._paused or self._transport is None:
            return
        self._paused = False
        if not self._delivering:
            self._release()

    @property
    def backlog(self) -> int:
        if self._turn is not None:
            self._turn.flush()
        return self._transport.underlying_transport.get_write_buffer_size() if self._transport is not None else 0

    def abort(self) -> None:
        """Cut the connection without another word."""
        if self._transport is not None:
            self._transport.disconnect(False)

    # picows

    def on_ws_connected(self, transport: WSTransport) -> None:
        self._transport = transport
        if self._before_open is not None:
            self._before_open(self)
            self._before_open = None
        self._receiver.opened(self)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        self.heard = True
        kind: Any = frame.msg_type
        if transport.is_close_frame_sent and kind != _CLOSE:
            return
        self._tokens -= 1
        if self._tokens <= 0:
            self._refill(transport)
        if kind == _TEXT and frame.fin and self._parts is None and not frame.rsv2 and not frame.rsv3:
            data = frame.get_payload_as_bytes()
            if frame.rsv1:
                self._inflate(transport, data)
            elif data.isascii() or _is_utf8(data):
                self._deliver(data)
            else:
                self._fail(transport, 1007, "not UTF-8")
        elif kind >= _CLOSE and (frame.rsv1 or frame.rsv2 or frame.rsv3):
            self._fail(transport, 1002, "reserved bits")
        elif kind == _PING:
            transport.send_pong(frame.get_payload_as_bytes())
        elif kind == _PONG:
            self._receiver.pong()
        elif kind == _CLOSE:
            self._peer_closes(transport, frame)
        else:
            self._fragment(transport, frame, kind)

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        for timer in (self._timer, self._throttle):
            if timer is not None:
                timer.cancel()
        self._timer = self._throttle = None
        self._closing = True
        self._held = self._parts = None
        code, reason = self._verdict or _how_it_ended(transport)
        if self._left is not None:
            self._left(self, code)
        self._receiver.closed(code, reason)

    def pause_writing(self) -> None:
        """More is waiting to be written than the limit: the peer does not read."""
        self._counters.slow_consumers += 1
        log.warning("cut off a peer that does not read: %d bytes were waiting", self.backlog)
        self.abort()

    def resume_writing(self) -> None:
        """The connection was cut when it was paused."""

    # Within

    def complained(self) -> None:
        """picows is about to end the conversation by itself."""
        self._loop.call_soon(self._given_up)

    def _given_up(self) -> None:
        """picows has sent a close. What still comes until it ends the connection is dropped unread."""
        transport = self._transport
        if self._closing or transport is None or not transport.is_close_frame_sent:
            return
        self._closing = True
        self._held = self._parts = None
        ended = transport.close_handshake
        if ended is not None and ended.sent is not None and ended.sent.code == WSCloseCode.INTERNAL_ERROR:
            self._counters.receiver_failures += 1
        under = transport.underlying_transport
        under.set_protocol(_Discard(under.get_protocol()))

    def _fail(self, transport: WSTransport, code: int, reason: str) -> None:
        """Close for a violation by the peer: nothing more that it says is of interest."""
        self._verdict = (code, reason)
        self.close(code, reason)
        under = transport.underlying_transport
        under.set_protocol(_Discard(under.get_protocol()))
        self._loop.call_later(0.05, transport.disconnect)

    def _deliver(self, data: bytes) -> None:
        counters = self._counters
        counters.messages_in += 1
        counters.bytes_in += len(data)
        if self._paused or self._held:
            if self._held is None:
                self._held = deque()
            self._held.append(data)
            return
        self._receiver.frame(data)

    def _release(self) -> None:
        """Hand over what had been read before the pause took effect, then read on."""
        self._delivering = True
        try:
            while self._held and not self._paused:
                self._receiver.frame(self._held.popleft())
        finally:
            self._delivering = False
        if not self._paused and not self._closing and self._throttle is None and self._transport is not None:
            self._held = None
            self._transport.underlying_transport.resume_reading()

    def _refill(self, transport: WSTransport) -> None:
        """The bucket looks empty: fill it for the time that has passed, and stop reading if it stays so.

        Filling only now saves a clock reading per frame; a peer gets at most one burst more than from an eager bucket.
        """
        limits = self._limits
        if limits.rate_per_s <= 0:
            self._tokens = 1 << 30
            return
        now = self._loop.time()
        self._tokens = min(limits.rate_burst, self._tokens + int((now - self._refilled) * limits.rate_per_s))
        self._refilled = now
        if self._tokens <= 0 and self._throttle is None:
            self._counters.throttled += 1
            if not self._paused:
                transport.underlying_transport.pause_reading()
            self._throttle = self._loop.call_later((1 - self._tokens) / limits.rate_per_s + 0.25, self._unthrottle)

    def _unthrottle(self) -> None:
        self._throttle = None
        if self._closing or self._transport is None:
            return
        # Frames that had been read when the throttle was set were delivered and may have deepened the debt.
        self._refill(self._transport)
        if self._throttle is None and not self._paused:
            self._transport.underlying_transport.resume_reading()

    def _inflate(self, transport: WSTransport, data: bytes) -> None:
        if self._agreement is None:
            self._fail(transport, 1002, "reserved bit without an extension")
            return
        try:
            text = deflate.decompress(data, self._max)
        except deflate.TooLarge:
            self._fail(transport, 1009, f"more than {self._max} bytes")
        except deflate.BadCompression:
            self._fail(transport, 1007, "not a deflate stream")
        else:
            if text.isascii() or _is_utf8(text):
                self._deliver(text)
            else:
                self._fail(transport, 1007, "not UTF-8")

    def _fragment(self, transport: WSTransport, frame: WSFrame, kind: Any) -> None:
        """Anything but a whole text message or a control frame."""
        if frame.rsv2 or frame.rsv3 or (frame.rsv1 and kind == _CONTINUATION):
            self._fail(transport, 1002, "reserved bits")
        elif kind != _CONTINUATION and self._parts is not None:
            self._fail(transport, 1002, "a message began within another")
        elif kind == _BINARY:
            self._fail(transport, 1003, "OCPP-J messages are text")
        elif kind == _TEXT:
            if frame.rsv1 and self._agreement is None:
                self._fail(transport, 1002, "reserved bit without an extension")
                return
            self._parts, self._parts_deflated = [frame.get_payload_as_bytes()], bool(frame.rsv1)
            self._parts_size, self._parts_count = frame.payload_size, 1
        elif self._parts is None:
            self._fail(transport, 1002, "nothing to continue")
        else:
            self._parts_count += 1
            self._parts_size += frame.payload_size
            if self._parts_size > self._max:
                self._fail(transport, 1009, f"more than {self._max} bytes")
            elif self._limits.fragments and self._parts_count > self._limits.fragments:
                self._fail(transport, 1009, f"more than {self._limits.fragments} fragments")
            else:
                self._parts.append(frame.get_payload_as_bytes())
                if frame.fin:
                    data = b"".join(self._parts)
                    self._parts = None
                    if self._parts_deflated:
                        self._inflate(transport, data)
                    elif _is_utf8(data):
                        self._deliver(data)
                    else:
                        self._fail(transport, 1007, "not UTF-8")

    def _peer_closes(self, transport: WSTransport, frame: WSFrame) -> None:
        if self._turn is not None:
            self._turn.flush()  # what was answered before the close goes out before ours
        if not transport.is_close_frame_sent:
            code: Any = frame.get_close_code()
            if frame.payload_size and not _is_close_code(code):
                self._fail(transport, 1002, "not a close code")
                return
            self._closing = True
            transport.send_close(code if code != WSCloseCode.NO_INFO else WSCloseCode.OK)
        transport.disconnect()
        if self._timer is None:
            self._timer = self._loop.call_later(self._limits.close_s or 3.0, self.abort)


class _Discard(asyncio.Protocol):
    """Reads and drops, so that a connection that is being closed for a violation is not reset over unread bytes."""

    __slots__ = ("_inner",)

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def data_received(self, data: bytes) -> None:
        """Dropped."""

    def eof_received(self) -> bool:
        return bool(self._inner.eof_received())

    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _how_it_ended(transport: WSTransport) -> tuple[int, str]:
    """(code, reason): whoever closed first; 1005 for a close without a code, 1006 for none at all."""
    ended = transport.close_handshake
    if ended is None:
        return 1006, ""
    first = ended.recv if ended.recv_then_sent or ended.sent is None else ended.sent
    if first is None:
        return 1006, ""
    code = int(cast(int, first.code))
    if code and not _is_close_code(code):
        # picows has found another violation before it showed us this close.
        return 1002, "not a close code"
    return code or 1005, first.reason or ""


def _is_close_code(code: int) -> bool:
    """RFC 6455 7.4: 1006 never goes over the wire, and there is nothing outside of 1000 to 4999."""
    return 1000 <= code < 5000 and code != 1006
