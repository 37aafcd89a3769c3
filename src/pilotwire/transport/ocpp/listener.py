"""What both OCPP servers share: the accept loop, the opening handshake, keep-alive, drain. The frames are theirs.

The server accepts on a socket of its own instead of leaving it to a library, so that limits per address hold before
TLS, the client's certificate and address reach the admission, and a changed certificate serves the next connection.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import ssl as ssl_module
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from pilotwire.core.errors import LocalError
from pilotwire.transport.port import Endpoint, Handshake, Receiver, Refuse, TurnedAway

from . import handshake as http
from .limits import AddressRate, AuthGuard, EdgeCounters, EdgeLimits, Networks
from .tls import ServerTls

log = logging.getLogger("pilotwire.transport.ocpp")

_ACCEPTS_PER_WAKE = 64
_WHEEL_SLOTS = 60
_TLS_HANDSHAKE = 0x16
"""First byte of a TLS record that begins a handshake."""


class OcppServer(Protocol):
    """A listener for stations; `PicowsServer` and `WebsocketsServer` are the two."""

    counters: EdgeCounters

    @property
    def port(self) -> int:
        """The port that is listened on (useful after asking for port 0)."""
        ...

    async def start(
        self,
        host: str,
        port: int,
        endpoint: Endpoint,
        *,
        ssl: ssl_module.SSLContext | ServerTls | None = None,
        limits: EdgeLimits | None = None,
    ) -> None:
        """Listen. Raises OSError when the address cannot be bound."""
        ...

    async def drain(self, grace_s: float) -> None:
        """Accept nobody any more, close every connection with 1012 spread over half the grace, wait for the rest."""
        ...

    async def stop(self) -> None:
        """Cut whatever is left. Safe to call twice."""
        ...


class Connection(Protocol):
    """One upgraded connection, as the listener keeps it."""

    heard: bool
    """A frame came since the wheel last passed."""
    quiet: int
    """Rounds of the wheel without one."""
    slot: int

    def close(self, code: int = 1000, reason: str = "") -> None: ...

    def ping(self) -> None: ...

    def abort(self) -> None: ...


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
        self._transport = transport  # type: ignore[assignment]
        limits = self._server.limits
        if self._server.stopping:
            self._transport.abort()  # type: ignore[union-attr]
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
            receiver = server.admit(upgrade, self, transport, request)
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
        self._server.turned_away(self, refusal, request)
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


class EdgeServer(ABC):
    """The shared half of a server. `clock` (seconds, monotonic) drives the back-off and rates, `jitter` the drain."""

    def __init__(
        self,
        *,
        prefix: str = "/ocpp",
        clock: Callable[[], float] = time.monotonic,
        jitter: random.Random | None = None,
        guard: AuthGuard | None = None,
    ) -> None:
        self.prefix = http.check_prefix(prefix)
        self.counters = EdgeCounters()
        self.limits = EdgeLimits()
        self.clock = clock
        self.stopping = False
        self.loop: asyncio.AbstractEventLoop
        self._jitter = jitter or random.Random()
        self._guard = guard
        self._endpoint: Endpoint | None = None
        self._tls: ServerTls | ssl_module.SSLContext | None = None
        self._sockets: list[socket.socket] = []
        self._paused: list[asyncio.TimerHandle] = []
        self._openings: set[asyncio.Task[Any]] = set()
        self._opening: dict[str, int] = {}
        self._handshaking: set[Opening] = set()
        self._wheel: list[set[Connection]] = [set() for _ in range(_WHEEL_SLOTS)]
        self._next_slot = 0
        self._hand = 0
        self._tick_timer: asyncio.TimerHandle | None = None
        self._empty = asyncio.Event()

    # The interface

    @property
    def port(self) -> int:
        if not self._sockets:
            raise LocalError("the server is not listening")
        return int(self._sockets[0].getsockname()[1])

    async def start(
        self,
        host: str,
        port: int,
        endpoint: Endpoint,
        *,
        ssl: ssl_module.SSLContext | ServerTls | None = None,
        limits: EdgeLimits | None = None,
    ) -> None:
        if self._endpoint is not None:
            raise LocalError("this server was started before; make another one")
        self.loop = asyncio.get_running_loop()
        self.limits = limits or self.limits
        self._free = Networks(self.limits.unlimited_networks)
        self._guard = self._guard or AuthGuard(self.limits, self.clock, free=self._free)
        self._tls_rate = AddressRate(self.limits.tls_per_address_per_s, self.limits.tls_per_address_burst, self.clock)
        self._endpoint, self._tls = endpoint, ssl
        self._empty.set()
        try:
            await self._bind(host, port)
        except OSError:
            await self.stop()
            raise
        if self.limits.ping_s or self.limits.idle_s:
            self._tick_timer = self.loop.call_later(self._tick_s, self._tick)

    async def drain(self, grace_s: float) -> None:
        self._stop_listening()
        for opening in list(self._handshaking):
            opening.drop()
        connections = [connection for slot in self._wheel for connection in slot]
        self._jitter.shuffle(connections)
        # Slices, so that the stations do not all come back in the same instant to whoever serves them next.
        slices = max(1, min(len(connections), 50))
        for index in range(slices):
            for connection in connections[index::slices]:
                connection.close(1012, "service restart")
            if index + 1 < slices:
                await asyncio.sleep(grace_s / 2 / slices)
        try:
            async with asyncio.timeout(grace_s / 2):
                await self._empty.wait()
        except TimeoutError:
            log.warning("%d connections did not close within the grace", self.counters.open)
        await self.stop()

    async def stop(self) -> None:
        self._stop_listening()
        if self._tick_timer is not None:
            self._tick_timer.cancel()
            self._tick_timer = None
        for task in list(self._openings):
            task.cancel()
        await asyncio.gather(*self._openings, return_exceptions=True)
        for opening in list(self._handshaking):
            opening.drop()
        for slot in self._wheel:
            for connection in list(slot):
                connection.abort()
        try:
            async with asyncio.timeout(5):
                await self._empty.wait()
        except TimeoutError:
            log.error("%d connections are still open after being cut", self.counters.open)

    # Accepting

    async def _bind(self, host: str, port: int) -> None:
        found = await self.loop.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            listener = socket.socket(family, kind, protocol)
            try:
                listener.setblocking(False)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                # Asked for any port on several addresses: the same one on all.
                chosen = self._sockets[0].getsockname()[1] if self._sockets else address[1]
                listener.bind((address[0], chosen, *address[2:]))
                listener.listen(4096)
            except OSError:
                listener.close()
                raise
            self._sockets.append(listener)
            self.loop.add_reader(listener, self._accept, listener)

    def _stop_listening(self) -> None:
        self.stopping = True
        for timer in self._paused:
            timer.cancel()
        self._paused.clear()
        for listener in self._sockets:
            self.loop.remove_reader(listener)
            listener.close()
        self._sockets.clear()

    def _accept(self, listener: socket.socket) -> None:
        counters, limits = self.counters, self.limits
        for _ in range(_ACCEPTS_PER_WAKE):
            try:
                peer, address = listener.accept()
            except (BlockingIOError, InterruptedError, ConnectionAbortedError):
                return
            except OSError as error:
                # Out of descriptors or memory: rest, else the loop spins on the same error.
                counters.accept_errors += 1
                log.error("cannot accept connections: %s", error)
                self.loop.remove_reader(listener)
                self._paused.append(self.loop.call_later(1.0, self._accept_again, listener))
                return
            counters.accepted += 1
            ip = str(address[0])
            if limits.connections and counters.open + len(self._openings) >= limits.connections:
                counters.over_connection_limit += 1
                peer.close()
                continue
            if ip not in self._free:
                if (
                    limits.unauthenticated_per_address
                    and self._opening.get(ip, 0) >= limits.unauthenticated_per_address
                ):
                    counters.over_unauthenticated_limit += 1
                    peer.close()
                    continue
                if self._tls is not None and not self._tls_rate.take(ip):
                    counters.over_tls_rate += 1
                    peer.close()
                    continue
            self._opening[ip] = self._opening.get(ip, 0) + 1
            task = self.loop.create_task(self._open(peer, Opening(self, ip, int(address[1]))))
            self._openings.add(task)
            task.add_done_callback(self._openings.discard)

    def _accept_again(self, listener: socket.socket) -> None:
        self._paused.clear()
        if not self.stopping:
            self.loop.add_reader(listener, self._accept, listener)

    async def _open(self, peer: socket.socket, opening: Opening) -> None:
        self._handshaking.add(opening)
        try:
            peer.setblocking(False)
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._keep_alive(peer)
            context = self._tls.context if isinstance(self._tls, ServerTls) else self._tls
            await self._connect(peer, opening, context)
        except (OSError, TimeoutError) as error:
            # ssl.SSLError is an OSError. Whoever failed the TLS handshake is told by TLS itself.
            self.counters.tls_failed += 1
            if self._tls is not None:
                detail = str(getattr(error, "reason", None) or type(error).__name__)
                self._tell(TurnedAway(peer=opening.peer, tls=True, status=0, reason="tls-failed", detail=detail[:100]))
            self.leave(opening)
            peer.close()
        except asyncio.CancelledError:
            self.leave(opening)
            peer.close()
            raise

    def _keep_alive(self, peer: socket.socket) -> None:
        idle = int(self.limits.tcp_keepalive_s)
        if idle:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            if hasattr(socket, "TCP_KEEPIDLE"):
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, idle)
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, idle // 4))
                peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)
        if self.limits.tcp_user_timeout_s and hasattr(socket, "TCP_USER_TIMEOUT"):
            peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(self.limits.tcp_user_timeout_s * 1000))

    def _tls_options(self, context: ssl_module.SSLContext | None) -> dict[str, Any]:
        """How to run the TLS handshake, as arguments of `connect_accepted_socket`; none without TLS."""
        if context is None:
            return {}
        return {
            "ssl": context,
            "ssl_handshake_timeout": self.limits.tls_handshake_s or 60.0,
            "ssl_shutdown_timeout": self.limits.close_s or 3.0,
        }

    @abstractmethod
    async def _connect(self, peer: socket.socket, opening: Opening, context: ssl_module.SSLContext | None) -> None:
        """Run the TLS handshake, if any, and put `opening` on the transport."""

    def leave(self, opening: Opening) -> None:
        """The opening handshake is over, one way or the other."""
        if opening in self._handshaking:
            self._handshaking.discard(opening)
            left = self._opening.get(opening.address, 1) - 1
            if left > 0:
                self._opening[opening.address] = left
            else:
                self._opening.pop(opening.address, None)

    # Admission

    def turned_away(self, opening: Opening, refusal: http.HttpRefusal, request: http.Request | None) -> None:
        """Let the endpoint know, where it wants to: it is the one who is asked why a station does not come up."""
        if refusal.told:
            return
        headers = request.headers if request is not None else {}
        try:
            user, _ = http.parse_basic(headers.get("authorization"))
        except http.HttpRefusal:
            user = None
        self._tell(
            TurnedAway(
                peer=opening.peer,
                tls=self._tls is not None,
                status=refusal.status,
                reason=refusal.reason,
                path=http.shown_path(request.target) if request is not None else "",
                offered=http.offered_subprotocols(headers.get("sec-websocket-protocol")),
                user=user,
            )
        )

    def _tell(self, attempt: TurnedAway) -> None:
        tell = getattr(self._endpoint, "turned_away", None)
        if tell is None:
            return
        try:
            tell(attempt)
        except Exception:
            self.counters.receiver_failures += 1
            log.exception("the endpoint failed to hear of a handshake")

    def admit(
        self, upgrade: http.Upgrade, opening: Opening, transport: asyncio.Transport, request: http.Request
    ) -> Receiver:
        """Ask the endpoint. Raises HttpRefusal."""
        assert self._endpoint is not None and self._guard is not None
        tenant, identity, address = upgrade.tenant, upgrade.identity, opening.address
        wait = self._guard.wait(address, tenant, identity)
        if wait > 0:
            self.counters.blocked_after_failures += 1
            raise http.HttpRefusal(429, "too many failed attempts", (("Retry-After", str(int(wait) + 1)),))
        if self.stopping:
            raise http.refusal(503)
        if upgrade.user is not None and upgrade.user != identity.encode():
            # OCPP-J 1.6 security whitepaper and 2.x A00.FR.204: the user is the identity, whatever the password.
            self._guard.failed(address, tenant, identity)
            refusal = http.unauthorized()
            refusal.reason = "user-mismatch"
            raise refusal
        secure = transport.get_extra_info("ssl_object")
        answer = self._endpoint.admit(
            Handshake(
                tenant=tenant,
                identity=identity,
                subprotocol=upgrade.subprotocol,
                user=upgrade.user,
                password=upgrade.password,
                peer=opening.peer,
                tls=secure is not None,
                certificate=_client_certificate(secure, transport),
                offered=http.offered_subprotocols(request.headers.get("sec-websocket-protocol")),
                path=http.shown_path(request.target),
            )
        )
        if isinstance(answer, Refuse):
            if answer.status == 401:
                self._guard.failed(address, tenant, identity)
            refusal = http.refusal(answer.status)
            refusal.told = True
            raise refusal
        self._guard.passed(address, tenant, identity)
        return answer

    def upgraded(self, transport: asyncio.Transport, upgrade: http.Upgrade, receiver: Receiver, rest: bytes) -> None:
        """Send 101 and hand the transport to the frame layer."""
        self.counters.upgraded += 1
        transport.set_write_buffer_limits(high=self.limits.backlog_bytes or None)
        headers: list[tuple[str, str]] = []
        if upgrade.subprotocol is None:
            self.counters.unknown_subprotocol += 1
            receiver = _NoReceiver()
        else:
            headers.append(("Sec-WebSocket-Protocol", upgrade.subprotocol))
        if upgrade.extension is not None:
            headers.append(("Sec-WebSocket-Extensions", upgrade.extension.response))
        self._upgrade(transport, upgrade, receiver, headers, rest)

    @abstractmethod
    def _upgrade(
        self,
        transport: asyncio.Transport,
        upgrade: http.Upgrade,
        receiver: Receiver,
        headers: list[tuple[str, str]],
        rest: bytes,
    ) -> None:
        """Send 101 with `headers`, read frames from now on, beginning with `rest`. Calls `entered` and `left`."""

    # Connections

    def entered(self, connection: Connection) -> None:
        """A connection is open."""
        self.counters.open += 1
        self._empty.clear()
        connection.slot = self._next_slot
        self._next_slot = (self._next_slot + 1) % _WHEEL_SLOTS
        self._wheel[connection.slot].add(connection)

    def left(self, connection: Connection, code: int) -> None:
        """A connection has gone."""
        self.counters.open -= 1
        self.counters.close(code)
        self._wheel[connection.slot].discard(connection)
        if self.counters.open == 0:
            self._empty.set()

    @property
    def _round_s(self) -> float:
        return self.limits.ping_s or max(self.limits.idle_s / 4, 0.06)

    @property
    def _tick_s(self) -> float:
        return self._round_s / _WHEEL_SLOTS

    def _tick(self) -> None:
        """One timer for all connections: each is visited once per round, spread evenly over it."""
        self._tick_timer = self.loop.call_later(self._tick_s, self._tick)
        idle_rounds = self.limits.idle_s / self._round_s
        for connection in list(self._wheel[self._hand]):
            connection.quiet = 0 if connection.heard else connection.quiet + 1
            connection.heard = False
            if idle_rounds and connection.quiet >= max(idle_rounds, 2):
                self.counters.idle_closed += 1
                connection.close(1001, "idle")
            elif self.limits.ping_s:
                connection.ping()
        self._hand = (self._hand + 1) % _WHEEL_SLOTS


class _NoReceiver:
    """Stands in where no subprotocol is common: closes as soon as it is open."""

    def opened(self, link: Any) -> None:
        link.close(1002, "no common subprotocol")

    def frame(self, data: bytes) -> None:
        raise AssertionError("no frame is delivered after close")

    def pong(self) -> None:
        """Nothing was asked."""

    def closed(self, code: int, reason: str) -> None:
        """Nobody to tell."""


def _client_certificate(secure: Any, transport: asyncio.Transport) -> bytes | None:
    """DER of the client's certificate where TLS has verified it."""
    if secure is None:
        return None
    context = transport.get_extra_info("sslcontext")
    if context is None or context.verify_mode == ssl_module.CERT_NONE:
        return None
    return secure.getpeercert(True)
