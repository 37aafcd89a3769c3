"""The server over TCP, RTU over TCP and a serial line: for our client, for pymodbus's, for those who behave badly."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from pymodbus import FramerType
from pymodbus.client import AsyncModbusSerialClient, AsyncModbusTcpClient

from pilotwire.core.errors import ConfigError
from pilotwire.protocols.modbus.adu import encode_rtu, encode_tcp
from pilotwire.protocols.modbus.client import WRITE, ClientConfig
from pilotwire.protocols.modbus.errors import GatewayTargetFailed, IllegalDataValue, NoAnswer, ServerDeviceFailure
from pilotwire.protocols.modbus.identification import Identification
from pilotwire.protocols.modbus.pdu import (
    DONE,
    ReadIdentification,
    ReadRegisters,
    ReadWriteRegisters,
    Registers,
    Request,
    WriteRegister,
    WriteRegisters,
    encode_request,
)
from pilotwire.protocols.modbus.server import ServerConfig
from pilotwire.transport.modbus.carriers import parse_endpoint
from pilotwire.transport.modbus.guard import LOOPBACK, Access, Guard, Writable
from pilotwire.transport.modbus.link import Backoff, open_link
from pilotwire.transport.modbus.registers import Bank, Caller, Handler, MapHandler, Outcome
from pilotwire.transport.modbus.server import SerialServer, Server, _Connection
from pilotwire.transport.runtime import SteadyScheduler

ACCESS = Access(
    clients=(*LOOPBACK, "serial"),
    writers=(*LOOPBACK, "serial"),
    writable=(*(Writable(address=at, high=1000) for at in range(100, 220)), Writable(address=3, table="coils")),
)


def bank() -> Bank:
    made = Bank()
    for unit in (1, 2):
        made.put(unit, "holding", 100, list(range(200)))
        made.put(unit, "input", 0, [unit] * 4)
        made.put(unit, "coils", 0, [1] * 8)
        made.describe(unit, {0: b"Maker", 1: b"Thing", 2: b"1.0", 4: b"Long name"})
    return made


@asynccontextmanager
async def serving(
    framing: Any, cable: tuple[str, str], access: Access = ACCESS, handler: Handler | None = None
) -> AsyncIterator[tuple[Any, str]]:
    """A server, and the address at which it is found; `framing` is tcp, rtu+tcp or rtu."""
    scheduler = SteadyScheduler()
    guard = Guard(handler or MapHandler(bank()), access, scheduler)
    config = ServerConfig(framing="tcp" if framing == "tcp" else "rtu", units=frozenset((1, 2)))
    if framing == "rtu":
        port = SerialServer(guard, config, scheduler, parse_endpoint(f"rtu://{cable[0]}?baud=115200"))  # type: ignore[arg-type]
        try:
            yield port, f"rtu://{cable[1]}?baud=115200"
        finally:
            port.close()
        return
    server = Server(guard, config, scheduler)
    number = await server.listen("127.0.0.1", 0)
    try:
        yield server, f"{framing}://127.0.0.1:{number}"
    finally:
        await server.close()


ALL = pytest.mark.parametrize("framing", ["tcp", "rtu+tcp", "rtu"])


@ALL
async def test_our_client(framing: str, cable: tuple[str, str]):
    async with serving(framing, cable) as (server, address):
        link = open_link(address, ClientConfig(answer_ms=300))
        try:
            assert await link.request(1, ReadRegisters(3, 100, 125)) == Registers(tuple(range(125)))
            assert await link.request(2, WriteRegisters(100, (7, 8)), priority=WRITE) == DONE
            assert await link.request(2, ReadWriteRegisters(100, 3, 101, (9,))) == Registers((7, 9, 2))
            with pytest.raises(IllegalDataValue):
                await link.request(2, WriteRegister(100, 1001))
            told = await link.request(1, ReadIdentification(2))
            assert isinstance(told, Identification) and told.text(4) == "Long name"
            with pytest.raises(GatewayTargetFailed if framing == "tcp" else NoAnswer):
                await link.request(3, ReadRegisters(3, 100, 1))
            assert await link.request(1, ReadRegisters(4, 0, 1)) == Registers((1,))
            many = await asyncio.gather(*(link.request(1, ReadRegisters(3, 100 + at, 2)) for at in range(20)))
            assert many == [Registers((at, at + 1)) for at in range(20)]
            assert link.requests.malformed == link.requests.late == 0 and server.counts.malformed == 0
        finally:
            link.close()


def pymodbus_client(framing: str, address: str) -> Any:
    if framing == "rtu":
        return AsyncModbusSerialClient(address[6:].partition("?")[0], framer=FramerType.RTU, baudrate=115200, timeout=1)
    port = int(address.rpartition(":")[2])
    framer = FramerType.SOCKET if framing == "tcp" else FramerType.RTU
    return AsyncModbusTcpClient("127.0.0.1", port=port, framer=framer, timeout=1)


@ALL
async def test_the_client_of_pymodbus(framing: str, cable: tuple[str, str]):
    async with serving(framing, cable) as (server, address):
        client = pymodbus_client(framing, address)
        try:
            assert await client.connect()
            assert (await client.read_holding_registers(100, count=125, device_id=1)).registers == list(range(125))
            assert (await client.read_input_registers(0, count=2, device_id=2)).registers == [2, 2]
            assert not (await client.write_register(100, 77, device_id=1)).isError()
            assert not (await client.write_registers(101, [5, 6], device_id=1)).isError()
            assert not (await client.write_coil(3, False, device_id=1)).isError()
            assert (await client.read_coils(0, count=8, device_id=1)).bits[:8] == [True] * 3 + [False] + [True] * 4
            both = await client.readwrite_registers(
                read_address=100, read_count=3, write_address=102, values=[9], device_id=1
            )
            assert both.registers == [77, 5, 9]
            told = await client.read_device_information(read_code=1, object_id=0, device_id=1)
            assert told.information[0] == b"Maker"
            assert (await client.write_register(100, 1001, device_id=1)).exception_code == 3
            assert (await client.write_register(250, 1, device_id=1)).exception_code == 2
            assert (await client.read_holding_registers(299, count=2, device_id=1)).exception_code == 2
            assert server.counts.exceptions == 3 and server.counts.malformed == 0
        finally:
            client.close()


@pytest.mark.parametrize("framing", ["tcp", "rtu"])
async def test_mbpoll(framing: str, cable: tuple[str, str]):
    async with serving(framing, cable) as (server, address):
        where = [address[6:].partition("?")[0]] if framing == "rtu" else ["127.0.0.1"]
        how = ["-m", "rtu", "-b", "115200", "-P", "none"] if framing == "rtu" else ["-p", address.rpartition(":")[2]]

        async def poll(*more: str) -> str:
            program = await asyncio.create_subprocess_exec(
                "mbpoll", *how, "-a", "1", "-0", "-q", "-o", "1", "-t", "4", *more, stdout=-1, stderr=-2
            )
            async with asyncio.timeout(90):
                return (await program.communicate())[0].decode()

        told = await poll("-r", "100", "-c", "4", "-1", *where)
        assert [line.split()[1] for line in told.splitlines() if line.startswith("[")] == ["0", "1", "2", "3"], told
        assert "Written 2 references" in await poll("-r", "101", *where, "77", "78")
        assert "Illegal data value" in await poll("-r", "101", *where, "1001")
        told = await poll("-r", "101", "-c", "2", "-1", *where)
        assert [line.split()[1] for line in told.splitlines() if line.startswith("[")] == ["77", "78"], told
        assert server.counts.malformed == 0


async def test_many_clients_at_once_and_one_too_many(cable: tuple[str, str]):
    async with serving("tcp", cable) as (server, address):
        server._most = 8
        links = [open_link(address, ClientConfig(window=4)) for _ in range(8)]
        asked = [link.request(1 + at % 2, ReadRegisters(3, 100 + at, 3)) for at in range(20) for link in links]
        found = await asyncio.gather(*asked)
        assert found == [Registers((at, at + 1, at + 2)) for at in range(20) for _ in links]
        reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        with suppress(ConnectionResetError):
            async with asyncio.timeout(90):
                assert await reader.read() == b"", "hung up on"
        assert server.totals.connected == 8 and server.totals.refused == 1
        writer.close()
        for link in links:
            link.close()
        while server._open:
            await asyncio.sleep(0.01)
        assert server.counts.requests == 160


async def test_who_may_not_connect(cable: tuple[str, str]):
    async with serving("tcp", cable, Access(clients=("10.0.0.0/8",))) as (server, address):
        link = open_link(address, backoff=Backoff(first_ms=10))
        with pytest.raises(NoAnswer):
            await link.request(1, ReadRegisters(3, 100, 1), timeout_ms=100)
        assert server.totals.refused and link.counts.lost and server.totals.connected == 0
        link.close()
    with pytest.raises(ConfigError):
        async with serving("rtu", cable, Access()):
            raise AssertionError("a bus whose client nobody has named is served")


class Rude:
    """An application that raises what it must not, for one address."""

    def handle(self, caller: Caller, unit: int, request: Request, reply: Callable[[Outcome], None]) -> None:
        if isinstance(request, ReadRegisters) and request.address == 13:
            raise KeyError("planted")
        MapHandler(bank()).handle(caller, unit, request, reply)


async def test_an_application_that_fails_is_answered_for(cable: tuple[str, str]):
    async with serving("tcp", cable, handler=Rude()) as (server, address):
        link = open_link(address)
        with pytest.raises(ServerDeviceFailure):
            await link.request(1, ReadRegisters(3, 13, 1))
        assert await link.request(1, ReadRegisters(3, 100, 1)) == Registers((0,))
        assert server.totals.failed == 1
        link.close()


async def test_what_is_no_modbus_is_hung_up_on_and_pieces_are_put_together(cable: tuple[str, str]):
    async with serving("tcp", cable) as (server, address):
        port = int(address.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for byte in encode_tcp(9, 1, encode_request(ReadRegisters(3, 101, 1))):
            writer.write(bytes((byte,)))
            await asyncio.sleep(0)
        assert await reader.readexactly(11) == encode_tcp(9, 1, b"\x03\x02\x00\x01")
        writer.write(b"GET / HTTP/1.1\r\n\r\n")
        assert await reader.read() == b""
        writer.close()
        assert server.counts.malformed == 1


class Stuck:
    """The transport of a client that does not read."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.waiting = 0

    def get_extra_info(self, name: str) -> tuple[str, int]:
        return "127.0.0.1", 1

    def set_write_buffer_limits(self, high: int) -> None:
        self.high = high

    def get_write_buffer_size(self) -> int:
        return self.waiting

    def is_closing(self) -> bool:
        return "abort" in self.done

    def write(self, data: bytes) -> None:
        self.waiting += len(data)

    def __getattr__(self, name: str) -> Callable[[], None]:
        return lambda: self.done.append(name)


