"""The client's connection: made, lost and made anew, under an injected clock; and against pymodbus's server."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.modbus.adu import TcpDecoder, encode_rtu, encode_tcp
from pilotwire.protocols.modbus.client import BACKGROUND, WRITE, ClientConfig, Outcome
from pilotwire.protocols.modbus.errors import IllegalDataAddress, ModbusException, NoAnswer, RequestError
from pilotwire.protocols.modbus.pdu import (
    DONE,
    Bits,
    MaskWriteRegister,
    ReadBits,
    ReadRegisters,
    ReadWriteRegisters,
    Registers,
    WriteCoil,
    WriteCoils,
    WriteRegister,
    WriteRegisters,
    decode_request,
    encode_request,
    encode_response,
)
from pilotwire.protocols.modbus.planner import ReadLimits, Want
from pilotwire.transport.modbus.carriers import Carrier, Heard, Lost, SerialEndpoint, TcpEndpoint, parse_endpoint
from pilotwire.transport.modbus.link import Backoff, Link, open_link


class Far:
    """A dialer and the device behind it, in one."""

    def __init__(self, scheduler: SimScheduler, results: str) -> None:
        self.scheduler = scheduler
        self.results = list(results)
        self.dialled: list[int] = []
        self.written: list[bytes] = []
        self.closed = 0
        self.heard: Heard
        self.lost: Lost

    def dial(self, heard: Heard, lost: Lost, done: Callable[[Carrier | str], None]) -> None:
        self.dialled.append(int(self.scheduler.now()))
        self.heard, self.lost = heard, lost
        good = self.results.pop(0) == "+" if self.results else True
        self.scheduler.call_later(10, lambda: done(self if good else "refused"))

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def close(self) -> None:
        self.closed += 1

    def answer(self) -> None:
        (frame,) = TcpDecoder().feed(self.written[-1])
        request = decode_request(frame.pdu)
        told = Registers((7,) * request.count) if isinstance(request, ReadRegisters) else DONE
        self.heard(encode_tcp(frame.transaction, frame.unit, encode_response(request, told)))


READ = ReadRegisters(3, 0, 1)


def setting(results: str, **config: int) -> tuple[SimScheduler, Far, Link, list[Outcome]]:
    scheduler = SimScheduler(0)
    far = Far(scheduler, results)
    link = Link(far, scheduler, ClientConfig(**config), Backoff(first_ms=500, most_ms=3000, steady_ms=10_000))
    link.start()
    return scheduler, far, link, []


def test_pauses_grow_and_end_after_a_good_connection():
    scheduler, far, link, _ = setting("-----+-+")
    scheduler.run_until(14_000)
    assert far.dialled == [0, 510, 1520, 3530, 6540, 9550]
    assert link.online and link.counts.failed == 5 and link.trouble == ""
    far.lost("reset")
    assert not link.online and link.trouble == "reset"
    scheduler.run_for(2_999)
    assert len(far.dialled) == 6, "it had not been good for long"
    scheduler.run_for(20_000)
    assert link.online and far.dialled[6:] == [17_000, 20_010]
    scheduler.run_for(10_000)
    far.lost("reset")
    scheduler.run_for(500)
    assert far.dialled[-1] == int(scheduler.now())
    link.close()


def test_what_is_asked_while_offline_waits_for_its_deadline_and_no_longer():
    scheduler, far, link, told = setting("-+")
    link.ask(1, READ, told.append, timeout_ms=300)
    link.ask(1, WriteRegister(1, 2), told.append, timeout_ms=2000, priority=WRITE)
    scheduler.run_for(300)
    assert [type(each) for each in told] == [NoAnswer] and not far.written
    scheduler.run_for(300)
    assert link.online and len(far.written) == 1
    far.answer()
    assert told[1] == DONE


def test_a_device_that_falls_silent_is_hung_up_on_and_dialled_anew():
    scheduler, far, link, told = setting("++", answer_ms=1000, give_up=2, rest_after=0)
    scheduler.run_for(10)
    for _ in range(2):
        link.ask(1, ReadRegisters(3, len(told), 1), told.append, timeout_ms=9000)
        scheduler.run_for(1000)
    assert len(told) == 2 and far.closed == 1 and not link.online
    link.ask(1, READ, told.append, timeout_ms=9000)
    scheduler.run_for(510)
    assert link.online and len(far.written) == 3
    far.answer()
    assert told[2] == Registers((7,))


def test_what_is_on_the_wire_when_the_connection_goes_has_failed():
    scheduler, far, link, told = setting("++")
    scheduler.run_for(10)
    link.ask(1, WriteRegister(1, 2), told.append)
    link.ask(1, READ, told.append)
    far.lost("gone")
    assert isinstance(told[0], NoAnswer) and told[0].why == "lost" and len(told) == 1
    scheduler.run_for(600)
    assert len(far.written) == 2, "the write is not sent a second time, the read that waited is sent"
    far.heard(b"GET / HTTP/1.1\r\n")
    assert not link.online and far.closed == 1 and "header" in link.trouble


def test_a_closed_link():
    scheduler, far, link, told = setting("-+")
    link.ask(1, READ, told.append)
    link.close()
    link.ask(1, READ, told.append)
    assert [each.why for each in told if isinstance(each, NoAnswer)] == ["offline", "offline"]
    scheduler.run_for(60_000)
    assert len(far.dialled) == 1 and not link.online
    late = setting("+")
    late[2].close()
    late[0].run_for(100)
    assert late[1].closed == 1, "a connection that comes after that is hung up"


def test_outcomes_may_ask_again():
    scheduler, far, link, told = setting("+")
    scheduler.run_for(10)
    link.ask(1, READ, lambda outcome: (told.append(outcome), link.ask(1, READ, told.append)))  # type: ignore[func-returns-value]
    far.answer()
    far.answer()
    assert told == [Registers((7,))] * 2
    with pytest.raises(RequestError):
        link.ask(1, ReadRegisters(3, 0, 126), told.append)


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("tcp://10.0.0.5", TcpEndpoint("10.0.0.5", 502)),
        ("tcp://[::1]:1502", TcpEndpoint("::1", 1502)),
        ("rtu+tcp://gate:4001", TcpEndpoint("gate", 4001, "rtu")),
        ("rtu:///dev/ttyUSB0", SerialEndpoint("/dev/ttyUSB0")),
        ("rtu:///dev/ttyS1?baud=19200&parity=E&stop=2", SerialEndpoint("/dev/ttyS1", 19200, "E", 2)),
    ],
)
def test_addresses(text: str, endpoint: object):
    assert parse_endpoint(text) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "",
        "10.0.0.5",
        "tcp://",
        "tcp://a:x",
        "tcp://a/b",
        "tcp://a?baud=9600",
        "rtu://ttyUSB0",
        "rtu:///dev/x?baud=9601",
        "rtu:///dev/x?parity=X",
        "rtu:///dev/x?stop=3",
        "rtu:///dev/x?speed=1",
        "http://a",
    ],
)
def test_what_is_no_address(text: str):
    with pytest.raises(ConfigError):
        parse_endpoint(text)


def test_the_silent_interval():
    assert [SerialEndpoint("x", baud).gap_ms for baud in (1200, 9600, 19200, 115200)] == [33, 5, 3, 2]


def device() -> SimDevice:
    words = [SimData(100, count=20, values=7, datatype=DataType.REGISTERS)]
    bits = [SimData(0, count=32, values=True, datatype=DataType.BITS)]
    return SimDevice(1, simdata=(bits, bits, words, words))


async def exercised(link: Link) -> None:
    """Every function that pymodbus's server has."""
    assert await link.request(1, ReadRegisters(3, 100, 3)) == Registers((7, 7, 7))
    assert await link.request(1, ReadRegisters(4, 119, 1)) == Registers((7,))
    assert await link.request(1, WriteRegister(101, 0x1234), priority=WRITE) == DONE
    assert await link.request(1, WriteRegisters(102, (1, 2, 65535))) == DONE
    assert await link.request(1, MaskWriteRegister(101, 0xFF00, 0x0056)) == DONE
    both = await link.request(1, ReadWriteRegisters(100, 5, 104, (9,)))
    assert both == Registers((7, 0x1256, 1, 2, 9))
    assert await link.request(1, WriteCoil(3, False)) == DONE
    assert await link.request(1, WriteCoils(8, (False, True, False))) == DONE
    bits = await link.request(1, ReadBits(1, 0, 12))
    assert isinstance(bits, Bits) and [at for at, bit in enumerate(bits.values) if not bit] == [3, 8, 10]
    with pytest.raises(IllegalDataAddress):
        await link.request(1, ReadRegisters(3, 90, 1))
    found = await link.read(1, [Want(3, 98, 2), Want(3, 100, 2), Want(3, 104, 1)], ReadLimits(gap=5))
    assert found[Want(3, 100, 2)] == (7, 0x1256) and found[Want(3, 104, 1)] == (9,)
    assert isinstance(found[Want(3, 98, 2)], ModbusException), "the joint read was refused, and taken apart"


