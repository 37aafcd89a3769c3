"""Every message and every command in every phase, at both ends: nothing raises, the output obeys, and all ends."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.protocols.gbt27930.gbt_bench import VALUES, Bench, ChargerBench, VehicleBench, zeros

from pilotwire.core.ev_link import Ask, Contacts, Drive, Halt, Parted, Rest
from pilotwire.core.evse_link import (
    Authorize,
    Contactor,
    Ended,
    Fault,
    Isolation,
    Locked,
    Measured,
    Offer,
    Pause,
    Renegotiate,
    Requested,
    Resume,
    Stop,
)
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.gbt27930 import BMS, CHARGER, Cc1, Cc2, EvseConfig, Supply, encode
from pilotwire.protocols.gbt27930.ev import HEARD as EV_HEARD
from pilotwire.protocols.gbt27930.evse import HEARD as EVSE_HEARD
from pilotwire.protocols.j1939 import build

FROM_BMS = ("BHM", "BRM", "BCP", "BRO", "BCL", "BCS", "BSM", "BMV", "BMT", "BSP", "BST", "BSD", "BEM", "DM1", "DM3")
FROM_CHARGER = ("CHM", "CRM", "CTS", "CML", "CRO", "CCS", "CST", "CSD", "CEM", "DM1", "DM3")
EVSE_COMMANDS: tuple[Any, ...] = (
    Offer(), Offer(max_mv=500_000, max_ma=10_000, max_mw=1), Authorize(accepted=True), Authorize(accepted=False),
    Isolation("valid"), Isolation("fault"), Isolation("no-monitor"), Contactor(True), Contactor(False), Locked(True),
    Locked(False), Measured(), Measured(mv=400_000, ma=100_000), Pause(), Resume(), Renegotiate(), Stop("enough"),
    Stop("now", emergency=True), Fault(code="HighTemperature", by="evse"),
)  # fmt: skip
EV_COMMANDS: tuple[Any, ...] = (
    Drive(), Drive(ready=False), Contacts(True), Contacts(False), Halt("enough"), Halt("now", emergency=True), Rest(),
    Ask(), Fault(code="GroundFailure", by="ev"),
)  # fmt: skip


def charger_obeys(bench: ChargerBench) -> None:
    """What must hold whatever was said: current only while charging, and off before anything is told of a fault."""
    told = bench.machine.output.told
    if bench.phase != "charging":
        assert told.ma == 0, f"current is asked for in phase {bench.phase}"
    if bench.phase not in ("charging", "ready", "prepare"):
        assert told == Requested(), f"{told} is asked for in phase {bench.phase}"
    if bench.phase in ("ended", "unplugged"):
        assert not bench.closed or bench.quirks.get("open") is False
        assert bench.machine.deadline is None


def settle(bench: Bench, phases: tuple[str, ...]) -> None:
    """Nothing more comes: it is over within the hour, without anybody's help."""
    bench.run(3_700_000)
    assert bench.phase in phases, f"it hangs in {bench.phase}"
    assert bench.machine.deadline is None or bench.phase == "locking"


def faults_after_off(bench: ChargerBench) -> None:
    off = False
    for event in bench.events:
        if isinstance(event, Requested):
            off = event == Requested()
        elif isinstance(event, Fault) and event.code not in ("EVDiagnostics",):
            assert off, f"{event} is told before the output is off"


@pytest.mark.parametrize("phase", ChargerBench.PHASES)
def test_every_message_in_every_phase_of_the_charger(phase: str):
    for name in FROM_BMS:
        bench = ChargerBench(phase)
        before = bench.machine.line.counts.out_of_order
        bench.events.clear()
        bench.say(name)
        charger_obeys(bench)
        faults_after_off(bench)
        means = name in EVSE_HEARD and phase in EVSE_HEARD[name][0]
        deaf = phase in ("unplugged", "locking", "closing", "ended")
        assert bench.machine.line.counts.out_of_order - before == (0 if means or deaf else 1), name
        if not means:
            assert bench.phase == phase, f"{name} changes {phase} into {bench.phase}"
        settle(bench, ("unplugged", "ended", "locking"))


@pytest.mark.parametrize("phase", VehicleBench.PHASES)
def test_every_message_in_every_phase_of_the_vehicle(phase: str):
    for name in FROM_CHARGER:
        bench = VehicleBench(phase)
        before = bench.machine.line.counts.out_of_order
        bench.say(name)
        means = name in EV_HEARD and phase in EV_HEARD[name][0]
        deaf = phase in ("unplugged", "opening", "ended")
        assert bench.machine.line.counts.out_of_order - before == (0 if means or deaf else 1), name
        if not means:
            assert bench.phase == phase, f"{name} changes {phase} into {bench.phase}"
        settle(bench, ("unplugged", "ended"))
        assert phase == "opening" or not bench.machine.closed


