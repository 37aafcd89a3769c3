"""A device file made ready for one outlet of one device: which registers, and what stands in them. No IO here.

layout = resolve(device)                    # SunSpec devices: resolve(device, chain=chain)
wants = [want for cell in layout.cells.values() for want in cell.wants]
values = layout.decode(registers by want)   # base units as integers, texts, None for what is not there
layout.encode("power_mw", 1000, peek)       # the registers that say so: simulators and facades
layout.writes("limit_ma", 16000)            # what to write, in order
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Literal

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.protocols.modbus.errors import RequestError
from pilotwire.protocols.modbus.planner import ReadLimits, Want
from pilotwire.protocols.modbus.values import Field, decode_value, encode_value
from pilotwire.protocols.sunspec.models import Spot
from pilotwire.protocols.sunspec.walk import Chain, Placed

from .cells import (
    TABLES,
    TEXTS,
    Cell,
    Peek,
    Reading,
    Registers,
    Table,
    decode_cell,
    encode_cell,
    inputs,
    make,
    poll_of,
    power_of,
    toward_zero,
    whole,
)
from .registers import FUNCTIONS, raw_field, width
from .schema import Command, DeviceFile, Extra, Point, SignFrom
from .undo import unmake

__all__ = [
    "TABLES",
    "TEXTS",
    "Cell",
    "Layout",
    "Order",
    "Reading",
    "Side",
    "Write",
    "decode_cell",
    "encode_cell",
    "inputs",
    "resolve",
]


class Write(msgspec.Struct, frozen=True):
    """One write of a command."""

    table: Literal["holding", "coils"]
    address: int
    values: tuple[int, ...]
    function: int
    """5, 6, 15 or 16."""


class Side(msgspec.Struct, frozen=True):
    """A register that is written with a command."""

    want: Want
    values: tuple[int, ...]
    when: Literal["always", "positive", "negative", "zero", "nonzero"]


class Order(msgspec.Struct, frozen=True):
    """A command with its registers."""

    name: str
    want: Want
    """Where it is written; it can be read there too, where the device lets one."""
    field: Field
    """Of the raw value."""
    command: Command
    sf: Want | None
    power: int
    before: tuple[Side, ...]
    after: tuple[Side, ...]
    verify: str | None
    """A point's name, "self", or None: it cannot be read back."""


