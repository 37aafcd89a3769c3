"""Drivers that are read and never told anything: what a dry run puts between its loop and the real ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from pilotwire.site.ports import Abilities, Device, EvseDriver, EvseStatus, Points, Told

from .bench import Drivers


class SilentEvse:
    """An `EvseDriver` that says yes to everything and does nothing. It is not `Restful`: nobody is left alone."""

    def __init__(self, driver: EvseDriver) -> None:
        self._driver = driver
        self.last: int | None = None
        self.changes = 0
        """How often it would have been told something new."""

    @property
    def id(self) -> str:
        return self._driver.id

    @property
    def abilities(self) -> Abilities:
        return self._driver.abilities

    def status(self) -> EvseStatus:
        return self._driver.status()

    def offer(self, value: int, phases: Literal[1, 3] | None, valid_ms: int, done: Callable[[Told], None]) -> None:
        if value != self.last:
            self.last, self.changes = value, self.changes + 1
        done(Told(True))

    def failsafe(self, value: int, watchdog_ms: int, done: Callable[[Told], None]) -> None:
        done(Told(True))


class SilentDevice:
    """A `Device` that is read alone."""

    def __init__(self, device: Device) -> None:
        self._device = device
        self.last: dict[str, int] = {}
        self.changes = 0

    @property
    def id(self) -> str:
        return self._device.id

    @property
    def online(self) -> bool:
        return self._device.online

    def points(self) -> Points:
        return self._device.points()

    def command(self, name: str, value: int, done: Callable[[Told], None]) -> None:
        if self.last.get(name) != value:
            self.last[name] = value
            self.changes += 1
        done(Told(True))


class Silent:
    """`run.Drivers` over others."""

    def __init__(self, drivers: Drivers) -> None:
        self._drivers = drivers
        self.evses: Sequence[SilentEvse] = [SilentEvse(each) for each in drivers.evses]
        self.devices: Sequence[SilentDevice] = [SilentDevice(each) for each in drivers.devices]

    async def start(self) -> None:
        await self._drivers.start()

    async def stop(self) -> None:
        await self._drivers.stop()
