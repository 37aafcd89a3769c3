"""The controller on real sockets: the only part of it that knows asyncio.

    live = LiveController(config, "forwarding.sqlite")
    await live.start("0.0.0.0", 9000)
    ...
    await live.stop()

Stations come to `{prefix}/{identity}`, and the box goes to `{upstream.url}/{identity}` in their name, with the same
tenant segment. Basic credentials upstream are the station's own, as it came with them, unless others are configured:
they are kept in memory alone, so after a restart an upstream hears of the queue as soon as the station is back, or at
once where a password is configured. Each side has its own TLS: `start_tls` for stations, which may be beside `start` or
alone, and `upstream_ssl` towards upstreams.
"""

from __future__ import annotations

import asyncio
import functools
import ssl as ssl_module
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

from pilotwire.core.errors import ConfigError
from pilotwire.storage.forwarding import SqliteForwarding
from pilotwire.transport.ocpp.client import LoopDialer
from pilotwire.transport.ocpp.handshake import station_url
from pilotwire.transport.ocpp.limits import EdgeLimits
from pilotwire.transport.ocpp.picows_server import PicowsServer
from pilotwire.transport.ocpp.tls import ServerTls
from pilotwire.transport.port import DialResult, Receiver
from pilotwire.transport.runtime import LoopScheduler, SystemIds

from .config import ControllerConfig, KnownStation, Upstream
from .controller import LocalController
from .seat import Seat
from .telling import Telling

UpstreamTls = Callable[[Upstream, KnownStation], ssl_module.SSLContext | None]
"""The client's TLS for one station at one upstream, asked for at each attempt: with its certificate where the upstream
wants one. May raise ConfigError."""

_default = functools.cache(ssl_module.create_default_context)


def no_tls(upstream: Upstream, station: KnownStation) -> ssl_module.SSLContext | None:
    """What the URL says with the system's trust: plain for ws://, the default context for wss://."""
    return _default() if upstream.url.startswith("wss:") else None


class UpstreamDialer:
    """`Dialer` in a station's name. Who it is there, and what it shows, is looked up at each attempt."""

    def __init__(
        self, upstream: Upstream, seat: Seat, tls: UpstreamTls, *, compress: bool, telling: Telling | None = None
    ) -> None:
        self._upstream = upstream
        self._seat = seat
        self._tls = tls
        self._telling = telling or Telling()
        known = seat.known
        url = station_url(upstream.url, known.identity, known.tenant)
        self._dialer = LoopDialer(url, compress=compress)

    def dial(self, receiver: Receiver, offered: Sequence[str], done: Callable[[DialResult], None]) -> None:
        """See `Dialer.dial`."""
        upstream, seat, dialer = self._upstream, self._seat, self._dialer
        password = seat.known.passwords.get(upstream.name, upstream.password)
        if password is not None and not (seat.notes.moved and upstream is seat.around.config.upstreams[0]):
            dialer.user, dialer.password = upstream.user or seat.known.identity, password.encode()
        elif seat.credential is not None:
            dialer.user, dialer.password = upstream.user or seat.credential[0], seat.credential[1]
        elif seat.known.security_profile in (1, 2):
            # To knock without a password would be counted as an attempt to break in.
            result = DialResult(status=0, reason="no password until the station has come")
            asyncio.get_running_loop().call_soon(done, result)
            return
        else:
            dialer.user = dialer.password = None
        try:
            dialer.ssl = self._tls(upstream, seat.known)
        except ConfigError as error:
            result = DialResult(status=0, reason=str(error))
            asyncio.get_running_loop().call_soon(self._dialed, done, result)
            return
        dialer.dial(receiver, offered, functools.partial(self._dialed, done))

    def _dialed(self, done: Callable[[DialResult], None], result: DialResult) -> None:
        self._telling.dialed(self._upstream, self._seat.known, result)
        done(result)


class LiveController:
    """A `LocalController` with its listener, dialers and store. Made and used on one event loop."""

    def __init__(
        self,
        config: ControllerConfig,
        path: Path | str,
        *,
        prefix: str = "/ocpp",
        upstream_ssl: UpstreamTls = no_tls,
        compress: bool = True,
        prepare: Callable[[LocalController], None] = lambda controller: None,
        report: Callable[[str], None] = lambda text: None,
    ) -> None:
        """`path`: the store's file. `prepare` is called when the seats are there and
        nobody has been let in yet: the place to make `ManagedStation`s. `report`: who is refused, and who refuses us.
        Raises ConfigError where the store cannot be opened."""
        self.store = SqliteForwarding(path)
        self.server = PicowsServer(prefix=prefix)
        self.secure = PicowsServer(prefix=prefix)
        telling = Telling(report)
        self.controller = LocalController(
            config,
            LoopScheduler(),
            SystemIds(),
            Random(),
            self.store,
            lambda upstream, seat: UpstreamDialer(upstream, seat, upstream_ssl, compress=compress, telling=telling),
            telling,
        )
        self._prepare = prepare
        self._ready = False

    def make_ready(self) -> LocalController:
        """Take up what a restart left and prepare, unless that is done: for who needs the seats before we listen."""
        if not self._ready:
            self._ready = True
            self.controller.start()
            self._prepare(self.controller)
        return self.controller

    async def start(
        self,
        host: str,
        port: int,
        *,
        ssl: ssl_module.SSLContext | ServerTls | None = None,
        limits: EdgeLimits | None = None,
    ) -> None:
        """Listen. Raises OSError when the address cannot be bound."""
        self.make_ready()
        await self.server.start(host, port, self.controller, ssl=ssl, limits=limits)

    async def start_tls(self, host: str, port: int, tls: ServerTls, *, limits: EdgeLimits | None = None) -> None:
        """Listen for stations of security profiles 2 and 3. Raises OSError when the address cannot be bound."""
        self.make_ready()
        await self.secure.start(host, port, self.controller, ssl=tls, limits=limits)

    @property
    def port(self) -> int:
        return self.server.port

    async def stop(self, grace_s: float = 1.0) -> None:
        """Stations are sent away with 1012, what was given is committed, the store is closed."""
        self.controller.stop()
        await asyncio.gather(self.server.drain(grace_s), self.secure.drain(grace_s))
        await self.store.close()
