"""Every timer of ISO 15118-20 just inside and just outside of its limit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from tests.protocols.iso15118.iso20.iso20_pnc import CarKeys, StationKeys
from tests.protocols.iso15118.iso20.iso20_talk import Talk
from tests.protocols.iso15118.iso20.iso20_world import World, random
from tests.timers import OUTSIDE, every_timer, just, shown

from pilotwire.core.ev_link import ContactsAsked, Parted
from pilotwire.core.evse_link import (
    Authorize,
    Contactor,
    ContactorAsked,
    Ended,
    Fault,
    Measured,
    ReceiptWanted,
    Requested,
    Stop,
)
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.iso15118.config import EvccConfig
from pilotwire.protocols.iso15118.iso20 import timers
from pilotwire.protocols.iso15118.iso20.evcc import Iso20Evcc


# ── the vehicle: the station's answer to one request never comes ─────────────────────────────────────────────────────
def deaf_to(request: str) -> World:
    """A session in which the answer to `request` is lost, run up to the moment of that request."""
    service = "AC" if request.startswith("AC_") or request.startswith("Vehicle") else "DC"
    contract = request in ("CertificateInstallationReq", "MeteringConfirmationReq")
    keys: dict[str, Any] = {}
    if contract:
        install = request == "CertificateInstallationReq"
        keys = {
            "secc": {"payments": ("contract",), "install": install},
            "evcc": {"payments": ("contract",), "install": install},
            "secc_pnc": StationKeys(),
            "evcc_pnc": CarKeys(empty=install),
        }
    parking = request.startswith("Vehicle")
    world = World(service, **({"secc": {"parking": True}} if parking else keys))
    world.evcc._send = wires(world, request)
    world.evcc.start()
    step = 0
    while not world.deaf and step < 4_000:  # type: ignore[attr-defined]
        world.run(5)
        step += 1
        if step == 1_000:
            if request == "MeteringConfirmationReq":
                world.secc.command(ReceiptWanted())
            elif request in ("SessionStopReq", "DC_WeldingDetectionReq", "VehicleCheckOutReq"):
                world.secc.command(Stop())
    return world


def wires(world: World, request: str) -> Callable[[Any], None]:
    """A wire on which `request` gets lost; everything else arrives."""
    world.deaf = 0  # type: ignore[attr-defined]

    def send(frame: Any) -> None:
        world._seen("ev", frame)
        if world.frames[-1][2] == request:
            world.deaf = world.scheduler.now()  # type: ignore[attr-defined]
            if request not in ("MeteringConfirmationReq", "VehicleCheckInReq"):
                world.link = False
            return
        world.scheduler.call_later(2, lambda: world.secc.received(frame))

    return send


@every_timer(timers.EV_MESSAGES)
def test_no_answer(rule: TimerRule, edge: str) -> None:
    request = rule.name.removeprefix(timers.MESSAGE)
    world = deaf_to(request)
    assert world.deaf, f"{request} was never sent"  # type: ignore[attr-defined]
    world.scheduler.run_until(world.deaf + just(rule, edge))  # type: ignore[attr-defined]
    parted = world.said(Parted, "car")
    if edge == OUTSIDE:
        assert len(parted) == 1 and not parted[0].ok and request in parted[0].reason
        assert world.said(Fault, "car")[0].code == rule.name
        assert world.said(ContactsAsked, "car")[-1:] in ([], [ContactsAsked(False)])
    else:
        assert parted == []
    shown(rule, edge, parted[0].reason if parted else f"waits for the answer to {request}")


# ── the vehicle: what is Ongoing for too long ────────────────────────────────────────────────────────────────────────
def _setup(edge_ms: int) -> World:
    world = World("DC")
    world.link = False
    world.evcc.start()
    world.ev.alarms.drop("answer 0")  # SessionSetupRes has a shorter time of its own: the whole is meant here
    world.run(edge_ms)
    return world


def _ongoing(edge_ms: int) -> World:
    world = World("DC", evcc={"payments": ("contract",)}, secc={"payments": ("contract",)}, authorize=False,
                  secc_pnc=StationKeys(), evcc_pnc=CarKeys())  # fmt: skip
    world.evcc.start()
    since = first(world, "AuthorizationRes")
    world.scheduler.run_until(since + edge_ms)
    return world


def _cable_check(edge_ms: int) -> World:
    world = World("DC", hardware={})
    world.outlet.hardware = type(world.outlet.hardware)(isolation_ms=1_000_000)
    world.evcc.start()
    since = first(world, "ScheduleExchangeRes", finished=True)
    world.scheduler.run_until(since + edge_ms)
    return world


def _pre_charge(edge_ms: int) -> World:
    world = World("DC")
    world.outlet.hardware = type(world.outlet.hardware)(isolation_ms=300, volts_ramp=0)
    world.evcc.start()
    since = first(world, "DC_CableCheckRes", finished=True)
    world.scheduler.run_until(since + edge_ms)
    return world


def first(world: World, name: str, *, finished: bool = False) -> int:
    """Runs until the vehicle has got this answer; says when that was."""
    for _ in range(10_000):
        world.run(1)
        found = [body for body in world.bodies(name) if not finished or body["EVSEProcessing"] == "Finished"]
        if found:
            return int(world.scheduler.now()) + 2
    raise AssertionError(name)


ONGOING = {
    timers.SETUP.name: _setup,
    timers.ONGOING.name: _ongoing,
    timers.CABLE_CHECK.name: _cable_check,
    timers.PRE_CHARGE.name: _pre_charge,
}


@every_timer((timers.SETUP, timers.ONGOING, timers.CABLE_CHECK, timers.PRE_CHARGE))
def test_ongoing_at_the_vehicle(rule: TimerRule, edge: str) -> None:
    world = ONGOING[rule.name](just(rule, edge))
    parted = world.said(Parted, "car")
    assert len(parted) == (1 if edge == OUTSIDE else 0)
    if parted:
        assert not parted[0].ok
        assert world.said(Fault, "car")[0].code == rule.name
        closes = world.said(ContactsAsked, "car")
        assert closes == [] or closes[-1] == ContactsAsked(False)
    shown(rule, edge, parted[0].reason if parted else f"{world.ev.power.doing} goes on")


# ── the station ──────────────────────────────────────────────────────────────────────────────────────────────────────
def _sequence(talk: Talk) -> None:
    talk.to("ServiceDiscovery")


def _sequence_loop(talk: Talk) -> None:
    talk.to("DC_ChargeLoop").say("DC_ChargeLoopReq")


def _authorization(talk: Talk) -> None:
    talk.answers = False
    talk.to("Authorization").say("AuthorizationReq")


def _performance(talk: Talk) -> None:
    talk.to("DC_CableCheck")
    talk.machine.output.isolation = ""
    talk.answers = False
    talk.say("DC_CableCheckReq")


def _contactor(talk: Talk) -> None:
    talk.to("DC_PowerDelivery")
    talk.answers = False
    talk.machine.output.closed = False
    talk.say("PowerDeliveryReq")


def _obey(talk: Talk) -> None:
    talk.to("DC_ChargeLoop").say("DC_ChargeLoopReq")
    talk.command(Stop())


def _violation(talk: Talk) -> None:
    talk.to("AC_ChargeLoop").say("AC_ChargeLoopReq")
    talk.command(Measured(mv=230_000, mw=20_000_000))
    assert talk.say("AC_ChargeLoopReq")["ResponseCode"] == "WARNING_EVPowerProfileViolation"


STATION: dict[str, tuple[Callable[[Talk], None], str, str]] = {
    timers.SEQUENCE.name: (_sequence, "", ""),
    timers.SEQUENCE_LOOP.name: (_sequence_loop, "", ""),
    timers.AUTHORIZATION.name: (_authorization, "AuthorizationReq", "FAILED"),
    timers.PERFORMANCE.name: (_performance, "DC_CableCheckReq", "FAILED"),
    timers.CONTACTOR.name: (_contactor, "", ""),
    timers.OBEY.name: (_obey, "DC_ChargeLoopReq", "FAILED"),
    timers.VIOLATION.name: (_violation, "AC_ChargeLoopReq", "FAILED_EVPowerProfileViolation"),
}
EVSE = tuple(rule for rule in timers.CORE if rule.side == "evse")


@every_timer(EVSE)
def test_timers_of_the_station(rule: TimerRule, edge: str) -> None:
    prepare, poll, code = STATION[rule.name]
    talk = Talk("AC" if poll.startswith("AC") else "DC")
    prepare(talk)
    at = len(talk.out)
    left = just(rule, edge)
    # A vehicle that goes on asking lets no sequence timer run out.
    step = 400 if poll.endswith("ChargeLoopReq") else 10_000
    answer: dict[str, Any] = {}
    while poll and left > step + 10:
        talk.elapse(step)
        left -= step
        assert not talk.say(poll)["ResponseCode"].startswith("FAILED")
    talk.elapse(left)
    if poll:
        answer = talk.say(poll)
    ended = talk.said(Ended)
    if edge == OUTSIDE:
        assert len(ended) == 1 and not ended[0].ok
        assert answer.get("ResponseCode", "") == code
        assert talk.machine.output.asked == Requested()
        if rule.name in (timers.SEQUENCE_LOOP.name, timers.OBEY.name):
            assert [one for one in talk.out[at:] if type(one) is ContactorAsked] == [ContactorAsked(False)]
    else:
        assert ended == []
        assert not answer.get("ResponseCode", "OK").startswith("FAILED")
    shown(rule, edge, ended[0].reason if ended else "the session goes on")


def test_a_contactor_that_answers_in_time() -> None:
    talk = Talk("AC").to("PowerDelivery")
    talk.answers = False
    assert talk.say("PowerDeliveryReq") == {}
    talk.elapse(timers.CONTACTOR.ms - 1)
    talk.command(Contactor(True))
    assert talk.machine.state == "AC_ChargeLoop"
    talk.command(Measured(mv=230_000))
    assert talk.say("AC_ChargeLoopReq")["ResponseCode"] == "OK"


def test_people_take_their_time() -> None:
    world = World("DC", authorize=False)
    world.evcc.start()
    world.run(170_000)
    assert world.said(Parted, "car") == []
    world.secc.command(Authorize(accepted=True))
    world.run(6_000)
    assert world.outlet.flowing.mw > 0


def test_start_gives_the_station_its_sequence_timer() -> None:
    world = World("DC")
    world.evse.start(int(world.scheduler.now()))
    world.secc._rearm()
    world.run(timers.SEQUENCE.ms - 1)
    assert world.said(Ended) == []
    world.run(1)
    assert not world.ended.ok


def test_the_setup_timer_ends_with_the_setup() -> None:
    machine = Iso20Evcc(EvccConfig(), "iso20-dc", random=random(), tls=True)
    machine.start(0)
    assert machine.alarms.running("setup")


@pytest.mark.parametrize("rule", timers.CORE, ids=lambda rule: rule.name)
def test_every_timer_says_what_it_is(rule: TimerRule) -> None:
    assert rule.then and rule.protocol == "ISO 15118-20"
