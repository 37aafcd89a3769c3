"""A unit's registers as a table: where each value lies, what it is, and who may write it.

A `Unit` answers requests out of its cells. It shows one moment: all registers of one answer belong together. What is
written comes as whole values, all of them or none, to `wrote`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, Protocol

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.protocols.modbus.errors import IllegalDataAddress, IllegalDataValue, ModbusException, RequestError
from pilotwire.protocols.modbus.pdu import Request
from pilotwire.protocols.modbus.values import Field, Value, decode_value, encode_value
from pilotwire.transport.modbus.guard import Writable
from pilotwire.transport.modbus.registers import Caller, Outcome, Table, serve

__all__ = ["ABSENT", "Cell", "Context", "FacadeHandler", "Served", "Unit", "text", "u16"]


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """One value of a map, at `address` of its unit, in base units once it is scaled."""

    address: int
    name: str
    field: Field
    tables: tuple[Table, ...] = ("holding", "input")
    write: bool = False
    readable: bool = True
    low: int | Decimal | None = None
    """Of what is written; both limits are allowed themselves."""
    high: int | Decimal | None = None
    unit: str = ""
    text: str = ""
    """What it means, for people."""

    @property
    def end(self) -> int:
        return self.address + self.field.registers


def u16(factor: int | str = 1, *, absent: int | None = 0xFFFF) -> Field:
    """One register, each count worth `factor`."""
    return Field(kind="u16", factor=Decimal(factor), absent=() if absent is None else (absent,))


def text(registers: int) -> Field:
    """A string, filled up with NUL."""
    return Field(kind="string", length=registers)


class Context(msgspec.Struct, frozen=True):
    """Who asks, and when."""

    client: str
    now: int


Wrote = Callable[[Context, Mapping[str, int | Decimal | str]], None]
"""All values of one request, by name. Raises ModbusException, and has then done nothing."""


class Served(Protocol):
    """One unit of a server, whatever it is made of."""

    @property
    def objects(self) -> Mapping[int, bytes]:
        """Its identification (function 43/14)."""
        ...

    def read(self, context: Context, table: Table, address: int, count: int) -> Sequence[int]: ...

    def write(self, context: Context, table: Table, address: int, values: Sequence[int]) -> None: ...

    def rules(self, unit: int) -> tuple[Writable, ...]:
        """What of it can be written, for a guard."""
        ...


class Unit:
    """One unit. `shown(context)` is asked once for each request and gives the values of that moment.

    `gaps`: ranges (first, end) whose unused registers read as 0. Registers that are neither are not there.
    """

    def __init__(
        self,
        cells: Sequence[Cell],
        shown: Callable[[Context], Callable[[Cell], Value | int]],
        wrote: Wrote | None = None,
        *,
        gaps: Sequence[tuple[int, int]] = (),
        objects: Mapping[int, bytes] | None = None,
    ) -> None:
        """Raises ConfigError for cells that overlap."""
        self.cells = tuple(cells)
        self.objects: Mapping[int, bytes] = dict(objects or {})
        self._shown = shown
        self._wrote = wrote
        self._gaps = tuple(gaps)
        self._at: dict[tuple[Table, int], Cell] = {}
        for cell in cells:
            for table in cell.tables:
                for address in range(cell.address, cell.end):
                    if (table, address) in self._at:
                        raise ConfigError(f"{cell.name} and {self._at[table, address].name} are both at {address}")
                    self._at[table, address] = cell

    def read(self, context: Context, table: Table, address: int, count: int) -> list[int]:
        """Raises IllegalDataAddress where a register is not there."""
        found: list[int] = []
        shown: Callable[[Cell], Value | int] | None = None
        at = address
        while at < address + count:
            cell = self._at.get((table, at))
            if cell is None:
                if table in ("coils", "discrete") or not any(low <= at < high for low, high in self._gaps):
                    raise IllegalDataAddress(text=f"there is no register {at}")
                found.append(0)
                at += 1
                continue
            if not cell.readable:
                raise IllegalDataAddress(text=f"{cell.name} cannot be read")
            shown = shown or self._shown(context)
            registers = _encoded(cell, shown(cell))
            part = registers[at - cell.address : address + count - cell.address]
            found += part
            at += len(part)
        return found

    def write(self, context: Context, table: Table, address: int, values: Sequence[int]) -> None:
        """Raises ModbusException, and nothing was done then."""
        found: dict[str, int | Decimal | str] = {}
        at = address
        while at < address + len(values):
            cell = self._at.get((table, at))
            if cell is None or not cell.write or cell.address != at or self._wrote is None:
                raise IllegalDataAddress(text=f"{at} cannot be written")
            raw = values[at - address : cell.end - address]
            if len(raw) < cell.field.registers:
                raise IllegalDataAddress(text=f"{cell.name} has {cell.field.registers} registers")
            value = decode_value(cell.field, raw)
            if value is not None and not isinstance(value, str):
                low, high = cell.low, cell.high
                if (low is not None and value < low) or (high is not None and value > high):
                    raise IllegalDataValue(text=f"{cell.name} is from {low} to {high}, not {value}")
            elif cell.field.kind in ("f32", "f64"):
                raise IllegalDataValue(text=f"{cell.name} is a number")
            found[cell.name] = "" if value is None and cell.field.kind == "string" else _given(value)
            at = cell.end
        if self._wrote is not None:
            self._wrote(context, found)

    def rules(self, unit: int) -> tuple[Writable, ...]:
        """The cells that may be written."""
        return tuple(
            Writable(
                address=cell.address,
                table="coils" if table == "coils" else "holding",
                unit=unit,
                field=cell.field,
                low=cell.low if not cell.field.absent else None,
                high=cell.high if not cell.field.absent else None,
            )
            for cell in self.cells
            if cell.write
            for table in cell.tables
            if table in ("coils", "holding")
        )


ABSENT = -1
"""What `wrote` is given for a value that says "none": no value of ours that can be written is negative."""


def _given(value: Value) -> int | Decimal | str:
    return ABSENT if value is None else value


def _encoded(cell: Cell, value: Value | int) -> list[int]:
    field = cell.field
    if value is None or value == "":
        if field.kind == "string":
            return [0] * field.registers
        if field.kind in ("f32", "f64") and not field.absent:
            return [0] * field.registers
        raw = field.absent[0] if field.absent else 0
        registers = [raw >> 16 * at & 0xFFFF for at in reversed(range(field.registers))]
        return registers if field.words == "big" else registers[::-1]
    try:
        if isinstance(value, str):
            return encode_value(field, value.encode()[: 2 * field.length].decode("utf-8", "ignore"))
        return encode_value(field, value, rounding="nearest")
    except RequestError:
        # Beyond what the register can hold: the nearest that it can, for a limit that is no limit or a huge counter.
        return _nearest(field, value)


def _nearest(field: Field, value: Any) -> list[int]:
    bits = 16 * field.registers
    signed = field.kind.startswith("s")
    high = (1 << bits - 1) - 1 if signed else (1 << bits) - 1
    low = -(1 << bits - 1) if signed else 0
    raw = high if value > 0 else low
    while raw & (1 << bits) - 1 in field.absent:
        raw += -1 if value > 0 else 1
    registers = [raw >> 16 * at & 0xFFFF for at in reversed(range(field.registers))]
    return registers if field.words == "big" else registers[::-1]


class _Asked:
    """One request's `RegisterMap`: the units, as one client sees them."""

    def __init__(self, units: Mapping[int, Served], context: Context) -> None:
        self._units = units
        self._context = context

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        return self._units[unit].read(self._context, table, address, count)

    def write(self, unit: int, table: Table, address: int, values: Sequence[int]) -> None:
        self._units[unit].write(self._context, table, address, values)

    def identification(self, unit: int) -> Mapping[int, bytes]:
        return self._units[unit].objects


class FacadeHandler:
    """A `Handler` over units; goes behind a `Guard`, which lets nobody write by itself."""

    def __init__(self, units: Mapping[int, Served], now: Callable[[], int]) -> None:
        self._units = units
        self._now = now

    def handle(self, caller: Caller, unit: int, request: Request, reply: Callable[[Outcome], None]) -> None:
        try:
            if unit not in self._units:
                raise IllegalDataAddress(text=f"there is no unit {unit}")
            outcome: Outcome = serve(_Asked(self._units, Context(caller.name, self._now())), unit, request)
        except ModbusException as error:
            outcome = error
        reply(outcome)
