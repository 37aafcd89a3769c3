"""Read Device Identification: the answer of function 43/14 (Modbus Application Protocol V1.1b3, clause 6.21)."""

from __future__ import annotations

import msgspec

from .errors import FrameError, IllegalDataAddress, RequestError

OBJECTS = {
    0: "VendorName",
    1: "ProductCode",
    2: "MajorMinorRevision",
    3: "VendorUrl",
    4: "ProductName",
    5: "ModelName",
    6: "UserApplicationName",
}
"""The names of the basic (0 to 2) and regular objects; 0x80 and up are the vendor's own."""

_ROOM = 253 - 7
_LAST = {1: 2, 2: 0x7F, 3: 0xFF}


class Identification(msgspec.Struct, frozen=True):
    """Some objects of a device's identification."""

    objects: tuple[tuple[int, bytes], ...]
    """Object id and its bytes: ASCII for the standard's objects."""
    more: int | None = None
    """There are more: ask again from this object."""
    conformity: int = 0x81
    """1 basic, 2 regular, 3 extended; 0x80 added: objects can also be asked for one by one."""

    def text(self, number: int) -> str:
        """An object as text; "" where it is not there."""
        return next((data.decode("latin-1") for at, data in self.objects if at == number), "")


def identification_part(objects: dict[int, bytes], code: int, first: int) -> Identification:
    """What a device with these objects answers to a request: as many as fit. Raises IllegalDataAddress.

    A stream that is asked for from an object that is not there begins at the first, as the standard wants it.
    """
    level = 3 if any(number > 0x7F for number in objects) else 2 if any(number > 2 for number in objects) else 1
    conformity = 0x80 | level
    if code == 4:
        if first not in objects:
            raise IllegalDataAddress()
        return Identification(((first, objects[first][: _ROOM - 2]),), None, conformity)
    numbers = [number for number in sorted(objects) if number <= _LAST[code]]
    if first in numbers:
        numbers = numbers[numbers.index(first) :]
    found: list[tuple[int, bytes]] = []
    room = _ROOM
    for number in numbers:
        data = objects[number][: _ROOM - 2]
        if len(data) + 2 > room:
            return Identification(tuple(found), number, conformity)
        room -= len(data) + 2
        found.append((number, data))
    return Identification(tuple(found), None, conformity)


def encode_identification(code: int, answer: Identification) -> bytes:
    """The PDU. Raises RequestError where it does not fit."""
    more = 0 if answer.more is None else 0xFF
    out = bytearray((43, 14, code, answer.conformity, more, answer.more or 0, len(answer.objects)))
    for number, data in answer.objects:
        if len(data) > 255:
            raise RequestError(f"object {number} has {len(data)} bytes")
        out += bytes((number, len(data))) + data
    if len(out) > 253:
        raise RequestError(f"the objects do not fit: {len(out)} bytes of 253")
    return bytes(out)


def decode_identification(code: int, pdu: bytes) -> Identification:
    """The answer in a PDU to a request with this code. Raises FrameError."""
    if len(pdu) < 7 or pdu[1] != 14 or pdu[2] != code or pdu[4] not in (0, 0xFF):
        raise FrameError(f"no identification: {pdu[:8].hex(' ')}")
    found: list[tuple[int, bytes]] = []
    at = 7
    for _ in range(pdu[6]):
        if at + 2 > len(pdu) or at + 2 + pdu[at + 1] > len(pdu):
            raise FrameError("an identification that is cut off")
        found.append((pdu[at], pdu[at + 2 : at + 2 + pdu[at + 1]]))
        at += 2 + pdu[at + 1]
    if at != len(pdu):
        raise FrameError(f"{len(pdu) - at} bytes behind the identification")
    return Identification(tuple(found), pdu[5] if pdu[4] else None, pdu[3])
