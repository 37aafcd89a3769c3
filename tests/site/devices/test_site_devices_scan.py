"""Who is behind an endpoint, in simulated time and over real bytes."""

from __future__ import annotations

import asyncio

import pytest

from pilotwire.protocols.modbus.identification import OBJECTS
from pilotwire.site.devices.load import load_library
from pilotwire.site.devices.scan import Unit, scan, scan_unit
from pilotwire.site.devices.simulator import Simulator
from pilotwire.transport.modbus.link import open_link
from pilotwire.transport.runtime import SteadyScheduler

LIBRARY = load_library()
MARKED = [device for device in LIBRARY.values() if device.identify]
PATIENCE = 60.0


async def scanned(simulator: Simulator, units: list[int]) -> dict[int, Unit]:
    link = open_link(f"tcp://127.0.0.1:{await simulator.listen()}")
    try:
        async with asyncio.timeout(PATIENCE):
            return {unit.number: unit async for unit in scan(link, units, LIBRARY, timeout_ms=5000)}
    finally:
        link.close()
        await simulator.close()


async def test_every_device_that_has_marks_is_known_by_them() -> None:
    assert len(MARKED) >= 3
    simulator = Simulator(SteadyScheduler(), moving=False)
    for unit, device in enumerate(MARKED, 1):
        simulator.add(device, unit=unit)
    found = await scanned(simulator, list(range(1, len(MARKED) + 1)))
    for unit, device in enumerate(MARKED, 1):
        known = [guess.id for guess in found[unit].guesses if guess.by == "identity"]
        assert device.id in known, f"{device.id} is taken for {known}"


async def test_a_meter_without_marks_is_guessed_by_its_figures_and_nothing_is_written() -> None:
    simulator = Simulator(SteadyScheduler(), moving=False)
    simulator.add(LIBRARY["eastron-sdm630"], unit=4)
    found = await scanned(simulator, [3, 4, 5])
    assert list(found) == [4]
    assert "eastron-sdm630" in [guess.id for guess in found[4].guesses]
    assert all(guess.by == "figures" for guess in found[4].guesses)
    assert not simulator.heard


async def test_what_a_device_says_of_itself_by_function_43_is_told() -> None:
    simulator = Simulator(SteadyScheduler(), moving=False)
    simulator.add(LIBRARY["eastron-sdm630"], unit=1)
    simulator.bank.describe(1, {0: b"Somebody", 1: b"M-3", 2: b"1.7"})
    found = await scanned(simulator, [1])
    assert found[1].identification == {0: "Somebody", 1: "M-3", 2: "1.7"}
    assert set(found[1].identification) <= set(OBJECTS)


async def test_nobody_there() -> None:
    simulator = Simulator(SteadyScheduler(), moving=False)
    simulator.add(LIBRARY["eastron-sdm630"], unit=1)
    link = open_link(f"tcp://127.0.0.1:{await simulator.listen()}")
    await simulator.close()
    try:
        assert await scan_unit(link, 1, LIBRARY, timeout_ms=50) is None
    finally:
        link.close()


@pytest.mark.parametrize("device", MARKED, ids=lambda device: device.id)
def test_marks_are_more_than_a_number_by_chance(device: object) -> None:
    """A register that is 0, or 1, is so in every second device."""
    identify = device.identify  # type: ignore[attr-defined]
    strong = identify.device_id or identify.manufacturer or identify.model
    assert strong or any(set(mark.is_) - {0, 1} for mark in identify.registers)
