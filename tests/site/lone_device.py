"""One device of a site as a process of its own, that can be killed alone: see `test_site_run_killed`.

    python -m tests.site.lone_device meter PORT HEAR        its load comes to the UDP port HEAR: mA of each phase
    python -m tests.site.lone_device charger FILE PORT TELL NAME
    python -m tests.site.lone_device station URL TELL NAME

Chargers and stations have a car that takes 16 A on three phases, and send {NAME: mA} to the UDP port TELL.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from collections.abc import Callable
from random import Random
from typing import TYPE_CHECKING, cast

from pilotwire.site.devices.behaviour import VOLTS
from pilotwire.site.devices.load import find_device
from pilotwire.site.devices.simulator import Simulator
from pilotwire.station.config import EvseConfig, StationConfig
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.transport.ocpp.client import LoopDialer
from pilotwire.transport.runtime import LoopScheduler, SteadyScheduler, SystemIds
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CarKind

if TYPE_CHECKING:
    from pilotwire.site.devices.behaviour import ChargerBehaviour, MeterBehaviour

CAR_MA = 16_000
CAR = CarKind(name="endless", capacity_wh=2_000_000, ac_phases=3, ac_max_ma=CAR_MA)
POWER_FACTOR = 960
"""Of the simulated meter, per mille."""


async def meter(port: int, hear: int) -> None:
    """A meter of the connection."""
    side = Simulator(SteadyScheduler())
    inside = cast("MeterBehaviour", side.add(find_device("eastron-sdm630"), unit=1))
    inside.loads = (0, 0, 0)  # type: ignore[assignment]
    await side.listen(port=port)

    class Hears(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: object) -> None:
            l1, l2, l3 = (
                ma * volt * POWER_FACTOR // 1_000_000 for ma, volt in zip(json.loads(data), VOLTS, strict=True)
            )
            inside.loads = (l1, l2, l3)

    await asyncio.get_running_loop().create_datagram_endpoint(Hears, local_addr=("127.0.0.1", hear))


async def charger(file: str, port: int, tell: int, name: str) -> None:
    """A Modbus charger."""
    scheduler = SteadyScheduler()
    side = Simulator(scheduler)
    inside = cast("ChargerBehaviour", side.add(find_device(file)))
    inside.plugged, inside.car_ma = True, CAR_MA
    await side.listen(port=port)
    asyncio.get_running_loop().create_task(
        _telling(tell, name, lambda: int(inside.step(int(scheduler.now()))["current_l1_ma"]))
    )


async def station(url: str, tell: int, name: str) -> None:
    """An OCPP 2.0.1 station that begins as soon as a car is plugged in."""
    config = StationConfig(
        identity=name, version="2.0.1", evses=(EvseConfig(max_ma=CAR_MA, max_w=11_040),), security_profile=0,
        autostart_token="", settings={"backoff_minimum": "1", "backoff_random": "1", "backoff_repeats": "1"},
    )  # fmt: skip
    made = Station(config, LoopScheduler(), LoopDialer(f"{url}/{name}"), SystemIds(), Random(1), MemoryStorage())
    made.power_on()
    made.plug(1, Vehicle(CAR, 100))
    asyncio.get_running_loop().create_task(
        _telling(tell, name, lambda: made.evses[0].meter.power_mw * 1_000 // 690_000)
    )


async def _telling(port: int, name: str, drawn: Callable[[], int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        while True:
            sender.sendto(json.dumps({name: drawn()}).encode(), ("127.0.0.1", port))
            await asyncio.sleep(0.1)


async def main(role: str, *given: str) -> None:
    """Runs until it is killed, or until its input ends."""
    match role:
        case "meter":
            await meter(int(given[0]), int(given[1]))
        case "charger":
            await charger(given[0], int(given[1]), int(given[2]), given[3])
        case _:
            await station(given[0], int(given[1]), given[2])
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
