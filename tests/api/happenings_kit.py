"""A world whose workers run: the journal is followed, webhooks are received by a real server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pilotwire.api.happenings.deliver import Deliverer
from pilotwire.api.happenings.mail import Mailer
from pilotwire.api.happenings.worker import Happenings
from pilotwire.api.workers import Workers

LIMIT_S = 60


async def until(holds: Callable[[], Awaitable[Any] | Any], what: str) -> Any:
    """Wait for a condition; the limit is for machines that stall."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            found = holds()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.01)
    raise AssertionError(what)


class Running:
    """Workers of a world, started and stopped as a process would."""

    def __init__(self, world: Any) -> None:
        self.world = world
        self._workers: Workers | None = None

    async def start(self) -> Running:
        self._workers = Workers(self.world.context, [Deliverer, Mailer, Happenings])
        await self._workers.start()
        assert len(self._workers.running) == 3
        return self

    async def stop(self) -> None:
        if self._workers is not None:
            await self._workers.stop()
            self._workers = None

    async def settle(self) -> None:
        """Everything committed until now has had its consequences at the present time."""
        await self.world.context.parts[Happenings].settle()

    async def pass_time(self, seconds: float) -> None:
        """Time passes, and what is due is done."""
        self.world.clock.run_for(round(seconds * 1000))
        await self.settle()

    def wake(self) -> None:
        """Let senders look at the clock."""
        deliverer: Deliverer | None = self.world.context.parts.get(Deliverer)
        if deliverer is not None:
            for pump in deliverer._pumps.values():
                pump.wake.set()
        mailer: Mailer | None = self.world.context.parts.get(Mailer)
        if mailer is not None:
            mailer.wake()


class Receiver:
    """A small HTTP server over a plain socket: answers what it is told to, keeps what it was sent."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[Any] = []
        """Of the next requests: a status, (status, headers), or "slow"; afterwards 204."""
        self.accepted = 0
        self._server: asyncio.Server | None = None
        self._hold = asyncio.Event()
        self.port = 0

    async def start(self, port: int = 0) -> Receiver:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def stop(self) -> None:
        self._hold.set()
        if self._server is not None:
            self._server.close()
            self._server = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?x=1"

    @property
    def events(self) -> list[dict[str, Any]]:
        """Bodies that were received."""
        return [json.loads(body) for _, body in self.requests]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                headers["request-line"] = head[0]
                body = await reader.readexactly(int(headers.get("content-length", "0")))
                self.accepted += 1
                answer = self.answers.pop(0) if self.answers else 204
                if answer == "slow":
                    await self._hold.wait()
                    return
                if answer == "hang-up":
                    return
                self.requests.append((headers, body))
                status, more = answer if isinstance(answer, tuple) else (answer, {})
                lines = [f"HTTP/1.1 {status} Whatever", *(f"{name}: {value}" for name, value in more.items())]
                text = b"thank you" if status != 204 else b""
                if status != 204:
                    lines.append(f"Content-Length: {len(text)}")
                writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + text)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()
