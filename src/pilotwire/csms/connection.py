"""One connection of a station: what waits to be read, and to which epoch it belongs."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from pilotwire.protocols.ocpp.rpc.machine import Rpc
from pilotwire.transport.port import Handshake, Link

from .speech import Speech

if TYPE_CHECKING:
    from .actor import StationActor


class Connection:
    """`Receiver`: hands frames to its actor in order, holds them back while the actor cannot take them.

    What is held is bounded: beyond `held_frames` the link is not read any more, so the peer's TCP waits. Frames that
    had been read by then are held as well, never lost.
    """

    __slots__ = (
        "_incoming",
        "actor",
        "asked_streams",
        "backlogs",
        "deviations",
        "epoch",
        "held",
        "link",
        "open",
        "paused",
        "peer",
        "ready",
        "rpc",
        "security_profile",
        "speech",
        "triggered",
    )

    def __init__(self, actor: StationActor, handshake: Handshake, speech: Speech, security_profile: int) -> None:
        self.actor = actor
        self._incoming = actor.incoming
        self.speech = speech
        self.peer = handshake.peer
        self.security_profile = security_profile
        self.epoch = 0
        """0 until it is adopted."""
        self.rpc: Rpc | None = None
        """From adoption on."""
        self.link: Link | None = None
        self.open = False
        self.paused = False
        self.ready = False
        """Commands may be sent: the station has booted, spoken, or had time to."""
        self.held: deque[bytes] | None = None
        self.deviations: set[tuple[str, tuple[str, ...]]] | None = None
        """Tolerances already noted for this connection."""
        self.triggered = False
        """It was sent a TriggerMessage: what a Pending station of 2.x may speak after (B02.FR.02)."""
        self.asked_streams = False
        """It was asked which event streams are open."""
        self.backlogs: dict[int, tuple[int, int]] | None = None
        """Event stream → values that waited at the station, and how often in a row it were more than before."""

    # -- Receiver -----------------------------------------------------------------------------------------------------
    def opened(self, link: Link) -> None:
        self.link = link
        self.open = True
        self.actor.connections.opened(self)

    def frame(self, data: bytes) -> None:
        self._incoming.frame(self, data)

    def pong(self) -> None:
        if self is self.actor.current:
            self.actor.duplicates.old_is_alive()

    def closed(self, code: int, reason: str) -> None:
        self.open = False
        self.actor.connections.closed(self, code, reason)
        if self.held:
            self.actor.around.counters.frames_dropped += len(self.held)
            self.actor.around.counters.held_frames -= len(self.held)
            self.held = None

    # -- holding back -------------------------------------------------------------------------------------------------
    def hold(self, data: bytes) -> None:
        """Keep a frame for later, and stop reading when there are many."""
        if self.held is None:
            self.held = deque()
        self.held.append(data)
        counters = self.actor.around.counters
        counters.held_frames += 1
        if len(self.held) >= self.actor.around.config.held_frames:
            if not self.paused:
                counters.pauses += 1
            self.pause()

    def take(self) -> bytes:
        """The oldest held frame."""
        assert self.held is not None
        self.actor.around.counters.held_frames -= 1
        return self.held.popleft()

    def pause(self) -> None:
        """Read no more."""
        if not self.paused and self.link is not None:
            self.paused = True
            self.link.pause()

    def resume(self) -> None:
        """Read on."""
        if self.paused and self.link is not None:
            self.paused = False
            self.link.resume()

    def send(self, frame: bytes) -> None:
        if self.link is not None:
            self.link.send(frame)

    def close(self, code: int, reason: str) -> None:
        """Hang up. Frames that come meanwhile are not looked at."""
        if self.link is not None and self.open:
            self.link.close(code, reason)
