"""The vehicle's machine against stations that lie, babble, fall silent or are merely different."""

from __future__ import annotations

import random as chance
from typing import Any

import pytest
from tests.protocols.exi.exi_messages import Maker, NotMade
from tests.protocols.iso15118.iso20.iso20_world import World, random

from pilotwire.core.ev_link import ContactsAsked, Drive, Halt, Offered, Parted, Rest
from pilotwire.core.evse_link import Fault, Schedule
from pilotwire.core.machines import Close, Send
from pilotwire.protocols import exi
from pilotwire.protocols.exi.grammar import grammar_of
from pilotwire.protocols.iso15118 import v2gtp
from pilotwire.protocols.iso15118.config import EvccConfig
from pilotwire.protocols.iso15118.iso20.evcc import Iso20Evcc
from pilotwire.protocols.iso15118.iso20.wire import SCHEMAS

SERVICES = ["DC", "AC_BPT"]


class Spoilt(World):
    """A world in which one answer of the station is replaced on its way."""

    def __init__(self, service: str, spoil: Any, name: str = "", nth: int = 0, **options: Any) -> None:
        super().__init__(service, **options)
        self.spoil = spoil
        self.name = name
        self.left = nth
        self.spoilt = False

    def _to_car(self, frame: Any) -> None:
        ((name, body),) = exi.decode(SCHEMAS[frame.type], frame.payload).items()
        if (not self.name or name == self.name) and not self.spoilt:
            self.left -= 1
            if self.left < 0:
                self.spoilt = True
                frame = self.spoil(frame, name, body)
        self.scheduler.call_later(2, lambda: self.evcc.received(frame))


def answers_of(service: str) -> list[str]:
    """The answers of a whole session, in order."""
    world = World(service).begin(8_000)
    world.evcc.command(Halt())
    world.run(4_000)
    return world.names("evse")


ANSWERS = {service: answers_of(service) for service in SERVICES}
ALL = [(service, name) for service in SERVICES for name in sorted(set(ANSWERS[service]))]


def spoilt(service: str, name: str, spoil: Any) -> Spoilt:
    world = Spoilt(service, spoil, name)
    world.evcc.start()
    world.run(6_000)
    world.evcc.command(Halt("enough"))
    world.run(6_000)
    assert world.spoilt, "the answer came by"
    return world


def gone(world: World) -> Parted:
    """It has left in order: contactors open before it says why."""
    (parted,) = world.said(Parted, "car")
    kinds = [type(one) for one in world.car]
    assert kinds[-1] is Parted
    assert not parted.ok
    asked = world.said(ContactsAsked, "car")
    assert not asked or asked[-1] == ContactsAsked(False)
    assert world.said(Fault, "car")
    assert world.ev.deadline is None
    return parted


@pytest.mark.parametrize(("service", "name"), ALL)
def test_every_answer_may_fail(service: str, name: str) -> None:
    def spoil(frame: Any, name: str, body: Any) -> Any:
        return v2gtp.Frame(frame.type, exi.encode(SCHEMAS[frame.type], {name: body | {"ResponseCode": "FAILED"}}))

    parted = gone(spoilt(service, name, spoil))
    assert name.replace("Res", "Req") in parted.reason and parted.by == "evse"


@pytest.mark.parametrize(("service", "name"), ALL)
def test_every_answer_may_be_another_than_was_asked_for(service: str, name: str) -> None:
    header = {"SessionID": bytes(8), "TimeStamp": 0}
    other = {"Header": header, "ResponseCode": "OK", "EVSEProcessing": "Finished"}
    wrong = "AuthorizationRes" if name != "AuthorizationRes" else "SessionStopRes"
    if wrong == "SessionStopRes":
        other.pop("EVSEProcessing")

    def spoil(frame: Any, name: str, body: Any) -> Any:
        return v2gtp.Frame(v2gtp.MAIN, exi.encode("iso20-common", {wrong: other}))

    assert wrong in gone(spoilt(service, name, spoil)).reason


@pytest.mark.parametrize(("service", "name"), ALL)
def test_every_answer_may_be_of_another_session(service: str, name: str) -> None:
    def spoil(frame: Any, name: str, body: Any) -> Any:
        strange = body | {"Header": body["Header"] | {"SessionID": b"stranger"}}
        return v2gtp.Frame(frame.type, exi.encode(SCHEMAS[frame.type], {name: strange}))

    if name == "SessionSetupRes":
        return  # it is what names the session
    assert "another session" in gone(spoilt(service, name, spoil)).reason


