"""The cabinet over emulated modules of all four families: charging, sharing, moving, losing modules, turning off."""

from __future__ import annotations

import itertools

import pytest
from tests.station.power.cabinet_world import World

from pilotwire.station.power.circuit import Battery
from pilotwire.station.power.messages import (
    BusDown,
    Demand,
    Halt,
    Insulation,
    OutputFault,
    OutputMeasured,
    OutputOff,
    OutputOffer,
    Release,
    UnitChanged,
)
from pilotwire.station.power.stage import CabinetConfig
from pilotwire.station.power.unit import UnitId

QUICK = CabinetConfig(rise_ma_s=200_000, hold_ms=2_000)


def ready(*arguments: object, **options: object) -> World:
    world = World(*arguments, **({"config": QUICK} | options))  # type: ignore[arg-type]
    world.run(3_000)
    return world


def joined(world: World, output: int) -> set[UnitId]:
    return {id for id, outputs in world.plant.joined.items() if output in outputs}


def test_it_charges_with_what_is_asked_for():
    world = World(count=2)
    world.run(3_000)
    world.charge(1, 400_000, 150_000)
    said = world.run(12_000)
    assert abs(world.ma(1) - 150_000) <= 1_000
    measured = [event for event in said if type(event) is OutputMeasured and event.output == 1]
    assert 40 <= len(measured) <= 50, "4 Hz"
    currents = [event.ma for event in measured]
    steps = [later - earlier for earlier, later in itertools.pairwise(currents[8:])]
    assert max(steps) <= 8_500, "20 A/s, told in steps"
    world.charge(1, 400_000, 40_000)
    world.run(700)
    assert world.ma(1) <= 41_000, "down at once"


def test_modules_of_all_families_share_one_output():
    world = ready(count=1)
    world.charge(1, 300_000, 330_000, want_ma=400_000)
    world.run(12_000)
    assert {id.bus for id in joined(world, 1)} == {"infy", "uugreen", "winline", "huawei"}
    assert abs(world.ma(1) - 330_000) <= 3_300
    flows = [module.rectifier.ma for module in world.plant.modules.values()]
    assert max(flows) - min(flows) <= 2_000, "equally"


def test_off_is_told_when_the_current_is_safe():
    world = ready()
    world.charge(1)
    world.run(5_000)
    world.tell(Halt(1))
    assert 1 not in world.off
    for _ in range(300):
        world.step()
        if 1 in world.off:
            break
    assert world.ma(1) <= 1_000
    assert world.off[1] == "the station wants it off"
    world.run(3_000)
    assert not joined(world, 1) and world.plant.under_load == 0


def test_a_second_vehicle_gets_its_part_and_the_first_is_told_before():
    world = ready(("infy", "winline"), 2)
    world.charge(1, 400_000, 300_000, want_ma=300_000)
    world.run(8_000)
    assert world.ma(1) >= 290_000 and len(joined(world, 1)) == 4
    world.charge(2, 400_000, 200_000, want_ma=300_000)
    moments: dict[str, int] = {}
    for _ in range(1_200):
        world.step()
        for event in world.said:
            if type(event) is OutputOffer and event.output == 1 and event.max_ma < 300_000:
                moments.setdefault("told", world.now)
            if type(event) is UnitChanged and event.state == "leaving":
                moments.setdefault("taken", world.now)
    assert moments["taken"] - moments["told"] >= 900, "first told, then taken"
    assert len(joined(world, 1)) == len(joined(world, 2)) == 2
    assert abs(world.ma(1) - world.ma(2)) <= 5_000
    assert world.plant.under_load == 0 and not world.faults


def test_who_comes_first_by_priority():
    world = ready(("infy",), 3)
    world.charge(1, 400_000, 225_000, want_ma=225_000)
    world.run(5_000)
    world.charge(2, 400_000, 225_000, want_ma=225_000, priority=1)
    world.run(12_000)
    assert len(joined(world, 2)) == 3 - 1 and len(joined(world, 1)) == 1, "no one is left with nothing"


def test_the_rest_takes_over_when_a_module_dies():
    world = ready(("infy",), 3)
    world.charge(1, 400_000, 100_000, want_ma=200_000)
    world.run(6_000)
    assert len(joined(world, 1)) == 3
    victim = next(iter(joined(world, 1)))
    world.plant.modules[victim].rectifier.cut()
    peak = 0
    for _ in range(1_000):
        world.step()
        peak = max(peak, world.ma(1))
    assert peak <= 105_000
    assert abs(world.ma(1) - 100_000) <= 1_000, "within its limits"
    assert victim not in joined(world, 1)
    assert "silent" in [e.reason for e in world.said if type(e) is UnitChanged and e.unit == victim]
    assert not world.faults


