"""Files by HTTP for stations that really run: fetched from, and left at, the addresses that the central system names.

`pilotwire.station.ports.Files`. One client for any number of stations; bounded in size and time. A simulated station
does what it is told, as a real one does: run it where it may reach those addresses.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

FETCH_AT_MOST = 64 << 20
"""Bytes: images of simulated stations are small."""
TIMEOUT_S = 60.0


class HttpFiles:
    """See the module. Made and used inside a running loop; `close` ends what is under way."""

    def __init__(self) -> None:
        self._client: httpx.AsyncClient | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def fetch(self, url: str, done: Callable[[bytes | None], None]) -> None:
        """Get a whole file; `done` is called once, later, with None when it cannot be had."""
        self._spawn(self._fetch(url, done))

    def leave(self, url: str, name: str, data: bytes, done: Callable[[bool], None]) -> None:
        """Leave a whole file there; `done` is called once, later, with whether it was taken."""
        self._spawn(self._leave(url, data, done))

    def publish(self, name: str, data: bytes) -> Sequence[str]:
        """Nothing is offered to others from here."""
        return ()

    def withdraw(self, name: str) -> bool:
        """Nothing was."""
        return False

    async def close(self) -> None:
        """End what is under way."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()
            self._client = None

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _http(self) -> httpx.AsyncClient:
        import httpx

        if self._client is None:
            self._client = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False)
        return self._client

    async def _fetch(self, url: str, done: Callable[[bytes | None], None]) -> None:
        import httpx

        found: bytes | None = None
        try:
            async with self._http().stream("GET", url) as answer:
                if answer.status_code == 200:
                    data = bytearray()
                    async for piece in answer.aiter_raw():
                        data += piece
                        if len(data) > FETCH_AT_MOST:
                            break
                    else:
                        found = bytes(data)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.info("a file could not be fetched: %s", type(error).__name__)
        done(found)

    async def _leave(self, url: str, data: bytes, done: Callable[[bool], None]) -> None:
        import httpx

        taken = False
        try:
            taken = (await self._http().put(url, content=data)).is_success
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            log.info("a file could not be left: %s", type(error).__name__)
        done(taken)
