"""From packets to streams: pieces out of order, sent again, overlapping, missing; VLANs, IPv4, cooked captures."""

from __future__ import annotations

import random as seeded

import pytest
from tests.protocols.capture.capture_kit import V2gSession

from pilotwire.protocols.capture import Packet, Recording, read_timeline, timeline_of
from pilotwire.protocols.capture.ether import ACK, FIN, RST, SYN, Address, Datagram, Mme, Segment, unpack
from pilotwire.protocols.capture.packets import ETHERNET, LINUX_SLL, LINUX_SLL2, RAW_IP
from pilotwire.protocols.capture.tcp import MOST_HELD, Reassembler

CAR, STATION = Address("fe80::1", 50_000), Address("fe80::2", 64_109)


def seg(sequence: int, data: bytes = b"", flags: int = ACK) -> Segment:
    return Segment(CAR, STATION, sequence % (1 << 32), flags, data)


def stream(*segments: Segment) -> list[tuple[str, bytes]]:
    reassembler = Reassembler()
    chunks = [chunk for number, each in enumerate(segments) for chunk in reassembler.feed(each, number, number)]
    return [(chunk.what, chunk.data) for chunk in chunks]


@pytest.mark.parametrize("start", [1_000, 0xFFFF_FFF0], ids=["", "wrapping"])
@pytest.mark.parametrize("seed", range(8))
def test_any_order_and_any_repeats_give_the_same_bytes(start: int, seed: int) -> None:
    whole = bytes(range(200))
    luck = seeded.Random(seed)
    pieces = []
    for _ in range(60):
        place = luck.randrange(200)
        pieces.append(seg(start + 1 + place, whole[place : place + luck.randrange(1, 40)]))
    pieces += [seg(start + 1 + place, whole[place : place + 10]) for place in range(0, 200, 10)]
    luck.shuffle(pieces)
    found = stream(seg(start, flags=SYN), *pieces)
    assert b"".join(data for what, data in found if what == "data") == whole
    assert found[0] == ("syn", b"") and "gap" not in {what for what, _ in found}


def test_a_capture_that_began_later_and_how_a_connection_ends() -> None:
    assert stream(seg(7, b"ab"), seg(9, b"c", ACK | FIN), seg(9, b"c", ACK | FIN)) == [
        ("data", b"ab"),
        ("data", b"c"),
        ("fin", b""),
    ]
    assert stream(seg(7, b"ab"), seg(9, flags=RST)) == [("data", b"ab"), ("rst", b"")]


