"""Reads of 60 registers, beside pymodbus in the same run: the codecs alone, and client and server over real TCP.

python -m bench.modbus [--reads 20000] [--connections 50] [--json]

A read of the codecs is all four steps of it: request written and read, answer written and read, TCP framing with it.
Over TCP both ends run in this one process, so that its CPU time is that of the client and the server together; every
connection has one read out at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import uvloop
from pymodbus.client import AsyncModbusTcpClient
from pymodbus.framer import FramerSocket
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadHoldingRegistersResponse
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from pilotwire.protocols.modbus.adu import TcpDecoder, encode_tcp
from pilotwire.protocols.modbus.pdu import (
    ReadRegisters,
    Registers,
    decode_request,
    decode_response,
    encode_request,
    encode_response,
)
from pilotwire.protocols.modbus.server import ServerConfig
from pilotwire.transport.modbus.guard import Access, Guard
from pilotwire.transport.modbus.link import open_link
from pilotwire.transport.modbus.registers import Bank, MapHandler
from pilotwire.transport.modbus.server import Server
from pilotwire.transport.runtime import SteadyScheduler

COUNT = 60
WORDS = tuple(range(1000, 1000 + COUNT))


class Rates(NamedTuple):
    """Reads per CPU second."""

    ours: float
    theirs: float


def our_codec(reads: int) -> float:
    """Both ends of the codec, ours."""
    asked, told = TcpDecoder(), TcpDecoder()
    request = ReadRegisters(3, 100, COUNT)

    def read(at: int) -> tuple[int, ...]:
        (frame,) = asked.feed(encode_tcp(at & 0xFFFF, 1, encode_request(request)))
        answer = encode_response(decode_request(frame.pdu), Registers(WORDS))
        (frame,) = told.feed(encode_tcp(frame.transaction, frame.unit, answer))
        found = decode_response(request, frame.pdu)
        assert isinstance(found, Registers)
        return found.values

    return _rate(read, reads)


def their_codec(reads: int) -> float:
    """Both ends of the codec, pymodbus's."""
    server, client = FramerSocket(DecodePDU(True)), FramerSocket(DecodePDU(False))

    def read(at: int) -> tuple[int, ...]:
        number = 1 + at % 60_000
        ask = client.buildFrame(ReadHoldingRegistersRequest(1, number, address=100, count=COUNT))
        _, request = server.handleFrame(ask, 0, 0)
        assert request is not None and request.count == COUNT
        answer = ReadHoldingRegistersResponse(request.dev_id, request.transaction_id, registers=list(WORDS))
        _, response = client.handleFrame(server.buildFrame(answer), 1, number)
        assert response is not None
        return tuple(response.registers)

    return _rate(read, reads)


def _rate(read: Callable[[int], tuple[int, ...]], reads: int) -> float:
    for at in range(200):
        if read(at) != WORDS:
            raise RuntimeError("the codec does not read what it has written")
    begun = time.process_time()
    for at in range(reads):
        read(at)
    return reads / (time.process_time() - begun)


async def our_ends(reads: int, connections: int) -> float:
    """Our client and our server over TCP."""
    scheduler = SteadyScheduler()
    bank = Bank()
    bank.put(1, "holding", 100, WORDS)
    server = Server(Guard(MapHandler(bank), Access(), scheduler), ServerConfig(), scheduler, connections=connections)
    port = await server.listen("127.0.0.1", 0)
    links = [open_link(f"tcp://127.0.0.1:{port}") for _ in range(connections)]
    request = ReadRegisters(3, 100, COUNT)

    async def read(at: int) -> Any:
        return (await links[at].request(1, request)).values  # type: ignore[union-attr]

    try:
        return await _rate_of(read, reads, connections)
    finally:
        for link in links:
            link.close()
        await server.close()


async def their_ends(reads: int, connections: int) -> float:
    """pymodbus's client and server over TCP."""
    words = [SimData(100, values=list(WORDS), datatype=DataType.REGISTERS)]
    bits = [SimData(0, count=16, values=True, datatype=DataType.BITS)]
    server = ModbusTcpServer(SimDevice(1, simdata=(bits, bits, words, words)), address=("127.0.0.1", 0))
    await server.listen()
    port = server.transport.sockets[0].getsockname()[1]  # type: ignore[union-attr]
    clients = [AsyncModbusTcpClient("127.0.0.1", port=port) for _ in range(connections)]

    async def read(at: int) -> Any:
        return tuple((await clients[at].read_holding_registers(100, count=COUNT, device_id=1)).registers)

    try:
        for client in clients:
            await client.connect()
        return await _rate_of(read, reads, connections)
    finally:
        for client in clients:
            client.close()
        await server.shutdown()


async def _rate_of(read: Callable[[int], Awaitable[Any]], reads: int, connections: int) -> float:
    async def one(at: int, count: int) -> None:
        for _ in range(count):
            if await read(at) != WORDS:
                raise RuntimeError("the answer is not what was served")

    await asyncio.gather(*(one(at, 2) for at in range(connections)))
    each = max(1, reads // connections)
    begun = time.process_time()
    await asyncio.gather(*(one(at, each) for at in range(connections)))
    return each * connections / (time.process_time() - begun)


def codecs(reads: int) -> Rates:
    """The codecs alone."""
    return Rates(our_codec(reads), their_codec(max(200, reads // 4)))


def ends(reads: int, connections: int) -> Rates:
    """Client and server over TCP, both on uvloop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        mine = runner.run(our_ends(reads, connections))
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return Rates(mine, runner.run(their_ends(max(connections, reads // 8), connections)))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.modbus", description=__doc__)
    parser.add_argument("--reads", type=int, default=20_000)
    parser.add_argument("--connections", type=int, default=50)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = {"codecs": codecs(options.reads), "ends": ends(options.reads, options.connections)}
    if options.json:
        print(json.dumps({name: rates._asdict() for name, rates in found.items()}, indent=2))
        return 0
    for name, rates in found.items():
        print(f"{name}: {rates.ours:,.0f} reads per CPU second; pymodbus {rates.theirs:,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
