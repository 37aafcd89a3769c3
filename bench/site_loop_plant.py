"""Meter, chargers and stations of a site as one process: `python -m bench.site_loop_plant MODBUS OCPP BOX_URL`.

The meter and each of the Modbus chargers is a server of its own on loopback, made from its device file; the stations
are our station program, half of them OCPP 1.6, half 2.0.1, each with a connection of its own to the box. Every bay has
a car that takes 16 A on three phases; the meter shows what all cars draw beside a building.

Says {"meter": PORT, "chargers": [[FILE, PORT, UNIT], ...]}, and on "steps N" on its input makes N steps of the
building, up and down in turn, and says of each {"to_ma", "ms", "modbus_ms", "ocpp_ms", "late", "held"}: from the
moment at which the meter answered with the new load until the last set-point of all chargers, and of those of each
kind, had arrived: written into its register, or there as SetChargingProfile. `late` names chargers that heard nothing
of it within `PATIENCE_S`, `held` counts those whose last change was not over when a raise began: they do not count.
Ends with its input.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Callable, Sequence
from random import Random
from typing import TYPE_CHECKING, Any, cast

import uvloop

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
    from pilotwire.protocols.ocpp.version import VersionName
    from pilotwire.site.devices.behaviour import ChargerBehaviour, MeterBehaviour
    from pilotwire.transport.port import DialResult, Link, Receiver

PRODUCTS = (
    "alfen-ng9xx",
    "phoenix-charx-sec",
    "webasto-next",
    "heidelberg-energy-control",
    "webasto-unite",
    "abb-terra-ac",
    "heidelberg-connect",
)
"""In turn. All of them have a watchdog and take a write at any time. A KEBA wants 5 s between two raises, which is
its own pace and not ours."""
CAR_MA = 16_000
LOW_MA, HIGH_MA = 500, 3_500
"""The building, per charger and phase."""
FUSE_MA, SPARE_MA = 12_500, 900
"""Per charger and phase, and once: 12 A each beside the small load, 9 A beside the large one, and what is left over is
too little for anybody."""
POWER_FACTOR = 960
"""Of the simulated meter, per mille."""
SETTLE_S, QUIET_S, PATIENCE_S = 10.0, 11.0, 30.0
"""A change is over after 10 s at the latest here. Who was lowered is not raised before: that is another rule's time."""
TOKEN = "BENCH-CARD"

CAR = CarKind(name="endless", capacity_wh=2_000_000, ac_phases=3, ac_max_ma=CAR_MA)


class Arrivals:
    """What each charger was told last, and when."""

    def __init__(self) -> None:
        self.values: dict[str, int] = {}
        self.at: dict[str, float] = {}
        self.changed = 0.0
        self.last: dict[str, float] = {}
        """When each was told something else."""
        self._before: dict[str, int] = {}
        self._up = False
        self._missing: set[str] = set()
        self.complete = asyncio.Event()

    def told(self, name: str, value: int) -> None:
        """A set-point has arrived."""
        now, before = time.monotonic(), self.values.get(name)
        self.values[name] = value
        if value != before:
            self.changed = self.last[name] = now
        if name in self._missing and (value > self._before[name] if self._up else value < self._before[name]):
            self.at[name] = now
            self._missing.discard(name)
            if not self._missing:
                self.complete.set()

    def expect(self, *, up: bool) -> int:
        """From now on each is to be told more, or less. Returns how many will not be raised yet: their last change is
        not over."""
        self._before, self._up, self._missing = dict(self.values), up, set(self.values)
        if up:
            self._missing -= {name for name, at in self.last.items() if time.monotonic() - at < SETTLE_S}
        self.at.clear()
        self.complete.clear()
        return len(self.values) - len(self._missing)

    @property
    def missing(self) -> list[str]:
        return sorted(self._missing)


class _Overhearing:
    """A station's receiver: what it is told is noted as it arrives."""

    def __init__(self, receiver: Receiver, told: Callable[[int], None]) -> None:
        self._receiver, self._told = receiver, told

    def opened(self, link: Link) -> None:
        self._receiver.opened(link)

    def frame(self, data: bytes) -> None:
        if b'"SetChargingProfile"' in data[:80]:
            request = json.loads(data)[3]
            profile = request.get("csChargingProfiles") or request["chargingProfile"]
            schedule = profile["chargingSchedule"]
            schedule = schedule[0] if isinstance(schedule, list) else schedule
            if profile["stackLevel"] > 0:
                self._told(round(schedule["chargingSchedulePeriod"][0]["limit"] * 1_000))
        self._receiver.frame(data)

    def pong(self) -> None:
        self._receiver.pong()

    def closed(self, code: int, reason: str) -> None:
        self._receiver.closed(code, reason)


class _Dialer(LoopDialer):
    told: Callable[[int], None]

    def dial(self, receiver: Receiver, offered: Sequence[str], done: Callable[[DialResult], None]) -> None:
        super().dial(_Overhearing(receiver, self.told), offered, done)