@pytest.mark.parametrize("phase", ChargerBench.PHASES)
def test_every_command_in_every_phase_of_the_charger(phase: str):
    for command in EVSE_COMMANDS:
        bench = ChargerBench(phase)
        bench.events.clear()
        bench.command(command)
        charger_obeys(bench)
        faults_after_off(bench)
        settle(bench, ("unplugged", "ended", "locking"))
    for wire in (Cc1(6_000), Cc1(12_000), Cc1(4_000), Cc2(6_000)):
        bench = ChargerBench(phase)
        bench.hear(wire)
        charger_obeys(bench)
        settle(bench, ("unplugged", "ended", "locking"))
    bench = ChargerBench(phase)
    bench.do(bench.machine.lost(bench.now))
    charger_obeys(bench)
    settle(bench, ("unplugged", "ended"))


@pytest.mark.parametrize("phase", VehicleBench.PHASES)
def test_every_command_in_every_phase_of_the_vehicle(phase: str):
    for command in EV_COMMANDS:
        bench = VehicleBench(phase)
        bench.command(command)
        settle(bench, ("unplugged", "ended"))
    for wire in (Cc2(12_000), Cc2(6_000), Supply(False), Supply(True), Cc1(4_000)):
        bench = VehicleBench(phase)
        bench.hear(wire)
        settle(bench, ("unplugged", "ended"))
        assert bench.phase == "unplugged" or bench.of(Parted)


@pytest.mark.parametrize("seed", range(6))
def test_conversations_of_nonsense(seed: int):
    """Messages and commands in any order, with any bits: the rules hold after each, and it ends when it is silent."""
    chance = random.Random(seed)
    for _ in range(12):
        charger: Any = ChargerBench(chance.choice(ChargerBench.PHASES))
        vehicle: Any = VehicleBench(chance.choice(VehicleBench.PHASES))
        for bench, names, commands, own, peer in (
            (charger, FROM_BMS, EVSE_COMMANDS, CHARGER, BMS),
            (vehicle, FROM_CHARGER, EV_COMMANDS, BMS, CHARGER),
        ):
            for _ in range(60):
                match chance.randrange(6):
                    case 0:
                        bench.command(chance.choice(commands))
                    case 1:
                        group = chance.choice((0xEC00, 0xEB00, *(number << 8 for number in range(0x30))))
                        data = bytes(chance.randrange(256) for _ in range(chance.randrange(9)))
                        bench.frame(CanFrame(build(6, group, own, chance.choice((peer, 0x17))), data, True))
                    case 2:
                        bench.hear(chance.choice((Cc1(4_000), Cc1(6_000), Cc2(6_000), Cc2(12_000), Supply(True))))
                    case 3:
                        bench.run(chance.choice((1, 50, 1_000, 6_000)))
                    case _:
                        bench.say(chance.choice(names))
                if bench is charger:
                    charger_obeys(charger)
        settle(charger, ("unplugged", "ended", "locking"))
        settle(vehicle, ("unplugged", "ended"))


# ── values that cannot be ────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("BCL", {"voltage": 460_000}, "the vehicle asks for 460000 mV, its own limit is 450000 mV (BCP)"),
        ("BCL", {"current": 300_000}, "the vehicle asks for 300000 mA, 250000 mA are allowed (CML)"),
        ("BCL", {"current": -50_000}, "the vehicle asks to give 50000 mA back"),
        ("BSM", {"over_temperature": 1}, "the vehicle's battery is not as it should be: the battery is too hot"),
        ("BSM", {"cell_voltage": 2}, "the vehicle's battery is not as it should be: a cell's voltage is too low"),
        ("BST", zeros("BST", insulation=1), "the vehicle has stopped (BST): insulation fault"),
    ],
)
def test_a_vehicle_that_is_wrong_is_stopped_and_told_why(name: str, values: dict[str, int], reason: str):
    bench = ChargerBench("charging")
    bench.events.clear()
    bench.say(name, **values)
    assert bench.events[0] == Requested(), "the output goes off before anything else"
    assert bench.said[-1] == "CST"
    assert not bench.closed
    bench.say("BST")
    bench.say("BSD")
    bench.run(1_001)
    ended = bench.of(Ended)[0]
    assert (ended.reason, ended.by, ended.ok) == (reason, "ev", False)


