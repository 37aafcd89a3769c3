"""pcap and pcapng: read whole, cut off, lied to; what we write is read back, and by whoever else reads such files."""

from __future__ import annotations

from struct import pack

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.capture import CaptureError, Packet, Recording, read, write
from pilotwire.protocols.capture.build import from_socketcan, socketcan
from pilotwire.protocols.capture.packets import ETHERNET, RAW_IP

PACKETS = [Packet(1_767_225_600_123_456, ETHERNET, b"one"), Packet(1_767_225_601_000_001, RAW_IP, b"two!")]


def pcap(magic: bytes, order: str, ticks: int, *, link: int = 1) -> bytes:
    out = magic + pack(f"{order}HHIIII", 2, 4, 0, 0, 65_535, link)
    for at_us, _, data in PACKETS:
        seconds, us = divmod(at_us, 1_000_000)
        out += pack(f"{order}IIII", seconds, us * ticks, len(data), len(data)) + data
    return out


@pytest.mark.parametrize(
    ("magic", "order", "ticks"),
    [
        (b"\xd4\xc3\xb2\xa1", "<", 1),
        (b"\xa1\xb2\xc3\xd4", ">", 1),
        (b"\x4d\x3c\xb2\xa1", "<", 1_000),
        (b"\xa1\xb2\x3c\x4d", ">", 1_000),
    ],
)
def test_pcap_in_both_orders_and_both_accuracies(magic: bytes, order: str, ticks: int) -> None:
    found = read(pcap(magic, order, ticks))
    assert [(each.at_us, each.data) for each in found.packets] == [(each.at_us, each.data) for each in PACKETS]
    assert not found.notes


def test_what_is_written_is_read_again_with_its_link_types() -> None:
    assert read(write(PACKETS, comment="a session")).packets == PACKETS
    assert read(write([])).packets == []


def test_pcapng_of_the_other_byte_order_and_of_nanoseconds() -> None:
    def block(kind: int, body: bytes) -> bytes:
        return pack(">II", kind, len(body) + 12) + body + pack(">I", len(body) + 12)

    section = block(0x0A0D0D0A, b"\x1a\x2b\x3c\x4d\0\x01\0\0" + b"\xff" * 8)
    interface = block(1, pack(">HHI", 1, 0, 0) + pack(">HHB3x", 9, 1, 9) + pack(">HH", 0, 0))
    ticks = 1_767_225_600_123_456_789
    packet = block(6, pack(">IIIII", 0, ticks >> 32, ticks & 0xFFFFFFFF, 3, 3) + b"abc\0")
    simple = block(3, pack(">I", 2) + b"xy\0\0")
    unknown = block(0x0BAD, b"\0\0\0\0")
    found = read(section + interface + unknown + packet + simple).packets
    assert found == [Packet(1_767_225_600_123_456, 1, b"abc"), Packet(1_767_225_600_123_456, 1, b"xy")]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "neither pcap nor pcapng: it begins with nothing"),
        (b"PK\x03\x04", "begins with 504B0304"),
        (b"\xd4\xc3\xb2\xa1\0\0", "has 24 bytes; there are 6"),
        (pcap(b"\xd4\xc3\xb2\xa1", "<", 1)[:32] + b"\xff\xff\xff\x7f" + bytes(20), "claims to have"),
        (b"\x0a\x0d\x0d\x0a\x1c\0\0\0WHAT" + bytes(20), "instead of its byte order"),
        (write(PACKETS)[:-4] + b"\0\0\0\0", "ends with another length"),
        (write([])[:28] + pack("<II", 6, 32) + pack("<IIIII", 9, 0, 0, 0, 0) + pack("<I", 32), "of interface 9"),
        (write([]) + pack("<II", 6, 32) + pack("<IIIII", 0, 0, 0, 99, 99) + pack("<I", 32), "claims to have 99"),
        (write([]) + pack("<II", 6, 8) + bytes(20), "claims to have 8 bytes"),
    ],
)
def test_what_is_wrong_with_a_file_is_said_in_words(data: bytes, words: str) -> None:
    with pytest.raises(CaptureError, match=words):
        read(data)


@pytest.mark.parametrize("whole", [write(PACKETS), pcap(b"\xd4\xc3\xb2\xa1", "<", 1)], ids=["pcapng", "pcap"])
def test_a_file_that_is_still_being_written_is_read_up_to_its_end(whole: bytes) -> None:
    found = read(whole[:-2])
    assert [each.data for each in found.packets] == [b"one"]
    assert len(found.notes) == 1 and "ends within" in found.notes[0]


@settings(max_examples=300, derandomize=True, deadline=None)
@given(place=st.integers(0, 200), value=st.integers(0, 255), cut=st.integers(0, 200))
def test_no_damage_is_worse_than_a_refusal(place: int, value: int, cut: int) -> None:
    for whole in (write(PACKETS), pcap(b"\xd4\xc3\xb2\xa1", "<", 1)):
        data = bytearray(whole)
        data[place % len(data)] = value
        try:
            found = read(bytes(data[: len(data) - cut % len(data)]))
        except CaptureError as error:
            assert str(error)
        else:
            assert len(found.packets) <= 3


@settings(max_examples=40, derandomize=True)
@given(extended=st.booleans(), id=st.integers(0, 0x7FF), data=st.binary(max_size=8))
def test_can_frames_in_packets(extended: bool, id: int, data: bytes) -> None:
    frame = CanFrame(id * 0x1000 if extended else id, data, extended)
    assert from_socketcan(socketcan(frame)) == frame
    assert from_socketcan(socketcan(frame)[:7]) is None
    assert from_socketcan(b"\x40" + socketcan(frame)[1:]) is None, "remote frames say nothing"


def test_a_recording_has_checksums_that_are_right() -> None:
    recording = Recording()
    recording.add(0, "ev", b"\x01\xfe\x80\x01\0\0\0\x01x")
    recording.datagram(0, "ev", b"\x01\xfe\x90\0\0\0\0\x02\x10\0")
    for packet in recording.packets:
        ip = packet.data[14:]
        pseudo = ip[8:40] + len(ip[40:]).to_bytes(4, "big") + bytes((0, 0, 0, ip[6]))
        data = pseudo + ip[40:] + bytes(len(ip[40:]) % 2)
        total = sum(int.from_bytes(data[place : place + 2], "big") for place in range(0, len(data), 2))
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        assert total == 0xFFFF
