"""The client's end of one connection or bus: what is asked next, what answers what, and for how long to wait.

Requests wait in a bounded queue: writes before reads before background, each with its own deadline. Over TCP answers
are matched by transaction id, and several may be out at once where the device can do it; on a bus there is one. Equal
reads that wait at the same time are asked once. What comes late, twice or from somebody else is counted and dropped.

RTU has no transaction ids: an answer that comes after its time, from the same unit, to the same function and of the
length of what was asked next, cannot be told from the right one. `settle_ms` after each silence makes that unlikely.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Any, Final, Literal, TypeAlias

import msgspec

from pilotwire.core.machines import Close, Send

from .adu import Adu, RtuDecoder, TcpDecoder, encode_rtu, encode_tcp
from .errors import FrameError, ModbusException, NoAnswer
from .pdu import DONE, Request, Response, decode_response, encode_request, function_of, writes

WRITE: Final = 0
READ: Final = 1
BACKGROUND: Final = 2

Outcome: TypeAlias = Response | ModbusException | NoAnswer | FrameError
_PAST = 256


class ClientConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How one endpoint wants to be spoken to."""

    framing: Literal["tcp", "rtu"] = "tcp"
    window: int = 1
    """Requests that may be out at once (TCP); many devices and every gateway to a bus want 1. RTU has 1 always."""
    answer_ms: int = 1000
    gap_ms: int = 0
    """The least time between the last frame, either way, and the next request."""
    settle_ms: int = 100
    """RTU: after a request that nobody answered nothing is sent for so long, so that a late answer meets nothing."""
    broadcast_ms: int = 100
    """RTU: how long a broadcast (unit 0) is left to work before the next request."""
    queue: int = 256
    give_up: int = 3
    """So many requests in a row without any answer: the connection is closed, to be made anew. 0: never."""
    rest_after: int = 3
    """So many in a row without an answer from one unit: it rests, and costs the others no more time. 0: never."""
    rest_ms: int = 5000
    """While a unit rests its reads fail at once; one is let through every so often. Writes always are."""


class Ask(msgspec.Struct, frozen=True):
    """Command: one request. Its outcome comes exactly once, as `Finished` with the same ticket."""

    ticket: int
    """The caller's, unique."""
    unit: int
    request: Request
    deadline: int
    """An instant: by then there is an outcome, whatever it is."""
    priority: int = READ


class Finished(msgspec.Struct, frozen=True):
    """Event: what became of a request."""

    ticket: int
    outcome: Outcome


class ClientCounts(msgspec.Struct):
    """What has happened since the machine was made."""

    sent: int = 0
    answered: int = 0
    exceptions: int = 0
    """Of the answers: exception responses."""
    shared: int = 0
    """Reads that were not sent because an equal one was waiting."""
    silent: int = 0
    """Requests on the wire that nobody answered in time."""
    expired: int = 0
    """Requests whose deadline came while they waited."""
    full: int = 0
    rested: int = 0
    """Requests that failed at once because their unit rests."""
    lost: int = 0
    late: int = 0
    """Answers that came after their time, or a second time."""
    foreign: int = 0
    """Answers to what was never asked."""
    malformed: int = 0
    """Frames that were no answer to what they claimed to answer, and headers that were none."""


class _Entry:
    __slots__ = ("due", "gone", "priority", "request", "sent", "tickets", "transaction", "unit")

    def __init__(self, unit: int, request: Request, priority: int) -> None:
        self.unit = unit
        self.request = request
        self.priority = priority
        self.tickets: dict[int, int] = {}
        self.sent = False
        self.gone = False
        """Nobody waits for it any more; it is passed over when its turn comes."""
        self.due = 0
        self.transaction = 0