def test_a_silent_module_that_goes_on_delivering_is_counted_until_it_must_be_off():
    """The trap of InfyPower: it delivers for 10 s more. Whoever takes its share before that gives too much."""
    world = ready(("infy",), 3)
    world.charge(1, 400_000, 120_000, want_ma=220_000)
    world.run(6_000)
    victim = next(iter(joined(world, 1)))
    module = world.plant.modules[victim]
    module.receive = lambda frame, now: ()  # type: ignore[method-assign] - deaf and mute
    peak = 0
    begun = world.now
    delivered_until = 0
    for _ in range(1_800):
        world.step()
        peak = max(peak, world.ma(1))
        if module.rectifier.ma:
            delivered_until = world.now - begun
    assert 9_000 < delivered_until < 11_000
    assert peak <= 126_000
    assert abs(world.ma(1) - 120_000) <= 1_200
    assert not world.faults and world.plant.under_load == 0


def test_an_alarm_says_why_and_the_offer_falls():
    world = ready(("infy",), 2)
    world.charge(1, 400_000, 150_000)
    world.run(5_000)
    victim = next(iter(joined(world, 1)))
    world.plant.modules[victim].rectifier.faults.add("fan fault")
    world.run(4_000)
    assert world.offers[1].max_ma == 75_000
    reasons = [event.reason for event in world.said if type(event) is OutputOffer]
    assert any("fan fault" in reason for reason in reasons)
    world.plant.modules[victim].rectifier.faults.clear()
    world.run(8_000)
    assert abs(world.ma(1) - 150_000) <= 1_500, "it comes back"


def test_a_module_that_does_not_turn_off_is_cut_off_with_its_output():
    world = ready(("infy",), 2)
    world.charge(1, 400_000, 140_000)
    world.run(5_000)
    for module in world.plant.modules.values():
        module.rectifier.stuck = True
    world.tell(Halt(1))
    worst = 0
    for _ in range(400):
        world.step()
        if world.ma(1) > 5_000:
            worst = world.now
    assert worst and 1 in world.off
    assert world.ma(1) == 0
    assert "current does not stop" in world.faults[1].text
    assert not world.plant.tripped


def test_a_welded_contactor_and_a_stuck_module_trip_the_cabinet():
    world = ready(("infy",), 2)
    world.charge(1, 400_000, 140_000)
    world.run(5_000)
    for id in joined(world, 1):
        world.plant.modules[id].rectifier.stuck = True
        world.plant.switches[id, 1].welded = True
    world.tell(Halt(1, emergency=True, reason="someone has pressed the button"))
    world.run(3_000)
    assert world.plant.tripped.startswith("output 1 still gives")
    assert world.ma(1) == 0 and world.offers[1].max_ma == 0 and world.offers[2].max_ma == 0
    assert 1 in world.off


def test_emergency_off_is_quick():
    world = ready()
    world.charge(1, 400_000, 400_000, want_ma=500_000)
    world.run(12_000)
    assert world.ma(1) > 390_000
    begun = world.now
    world.tell(Halt(1, emergency=True))
    while world.ma(1) > 5_000:
        world.step()
    assert world.now - begun <= 1_000


def test_isolation_over_voltage_and_a_silent_meter_turn_it_off():
    for cause, code in (("isolation", "ResistanceFault"), ("voltage", "OverVoltage"), ("meter", "")):
        world = ready(("winline",), 2)
        world.charge(1, 400_000, 60_000)
        world.run(4_000)
        outlet = world.plant.outlets[1]
        if cause == "isolation":
            world.tell(Insulation(1, 60_000))
        elif cause == "voltage":
            outlet.battery = Battery(560_000)
            for module in world.plant.modules.values():
                module.rectifier.stuck = True
                module.rectifier.reference_mv, module.rectifier.limit_ma = 600_000, 20_000
        else:
            outlet.meter.silent = True
        world.run(4_000)
        outlet.meter.silent = False
        world.run(1_000)
        assert world.faults[1].code == code, cause
        assert world.ma(1) == 0 and 1 in world.off
        world.charge(1, 400_000, 60_000)
        world.run(1_000)
        assert world.ma(1) == 0, "blocked until someone has looked"
        assert world.offers[1].max_ma == 0 and world.offers[1].reason


