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
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.protocols.ocpp.rpc.envelope import write_call, write_error, write_result
from pilotwire.protocols.ocpp.rpc.errors import (
    INTERNAL_ERROR,
    RPC_FRAMEWORK_ERROR,
    SECURITY_ERROR,
    RpcError,
    canonical_code,
)
from pilotwire.protocols.ocpp.version import VersionName
from pilotwire.storage.forwarding import EMPTY, Box, Change
from pilotwire.transport.port import Dialer

from . import frames, rules
from .around import OWN, Around
from .config import KnownStation, Upstream
from .downlink import Ask, Downlink
from .forwarder import Forwarder, Live, Stored, error_code
from .frames import Frame
from .keeping import Keeping
from .notes import NOTES, Notes, new_passwords
from .renaming import Renaming
from .seams import Limits, North, Told, Watcher
from .tokens import ACCEPTED, TokenBook

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
        self._book = book
        self._save_book = save_book
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
        self._stopped = False
        if stored is not None:
            self._prepare()
            around.scheduler.call_later(0, self._drain)

    def _drain(self) -> None:
        """After a restart: what waits is told, whether the station is there or not."""
        if not self._stopped:
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
        self._stopped = True
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
        self._stop_refused()

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
        if self.downlink is None and not self._stopped:
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
            self._boot(downlink, frame)
        elif action == "Heartbeat":
            self._live(downlink, frame, lambda: _clock(self.around.now()))
        elif action == "Authorize":
            self._authorize(downlink, frame)
        elif rules.kept(self.version, action):
            self.keeping.keep(downlink, frame)
        else:
            simple = rules.SIMPLE.get(action)
            self._live(downlink, frame, None if simple is None else lambda: simple)

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

    # ── boot ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _boot(self, downlink: Downlink, frame: Frame) -> None:
        if self.north is not None:
            try:
                self.north.boot(frame.payload)
            except RpcError as error:
                self._refuse(downlink, frame, error)
                return
        self.notes.boot = frame.payload.decode(errors="replace")
        self.notes.due = [each.upstream.name for each in self.forwarders]
        self.save()
        authority = self.authority

        def answered(answer: Frame | None) -> None:
            if answer is None:
                self._reply(downlink, frame, self._boot_answer())
                return
            self._boot_heard(authority, answer)
            self._hand_back(downlink, frame, answer)

        if authority.uplink.expected:
            authority.held = True
            authority.ask(self.call_of(frame, "BootNotification", self._boot_payload(), answered))
        else:
            answered(None)
        for mirror in self.forwarders[1:]:
            if mirror.uplink.is_open:
                for call in self.upstream_ready(mirror):
                    mirror.first(call)

    def _boot_payload(self) -> bytes:
        payload = self.notes.boot.encode()
        return payload if self.north is None else self.north.boot(payload)

    def _boot_answer(self) -> bytes:
        """What is answered to a boot while the authority is away: as it did last."""
        last = self.notes.boot_answer.encode()
        status = frames.value(last, "status") or ACCEPTED
        interval = frames.value(last, "interval") or self.around.config.heartbeat_s
        now = to_rfc3339(self.around.now())
        return _encode({"status": status, "currentTime": now, "interval": interval})

    def _boot_heard(self, forwarder: Forwarder, answer: Frame) -> None:
        """An upstream has answered a boot, live or told later."""
        status = frames.value(answer.payload, "status") if answer.kind == frames.CALLRESULT else None
        if forwarder is self.authority and isinstance(status, str):
            self.notes.boot_answer = answer.payload.decode(errors="replace")
        if status == ACCEPTED:
            if forwarder.upstream.name in self.notes.due:
                self.notes.due.remove(forwarder.upstream.name)
            forwarder.held = False
            forwarder.pump()
        else:
            interval = frames.value(answer.payload, "interval")
            seconds = interval if isinstance(interval, int) and interval > 0 else self.around.config.attempt_s
            self.around.scheduler.call_later(seconds * 1000, partial(self._boot_again, forwarder))
        self.save()

    def _boot_again(self, forwarder: Forwarder) -> None:
        if forwarder.held and forwarder.uplink.is_open and not self._stopped and forwarder in self.forwarders:
            for call in self.upstream_ready(forwarder):
                forwarder.first(call)

    def upstream_ready(self, forwarder: Forwarder) -> Sequence[Live]:
        if forwarder.upstream.name not in self.notes.due or not self.notes.boot:
            return ()
        forwarder.held = True
        if forwarder.asks("BootNotification"):
            return ()

        def answered(answer: Frame | None) -> None:
            if answer is not None:
                self._boot_heard(forwarder, answer)

        payload = self._boot_payload()
        return (Live(self.around.own_id(), "BootNotification", payload, None, answered, own=True),)

    def upstream_gone(self, forwarder: Forwarder) -> None:
        forwarder.held = False
        self.settle()

    # ── what is answered by the authority, or not at all ─────────────────────────────────────────────────────────

    def call_of(self, frame: Frame, action: str, payload: bytes, answered: Told, **more: Any) -> Live:
        raw = frame.raw if self.north is None and payload is frame.payload else None
        if action == frame.action and payload == frame.payload and self.north is None:
            raw = frame.raw
        return Live(frame.id, action, payload, raw, answered, **more)

    def _live(self, downlink: Downlink, frame: Frame, here: Callable[[], bytes] | None, wait_ms: int = 0) -> None:
        """To the authority; without it the answer is `here`'s, or a refusal."""

        def answered(answer: Frame | None) -> None:
            if answer is not None:
                self.learn(frame, answer)
                self._hand_back(downlink, frame, answer)
            elif here is not None:
                self._reply(downlink, frame, here())
            else:
                self._refuse(downlink, frame, RpcError(INTERNAL_ERROR, "the central system cannot be reached"))

        said = [(frame.action, frame.payload)]
        if self.north is not None:
            try:
                said = self.north.up(frame.action, frame.payload, None, away=False)
            except RpcError as error:
                self._refuse(downlink, frame, error)
                return
        if not said:
            answered(None)
            return
        action, payload = said[0]
        self.authority.ask(self.call_of(frame, action, payload, answered, wait_ms=wait_ms))
        for mirror in self.forwarders[1:]:
            if mirror.uplink.is_open and mirror.upstream.rights.hears(frame.action):
                mirror.ask(self.call_of(frame, action, payload, _unheard))

    def _authorize(self, downlink: Downlink, frame: Frame) -> None:
        token, kind = rules.token_of(self.version, frame.payload)
        config = self.around.config

        def here() -> bytes:
            status = self.decide(token, kind)
            return _encode({"idTagInfo" if self.version == "1.6" else "idTokenInfo": {"status": status}})

        if config.authorize_first and self._book.known(self.box, token, self.around.now()) == ACCEPTED:
            self._reply(downlink, frame, here())
            downlink = Downlink(self, self.around, "")  # what the authority says is only learned
        self._live(downlink, frame, here, config.authorize_ms)

    def decide(self, token: str, kind: str) -> str:
        """Whether a card is let in while nobody can be asked."""
        status = self._book.decide(self.box, token, kind, self.around.now())
        if status == ACCEPTED:
            self.around.counters.authorized_here += 1
        else:
            self.around.counters.turned_away_here += 1
        return status

    def learn(self, frame: Frame, answer: Frame) -> None:
        """What the authority says of a card is remembered."""
        token, kind = rules.token_of(self.version, frame.payload)
        if token and kind != "NoAuthorization" and answer.kind == frames.CALLRESULT:
            status, expiry = rules.verdict_of(self.upstream_version, answer.payload)
            if status:
                self._book.learn(token, status, expiry)
                self._save_book()

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
            self._judged_late(entry, answer)
        changes = [self.noted()] if entry.station_id is not None or entry.token or forwarder.depth == 0 else []
        self.around.scheduler.call_later(0, self.settle)
        return changes

    def _judged_late(self, entry: Stored, answer: Frame) -> None:
        """What the authority says of somebody whom the box has let in."""
        status, expiry = rules.verdict_of(self.upstream_version, answer.payload)
        if not status:
            return
        token = entry.token
        if not token:
            token, _ = rules.token_of(self.upstream_version, entry.payload.encode())
        self._book.learn(token, status, expiry)
        self._save_book()
        if status == ACCEPTED or not entry.token:
            return
        self.around.counters.conflicts += 1
        link = self.names.find(int(entry.session)) if self.version == "1.6" and entry.session else None
        if self.around.config.stop_refused and entry.session and not (link is not None and link.over):
            self.notes.stop.append(entry.session)
            self._stop_refused()

    def _stop_refused(self) -> None:
        """End the sessions that the authority refuses. What the station cannot be told now it is told when it comes."""
        for name in list(self.notes.stop):
            if self.version == "1.6":
                action, payload = "RemoteStopTransaction", b'{"transactionId":%d}' % int(name)
            else:
                action, payload = "RequestStopTransaction", _encode({"transactionId": name})

            def told(answer: Frame | None, name: str = name) -> None:
                if answer is not None and name in self.notes.stop:
                    self.notes.stop.remove(name)
                    self.save()

            self.tell(action, payload, told)

    # ── what upstreams ask ───────────────────────────────────────────────────────────────────────────────────────

    def asked(self, forwarder: Forwarder, frame: Frame) -> None:
        counters = self.around.counters
        if frame.kind != frames.CALL:
            if forwarder is self.authority and self.downlink is not None and self.north is None:
                self.downlink.send(frame.raw)
            return
        if not forwarder.upstream.rights.may(frame.action):
            counters.denied += 1
            self._refuse_up(forwarder, frame, RpcError(SECURITY_ERROR, "this central system may not ask for that"))
        elif self.downlink is None:
            self._refuse_up(forwarder, frame, RpcError(INTERNAL_ERROR, "the station is not connected"))
        elif self.north is not None:
            self._ask_through_north(forwarder, frame, self.north)
        elif self.limits is not None and self.limits.handles(frame.action):
            self.limits.asked(
                forwarder.upstream.name,
                frame.action,
                self._incoming(forwarder, frame),
                partial(self._limits_say, forwarder, frame),
            )
        else:
            self._hand_down(forwarder, frame)

    def _limits_say(self, forwarder: Forwarder, frame: Frame, response: bytes | RpcError) -> None:
        if isinstance(response, RpcError):
            self._refuse_up(forwarder, frame, response)
        else:
            forwarder.answer(write_result(frame.id, response))

    def _hand_down(self, forwarder: Forwarder, frame: Frame) -> None:
        downlink = self.downlink
        assert downlink is not None
        payload = self._incoming(forwarder, frame)
        if self.limits is not None:
            try:
                payload = self.limits.without_profile(forwarder.upstream.name, frame.action, payload)
            except RpcError as error:
                self._refuse_up(forwarder, frame, error)
                return
        same = forwarder is self.authority and not frame.id.startswith(OWN)
        message_id = frame.id if same else self.around.own_id()
        if payload is not frame.payload:
            raw = write_call(frames.CALL, message_id, frame.action, payload)
        else:
            raw = frame.raw if same else frames.with_id(frame, message_id)

        def answered(answer: Frame | None) -> None:
            if answer is None:
                if not downlink.is_open:
                    self._refuse_up(forwarder, frame, RpcError(INTERNAL_ERROR, "the station has gone"))
                return
            self._new_password(frame.action, frame.payload, answer)
            if forwarder is self.authority:
                self.obeyed(frame.action, frame.payload, answer)
            self.around.counters.passed_back += 1
            forwarder.answer(answer.raw if same else frames.with_id(answer, frame.id))

        if downlink.call(Ask(message_id, raw, answered)):
            self.around.counters.down += 1
        else:
            self._refuse_up(forwarder, frame, RpcError(INTERNAL_ERROR, "too many calls wait for the station"))

    def _incoming(self, forwarder: Forwarder, frame: Frame) -> bytes:
        """The payload of an upstream's CALL in the station's names."""
        if self.version != "1.6" or self.north is not None:
            return frame.payload
        name = forwarder.upstream.name
        if frame.action == "RemoteStopTransaction":
            link = self.names.at(name, frames.value(frame.payload, "transactionId"))
            if link is not None and link.station != link.names[name]:
                return frames.amend(frame.payload, {"transactionId": b"%d" % link.station})
        elif frame.action == "SetChargingProfile":
            inner = frames.fields(frame.payload).get("csChargingProfiles")
            if inner is not None:
                link = self.names.at(name, frames.value(bytes(inner), "transactionId"))
                if link is not None and link.station != link.names[name]:
                    changed = frames.amend(bytes(inner), {"transactionId": b"%d" % link.station})
                    return frames.amend(frame.payload, {"csChargingProfiles": changed})
        return frame.payload

    def obeyed(self, action: str, payload: bytes, answer: Frame) -> None:
        """The station has answered the authority: what of it the box has to know."""
        if answer.kind != frames.CALLRESULT or frames.value(answer.payload, "status") != ACCEPTED:
            return
        if action == "ClearCache":
            self._book.forget()
        elif action == "SendLocalList":
            rows = frames.value(payload, "localAuthorizationList") or []
            full = frames.value(payload, "updateType") == "Full"
            self._book.list_changed(self.box, full, [row for row in rows if isinstance(row, dict)])
        else:
            return
        self._save_book()

    def _new_password(self, action: str, payload: bytes, answer: Frame) -> None:
        """An upstream has given the station another password: it will come here with that too. Kept as a hash."""
        found = new_passwords(action, payload, answer)
        if found:
            self.notes.passwords = [sha256(each).hexdigest() for each in found]
            self.notes.moved = False
            self.save()

    def came_with(self, password: bytes) -> None:
        """The station was let in with that password."""
        if not self.notes.moved and sha256(password).hexdigest() in self.notes.passwords:
            self.notes.moved = True
            self.save()

    def _ask_through_north(self, forwarder: Forwarder, frame: Frame, north: North) -> None:
        def call(action: str, payload: Any, told: Told) -> None:
            request = _numbers(payload)
            limits = self.limits
            if limits is not None and limits.handles(action):
                limits.asked(forwarder.upstream.name, action, request, lambda said: told(_as_frame(said)))
                return
            if limits is not None:
                try:
                    request = limits.without_profile(forwarder.upstream.name, action, request)
                except RpcError:
                    told(None)
                    return

            def answered(answer: Frame | None) -> None:
                if answer is not None:
                    self._new_password(action, request, answer)
                told(answer)

            if not self.tell(action, request, answered):
                told(None)

        def done(response: Any, error: RpcError | None) -> None:
            if error is not None:
                self._refuse_up(forwarder, frame, error)
            else:
                forwarder.answer(write_result(frame.id, _numbers(response)))

        self.around.counters.down += 1
        north.down(frame.action, frame.payload, call, done)

    def _refuse_up(self, forwarder: Forwarder, frame: Frame, error: RpcError) -> None:
        forwarder.answer(write_error(frames.CALLERROR, frame.id, error, self.upstream_version))

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

    def _reply(self, downlink: Downlink, frame: Frame, payload: bytes) -> None:
        self.around.counters.answered_here += 1
        downlink.send(write_result(frame.id, payload))

    def _refuse(self, downlink: Downlink, frame: Frame, error: RpcError) -> None:
        downlink.send(write_error(frames.CALLERROR, frame.id, error, self.version))

    def _hand_back(self, downlink: Downlink, frame: Frame, answer: Frame) -> None:
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


def _as_frame(said: bytes | RpcError) -> Frame | None:
    """An answer that is given here, as the station's would be."""
    return None if isinstance(said, RpcError) else Frame(frames.CALLRESULT, "", "", said, said)


def _clock(now: int) -> bytes:
    return _encode({"currentTime": to_rfc3339(now)})


def _unheard(_: object) -> None:
    """Nobody waits for what becomes of it."""
