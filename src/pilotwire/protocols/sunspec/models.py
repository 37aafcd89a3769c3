"""SunSpec's information models: the points of a model, where each lies, and what stands in it.

    model(103).points["W"]                  PointDef(type int16, scale factor W_SF, unit W)
    layout(160, 48)["module[1].DCW"]        where it lies behind the model's first register, in a model of that length

Registers are counted from the model's ID: ID is 0, L (the number of registers behind it) is 1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from decimal import Decimal
from functools import cache, lru_cache

import msgspec

from pilotwire.protocols.modbus.errors import FrameError
from pilotwire.protocols.modbus.values import SUNSPEC, Field, decode_value

from .tables import MODELS

SunSpecValue = int | Decimal | str | None
_SIZES = {"eui48": 4, "ipaddr": 2, "ipv6addr": 8}
_MOST = 0x10000


class PointDef(msgspec.Struct, frozen=True):
    """One point of a model."""

    name: str
    type: str
    """SunSpec's: uint16, sunssf, string, ..."""
    size: int
    """Registers."""
    sf: str | int | None = None
    """The name of its scale factor, or the power of ten itself."""
    units: str = ""
    writable: bool = False
    symbols: tuple[tuple[int, str], ...] = ()
    """Value (of a bit field: bit) and name."""

    @property
    def field(self) -> Field:
        """How its raw value lies in its registers."""
        return Field(kind="string", length=self.size) if self.type == "string" else SUNSPEC[self.type]


class GroupDef(msgspec.Struct, frozen=True):
    """A model, or a part of one that may be repeated."""

    name: str
    count: int | str | None
    """How often: a number, the name of the point that says it, None: as often as the model's length allows."""
    points: dict[str, PointDef]
    groups: tuple[GroupDef, ...]

    @property
    def size(self) -> int:
        """Registers of its own points, once."""
        return sum(point.size for point in self.points.values())


class Spot(msgspec.Struct, frozen=True):
    """Where a point lies in one model of one device."""

    offset: int
    """Registers behind the model's ID."""
    point: PointDef
    sf: int | None = None
    """The offset of its scale factor's register."""


@cache
def model(number: int) -> GroupDef:
    """A model by its number. Raises KeyError for one whose definition we do not have."""
    tokens = MODELS[number].split()
    return _group(f"model {number}", 1, iter(tokens))


def _group(name: str, count: int | str | None, tokens: Iterator[str]) -> GroupDef:
    points: dict[str, PointDef] = {}
    groups: list[GroupDef] = []
    last = ""
    symbols: list[tuple[int, str]] = []
    for token in tokens:
        if token in (")",):
            break
        if token.startswith("<") or symbols:
            number, _, word = token.strip("<>").partition("_")
            symbols.append((int(number), word))
            if token.endswith(">"):
                points[last] = msgspec.structs.replace(points[last], symbols=tuple(symbols))
                symbols = []
        elif token.endswith("]("):
            inner, _, often = token[:-2].partition("[")
            groups.append(_group(inner, None if often == "*" else int(often) if often.isdigit() else often, tokens))
        else:
            point = _point(token)
            last = point.name
            points[last] = point
    return GroupDef(name, count, points, tuple(groups))


def _point(token: str) -> PointDef:
    text, _, units = token.partition("=")
    text, _, sf = text.partition("*")
    name, _, kind = text.partition(":")
    writable = kind.endswith("!")
    kind = kind.removesuffix("!")
    size = _SIZES.get(kind, 0)
    if kind.startswith("string"):
        size, kind = int(kind[6:]), "string"
    elif not size:
        size = SUNSPEC[kind].registers
    power: str | int | None = None if not sf else int(sf) if sf.lstrip("-").isdigit() else sf
    return PointDef(name, kind, size, power, units.replace("_", " "), writable)


def layout(number: int, length: int, counts: Mapping[str, int] | None = None) -> Mapping[str, Spot]:
    """Where each point lies in a model whose L is `length`: by name, "group[0].name" in what is repeated.

    `counts` says how often what is counted by a point comes, by that point's name. Points that would lie behind the
    model's end are left out: a device may have an older, shorter edition. Raises KeyError for a model we do not have.
    """
    if not counts:
        return _plain(number, length)
    return _spots(number, length, lambda name, spot: counts.get(name, 0))


@lru_cache(maxsize=256)
def _plain(number: int, length: int) -> Mapping[str, Spot]:
    return _spots(number, length, lambda name, spot: 0)


def _spots(number: int, length: int, counted: Callable[[str, Spot | None], int]) -> dict[str, Spot]:
    found: dict[str, Spot] = {}
    end = length + 2

    def place(group: GroupDef, prefix: str, at: int, scales: Mapping[str, int]) -> int:
        scales = dict(scales)
        offset = at
        for point in group.points.values():
            if point.type == "sunssf" and offset + point.size <= end:
                scales[point.name] = offset
            offset += point.size
        offset = at
        for point in group.points.values():
            if offset + point.size <= end:
                sf = scales.get(point.sf) if isinstance(point.sf, str) else None
                found[prefix + point.name] = Spot(offset, point, sf)
            offset += point.size
        for inner in group.groups:
            often = inner.count
            if often is None:
                often = (end - offset) // max(1, _fixed(inner))
            elif isinstance(often, str):
                spot = found.get(prefix + often) or found.get(often)
                often = counted(often, spot)
            single = inner.count == 1
            for index in range(often):
                if offset >= end:
                    break
                offset = place(
                    inner, f"{prefix}{inner.name}." if single else f"{prefix}{inner.name}[{index}].", offset, scales
                )
        return offset

    place(model(number), "", 0, {})
    return found


def _fixed(group: GroupDef) -> int:
    return group.size + sum(
        _fixed(inner) * (inner.count if isinstance(inner.count, int) else 0) for inner in group.groups
    )


def spots_of(registers: Sequence[int]) -> dict[str, Spot]:
    """Where each point lies in a whole model, ID and L first; what is counted by a point is read in it.

    Raises FrameError for too few registers, KeyError for a model we do not have.
    """
    if len(registers) < 2 or len(registers) < registers[1] + 2:
        raise FrameError(f"{len(registers)} registers are less than the model's length says")

    def counted(name: str, spot: Spot | None) -> int:
        if spot is None:
            return 0
        value = decode_value(spot.point.field, registers[spot.offset : spot.offset + spot.point.size])
        return value if isinstance(value, int) else 0

    return _spots(registers[0], registers[1], counted)


def decode_model(registers: Sequence[int]) -> dict[str, SunSpecValue]:
    """The values of a whole model by name, scaled; what the device does not have is None. Raises as `spots_of`."""
    found: dict[str, SunSpecValue] = {}
    for name, spot in spots_of(registers).items():
        if spot.point.type in _SIZES:
            found[name] = (
                None
                if not any(raw := registers[spot.offset : spot.offset + spot.point.size])
                else "".join(f"{each:04x}" for each in raw)
            )
            continue
        found[name] = spot_value(spot, registers)
    return found


def spot_value(spot: Spot, registers: Sequence[int]) -> SunSpecValue:
    """The value of one point in the registers of its model, from ID on. None where there is none, nor its scale."""
    scale = spot.point.sf if isinstance(spot.point.sf, int) else 0
    if spot.sf is not None:
        power = decode_value(SUNSPEC["sunssf"], registers[spot.sf : spot.sf + 1])
        if not isinstance(power, int) or not -10 <= power <= 10:
            return None
        scale = power
    return decode_value(spot.point.field, registers[spot.offset : spot.offset + spot.point.size], scale)
