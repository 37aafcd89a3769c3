"""Requests and responses of Modbus (Application Protocol V1.1b3, clause 6), both ways.

Functions 1 to 6, 15, 16, 22, 23 and 43/14. A response is read in the light of its request, as the wire does not say how
many bits were asked for, nor what was written. Addresses are those on the wire: 0 to 65535, no 40001 notation.
Registers are integers 0 to 65535, bits are bools.
"""

from __future__ import annotations

import struct
from typing import Literal, TypeAlias

import msgspec

from .errors import FrameError, IllegalDataAddress, IllegalDataValue, IllegalFunction, RequestError, exception_of
from .identification import Identification, decode_identification, encode_identification

MAX_READ_REGISTERS = 125
MAX_WRITE_REGISTERS = 123
MAX_READ_BITS = 2000
MAX_WRITE_BITS = 1968
MAX_BOTH_READ, MAX_BOTH_WRITE = 125, 121
"""Function 23."""
MAX_PDU = 253


class ReadBits(msgspec.Struct, frozen=True):
    """Function 1 (coils) or 2 (discrete inputs)."""

    function: Literal[1, 2]
    address: int
    count: int
    """1 to 2000."""


class ReadRegisters(msgspec.Struct, frozen=True):
    """Function 3 (holding registers) or 4 (input registers)."""

    function: Literal[3, 4]
    address: int
    count: int
    """1 to 125."""


class WriteCoil(msgspec.Struct, frozen=True):
    """Function 5."""

    address: int
    value: bool


class WriteRegister(msgspec.Struct, frozen=True):
    """Function 6."""

    address: int
    value: int


class WriteCoils(msgspec.Struct, frozen=True):
    """Function 15: 1 to 1968 coils."""

    address: int
    values: tuple[bool, ...]


class WriteRegisters(msgspec.Struct, frozen=True):
    """Function 16: 1 to 123 registers."""

    address: int
    values: tuple[int, ...]


class MaskWriteRegister(msgspec.Struct, frozen=True):
    """Function 22: the register becomes (register AND and_mask) OR (or_mask AND NOT and_mask)."""

    address: int
    and_mask: int
    or_mask: int


class ReadWriteRegisters(msgspec.Struct, frozen=True):
    """Function 23: writes 1 to 121 registers, then reads 1 to 125."""

    address: int
    """Of what is read."""
    count: int
    write_address: int
    values: tuple[int, ...]


class ReadIdentification(msgspec.Struct, frozen=True):
    """Function 43/14. `code` 1 basic, 2 regular, 3 extended: as a stream from object `first`; 4: that object alone."""

    code: Literal[1, 2, 3, 4]
    first: int = 0


Request: TypeAlias = (
    ReadBits
    | ReadRegisters
    | WriteCoil
    | WriteRegister
    | WriteCoils
    | WriteRegisters
    | MaskWriteRegister
    | ReadWriteRegisters
    | ReadIdentification
)


class Bits(msgspec.Struct, frozen=True):
    """As many as were asked for."""

    values: tuple[bool, ...]


class Registers(msgspec.Struct, frozen=True):
    """As many as were asked for."""

    values: tuple[int, ...]


class Done(msgspec.Struct, frozen=True):
    """A write was carried out; the echo on the wire is made from the request, and compared with it."""


Response: TypeAlias = Bits | Registers | Done | Identification

_WORDS = [struct.Struct(f">{count}H") for count in range(MAX_READ_REGISTERS + 1)]
_HEAD = struct.Struct(">BHH")
_MANY = struct.Struct(">BHHB")
_MASK = struct.Struct(">BHHH")
_BOTH = struct.Struct(">BHHHHB")
_BYTE_BITS = [tuple(bool(byte >> bit & 1) for bit in range(8)) for byte in range(256)]

DONE = Done()


def function_of(request: Request) -> int:
    """The function code of a request."""
    if isinstance(request, ReadBits | ReadRegisters):
        return request.function
    return _FUNCTIONS[type(request)]


_FUNCTIONS: dict[type, int] = {
    WriteCoil: 5,
    WriteRegister: 6,
    WriteCoils: 15,
    WriteRegisters: 16,
    MaskWriteRegister: 22,
    ReadWriteRegisters: 23,
    ReadIdentification: 43,
}


def writes(request: Request) -> bool:
    """Whether the request changes anything in the device."""
    return not isinstance(request, ReadBits | ReadRegisters | ReadIdentification)


