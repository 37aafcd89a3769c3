"""Values → the registers of a chain of models, for a server; and a point's place in what was built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal

import msgspec

from pilotwire.protocols.modbus.errors import RequestError
from pilotwire.protocols.modbus.values import SUNSPEC, Field, encode_value

from .models import GroupDef, PointDef, Spot, layout, model
from .walk import SUNS, Chain, Placed


class ModelValues(msgspec.Struct, frozen=True):
    """One model that is to be served."""

    number: int
    values: Mapping[str, int | Decimal | str] = {}
    """By path ("W", "module[0].DCW"), scaled; a scale factor (W_SF) is named as the power itself. What is not named is
    served as "not implemented"."""
    counts: Mapping[str, int] = {}
    """How often each repeated group comes, by its name; 0 where it is not named."""


class Built(msgspec.Struct, frozen=True):
    """Registers from `base` on, and where everything is."""

    base: int
    registers: list[int]
    chain: Chain
    spots: tuple[Mapping[str, Spot], ...]
    """Of each model of the chain."""


def build_chain(models: Sequence[ModelValues], base: int = 40000) -> Built:
    """The marker, each model, and the end. Raises RequestError for a value that does not fit, KeyError for a model
    that we do not have."""
    registers = list(SUNS)
    placed: list[Placed] = []
    spots: list[Mapping[str, Spot]] = []
    for each in models:
        body, where = build_model(each)
        placed.append(Placed(each.number, base + len(registers), len(body) - 2))
        spots.append(where)
        registers += body
    registers += [0xFFFF, 0]
    if base + len(registers) > 0x10000:
        raise RequestError(f"the chain ends at {base + len(registers)}, behind the last address")
    return Built(base, registers, Chain(base, tuple(placed)), tuple(spots))


def build_model(each: ModelValues) -> tuple[list[int], Mapping[str, Spot]]:
    """The registers of one model, from its ID on, and where each point lies in them."""
    definition = model(each.number)
    by_point = _point_counts(definition, each.counts)
    length = _length(definition, each.counts) - 2
    where = layout(each.number, length, by_point)
    registers = [0] * (length + 2)
    values: dict[str, int | Decimal | str] = {"ID": each.number, "L": length, **by_point, **each.values}
    for spot in where.values():
        registers[spot.offset : spot.offset + spot.point.size] = absent_registers(spot.point)
    for path, value in values.items():
        spot = where.get(path)
        if spot is None:
            raise RequestError(f"model {each.number} has no point {path}")
        scale = 0
        if isinstance(spot.point.sf, int):
            scale = spot.point.sf
        elif isinstance(spot.point.sf, str):
            power = values.get(spot.point.sf, 0)
            scale = int(power) if not isinstance(power, str) else 0
            if spot.sf is not None:
                registers[spot.sf] = scale & 0xFFFF
        registers[spot.offset : spot.offset + spot.point.size] = encode_value(spot.point.field, value, scale, "nearest")
    return registers, where


def absent_registers(point: PointDef) -> list[int]:
    """What "not implemented" looks like in a point."""
    if point.type == "string" or point.type not in SUNSPEC:
        return [0] * point.size
    field: Field = SUNSPEC[point.type]
    if point.type in ("float32", "float64"):
        return [0x7FC0 if point.type == "float32" else 0x7FF8] + [0] * (point.size - 1)
    raw = field.absent[0]
    return [raw >> 16 * (point.size - 1 - at) & 0xFFFF for at in range(point.size)]


def _length(group: GroupDef, counts: Mapping[str, int]) -> int:
    return group.size + sum(
        _length(inner, counts) * (1 if inner.count == 1 else counts.get(inner.name, 0)) for inner in group.groups
    )


def _point_counts(group: GroupDef, counts: Mapping[str, int]) -> dict[str, int]:
    found: dict[str, int] = {}
    for inner in group.groups:
        if isinstance(inner.count, str):
            found[inner.count] = counts.get(inner.name, 0)
        found |= {name: often for name, often in _point_counts(inner, counts).items() if name not in found}
    return found
