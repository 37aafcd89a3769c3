"""What comes from one station, frame by frame, in the order of arrival.

One message is under way at a time (`StationActor.work`). While it waits for the store, later frames are held by their
connection, so a decision never builds on facts that may yet be lost. A message that waits for somebody outside is not
under way: it is taken up again, before what is held, when that was found.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING

from pilotwire.domain.facts import AnyFact, DeviationAccepted
from pilotwire.domain.inputs import Input
from pilotwire.domain.stations import StationState
from pilotwire.protocols.ocpp.rpc import errors
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.protocols.ocpp.rpc.machine import (
    CallReceived,
    ErrorReceived,
    Event,
    Ignored,
    Malformed,
    Repeated,
    ResultReceived,
    SendReceived,
)

from .deciding import Work

if TYPE_CHECKING:
    from .actor import StationActor
    from .connection import Connection

_NOT_SERVED = RpcError(errors.NOT_SUPPORTED, "this central system does not serve it")
_TRIGGERED = frozenset({"Heartbeat", "MeterValues", "StatusNotification"})
"""What a Pending station of 2.x sends because of a TriggerMessage alone (B02.FR.02, .09); 1.6 leaves that open."""
_BOOT_FIRST = RpcError(errors.SECURITY_ERROR, "BootNotification comes first")
_NOT_ACCEPTED = RpcError(errors.SECURITY_ERROR, "the station is not accepted")


class Incoming:
    """Reads frames, hands each on to whom it is for."""

    __slots__ = ("_actor", "_around", "_draining", "fetched")

    def __init__(self, actor: StationActor) -> None:
        self._actor = actor
        self._around = actor.around
        self._draining = False
        self.fetched: deque[Work] | None = None
        """Messages that may be decided now, what they waited for outside being there."""

    def frame(self, connection: Connection, data: bytes) -> None:
        """One frame of a connection."""
        actor = self._actor
        if connection is not actor.current:
            # Not yet adopted: later. No longer: it has lost its say.
            if not connection.epoch and connection.open:
                connection.hold(data)
            return
        if actor.duplicates.parked is not None:
            actor.duplicates.old_is_alive()
        if actor.work is not None or self._draining or connection.held or actor.state is None:
            if actor.work is not None and not actor.work.answered:
                actor.quirks.early(data)
            connection.hold(data)
            return
        self._receive(connection, data)

    def drain(self) -> None:
        """Take what waits, until something has to be waited for."""
        if self._draining:
            return
        actor = self._actor
        self._draining = True
        try:
            while actor.work is None and actor.state is not None:
                connection = actor.current
                if self.fetched:
                    self._take_up(self.fetched.popleft(), actor.state)
                elif connection is not None and connection.held:
                    self._receive(connection, connection.take())
                else:
                    break
        finally:
            self._draining = False
        connection = actor.current
        if connection is not None and not connection.held and connection.paused:
            connection.resume()

    def _receive(self, connection: Connection, data: bytes) -> None:
        around = self._around
        rpc = connection.rpc
        assert rpc is not None
        now = around.now()
        if "live" in around.bus.topics:
            self._actor.news.frame(data, "in", now)
        reused = rpc.counters.message_id_reused
        event = rpc.receive(data, now)
        if rpc.counters.message_id_reused != reused:
            self._actor.quirks.reused()
        # Whatever goes wrong in here is a fault of ours: it costs this one message, and is never silent.
        if type(event) is CallReceived:
            try:
                self._on_call(connection, event, data, now)
            except Exception as error:
                self._actor.deciding.faulty(connection, event.message_id, event.action.name, error)
            return
        if type(event) is SendReceived:
            try:
                self._on_send(connection, event, data, now)
            except Exception as error:
                self._actor.deciding.faulty(connection, None, event.action.name, error)
            return
        try:
            self._on_other(connection, event, data)
        except Exception as error:
            around.counters.faults += 1
            around.log("a frame could not be served", self._actor.key, kind=type(event).__name__, error=repr(error))

    def _on_call(self, connection: Connection, event: CallReceived, data: bytes, now: int) -> None:
        actor = self._actor
        name = event.action.name
        speech = connection.speech
        speech.counts[name] += 1
        state = actor.state
        assert state is not None
        if state.station.boot_status != "Accepted" and (
            not state.may_send(name) or (name in _TRIGGERED and actor.version != "1.6" and not connection.triggered)
        ):
            self._not_yet(connection, event.message_id, state.station.boot_status)
            actor.quirks.note("speaks-while-pending" if state.station.boot_status else "speaks-before-boot", frame=data)
            return
        way = speech.ways.get(name)
        if way is None:
            actor.refuse(connection, event.message_id, _NOT_SERVED)
            return
        extra: tuple[AnyFact, ...] = ()
        if event.deviations:
            extra = self._deviated(connection, name, event.deviations, now)
        routine, quirks = way.routine, actor.quirks
        if (
            not routine
            or event.deviations
            or (routine == "Updated" and event.request.event_type != routine)  # type: ignore[attr-defined]
            or quirks.due(now)
        ):
            extra += quirks.sent(way.look, event.request, state, now, event.deviations)
        work = Work(connection, event.message_id, way, way.read(event.request), data, now, extra)
        if way.fetch is not None:
            way.fetch(actor, work.given, partial(self._found, work))
            return
        actor.work = work
        actor.deciding.decide(work, state)

    def _on_send(self, connection: Connection, event: SendReceived, data: bytes, now: int) -> None:
        """A SEND of 2.1, which is never answered. Of one that is not served the frame is kept."""
        actor = self._actor
        name = event.action.name
        connection.speech.counts[name] += 1
        way, state = connection.speech.ways.get(name), actor.known()
        if way is None or (state.station.boot_status != "Accepted" and not state.may_send(name)):
            actor.record((), None, frame=data)
            return
        extra = self._deviated(connection, name, event.deviations, now) if event.deviations else ()
        actor.work = work = Work(connection, None, way, way.read(event.request), data, now, extra, answered=True)
        actor.deciding.decide(work, state)

    def _found(self, work: Work, given: Input) -> None:
        """What a message had to ask outside is there."""
        work.given = given
        if self.fetched is None:
            self.fetched = deque()
        self.fetched.append(work)
        self.drain()

    def _take_up(self, work: Work, state: StationState) -> None:
        actor = self._actor
        if work.connection is not actor.current:
            self._around.counters.frames_dropped += 1
            return
        actor.work = work
        try:
            actor.deciding.decide(work, state)
        except Exception as error:
            actor.deciding.faulty(work.connection, work.message_id, work.way.name, error)

    def _not_yet(self, connection: Connection, message_id: str, boot_status: str) -> None:
        """The station may not send that before it is accepted."""
        self._actor.refuse(connection, message_id, _NOT_ACCEPTED if boot_status else _BOOT_FIRST)
        if not boot_status and not connection.ready:
            # Some stations boot once in their life, some never by themselves: ask.
            connection.ready = True
            self._actor.outbox.ask("TriggerMessage", b'{"requestedMessage":"BootNotification"}')

    def _on_other(self, connection: Connection, event: Event, data: bytes) -> None:
        """What is neither CALL nor SEND."""
        actor = self._actor
        match event:
            case ResultReceived():
                actor.outbox.answered(event.call, event.response, data, event.deviations)
            case ErrorReceived():
                actor.outbox.refused(event.call, event.error, data)
            case Repeated():
                if event.reply is not None:
                    actor.send(connection, event.reply)
            case Malformed():
                if event.reply is not None:
                    counters = self._around.counters
                    counters.count(counters.errors, event.error.code)
                    actor.send(connection, event.reply)
                actor.quirks.malformed(connection, event, data)
                if event.call is not None:
                    actor.outbox.refused(event.call, event.error, data)
            case Ignored():
                actor.quirks.ignored(event.reason, data)
            case _:
                """A CALLRESULTERROR: counted by the machine, and there is nobody to tell."""

    def _deviated(self, connection: Connection, name: str, rules: tuple[str, ...], now: int) -> tuple[AnyFact, ...]:
        """Count the tolerances; each kind is one fact per connection, however often it is needed."""
        counters = self._around.counters
        for rule in rules:
            counters.count(counters.deviations, rule)
        if connection.deviations is None:
            connection.deviations = set()
        if (name, rules) in connection.deviations:
            return ()
        connection.deviations.add((name, rules))
        return (DeviationAccepted(event_time=now, action=name, rules=rules),)
