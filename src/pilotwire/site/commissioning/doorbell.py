"""Stations that knock where nobody is let in yet: who they are, so that they can be entered."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256

import msgspec

from pilotwire.transport.ocpp.picows_server import PicowsServer
from pilotwire.transport.port import Handshake, Receiver, Refuse

from ..addresses import address

MOST = 500
"""Strangers that are remembered; more are refused like these, and not noted."""


class Knock(msgspec.Struct, frozen=True, kw_only=True):
    """A station that has come to the local controller. `connected`: it was let in."""

    identity: str
    peer: str
    at_ms: int
    connected: bool = False
    password_sha256: str = ""
    """Of the password that it came with; empty: it came without one."""


class Doorbell:
    """Listens as the local controller will, and refuses everybody as unknown (404), which stations try again after."""

    def __init__(self, utc: Callable[[], int]) -> None:
        self.knocks: dict[str, Knock] = {}
        self._utc = utc
        self._server = PicowsServer(prefix="/ocpp")

    async def start(self, listen: str) -> int:
        """`listen`: HOST:PORT. Returns the port. Raises ConfigError for an address that is none, OSError for one that
        is taken."""
        host, port = address(listen)
        await self._server.start(host, port, self)
        return self._server.port

    async def stop(self) -> None:
        """Nobody is heard any more."""
        await self._server.drain(0)

    def admit(self, handshake: Handshake) -> Receiver | Refuse:
        """See `transport.port.Endpoint`."""
        known = handshake.identity in self.knocks
        if handshake.identity.isprintable() and (known or len(self.knocks) < MOST):
            self.knocks[handshake.identity] = Knock(
                identity=handshake.identity,
                peer=handshake.peer,
                at_ms=self._utc(),
                password_sha256="" if handshake.password is None else sha256(handshake.password).hexdigest(),
            )
        return Refuse(404, "being commissioned")