class ModbusClient:
    """A `Machine`; its carrier's unit is a chunk of bytes. It begins offline: `connected` when there is a carrier."""

    def __init__(self, config: ClientConfig) -> None:
        self.config = config
        self.counts = ClientCounts()
        self._window = max(1, config.window) if config.framing == "tcp" else 1
        self._decoder: TcpDecoder | RtuDecoder = self._new_decoder()
        self._online = False
        self._waiting: list[tuple[int, int, _Entry]] = []
        self._queued = 0
        self._reads: dict[tuple[int, Request], _Entry] = {}
        self._flying: dict[int, _Entry] = {}
        self._deadlines: list[tuple[int, int, _Entry]] = []
        self._order = 0
        self._transaction = 0
        self._past: dict[int, None] = {}
        self._not_before = 0
        self._dead = 0
        self._misses: dict[int, int] = {}
        self._probe_at: dict[int, int] = {}

    def _new_decoder(self) -> TcpDecoder | RtuDecoder:
        return TcpDecoder() if self.config.framing == "tcp" else RtuDecoder("client")

    @property
    def queued(self) -> int:
        """Requests that wait to be sent."""
        return self._queued

    @property
    def deadline(self) -> int | None:
        heap = self._deadlines
        while heap and heap[0][1] not in heap[0][2].tickets:
            heapq.heappop(heap)
        found = [entry.due for entry in self._flying.values()]
        if heap:
            found.append(heap[0][0])
        if self._online and self._queued and len(self._flying) < self._window:
            found.append(self._not_before)
        return min(found, default=None)

    def connected(self, now: int) -> Sequence[Any]:
        """There is a carrier: what has waited is sent."""
        self._online = True
        self._dead = 0
        self._not_before = now
        return self._go_on(now)

    def command(self, command: Ask, now: int) -> Sequence[Any]:
        """One request. Raises RequestError for one that cannot be put into a frame."""
        encode_request(command.request)
        if command.deadline <= now:
            self.counts.expired += 1
            return [Finished(command.ticket, NoAnswer("expired"))]
        key = (command.unit, command.request)
        entry = self._reads.get(key)
        if entry is not None and entry.priority <= command.priority:
            self.counts.shared += 1
        elif self._queued >= self.config.queue:
            self.counts.full += 1
            return [Finished(command.ticket, NoAnswer("full", f"{self._queued} requests are waiting"))]
        else:
            entry = _Entry(command.unit, command.request, command.priority)
            self._order += 1
            self._queued += 1
            heapq.heappush(self._waiting, (command.priority, self._order, entry))
            if not writes(command.request):
                self._reads[key] = entry
        entry.tickets[command.ticket] = command.deadline
        heapq.heappush(self._deadlines, (command.deadline, command.ticket, entry))
        return self._go_on(now)

    def receive(self, data: bytes, now: int) -> Sequence[Any]:
        effects: list[Any] = []
        try:
            frames = self._decoder.feed(data)
        except FrameError as error:
            self.counts.malformed += 1
            return [*self.lost(now), Close(reason=str(error))]
        if frames:
            self._not_before = max(self._not_before, now + self.config.gap_ms)
        for frame in frames:
            self._frame(frame, effects)
        effects += self._go_on(now)
        return effects

    def elapse(self, now: int) -> Sequence[Any]:
        effects: list[Any] = []
        while self._deadlines and self._deadlines[0][0] <= now:
            _, ticket, entry = heapq.heappop(self._deadlines)
            if entry.tickets.pop(ticket, None) is None:
                continue
            if entry.sent:
                effects.append(Finished(ticket, NoAnswer("silent", "not answered before its deadline")))
            else:
                self.counts.expired += 1
                effects.append(Finished(ticket, NoAnswer("expired")))
                if not entry.tickets:
                    self._drop(entry)
        for entry in [each for each in self._flying.values() if each.due <= now]:
            self._unanswered(entry, effects, now)
        if self.config.give_up and self._dead >= self.config.give_up and self._online:
            count = self._dead
            effects += self.lost(now)
            effects.append(Close(reason=f"{count} requests without an answer"))
        effects += self._go_on(now)
        return effects

    def lost(self, now: int) -> Sequence[Any]:
        """The carrier is gone: what was on the wire has failed, what waits goes on waiting for the next."""
        effects: list[Any] = []
        self._online = False
        self._decoder = self._new_decoder()
        self._past.clear()
        self._dead = 0
        flying, self._flying = self._flying, {}
        for entry in flying.values():
            self.counts.lost += 1
            self._finish(entry, NoAnswer("lost", "the connection was lost before the answer came"), effects)
        return effects

    def abandon(self) -> Sequence[Any]:
        """Nothing that waits is to be sent any more."""
        effects: list[Any] = []
        for _, _, entry in self._waiting:
            if not entry.gone:
                self._finish(entry, NoAnswer("offline", "the link was closed"), effects)
        self._waiting.clear()
        self._reads.clear()
        self._queued = 0
        return effects

    def withdraw(self, ticket: int) -> None:
        """Nobody wants the outcome of this request any more: it is not sent if it still waits, and has no event."""
        for _, number, entry in self._deadlines:
            if number == ticket and entry.tickets.pop(ticket, None) is not None:
                if not entry.tickets and not entry.sent:
                    self._drop(entry)
                return

    def _unanswered(self, entry: _Entry, effects: list[Any], now: int) -> None:
        del self._flying[entry.transaction]
        if self.config.framing == "rtu" and entry.unit == 0:
            self._finish(entry, DONE, effects)
            return
        self.counts.silent += 1
        self._dead += 1
        misses = self._misses[entry.unit] = self._misses.get(entry.unit, 0) + 1
        if self.config.rest_after and misses >= self.config.rest_after:
            self._probe_at[entry.unit] = now + self.config.rest_ms
        if self.config.framing == "tcp":
            self._remember(entry.transaction)
        else:
            self._not_before = max(self._not_before, now + self.config.settle_ms)
        self._finish(entry, NoAnswer("silent", f"unit {entry.unit} did not answer"), effects)

    def _frame(self, frame: Adu, effects: list[Any]) -> None:
        rtu = self.config.framing == "rtu"
        entry = next(iter(self._flying.values()), None) if rtu else self._flying.get(frame.transaction)
        if entry is None:
            if rtu or frame.transaction in self._past:
                self.counts.late += 1
            else:
                self.counts.foreign += 1
            return
        if frame.unit != entry.unit or (rtu and frame.pdu[0] & 0x7F != function_of(entry.request)):
            self.counts.foreign += 1
            return
        outcome: Outcome
        try:
            outcome = decode_response(entry.request, frame.pdu)
        except ModbusException as error:
            self.counts.exceptions += 1
            outcome = error
        except FrameError as error:
            self.counts.malformed += 1
            if rtu:
                return  # perhaps the late answer to what was asked before: the right one may still come
            outcome = error
        self.counts.answered += 1
        self._dead = 0
        self._misses.pop(entry.unit, None)
        self._probe_at.pop(entry.unit, None)
        del self._flying[entry.transaction]
        if not rtu:
            self._remember(entry.transaction)
        self._finish(entry, outcome, effects)

    def _remember(self, transaction: int) -> None:
        self._past[transaction] = None
        if len(self._past) > _PAST:
            del self._past[next(iter(self._past))]

    def _finish(self, entry: _Entry, outcome: Outcome, effects: list[Any]) -> None:
        effects += [Finished(ticket, outcome) for ticket in entry.tickets]
        entry.tickets.clear()

    def _go_on(self, now: int) -> list[Any]:
        """Send what may be sent now."""
        effects: list[Any] = []
        while self._waiting and (
            self._waiting[0][2].gone or (self._online and len(self._flying) < self._window and now >= self._not_before)
        ):
            entry = heapq.heappop(self._waiting)[2]
            if entry.gone:
                continue
            self._leave(entry)
            probe = self._probe_at.get(entry.unit)
            if probe is not None and entry.priority != WRITE:
                if now < probe:
                    self.counts.rested += len(entry.tickets)
                    self._finish(entry, NoAnswer("silent", f"unit {entry.unit} has not answered for a while"), effects)
                    continue
                self._probe_at[entry.unit] = now + self.config.rest_ms
            effects.append(Send(self._launch(entry, now)))
        return effects

    def _leave(self, entry: _Entry) -> None:
        """It waits no longer, and cannot be joined."""
        self._queued -= 1
        key = (entry.unit, entry.request)
        if self._reads.get(key) is entry:
            del self._reads[key]

    def _drop(self, entry: _Entry) -> None:
        self._leave(entry)
        entry.gone = True
        if len(self._waiting) > 2 * self.config.queue + 16:
            self._waiting = [each for each in self._waiting if not each[2].gone]
            heapq.heapify(self._waiting)

    def _launch(self, entry: _Entry, now: int) -> bytes:
        config = self.config
        entry.sent = True
        self.counts.sent += 1
        entry.due = now + config.answer_ms
        self._not_before = now + config.gap_ms
        pdu = encode_request(entry.request)
        if config.framing == "rtu":
            self.counts.late += len(self._decoder.silence())
            if entry.unit == 0:
                entry.due = now + config.broadcast_ms
            self._flying[0] = entry
            return encode_rtu(entry.unit, pdu)
        while True:
            self._transaction = (self._transaction + 1) & 0xFFFF
            if self._transaction not in self._flying:
                break
        self._past.pop(self._transaction, None)
        entry.transaction = self._transaction
        self._flying[entry.transaction] = entry
        return encode_tcp(entry.transaction, entry.unit, pdu)
