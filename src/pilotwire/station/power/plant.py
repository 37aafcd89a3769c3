"""A whole power cabinet, simulated: modules on their buses, contactors, cables, vehicles, meters, monitors.

It is the hardware below a `Cabinet`: `carry_out` takes the cabinet's effects, `step` lets a moment go by and returns
what the cabinet hears of it. Frames take their time on the wire (bits at the bus's rate, one after the other), and
every kind of fault can be put in. What really flows is in `outlets`, whatever anyone says.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pilotwire.core.machines import Send
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.power_modules import EmulatedBus, ModuleEmulator

from .circuit import Battery, Source, solve
from .limits import SAFE_MA
from .messages import Connect, Contact, Metered, TripAll, Tripped
from .monitors import SimDcMeter, SimOverVoltageMonitor
from .unit import UnitId

STEP_MS = 10
_FRAME_BITS = 150
"""An extended frame of eight bytes with its stuff bits, about."""
_BUS_ROOM = 200
"""Frames that wait for the bus; more are lost."""

Wire = Callable[[str, CanFrame, bool], Iterable[tuple[int, CanFrame]]]
"""(bus, frame, towards the modules) → what arrives, each after so many ms more: faults of the wire."""


def clean(bus: str, frame: CanFrame, down: bool) -> Iterable[tuple[int, CanFrame]]:
    """A wire without faults."""
    return ((0, frame),)


class Switchgear:
    """One contactor of the matrix."""

    __slots__ = ("closed", "due", "wanted", "welded", "will_not_close")

    def __init__(self) -> None:
        self.closed = False
        self.wanted = False
        self.due: int | None = None
        self.welded = False
        self.will_not_close = False


class Outlet:
    """One output, as it really is."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.battery: Battery | None = None
        """The vehicle, while its own contactors are closed."""
        self.mv = 0
        self.ma = 0
        self.meter = SimDcMeter(f"dc-{number}")
        self.meter.period_ms = 50
        self.monitor = SimOverVoltageMonitor()


class Wired:
    """One bus: what waits to be sent in either direction."""

    def __init__(self, name: str, modules: Iterable[ModuleEmulator], bitrate: int) -> None:
        self.name = name
        self.far = EmulatedBus(modules)
        self.queue: deque[tuple[int, CanFrame, bool]] = deque()
        self.late: list[tuple[int, CanFrame, bool]] = []
        self.room_us = 0
        self.frame_us = _FRAME_BITS * 1_000_000 // bitrate
        self.down = False
        self.carried = 0
        self.shed = 0

    def put(self, at: int, frame: CanFrame, down: bool) -> None:
        if len(self.queue) >= _BUS_ROOM:
            self.shed += 1
        else:
            self.queue.append((at, frame, down))