@pytest.mark.parametrize("limits", [{"max_voltage": 300_000}, {"min_voltage": 500_000}])
def test_a_charger_that_does_not_fit_is_refused(limits: dict[str, int]):
    bench = VehicleBench("configure")
    bench.say("CML", **limits)
    assert bench.said[-1] == "BST" and not bench.machine.closed
    assert "the battery has 400000 mV" in bench.of(Fault)[0].text
    bench.say("CST")
    bench.say("CSD")
    assert not bench.of(Parted)[0].ok


@pytest.mark.parametrize(
    ("values", "reason"),
    [
        ({"voltage": 460_000}, "460000 mV are at the outlet, 450000 mV are allowed"),
        ({"current": 150_000}, "the charger gives more current than was asked for"),
    ],
)
def test_a_charger_that_is_wrong_is_stopped_and_told_why(values: dict[str, int], reason: str):
    bench = VehicleBench("charging")
    bench.keeping(CCS=50)
    bench.keep["CCS"] = 50, values
    bench.run(1_100)
    assert bench.phase == "stopping" and bench.said[-1] == "BST"
    assert bench.of(Fault)[0].text == reason
    bench.keep, bench._next = {}, {}
    bench.say("CST")
    bench.run(301)
    assert not bench.machine.closed
    bench.say("CSD")
    assert (bench.of(Parted)[0].reason, bench.of(Parted)[0].ok) == (reason, False)


def test_more_current_than_allowed_may_be_cut_instead():
    bench = ChargerBench("charging", EvseConfig(clip_current=True))
    bench.say("BCL", current=300_000)
    assert bench.asked.ma == 250_000 and bench.phase == "charging"


def test_more_voltage_than_the_charger_has_is_refused():
    bench = ChargerBench("recognised")
    bench.say("BCP", max_voltage=900_000)
    bench.say("BRO")
    bench.command(Authorize(accepted=True))
    bench.say("BCS")
    bench.say("BCL", voltage=800_000)
    assert bench.phase == "stopping" and bench.of(Fault)[0].code == "OverVoltage"
    assert "750000 mV are allowed (CML)" in bench.of(Fault)[0].text


@pytest.mark.parametrize("name", ["BCL", "BCS"])
@pytest.mark.parametrize("data", [b"", b"\xff", b"\xff" * 13])
def test_what_cannot_be_read_is_as_if_it_had_not_come(name: str, data: bytes):
    """Clause 8: no correct message in time is a timeout."""
    bench = ChargerBench("charging")
    others = {"BCL": 50, "BCS": 250}
    bench.keeping(**{other: period for other, period in others.items() if other != name})
    for _ in range(60):
        bench.raw(name, data)
        bench.run(100)
    assert f"no {name} came within" in bench.of(Fault)[0].text
    assert bench.machine.line.counts.malformed > 5


def test_untrusted_bits_leave_things_as_they_were():
    bench = ChargerBench("charging")
    bench.say("BSM", permitted=0)
    assert bench.asked == Requested()
    bench.say("BSM", permitted=2, insulation=2)
    assert bench.phase == "charging" and bench.asked == Requested()
    bench.say("BSM", permitted=1)
    assert bench.asked.ma == 100_000


def test_a_babbling_bus_changes_nothing():
    bench = ChargerBench("charging")
    bench.keeping(BCL=50, BCS=250)
    for number in range(3_000):
        bench.frame(CanFrame(build(7, 0xEC00, CHARGER, number % 256), b"\x10\x31\x00\x07\xff\x00\x02\x00", True))
        bench.frame(CanFrame(build(3, 0xF000 + number % 256, 0, number % 256), bytes(8), True))
        bench.frame(CanFrame(number % 0x800, bytes(8)))
        if number % 30 == 0:
            bench.run(10)
    assert bench.phase == "charging" and bench.asked.ma == 100_000
    assert bench.machine.line.transport.counts.shed > 1_000


@pytest.mark.parametrize("name", [name for name in FROM_BMS if name in VALUES and len(VALUES[name])])
def test_nothing_of_the_vehicle_raises_when_it_is_cut_or_too_long(name: str):
    whole = encode(name, VALUES[name])
    for phase in ChargerBench.PHASES:
        bench = ChargerBench(phase)
        for size in (0, 1, len(whole) // 2, len(whole) + 5):
            bench.raw(name, (whole + bytes(8))[:size])
            charger_obeys(bench)
