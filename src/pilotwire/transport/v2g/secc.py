"""The station on the network: discovery, TCP and TLS listeners, one machine for each vehicle that connects.

def opened(link: V2gLink) -> Events:             a vehicle has connected
    plugged.attach(link.command)                 what the station wants goes to it
    return plugged.event                         what it says comes here

server = await run_secc(SeccConfig(), opened, interface="eth1", tls=SeccTls(chain="secc.pem", key="secc.key"))
...
await server.close()
"""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
from collections.abc import Callable, MutableMapping
from typing import Any, Final

import msgspec

from pilotwire.core.errors import ConfigError, RemoteError
from pilotwire.core.machines import Machine
from pilotwire.core.time import Scheduler
from pilotwire.protocols.iso15118.config import SeccConfig
from pilotwire.protocols.iso15118.sdp import SdpServer
from pilotwire.protocols.iso15118.secc import Secc
from pilotwire.transport.runtime import SteadyScheduler

from . import discovery, hello, interfaces
from .link import Events, V2gLink
from .tap import Tap
from .tls import SeccContexts, SeccTls, secc_contexts

HANDSHAKE_S: Final = 10.0
"""A TLS handshake that takes longer is given up."""
SHUTDOWN_S: Final = 5.0
BACKLOG: Final = 16
_LATER_S: Final = 0.1

log = logging.getLogger("pilotwire.transport.v2g")

Opened = Callable[[V2gLink], Events]


class SeccServer:
    """Listeners and the conversations that came of them. `run_secc` makes one."""

    def __init__(
        self,
        make: Callable[[V2gLink], Machine],
        opened: Opened,
        *,
        most: int = 1,
        scheduler: Scheduler | None = None,
        tap: Tap | None = None,
    ) -> None:
        """`make` gives the machine of a connection that is up. At most `most` are up at once: a vehicle that connects
        anew while its old connection still hangs takes that one's place, or that of one that has said nothing yet;
        others are turned away."""
        self.links: set[V2gLink] = set()
        self.turned_away = 0
        """Connections beyond `most`, and handshakes beyond what is done at once."""
        self.refused = 0
        """Handshakes that failed."""
        self.tcp_port: int | None = None
        self.tls_port: int | None = None
        self.sdp: SdpServer | None = None
        """What answers discovery; None: nothing does."""
        self._make = make
        self._opened = opened
        self._most = most
        self._scheduler = scheduler or SteadyScheduler()
        self._tap = tap
        self._servers: list[asyncio.Server] = []
        self._listeners: list[socket.socket] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._handshakes = 0
        self._discovery: asyncio.DatagramTransport | None = None

    async def listen(self, listener: socket.socket, contexts: SeccContexts | None = None) -> int:
        """Take connections of a listening socket, with TLS if there are contexts. Returns its port."""
        port = int(listener.getsockname()[1])
        if contexts is None:
            loop = asyncio.get_running_loop()
            self._servers.append(await loop.create_server(self._link, sock=listener, backlog=BACKLOG))
            self.tcp_port = port
        else:
            self._listeners.append(listener)
            self._tasks.add(asyncio.create_task(self._accept(listener, contexts)))
            self.tls_port = port
        return port

    async def _accept(self, listener: socket.socket, contexts: SeccContexts) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                log.warning("cannot accept a connection: %s", error)
                await asyncio.sleep(_LATER_S)
                continue
            if self._handshakes >= BACKLOG:
                self.turned_away += 1
                connection.close()
                continue
            task = asyncio.create_task(self._secure(connection, contexts))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _secure(self, connection: socket.socket, contexts: SeccContexts) -> None:
        self._handshakes += 1
        try:
            connection.setblocking(False)
            context = contexts.fitting(await hello.peek(connection, HANDSHAKE_S))
            await asyncio.get_running_loop().connect_accepted_socket(
                self._link, connection, ssl=context,
                ssl_handshake_timeout=HANDSHAKE_S, ssl_shutdown_timeout=SHUTDOWN_S,
            )  # fmt: skip
        except (OSError, TimeoutError, RemoteError) as error:  # TLS errors are OSErrors
            self.refused += 1
            log.warning("a TLS handshake failed: %s", str(error) or type(error).__name__)
            connection.close()
        except asyncio.CancelledError:
            connection.close()
            raise
        finally:
            self._handshakes -= 1

    async def discoverable(self, interface: str, address: str, evse_id: str = "") -> None:
        """Answer discovery with the ports that are listened on."""
        self.sdp = SdpServer(address, tcp=self.tcp_port, tls=self.tls_port, evse_id=evse_id)
        self._discovery = await discovery.answer(self.sdp, interface, self._scheduler, self._tap)

    async def close(self) -> None:
        """Listen no more and cut what is up; the machines hear of it before this returns."""
        if self._discovery is not None:
            self._discovery.close()
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for listener in self._listeners:
            listener.close()
        open_links = list(self.links)
        for link in open_links:
            link.drop("the station stops")
        if open_links:
            await asyncio.wait([link.done for link in open_links], timeout=SHUTDOWN_S)

    async def __aenter__(self) -> SeccServer:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    def _link(self) -> V2gLink:
        return V2gLink(
            self._make, self._admitted, self._scheduler, peer_side="ev", tap=self._tap, gone=self.links.discard
        )

    def _admitted(self, link: V2gLink) -> Events:
        if len(self.links) >= self._most:
            stale = next((one for one in self.links if one.peer[0] == link.peer[0] or _silent(one)), None)
            if stale is None:
                self.turned_away += 1
                link.close("there is another conversation already")
                return lambda event: None
            self.links.discard(stale)
            stale.drop("another connection took its place")
        self.links.add(link)
        return self._opened(link)