def test_a_gap_that_is_never_filled_is_given_up_when_too_much_waits() -> None:
    block = bytes(60_000)
    found = stream(seg(1, flags=SYN), *(seg(100 + place * 60_000, block) for place in range(MOST_HELD // 60_000 + 2)))
    assert ("gap", b"") in found and sum(len(data) for _, data in found) > MOST_HELD


def test_the_same_ports_again_are_another_connection() -> None:
    reassembler = Reassembler()
    first = reassembler.feed(seg(10, flags=SYN), 0, 1) + reassembler.feed(seg(11, b"x"), 0, 2)
    again = reassembler.feed(seg(10, flags=SYN), 0, 3)
    second = reassembler.feed(seg(999, flags=SYN), 0, 4) + reassembler.feed(seg(1000, b"y"), 0, 5)
    assert {chunk.flow for chunk in first} == {0} and again == [] and {chunk.flow for chunk in second} == {1}


def _udp(host: bytes) -> bytes:
    return (15118).to_bytes(2, "big") * 2 + b"\0\x0a\0\0hi" + host


@pytest.mark.parametrize(
    "packet",
    [
        Packet(
            0, ETHERNET, bytes(12) + b"\x08\x00\x45\0\0\x1e\0\0\0\0\x40\x11\0\0\x7f\0\0\x01\x7f\0\0\x01" + _udp(b"")
        ),
        Packet(0, ETHERNET, bytes(12) + b"\x81\0\0\x05\x86\xdd\x60\0\0\0\0\x0a\x11\x40" + bytes(32) + _udp(b"")),
        Packet(0, RAW_IP, b"\x60\0\0\0\0\x12\x00\x40" + bytes(32) + b"\x11\0" + bytes(6) + _udp(b"")),
        Packet(0, LINUX_SLL, bytes(14) + b"\x86\xdd\x60\0\0\0\0\x0a\x11\x40" + bytes(32) + _udp(b"")),
        Packet(0, LINUX_SLL2, b"\x86\xdd" + bytes(18) + b"\x60\0\0\0\0\x0a\x11\x40" + bytes(32) + _udp(b"")),
    ],
    ids=["IPv4", "VLAN", "hop-by-hop", "cooked", "cooked 2"],
)
def test_datagrams_however_they_are_wrapped(packet: Packet) -> None:
    found = unpack(packet)
    assert isinstance(found, Datagram) and found.data == b"hi" and found.target.port == 15118
    for cut in range(len(packet.data)):
        unpack(packet._replace(data=packet.data[:cut]))  # never raises


def test_frames_of_modems_are_whole() -> None:
    frame = b"\xff" * 6 + bytes(6) + b"\x88\xe1" + b"\x01\x64\x60"
    assert unpack(Packet(0, ETHERNET, frame)) == Mme(frame)
    assert unpack(Packet(0, 147, frame)) is None


@pytest.mark.parametrize(
    ("dialect", "service", "loop"),
    [
        ("din", "DC", "CurrentDemandReq"),
        ("iso2", "DC", "CurrentDemandReq"),
        ("iso2", "AC", "ChargingStatusReq"),
        ("iso20-dc", "DC", "DC_ChargeLoopReq"),
        ("iso20-ac", "AC", "AC_ChargeLoopReq"),
    ],
)
def test_a_session_of_each_dialect_is_read_by_what_was_agreed_on(dialect: str, service: str, loop: str) -> None:
    session = V2gSession(dialect, service).begin(5_000).halt()
    timeline = read_timeline(session.file())
    messages = [entry for entry in timeline.entries if entry.carrier == "v2g"]
    assert not timeline.notes and not [entry for entry in messages if entry.error]
    assert {entry.schema for entry in messages} <= {"sap", dialect, "iso20-common"}
    assert loop in {entry.name for entry in messages} and messages[-1].name == "SessionStopRes"
    assert all(entry.side == ("ev" if entry.name.endswith("Req") else "evse") for entry in messages)
    assert [entry.index for entry in timeline.entries] == list(range(1, len(timeline.entries) + 1))


def test_shuffled_cut_and_repeated_packets_give_the_same_timeline() -> None:
    session = V2gSession("iso2", "DC").begin(3_000).halt()
    whole = [(entry.name, entry.side) for entry in read_timeline(session.file()).entries if entry.carrier == "v2g"]
    luck = seeded.Random(4)
    packets = list(session.recording.packets)
    for _ in range(40):
        place = luck.randrange(2, len(packets) - 8)
        packets.insert(place + luck.randrange(1, 5), packets[place])
    for _ in range(20):
        place = luck.randrange(3, len(packets) - 8)
        packets[place], packets[place + 1] = packets[place + 1], packets[place]
    found = [(entry.name, entry.side) for entry in timeline_of(packets).entries if entry.carrier == "v2g"]
    assert sorted(found) == sorted(whole)


@pytest.mark.parametrize("dialect", ["din", "iso2", "iso20-dc"])
def test_a_capture_that_begins_in_the_middle(dialect: str) -> None:
    session = V2gSession(dialect, "DC").begin(3_000).halt()
    timeline = timeline_of(session.recording.packets[30:])
    messages = [entry for entry in timeline.entries if entry.carrier == "v2g"]
    assert len(messages) > 20 and not [entry.error for entry in messages if entry.error]
    assert all(entry.side == ("ev" if entry.name.endswith("Req") else "evse") for entry in messages)


def test_tls_is_named_and_not_guessed_at() -> None:
    recording = Recording()
    recording.add(0, "ev", b"\x16\x03\x01\x02\x00" + bytes(512))
    recording.add(1_000, "evse", b"\x16\x03\x03\x00\x7a" + bytes(122))
    timeline = read_timeline(recording.file())
    assert [entry.name for entry in timeline.entries] == ["open", "tls"]


def test_what_is_no_v2gtp_any_more_is_told_once() -> None:
    recording = Recording()
    recording.add(0, "ev", b"\x01\xfe\x80\x01\0\0\0\x02hi" + b"GET / HTTP/1.1\r\n\r\n")
    recording.add(1_000, "ev", b"more")
    errors = [(entry.name, entry.error) for entry in read_timeline(recording.file()).entries if entry.error]
    assert errors[-1][0] == "garbage" and "01FE" in errors[-1][1] and len(errors) <= 2


@pytest.mark.parametrize(("name", "ms", "marked"), [("CurrentDemandRes", 400, True), ("PreChargeRes", 400, False)])
def test_pauses_beyond_a_timer_are_marked(name: str, ms: int, marked: bool) -> None:
    packets = V2gSession("iso2", "DC").begin(4_000).recording.packets
    late = next(entry for entry in timeline_of(packets).entries if entry.name == name)
    slower = [
        packet._replace(at_us=packet.at_us + (ms * 1_000 if number >= late.packet else 0))
        for number, packet in enumerate(packets, 1)
    ]
    pauses = {entry.index: entry.pause_ms for entry in timeline_of(slower).entries if entry.pause_ms}
    assert pauses == ({late.index: ms + 2} if marked else {})
    assert late.index in {entry.index for entry in timeline_of(slower, gap_ms=300).entries if entry.pause_ms}
