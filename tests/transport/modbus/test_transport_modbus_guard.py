"""Who may read, who may write what, and what is kept of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.modbus.errors import ModbusException
from pilotwire.protocols.modbus.pdu import (
    DONE,
    MaskWriteRegister,
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
from pilotwire.protocols.modbus.values import Field
from pilotwire.transport.modbus.guard import Access, Audit, Guard, Writable
from pilotwire.transport.modbus.registers import Bank, MapHandler

WRITABLE = (
    Writable(address=10, low=0, high=32),
    Writable(address=11, field=Field(kind="u16", exponent=-1), low=6, high=Decimal("16.5"), beyond="clamp"),
    Writable(address=12, field=Field(kind="f32"), low=-100, high=100),
    Writable(address=14, unit=2),
    Writable(address=15),
    Writable(address=0, table="coils"),
)


class Who:
    def __init__(self, name: str) -> None:
        self.name = name


class Room:
    def __init__(self, **access: Any) -> None:
        self.scheduler = SimScheduler(0)
        self.audits: list[Audit] = []
        self.bank = Bank()
        for unit in (1, 2):
            self.bank.put(unit, "holding", 10, [1] * 6)
            self.bank.put(unit, "coils", 0, [0, 0])
        given = {"clients": ("10.0.0.0/24",), "writers": ("10.0.0.7", "serial"), "writable": WRITABLE} | access
        self.guard = Guard(MapHandler(self.bank), Access(**given), self.scheduler, self.audits.append)

    def ask(self, request: Request, name: str = "10.0.0.7", unit: int = 1) -> Any:
        told: list[Any] = []
        self.guard.handle(Who(name), unit, request, told.append)
        (outcome,) = told
        return outcome.code if isinstance(outcome, ModbusException) else outcome

    def holding(self, address: int, unit: int = 1) -> int:
        return self.bank.read(unit, "holding", address, 1)[0]


def test_without_settings_loopback_reads_and_nobody_writes():
    room = Room(clients=Access().clients, writers=Access().writers, writable=())
    assert room.guard.admits("127.0.0.1") and room.guard.admits("::1") and room.guard.admits("::ffff:127.0.0.1")
    assert not room.guard.admits("10.0.0.7") and not room.guard.admits("serial") and not room.guard.admits("")
    assert [each.client for each in room.audits] == ["10.0.0.7", "serial", ""]
    assert room.ask(ReadRegisters(3, 10, 1), "127.0.0.1") == Registers((1,))
    assert room.ask(WriteRegister(10, 2), "127.0.0.1") == 1 and room.holding(10) == 1


def test_writers_and_what_is_writable():
    room = Room()
    assert room.ask(WriteRegister(10, 2), "10.0.0.8") == 1
    assert room.ask(WriteRegister(10, 2)) == DONE and room.holding(10) == 2
    assert room.ask(WriteRegister(10, 3), "serial") == DONE and room.holding(10) == 3
    assert room.ask(WriteRegister(14, 2)) == 2 and room.ask(WriteRegister(14, 2), unit=2) == DONE
    assert room.ask(WriteRegister(9, 2)) == 2
    assert room.ask(WriteRegister(10, 33)) == 3 and room.holding(10) == 3
    assert room.ask(WriteCoil(0, True)) == DONE and room.ask(WriteCoils(0, (True, True))) == 2
    assert room.ask(ReadIdentification(1)) == 1, "reading is not the guard's matter"
    assert [bool(each.refused) for each in room.audits] == [True, False, False, True, False, True, True, False, True]
    assert room.audits[1].done == room.audits[1].request == WriteRegister(10, 2)
    assert room.audits[5].client == "10.0.0.7" and room.audits[5].done is None


def test_values_beyond_their_limits():
    room = Room()
    assert room.ask(WriteRegister(11, 400)) == DONE and room.holding(11) == 165
    assert room.ask(WriteRegister(11, 0)) == DONE and room.holding(11) == 60
    assert room.audits[0].request == WriteRegister(11, 400) and room.audits[0].done == WriteRegister(11, 165)
    assert room.ask(WriteRegisters(12, (0x42C8, 0))) == DONE
    for words in ((0x42C8, 1), (0x7FC0, 0), (0x7F80, 0), (0xC2C9, 0)):
        assert room.ask(WriteRegisters(12, words)) == 3, "beyond, no number, infinite, beyond"
    assert room.holding(12) == 0x42C8


def test_values_are_written_whole():
    room = Room()
    assert room.ask(WriteRegister(12, 0x42C8)) == 2 and room.ask(WriteRegister(13, 0)) == 2
    assert room.ask(WriteRegisters(11, (100, 0x42C8))) == 2
    assert room.ask(WriteRegisters(11, (100, 0x42C8, 0))) == DONE
    assert room.ask(WriteRegisters(10, (5, 400, 0x42C9, 0))) == 3 and room.holding(10) == 1, "all or nothing"
    assert room.ask(ReadWriteRegisters(10, 2, 11, (999,))) == Registers((1, 165))
    assert room.ask(ReadWriteRegisters(10, 2, 10, (99,))) == 3


def test_bits_of_a_register_with_limits_are_not_written():
    room = Room()
    assert room.ask(MaskWriteRegister(10, 0, 0xFFFF)) == 1 and room.ask(MaskWriteRegister(13, 0, 1)) == 2
    assert room.ask(MaskWriteRegister(12, 0, 1)) == 1
    assert room.ask(MaskWriteRegister(15, 0, 6)) == DONE and room.holding(15) == 6


def test_writes_have_a_rate():
    room = Room(writes_per_minute=3, writers=("10.0.0.0/24",))
    assert [room.ask(WriteRegister(10, 1)) for _ in range(5)] == [DONE, DONE, DONE, 6, 6]
    assert room.ask(WriteRegister(10, 1), "10.0.0.8") == DONE
    room.scheduler.run_for(60_000)
    assert room.ask(WriteRegister(10, 1)) == DONE
    for last in range(256):
        for _ in range(2):
            room.ask(WriteRegister(10, 1), f"10.0.0.{last}")
    assert len(room.guard._recent) <= 256


@pytest.mark.parametrize(
    "access",
    [
        {"clients": ("10.0.0.0/33",)},
        {"writers": ("nobody",)},
        {"writable": (Writable(address=1, low=2, high=1),)},
        {"writable": (Writable(address=1, high=Decimal("0.5")),)},
        {"writable": (Writable(address=1, low=-1),)},
    ],
)
def test_settings_that_are_wrong(access: dict[str, Any]):
    with pytest.raises(ConfigError):
        Room(**access)
