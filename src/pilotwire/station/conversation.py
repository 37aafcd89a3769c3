"""What the station says and hears: one CALL at a time, in the right order, retried by the standard.

Callback code over `Connection` (the wire), `Registration` (boot and heartbeat), `Scheduler` and the RPC machine; it
holds no charging logic. What the station wants
to say comes in two ways: `call` for what is only worth saying now, and the outbox for transaction messages, which are
never lost. Of both, `pump` sends the next one when nothing is outstanding:

1. BootNotification, as long as the CSMS has not accepted (1.6 4.2, 2.0.1 B01 to B03);
2. then calls and the outbox, in the order in which things happened;
3. but calls first where the outbox is long (the station was offline) or its head waits for its next attempt.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from random import Random
from typing import Any, NamedTuple

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
from pilotwire.transport.port import Dialer, Link

from .config import StationConfig
from .connection import Connection
from .host import Host, Later, OnAnswer
from .outbox import Queued, TransactionQueue
from .registration import Registration
from .settings import Settings

_CALL_LIMIT = 200
_CROWD = 50
_DEAD_AFTER = 3
"""So many of our calls in a row unanswered, with nothing else received: the connection is dead."""
_SHORT_QUEUE = 5

_SUBPROTOCOL_OF = {version: name for name, version in SUBPROTOCOL.items()}


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


class Counts:
    """Plain counters for tests and `pilotwire station`."""

    __slots__ = ("_connection", "answered", "refused", "sent", "shed", "timeouts")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.sent = 0
        self.answered = 0
        self.refused = 0
        self.timeouts = 0
        self.shed = 0

    @property
    def dials(self) -> int:
        return self._connection.dials

    @property
    def lost(self) -> int:
        return self._connection.lost


class Conversation:
    """One station's talk with its CSMS, over however many connections."""

    __slots__ = (
        "_answers",
        "_boot",
        "_call_timer",
        "_calls",
        "_config",
        "_connection",
        "_echo",
        "_id_counter",
        "_ids",
        "_pumping",
        "_quirks",
        "_retry_timer",
        "_rpc",
        "_running",
        "_scheduler",
        "_settings",
        "_silent",
        "_tx_answers",
        "counts",
        "host",
        "last_sent",
        "outbox",
        "version",
    )

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
        self.host = host
        self._config = config
        self._quirks = config.quirks
        self.version = version
        self._scheduler = scheduler
        self._ids = ids
        self._settings = settings
        self._connection = Connection(self, scheduler, dialer, _SUBPROTOCOL_OF[config.version], random, settings)
        self._boot = Registration(self, scheduler, settings)
        self._answers = AnswerMemory(capacity=8)
        self.outbox = outbox
        self.counts = Counts(self._connection)
        self._rpc: Rpc | None = None
        self._running = False
        self._calls: deque[_Pending] = deque()
        self.last_sent = 0
        """When the last CALL went out, true time, ms."""
        self._silent = 0
        self._id_counter = 0
        self._tx_answers = 0
        self._echo: tuple[Queued, str] | None = None
        self._pumping = False
        self._call_timer: Timer | None = None
        self._retry_timer: Timer | None = None

    # ── life ─────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def registration(self) -> str:
        """Accepted, Pending, Rejected; empty until the CSMS has said."""
        return self._boot.status

    @property
    def accepted(self) -> bool:
        """The CSMS has accepted this station since it was started, connected or not."""
        return self._boot.accepted

    @property
    def online(self) -> bool:
        """Connected and accepted: what happens now is not `offline`."""
        return self._connection.link is not None and self._boot.accepted

    @property
    def connected(self) -> bool:
        return self._connection.link is not None

    @property
    def crowded(self) -> bool:
        """So much waits to be said that a report could push out what the CSMS has not been told yet."""
        return len(self._calls) >= _CROWD

    def start(self) -> None:
        """Power-on: the station boots on its first connection."""
        self._running = True
        self._boot.status = "Accepted" if self._quirks.never_boots else ""
        self._id_counter = 0
        self._answers = AnswerMemory(capacity=8)
        self._connection.start()

    def stop(self, *, code: int | None = None) -> None:
        """Power-off. Nothing more is sent; with `code` the connection is closed in order, else it is dropped."""
        self._running = False
        self._cancel_timers()
        if self._rpc is not None:
            self._rpc.close()
            self._rpc = None
        self._calls.clear()
        self._echo = None
        self._connection.stop(code)

    def _cancel_timers(self) -> None:
        self._boot.stop()
        for timer in (self._call_timer, self._retry_timer):
            if timer is not None:
                timer.cancel()
        self._call_timer = self._retry_timer = None

    def opened(self) -> None:
        """Connected."""
        self._rpc = Rpc(self.version, timeout_ms=self._config.call_timeout_ms, memory=self._answers)
        self._silent = 0
        self.last_sent = int(self._scheduler.now())
        for entry in self.outbox:
            if not entry.tries:
                break
            entry.tries = 0
        if self._quirks.boot_on_reconnect:
            self._boot.status = ""
        if self._boot.accepted:
            self._boot.heartbeat_later()
            self.host.accepted(booted=False)
        else:
            self._boot.due = True
        self.host.commit()
        self.pump()

    def ponged(self) -> None:
        """The peer lives."""
        self._silent = 0

    def closed(self) -> None:
        """The connection is gone."""
        self._cancel_timers()
        call = self._rpc.close() if self._rpc is not None else None
        self._rpc = None
        self._connection.redial()
        self.host.offline()
        if call is not None:
            self._unanswered(call, lost=True)
        dropped = [pending for pending in self._calls if not pending.keep]
        self._calls = deque(pending for pending in self._calls if pending.keep)
        for pending in dropped:
            if pending.on_answer is not None:
                pending.on_answer(None, None)
        self.host.commit()

    def reconnect(self) -> None:
        """Close in order and dial again after the back-off."""
        self._connection.reconnect()

    def drop(self) -> None:
        """Give the connection up as dead and dial again after the back-off."""
        self._connection.drop()

    def ping_interval_changed(self) -> None:
        self._connection.ping_interval_changed()

    def heartbeat_interval_changed(self) -> None:
        if self.online:
            self._boot.heartbeat_later()

    def boot_anew(self) -> None:
        """The connection that is about to open leads elsewhere: whoever is there has not accepted this station yet."""
        if not self._quirks.never_boots:
            self._boot.status = ""

    def boot_again(self) -> None:
        """TriggerMessage(BootNotification) before the station was accepted."""
        self._boot.boot_again()

    def heartbeat(self) -> None:
        """Say a Heartbeat in its turn."""
        self._boot.heartbeat()

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

    def waiting(self, action: str) -> list[msgspec.Struct]:
        """What `call` has been given of that action and has not been sent yet."""
        return [pending.request for pending in self._calls if pending.action == action]

    def send(self, action: str, request: msgspec.Struct) -> None:
        """Say what nobody answers (2.1 SEND), at once; offline it is lost. After what has changed is stored."""
        rpc, link = self._rpc, self._connection.link
        if rpc is None or link is None or not self._boot.accepted:
            return
        self.host.commit()
        self.counts.sent += 1
        link.send(rpc.send(self._new_id(), action, request))

    def pump(self) -> None:
        """Send the next message if nothing is outstanding."""
        rpc, boot = self._rpc, self._boot
        if rpc is None or self._connection.link is None or rpc.outstanding is not None or self._pumping:
            return
        if not boot.accepted or boot.triggered:
            if boot.due:
                boot.due = False
                triggered, boot.triggered = boot.triggered, False
                self._send("BootNotification", self.host.boot_request(triggered), _Boot(), self._new_id())
            return
        if self._calls and self._call_first(self._calls[0]):
            pending = self._calls.popleft()
            self._send(pending.action, pending.request, pending, self._new_id())
            return
        if self._echo is not None:
            entry, message_id = self._echo
            self._echo = None
            self._send(entry.action, self.host.prepare(entry), _Echo(), message_id)
            return
        entry = self.outbox.head
        if entry is not None and self._retry_timer is None:
            if not entry.message_id or self._quirks.new_id_on_retry:
                entry.message_id = self._new_id()
            entry.tries += 1
            self._send(entry.action, self.host.prepare(entry), entry, entry.message_id)

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
        link = self._connection.link
        assert self._rpc is not None and link is not None
        now = int(self._scheduler.now())
        frame = self._rpc.call(message_id, action, request, now, tag)
        self.last_sent = now
        self.counts.sent += 1
        self._call_timer = self._scheduler.call_later(self._config.call_timeout_ms, self._call_timed_out)
        link.send(frame)

    # ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def frame(self, data: bytes) -> None:
        """One text frame has come."""
        rpc, link = self._rpc, self._connection.link
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
        self.host.commit()
        self.pump()

    def _serve(self, rpc: Rpc, link: Link, event: CallReceived) -> None:
        self._pumping = True
        then = None
        try:
            if self.registration not in ("Accepted", "Pending"):
                # 1.6-J errata 3.8, B03: nobody talks with a station that was not let in.
                raise RpcError(SECURITY_ERROR, "this station has not been accepted yet")
            reply = self.host.serve(event.action.name, event.request)
            if isinstance(reply, Later):
                reply.begin(partial(self._answer, rpc, link, event.message_id))
            else:
                self._answer(rpc, link, event.message_id, reply.response)
                then = reply.then
        except RpcError as error:
            link.send(rpc.refuse(event.message_id, error))
        finally:
            self._pumping = False
        if then is not None:
            then()

    def _answer(self, rpc: Rpc, link: Link, message_id: str, response: msgspec.Struct) -> None:
        """Unless the connection on which it was asked is gone."""
        if rpc is self._rpc:
            self.host.commit()
            link.send(rpc.answer(message_id, response))

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
            self.host.delivered(tag, response, changes)
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
                self.host.given_up(tag, changes)
            else:
                self.outbox.update(changes, tag)
                self.host.store(changes)
                self._retry_later(tag.failures)
        elif type(tag) is _Pending:
            if tag.on_answer is not None:
                tag.on_answer(None, error)
        elif type(tag) is _Boot:
            self._boot.unanswered()

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
            self._boot.unanswered()

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
        self.host.commit()
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
        verdict = self.host.boot_verdict(response)
        self._boot.answered(verdict.status, verdict.interval_s)
        if self._boot.accepted:
            self.host.accepted(booted=True)