class Plant:
    """See the module."""

    def __init__(self, modbus: int, stations: int, url: str) -> None:
        self._steady, self._wall, random = SteadyScheduler(), LoopScheduler(), Random(1)
        self._random, self._count = random, modbus + stations
        self.arrivals = Arrivals()
        self._building = LOW_MA * self._count
        self._answered: asyncio.Event | None = None
        self._answered_at = 0.0
        self._meter_side = Simulator(self._steady)
        self._meter = cast("MeterBehaviour", self._meter_side.add(find_device("eastron-sdm630"), unit=1))
        self._meter.asked = self._asked  # type: ignore[method-assign]
        self.sides: list[Simulator] = []
        self._outlets: list[ChargerBehaviour] = []
        self.files: list[str] = []
        for at in range(modbus):
            self._charger(at)
        self.stations: list[Station] = []
        for at in range(stations):
            self._station(at, url)

    def _charger(self, at: int) -> None:
        file = PRODUCTS[at % len(PRODUCTS)]
        side = Simulator(self._steady)
        outlet = cast("ChargerBehaviour", side.add(find_device(file)))
        told, name = outlet.told, f"modbus-{at + 1}"

        def heard(command: str, value: int, now: int) -> None:
            if command == "limit_ma":
                self.arrivals.told(name, value)
            told(command, value, now)

        outlet.told = heard  # type: ignore[method-assign]
        outlet.plugged, outlet.car_ma = True, CAR_MA
        self.sides.append(side)
        self._outlets.append(outlet)
        self.files.append(file)

    def _station(self, at: int, url: str) -> None:
        name = f"ocpp-{at + 1}"
        version: VersionName = ("1.6", "2.0.1")[at % 2]  # type: ignore[assignment]
        dialer = _Dialer(f"{url}/{name}")
        dialer.told = lambda value: self.arrivals.told(name, value)
        config = StationConfig(
            identity=name, version=version, evses=(EvseConfig(max_ma=CAR_MA, max_w=11_040),), security_profile=0
        )
        self.stations.append(
            Station(config, self._wall, dialer, SystemIds(), Random(at), MemoryStorage(), truth_limit=10)
        )

    async def listen(self) -> dict[str, Any]:
        """All servers; returns what the site has to know of them."""
        meter = await self._meter_side.listen()
        chargers = [
            (file, await side.listen(), side.layout(outlet).unit)
            for file, side, outlet in zip(self.files, self.sides, self._outlets, strict=True)
        ]
        self._flow()
        return {"meter": meter, "chargers": chargers}

    def _flow(self) -> None:
        """Load on the meter, five times a second: a real one never says the same twice."""
        self._steady.call_later(200, self._flow)
        self._load()

    def _load(self) -> None:
        now = int(self._steady.now())
        drawn = sum(int(each.step(now).get("current_l1_ma", 0)) for each in self._outlets)
        drawn += sum(station.evses[0].meter.power_mw * 1_000 // 690_000 for station in self.stations)
        ma = drawn + self._building + self._random.randint(-20, 20)
        l1, l2, l3 = (ma * volt * POWER_FACTOR // 1_000_000 for volt in VOLTS)
        self._meter.loads = (l1, l2, l3)  # type: ignore[assignment]

    def _asked(self, now: int) -> None:
        if self._answered is not None and not self._answered.is_set():
            self._answered_at = time.monotonic()
            self._answered.set()

    async def connect(self) -> None:
        """Stations come, cards are shown, until every car charges and everybody was told something."""
        for station in self.stations:
            station.power_on()
            station.plug(1, Vehicle(CAR, 100))
        end = time.monotonic() + 120
        while time.monotonic() < end:
            await asyncio.sleep(1)
            for station in self.stations:
                session = station.evses[0].session
                if station.online and (session is None or not session.authorized):
                    station.tap(1, TOKEN)
            charging = sum(station.evses[0].meter.power_mw > 0 for station in self.stations)
            charging += sum(outlet.offered_ma > 0 for outlet in self._outlets)
            if charging == len(self.arrivals.values) == self._count:
                return
        raise RuntimeError(f"{charging} of {self._count} cars charge, {len(self.arrivals.values)} were told something")

    async def step(self, building: int) -> dict[str, Any]:
        """One step of the building's load."""
        arrivals = self.arrivals
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < min(end, arrivals.changed + QUIET_S):
            await asyncio.sleep(0.05)
        # At no particular moment of anybody's cycle.
        await asyncio.sleep(self._random.random())
        held = arrivals.expect(up=building < self._building)
        self._building = building
        self._load()
        self._meter_side.step()
        self._answered = asyncio.Event()
        await self._answered.wait()
        begun, self._answered = self._answered_at, None
        try:
            async with asyncio.timeout(PATIENCE_S):
                await arrivals.complete.wait()
        except TimeoutError:
            pass  # they are named
        took = {name: round((at - begun) * 1_000) for name, at in arrivals.at.items()}
        kinds = {
            f"{kind}_ms": max((ms for name, ms in took.items() if name.startswith(kind)), default=0)
            for kind in ("modbus", "ocpp")
        }
        return {"to_ma": building, "ms": max(took.values(), default=0), **kinds, "late": arrivals.missing, "held": held}

    async def close(self) -> None:
        for station in self.stations:
            station.power_off()
        for side in (self._meter_side, *self.sides):
            await side.close()


async def main(modbus: int, stations: int, url: str) -> None:
    """See the module."""
    plant = Plant(modbus, stations, url)
    print(json.dumps(await plant.listen()), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        command, _, number = line.strip().partition(" ")
        if command == "connect":
            await plant.connect()
            print(json.dumps({"connected": True}), flush=True)
        elif command == "steps":
            for at in range(int(number)):
                wanted = (HIGH_MA if at % 2 == 0 else LOW_MA) * (modbus + stations)
                print(json.dumps(await plant.step(wanted)), flush=True)
    await plant.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
