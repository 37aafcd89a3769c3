"""Products' maps over an EVSE of any kind: our own drivers of them, pymodbus and pysunspec2 read and steer."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
import pytest
from pymodbus.client import AsyncModbusTcpClient
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP
from tests.site.facades.evses import SITE, FakeEvse, serving

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import SimScheduler
from pilotwire.domain.energy import Limit
from pilotwire.protocols.modbus.errors import (
    GatewayTargetFailed,
    IllegalDataAddress,
    IllegalDataValue,
    ServerDeviceBusy,
    ServerDeviceFailure,
)
from pilotwire.site.devices.driver import DeviceDriver, Pace, client_config
from pilotwire.site.devices.evse import ModbusEvse
from pilotwire.site.devices.load import library_paths, load_device
from pilotwire.site.facades.cells import Context, Served
from pilotwire.site.facades.group import GroupConfig
from pilotwire.site.facades.orders import EvseOrder, ExternalLimits, Fight
from pilotwire.site.facades.product import ProductConfig
from pilotwire.site.facades.serving import MapConfig, ServerOf, units_of
from pilotwire.site.ports import EvseStatus, Told
from pilotwire.transport.modbus.link import open_link

PATIENCE = 60.0
PRODUCTS = ["keba", "keba-p40", "alfen", "charx", "heidelberg", "heidelberg-connect"]
SOURCE = "modbus a"
WANTED = {"power_mw", "current_l1_ma", "energy_import_wh"}


class World:
    """A map in simulated time, without a server."""

    def __init__(self, name: str, count: int = 1, evses: Sequence[FakeEvse] = (), **more: Any) -> None:
        self.time = SimScheduler()
        self.evses = evses or [FakeEvse(f"bay-{n + 1}") for n in range(count)]
        self.fights: list[Fight] = []
        self.limits = ExternalLimits(self.fights.append)
        config = ServerOf(maps=(MapConfig(map=name, **more),))
        drivers: dict[str, Any] = {each.id: each for each in self.evses}
        self.units: dict[int, Served] = units_of(config, drivers, lambda: SITE, self.limits, self.now, "s")
        self.unit = min(self.units)

    @property
    def now(self) -> int:
        return int(self.time.now())

    def read(self, address: int, count: int = 1, *, table: Any = "holding", unit: int | None = None) -> list[int]:
        return list(self.units[unit or self.unit].read(Context("r", self.now), table, address, count))

    def write(self, address: int, *values: int, client: str = "a", unit: int | None = None) -> None:
        self.units[unit or self.unit].write(Context(client, self.now), "holding", address, values)

    @property
    def order(self) -> EvseOrder | None:
        return self.limits.at(self.now).evses.get("bay-1")


def f32(value: float) -> tuple[int, int]:
    high, low = struct.unpack(">HH", struct.pack(">f", value))
    return high, low


def as_f32(registers: list[int]) -> float:
    return struct.unpack(">f", struct.pack(">HH", *registers))[0]


# ── what each product would say and do ───────────────────────────────────────────────────────────────────────────────


def test_keba():
    world = World("keba")
    assert world.unit == 255
    world.evses[0].charges()
    assert world.read(1000, 2) == [0, 3] and world.read(1020, 2) == [11_040_000 >> 16, 11_040_000 & 0xFFFF]
    assert world.read(1008, 2) == [0, 16_000] and world.read(1502, 2) == [0, 43_210]
    assert world.read(1500, 2) == [0, 0x04AB]
    with pytest.raises(IllegalDataValue):
        world.read(1000, 4)  # one value at a time
    world.write(5004, 10_000)
    assert world.order == EvseOrder(maximum_ma=10_000, source=SOURCE)
    assert world.read(1100, 2) == [0, 10_000], "read back to see whether it was taken"
    world.time.run_for(24 * 3_600_000)
    assert world.order is not None, "without a fail-safe it holds until the next word"
    world.write(5016, 8_000)
    world.write(5018, 30)
    world.time.run_for(29_000)
    world.write(5004, 12_000)
    world.time.run_for(29_000)
    assert world.order == EvseOrder(maximum_ma=12_000, source=SOURCE), "a set-point keeps the fail-safe away"
    world.read(1000, 2)
    world.time.run_for(1_000)
    assert world.order == EvseOrder(maximum_ma=8_000, source=f"{SOURCE}, expired"), "reading does not"
    assert world.read(1100, 2) == [0, 8_000]
    world.write(5014, 0)
    world.write(5004, 16_000)
    assert world.order is not None and not world.order.enable
    for wrong in (0, 5_999, 63_001, 65_535):  # it is paused by 5014
        with pytest.raises(IllegalDataValue):
            world.write(5004, wrong)
    assert world.order.maximum_ma == 16_000
    assert world.read(5004) == [16_000], "what was refused stands nowhere"


class Unlockable(FakeEvse):
    """It has a plug that can be set free."""

    unlocks, restarts = True, False

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.unlocked = 0
        self.good = True

    def unlock(self, done: Callable[[Told], None]) -> None:
        self.unlocked += 1
        done(Told(self.good, "it jams"))

    def restart(self, done: Callable[[Told], None]) -> None: ...


@pytest.mark.parametrize(("name", "place"), [("keba", (5012, 0)), ("keba-p40", (5012, 0)), ("charx", (1305, 1))])
def test_a_plug_is_set_free_where_that_can_be(name: str, place: tuple[int, int]):
    with pytest.raises(ServerDeviceFailure, match="cannot be set free"):
        World(name).write(*place)
    evse = Unlockable("bay-1")
    world = World(name, evses=[evse])
    enable = 1300 if name == "charx" else 5014
    evse.charges()
    with pytest.raises(ServerDeviceBusy, match="disabled first"):
        world.write(*place)
    world.write(enable, 0)
    with pytest.raises(ServerDeviceBusy):
        world.write(*place)
    assert evse.unlocked == 0, "nothing is unlocked under current"
    evse.now = EvseStatus(online=True, pilot="B")
    world.write(*place)
    assert evse.unlocked == 1
    world.write(enable, 1)
    with pytest.raises(ServerDeviceBusy):
        world.write(*place)
    world.write(enable, 0)
    evse.good = False
    with pytest.raises(ServerDeviceFailure, match="it jams"):
        world.write(*place)


def test_keba_p40_switches_phases():
    world = World("keba-p40")
    world.write(5050, 3)
    world.write(5052, 0)
    assert world.order is not None and world.order.phases == 1
    world.write(5052, 1)
    assert world.order is not None and world.order.phases == 3


def test_alfen():
    world = World("alfen", 2)
    assert sorted(world.units) == [1, 2]
    world.evses[1].charges()
    assert as_f32(world.read(320, 2, unit=2)) == 16.0 and as_f32(world.read(344, 2, unit=2)) == 11_040.0
    energy = struct.unpack(">d", struct.pack(">4H", *world.read(374, 4, unit=2)))[0]
    assert energy == 1_234_567.0
    assert bytes.fromhex("".join(f"{each:04x}" for each in world.read(1201, 5, unit=2))).rstrip(b"\0") == b"C2"
    assert as_f32(world.read(346, 2)) != as_f32(world.read(346, 2)), "not measured: not a number"
    world.write(1210, *f32(10.5))
    assert world.order == EvseOrder(maximum_ma=10_500, source=SOURCE)
    assert world.read(1208, 2) == [0, 60] and world.read(1214) == [1]
    world.time.run_for(59_999)
    assert world.read(1208, 2) == [0, 1] and world.order == EvseOrder(maximum_ma=10_500, source=SOURCE)
    world.time.run_for(1)
    assert world.order == EvseOrder(maximum_ma=6_000, source=f"{SOURCE}, expired") and world.read(1214) == [0]
    with pytest.raises(IllegalDataValue):
        world.write(1210, *f32(float("nan")))
    with pytest.raises(IllegalDataValue):
        world.write(1210, *f32(33.0))
    world.write(1215, 1)
    assert world.order is not None and world.order.phases == 1


def test_alfen_group():
    world = World("alfen-station", 2, group=GroupConfig(maximum_ma=100_000, safe_ma=10_000))
    assert world.unit == 200
    assert world.read(168, 3) == [2026, 1, 1] and world.read(178) == [0], "UTC"
    assert world.read(1105) == [2] and world.read(1404) == [2]
    assert bytes.fromhex("".join(f"{each:04x}" for each in world.read(117, 5))).rstrip(b"\0") == b"Alfen NV"
    assert as_f32(world.read(1405, 2)) == 16.0
    world.write(1417, *f32(20.0))
    world.write(1419, *f32(25.0), *f32(30.0))
    lowest = [min(each.phases_ma[n] for each in world.limits.at(world.now).limits["grid"]) for n in range(3)]  # type: ignore[index]
    assert lowest == [20_000, 25_000, 30_000]
    assert as_f32(world.read(1411, 2)) == 20.0 and world.read(1423, 2) == [0, 60]
    world.time.run_for(60_000)
    lowest = [min(each.phases_ma[n] for each in world.limits.at(world.now).limits["grid"]) for n in range(3)]  # type: ignore[index]
    assert lowest == [10_000, 10_000, 10_000] and world.read(1423, 2) == [0, 0]
    with pytest.raises(IllegalDataValue):
        world.write(1417, *f32(101.0))


def test_charx():
    world = World("charx", 3)
    assert sorted(world.units) == [1]
    world.evses[2].charges()
    assert (
        world.read(3299) == [int.from_bytes(b"C2")]
        and world.read(1299) == [int.from_bytes(b"A1")]
        and world.read(3238, 2) == [0, 16_000]
    )
    assert world.read(3244, 2) == [11_040_000 >> 16, 11_040_000 & 0xFFFF]
    assert world.read(1301) == [32]
    world.write(1301, 16)
    assert world.order == EvseOrder(maximum_ma=16_000, source=SOURCE)
    world.write(3300, 0)
    assert not world.limits.at(world.now).evses["bay-3"].enable
    world.write(1306, 8, 30)
    world.time.run_for(30_000)
    assert world.order == EvseOrder(maximum_ma=8_000, source=f"{SOURCE}, expired")
    with pytest.raises(IllegalDataValue):
        world.write(1301, 81)
    with pytest.raises(IllegalDataValue):
        world.write(1300, 2)
    with pytest.raises(IllegalDataAddress):
        world.write(4301, 16)
    assert world.read(114) == [3] and world.read(149, 3) == [2, 1, 1] and len(world.read(100, 68)) == 68
    world.write(167, 40)
    assert world.limits.at(world.now).limits == {"grid": (Limit(SOURCE, phases_ma=(40_000, 40_000, 40_000)),)}


@pytest.mark.parametrize("name", ["heidelberg", "heidelberg-connect"])
def test_heidelberg(name: str):
    world = World(name, product=ProductConfig(watchdog_ms=15_000, failsafe_ma=6_000))
    world.evses[0].charges()
    assert world.read(5, 10, table="input")[:4] == [7, 160, 161, 162] or world.read(5, table="input")[0] in (6, 7, 8)
    assert world.read(14, table="input") == [11_040]
    world.write(261, 100)
    assert world.order == EvseOrder(maximum_ma=10_000, source=SOURCE)
    for _ in range(10):
        world.time.run_for(14_000)
        world.read(5, table="input")
        assert world.order == EvseOrder(maximum_ma=10_000, source=SOURCE), "any request keeps the watchdog content"
    world.time.run_for(15_000)
    assert world.order == EvseOrder(maximum_ma=6_000, source=f"{SOURCE}, expired")
    world.write(257, 60_000)
    world.write(262, 80)
    world.time.run_for(59_999)
    assert world.order == EvseOrder(maximum_ma=10_000, source=SOURCE)
    world.time.run_for(1)
    assert world.order == EvseOrder(maximum_ma=8_000, source=f"{SOURCE}, expired")
    world.write(259, 0)
    assert world.order is not None and not world.order.enable
    world.write(258, 4)
    with pytest.raises(IllegalDataValue):
        world.write(261, 400)


def test_sdm630():
    world = World("sdm630")
    world.evses[0].charges()
    assert as_f32(world.read(0x34, 2, table="input")) == 11_040.0
    assert as_f32(world.read(0x48, 2, table="input")) == pytest.approx(1234.567)
    assert as_f32(world.read(0x00, 2, table="input")) == pytest.approx(229.5)
    assert len(world.read(0, 80, table="input")) == 80
    with pytest.raises(IllegalDataAddress):
        world.write(0, 1)


def test_the_single_register():
    world = World("single", group=GroupConfig(node="cluster", maximum_ma=250_000))
    assert world.unit == 255 and world.read(0) == [250]
    world.write(0, 40)
    assert world.limits.at(world.now).limits == {"cluster": (Limit(SOURCE, phases_ma=(40_000, 40_000, 40_000)),)}
    world.write(0, 0)
    assert world.limits.at(world.now).limits["cluster"][0].phases_ma == (0, 0, 0) and world.read(0) == [0]
    with pytest.raises(IllegalDataValue):
        world.write(0, 251)


@pytest.mark.parametrize("name", [*PRODUCTS, "sdm630", "sunspec"])
def test_an_evse_that_does_not_answer_is_not_shown(name: str):
    world = World(name)
    world.evses[0].now = EvseStatus()
    places: dict[str, tuple[int, str]] = {
        "heidelberg": (5, "input"), "heidelberg-connect": (5, "input"), "sdm630": (0, "input"),
        "charx": (1299, "holding"), "sunspec": (40_000, "holding"), "alfen": (1201, "holding"),
    }  # fmt: skip
    address, table = places.get(name, (1000, "holding"))
    with pytest.raises(GatewayTargetFailed):
        world.read(address, table=table)


def test_two_masters_of_one_evse_by_different_maps():
    world = World("keba")
    other = ServerOf(maps=(MapConfig(map="heidelberg"),))
    drivers: dict[str, Any] = {each.id: each for each in world.evses}
    second = units_of(other, drivers, lambda: SITE, world.limits, 0, "t")[1]
    world.write(5004, 16_000)
    second.write(Context("b", world.now), "holding", 261, [80])
    (fight,) = world.fights
    assert fight.clients == ("a", "b") and fight.place == "evse bay-1"
    assert world.order is not None and world.order.maximum_ma == 8_000 and world.order.source == "modbus b"
    world.write(5004, 7_000)
    second.write(Context("b", world.now), "holding", 261, [120])
    assert world.order is not None and world.order.maximum_ma == 7_000, "the lowest counts, whoever spoke last"


@pytest.mark.parametrize(
    ("maps", "words"),
    [
        ((MapConfig(map="nothing"),), "no map 'nothing'"),
        ((MapConfig(map="../../x"),), "no map"),
        ((MapConfig(map="keba"), MapConfig(map="single")), "served twice"),
        ((MapConfig(map="keba", unit=256),), "0 to 255"),
        ((MapConfig(map="keba", evses=("bay-9",)),), "bay-9"),
    ],
)
def test_configurations_that_cannot_be(maps: tuple[MapConfig, ...], words: str):
    drivers: dict[str, Any] = {"bay-1": FakeEvse()}
    with pytest.raises(ConfigError, match=words):
        units_of(ServerOf(maps=maps), drivers, lambda: SITE, ExternalLimits(), 0, "s")


def test_every_charger_of_the_library_can_be_imitated():
    for path in library_paths():
        if path.parent.name == "chargers" and load_device(path).sunspec is None:
            world = World(path.stem)
            world.evses[0].charges()
            assert world.units


# ── over the wire ────────────────────────────────────────────────────────────────────────────────────────────────────


async def until(condition: Callable[[], object], what: str) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.01)
    assert condition(), what


@pytest.mark.parametrize("name", PRODUCTS)
async def test_our_own_driver_of_the_product_reads_and_steers_it(name: str):
    """The round trip, as an energy manager makes it: device file → driver → wire → facade → EVSE."""
    evse = FakeEvse()
    evse.charges()
    async with serving(MapConfig(map=name), evses=[evse]) as served:
        short = {"keba": "keba-p30", "alfen": "alfen-ng9xx", "charx": "phoenix-charx-sec"}
        wanted = short.get(name, "heidelberg-energy-control" if name == "heidelberg" else name)
        device = load_device(next(path for path in library_paths() if path.stem == wanted))
        # Without the pauses between requests that the real one wants.
        device = msgspec.structs.replace(device, modbus=msgspec.structs.replace(device.modbus, pause_ms=0))
        link = open_link(f"tcp://127.0.0.1:{served.port}", client_config([device]))
        driver = ModbusEvse("there", device, link, served.scheduler, pace=Pace(fast_ms=20, slow_ms=20, verify_ms=5))
        driver.start()
        try:
            await until(lambda: driver.status().pilot == "C" and set(driver.status().points) >= WANTED, "it charges")
            points = driver.status().points
            assert points["power_mw"].value == 11_040_000 and points["current_l1_ma"].value == 16_000
            assert points["energy_import_wh"].value in (1_234_567, 1_234_566)
            told: list[Told] = []
            driver.offer(10_000, None, 60_000, told.append)
            await until(lambda: told, "the set-point was answered")
            assert told == [Told(True)]
            order = served.limits.at(served.now).evses["bay-1"]
            assert order.maximum_ma == 10_000 and order.enable
            told.clear()
            driver.offer(0, None, 60_000, told.append)
            await until(lambda: told, "the pause was answered")
            order = served.limits.at(served.now).evses["bay-1"]
            assert told == [Told(True)] and (order.maximum_ma == 0 or not order.enable)
            if "failsafe_ma" in device.commands:
                told.clear()
                driver.failsafe(8_000, 30_000, told.append)
                await until(lambda: told, "the fail-safe was answered")
                assert told == [Told(True)]
        finally:
            driver.stop()
            link.close()


async def test_our_own_driver_of_the_meter_reads_it():
    evse = FakeEvse()
    evse.charges()
    async with serving(MapConfig(map="sdm630"), evses=[evse]) as served:
        device = load_device(next(path for path in library_paths() if path.stem == "eastron-sdm630"))
        link = open_link(f"tcp://127.0.0.1:{served.port}", client_config([device]))
        driver = DeviceDriver("there", device, link, served.scheduler, pace=Pace(fast_ms=20, slow_ms=20))
        driver.start()
        try:
            await until(lambda: {"power_mw", "energy_import_wh"} <= set(driver.points()), "it was read")
            assert driver.points()["power_mw"].value == 11_040_000
            assert driver.points()["voltage_l3_mv"].value == 230_500
        finally:
            driver.stop()
            link.close()


async def test_pysunspec2_scans_it():
    evse = FakeEvse()
    evse.charges()
    async with serving(MapConfig(map="sunspec", models=(103, 203)), evses=[evse]) as served:

        def scan() -> dict[str, Any]:
            device = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=served.port, timeout=PATIENCE)
            device.scan()
            for model in (103, 203):
                device.models[model][0].read()
            common, inverter, meter = (device.models[model][0] for model in (1, 103, 203))
            found = {
                "Mn": common.Mn.value,
                "SN": common.SN.value,
                "models": sorted(k for k in device.models if isinstance(k, int)),
            }
            found |= {name: getattr(meter, name).cvalue for name in ("W", "A", "AphA", "PhVphA", "TotWhImp", "WphB")}
            found["inverter"] = inverter.W.cvalue
            device.disconnect()
            return found

        found = await asyncio.to_thread(scan)
        assert found["models"] == [1, 103, 203] and (found["Mn"], found["SN"]) == ("Pilotwire", "bay-1")
        assert found["W"] == 11_040 and found["inverter"] == -11_040 and found["AphA"] == 16.0
        assert found["A"] == pytest.approx(48.3) and found["PhVphA"] == 229.5 and found["TotWhImp"] == 1_234_567
        assert found["WphB"] == pytest.approx(3700, abs=10)


async def test_pymodbus_steers_a_heidelberg_as_its_drivers_do():
    evse = FakeEvse()
    evse.charges()
    async with serving(MapConfig(map="heidelberg", unit=7), evses=[evse]) as served:
        client = AsyncModbusTcpClient("127.0.0.1", port=served.port)
        assert await client.connect()
        values = (await client.read_input_registers(4, count=15, device_id=7)).registers
        assert values[1] in (6, 7, 8) and values[2:5] == [160, 161, 162] and values[10] == 11_040
        assert not (await client.write_register(257, 60_000, device_id=7)).isError()
        assert not (await client.write_register(258, 4, device_id=7)).isError()
        assert not (await client.write_register(261, 160, device_id=7)).isError()
        assert served.limits.at(served.now).evses["bay-1"].maximum_ma == 16_000
        assert (await client.read_holding_registers(261, count=2, device_id=7)).registers[0] == 160
        assert (await client.write_register(261, 161, device_id=7)).exception_code == 3
        assert (await client.write_register(5, 1, device_id=7)).exception_code == 2
        assert (await client.read_input_registers(5, count=1, device_id=8)).isError()
        client.close()
