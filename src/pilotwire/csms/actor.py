"""One station: everything about it happens here, one thing after the other.

The actor lives as long as the process; connections come and go. It is called inline by whoever has something for it (a
link, the store, a timer, a request) and never waits: what it waits for calls it back.

    frame ─► Rpc.receive ─► translate ─► decide ─► apply ─► Store.append ─► (committed) ─► answer ─► bus

One inbound message is under way at a time. While it waits for the store (an older session, the commit) later frames are
held by their connection, so a decision never builds on facts that may yet be lost. When a commit fails the message is
answered InternalError, so that the station says it again, and the state is read anew from the store.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from pilotwire.core.ids import StationKey
from pilotwire.core.time import Timer
from pilotwire.domain.boot import DONE
from pilotwire.domain.context import Context, Decision, Need
from pilotwire.domain.facts import (
    AnyFact,
    DeviationAccepted,
    SessionEnded,
    SessionUpdated,
    StationConnected,
    StationDisconnected,
)
from pilotwire.domain.inputs import Input
from pilotwire.domain.records import Session
from pilotwire.domain.stations import StationState, decide
from pilotwire.protocols.ocpp.rpc import errors
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.protocols.ocpp.rpc.events import Event as AnyEvent
from pilotwire.protocols.ocpp.rpc.machine import (
    AnswerMemory,
    CallReceived,
    ErrorReceived,
    Malformed,
    OpenCall,
    Repeated,
    ResultReceived,
    Rpc,
    SendReceived,
)
from pilotwire.storage.port import Entry, StationImage
from pilotwire.translate.table import Served
from pilotwire.transport.bus import CommandRequest, Event, Frame, PowerNow
from pilotwire.transport.port import Handshake

from .around import Around, Speech
from .commands import Outbox, Reply
from .connection import Connection
from .duplicates import Duplicates
from .durability import ANSWERED_AT_ONCE

BOOT = "BootNotification"
LAST_SEEN_MS = 60_000
"""How stale `Station.last_seen` may be in the store."""
_NOT_SERVED = RpcError(errors.NOT_SUPPORTED, "this central system does not serve it")
_NOT_STORED = RpcError(errors.INTERNAL_ERROR, "it could not be stored; please send it again")
_FAULT = RpcError(errors.INTERNAL_ERROR, "it could not be served")
_BOOT_FIRST = RpcError(errors.SECURITY_ERROR, "BootNotification comes first")
_NOTHING = Decision((), (), DONE)
_NOT_ACCEPTED = RpcError(errors.SECURITY_ERROR, "the station is not accepted")


class Work(msgspec.Struct):
    """The inbound message under way."""

    connection: Connection
    message_id: str
    name: str
    served: Served
    given: Input
    frame: bytes
    now: int
    extra: tuple[AnyFact, ...]
    answered: bool = False


class StationActor:
    """See the module."""

    __slots__ = (
        "_after_load",
        "_busy",
        "_context",
        "_decision",
        "_draining",
        "_facts_subject",
        "_failures",
        "_live_subject",
        "_loading",
        "_memory",
        "_opening",
        "_power_subject",
        "_ready",
        "_spoken",
        "_stale",
        "_stopped",
        "_timer",
        "around",
        "current",
        "duplicates",
        "key",
        "outbox",
        "state",
        "work",
    )

    def __init__(self, key: StationKey, around: Around) -> None:
        self.key = key
        self.around = around
        self.state: StationState | None = None
        """None while it is being read from the store."""
        self.current: Connection | None = None
        self.duplicates = Duplicates(self)
        self.outbox = Outbox(self)
        self.work: Work | None = None
        self._busy = False
        self._draining = False
        self._loading = False
        self._timer: Timer | None = None
        self._opening: list[Connection] = []
        self._after_load: list[Callable[[], None]] = []
        """What the end of a connection left to do while the state was away."""
        self._ready: list[Callable[[], None]] = []
        """Who else waits for the state."""
        self._stopped = False
        self._failures = 0
        """Commits that failed in a row."""
        self._stale = False
        """What is in memory is ahead of the store, and a message is under way."""
        self._decision = _NOTHING
        """What was decided about the message under way."""
        self._memory = AnswerMemory()
        tail = f"{key.tenant}.{key.station}"
        self._live_subject = f"live.{tail}"
        self._facts_subject = f"facts.{tail}"
        self._power_subject = f"power.{tail}"
        self._context = Context(
            now=0,
            ids=around.ids,
            version="",
            heartbeat_interval_s=around.config.heartbeat_interval_s,
            boot_retry_s=around.config.boot_retry_s,
            authorize=around.tokens.authorizer(key.tenant),
            lab=around.config.lab,
        )
        self._spoken: Connection | None = None
        """Whose version and epoch the context has."""

    # -- what others may ask ------------------------------------------------------------------------------------------
    @property
    def connected(self) -> bool:
        return self.current is not None

    @property
    def rpc(self) -> Rpc | None:
        """The machine of the present connection."""
        return self.current.rpc if self.current is not None else None

    @property
    def version(self) -> str:
        """The OCPP version that the station speaks, or spoke last; "" before the first time."""
        if self.current is not None:
            return self.current.speech.version.name
        return self.known().station.ocpp_version

    @property
    def acceptance(self) -> str:
        """The station's boot status: "Accepted", "Pending", "Rejected" or ""."""
        return self.known().station.boot_status

    def known(self) -> StationState:
        """The state, which has been loaded."""
        assert self.state is not None
        return self.state

    def free_rpc(self) -> Rpc | None:
        """The machine if a CALL may be sent now."""
        current = self.current
        if current is None or current.rpc is None or self.state is None or current.rpc.outstanding is not None:
            return None
        return current.rpc if current.ready else None

    def transaction_of(self, session_id: str) -> str | None:
        """The transactionId of a running session."""
        session = self.known().sessions.get(session_id)
        return session.transaction if session is not None and session.status == "active" else None

    def command(self, asked: CommandRequest, reply: Reply) -> None:
        """Do what was asked for, as soon as the state is there."""
        self.when_ready(lambda: self.outbox.request(asked, reply))

    def when_ready(self, callback: Callable[[], None]) -> None:
        """Call back with the state loaded: at once if it is."""
        if self.state is not None:
            callback()
            return
        self._ready.append(callback)
        self._load()

    def hang_up(self, code: int, reason: str) -> None:
        """Close every connection that the station has."""
        for connection in (self.current, self.duplicates.parked, *self._opening):
            if connection is not None:
                connection.close(code, reason)

    def stop(self) -> None:
        """Hang up, call off the timers, begin nothing new."""
        self._stopped = True
        self.outbox.stop()
        self.duplicates.stop()
        if self._timer is not None:
            self._timer.cancel()
        self.hang_up(1001, "the central system stops")

    # -- the state ----------------------------------------------------------------------------------------------------
    def _load(self) -> None:
        if self._loading or self._stopped:
            return
        self._loading = True
        try:
            self.around.store.load_station(self.key, self._loaded)
        except Exception as error:
            self.around.log("the station's state cannot be read", self.key, error=str(error))
            self._timer = self.around.scheduler.call_later(self.around.config.retry_load_ms, self._load_again)

    def _load_again(self) -> None:
        self._timer = None
        self._loading = False
        self._load()

    def _loaded(self, image: StationImage) -> None:
        self._loading = False
        state = StationState.from_image(self.key, image.station, image.sessions, image.complete, image.commands)
        self.state = state
        if self._failures:
            self._timer = self.around.scheduler.call_later(self.around.config.retry_load_ms, self._mend)
        else:
            self._mend()
        self.outbox.restore(state.commands)
        for waiting in (self._after_load, self._opening, self._ready):
            while waiting and self.state is state:
                one = waiting.pop(0)
                if not isinstance(one, Connection):
                    one()
                elif one.open:
                    self._enter(one)
        if self.state is state:
            self.outbox.pump()
            self._drain()

    def _mend(self) -> None:
        """Record what the store has not heard: a process died without a word, or the commit that said it failed."""
        state, current = self.state, self.current
        if state is None:
            return
        if current is None:
            if state.station.connected:
                self._disconnected_fact(state.station.epoch, 1006, "the connection was lost unnoticed")
        elif state.station.epoch != current.epoch:
            self._connected_fact(current)

    def _forget_state(self) -> None:
        """What is in memory may be ahead of the store: read it anew before anything else is decided.

        With a pause that grows, for a store that fails does not get better by being asked all the time.
        """
        self.state = None
        self._stale = False
        self._failures += 1
        if not self._loading and not self._stopped:
            self._loading = True
            delay = min(self.around.config.retry_load_ms, 10 << min(self._failures, 10))
            self._timer = self.around.scheduler.call_later(delay, self._load_again)

    def context(self, now: int, connection: Connection | None = None) -> Context:
        """What a decision at `now` is made with, about something from `connection`, else from the present one."""
        context = self._context
        context.now = now
        if connection is None:
            connection = self.current
        if connection is not self._spoken and connection is not None:
            self._spoken = connection
            context.version = connection.speech.version.name
            context.epoch = connection.epoch
        return context

    # -- connections --------------------------------------------------------------------------------------------------
    def connect(self, handshake: Handshake, speech: Speech, security_profile: int) -> Connection:
        """The receiver of an admitted connection."""
        return Connection(self, handshake, speech, security_profile)

    def opened(self, connection: Connection) -> None:
        """The link is up."""
        if self.state is None:
            connection.pause()
            self._opening.append(connection)
            self._load()
        else:
            self._enter(connection)

    def _enter(self, connection: Connection) -> None:
        if self.current is None:
            self.adopt(connection)
        else:
            self.duplicates.park(connection)

    def adopt(self, connection: Connection) -> None:
        """Make it the station's connection, with the next epoch; the old one has lost its say."""
        around, old = self.around, self.current
        if old is not None:
            self._leave(old, 1006, "replaced: it was silent")
            old.close(1008, "replaced by a newer connection")
            if self.state is None:
                # The store did not take the news of it. The new one waits, unread, until the state is back.
                self.when_ready(lambda: self._enter(connection) if connection.open else None)
                return
        connection.epoch = self.known().station.epoch + 1
        connection.rpc = Rpc(
            connection.speech.version,
            limits=around.config.limits,
            timeout_ms=around.config.call_timeout_ms,
            memory=self._memory,
            counters=around.counters.rpc,
        )
        self.current = connection
        around.counters.connected[connection.speech.version.name] += 1
        self._connected_fact(connection)
        around.scheduler.call_later(around.config.boot_grace_ms, partial(self._release, connection))
        self._drain()
        if not connection.held:
            connection.resume()

    def _connected_fact(self, connection: Connection) -> None:
        fact = StationConnected(
            event_time=self.around.now(),
            ocpp_version=connection.speech.version.name,
            peer=connection.peer,
            security_profile=connection.security_profile,
        )
        self.record((fact,), None, epoch=connection.epoch)

    def _disconnected_fact(self, epoch: int, code: int, reason: str) -> None:
        fact = StationDisconnected(event_time=self.around.now(), code=code, reason=reason[:100])
        self.record((fact,), None, epoch=epoch)

    def _release(self, connection: Connection) -> None:
        """Commands may go out on this connection."""
        if connection is self.current and not connection.ready and connection.open:
            connection.ready = True
            if self.state is not None:
                self.outbox.pump()

    def _leave(self, connection: Connection, code: int, reason: str) -> None:
        """`connection` is the station's no longer."""
        self.current = None
        self.around.counters.connected[connection.speech.version.name] -= 1
        call = connection.rpc.close() if connection.rpc is not None else None
        gone = partial(self._gone, connection.epoch, code, reason, call)
        if self.state is not None:
            gone()
        else:
            self._after_load.append(gone)
            self._load()

    def _gone(self, epoch: int, code: int, reason: str, call: OpenCall | None) -> None:
        self._disconnected_fact(epoch, code, reason)
        if self.state is None:
            self._after_load.append(partial(self.outbox.disconnected, call))
        else:
            self.outbox.disconnected(call)

    def closed(self, connection: Connection, code: int, reason: str) -> None:
        """A link is dead. Only the present connection's end is the station's; an older one's concerns nobody."""
        if connection is self.current:
            self._leave(connection, code, reason)
            self.duplicates.old_is_gone()
        elif connection is self.duplicates.parked:
            self.duplicates.parked_is_gone()
        elif connection in self._opening:
            self._opening.remove(connection)

    def alive(self, connection: Connection) -> None:
        """A pong, or any frame."""
        if connection is self.current:
            self.duplicates.old_is_alive()

    # -- inbound ------------------------------------------------------------------------------------------------------
    def frame(self, connection: Connection, data: bytes) -> None:
        """One frame, in the order of arrival."""
        if connection is not self.current:
            # Not yet adopted: later. No longer: it has lost its say.
            if not connection.epoch and connection.open:
                connection.hold(data)
            return
        if self.duplicates.parked is not None:
            self.duplicates.old_is_alive()
        if self._busy or self._draining or connection.held or self.state is None:
            connection.hold(data)
            return
        self._receive(connection, data)

    def _drain(self) -> None:
        """Take what is held, until something has to be waited for."""
        if self._draining:
            return
        self._draining = True
        try:
            connection = self.current
            while (
                connection is not None
                and connection is self.current
                and connection.held
                and not self._busy
                and self.state is not None
            ):
                self._receive(connection, connection.take())
        finally:
            self._draining = False
        if connection is not None and connection is self.current and not connection.held and connection.paused:
            connection.resume()

    def _receive(self, connection: Connection, data: bytes) -> None:
        around = self.around
        rpc = connection.rpc
        assert rpc is not None
        now = around.now()
        bus = around.bus
        if "live" in bus.topics and bus.wanted(self._live_subject):
            self._show(data, "in", now)
        event = rpc.receive(data, now)
        if type(event) is CallReceived:
            try:
                self._on_call(connection, event, data, now)
            except Exception as error:
                self._faulty(connection, event.message_id, event.action.name, error)
            return
        try:
            self._on_other(connection, event, data)
        except Exception as error:
            around.counters.faults += 1
            around.log("a frame could not be served", self.key, kind=type(event).__name__, error=repr(error))

    def _on_other(self, connection: Connection, event: AnyEvent, data: bytes) -> None:
        """What is no CALL."""
        counters = self.around.counters
        match event:
            case ResultReceived():
                self.outbox.answered(event.call, event.response, data)
            case ErrorReceived():
                self.outbox.refused(event.call, event.error, data)
            case Repeated():
                if event.reply is not None:
                    self._send(connection, event.reply)
            case Malformed():
                if event.reply is not None:
                    counters.count(counters.errors, event.error.code)
                    self._send(connection, event.reply)
                if event.call is not None:
                    self.outbox.refused(event.call, event.error, data)
            case SendReceived():
                # No SEND is served yet, and none is ever answered: it is counted and its frame journalled.
                connection.speech.counts[event.action.name] += 1
                self.record((), None, frame=data)
            case _:
                """Ignored, or a CALLRESULTERROR: counted by the machine, and there is nobody to tell."""

    def _on_call(self, connection: Connection, event: CallReceived, data: bytes, now: int) -> None:
        name = event.action.name
        speech = connection.speech
        speech.counts[name] += 1
        served = speech.table.get(name)
        state = self.state
        assert state is not None
        if state.station.boot_status != "Accepted" and not state.may_send(name):
            known = state.station.boot_status
            self._refuse(connection, event.message_id, _NOT_ACCEPTED if known else _BOOT_FIRST)
            if not known and not connection.ready:
                # Some stations boot once in their life, some never by themselves: ask.
                connection.ready = True
                self.outbox.ask("TriggerMessage", b'{"requestedMessage":"BootNotification"}')
            return
        if served is None:
            self._refuse(connection, event.message_id, _NOT_SERVED)
            return
        extra: tuple[AnyFact, ...] = ()
        if event.deviations:
            extra = self._deviated(connection, name, event.deviations, now)
        given = served.read(event.request)
        self.work = work = Work(connection, event.message_id, name, served, given, data, now, extra)
        self._decide(work, state)

    def _decide(self, work: Work, state: StationState) -> None:
        """Decide the message under way; with an older session missing, fetch it first."""
        name, now, connection = work.name, work.now, work.connection
        context = self.context(now, connection)
        if name == BOOT:
            context.boot = self._boot_verdict()
        decision = decide(state, work.given, context)
        if type(decision) is Need:
            self._busy = True
            self.around.store.find_session(
                self.key, decision.transaction, decision.start_key, partial(self._found, work, state, decision)
            )
            return
        if work.extra:
            decision = Decision(decision.facts + work.extra, decision.samples, decision.outcome)
        self._decision = decision
        facts = decision.facts
        waits = name not in ANSWERED_AT_ONCE
        station = state.station
        stale = now - station.last_seen >= LAST_SEEN_MS
        if not facts and not waits and not stale:
            self.work = None
            self._answer(work)
            return
        epoch = connection.epoch
        for fact in facts:
            state.apply(fact, now, epoch)
        touched = state.touched()
        if stale:
            station.last_seen = now
            touched = (*touched, station)
        tenant, identity = self.key
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
        if not waits:
            work.answered = True
            self._answer(work)
        self._busy = True
        try:
            self.around.store.append(entry, self._committed)
        except Exception as error:
            self._committed(error)

    def _found(self, work: Work, state: StationState, need: Need, session: Session | None) -> None:
        """The store has looked for an older session."""
        self._busy = False
        if self.work is not work or self.state is not state:
            self._refuse(work.connection, work.message_id, _NOT_STORED)
            return
        state.add(session, need)
        try:
            self._decide(work, state)
        except Exception as error:
            self._faulty(work.connection, work.message_id, work.name, error)
        self._drain()

    def _committed(self, error: BaseException | None) -> None:
        """The message under way is durable, or is not."""
        work = self.work
        assert work is not None
        self.work = None
        self._busy = False
        if error is not None:
            self.around.counters.commit_failures += 1
            self.around.log("a message could not be stored", self.key, action=work.name, error=str(error))
            if not work.answered:
                self._refuse(work.connection, work.message_id, _NOT_STORED)
            self._forget_state()
            return
        self._failures = 0
        if not work.answered:
            self._answer(work)
        facts = self._decision.facts
        if facts:
            topics = self.around.bus.topics
            if "facts" in topics:
                self._publish(facts, work.now)
            if "power" in topics and self._decision.samples:
                self._power(work.now, facts)
        if self._stale:
            self._forget_state()
            return
        connection = self.current
        if connection is not None and (connection.held or connection.paused):
            self._drain()

    def _answer(self, work: Work) -> None:
        connection = work.connection
        rpc = connection.rpc
        assert rpc is not None
        try:
            payload = connection.speech.constants.get(work.name)
            if payload is not None:
                frame = rpc.confirm(work.message_id, payload)
            else:
                frame = rpc.answer(work.message_id, work.served.answer(self._decision.outcome, self.around.now()))
        except Exception as error:
            self._faulty(connection, work.message_id, work.name, error)
            return
        self._send(connection, frame)
        if connection.ready or self.state is None:
            return
        if self.state.station.boot_status in ("Accepted", "Pending"):
            self._release(connection)

    def _refuse(self, connection: Connection, message_id: str, error: RpcError) -> None:
        counters = self.around.counters
        counters.count(counters.errors, error.code)
        assert connection.rpc is not None
        self._send(connection, connection.rpc.refuse(message_id, error))

    def _faulty(self, connection: Connection, message_id: str, name: str, error: Exception) -> None:
        """A fault of ours. The station is told so; it harms nobody else."""
        self.work = None
        self._busy = False
        self.around.counters.faults += 1
        self.around.log("a message could not be served", self.key, action=name, error=repr(error))
        self._refuse(connection, message_id, _FAULT)
        self._forget_state()

    def _deviated(self, connection: Connection, name: str, rules: tuple[str, ...], now: int) -> tuple[AnyFact, ...]:
        """Count the tolerances; each kind is one fact per connection, however often it is needed."""
        counters = self.around.counters
        for rule in rules:
            counters.count(counters.deviations, rule)
        if connection.deviations is None:
            connection.deviations = set()
        if (name, rules) in connection.deviations:
            return ()
        connection.deviations.add((name, rules))
        return (DeviationAccepted(event_time=now, action=name, rules=rules),)

    def _boot_verdict(self) -> str:
        account = self.around.accounts.get(self.key)
        return account.boot if account is not None else "Rejected"

    # -- outbound -----------------------------------------------------------------------------------------------------
    def _send(self, connection: Connection, frame: bytes) -> None:
        connection.send(frame)
        bus = self.around.bus
        if "live" in bus.topics and bus.wanted(self._live_subject):
            self._show(frame, "out", self.around.now())

    def transmit(self, frame: bytes, *, secret: bool = False) -> None:
        """A CALL of ours. One that holds a secret is shown to nobody."""
        assert self.current is not None
        if secret:
            self.current.send(frame)
        else:
            self._send(self.current, frame)

    def _show(self, frame: bytes, direction: str, now: int) -> None:
        tenant, station = self.key
        self.around.bus.publish(
            self._live_subject, Frame(tenant=tenant, station=station, time=now, direction=direction, data=frame)
        )

    # -- facts without an inbound CALL --------------------------------------------------------------------------------
    def record(
        self,
        facts: tuple[AnyFact, ...],
        done: Callable[[BaseException | None], None] | None,
        *,
        frame: bytes = b"",
        epoch: int | None = None,
    ) -> None:
        """Journal what did not come as a CALL: connections, commands, answers. `done` is told of the commit."""
        state, now = self.known(), self.around.now()
        if epoch is None:
            epoch = self.current.epoch if self.current is not None else state.station.epoch
        for fact in facts:
            state.apply(fact, now, epoch)
        entry = Entry(
            tenant=self.key.tenant,
            station=self.key.station,
            recv_time=now,
            epoch=epoch,
            direction="in" if frame else "sys",
            frame=frame,
            facts=facts,
            touched=state.touched(),
        )

        def committed(error: BaseException | None) -> None:
            if error is None:
                self._publish(facts, now)
            else:
                self.around.counters.commit_failures += 1
                self.around.log("facts could not be stored", self.key, error=str(error))
                if self._busy:
                    self._stale = True
                elif self.state is state:
                    self._forget_state()
            if done is not None:
                done(error)

        try:
            self.around.store.append(entry, committed)
        except Exception as error:
            committed(error)

    def _publish(self, facts: tuple[AnyFact, ...], recv_time: int) -> None:
        around = self.around
        if facts and around.bus.wanted(self._facts_subject):
            tenant, station = self.key
            event = Event(
                stream=around.store.stream,
                seq=around.store.position,
                tenant=tenant,
                station=station,
                recv_time=recv_time,
                facts=facts,
            )
            around.bus.publish(self._facts_subject, event)

    def _power(self, now: int, facts: tuple[AnyFact, ...]) -> None:
        if not facts or self.state is None or not self.around.bus.wanted(self._power_subject):
            return
        tenant, station = self.key
        for fact in facts:
            if type(fact) is not SessionUpdated and type(fact) is not SessionEnded:
                continue
            session = self.state.sessions.get(fact.session_id)  # type: ignore[union-attr]
            if session is not None:
                self.around.bus.publish(
                    self._power_subject,
                    PowerNow(
                        tenant=tenant,
                        station=station,
                        time=now,
                        evse=session.evse,
                        connector=session.connector,
                        power_w=session.power_w,
                        session_id=session.id,
                        energy_wh=session.energy_wh,
                        soc=session.soc,
                    ),
                )
