"""The transport protocol against an independent implementation: PyPI `can-j1939` on a virtual bus, both directions."""

from __future__ import annotations

import asyncio
import contextlib

import can
import j1939
import pytest

from pilotwire.core.machines import Send
from pilotwire.protocols.j1939 import Delivered, Limits, Packet, Transport
from pilotwire.transport.can import CanBus

CHARGER, BMS = 0x56, 0xF4


class Ours:
    """A transport on a bus, in real time."""

    def __init__(self, bus: CanBus, address: int, limits: Limits) -> None:
        self.bus, self.transport = bus, Transport(address, limits)
        self.loop = asyncio.get_running_loop()
        self.seen: list[object] = []
        bus.subscribe(lambda frame: self.do(self.transport.receive(frame, self.now)))

    @property
    def now(self) -> int:
        return int(self.loop.time() * 1000)

    def do(self, effects: list[object]) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                self.bus.send(effect.data)
            else:
                self.seen.append(effect)

    async def until(self, ready) -> None:
        async with asyncio.timeout(90):
            while not ready():
                self.do(self.transport.elapse(self.now))
                await asyncio.sleep(0.002)


@contextlib.contextmanager
def theirs(channel: str, address: int, window: int):
    """An ECU of can-j1939 with one application, which has its address at once."""
    ecu = j1939.ElectronicControlUnit(max_cmdt_packets=window)
    ecu.connect(interface="virtual", channel=channel)
    name = j1939.Name(arbitrary_address_capable=0, identity_number=1)
    application = j1939.ControllerApplication(name, address, bypass_address_claim=True)
    ecu.add_ca(controller_application=application)
    application.start()
    try:
        yield application
    finally:
        application.stop()
        ecu.disconnect()
        ecu.stop()


@pytest.mark.parametrize("window", [1, 255])
async def test_what_we_send_arrives_there(window: int):
    channel = f"peer-out-{window}"
    with theirs(channel, CHARGER, window) as peer:
        bus = CanBus(can.Bus(interface="virtual", channel=channel))
        heard: list[tuple[int, int, bytes]] = []
        peer.subscribe(lambda priority, pgn, sa, timestamp, got: heard.append((pgn, sa, bytes(got))))
        ours = Ours(bus, BMS, Limits(pace_ms=0))
        for size in (9, 49, 300):
            data = bytes(number % 251 for number in range(size))
            ours.do(ours.transport.send(0x0200, CHARGER, data, 7, ours.now))
            await ours.until(lambda: heard and ours.seen)
            assert heard == [(0x0200, BMS, data)]
            assert ours.seen == [Delivered(pgn=0x0200, da=CHARGER)]
            heard.clear()
            ours.seen.clear()
        bus.close()
    assert ours.transport.counts.malformed == 0


async def test_what_they_send_arrives_here():
    channel = "peer-in"
    with theirs(channel, BMS, 255) as peer:
        for window in (1, 4, 255):
            bus = CanBus(can.Bus(interface="virtual", channel=channel))
            ours = Ours(bus, CHARGER, Limits(window=window))
            for size in (9, 13, 49, 300):
                data = bytes(number % 251 for number in range(size))
                async with asyncio.timeout(90):
                    while not peer.send_pgn(0, 0x02, CHARGER, 7, list(data)):  # the last one is not over for it yet
                        await asyncio.sleep(0.005)
                await ours.until(ours.seen.__len__)
                packets = [(each.pgn, each.sa, each.data) for each in ours.seen if isinstance(each, Packet)]
                assert packets == [(0x0200, BMS, data)]
                ours.seen.clear()
            assert ours.transport.counts.malformed == 0
            bus.close()