def test_after_release_it_serves_again():
    world = ready(("huawei",), 2)
    world.charge(1, 400_000, 60_000)
    world.run(4_000)
    world.tell(Insulation(1, 60_000))
    world.run(3_000)
    world.tell(Release(1))
    world.charge(1, 400_000, 60_000)
    world.run(6_000)
    assert abs(world.ma(1) - 60_000) <= 1_000


def test_a_bus_that_is_off_is_named():
    world = ready(("infy", "huawei"), 2)
    world.charge(1, 400_000, 240_000, want_ma=350_000)
    world.run(8_000)
    world.plant.buses["infy"].down = True
    world.tell(BusDown("infy", True))
    world.run(20_000)
    assert {id.bus for id in joined(world, 1)} == {"huawei"}
    assert abs(world.ma(1) - 200_000) <= 2_000, "what the rest can"
    reasons = [event.reason for event in world.said if type(event) is OutputOffer and event.output == 1]
    assert any("bus infy is off" in reason for reason in reasons)


def test_without_any_bus_modules_turn_themselves_off_and_it_is_said():
    world = ready(("infy",), 2)
    world.charge(1, 400_000, 100_000)
    world.run(5_000)
    for bus in world.plant.buses.values():
        bus.down = True
    world.take(world.cabinet.lost(world.now))
    world.run(8_000)
    assert 95_000 < world.ma(1) <= 105_000, "they deliver for 10 s more, and no one may count on less"
    world.run(10_000)
    assert world.ma(1) == 0 and not joined(world, 1) and not world.plant.under_load
    assert world.offers[1].max_ma == 0 and "bus infy is off" in [e.reason for e in world.said if type(e) is UnitChanged]


def test_a_welded_switch_keeps_its_module_from_other_outputs():
    world = ready(("infy",), 2)
    world.charge(1, 400_000, 60_000, want_ma=75_000)
    world.run(4_000)
    (victim,) = joined(world, 1)
    world.plant.switches[victim, 1].welded = True
    world.tell(Halt(1))
    world.run(2_000)
    world.plant.outlets[1].battery = None
    world.run(2_000)
    world.charge(2, 400_000, 150_000)
    world.run(6_000)
    assert joined(world, 1) == {victim} and len(joined(world, 2)) == 1
    assert any("does not open" in e.reason for e in world.said if type(e) is UnitChanged)
    assert not [id for id, outputs in world.plant.joined.items() if len(outputs) > 1]


def test_a_switch_that_does_not_close_is_left_alone():
    world = ready(("infy",), 3)
    world.plant.switches[UnitId("infy", 1), 1].will_not_close = True
    world.charge(1, 400_000, 220_000)
    world.run(5_000)
    assert len(joined(world, 1)) == 2 and world.ma(1) > 140_000
    assert any("does not close" in e.reason for e in world.said if type(e) is UnitChanged)


def test_altitude_and_heat_take_power_away():
    world = World(("winline",), 2, config=CabinetConfig(rise_ma_s=200_000, altitude_m=4_000))
    world.run(3_000)
    world.charge(1, 400_000, 150_000)
    world.run(5_000)
    assert world.offers[1].max_ma == 120_000, "20 % less at 4000 m"
    for module in world.plant.modules.values():
        module.rectifier.temperature = 775
        module.rectifier.ambient = 775
    world.run(6_000)
    assert world.offers[1].max_ma < 70_000


def test_commands_for_what_is_not_there_are_passed_over():
    world = ready(("infy",), 1)
    for command in (
        Demand(output=9, mv=1, ma=1, want_ma=1, limit_mv=1),
        Halt(9),
        Release(1),
        Insulation(1, 5),
        BusDown("none", True),
    ):
        world.tell(command)
    world.tell(Halt(1))
    assert type(world.said[-1]) is OutputOff
    assert not [event for event in world.said if type(event) is OutputFault]


@pytest.mark.parametrize("outputs", [2, 4])
def test_a_vehicle_that_leaves_gives_its_modules_to_the_others(outputs: int):
    world = ready(("infy", "huawei"), 2, outputs)
    for output in range(1, outputs + 1):
        world.charge(output, 400_000, 300_000, want_ma=350_000)
    world.run(10_000)
    assert all(joined(world, output) for output in range(1, outputs + 1))
    for output in range(2, outputs + 1):
        world.tell(Halt(output))
        world.plant.outlets[output].battery = None
    world.run(12_000)
    assert len(joined(world, 1)) == 4 and world.ma(1) >= 295_000
