"""One station: what it says goes to its upstreams or into their queues, what they ask goes to it.

Rules
1.  A frame is handed on as the bytes that came, in both directions, unless it names something that the two sides know
    by different names, or the box answers it.
2.  What must not be lost (`rules.KEPT`) is answered by the authority while it is there and nothing waits; else by the
    box, after the message has been written down.
3.  A repetition of what was answered gets that answer and goes nowhere.
4.  The authority is the first upstream. What others answer reaches nobody; they get copies by their rights.
5.  Calls of ours have ids of ours; the one outstanding call owns the answer, so no answer reaches the wrong side.
6.  While the authority is known to be away the station is served at once: boot, heartbeat, cards, sessions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.protocols.ocpp.rpc.envelope import write_call, write_error, write_result
from pilotwire.protocols.ocpp.rpc.errors import (
    INTERNAL_ERROR,
    RPC_FRAMEWORK_ERROR,
    RpcError,
    canonical_code,
)
from pilotwire.protocols.ocpp.version import VersionName
from pilotwire.storage.forwarding import EMPTY, Box, Change
from pilotwire.transport.port import Dialer

from . import frames, rules
from .around import Around
from .asking import Asking
from .booting import Booting
from .cards import Cards
from .config import KnownStation, Upstream
from .downlink import Ask, Downlink
from .forwarder import Forwarder, Live, Stored, error_code
from .frames import Frame
from .keeping import Keeping
from .notes import NOTES, Notes
from .renaming import Renaming
from .seams import Limits, North, Told, Watcher
from .tokens import TokenBook

_SUBPROTOCOL: Mapping[VersionName, str] = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1", "2.1": "ocpp2.1"}
_RECENT = 24
_encode = msgspec.json.encode
_numbers = msgspec.json.Encoder(decimal_format="number").encode

Dial = Callable[[Upstream, "Seat"], Dialer]
"""Makes the dialer to an upstream in the name of a seat's station."""


