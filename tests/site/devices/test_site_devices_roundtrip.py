"""Every device file of the library, over real TCP and over RTU on a pair of pseudo-terminals: what its simulated device
is given comes out of its driver, and what its driver tells comes out of the device."""

from __future__ import annotations

import asyncio
import random
from fractions import Fraction
from pathlib import Path

import msgspec
import pytest
from tests.site.devices.reference import number

from pilotwire.protocols.modbus.errors import RequestError
from pilotwire.protocols.modbus.values import decode_value
from pilotwire.site.devices.driver import DeviceDriver, Pace, client_config
from pilotwire.site.devices.layout import Cell, Layout, Order, decode_cell, encode_cell
from pilotwire.site.devices.load import library_paths, load_device
from pilotwire.site.devices.registers import point_field
from pilotwire.site.devices.schema import DeviceFile
from pilotwire.site.devices.simulator import Simulator, endpoint_of
from pilotwire.site.ports import Told
from pilotwire.transport.modbus.link import Link, open_link
from pilotwire.transport.runtime import SteadyScheduler

LIBRARY = library_paths()
FILES = [*LIBRARY, *library_paths(Path(__file__).parent)]
"""The library, and two devices made up so that each feature is met."""
PATIENCE = 60.0
PACE = Pace(fast_ms=10, slow_ms=10, verify_ms=5)
TEXTS = ("serial", "model", "firmware", "id_token", "state")


def eager(device: DeviceFile) -> DeviceFile:
    """The same without the pauses that a real device wants."""
    return msgspec.structs.replace(device, modbus=msgspec.structs.replace(device.modbus, pause_ms=0))


def random_value(layout: Layout, name: str, rng: random.Random, power: int) -> int | str:
    """A value that the point's registers can say exactly."""
    cell = layout.cells[name]
    if cell.point.map:
        return rng.choice(list(cell.point.map.values()))
    if cell.point.type == "bit":
        return rng.randint(0, 1)
    if cell.field.kind == "string":
        return "".join(rng.choices("ABCDEFGH0123456789", k=rng.randint(1, 2 * cell.field.length)))
    size = 16 * cell.want.count
    for _ in range(200):
        if cell.field.kind in ("f32", "f64"):
            value = int(rng.randint(-99_999, 99_999) * cell.point.scale + cell.point.offset)
        else:
            mask = cell.point.mask
            bits = mask.bit_count() if mask else min(31, size - 1)
            raw = rng.randint(1, (1 << bits) - 1)
            if cell.field.kind[0] == "s" and rng.random() < 0.5:
                raw = -raw
            value = int((raw * cell.point.scale).scaleb(power) + cell.point.offset)
        if cell.sign is not None and rng.random() < 0.5:
            value = -value
        value = -value if cell.point.invert else value
        low, high = cell.point.valid or (-(1 << 62), 1 << 62)
        if low <= value <= high:
            return value
    raise AssertionError(f"{name}: no value can be said")


def expected(device: DeviceFile, layout: Layout, name: str, simulator: Simulator) -> int | str | None:
    """By the reference, from the registers that the device serves."""
    point = device.points[name]
    stride = device.outlets.stride * (layout.outlet - 1) if device.outlets and not point.shared else 0

    def cells(table: str, address: int, count: int) -> list[int]:
        function = {"coils": 1, "discrete": 2, "holding": 3, "input": 4}[table]
        want = msgspec.structs.replace(layout.cells[name].want, function=function, address=address, count=count)
        return simulator.bank.peek(layout.unit, want)

    found = number(device, point, cells, stride)
    whole = round(found) if isinstance(found, Fraction) else found
    if isinstance(whole, int) and point.valid and not point.valid[0] <= whole <= point.valid[1]:
        return None
    return str(whole) if whole is not None and name in TEXTS else whole


async def cycle(driver: DeviceDriver) -> None:
    """Until the driver has read everything anew: one whole cycle that began after now."""
    async with asyncio.timeout(PATIENCE):
        while not driver.layout.cells:
            await asyncio.sleep(0.005)  # a SunSpec device is still walked
        over = asyncio.Event()
        for _ in range(2):  # the first may have begun before
            driver.refresh()
            driver.listeners.append(over.set)
            await over.wait()
            driver.listeners.remove(over.set)
            over.clear()


async def tell(driver: DeviceDriver, name: str, value: int) -> Told:
    """One command to its end."""
    future: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
    driver.command(name, value, future.set_result)
    async with asyncio.timeout(PATIENCE):
        return await future


def sayable(cell: Cell, value: int) -> bool:
    """Whether a point of one range of registers says it exactly."""
    if len(cell.wants) > 1:
        return True
    try:
        ((_, _, registers),) = encode_cell(cell, value, lambda want: [0] * want.count)
    except RequestError:
        return False
    return decode_cell(cell, {cell.want: registers}) == value


