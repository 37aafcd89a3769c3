"""Who tried to connect as a station lately, and why it was refused."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from .base import PageOf, Time


class HandshakeShown(msgspec.Struct, kw_only=True):
    """An attempt to connect in the name of a station. Who is refused has proved nothing: it may be somebody else."""

    time: Time
    peer: Annotated[str, Meta(description="Address and port it came from", examples=["203.0.113.9:50312"])]
    accepted: bool
    status: Annotated[int, Meta(description="HTTP status that was answered; 101 where it became a WebSocket; 0: none")]
    reason: Annotated[str, Meta(description="In one word; empty where it was let in", examples=["wrong-credential"])]
    title: Annotated[str, Meta(description="What was wrong", examples=["The password is wrong"])]
    advice: Annotated[str, Meta(description="What to do about it")]
    path: Annotated[str, Meta(examples=["/ocpp/CP-1001"])]
    user: Annotated[str, Meta(description="User of HTTP Basic authentication; empty: none was sent")]
    offered: Annotated[list[str], Meta(description="Subprotocols that it offered", examples=[["ocpp1.6"]])]
    tls: bool
    detail: Annotated[str, Meta(description="What TLS says of its failure")]


class HandshakePage(PageOf[HandshakeShown], kw_only=True):
    """The last handshakes, newest first; forgotten when the server restarts."""