class Layout:
    """See the module's head. Made by `resolve`."""

    def __init__(
        self, device: DeviceFile, unit: int, outlet: int, cells: dict[str, Cell], orders: dict[str, Order]
    ) -> None:
        self.device = device
        self.unit = unit
        self.outlet = outlet
        self.cells = cells
        self.orders = orders
        self.missing = tuple(name for name, point in device.points.items() if point.sunspec and name not in cells)
        """SunSpec points that this device does not have."""
        self.derived = _order(device, cells)
        """Points that are made from others, each behind what it is made from."""
        modbus = device.modbus
        move = (device.outlets.stride if device.outlets else 0) * (outlet - 1)
        self.limits = ReadLimits(
            registers=modbus.max_registers,
            gap=modbus.gap,
            forbidden=tuple((first + move, last + move) for first, last in modbus.forbidden),
            borders=tuple(border + move for border in modbus.borders),
        )

    @property
    def names(self) -> tuple[str, ...]:
        """All points, helpers not among them."""
        return tuple(name for name in (*self.cells, *self.derived) if not name.startswith("_"))

    def may_touch(self, address: int) -> bool:
        """Whether an address is none of the forbidden."""
        return not any(first <= address <= last for first, last in self.limits.forbidden)

    def decode(self, registers: Registers) -> dict[str, Reading]:
        """Every point whose registers are all there; a failed read is None, and so is what it goes into."""
        found: dict[str, Reading] = {}
        for name, cell in self.cells.items():
            if all(want in registers for want in cell.wants):
                found[name] = decode_cell(cell, registers)
        found |= self.derive(found)
        return {name: value for name, value in found.items() if not name.startswith("_")}

    def derive(self, values: Mapping[str, Reading]) -> dict[str, Reading]:
        """The derived points that can be made of these values, helpers among both."""
        known = dict(values)
        made: dict[str, Reading] = {}
        for name in self.derived:
            point = self.device.points[name]
            if inputs(point) <= known.keys():
                made[name] = known[name] = make(point, known)
        return made

    def encode(self, name: str, value: int | str, peek: Peek) -> list[tuple[Table, int, list[int]]]:
        """The registers that say so. Raises RequestError where they cannot, KeyError for a point that is not there."""
        if name in self.cells:
            return encode_cell(self.cells[name], value, peek)
        writes: list[tuple[Table, int, list[int]]] = []
        for helper, part in unmake(self.device, name, value).items():
            writes += self.encode(helper, part, peek)
        return writes

    def writes(self, name: str, value: int, peek: Peek | None = None) -> list[Write]:
        """What to write for a command, in order. `peek` gives scale factors that are in registers.

        Raises RequestError for a value that cannot be told, KeyError for a command that is not there.
        """
        order = self.orders[name]
        command = order.command
        if command.map:
            raw = next((raw for raw, ours in command.map.items() if ours == value), None)
            if raw is None:
                raise RequestError(f"{name} is one of {', '.join(map(str, command.map.values()))}, not {value}")
            registers = encode_value(order.field, raw)
        else:
            if command.range and not command.range[0] <= value <= command.range[1] and value != command.pause:
                raise RequestError(f"{name} is {command.range[0]} to {command.range[1]}, not {value}")
            scale = order.power
            if order.sf is not None:
                scale = power_of(peek(order.sf) if peek else ())
            number = abs(value) if command.magnitude else -value if command.invert else value
            field = msgspec.structs.replace(order.field, factor=command.scale)
            amount = Decimal(number) - command.offset
            if field.kind[0] != "f":
                amount = toward_zero(amount, command.scale, scale)
            registers = encode_value(field, amount, scale)
        single = order.want.count == 1
        many = order.want.function == 1
        function = command.function or ((5 if single else 15) if many else 6 if single else 16)
        own = Write(command.table, order.want.address, tuple(registers), function)
        return [*_sides(order.before, value), own, *_sides(order.after, value)]

    def told(self, name: str, peek: Peek) -> Reading:
        """What a command's registers say now, in our base unit: the other way round of `writes`."""
        order = self.orders[name]
        command = order.command
        raw = decode_value(order.field, peek(order.want))
        if not isinstance(raw, int | Decimal):
            return None
        if command.map:
            return command.map.get(int(raw))
        scale = power_of(peek(order.sf)) if order.sf is not None else order.power
        number = whole(Decimal(raw) * command.scale * Decimal(10) ** scale + command.offset)
        if command.magnitude:
            negative = [side for side in (*order.before, *order.after) if side.when == "negative"]
            return -number if negative and all(tuple(peek(side.want)) == side.values for side in negative) else number
        return -number if command.invert else number


def resolve(device: DeviceFile, *, outlet: int = 1, unit: int | None = None, chain: Chain | None = None) -> Layout:
    """A file for one outlet; a SunSpec device's `chain` is what was found in it. Raises ConfigError."""
    most = device.outlets.count if device.outlets else 1
    if not 1 <= outlet <= most:
        raise ConfigError(f"{device.id} has outlets 1 to {most}, not {outlet}")
    move = (device.outlets.stride if device.outlets else 0) * (outlet - 1)
    base = device.modbus.unit if unit is None else unit
    base += (device.outlets.units if device.outlets else 0) * (outlet - 1)
    cells: dict[str, Cell] = {}
    for name, point in device.points.items():
        cell = _cell(device, name, point, 0 if point.shared else move, chain)
        if cell is not None:
            cells[name] = cell
    orders: dict[str, Order] = {}
    for name, command in device.commands.items():
        order = _command(device, name, command, move, chain)
        if order is not None:
            orders[name] = order
    return Layout(device, base, outlet, cells, orders)


