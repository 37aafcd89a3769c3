"""What one station has to say to one upstream: live calls, and the durable queue of what must not be lost.

Rules
1.  One CALL is outstanding at a time (2.x part 4, 4.1.1).
2.  What comes first is `opening`: calls of ours that the upstream must have answered before anything else (a boot that
    it has not heard of). Then live calls in the order of their arrival, then the queue, oldest first.
3.  A message that must not be lost goes live only while nothing of its kind waits; else behind the others.
4.  A live call that must not be lost and is not answered (connection lost, silence) becomes the tail of the queue, in
    order and with its messageId: the upstream that has seen it recognises a repetition.
5.  A queued message leaves with the upstream's answer, be it late; or when the upstream has *refused* it `attempts`
    times, with the standard's growing wait between. Silence is no refusal.
6.  Of the queue only a window is in memory.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import msgspec

from pilotwire.core.time import Timer
from pilotwire.protocols.ocpp.rpc.envelope import write_call
from pilotwire.storage.forwarding import Box, Change, Done, Row
from pilotwire.transport.port import Dialer

from . import frames
from .around import Around
from .config import Upstream
from .frames import Frame
from .uplink import Uplink

_WINDOW = 64
_DEAD_AFTER = 2
"""So many of our calls in a row unanswered, with nothing else heard: the connection is dead."""

_READ_AGAIN_MS = 1_000
"""After a read of the queue that found nothing although something waits: the disk has failed."""

_HOPELESS = frozenset({"NotImplemented", "NotSupported"})
"""Refusals that no repetition changes."""


class Stored(msgspec.Struct, omit_defaults=True):
    """One message in the queue."""

    n: int
    action: str
    message_id: str
    payload: str
    """JSON, as the station sent it unless it says that it waited here."""
    at: int
    """When the box took it, ms UTC."""
    station_id: int | None = None
    """1.6 StartTransaction: the transactionId that the station was given."""
    token: str = ""
    """Of whom it is told that he was let in here."""
    session: str = ""
    """2.x: its transaction."""
    failures: int = 0


_ENTRY = msgspec.json.Decoder(Stored)
_encode = msgspec.json.encode


class Live(msgspec.Struct):
    """A call that somebody waits for."""

    message_id: str
    action: str
    payload: bytes
    raw: bytes | None
    """The frame as it came; None: made of the payload."""
    answered: Callable[[Frame | None], None]
    """The CALLRESULT or CALLERROR; None: there will be none."""
    durable: bool = False
    wait_ms: int = 0
    """0: the controller's `call_ms`."""
    own: bool = False

    @property
    def urgent(self) -> bool:
        """It may be said to an upstream that has not accepted the station."""
        return self.own or self.action == "BootNotification"


class Owner(Protocol):
    """The seat whose forwarder it is."""

    def upstream_ready(self, forwarder: Forwarder) -> Sequence[Live]:
        """The connection is open: what has to be said before anything else."""
        ...

    def upstream_gone(self, forwarder: Forwarder) -> None: ...

    def asked(self, forwarder: Forwarder, frame: Frame) -> None:
        """A CALL or SEND of the upstream, or anything else that is no answer to a call of this forwarder."""
        ...

    def outgoing(self, forwarder: Forwarder, action: str, payload: bytes) -> bytes:
        """The payload as this upstream knows the things in it."""
        ...

    def delivered(self, forwarder: Forwarder, entry: Stored, answer: Frame | None) -> Sequence[Change]:
        """The upstream has answered a queued message (None: it was given up). What is to be written with its going."""
        ...


