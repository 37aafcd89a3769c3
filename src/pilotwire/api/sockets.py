"""uvicorn's WebSockets, for boxes at sites."""

from __future__ import annotations

from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol


class Socket(WebSocketsSansIOProtocol):
    """The same; an upgrade that was refused with an answer of HTTP is no fault that is to be logged."""

    async def send(self, message: Any) -> None:
        """As ASGI has it."""
        await super().send(message)
        if message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True
