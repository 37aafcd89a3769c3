"""Drivers over a link in simulated time: what is read when, what a fault does, how commands are carried out."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import msgspec
from tests.site.devices.rig import Rig

from pilotwire.site.devices.behaviour import MeterBehaviour
from pilotwire.site.devices.driver import DeviceDriver, Pace
from pilotwire.site.devices.load import find_device, load_device
from pilotwire.site.ports import Told

METER = find_device("eastron-sdm630")
KEBA = find_device("keba-p30")
ODD = load_device(Path(__file__).parent / "files" / "every-feature.yaml")


def meter(rig: Rig, unit: int = 1, pace: Pace | None = None) -> tuple[DeviceDriver, MeterBehaviour]:
    inside = rig.simulator.add(METER, unit=unit)
    assert isinstance(inside, MeterBehaviour)
    return DeviceDriver(f"m{unit}", METER, rig.link(), rig.clock, unit=unit, pace=pace), inside


def test_a_meter_is_read_each_second_in_few_requests() -> None:
    rig = Rig()
    driver, inside = meter(rig)
    seen: list[int] = []
    driver.listeners.append(lambda: seen.append(driver.points()["power_mw"].at_ms))
    driver.start()
    rig.run(10_500)
    assert driver.online and driver.trouble == ""
    assert driver.points()["power_mw"].value == sum(inside.loads)
    assert len(seen) >= 10
    assert all(990 <= later - earlier <= 1010 for earlier, later in pairwise(seen[1:]))
    sent = driver._link.requests.sent
    assert sent <= 4 * 12, f"{sent} requests for 12 cycles: 14 points are to be read in few"
    inside.loads = (7_000_000, 0, 0)
    rig.run(1_500)
    assert driver.points()["power_mw"].value == 7_000_000


def test_what_the_device_says_is_no_number_is_bad_and_keeps_its_neighbours() -> None:
    rig = Rig()
    driver, _ = meter(rig)
    driver.start()
    rig.run(1_500)
    nan = driver.layout.cells["frequency_mhz"].want
    rig.simulator._put = lambda *_: None  # type: ignore[method-assign]
    rig.simulator.bank.poke(1, "input", nan.address, [0x7FC0, 0])
    rig.run(2_000)
    assert driver.points()["frequency_mhz"].quality == "bad"
    assert driver.points()["power_mw"].quality == "good"


def test_a_silent_device_goes_offline_and_its_values_keep_their_age_then_turn_bad() -> None:
    rig = Rig()
    driver, _ = meter(rig)
    driver.start()
    rig.run(2_500)
    last = driver.points()["power_mw"]
    rig.deaf = True
    rig.run(1_600)
    assert driver.points()["power_mw"].at_ms == last.at_ms, "what was not read has not become newer"
    rig.run(30_000)
    assert not driver.online and driver.trouble
    assert {value.quality for value in driver.points().values()} == {"bad"}
    rig.deaf = False
    rig.run(40_000)
    assert driver.online
    assert driver.points()["power_mw"].quality == "good"


def test_a_read_that_nobody_answers_leaves_its_values_and_their_age() -> None:
    rig = Rig()
    driver, _ = meter(rig)
    driver.start()
    rig.run(2_500)
    power, volt = driver.points()["power_mw"], driver.points()["voltage_l1_mv"]
    rig.deaf_to = {driver.layout.cells["power_mw"].want.address}
    rig.run(4_000)
    assert driver.points()["power_mw"] == power
    assert driver.points()["voltage_l1_mv"].at_ms > volt.at_ms
    assert driver.online and driver.trouble


def test_a_dead_unit_does_not_stall_the_others_on_its_bus() -> None:
    rig = Rig()
    inside = [rig.simulator.add(METER, unit=unit) for unit in range(1, 6)]
    assert len(inside) == 5
    rig.dead_units = {3}
    link = rig.link()
    drivers = [DeviceDriver(f"m{unit}", METER, link, rig.clock, unit=unit) for unit in range(1, 6)]
    for driver in drivers:
        driver.start()
    rig.run(60_000)
    for driver in drivers:
        if driver.layout.unit == 3:
            assert not driver.online
        else:
            assert driver.online
            assert driver.counts.cycles - driver.counts.skipped >= 45, driver.counts
            assert rig.clock.now() - driver.points()["power_mw"].at_ms < 3_000


def test_a_joint_read_that_is_refused_is_asked_for_in_parts_from_then_on() -> None:
    rig = Rig()
    wide = msgspec.structs.replace(METER, modbus=msgspec.structs.replace(METER.modbus, gap=60))
    rig.simulator.add(METER)  # its own gap is 10: wider ones are not answered
    driver = DeviceDriver("m", wide, rig.link(), rig.clock)
    driver.start()
    rig.run(5_000)
    assert driver.points()["energy_import_wh"].quality == "good"
    assert all(value.quality == "good" for value in driver.points().values())
    refused = driver.counts.refused
    rig.run(5_000)
    assert driver.counts.refused == refused, "what was refused once is not asked for again each cycle"


def test_a_point_that_is_not_there_is_bad_and_asked_for_seldom() -> None:
    rig = Rig()
    rig.simulator.add(METER)
    points = {**METER.points, "temperature_mc": msgspec.structs.replace(METER.points["frequency_mhz"], address=0x400)}
    driver = DeviceDriver("m", msgspec.structs.replace(METER, points=points), rig.link(), rig.clock)
    driver.start()
    rig.run(45_000)
    assert driver.points()["temperature_mc"].quality == "bad"
    assert driver.points()["power_mw"].quality == "good"
    assert driver.counts.refused == 1
    rig.run(60_000)
    assert driver.counts.refused == 2


def told(driver: DeviceDriver, rig: Rig, name: str, value: int, ms: int = 5_000) -> list[Told]:
    found: list[Told] = []
    driver.command(name, value, found.append)
    rig.run(ms)
    return found


def charger(rig: Rig) -> DeviceDriver:
    rig.simulator.add(KEBA)
    driver = DeviceDriver("c", KEBA, rig.link(), rig.clock)
    driver.start()
    rig.run(3_000)
    return driver


def test_a_command_is_written_once_and_read_back() -> None:
    rig = Rig()
    driver = charger(rig)
    assert told(driver, rig, "limit_ma", 10_000) == [Told(True)]
    assert rig.written() == [(5004, 10_000)]
    assert driver.points()["offered_ma"].value == 10_000


def test_a_command_that_the_device_does_not_take_is_told_as_such() -> None:
    rig = Rig()
    driver = charger(rig)
    rig.simulator._told = lambda *_: None  # type: ignore[method-assign]
    rig.simulator.bank._layouts[255] = [(layout, None) for layout, _ in rig.simulator.bank._layouts[255]]
    (answer,) = told(driver, rig, "limit_ma", 10_000)
    assert not answer.ok and "told 10000, and reads 32000" in answer.error
    assert driver.counts.unverified == 1


def test_of_commands_that_wait_for_one_register_only_the_last_is_written() -> None:
    rig = Rig()
    driver = charger(rig)
    answers: list[tuple[int, Told]] = []
    for value in (7_000, 8_000, 9_000, 12_000):
        driver.command("limit_ma", value, lambda answer, value=value: answers.append((value, answer)))
    rig.run(5_000)
    assert [value for _, value in rig.written()] == [7_000, 12_000]
    assert sorted(value for value, _ in answers) == [7_000, 8_000, 9_000, 12_000], "each is told once"
    assert [value for value, answer in answers if answer.ok] == [7_000, 12_000]


def test_what_cannot_be_told_is_refused_in_words_and_nothing_is_written() -> None:
    rig = Rig()
    driver = charger(rig)
    assert "6000 to 63000" in told(driver, rig, "limit_ma", 64_000)[0].error
    assert "has no setpoint_mw" in told(driver, rig, "setpoint_mw", 1)[0].error
    assert "one of 0, 1" in told(driver, rig, "enable", 2)[0].error
    assert rig.written() == []
    driver.stop()
    assert "not started" in told(driver, rig, "limit_ma", 8_000)[0].error


def test_a_command_to_a_device_that_is_gone_fails_in_time() -> None:
    rig = Rig()
    driver = charger(rig)
    rig.deaf = True
    (answer,) = told(driver, rig, "limit_ma", 8_000, 20_000)
    assert not answer.ok


def test_the_direction_is_written_before_the_amount() -> None:
    rig = Rig()
    rig.simulator.add(ODD)
    driver = DeviceDriver("b", ODD, rig.link(), rig.clock)
    driver.start()
    rig.run(3_000)
    assert told(driver, rig, "setpoint_mw", -2_000_000) == [Told(True)]
    assert rig.written() == [(201, 7), (202, 0xBB), (200, 2_000), (203, 1)]
    rig.audits.clear()
    assert told(driver, rig, "setpoint_mw", 3_500_500) == [Told(True)]
    assert rig.written() == [(201, 7), (202, 0xAA), (200, 3_500), (203, 1)], "between two steps: towards zero"
    rig.audits.clear()
    assert told(driver, rig, "setpoint_mw", 0) == [Told(True)]
    assert rig.written() == [(201, 7), (202, 0xCC), (200, 0)]


def test_outlets_and_units_of_one_device_are_apart() -> None:
    rig = Rig()
    for outlet in (1, 2, 3):
        rig.simulator.add(ODD, outlet=outlet)
    link = rig.link()
    drivers = [DeviceDriver(f"b{outlet}", ODD, link, rig.clock, outlet=outlet) for outlet in (1, 2, 3)]
    for driver in drivers:
        driver.start()
    rig.run(3_000)
    assert told(drivers[1], rig, "power_limit_mw", 5_000_000) == [Told(True)]
    assert [address for address, *_ in rig.written()] == [1204]
    assert all(driver.online for driver in drivers)
