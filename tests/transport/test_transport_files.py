"""How a station leaves a file over HTTP: as whom, and that it is not led elsewhere."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from pilotwire.transport.files import HttpFiles


class Shelf:
    """A server that notes what it is asked and answers every request the same."""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self.heads: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        length = next(int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:"))
        await reader.readexactly(length)
        writer.write(f"HTTP/1.1 {self._answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()


@pytest.mark.parametrize(
    ("answer", "taken"),
    [("201 Created", True), ("302 Found\r\nLocation: /elsewhere", False), ("307 Temporary Redirect", False),
     ("308 Permanent Redirect\r\nLocation: /elsewhere", False), ("403 Forbidden", False)],
)  # fmt: skip
async def test_a_file_is_left_where_it_was_asked_for_or_not_at_all(answer: str, taken: bool) -> None:
    shelf = Shelf(answer)
    server = await asyncio.start_server(shelf, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    files = HttpFiles()
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    files.leave(f"http://user:pass%20word@127.0.0.1:{port}/a?b=c", "x.log", b"data", done.set_result)
    assert await asyncio.wait_for(done, 30) is taken
    await files.close()
    server.close()
    [head] = shelf.heads
    assert head.startswith("PUT /a?b=c HTTP/1.1\r\n")
    basic = base64.b64encode(b"user:pass word").decode()
    assert f"authorization: Basic {basic}".lower() in head.lower()
