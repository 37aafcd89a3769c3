"""Registers and the values in them: integers, floats, strings, bit fields, in any word and byte order, scaled exactly.

Values are integers where nothing is scaled and `Decimal` where it is; no float is kept. What a device does not have is
None: the pattern that its maker names for it (SunSpec has one for each type), NaN and infinity.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Sequence
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, Inexact, InvalidOperation
from typing import Literal, TypeAlias, get_args

import msgspec

from .errors import FrameError, RequestError

Kind: TypeAlias = Literal["u16", "s16", "u32", "s32", "u48", "u64", "s64", "f32", "f64", "string"]
Value: TypeAlias = int | Decimal | str | None
Rounding: TypeAlias = Literal["exact", "down", "nearest"]

_BYTES: dict[str, int] = {
    "u16": 2,
    "s16": 2,
    "u32": 4,
    "s32": 4,
    "u48": 6,
    "u64": 8,
    "s64": 8,
    "f32": 4,
    "f64": 8,
}
_EXACT = Context(prec=400, Emin=-999_999, Emax=999_999, traps=[InvalidOperation, Inexact])
"""An f64 has at most 309 digits before the point; nothing that is read is rounded."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """How a value lies in registers."""

    kind: Kind
    length: int = 0
    """Registers of a string; of everything else its kind's own, and 0 here."""
    words: Literal["big", "little"] = "big"
    """Which of several registers comes first: the one with the highest bits, or the lowest."""
    bytes: Literal["big", "little"] = "big"
    """Which byte within a register comes first; Modbus's own is big."""
    absent: tuple[int, ...] = ()
    """Raw patterns, as unsigned integers, by which the device says that it has no such value."""
    factor: Decimal = Decimal(1)
    """What one of the raw value is worth."""
    exponent: int = 0
    """A power of ten on top; SunSpec's scale factor is added to it when a value is read."""

    @property
    def registers(self) -> int:
        """How many registers it takes."""
        return self.length if self.kind == "string" else _BYTES[self.kind] // 2

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise RequestError(f"no such kind of value: {self.kind!r}")
        if (self.kind == "string") != (self.length > 0):
            raise RequestError(f"a string has a length in registers, and nothing else has: {self.kind}, {self.length}")
        if not self.factor.is_finite() or not self.factor:
            raise RequestError(f"a factor is a number other than 0, not {self.factor}")


def _sunspec(kind: Kind, absent: int) -> Field:
    return Field(kind=kind, absent=(absent,))


SUNSPEC: dict[str, Field] = {
    "int16": _sunspec("s16", 0x8000),
    "uint16": _sunspec("u16", 0xFFFF),
    "count": _sunspec("u16", 0xFFFF),
    "acc16": _sunspec("u16", 0),
    "enum16": _sunspec("u16", 0xFFFF),
    "bitfield16": _sunspec("u16", 0xFFFF),
    "pad": _sunspec("u16", 0x8000),
    "sunssf": _sunspec("s16", 0x8000),
    "int32": _sunspec("s32", 0x8000_0000),
    "uint32": _sunspec("u32", 0xFFFF_FFFF),
    "acc32": _sunspec("u32", 0),
    "enum32": _sunspec("u32", 0xFFFF_FFFF),
    "bitfield32": _sunspec("u32", 0xFFFF_FFFF),
    "int64": _sunspec("s64", 0x8000_0000_0000_0000),
    "uint64": _sunspec("u64", 0xFFFF_FFFF_FFFF_FFFF),
    "acc64": _sunspec("u64", 0),
    "bitfield64": _sunspec("u64", 0xFFFF_FFFF_FFFF_FFFF),
    "float32": Field(kind="f32"),
    "float64": Field(kind="f64"),
}
"""The types of SunSpec's information models by their names there, with what means "not implemented" in each. An
accumulator at 0 has not begun to count: None too. Strings take their length: `Field(kind="string", length=16)`."""


def decode_value(field: Field, registers: Sequence[int], scale: int = 0) -> Value:
    """The value in exactly `field.registers` registers; `scale` is a power of ten on top of the field's own.

    Returns None for what the device does not have. Raises FrameError for a wrong number of registers.
    """
    if len(registers) != field.registers:
        raise FrameError(f"{len(registers)} registers where a {field.kind} has {field.registers}")
    data = b"".join(register.to_bytes(2, field.bytes) for register in _ordered(field, registers))
    if field.kind == "string":
        return data.split(b"\0")[0].decode("utf-8", "replace").rstrip(" ") or None
    raw = int.from_bytes(data, "big")
    if raw in field.absent:
        return None
    number: int | Decimal
    if field.kind == "f32" or field.kind == "f64":
        real: float = struct.unpack(">f" if field.kind == "f32" else ">d", data)[0]
        if not math.isfinite(real):
            return None
        number = _shortest_f32(real) if field.kind == "f32" else Decimal(repr(real))
    else:
        number = raw - (1 << 8 * len(data)) if field.kind[0] == "s" and raw >> 8 * len(data) - 1 else raw
    power = field.exponent + scale
    if power == 0 and field.factor == 1:
        return number
    return _EXACT.scaleb(_EXACT.multiply(Decimal(number), field.factor), power)


