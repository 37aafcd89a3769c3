"""Our charger against a BMS of another make: bytes written by hand, long messages carried by PyPI `can-j1939`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any

import j1939
from tests.protocols.gbt27930 import gbt_process

from pilotwire.core.evse_link import Connected, Ended, Identified, Limits, Needs, Requested
from pilotwire.transport.can import open_bus

CHARGER, BMS = 0x56, 0xF4
VIN = b"LSVAA49J132047371"
BRM = bytes.fromhex("01010006dc05d80e") + b"\xff" * 16 + VIN + b"\xff" * 8
BCP = bytes.fromhex("a401d0075802941169f401d80e")
BCL = bytes.fromhex("a00fb80b02")
BCS = bytes.fromhex("d80eb80b8601321e00")
BSM = bytes.fromhex("004b00460100d0")
BSD = bytes.fromhex("5a860190014650")


class Bms:
    """Does what each message of the charger asks for, and ends after half a second of charging."""

    def __init__(self, loop: asyncio.AbstractEventLoop, application: j1939.ControllerApplication) -> None:
        self.loop, self.application = loop, application
        self.says: dict[int, tuple[int, bytes]] = {}
        self.heard: dict[int, bytes] = {}
        self.charging_since: float | None = None
        application.subscribe(lambda *message: loop.call_soon_threadsafe(self.on, message[1], bytes(message[4])))

    def on(self, pgn: int, data: bytes) -> None:
        self.heard[pgn] = data
        match pgn >> 8, data[0]:
            case 0x26, _:
                self.says = {0x27: (6, bytes.fromhex("9411"))}
            case 0x01, 0x00:
                self.says = {0x02: (7, BRM)}
            case 0x01, 0xAA:
                self.says = {0x06: (7, BCP)}
            case 0x08, _ if 0x06 in self.says:
                self.says = {0x09: (4, b"\xaa")}
            case 0x0A, 0xAA:
                self.says = {0x10: (6, BCL), 0x11: (7, BCS), 0x13: (6, BSM)}
            case 0x12, _:
                self.charging_since = self.charging_since or self.loop.time()
                if self.loop.time() - self.charging_since > 0.5 and 0x10 in self.says:
                    self.says = {0x19: (4, bytes.fromhex("010000f0"))}
            case 0x1A, _:
                self.says = {0x1C: (6, BSD)}
            case 0x1D, _:
                self.says = {}

    async def talk(self) -> None:
        turn = 0
        while True:
            for pf, (priority, data) in dict(self.says).items():
                if turn % 5 == 0 or pf == 0x10:  # BCL every 50 ms, all others every 250 ms
                    self.application.send_pgn(0, pf, CHARGER, priority, list(data))
            turn += 1
            await asyncio.sleep(0.05)


@contextlib.contextmanager
def theirs(channel: str) -> Iterator[j1939.ControllerApplication]:
    ecu = j1939.ElectronicControlUnit()
    ecu.connect(interface="virtual", channel=channel)
    name = j1939.Name(arbitrary_address_capable=0, identity_number=1)
    application = j1939.ControllerApplication(name, BMS, bypass_address_claim=True)
    ecu.add_ca(controller_application=application)
    application.start()
    try:
        yield application
    finally:
        application.stop()
        ecu.disconnect()
        ecu.stop()


async def test_a_session_with_a_bms_of_another_make():
    told: list[Any] = []
    with theirs("gbt-peer") as application:
        bus = open_bus("virtual:gbt-peer")
        bms = Bms(asyncio.get_running_loop(), application)
        talking = asyncio.create_task(bms.talk())
        try:
            async with asyncio.timeout(90):
                await gbt_process.evse(bus, told.append)
        finally:
            talking.cancel()
            bus.close()
    of = {kind: [event for event in told if isinstance(event, kind)] for kind in map(type, told)}
    assert of[Connected] == [Connected(protocol="gbt27930-2015")]
    assert of[Identified] == [Identified(vin=VIN.decode())]
    assert of[Limits][1] == Limits(service="DC", max_mv=450_000, max_ma=200_000, capacity_wh=60_000)
    assert Requested(mv=400_000, ma=100_000) in of[Requested]
    assert [needs.soc for needs in of[Needs]] == [500, 500, 900]
    assert of[Needs][1].remaining_ms == 30 * 60_000
    assert of[Ended] == [
        Ended(reason="the vehicle has stopped (BST): the wanted state of charge is reached", by="ev", ok=True)
    ]
    assert bms.heard[0x2600].hex() == "010100"
    assert bms.heard[0x0800].hex() == "4c1dd007dc05a00f"
    assert bms.heard[0x1A00].hex() == "4000f0f0"
    assert len(bms.heard[0x1200]) == 8 and len(bms.heard[0x1D00]) == 8
