"""Files by HTTP for stations that really run: fetched from, and left at, the addresses that the central system names.

`pilotwire.station.ports.Files`. One client for any number of stations; bounded in size and time. A simulated station
does what it is told, as a real one does: run it where it may reach those addresses.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

log = logging.getLogger(__name__)

FETCH_AT_MOST = 64 << 20
"""Bytes: images of simulated stations are small."""
TIMEOUT_S = 60.0
_MOST_CLIENTS = 16
"""One for each set of roots that a station trusts; the one that was made first goes first."""


class HttpFiles:
    """See the module. Made and used inside a running loop; `close` ends what is under way."""

    def __init__(self) -> None:
        self._clients: dict[str, httpx.AsyncClient] = {}
        """By the roots (PEM) that are trusted besides the system's."""
        self._tasks: set[asyncio.Task[None]] = set()

    def trust(self, roots: str) -> Trusted:
        """The same way, with these roots (PEM) too."""
        return Trusted(self, roots)

    def fetch(self, url: str, done: Callable[[bytes | None], None], roots: str = "") -> None:
        """Get a whole file; `done` is called once, later, with None when it cannot be had."""
        self._spawn(self._fetch(url, done, roots))

    def leave(self, url: str, name: str, data: bytes, done: Callable[[bool], None], roots: str = "") -> None:
        """Leave a whole file there; `done` is called once, later, with whether it was taken."""
        self._spawn(self._leave(url, data, done, roots))

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
        clients, self._clients = self._clients, {}
        for client in clients.values():
            await client.aclose()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _http(self, roots: str) -> httpx.AsyncClient:
        """Raises ssl.SSLError for roots that are none."""
        import httpx

        found = self._clients.get(roots)
        if found is not None:
            return found
        trust = httpx.create_ssl_context(trust_env=False)
        trust.load_default_certs()
        if roots:
            trust.load_verify_locations(cadata=roots)
        client = httpx.AsyncClient(timeout=TIMEOUT_S, follow_redirects=False, trust_env=False, verify=trust)
        self._clients[roots] = client
        if len(self._clients) > _MOST_CLIENTS:
            await self._clients.pop(next(iter(self._clients))).aclose()
        return client

    async def _fetch(self, url: str, done: Callable[[bytes | None], None], roots: str) -> None:
        import httpx

        found: bytes | None = None
        try:
            async with (await self._http(roots)).stream("GET", url) as answer:
                if answer.status_code == 200:
                    data = bytearray()
                    async for piece in answer.aiter_raw():
                        data += piece
                        if len(data) > FETCH_AT_MOST:
                            break
                    else:
                        found = bytes(data)
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            log.info("a file could not be fetched: %s", type(error).__name__)
        done(found)

    async def _leave(self, url: str, data: bytes, done: Callable[[bool], None], roots: str) -> None:
        import httpx

        taken = False
        try:
            taken = (await (await self._http(roots)).put(url, content=data)).is_success
        except (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError) as error:
            log.info("a file could not be left: %s", type(error).__name__)
        done(taken)


class Trusted:
    """`HttpFiles` for one station: with the roots that it trusts."""

    def __init__(self, files: HttpFiles, roots: str) -> None:
        self._files = files
        self._roots = roots

    def fetch(self, url: str, done: Callable[[bytes | None], None]) -> None:
        """See `HttpFiles.fetch`."""
        self._files.fetch(url, done, self._roots)

    def leave(self, url: str, name: str, data: bytes, done: Callable[[bool], None]) -> None:
        """See `HttpFiles.leave`."""
        self._files.leave(url, name, data, done, self._roots)

    def publish(self, name: str, data: bytes) -> Sequence[str]:
        """See `HttpFiles.publish`."""
        return self._files.publish(name, data)

    def withdraw(self, name: str) -> bool:
        """See `HttpFiles.withdraw`."""
        return self._files.withdraw(name)
