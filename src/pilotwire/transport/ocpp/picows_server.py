"""The OCPP listener on picows: the fast one."""

from __future__ import annotations

import asyncio
import socket
import ssl as ssl_module
from functools import cached_property
from typing import Any

import aiofastnet
from picows import WSAutoPingStrategy, WSUpgradeRequest, WSUpgradeResponse, WSUpgradeResponseWithListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]

from pilotwire.transport.port import Receiver

from .handshake import Upgrade
from .listener import EdgeServer
from .opening import Opening
from .picows_link import Complaints, PicowsLink
from .turn import Turn

_READ_BUFFER = 4096
"""The buffer grows with the messages of a connection and does not shrink; most stations never send 4 KiB."""


class PicowsServer(EdgeServer):
    """`OcppServer` on picows and aiofastnet; runs on uvloop and on asyncio's own loop."""

    @cached_property
    def _turn(self) -> Turn:
        return Turn(self.loop)

    async def _connect(self, peer: socket.socket, opening: Opening, context: ssl_module.SSLContext | None) -> None:
        await aiofastnet.connect_accepted_socket(self.loop, lambda: opening, peer, **self._tls_options(context))

    def _upgrade(
        self,
        transport: asyncio.Transport,
        upgrade: Upgrade,
        receiver: Receiver,
        headers: list[tuple[str, str]],
        rest: bytes,
    ) -> None:
        message_limit = self.limits.message_limit(upgrade.subprotocol)
        link = PicowsLink(
            receiver,
            loop=self.loop,
            limits=self.limits,
            counters=self.counters,
            message_limit=message_limit,
            agreement=upgrade.extension,
            before_open=self.entered,
            left=self.left,
            turn=self._turn,
        )

        def answer(request: WSUpgradeRequest) -> WSUpgradeResponseWithListener:
            return WSUpgradeResponseWithListener(WSUpgradeResponse.create_101_response(headers), link)

        # picows' protocol from the first frame on; it is fed a request that has already been judged.
        frames: Any = WSProtocol(
            None,
            None,
            False,
            answer,
            Complaints(link),
            True,
            None,
            False,
            0,
            0,
            WSAutoPingStrategy.PING_PERIODICALLY,
            False,
            message_limit,
            None,
            _READ_BUFFER,
        )
        frames.connection_made(transport)
        transport.set_protocol(frames)
        # picows wants to read the request itself. It gets the least one that is sound, with the client's key.
        self._feed(
            frames,
            b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: " + upgrade.key + b"\r\n\r\n" + rest,
        )

    @staticmethod
    def _feed(frames: Any, data: bytes) -> None:
        """Put bytes into the protocol as if they had just been read."""
        view = memoryview(data)
        while view:
            buffer = frames.get_buffer(len(view))
            count = min(len(buffer), len(view))
            buffer[:count] = view[:count]
            frames.buffer_updated(count)
            view = view[count:]
