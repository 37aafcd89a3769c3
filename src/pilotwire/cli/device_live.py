"""`pilotwire device test`, `scan` and `simulate`: the ones that speak to something."""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from typing import Any

import msgspec

from pilotwire.cli.device_words import words
from pilotwire.core.errors import ConfigError
from pilotwire.site.devices.behaviour import ChargerBehaviour
from pilotwire.site.devices.driver import DeviceDriver, Pace, client_config
from pilotwire.site.devices.layout import Reading
from pilotwire.site.devices.load import find_device, load_library
from pilotwire.site.devices.plausibility import Finding, plausibility
from pilotwire.site.devices.probe import alike, probe, usual_units
from pilotwire.site.devices.scan import Unit
from pilotwire.site.devices.schema import DeviceFile
from pilotwire.site.devices.simulator import Simulator, endpoint_of
from pilotwire.site.ports import Told
from pilotwire.transport.modbus.carriers import SerialEndpoint, parse_endpoint
from pilotwire.transport.modbus.link import Link, open_link
from pilotwire.transport.runtime import SteadyScheduler

_ANSWER_S = 10.0


def endpoint(text: str, device: DeviceFile | None, baud: int | None, parity: str | None) -> str:
    """HOST, HOST:PORT, /dev/tty… or one of our own addresses, as one of our own. Raises ConfigError."""
    if text.startswith("/"):
        line = endpoint_of(device, text) if device else SerialEndpoint(text)
        return f"rtu://{text}?baud={baud or line.baud}&parity={parity or line.parity}&stop={line.stop_bits}"
    if "://" in text:
        parse_endpoint(text)
        return text
    _, colon, port = text.rpartition(":")
    default = device.modbus.port if device else 502
    address = f"tcp://{text}" if colon and port.isdigit() else f"tcp://{text}:{default}"
    parse_endpoint(address)
    return address


async def test(chosen: argparse.Namespace) -> int:
    device = find_device(chosen.device)
    named = [name for name in device.points if not name.startswith("_")]
    if not chosen.json:
        print(f"{device.id}: the file is in order: {len(named)} points, {len(device.commands)} commands", flush=True)
    if chosen.endpoint is None:
        if chosen.tell:
            raise ConfigError("--tell is for a real device: name its endpoint")
        return await _test_simulated(device, chosen)
    if not 1 <= chosen.outlet <= (device.outlets.count if device.outlets else 1):
        raise ConfigError(f"{device.id} has no outlet {chosen.outlet}")
    address = endpoint(chosen.endpoint, device, chosen.baud, chosen.parity)
    link = open_link(address, client_config([device]))
    driver = DeviceDriver(device.id, device, link, SteadyScheduler(), unit=chosen.unit, outlet=chosen.outlet)
    try:
        return await _test_real(device, driver, link, address, chosen)
    finally:
        driver.stop()
        link.close()


async def _test_simulated(device: DeviceFile, chosen: argparse.Namespace) -> int:
    """Every point and command once, over TCP on loopback, without the pauses that a real one wants."""
    device = msgspec.structs.replace(device, modbus=msgspec.structs.replace(device.modbus, pause_ms=0))
    simulator = Simulator(SteadyScheduler(), moving=False)
    behaviour = simulator.add(device)
    here = simulator.layout(behaviour)
    link = open_link(f"tcp://127.0.0.1:{await simulator.listen()}", client_config([device]))
    driver = DeviceDriver(device.id, device, link, SteadyScheduler(), unit=here.unit, pace=Pace(fast_ms=50, slow_ms=50))
    driver.start()
    try:
        await _sampled(driver, 2)
        read = readings(driver)
        lost = [name for name in here.names if read.get(name) != simulator.bank.get(here, name)]
        findings = plausibility(read, kind=device.kind)
        failed: dict[str, str] = {}
        for name, order in here.orders.items():
            command = order.command
            low, high = command.range or (1, 1)
            value = next(iter(command.map.values())) if command.map else min(max(low, 10_000), high)
            told = await _tell(driver, name, value)
            if not told.ok:
                failed[name] = told.error
    finally:
        driver.stop()
        link.close()
        await simulator.close()
    bad = bool(lost or failed or findings or simulator.unsayable)
    if chosen.json:
        print(
            json.dumps(
                {
                    "id": device.id,
                    "ok": not bad,
                    "points": read,
                    "lost": lost,
                    "failed": failed,
                    "findings": [finding.text for finding in findings],
                    "unsayable": simulator.unsayable,
                }
            )
        )
        return int(bad)
    print(f"{len(here.names) - len(lost)} of {len(here.names)} points of the simulated device came through")
    for name in lost:
        print(
            f"  {name}: the device says {words(name, simulator.bank.get(here, name))},"
            f" read was {words(name, read.get(name))}"
        )
    if device.commands:
        print(f"{len(here.orders) - len(failed)} of {len(here.orders)} commands were carried out and read back")
    for name, error in failed.items():
        print(f"  {name}: {error}")
    for text in simulator.unsayable:
        print(f"  a value that its registers cannot hold: {text}")
    _print_findings(findings)
    print(
        "Not shown by this: that the registers are the real device's. `pilotwire device test FILE ENDPOINT` reads it."
    )
    return int(bad)


