"""Looking for Modbus units in networks and on serial lines, and for OCPP stations that knock. Nothing is written.

At most `AT_ONCE` connections are tried together and `RATE` begun in a second, so that a small switch or a charger with
one socket is not overrun. Endpoints that take a connection are then asked one unit after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from pilotwire.core.errors import ConfigError
from pilotwire.domain.commissioning import Found, FoundFile, ScanAsk
from pilotwire.site.devices.load import load_library
from pilotwire.site.devices.probe import ALIKE, alike, one_of, probe, usual_units
from pilotwire.site.devices.scan import Unit
from pilotwire.site.devices.schema import DeviceFile

from .doorbell import Knock
from .hosts import Address, addresses

AT_ONCE = 32
RATE = 100
CONNECT_S = 1.0
PROBES = 4
"""Endpoints that are asked at the same time."""


class Watcher(Protocol):
    """Hears of a scan as it goes on."""

    def found(self, one: Found) -> None: ...

    def progress(self, done: int, total: int, words: str) -> None: ...


def serial_address(text: str) -> str:
    """A path or one of our own addresses, as one of our own."""
    return f"rtu://{text}?baud=9600" if text.startswith("/") else text


async def look(
    ask: ScanAsk,
    watcher: Watcher,
    *,
    utc: Callable[[], int],
    knocks: Callable[[], Sequence[Knock]] | None = None,
    library: Mapping[str, DeviceFile] | None = None,
) -> str:
    """All of it; returns how it went, in words. Raises ConfigError for an address that is none."""
    targets = await asyncio.to_thread(addresses, ask.hosts, ask.ports, public=ask.public)
    known = library if library is not None else await asyncio.to_thread(load_library)
    total = len(targets) + len(ask.serial)
    watcher.progress(0, total, "looking who takes a connection")
    open_, tried = [], 0
    gate, pace = asyncio.Semaphore(AT_ONCE), _Pace(RATE)

    async def knock(target: Address) -> None:
        nonlocal tried
        async with gate:
            await pace.wait()
            if await _takes(target):
                open_.append(target)
        tried += 1
        watcher.progress(tried, total, f"{len(open_)} of {tried} addresses take a connection")

    async with asyncio.TaskGroup() as group:
        for target in targets:
            group.create_task(knock(target))
    order = {target: at for at, target in enumerate(targets)}
    endpoints = [_endpoint(target) for target in sorted(open_, key=order.__getitem__)]
    troubles: list[str] = []
    units, places = 0, [*endpoints, *map(serial_address, ask.serial)]
    over = total - len(places)
    probes = asyncio.Semaphore(PROBES)

    async def ask_all(endpoint: str) -> None:
        nonlocal units, over
        async with probes:
            try:
                here = await _units(endpoint, ask, known, lambda words: watcher.progress(over, total, words))
            except ConfigError as error:
                troubles.append(str(error))
                here = []
        for unit in here:
            watcher.found(shown(endpoint, unit, known, utc()))
        units += len(here)
        over += 1
        watcher.progress(over, total, f"{endpoint}: {len(here)} found")

    async with asyncio.TaskGroup() as group:
        for endpoint in places:
            group.create_task(ask_all(endpoint))
    stations = 0
    if knocks is not None and ask.stations_s:
        stations = await _wait(ask.stations_s, knocks, watcher, total)
    said = f"{units} Modbus units at {len(places)} endpoints"
    said += f", {stations} OCPP stations" if ask.stations_s else ""
    return "; ".join([said, *troubles])


async def _units(
    endpoint: str, ask: ScanAsk, library: Mapping[str, DeviceFile], say: Callable[[str], None]
) -> list[Unit]:
    numbers = list(ask.units) or usual_units(library, endpoint.startswith("rtu://"))
    found: list[Unit] = []
    at = 0
    async for number, unit in probe(endpoint, numbers, library, timeout_ms=ask.timeout_ms):
        at += 1
        say(f"{endpoint}: unit {number} ({at} of {len(numbers)}), {len(found)} found")
        if unit is None:
            continue
        found.append(unit)
        if not ask.units and len(found) >= ALIKE and alike(found):
            wanted = {library[guess.id].modbus.unit for guess in found[0].guesses[:1]}
            if not wanted - {each.number for each in found}:
                return [one_of(found, library)]
    return [one_of(found, library)] if not ask.units and found and alike(found) else found


async def _wait(seconds: int, knocks: Callable[[], Sequence[Knock]], watcher: Watcher, total: int) -> int:
    """Until the time is over; each station as it comes."""
    seen: dict[str, bool] = {}
    for left in range(seconds, -1, -1):
        for each in knocks():
            if seen.get(each.identity) != each.connected:
                seen[each.identity] = each.connected
                watcher.found(station(each))
        watcher.progress(total, total, f"waiting {left} s for stations: {len(seen)} have knocked")
        if left:
            await asyncio.sleep(1)
    return len(seen)


def station(knock: Knock) -> Found:
    """A station that has knocked, as it is shown."""
    return Found(
        id=f"ocpp:{knock.identity}", identity=knock.identity, endpoint=knock.peer, at_ms=knock.at_ms,
        state="connected" if knock.connected else "refused",
    )  # fmt: skip


def shown(endpoint: str, unit: Unit, library: Mapping[str, DeviceFile], at_ms: int) -> Found:
    """A unit with the files that fit it: those that know it by its marks, or else the likeliest."""
    known = [guess for guess in unit.guesses if guess.by == "identity"]
    files = [found_file(library[guess.id], guess.by) for guess in (known or unit.guesses)[:6]]
    who = " ".join(text for text in (unit.manufacturer, unit.model) if text) or " ".join(unit.identification.values())
    return Found(
        id=f"{endpoint}#{unit.number}", endpoint=endpoint, unit=unit.number, who=_plain(who),
        serial=_plain(unit.serial), files=tuple(files), at_ms=at_ms,
    )  # fmt: skip


def found_file(device: DeviceFile, by: str) -> FoundFile:
    """A device file as it is offered."""
    outlets = device.outlets.count if device.outlets else 1
    return FoundFile(
        id=device.id, vendor=device.vendor, model=device.models[0], kind=device.kind, by=by, outlets=outlets
    )


def _plain(text: str) -> str:
    """What a device says of itself, in what a page and a file can hold."""
    return "".join(each for each in text if each.isprintable())[:200].strip()


def _endpoint(target: Address) -> str:
    host, port = target
    return f"tcp://[{host}]:{port}" if ":" in host else f"tcp://{host}:{port}"


async def _takes(target: Address) -> bool:
    try:
        async with asyncio.timeout(CONNECT_S):
            _, writer = await asyncio.open_connection(*target)
    except (OSError, TimeoutError):
        return False
    writer.close()
    try:
        async with asyncio.timeout(CONNECT_S):
            await writer.wait_closed()
    except (OSError, TimeoutError):
        pass  # it is gone either way: only whether it was there is of interest
    return True


class _Pace:
    """So many in a second, evenly."""

    def __init__(self, rate: int) -> None:
        self._gap = 1 / rate
        self._next = 0.0

    async def wait(self) -> None:
        now = asyncio.get_running_loop().time()
        at = max(now, self._next)
        self._next = at + self._gap
        if at > now:
            await asyncio.sleep(at - now)