@pytest.mark.parametrize(("scheme", "framer"), [("tcp", FramerType.SOCKET), ("rtu+tcp", FramerType.RTU)])
async def test_against_the_server_of_pymodbus(scheme: str, framer: FramerType):
    server = ModbusTcpServer(device(), framer=framer, address=("127.0.0.1", 0))
    await server.listen()
    assert server.transport is not None
    port = server.transport.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
    link = open_link(f"{scheme}://127.0.0.1:{port}")  # of several requests in one packet it answers one alone
    try:
        await exercised(link)
        assert link.requests.silent == link.requests.malformed == link.requests.foreign == 0
    finally:
        link.close()
        await server.shutdown()


async def test_against_the_server_of_pymodbus_on_a_serial_line(cable: tuple[str, str]):
    server = ModbusSerialServer(device(), framer=FramerType.RTU, port=cable[0], baudrate=115200)
    await server.listen()
    link = open_link(f"rtu://{cable[1]}?baud=115200", ClientConfig(window=4))
    try:
        await exercised(link)
        assert link.requests.silent == link.requests.malformed == 0
        rival = open_link(f"rtu://{cable[1]}?baud=115200")
        with pytest.raises(NoAnswer):
            await rival.request(1, READ, timeout_ms=50)
        assert rival.trouble, "a bus has one master: the port is ours alone"
        rival.close()
    finally:
        link.close()
        await server.shutdown()


