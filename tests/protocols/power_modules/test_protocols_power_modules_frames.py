"""Identifiers and registers against figures from outside, and what is made of frames that make no sense."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.protocols.power_modules.rack import Rack

from pilotwire.core.machines import Send
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.power_modules import (
    DRIVERS,
    EMULATORS,
    FAMILIES,
    Alarms,
    Family,
    HuaweiDriver,
    InfyDriver,
    Reading,
    Refused,
    Set,
    Switch,
    UUGreenDriver,
    UUGreenEmulator,
    WinlineDriver,
    huawei,
    infy,
    uugreen,
    winline,
)

NOW = 1_000_000


def frames(effects) -> list[CanFrame]:
    return [effect.data for effect in effects if isinstance(effect, Send)]


def test_identifiers_are_those_of_the_families():
    assert infy.encode_id(infy.READ, 1) == 0x0283_01F0
    assert infy.encode_id(infy.COUNT, 0, device=infy.GROUP) == 0x02C2_00F0
    assert uugreen.encode_id(1) == 0x0220_4000
    assert winline.encode_id(1) == 0x0608_0F80
    assert winline.encode_id(winline.ALL) & 1 << 19 == 0, "a broadcast is not point to point"
    # The same numbers stand in xf22001/stm32_apps: a second source.
    assert huawei.encode_id(0, huawei.CONFIGURE) == 0x0680_81FC
    assert huawei.encode_id(0, huawei.REALTIME, from_charger=False, more=True) == 0x0680_407D


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.integers(0, 7), st.integers(0, 15), st.integers(0, 63), st.integers(0, 255), st.integers(0, 255))
def test_infy_identifiers_come_back(error: int, device: int, command: int, destination: int, source: int):
    number = infy.encode_id(command, destination, source, device=device, error=error)
    assert number < 1 << 29
    assert infy.decode_id(number) == (error, device, command, destination, source)


def test_setpoints_on_the_wire():
    def sent(driver, address: int = 1) -> list[tuple[int, bytes]]:
        return [(frame.id, frame.data) for frame in frames(driver.command(Set(address, 400_000, 12_500), NOW))]

    assert sent(InfyDriver([1])) == [(0x029C_01F0, struct.pack(">II", 400_000, 12_500))]
    assert sent(WinlineDriver([1])) == [
        (0x0608_0F80, bytes.fromhex("03000021") + struct.pack(">f", 400.0)),
        (0x0608_0F80, bytes.fromhex("0300001b") + (12_800).to_bytes(4, "big")),
    ]
    assert sent(DRIVERS["dpm1000"]([1]))[1][1] == bytes.fromhex("03f00022") + struct.pack(">f", 0.125)
    assert sent(HuaweiDriver([1])) == [
        (0x0681_80FC, bytes.fromhex("01000000") + (400 * 1024).to_bytes(4, "big")),
        (0x0681_80FC, bytes.fromhex("010f0001") + (12_800).to_bytes(4, "big")),
    ]
    driver = UUGreenDriver([1])
    driver.slots[1].mode = uugreen.LOW
    assert sent(driver) == [
        (0x0220_4000, bytes.fromhex("00020000") + (400_000).to_bytes(4, "big")),
        (0x0220_4000, bytes.fromhex("00030000") + (12_500).to_bytes(4, "big")),
    ]


def test_off_is_what_each_family_calls_it():
    def off(family: Family) -> bytes:
        return frames(DRIVERS[family]([1]).command(Switch(1, False), NOW))[-1].data

    assert off("infy") == bytes.fromhex("0100000000000000")
    assert off("winline") == bytes.fromhex("0300003000010000")
    assert off("uugreen") == bytes.fromhex("0004000000000001")
    assert off("huawei") == bytes.fromhex("0132000100000000")


def test_a_module_that_is_not_there_is_not_turned_on():
    driver = InfyDriver([1])
    assert driver.command(Switch(1, True), NOW) == (Refused(1, "the module does not answer"),)
    assert driver.command(Set(9, 1, 1), NOW) == (Refused(9, "no such module"),)


@pytest.mark.parametrize("family", FAMILIES)
def test_readings_that_no_module_can_give_are_refused(family: Family):
    rack = Rack(family, 1)
    rack.run(2_000)
    module = rack.modules[1]
    module.lie_mv = 3_000_000
    rack.run(2_000)
    assert all(event.mv <= 1_500_000 for event in rack.of(Reading))
    assert rack.of(Refused) and rack.driver.rejected


@pytest.mark.parametrize("family", FAMILIES)
def test_short_frames_and_foreign_ones_change_nothing(family: Family):
    driver = DRIVERS[family]([1])
    module = EMULATORS[family](1)
    asked = [frame for tick in range(6) for frame in frames(driver.elapse(NOW + tick * 50))]
    answers = [answer for frame in asked for answer in module.receive(frame, NOW)]
    assert answers
    for answer in answers:
        short = driver.receive(answer._replace(data=answer.data[:5]), NOW + 300)
        assert not [effect for effect in short if not isinstance(effect, Refused)]
        assert driver.receive(answer._replace(extended=False), NOW + 300) in ((), [])
        assert driver.receive(answer._replace(id=answer.id ^ 0x03C0_0000), NOW + 300) in ((), [])
        assert list(module.receive(answer._replace(data=b""), NOW)) == [] or family == "infy"
    assert not driver.slots[1].present


def test_infy_floats_that_are_no_numbers():
    driver = InfyDriver([1])
    for volts in (float("nan"), float("inf"), -5.0, 1e30):
        frame = CanFrame(infy.encode_id(infy.READ, infy.CONTROLLER, 1), struct.pack(">ff", volts, 1.0), True)
        assert not [event for event in driver.receive(frame, NOW) if isinstance(event, Reading)]
    assert driver.rejected == 4


def test_uugreen_changes_its_voltage_mode_only_while_off():
    rack = Rack("uugreen", 1)
    module = rack.modules[1]
    assert isinstance(module, UUGreenEmulator)
    rack.run(3_000)
    rack.batteries[1] = 300_000
    for command in (Set(1, 400_000, 20_000), Switch(1, True)):
        rack.charger.command(command)
    rack.run(6_000)
    assert module.mode == uugreen.LOW and module.rectifier.ma == 20_000 and not module.refused
    rack.batteries[1] = 700_000
    rack.charger.command(Set(1, 800_000, 20_000))
    rack.run(1_500)
    assert not module.rectifier.on and module.mode == uugreen.LOW, "2 s off first"
    rack.run(1_000)
    assert not module.rectifier.on and module.mode == uugreen.HIGH, "2 s off after"
    rack.run(4_000)
    assert module.rectifier.ma == 20_000 and module.rectifier.mv == 700_000
    rack.charger.command(Set(1, 450_000, 20_000))
    rack.run(6_000)
    assert module.mode == uugreen.HIGH, "down only while off: it can give less in the high mode as well"
    assert not module.refused


def test_uugreen_sets_a_mode_again_that_was_lost():
    rack = Rack("uugreen", 1)
    module = rack.modules[1]
    assert isinstance(module, UUGreenEmulator)
    rack.run(3_000)
    plain = module._take
    lost: list[int] = []

    def forget(command: int, value: int, now: int) -> None:
        if command == uugreen.MODE and not lost:
            lost.append(value)
        else:
            plain(command, value, now)

    module._take = forget  # type: ignore[method-assign]
    for command in (Set(1, 400_000, 20_000), Switch(1, True)):
        rack.charger.command(command)
    rack.run(12_000)
    assert lost and module.mode == uugreen.LOW and module.rectifier.ma == 20_000


def test_huawei_tells_its_modules_when_to_turn_off_without_us():
    rack = Rack("huawei", 1)
    rack.modules[1].silence_ms = 60_000
    rack.run(6_000)
    assert rack.modules[1].silence_ms == 10_000


@pytest.mark.parametrize(("family", "bit", "word"), [
    ("infy", 0, "output short circuit"), ("infy", 19, "input phase lost"),
    ("winline", 28, "output short circuit"), ("winline", 14, "input under-voltage"),
    ("uugreen", 15, "fault of the module's output relay"), ("uugreen", 8, "output under-voltage"),
    ("huawei", 29, "no input"), ("huawei", 6, "output over-current"),
])  # fmt: skip
def test_single_bits_of_status_words(family: Family, bit: int, word: str):
    rack = Rack(family, 1)
    rack.run(1_500)
    rack.modules[1].rectifier.faults.add(word)
    rack.run(2_500)
    table = {"infy": infy, "winline": winline, "uugreen": uugreen, "huawei": huawei}[family].ALARMS
    assert table[bit].word == word
    assert word in {alarm.word for event in rack.of(Alarms) for alarm in event.alarms}
