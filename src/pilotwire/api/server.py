"""The HTTP server, inside the loop that is running already."""

from __future__ import annotations

import asyncio
import inspect
import logging
import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

import uvicorn
from litestar import Litestar

from pilotwire.core.errors import ConfigError
from pilotwire.protocols.sitelink import MOST_UP

from .context import ApiContext
from .live import close_hubs
from .wire import Wire

if TYPE_CHECKING:
    from .https import Https

log = logging.getLogger(__name__)

_LATER_S: Final = 2.0
"""How long after the start what can wait is made in advance: whoever has waited for the start is served first."""


class _Quiet(uvicorn.Server):
    """Signals belong to the composition root."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _carrier(**given: Any) -> asyncio.Protocol:
    """WebSockets, of which there are few: what they need is imported with the first."""
    from .sockets import Socket

    return Socket(**given)


class ApiServer:
    """uvicorn without its signal handlers and logs. `stop` ends streams first, so that it takes no time.

    `warm`: what is made on first use is made in advance. The index of a large fleet before the first connection is
    taken, since every page would wait for it; other templates and the API's document some seconds later. With `https`
    it speaks TLS.
    """

    def __init__(self, app: Litestar, *, warm: bool = False, https: Https | None = None) -> None:
        self._app = app
        self._https = https
        self._warm = warm
        self._warming: asyncio.Task[None] | None = None
        self._server: _Quiet | None = None
        self._task: asyncio.Task[None] | None = None
        self._socket: socket.socket | None = None

    async def start(
        self, host: str = "127.0.0.1", port: int = 8080, *, taken: socket.socket | None = None
    ) -> None:  # fmt: skip
        """Listen. Raises ConfigError where the address cannot be had. `taken`: it has been taken already, by a socket
        that is closed with the server."""
        option = "--https" if self._https else "--http"
        listening = taken or _bound(host, port, option)
        if self._warm:
            try:
                await self._make(self._app.state.get("first", ()))
            except BaseException:
                listening.close()
                raise
        with _to_be_had(listening, host, port, option):
            listening.listen(1024)
        config = uvicorn.Config(
            self._app,
            access_log=False,
            log_config=None,
            lifespan="off",
            server_header=False,
            timeout_graceful_shutdown=3,
            timeout_keep_alive=30,
            ws=cast("type[asyncio.Protocol]", _carrier),
            ws_max_size=MOST_UP,
            http=Wire,
            h11_max_incomplete_event_size=32_768,
            ssl_context_factory=self._context if self._https else None,
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
            self._warming = asyncio.get_running_loop().create_task(self._make_later(), name="api warm-up")

    def _context(self, *_: Any) -> ssl.SSLContext:
        assert self._https is not None
        return self._https.context

    async def _make_later(self) -> None:
        await asyncio.sleep(_LATER_S)
        await self._make(self._app.state.get("warm", ()))

    async def _make(self, works: Iterable[Callable[[], Any]]) -> None:
        for work in works:
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

    async def ended(self) -> None:
        """Waits until it serves no longer, by `stop` or because it has failed; raises what it has failed with."""
        if self._task is not None:
            await asyncio.wait((self._task,))
            if not self._task.cancelled():
                self._task.result()

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
        try:
            await self.ended()
        finally:
            for listening in getattr(self._server, "servers", ()):  # one that has failed has not closed them
                listening.close()
            if self._socket is not None and self._socket.fileno() >= 0:
                self._socket.close()
            self._server = self._task = None


@contextmanager
def _to_be_had(made: socket.socket, host: str, port: int, option: str) -> Iterator[None]:
    """An address that is refused is a ConfigError that says what to do; the socket is closed."""
    try:
        yield
    except OSError as error:
        made.close()
        raise ConfigError(
            f"the API cannot listen on {host}:{port}: {error.strerror}; choose another with {option}"
        ) from error


def _bound(host: str, port: int, option: str) -> socket.socket:
    """The address, taken; whoever connects is refused until it listens."""
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    with _to_be_had(made, host, port, option):
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.bind((host, port))
        made.setblocking(False)
    return made