async def test_a_caller_that_is_cancelled_takes_its_request_back():
    scheduler, far, link, told = setting("+")
    scheduler.run_for(10)
    link.ask(1, READ, told.append)
    task = asyncio.ensure_future(link.request(1, WriteRegister(1, 1), priority=BACKGROUND))
    await asyncio.sleep(0)
    assert link.machine.queued == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    far.answer()
    assert link.machine.queued == 0 and len(far.written) == 1


async def test_a_port_that_goes_is_opened_anew_when_it_is_back(tmp_path: Path):
    """A USB adapter that is pulled out and put in again, by a link to pseudo-terminals in its place."""
    place = tmp_path / "ttyUSB0"
    link = open_link(f"rtu://{place}?baud=115200", ClientConfig(answer_ms=200), Backoff(first_ms=5, most_ms=20))
    loop = asyncio.get_running_loop()
    for turn in range(2):
        master, slave = os.openpty()
        place.symlink_to(os.ttyname(slave))
        os.close(slave)

        def answered(master: int = master) -> None:
            if os.read(master, 100) == encode_rtu(1, encode_request(READ)):
                os.write(master, encode_rtu(1, b"\x03\x02\x00\x07"))

        loop.add_reader(master, answered)
        while not link.online:
            await asyncio.sleep(0.005)
        assert await link.request(1, READ) == Registers((7,))
        loop.remove_reader(master)
        place.unlink()
        os.close(master)
        while link.online:
            await asyncio.sleep(0.005)
        assert link.trouble and link.counts.lost == turn + 1
    link.close()


async def test_nobody_is_there():
    link = open_link("tcp://127.0.0.1:1")
    with pytest.raises(NoAnswer):
        await link.request(1, READ, timeout_ms=60)
    assert link.counts.failed == 1 and link.trouble
    link.close()
