"""pcap and pcapng files, read; and pcapng, written. Bounded: no length in a file is believed beyond what follows.

pcap    magic, 4 | version, 4 | zone and accuracy, 8 | longest packet, 4 | link type, 4 | then packets:
        seconds, 4 | µs or ns, 4 | bytes here, 4 | bytes on the wire, 4 | bytes
pcapng  blocks: type, 4 | length, 4 | body | length, 4; sections (0A0D0D0A) hold interfaces (1), packets (6, 3)
        (draft-ietf-opsawg-pcapng)
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Final, NamedTuple

from .errors import CaptureError
from .packets import ETHERNET, Packet, Packets

MOST_BYTES: Final = 512 * 1024 * 1024
MOST_PACKET: Final = 262_144
"""The longest packet that capture programs write."""
MOST_BLOCK: Final = 16 * 1024 * 1024
MOST_INTERFACES: Final = 256
_PCAP: Final = {
    b"\xd4\xc3\xb2\xa1": ("<", 1),
    b"\xa1\xb2\xc3\xd4": (">", 1),
    b"\x4d\x3c\xb2\xa1": ("<", 1_000),
    b"\xa1\xb2\x3c\x4d": (">", 1_000),
}
_SECTION: Final = b"\x0a\x0d\x0d\x0a"
_INTERFACE, _SIMPLE, _ENHANCED, _OBSOLETE = 1, 3, 6, 2


def read(data: bytes) -> Packets:
    """The packets of a pcap or pcapng file. Raises CaptureError when it is neither, or is not whole where it matters.

    A file that ends within a packet, as one does that is still being written, is read up to there, and noted.
    """
    if len(data) > MOST_BYTES:
        raise CaptureError(f"the file has {len(data)} bytes; {MOST_BYTES} are the most")
    head = data[:4]
    if head in _PCAP:
        return _read_pcap(data, *_PCAP[head])
    if head == _SECTION:
        return _read_pcapng(data)
    raise CaptureError(f"this is neither pcap nor pcapng: it begins with {head.hex().upper() or 'nothing'}")


def _read_pcap(data: bytes, order: str, nano: int) -> Packets:
    if len(data) < 24:
        raise CaptureError(f"the head of a pcap file has 24 bytes; there are {len(data)}")
    link = Struct(f"{order}I").unpack_from(data, 20)[0] & 0x0FFF_FFFF
    record = Struct(f"{order}IIII")
    packets: list[Packet] = []
    notes: list[str] = []
    place = 24
    while place < len(data):
        if len(data) - place < 16:
            notes.append(f"the file ends within the head of packet {len(packets) + 1}")
            break
        seconds, fraction, here, _ = record.unpack_from(data, place)
        if here > MOST_PACKET:
            raise CaptureError(f"packet {len(packets) + 1} claims to have {here} bytes; {MOST_PACKET} are the most")
        place += 16
        if len(data) - place < here:
            notes.append(f"the file ends within packet {len(packets) + 1}")
            break
        packets.append(Packet(seconds * 1_000_000 + fraction // nano, link, data[place : place + here]))
        place += here
    return Packets(packets, notes)


class _Interface(NamedTuple):
    """Where packets were captured, and how its clock counts: a power of ten, or of two when the highest bit is set."""

    link: int
    resolution: int

    def at_us(self, high: int, low: int) -> int:
        power = self.resolution & 0x7F
        return (high << 32 | low) * 1_000_000 // (2**power if self.resolution & 0x80 else 10**power)


def _read_pcapng(data: bytes) -> Packets:
    packets: list[Packet] = []
    notes: list[str] = []
    interfaces: list[_Interface] = []
    order = "<"
    place = 0
    left_out = 0
    while place < len(data):
        if len(data) - place < 12:
            notes.append(f"the file ends within a block at byte {place}")
            break
        if data[place : place + 4] == _SECTION:
            magic = data[place + 8 : place + 12]
            if magic not in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"):
                raise CaptureError(f"a section at byte {place} says {magic.hex().upper()} instead of its byte order")
            order = "<" if magic == b"\x4d\x3c\x2b\x1a" else ">"
            interfaces = []
        word = Struct(f"{order}I")
        kind, length = word.unpack_from(data, place)[0], word.unpack_from(data, place + 4)[0]
        if length < 12 or length % 4 or length > MOST_BLOCK:
            raise CaptureError(f"the block at byte {place} claims to have {length} bytes")
        if len(data) - place < length:
            notes.append(f"the file ends within a block at byte {place}")
            break
        if word.unpack_from(data, place + length - 4)[0] != length:
            raise CaptureError(f"the block at byte {place} ends with another length than it begins with")
        body = data[place + 8 : place + length - 4]
        if kind == _INTERFACE:
            if len(interfaces) >= MOST_INTERFACES:
                raise CaptureError(f"more than {MOST_INTERFACES} interfaces in one section")
            interfaces.append(_interface(body, order, place))
        elif kind == _ENHANCED:
            packets.append(_enhanced(body, order, interfaces, place))
        elif kind == _SIMPLE:
            packets.append(_simple(body, order, interfaces, packets, place))
        elif kind == _OBSOLETE:
            left_out += 1
        place += length
    if left_out:
        notes.append(f"{left_out} packets of a form that is out of use were left out")
    return Packets(packets, notes)


def _interface(body: bytes, order: str, place: int) -> _Interface:
    if len(body) < 8:
        raise CaptureError(f"the interface at byte {place} is too short")
    link = Struct(f"{order}H").unpack_from(body, 0)[0]
    resolution, at = 6, 8
    option = Struct(f"{order}HH")
    while at + 4 <= len(body):
        code, length = option.unpack_from(body, at)
        if code == 0 or at + 4 + length > len(body):
            break
        if code == 9 and length == 1:
            resolution = body[at + 4]
        at += 4 + (length + 3) // 4 * 4
    return _Interface(link, resolution)


def _enhanced(body: bytes, order: str, interfaces: list[_Interface], place: int) -> Packet:
    if len(body) < 20:
        raise CaptureError(f"the packet at byte {place} is too short")
    fields: tuple[int, int, int, int, int] = Struct(f"{order}IIIII").unpack_from(body, 0)
    which, high, low, here, _ = fields
    if which >= len(interfaces):
        raise CaptureError(f"the packet at byte {place} is of interface {which}; there are {len(interfaces)}")
    if here > len(body) - 20 or here > MOST_PACKET:
        raise CaptureError(f"the packet at byte {place} claims to have {here} bytes, {len(body) - 20} follow")
    interface = interfaces[which]
    return Packet(interface.at_us(high, low), interface.link, body[20 : 20 + here])


def _simple(body: bytes, order: str, interfaces: list[_Interface], packets: list[Packet], place: int) -> Packet:
    if not interfaces or len(body) < 4:
        raise CaptureError(f"the packet at byte {place} has no interface")
    wire = Struct(f"{order}I").unpack_from(body, 0)[0]
    at_us = packets[-1].at_us if packets else 0  # these say no time
    return Packet(at_us, interfaces[0].link, body[4 : 4 + min(wire, len(body) - 4)])


# ── written ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def write(packets: Iterable[Packet], *, comment: str = "") -> bytes:
    """A pcapng file, one interface for each link type."""
    out = bytearray(_block(0x0A0D0D0A, b"\x4d\x3c\x2b\x1a\x01\0\0\0" + b"\xff" * 8 + _options({1: comment.encode()})))
    links: dict[int, int] = {}
    for packet in packets:
        if packet.link not in links:
            links[packet.link] = len(links)
            out += _block(_INTERFACE, Struct("<HHI").pack(packet.link, 0, MOST_PACKET))
        head = Struct("<IIIII").pack(
            links[packet.link], packet.at_us >> 32, packet.at_us & 0xFFFF_FFFF, len(packet.data), len(packet.data)
        )
        out += _block(_ENHANCED, head + _padded(packet.data))
    if not links:
        out += _block(_INTERFACE, Struct("<HHI").pack(ETHERNET, 0, MOST_PACKET))
    return bytes(out)


def _block(kind: int, body: bytes) -> bytes:
    length = Struct("<I").pack(len(body) + 12)
    return Struct("<I").pack(kind) + length + body + length


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _options(options: dict[int, bytes]) -> bytes:
    out = b"".join(Struct("<HH").pack(code, len(text)) + _padded(text) for code, text in options.items() if text)
    return out + b"\0\0\0\0" if out else b""