async def _test_real(
    device: DeviceFile, driver: DeviceDriver, link: Link, address: str, chosen: argparse.Namespace
) -> int:
    driver.start()
    try:
        async with asyncio.timeout(_ANSWER_S + device.modbus.timeout_ms / 1000):
            while not driver.online or not driver.layout.names:  # noqa: ASYNC110 - two things are waited for
                await asyncio.sleep(0.1)
    except TimeoutError:
        why = link.trouble or driver.trouble
        print(f"{address}, unit {driver.layout.unit}: {why}", file=sys.stderr)
        return 1
    await _sampled(driver, 2)
    first, began = readings(driver), asyncio.get_running_loop().time()
    await asyncio.sleep(chosen.seconds)
    driver.refresh()
    await _sampled(driver, 2)
    elapsed = int((asyncio.get_running_loop().time() - began) * 1000)
    last = readings(driver)
    steps = {name: max(1, int(abs(point.scale))) for name, point in device.points.items() if name.endswith("_wh")}
    optional = frozenset(name for name, point in device.points.items() if point.optional)
    findings = plausibility(last, kind=device.kind, earlier=first, elapsed_ms=elapsed, optional=optional, steps=steps)
    told: dict[str, str] = {}
    for name, value in chosen.tell:
        result = await _tell(driver, name, value)
        told[name] = "" if result.ok else result.error
    bad = bool(findings) or any(told.values())
    if chosen.json:
        print(
            json.dumps(
                {
                    "id": device.id,
                    "endpoint": address,
                    "unit": driver.layout.unit,
                    "ok": not bad,
                    "points": last,
                    "findings": [finding.text for finding in findings],
                    "told": told,
                }
            )
        )
        return int(bad)
    if all(value is None for value in last.values()):
        why = driver.trouble or "what it says are no values"
        print(f"unit {driver.layout.unit} answers, and none of these points is there ({why}).", file=sys.stderr)
        print(f"Is it another device? Try: pilotwire device scan {chosen.endpoint}", file=sys.stderr)
        return 1
    odd = {name for finding in findings for name in finding.points}
    width = max(map(len, driver.layout.names))
    for name in driver.layout.names:
        mark = "?" if name in odd else " "
        print(f"  {mark} {name:<{width}}  {words(name, last.get(name))}")
    _print_findings(findings)
    for name, value in chosen.tell:
        print(f"told {name} {words(name, value)}: {told[name] or 'it stands there'}")
    return int(bad)


def _print_findings(findings: list[Finding]) -> None:
    for finding in findings:
        print(f"cannot be: {finding.text}")
    if not findings:
        print("nothing it says contradicts anything else it says")


def readings(driver: DeviceDriver) -> dict[str, Reading]:
    """All that a driver knows, None for what it could not read."""
    found: dict[str, Reading] = {name: None for name in driver.layout.names}
    found |= {name: value.value if value.quality == "good" else None for name, value in driver.points().items()}
    return {name: value for name, value in {**found, **driver.texts}.items() if name in driver.layout.names}


async def _sampled(driver: DeviceDriver, cycles: int) -> None:
    """So many whole cycles, and what was slow with them."""
    over = asyncio.Event()
    driver.listeners.append(over.set)
    try:
        async with asyncio.timeout(60):
            while cycles > 0 or driver.waiting:
                await over.wait()
                over.clear()
                cycles -= 1
    finally:
        driver.listeners.remove(over.set)


async def _tell(driver: DeviceDriver, name: str, value: int) -> Told:
    future: asyncio.Future[Told] = asyncio.get_running_loop().create_future()
    driver.command(name, value, lambda told: None if future.done() else future.set_result(told))
    return await future


