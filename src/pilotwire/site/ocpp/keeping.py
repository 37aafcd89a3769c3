"""What must not be lost of what a station says: answered by the authority, or here after it has been written down."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pilotwire.protocols.ocpp.rpc.envelope import write_error, write_result
from pilotwire.protocols.ocpp.rpc.errors import INTERNAL_ERROR, RpcError

from . import frames, rules
from .downlink import Downlink
from .forwarder import Forwarder, Live, Stored
from .frames import Frame
from .renaming import UNKNOWN, Link
from .tokens import ACCEPTED

if TYPE_CHECKING:
    from .seat import Seat

_RECENT = 24
_encode = msgspec.json.encode


class Keeping:
    """A seat's messages that must not be lost, until they are the authority's or the queue's."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self._waiting: dict[str, list[tuple[Downlink, str]]] = {}
        """Fingerprint → to whom the answer goes, of messages that have none yet."""

    def keep(self, downlink: Downlink, frame: Frame) -> None:
        mark = rules.fingerprint(frame)
        if mark:
            known = self.seat.notes.recent.get(mark)
            if known is not None:
                self.seat.around.counters.repeated += 1
                downlink.send(write_result(frame.id, known.encode()))
                return
            waiting = self._waiting.get(mark)
            if waiting is not None:
                # The first is on its way; its answer serves this one too.
                self.seat.around.counters.repeated += 1
                waiting.append((downlink, frame.id))
                return
            self._waiting[mark] = [(downlink, frame.id)]
        if self.seat.authority.takes_live:
            self._keep_live(downlink, frame, mark)
        else:
            self._keep_here(downlink, frame, mark)

    def _keep_live(self, downlink: Downlink, frame: Frame, mark: str) -> None:
        station_id = self._own_start(frame)

        def answered(answer: Frame | None) -> None:
            if answer is None:
                self._keep_here(downlink, frame, mark, station_id, said)
                return
            self.seat.learn(frame, answer)
            self._kept_live(downlink, frame, mark, answer, station_id, said)

        try:
            said = self._said(frame, station_id, away=False)
        except RpcError as error:
            self._done(mark, downlink, frame, error)
            return
        if not said:
            self._kept(mark, downlink, frame, b"{}")
            return
        if self.seat.north is not None:
            self.seat.save()  # the seqNo that it has is given away
        action, payload = said[0]
        self.seat.authority.ask(self.seat.call_of(frame, action, payload, answered, durable=True))
        for action, payload in said[1:]:
            self._also(frame, action, payload)

    def _also(self, frame: Frame, action: str, payload: bytes) -> None:
        """A second message that says the rest of one of the station's, upstream."""

        def answered(answer: Frame | None) -> None:
            if answer is None:
                authority = self.seat.authority
                entry = Stored(
                    authority.position(),
                    action,
                    self.seat.around.own_id(),
                    payload.decode(errors="replace"),
                    self.seat.around.now(),
                )
                authority.keep([entry], [], _unheard)

        self.seat.authority.ask(Live(self.seat.around.own_id(), action, payload, None, answered, durable=True))

    def _kept_live(
        self,
        downlink: Downlink,
        frame: Frame,
        mark: str,
        answer: Frame,
        station_id: int | None,
        said: Sequence[tuple[str, bytes]],
    ) -> None:
        """The authority has answered: so is the station."""
        if answer.kind != frames.CALLRESULT:
            for each, message_id in self._waiting.pop(mark, [(downlink, frame.id)]):
                each.send(self.seat.refusal(answer, message_id))
            return
        payload = answer.payload
        if self.seat.north is not None:
            payload = self.seat.north.answer(frame.action, frame.payload, payload, station_id)
        elif frame.action == "StartTransaction" and self.seat.version == "1.6":
            payload, station_id = self._named(frame, payload)
        changed = payload is not answer.payload
        for each, message_id in self._replies(mark, downlink, frame, payload):
            if changed or message_id != answer.id:
                each.send(write_result(message_id, payload))
            else:
                self.seat.around.counters.passed_back += 1
                each.send(answer.raw)
        self._session(frame, station_id)
        self._mirror(frame, station_id, said)
        if station_id is not None or self.seat.north is not None:
            self.seat.save()
        self.seat.settle()

    def _named(self, frame: Frame, payload: bytes) -> tuple[bytes, int | None]:
        """The authority has named a 1.6 transaction: the station knows it so too, unless it has one of that name."""
        theirs = frames.value(payload, "transactionId")
        if not isinstance(theirs, int):
            return payload, None
        station_id = theirs
        taken = self.seat.names.find(theirs)
        if taken is not None and self.seat.authority.upstream.name in taken.names and taken.station != theirs:
            taken = None
        if taken is not None and taken.names.get(self.seat.authority.upstream.name) != theirs:
            station_id = self.seat.names.fresh(self.seat.around.ids.transaction_id)
            payload = frames.amend(payload, {"transactionId": b"%d" % station_id})
        link = self._begin(frame, station_id)
        link.names[self.seat.authority.upstream.name] = theirs
        return payload, station_id

    def _begin(self, frame: Frame, station_id: int) -> Link:
        connector = frames.value(frame.payload, "connectorId")
        token, _ = rules.token_of("1.6", frame.payload)
        found = self.seat.names.find(station_id)
        if found is not None and not found.over and found.token == token:
            link = found
        else:
            link = self.seat.names.begin(station_id, connector if isinstance(connector, int) else 0, token)
        for watcher in self.seat.watchers:
            watcher.started(str(station_id), link.connector)
        return link

    def _own_start(self, frame: Frame) -> int | None:
        """Behind an upstream of another version the box itself names 1.6 transactions."""
        if self.seat.north is None or frame.action != "StartTransaction":
            return None
        station_id = self.seat.names.fresh(self.seat.around.ids.transaction_id)
        self._begin(frame, station_id)
        return station_id

    def _said(self, frame: Frame, station_id: int | None, *, away: bool) -> list[tuple[str, bytes]]:
        if self.seat.north is None:
            return [(frame.action, frame.payload)]
        return self.seat.north.up(frame.action, frame.payload, station_id, away=away)

    def _keep_here(
        self,
        downlink: Downlink,
        frame: Frame,
        mark: str,
        station_id: int | None = None,
        said: list[tuple[str, bytes]] | None = None,
    ) -> None:
        """Write it down, then answer."""
        around, authority = self.seat.around, self.seat.authority
        away = not authority.uplink.is_open
        if authority.depth >= around.config.queue_limit and rules.periodic(frame):
            around.counters.overflow += 1
            self._done(mark, downlink, frame, RpcError(INTERNAL_ERROR, "no room to keep it"))
            return
        start = self.seat.version == "1.6" and frame.action == "StartTransaction"
        if start and station_id is None:
            station_id = self.seat.names.fresh(around.ids.transaction_id)
            self._begin(frame, station_id)
        sent = said is not None  # it may have been heard: said again, it has to be the same
        try:
            if said is None:
                said = self._said(frame, station_id, away=away)
        except RpcError as error:
            self._done(mark, downlink, frame, error)
            return
        if self.seat.north is None and not sent:
            said = [(frame.action, rules.kept_payload(self.seat.version, frame, around.now(), away=away))]
        response, token = self._answer_here(frame, station_id)
        entries: list[Stored] = []
        for number, (action, payload) in enumerate(said):
            entries.append(
                Stored(
                    authority.position(),
                    action,
                    self._later_id(frame) if number == 0 else around.own_id(),
                    payload.decode(errors="replace"),
                    around.now(),
                    station_id if start else None,
                    token if number == 0 else "",
                    self._session_name(frame, station_id),
                )
            )
        if mark:
            self._remember(mark, response)
        self._session(frame, station_id)

        def written(error: Exception | None) -> None:
            if error is not None:
                self.seat.notes.recent.pop(mark, None)
                self._done(mark, downlink, frame, RpcError(INTERNAL_ERROR, "it could not be kept"))
                return
            around.counters.answered_here += 1
            for each, message_id in self._replies(mark, downlink, frame, response):
                each.send(write_result(message_id, response))
            self._mirror(frame, station_id, said)

        authority.keep(entries, [self.seat.noted()], written)

    def _later_id(self, frame: Frame) -> str:
        """The station's own messageId, where it is still unique later: 1.6 stations count from 1 after each restart."""
        if self.seat.version == "1.6" and len(frame.id) < 12:
            return self.seat.around.own_id()
        return frame.id[:36]

    def _answer_here(self, frame: Frame, station_id: int | None) -> tuple[bytes, str]:
        """What the box answers to a message that is kept, and whom it has let in by that."""
        action = frame.action
        token, kind = rules.token_of(self.seat.version, frame.payload)
        if action == "StartTransaction":
            status = self.seat.decide(token, kind)
            answer = {"idTagInfo": {"status": status}, "transactionId": station_id}
            return _encode(answer), token if status == ACCEPTED else ""
        if action == "TransactionEvent" and token:
            status = self.seat.decide(token, kind)
            ending = frames.value(frame.payload, "eventType") == "Ended"
            return _encode({"idTokenInfo": {"status": status}}), token if status == ACCEPTED and not ending else ""
        return b"{}", ""

    def _session_name(self, frame: Frame, station_id: int | None) -> str:
        if self.seat.version == "1.6":
            return "" if station_id is None else str(station_id)
        name = frames.value(frame.payload, "transactionInfo", "transactionId")
        return name if isinstance(name, str) else ""

    def _session(self, frame: Frame, station_id: int | None) -> None:
        """Sessions that are over need no ending any more."""
        name = ""
        if frame.action == "StopTransaction":
            ended = frames.value(frame.payload, "transactionId")
            link = self.seat.names.find(ended)
            if link is not None:
                link.over = True
            name = str(ended)
        elif frame.action == "TransactionEvent" and frames.value(frame.payload, "eventType") == "Ended":
            name = self._session_name(frame, None)
        if name and name in self.seat.notes.stop:
            self.seat.notes.stop.remove(name)

    def _remember(self, mark: str, response: bytes) -> None:
        recent = self.seat.notes.recent
        recent[mark] = response.decode(errors="replace")
        if len(recent) > _RECENT:
            del recent[next(iter(recent))]

    def _replies(self, mark: str, downlink: Downlink, frame: Frame, response: bytes) -> list[tuple[Downlink, str]]:
        """To whom the answer goes: the message and its repetitions meanwhile."""
        if not mark:
            return [(downlink, frame.id)]
        self._remember(mark, response)
        return self._waiting.pop(mark, [(downlink, frame.id)])

    def _kept(self, mark: str, downlink: Downlink, frame: Frame, response: bytes) -> None:
        for each, message_id in self._replies(mark, downlink, frame, response):
            each.send(write_result(message_id, response))

    def _done(self, mark: str, downlink: Downlink, frame: Frame, error: RpcError) -> None:
        """It was not taken: the station keeps it."""
        for each, message_id in self._waiting.pop(mark, [(downlink, frame.id)]):
            each.send(write_error(frames.CALLERROR, message_id, error, self.seat.version))

    def _mirror(self, frame: Frame, station_id: int | None, said: Sequence[tuple[str, bytes]]) -> None:
        """Copies for the other upstreams, after the station has its answer."""
        for mirror in self.seat.forwarders[1:]:
            if not mirror.upstream.rights.hears(frame.action):
                continue
            if self.seat.north is not None:
                self._mirror_said(mirror, said)
                continue
            start = frame.action == "StartTransaction"
            if mirror.upstream.durable and mirror.depth < self.seat.around.config.queue_limit:
                away = not mirror.uplink.is_open
                payload = rules.kept_payload(self.seat.version, frame, self.seat.around.now(), away=away)
                entry = Stored(
                    mirror.position(),
                    frame.action,
                    self._later_id(frame),
                    payload.decode(errors="replace"),
                    self.seat.around.now(),
                    station_id if start else None,
                )
                mirror.keep([entry], [], _unheard)
            elif mirror.uplink.is_open:
                mirror.ask(
                    self.seat.call_of(frame, frame.action, frame.payload, partial(self._mirrored, mirror, station_id))
                )
            else:
                self.seat.around.counters.dropped += 1

    def _mirror_said(self, mirror: Forwarder, said: Sequence[tuple[str, bytes]]) -> None:
        """What was said in the words of another version."""
        entries = [
            Stored(
                mirror.position(),
                action,
                self.seat.around.own_id(),
                payload.decode(errors="replace"),
                self.seat.around.now(),
            )
            for action, payload in said
        ]
        if mirror.upstream.durable and mirror.depth < self.seat.around.config.queue_limit:
            mirror.keep(entries, [], _unheard)
        elif mirror.uplink.is_open:
            for each in entries:
                mirror.ask(Live(each.message_id, each.action, each.payload.encode(), None, _unheard))
        else:
            self.seat.around.counters.dropped += len(entries)

    def _mirrored(self, mirror: Forwarder, station_id: int | None, answer: Frame | None) -> None:
        if station_id is not None and answer is not None:
            self.name(mirror, station_id, answer)

    def name(self, forwarder: Forwarder, station_id: int, answer: Frame | None) -> None:
        link = self.seat.names.find(station_id)
        if link is None:
            return
        theirs = UNKNOWN if answer is None else frames.value(answer.payload, "transactionId")
        link.names[forwarder.upstream.name] = theirs if isinstance(theirs, int) else UNKNOWN


def _unheard(_: object) -> None:
    """Nobody waits for what becomes of it."""
