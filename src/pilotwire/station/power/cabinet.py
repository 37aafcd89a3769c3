"""A power cabinet: modules of mixed families on their buses, shared between outputs through a switch matrix.

    cabinet = Cabinet(drivers, plans, {1: 500_000, 2: 500_000})
    cabinet.command(Demand(output=1, mv=400_000, ma=100_000, want_ma=200_000, limit_mv=450_000), now)
    cabinet.receive(("infy", frame), now)      # → Send((bus, frame)), Connect, OutputOffer, OutputFault ...

A machine as all others (`core.machines.Machine`). What it keeps to:

* An output's modules never add up to more than was asked for, for all that is known: what a silent module may still be
  delivering is counted as delivered until it must have turned itself off; who gets less is told first, who gets more
  only when that has been seen. Up by 20 A/s, down at once.
* A module changes its output only while off: less is offered to the vehicle first, then the module is turned off, its
  switch opened when neither it nor the meter sees current, and only then another one closed.
* Off is told when the current is safe. If it is not within half a second, switches are opened under load; if that does
  not help, the input of the whole cabinet is cut.
* Whatever is turned off or reduced says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pilotwire.protocols.power_modules import Alarms, Found, Limits, Lost, ModuleDriver, Reading

from . import driving, switching
from .allocation import Wanted, allocate
from .interfaces import MEASURE_MS
from .limits import cable_check_voltage, emergency_voltage
from .messages import (
    BusDown,
    CabinetCommand,
    Contact,
    Demand,
    Halt,
    Insulation,
    Metered,
    OutputMeasured,
    OutputOffer,
    Release,
    Tripped,
    UnitChanged,
)
from .monitors import ISOLATION_FAULT_OHM
from .output import Output
from .stage import CabinetConfig, Stage, UnitPlan
from .timers import TOLD
from .unit import Unit, UnitId

_ALLOCATE_MS = 500
_IDLE_MV = 400_000
"""What an output without a vehicle is said to be able to do, it can at this voltage."""


class Cabinet:
    """See the module's docstring. `outputs`: the most that each cable can carry, mA."""

    def __init__(
        self,
        drivers: Mapping[str, ModuleDriver],
        plans: Iterable[UnitPlan],
        outputs: Mapping[int, int],
        config: CabinetConfig = CabinetConfig(),  # noqa: B008 - frozen
    ) -> None:
        self.stage = Stage(drivers, plans, outputs, config)
        self._tick_due = 0
        self._last: int | None = None
        self._allocate_due = 0

    @property
    def deadline(self) -> int | None:
        """The next tick of the cabinet or of a driver."""
        dues = [driver.deadline for driver in self.stage.drivers.values()]
        return min([self._tick_due, *(due for due in dues if due is not None)])

    def receive(self, data: tuple[str, Any], now: int) -> Sequence[Any]:
        """(bus, CanFrame)."""
        bus, frame = data
        driver = self.stage.drivers.get(bus)
        if driver is not None:
            self._hear(bus, driver.receive(frame, now), now)
        return self._done()

    def elapse(self, now: int) -> Sequence[Any]:
        for bus, driver in self.stage.drivers.items():
            due = driver.deadline
            if due is not None and now >= due:
                self._hear(bus, driver.elapse(now), now)
        if now >= self._tick_due:
            self._tick_due = now + self.stage.config.tick_ms
            self._tick(now)
        return self._done()

    def lost(self, now: int) -> Sequence[Any]:
        """All buses are gone."""
        self.stage.down.update(self.stage.drivers)
        return self._done()

    def command(self, command: CabinetCommand, now: int) -> Sequence[Any]:
        """What the station wants, and what its hardware says. Never raises; what it does not know of is passed over."""
        if type(command) is Contact:
            unit = self.stage.units.get(command.unit)
            if unit is not None:
                switching.contact(self.stage, unit, command.output, command.closed, now)
            return self._done()
        if type(command) is BusDown:
            (self.stage.down.add if command.down else self.stage.down.discard)(command.bus)
            return self._done()
        output = self.stage.outputs.get(command.output)  # type: ignore[union-attr]
        if output is None:
            return self._done()
        if type(command) is Demand:
            self._demand(output, command, now)
        elif type(command) is Metered:
            output.mv, output.ma, output.measured_at = command.mv, command.ma, now
            if now - output.told_at >= MEASURE_MS:
                output.told_at = now
                self.stage.out.append(OutputMeasured(output.number, command.mv, command.ma))
        elif type(command) is Halt:
            driving.halt(self.stage, output, command.reason, command.emergency, now)
        elif type(command) is Tripped:
            self.stage.fail(output, "OverVoltage", command.text or "over-voltage", now)
        elif type(command) is Insulation:
            if command.ohm < ISOLATION_FAULT_OHM and output.phase == "active":
                self.stage.fail(output, "ResistanceFault", f"isolation {command.ohm} ohm", now)
        elif type(command) is Release and (output.phase == "blocked" or self.stage.tripped):
            if output.phase == "blocked":
                output.fault = False
                output.enter("idle", now, "released")
                output.reason = ""
            self.stage.tripped = ""
            self.stage.dirty = True
        return self._done()

    def limits(self, output: int, ev_mv: int) -> tuple[int, int]:
        """(emergency, error) thresholds for the output's over-voltage monitor."""
        most = max((unit.max_mv for unit in self.stage.units.values() if output in unit.reach), default=0)
        return emergency_voltage(min(ev_mv, most)), min(ev_mv, most)

    def test_voltage(self, output: int, ev_mv: int) -> int:
        """At which the isolation of an outlet is tested."""
        most = max((unit.max_mv for unit in self.stage.units.values() if output in unit.reach), default=0)
        return cable_check_voltage(ev_mv, most)

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _done(self) -> Sequence[Any]:
        out, self.stage.out = self.stage.out, []
        return out

    def _hear(self, bus: str, effects: Iterable[Any], now: int) -> None:
        for event in self.stage.effects(bus, effects):
            unit = self.stage.units.get(UnitId(bus, event.address))
            if unit is None:
                continue
            if type(event) is Reading:
                unit.running, unit.temperature = event.running, event.temperature
                unit.obeyed = event.obeyed
                unit.read(event.mv, event.ma, now)
            elif type(event) is Alarms:
                unit.alarms = event.alarms
                self.stage.dirty = True
            elif type(event) is Limits:
                unit.max_ma, unit.max_mw = event.max_ma, event.max_mw
                unit.max_mv, unit.min_mv = event.max_mv, event.min_mv
                self.stage.dirty = True
            elif type(event) is Found:
                unit.present = True
                unit.sent_on = False
                self.stage.dirty = True
            elif type(event) is Lost:
                # It has turned itself off by now: nothing is to be counted with any more.
                unit.present = False
                unit.sent_on = False
                unit.unseen_ma = 0
                self.stage.dirty = True
                self.stage.out.append(UnitChanged(unit.id, "lost", f"silent for {event.silent_ms} ms"))

    def _demand(self, output: Output, demand: Demand, now: int) -> None:
        if output.phase == "idle" and not self.stage.tripped:
            output.enter("active", now, "delivering")
            output.busy_until = now + self.stage.config.hold_ms
            self.stage.dirty = True
        if output.phase == "active":
            old = output.demand
            output.demand = demand
            if old is None or (old.want_ma, old.priority, old.mv) != (demand.want_ma, demand.priority, demand.mv):
                self.stage.dirty = True
            # Less is given at once, not with the next tick.
            if old is not None and (demand.ma < output.ramp_ma or demand.mv != old.mv):
                driving.step(self.stage, output, 0, now)

    # ── ticks ────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _tick(self, now: int) -> None:
        stage = self.stage
        passed = 0 if self._last is None else now - self._last
        self._last = now
        for unit in stage.units.values():
            switching.step(stage, unit, now)
        if stage.dirty or now >= self._allocate_due:
            self._allocate_due = now + _ALLOCATE_MS
            stage.dirty = False
            self._allocate(now)
        for output in stage.outputs.values():
            driving.step(stage, output, passed, now)
            self._offer(output, now)

    def _allocate(self, now: int) -> None:
        stage = self.stage
        config = stage.config
        wanted = [self._wanted(output, now) for output in stage.outputs.values() if output.phase == "active"]
        idle = [output.number for output in stage.outputs.values() if output.phase == "idle"]
        if stage.tripped:
            return
        candidates = [unit.candidate(now, factor=stage.factor, hold_ms=config.hold_ms) for unit in stage.units.values()]
        moving = sum(unit.told_at is not None or unit.state in ("leaving", "opening") for unit in stage.units.values())
        most = max(0, config.most_moves - moving)
        plan = allocate(wanted, candidates, idle=idle, reserve=config.reserve, most_moves=most)
        for id, place in plan.assigned.items():
            unit = stage.units[id]  # type: ignore[index]
            self._place(unit, place, plan.reasons.get(id, ""), now)

    def _wanted(self, output: Output, now: int) -> Wanted:
        demand = output.demand
        assert demand is not None
        ma = min(demand.want_ma, output.max_ma)
        if output.offered and demand.ma * 5 >= output.offered[1] * 4:
            output.busy_until = now + self.stage.config.hold_ms
        elif now > output.busy_until:
            # It has long been content with less: the rest is for others.
            ma = min(ma, max(demand.ma * 5 // 4, 10_000))
        return Wanted(output.number, demand.mv, ma, demand.priority)

    def _place(self, unit: Unit, place: int | None, reason: str, now: int) -> None:
        stage = self.stage
        if unit.state == "free":
            # It must have said that it is off, and be it: without current it may still be on, at the voltage of another
            # vehicle, and one that no longer does what it is told says off and keeps its voltage.
            if place is not None and unit.dark(now):
                stage.connect(unit, place, True, now)
                stage.out.append(UnitChanged(unit.id, f"joins output {place}", reason))
            elif place is not None:
                stage.dirty = True  # with the next tick again
        elif unit.state == "joined" and unit.output is not None:
            if place == unit.output:
                unit.told_at = None
                return
            output = stage.outputs[unit.output]
            if place is None:
                if not unit.usable(now):
                    return  # what has failed, `switching` takes away when it is time
                if unit.told_at is None or output.phase != "active":
                    stage.leave(unit, reason or f"output {unit.output} does not need it", now)
                return
            if unit.told_at is None:
                unit.told_at = now
                output.reduced = f"{unit.id}: {reason}"
            rest = sum(
                other.most_ma(output.demand.mv, stage.factor)
                for other in stage.at(unit.output)
                if output.demand and other.state == "joined" and other.told_at is None and other.usable(now)
            )
            followed = output.demand is None or output.demand.ma <= rest
            if followed or now - unit.told_at >= TOLD.ms:
                stage.leave(unit, reason, now)

    def _offer(self, output: Output, now: int) -> None:
        stage = self.stage
        mv = output.demand.mv if output.demand and output.phase == "active" else _IDLE_MV
        most_mv = max_ma = 0
        if output.phase in ("active", "idle") and not stage.tripped:
            for unit in stage.units.values():
                if not unit.usable(now) or output.number not in unit.reach:
                    continue
                if output.phase == "active":
                    if unit.output != output.number or unit.told_at is not None or unit.state == "leaving":
                        continue
                elif unit.state != "free":
                    continue
                max_ma += unit.most_ma(mv, stage.factor)
                most_mv = max(most_mv, unit.max_mv)
        max_ma = min(max_ma, output.max_ma) // 1000 * 1000
        offer = (most_mv, max_ma, max_ma * mv // 1000)
        if offer == output.offered:
            return
        reason = output.reduced or stage.tripped or (output.reason if output.phase == "blocked" else "")
        if not reason and not max_ma:
            reason = "no module can be used"
        if not reason:
            reason = "modules have joined or are free" if output.offered is None or offer > output.offered else ""
        if not reason:
            reason = "modules give less or are with others"
        output.offered = offer
        output.reduced = ""
        stage.out.append(
            OutputOffer(output=output.number, max_mv=offer[0], max_ma=offer[1], max_mw=offer[2], reason=reason)
        )
