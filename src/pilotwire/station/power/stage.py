"""The state of a power cabinet, and the few things that are done to it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec

from pilotwire.core.machines import Send
from pilotwire.protocols.power_modules import ModuleDriver, Set, Switch

from .limits import RISE_MA_S, altitude_factor
from .messages import Connect, OutputFault, TripAll, UnitChanged
from .output import Output
from .unit import Unit, UnitId


class UnitPlan(msgspec.Struct, frozen=True, kw_only=True):
    """One module of the cabinet, as it was built."""

    bus: str
    address: int
    reach: frozenset[int]
    """Outputs that the matrix can join it to."""
    max_ma: int = 100_000
    max_mw: int = 30_000_000
    min_ma: int = 1_000


class CabinetConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How a cabinet behaves."""

    rise_ma_s: int = RISE_MA_S
    altitude_m: int = 0
    reserve: int = 0
    """Modules kept free for outputs without a vehicle, while others would like to have them."""
    most_moves: int = 2
    """Modules that change their output at a time."""
    hold_ms: int = 10_000
    """A module stays where it is for so long, unless it fails."""
    tick_ms: int = 50
    rest_ms: int = 60_000
    """A module that failed is tried again after so long; three times, then someone must look at it."""


class Stage:
    """Units, outputs, drivers. Effects are gathered in `out`."""

    def __init__(
        self,
        drivers: Mapping[str, ModuleDriver],
        plans: Iterable[UnitPlan],
        outputs: Mapping[int, int],
        config: CabinetConfig,
    ) -> None:
        self.drivers = dict(drivers)
        self.config = config
        self.factor = altitude_factor(config.altitude_m)
        self.units: dict[UnitId, Unit] = {}
        for plan in plans:
            id = UnitId(plan.bus, plan.address)
            self.units[id] = Unit(id, plan.reach, max_ma=plan.max_ma, max_mw=plan.max_mw, min_ma=plan.min_ma)
        self.outputs = {number: Output(number, max_ma=most) for number, most in outputs.items()}
        self.down: set[str] = set()
        self.tripped = ""
        """Why the input of the cabinet was cut; empty: it was not."""
        self.dirty = True
        """Something has changed that allocation looks at."""
        self.failures: dict[UnitId, int] = {}
        self.out: list[Any] = []

    def at(self, output: int) -> Iterator[Unit]:
        """The modules whose switch to an output is closed, or may be."""
        return (unit for unit in self.units.values() if unit.output == output and unit.state != "free")

    def effects(self, bus: str, effects: Iterable[Any]) -> list[Any]:
        """Frames of a driver go out by its bus; its events are returned."""
        events: list[Any] = []
        for effect in effects:
            if type(effect) is Send:
                self.out.append(Send((bus, effect.data)))
            else:
                events.append(effect)
        return events

    def tell(self, unit: Unit, mv: int, ma: int, on: bool, now: int) -> None:
        """Voltage, current, on or off: to a module."""
        driver = self.drivers[unit.id.bus]
        self.effects(unit.id.bus, driver.command(Set(unit.id.address, mv, ma), now))
        if on != unit.sent_on:
            self.effects(unit.id.bus, driver.command(Switch(unit.id.address, on), now))
        unit.sent(mv, ma, on, now)

    def turn_off(self, unit: Unit, now: int) -> None:
        """Nothing is to come from it any more. Its driver goes on saying so."""
        if unit.sent_on or unit.sent_ma:
            self.tell(unit, unit.sent_mv, 0, False, now)

    def repeat_off(self, unit: Unit, now: int) -> None:
        """The order to turn off, once more."""
        self.effects(unit.id.bus, self.drivers[unit.id.bus].command(Switch(unit.id.address, False), now))

    def inquire(self, unit: Unit) -> None:
        """Ask a module how it is, at once."""
        self.effects(unit.id.bus, self.drivers[unit.id.bus].inquire(unit.id.address))

    def connect(self, unit: Unit, output: int, closed: bool, now: int, *, loaded: bool = False) -> None:
        """Move a switch of the matrix."""
        self.out.append(Connect(unit.id, output, closed, loaded))
        unit.output = output
        unit.enter("closing" if closed else "opening", now)

    def leave(self, unit: Unit, reason: str, now: int) -> None:
        """A joined module is turned off, and its switch opened when nothing flows."""
        if unit.state != "joined":
            return
        unit.why = reason
        unit.enter("leaving", now)
        unit.zero_since = unit.agreed_since = unit.matched_since = None
        self.turn_off(unit, now)
        self.dirty = True
        if unit.output is not None:
            self.outputs[unit.output].reduced = f"{unit.id}: {reason}"
        self.out.append(UnitChanged(unit.id, "leaving", reason))

    def withdraw(self, unit: Unit, reason: str, now: int, *, rest: bool = True) -> None:
        """A module has failed: out of service, for a while or until someone has looked at it."""
        if unit.out:
            return
        count = self.failures[unit.id] = self.failures.get(unit.id, 0) + 1
        unit.out = reason
        unit.out_until = now + self.config.rest_ms if rest and count < 3 else None
        self.dirty = True
        self.out.append(UnitChanged(unit.id, "out of service", reason))
        self.leave(unit, reason, now)

    def fail(self, output: Output, code: str, text: str, now: int) -> None:
        """An output is turned off as in an emergency and stays off."""
        if output.phase == "emergency" and output.fault:
            return
        output.fault = True
        output.over_voltage = code == "OverVoltage"
        output.enter("emergency", now, text)
        self.out.append(OutputFault(output.number, code, text))
        self.dirty = True
        for unit in self.at(output.number):
            self.turn_off(unit, now)

    def trip(self, reason: str, now: int) -> None:
        """The last resort: no input, no output."""
        if self.tripped:
            return
        self.tripped = reason
        self.out.append(TripAll(reason))
        for output in self.outputs.values():
            if output.phase not in ("blocked", "idle"):
                self.fail(output, "", f"the cabinet was tripped: {reason}", now)
        for unit in self.units.values():
            unit.sent_on = False
            unit.unseen_ma = 0
