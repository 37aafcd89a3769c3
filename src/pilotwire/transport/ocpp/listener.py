"""What both OCPP servers share: listening, accepting, draining. The frames are theirs; see also `opening` (the HTTP
request), `gate` (who comes in) and `wheel` (keep-alive).

The server accepts on a socket of its own instead of leaving it to a library, so that limits per address hold before
TLS, the client's certificate and address reach the admission, and a changed certificate serves the next connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import socket
import ssl as ssl_module
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol

from pilotwire.core.errors import LocalError
from pilotwire.transport.port import Endpoint, Link, Receiver, TurnedAway

from . import handshake as http
from .gate import Gate
from .limits import AddressRate, AuthGuard, EdgeCounters, EdgeLimits, Networks
from .opening import Opening
from .tls import ServerTls
from .wheel import Wheel

log = logging.getLogger("pilotwire.transport.ocpp")

_ACCEPTS_PER_WAKE = 64
_ALERTS = {
    "NO_SHARED_CIPHER": 40,
    "NO_SUITABLE_SIGNATURE_ALGORITHM": 40,
    "NO_SUITABLE_KEY_SHARE": 40,
    "UNSUPPORTED_PROTOCOL": 70,
    "VERSION_TOO_LOW": 70,
}
"""What OpenSSL says of a client's first message → the alert for it (RFC 8446 6.2). Later ones would be encrypted."""


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
        self._started = False
        self.loop: asyncio.AbstractEventLoop
        self._jitter = jitter or random.Random()
        self._guard = guard
        self.gate: Gate
        """From `start` on."""
        self._tls: ServerTls | ssl_module.SSLContext | None = None
        self._sockets: list[socket.socket] = []
        self._paused: list[asyncio.TimerHandle] = []
        self._openings: set[asyncio.Task[Any]] = set()
        self._opening: dict[str, int] = {}
        self._handshaking: set[Opening] = set()
        self._wheel = Wheel(self.counters)
        self.entered = self._wheel.entered
        self.left = self._wheel.left

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
        if self._started:
            raise LocalError("this server was started before; make another one")
        self._started = True
        self.loop = asyncio.get_running_loop()
        self.limits = limits or self.limits
        self._free = Networks(self.limits.unlimited_networks)
        self._tls_rate = AddressRate(self.limits.tls_per_address_per_s, self.limits.tls_per_address_burst, self.clock)
        self._tls = ssl
        self.gate = Gate(
            endpoint,
            self._guard or AuthGuard(self.limits, self.clock, free=self._free),
            self.counters,
            tls=ssl is not None,
            stopping=lambda: self.stopping,
        )
        try:
            await self._bind(host, port)
        except OSError:
            await self.stop()
            raise
        self._wheel.start(self.loop, self.limits)

    async def drain(self, grace_s: float) -> None:
        self._stop_listening()
        for opening in list(self._handshaking):
            opening.drop()
        connections = self._wheel.connections()
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
                await self._wheel.empty.wait()
        except TimeoutError:
            log.warning("%d connections did not close within the grace", self.counters.open)
        await self.stop()

    async def stop(self) -> None:
        self._stop_listening()
        self._wheel.stop()
        for task in list(self._openings):
            task.cancel()
        await asyncio.gather(*self._openings, return_exceptions=True)
        for opening in list(self._handshaking):
            opening.drop()
        for connection in self._wheel.connections():
            connection.abort()
        try:
            async with asyncio.timeout(5):
                await self._wheel.empty.wait()
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
            if context is None:
                await self._connect(peer, opening, context)
            else:
                await self._connect_securely(peer, opening, context)
        except (OSError, TimeoutError) as error:
            # ssl.SSLError is an OSError. Whoever failed the TLS handshake is told by TLS itself.
            if self._tls is None:
                self.counters.vanished += 1
            else:
                self.counters.tls_failed += 1
                detail = str(getattr(error, "reason", None) or type(error).__name__)
                if isinstance(error, ssl_module.SSLCertVerificationError):
                    detail += f": {error.verify_message}"
                self.gate.tell(
                    TurnedAway(peer=opening.peer, tls=True, status=0, reason="tls-failed", detail=detail[:100])
                )
            self.leave(opening)
            peer.close()
        except asyncio.CancelledError:
            self.leave(opening)
            peer.close()
            raise

    async def _connect_securely(self, peer: socket.socket, opening: Opening, context: ssl_module.SSLContext) -> None:
        """TLS; whoever it cannot be agreed with is told why, which event loops leave out: they throw OpenSSL's alert
        away and hang up. Stations that hear it tell their operator (A00.FR.316, .323)."""
        spare = peer.dup()  # the loop closes its own
        try:
            await self._connect(peer, opening, context)
        except ssl_module.SSLError as error:
            alert = _ALERTS.get(error.reason or "")
            if alert is not None:
                with contextlib.suppress(OSError):
                    spare.send(bytes((21, 3, 1, 0, 2, 2, alert)))
            raise
        finally:
            spare.close()

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

    # Upgrading

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


class _NoReceiver:
    """Stands in where no subprotocol is common: closes as soon as it is open."""

    def opened(self, link: Link) -> None:
        link.close(1002, "no common subprotocol")

    def frame(self, data: bytes) -> None:
        raise AssertionError("no frame is delivered after close")

    def pong(self) -> None:
        """Nothing was asked."""

    def closed(self, code: int, reason: str) -> None:
        """Nobody to tell."""