class Seat:
    """See the head of this file."""

    def __init__(
        self,
        around: Around,
        known: KnownStation,
        dial: Dial,
        book: TokenBook,
        boxes: Mapping[str, Box],
        *,
        save_book: Callable[[], None],
        north: Callable[[Seat, msgspec.Raw], North] | None = None,
    ) -> None:
        self.around = around
        self.known = known
        self._dial = dial
        self.book = book
        self.save_book = save_book
        self._boxes = boxes
        self._make_north = north
        self.box = f"{known.tenant}\n{known.identity}"
        self.kept_notes: Mapping[str, bytes] = boxes.get(self.box, EMPTY).notes
        """What a restart left beside the seat's own notes."""
        stored = self.kept_notes.get("seat")
        self.notes = Notes() if stored is None else NOTES.decode(stored)
        self.names = Renaming(self.notes.links)
        self.credential: tuple[str, bytes] | None = None
        """Basic, as the station came with it; in memory alone."""
        self.downlink: Downlink | None = None
        self.watchers: list[Watcher] = []
        self.limits: Limits | None = None
        self.north: North | None = None
        self.forwarders: list[Forwarder] = []
        self.keeping = Keeping(self)
        self._booting, self._cards, self._asking = Booting(self), Cards(self), Asking(self)
        self.stopped = False
        if stored is not None:
            self._prepare()
            around.scheduler.call_later(0, self._drain)

    def _drain(self) -> None:
        """After a restart: what waits is told, whether the station is there or not."""
        if not self.stopped:
            for forwarder in self.forwarders:
                if forwarder.depth:
                    forwarder.uplink.want()

    @property
    def version(self) -> VersionName:
        """What the station speaks."""
        return self.notes.version

    @property
    def upstream_version(self) -> VersionName:
        return self.north.version if self.north is not None else self.version

    @property
    def authority(self) -> Forwarder:
        return self.forwarders[0]

    @property
    def online(self) -> bool:
        """The station is connected."""
        return self.downlink is not None

    def stop(self) -> None:
        """The box ends: nothing more is done."""
        self.stopped = True
        for forwarder in self.forwarders:
            forwarder.stop()
        if self.downlink is not None:
            self.downlink.close(1012, "service restart")

    def admits(self, version: VersionName) -> bool:
        """Whether it may come with that version: not while messages of another one wait."""
        return version == self.version or all(forwarder.idle for forwarder in self.forwarders)

    def receiver(self, version: VersionName, peer: str) -> Downlink:
        """For a connection that is about to open."""
        if version != self.version or not self.forwarders:
            for forwarder in self.forwarders:
                forwarder.stop()
            self._boxes = {each.box: Box({}, 0, each.last) for each in self.forwarders} or self._boxes
            self.notes.version = version
            self._prepare()
        return Downlink(self, self.around, peer)

    def _prepare(self) -> None:
        self.north = None
        if self.known.present_as and self.version == "1.6" and self._make_north is not None:
            self.north = self._make_north(self, self.notes.north)
        self.forwarders = []
        for upstream in self.around.config.upstreams:
            box = f"{self.box}\n{upstream.name}"
            kept = self._boxes.get(box, EMPTY)
            subprotocol = _SUBPROTOCOL[self.upstream_version]
            self.forwarders.append(
                Forwarder(self.around, self, box, upstream, self._dial(upstream, self), subprotocol, kept)
            )

    def noted(self) -> Change:
        """The notes as they are now, to be written."""
        self.notes.links = self.names.links
        if self.north is not None:
            self.notes.north = self.north.kept()
        return Change(self.box, {"seat": _encode(self.notes)})

    def save(self) -> None:
        """Write the notes; nobody waits for it."""
        self.around.store.write([self.noted()], _unheard)

    # ── the station's connection ─────────────────────────────────────────────────────────────────────────────────

    def station_open(self, downlink: Downlink) -> None:
        old, self.downlink = self.downlink, downlink
        if old is not None:
            old.close(1008, "replaced by a newer connection")
        for forwarder in self.forwarders:
            forwarder.uplink.want()
            forwarder.uplink.hurry()  # with it comes the credential, and drivers who wait
        for watcher in self.watchers:
            watcher.connected(True)
        self._cards.stop_refused()

    def station_gone(self, downlink: Downlink) -> None:
        if downlink is not self.downlink:
            return
        self.downlink = None
        for watcher in self.watchers:
            watcher.connected(False)
        self.settle()

    def settle(self) -> None:
        """Without its station an upstream's connection stays only as long as something waits for it (part 4, 6)."""
        if all(forwarder.idle for forwarder in self.forwarders):
            self.names.tidy()
        if self.downlink is None and not self.stopped:
            for forwarder in self.forwarders:
                if forwarder.idle:
                    forwarder.close()

    def station_garbles(self, downlink: Downlink, data: bytes) -> None:
        self.around.counters.malformed += 1
        error = RpcError(RPC_FRAMEWORK_ERROR, "not a message of OCPP-J")
        downlink.send(write_error(frames.CALLERROR, "-1", error, self.version))

    def station_says(self, downlink: Downlink, frame: Frame) -> None:
        if downlink is not self.downlink:
            return
        action = frame.action
        if frame.kind != frames.CALL:
            self._hand_up_unasked(frame)
            return
        for watcher in self.watchers:
            watcher.said(action, frame.payload)
        if action == "BootNotification":
            self._booting.boot(downlink, frame)
        elif action == "Heartbeat":
            self.live(downlink, frame, lambda: _clock(self.around.now()))
        elif action == "Authorize":
            self._cards.authorize(downlink, frame)
        elif rules.kept(self.version, action):
            self.keeping.keep(downlink, frame)
        else:
            simple = rules.SIMPLE.get(action)
            self.live(downlink, frame, None if simple is None else lambda: simple)

    def _hand_up_unasked(self, frame: Frame) -> None:
        """SENDs, CALLRESULTERRORs and types that nobody knows yet: to those that are there, as they are."""
        told = False
        for forwarder in self.forwarders:
            if forwarder.uplink.is_open and self.north is None and forwarder.upstream.rights.hears(frame.action):
                forwarder.uplink.send(frame.raw)
                told = True
        if told:
            self.around.counters.up += 1
        else:
            self.around.counters.dropped += 1

    # ── its upstreams ────────────────────────────────────────────────────────────────────────────────────────────

    def upstream_ready(self, forwarder: Forwarder) -> Sequence[Live]:
        """What an upstream has to hear first."""
        return self._booting.ready(forwarder)

    def upstream_gone(self, forwarder: Forwarder) -> None:
        forwarder.held = False
        self.settle()

    # ── what is answered by the authority, or not at all ─────────────────────────────────────────────────────────

    def call_of(self, frame: Frame, action: str, payload: bytes, answered: Told, **more: Any) -> Live:
        raw = frame.raw if self.north is None and payload is frame.payload else None
        if action == frame.action and payload == frame.payload and self.north is None:
            raw = frame.raw
        return Live(frame.id, action, payload, raw, answered, **more)

    def live(self, downlink: Downlink, frame: Frame, here: Callable[[], bytes] | None, wait_ms: int = 0) -> None:
        """To the authority; without it the answer is `here`'s, or a refusal."""

        def answered(answer: Frame | None) -> None:
            if answer is not None:
                self.learn(frame, answer)
                self.hand_back(downlink, frame, answer)
            elif here is not None:
                self.reply(downlink, frame, here())
            else:
                self.refuse(downlink, frame, RpcError(INTERNAL_ERROR, "the central system cannot be reached"))

        said = [(frame.action, frame.payload)]
        if self.north is not None:
            try:
                said = self.north.up(frame.action, frame.payload, None, away=False)
            except RpcError as error:
                self.refuse(downlink, frame, error)
                return
        if not said:
            answered(None)
            return
        action, payload = said[0]
        self.authority.ask(self.call_of(frame, action, payload, answered, wait_ms=wait_ms))
        for mirror in self.forwarders[1:]:
            if mirror.uplink.is_open and mirror.upstream.rights.hears(frame.action):
                mirror.ask(self.call_of(frame, action, payload, _unheard))

    def decide(self, token: str, kind: str) -> str:
        """Whether a card is let in while nobody can be asked."""
        return self._cards.decide(token, kind)

    def learn(self, frame: Frame, answer: Frame) -> None:
        """What the authority says of a card is remembered."""
        self._cards.learn(frame, answer)

    # ── the queue ────────────────────────────────────────────────────────────────────────────────────────────────

    def outgoing(self, forwarder: Forwarder, action: str, payload: bytes) -> bytes:
        if self.version != "1.6" or self.north is not None or action not in ("MeterValues", "StopTransaction"):
            return payload
        named = frames.value(payload, "transactionId")
        theirs = self.names.theirs(forwarder.upstream.name, named)
        if theirs is None or theirs == named:
            return payload
        return frames.amend(payload, {"transactionId": b"%d" % theirs})

    def delivered(self, forwarder: Forwarder, entry: Stored, answer: Frame | None) -> Sequence[Change]:
        if entry.station_id is not None and self.north is None:
            self.keeping.name(forwarder, entry.station_id, answer)
        if forwarder is self.authority and answer is not None:
            self._cards.judged_late(entry, answer)
        changes = [self.noted()] if entry.station_id is not None or entry.token or forwarder.depth == 0 else []
        self.around.scheduler.call_later(0, self.settle)
        return changes

    def asked(self, forwarder: Forwarder, frame: Frame) -> None:
        """An upstream asks, or says something that is no answer."""
        self._asking.asked(forwarder, frame)

    def obeyed(self, action: str, payload: bytes, answer: Frame) -> None:
        """The station has answered the authority: what of it the box has to know."""
        self._asking.obeyed(action, payload, answer)

    def came_with(self, password: bytes) -> None:
        """The station was let in with that password."""
        if not self.notes.moved and sha256(password).hexdigest() in self.notes.passwords:
            self.notes.moved = True
            self.save()

    # ── own calls ────────────────────────────────────────────────────────────────────────────────────────────────

    def tell(self, action: str, payload: bytes, told: Told) -> bool:
        """A CALL of ours to the station. False: it cannot be asked now, `told` is not called."""
        if self.downlink is None:
            return False
        message_id = self.around.own_id()
        ask = Ask(message_id, write_call(frames.CALL, message_id, action, payload), told)
        if not self.downlink.call(ask):
            return False
        self.around.counters.own_down += 1
        return True

    def say(self, upstream: str, action: str, payload: bytes) -> None:
        """A message of ours in the station's name (an answer that comes as a message of its own)."""
        for forwarder in self.forwarders:
            if forwarder.upstream.name == upstream:
                message_id = self.around.own_id()
                entry = Stored(
                    forwarder.position(), action, message_id, payload.decode(errors="replace"), self.around.now()
                )
                forwarder.keep([entry], [], _unheard)

    # ── answers to the station ───────────────────────────────────────────────────────────────────────────────────

    def reply(self, downlink: Downlink, frame: Frame, payload: bytes) -> None:
        self.around.counters.answered_here += 1
        downlink.send(write_result(frame.id, payload))

    def refuse(self, downlink: Downlink, frame: Frame, error: RpcError) -> None:
        downlink.send(write_error(frames.CALLERROR, frame.id, error, self.version))

    def hand_back(self, downlink: Downlink, frame: Frame, answer: Frame) -> None:
        """The authority's answer to the station: as it came, or in the words of its version."""
        if self.north is not None and answer.kind == frames.CALLRESULT:
            downlink.send(write_result(frame.id, self.north.answer(frame.action, frame.payload, answer.payload, None)))
            return
        self.around.counters.passed_back += 1
        downlink.send(answer.raw if answer.kind == frames.CALLRESULT else self.refusal(answer, frame.id))

    def refusal(self, answer: Frame, message_id: str) -> bytes:
        """The authority's CALLERROR: as it came, or with the code as the station's version spells it."""
        if self.north is not None:
            error = RpcError(canonical_code(error_code(answer)), "the central system refuses it")
            return write_error(frames.CALLERROR, message_id, error, self.version)
        return answer.raw if message_id == answer.id else frames.with_id(answer, message_id)


def _clock(now: int) -> bytes:
    return _encode({"currentTime": to_rfc3339(now)})


def _unheard(_: object) -> None:
    """Nobody waits for what becomes of it."""
