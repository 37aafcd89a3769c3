"""The two front machines: until a protocol is agreed on, and how they step behind its machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from tests.timers import every_timer, just, shown

from pilotwire.core.ev_link import Drive, Halt, Parted
from pilotwire.core.evse_link import Authorize, Ended, Fault, Offer, Stop
from pilotwire.core.machines import Close, Send
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.core.timers import TimerRule
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118 import evcc, sap, secc, v2gtp
from pilotwire.protocols.iso15118.config import EvccConfig, SeccConfig
from pilotwire.protocols.iso15118.timers import SAP_RESPONSE, SECC_SEQUENCE, SETUP
from pilotwire.protocols.iso15118.v2gtp import Frame


class Inner:
    """Stands for a dialect's machine: says what it was told."""

    def __init__(self, config: Any, dialect: str, **given: Any) -> None:
        self.dialect = dialect
        self.given = given
        self.heard: list[Any] = []
        self.deadline: int | None = None

    def start(self, now: int) -> Sequence[Any]:
        self.heard.append("start")
        return [Send(Frame(v2gtp.SAP, b"first"))]

    def command(self, command: Any, now: int) -> Sequence[Any]:
        self.heard.append(command)
        return ()

    def receive(self, data: Frame, now: int) -> Sequence[Any]:
        self.heard.append(data)
        self.deadline = now + 1_000
        return [Send(Frame(data.type, b"answer to " + data.payload))]

    def elapse(self, now: int) -> Sequence[Any]:
        if self.deadline is not None and now >= self.deadline:
            self.deadline = None
            return ["woken"]
        return ()

    def lost(self, now: int) -> Sequence[Any]:
        return [Ended(reason="lost", by="ev", ok=False), Parted(reason="lost", by="evse", ok=False)]


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secc, "secc_of", lambda dialect: Inner)
    monkeypatch.setattr(evcc, "evcc_of", lambda dialect: Inner)


class World:
    """One machine in simulated time."""

    def __init__(self, machine: Any) -> None:
        self.machine = machine
        self.scheduler = SimScheduler()
        self.sent: list[Frame] = []
        self.events: list[Any] = []
        self.closed: list[Close] = []
        self.runner = Runner(
            machine, self.scheduler, send=self.sent.append, event=self.events.append, close=self.closed.append
        )
        self.runner.start()

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if type(event) is kind]


def station(**options: Any) -> World:
    config = SeccConfig(**options)
    return World(secc.Secc(config, random=lambda count: b"\x01" * count, tls=True, pnc="pnc", paused={}))


def vehicle(*, resume: Any = None, linked_ms: int = 0, tls: bool = True, **options: Any) -> World:
    config = EvccConfig(**options)
    return World(evcc.Evcc(config, random=bytes, tls=tls, resume=resume, linked_ms=linked_ms))


def asked(*dialects: Any) -> Frame:
    return Frame(v2gtp.SAP, sap.request(dialects))


def answered(code: str = "OK_SuccessfulNegotiation", **number: int) -> Frame:
    message = {"supportedAppProtocolRes": {"ResponseCode": code} | number}
    return Frame(v2gtp.SAP, exi.encode("sap", message))


def response(frame: Frame) -> Any:
    assert frame.type == v2gtp.SAP
    return sap.read(frame.payload)["supportedAppProtocolRes"]


# ── the station ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_station_agrees_then_hands_over_and_hands_on_what_it_was_told_before() -> None:
    world = station()
    for command in (Offer(max_ma=1), Authorize(accepted=True), Offer(max_ma=2)):
        world.runner.command(command)
    world.runner.received(asked("iso20-dc", "iso2"))
    assert response(world.sent[0]) == {"ResponseCode": "OK_SuccessfulNegotiation", "SchemaID": 1}
    inner = world.machine.inner
    assert (world.machine.dialect, inner.dialect, inner.given["tls"]) == ("iso20-dc", "iso20-dc", True)
    assert inner.given["pnc"] == "pnc" and inner.given["paused"] == {}
    assert inner.heard == [Authorize(accepted=True), Offer(max_ma=2)]
    world.runner.received(Frame(v2gtp.MAIN, b"x"))
    world.runner.command(Offer(max_ma=3))
    assert inner.heard[2:] == [Frame(v2gtp.MAIN, b"x"), Offer(max_ma=3)]
    assert world.sent[1] == Frame(v2gtp.MAIN, b"answer to x")
    world.scheduler.run_for(1_000)
    assert world.events == ["woken"], "the dialect's own timers are kept"
    world.scheduler.run_for(SECC_SEQUENCE.ms * 2)
    assert not world.closed, "the front has no timer any more"
    world.runner.lost()
    assert world.of(Ended)


