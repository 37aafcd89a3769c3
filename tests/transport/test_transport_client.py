"""The station's end: what a dial reports, and that a failed one leaves the receiver alone."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from pilotwire.transport.ocpp.client import ConnectFailed, LoopDialer, connect
from pilotwire.transport.ocpp.handshake import station_url
from pilotwire.transport.ocpp.limits import EdgeLimits
from pilotwire.transport.port import DialResult


@pytest.fixture
def server_class() -> Any:
    """The client does not care which server it is; the suite of the edge has both."""
    from pilotwire.transport.ocpp.picows_server import PicowsServer

    return PicowsServer


@pytest.fixture
async def stranger() -> AsyncIterator[Callable[..., Any]]:
    """A TCP server that answers every request with given bytes."""
    servers: list[asyncio.Server] = []

    async def begin(answer: Callable[[bytes], bytes], *, hang: bool = False) -> int:
        async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            key = next(
                line.split(b": ")[1] for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-k")
            )
            accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
            writer.write(answer(accept))
            if hang:
                await reader.read()
            writer.close()

        server = await asyncio.start_server(handle, "127.0.0.1", 0)
        servers.append(server)
        return int(server.sockets[0].getsockname()[1])

    yield begin
    for server in servers:
        server.close()
        await server.wait_closed()


def switching(accept: bytes, *headers: bytes) -> bytes:
    lines = [b"HTTP/1.1 101 Switching Protocols", b"Upgrade: websocket", b"Connection: Upgrade"]
    return b"\r\n".join([*lines, b"Sec-WebSocket-Accept: " + accept, *headers, b"", b""])


class Dial:
    """One dial and what came of it, in order."""

    def __init__(self, dialer: LoopDialer, end: Any, offered: tuple[str, ...] = ("ocpp2.0.1",)) -> None:
        self.events: list[Any] = []
        self.over = asyncio.Event()
        plain = end.opened

        def opened(link: Any) -> None:
            self.events.append("opened")
            plain(link)

        end.opened = opened
        dialer.dial(end, offered, self.done)
        assert self.events == [], "nothing happens before dial returns"

    def done(self, result: DialResult) -> None:
        self.events.append(result)
        self.over.set()

    async def result(self) -> DialResult:
        async with asyncio.timeout(90):
            await self.over.wait()
        await asyncio.sleep(0)
        return self.events[0]


@pytest.mark.both_loops
async def test_done_comes_before_opened(start: Any, make_end: Any) -> None:
    edge = await start()
    end = make_end(echo=False)
    dial = Dial(LoopDialer(edge.url(), user="CS1", password=b"\xff:"), end, ("ocpp2.1", "ocpp1.6"))
    assert await dial.result() == DialResult(status=101, subprotocol="ocpp2.1")
    assert dial.events == [DialResult(status=101, subprotocol="ocpp2.1"), "opened"]
    assert (edge.desk.seen[0].user, edge.desk.seen[0].password) == (b"CS1", b"\xff:")
    end.link.send(b"[2]")
    await end.until(lambda end: end.frames == [b"[2]"])
    end.link.ping()
    await end.until(lambda end: end.pongs == 1)
    edge.desk.ends[0].link.ping()
    await edge.desk.ends[0].until(lambda end: end.pongs == 1)
    end.link.close(1001, "bye")
    await end.until(lambda end: end.ended)
    await edge.desk.ends[0].until(lambda end: end.ended)
    assert end.ended == edge.desk.ends[0].ended == [(1001, "bye")]


@pytest.mark.parametrize("status", [401, 404, 429, 503])
async def test_a_refusal_reports_the_status(start: Any, make_end: Any, status: int) -> None:
    edge = await start()
    end = make_end()
    dial = Dial(LoopDialer(edge.url(f"refuse-{status}")), end)
    result = await dial.result()
    assert result.status == status and not result.opened and result.reason
    assert end.link is None and dial.events == [result]


async def test_nobody_listening_is_status_0(make_end: Any, unused_tcp_port: int) -> None:
    end = make_end()
    result = await Dial(LoopDialer(f"ws://127.0.0.1:{unused_tcp_port}/ocpp/CS1"), end).result()
    assert result.status == 0 and result.reason and end.link is None


@pytest.mark.parametrize(
    "answer",
    [
        lambda accept: b"",
        lambda accept: b"SSH-2.0-server\r\n\r\n",
        lambda accept: switching(b"wrong"),
        lambda accept: switching(accept, b"Sec-WebSocket-Protocol: ocpp9.9"),
        lambda accept: switching(accept, b"Sec-WebSocket-Extensions: permessage-deflate"),
        lambda accept: b"HTTP/1.1 301 Moved\r\nLocation: ws://127.0.0.1:1/\r\n\r\n",
        lambda accept: b"HTTP/1.1 101 " + b"x" * 100_000,
    ],
    ids=["eof", "not HTTP", "wrong accept", "unoffered subprotocol", "unoffered extension", "redirect", "bomb"],
)
async def test_a_server_that_is_none_fails_the_dial(
    stranger: Any, make_end: Any, answer: Callable[[bytes], bytes]
) -> None:
    port = await stranger(answer)
    end = make_end()
    result = await Dial(LoopDialer(f"ws://127.0.0.1:{port}/ocpp/CS1"), end).result()
    assert result.status in (0, 301) and result.reason
    assert end.link is None and end.ended == []


async def test_a_silent_server_times_out(stranger: Any, make_end: Any) -> None:
    port = await stranger(lambda accept: b"", hang=True)
    with pytest.raises(ConnectFailed) as caught:
        await connect(f"ws://127.0.0.1:{port}/", make_end(), subprotocols=["ocpp1.6"], timeout_s=0.2)
    assert caught.value.status == 0


async def test_no_common_subprotocol_opens_with_none_and_ends(start: Any, make_end: Any) -> None:
    edge = await start()
    end = make_end()
    dial = Dial(LoopDialer(edge.url()), end, ("ocpp1.2",))
    assert await dial.result() == DialResult(status=101, subprotocol=None)
    await end.until(lambda end: end.ended)
    assert end.ended[0][0] == 1002


async def test_attributes_may_change_between_dials(start: Any, make_end: Any) -> None:
    edge = await start()
    edge.desk.password = b"new"
    dialer = LoopDialer(edge.url(), user="CS1", password=b"old")
    assert (await Dial(dialer, make_end()).result()).status == 401
    dialer.password = b"new"
    end = make_end()
    assert (await Dial(dialer, end).result()).opened
    assert dialer.counters.open == 1
    end.link.close()
    await end.until(lambda end: end.ended)
    assert dialer.counters.open == 0 and dialer.counters.closed == {1000: 1}


async def test_large_messages_go_both_ways_and_too_large_ones_end_it(start: Any, make_end: Any) -> None:
    edge = await start()
    end = make_end(echo=False)
    await connect(edge.url(), end, subprotocols=["ocpp2.1"])
    end.link.send(b"x" * 262_144)
    await end.until(lambda end: end.frames)
    assert len(end.frames[0]) == 262_144
    edge.desk.ends[0].link.send(b"x" * 262_145)
    await end.until(lambda end: end.ended)
    assert end.ended[0][0] == 1009


async def test_a_hundred_stations_dial_at_once(start: Any, make_end: Any) -> None:
    edge = await start()
    ends = [make_end(echo=False) for _ in range(100)]
    await asyncio.gather(
        *(connect(edge.url(f"CS{index}"), end, subprotocols=["ocpp1.6"]) for index, end in enumerate(ends))
    )
    for end in ends:
        end.link.send(b"[2]")
    for end in ends:
        await end.until(lambda end: end.frames)
    assert edge.counters.open == 100
    await edge.server.drain(0.4)
    for end in ends:
        await end.until(lambda end: end.ended)
    assert [end.ended[0][0] for end in ends] == [1012] * 100


async def test_against_the_websockets_server(make_end: Any) -> None:
    async def handle(peer: ServerConnection) -> None:
        async for message in peer:
            await peer.send(message)

    async with serve(handle, "127.0.0.1", 0, subprotocols=["ocpp2.0.1"], ping_interval=0.05) as server:  # type: ignore[list-item]
        port = server.sockets[0].getsockname()[1]
        for compress in (False, True):
            end = make_end(echo=False)
            connected = await connect(
                f"ws://127.0.0.1:{port}/ocpp/CS1", end, subprotocols=["ocpp2.1", "ocpp2.0.1"], compress=compress
            )
            assert connected.subprotocol == "ocpp2.0.1"
            text = ('[2,"' + "ü" * 20_000 + '"]').encode()
            connected.link.send(text)
            await end.until(lambda end: end.frames)
            assert end.frames == [text]
            await asyncio.sleep(0.15)
            assert end.ended == [], "its pings are answered"
            connected.link.close()
            await end.until(lambda end: end.ended)
            assert end.ended == [(1000, "")]


async def test_limits_of_a_station_bound_a_hostile_server(stranger: Any, make_end: Any, encode: Any) -> None:
    flood = encode(1, b"x" * 100, mask=False) * 50
    port = await stranger(lambda accept: switching(accept) + flood, hang=True)
    end = make_end(echo=False)
    await connect(
        f"ws://127.0.0.1:{port}/", end, subprotocols=["ocpp1.6"], limits=EdgeLimits(rate_per_s=0, message_bytes=100)
    )
    await end.until(lambda end: len(end.frames) == 50)
    end.link.close()
    port = await stranger(lambda accept: switching(accept) + encode(1, b"masked"), hang=True)
    end = make_end(echo=False)
    await connect(f"ws://127.0.0.1:{port}/", end, subprotocols=["ocpp1.6"])
    await end.until(lambda end: end.ended)
    assert end.ended[0][0] == 1002 and end.frames == []


def test_station_urls() -> None:
    assert station_url("ws://h:9000/ocpp", "RDAM|123") == "ws://h:9000/ocpp/RDAM%7C123"
    assert station_url("ws://h:9000/ocpp/", "a/b", "acme") == "ws://h:9000/ocpp/acme/a%2Fb"
