"""SunSpec with pysunspec2: it scans what we serve, and our driver reads registers that it made."""

from __future__ import annotations

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from sunspec2.device import Model
from sunspec2.modbus.client import SunSpecModbusClientDeviceTCP

from pilotwire.protocols.modbus.server import ServerConfig
from pilotwire.protocols.sunspec.chain import ModelValues, build_chain
from pilotwire.protocols.sunspec.models import decode_model
from pilotwire.site.devices.behaviour import InverterBehaviour
from pilotwire.site.devices.driver import DeviceDriver, Pace, client_config
from pilotwire.site.devices.load import load_device
from pilotwire.site.devices.simulator import Simulator
from pilotwire.site.ports import Told
from pilotwire.transport.modbus.guard import Access, Guard
from pilotwire.transport.modbus.link import open_link
from pilotwire.transport.modbus.registers import Bank, MapHandler
from pilotwire.transport.modbus.server import Server
from pilotwire.transport.runtime import SteadyScheduler

HYBRID = load_device(Path(__file__).parent / "files" / "sunspec-hybrid.yaml")
PATIENCE = 60.0
VALUES = [
    ModelValues(1, {"Mn": "Pilotwire", "Md": "Facade", "SN": "0001", "Vr": "1"}),
    ModelValues(
        203, {"W": -4200, "W_SF": 0, "PhVphA": Decimal("231.2"), "V_SF": -1, "Hz": Decimal("49.98"), "Hz_SF": -2}
    ),
    ModelValues(103, {"W": 15_000, "W_SF": 1, "WH": 123_456, "WH_SF": 0, "St": 4}),
    ModelValues(160, {"N": 2, "DCW_SF": 0, "module[1].DCW": 700, "module[1].IDStr": "west"}, {"module": 2}),
    ModelValues(123, {"WMaxLimPct": 100, "WMaxLimPct_SF": -1, "WMaxLim_Ena": 0, "WMaxLimPct_RvrtTms": 0}),
    ModelValues(124, {"ChaState": Decimal("45.5"), "ChaState_SF": -1}),
    ModelValues(705, {}, {"Crv": 2, "Pt": 3}),
    ModelValues(802, {"SoC": 50, "SoC_SF": 0}),
]


def scanned(port: int) -> dict[int, dict[str, Any]]:
    """What pysunspec2 finds; blocking."""
    device = SunSpecModbusClientDeviceTCP(slave_id=1, ipaddr="127.0.0.1", ipport=port, timeout=PATIENCE)
    try:
        device.scan()
        return {
            number: device.models[number][0].get_dict(computed=True)
            for number in device.models
            if isinstance(number, int)
        }
    finally:
        device.close()


@pytest.mark.parametrize("base", [0, 40000, 50000])
async def test_pysunspec2_scans_a_chain_of_ours(base: int) -> None:
    built, bank, scheduler = build_chain(VALUES, base), Bank(), SteadyScheduler()
    bank.put(1, "holding", base, built.registers)
    server = Server(Guard(MapHandler(bank), Access(), scheduler), ServerConfig(), scheduler)
    port = await server.listen("127.0.0.1", 0)
    try:
        async with asyncio.timeout(PATIENCE):
            found = await asyncio.to_thread(scanned, port)
    finally:
        await server.close()
    assert list(found) == [each.number for each in VALUES]
    assert (found[1]["Mn"], found[1]["Md"], found[1]["SN"]) == ("Pilotwire", "Facade", "0001")
    assert (found[203]["W"], found[203]["PhVphA"], found[203]["Hz"]) == (
        -4200,
        pytest.approx(231.2),
        pytest.approx(49.98),
    )
    assert (found[103]["W"], found[103]["WH"], found[103]["A"]) == (15_000, 123_456, None)
    assert found[160]["module"][1]["DCW"] == 700 and found[160]["module"][1]["IDStr"] == "west"
    assert found[124]["ChaState"] == pytest.approx(45.5)
    assert len(found[705]["Crv"]) == 2 and len(found[705]["Crv"][0]["Pt"]) == 3
    assert found[802]["SoC"] == 50


