"""Where the kit's connections come from: it dials a CSMS as a station, or listens for a station as its CSMS."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, cast
from urllib.parse import quote, unquote

from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus
from websockets.typing import Subprotocol

from . import polite
from .player import Player, Refused
from .settings import Settings
from .wire import Frame, Incoming, Sink, Wire

MAX_FRAME = 4_000_000


def subprotocol(version: str) -> str:
    return f"ocpp{version}"


class Dialled:
    """We are the station: every case has a connection of its own to the CSMS under test."""

    def __init__(self, url: str, version: str, settings: Settings, tls: Mapping[str, ssl.SSLContext | None]) -> None:
        """`tls`: contexts by name, "" for the usual one; `connect` steps choose others by name."""
        self._url = url.rstrip("/")
        self._version = version
        self._settings = settings
        self._tls = tls
        self._readers: dict[Player, list[tuple[Wire, asyncio.Task[None]]]] = {}

    async def open(self, player: Player, wanted: Mapping[str, Any]) -> Wire:
        """Dial. `wanted`: identity, user, password, subprotocols, tls, compress, url, instead of the usual."""
        identity = str(wanted.get("identity", self._settings.get("id")))
        offered: Sequence[str] = wanted.get("subprotocols", [subprotocol(self._version)])
        context = self._tls.get(str(wanted.get("tls", "")))
        headers: list[tuple[str, str]] = []
        password = wanted.get("password", self._settings.get("password"))
        if password:
            user = str(wanted.get("user", identity))
            pair = f"{user}:{password}".encode()
            headers.append(("Authorization", f"Basic {base64.b64encode(pair).decode()}"))
        url = str(wanted.get("url", self._url)).rstrip("/")
        try:
            connection = await connect(
                f"{url}/{quote(identity, safe='')}",
                subprotocols=[Subprotocol(each) for each in offered] or None,
                additional_headers=headers,
                ssl=context if url.startswith("wss:") else None,
                compression="deflate" if wanted.get("compress") else None,
                open_timeout=player.timeout_s,
                close_timeout=2,
                max_size=MAX_FRAME,
                ping_interval=None,
            )
        except InvalidStatus as error:
            raise Refused(error.response.status_code, str(error)) from error
        except (OSError, InvalidHandshake, EOFError) as error:
            raise Refused(0, f"not opened: {error or type(error).__name__}") from error
        wire = Wire(connection, self._version, player)
        self._readers.setdefault(player, []).append((wire, asyncio.create_task(wire.run())))
        return wire

    async def leave(self, player: Player) -> None:
        for wire, reader in self._readers.pop(player, []):
            with contextlib.suppress(ConnectionClosed, TimeoutError):
                await wire.close()
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)


class Idle:
    """Answers politely while no case is being played, and remembers nothing."""

    def __init__(self, version: str, settings: Settings) -> None:
        self._version = version
        self._settings = settings
        self._tasks: set[asyncio.Task[None]] = set()

    def frame(self, frame: Frame) -> None:
        """Nobody looks at it."""

    def lost(self, wire: Wire, code: int) -> None:
        """The station comes back or not."""

    def called(self, wire: Wire, call: Incoming) -> None:
        if call.is_send or (call.fault and "not valid" in call.fault):
            return
        reply = polite.as_csms(self._version, call.action, call.payload, self._settings)
        task = asyncio.create_task(wire.result(call, reply))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Listening:
    """We are the CSMS: one station under test connects, and stays over all cases."""

    def __init__(self, version: str, settings: Settings) -> None:
        self._version = version
        self._settings = settings
        self._idle = Idle(version, settings)
        self._sink: Sink = self._idle
        self._wire: Wire | None = None
        self._changed = asyncio.Event()
        self._ready = False
        """It has said something that only a station says that takes itself for accepted."""

    # -- as a Sink: whoever plays at the moment
    def frame(self, frame: Frame) -> None:
        self._sink.frame(frame)

    def called(self, wire: Wire, call: Incoming) -> None:
        self._sink.called(wire, call)
        if call.action != "BootNotification" and not self._ready:
            self._ready = True
            self._changed.set()

    def lost(self, wire: Wire, code: int) -> None:
        if self._wire is wire:
            self._wire = None
        self._sink.lost(wire, code)

    async def serve(self, connection: ServerConnection) -> None:
        """A station has connected."""
        wire = Wire(connection, self._version, self)
        path = connection.request.path if connection.request is not None else "/"
        identity = unquote(path.rstrip("/").rpartition("/")[2])
        wanted = self._settings.get("station")
        if (wanted and identity != wanted) or connection.subprotocol is None:
            return
        self._settings.values["id"] = identity
        self._wire = wire
        if isinstance(self._sink, Player):
            self._sink.wire = wire
        self._changed.set()
        await wire.run()

    async def open(self, player: Player, wanted: Mapping[str, Any]) -> Wire:
        """The station's connection, now or as soon as it is there. `fresh` wants a new one."""
        old = self._wire if wanted.get("fresh") else None
        self._sink = player
        while self._wire is None or self._wire is old or self._wire.closed.is_set() or not self._ready:
            self._changed.clear()
            await self._changed.wait()
        return self._wire

    async def leave(self, player: Player) -> None:
        self._sink = self._idle


@asynccontextmanager
async def listening(
    host: str, port: int, version: str, settings: Settings, context: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[Listening, int]]:
    """Listen for the station under test; gives the port that it is."""
    place = Listening(version, settings)
    server: Server = await serve(
        place.serve,
        host,
        port,
        subprotocols=[Subprotocol(subprotocol(version))],
        ssl=context,
        max_size=MAX_FRAME,
        ping_interval=None,
        close_timeout=2,
    )
    try:
        address = cast("tuple[str, int]", next(iter(server.sockets)).getsockname())
        yield place, address[1]
    finally:
        server.close()
        await server.wait_closed()
