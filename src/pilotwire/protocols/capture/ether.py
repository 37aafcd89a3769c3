"""From packets to what IP and HomePlug carry: TCP segments, UDP datagrams, management messages of modems.

What cannot be read is left out: a capture holds much that is none of ours.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address
from typing import Final, NamedTuple

from .packets import CAN_SOCKETCAN, ETHERNET, LINUX_SLL, LINUX_SLL2, LOOPBACK, RAW_IP, Packet

IPV4, IPV6, VLAN, QINQ, HOMEPLUG = 0x0800, 0x86DD, 0x8100, 0x88A8, 0x88E1
_TCP, _UDP = 6, 17
_EXTENSIONS: Final = frozenset({0, 43, 60})
"""Headers of IPv6 that may stand before TCP and UDP."""
FIN, SYN, RST, ACK = 0x01, 0x02, 0x04, 0x10


class Address(NamedTuple):
    """One end of a connection."""

    host: str
    port: int


class Segment(NamedTuple):
    """One TCP segment."""

    source: Address
    target: Address
    sequence: int
    flags: int
    data: bytes


class Datagram(NamedTuple):
    """One UDP datagram."""

    source: Address
    target: Address
    data: bytes


class Mme(NamedTuple):
    """One Ethernet frame of type 88E1, whole."""

    data: bytes


def unpack(packet: Packet) -> Segment | Datagram | Mme | None:
    """What a packet carries; None: nothing of ours."""
    data = packet.data
    if packet.link == ETHERNET:
        return _ethernet(data)
    if packet.link == LINUX_SLL and len(data) >= 16:
        return _network(int.from_bytes(data[14:16], "big"), data[16:], data)
    if packet.link == LINUX_SLL2 and len(data) >= 20:
        return _network(int.from_bytes(data[:2], "big"), data[20:], data)
    if packet.link == RAW_IP and data:
        return _network(IPV6 if data[0] >> 4 == 6 else IPV4, data, data)
    if packet.link == LOOPBACK and len(data) >= 4:
        return _network(IPV6 if data[4:5] and data[4] >> 4 == 6 else IPV4, data[4:], data)
    return None


def is_can(packet: Packet) -> bool:
    """A frame of SocketCAN."""
    return packet.link == CAN_SOCKETCAN


def _ethernet(data: bytes) -> Segment | Datagram | Mme | None:
    if len(data) < 14:
        return None
    kind, place = int.from_bytes(data[12:14], "big"), 14
    while kind in (VLAN, QINQ) and len(data) >= place + 4:
        kind, place = int.from_bytes(data[place + 2 : place + 4], "big"), place + 4
    return _network(kind, data[place:], data)


def _network(kind: int, data: bytes, whole: bytes) -> Segment | Datagram | Mme | None:
    if kind == HOMEPLUG:
        return Mme(whole)
    if kind == IPV6:
        return _ipv6(data)
    if kind == IPV4:
        return _ipv4(data)
    return None


def _ipv6(data: bytes) -> Segment | Datagram | None:
    if len(data) < 40 or data[0] >> 4 != 6:
        return None
    length, after = int.from_bytes(data[4:6], "big"), data[6]
    source, target = str(IPv6Address(data[8:24])), str(IPv6Address(data[24:40]))
    payload = data[40 : 40 + length]
    while after in _EXTENSIONS:
        if len(payload) < 8:
            return None
        after, payload = payload[0], payload[8 + payload[1] * 8 :]
    return _transport(after, source, target, payload)


def _ipv4(data: bytes) -> Segment | Datagram | None:
    if len(data) < 20 or data[0] >> 4 != 4:
        return None
    head, length = (data[0] & 0x0F) * 4, int.from_bytes(data[2:4], "big")
    fragment = int.from_bytes(data[6:8], "big")
    if head < 20 or length < head or fragment & 0x3FFF:
        return None
    source, target = str(IPv4Address(data[12:16])), str(IPv4Address(data[16:20]))
    return _transport(data[9], source, target, data[head:length])


def _transport(kind: int, source: str, target: str, data: bytes) -> Segment | Datagram | None:
    if kind not in (_TCP, _UDP) or len(data) < 8:
        return None
    here, there = Address(source, int.from_bytes(data[:2], "big")), Address(target, int.from_bytes(data[2:4], "big"))
    if kind == _UDP:
        return Datagram(here, there, data[8 : max(8, int.from_bytes(data[4:6], "big"))])
    head = (data[12] >> 4) * 4 if len(data) >= 20 else 0
    if head < 20 or len(data) < head:
        return None
    return Segment(here, there, int.from_bytes(data[4:8], "big"), data[13], data[head:])
