"""V2GTP: the eight bytes before each message (ISO 15118-2 7.8.3, ISO 15118-20 7.8.3, DIN SPEC 70121 8.7.3).

01 FE | type, 16 bit | length of the payload, 32 bit | payload          (network byte order)
"""

from __future__ import annotations

from typing import Final, NamedTuple

from pilotwire.core.errors import RemoteError

SAP: Final = 0x8001
"""supportedAppProtocol, and all messages of DIN 70121 and ISO 15118-2."""
MAIN: Final = 0x8002
AC: Final = 0x8003
DC: Final = 0x8004
ACDP: Final = 0x8005
WPT: Final = 0x8006
SCHEDULE_RENEGOTIATION: Final = 0x8101
METERING_CONFIRMATION: Final = 0x8102
ACDP_SYSTEM_STATUS: Final = 0x8103
PARKING_STATUS: Final = 0x8104
SDP_REQUEST: Final = 0x9000
SDP_RESPONSE: Final = 0x9001
SDP_REQUEST_WIRELESS: Final = 0x9002
SDP_RESPONSE_WIRELESS: Final = 0x9003

HEADER: Final = 8
MOST: Final = 65_536
"""Bytes of a payload. The largest message of all schemas (an installation answer with every chain at its cap) is well
below; a length that says more is a lie."""


class Frame(NamedTuple):
    """One message on its way."""

    type: int
    payload: bytes


class BadHeader(RemoteError):
    """What came is no V2GTP; the stream cannot be followed any further and is to be closed."""


def write(frame: Frame) -> bytes:
    """The bytes of a frame."""
    return b"\x01\xfe" + frame.type.to_bytes(2, "big") + len(frame.payload).to_bytes(4, "big") + frame.payload


def read(data: bytes) -> Frame:
    """The frame of a datagram. Raises BadHeader, also when bytes are left over or lacking."""
    reader = FrameReader()
    frames = reader.feed(data)
    if len(frames) != 1 or reader.waiting:
        raise BadHeader(f"{len(data)} bytes are not one V2GTP message")
    return frames[0]


class FrameReader:
    """Cuts a stream into frames, however it was cut on its way."""

    __slots__ = ("_buffer", "_most")

    def __init__(self, most: int = MOST) -> None:
        self._buffer = bytearray()
        self._most = most

    @property
    def waiting(self) -> int:
        """Bytes of a frame that has not come wholly."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are whole now. Raises BadHeader."""
        buffer = self._buffer
        buffer += data
        frames: list[Frame] = []
        while len(buffer) >= HEADER:
            if not buffer.startswith(b"\x01\xfe"):
                raise BadHeader(f"a V2GTP message begins with 01FE, not with {buffer[:2].hex().upper()}")
            length = int.from_bytes(buffer[4:8], "big")
            if length > self._most:
                raise BadHeader(f"a V2GTP message of {length} bytes; {self._most} are the most")
            end = HEADER + length
            if len(buffer) < end:
                break
            frames.append(Frame(int.from_bytes(buffer[2:4], "big"), bytes(buffer[HEADER:end])))
            del buffer[:end]
        if 2 <= len(buffer) < HEADER and not buffer.startswith(b"\x01\xfe"):
            raise BadHeader(f"a V2GTP message begins with 01FE, not with {buffer[:2].hex().upper()}")
        return frames
