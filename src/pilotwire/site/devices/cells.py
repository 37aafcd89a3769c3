"""One point in its registers, both ways, and points that are made from others. No IO here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import Literal, TypeAlias

import msgspec

from pilotwire.core.errors import PilotwireError
from pilotwire.protocols.modbus.errors import FrameError, RequestError
from pilotwire.protocols.modbus.planner import Want
from pilotwire.protocols.modbus.values import SUNSPEC, Field, decode_value, encode_value

from .schema import Point, Poll, SignFrom

Table: TypeAlias = Literal["coils", "discrete", "holding", "input"]
Reading: TypeAlias = int | str | None
"""A value in our base unit, a text, or None: there is none."""
Registers: TypeAlias = Mapping[Want, Sequence[int] | PilotwireError]
Peek: TypeAlias = Callable[[Want], Sequence[int]]
"""What stands in a server's own registers."""

TABLES: dict[int, Table] = {1: "coils", 2: "discrete", 3: "holding", 4: "input"}
TEXTS = frozenset({"serial", "model", "firmware", "id_token", "state"})
"""Points that are text, whatever their registers are."""
_SLOW = (
    "energy_",
    "temperature",
    "soc_",
    "session_",
    "capacity",
    "health",
    "failsafe",
    "watchdog",
    "error",
    "id_token",
)
_ONCE = ("serial", "model", "firmware")
_BIT = Field(kind="u16")


class Cell(msgspec.Struct, frozen=True):
    """A point that is in registers."""

    name: str
    want: Want
    field: Field
    """Of the raw value, unscaled."""
    point: Point
    poll: Poll
    sf: Want | None = None
    power: int = 0
    """A power of ten that is not in a register."""
    sign: tuple[Want, SignFrom] | None = None

    @property
    def wants(self) -> tuple[Want, ...]:
        """All that has to be read for it."""
        return (self.want, *([self.sf] if self.sf else []), *([self.sign[0]] if self.sign else []))


def decode_cell(cell: Cell, registers: Registers) -> Reading:
    """The value of one point; None where a read has failed, the device has no such value, or it is beyond belief."""
    got = [registers[want] for want in cell.wants]
    if any(isinstance(each, PilotwireError) for each in got):
        return None
    values = [each for each in got if not isinstance(each, PilotwireError)]
    point = cell.point
    try:
        raw = decode_value(cell.field, [int(each) for each in values[0]])
    except FrameError:
        return None
    if raw is None:
        return None
    if isinstance(raw, str):
        return (point.map.get(raw.strip()) if point.map else raw.strip()) or None
    if point.mask is not None:
        raw = (int(raw) & point.mask) >> _shift(point.mask)
    if point.map:
        return point.map.get(int(raw))
    power = cell.power
    if cell.sf is not None:
        try:
            power = power_of(values[1])
        except RequestError:
            return None
    number = Decimal(raw) * point.scale + point.offset if power == 0 else _scaled(Decimal(raw), point, power)
    if cell.sign is not None and _sign_raw(cell.sign[1], values[-1]) in cell.sign[1].negative:
        number = -abs(number)
    value = whole(-number if point.invert else number)
    if point.valid is not None and not point.valid[0] <= value <= point.valid[1]:
        return None
    return str(value) if cell.name in TEXTS else value


