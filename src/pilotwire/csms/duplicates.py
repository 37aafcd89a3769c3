"""Two connections of one identity: the one written rule (docs/connections.md).

The new one has shown the station's credential, or it would not be here. It is parked unread while the old one is probed
by a ping. Whatever the old one says in time (a pong, any frame) shows that it is alive: the new one is closed, and an
operator hears of it, for either two devices share an identity or somebody has the credential. If the old one is silent,
it is dead: the new one is adopted with the next epoch, and what still comes by the old one counts for nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotwire.core.time import Timer

if TYPE_CHECKING:
    from .actor import StationActor
    from .connection import Connection


class Duplicates:
    """The parked connection of one station, and the probe. At most one is parked: the newest."""

    __slots__ = ("_actor", "_timer", "parked")

    def __init__(self, actor: StationActor) -> None:
        self._actor = actor
        self._timer: Timer | None = None
        self.parked: Connection | None = None

    def park(self, connection: Connection) -> None:
        """`connection` came while another is open."""
        actor = self._actor
        counters = actor.around.counters
        counters.duplicates_parked += 1
        connection.pause()
        earlier, self.parked = self.parked, connection
        if earlier is not None:
            # A station that dials again has given up the connection before. The probe goes on, its end is near.
            counters.duplicates_refused += 1
            earlier.close(1008, "a newer connection of this identity came")
            return
        self._probe()

    def _probe(self) -> None:
        old = self._actor.current
        assert old is not None and old.link is not None
        old.link.ping()
        self._timer = self._actor.around.scheduler.call_later(self._actor.around.config.probe_ms, self._silent)

    def old_is_alive(self) -> None:
        """The present connection has said something."""
        parked = self.parked
        if parked is None:
            return
        self.stop()
        self.parked = None
        actor = self._actor
        actor.around.counters.duplicates_refused += 1
        actor.around.log(
            "a second connection of a connected identity was closed",
            actor.key,
            peer=parked.peer,
            connected=actor.current.peer if actor.current is not None else "",
        )
        parked.close(1008, "this identity is connected")
        actor.quirks.note("second-connection")

    def old_is_gone(self) -> None:
        """The present connection has ended by itself."""
        parked = self.parked
        if parked is not None:
            self.stop()
            self.parked = None
            self._adopt(parked)

    def parked_is_gone(self) -> None:
        """The parked connection has ended by itself."""
        self.stop()
        self.parked = None

    def _silent(self) -> None:
        self._timer = None
        old, parked = self._actor.current, self.parked
        if parked is None:
            return
        if old is not None and old.paused:
            # We do not read it at the moment, so it cannot show that it lives. Ask again.
            self._probe()
            return
        self.parked = None
        self._adopt(parked)

    def _adopt(self, parked: Connection) -> None:
        actor = self._actor
        actor.around.counters.duplicates_adopted += 1
        actor.when_ready(lambda: actor.connections.adopt(parked) if parked.open else None)

    def stop(self) -> None:
        """Call off the probe."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
