"""What a Modbus server serves: a register map, and requests carried out on it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from pilotwire.protocols.modbus.errors import IllegalDataAddress, IllegalFunction, ModbusException
from pilotwire.protocols.modbus.identification import identification_part
from pilotwire.protocols.modbus.pdu import (
    DONE,
    Bits,
    MaskWriteRegister,
    ReadBits,
    ReadIdentification,
    ReadRegisters,
    ReadWriteRegisters,
    Registers,
    Request,
    Response,
    WriteCoil,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
)

Table: TypeAlias = Literal["coils", "discrete", "holding", "input"]


class RegisterMap(Protocol):
    """The units of a server. Every method may raise a ModbusException, which the client is told."""

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        """`count` registers or bits. Raises IllegalDataAddress where one of them is not there."""
        ...

    def write(self, unit: int, table: Table, address: int, values: Sequence[int]) -> None:
        """All of the values or none of them. `table` is coils or holding."""
        ...

    def identification(self, unit: int) -> Mapping[int, bytes]:
        """The objects of function 43/14 by number; none: the function is not supported."""
        ...


class Caller(Protocol):
    """Who asks."""

    @property
    def name(self) -> str:
        """The address of a client, "10.0.0.7"; "serial" on a bus, where nobody can be told from anybody."""
        ...


Outcome: TypeAlias = Response | ModbusException


class Handler(Protocol):
    """What a server hands its requests to."""

    def handle(self, caller: Caller, unit: int, request: Request, reply: Callable[[Outcome], None]) -> None:
        """`reply` is to be called once, now or later. Never raises."""
        ...


def serve(registers: RegisterMap, unit: int, request: Request) -> Response:
    """Carry a request out. Raises ModbusException."""
    match request:
        case ReadRegisters(function, address, count):
            return Registers(tuple(registers.read(unit, "holding" if function == 3 else "input", address, count)))
        case ReadBits(function, address, count):
            values = registers.read(unit, "coils" if function == 1 else "discrete", address, count)
            return Bits(tuple(bool(value) for value in values))
        case WriteRegister(address, value):
            registers.write(unit, "holding", address, (value,))
        case WriteRegisters(address, values):
            registers.write(unit, "holding", address, values)
        case WriteCoil(address, value):
            registers.write(unit, "coils", address, (value,))
        case WriteCoils(address, values):
            registers.write(unit, "coils", address, values)
        case MaskWriteRegister(address, and_mask, or_mask):
            (old,) = registers.read(unit, "holding", address, 1)
            registers.write(unit, "holding", address, ((old & and_mask) | (or_mask & ~and_mask & 0xFFFF),))
        case ReadWriteRegisters(address, count, write_address, values):
            registers.write(unit, "holding", write_address, values)
            return Registers(tuple(registers.read(unit, "holding", address, count)))
        case ReadIdentification(code, first):
            objects = registers.identification(unit)
            if not objects:
                raise IllegalFunction()
            return identification_part(dict(objects), code, first)
    return DONE


class MapHandler:
    """A `Handler` that carries requests out at once."""

    def __init__(self, registers: RegisterMap) -> None:
        self._registers = registers

    def handle(self, caller: Caller, unit: int, request: Request, reply: Callable[[Outcome], None]) -> None:
        try:
            outcome: Outcome = serve(self._registers, unit, request)
        except ModbusException as error:
            outcome = error
        reply(outcome)


class Bank:
    """A `RegisterMap` in memory: only addresses that were given a value are there.

    `written` is told of each write after it was done: unit, table, address, values.
    """

    def __init__(self, written: Callable[[int, Table, int, Sequence[int]], None] | None = None) -> None:
        self._tables: dict[tuple[int, Table], dict[int, int]] = {}
        self._objects: dict[int, dict[int, bytes]] = {}
        self._written = written

    def put(self, unit: int, table: Table, address: int, values: Sequence[int]) -> None:
        """Set values, and make their addresses be there."""
        cells = self._tables.setdefault((unit, table), {})
        cells.update(zip(range(address, address + len(values)), values, strict=True))

    def describe(self, unit: int, objects: Mapping[int, bytes]) -> None:
        """The unit's identification."""
        self._objects[unit] = dict(objects)

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        try:
            cells = self._tables[unit, table]
            return [cells[at] for at in range(address, address + count)]
        except KeyError:
            raise IllegalDataAddress() from None

    def write(self, unit: int, table: Table, address: int, values: Sequence[int]) -> None:
        self.read(unit, table, address, len(values))
        self.put(unit, table, address, values)
        if self._written is not None:
            self._written(unit, table, address, values)

    def identification(self, unit: int) -> Mapping[int, bytes]:
        return self._objects.get(unit, {})