def encode_value(field: Field, value: int | Decimal | str, scale: int = 0, rounding: Rounding = "exact") -> list[int]:
    """The registers for a value. Raises RequestError where it does not fit.

    `rounding` is for values between two steps: "exact" refuses them, "down" takes the lower step (the right one for a
    limit), "nearest" the nearer. A value that would come out as the pattern for "not there" is refused as well.
    """
    if isinstance(value, str):
        if field.kind != "string":
            raise RequestError(f"a {field.kind} is a number, not {value!r}")
        data = value.encode()
        if len(data) > 2 * field.length:
            raise RequestError(f"{value!r} does not fit into {2 * field.length} bytes")
        return _registers(field, data.ljust(2 * field.length, b"\0"))
    size = _BYTES.get(field.kind)
    if size is None:
        raise RequestError(f"a string is text, not {value!r}")
    if isinstance(value, Decimal) and not value.is_finite():
        raise RequestError(f"{value} cannot be written")
    raw = _raw(field, value, scale, rounding)
    if field.kind == "f32" or field.kind == "f64":
        try:
            data = struct.pack(">f" if field.kind == "f32" else ">d", float(raw))
        except OverflowError:
            data = b"\x7f\xf0"
        if not math.isfinite(struct.unpack(">f" if size == 4 else ">d", data.ljust(size, b"\0"))[0]) or len(data) < 4:
            raise RequestError(f"{value} does not fit into an {field.kind}")
    else:
        signed = field.kind[0] == "s"
        low, high = (-(1 << 8 * size - 1), (1 << 8 * size - 1) - 1) if signed else (0, (1 << 8 * size) - 1)
        if not low <= raw <= high:
            raise RequestError(f"{value} does not fit into a {field.kind}")
        data = int(raw).to_bytes(size, "big", signed=signed)
    if int.from_bytes(data, "big") in field.absent:
        raise RequestError(f"{value} would say that there is no value")
    return _registers(field, data)


def _raw(field: Field, value: int | Decimal, scale: int, rounding: Rounding) -> int | Decimal:
    power = field.exponent + scale
    if power == 0 and field.factor == 1 and isinstance(value, int):
        return value
    # A quotient may go on for ever: it is taken to many digits, and multiplied back to see whether it was exact.
    wide = Context(prec=60, Emin=-999_999, Emax=999_999, traps=[InvalidOperation])
    unscaled = wide.divide(wide.scaleb(Decimal(value), -power), field.factor)
    if field.kind == "f32" or field.kind == "f64":
        return unscaled
    nearest = unscaled.to_integral_value(ROUND_HALF_EVEN)
    if wide.scaleb(wide.multiply(nearest, field.factor), power) == value or rounding == "nearest":
        return int(nearest)
    if rounding == "exact":
        raise RequestError(f"{value} lies between two steps of the register")
    return int(unscaled.to_integral_value(ROUND_FLOOR))


def bit_names(value: int | None, names: dict[int, str]) -> frozenset[str]:
    """The names of the bits that are set; a bit without a name is "bit 7". None has no bits."""
    number = value or 0
    return frozenset(names.get(at, f"bit {at}") for at in range(number.bit_length()) if number >> at & 1)


def _ordered(field: Field, registers: Sequence[int]) -> Sequence[int]:
    return registers if field.words == "big" else registers[::-1]


def _registers(field: Field, data: bytes) -> list[int]:
    found = [int.from_bytes(data[at : at + 2], field.bytes) for at in range(0, len(data), 2)]
    return list(_ordered(field, found))


def _shortest_f32(real: float) -> Decimal:
    """The shortest number that is this f32: 230.1, as the device meant it, not 230.100006103515625."""
    for digits in (6, 7, 8):
        text = f"{real:.{digits}g}"
        try:
            if struct.unpack(">f", struct.pack(">f", float(text)))[0] == real:
                return Decimal(text)
        except OverflowError:
            continue
    return Decimal(f"{real:.9g}")
