"""Both ends without sockets: order, deadlines, late and foreign answers, silence, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.core.machines import Close, Send
from pilotwire.protocols.modbus.adu import RtuDecoder, TcpDecoder, encode_rtu, encode_tcp
from pilotwire.protocols.modbus.client import BACKGROUND, READ, WRITE, Ask, ClientConfig, Finished, ModbusClient
from pilotwire.protocols.modbus.errors import FrameError, IllegalDataAddress, NoAnswer, RequestError, ServerDeviceBusy
from pilotwire.protocols.modbus.pdu import (
    DONE,
    ReadRegisters,
    Registers,
    WriteRegister,
    decode_request,
    encode_exception,
    encode_request,
    encode_response,
)
from pilotwire.protocols.modbus.server import ModbusServer, Reply, Requested, ServerConfig

FAR = 10**9


def read(address: int = 0, count: int = 1) -> ReadRegisters:
    return ReadRegisters(3, address, count)


class Wire:
    """A client whose frames are taken apart and whose outcomes are kept."""

    def __init__(self, **config: Any) -> None:
        self.machine = ModbusClient(ClientConfig(**config))
        self.rtu = self.machine.config.framing == "rtu"
        self.now = 1000
        self.sent: list[tuple[int, Any, int]] = []
        self.done: dict[int, Any] = {}
        self.closed: list[str] = []
        self.take(self.machine.connected(self.now))

    def take(self, effects: Any) -> None:
        for effect in effects:
            if isinstance(effect, Send):
                for adu in (RtuDecoder("server") if self.rtu else TcpDecoder()).feed(effect.data):
                    self.sent.append((adu.unit, decode_request(adu.pdu), adu.transaction))
            elif isinstance(effect, Finished):
                assert effect.ticket not in self.done, "an outcome came twice"
                self.done[effect.ticket] = effect.outcome
            else:
                assert isinstance(effect, Close)
                self.closed.append(effect.reason)

    def ask(self, ticket: int, request: Any, unit: int = 1, within: int = FAR, priority: int = READ) -> None:
        self.take(self.machine.command(Ask(ticket, unit, request, self.now + within, priority), self.now))

    def frame(self, unit: int, pdu: bytes, transaction: int) -> None:
        self.raw(encode_rtu(unit, pdu) if self.rtu else encode_tcp(transaction, unit, pdu))

    def raw(self, data: bytes) -> None:
        self.take(self.machine.receive(data, self.now))

    def answer(self, at: int = -1, first: int = 7) -> None:
        """Answer what was sent as number `at`."""
        unit, request, transaction = self.sent[at]
        told = Registers(tuple(range(first, first + request.count))) if isinstance(request, ReadRegisters) else DONE
        self.frame(unit, encode_response(request, told), transaction)

    def pass_by(self, ms: int) -> None:
        end = self.now + ms
        while (due := self.machine.deadline) is not None and due <= end:
            self.now = max(self.now, due)
            before = due
            self.take(self.machine.elapse(self.now))
            assert self.machine.deadline is None or self.machine.deadline > before, "it would be woken for ever"
        self.now = end

    def why(self, ticket: int) -> str:
        outcome = self.done[ticket]
        assert isinstance(outcome, NoAnswer), outcome
        return outcome.why


def test_writes_before_reads_before_background():
    wire = Wire()
    wire.ask(1, read(1))
    wire.ask(2, read(2), priority=BACKGROUND)
    wire.ask(3, read(3))
    wire.ask(4, WriteRegister(9, 9), priority=WRITE)
    for _ in range(4):
        wire.answer()
    assert [request.address for _, request, _ in wire.sent] == [1, 9, 3, 2]
    assert wire.done[4] == DONE and wire.done[1] == Registers((7,))


def test_equal_reads_that_wait_are_asked_once():
    wire = Wire()
    wire.ask(1, read(1))
    wire.ask(2, read(2))
    wire.ask(3, read(2))
    wire.ask(4, read(2), unit=2)
    wire.ask(5, read(1))
    for _ in range(4):
        wire.answer()
    assert [(unit, request.address) for unit, request, _ in wire.sent] == [(1, 1), (1, 2), (2, 2), (1, 1)]
    assert set(wire.done) == {1, 2, 3, 4, 5} and wire.machine.counts.shared == 1


def test_writes_are_never_joined():
    wire = Wire()
    for ticket in range(3):
        wire.ask(ticket, WriteRegister(1, 1))
    for _ in range(3):
        wire.answer()
    assert len(wire.sent) == 3


@pytest.mark.parametrize("window", [1, 4])
def test_so_many_are_out_at_once(window: int):
    wire = Wire(window=window)
    for ticket in range(8):
        wire.ask(ticket, read(ticket))
    assert len(wire.sent) == window
    wire.answer(window - 1)
    assert len(wire.sent) == window + 1 and set(wire.done) == {window - 1}
    assert len({transaction for _, _, transaction in wire.sent}) == window + 1


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_silence(framing: str):
    wire = Wire(framing=framing, answer_ms=500, settle_ms=100, give_up=0)
    wire.ask(1, read(1))
    wire.ask(2, read(2))
    wire.pass_by(499)
    assert not wire.done
    wire.pass_by(1)
    assert wire.why(1) == "silent" and wire.machine.counts.silent == 1
    if framing == "rtu":
        assert len(wire.sent) == 1, "a late answer is let by first"
        wire.answer(0)
        wire.pass_by(100)
    else:
        wire.answer(0)
    assert len(wire.sent) == 2 and wire.machine.counts.late == 1
    wire.answer(1, first=42)
    assert wire.done[2] == Registers((42,))
    wire.answer(1)
    assert wire.machine.counts.late == 2, "an answer that comes twice is counted and dropped"


def test_deadlines():
    wire = Wire(answer_ms=1000)
    wire.ask(1, read(1), within=300)
    wire.ask(2, read(2), within=200)
    wire.ask(3, read(3), within=0)
    assert wire.why(3) == "expired"
    wire.pass_by(200)
    assert wire.why(2) == "expired"
    wire.pass_by(100)
    assert wire.why(1) == "silent"
    wire.ask(4, read(4))
    assert len(wire.sent) == 1, "the device still has the first"
    wire.answer(0)
    wire.answer(1)
    assert wire.done[4] == Registers((7,)) and len(wire.sent) == 2


def test_the_queue_is_bounded_and_what_expired_takes_no_room():
    wire = Wire(queue=3)
    for ticket in range(4):
        wire.ask(ticket, read(ticket), within=50)
    assert not wire.done
    wire.ask(9, read(9))
    assert wire.why(9) == "full"
    wire.pass_by(50)
    assert wire.machine.queued == 0
    for ticket in range(10, 13):
        wire.ask(ticket, read(ticket))
    assert 12 not in wire.done


def test_an_endless_row_of_expired_requests_does_not_grow():
    wire = Wire(queue=5)
    wire.take(wire.machine.lost(wire.now))
    wire.ask(0, read(0), priority=WRITE)
    for ticket in range(1, 300):
        wire.ask(ticket, read(ticket), within=1)
        wire.pass_by(1)
    assert len(wire.machine._waiting) < 40 and len(wire.machine._deadlines) < 40


def test_gap_between_requests():
    wire = Wire(gap_ms=50)
    wire.ask(1, read(1))
    wire.pass_by(10)
    wire.answer()
    wire.ask(2, read(2))
    wire.pass_by(49)
    assert len(wire.sent) == 1
    wire.pass_by(1)
    assert len(wire.sent) == 2


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
def test_answers_of_others_are_dropped(framing: str):
    wire = Wire(framing=framing)
    wire.ask(1, read(5), unit=3)
    transaction = wire.sent[0][2]
    told = encode_response(read(5), Registers((1,)))
    wire.frame(4, told, transaction)
    wire.frame(3, b"\x04" + told[1:], transaction) if framing == "rtu" else wire.frame(3, told, transaction + 1)
    assert not wire.done and wire.machine.counts.foreign == 2
    wire.answer()
    assert wire.done[1] == Registers((7,))


def test_an_answer_of_the_wrong_length():
    wire = Wire()
    wire.ask(1, read(5, 2))
    wire.frame(1, encode_response(read(5), Registers((1,))), wire.sent[0][2])
    assert isinstance(wire.done[1], FrameError) and wire.machine.counts.malformed == 1
    bus = Wire(framing="rtu")
    bus.ask(1, read(5, 2))
    bus.frame(1, encode_response(read(5), Registers((1,))), 0)
    assert not bus.done and bus.machine.counts.malformed == 1, "it may be the late answer to something else"
    bus.answer()
    assert bus.done[1] == Registers((7, 8))


def test_exceptions_are_typed():
    wire = Wire()
    wire.ask(1, read(5))
    wire.frame(1, encode_exception(3, 2), wire.sent[0][2])
    assert isinstance(wire.done[1], IllegalDataAddress) and wire.machine.counts.exceptions == 1


def test_what_is_no_modbus_closes():
    wire = Wire()
    wire.ask(1, read(5))
    wire.ask(2, read(6))
    wire.raw(b"HTTP/1.1 400 Bad Request\r\n")
    assert wire.why(1) == "lost" and wire.closed and 2 not in wire.done
    wire.take(wire.machine.connected(wire.now))
    wire.answer()
    assert wire.done[2] == Registers((7,)), "what waited goes over the next connection"


def test_a_connection_that_is_dead_is_given_up():
    wire = Wire(answer_ms=100, give_up=3, rest_after=0)
    for ticket in range(4):
        wire.ask(ticket, read(ticket))
    wire.pass_by(300)
    assert [wire.why(ticket) for ticket in range(3)] == ["silent"] * 3 and len(wire.closed) == 1
    assert len(wire.sent) == 3 and wire.machine.queued == 1


def test_silences_count_in_a_row_only():
    wire = Wire(answer_ms=100, give_up=3, rest_after=0)
    for ticket in range(6):
        wire.ask(ticket, read(ticket))
        if ticket == 2:
            wire.answer()
        else:
            wire.pass_by(100)
        assert bool(wire.closed) == (ticket == 5)


def test_a_read_that_matters_does_not_wait_behind_an_equal_one_that_does_not():
    wire = Wire()
    wire.ask(1, read(1))
    wire.ask(2, read(7), priority=BACKGROUND)
    wire.ask(3, read(5), priority=BACKGROUND)
    wire.ask(4, read(5))
    wire.ask(5, read(5), priority=BACKGROUND)
    for _ in range(4):
        wire.answer()
    assert [request.address for _, request, _ in wire.sent] == [1, 5, 7, 5] and set(wire.done) == {1, 2, 3, 4, 5}


def test_the_beginning_of_an_answer_that_never_ended_does_not_swallow_the_next():
    wire = Wire(framing="rtu", answer_ms=100, settle_ms=0)
    wire.ask(1, read(0, 125))
    wire.raw(b"\x01\x03\xfa")
    wire.pass_by(100)
    wire.ask(2, read(5))
    wire.answer()
    assert wire.why(1) == "silent" and wire.done[2] == Registers((7,))


def test_what_a_former_connection_was_asked_is_foreign_to_the_next():
    wire = Wire()
    wire.ask(1, read(1))
    wire.answer()
    wire.take(wire.machine.lost(wire.now))
    wire.take(wire.machine.connected(wire.now))
    wire.answer(0)
    assert wire.machine.counts.foreign == 1 and wire.machine.counts.late == 0


def test_a_unit_that_is_silent_rests_and_costs_the_others_no_time():
    wire = Wire(framing="rtu", answer_ms=100, settle_ms=0, give_up=0, rest_after=2, rest_ms=1000)
    for ticket in range(3):
        wire.ask(ticket, read(ticket), unit=9)
        wire.pass_by(100)
    assert wire.why(2) == "silent" and len(wire.sent) == 2 and wire.machine.counts.rested == 1
    wire.ask(3, WriteRegister(1, 1), unit=9, priority=WRITE)
    assert len(wire.sent) == 3, "a write is always tried"
    wire.pass_by(1100)
    wire.ask(4, read(1), unit=9)
    wire.answer()
    wire.ask(5, read(1), unit=9)
    wire.answer()
    assert wire.done[4] == wire.done[5] == Registers((7,))


def test_a_broadcast_has_no_answer():
    wire = Wire(framing="rtu", broadcast_ms=100)
    wire.ask(1, WriteRegister(1, 1), unit=0)
    wire.pass_by(100)
    assert wire.done[1] == DONE and wire.machine.counts.silent == 0


def test_what_nobody_wants_any_more_is_not_sent():
    wire = Wire()
    for ticket in range(1, 5):
        wire.ask(ticket, WriteRegister(ticket, 1))
    wire.ask(5, read(1))
    wire.ask(6, read(1))
    wire.machine.withdraw(1)
    wire.machine.withdraw(3)
    wire.machine.withdraw(5)
    for _ in range(4):
        wire.answer()
    assert [request.address for _, request, _ in wire.sent] == [1, 2, 4, 1] and set(wire.done) == {2, 4, 6}
    wire.ask(7, WriteRegister(1, 1))
    wire.ask(8, WriteRegister(2, 1))
    wire.take(wire.machine.lost(wire.now))
    wire.take(wire.machine.abandon())
    assert wire.why(7) == "lost" and wire.why(8) == "offline" and wire.machine.queued == 0
    wire.take(wire.machine.connected(wire.now))
    assert len(wire.sent) == 5, "a write that was given up is not sent over the next connection"


def test_what_cannot_be_asked():
    with pytest.raises(RequestError):
        Wire().ask(1, read(0, 126))


@settings(max_examples=50, derandomize=True, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("aabrfxtl"), st.integers(0, 5), st.integers(1, 400)), max_size=40),
    st.sampled_from(("tcp", "rtu")),
    st.integers(1, 3),
)
def test_every_request_has_one_outcome_by_its_deadline(steps: list[tuple[str, int, int]], framing: str, window: int):
    """Whatever happens: answers, noise, loss, silence."""
    wire = Wire(framing=framing, window=window, answer_ms=150, queue=6, rest_after=2)
    due: dict[int, int] = {}
    for ticket, (step, which, ms) in enumerate(steps):
        if step in "ab":
            request = read(which) if step == "a" else WriteRegister(which, 1)
            due[ticket] = wire.now + ms
            wire.ask(ticket, request, within=ms, unit=1 + which % 2)
        elif step == "r" and wire.sent:
            wire.answer(-1 - which % len(wire.sent))
        elif step == "f":
            wire.raw(bytes((which, 3, 2)) * 3)
        elif step == "x":
            wire.take(wire.machine.lost(wire.now))
        elif step == "l":
            wire.take(wire.machine.connected(wire.now))
        else:
            wire.pass_by(ms)
        assert all(ticket in wire.done for ticket, at in due.items() if at < wire.now)
    wire.pass_by(500)
    assert set(wire.done) == set(due)
    assert wire.machine.queued == 0


class Served:
    """A server whose application keeps the requests."""

    def __init__(self, **config: Any) -> None:
        self.machine = ModbusServer(ServerConfig(**config), 1000)
        self.now = 1000
        self.asked: list[Requested] = []
        self.told: list[bytes] = []
        self.closed = 0

    def take(self, effects: Any) -> None:
        for effect in effects:
            if isinstance(effect, Requested):
                self.asked.append(effect)
            elif isinstance(effect, Send):
                self.told.append(effect.data)
            else:
                assert isinstance(effect, Close)
                self.closed += 1

    def raw(self, data: bytes, after: int = 0) -> None:
        self.now += after
        self.take(self.machine.receive(data, self.now))

    def reply(self, at: int, outcome: Any) -> None:
        self.take(self.machine.command(Reply(self.asked[at].number, outcome), self.now))


def test_a_tcp_server_answers_in_any_order():
    served = Served()
    served.raw(encode_tcp(1, 5, encode_request(read(1))) + encode_tcp(2, 6, encode_request(WriteRegister(2, 3))))
    assert [each.unit for each in served.asked] == [5, 6]
    served.reply(1, DONE)
    served.reply(0, Registers((4,)))
    assert served.told[0] == encode_tcp(2, 6, encode_request(WriteRegister(2, 3)))
    assert served.told[1] == encode_tcp(1, 5, b"\x03\x02\x00\x04")
    served.reply(0, Registers((4,)))
    assert len(served.told) == 2 and served.machine.counts.stale == 1


def test_what_a_server_refuses_by_itself():
    served = Served(units=frozenset((1,)), window=1, queue=1)
    served.raw(encode_tcp(1, 1, b"\x63"))
    served.raw(encode_tcp(2, 1, encode_request(read(1))[:-1] + b"\x00"))
    served.raw(encode_tcp(3, 9, encode_request(read(1))))
    for transaction in (4, 5, 6):
        served.raw(encode_tcp(transaction, 1, encode_request(read(1))))
    assert [told[-2:].hex() for told in served.told] == ["e301", "8303", "830b", "8306"]
    assert len(served.asked) == 1, "the second waits behind the first"
    served.reply(0, ServerDeviceBusy())
    served.reply(1, Registers((1, 2)))
    assert [told[-2:].hex() for told in served.told[4:]] == ["8306", "8304"]
    assert served.machine.counts.broken == 1 and served.machine.counts.malformed == 2


def test_a_bus_server_is_silent_for_others_and_for_what_is_bent():
    served = Served(framing="rtu", units=frozenset((7,)))
    good = encode_rtu(7, encode_request(read(1)))
    served.raw(encode_rtu(8, encode_request(read(1))))
    served.raw(encode_rtu(8, encode_response(read(1), Registers((1,)))), after=5)
    served.raw(good[:-1] + b"\0", after=50)
    assert not served.told and not served.asked
    served.raw(good[:3], after=50)
    served.raw(good[3:], after=1)
    assert len(served.asked) == 1
    served.raw(good, after=50)
    served.reply(0, Registers((1,)))
    assert not served.told and served.machine.counts.stale == 1, "the master has gone on"
    served.reply(1, Registers((1,)))
    assert served.told == [encode_rtu(7, b"\x03\x02\x00\x01")]


def test_the_rest_of_a_bent_frame_is_gone_with_the_silence():
    served = Served(framing="rtu", units=frozenset((7,)), silence_ms=20)
    good = encode_rtu(7, encode_request(read(1)))
    served.raw(b"\x55" + good)
    assert not served.asked and served.machine.deadline == served.now + 20
    served.take(served.machine.elapse(served.now + 20))
    assert served.machine.deadline is None
    served.raw(good, after=21)
    assert len(served.asked) == 1


def test_a_broadcast_is_done_and_not_answered():
    served = Served(framing="rtu", units=frozenset((7,)))
    served.raw(encode_rtu(0, encode_request(WriteRegister(1, 2))))
    assert served.asked[0].broadcast
    served.reply(0, DONE)
    served.raw(encode_rtu(0, encode_request(read(1))), after=50)
    served.raw(encode_rtu(0, b"\x63"), after=50)
    served.take(served.machine.elapse(served.now + 50))
    assert not served.told and len(served.asked) == 1
    with pytest.raises(RequestError):
        ModbusServer(ServerConfig(framing="rtu"))


def test_clients_that_hold_a_connection_for_nothing():
    for data, due in ((b"", 300_000), (b"\x00\x01\x00", 2000)):
        served = Served()
        if data:
            served.raw(data)
        served.take(served.machine.elapse(1000 + due - 1))
        assert not served.closed
        served.take(served.machine.elapse(1000 + due))
        assert served.closed == 1 and served.machine.deadline is None
    served = Served()
    served.raw(b"GET / HTTP/1.1\r\n\r\n")
    assert served.closed == 1


def test_a_frame_has_its_own_time_whatever_came_before_it():
    served = Served(partial_ms=2000)
    frame = encode_tcp(1, 1, encode_request(read(1)))
    served.raw(frame[:6])
    served.raw(frame[6:] + frame[:6], after=1900)
    served.take(served.machine.elapse(served.now + 1999))
    assert not served.closed
    served.take(served.machine.elapse(served.now + 2000))
    assert served.closed == 1 and len(served.asked) == 1


def test_a_frame_that_drips_is_hung_up_on():
    served = Served(partial_ms=2000)
    frame = encode_tcp(1, 1, encode_request(read(1)))
    for at in range(len(frame) - 1):
        served.raw(frame[at : at + 1], after=300)
        served.take(served.machine.elapse(served.now))
    assert served.closed == 1


@settings(max_examples=50, derandomize=True, deadline=None)
@given(st.lists(st.binary(min_size=1, max_size=30), max_size=8), st.sampled_from(("tcp", "rtu")))
def test_a_server_takes_any_bytes(chunks: list[bytes], framing: str):
    served = Served(framing=framing, units=frozenset((1,)))
    for chunk in chunks:
        served.raw(chunk, after=7)
        due = served.machine.deadline
        assert due is None or due > served.now - 30
    served.take(served.machine.elapse(served.now + 400_000))
