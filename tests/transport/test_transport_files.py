"""How a station leaves a file over HTTP: as whom, and that it is not led elsewhere."""

from __future__ import annotations

import asyncio
import base64
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from pilotwire.crypto.certificates import make_authority, make_server
from pilotwire.transport.files import HttpFiles


class Shelf:
    """A server that notes what it is asked and answers every request the same."""

    def __init__(self, answer: str) -> None:
        self._answer = answer
        self.heads: list[str] = []

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.heads.append(head)
        lengths = [int(line[15:]) for line in head.splitlines() if line.lower().startswith("content-length:")]
        await reader.readexactly(sum(lengths))
        writer.write(f"HTTP/1.1 {self._answer}\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok".encode())
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


async def test_who_is_trusted_as_a_csms_is_trusted_with_files(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    ours, other = make_authority("Ours", now=now), make_authority("Other", now=now)
    made = make_server(ours, ["localhost"], now=now)
    (tmp_path / "chain.pem").write_text(made.certificate_pem)
    (tmp_path / "key.pem").write_text(made.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    shelf = Shelf("200 OK")
    server = await asyncio.start_server(shelf, "localhost", 0, ssl=context)
    url = f"https://localhost:{server.sockets[0].getsockname()[1]}/a"
    files = HttpFiles()

    async def both(way: Any) -> tuple[bool, bytes | None]:
        loop = asyncio.get_running_loop()
        left: asyncio.Future[Any] = loop.create_future()
        fetched: asyncio.Future[Any] = loop.create_future()
        way.leave(url, "x.log", b"data", left.set_result)
        way.fetch(url, fetched.set_result)
        return await asyncio.wait_for(left, 30), await asyncio.wait_for(fetched, 30)

    assert await both(files) == (False, None)
    assert await both(files.trust(other.certificate_pem)) == (False, None)
    assert await both(files.trust("no certificate")) == (False, None)
    assert shelf.heads == []
    assert await both(files.trust(other.certificate_pem + ours.certificate_pem)) == (True, b"ok")
    await files.close()
    server.close()
