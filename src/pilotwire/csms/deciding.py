"""What becomes of one message of a station: it is decided, made durable, answered, told.

    decide ─► apply ─► Store.append ─► (committed) ─► answer ─► bus

When a commit fails the message is answered InternalError, so that the station says it again, and the state is read anew
from the store.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import msgspec
from msgspec.structs import replace

from pilotwire.domain.boot import DONE
from pilotwire.domain.context import Decision, Need
from pilotwire.domain.facts import AnyFact
from pilotwire.domain.inputs import Input
from pilotwire.domain.records import Session
from pilotwire.domain.stations import StationState, decide
from pilotwire.protocols.ocpp.rpc import errors
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.storage.port import Entry, StoreFailed

from .actions import Follow
from .connection import Connection
from .speech import Way

if TYPE_CHECKING:
    from .actor import StationActor

LAST_SEEN_MS = 60_000
"""How stale `Station.last_seen` may be in the store."""
_NOT_STORED = RpcError(errors.INTERNAL_ERROR, "it could not be stored; please send it again")
_FAULT = RpcError(errors.INTERNAL_ERROR, "it could not be served")
_UNDECIDED = Decision((), (), DONE)


class Work(msgspec.Struct):
    """The message under way."""

    connection: Connection
    message_id: str | None
    """None of a SEND, which is not answered."""
    way: Way
    given: Input
    frame: bytes
    now: int
    extra: tuple[AnyFact, ...]
    """Facts about the frame, beside those about what it says."""
    decision: Decision = _UNDECIDED
    answered: bool = False


class Deciding:
    """Takes `StationActor.work` to its end."""

    __slots__ = ("_actor", "_around")

    def __init__(self, actor: StationActor) -> None:
        self._actor = actor
        self._around = actor.around

    def decide(self, work: Work, state: StationState) -> None:
        """Decide the message under way; with an older session missing, fetch it first."""
        actor, way, now, connection = self._actor, work.way, work.now, work.connection
        context = actor.context(now, connection)
        if way.prepare is not None:
            way.prepare(actor, context)
        decision = decide(state, work.given, context)
        if type(decision) is Need:
            self._around.store.find_session(
                actor.key, decision.transaction, decision.start_key, partial(self._found, work, state, decision)
            )
            return
        if way.judged:
            work.extra += actor.quirks.decided(decision.facts)
        if work.extra:
            decision = Decision(decision.facts + work.extra, decision.samples, decision.outcome)
        work.decision = decision
        facts = decision.facts
        station = state.station
        stale = now - station.last_seen >= LAST_SEEN_MS
        if not facts and way.at_once and not stale and not work.answered:
            actor.work = None
            if self._answer(work) and way.follow is not None:
                self._follow(work, way.follow)
            return
        epoch = connection.epoch
        for fact in facts:
            state.apply(fact, now, epoch)
        if way.complete is not None:
            decision = work.decision = replace(decision, outcome=way.complete(actor, work.given, decision.outcome))
        touched = state.touched()
        if stale:
            station.last_seen = now
            touched = (*touched, station)
        tenant, identity = actor.key
        entry = Entry(
            tenant=tenant,
            station=identity,
            recv_time=now,
            epoch=epoch,
            direction="in",
            frame=work.frame,
            facts=facts,
            samples=decision.samples,
            touched=touched,
        )
        if way.at_once and not work.answered:
            work.answered = True
            if not self._answer(work):
                return
        try:
            self._around.store.append(entry, self._committed)
        except StoreFailed as error:
            self._committed(error)

    def _found(self, work: Work, state: StationState, need: Need, session: Session | None) -> None:
        """The store has looked for an older session. While a message is under way its state is not forgotten."""
        state.add(session, need)
        try:
            self.decide(work, state)
        except Exception as error:
            self.faulty(work.connection, work.message_id, work.way.name, error)
        self._actor.incoming.drain()

    def _committed(self, error: BaseException | None) -> None:
        """The message under way is durable, or is not."""
        actor, around = self._actor, self._around
        work = actor.work
        assert work is not None
        actor.work = None
        loading = actor.loading
        if error is not None:
            around.counters.commit_failures += 1
            around.log("a message could not be stored", actor.key, action=work.way.name, error=str(error))
            if not work.answered and work.message_id is not None:
                actor.refuse(work.connection, work.message_id, _NOT_STORED)
            loading.forget()
            return
        loading.failures = 0
        served = work.answered or self._answer(work)
        decision = work.decision
        facts = decision.facts
        if facts:
            topics = around.bus.topics
            if "facts" in topics:
                actor.news.facts(facts, work.now)
            if "power" in topics and decision.samples and actor.state is not None:
                actor.news.power(actor.state, facts, work.now)
        if loading.stale:
            loading.forget()
        if served and work.way.follow is not None:
            self._follow(work, work.way.follow)
        connection = actor.current
        if actor.incoming.fetched or (connection is not None and (connection.held or connection.paused)):
            actor.incoming.drain()

    def _answer(self, work: Work) -> bool:
        """Send the answer. False when a fault of ours left none but that."""
        actor, connection, way = self._actor, work.connection, work.way
        rpc = connection.rpc
        assert rpc is not None and work.message_id is not None
        try:
            if way.constant is not None:
                frame = rpc.confirm(work.message_id, way.constant)
            else:
                now = self._around.now()
                if way.timed and "whole-seconds" in actor.quirks.active:
                    now -= now % 1_000
                frame = rpc.answer(work.message_id, way.answer(work.decision.outcome, now))
        except Exception as error:
            self.faulty(connection, work.message_id, way.name, error)
            return False
        connection.send(frame)
        if "live" in self._around.bus.topics:
            actor.news.frame(frame, "out", self._around.now())
        if not connection.ready:
            state = actor.state
            if state is not None and state.station.boot_status in ("Accepted", "Pending"):
                actor.connections.release(connection)
        return True

    def _follow(self, work: Work, follow: Follow) -> None:
        actor = self._actor

        def now() -> None:
            try:
                follow(actor, work.given, work.decision)
            except Exception as error:  # a fault of ours: the message itself has been served
                self._around.counters.faults += 1
                self._around.log("what follows a message failed", actor.key, action=work.way.name, error=repr(error))

        actor.when_ready(now)

    def faulty(self, connection: Connection, message_id: str | None, name: str, error: Exception) -> None:
        """A fault of ours. The station is told so, unless it was a SEND; it harms nobody else."""
        actor = self._actor
        actor.work = None
        self._around.counters.faults += 1
        self._around.log("a message could not be served", actor.key, action=name, error=repr(error))
        if message_id is not None:
            actor.refuse(connection, message_id, _FAULT)
        actor.loading.forget()
