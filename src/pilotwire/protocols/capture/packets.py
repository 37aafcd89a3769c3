"""A packet of a capture, whatever file it came from."""

from __future__ import annotations

from typing import Final, NamedTuple

ETHERNET: Final = 1
RAW_IP: Final = 101
LINUX_SLL: Final = 113
CAN_SOCKETCAN: Final = 227
LINUX_SLL2: Final = 276
LOOPBACK: Final = 0


class Packet(NamedTuple):
    """One packet: when it was seen (µs since the epoch), its link type (LINKTYPE_...), its bytes."""

    at_us: int
    link: int
    data: bytes


class Packets(NamedTuple):
    """What a file holds."""

    packets: list[Packet]
    notes: list[str]
    """What is to be known about the file: where it was cut off, what was left out."""
