"""One station: everything about it happens here, one thing after the other.

The actor lives as long as the process; connections come and go. It is called inline by whoever has something for it (a
link, the store, a timer, a request) and never waits: what it waits for calls it back. It holds what its parts share,
and each part has one job:

    loading       the state: read from the store, and again when it may be ahead of it
    connections   how connections come, get their epoch and end; duplicates: two of one identity
    incoming      frames, in order, each to whom it is for
    deciding      one message: decided, made durable, answered, told; `actions` is the table of what is special
    outbox        commands: one CALL in flight, the urgent first
    quirks        what it does otherwise than the standard says
    news          what goes out on the bus
"""

from __future__ import annotations

from collections.abc import Callable

from pilotwire.core.ids import StationKey
from pilotwire.domain.context import Context
from pilotwire.domain.facts import AnyFact
from pilotwire.domain.stations import StationState
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.protocols.ocpp.rpc.machine import Rpc
from pilotwire.storage.port import Entry, StoreFailed
from pilotwire.transport.bus import CommandRequest
from pilotwire.transport.port import Handshake

from .around import Around
from .commands import Outbox, Reply
from .connection import Connection
from .connections import Connections
from .deciding import Deciding, Work
from .duplicates import Duplicates
from .incoming import Incoming
from .loading import Loading
from .news import News
from .quirks import Quirks
from .speech import Speech


class StationActor:
    """See the module."""

    __slots__ = (
        "_context",
        "_spoken",
        "around",
        "connections",
        "current",
        "deciding",
        "duplicates",
        "incoming",
        "key",
        "loading",
        "news",
        "outbox",
        "quirks",
        "state",
        "work",
    )

    def __init__(self, key: StationKey, around: Around) -> None:
        self.key = key
        self.around = around
        self.state: StationState | None = None
        """None while it is being read from the store."""
        self.current: Connection | None = None
        self.work: Work | None = None
        """The message under way: while there is one, no other is looked at."""
        self.loading = Loading(self)
        self.connections = Connections(self)
        self.duplicates = Duplicates(self)
        self.incoming = Incoming(self)
        self.deciding = Deciding(self)
        self.outbox = Outbox(self)
        self.quirks = Quirks(self)
        self.news = News(key, around.bus, around.store)
        self._context = Context(
            now=0,
            ids=around.ids,
            version="",
            heartbeat_interval_s=around.config.heartbeat_interval_s,
            boot_retry_s=around.config.boot_retry_s,
            authorize=around.tokens.authorizer(key.tenant, lambda: around.site(key)),
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

    def context(self, now: int, connection: Connection | None = None) -> Context:
        """What a decision at `now` is made with, about something from `connection`, else from the present one."""
        context = self._context
        context.now = now
        context.price = self.around.prices.pricer(self.key)
        if connection is None:
            connection = self.current
        if connection is not self._spoken and connection is not None:
            self._spoken = connection
            context.version = connection.speech.version.name
            context.epoch = connection.epoch
        return context

    # -- what others may tell -----------------------------------------------------------------------------------------
    def connect(self, handshake: Handshake, speech: Speech, security_profile: int) -> Connection:
        """The receiver of an admitted connection."""
        return Connection(self, handshake, speech, security_profile)

    def command(self, asked: CommandRequest, reply: Reply) -> None:
        """Do what was asked for, as soon as the state is there."""
        self.when_ready(lambda: self.outbox.request(asked, reply))

    def when_ready(self, callback: Callable[[], None]) -> None:
        """Call back with the state loaded: at once if it is."""
        self.loading.when_ready(callback)

    def hang_up(self, code: int, reason: str) -> None:
        """Close every connection that the station has."""
        self.connections.hang_up(code, reason)

    def stop(self) -> None:
        """Hang up, call off the timers, begin nothing new."""
        self.loading.stop()
        self.outbox.stop()
        self.duplicates.stop()
        self.hang_up(1001, "the central system stops")

    # -- what the parts do by each other ------------------------------------------------------------------------------
    def send(self, connection: Connection, frame: bytes) -> None:
        """A frame of ours."""
        connection.send(frame)
        if "live" in self.around.bus.topics:
            self.news.frame(frame, "out", self.around.now())

    def transmit(self, frame: bytes, *, secret: bool = False) -> None:
        """A CALL of ours. One that holds a secret is shown to nobody."""
        assert self.current is not None
        if secret:
            self.current.send(frame)
        else:
            self.send(self.current, frame)

    def refuse(self, connection: Connection, message_id: str, error: RpcError) -> None:
        """Answer a CALL by a CALLERROR."""
        counters = self.around.counters
        counters.count(counters.errors, error.code)
        assert connection.rpc is not None
        self.send(connection, connection.rpc.refuse(message_id, error))

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
                self.news.facts(facts, now)
            else:
                self.around.counters.commit_failures += 1
                self.around.log("facts could not be stored", self.key, error=str(error))
                if self.work is not None:
                    self.loading.stale = True
                elif self.state is state:
                    self.loading.forget()
            if done is not None:
                done(error)

        try:
            self.around.store.append(entry, committed)
        except StoreFailed as error:
            committed(error)
