"""PyPI `websockets`' asyncio client for tests that wait line by line.

Its own blocking client reads in one thread and writes in another; before Python 3.13 an SSL object does not bear that,
and about one handshake in 500 is never sent. Here one thread does both.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine
from typing import Any

from websockets.asyncio.client import connect as connect_async


class Client:
    """One connection; ends with the block. Every wait ends within `patience_s`."""

    def __init__(self, url: str, *, patience_s: float = 60, **options: Any) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._patience_s = patience_s
        try:
            self._socket = self._run(self._open(url, options))
        except BaseException:
            self._end()
            raise

    async def _open(self, url: str, options: dict[str, Any]) -> Any:
        return await connect_async(url, open_timeout=self._patience_s, **options)

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(self._patience_s + 5)

    def _end(self) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(self._patience_s)
        self._loop.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._run(self._socket.close())
        finally:
            self._end()

    @property
    def subprotocol(self) -> str | None:
        return self._socket.subprotocol

    @property
    def cipher(self) -> str:
        """OpenSSL's name of the suite that was agreed."""
        return self._socket.transport.get_extra_info("cipher")[0]

    def send(self, text: str) -> None:
        self._run(self._socket.send(text))

    def recv(self) -> str:
        return self._run(asyncio.wait_for(self._socket.recv(), self._patience_s))
