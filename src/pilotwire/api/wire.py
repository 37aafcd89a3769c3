"""HTTP/1.1 on the wire, quickly: a request that is a plain head goes around the parser that can do everything.

Nearly every request that the API gets is a GET whose head comes in one piece, without a body. `Wire` reads those itself
and answers in one write; it is strict, and whatever is not exactly plain (a body, an upgrade, pipelining, odd header
lines, a head in pieces) goes to uvicorn's h11 protocol, on the same connection, which then decides about all that
follows until it is idle again. So there is one HTTP parser to trust with the difficult part, and it stays the judge.
"""

from __future__ import annotations

import asyncio
import re
from email.utils import formatdate
from http import HTTPStatus
from time import time
from typing import Any, Final, cast
from urllib.parse import unquote

import h11
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.h11_impl import H11Protocol

from .controller_links import is_link

_HEAD: Final = re.compile(rb"(GET|HEAD) (/[!-~]*) HTTP/1\.1\r\n((?:[!#-'*+.^_`|~0-9A-Za-z-]+:[^\r\n\0]*\r\n)+)\r\n")
_LINE: Final = re.compile(rb"([^:]+):[ \t]*([^\r]*?)[ \t]*\r\n")
_VISIBLE: Final = re.compile(rb"[\t -~\x80-\xff]*")
_NOT_PLAIN: Final = frozenset(
    (b"content-length", b"transfer-encoding", b"upgrade", b"expect", b"te", b"trailer", b"http2-settings")
)
_STATUS: Final = {one.value: b"HTTP/1.1 %d %b\r\n" % (one.value, one.phrase.encode()) for one in HTTPStatus}
_BODILESS: Final = frozenset((204, 304))
_MAX_HEAD: Final = 32_768


class _Clock:
    """The Date header, made once a second."""

    __slots__ = ("_line", "_second")

    def __init__(self) -> None:
        self._second = 0
        self._line = b""

    def line(self) -> bytes:
        now = int(time())
        if now != self._second:
            self._second = now
            self._line = b"date: %b\r\n" % formatdate(now, usegmt=True).encode()
        return self._line


_clock = _Clock()


def plain_head(data: bytes) -> tuple[bytes, bytes, list[tuple[bytes, bytes]]] | None:
    """(method, target, headers) of a request that is one plain head and nothing else; None for all others."""
    found = _HEAD.fullmatch(data)
    if found is None or not _VISIBLE.fullmatch(found[3].replace(b"\r\n", b"")):
        return None
    headers = [(name.lower(), value) for name, value in _LINE.findall(found[3])]
    hosts = 0
    for name, value in headers:
        if name in _NOT_PLAIN:
            return None
        if name == b"host":
            hosts += 1
        elif name == b"connection" and value.lower() not in (b"keep-alive", b"close"):
            return None
    return (found[1], found[2], headers) if hosts == 1 else None


