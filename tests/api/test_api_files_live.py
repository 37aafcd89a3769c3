"""Files over real sockets, by what our stations fetch and leave them with."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.conftest import KEY, World, seed
from tests.crypto.firmware_kit import image

from pilotwire.api.server import ApiServer
from pilotwire.transport.bus import CommandReply, CommandRequest
from pilotwire.transport.files import HttpFiles

DATA = image("2.0.0", 3_000_000)


class Live:
    """The server, a client with every right, a station's way to files."""

    def __init__(self, folder: Path) -> None:
        self.world = World()
        seed(self.world)
        self.world.context.files = folder
        self.asked: list[CommandRequest] = []
        self.world.bus.serve("command.default.CP-A", self._serve)
        self.server = ApiServer(self.world.app)
        self.files = HttpFiles()

    async def _serve(self, request: CommandRequest) -> CommandReply:
        self.asked.append(request)
        return CommandReply(command_id="c", outcome="answered", action=request.action, answer={"status": "Accepted"})

    def place(self) -> str:
        """Where the newest command sends the station."""
        return self.asked[-1].payload["location"].replace("http://localhost:8080", self.url)

    async def fetch(self, url: str) -> bytes | None:
        found: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self.files.fetch(url, found.set_result)
        return await found

    async def leave(self, url: str, data: bytes) -> bool:
        taken: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.files.leave(url, "x.log", data, taken.set_result)
        return await taken


@pytest.fixture
async def live(tmp_path: Path) -> Any:
    made = Live(tmp_path)
    await made.server.start("127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{made.server.port}"
    headers = {"Authorization": f"Bearer {KEY}"}
    async with httpx.AsyncClient(base_url=made.url, headers=headers) as client:
        made.client = client
        yield made
    await made.files.close()
    await made.server.stop()


async def test_an_image_goes_its_whole_way(live: Live) -> None:
    id = (await live.client.post("/api/v1/firmware", json={"version": "2.0.0"})).json()["id"]

    async def pieces() -> Any:
        for begin in range(0, len(DATA), 100_000):
            yield DATA[begin : begin + 100_000]

    headers = {"content-type": "application/octet-stream"}
    sent = await live.client.put(f"/api/v1/firmware/{id}/content", content=pieces(), headers=headers)
    assert sent.json()["sha256"] == hashlib.sha256(DATA).hexdigest()
    order = {"firmware_id": id, "reason": "a fault in the meter"}
    assert (await live.client.post("/api/v1/stations/CP-A/firmware-update", json=order)).status_code == 200
    assert await live.fetch(live.place()) == DATA
    part = await live.client.get(live.place(), headers={"range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, DATA[1000:2000])
    assert await live.fetch(f"{live.url}/files/{'A' * 43}/x") is None
    assert await live.fetch("http://127.0.0.1:9/x") is None
    assert await live.fetch("gopher://x") is None


async def test_a_log_goes_its_whole_way(live: Live) -> None:
    made = await live.client.post("/api/v1/stations/CP-A/logs", json={})
    assert made.status_code == 201, made.text
    assert await live.leave(live.place(), DATA)
    assert not await live.leave(live.place(), DATA), "a link takes one file"
    assert not await live.leave("http://127.0.0.1:9/x", b"x")
    got = await live.client.get(f"/api/v1/stations/CP-A/logs/{made.json()['id']}/content")
    assert got.content == DATA


async def test_who_goes_away_in_the_middle_leaves_nothing(live: Live, tmp_path: Path) -> None:
    """A connection that breaks costs nobody the link, and no half file stays."""
    made = await live.client.post("/api/v1/stations/CP-A/logs", json={})
    path = live.place().removeprefix(live.url)
    _, writer = await asyncio.open_connection("127.0.0.1", live.server.port)
    head = f"PUT {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
    writer.write(head.encode() + b"x" * 300_000)
    await writer.drain()
    while not list(tmp_path.rglob("*.part-*")):
        await asyncio.sleep(0.01)
    writer.close()
    async with asyncio.timeout(30):
        while list(tmp_path.rglob("*.part-*")):
            await asyncio.sleep(0.01)
    shown = (await live.client.get(f"/api/v1/stations/CP-A/logs/{made.json()['id']}")).json()
    assert shown["status"] == "waiting"
    assert await live.leave(live.place(), b"once more")
