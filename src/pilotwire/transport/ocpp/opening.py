"""The opening handshake of one connection: its HTTP request, read within limits, judged and answered."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, cast

from . import handshake as http

if TYPE_CHECKING:
    from .listener import EdgeServer

log = logging.getLogger("pilotwire.transport.ocpp")

_TLS_HANDSHAKE = 0x16
"""First byte of a TLS record that begins a handshake."""


class Opening(asyncio.Protocol):
    """The HTTP part of a connection: reads one request within its limits and hands the transport on."""

    __slots__ = ("_buffer", "_done", "_server", "_timer", "_transport", "address", "peer")

    def __init__(self, server: EdgeServer, address: str, port: int) -> None:
        self._server = server
        self.address = address
        self.peer = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._done = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not asyncio's own class where uvloop or aiofastnet made it.
        self._transport = cast("asyncio.Transport", transport)
        limits = self._server.limits
        if self._server.stopping:
            self._transport.abort()
        elif limits.header_s:
            self._timer = self._server.loop.call_later(limits.header_s, self._too_slow)

    def data_received(self, data: bytes) -> None:
        if self._done:
            return
        self._buffer += data
        end = self._buffer.find(b"\r\n\r\n")
        limit = self._server.limits.header_bytes
        if limit and (end if end >= 0 else len(self._buffer)) > limit:
            self._refuse(http.HttpRefusal(431, "the request header is too large"))
        elif end >= 0:
            self._decide(bytes(self._buffer[:end]), bytes(self._buffer[end + 4 :]))
        elif not b"GET ".startswith(self._buffer[:4]) and not self._buffer[:1].isalpha():
            # Not HTTP at all, often TLS on the plain port: waiting for an empty line would only hold the socket.
            refusal = http.HttpRefusal(400, "expected an HTTP/1.1 request")
            refusal.reason = "tls-on-plain-port" if self._buffer[0] == _TLS_HANDSHAKE else "not-http"
            self._refuse(refusal)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._done:
            self._server.counters.vanished += 1
        self._finish()
        self._server.leave(self)

    def _decide(self, head: bytes, rest: bytes) -> None:
        server = self._server
        transport = self._transport
        assert transport is not None
        request: http.Request | None = None
        try:
            request = http.parse_request(head, server.limits)
            upgrade = http.read_upgrade(request, prefix=server.prefix, limits=server.limits)
            receiver = server.gate.admit(upgrade, request, transport, address=self.address, peer=self.peer)
        except http.HttpRefusal as refusal:
            self._refuse(refusal, request)
            return
        except Exception:
            server.counters.receiver_failures += 1
            log.exception("the endpoint failed to decide on a handshake")
            self._refuse(http.refusal(500))
            return
        self._finish()
        server.leave(self)
        server.upgraded(transport, upgrade, receiver, rest)

    def _refuse(self, refusal: http.HttpRefusal, request: http.Request | None = None) -> None:
        self._finish()
        self._server.counters.refuse(refusal.status)
        self._server.gate.turned_away(self.peer, refusal, request)
        if refusal.status == 426:
            self._server.counters.plain_http += 1
        transport = self._transport
        assert transport is not None
        transport.write(http.response(refusal.status, refusal.text, refusal.headers))
        # What still arrives is read and dropped for a moment: closing with unread bytes would reset the connection
        # and the peer might never see the answer.
        self._timer = self._server.loop.call_later(0.2 if refusal.status == 431 else 0.0, transport.close)
        self._server.loop.call_later(self._server.limits.close_s or 3.0, transport.abort)

    def drop(self) -> None:
        """The server is going away."""
        if self._transport is not None:
            self._transport.abort()

    def _too_slow(self) -> None:
        self._server.counters.header_timeouts += 1
        self._refuse(http.HttpRefusal(408, "the request did not arrive in time"))

    def _finish(self) -> None:
        self._done = True
        self._buffer = bytearray()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
