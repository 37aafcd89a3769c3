"""A device file made ready for one outlet of one device: which registers, and what stands in them. No IO here.

layout = resolve(device)                    # SunSpec devices: resolve(device, chain=chain)
wants = [want for cell in layout.cells.values() for want in cell.wants]
values = layout.decode(registers by want)   # base units as integers, texts, None for what is not there
layout.encode("power_mw", 1000, peek)       # the registers that say so: simulators and facades
layout.writes("limit_ma", 16000)            # what to write, in order
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, Decimal
from typing import Literal, TypeAlias

import msgspec

from pilotwire.core.errors import ConfigError, PilotwireError
from pilotwire.protocols.modbus.errors import FrameError, RequestError
from pilotwire.protocols.modbus.planner import ReadLimits, Want
from pilotwire.protocols.modbus.values import SUNSPEC, Field, decode_value, encode_value
from pilotwire.protocols.sunspec.models import Spot
from pilotwire.protocols.sunspec.walk import Chain, Placed

from .registers import FUNCTIONS, raw_field, width
from .schema import Command, DeviceFile, Extra, Point, Poll, SignFrom

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
        for helper, part in unmake(self, name, value).items():
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
                scale = _power(peek(order.sf) if peek else ())
            number = abs(value) if command.magnitude else -value if command.invert else value
            field = msgspec.structs.replace(order.field, factor=command.scale)
            amount = Decimal(number) - command.offset
            if field.kind[0] != "f":
                amount = _toward_zero(amount, command.scale, scale)
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
        scale = _power(peek(order.sf)) if order.sf is not None else order.power
        number = _whole(Decimal(raw) * command.scale * Decimal(10) ** scale + command.offset)
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
            power = _power(values[1])
        except RequestError:
            return None
    number = Decimal(raw) * point.scale + point.offset if power == 0 else _scaled(Decimal(raw), point, power)
    if cell.sign is not None and _sign_raw(cell.sign[1], values[-1]) in cell.sign[1].negative:
        number = -abs(number)
    whole = _whole(-number if point.invert else number)
    if point.valid is not None and not point.valid[0] <= whole <= point.valid[1]:
        return None
    return str(whole) if cell.name in TEXTS else whole


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
    power = _power(peek(cell.sf)) if cell.sf is not None else cell.power
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
    whole = _whole(-number if point.invert else number)
    return None if point.valid is not None and not point.valid[0] <= whole <= point.valid[1] else whole


def unmake(layout: Layout, name: str, value: int | str) -> dict[str, int | str]:
    """Values of what a derived point is made from, so that it comes out as `value`. Raises RequestError."""
    point = layout.device.points[name]
    if point.cases:
        return _uncase(point, name, value)
    if point.product:
        raise RequestError(f"{name} is a product: set {' and '.join(point.product)}")
    plus = [each for each in point.sum if not each.startswith("-")]
    minus = [each[1:] for each in point.sum if each.startswith("-")]
    number = _whole((Decimal(-int(value) if point.invert else int(value)) - point.offset) / point.scale)
    if plus and minus:
        found: dict[str, int | str] = dict.fromkeys([*plus, *minus], 0)
        found[plus[0] if number >= 0 else minus[0]] = abs(number)
        return found
    share, rest = divmod(number if plus else -number, len(point.sum))
    return {each: share + (1 if at < rest else 0) for at, each in enumerate(plus or minus)}


def _uncase(point: Point, name: str, value: int | str) -> dict[str, int | str]:
    from itertools import product

    helpers = sorted(inputs(point))
    choices: list[list[int | str]] = []
    for helper in helpers:
        seen = {each for case in point.cases for each in case.when.get(helper, ())}
        other = next(each for each in range(99) if each not in seen)
        choices.append([*sorted(seen, key=str), other])
    for attempt in product(*choices):
        values = dict(zip(helpers, attempt, strict=True))
        if make(point, values) == value:
            return values
    raise RequestError(f"{name} has no case for {value!r}")


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


def _power(registers: Sequence[int]) -> int:
    """A scale factor from its register. Raises RequestError where there is none: nothing is worth anything then."""
    power = decode_value(SUNSPEC["sunssf"], list(registers)) if len(registers) == 1 else None
    if not isinstance(power, int) or not -10 <= power <= 10:
        raise RequestError("the device gives no scale factor")
    return power


def _scaled(raw: Decimal, point: Point, power: int) -> Decimal:
    return raw * point.scale * Decimal(10) ** power + point.offset


def _whole(number: Decimal) -> int:
    return int(number.to_integral_value(ROUND_HALF_EVEN))


def _toward_zero(number: Decimal, factor: Decimal, power: int) -> Decimal:
    """The nearest value that the register has and that asks for no more than `number`, whichever its sign."""
    step = abs(factor).scaleb(power)
    return (number / step).to_integral_value(ROUND_DOWN) * step


def _sign_field(sign: SignFrom) -> Field:
    return _BIT if sign.type == "bit" else Field(kind=sign.type)


def _sign_raw(sign: SignFrom, registers: Sequence[int]) -> int:
    raw = decode_value(_sign_field(sign), [int(each) for each in registers])
    number = int(raw) if isinstance(raw, int) else 0
    return (number & sign.mask) >> _shift(sign.mask) if sign.mask is not None else number
