"""Frames of Modbus: TCP with its header (Messaging on TCP/IP V1.0b, clause 3.1.3), RTU with its CRC (Serial Line V1.02,
clause 2.5.1), and RTU as it is through a TCP connection.

Where an RTU frame ends is known from its function, so that nobody waits for the silence behind it; `silence` is for
what is left over, and for functions that only the device knows.
"""

from __future__ import annotations

import struct
from typing import Literal

import msgspec

from .errors import FrameError

_MBAP = struct.Struct(">HHHB")
MAX_RTU = 256


class Adu(msgspec.Struct, frozen=True):
    """A frame without its envelope."""

    unit: int
    pdu: bytes
    transaction: int = 0
    """Of TCP alone."""


def _crc_table() -> list[int]:
    table: list[int] = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = value >> 1 ^ 0xA001 if value & 1 else value >> 1
        table.append(value)
    return table


_CRC = _crc_table()


def crc16(data: bytes | bytearray | memoryview) -> int:
    """The CRC of RTU; on the wire its low byte comes first."""
    value = 0xFFFF
    table = _CRC
    for byte in data:
        value = value >> 8 ^ table[(value ^ byte) & 0xFF]
    return value


def encode_tcp(transaction: int, unit: int, pdu: bytes) -> bytes:
    """A frame for Modbus TCP."""
    return _MBAP.pack(transaction, 0, len(pdu) + 1, unit) + pdu


def encode_rtu(unit: int, pdu: bytes) -> bytes:
    """A frame for RTU."""
    body = bytes((unit,)) + pdu
    return body + crc16(body).to_bytes(2, "little")


class TcpDecoder:
    """Cuts a TCP stream into frames."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not all there."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Adu]:
        """The frames that are whole now.

        Raises FrameError for a header that is none: the stream cannot be found again, the connection is to be closed.
        """
        if self._buffer:
            data = self._buffer + data
        found: list[Adu] = []
        at, end = 0, len(data)
        while end - at >= 7:
            transaction, protocol, length, unit = _MBAP.unpack_from(data, at)
            if protocol or not 2 <= length <= 254:
                self._buffer = b""
                raise FrameError(f"no Modbus header: {data[at : at + 7].hex(' ')}")
            if end - at < 6 + length:
                break
            found.append(Adu(unit, data[at + 7 : at + 6 + length], transaction))
            at += 6 + length
        self._buffer = data[at:]
        return found

    def silence(self) -> list[Adu]:
        """TCP has none: nothing follows from it."""
        return []


_SHORT = -1
"""More bytes are needed to know."""
_UNKNOWN = 0
"""The length of this function's frames is not known."""


def request_length(data: bytes) -> int:
    """Bytes of the RTU request that begins here; -1: too few are there to know, 0: not a function we know."""
    if len(data) < 2:
        return _SHORT
    function = data[1]
    if 1 <= function <= 6:
        return 8
    if function in (15, 16):
        return 9 + data[6] if len(data) > 6 else _SHORT
    if function == 22:
        return 10
    if function == 23:
        return 13 + data[10] if len(data) > 10 else _SHORT
    return 7 if function == 43 else _UNKNOWN


def response_length(data: bytes) -> int:
    """Bytes of the RTU response that begins here; -1: too few are there to know, 0: not a function we know."""
    if len(data) < 2:
        return _SHORT
    function = data[1]
    if function & 0x80:
        return 5
    if 1 <= function <= 4 or function == 23:
        return 5 + data[2] if len(data) > 2 else _SHORT
    if function in (5, 6, 15, 16):
        return 8
    if function == 22:
        return 10
    if function != 43:
        return _UNKNOWN
    if len(data) < 8:
        return _SHORT
    at = 8
    for _ in range(data[7]):
        if len(data) < at + 2:
            return _SHORT
        at += 2 + data[at + 1]
    return at + 2


class RtuDecoder:
    """Cuts RTU bytes into frames.

    `side` is who listens. A server hears the answers of others on its bus as well: they are cut out whole and dropped,
    so that nothing within their data can pass for a request; and behind a byte that is wrong it believes nothing before
    the next silence. A client looks for its answer behind noise at once: it is matched with what was asked.
    """

    __slots__ = ("_buffer", "_side", "foreign", "skipped")

    def __init__(self, side: Literal["client", "server"]) -> None:
        self._side = side
        self._buffer = b""
        self.skipped = 0
        """Bytes that belonged to no frame: noise, wrong CRC, cut off."""
        self.foreign = 0
        """Answers of others that a server has overheard."""

    @property
    def pending(self) -> int:
        """Bytes of a frame that is not all there."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Adu]:
        """The frames that are whole now."""
        self._buffer += data
        found: list[Adu] = []
        while self._buffer:
            length, waiting = self._whole()
            if length:
                self._take(length, found)
            elif waiting and len(self._buffer) < MAX_RTU:
                break
            elif self._side == "client":
                self._skip(1)
            elif len(self._buffer) < 4 * MAX_RTU:
                break
            else:
                self._skip(len(self._buffer))
        return found

    def silence(self) -> list[Adu]:
        """No byte has come for 3.5 characters: what is here is a frame of a function we do not know, or nothing."""
        found: list[Adu] = []
        while self._side == "client" and self._buffer:
            length, _ = self._whole()
            if length:
                self._take(length, found)
            elif self._fits(len(self._buffer)):
                break
            else:
                self._skip(1)
        if self._buffer and self._fits(len(self._buffer)):
            self._take(len(self._buffer), found)
        self._skip(len(self._buffer))
        return found

    def _fits(self, length: int) -> bool:
        """Whether the first so many bytes are a frame: the CRC over a frame and its CRC is 0."""
        return 4 <= length <= min(len(self._buffer), MAX_RTU) and crc16(memoryview(self._buffer)[:length]) == 0

    def _whole(self) -> tuple[int, bool]:
        """The length of the frame at the front, 0 for none; and whether one may still become whole."""
        lengths = [response_length(self._buffer)]
        if self._side == "server":
            lengths.insert(0, request_length(self._buffer))
        for length in lengths:
            if self._fits(length):
                return length, False
        return 0, any(length == _SHORT or len(self._buffer) < length <= MAX_RTU for length in lengths)

    def _take(self, length: int, found: list[Adu]) -> None:
        data = self._buffer
        self._buffer = data[length:]
        overheard = request_length(data) not in (length, _UNKNOWN) or data[1] & 0x80
        if self._side == "server" and overheard:
            self.foreign += 1
        else:
            found.append(Adu(data[0], data[1 : length - 2]))

    def _skip(self, count: int) -> None:
        self.skipped += count
        self._buffer = self._buffer[count:]