class Plant:
    """See the module's docstring. `buses`: the modules of each; `reach`: which outputs the matrix joins each to."""

    def __init__(
        self,
        buses: Mapping[str, Iterable[ModuleEmulator]],
        reach: Mapping[UnitId, frozenset[int]],
        outputs: Iterable[int],
        *,
        bitrate: int = 125_000,
        wire: Wire = clean,
    ) -> None:
        self.buses = {name: Wired(name, modules, bitrate) for name, modules in buses.items()}
        self.wire = wire
        self.outlets = {number: Outlet(number) for number in outputs}
        self.switches = {(id, number): Switchgear() for id, numbers in reach.items() for number in numbers}
        self.modules = {
            UnitId(name, address): module
            for name, bus in self.buses.items()
            for address, module in bus.far.modules.items()
        }
        self.tripped = ""
        self.under_load = 0
        """Contactors that were opened with more than 5 A through them, without the cabinet having said so."""
        self.announced = 0
        """The same, but the cabinet had said so."""
        self.joined: dict[UnitId, list[int]] = {id: [] for id in self.modules}
        """Outputs that a module is really joined to."""
        self.heard: list[Any] = []
        self._moving: list[tuple[UnitId, int]] = []
        for outlet in self.outlets.values():
            self._listen(outlet)

    def _listen(self, outlet: Outlet) -> None:
        number = outlet.number
        outlet.meter.told = lambda reading: self.heard.append(Metered(number, reading.mv, reading.ma))

        def tripped(error: Any) -> None:
            emergency = outlet.monitor.tripped == "emergency"
            if emergency:
                # By wire, not by software: the contactors of the output fall.
                for (id, to), switch in self.switches.items():
                    if to == number and switch.closed:
                        self._open(id, to, switch)
            self.heard.append(Tripped(number, emergency, error.text))

        outlet.monitor.told = tripped

    # ── what the cabinet does ────────────────────────────────────────────────────────────────────────────────────────

    def carry_out(self, effects: Iterable[Any], now: int) -> list[Any]:
        """The cabinet's effects; those that are for the station are returned."""
        others: list[Any] = []
        for effect in effects:
            kind = type(effect)
            if kind is Send:
                bus, frame = effect.data
                wired = self.buses[bus]
                if not wired.down:
                    for delay, arrives in self.wire(bus, frame, True):
                        wired.put(now + delay, arrives, True)
            elif kind is Connect:
                self._connect(effect, now)
            else:
                if kind is TripAll:
                    self.trip(effect.reason)
                others.append(effect)
        return others

    def trip(self, reason: str) -> None:
        """No input any more."""
        self.tripped = reason
        for module in self.modules.values():
            module.rectifier.cut()

    def repair(self) -> None:
        """Input is back."""
        self.tripped = ""
        for module in self.modules.values():
            module.rectifier.alive = True

    def _connect(self, effect: Connect, now: int) -> None:
        switch = self.switches.get((effect.unit, effect.output))
        if switch is None:
            return
        loaded = self.modules[effect.unit].rectifier.ma > SAFE_MA
        if loaded and not effect.closed and switch.closed and not switch.welded:
            self.under_load += not effect.loaded
            self.announced += effect.loaded
        switch.wanted = effect.closed
        switch.due = now + 60
        if (effect.unit, effect.output) not in self._moving:
            self._moving.append((effect.unit, effect.output))

    def _open(self, id: UnitId, number: int, switch: Switchgear) -> None:
        switch.wanted = False
        if not switch.welded:
            switch.closed = False
            if number in self.joined[id]:
                self.joined[id].remove(number)
            self.heard.append(Contact(id, number, False))

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def step(self, now: int) -> list[Any]:
        """A step of `STEP_MS`: what the cabinet hears in it, frames as (bus, CanFrame), the rest as its commands."""
        self._move(now)
        for wired in self.buses.values():
            self._carry(wired, now)
        for module in self.modules.values():
            module.elapse(now)
        self._circuits(now)
        heard, self.heard = self.heard, []
        return heard

    def _move(self, now: int) -> None:
        for id, number in list(self._moving):
            switch = self.switches[id, number]
            if switch.due is None or now < switch.due:
                continue
            switch.due = None
            self._moving.remove((id, number))
            if switch.wanted and not switch.closed and not switch.will_not_close:
                switch.closed = True
                self.joined[id].append(number)
                self.heard.append(Contact(id, number, True))
            elif not switch.wanted and switch.closed:
                self._open(id, number, switch)
            elif not switch.wanted:
                self.heard.append(Contact(id, number, False))

    def _carry(self, wired: Wired, now: int) -> None:
        if wired.down:
            wired.queue.clear()
            return
        wired.room_us = min(wired.room_us + STEP_MS * 1000, 2 * STEP_MS * 1000)
        for _ in range(len(wired.queue)):
            if wired.room_us < wired.frame_us:
                break
            at, frame, down = wired.queue.popleft()
            if at > now:
                wired.queue.append((at, frame, down))
                continue
            wired.room_us -= wired.frame_us
            wired.carried += 1
            if not down:
                self.heard.append((wired.name, frame))
                continue
            for answer in wired.far.frames(frame, now):
                for delay, arrives in self.wire(wired.name, answer, False):
                    wired.put(now + delay, arrives, False)

    def _circuits(self, now: int) -> None:
        there: dict[int, list[ModuleEmulator]] = {number: [] for number in self.outlets}
        for id, module in self.modules.items():
            numbers = self.joined[id]
            if numbers:
                there[numbers[0]].append(module)
            else:
                stage = module.rectifier
                stage.settle(stage.reference_mv, 0)
        for number, outlet in self.outlets.items():
            modules = there[number]
            sources = [Source(m.rectifier.reference_mv, m.rectifier.limit_ma) for m in modules]
            outlet.mv, flows = solve(sources, outlet.battery, outlet.mv, STEP_MS)
            outlet.ma = sum(flows)
            for module, ma in zip(modules, flows, strict=True):
                module.rectifier.settle(outlet.mv, ma)
            outlet.monitor.see(outlet.mv, now)
            outlet.meter.see(outlet.mv, outlet.ma, now)
