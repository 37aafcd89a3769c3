"""The HTTP server, inside the loop that is running already."""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from litestar import Litestar

from pilotwire.core.errors import ConfigError

from .context import ApiContext
from .live import close_hubs
from .wire import Wire

log = logging.getLogger(__name__)


class _Quiet(uvicorn.Server):
    """Signals belong to the composition root."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ApiServer:
    """uvicorn without its signal handlers and logs. `stop` ends streams first, so that it takes no time.

    `warm`: what is made on first use (the document, templates, the index of a large fleet) is made right after the
    start, beside the first requests, so that nobody has to wait for it.
    """

    def __init__(self, app: Litestar, *, warm: bool = False) -> None:
        self._app = app
        self._warm = warm
        self._warming: asyncio.Task[None] | None = None
        self._server: _Quiet | None = None
        self._task: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    async def start(self, host: str = "127.0.0.1", port: int = 8080) -> None:
        """Listen. Raises ConfigError where the address cannot be had."""
        listening = _listen(host, port)
        config = uvicorn.Config(
            self._app,
            access_log=False,
            log_config=None,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=3,
            timeout_keep_alive=30,
            ws="none",
            http=Wire,
            h11_max_incomplete_event_size=32_768,
        )
        self._server = _Quiet(config)
        self._socket = listening
        self._task = asyncio.get_running_loop().create_task(self._server.serve(sockets=[listening]), name="api server")
        while not self._server.started:
            if self._task.done():
                self._task.result()
                raise ConfigError(f"the API did not start on {host}:{port}")
            await asyncio.sleep(0.005)
        if self._warm:
            self._warming = asyncio.get_running_loop().create_task(self._make_warm(), name="api warm-up")

    async def _make_warm(self) -> None:
        for work in self._app.state.get("warm", ()):
            try:
                if inspect.iscoroutinefunction(work):
                    await work()
                else:
                    await asyncio.to_thread(work)
            except Exception:  # it will be tried again by whoever needs it, and fail in their face
                log.exception("something could not be made in advance")

    @property
    def port(self) -> int:
        """The port that is listened on."""
        assert self._socket is not None, "not started"
        return int(self._socket.getsockname()[1])

    async def stop(self) -> None:
        """End streams, let answers finish, close."""
        state: Any = self._app.state
        context: ApiContext = state.context
        close_hubs(context)
        if self._warming is not None:
            self._warming.cancel()
            await asyncio.wait((self._warming,))
            self._warming = None
        if self._server is None or self._task is None:
            return
        self._server.should_exit = True
        await self._task
        self._server = self._task = None


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(1024)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise ConfigError(
            f"the API cannot listen on {host}:{port}: {error.strerror}; choose another with --http"
        ) from error
    return listening
