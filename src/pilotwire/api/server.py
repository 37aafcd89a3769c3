"""The HTTP server, inside the loop that is running already."""

from __future__ import annotations

import asyncio
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


class _Quiet(uvicorn.Server):
    """Signals belong to the composition root."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class ApiServer:
    """uvicorn without its signal handlers and logs. `stop` ends streams first, so that it takes no time."""

    def __init__(self, app: Litestar) -> None:
        self._app = app
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
