"""The station's end of the connection: dialling and back-off, booting, one CALL at a time, heartbeats.

Callback code over `Dialer`, `Link`, `Scheduler` and the RPC machine; it holds no charging logic. What the station wants
to say comes in two ways: `call` for what is only worth saying now, and the outbox for transaction messages, which are
never lost. Of both, `pump` sends the next one when nothing is outstanding:

1. BootNotification, as long as the CSMS has not accepted (1.6 4.2, 2.0.1 B01 to B03);
2. then calls and the outbox, in the order in which things happened;
3. but calls first where the outbox is long (the station was offline) or its head waits for its next attempt.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, NamedTuple, Protocol

import msgspec

from pilotwire.core.ids import Ids
from pilotwire.core.time import Scheduler, Timer
from pilotwire.protocols.ocpp.rpc.errors import SECURITY_ERROR, RpcError
from pilotwire.protocols.ocpp.rpc.machine import (
    AnswerMemory,
    CallReceived,
    ErrorReceived,
    Malformed,
    OpenCall,
    Repeated,
    ResultReceived,
    Rpc,
)
from pilotwire.protocols.ocpp.version import SUBPROTOCOL, Version
from pilotwire.transport.port import Dialer, DialResult, Link

from .backoff import BackOff
from .config import StationConfig
from .outbox import Queued, TransactionQueue
from .settings import Settings

_CALL_LIMIT = 200
_DEAD_AFTER = 3
"""So many of our calls in a row unanswered, with nothing else received: the connection is dead."""
_DAY_MS = 86_400_000
_SHORT_QUEUE = 5

_SUBPROTOCOL_OF = {version: name for name, version in SUBPROTOCOL.items()}

OnAnswer = Callable[[Any, RpcError | None], None]
"""(response, None), or (None, the CALLERROR), or (None, None) when nobody answered."""


class Reply(NamedTuple):
    """The answer to a CALL of the CSMS, and what to do once it has been sent."""

    response: msgspec.Struct
    then: Callable[[], None] | None = None


class BootVerdict(NamedTuple):
    """What BootNotification was answered."""

    status: str
    interval_s: int
    current_time: int
    """ms"""


class Host(Protocol):
    """What the conversation asks of the station program."""

    def boot_request(self, triggered: bool) -> msgspec.Struct: ...

    def boot_verdict(self, response: Any) -> BootVerdict: ...

    def heartbeat_answered(self, response: Any) -> None: ...

    def accepted(self, *, booted: bool) -> None:
        """The station may talk: after an accepted boot, or at a reconnection of an accepted station."""
        ...

    def offline(self) -> None:
        """The connection is gone."""
        ...

    def serve(self, action: str, request: Any) -> Reply:
        """Answer a CALL; raises RpcError to refuse it."""
        ...

    def prepare(self, entry: Queued) -> msgspec.Struct:
        """The request of an outbox entry as it is to be sent now."""
        ...

    def delivered(self, entry: Queued, response: Any, changes: dict[str, bytes | None]) -> None: ...

    def given_up(self, entry: Queued, changes: dict[str, bytes | None]) -> None: ...

    def store(self, changes: dict[str, bytes | None]) -> None:
        """Add to what the next `commit` writes."""
        ...

    def commit(self) -> None:
        """Store what has changed; called before anything that tells of it is sent."""
        ...


class _Pending:
    """A call that is to be sent."""

    __slots__ = ("action", "after", "keep", "on_answer", "request")

    def __init__(
        self, action: str, request: msgspec.Struct, on_answer: OnAnswer | None, keep: bool, after: int
    ) -> None:
        self.action = action
        self.after = after
        """The transaction message that was youngest when this was said."""
        self.request = request
        self.on_answer = on_answer
        self.keep = keep


class _Boot(NamedTuple):
    pass


class _Echo(NamedTuple):
    """A transaction message sent a second time by quirk; its answer is of no interest."""


class _Wire:
    """The receiver of one connection: late callbacks of an old one fall on deaf ears."""

    __slots__ = ("_conversation",)

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation

    def dialed(self, result: DialResult) -> None:
        if self._conversation.wire is self:
            self._conversation.dialed(result)

    def opened(self, link: Link) -> None:
        if self._conversation.wire is self:
            self._conversation.opened(link)
        else:
            link.close(1000, "")

    def frame(self, data: bytes) -> None:
        if self._conversation.wire is self:
            self._conversation.frame(data)

    def pong(self) -> None:
        if self._conversation.wire is self:
            self._conversation.ponged()

    def closed(self, code: int, reason: str) -> None:
        if self._conversation.wire is self:
            self._conversation.closed(code, reason)


class Counts:
    """Plain counters for tests and `pilotwire station`."""

    __slots__ = ("answered", "dials", "lost", "refused", "sent", "shed", "timeouts")

    def __init__(self) -> None:
        self.dials = 0
        self.sent = 0
        self.answered = 0
        self.refused = 0
        self.timeouts = 0
        self.lost = 0
        self.shed = 0


class Conversation:
    """One station's connection, now and again."""

    __slots__ = (
        "_agreed",
        "_answers",
        "_backoff",
        "_boot_due",
        "_boot_timer",
        "_call_timer",
        "_calls",
        "_config",
        "_connect_timer",
        "_dialer",
        "_echo",
        "_heartbeat_timer",
        "_host",
        "_id_counter",
        "_ids",
        "_last_sent",
        "_link",
        "_offered",
        "_ping_timer",
        "_ponged",
        "_pumping",
        "_quirks",
        "_retry_timer",
        "_rpc",
        "_running",
        "_scheduler",
        "_settings",
        "_silent",
        "_trigger_boot",
        "_tx_answers",
        "_version",
        "counts",
        "outbox",
        "registration",
        "wire",
    )  # fmt: skip

    def __init__(
        self,
        host: Host,
        config: StationConfig,
        version: Version,
        scheduler: Scheduler,
        dialer: Dialer,
        ids: Ids,
        random: Random,
        settings: Settings,
        outbox: TransactionQueue,
    ) -> None:
        self._host = host
        self._config = config
        self._quirks = config.quirks
        self._version = version
        self._scheduler = scheduler
        self._dialer = dialer
        self._ids = ids
        self._settings = settings
        self._backoff = BackOff(random)
        self._offered = (_SUBPROTOCOL_OF[config.version],)
        self._answers = AnswerMemory(capacity=8)
        self.outbox = outbox
        self.counts = Counts()
        self.wire: _Wire | None = None
        self.registration = ""
        """Accepted, Pending, Rejected; empty until the CSMS has said."""
        self._link: Link | None = None
        self._rpc: Rpc | None = None
        self._running = False
        self._calls: deque[_Pending] = deque()
        self._agreed = False
        self._boot_due = False
        self._trigger_boot = False
        self._last_sent = 0
        self._silent = 0
        self._ponged = True
        self._id_counter = 0
        self._tx_answers = 0
        self._echo: tuple[Queued, str] | None = None
        self._pumping = False
        self._boot_timer: Timer | None = None
        self._call_timer: Timer | None = None
        self._connect_timer: Timer | None = None
        self._heartbeat_timer: Timer | None = None
        self._ping_timer: Timer | None = None
        self._retry_timer: Timer | None = None

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def online(self) -> bool:
        """Connected and accepted: what happens now is not `offline`."""
        return self._link is not None and self.registration == "Accepted"

    @property
    def connected(self) -> bool:
        return self._link is not None

    def start(self) -> None:
        """Power-on: the station boots on its first connection."""
        self._running = True
        self.registration = "Accepted" if self._quirks.never_boots else ""
        self._id_counter = 0
        self._answers = AnswerMemory(capacity=8)
        self._connect()

    def stop(self, *, code: int | None = None) -> None:
        """Power-off. Nothing more is sent; with `code` the connection is closed in order, else it is dropped."""
        self._running = False
        link, self._link, self.wire = self._link, None, None
        self._cancel_timers()
        if self._rpc is not None:
            self._rpc.close()
            self._rpc = None
        self._calls.clear()
        self._echo = None
        self._backoff.succeeded()
        if link is not None:
            if code is not None:
                link.close(code, "")
            else:
                abort = getattr(link, "abort", None)
                if abort is not None:
                    abort()
                else:
                    link.close(1001, "")

    def _cancel_timers(self) -> None:
        for name in ("_boot_timer", "_call_timer", "_connect_timer", "_heartbeat_timer", "_ping_timer", "_retry_timer"):
            timer = getattr(self, name)
            if timer is not None:
                timer.cancel()
                setattr(self, name, None)

    def _connect(self) -> None:
        self._connect_timer = None
        self.wire = _Wire(self)
        self.counts.dials += 1
        self._dialer.dial(self.wire, self._offered, self.wire.dialed)

    def dialed(self, result: DialResult) -> None:
        """An attempt to connect has ended."""
        self._agreed = result.subprotocol is not None
        if not result.opened:
            self._connect_later()

    def _connect_later(self) -> None:
        self.wire = None
        if not self._running:
            return
        settings = self._settings
        wait = self._backoff.next_wait_ms(
            settings.number("backoff_minimum"), settings.number("backoff_random"), settings.number("backoff_repeats")
        )
        self._connect_timer = self._scheduler.call_later(wait, self._connect)

    def opened(self, link: Link) -> None:
        """Connected."""
        if not self._agreed:
            # No common subprotocol: an OCPP-J client has nothing to say here (part 4, 3.1.2).
            self._link = link
            self.drop()
            return
        self._link = link
        self._rpc = Rpc(self._version, timeout_ms=self._config.call_timeout_ms, memory=self._answers)
        self._backoff.succeeded()
        self._silent = 0
        self._ponged = True
        self._last_sent = int(self._scheduler.now())
        for entry in self.outbox:
            if not entry.tries:
                break
            entry.tries = 0
        if self._quirks.boot_on_reconnect:
            self.registration = ""
        self._ping_later()
        if self.registration == "Accepted":
            self._heartbeat_later()
            self._host.accepted(booted=False)
        else:
            self._boot_due = True
        self._host.commit()
        self.pump()

    def closed(self, code: int, reason: str) -> None:
        """The connection is gone."""
        self._link = None
        self.counts.lost += 1
        self._cancel_timers()
        call = self._rpc.close() if self._rpc is not None else None
        self._rpc = None
        self._connect_later()
        self._host.offline()
        if call is not None:
            self._unanswered(call, lost=True)
        dropped = [pending for pending in self._calls if not pending.keep]
        self._calls = deque(pending for pending in self._calls if pending.keep)
        for pending in dropped:
            if pending.on_answer is not None:
                pending.on_answer(None, None)
        self._host.commit()

    def reconnect(self) -> None:
        """Close in order and dial again after the back-off."""
        link = self._link
        if link is not None:
            link.close(1000, "reconnecting")
            if self._link is link:
                self.closed(1000, "reconnecting")

    def drop(self) -> None:
        """Give the connection up as dead and dial again after the back-off."""
        link = self._link
        if link is not None:
            link.close(1001, "")
            if self._link is link:
                # Do not wait for a close that a dead peer will not answer.
                self.closed(1006, "dropped")

    # ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def call(
        self, action: str, request: msgspec.Struct, on_answer: OnAnswer | None = None, *, keep: bool = False
    ) -> None:
        """Say `request` when it is its turn. Offline: with `keep` after the next connection, else not at all."""
        if not self._running or (not keep and not self.online):
            if on_answer is not None:
                on_answer(None, None)
            return
        if len(self._calls) >= _CALL_LIMIT:
            self.counts.shed += 1
            shed = self._calls.popleft()
            if shed.on_answer is not None:
                shed.on_answer(None, None)
        self._calls.append(_Pending(action, request, on_answer, keep, self.outbox.youngest))

    def boot_again(self) -> None:
        """TriggerMessage(BootNotification) before the station was accepted."""
        self._trigger_boot = True
        self._boot_due = True
        if self._boot_timer is not None:
            self._boot_timer.cancel()
            self._boot_timer = None

    def pump(self) -> None:
        """Send the next message if nothing is outstanding."""
        rpc, link = self._rpc, self._link
        if rpc is None or link is None or rpc.outstanding is not None or self._pumping:
            return
        if self.registration != "Accepted" or self._trigger_boot:
            if self._boot_due:
                self._boot_due = False
                triggered, self._trigger_boot = self._trigger_boot, False
                self._send("BootNotification", self._host.boot_request(triggered), _Boot(), self._new_id())
            return
        if self._calls and self._call_first(self._calls[0]):
            pending = self._calls.popleft()
            self._send(pending.action, pending.request, pending, self._new_id())
            return
        if self._echo is not None:
            entry, message_id = self._echo
            self._echo = None
            self._send(entry.action, self._host.prepare(entry), _Echo(), message_id)
            return
        entry = self.outbox.head
        if entry is not None and self._retry_timer is None:
            if not entry.message_id or self._quirks.new_id_on_retry:
                entry.message_id = self._new_id()
            entry.tries += 1
            self._send(entry.action, self._host.prepare(entry), entry, entry.message_id)

    def _call_first(self, pending: _Pending) -> bool:
        """Things are told in the order in which they happened, but nobody waits behind a long or stuck queue."""
        head = self.outbox.head
        return (
            head is None or head.n > pending.after or self._retry_timer is not None or len(self.outbox) > _SHORT_QUEUE
        )

    def _new_id(self) -> str:
        if self._quirks.message_ids == "counter":
            self._id_counter += 1
            return str(self._id_counter)
        return self._ids.message_id()

    def _send(self, action: str, request: msgspec.Struct, tag: object, message_id: str) -> None:
        assert self._rpc is not None and self._link is not None
        now = int(self._scheduler.now())
        frame = self._rpc.call(message_id, action, request, now, tag)
        self._last_sent = now
        self.counts.sent += 1
        self._call_timer = self._scheduler.call_later(self._config.call_timeout_ms, self._call_timed_out)
        self._link.send(frame)

    # ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def frame(self, data: bytes) -> None:
        """One text frame has come."""
        rpc, link = self._rpc, self._link
        if rpc is None or link is None:
            return
        self._silent = 0
        event = rpc.receive(data, int(self._scheduler.now()))
        if type(event) is ResultReceived:
            self._call_over()
            self.counts.answered += 1
            self._answered(event.call, event.response)
        elif type(event) is CallReceived:
            self._serve(rpc, link, event)
        elif type(event) is ErrorReceived:
            self._call_over()
            self.counts.refused += 1
            self._failed(event.call, event.error)
        elif type(event) is Malformed:
            if event.reply is not None:
                link.send(event.reply)
            if event.call is not None:
                self._call_over()
                self._failed(event.call, event.error)
        elif type(event) is Repeated and event.reply is not None:
            link.send(event.reply)
        self._host.commit()
        self.pump()

    def _serve(self, rpc: Rpc, link: Link, event: CallReceived) -> None:
        self._pumping = True
        then = None
        try:
            if self.registration not in ("Accepted", "Pending"):
                # 1.6-J errata 3.8, B03: nobody talks with a station that was not let in.
                raise RpcError(SECURITY_ERROR, "this station has not been accepted yet")
            reply = self._host.serve(event.action.name, event.request)
            self._host.commit()
            link.send(rpc.answer(event.message_id, reply.response))
            then = reply.then
        except RpcError as error:
            link.send(rpc.refuse(event.message_id, error))
        finally:
            self._pumping = False
        if then is not None:
            then()

    def _call_over(self) -> None:
        if self._call_timer is not None:
            self._call_timer.cancel()
            self._call_timer = None

    def _answered(self, call: OpenCall, response: Any) -> None:
        tag = call.tag
        if type(tag) is Queued:
            changes: dict[str, bytes | None] = {}
            self.outbox.pop(changes)
            self._tx_answers += 1
            every = self._quirks.duplicate_every
            if every and self._tx_answers % every == 0:
                self._echo = (tag, call.message_id)
            self._host.delivered(tag, response, changes)
        elif type(tag) is _Pending:
            if tag.on_answer is not None:
                tag.on_answer(response, None)
        elif type(tag) is _Boot:
            self._boot_answered(response)

    def _failed(self, call: OpenCall, error: RpcError) -> None:
        """The CSMS has answered with CALLERROR, or so that it cannot be read."""
        tag = call.tag
        if type(tag) is Queued:
            changes: dict[str, bytes | None] = {}
            tag.failures += 1
            if tag.failures >= self._settings.number("attempts"):
                self.outbox.drop_head(changes)
                self._host.given_up(tag, changes)
            else:
                self.outbox.update(changes, tag)
                self._host.store(changes)
                self._retry_later(tag.failures)
        elif type(tag) is _Pending:
            if tag.on_answer is not None:
                tag.on_answer(None, error)
        elif type(tag) is _Boot:
            self._boot_later(self._settings.number("backoff_minimum"))

    def _unanswered(self, call: OpenCall, *, lost: bool) -> None:
        tag = call.tag
        if type(tag) is Queued:
            if not lost:
                self._retry_later(min(tag.tries, self._settings.number("attempts")))
        elif type(tag) is _Pending:
            if lost and tag.keep:
                self._calls.appendleft(tag)
            elif tag.on_answer is not None:
                tag.on_answer(None, None)
        elif type(tag) is _Boot and not lost:
            self._boot_later(self._settings.number("backoff_minimum"))

    # ── timers ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _call_timed_out(self) -> None:
        self._call_timer = None
        rpc = self._rpc
        call = rpc.expire(int(self._scheduler.now())) if rpc is not None else None
        if call is None:
            return
        self.counts.timeouts += 1
        self._silent += 1
        self._unanswered(call, lost=False)
        self._host.commit()
        if self._silent >= _DEAD_AFTER:
            self.drop()
        else:
            self.pump()

    def _retry_later(self, transmissions: int) -> None:
        """1.6 3.7.1, E13.FR.03: the interval times the number of preceding transmissions of the same message."""
        wait = self._settings.number("attempt_interval") * transmissions * 1000
        self._retry_timer = self._scheduler.call_later(wait, self._retry_due)

    def _retry_due(self) -> None:
        self._retry_timer = None
        self.pump()

    def _boot_answered(self, response: Any) -> None:
        verdict = self._host.boot_verdict(response)
        self.registration = verdict.status
        if verdict.status == "Accepted":
            self._heartbeat_later()
            self._host.accepted(booted=True)
        else:
            self._boot_later(verdict.interval_s or self._settings.number("backoff_minimum"))

    def _boot_later(self, seconds: int) -> None:
        if self._boot_timer is not None:
            self._boot_timer.cancel()
        self._boot_timer = self._scheduler.call_later(max(1, seconds) * 1000, self._boot_now)

    def _boot_now(self) -> None:
        self._boot_timer = None
        self._boot_due = True
        self.pump()

    def _heartbeat_ms(self) -> int:
        return self._settings.number("heartbeat_interval") * 1000 or _DAY_MS

    def _heartbeat_later(self) -> None:
        if self._heartbeat_timer is not None:
            self._heartbeat_timer.cancel()
        due = self._last_sent + self._heartbeat_ms() - int(self._scheduler.now())
        self._heartbeat_timer = self._scheduler.call_later(max(1000, due), self._heartbeat_due)

    def heartbeat_interval_changed(self) -> None:
        if self.online:
            self._heartbeat_later()

    def _heartbeat_due(self) -> None:
        self._heartbeat_timer = None
        if int(self._scheduler.now()) - self._last_sent >= self._heartbeat_ms():
            self.heartbeat()
            self.pump()
            self._last_sent = int(self._scheduler.now())
        self._heartbeat_later()

    def heartbeat(self) -> None:
        """Say a Heartbeat in its turn."""
        request = self._version.actions["Heartbeat"].request_type()

        def answered(response: Any, error: RpcError | None) -> None:
            if response is not None:
                self._host.heartbeat_answered(response)

        self.call("Heartbeat", request, answered)

    def ping_interval_changed(self) -> None:
        if self._ping_timer is not None:
            self._ping_timer.cancel()
            self._ping_timer = None
        self._ponged = True
        self._ping_later()

    def _ping_later(self) -> None:
        seconds = self._settings.number("ping_interval")
        if seconds and self._link is not None:
            self._ping_timer = self._scheduler.call_later(seconds * 1000, self._ping_due)

    def _ping_due(self) -> None:
        self._ping_timer = None
        if self._link is None:
            return
        if not self._ponged:
            self.drop()
            return
        self._ponged = False
        self._link.ping()
        self._ping_later()

    def ponged(self) -> None:
        """The peer lives."""
        self._ponged = True
        self._silent = 0