def made(number: int, **values: float | str) -> list[int]:
    """A model's registers as pysunspec2 makes them."""
    theirs = Model(number)
    for name, value in values.items():
        point = theirs.points[name]
        if name.endswith("_SF"):
            point.value = value
    for name, value in values.items():
        if not name.endswith("_SF"):
            theirs.points[name].cvalue = value
    data = theirs.get_mb()
    return [int.from_bytes(data[at : at + 2], "big") for at in range(0, len(data), 2)]


def test_registers_of_pysunspec2_mean_the_same_to_us() -> None:
    ours = decode_model(made(103, W_SF=1, W=-1500, V_SF=-1, PhVphA=230.1, Hz_SF=-2, Hz=50.02))
    assert (ours["W"], ours["PhVphA"], ours["Hz"], ours["A"]) == (-1500, Decimal("230.1"), Decimal("50.02"), None)
    assert decode_model(made(1, Mn="Somebody", Md="Something"))["Mn"] == "Somebody"


async def read(driver: DeviceDriver, name: str) -> int | None:
    """A point, once it is there."""
    async with asyncio.timeout(PATIENCE):
        while name not in driver.points():
            await asyncio.sleep(0.02)
    value = driver.points()[name]
    return value.value if value.quality == "good" else None


async def test_our_driver_walks_a_device_that_pysunspec2_made() -> None:
    registers = [0x5375, 0x6E53]
    registers += made(1, Mn="Somebody", Md="Inverter 10", SN="77")
    registers += made(103, W_SF=1, W=6400, V_SF=-1, PhVphA=231.4, Hz_SF=-2, Hz=49.99, WH_SF=0, WH=987654)
    registers += [0xFFFF, 0]
    bank, scheduler = Bank(), SteadyScheduler()
    bank.put(1, "holding", 50000, registers)  # not the first address that is tried
    server = Server(Guard(MapHandler(bank), Access(), scheduler), ServerConfig(), scheduler)
    link = open_link(f"tcp://127.0.0.1:{await server.listen('127.0.0.1', 0)}", client_config([HYBRID]))
    driver = DeviceDriver("pv", HYBRID, link, scheduler, pace=Pace(fast_ms=20))
    driver.start()
    try:
        assert await read(driver, "power_mw") == -6_400_000
        assert await read(driver, "voltage_l1_mv") == 231_400
        assert await read(driver, "energy_export_wh") == 987_654
        assert driver.texts["model"] == "Inverter 10"
        assert "soc_permille" in driver.layout.missing, "there is no model 124"
        future: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
        driver.command("power_limit_permille", 500, future.set_result)
        told = await future
        assert not told.ok and "models" in told.error, "there is no model 123"
    finally:
        driver.stop()
        link.close()
        await server.close()


async def test_a_limit_with_its_reversion_goes_through_model_123() -> None:
    scheduler = SteadyScheduler()
    simulator = Simulator(scheduler)
    inside = simulator.add(HYBRID)
    assert isinstance(inside, InverterBehaviour)
    link = open_link(f"tcp://127.0.0.1:{await simulator.listen()}", client_config([HYBRID]))
    driver = DeviceDriver("pv", HYBRID, link, scheduler, pace=Pace(fast_ms=20))
    driver.start()
    try:
        assert await read(driver, "power_mw") == -6_000_000
        for name, value in (("revert_ms", 2000), ("power_limit_permille", 300), ("limit_enable", 1)):
            future: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
            driver.command(name, value, future.set_result)
            async with asyncio.timeout(PATIENCE):
                assert (await future) == Told(True), name
        async with asyncio.timeout(PATIENCE):
            while await read(driver, "power_mw") != -3_000_000:
                await asyncio.sleep(0.02)
            while await read(driver, "power_mw") != -6_000_000:  # nobody has said it again: it reverts by itself
                await asyncio.sleep(0.05)
    finally:
        driver.stop()
        link.close()
        await simulator.close()
