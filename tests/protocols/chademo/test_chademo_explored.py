"""Both machines explored: every frame, every flag and every pin in every phase, and what must hold whatever comes."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from tests.protocols.chademo.chademo_kit import DRIVE, OFFER, Plug

from pilotwire.core.ev_link import Ask, Contacts, EvCommand, Halt, Parted, Rest
from pilotwire.core.evse_link import (
    Authorize,
    Certificate,
    Contactor,
    Ended,
    EvseCommand,
    Fault,
    Isolation,
    Locked,
    Measured,
    Offer,
    Pause,
    ReceiptWanted,
    Renegotiate,
    Requested,
    Resume,
    Schedule,
    Stop,
)
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.chademo import FRAMES, ChademoEvConfig, ChademoEvseConfig, Pin
from pilotwire.protocols.chademo.ev import PHASES as EV_PHASES
from pilotwire.protocols.chademo.ev import EvPhase
from pilotwire.protocols.chademo.evse import PHASES, Phase

EVSE_PHASES = [each for each in get_args(Phase)]
EV_ALL = [each for each in get_args(EvPhase)]
MOMENTARY = {"current down", "contactors open", "voltage down", "unlock", "open", "weld", "charger off", "over"}
UNITS: list[Any] = [Pin(name, on) for name in ("proximity", "d1", "d2", "k") for on in (False, True)]  # type: ignore[arg-type]
for each in FRAMES.messages:
    UNITS += [CanFrame(each.id, bytes(8)), CanFrame(each.id, b"\xff" * 8), CanFrame(each.id, b"")]
    UNITS += [
        CanFrame(each.id, (1 << signal.start).to_bytes(8, "little")) for signal in each.signals if signal.kind == "flag"
    ]
UNITS += [CanFrame(0x202, bytes(8)), CanFrame(0x102, bytes(8), True), None, b"bytes"]
COMMANDS: list[Any] = [
    Offer(), OFFER, Authorize(accepted=True), Authorize(accepted=False), Isolation("valid"), Isolation("fault"),
    Locked(True), Locked(False), Contactor(True), Contactor(False), Measured(), Measured(mv=900_000, ma=300_000),
    Certificate(), Schedule(points=((0, 1),)), ReceiptWanted(), Pause(), Resume(), Renegotiate(), Stop(),
    Stop(emergency=True), Fault(code="GroundFailure", by="evse"),
]  # fmt: skip
EV_COMMANDS: list[Any] = [
    DRIVE, Contacts(True), Contacts(False), Halt(), Halt(emergency=True), Rest(), Ask(),
    Fault(code="OverVoltage", by="ev"),
]  # fmt: skip


def at(side: str, phase: str) -> Plug:
    """A world in which one end is in a phase, however short that is."""
    drive = msgspec.structs.replace(DRIVE, ready=phase != "waiting")
    plug = Plug(ChademoEvseConfig(discharge=True), ChademoEvConfig(discharge=True), drive=drive)
    end = plug.evse if side == "evse" else plug.ev
    if phase in ("unplugged", "plugged"):
        return plug
    plug.plug(authorized=phase != "authorize")
    for step in range(6_000):
        if end.phase == phase:
            return plug
        if phase == "discharged" and plug.evse.phase == "insulation":
            plug.a.command(Measured(mv=25_000))
        if step == 3_000:
            plug.station_hears = phase != "current down" or side == "ev"
            plug.welded = phase == "voltage down"
            (plug.a.command if side == "evse" else plug.b.command)(Stop() if side == "evse" else Halt())
            if end.phase == phase:
                return plug
        plug.run(1)
    raise AssertionError(f"{phase} was not reached")


def check(plug: Plug, what: str) -> None:
    """Half a minute later all is settled: power flows in order, or nothing does and the reason was told."""
    for _ in range(14):
        plug.run(2_000)
        if plug.evse.phase not in ("power", "current down"):
            assert plug.outlet.ma == 0, what
        assert abs(plug.evse.asked_ma) <= 125_000, what
    told = [type(event) for _, who, event in plug.log if who == "evse"]
    if plug.evse.phase in ("over", "unplugged") and told:
        assert Ended in told, what
        assert told.count(Ended) <= 1 + told.count(Requested), what
        assert not plug.outlet.closed or plug.outlet.ma == 0, what
    assert plug.evse.phase in ("power", "over", "unplugged", "authorize"), f"{what}: hangs in {plug.evse.phase}"
    assert plug.ev.phase in ("power", "over", "plugged"), f"{what}: the vehicle hangs in {plug.ev.phase}"
    if plug.evse.phase == "over" and plug.ev.phase == "power":
        raise AssertionError(f"{what}: only one end knows that it is over")


def test_the_table_of_phases_is_whole() -> None:
    assert set(PHASES) == set(EVSE_PHASES) - {"unplugged", "power", "over"}
    assert set(EV_PHASES) == set(EV_ALL) - {"plugged", "power", "over"}
    assert {rule.then for rule in PHASES.values()} <= set(EVSE_PHASES)


@pytest.mark.parametrize("phase", EVSE_PHASES)
def test_every_unit_and_command_in_every_phase_of_the_charger(phase: str) -> None:
    """Once each, on a machine of its own: never an exception, never a current that nobody wants any more."""
    for number, unit in enumerate([*UNITS, *COMMANDS]):
        plug = _copy(at_cached("evse", phase))
        machine, now = plug, 1_767_225_600_000 + 100_000
        was = machine.charging and machine.phase == "power"
        effects = (
            machine.command(unit, now) if type(unit) in _COMMAND_TYPES else machine.receive(unit, now)
        )  # fmt: skip
        kinds = [type(effect) for effect in effects]
        if Fault in kinds and was:
            first = kinds.index(Fault)
            assert Requested() in effects[:first], f"{number} {unit}: output first"
        if machine.phase != "power":
            assert machine.asked_ma == 0, f"{number} {unit}"
        assert kinds.count(Ended) <= 1
        _settle(machine)
        assert machine.phase in ("over", "unplugged", "authorize"), f"{number} {unit}: hangs in {machine.phase}"


@pytest.mark.parametrize("phase", EV_ALL)
def test_every_unit_and_command_in_every_phase_of_the_vehicle(phase: str) -> None:
    for number, unit in enumerate([*UNITS, *EV_COMMANDS]):
        machine = _copy(at_cached("ev", phase))
        now = 1_767_225_600_000 + 100_000
        effects = machine.command(unit, now) if type(unit) in _EV_COMMAND_TYPES else machine.receive(unit, now)
        kinds = [type(effect) for effect in effects]
        assert kinds.count(Parted) <= 1, f"{number} {unit}"
        if machine.phase in ("over", "open", "current down"):
            assert machine.asked_ma == 0, f"{number} {unit}"
        _settle(machine)
        assert machine.phase in ("over", "plugged", "waiting"), f"{number} {unit}: hangs in {machine.phase}"
        assert not machine.pins["k"], "a dead charger gets no permission"


WORLD_PHASES = ["insulation", "power"]


@pytest.mark.parametrize("phase", WORLD_PHASES)
def test_every_unit_at_both_ends_of_a_living_session(phase: str) -> None:
    """A unit that nobody sent, in a session of two living ends: they settle, together."""
    frames = [CanFrame(id, data) for id in (0x102, 0x109, 0x200, 0x208) for data in (bytes(8), b"\xff" * 8)]
    for unit in [*(each for each in UNITS if isinstance(each, Pin)), *frames]:
        plug = at("evse", phase)
        plug.a.received(unit)
        plug.b.received(unit)
        check(plug, f"{unit} in {phase}")


_COMMAND_TYPES = set(get_args(EvseCommand))
_EV_COMMAND_TYPES = set(get_args(EvCommand)) | {Fault}
_CACHE: dict[tuple[str, str], Any] = {}


def at_cached(side: str, phase: str) -> Any:
    if (side, phase) not in _CACHE:
        plug = at(side, phase)
        if phase == "power":
            plug.run(5_000)
        _CACHE[side, phase] = plug.evse if side == "evse" else plug.ev
    return _CACHE[side, phase]


def _settle(machine: Any) -> None:
    """Every timer runs out, one after the other; nobody answers."""
    for _ in range(30):
        if not machine._timers:
            return
        machine.elapse(min(machine._timers.values()))
    raise AssertionError(f"timers for ever: {machine._timers}")


def _copy(machine: Any) -> Any:
    """A machine of its own in the same state."""
    twin = object.__new__(type(machine))
    for name, value in vars(machine).items():
        twin.__dict__[name] = value.copy() if isinstance(value, dict | set | list) else value
    return twin


def test_drive_and_offer_are_what_the_copies_start_with() -> None:
    one, two = at_cached("evse", "power"), _copy(at_cached("evse", "power"))
    two.command(msgspec.structs.replace(OFFER, max_ma=1), 1_767_225_600_000 + 99_000)
    assert one.offer == OFFER and two.offer != OFFER and one.phase == two.phase == "power"
