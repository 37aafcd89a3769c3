"""Each family, driver against emulator: found, set, on, measured, off, lost, found again."""

from __future__ import annotations

import pytest
from tests.protocols.power_modules.rack import Rack

from pilotwire.protocols.power_modules import FAMILIES, Alarms, Family, Found, Limits, Lost, Reading, Set, Switch

every_family = pytest.mark.parametrize("family", FAMILIES)


@every_family
def test_modules_are_found_and_told_off(family: Family):
    rack = Rack(family)
    rack.modules[2].rectifier.switch(True, 0)  # it was on before we came
    rack.run(3_000)
    assert {event.address for event in rack.of(Found)} == {1, 2, 3}
    assert not rack.modules[2].rectifier.on
    if family != "uugreen":
        limits = {event.address: event for event in rack.of(Limits)}
        assert limits[1].max_ma == rack.modules[1].rating.max_ma
        assert limits[1].max_mw == rack.modules[1].rating.max_mw


@every_family
def test_modules_are_discovered(family: Family):
    first = 0 if family == "infy" else 1
    rack = Rack(family, fixed=False, first=first)
    rack.run(4_000)
    assert {event.address for event in rack.of(Found)} == {first, first + 1, first + 2}
    assert set(rack.driver.slots) == set(rack.modules)


@every_family
def test_set_and_on_and_off(family: Family):
    rack = Rack(family)
    rack.run(3_000)
    rack.charger.command(Set(2, 400_000, 20_000))
    rack.charger.command(Switch(2, True))
    rack.run(8_000)
    stage = rack.modules[2].rectifier
    assert abs(stage.reference_mv - 400_000) <= 1
    assert abs(stage.ma - 20_000) <= 1
    assert not rack.modules[1].rectifier.on, "no one else hears it"
    last = [event for event in rack.of(Reading) if event.address == 2][-1]
    assert abs(last.mv - 300_000) <= 100 and abs(last.ma - 20_000) <= 100 and last.running
    assert 25 <= len([event for event in rack.of(Reading) if event.address == 2]) <= 40, "four times a second"
    rack.charger.command(Switch(2, False))
    rack.run(1_500)
    assert stage.ma == 0 and not stage.on
    assert [event for event in rack.of(Reading) if event.address == 2][-1].running is False


@every_family
def test_a_lost_command_is_made_good(family: Family):
    rack = Rack(family)
    rack.run(3_000)
    for command in (Set(1, 400_000, 30_000), Switch(1, True)):
        rack.charger.command(command)
    rack.run(8_000)
    rack.cut = True
    rack.charger.command(Set(1, 400_000, 5_000))
    rack.charger.command(Switch(2, True))
    rack.run(100)
    assert rack.modules[1].rectifier.set_ma > 29_000
    rack.cut = False
    rack.run(1_000)
    assert abs(rack.modules[1].rectifier.ma - 5_000) <= 1


@every_family
def test_silence_turns_the_module_off_before_the_driver_gives_it_up(family: Family):
    rack = Rack(family)
    rack.run(3_000)
    for command in (Set(1, 400_000, 30_000), Switch(1, True)):
        rack.charger.command(command)
    rack.run(8_000)
    rack.cut = True
    rack.run(9_000)
    assert rack.modules[1].rectifier.on and not rack.of(Lost)
    rack.run(2_500)
    assert not rack.modules[1].rectifier.on and not rack.of(Lost), "the module is off first"
    rack.run(5_000)
    assert {event.address for event in rack.of(Lost)} == {1, 2, 3}
    rack.cut = False
    rack.run(3_000)
    assert {event.address for event in rack.of(Found)} == {1, 2, 3}
    assert not rack.modules[1].rectifier.on, "who comes back is off until it is switched on again"


@every_family
def test_alarms_come_in_words(family: Family):
    rack = Rack(family)
    rack.run(3_000)
    rack.modules[3].rectifier.faults |= {"over temperature", "fan fault"}
    rack.modules[3].rectifier.temperature = 900
    rack.run(3_000)
    told = [event for event in rack.of(Alarms) if event.address == 3][-1]
    assert {"over temperature", "fan fault"} <= {alarm.word for alarm in told.alarms}
    assert "HighTemperature" in {alarm.code for alarm in told.alarms}
    rack.modules[3].rectifier.faults.clear()
    rack.modules[3].rectifier.temperature = 300
    rack.run(3_000)
    assert [event for event in rack.of(Alarms) if event.address == 3][-1].alarms == ()


@pytest.mark.parametrize("family", ["huawei"])
def test_heat_takes_power_away_and_brings_it_back(family: Family):
    rack = Rack(family, 1)
    rack.run(3_000)
    stage = rack.modules[1].rectifier
    for command in (Set(1, 500_000, 60_000), Switch(1, True)):
        rack.charger.command(command)
    rack.run(9_000)
    full = stage.ma
    stage.fan_broken, stage.ambient = True, 400
    rack.run(60_000)
    assert stage.temperature > 650 and stage.ma < full
    stage.fan_broken, stage.ambient = False, 250
    rack.run(240_000)
    assert stage.ma == full or stage.faults
