"""What passes on a V2G link, for whoever writes a capture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple


class Tapped(NamedTuple):
    """One V2GTP frame with its header, as it was sent or came; of TLS the plain text."""

    at_ms: int
    sent: bool
    carrier: Literal["udp", "tcp", "tls"]
    local: tuple[str, int]
    peer: tuple[str, int]
    frame: bytes


Tap = Callable[[Tapped], None]
