"""Discovery over UDP: the station that answers on its interface, the vehicle that asks on its own."""

from __future__ import annotations

import asyncio
from typing import Any, Literal, cast

from pilotwire.core.errors import TransientError
from pilotwire.core.runner import Runner
from pilotwire.core.time import Scheduler
from pilotwire.protocols.iso15118.sdp import (
    GROUP,
    PORT,
    Datagram,
    Found,
    NotFound,
    SdpClient,
    SdpServer,
    Wireless,
)

from . import interfaces
from .tap import Tap, Tapped


class StationNotFound(TransientError):
    """No station has answered as the vehicle wants it."""


class _Carrier(asyncio.DatagramProtocol):
    """A socket with a machine of discovery behind it."""

    def __init__(self, scheduler: Scheduler, tap: Tap | None) -> None:
        self.runner: Runner | None = None
        self._scheduler = scheduler
        self._tap = tap
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        if self.runner is not None:
            self.runner.lost()

    def send(self, data: bytes, peer: Any) -> None:
        if self._transport is not None:
            self._see(data, peer, sent=True)
            self._transport.sendto(data, peer)

    def see(self, data: bytes, peer: Any) -> None:
        self._see(data, peer, sent=False)

    def _see(self, data: bytes, peer: Any, *, sent: bool) -> None:
        if self._tap is None or self._transport is None:
            return
        local = self._transport.get_extra_info("sockname")
        now = int(self._scheduler.now())
        self._tap(Tapped(now, sent, "udp", _plain(local), _plain(peer), data))


def _plain(address: Any) -> tuple[str, int]:
    return str(address[0]).partition("%")[0], int(address[1])


class _Answering(_Carrier):
    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.see(data, addr)
        if self.runner is not None:
            self.runner.received(Datagram(data, addr))


class _Asking(_Carrier):
    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.see(data, addr)
        if self.runner is not None:
            self.runner.received(data)


async def answer(
    machine: SdpServer, interface: str, scheduler: Scheduler, tap: Tap | None = None
) -> asyncio.DatagramTransport:
    """Answers what is asked on the interface until the transport is closed. Raises ConfigError."""
    carrier = _Answering(scheduler, tap)
    carrier.runner = Runner(
        machine, scheduler, send=lambda out: carrier.send(out.data, out.peer), event=lambda event: None
    )
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: carrier, sock=interfaces.sdp_listener(interface)
    )
    return transport


async def ask(
    interface: str,
    scheduler: Scheduler,
    *,
    tls: Literal["required", "preferred", "none"],
    wireless: Wireless | None = None,
    tap: Tap | None = None,
) -> Found:
    """The first station that answers as wanted; a quarter of a minute at most. Raises StationNotFound, ConfigError."""
    address = await interfaces.ready(interface)
    loop = asyncio.get_running_loop()
    result: asyncio.Future[Found | NotFound] = loop.create_future()
    group = (GROUP, PORT, 0, interfaces.index_of(interface))
    carrier = _Asking(scheduler, tap)

    def told(event: Found | NotFound) -> None:
        if not result.done():
            result.set_result(event)

    carrier.runner = Runner(
        SdpClient(tls, wireless), scheduler, send=lambda data: carrier.send(data, group), event=told
    )
    transport, _ = await loop.create_datagram_endpoint(lambda: carrier, sock=interfaces.sdp_asker(interface, address))
    try:
        carrier.runner.start()
        found = await result
    finally:
        carrier.runner.stop()
        transport.close()
    if isinstance(found, NotFound):
        raise StationNotFound(f"no station on {interface}: {found.reason}")
    return found
