"""Modules that say off and are not, readings that are older than what flows, voltage that no one measures."""

from __future__ import annotations

import pytest
from tests.station.power.cabinet_world import World

from pilotwire.protocols.power_modules import DRIVERS
from pilotwire.station.power import driving, switching
from pilotwire.station.power.messages import Connect, Demand, Halt, OutputFault, Release, UnitChanged
from pilotwire.station.power.output import Phase
from pilotwire.station.power.stage import CabinetConfig, Stage, UnitPlan
from pilotwire.station.power.unit import Unit, UnitId

QUICK = CabinetConfig(rise_ma_s=200_000, hold_ms=2_000)


def test_a_module_that_says_off_and_keeps_its_voltage_joins_nothing():
    """Its output stage no longer follows: off by its word, and 454 V at its terminals for the next vehicle."""
    world = World(("infy",), 2, config=QUICK)
    world.run(3_000)
    victim = UnitId("infy", 1)
    stage = world.plant.modules[victim].rectifier
    stage.stuck, stage.reference_mv, stage.limit_ma = True, 454_000, 9_000
    world.run(500)
    world.charge(1, 420_000, 140_000)
    for _ in range(1_000):
        world.step()
        assert not world.plant.joined[victim]
    assert world.ma(1) > 65_000, "the other one delivers"
    reasons = [event.reason for event in world.said if type(event) is UnitChanged and event.unit == victim]
    assert "gives 454000 mV though it was turned off" in reasons
    stage.stuck = False
    world.run(70_000)
    assert world.plant.joined[victim] == [1], "mended it serves again"


@pytest.mark.parametrize("silent", [True, False])
def test_voltage_that_is_too_high_waits_for_nothing(silent: bool):
    """The vehicle has gone. Without a meter no current is known, but the monitor's word is enough; with one, whatever
    is at the output is disconnected as soon as nothing flows, for one of them may not have turned off.
    """
    world = World(("infy",), 2, config=QUICK)
    world.run(3_000)
    world.charge(1, 420_000, 60_000)
    world.run(4_000)
    for id, outputs in world.plant.joined.items():
        if outputs:
            world.plant.modules[id].rectifier.stuck = True
            world.plant.modules[id].rectifier.reference_mv = 500_000
    outlet = world.plant.outlets[1]
    outlet.meter.silent, outlet.battery = silent, None
    high = 0
    for _ in range(200):
        world.step()
        high += 10 * (outlet.mv > 470_000)
    assert 400 < high <= 600, "400 ms, and what a shutdown and a contactor take"
    assert world.faults[1].code == "OverVoltage"


class Leaving:
    """One module leaves an output where three others give; everything as the cabinet has heard it."""

    def __init__(self) -> None:
        plans = [UnitPlan(bus="infy", address=address, reach=frozenset({1, 2})) for address in (1, 2, 3, 4)]
        self.stage = Stage({"infy": DRIVERS["infy"]((1, 2, 3, 4))}, plans, {1: 500_000, 2: 500_000}, CabinetConfig())
        self.units = list(self.stage.units.values())
        self.now = 10_000
        output = self.stage.outputs[1]
        output.enter("active", self.now)
        for unit in self.units:
            unit.present = unit.obeyed = True
            unit.running = unit is not self.units[0]
            unit.output = 1
            unit.enter("joined", self.now)
        self.units[0].enter("leaving", self.now)
        self.now += 300

    def tick(self, meter: int, *readings: int) -> bool:
        """True: the switch of the first is told to open."""
        self.now += 50
        for unit, ma in zip(self.units, readings, strict=True):
            unit.read(400_000, ma, self.now)
        output = self.stage.outputs[1]
        output.mv, output.ma, output.measured_at = 400_000, meter, self.now
        self.stage.out.clear()
        switching.step(self.stage, self.units[0], self.now)
        return any(type(effect) is Connect for effect in self.stage.out)


def test_who_leaves_is_let_go_as_soon_as_the_meter_agrees():
    assert Leaving().tick(20_000, 0, 5_000, 8_000, 7_000)


