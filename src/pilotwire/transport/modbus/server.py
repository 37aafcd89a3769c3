"""The Modbus server: many clients over TCP, or one bus.

    guard = Guard(MapHandler(bank), Access(clients=("10.0.0.0/24",), writers=("10.0.0.7",), writable=(...)), scheduler)
    server = Server(guard, ServerConfig(units=frozenset((1, 2))), scheduler)
    port = await server.listen("10.0.0.1", 502)
    await server.close()

Clients that may not connect are hung up on at once. Each client is answered in its own time: one that does not read its
answers is not read from, and loses its connection when it goes on.
"""

from __future__ import annotations

import asyncio
import termios
from collections.abc import Callable, Sequence
from typing import Any, cast

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.runner import Runner
from pilotwire.core.time import Scheduler
from pilotwire.protocols.modbus.errors import ModbusException, ServerDeviceFailure
from pilotwire.protocols.modbus.server import ModbusServer, Reply, Requested, ServerConfig, ServerCounts

from .carriers import SerialEndpoint, SerialPort
from .guard import SERIAL, Guard
from .registers import Outcome

__all__ = ["Client", "SerialServer", "Server", "ServerTotals"]


class ServerTotals(msgspec.Struct):
    """Of the connections; what was asked over them is in `Server.counts`."""

    connected: int = 0
    refused: int = 0
    """Not among the clients, or one too many."""
    stuck: int = 0
    """Hung up on because they did not read their answers."""
    failed: int = 0
    """Requests on which the application raised what it must not; the client was told exception 4."""


class Client:
    """One connection or bus: a `Caller`."""

    def __init__(
        self,
        name: str,
        guard: Guard,
        config: ServerConfig,
        scheduler: Scheduler,
        totals: ServerTotals,
        write: Callable[[bytes], None],
        close: Callable[[], None],
    ) -> None:
        self.name = name
        self.machine = ModbusServer(config, int(scheduler.now()))
        self._guard = guard
        self._totals = totals
        self._runner = Runner(self.machine, scheduler, send=write, event=self._event, close=lambda _: close())

    def received(self, data: bytes) -> None:
        """Bytes have come."""
        self._runner.received(data)

    def lost(self) -> None:
        """The carrier is gone."""
        self._runner.lost()

    def _event(self, event: Any) -> None:
        if isinstance(event, Requested):
            number = event.number
            try:
                self._guard.handle(self, event.unit, event.request, lambda outcome: self._reply(number, outcome))
            except Exception as error:
                # An application that is broken must not keep the client waiting, nor take the other clients with it.
                self._totals.failed += 1
                failure = error if isinstance(error, ModbusException) else ServerDeviceFailure()
                self._reply(number, failure)

    def _reply(self, number: int, outcome: Outcome) -> None:
        self._runner.command(Reply(number, outcome))


class _Connection(asyncio.Protocol):
    def __init__(self, server: Server) -> None:
        self._server = server
        self.client: Client | None = None
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self.transport.set_write_buffer_limits(high=self._server.backlog)
        peer = transport.get_extra_info("peername")
        self.client = self._server.arrived(self, str(peer[0]) if peer else "")
        if self.client is None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        if self.client is not None:
            self.client.received(data)

    def pause_writing(self) -> None:
        if self.transport is not None:
            self.transport.pause_reading()

    def resume_writing(self) -> None:
        if self.transport is not None:
            self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self.client is not None:
            self.client.lost()
            self._server.left(self)

    def write(self, data: bytes) -> None:
        assert self.transport is not None
        if self.transport.get_write_buffer_size() > 4 * self._server.backlog:
            self._server.totals.stuck += 1
            self.transport.abort()
        elif not self.transport.is_closing():
            self.transport.write(data)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.close()


class Server:
    """A server on a TCP port, with the framing of its config: Modbus TCP or RTU over TCP."""

    backlog = 16 * 1024
    """Bytes of answers that a client may leave unread before it is not read from."""

    def __init__(self, guard: Guard, config: ServerConfig, scheduler: Scheduler, *, connections: int = 32) -> None:
        self.totals = ServerTotals()
        self._guard = guard
        self._config = config
        self._scheduler = scheduler
        self._most = connections
        self._open: set[_Connection] = set()
        self._past = ServerCounts()
        self._server: asyncio.Server | None = None

    @property
    def counts(self) -> ServerCounts:
        """What has happened over all connections, those that are gone with them."""
        return _sum([self._past, *(each.client.machine.counts for each in self._open if each.client is not None)])

    async def listen(self, host: str, port: int) -> int:
        """Serve from now on; returns the port, which is a free one for 0. Raises ConfigError."""
        try:
            self._server = await asyncio.get_running_loop().create_server(lambda: _Connection(self), host, port)
        except OSError as error:
            raise ConfigError(f"cannot listen on {host}:{port} for Modbus: {error}") from None
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self) -> None:
        """Hang up on everybody."""
        if self._server is not None:
            self._server.close()
            for each in list(self._open):
                each.close()
            await self._server.wait_closed()
            self._server = None

    def arrived(self, connection: _Connection, name: str) -> Client | None:
        """Somebody has connected; None: turn them away."""
        if len(self._open) >= self._most or not self._guard.admits(name):
            self.totals.refused += 1
            return None
        self.totals.connected += 1
        self._open.add(connection)
        return Client(name, self._guard, self._config, self._scheduler, self.totals, connection.write, connection.close)

    def left(self, connection: _Connection) -> None:
        """A connection is gone."""
        if connection in self._open and connection.client is not None:
            self._open.discard(connection)
            self._past = _sum([self._past, connection.client.machine.counts])


class SerialServer:
    """A server on a bus, as the units of its config. Its client is called "serial", whoever that is."""

    def __init__(self, guard: Guard, config: ServerConfig, scheduler: Scheduler, endpoint: SerialEndpoint) -> None:
        """Raises ConfigError where the port cannot be opened, or "serial" is not among the guard's clients."""
        self.totals = ServerTotals(connected=1)
        self.trouble = ""
        """Why the port is not served any more, in words."""
        if not guard.admits(SERIAL):
            raise ConfigError(f'a bus is served to "{SERIAL}", which is not among the clients')
        config = msgspec.structs.replace(config, framing="rtu")
        self._client = Client(SERIAL, guard, config, scheduler, self.totals, self._write, self.close)
        try:
            self._port = SerialPort(endpoint, self._client.received, self._lost)
        except (OSError, termios.error) as error:
            raise ConfigError(f"the serial port {endpoint.path} cannot be opened: {error}") from None

    @property
    def counts(self) -> ServerCounts:
        """What has happened on the bus."""
        return self._client.machine.counts

    def close(self) -> None:
        """Leave the bus."""
        self._client.lost()
        self._port.close()

    def _write(self, data: bytes) -> None:
        self._port.write(data)

    def _lost(self, why: str) -> None:
        self.trouble = why
        self._client.lost()


def _sum(counts: Sequence[ServerCounts]) -> ServerCounts:
    names = ServerCounts.__struct_fields__
    return ServerCounts(**{name: sum(getattr(each, name) for each in counts) for name in names})
