"""The caching proxy: what is served from memory, how old it may be, and what a write does to it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from pilotwire.core.time import SimScheduler
from pilotwire.protocols.modbus.adu import TcpDecoder, encode_tcp
from pilotwire.protocols.modbus.client import ClientConfig
from pilotwire.protocols.modbus.errors import ModbusException
from pilotwire.protocols.modbus.pdu import (
    DONE,
    Bits,
    ReadBits,
    ReadIdentification,
    ReadRegisters,
    Registers,
    Request,
    WriteRegister,
    decode_request,
    encode_exception,
    encode_response,
)
from pilotwire.protocols.modbus.server import ServerConfig
from pilotwire.transport.modbus.carriers import Carrier, Heard, Lost
from pilotwire.transport.modbus.guard import LOOPBACK, Access, Guard, Writable
from pilotwire.transport.modbus.link import Link, open_link
from pilotwire.transport.modbus.proxy import Age, CachingProxy
from pilotwire.transport.modbus.registers import Bank, MapHandler
from pilotwire.transport.modbus.server import Server
from pilotwire.transport.runtime import SteadyScheduler


class Device:
    """A dialer and a device that answers when it is told to; its registers hold how often it was written to."""

    def __init__(self) -> None:
        self.asked: list[tuple[int, int, Request]] = []
        self.heard: Heard
        self.lost: Lost
        self.turn = 0

    def dial(self, heard: Heard, lost: Lost, done: Callable[[Carrier | str], None]) -> None:
        self.heard, self.lost = heard, lost
        done(self)

    def write(self, data: bytes) -> None:
        for frame in TcpDecoder().feed(data):
            self.asked.append((frame.transaction, frame.unit, decode_request(frame.pdu)))

    def close(self) -> None:
        pass

    def answer(self, at: int = -1, code: int = 0) -> None:
        transaction, unit, request = self.asked[at]
        if code:
            pdu = encode_exception(3, code)
        elif isinstance(request, ReadRegisters):
            values = tuple(1000 * self.turn + at for at in range(request.address, request.address + request.count))
            pdu = encode_response(request, Registers(values))
        elif isinstance(request, ReadBits):
            pdu = encode_response(request, Bits(tuple(at % 2 == 0 for at in range(request.count))))
        else:
            self.turn += 1
            pdu = encode_response(request, DONE)
        self.heard(encode_tcp(transaction, unit, pdu))


class Room:
    def __init__(self, **config: Any) -> None:
        self.scheduler = SimScheduler(0)
        self.device = Device()
        self.link = Link(self.device, self.scheduler, ClientConfig(window=8, queue=4))
        self.link.start()
        self.proxy = CachingProxy(self.link, self.scheduler, **config)
        self.told: list[Any] = []

    def ask(self, request: Request, unit: int = 1) -> None:
        def reply(outcome: Any) -> None:
            self.told.append(outcome.code if isinstance(outcome, ModbusException) else outcome)

        self.proxy.handle(self, unit, request, reply)

    name = "10.0.0.7"


def test_an_answer_serves_what_lies_within_it_until_it_is_too_old():
    room = Room(age_ms=500)
    room.ask(ReadRegisters(3, 10, 5))
    room.scheduler.run_for(100)
    room.device.answer()
    room.ask(ReadRegisters(3, 11, 2))
    assert room.told[1] == Registers((11, 12)) and len(room.device.asked) == 1
    room.ask(ReadRegisters(3, 9, 2))
    room.ask(ReadRegisters(4, 11, 2))
    room.ask(ReadRegisters(3, 11, 2), unit=2)
    assert len(room.device.asked) == 4, "another range, another table, another unit"
    room.scheduler.run_for(400)
    room.ask(ReadRegisters(3, 10, 5))
    assert len(room.told) == 3, "its age counts from the question"
    room.scheduler.run_for(1)
    room.ask(ReadRegisters(3, 10, 5))
    assert len(room.told) == 3 and len(room.device.asked) == 5
    assert room.proxy.counts.served == 2


def test_equal_reads_are_asked_once():
    room = Room(age_ms=500)
    for _ in range(3):
        room.ask(ReadRegisters(3, 10, 1))
    room.ask(ReadBits(1, 0, 3))
    assert len(room.device.asked) == 2 and room.proxy.counts.joined == 2
    room.device.answer(0)
    room.device.answer(1)
    assert room.told == [Registers((10,))] * 3 + [Bits((True, False, True))]
    room.ask(ReadBits(1, 1, 2))
    assert room.told[-1] == Bits((False, True)) and len(room.device.asked) == 2


def test_without_an_age_everything_is_asked():
    room = Room()
    for _ in range(2):
        room.ask(ReadRegisters(3, 10, 1))
        room.device.answer()
    assert len(room.device.asked) == 2


def test_a_write_ends_what_was_read_before_it():
    room = Room(age_ms=5000)
    room.ask(ReadRegisters(3, 10, 1))
    room.device.answer()
    room.ask(ReadRegisters(3, 10, 1), unit=2)
    room.device.answer()
    room.ask(ReadRegisters(3, 20, 1))
    room.ask(WriteRegister(10, 5))
    room.ask(ReadRegisters(3, 10, 1))
    room.ask(ReadRegisters(3, 20, 1))
    assert len(room.device.asked) == 6, "neither what was kept nor what was on its way answers for it"
    room.device.answer(3)
    room.device.answer(2)
    room.device.answer(4)
    room.ask(ReadRegisters(3, 20, 1))
    assert len(room.device.asked) == 7, "what was asked before the write was done is not kept"
    room.ask(ReadRegisters(3, 10, 1), unit=2)
    assert room.told[-1] == Registers((10,)) and len(room.device.asked) == 7, "the other unit's is"
    room.ask(WriteRegister(1, 1), unit=0)
    room.ask(ReadRegisters(3, 10, 1), unit=2)
    assert len(room.device.asked) == 9, "unit 0 is everybody"


def test_ages_of_blocks():
    ages = (Age(function=3, first=0, last=9, ms=100), Age(function=3, first=20, last=29, ms=300, unit=2))
    proxy = Room(ages=ages, age_ms=200).proxy
    cases = {(1, 0, 10): 100, (1, 10, 5): 200, (1, 9, 2): 100, (1, 5, 100): 100, (2, 20, 10): 300, (2, 19, 2): 200}
    cases |= {(1, 20, 10): 200, (2, 25, 6): 200, (2, 5, 20): 100}
    for (unit, address, count), age in cases.items():
        assert proxy.age_of(unit, ReadRegisters(3, address, count)) == age, (unit, address, count)
    assert proxy.age_of(1, ReadRegisters(4, 0, 1)) == 200


def test_what_the_client_is_told_when_there_is_no_answer():
    room = Room(age_ms=500, timeout_ms=3000)
    room.ask(ReadRegisters(3, 1, 1))
    room.device.answer(code=2)
    room.ask(ReadRegisters(3, 1, 1))
    assert room.told == [2] and len(room.device.asked) == 2, "an exception is passed on and not kept"
    room.scheduler.run_for(1000)
    assert room.told[1:] == [11]
    room.device.lost("gone")
    for at in range(5):
        room.ask(ReadRegisters(3, 100 + at, 1))
    assert room.told[2:] == [6], "the queue is full"
    room.link.close()
    assert room.told[3:] == [10] * 4
    room.ask(WriteRegister(1, 1))
    room.ask(ReadIdentification(1))
    assert room.told[7:] == [10, 10]


def test_what_is_kept_is_bounded():
    room = Room(age_ms=10**9)
    for at in range(600):
        room.ask(ReadRegisters(3, at, 1))
        room.device.answer()
    assert sum(len(each) for each in room.proxy._kept.values()) <= 256


async def test_many_clients_before_a_device_that_bears_one():
    scheduler = SteadyScheduler()
    bank = Bank()
    bank.put(1, "holding", 0, list(range(100)))
    served = Access(writers=LOOPBACK, writable=(Writable(address=5),))
    device = Server(Guard(MapHandler(bank), served, scheduler), ServerConfig(), scheduler, connections=1)
    upstream = open_link(f"tcp://127.0.0.1:{await device.listen('127.0.0.1', 0)}")
    proxy = CachingProxy(upstream, scheduler, age_ms=60_000)
    front = Server(Guard(proxy, served, scheduler), ServerConfig(), scheduler)
    port = await front.listen("127.0.0.1", 0)
    links = [open_link(f"tcp://127.0.0.1:{port}") for _ in range(10)]
    try:
        for _ in range(3):
            found = await asyncio.gather(*(link.request(1, ReadRegisters(3, 0, 60)) for link in links))
            assert found == [Registers(tuple(range(60)))] * 10
        assert device.counts.requests == 1 and device.totals.connected == 1 and front.counts.requests == 30
        await links[0].request(1, WriteRegister(5, 77))
        assert await links[1].request(1, ReadRegisters(3, 5, 1)) == Registers((77,))
        with pytest.raises(ModbusException) as refused:
            await links[1].request(1, WriteRegister(6, 77))
        assert refused.value.code == 2 and device.counts.requests == 3, "what the proxy refuses the device never sees"
    finally:
        for link in (*links, upstream):
            link.close()
        await front.close()
        await device.close()
