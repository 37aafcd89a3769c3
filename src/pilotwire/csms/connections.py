"""The connections of one station: how they come, get an epoch, and end (docs/connections.md)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from pilotwire.domain.facts import StationConnected, StationDisconnected
from pilotwire.protocols.ocpp.rpc.machine import AnswerMemory, OpenCall, Rpc

from .connection import Connection

if TYPE_CHECKING:
    from .actor import StationActor

PATIENT_MS = 120_000
"""How long commands wait for a station to speak that does not bear being spoken to before."""


class Connections:
    """Makes one of a station's connections `StationActor.current`; the others wait in `opening` or are parked."""

    __slots__ = ("_actor", "_answers", "_opening")

    def __init__(self, actor: StationActor) -> None:
        self._actor = actor
        self._answers = AnswerMemory()
        """What was answered lately, over all connections."""
        self._opening: list[Connection] = []
        """Those that came while the state was being read."""

    def hang_up(self, code: int, reason: str) -> None:
        """Close every one of them."""
        for connection in (self._actor.current, self._actor.duplicates.parked, *self._opening):
            if connection is not None:
                connection.close(code, reason)

    # -- coming -------------------------------------------------------------------------------------------------------
    def opened(self, connection: Connection) -> None:
        """The link is up."""
        if self._actor.state is None:
            connection.pause()
            self._opening.append(connection)
            self._actor.loading.load()
        else:
            self._enter(connection)

    def enter_next(self) -> bool:
        """The state is there: take the next that waited for it. False when none is left."""
        if not self._opening:
            return False
        connection = self._opening.pop(0)
        if connection.open:
            self._enter(connection)
        return True

    def _enter(self, connection: Connection) -> None:
        if self._actor.current is None:
            self.adopt(connection)
        else:
            self._actor.duplicates.park(connection)

    def adopt(self, connection: Connection) -> None:
        """Make it the station's connection, with the next epoch; the old one has lost its say."""
        actor = self._actor
        around, old = actor.around, actor.current
        if old is not None:
            self._leave(old, 1006, "replaced: it was silent")
            old.close(1008, "replaced by a newer connection")
            if actor.state is None:
                # The store did not take the news of it. The new one waits, unread, until the state is back.
                actor.when_ready(lambda: self._enter(connection) if connection.open else None)
                return
        connection.epoch = actor.known().station.epoch + 1
        connection.rpc = Rpc(
            connection.speech.version,
            limits=around.config.limits,
            timeout_ms=around.config.call_timeout_ms,
            memory=self._answers,
            counters=around.counters.rpc,
        )
        actor.current = connection
        around.counters.connected[connection.speech.version.name] += 1
        self._record_connected(connection)
        actor.quirks.connected()
        grace = PATIENT_MS if "wait-for-boot" in actor.quirks.active else around.config.boot_grace_ms
        around.scheduler.call_later(grace, partial(self.release, connection))
        actor.incoming.drain()
        if not connection.held:
            connection.resume()

    def release(self, connection: Connection) -> None:
        """Commands may go out on this connection."""
        if connection is self._actor.current and not connection.ready and connection.open:
            connection.ready = True
            if self._actor.state is not None:
                self._actor.outbox.pump()

    # -- going --------------------------------------------------------------------------------------------------------
    def closed(self, connection: Connection, code: int, reason: str) -> None:
        """A link is dead. Only the present connection's end is the station's; an older one's concerns nobody."""
        duplicates = self._actor.duplicates
        if connection is self._actor.current:
            self._leave(connection, code, reason)
            duplicates.old_is_gone()
        elif connection is duplicates.parked:
            duplicates.parked_is_gone()
        elif connection in self._opening:
            self._opening.remove(connection)

    def _leave(self, connection: Connection, code: int, reason: str) -> None:
        """`connection` is the station's no longer."""
        actor = self._actor
        actor.current = None
        actor.quirks.disconnected()
        actor.around.counters.connected[connection.speech.version.name] -= 1
        call = connection.rpc.close() if connection.rpc is not None else None
        gone = partial(self._gone, connection.epoch, code, reason, call)
        if actor.state is not None:
            gone()
        else:
            actor.loading.first(gone)

    def _gone(self, epoch: int, code: int, reason: str, call: OpenCall | None) -> None:
        actor = self._actor
        self._record_disconnected(epoch, code, reason)
        if actor.state is None:
            actor.loading.first(partial(actor.outbox.disconnected, call))
        else:
            actor.outbox.disconnected(call)

    # -- what is recorded of them -------------------------------------------------------------------------------------
    def agree(self) -> None:
        """Record what the store has not heard of the present connection, or of the end of the last."""
        actor = self._actor
        current, station = actor.current, actor.known().station
        if current is None:
            if station.connected:
                self._record_disconnected(station.epoch, 1006, "the connection was lost unnoticed")
        elif station.epoch != current.epoch:
            self._record_connected(current)

    def _record_connected(self, connection: Connection) -> None:
        fact = StationConnected(
            event_time=self._actor.around.now(),
            ocpp_version=connection.speech.version.name,
            peer=connection.peer,
            security_profile=connection.security_profile,
        )
        self._actor.record((fact,), None, epoch=connection.epoch)

    def _record_disconnected(self, epoch: int, code: int, reason: str) -> None:
        fact = StationDisconnected(event_time=self._actor.around.now(), code=code, reason=reason[:100])
        self._actor.record((fact,), None, epoch=epoch)
