"""The OCPP-J edge as the applications see it. picows and `websockets` implement it; one test-suite runs on both.

Nothing here is a coroutine: an application is an object whose methods are called inline by the frame callback, in the
order of arrival, and which answers through `Link.send` whenever it is ready.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

SUBPROTOCOLS = ("ocpp1.6", "ocpp2.0.1", "ocpp2.1")
"""What we speak; of what a client offers, the first of these in the *client's* order is taken."""


class Handshake(msgspec.Struct, frozen=True, kw_only=True):
    """An opening handshake before the upgrade, as far as admission needs it."""

    tenant: str
    identity: str
    """Percent-decoded exactly once from the last segment of the path."""
    subprotocol: str | None
    """The one that will be used; None when none is common: a receiver that is then returned is dropped unopened, and
    the connection opened without the header and closed at once (OCPP-J 1.6 3.1.2, 2.x part 4 3.1.2)."""
    user: bytes | None
    """Basic auth user, raw bytes; None without an Authorization header."""
    password: bytes | None
    """Raw bytes: a 1.6 AuthorizationKey need not be UTF-8."""
    peer: str
    """Address of the client, "host:port"."""
    tls: bool
    certificate: bytes | None = None
    """The client's verified certificate, DER; None when it showed none."""
    offered: tuple[str, ...] = ()
    """Every subprotocol that the client offered, a few at most."""
    path: str = ""
    """The request's path as it was sent, cut to a length."""


class Refuse(msgspec.Struct, frozen=True):
    """Do not upgrade: answer with this HTTP status (401, 403, 404, 409, 429, 503)."""

    status: int
    reason: str
    """For the log and the counter; the client is told only the status."""


class TurnedAway(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody whom the listener sent away before it could ask for admission: for those who look for the reason."""

    peer: str
    tls: bool
    status: int
    """HTTP status that was answered; 0 where it did not come to HTTP."""
    reason: str
    """wrong-path, user-mismatch, malformed-credential, blocked, not-websocket, bad-request, too-slow, stopping,
    tls-on-plain-port, not-http, tls-failed."""
    path: str = ""
    offered: tuple[str, ...] = ()
    user: bytes | None = None
    detail: str = ""
    """What TLS says of its failure."""


class Link(Protocol):
    """One open connection."""

    def send(self, frame: bytes) -> None:
        """Send one text frame. After close it does nothing."""
        ...

    def close(self, code: int = 1000, reason: str = "") -> None: ...

    def ping(self) -> None:
        """Send a ping; the receiver's `pong` is called when it is answered."""
        ...

    def pause(self) -> None:
        """Stop reading: TCP back-pressure on this peer alone."""
        ...

    def resume(self) -> None: ...

    @property
    def backlog(self) -> int:
        """Bytes that are still waiting to be written."""
        ...


class Receiver(Protocol):
    """What an application hands back for one connection."""

    def opened(self, link: Link) -> None: ...

    def frame(self, data: bytes) -> None:
        """One whole text message, UTF-8, within the size limit. Never called while paused nor after `Link.close`."""
        ...

    def pong(self) -> None: ...

    def closed(self, code: int, reason: str) -> None:
        """Called exactly once; the link is dead."""
        ...


class Endpoint(Protocol):
    """The application behind a listener."""

    def admit(self, handshake: Handshake) -> Receiver | Refuse:
        """Decide before the upgrade, at once and without waiting (credentials are in memory)."""
        ...


class Doorkeeper(Endpoint, Protocol):
    """An endpoint that also wants to hear of those who never came as far as admission."""

    def turned_away(self, attempt: TurnedAway) -> None: ...


class DialResult(msgspec.Struct, frozen=True, kw_only=True):
    """How an attempt to connect ended."""

    status: int
    """101 when the connection is open; the server's HTTP status when it refused; 0 when nothing answered with HTTP."""
    subprotocol: str | None = None
    """The server's choice; None with status 101 means that it spoke none of the offered: close the link."""
    reason: str = ""
    """For the log; empty on success."""

    @property
    def opened(self) -> bool:
        return self.status == 101


class Dialer(Protocol):
    """The client's end, for callback code: a station program reconnects through it live and in simulated time."""

    def dial(self, receiver: Receiver, offered: Sequence[str], done: Callable[[DialResult], None]) -> None:
        """Try once to connect, offering the subprotocols in order of preference. Returns at once.

        `done` is called exactly once, later. On success `receiver.opened` follows it directly, before any frame.
        After a failure the receiver is never touched. Where and as whom is the dialer's own configuration.
        """
        ...