def test_without_tls_a_station_speaks_no_iso_20() -> None:
    machine = secc.Secc(SeccConfig(), random=bytes, tls=False)
    world = World(machine)
    world.runner.received(asked("iso20-dc", "iso2"))
    assert machine.dialect == "iso2" and response(world.sent[0])["SchemaID"] == 2


def test_the_station_does_not_take_what_its_outlet_cannot_do() -> None:
    world = station(services=("AC",))
    world.runner.received(asked("din", "iso20-dc"))
    assert response(world.sent[0]) == {"ResponseCode": "Failed_NoNegotiation"}
    assert "urn:din:70121:2012:MsgDef 2" in world.of(Ended)[0].reason


@pytest.mark.parametrize(
    "frame",
    [
        asked("iso20-wpt"),
        answered(SchemaID=1),
        Frame(v2gtp.SAP, b""),
        Frame(v2gtp.SAP, b"\x80"),
        Frame(v2gtp.SAP, b"\x80\xff\xff"),
        Frame(v2gtp.SAP, sap.request(("iso2",))[:-4]),
        Frame(v2gtp.SAP, b"\x00" * 4_000),
        Frame(v2gtp.SAP, sap.request(("iso2",)) + b"\x01"),
    ],
)
def test_the_station_answers_what_it_cannot_take_and_closes(frame: Frame) -> None:
    world = station()
    world.runner.received(frame)
    assert [response(one) for one in world.sent] == [{"ResponseCode": "Failed_NoNegotiation"}]
    assert [type(event) for event in world.events] == [Fault, Ended] and not world.events[1].ok
    assert [one.after_ms for one in world.closed] == [0]
    world.runner.received(asked("iso2"))
    assert len(world.sent) == 1 and world.machine.deadline is None, "it is over"