async def test_a_client_that_does_not_read_is_not_read_from(cable: tuple[str, str]):
    async with serving("tcp", cable) as (server, _):
        stuck = Stuck()
        connection = _Connection(server)
        connection.connection_made(stuck)  # type: ignore[arg-type]
        assert stuck.high == server.backlog
        connection.pause_writing()
        connection.resume_writing()
        assert stuck.done == ["pause_reading", "resume_reading"]
        ask = encode_tcp(1, 1, encode_request(ReadRegisters(3, 100, 125)))
        for _ in range(30):
            connection.data_received(ask * 20)
        assert stuck.done[2] == "abort" and stuck.waiting < 5 * server.backlog and server.totals.stuck > 0
        connection.connection_lost(None)
        assert not server._open


class Device(asyncio.Protocol):
    """One that behaves badly, each time in the way that its list says."""

    def __init__(self, ways: list[str]) -> None:
        self.ways = ways

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        way = self.ways.pop(0) if self.ways else "good"
        good = data[:5] + bytes((5, data[6])) + b"\x03\x02\x00\x07"
        if way == "close":
            self.transport.close()
        elif way == "noise":
            self.transport.write(b"\xff" * 30)
        elif way == "twice":
            self.transport.write(good + good)
        elif way == "foreign":
            self.transport.write(bytes((data[0] ^ 0x80,)) + good[1:])
        elif way == "wrong unit":
            self.transport.write(good[:6] + b"\x09" + good[7:])
        elif way == "short":
            self.transport.write(good[:5] + b"\x04" + good[6:-1])
        elif way == "pieces":
            for at in range(len(good)):
                self.transport.write(good[at : at + 1])
        elif way == "good":
            self.transport.write(good)


async def test_devices_that_behave_badly():
    ways = ["good", "close", "noise", "twice", "foreign", "wrong unit", "short", "pieces", "silent", "good"]
    server = await asyncio.get_running_loop().create_server(lambda: Device(ways), "127.0.0.1", 0)
    link = open_link(
        f"tcp://127.0.0.1:{server.sockets[0].getsockname()[1]}", ClientConfig(answer_ms=40), Backoff(first_ms=5)
    )
    told: list[str] = []
    for at in range(10):
        try:
            assert await link.request(1, ReadRegisters(3, at, 1)) == Registers((7,))
            told.append("good")
        except Exception as error:
            told.append(getattr(error, "why", type(error).__name__))
    assert told == ["good", "lost", "lost", "good", "silent", "silent", "FrameError", "good", "silent", "good"]
    counts = link.requests
    assert (counts.late, counts.foreign, counts.silent, counts.lost) == (1, 2, 3, 2)
    assert link.counts.connected == 3
    link.close()
    server.close()


def test_rtu_frames_are_those_of_pymodbus():
    assert encode_rtu(1, encode_request(ReadRegisters(3, 0, 1))).hex() == "010300000001840a"
