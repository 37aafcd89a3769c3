"""A station desk, raw sockets and both servers for the tests of the OCPP edge."""

from __future__ import annotations

import asyncio
import base64
import os
import ssl as ssl_module
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Any

import pytest
import uvloop

from pilotwire.transport.ocpp.limits import EdgeLimits
from pilotwire.transport.ocpp.listener import EdgeServer
from pilotwire.transport.ocpp.picows_server import PicowsServer
from pilotwire.transport.ocpp.websockets_server import WebsocketsServer
from pilotwire.transport.port import Handshake, Link, Receiver, Refuse

KEY = base64.b64encode(bytes(range(16))).decode()


class End:
    """A receiver that remembers what it is told, and answers each frame with it when `echo` is set."""

    def __init__(self, echo: bool = True) -> None:
        self.echo = echo
        self.link: Link | None = None
        self.frames: list[bytes] = []
        self.pongs = 0
        self.ended: list[tuple[int, str]] = []
        self.changed = asyncio.Event()

    def opened(self, link: Link) -> None:
        assert self.link is None, "opened twice"
        self.link = link
        self.changed.set()

    def frame(self, data: bytes) -> None:
        assert isinstance(data, bytes)
        assert not self.ended, "a frame after closed"
        self.frames.append(data)
        self.changed.set()
        if self.echo and self.link is not None:
            self.link.send(data)

    def pong(self) -> None:
        self.pongs += 1
        self.changed.set()

    def closed(self, code: int, reason: str) -> None:
        assert not self.ended, "closed twice"
        self.ended.append((code, reason))
        self.changed.set()

    async def until(self, condition: Callable[[End], Any]) -> None:
        """Wait for something that this end will be told."""
        async with asyncio.timeout(90):
            while not condition(self):
                self.changed.clear()
                await self.changed.wait()


class Desk:
    """An endpoint: refuses by identity ("refuse-403"), wants `password` where it is set, else admits."""

    def __init__(self, make: Callable[[], Any] = End) -> None:
        self.make = make
        self.password: bytes | None = None
        self.seen: list[Handshake] = []
        self.ends: list[Any] = []

    def admit(self, handshake: Handshake) -> Receiver | Refuse:
        self.seen.append(handshake)
        if handshake.identity.startswith("refuse-"):
            return Refuse(int(handshake.identity[7:]), "as asked")
        if handshake.identity == "explode":
            raise RuntimeError("the endpoint has a bug")
        if self.password is not None and handshake.password != self.password:
            return Refuse(401, "wrong password")
        end = self.make()
        self.ends.append(end)
        return end