class Wire(H11Protocol):
    """uvicorn's protocol with a short way in front of it."""

    _quick: _Quick | None = None
    _waiting: bytes = b""
    """What came while a quick answer was under way."""

    def data_received(self, data: bytes) -> None:
        """Take the short way where it is open."""
        quick = self._quick
        if quick is not None and not quick.over:
            # The next request before this one is answered: it waits, and so does whoever sends more.
            self._waiting += data
            if len(self._waiting) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            return
        if self._is_idle():
            head = plain_head(data) if len(data) <= _MAX_HEAD else None
            if head is not None:
                self._begin(*head)
                return
        super().data_received(data)

    def _is_idle(self) -> bool:
        """Whether the long way has nothing under way: no request, and not a part of one."""
        conn = self.conn
        return (
            (self.cycle is None or self.cycle.response_complete)
            and conn.our_state is h11.IDLE
            and conn.their_state is h11.IDLE
            and not conn.trailing_data[0]
            and self.limit_concurrency is None
        )

    def _begin(self, method: bytes, target: bytes, headers: list[tuple[bytes, bytes]]) -> None:
        self._unset_keepalive_if_required()
        raw_path, _, query = target.partition(b"?")
        scope: dict[str, Any] = {
            "type": "http",
            "asgi": {"version": "3.0", "spec_version": "2.3"},
            "http_version": "1.1",
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": "GET" if method == b"GET" else "HEAD",
            "root_path": "",
            "path": unquote(raw_path.decode("ascii")) if b"%" in raw_path else raw_path.decode("ascii"),
            "raw_path": raw_path,
            "query_string": query,
            "headers": headers,
            "state": {},
        }
        quick = self._quick = _Quick(self, scope)
        task = self.loop.create_task(quick.run())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    def quick_done(self, *, close: bool) -> None:
        """The answer is out: what waited comes next."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if close:
            self.transport.close()
            return
        self._unset_keepalive_if_required()
        self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self.timeout_keep_alive_handler)
        self.flow.resume_reading()
        if self._waiting:
            data, self._waiting = self._waiting, b""
            self.loop.call_soon(self._later, data)

    def _later(self, data: bytes) -> None:
        if not self.transport.is_closing():
            self.data_received(data)

    def _should_upgrade_to_ws(self) -> bool:
        """Boxes at sites alone connect by WebSocket; all else is asked as if it had not wished to be upgraded."""
        return is_link(self.scope["path"])

    def timeout_keep_alive_handler(self) -> None:
        """Silence for long."""
        if self._quick is None or self._quick.over:
            super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        """Whoever answers hears of it."""
        if self._quick is not None:
            self._quick.gone()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """The server closes: what is being answered is answered, then the connection closes."""
        if self._quick is not None and not self._quick.over:
            self._quick.keep = False
            return
        super().shutdown()


class _Quick:
    """One request on the short way."""

    __slots__ = ("_chunked", "_gone", "_head", "_left", "_wire", "keep", "over", "scope", "started")

    def __init__(self, wire: Wire, scope: dict[str, Any]) -> None:
        self._wire = wire
        self.scope = scope
        self._gone: asyncio.Event | None = None
        self._head = b""
        self._chunked = False
        self._left = -1
        self.keep = True
        self.over = False
        self.started = False
        for name, value in scope["headers"]:
            if name == b"connection" and value.lower() == b"close":
                self.keep = False

    async def run(self) -> None:
        """Let the application answer."""
        try:
            await self._wire.app(cast(Any, self.scope), self.receive, self.send)
        except Exception:  # whatever the application lets through, as uvicorn's own way has it
            self._wire.logger.exception("Exception in ASGI application")
            if not self.started and not self._wire.transport.is_closing():
                body = b"Internal Server Error"
                head = _STATUS[500] + _clock.line() + b"content-type: text/plain; charset=utf-8\r\n"
                self._wire.transport.write(head + b"content-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body)
            self.keep = False
        finally:
            if not self.over:  # it went wrong, or the client has gone
                self.over = True
                self._wire.quick_done(close=True)

    async def receive(self) -> Any:
        """There is no body; after that, the end of the connection."""
        if self._gone is None:
            self._gone = asyncio.Event()
            if self._wire.transport.is_closing():
                self._gone.set()
            return {"type": "http.request", "body": b"", "more_body": False}
        if not self.over:
            await self._gone.wait()
        return {"type": "http.disconnect"}

    def gone(self) -> None:
        """The connection is lost."""
        if self._gone is None:
            self._gone = asyncio.Event()
        self._gone.set()

    async def send(self, message: Any) -> None:
        """Write it; head and body together where that is all."""
        wire = self._wire
        if self.over or wire.transport.is_closing():
            return
        if wire.flow.write_paused:
            await wire.flow.drain()
        if not self.started:
            if message["type"] != "http.response.start":
                raise RuntimeError(f"an answer cannot begin with {message['type']}")
            self.started = True
            self._begin(message)
            return
        body = message.get("body", b"")
        more = message.get("more_body", False)
        out = self._head
        self._head = b""
        if self.scope["method"] == "HEAD" or self._left == 0:
            body = b""
        elif self._chunked:
            if body:
                body = b"%x\r\n%b\r\n" % (len(body), body)
            if not more:
                body += b"0\r\n\r\n"
        else:
            self._left -= len(body)
            if self._left < 0 or (self._left and not more):
                self.keep = False
                wire.transport.close()
                raise RuntimeError("the body is not as long as its Content-Length")
        if out or body:
            wire.transport.write(out + body)
        if not more:
            self.over = True
            if self._gone is not None:
                self._gone.set()
            wire.quick_done(close=not self.keep)

    def _begin(self, message: Any) -> None:
        status = message["status"]
        parts = [_STATUS.get(status) or b"HTTP/1.1 %d \r\n" % status, _clock.line()]
        length = -1
        for name, value in message.get("headers", ()):
            name = name.lower()
            if name == b"content-length":
                length = int(value)
            elif name == b"connection" and value.lower() == b"close":
                self.keep = False
                continue
            elif name == b"transfer-encoding":
                continue
            if b"\n" in value or b"\r" in value or b"\0" in value:
                raise RuntimeError("a header holds a line break")
            parts.append(b"%b: %b\r\n" % (name, value))
        if status in _BODILESS:
            self._left = 0
        elif length < 0:
            self._chunked = True
            parts.append(b"transfer-encoding: chunked\r\n")
        else:
            self._left = length
        if not self.keep:
            parts.append(b"connection: close\r\n")
        parts.append(b"\r\n")
        self._head = b"".join(parts)
        if self._chunked:  # a stream may have nothing to say for long
            self._wire.transport.write(self._head)
            self._head = b""