@pytest.mark.parametrize(("service", "name"), ALL)
def test_every_answer_may_be_unreadable(service: str, name: str) -> None:
    def spoil(frame: Any, name: str, body: Any) -> Any:
        return v2gtp.Frame(frame.type, frame.payload[:9])

    assert "cannot be read" in gone(spoilt(service, name, spoil)).reason


@pytest.mark.parametrize("service", SERVICES)
def test_an_answer_to_nothing(service: str) -> None:
    world = World(service).begin(8_000)
    body = {"Header": {"SessionID": world.ev.session, "TimeStamp": 0}, "ResponseCode": "OK"}
    world.evcc.received(v2gtp.Frame(v2gtp.PARKING_STATUS, exi.encode("iso20-common", {"VehicleCheckInRes": body})))
    assert "nothing was asked" in gone(world).reason


@pytest.mark.parametrize("seed", range(40))
def test_answers_made_up_by_chance(seed: int) -> None:
    """Every answer is one that the schema takes, with whatever may stand in it: none raises, none hangs."""
    dice = chance.Random(seed)

    def spoil(frame: Any, name: str, body: Any) -> Any:
        grammar = grammar_of(SCHEMAS[frame.type])
        try:
            made = Maker(grammar, seed, dice.choice([0, 0.5])).element(dict(grammar.document)[name])
        except NotMade:
            made = Maker(grammar, seed, 0).element(dict(grammar.document)[name])
        made["Header"] = body["Header"]
        made["ResponseCode"] = "OK"
        return v2gtp.Frame(frame.type, exi.encode(SCHEMAS[frame.type], {name: made}))

    service = SERVICES[seed % 2]
    name = ANSWERS[service][seed * 7 % len(ANSWERS[service])]
    world = Spoilt(service, spoil, name)
    world.begin(8_000)
    world.evcc.command(Halt())
    world.run(120_000)
    assert len(world.said(Parted, "car")) == 1
    assert not world.outlet.closed and world.outlet.flowing.ma == 0


@pytest.mark.parametrize("seed", range(60))
def test_bits_that_flip(seed: int) -> None:
    dice = chance.Random(seed)

    def spoil(frame: Any, name: str, body: Any) -> Any:
        payload = bytearray(frame.payload)
        for _ in range(dice.randint(1, 4)):
            payload[dice.randrange(len(payload))] ^= 1 << dice.randrange(8)
        return v2gtp.Frame(frame.type, bytes(payload))

    world = Spoilt(SERVICES[seed % 2], spoil, nth=dice.randrange(30))
    world.begin(8_000)
    world.evcc.command(Halt())
    world.run(130_000)
    assert len(world.said(Parted, "car")) == 1
    assert not world.outlet.closed and world.outlet.flowing.ma == 0


# ── stations that are merely different ───────────────────────────────────────────────────────────────────────────────
def test_a_voltage_that_stays_is_a_weld() -> None:
    world = World("DC").begin(8_000)

    def stays(frame: Any, name: str, body: Any) -> Any:
        body["EVSEPresentVoltage"] = {"Exponent": 0, "Value": 390}
        return v2gtp.Frame(frame.type, exi.encode("iso20-dc", {name: body}))

    send = world._to_car

    def to_car(frame: Any) -> None:
        ((name, body),) = exi.decode(SCHEMAS[frame.type], frame.payload).items()
        send(stays(frame, name, body) if name == "DC_WeldingDetectionRes" else frame)

    world.secc._send = to_car
    world.evcc.command(Halt())
    world.run(6_000)
    assert not world.parted.ok
    assert world.bodies("SessionStopReq")[0]["EVTerminationCode"] == "WeldingDetected"


def test_the_cheapest_schedule_is_chosen() -> None:
    from decimal import Decimal

    from pilotwire.core.evse_link import Price

    world = World("DC")
    for id_, amount in ((1, "0.5"), (2, "0.2"), (3, "0.3")):
        world.secc.command(
            Schedule(points=((0, 9_000_000 + id_ * 1_000_000),), id=id_, currency="EUR",
                     prices=(Price(start_s=0, amount=Decimal(amount)),))
        )  # fmt: skip
    world.begin(8_000)
    assert world.evse.session.chosen == 2
    assert 10_900_000 <= world.outlet.flowing.mw <= 11_000_000
    assert len(world.said(Offered, "car")[-1].schedules) == 3


