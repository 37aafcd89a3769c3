"""Requests carried out on a register map."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pilotwire.protocols.modbus.errors import IllegalDataAddress, IllegalFunction
from pilotwire.protocols.modbus.identification import Identification
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
    WriteCoil,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
)
from pilotwire.transport.modbus.registers import Bank, Table, serve


def bank() -> tuple[Bank, list[tuple[int, Table, int, list[int]]]]:
    seen: list[tuple[int, Table, int, list[int]]] = []

    def written(unit: int, table: Table, address: int, values: Sequence[int]) -> None:
        seen.append((unit, table, address, list(values)))

    made = Bank(written)
    made.put(1, "holding", 10, [1, 2, 3, 4])
    made.put(1, "input", 10, [5])
    made.put(1, "coils", 0, [0] * 8)
    made.put(1, "discrete", 0, [1, 0])
    made.describe(1, {0: b"Maker", 1: b"Thing", 2: b"1.0"})
    return made, seen


def test_every_function():
    made, seen = bank()
    assert serve(made, 1, ReadRegisters(3, 10, 4)) == Registers((1, 2, 3, 4))
    assert serve(made, 1, ReadRegisters(4, 10, 1)) == Registers((5,))
    assert serve(made, 1, ReadBits(2, 0, 2)) == Bits((True, False))
    assert serve(made, 1, WriteRegister(10, 0x12)) == DONE
    assert serve(made, 1, WriteRegisters(11, (7, 8))) == DONE
    # The example of the standard: 0x12, AND 0xF2, OR 0x25 is 0x17.
    assert serve(made, 1, MaskWriteRegister(10, 0xF2, 0x25)) == DONE
    assert serve(made, 1, ReadWriteRegisters(10, 4, 13, (9,))) == Registers((0x17, 7, 8, 9))
    assert serve(made, 1, WriteCoil(1, True)) == serve(made, 1, WriteCoils(4, (True, True))) == DONE
    assert serve(made, 1, ReadBits(1, 0, 6)) == Bits((False, True, False, False, True, True))
    told = serve(made, 1, ReadIdentification(1))
    assert isinstance(told, Identification) and told.text(1) == "Thing"
    assert [each[1:] for each in seen] == [
        ("holding", 10, [0x12]),
        ("holding", 11, [7, 8]),
        ("holding", 10, [0x17]),
        ("holding", 13, [9]),
        ("coils", 1, [True]),
        ("coils", 4, [True, True]),
    ]


@pytest.mark.parametrize(
    "request_",
    [
        ReadRegisters(3, 13, 2),
        ReadRegisters(4, 9, 2),
        WriteRegisters(13, (1, 2)),
        WriteCoil(8, True),
        ReadBits(2, 2, 1),
    ],
)
def test_what_is_not_there_is_neither_read_nor_written(request_: Request):
    made, seen = bank()
    with pytest.raises(IllegalDataAddress):
        serve(made, 1, request_)
    with pytest.raises(IllegalDataAddress):
        serve(made, 2, ReadRegisters(3, 10, 1))
    assert not seen and serve(made, 1, ReadRegisters(3, 13, 1)) == Registers((4,))


def test_a_unit_without_identification():
    with pytest.raises(IllegalFunction):
        serve(bank()[0], 2, ReadIdentification(1))
