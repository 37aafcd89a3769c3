"""What the transport protocol tells whoever uses it, and why connections are aborted."""

from __future__ import annotations

from typing import Literal

import msgspec

MAX_SIZE = 1785
"""255 packets of 7 bytes."""
PACKET = 7
TP_CM = 0xEC00
TP_DT = 0xEB00
RTS, CTS, END, BAM, ABORT = 16, 17, 19, 32, 255

BUSY = 1
RESOURCES = 2
TIMEOUT = 3
CTS_DURING_DATA = 4
RETRANSMISSIONS = 5
UNEXPECTED_DATA = 6
BAD_SEQUENCE = 7
DUPLICATE_SEQUENCE = 8
SIZE = 9
OTHER = 250

REASONS = {
    BUSY: "already in a connection",
    RESOURCES: "no resources",
    TIMEOUT: "timed out",
    CTS_DURING_DATA: "CTS while data was sent",
    RETRANSMISSIONS: "asked for the same packets too often",
    UNEXPECTED_DATA: "data that was not asked for",
    BAD_SEQUENCE: "wrong sequence number",
    DUPLICATE_SEQUENCE: "sequence number came twice",
    SIZE: "size out of range",
    OTHER: "malformed",
}


class Packet(msgspec.Struct, frozen=True, kw_only=True):
    """A message has come whole, in one frame or in many."""

    pgn: int
    sa: int
    da: int
    priority: int
    data: bytes
    frames: int = 1
    """How many data frames it came in."""


class Delivered(msgspec.Struct, frozen=True, kw_only=True):
    """A long message of ours has been acknowledged."""

    pgn: int
    da: int


class Aborted(msgspec.Struct, frozen=True, kw_only=True):
    """A long message has not arrived."""

    pgn: int
    peer: int
    role: Literal["sender", "receiver"]
    """What we were."""
    reason: int
    by: Literal["us", "peer"]

    @property
    def text(self) -> str:
        return REASONS.get(self.reason, f"reason {self.reason}")


class Counts(msgspec.Struct):
    """Since the beginning."""

    received: int = 0
    """Long messages."""
    delivered: int = 0
    aborted: int = 0
    malformed: int = 0
    """Frames of the transport protocol that said nothing, or nothing sensible."""
    repeated: int = 0
    """Packets that came twice."""
    asked_again: int = 0
    """CTS for packets that were lost."""
    shed: int = 0
    """Messages that we did not begin to send: too many were waiting, or a newer one took their place."""