def test_a_session_that_the_station_has_forgotten() -> None:
    world = World("DC").begin(6_000)
    world.evcc.command(Rest())
    world.run(4_000)
    again = World("DC", resume=world.ev.kept, scheduler=world.scheduler).begin(8_000)
    assert "OK_NewSessionEstablished" in again.codes()
    assert again.ev.session != world.ev.session
    assert again.outlet.flowing.mw > 10_000_000


def test_frames_of_no_conversation_are_ignored() -> None:
    world = World("DC").begin(8_000)
    for payload in (v2gtp.SAP, 0x9000, 0xA001):
        world.evcc.received(v2gtp.Frame(payload, b"\x80"))
    assert world.ev.ignored == 3 and not world.said(Parted, "car")


def test_no_service_in_common() -> None:
    world = World("DC", evcc={"services": ("DC_BPT",)}).begin(4_000)
    assert not world.parted.ok
    assert world.bodies("SessionStopReq")[0]["EVTerminationCode"] == "NoService"
    assert world.ended.ok


@pytest.mark.parametrize("service", ["DC", "AC", "DC_BPT", "AC_BPT"])
def test_it_never_draws_above_its_schedule(service: str) -> None:
    world = World(service)
    steps = ((0, 9_000_000), (12, 2_000_000), (20, 0), (24, 5_000_000))
    world.secc.command(Schedule(points=steps, duration_s=3_600))
    world.begin(1_000)
    for _ in range(140):
        world.run(250)
        ran = (int(world.scheduler.now()) - world.evse.session.anchor) / 1000
        # The new step holds when the next request has come.
        limits = [mw for start, mw in steps if start <= ran - 0.5][-1:] + [mw for s, mw in steps if s <= ran][-1:]
        if limits:
            assert world.outlet.flowing.mw <= max(limits) + 1_000, ran
    assert world.outlet.flowing.mw > 4_900_000
    assert not world.said(Parted, "car")


def test_it_says_nothing_before_it_is_started_and_nothing_behind_its_end() -> None:
    machine = Iso20Evcc(EvccConfig(), "iso20-dc", random=random(), tls=True)
    assert machine.command(Drive(), 5) == [] and machine.deadline is None
    sent = machine.start(10)
    assert [type(one) for one in sent] == [Send]
    ended = machine.lost(20)
    assert [type(one) for one in ended] == [Parted]
    assert machine.elapse(10**9) == machine.lost(10**9) == machine.command(Halt(), 10**9) == ()
    assert not [one for one in ended if type(one) is Close], "what is gone cannot be closed"


def test_a_request_that_cannot_be_written_ends_it() -> None:
    machine = Iso20Evcc(EvccConfig(evccid="x" * 300), "iso20-dc", random=random(), tls=True)
    said = machine.start(0)
    assert [type(one) for one in said] == [Fault, Parted, Close]
    assert said[0].by == "ev" and machine.deadline is None


@pytest.mark.parametrize("service", ["DC_BPT", "AC_BPT"])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("size", [0, -1, 1, -(10**9), 10**14])
def test_a_battery_that_says_anything(service: str, dynamic: bool, size: int) -> None:
    world = World(service, dynamic=dynamic).begin(6_000)
    flags = ("phases", "ready")
    names = [name for name in Drive.__struct_fields__ if name not in flags]
    for name in names:
        world.drives(**{name: size})
        world.run(250)
        assert abs(world.outlet.flowing.ma) <= world.outlet.offer.max_ma
    world.evcc.command(Halt())
    world.run(8_000)
    assert len(world.said(Parted, "car")) == 1 and not world.outlet.closed


@pytest.mark.parametrize("service", ["DC_BPT", "AC_BPT"])
def test_who_wants_to_give_still_takes_what_the_station_sends(service: str) -> None:
    """Dynamic control: the station decides which way, the battery how much."""
    world = World(service, dynamic=True).begin(8_000)
    world.drives(target_ma=-10_000)
    world.offers(setpoint_mw=3_000_000)
    world.run(1_500)
    assert 2_900_000 <= world.outlet.flowing.mw <= 3_001_000
    world.drives(soc=800)
    world.run(1_500)
    assert world.outlet.flowing.mw == 0, "it has what it wants"
    world.offers(setpoint_mw=-3_000_000)
    world.run(1_500)
    assert -3_001_000 <= world.outlet.flowing.mw <= -2_900_000
    world.drives(soc=790, target_ma=4_000)
    world.offers(setpoint_mw=9_000_000)
    world.run(1_500)
    most = 4_000 * 450 if service.startswith("DC") else 4_000 * 690
    assert 0 < world.outlet.flowing.mw <= most, "no more than the battery takes"
