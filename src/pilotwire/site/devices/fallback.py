"""What a device falls back to when nobody speaks to it: put into its registers, and read back.

Such registers wear, so what stands there already is not written again; where the device cannot be told, what it does by
its file has to be as good as what is wanted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from pilotwire.site.ports import Points, Told

from .driver import DeviceDriver
from .schema import Abilities, DeviceFile
from .teller import Done


class Commanded(Protocol):
    """What is wanted of a driver here."""

    @property
    def device(self) -> DeviceFile: ...

    @property
    def online(self) -> bool: ...

    def points(self) -> Points: ...

    def command(self, name: str, value: int, done: Callable[[Told], None]) -> None: ...


def set_fallback(driver: Commanded, name: str, value: int, watchdog_ms: int, done: Done) -> None:
    """`name`: failsafe_ma or failsafe_mw. Of the two commands those that the device has; `ok`: both stand there."""
    wanted = {name: value, "watchdog_ms": watchdog_ms}
    steps = [(command, each) for command, each in wanted.items() if command in driver.device.commands]
    points = driver.points()

    def step(told: Told) -> None:
        if not told.ok or not steps:
            done(told)
            return
        command, each = steps.pop(0)
        stands = points.get(command)
        if stands is not None and stands.quality == "good" and stands.value == each and driver.online:
            step(Told(True))  # it stands there already: such registers wear
        else:
            driver.command(command, each, step)

    step(Told(True))


def lacks(device: DeviceFile, name: str, value: int, watchdog_ms: int) -> str:
    """Why a device cannot fall back so, by its file; "" if it can."""
    able = device.abilities or Abilities()
    if "watchdog_ms" not in device.commands and (able.watchdog_ms is None or able.watchdog_ms > watchdog_ms):
        if able.watchdog_ms is None:
            return "has no watchdog"
        return f"has a watchdog of {able.watchdog_ms / 1000:g} s that cannot be set"
    fixed: int | None = getattr(able, name)
    if name not in device.commands and (fixed is None or fixed > value):
        return "cannot be told what to fall back to"
    return ""


class LoadDriver(DeviceDriver):
    """The driver of a load: a `Device` that is `ports.Fallible`."""

    def failsafe(self, value: int, watchdog_ms: int, done: Done) -> None:
        """See `Fallible`."""
        text = lacks(self.device, "failsafe_mw", value, watchdog_ms)
        if text:
            done(Told(False, f"{self.device.id} {text}"))
        else:
            set_fallback(self, "failsafe_mw", value, watchdog_ms, done)