def _cell(device: DeviceFile, name: str, point: Point, move: int, chain: Chain | None) -> Cell | None:
    modbus = device.modbus
    poll = point.poll or poll_of(name)
    if point.sunspec:
        found = _locate(point.sunspec, chain)
        if found is None:
            return None
        placed, spot = found
        at = Want(3, placed.address + spot.offset, spot.point.size)
        sf = Want(3, placed.address + spot.sf, 1) if spot.sf is not None else None
        return Cell(name, at, spot.point.field, point, poll, sf, spot.point.sf if isinstance(spot.point.sf, int) else 0)
    if point.address is None:
        return None
    function = FUNCTIONS[point.table]
    want = Want(function, point.address + move, width(point.type, point.length))
    sf = Want(function, point.sf + move, 1) if point.sf is not None else None
    sign: tuple[Want, SignFrom] | None = None
    if point.sign_from is not None:
        other = FUNCTIONS[point.sign_from.table or point.table]
        sign = (Want(other, point.sign_from.address + move, width(point.sign_from.type)), point.sign_from)
    return Cell(name, want, raw_field(point, modbus), point, poll, sf, 0, sign)


def _command(device: DeviceFile, name: str, command: Command, move: int, chain: Chain | None) -> Order | None:
    modbus, sf, power = device.modbus, None, 0
    move = 0 if command.shared else move
    if command.sunspec:
        found = _locate(command.sunspec, chain)
        if found is None:
            return None
        placed, spot = found
        want = Want(3, placed.address + spot.offset, spot.point.size)
        field = spot.point.field
        sf = Want(3, placed.address + spot.sf, 1) if spot.sf is not None else None
        power = spot.point.sf if isinstance(spot.point.sf, int) else 0
    else:
        assert command.address is not None
        want = Want(1 if command.table == "coils" else 3, command.address + move, width(command.type))
        field = raw_field(command, modbus)
        sf = Want(3, command.sf + move, 1) if command.sf is not None else None
    verify = command.verify
    if verify is None:
        verify = name if name in device.points else "self"
    sides = [_side(device, extra, move, chain) for extra in command.before]
    tails = [_side(device, extra, move, chain) for extra in command.after]
    if None in sides or None in tails:
        return None
    before, after = tuple(side for side in sides if side), tuple(side for side in tails if side)
    return Order(name, want, field, command, sf, power, before, after, None if verify == "none" else verify)


def _side(device: DeviceFile, extra: Extra, move: int, chain: Chain | None) -> Side | None:
    if extra.sunspec:
        found = _locate(extra.sunspec, chain)
        if found is None:
            return None
        placed, spot = found
        values = encode_value(spot.point.field, extra.value)
        return Side(Want(3, placed.address + spot.offset, spot.point.size), tuple(values), extra.when)
    assert extra.address is not None
    address = extra.address + (0 if extra.shared else move)
    want = Want(1 if extra.table == "coils" else 3, address, width(extra.type))
    return Side(want, tuple(encode_value(raw_field(extra, device.modbus), extra.value)), extra.when)


def _locate(paths: str | tuple[str, ...], chain: Chain | None) -> tuple[Placed, Spot] | None:
    if chain is None:
        return None
    for path in (paths,) if isinstance(paths, str) else paths:
        found = chain.locate(path)
        if found is not None:
            return found
    return None


def _sides(sides: Sequence[Side], value: int) -> list[Write]:
    fits = {"always": True, "positive": value > 0, "negative": value < 0, "zero": value == 0, "nonzero": value != 0}
    return [
        Write("coils", side.want.address, side.values, 5)
        if side.want.function == 1
        else Write("holding", side.want.address, side.values, 6 if side.want.count == 1 else 16)
        for side in sides
        if fits[side.when]
    ]


def _order(device: DeviceFile, cells: Mapping[str, Cell]) -> tuple[str, ...]:
    """Derived points whose inputs can all be had, inputs first."""
    have, out = set(cells), list[str]()
    waiting = [name for name, point in device.points.items() if inputs(point)]
    while ready := [name for name in waiting if inputs(device.points[name]) <= have]:
        out += ready
        have |= set(ready)
        waiting = [name for name in waiting if name not in have]
    return tuple(out)