def test_it_is_not_let_go_on_what_another_gave_a_moment_ago():
    """It says nothing and gives 5.2 A. Another one falls by 6.8 A, has not said so yet, and the sums agree."""
    world = Leaving()
    other = world.units[1]
    other.sent(400_000, 6_800, True, world.now - 400)
    other.read(400_000, 6_800, world.now - 300)
    other.sent(400_000, 0, False, world.now)
    other.enter("leaving", world.now)
    assert not world.tick(20_800, 0, 6_800, 8_050, 7_500)
    assert not any(world.tick(20_800, 0, 0, 8_050, 7_500) for _ in range(30)), "now it is known: 5.2 A are hidden"


def test_a_module_that_wavers_keeps_no_other_for_ever():
    world = Leaving()
    other = world.units[1]
    other.sent(400_000, 6_800, True, world.now)
    other.sent(400_000, 5_000, True, world.now)
    taken = [world.tick(20_000, 0, 8_500, 8_000, 3_000) for _ in range(16)]
    assert taken.index(True) >= 11, "what agrees for 0.6 s is so"


@pytest.mark.parametrize("emergency", [False, True])
def test_off_within_a_second(emergency: bool):
    """A stuck module, a welded switch: the cabinet is tripped, and nothing flows a second after the button."""
    world = World(("infy",), 2, config=QUICK)
    world.run(3_000)
    world.charge(1, 400_000, 140_000)
    world.run(5_000)
    for id, outputs in world.plant.joined.items():
        if outputs:
            world.plant.modules[id].rectifier.stuck = world.plant.switches[id, 1].welded = True
    world.tell(Halt(1, emergency=emergency, reason="the button"))
    begun = world.now
    while world.ma(1) > 5_000:
        world.step()
        assert world.now - begun < (1_000 if emergency else 2_500)
    assert world.plant.tripped
    assert [event for event in world.said if type(event) is OutputFault] or emergency


def live_and_welded() -> World:
    """A switch that does not open and a module that goes on, of which the vehicle's battery shows nothing."""
    world = World(("infy",), 2, config=QUICK)
    world.run(3_000)
    world.charge(1, 420_000, 60_000)
    world.run(4_000)
    for id, outputs in world.plant.joined.items():
        if outputs:
            world.plant.switches[id, 1].welded = True
            world.plant.modules[id].rectifier.stuck = True
            world.plant.modules[id].rectifier.limit_ma = 500
            world.plant.modules[id].rectifier.reference_mv = 780_000
    world.tell(Halt(1))
    return world


def test_no_voltage_is_left_at_an_output_that_is_off():
    """Half an ampere is no current, off was told, and the vehicle has gone: 780 V stand at an open connector."""
    world = live_and_welded()
    world.run(1_000)
    outlet = world.plant.outlets[1]
    outlet.monitor.stop()
    outlet.battery = None
    assert 1 in world.off and not world.plant.tripped
    world.run(3_500)
    assert outlet.mv < 1_000 and "780000 mV stand at the output" in world.plant.tripped


def test_a_tripped_cabinet_is_released_though_nothing_was_asked_for():
    world = live_and_welded()
    world.plant.outlets[1].monitor.stop()
    world.plant.outlets[1].battery = None
    world.run(6_000)
    assert world.plant.tripped and world.offers[2].max_ma == 0
    world.plant.repair()
    world.tell(Release(2))
    world.run(3_000)
    assert world.offers[2].max_ma > 0


def test_without_a_meter_switches_open_at_an_output_that_is_off():
    """What it says itself does not keep it there, and no meter will ever agree."""
    world = Leaving()
    output, unit = world.stage.outputs[1], world.units[0]
    output.enter("idle", 30_000)
    unit.enter("leaving", 30_000)
    for now in range(30_050, 33_000, 50):
        switching.step(world.stage, unit, now)
    assert [event for event in world.stage.out if type(event) is Connect] == [Connect(unit.id, 1, False, True)]


def test_only_a_module_that_is_dark_joins_an_output():
    """Off by order, by its own word or long enough told, without current and voltage, and said since it is free."""
    unit = Unit(UnitId("infy", 1), frozenset({1}), max_ma=75_000, max_mw=30_000_000)
    unit.enter("free", 9_000)
    unit.sent(400_000, 10_000, True, 9_000)
    unit.sent(400_000, 0, False, 9_500)
    unit.running, unit.obeyed = False, True
    assert not unit.dark(9_600), "nothing said since it is free"
    unit.read(0, 0, 9_600)
    assert unit.dark(9_600)
    unit.obeyed = False
    assert not unit.dark(10_900) and unit.dark(11_000), "told for 1.5 s, it must have heard"
    for change in ({"running": True}, {"sent_on": True}, {"read_ma": 600}, {"read_mv": 60_001}):
        before = {name: getattr(unit, name) for name in change}
        for name, value in change.items():
            setattr(unit, name, value)
        assert not unit.dark(11_000), change
        for name, value in before.items():
            setattr(unit, name, value)