def random_command(layout: Layout, order: Order, rng: random.Random) -> int:
    """A value that the command's registers can say, and those it is read back by."""
    command = order.command
    if command.map:
        return rng.choice(list(command.map.values()))
    low, high = command.range or (0, 1 if command.type == "bit" else int(100 * abs(command.scale)) or 100)
    for _ in range(500):
        value = rng.randint(low, high)
        step = int(abs(command.scale) * 10**order.power) if order.power >= 0 else 1
        value -= (value - int(command.offset)) % max(1, step)
        if not low <= value <= high:
            continue
        if order.verify in layout.cells and not sayable(layout.cells[order.verify], value):
            continue
        return value
    raise AssertionError(f"{order.name}: no value can be told")


def fill(simulator: Simulator, here: Layout, rng: random.Random) -> dict[str, int | str]:
    """Random values in every point that is in registers; returns those that no other has touched again."""
    put: dict[str, int | str] = {}
    spans: dict[str, set[tuple[int, int]]] = {}
    for name, cell in here.cells.items():
        power = simulator.bank.peek(here.unit, cell.sf)[0] if cell.sf else 0
        put[name] = random_value(here, name, rng, power - 0x10000 if power > 0x7FFF else power)
        simulator.bank.put(here, name, put[name])
        spans[name] = {(want.function, want.address + at) for want in cell.wants for at in range(want.count)}
    alone = {name for name in put if not any(spans[name] & spans[other] for other in put if other != name)}
    return {name: value for name, value in put.items() if name in alone}


def read_back(driver: DeviceDriver, name: str) -> int | str | None:
    """What the driver says."""
    value = driver.points().get(name)
    if value is None:
        return driver.texts.get(name)
    return value.value if value.quality == "good" else None


async def round_trip(
    device: DeviceFile, simulator: Simulator, here: Layout, link: Link, rng: random.Random, rounds: int
) -> None:
    driver = DeviceDriver("x", device, link, SteadyScheduler(), unit=here.unit, pace=PACE)
    assert not here.missing, f"points that the simulated models do not have: {here.missing}"
    driver.start()
    try:
        for _ in range(rounds):
            put = fill(simulator, here, rng)
            await cycle(driver)
            assert driver.online, driver.trouble
            assert driver.layout.cells.keys() == here.cells.keys()
            for name in here.names:
                got = read_back(driver, name)
                assert got == simulator.bank.get(here, name), name
                if name in here.cells and device.points[name].address is not None:
                    assert got == expected(device, here, name, simulator), name
                if name in put:
                    assert got == (str(put[name]) if name in TEXTS else put[name]), name
        for name in here.orders:
            await command_trip(driver, simulator, here, name, rng)
    finally:
        driver.stop()


async def command_trip(driver: DeviceDriver, simulator: Simulator, here: Layout, name: str, rng: random.Random) -> None:
    order = here.orders[name]
    value = random_command(here, order, rng)
    simulator.heard.clear()
    told = await tell(driver, name, value)
    assert told.ok, f"{name} = {value}: {told.error}"
    assert [each for _, heard, each in simulator.heard if heard == name][-1:] == [value]
    command = order.command
    if command.address is not None and not command.map and not command.magnitude:

        def cells(table: str, address: int, count: int) -> list[int]:
            function = 1 if table == "coils" else 3
            want = msgspec.structs.replace(order.want, function=function, address=address, count=count)
            return simulator.bank.peek(here.unit, want)

        assert number(here.device, command, cells) == value, name


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_every_value_and_command_goes_round_over_tcp(path: Path) -> None:
    device = eager(load_device(path))
    simulator = Simulator(SteadyScheduler(), moving=False)
    behaviour = simulator.add(device)
    link = open_link(f"tcp://127.0.0.1:{await simulator.listen()}", client_config([device]))
    try:
        await round_trip(
            device,
            simulator,
            simulator.layout(behaviour),
            link,
            random.Random(f"tcp {device.id}"),
            2 if path in LIBRARY else 8,
        )
    finally:
        link.close()
        await simulator.close()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
async def test_every_value_and_command_goes_round_over_a_serial_line(path: Path, cable: tuple[str, str]) -> None:
    device = eager(load_device(path))
    simulator = Simulator(SteadyScheduler(), moving=False)
    behaviour = simulator.add(device, unit=device.modbus.unit if 1 <= device.modbus.unit <= 247 else 17)
    end = endpoint_of(device, cable[0])
    fast = msgspec.structs.replace(end, baud=115200)  # a pseudo-terminal has no speed, and silences cost time
    simulator.listen_serial(fast)
    parity = f"&parity={fast.parity}&stop={fast.stop_bits}"
    link = open_link(f"rtu://{cable[1]}?baud=115200{parity}", client_config([device], "rtu"))
    try:
        await round_trip(device, simulator, simulator.layout(behaviour), link, random.Random(f"rtu {device.id}"), 1)
    finally:
        link.close()
        await simulator.close()


def test_the_reference_is_not_the_codec() -> None:
    """Words the other way round mean something else to both."""
    device = load_device(next(path for path in FILES if path.stem == "eastron-sdm630"))
    point = device.points["voltage_l1_mv"]
    assert number(device, point, lambda *_: [0x4366, 0x0000]) == 230_000
    assert number(device, point, lambda *_: [0x0000, 0x4366]) != 230_000
    assert decode_value(point_field(point, device.modbus), [0x4366, 0]) == 230_000
