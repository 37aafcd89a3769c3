"""The transport protocol of J1939: two ends of ours over a pipe that may lose, double and reorder."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.timers import INSIDE, every_timer, just, shown

from pilotwire.core.machines import Send
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.j1939 import TIMERS, Aborted, Delivered, Id, Limits, Monitor, Packet, Transport, build, parse

CHARGER, BMS = 0x56, 0xF4


class Pipe:
    """Two transports, frames in order, time by hand."""

    def __init__(self, left: Limits = Limits(), right: Limits = Limits()) -> None:  # noqa: B008
        self.ends = {CHARGER: Transport(CHARGER, left), BMS: Transport(BMS, right)}
        self.now = 0
        self.seen: dict[int, list[object]] = {CHARGER: [], BMS: []}
        self.frames: list[CanFrame] = []
        self.fault: Callable[[CanFrame], list[CanFrame]] = lambda frame: [frame]

    def do(self, address: int, effects: list[object]) -> None:
        queue = [(address, effect) for effect in effects]
        while queue:
            at, effect = queue.pop(0)
            if not isinstance(effect, Send):
                self.seen[at].append(effect)
                continue
            for frame in self.fault(effect.data):
                self.frames.append(frame)
                other = CHARGER if at == BMS else BMS
                queue += [(other, each) for each in self.ends[other].receive(frame, self.now)]

    def send(self, address: int, pgn: int, data: bytes) -> None:
        to = CHARGER if address == BMS else BMS
        self.do(address, self.ends[address].send(pgn, to, data, 7, self.now))

    def run(self, until: int) -> None:
        while True:
            due = min((each.deadline for each in self.ends.values() if each.deadline is not None), default=None)
            if due is None or due > until:
                break
            self.now = max(self.now, due)
            for address, end in self.ends.items():
                self.do(address, end.elapse(self.now))
        self.now = until

    def packets(self, address: int) -> list[bytes]:
        return [each.data for each in self.seen[address] if isinstance(each, Packet)]


@given(st.integers(0, 7), st.integers(0, 0x3FFFF), st.integers(0, 255), st.integers(0, 255))
@settings(max_examples=200, derandomize=True)
def test_identifiers_there_and_back(priority: int, pgn: int, da: int, sa: int):
    if pgn >> 8 & 0xFF < 240:
        pgn &= 0x3FF00
    else:
        da = 0xFF
    assert parse(build(priority, pgn, da, sa)) == Id(priority, pgn, da, sa)


def test_identifiers_of_the_standard():
    assert build(6, 0x0800, BMS, CHARGER) == 0x1808F456
    assert parse(0x1CEC56F4) == Id(7, 0xEC00, 0x56, 0xF4)
    assert parse(0x18FECA0A) == Id(6, 0xFECA, 0xFF, 0x0A)


@given(st.binary(min_size=0, max_size=1785), st.integers(1, 255), st.sampled_from([0, 1, 5]))
@settings(max_examples=60, derandomize=True)
def test_every_length_arrives_whole_with_every_window(data: bytes, window: int, pace: int):
    pipe = Pipe(Limits(window=window), Limits(pace_ms=pace))
    pipe.send(BMS, 0x0200, data)
    pipe.run(5000)
    assert pipe.packets(CHARGER) == [data]
    assert pipe.seen[BMS] == ([Delivered(pgn=0x0200, da=CHARGER)] if len(data) > 8 else [])
    assert not any(end.counts.malformed for end in pipe.ends.values())


def test_one_cts_grants_all_or_one_at_a_time():
    for window, grants in ((255, [7]), (1, [1] * 7), (3, [3, 3, 1])):
        pipe = Pipe(Limits(window=window))
        pipe.send(BMS, 0x0200, bytes(49))
        pipe.run(1000)
        told = [frame.data[1] for frame in pipe.frames if frame.id == 0x1CECF456 and frame.data[0] == 17]
        assert told == grants
        assert pipe.packets(CHARGER) == [bytes(49)]


def test_the_senders_own_window_is_kept():
    """Byte 5 of the RTS: no more than so many packets a CTS."""
    end = Transport(CHARGER)
    cts = end.receive(CanFrame(0x1CEC56F4, bytes((16, 49, 0, 7, 2, 0, 2, 0)), True), 0)
    assert cts == [Send(CanFrame(0x1CECF456, bytes((17, 2, 1, 0xFF, 0xFF, 0, 2, 0)), True))]


def test_the_frames_of_a_brm():
    pipe = Pipe()
    pipe.send(BMS, 0x0200, bytes(range(1, 50)))
    pipe.run(1000)
    assert [frame.data.hex() for frame in pipe.frames] == [
        "10310007ff000200",
        "110701ffff000200",
        "0101020304050607",
        "0208090a0b0c0d0e",
        "030f101112131415",
        "0416171819" + "1a1b1c",
        "051d1e1f20212223",
        "062425262728292a",
        "072b2c2d2e2f3031",
        "13310007ff000200",
    ]


def test_both_directions_at_once_and_messages_that_wait():
    pipe = Pipe()
    pipe.send(BMS, 0x0200, bytes(100))
    pipe.send(BMS, 0x1100, b"old message")
    pipe.send(BMS, 0x1100, b"new message")
    pipe.send(BMS, 0x1500, bytes(512))
    pipe.send(CHARGER, 0x2000, bytes(20))
    pipe.run(5000)
    assert pipe.packets(CHARGER) == [bytes(100), b"new message", bytes(512)]
    assert pipe.packets(BMS) == [bytes(20)]
    assert pipe.ends[BMS].counts.shed == 1


@pytest.mark.parametrize("lost", range(1, 8))
def test_a_lost_packet_is_asked_for_again_alone(lost: int):
    pipe = Pipe()
    missed: list[CanFrame] = []

    def lose(frame: CanFrame) -> list[CanFrame]:
        if frame.id == 0x1CEB56F4 and frame.data[0] == lost and not missed:
            missed.append(frame)
            return []
        return [frame]

    pipe.fault = lose
    data = bytes(range(49))
    pipe.send(BMS, 0x0200, data)
    pipe.run(10_000)
    if lost == 7:  # the last one: nothing comes behind it that would show the gap
        assert isinstance(pipe.seen[CHARGER][0], Aborted)
        assert pipe.seen[CHARGER][0].reason == 3
    else:
        assert pipe.packets(CHARGER) == [data]
        sent = [frame.data[0] for frame in pipe.frames if frame.id == 0x1CEB56F4]
        assert sent == [*(each for each in range(1, 8) if each != lost), lost]


def test_packets_asked_for_too_often_abort():
    pipe = Pipe()
    pipe.fault = lambda frame: [] if frame.id == 0x1CEB56F4 and frame.data[0] == 3 else [frame]
    pipe.send(BMS, 0x0200, bytes(49))
    pipe.run(10_000)
    assert not pipe.packets(CHARGER)
    assert {type(each) for end in pipe.seen.values() for each in end} == {Aborted}
    assert all(end.deadline is None for end in pipe.ends.values())


@pytest.mark.parametrize(
    ("frame", "reason"),
    [
        ("1008000200000200", 9),  # 8 bytes are no long message
        ("10fa06ffff000200", 9),  # 1786 bytes
        ("10310006ff000200", 9),  # packets do not fit the size
    ],
)
def test_an_rts_that_cannot_be_is_refused(frame: str, reason: int):
    end = Transport(CHARGER)
    effects = end.receive(CanFrame(0x1CEC56F4, bytes.fromhex(frame), True), 0)
    assert [effect.data.data[:2] for effect in effects] == [bytes((255, reason))]
    assert end.counts.malformed == 1
    assert end.deadline is None


def test_a_receiver_asks_twice_and_no_more():
    end = Transport(CHARGER, Limits(window=3))
    end.receive(CanFrame(0x1CEC56F4, bytes.fromhex("10310007ff000200"), True), 0)
    third = [CanFrame(0x1CEB56F4, bytes((number,)) + bytes(7), True) for number in (1, 3)]
    end.receive(third[0], 0)
    asked = end.receive(third[1], 0)
    assert asked[0].data.data[:3] == bytes((17, 1, 2)), "packet 2 alone"
    end.receive(CanFrame(0x1CEB56F4, bytes((2,)) + bytes(7), True), 0)  # now 4 to 6 are granted
    asked = end.receive(CanFrame(0x1CEB56F4, bytes((6,)) + bytes(7), True), 0)
    assert asked[0].data.data[:3] == bytes((17, 2, 4))
    given_up = end.receive(CanFrame(0x1CEB56F4, bytes((5,)) + bytes(7), True), 0)
    assert given_up[0].data.data[:2] == bytes((255, 5))
    assert given_up[1].reason == 5 and end.deadline is None
    assert end.counts.asked_again == 2


def test_a_packet_too_many_is_taken_and_cut():
    """Seen of a vehicle: 41 bytes announced in 7 packets."""
    end, monitor = Transport(CHARGER), Monitor()
    frames = [CanFrame(0x1CEC56F4, bytes.fromhex("10290007ff000200"), True)]
    frames += [CanFrame(0x1CEB56F4, bytes((number,)) + b"ABCDEFG", True) for number in range(1, 8)]
    for frame in frames:
        effects, read = end.receive(frame, 0), monitor.receive(frame)
    assert effects[0].data.data.hex() == "13290007ff000200"
    assert effects[1].data == (b"ABCDEFG" * 7)[:41] == read.data
    assert end.deadline is None and end.counts.malformed == 0


@pytest.mark.parametrize("sequence", [0, 8, 255])
def test_a_sequence_number_that_cannot_be_aborts(sequence: int):
    end = Transport(CHARGER)
    end.receive(CanFrame(0x1CEC56F4, bytes.fromhex("10310007ff000200"), True), 0)
    effects = end.receive(CanFrame(0x1CEB56F4, bytes((sequence,)) + bytes(7), True), 10)
    assert effects[0].data.data[:2] == bytes((255, 7))
    assert effects[1] == Aborted(pgn=0x0200, peer=BMS, role="receiver", reason=7, by="us")
    assert effects[1].text == "wrong sequence number"
    assert end.deadline is None


def test_what_nobody_asked_for_is_counted_and_nothing_else():
    end = Transport(CHARGER)
    for can_id, data in [
        (0x1CEB56F4, "0100000000000000"),  # data without a connection
        (0x1CEC56F4, "110701ffff000200"),  # CTS without one
        (0x1CEC56F4, "13310007ff000200"),  # end of nothing
        (0x1CEC56F4, "ff03ffffff000200"),  # abort of nothing
        (0x1CEC56F4, "42ffffffff000200"),  # no control byte
        (0x1CEC56F4, "1031"),  # too short
        (0x1CECFFF4, "10310007ff000200"),  # RTS to everybody
    ]:
        assert end.receive(CanFrame(can_id, bytes.fromhex(data), True), 0) == []
    assert end.counts.malformed == 7
    assert end.receive(CanFrame(0x1CEC17F4, bytes.fromhex("10310007ff000200"), True), 0) == []  # for somebody else
    assert end.receive(CanFrame(0x100, bytes(8)), 0) == []
    assert end.counts.malformed == 7


def test_an_rts_anew_begins_anew_and_another_group_is_refused():
    end = Transport(CHARGER)
    rts = CanFrame(0x1CEC56F4, bytes.fromhex("10310007ff000200"), True)
    assert end.receive(rts, 0)[0].data.data[0] == 17
    end.receive(CanFrame(0x1CEB56F4, bytes((1,)) + b"AAAAAAA", True), 1)
    assert end.receive(CanFrame(0x1CEC56F4, bytes.fromhex("10310007ff000600"), True), 2)[0].data.data[:2] == b"\xff\x01"
    assert end.receive(rts, 3)[0].data.data[:3] == bytes((17, 7, 1))
    for number in range(1, 8):
        effects = end.receive(CanFrame(0x1CEB56F4, bytes((number,)) + b"BBBBBBB", True), 3 + number)
    assert effects[1].data == b"B" * 49


def test_memory_is_bounded_whoever_babbles():
    end = Transport(CHARGER, Limits(sessions=4, max_bytes=600))
    refused = 0
    for sender in range(256):
        if sender == CHARGER:
            continue
        frame = CanFrame(build(7, 0xEC00, CHARGER, sender), bytes.fromhex("10310007ff000200"), True)
        refused += end.receive(frame, 0)[0].data.data[0] == 255
    assert refused == 251
    assert end.counts.shed == 251
    big = CanFrame(build(7, 0xEC00, CHARGER, 0), bytes.fromhex("10f906ffff000200"), True)
    assert end.receive(big, 0)[0].data.data[:2] == b"\xff\x02"
    for number in range(100):
        end.send(number << 8, BMS, bytes(20), 6, 0)
    assert end.counts.shed == 251 + 1 + 83


def test_a_peer_that_aborts_is_told_of_and_the_next_message_goes():
    end = Transport(BMS)
    end.send(0x0200, CHARGER, bytes(49), 7, 0)
    end.send(0x1100, CHARGER, bytes(9), 7, 0)
    effects = end.receive(CanFrame(0x1CECF456, bytes.fromhex("ff01ffffff000200"), True), 5)
    assert effects[0] == Aborted(pgn=0x0200, peer=CHARGER, role="sender", reason=1, by="peer")
    assert effects[1].data.data.hex() == "10090002ff001100"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("110708ffff000200", 7),  # from a packet that does not exist
        ("110700ffff000200", 7),
        ("110103ffff000200", 7),  # leaves packets out
        ("13310007ff000200", 250),  # end before the data
    ],
)
def test_answers_that_cannot_be_abort(answer: str, reason: int):
    end = Transport(BMS)
    end.send(0x0200, CHARGER, bytes(49), 7, 0)
    effects = end.receive(CanFrame(0x1CECF456, bytes.fromhex(answer), True), 5)
    assert effects[0].data.data[:2] == bytes((255, reason))
    assert effects[1].reason == reason
    assert end.deadline is None


def test_cts_while_data_goes_aborts():
    end = Transport(BMS, Limits(pace_ms=10))
    end.send(0x0200, CHARGER, bytes(49), 7, 0)
    cts = CanFrame(0x1CECF456, bytes.fromhex("110701ffff000200"), True)
    assert len(end.receive(cts, 5)) == 1
    assert end.receive(cts, 6)[1].reason == 4


def test_broadcasts_are_heard_and_a_gap_ends_them():
    end = Transport(CHARGER)
    bam = CanFrame(0x1CECFFF4, bytes.fromhex("20140003ff002000"), True)
    assert end.receive(bam, 0) == []
    data = [CanFrame(0x1CEBFFF4, bytes((number,)) + b"abcdefg", True) for number in (1, 2, 3)]
    assert end.receive(data[0], 50) == end.receive(data[1], 100) == []
    assert end.receive(data[2], 150) == [
        Packet(pgn=0x2000, sa=BMS, da=0xFF, priority=7, data=b"abcdefgabcdefgabcdef", frames=3)
    ]
    end.receive(bam, 200)
    end.receive(data[0], 250)
    assert end.receive(data[2], 300) == [Aborted(pgn=0x2000, peer=BMS, role="receiver", reason=7, by="us")]
    end.receive(bam, 400)
    assert end.elapse(400 + 751) == [Aborted(pgn=0x2000, peer=BMS, role="receiver", reason=3, by="us")]


def test_a_monitor_reads_what_others_say():
    pipe, monitor = Pipe(Limits(window=3)), Monitor()
    pipe.send(BMS, 0x0200, bytes(range(49)))
    pipe.run(1000)
    pipe.send(CHARGER, 0x0A00, b"\xaa")
    read = [told for frame in pipe.frames if (told := monitor.receive(frame)) is not None]
    assert read == [
        Packet(pgn=0x0200, sa=BMS, da=CHARGER, priority=7, data=bytes(range(49)), frames=7),
        Packet(pgn=0x0A00, sa=CHARGER, da=BMS, priority=7, data=b"\xaa"),
    ]
    monitor.receive(CanFrame(0x1CEC56F4, bytes.fromhex("10310007ff000200"), True))
    aborted = monitor.receive(CanFrame(0x1CECF456, bytes.fromhex("ff03ffffff000200"), True))
    assert isinstance(aborted, Aborted) and (aborted.peer, aborted.reason, aborted.by) == (BMS, 3, "peer")


def test_whatever_comes_nothing_raises_and_all_ends():
    """Frames of a conversation, lost, doubled, mixed up and with flipped bits."""
    chance = random.Random(27930)
    pipe = Pipe(Limits(window=4))
    pipe.send(BMS, 0x0200, bytes(range(49)))
    pipe.send(CHARGER, 0x2000, bytes(30))
    pipe.run(1000)
    frames = pipe.frames
    for _ in range(300):
        end = Transport(chance.choice((CHARGER, BMS)), Limits(window=chance.randint(1, 9)))
        end.send(0x1100, CHARGER if end.address == BMS else BMS, bytes(40), 7, 0)
        now = 0
        for _ in range(60):
            frame = chance.choice(frames)
            data = bytearray(frame.data)
            if chance.random() < 0.5:
                data[chance.randrange(8)] ^= 1 << chance.randrange(8)
            now += chance.choice((0, 1, 50, 800))
            end.receive(CanFrame(frame.id, bytes(data[: chance.choice((8, 8, 8, 3))]), True), now)
            end.elapse(now)
        while end.deadline is not None:
            now = max(now + 1, end.deadline)
            end.elapse(now)
            assert now < 1_000_000
        assert end.counts.malformed + end.counts.aborted + end.counts.received + end.counts.repeated > 0


# ── timers ───────────────────────────────────────────────────────────────────────────────────────────────────────────
@every_timer(TIMERS)
def test_timers(rule: TimerRule, edge: str):
    wait, inside = just(rule, edge), edge == INSIDE
    if rule.name == "Tr":
        if inside:
            Transport(BMS, Limits(pace_ms=wait))
        else:
            with pytest.raises(ValueError, match="200 ms"):
                Transport(BMS, Limits(pace_ms=wait))
        return shown(rule, edge, "data packets so far apart are " + ("sent" if inside else "refused as a setting"))
    rts = CanFrame(0x1CEC56F4, bytes.fromhex("10310007ff000200"), True)
    if rule.name == "Th":
        end = Transport(CHARGER)
        end.hold(True, 0)
        assert end.receive(rts, 0)[0].data.data[:2] == bytes((17, 0))
        told = end.elapse(wait)
        assert bool(told) is not inside
        if not inside:
            assert told[0].data.data[:2] == bytes((17, 0))
            assert end.hold(False, wait)[0].data.data[:2] == bytes((17, 7))
        return shown(rule, edge, "nothing is said yet" if inside else "the sender is held back once more")
    if rule.name in ("T1", "T2"):
        end = Transport(CHARGER)
        end.receive(rts, 0)
        if rule.name == "T1":
            end.receive(CanFrame(0x1CEB56F4, bytes((1,)) + bytes(7), True), 0)
    else:
        end = Transport(BMS)
        end.send(0x0200, CHARGER, bytes(49), 7, 0)
        if rule.name == "T4":
            end.receive(CanFrame(0x1CECF456, bytes.fromhex("1100ffffff000200"), True), 0)
    effects = end.elapse(wait)
    assert bool(effects) is not inside
    if not inside:
        assert effects[0].data.data[:2] == bytes((255, 3))
        assert effects[1].reason == 3
    shown(rule, edge, "the connection stays open" if inside else "abort, reason 3: timed out")
