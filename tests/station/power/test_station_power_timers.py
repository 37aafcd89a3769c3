"""Every time that the power stage keeps, just inside and just outside."""

from __future__ import annotations

from typing import Any

from tests.station.power.cabinet_world import World
from tests.timers import INSIDE, every_timer, just, shown

from pilotwire.core.timers import TimerRule
from pilotwire.station.power import driving, switching
from pilotwire.station.power.isolation import IsolationTest
from pilotwire.station.power.messages import Connect, Demand
from pilotwire.station.power.monitors import SimIsolationMonitor, SimOverVoltageMonitor
from pilotwire.station.power.output import Output
from pilotwire.station.power.stage import CabinetConfig
from pilotwire.station.power.timers import (
    CONTACT,
    EMERGENCY_VOLTAGE,
    ERROR_VOLTAGE,
    EXCESS,
    METER,
    OFF,
    PLAUSIBLE,
    SELF_TEST,
    STALE,
    TIMERS,
    TOLD,
)

T = 1_000_000


def delivering(ma: int = 50_000) -> Output:
    """An output that gives what it is asked for."""
    output = Output(1, max_ma=500_000)
    output.demand = Demand(output=1, mv=400_000, ma=ma, want_ma=ma, limit_mv=450_000)
    output.enter("active", T - 60_000)
    output.ramp_ma = output.ceiling_ma = output.ma = ma
    output.mv = 390_000
    output.measured_at = T
    return output


def over_voltage(mv: int, wait: int) -> str:
    monitor = SimOverVoltageMonitor()
    monitor.set_limits(550_000, 450_000)
    monitor.start()
    monitor.see(400_000, T - 1)
    monitor.see(mv, T)
    monitor.see(mv, T + wait)
    return monitor.tripped


def measured(rule: TimerRule, wait: int) -> tuple[str, str] | None:
    output = delivering()
    module_mv = 390_000
    if rule is EXCESS:
        output.ma = 60_000
    elif rule is PLAUSIBLE:
        module_mv = 445_000
    assert output.trouble(T, module_mv) is None
    if rule is not METER:
        output.measured_at = T + wait
    return output.trouble(T + wait, module_mv)


def charging(outputs: int = 1) -> World:
    world = World(("infy",), 2, outputs, config=CabinetConfig(rise_ma_s=200_000, hold_ms=0))
    world.run(3_000)
    world.charge(1, 400_000, 120_000, want_ma=150_000)
    world.run(5_000)
    return world


def emergency(wait: int) -> list[Any]:
    """Switches that are opened when the current has not stopped."""
    world = charging()
    stage = world.cabinet.stage
    output = stage.outputs[1]
    stage.fail(output, "", "a test", world.now)
    output.ma, output.measured_at = 50_000, world.now + wait
    stage.out.clear()
    driving.step(stage, output, 0, world.now + wait)
    return [event for event in stage.out if isinstance(event, Connect) and event.loaded]


def contactor(wait: int) -> str:
    world = charging()
    stage = world.cabinet.stage
    unit = next(iter(stage.units.values()))
    unit.enter("closing", world.now)
    switching.step(stage, unit, world.now + wait)
    return unit.out


def told(wait: int) -> str:
    """A module that another output needs more, whose vehicle does not follow the lower limit."""
    world = charging(2)
    unit = next(iter(world.cabinet.stage.units.values()))
    unit.told_at = world.now
    world.cabinet._place(unit, 2, "the other one needs it", world.now + wait)
    return unit.state


def self_test(wait: int) -> str:
    monitor = SimIsolationMonitor(test_ms=60_000)
    test = IsolationTest(monitor)
    test.start(450_000, T)
    test.measured(450_000, T)
    assert test.step(T) is None
    result = test.step(T + wait)
    return "" if result is None else f"{result.status}: {test.reason}"


@every_timer(TIMERS)
def test_timers(rule: TimerRule, edge: str):
    inside = edge == INSIDE
    wait = just(rule, edge)
    if rule in (EMERGENCY_VOLTAGE, ERROR_VOLTAGE):
        tripped = over_voltage(560_000 if rule is EMERGENCY_VOLTAGE else 460_000, wait)
        assert tripped == ("" if inside else "emergency" if rule is EMERGENCY_VOLTAGE else "error")
        seen = f"{tripped} shutdown" if tripped else "nothing happens"
    elif rule in (EXCESS, METER, PLAUSIBLE):
        trouble = measured(rule, wait)
        assert (trouble is None) is inside
        seen = "it goes on" if trouble is None else f"off: {trouble[1]}"
    elif rule is OFF:
        opened = emergency(wait)
        assert bool(opened) is not inside
        seen = f"{len(opened)} switches are opened under load" if opened else "it waits for the modules"
    elif rule is CONTACT:
        reason = contactor(wait)
        assert bool(reason) is not inside
        seen = reason or "it waits for the switch"
    elif rule is STALE:
        world = charging()
        unit = next(iter(world.cabinet.stage.units.values()))
        assert unit.usable(unit.read_at + wait) is inside
        seen = "it is given current" if inside else "it is given nothing any more"
    elif rule is TOLD:
        state = told(wait)
        assert state == ("joined" if inside else "leaving")
        seen = "the module stays for now" if inside else "the module is taken"
    else:
        assert rule is SELF_TEST
        ended = self_test(wait)
        assert bool(ended) is not inside
        seen = ended or "the test goes on"
    shown(rule, edge, seen)


def test_an_isolation_test_from_start_to_end():
    for ohm, works, expected in ((1_000_000, True, "valid"), (90_000, True, "fault"), (1_000_000, False, "fault")):
        monitor = SimIsolationMonitor(works=works)
        monitor.resistance = ohm
        test = IsolationTest(monitor)
        test.start(450_000, T)
        result = None
        for now in range(T, T + 30_000, 100):
            mv = min(450_000, (now - T) * 300)
            test.measured(mv, now)
            monitor.see(mv, now)
            result = test.step(now) or result
        assert result is not None and result.status == expected
        assert (test.reason == "") is (expected == "valid")
        assert test.step(T + 90_000) is None, "told once"
    nobody = IsolationTest(None)
    nobody.start(450_000, T)
    ended = nobody.step(T)
    assert ended is not None and ended.status == "no-monitor"
