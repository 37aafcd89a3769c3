"""Bit-packed streams (W3C EXI 1.0, 7.1 and 9): one long integer each way, which Python shifts faster than it loops."""

from __future__ import annotations

from .errors import DecodeError


class Reader:
    """Reads from the most significant bit on. Running over the end is a negative shift: Python's own ValueError, which
    `codec` turns into a DecodeError once for the whole message."""

    __slots__ = ("big", "end", "global_values", "local_values", "pos")

    def __init__(self, data: bytes) -> None:
        self.big = int.from_bytes(data, "big")
        self.end = len(data) * 8
        self.pos = 0
        self.global_values: list[str] = []
        """Strings in the order in which they came, which a sender may refer to (7.3.3)."""
        self.local_values: dict[str, list[str]] = {}

    def bits(self, count: int) -> int:
        """The next `count` bits as an unsigned number."""
        pos = self.pos + count
        value = (self.big >> (self.end - pos)) & ((1 << count) - 1)
        self.pos = pos
        return value

    def unsigned(self) -> int:
        """An unsigned integer in octets of seven bits, the lowest first (7.1.6)."""
        value = shift = 0
        big, end, pos = self.big, self.end, self.pos
        while True:
            pos += 8
            octet = (big >> (end - pos)) & 0xFF
            value |= (octet & 0x7F) << shift
            if octet < 0x80:
                self.pos = pos
                return value
            shift += 7

    def octets(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count * 8 > self.end - self.pos:
            raise DecodeError(f"{count} bytes are announced and {(self.end - self.pos) // 8} left")
        return self.bits(count * 8).to_bytes(count, "big")


class Writer:
    """Writes from the most significant bit on."""

    __slots__ = ("big", "count")

    def __init__(self) -> None:
        self.big = 0
        self.count = 0

    def bits(self, value: int, count: int) -> None:
        self.big = (self.big << count) | value
        self.count += count

    def unsigned(self, value: int) -> None:
        while value > 0x7F:
            self.big = (self.big << 8) | (value & 0x7F) | 0x80
            self.count += 8
            value >>= 7
        self.big = (self.big << 8) | value
        self.count += 8

    def octets(self, data: bytes) -> None:
        self.big = (self.big << (8 * len(data))) | int.from_bytes(data, "big")
        self.count += 8 * len(data)

    def finish(self) -> bytes:
        """The stream, padded with zero bits to whole bytes."""
        pad = -self.count % 8
        return (self.big << pad).to_bytes((self.count + pad) // 8, "big")