def test_every_bit_flip_of_a_request_is_answered_once() -> None:
    good = sap.request(("iso2", "din"))
    codes: dict[str, int] = {}
    for place in range(len(good) * 8):
        flipped = bytearray(good)
        flipped[place // 8] ^= 0x80 >> place % 8
        world = station()
        world.runner.received(Frame(v2gtp.SAP, bytes(flipped)))
        (answer,) = world.sent
        code = response(answer)["ResponseCode"]
        codes[code] = codes.get(code, 0) + 1
        assert (world.machine.dialect is None) == (code == "Failed_NoNegotiation") == bool(world.closed)
    assert set(codes) >= {"Failed_NoNegotiation", "OK_SuccessfulNegotiation"}


def test_other_payload_types_are_ignored_and_hold_nothing_up() -> None:
    world = station()
    for number in range(50):
        world.scheduler.run_for(1_000)
        world.runner.received(Frame((v2gtp.MAIN, v2gtp.DC, 0x9000, 0xA000, 0)[number % 5], b"\x80\x00"))
    assert not world.sent and world.machine.ignored == 50
    world.scheduler.run_for(10_000)
    assert world.closed, "the timer began with the connection"


def test_a_station_stopped_before_it_began() -> None:
    world = station()
    world.runner.command(Stop(reason="maintenance"))
    assert not world.closed
    world.runner.received(asked("iso2"))
    assert world.machine.inner.heard == [Stop(reason="maintenance")], "the dialect ends it in order"
    world = station()
    world.runner.command(Stop(reason="button", emergency=True))
    assert world.closed and "button" in world.of(Ended)[0].reason


def test_a_vehicle_that_goes_before_it_said_anything() -> None:
    world = station()
    world.runner.lost()
    assert len(world.of(Ended)) == 1 and not world.of(Ended)[0].ok


# ── the vehicle ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_vehicle_offers_what_it_can_then_hands_over() -> None:
    world = vehicle(dialects=("iso20-dc", "iso20-ac", "iso2", "din"), services=("DC",))
    offered = sap.read(world.sent[0].payload)["supportedAppProtocolReq"]["AppProtocol"]
    assert [(one["ProtocolNamespace"][-8:], one["Priority"], one["SchemaID"]) for one in offered] == [
        ("8:-20:DC", 1, 1), ("3:MsgDef", 2, 2), ("2:MsgDef", 3, 3),
    ]  # fmt: skip
    world.runner.command(Drive(soc=1))
    world.runner.command(Drive(soc=2))
    world.runner.received(answered(SchemaID=2))
    assert world.machine.dialect == "iso2"
    assert world.machine.inner.heard == [Drive(soc=2), "start"]
    assert world.sent[1].payload == b"first"
    world.runner.received(Frame(v2gtp.SAP, b"y"))
    world.scheduler.run_for(60_000)
    assert not world.closed, "no timer of the front runs any more"


def test_a_session_that_was_paused_is_asked_for_first() -> None:
    world = vehicle(dialects=("iso2", "din"), resume=("din", "kept"))
    offered = sap.read(world.sent[0].payload)["supportedAppProtocolReq"]["AppProtocol"]
    assert [one["ProtocolNamespace"] for one in offered] == ["urn:din:70121:2012:MsgDef", "urn:iso:15118:2:2013:MsgDef"]
    world.runner.received(answered(SchemaID=1))
    assert world.machine.inner.given["resume"] == "kept"
    world = vehicle(dialects=("iso2", "din"), resume=("din", "kept"))
    world.runner.received(answered(SchemaID=2))
    assert world.machine.inner.given["resume"] is None, "it is of another dialect"


def test_minor_deviation_and_a_missing_number_where_there_is_no_choice() -> None:
    world = vehicle(dialects=("din",))
    world.runner.received(answered("OK_SuccessfulNegotiationWithMinorDeviation"))
    assert world.machine.dialect == "din"


@pytest.mark.parametrize(
    ("frame", "word"),
    [
        (answered("Failed_NoNegotiation"), "speaks none"),
        (answered(SchemaID=9), "number 9"),
        (answered(SchemaID=0), "number 0"),
        (answered(), "number 0"),
        (asked("iso2"), "only a vehicle"),
        (Frame(v2gtp.SAP, b"\x80\xff"), "cannot be read"),
        (Frame(v2gtp.SAP, b""), "cannot be read"),
    ],
)
def test_the_vehicle_ends_what_cannot_go_on(frame: Frame, word: str) -> None:
    world = vehicle()
    world.runner.received(frame)
    (parted,) = world.of(Parted)
    assert word in parted.reason and parted.by == "evse" and not parted.ok
    assert world.closed and world.machine.deadline is None
    world.runner.received(answered(SchemaID=1))
    assert len(world.events) == 1


def test_a_vehicle_with_nothing_to_offer_says_nothing() -> None:
    world = vehicle(dialects=("iso20-dc",), tls=False)
    assert not world.sent and world.closed and world.of(Parted)


def test_a_vehicle_that_wants_no_more_and_one_whose_station_goes() -> None:
    world = vehicle()
    world.runner.command(Halt(reason="driver"))
    assert world.of(Parted) == [Parted(reason="driver", by="ev", ok=True)] and world.closed
    world = vehicle()
    world.runner.command(Fault(code="Overheated", by="ev"))
    assert world.of(Parted) == [Parted(reason="Overheated", by="ev", ok=False)] and world.closed
    world = vehicle()
    world.runner.received(Frame(v2gtp.MAIN, b""))
    world.runner.lost()
    assert len(world.of(Parted)) == 1 and world.machine.ignored == 1


# ── timers ───────────────────────────────────────────────────────────────────────────────────────────────────────────
@every_timer((SECC_SEQUENCE,))
@pytest.mark.parametrize("negotiated", [False, True])
def test_timers_of_the_station(rule: TimerRule, edge: str, negotiated: bool) -> None:
    world = station()
    if negotiated:
        world.scheduler.run_for(30_000)
        world.runner.received(asked("iso2"))
    world.scheduler.run_for(just(rule, edge))
    assert bool(world.closed) == (edge == "outside")
    assert len(world.of(Ended)) == (edge == "outside"), "told once, whoever says it"
    if not negotiated:
        shown(rule, edge, world.of(Ended)[0].reason + "; closed" if world.closed else "it waits")


@every_timer((SAP_RESPONSE,))
def test_timer_of_the_answer(rule: TimerRule, edge: str) -> None:
    world = vehicle()
    world.scheduler.run_for(just(rule, edge))
    world.runner.received(answered(SchemaID=1))
    assert (world.machine.dialect is None) == bool(world.closed) == (edge == "outside")
    shown(rule, edge, world.of(Parted)[0].reason if world.closed else "the answer is taken, and the session begins")


@every_timer((SETUP,))
def test_timer_of_the_setup(rule: TimerRule, edge: str) -> None:
    """Discovery took its time, and the answer to SessionSetupReq does not come."""
    world = vehicle(linked_ms=19_000)
    world.runner.received(answered(SchemaID=1))
    world.scheduler.run_for(just(rule, edge) - 19_000)
    assert bool(world.closed) == (edge == "outside")
    assert len(world.of(Parted)) == (edge == "outside")
    shown(rule, edge, world.of(Parted)[0].reason if world.closed else "it waits for SessionSetupRes")