def pack_bits(values: tuple[bool, ...]) -> bytes:
    """Bits as bytes: the first is the lowest of the first byte, the rest of the last byte is 0."""
    number = 0
    for at, value in enumerate(values):
        if value:
            number |= 1 << at
    return number.to_bytes((len(values) + 7) // 8, "little")


def unpack_bits(data: bytes, count: int) -> tuple[bool, ...]:
    """The first `count` bits of bytes."""
    found: list[bool] = []
    for byte in data:
        found += _BYTE_BITS[byte]
    return tuple(found[:count])


def _range(address: int, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise RequestError(f"{count} at once: 1 to {most} fit into a request")
    if not 0 <= address <= 0x10000 - count:
        raise RequestError(f"addresses are 0 to 65535, not {address} to {address + count - 1}")


def encode_request(request: Request) -> bytes:
    """The PDU of a request. Raises RequestError for one that is over a limit."""
    try:
        return _encode_request(request)
    except struct.error:
        raise RequestError(f"a register holds 0 to 65535: {request}") from None


def _encode_request(request: Request) -> bytes:
    if isinstance(request, ReadRegisters):
        _range(request.address, request.count, MAX_READ_REGISTERS)
        return _HEAD.pack(request.function, request.address, request.count)
    if isinstance(request, ReadBits):
        _range(request.address, request.count, MAX_READ_BITS)
        return _HEAD.pack(request.function, request.address, request.count)
    if isinstance(request, WriteRegister):
        _range(request.address, 1, 1)
        return _HEAD.pack(6, request.address, request.value)
    if isinstance(request, WriteRegisters):
        count = len(request.values)
        _range(request.address, count, MAX_WRITE_REGISTERS)
        return _MANY.pack(16, request.address, count, 2 * count) + _WORDS[count].pack(*request.values)
    if isinstance(request, WriteCoil):
        _range(request.address, 1, 1)
        return _HEAD.pack(5, request.address, 0xFF00 if request.value else 0)
    if isinstance(request, WriteCoils):
        count = len(request.values)
        _range(request.address, count, MAX_WRITE_BITS)
        data = pack_bits(request.values)
        return _MANY.pack(15, request.address, count, len(data)) + data
    if isinstance(request, MaskWriteRegister):
        _range(request.address, 1, 1)
        return _MASK.pack(22, request.address, request.and_mask, request.or_mask)
    if isinstance(request, ReadWriteRegisters):
        count = len(request.values)
        _range(request.address, request.count, MAX_BOTH_READ)
        _range(request.write_address, count, MAX_BOTH_WRITE)
        head = _BOTH.pack(23, request.address, request.count, request.write_address, count, 2 * count)
        return head + _WORDS[count].pack(*request.values)
    if request.code not in (1, 2, 3, 4) or not 0 <= request.first <= 255:
        raise RequestError(f"no such part of the identification: {request}")
    return bytes((43, 14, request.code, request.first))


def decode_request(pdu: bytes) -> Request:
    """The request in a PDU.

    Raises IllegalFunction, IllegalDataValue (counts and lengths, a coil that is neither on nor off) or
    IllegalDataAddress (beyond 65535): what a server has to answer.
    """
    if not pdu:
        raise IllegalFunction(text="an empty request")
    function, length = pdu[0], len(pdu)
    count: int
    if 1 <= function <= 6:
        if length != 5:
            raise IllegalDataValue(text=f"{length} bytes where 5 are needed")
        _, address, value = _HEAD.unpack(pdu)
        if function == 5:
            if value not in (0, 0xFF00):
                raise IllegalDataValue(text=f"a coil is switched by 0000 or FF00, not {value:04X}")
            return WriteCoil(address, value != 0)
        if function == 6:
            return WriteRegister(address, value)
        _served(address, value, MAX_READ_BITS if function < 3 else MAX_READ_REGISTERS)
        return ReadBits(function, address, value) if function < 3 else ReadRegisters(function, address, value)  # type: ignore[arg-type]
    if function in (15, 16):
        if length < 6:
            raise IllegalDataValue(text="cut off")
        _, address, count, size = _MANY.unpack_from(pdu)
        _served(address, count, MAX_WRITE_BITS if function == 15 else MAX_WRITE_REGISTERS)
        if size != ((count + 7) // 8 if function == 15 else 2 * count) or length != 6 + size:
            raise IllegalDataValue(text=f"{length - 6} bytes of data, {size} announced, for {count}")
        if function == 15:
            return WriteCoils(address, unpack_bits(pdu[6:], count))
        return WriteRegisters(address, _WORDS[count].unpack_from(pdu, 6))
    if function == 22:
        if length != 7:
            raise IllegalDataValue(text=f"{length} bytes where 7 are needed")
        return MaskWriteRegister(*_MASK.unpack(pdu)[1:])
    if function == 23:
        if length < 10:
            raise IllegalDataValue(text="cut off")
        _, address, asked, at, count, size = _BOTH.unpack_from(pdu)
        _served(address, asked, MAX_BOTH_READ)
        _served(at, count, MAX_BOTH_WRITE)
        if size != 2 * count or length != 10 + size:
            raise IllegalDataValue(text=f"{length - 10} bytes of data, {size} announced, for {count}")
        return ReadWriteRegisters(address, asked, at, _WORDS[count].unpack_from(pdu, 10))
    if function == 43 and length > 1 and pdu[1] == 14:
        if length != 4 or pdu[2] not in (1, 2, 3, 4):
            raise IllegalDataValue(text="no such part of the identification")
        return ReadIdentification(pdu[2], pdu[3])
    raise IllegalFunction()


def _served(address: int, count: int, most: int) -> None:
    if not 1 <= count <= most:
        raise IllegalDataValue(text=f"{count} at once: 1 to {most} are allowed")
    if address + count > 0x10000:
        raise IllegalDataAddress()


def encode_response(request: Request, response: Response) -> bytes:
    """The PDU that answers `request`. Raises RequestError where the response is none to it."""
    if isinstance(response, Registers) and isinstance(request, ReadRegisters | ReadWriteRegisters):
        count = len(response.values)
        if count == request.count:
            try:
                return bytes((function_of(request), 2 * count)) + _WORDS[count].pack(*response.values)
            except struct.error:
                raise RequestError("a register holds 0 to 65535") from None
    elif isinstance(response, Bits) and isinstance(request, ReadBits):
        if len(response.values) == request.count:
            data = pack_bits(response.values)
            return bytes((request.function, len(data))) + data
    elif isinstance(response, Identification) and isinstance(request, ReadIdentification):
        return encode_identification(request.code, response)
    elif isinstance(response, Done) and writes(request) and not isinstance(request, ReadWriteRegisters):
        return _echo(request)
    raise RequestError(f"{type(response).__name__} with that many values is no answer to {type(request).__name__}")


def _echo(request: Request) -> bytes:
    """What answers a write: the request itself, or its first five bytes."""
    pdu = _encode_request(request)
    return pdu[:5] if isinstance(request, WriteCoils | WriteRegisters) else pdu


def encode_exception(function: int, code: int) -> bytes:
    """The PDU of an exception response to a function."""
    return bytes((function | 0x80, code))


def decode_response(request: Request, pdu: bytes) -> Response:
    """The answer to `request` in a PDU.

    Raises the typed ModbusException that it holds, or FrameError where it is no answer to this request.
    """
    function = function_of(request)
    if len(pdu) == 2 and pdu[0] == function | 0x80 and pdu[1]:
        raise exception_of(pdu[1])
    if len(pdu) < 2 or pdu[0] != function:
        raise FrameError(f"no answer to function {function}: {pdu[:8].hex(' ')}")
    if isinstance(request, ReadRegisters | ReadWriteRegisters):
        if pdu[1] != 2 * request.count or len(pdu) != 2 + pdu[1]:
            raise FrameError(f"{len(pdu) - 2} bytes, {pdu[1]} announced, where {request.count} registers were asked")
        return Registers(_WORDS[request.count].unpack_from(pdu, 2))
    if isinstance(request, ReadBits):
        if pdu[1] != (request.count + 7) // 8 or len(pdu) != 2 + pdu[1]:
            raise FrameError(f"{len(pdu) - 2} bytes, {pdu[1]} announced, where {request.count} bits were asked")
        return Bits(unpack_bits(pdu[2:], request.count))
    if isinstance(request, ReadIdentification):
        return decode_identification(request.code, pdu)
    if pdu != _echo(request):
        raise FrameError(f"the echo is not that of {request}: {pdu[:8].hex(' ')}")
    return DONE