class Raw:
    """A client that sends exactly the bytes it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int, ssl: ssl_module.SSLContext | None = None) -> Raw:
        return cls(
            *await asyncio.open_connection("127.0.0.1", port, ssl=ssl, server_hostname="localhost" if ssl else None)
        )

    def write(self, data: bytes) -> None:
        # uvloop raises where the server has ended the connection meanwhile; asyncio does not.
        if not self.writer.transport.is_closing():
            self.writer.write(data)

    def request(self, path: str, *headers: str, protocols: str | None = "ocpp2.0.1", upgrade: bool = True) -> None:
        lines = [f"GET {path} HTTP/1.1", "Host: localhost"]
        if upgrade:
            lines += ["Upgrade: websocket", "Connection: Upgrade", f"Sec-WebSocket-Key: {KEY}"]
            lines += ["Sec-WebSocket-Version: 13"]
        if protocols is not None:
            lines.append(f"Sec-WebSocket-Protocol: {protocols}")
        self.write("\r\n".join([*lines, *headers, "", ""]).encode("latin-1"))

    async def response(self) -> tuple[int, dict[str, str], str]:
        """(status, headers by lower-case name, body)."""
        async with asyncio.timeout(90):
            head = (await self.reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await self.reader.readexactly(int(headers.get("content-length", 0)))
        return int(first.split(" ")[1]), headers, body.decode()

    async def upgraded(self, path: str = "/ocpp/CS1", *headers: str, protocols: str | None = "ocpp2.0.1") -> Raw:
        self.request(path, *headers, protocols=protocols)
        status, _, body = await self.response()
        assert status == 101, (status, body)
        return self

    @staticmethod
    def encode(opcode: int, payload: bytes = b"", *, fin: bool = True, mask: bool = True, rsv: int = 0) -> bytes:
        head = bytearray([(0x80 if fin else 0) | rsv << 4 | opcode])
        flag = 0x80 if mask else 0
        if len(payload) < 126:
            head.append(flag | len(payload))
        elif len(payload) < 1 << 16:
            head += bytes([flag | 126]) + len(payload).to_bytes(2, "big")
        else:
            head += bytes([flag | 127]) + len(payload).to_bytes(8, "big")
        if mask:
            key = os.urandom(4)
            head += key
            payload = bytes(byte ^ key[index & 3] for index, byte in enumerate(payload))
        return bytes(head) + payload

    def frame(self, opcode: int, payload: bytes = b"", **options: Any) -> None:
        self.write(self.encode(opcode, payload, **options))

    def text(self, payload: bytes, **options: Any) -> None:
        self.frame(1, payload, **options)

    async def read_frame(self) -> tuple[int, bytes, int]:
        """(opcode, payload, reserved bits) of the next frame. IncompleteReadError at the end of the stream."""
        async with asyncio.timeout(90):
            first, second = await self.reader.readexactly(2)
            assert not second & 0x80, "a server must not mask"
            size = second & 0x7F
            if size == 126:
                size = int.from_bytes(await self.reader.readexactly(2), "big")
            elif size == 127:
                size = int.from_bytes(await self.reader.readexactly(8), "big")
            return first & 15, await self.reader.readexactly(size), first >> 4 & 7

    async def closed_with(self) -> int:
        """The code of the close frame, after any other frames; the TCP connection must end after it."""
        while True:
            opcode, payload, _ = await self.read_frame()
            if opcode == 8:
                break
        self.frame(8, payload[:2])
        await self.ended()
        return int.from_bytes(payload[:2], "big")

    async def ended(self) -> None:
        """The peer ends the TCP connection."""
        async with asyncio.timeout(90):
            try:
                while await self.reader.read(65536):
                    continue
            except ConnectionResetError:
                return

    async def close(self) -> None:
        self.writer.close()
        try:
            await self.writer.wait_closed()
        except (OSError, ssl_module.SSLError):
            return


class Edge:
    """A running server with its desk."""

    def __init__(self, server: EdgeServer, desk: Desk, secure: bool) -> None:
        self.server, self.desk, self.secure = server, desk, secure
        self.raws: list[Raw] = []

    @property
    def counters(self) -> Any:
        return self.server.counters

    def url(self, identity: str = "CS1") -> str:
        return f"{'wss' if self.secure else 'ws'}://localhost:{self.server.port}/ocpp/{identity}"

    async def raw(self, ssl: ssl_module.SSLContext | None = None) -> Raw:
        raw = await Raw.open(self.server.port, ssl)
        self.raws.append(raw)
        return raw

    async def station(self, path: str = "/ocpp/CS1", *headers: str, **options: Any) -> tuple[Raw, Any]:
        """An upgraded raw connection and the receiver at the other end."""
        known = len(self.desk.ends)
        raw = await (await self.raw()).upgraded(path, *headers, **options)
        return raw, self.desk.ends[known]

    async def unharmed(self) -> None:
        """Another station can still connect and talk."""
        raw, _ = await self.station("/ocpp/witness")
        raw.text(b"[2]")
        assert (await raw.read_frame())[:2] == (1, b"[2]")
        raw.frame(8, b"\x03\xe8")
        assert await raw.closed_with() == 1000


StartEdge = Callable[..., Awaitable[Edge]]


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "both_loops: run on asyncio's own event loop too, not only on uvloop")


def pytest_asyncio_loop_factories(config: pytest.Config, item: pytest.Item) -> dict[str, Callable[[], Any]]:
    loops: dict[str, Callable[[], Any]] = {"uvloop": uvloop.new_event_loop}
    if item.get_closest_marker("both_loops"):
        loops["asyncio"] = asyncio.new_event_loop
    return loops


@pytest.fixture(params=[PicowsServer, WebsocketsServer], ids=["picows", "websockets"])
def server_class(request: pytest.FixtureRequest) -> type[EdgeServer]:
    return request.param


@pytest.fixture
async def start(server_class: type[EdgeServer]) -> AsyncIterator[StartEdge]:
    """Start servers that are stopped after the test."""
    edges: list[Edge] = []

    async def begin(
        *,
        limits: EdgeLimits | None = None,
        ssl: Any = None,
        desk: Desk | None = None,
        server: EdgeServer | None = None,
        **options: Any,
    ) -> Edge:
        edge = Edge(server or server_class(**options), desk or Desk(), ssl is not None)
        edges.append(edge)
        await edge.server.start("127.0.0.1", 0, edge.desk, ssl=ssl, limits=limits)
        return edge

    yield begin
    for edge in edges:
        for raw in edge.raws:
            await raw.close()
        await edge.server.stop()
        assert edge.counters.open == 0
        for end in edge.desk.ends:
            if getattr(end, "link", None) is not None:
                assert len(end.ended) == 1, "every opened receiver is told once that it is over"


@pytest.fixture
def make_end() -> type[End]:
    return End


@pytest.fixture
def make_desk() -> type[Desk]:
    return Desk


@pytest.fixture
def encode() -> Callable[..., bytes]:
    return Raw.encode


@pytest.fixture
def open_raw() -> Callable[..., Awaitable[Raw]]:
    return Raw.open


__all__: Sequence[str] = ("Desk", "Edge", "End", "Raw", "StartEdge")