class Forwarder:
    """See the head of this file."""

    def __init__(
        self, around: Around, owner: Owner, box: str, upstream: Upstream, dialer: Dialer, subprotocol: str, kept: Box
    ) -> None:
        self._around = around
        self._owner = owner
        self.box = box
        self.upstream = upstream
        self.uplink = Uplink(
            self,
            dialer,
            subprotocol,
            scheduler=around.scheduler,
            random=around.random,
            config=around.config,
            counters=around.counters,
        )
        self._opening: deque[Live] = deque()
        self._live: deque[Live] = deque()
        self._window: deque[Stored] = deque()
        self._fetched = 0
        """Position up to which the window has been read."""
        self._next = kept.last + 1
        self.depth = kept.depth
        """Messages that wait, or are being written."""
        self._writing = 0
        self._fetching = False
        self._out: Live | Stored | None = None
        self._timer: Timer | None = None
        self._retry: Timer | None = None
        self._silent = 0
        self._late: deque[str] = deque(maxlen=16)
        self._stopped = False
        self.held = False
        """Nothing but `opening` is sent: the upstream has not accepted the station."""

    # ── what the seat asks ───────────────────────────────────────────────────────────────────────────────────────

    @property
    def takes_live(self) -> bool:
        """What must not be lost may go live: nothing waits before it, and the upstream is there."""
        return self.uplink.expected and self.depth == 0 and not self.held

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is under way."""
        return self.depth == 0 and self._out is None and not self._live and not self._opening

    @property
    def oldest(self) -> int | None:
        """When the message was taken that has waited longest, as far as it is in memory."""
        return self._window[0].at if self._window else None

    @property
    def last(self) -> int:
        """The highest position that was ever given."""
        return self._next - 1

    def position(self) -> int:
        """The place of the next message in the queue."""
        n = self._next
        self._next += 1
        return n

    def ask(self, call: Live) -> None:
        """Say it to the upstream, live."""
        if not self.uplink.expected or (self.held and not call.urgent):
            call.answered(None)
            return
        self._live.append(call)
        self.pump()

    def first(self, call: Live) -> None:
        """Say it before anything else."""
        self._opening.append(call)
        self.pump()

    def keep(self, entries: Sequence[Stored], also: Sequence[Change], done: Done) -> None:
        """Append to the queue, together with other changes; `done` after the commit."""
        self.depth += len(entries)
        self._writing += 1
        rows: list[Row] = [(entry.n, _encode(entry)) for entry in entries]

        def committed(error: Exception | None) -> None:
            self._writing -= 1
            if self._stopped:
                return
            if error is not None:
                self.depth -= len(entries)
                self._around.counters.not_kept += len(entries)
            else:
                self._around.counters.stored += len(entries)
            done(error)
            self.uplink.want()
            self.pump()

        self._around.store.write([Change(self.box, push=rows), *also], committed)

    def asks(self, action: str) -> bool:
        """Whether a live call of that action waits or is outstanding."""
        out = self._out
        return (isinstance(out, Live) and out.action == action) or any(call.action == action for call in self._live)

    def answer(self, frame: bytes) -> None:
        """To the upstream, which has asked."""
        self.uplink.send(frame)

    def stop(self) -> None:
        """The box ends, or is killed: nothing more is done."""
        self._stopped = True
        self._stop_timers()
        self.uplink.unwant(1001)

    def close(self) -> None:
        """The connection is not needed any more."""
        self._give_up_live()
        self._stop_timer()
        self._out = None
        self.uplink.unwant()

    # ── sending ──────────────────────────────────────────────────────────────────────────────────────────────────

    def pump(self) -> None:
        """Send what is next, if nothing is outstanding."""
        if self._out is not None or not self.uplink.is_open or self._stopped:
            return
        while self._live and self._live[0].durable and self.depth:
            self._live.popleft().answered(None)  # another one waits before it by now: behind that
        if self._opening:
            self._send_live(self._opening.popleft())
        elif self._live and (not self.held or self._live[0].urgent):
            self._send_live(self._live.popleft())
        elif not self.held and self._retry is None:
            if self._window:
                self._send_stored(self._window[0])
            elif self.depth and not self._writing:
                self._fetch()

    def _send_live(self, call: Live) -> None:
        payload = self._owner.outgoing(self, call.action, call.payload)
        if call.raw is not None and payload is call.payload:
            frame = call.raw
        else:
            frame = write_call(frames.CALL, call.message_id, call.action, payload)
        counters = self._around.counters
        if call.own:
            counters.own_up += 1
        else:
            counters.up += 1
        self._sent(call, frame, call.wait_ms or self._around.config.call_ms)

    def _send_stored(self, entry: Stored) -> None:
        payload = self._owner.outgoing(self, entry.action, entry.payload.encode())
        frame = write_call(frames.CALL, entry.message_id, entry.action, payload)
        self._around.counters.own_up += 1
        self._sent(entry, frame, self._around.config.call_ms)

    def _sent(self, what: Live | Stored, frame: bytes, wait_ms: int) -> None:
        self._out = what
        self._timer = self._around.scheduler.call_later(wait_ms, self._silence)
        self.uplink.send(frame)

    def _fetch(self) -> None:
        if self._fetching:
            return
        self._fetching = True

        def fetched(rows: list[Row]) -> None:
            self._fetching = False
            if self._stopped:
                return
            for n, body in rows:
                self._fetched = n
                self._window.append(_ENTRY.decode(body))
            if rows:
                self.pump()
            elif self.depth and not self._writing:
                self._around.scheduler.call_later(_READ_AGAIN_MS, self.pump)

        self._around.store.fetch(self.box, self._fetched, _WINDOW, fetched)

    # ── what the connection says ─────────────────────────────────────────────────────────────────────────────────

    def upstream_open(self) -> None:
        self._silent = 0
        self.held = False
        self._opening.extendleft(reversed(list(self._owner.upstream_ready(self))))
        self.pump()

    def upstream_away(self) -> None:
        self._stop_timers()
        out, self._out = self._out, None
        if isinstance(out, Live):
            self._live.appendleft(out)
        self._opening.clear()
        self._give_up_live()
        self._owner.upstream_gone(self)

    def _give_up_live(self) -> None:
        """Each of them in its turn hears that there is no answer; the seat queues what must not be lost."""
        calls, self._live = self._live, deque[Live]()
        for call in calls:
            call.answered(None)

    def upstream_frame(self, data: bytes) -> None:
        frame = frames.read(data)
        if frame is None:
            self._around.counters.malformed += 1
            return
        self._silent = 0
        if frame.kind in (frames.CALLRESULT, frames.CALLERROR):
            self._on_answer(frame)
        else:
            self._owner.asked(self, frame)

    def _on_answer(self, frame: Frame) -> None:
        out = self._out
        if out is not None and out.message_id == frame.id:
            self._stop_timer()
            self._out = None
            if isinstance(out, Live):
                out.answered(frame)
            else:
                self._on_verdict(out, frame)
        elif self._window and self._window[0].message_id == frame.id and frame.kind == frames.CALLRESULT:
            self._gone(self._window[0], frame)  # late, but an answer
        elif frame.id in self._late:
            self._around.counters.strays += 1
        else:
            self._around.counters.strays += 1
        self.pump()

    def _on_verdict(self, entry: Stored, frame: Frame) -> None:
        config = self._around.config
        if frame.kind == frames.CALLRESULT:
            self._gone(entry, frame)
            return
        entry.failures += 1
        if entry.failures >= config.attempts or error_code(frame) in _HOPELESS:
            self._around.counters.discarded += 1
            self._gone(entry, None)
            return
        self._around.counters.retried += 1
        self._around.store.write([Change(self.box, push=[(entry.n, _encode(entry))])], _nothing)
        self._retry = self._around.scheduler.call_later(config.attempt_s * 1000 * entry.failures, self._retry_due)

    def _gone(self, entry: Stored, answer: Frame | None) -> None:
        """It is off the queue: what it changes and its going are one commit."""
        self._window.popleft()
        self.depth -= 1
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        if answer is not None:
            self._around.counters.replayed += 1
        also = self._owner.delivered(self, entry, answer)
        self._around.store.write([Change(self.box, pop=[entry.n]), *also], _nothing)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _silence(self) -> None:
        self._timer = None
        out, self._out = self._out, None
        if out is None:
            return
        self._late.append(out.message_id)
        self._silent += 1
        if isinstance(out, Live):
            if out.wait_ms:
                self._silent -= 1  # it was given less than the usual time
            out.answered(None)
        else:
            wait = self._around.config.attempt_s * 1000
            self._retry = self._around.scheduler.call_later(wait, self._retry_due)
        if self._silent >= _DEAD_AFTER:
            self.uplink.drop("calls unanswered")
        self.pump()

    def _retry_due(self) -> None:
        self._retry = None
        self.pump()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _stop_timers(self) -> None:
        self._stop_timer()
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None


def error_code(frame: Frame) -> str:
    """The code of a CALLERROR; "" where there is none."""
    try:
        parts = msgspec.json.decode(frame.raw, type=list[msgspec.Raw])
        return msgspec.json.decode(parts[2], type=str)
    except (IndexError, msgspec.MsgspecError, UnicodeDecodeError):
        return ""


def _nothing(error: Exception | None) -> None:
    """A pop that is not kept means one repetition more, under the same messageId."""