async def scan(chosen: argparse.Namespace) -> int:
    address = endpoint(chosen.endpoint, None, chosen.baud, chosen.parity)
    library = load_library()
    units = chosen.units or usual_units(library, address.startswith("rtu"))
    found: list[Unit] = []
    shows = not chosen.json and sys.stderr.isatty()
    try:
        if shows:
            print(f"\r{address}: {len(units)} units ", end="", file=sys.stderr, flush=True)
        async for number, unit in probe(address, units, library, timeout_ms=chosen.timeout):
            if shows:
                at = units.index(number) + 1
                print(f"\r{address}: unit {number} ({at} of {len(units)}) ", end="", file=sys.stderr, flush=True)
            if unit is not None:
                found.append(unit)
                _print_unit(unit, library, chosen)
    finally:
        if shows:
            print("\r\033[K", end="", file=sys.stderr)
    if not found and not chosen.json:
        print(f"nobody answers at {address} as any of {len(units)} units", file=sys.stderr)
    elif alike(found):
        print("All units answer alike: the device does not look at the unit, there is only one.", file=sys.stderr)
    return 0 if found else 1


def _print_unit(unit: Unit, library: dict[str, DeviceFile], chosen: argparse.Namespace) -> None:
    if chosen.json:
        print(json.dumps(msgspec.to_builtins(unit, str_keys=True), ensure_ascii=False), flush=True)
        return
    who = " ".join(text for text in (unit.manufacturer, unit.model) if text) or " ".join(unit.identification.values())
    print(
        f"unit {unit.number}: {who or 'answers, and does not say who it is'}"
        + (f", serial {unit.serial}" if unit.serial else "")
    )
    if unit.models:
        print(f"  SunSpec models {', '.join(map(str, unit.models))}")
    known = [guess for guess in unit.guesses if guess.by == "identity"]
    likely = [guess for guess in unit.guesses if guess.by == "figures"]
    for guess in known[:3]:
        device = library[guess.id]
        print(f"  {guess.id}: {device.vendor} {', '.join(device.models)} ({guess.marks} mark(s) fit)")
    if not known and likely:
        print(f"  by its figures it could be: {', '.join(guess.id for guess in likely[:6])}")
    if not known and not likely:
        print("  no file fits; `pilotwire device new` begins one")
    elif known or likely:
        best = (known or likely)[0].id
        print(f"  next: pilotwire device test {best} {chosen.endpoint} --unit {unit.number}")


async def simulate(chosen: argparse.Namespace) -> int:
    devices = [find_device(each) for each in chosen.device]
    scheduler = SteadyScheduler()
    simulator = Simulator(scheduler)
    behaviours: list[Any] = []
    for at, device in enumerate(devices):
        first = chosen.unit if chosen.unit is not None else device.modbus.unit if len(devices) == 1 else 1
        if chosen.serial and chosen.unit is None and not 1 <= first <= 247:
            first = 1
        behaviours.append(simulator.add(device, unit=first + at))
    if chosen.serial:
        simulator.listen_serial(endpoint_of(devices[0], chosen.serial))
        where = chosen.serial
    else:
        clients = tuple(each.strip() for each in chosen.clients.split(",") if each.strip())
        port = await simulator.listen(chosen.host, chosen.port, clients=clients)
        where = f"{chosen.host}:{port}"
    for device, behaviour in zip(devices, behaviours, strict=True):
        unit = simulator.layout(behaviour).unit
        print(f"{device.vendor} {device.models[0]} at {where}, unit {unit}", flush=True)
    print("Ctrl-C ends it.", file=sys.stderr, flush=True)
    end = asyncio.get_running_loop().time() + (chosen.seconds or 1e9)
    told, shown, passed = 0, "", 0
    try:
        while asyncio.get_running_loop().time() < end:
            await asyncio.sleep(min(1.0, max(0.01, end - asyncio.get_running_loop().time())))
            passed += 1
            for behaviour in behaviours:
                if isinstance(behaviour, ChargerBehaviour) and not behaviour.plugged and passed >= chosen.plug >= 0:
                    behaviour.plugged = True
                    print("a car is plugged in", flush=True)
            for layout, name, value in simulator.heard[told:]:
                print(f"{layout.device.id}: told {name} {words(name, value)}", flush=True)
            told = len(simulator.heard)
            line = " | ".join(_state(simulator, behaviour) for behaviour in behaviours)
            if line != shown:
                shown = line
                print(line, flush=True)
    except asyncio.CancelledError:
        pass
    finally:
        await simulator.close()
    return 0


def _state(simulator: Simulator, behaviour: Any) -> str:
    layout = simulator.layout(behaviour)
    parts: list[str] = []
    for name in ("state", "offered_ma", "current_l1_ma", "power_mw", "battery_mw", "soc_permille"):
        value = simulator.bank.get(layout, name) if name in layout.names else None
        if value is not None:
            parts.append(words(name, value) if name != "offered_ma" else f"of {words(name, value)}")
    return f"{layout.device.id}: {', '.join(parts)}"