def encode_cell(cell: Cell, value: int | str, peek: Peek) -> list[tuple[Table, int, list[int]]]:
    """The other way round of `decode_cell`: the nearest that the registers can say. Raises RequestError."""
    point, table = cell.point, TABLES[cell.want.function]
    if point.map:
        raw: int | str | None = next((raw for raw, ours in point.map.items() if ours == value), None)
        if raw is None:
            raise RequestError(f"{cell.name} has no value {value!r}")
        return [(table, cell.want.address, _masked(cell, raw, peek))]
    if cell.field.kind == "string":
        return [(table, cell.want.address, encode_value(cell.field, str(value)))]
    if point.type == "bit" and value not in (0, 1):
        raise RequestError(f"{cell.name} is 0 or 1, not {value}")
    number = Decimal(value)
    if point.invert:
        number = -number
    out: list[tuple[Table, int, list[int]]] = []
    if cell.sign is not None:
        want, sign = cell.sign
        raw_sign = sign.negative[0] if number < 0 else next(each for each in range(99) if each not in sign.negative)
        if sign.mask is not None:
            raw_sign <<= _shift(sign.mask)
        out.append((TABLES[want.function], want.address, encode_value(_sign_field(sign), raw_sign)))
        number = abs(number)
    power = power_of(peek(cell.sf)) if cell.sf is not None else cell.power
    if point.mask is not None:
        raw = int(((number - point.offset) / point.scale).scaleb(-power).to_integral_value(ROUND_HALF_EVEN))
        return [*out, (table, cell.want.address, _masked(cell, raw, peek))]
    field = msgspec.structs.replace(cell.field, factor=point.scale)
    return [*out, (table, cell.want.address, encode_value(field, number - point.offset, power, "nearest"))]


def inputs(point: Point) -> set[str]:
    """The names that a derived point is made from."""
    found = {name.removeprefix("-") for name in point.sum} | set(point.product)
    return found.union(*(case.when for case in point.cases))


def make(point: Point, values: Mapping[str, Reading]) -> Reading:
    """A derived point of the values it is made from; None where one that matters is not there."""
    if point.cases:
        for case in point.cases:
            if any(values[name] is None for name in case.when):
                return None
            if all(values[name] in allowed for name, allowed in case.when.items()):
                return case.is_
        return None
    total = Decimal(0 if point.sum else 1)
    for name in point.sum or point.product:
        value = values[name.removeprefix("-")]
        if not isinstance(value, int):
            return None
        total = total * value if point.product else total - value if name.startswith("-") else total + value
    number = total * point.scale + point.offset
    value = whole(-number if point.invert else number)
    return None if point.valid is not None and not point.valid[0] <= value <= point.valid[1] else value


def poll_of(name: str) -> Poll:
    """How often a point is read where its file does not say."""
    return "once" if name in _ONCE else "slow" if name.startswith(_SLOW) else "fast"


def _masked(cell: Cell, raw: int | str, peek: Peek) -> list[int]:
    mask = cell.point.mask
    if mask is None or isinstance(raw, str):
        return encode_value(cell.field, raw)
    old = decode_value(msgspec.structs.replace(cell.field, absent=()), peek(cell.want))
    kept = (int(old) if isinstance(old, int) else 0) & ~mask
    return encode_value(cell.field, kept | (raw << _shift(mask) & mask))


def _shift(mask: int) -> int:
    return (mask & -mask).bit_length() - 1


def power_of(registers: Sequence[int]) -> int:
    """A scale factor from its register. Raises RequestError where there is none: nothing is worth anything then."""
    power = decode_value(SUNSPEC["sunssf"], list(registers)) if len(registers) == 1 else None
    if not isinstance(power, int) or not -10 <= power <= 10:
        raise RequestError("the device gives no scale factor")
    return power


def _scaled(raw: Decimal, point: Point, power: int) -> Decimal:
    return raw * point.scale * Decimal(10) ** power + point.offset


def whole(number: Decimal) -> int:
    """The nearest integer, a half to the even one."""
    return int(number.to_integral_value(ROUND_HALF_EVEN))


def toward_zero(number: Decimal, factor: Decimal, power: int) -> Decimal:
    """The nearest value that the register has and that asks for no more than `number`, whichever its sign."""
    step = abs(factor).scaleb(power)
    return (number / step).to_integral_value(ROUND_DOWN) * step


def _sign_field(sign: SignFrom) -> Field:
    return _BIT if sign.type == "bit" else Field(kind=sign.type)


def _sign_raw(sign: SignFrom, registers: Sequence[int]) -> int:
    raw = decode_value(_sign_field(sign), [int(each) for each in registers])
    number = int(raw) if isinstance(raw, int) else 0
    return (number & sign.mask) >> _shift(sign.mask) if sign.mask is not None else number