async def run_secc(
    config: SeccConfig,
    opened: Opened,
    *,
    interface: str | None = None,
    host: str | None = None,
    tcp_port: int | None = 0,
    tls_port: int = 0,
    tls: SeccTls | None = None,
    pnc: Any = None,
    paused: MutableMapping[bytes, Any] | None = None,
    most: int = 1,
    random: Callable[[int], bytes] = secrets.token_bytes,
    scheduler: Scheduler | None = None,
    tap: Tap | None = None,
) -> SeccServer:
    """A station that waits for vehicles: `opened(link)` is called for each one, and returns who hears its events.

    With `interface` it listens on that interface's link-local address and answers discovery there; with `host`, an IP
    address, it listens only there and nothing answers discovery (both: it listens on `host`, discovery names `host`).
    Port 0 is any of 49152 to 65535; `tcp_port` None: no conversation without TLS. `tls`: with TLS as well. `pnc`,
    `paused` and `random` are the machines'. Raises ConfigError, TransientError when the interface gets no address.
    """
    if interface is None and host is None:
        raise ConfigError("a station listens on an interface or on a host")
    if tcp_port is None and tls is None:
        raise ConfigError("a station without plain TCP needs certificates")
    contexts = secc_contexts(tls) if tls is not None else None
    if host is None:
        assert interface is not None
        host = await interfaces.ready(interface)
    sessions: MutableMapping[bytes, Any] = {} if paused is None else paused

    def make(link: V2gLink) -> Machine:
        return Secc(
            _narrowed(config, link, tls), random=random, tls=link.tls, pnc=pnc if link.tls else None, paused=sessions
        )

    server = SeccServer(make, opened, most=most, scheduler=scheduler, tap=tap)
    try:
        if tcp_port is not None:
            await server.listen(interfaces.tcp_listener(host, tcp_port, interface, secrets.randbelow))
        if contexts is not None:
            await server.listen(interfaces.tcp_listener(host, tls_port, interface, secrets.randbelow), contexts)
        if interface is not None:
            await server.discoverable(interface, host, config.evse_id)
    except BaseException:
        await server.close()
        raise
    return server


def _silent(link: V2gLink) -> bool:
    """Nothing was agreed on with it."""
    return isinstance(link.machine, Secc) and link.machine.dialect is None


def _narrowed(config: SeccConfig, link: V2gLink, tls: SeccTls | None) -> SeccConfig:
    """ISO 15118-20 wants TLS 1.3, and the vehicle's certificate; other dialects go without."""
    if link.secured is None or tls is None:
        return config
    shown = bool(link.secured.certificate) or not tls.demand_vehicle
    if link.secured.version == "TLSv1.3" and shown:
        return config
    return msgspec.structs.replace(
        config, dialects=tuple(one for one in config.dialects if not one.startswith("iso20"))
    )
