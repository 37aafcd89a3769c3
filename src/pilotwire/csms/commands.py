"""What is sent to one station: one CALL in flight, the urgent first, and intents that outlive a connection.

    request ──► prepared ──► recorded (CommandRequested, committed) ──► queued ──► sent ──► settled (CommandSettled)

Outcomes
    answered       the station's own CALLRESULT
    refused        its CALLERROR, or an answer that cannot be read
    timed-out      sent, and no answer came in time or before the connection broke
    expired        a durable intent that could not be sent before its time
    undeliverable  the station is away and the command was not durable; or the queue is full
    invalid        there is no such command in the station's version, or its payload is wrong (never recorded)

A durable intent that was sent and not answered when the connection broke is sent again, under the same messageId: a 2.x
station can recognise it.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.core.errors import PilotwireError
from pilotwire.core.time import Timer
from pilotwire.domain.facts import AnyFact, CommandRequested, CommandSettled, SessionLimitSet
from pilotwire.domain.records import Command
from pilotwire.domain.stations import Decision, decide
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.protocols.ocpp.rpc.machine import OpenCall
from pilotwire.protocols.ocpp.version import load as load_version
from pilotwire.storage.port import StoreFailed
from pilotwire.translate import answers, verbs
from pilotwire.transport.bus import CommandReply, CommandRequest

from . import local_lists, objections, prices, remedies
from .certificates import actions as special

if TYPE_CHECKING:
    from .actor import StationActor

Reply = Callable[[CommandReply], None]

URGENT, NORMAL, BULKY = 0, 1, 2
PRIORITY: Mapping[str, int] = {
    **dict.fromkeys(
        (
            "CancelReservation",
            "ClearChargingProfile",
            "RemoteStopTransaction",
            "RequestStopTransaction",
            "SetChargingProfile",
            "UnlockConnector",
            "UpdateDynamicSchedule",
        ),
        URGENT,
    ),
    **dict.fromkeys(
        (
            "CustomerInformation",
            "GetBaseReport",
            "GetChargingProfiles",
            "GetCompositeSchedule",
            "GetConfiguration",
            "GetDiagnostics",
            "GetInstalledCertificateIds",
            "GetLog",
            "GetMonitoringReport",
            "GetReport",
            "GetVariables",
            "SendLocalList",
            "UpdateFirmware",
        ),
        BULKY,
    ),
}
"""What stops or limits goes first, what asks for much goes last; the rest is NORMAL."""

NEEDS_ACCEPTANCE = frozenset(
    {"RemoteStartTransaction", "RemoteStopTransaction", "RequestStartTransaction", "RequestStopTransaction"}
)
"""Not sent to a station that is Pending (1.6 4.2, 2.x B02); a Rejected one is sent nothing."""


class Item(msgspec.Struct, gc=False):
    """One command on its way."""

    id: str
    """"" for what the central system asks of its own accord: never recorded."""
    action: str
    payload: bytes
    request: msgspec.Struct | None
    """None for an intent that came out of the store: it is decoded for the version that the station then speaks."""
    deadline: int
    """ms; when it is no longer to be sent."""
    timeout_ms: int
    durable: bool = False
    secret: bool = False
    reply: Reply | None = None
    message_id: str = ""
    order: int = 0


class Outbox:
    """The commands of one station. Belongs to its actor and is as little asynchronous."""

    __slots__ = ("_actor", "_alarm", "_count", "_heap", "_recording", "_timer")

    def __init__(self, actor: StationActor) -> None:
        self._actor = actor
        self._heap: list[tuple[int, int, Item]] = []
        self._count = 0
        self._recording = 0
        """Commands whose record is being committed."""
        self._timer: Timer | None = None
        """Of the call in flight."""
        self._alarm: Timer | None = None
        """When the next queued command is past its time."""

    def __len__(self) -> int:
        return len(self._heap)

    # -- coming in ----------------------------------------------------------------------------------------------------
    def restore(self, commands: Mapping[str, Command]) -> None:
        """Take up the pending intents of a station that was just loaded; `pump` settles those past their time."""
        known = {item.id for _, _, item in self._heap}
        rpc = self._actor.rpc
        if rpc is not None and rpc.outstanding is not None:
            known.add(_item(rpc.outstanding).id)
        timeout_ms = self._actor.around.config.call_timeout_ms
        for command in commands.values():
            if command.id not in known:
                payload = command.payload.encode()
                self._push(
                    Item(command.id, command.action, payload, None, command.expires_at, timeout_ms, durable=True)
                )

    def request(self, asked: CommandRequest, reply: Reply) -> None:
        """Do what a person or a program asked for; `reply` is called exactly once, maybe much later."""
        actor = self._actor
        if asked.action == prices.CHANGE:
            instead = prices.change(actor, asked, reply)
            if instead is None:
                return None
            asked = instead
        if local_lists.fits(asked):
            return local_lists.Sending(actor, asked, self._one, reply).go()
        return self._one(asked, reply)

    def _one(self, asked: CommandRequest, reply: Reply) -> None:
        """`request`, of what goes out as it is or in parts that have nothing to do with one another."""
        actor = self._actor
        around, now = actor.around, actor.around.now()
        state = actor.state
        assert state is not None
        version = actor.version
        durable = asked.expires_at is not None
        if actor.quirks.active or state.station.batches:
            asked = remedies.completed(actor, asked)
            parted = remedies.parts(actor, asked)
            if parted:
                return remedies.Gathering(parted, self.request, reply).go()

        def end(outcome: str, answer: dict[str, Any]) -> None:
            around.counters.count(around.counters.commands, outcome)
            reply(CommandReply(command_id="", outcome=outcome, action=asked.action, answer=answer))

        if not actor.connected and not durable:
            return end("undeliverable", _says("Offline", "the station is not connected"))
        if asked.expires_at is not None and asked.expires_at <= now:
            return end("expired", _says("Expired", "expires_at is past"))
        if not version:
            return end("invalid", _says("Invalid", "this station has never connected: its OCPP version is unknown"))
        if len(self._heap) + self._recording >= around.config.queued_commands:
            return end("undeliverable", _says("QueueFull", "too many commands wait for this station"))
        ask = verbs.Asking(version, actor.transaction_of, around.ids.transaction_id)
        try:
            made = verbs.prepare(load_version(version), asked.action, asked.payload, ask)
        except verbs.Invalid as error:
            return end("invalid", error.answer())
        secret = answers.holds_secret(made.action, made.request)
        if secret and durable:
            return end("invalid", _says("Invalid", "a secret is never stored: send it while the station is connected"))
        objection = (
            special.objection(actor, made.action, made.request)
            or objections.objection(actor, made.action, made.request, len(made.payload))
            or objections.limited(actor, made.limit)
        )
        if objection:
            return end("invalid", _says("NotAllowed", objection))
        item = Item(
            id=around.ids.new(),
            action=made.action,
            payload=made.payload,
            request=made.request,
            deadline=asked.expires_at if asked.expires_at is not None else now + asked.timeout_ms,
            timeout_ms=asked.timeout_ms,
            durable=durable,
            secret=secret,
            reply=reply,
        )
        fact = CommandRequested(
            event_time=now,
            command_id=item.id,
            action=item.action,
            payload="" if secret else item.payload.decode(),
            # One that is not durable is past its time for whoever reads it from the store.
            expires_at=asked.expires_at if asked.expires_at is not None else now,
            by=asked.by,
        )
        facts: tuple[AnyFact, ...] = (fact,)
        if made.limit is not None:
            start: Any = made.request
            facts += (SessionLimitSet(event_time=now, start_id=start.remote_start_id, limit=made.limit),)
        self._recording += 1

        def go(ready: bool) -> None:
            if ready:
                actor.when_ready(lambda: actor.record(facts, partial(self._recorded, item)))
            else:
                self._recorded(item, StoreFailed("the station's account could not be written"))

        special.before(actor, made.action, made.request, go)

    def ask(self, action: str, payload: bytes, *, urgent: bool = True, then: Reply | None = None) -> None:
        """Ask something of our own accord, now or never. `then` is told of its end, once."""
        if action == "TriggerMessage" and "no-triggers" in self._actor.quirks.active:
            return
        now = self._actor.around.now()
        timeout = self._actor.around.config.call_timeout_ms
        item = Item("", action, payload, None, now + timeout, timeout, reply=then)
        self._push(item, URGENT if urgent else None)
        self.pump()

    def _recorded(self, item: Item, error: BaseException | None) -> None:
        self._recording -= 1
        if error is not None:
            self._reply(item, "undeliverable", _says("StoreFailed", "the command could not be recorded"))
            return
        if not item.durable and not self._actor.connected:
            away = _says("Offline", "the station went away")
            self._actor.when_ready(lambda: self.settle(item, "undeliverable", away))
            return
        self._push(item)
        self.pump()

    def _push(self, item: Item, priority: int | None = None) -> None:
        if not item.order:
            self._count += 1
            item.order = self._count
        rank = PRIORITY.get(item.action, NORMAL) if priority is None else priority
        heapq.heappush(self._heap, (rank, item.order, item))
        self._actor.around.counters.queued_commands += 1
        self._watch()

    def _pop(self, place: int) -> Item:
        item = self._heap.pop(place)[2]
        heapq.heapify(self._heap)
        self._actor.around.counters.queued_commands -= 1
        return item

    # -- going out ----------------------------------------------------------------------------------------------------
    def pump(self) -> None:
        """Send the next command if one may be sent now."""
        actor = self._actor
        if actor.state is None:
            return  # pumped again when it is there
        self._sweep()
        while self._heap and actor.state is not None:
            rpc = actor.free_rpc()
            if rpc is None:
                return
            place = self._next(actor.acceptance)
            if place is None:
                return
            item = self._pop(place)
            if item.request is None:
                try:
                    made = verbs.decode(load_version(actor.version), item.action, item.payload)
                except verbs.Invalid as error:
                    self.settle(item, "undeliverable", error.answer())
                    continue
                item.request = made.request
            now = actor.around.now()
            item.message_id = item.message_id or actor.around.ids.message_id()
            rpc.timeout_ms = item.timeout_ms
            try:
                frame = rpc.call(item.message_id, item.action, item.request, now, item)
            except PilotwireError as error:
                self.settle(item, "undeliverable", _says("Unsendable", str(error)))
                continue
            if item.action == "TriggerMessage" and actor.current is not None:
                actor.current.triggered = True
            actor.transmit(frame, secret=item.secret)
            self._timer = actor.around.scheduler.call_later(item.timeout_ms, self._overdue)

    def _next(self, acceptance: str) -> int | None:
        """Place of the command to send to a station of this boot status, None when all have to wait."""
        if acceptance == "Accepted":
            return 0
        if acceptance == "Rejected":
            return None  # B03.FR.03: nothing at all, what we would ask of our own accord neither
        fitting = [
            (entry, place)
            for place, entry in enumerate(self._heap)
            if not entry[2].id or (acceptance == "Pending" and entry[2].action not in NEEDS_ACCEPTANCE)
        ]
        return min(fitting)[1] if fitting else None

    def _overdue(self) -> None:
        self._timer = None
        rpc = self._actor.rpc
        open_call = rpc.outstanding if rpc is not None else None
        # The timer is what says that the time is over: the wall clock may have been set back meanwhile.
        call = rpc.expire(open_call.deadline) if rpc is not None and open_call is not None else None
        if call is not None:
            self._actor.when_ready(partial(self._timed_out, call))

    def _timed_out(self, call: OpenCall) -> None:
        item = _item(call)
        odd = self._actor.quirks.silent(item.action, item.request, call.sent_at)
        self.settle(item, "timed-out", _says("TimedOut", "the station did not answer in time"), facts=odd)
        self.pump()

    # -- coming to an end ---------------------------------------------------------------------------------------------
    def answered(
        self, call: OpenCall, response: msgspec.Struct, frame: bytes, deviations: tuple[str, ...] = ()
    ) -> None:
        """Our CALL has its CALLRESULT."""
        item = _item(call)
        self._over()
        answer: dict[str, Any] = msgspec.json.decode(frame)[2]
        reported = self._reported(item, response)
        reported += self._actor.quirks.answered(item.action, item.request, response, reported, deviations)
        self.settle(item, "answered", answer, frame=b"" if item.secret else frame, facts=reported)
        self.pump()

    def _reported(self, item: Item, response: msgspec.Struct) -> tuple[AnyFact, ...]:
        """What the answer says of the station's variables."""
        actor = self._actor
        try:
            report = answers.report(item.action, item.request, response)
            if report is None:
                return ()
            decision = decide(actor.known(), report, actor.context(actor.around.now()))
        except Exception as error:  # a fault of ours: whoever asked has the answer all the same
            actor.around.counters.faults += 1
            actor.around.log("an answer could not be taken in", actor.key, action=item.action, error=repr(error))
            return ()
        assert isinstance(decision, Decision)  # a report needs no older session
        return decision.facts

    def refused(self, call: OpenCall, error: RpcError, frame: bytes) -> None:
        """Our CALL has its CALLERROR, or an answer that cannot be read."""
        item = _item(call)
        answer = {"code": error.code, "description": error.description, "details": dict(error.details)}
        self._over()
        odd = self._actor.quirks.refused(item.action, item.request, error.code, frame)
        self.settle(item, "refused", answer, frame=frame, facts=odd)
        self.pump()

    def disconnected(self, call: OpenCall | None) -> None:
        """The connection is gone, with this call of ours open. What is not durable has no future."""
        self._over()
        if call is not None:
            item = _item(call)
            if item.durable:
                self._push(item)
            else:
                broke = _says("ConnectionLost", "the connection broke before the answer came")
                self.settle(item, "timed-out", broke)
        lost = [entry[2] for entry in self._heap if not entry[2].durable]
        self._heap = [entry for entry in self._heap if entry[2].durable]
        heapq.heapify(self._heap)
        self._actor.around.counters.queued_commands -= len(lost)
        away = _says("Offline", "the station went away")
        for item in sorted(lost, key=lambda one: one.order):
            self._actor.when_ready(partial(self.settle, item, "undeliverable", away))
        self._sweep()

    def settle(
        self,
        item: Item,
        outcome: str,
        answer: dict[str, Any] | None = None,
        *,
        frame: bytes = b"",
        facts: tuple[AnyFact, ...] = (),
    ) -> None:
        """Record what became of it, with the `facts` that its answer made, then tell who asked."""
        actor = self._actor
        now = actor.around.now()
        if answer is None:
            answer = _says("Expired", "it could not be sent in time") if outcome == "expired" else {}
        if item.action in special.SETTLED:
            self._look_at(item, outcome, answer)
        if item.id:
            text = msgspec.json.encode(answer).decode()
            facts = (CommandSettled(event_time=now, command_id=item.id, outcome=outcome, answer=text), *facts)
        if facts:
            # The station's answer is what it is, whether or not we could write it down.
            actor.record(facts, lambda error: self._reply(item, outcome, answer), frame=frame)
        elif item.reply is not None:
            self._reply(item, outcome, answer)  # nothing to write down

    def _look_at(self, item: Item, outcome: str, answer: dict[str, Any]) -> None:
        """What the command did is of interest beyond who asked for it."""
        actor = self._actor
        try:
            if item.request is None:  # it came out of the store and was never sent
                item.request = verbs.decode(load_version(actor.version), item.action, item.payload).request
            payload = msgspec.json.decode(item.payload)
            special.settled(actor, item.action, item.request, payload, outcome, answer)
        except Exception as error:  # a fault of ours: the command itself is settled as it is
            actor.around.counters.faults += 1
            actor.around.log("what follows a command failed", actor.key, action=item.action, error=repr(error))

    def _reply(self, item: Item, outcome: str, answer: dict[str, Any]) -> None:
        counters = self._actor.around.counters
        counters.count(counters.commands, outcome)
        reply, item.reply = item.reply, None
        if reply is not None:
            reply(CommandReply(command_id=item.id, outcome=outcome, action=item.action, answer=answer))

    def _over(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- time ---------------------------------------------------------------------------------------------------------
    def _sweep(self) -> None:
        """Settle what is past its time."""
        now = self._actor.around.now()
        late = [entry[2] for entry in self._heap if entry[2].deadline <= now]
        if late:
            self._heap = [entry for entry in self._heap if entry[2].deadline > now]
            heapq.heapify(self._heap)
            self._actor.around.counters.queued_commands -= len(late)
        self._watch()
        for item in sorted(late, key=lambda one: one.order):
            self._actor.when_ready(partial(self.settle, item, "expired" if item.durable else "timed-out"))

    def _watch(self) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        if self._heap:
            due = min(entry[2].deadline for entry in self._heap)
            delay = max(0, due - self._actor.around.now())
            self._alarm = self._actor.around.scheduler.call_later(delay, self._rang)

    def _rang(self) -> None:
        self._alarm = None
        self.pump()

    def stop(self) -> None:
        """Call off the timers."""
        self._over()
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None


def _item(call: OpenCall) -> Item:
    """What a CALL of ours was sent for."""
    assert isinstance(call.tag, Item)
    return call.tag


def _says(code: str, description: str) -> dict[str, Any]:
    return {"code": code, "description": description, "details": {}}