@pytest.mark.parametrize("phase", ["idle", "blocked"])
def test_current_at_an_output_that_is_off_turns_it_off_again(phase: Phase):
    stage = Leaving().stage
    output = stage.outputs[2]
    output.enter(phase, 20_000)
    heard = []
    for now in range(20_050, 21_000, 50):
        output.mv, output.ma, output.measured_at = 400_000, 8_000, now
        driving.step(stage, output, 50, now)
        heard += [(now, event) for event in stage.out if type(event) is OutputFault]
        stage.out.clear()
    ((at, fault),) = heard
    assert at == 20_550 and fault.code == "OverCurrentFailure" and output.phase == "emergency"


@pytest.mark.parametrize("says", ["off", "on", "nothing"])
def test_a_welded_switch_and_current_behind_it(says: str):
    """It must say that it is off and be it, or only its input is left."""
    world = Leaving()
    stage, unit = world.stage, world.units[0]
    stage.outputs[1].enter("blocked", 30_000)
    unit.enter("stuck", 30_000)
    unit.off_at, unit.running, unit.obeyed = 30_000, says == "on", says == "off"
    for now in range(30_050, 33_000, 50):
        if says != "nothing":
            unit.read(50_000, 3_000 if says == "off" else 0, now)
        stage.outputs[1].mv, stage.outputs[1].ma, stage.outputs[1].measured_at = 50_000, 3_000, now
        switching.step(stage, unit, now)
        if stage.tripped:
            break
    assert "does not open" in stage.tripped and 31_000 < now <= 31_600


def test_without_a_meter_a_welded_switch_trips_the_cabinet():
    """An emergency, nothing is measured, and one cannot be disconnected: no one knows that it is off."""
    stage = Leaving().stage
    output = stage.outputs[1]
    output.enter("emergency", 30_000)
    for now in range(30_050, 31_000, 50):
        for unit in stage.units.values():
            switching.step(stage, unit, now)
        driving.step(stage, output, 50, now)
        if stage.tripped:
            break
    assert "is not measured, and infy:1" in stage.tripped and now <= 30_900


def test_a_module_that_is_on_though_it_is_free_is_no_ones():
    world = Leaving()
    unit = world.units[0]
    unit.enter("free", 30_000)
    for now in range(30_050, 40_000, 50):
        unit.running = True
        unit.read(0, 0, now)
        switching.step(world.stage, unit, now)
    assert unit.out == "is on though it was turned off"


def test_current_that_does_not_fall_as_it_must_is_an_emergency_before_the_time_is_up():
    """100 A/s from 200 A on: after 0.5 s it is no longer 200 A."""
    stage = Leaving().stage
    output = stage.outputs[1]
    output.mv, output.ma = 400_000, 200_000
    output.enter("stopping", 30_000)
    for now in range(30_050, 31_400, 50):
        output.measured_at = now
        driving.step(stage, output, 50, now)
    faults = [event.text for event in stage.out if type(event) is OutputFault]
    assert faults == ["current does not stop: 200000 mA"] and output.since <= 30_550


def test_voltage_above_the_request_while_current_flows():
    """2 % of 1000 V and no more, below what the over-voltage monitor watches."""
    stage = Leaving().stage
    output = stage.outputs[1]
    output.demand = Demand(output=1, mv=400_000, ma=50_000, want_ma=50_000, limit_mv=500_000)
    output.raise_to(50_000, 1_000_000, 1_000, 30_000)
    output.enter("active", 30_000)
    for mv, ma, code in ((420_000, 50_000, None), (421_000, 900, None), (421_000, 50_000, "OverVoltage")):
        output.mv, output.ma = mv, ma
        found = None
        for now in range(30_050, 30_600, 50):
            output.measured_at = now
            found = found or output.trouble(now, None)
        assert (found and found[0]) == code
