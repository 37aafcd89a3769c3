"""Points and commands of a device file as fields of registers."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from pilotwire.protocols.modbus.values import Field, Kind

from .schema import Command, Extra, Mark, Modbus, Point

FUNCTIONS: dict[str, Literal[1, 2, 3, 4]] = {"coils": 1, "discrete": 2, "holding": 3, "input": 4}
"""The function that reads a table."""
_WIDTH = {"bit": 1, "u16": 1, "s16": 1, "u32": 2, "s32": 2, "u48": 3, "u64": 4, "s64": 4, "f32": 2, "f64": 4}


def width(kind: str, length: int = 0) -> int:
    """How many registers (or bits) a value takes."""
    return length if kind == "string" else _WIDTH[kind]


def raw_field(item: Point | Command | Extra | Mark, modbus: Modbus) -> Field:
    """How the raw value lies in its registers; a bit is taken as a u16."""
    kind: Kind = "u16" if item.type == "bit" else item.type
    return Field(
        kind=kind,
        length=item.length if isinstance(item, Point | Mark) else 0,
        words=item.word_order or modbus.word_order,
        bytes=(item.byte_order if isinstance(item, Point | Command) else None) or modbus.byte_order,
        absent=item.absent if isinstance(item, Point) else (),
    )


def point_field(point: Point, modbus: Modbus) -> Field:
    """`raw_field`, scaled: what it decodes to is in our base unit but for `offset` and signs."""
    return _scaled(raw_field(point, modbus), point.scale)


def command_field(command: Command, modbus: Modbus) -> Field:
    """As `point_field`, for what is written."""
    return _scaled(raw_field(command, modbus), command.scale)


def _scaled(field: Field, scale: Decimal) -> Field:
    import msgspec

    return field if field.kind == "string" else msgspec.structs.replace(field, factor=scale)
