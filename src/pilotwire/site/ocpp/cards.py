"""Cards at a seat: who is let in while nobody can be asked, and who of them the authority refuses later."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from . import frames, rules
from .downlink import Downlink
from .forwarder import Stored
from .frames import Frame
from .tokens import ACCEPTED

if TYPE_CHECKING:
    from .seat import Seat

_encode = msgspec.json.encode


class Cards:
    """Of one seat."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat

    def authorize(self, downlink: Downlink, frame: Frame) -> None:
        token, kind = rules.token_of(self._seat.version, frame.payload)
        config = self._seat.around.config

        def here() -> bytes:
            status = self.decide(token, kind)
            return _encode({"idTagInfo" if self._seat.version == "1.6" else "idTokenInfo": {"status": status}})

        if config.authorize_first and self._seat.book.known(self._seat.box, token, self._seat.around.now()) == ACCEPTED:
            self._seat.reply(downlink, frame, here())
            downlink = Downlink(self._seat, self._seat.around, "")  # what the authority says is only learned
        self._seat.live(downlink, frame, here, config.authorize_ms)

    def decide(self, token: str, kind: str) -> str:
        """Whether a card is let in while nobody can be asked."""
        status = self._seat.book.decide(self._seat.box, token, kind, self._seat.around.now())
        if status == ACCEPTED:
            self._seat.around.counters.authorized_here += 1
        else:
            self._seat.around.counters.turned_away_here += 1
        return status

    def learn(self, frame: Frame, answer: Frame) -> None:
        """What the authority says of a card is remembered."""
        token, kind = rules.token_of(self._seat.version, frame.payload)
        if token and kind != "NoAuthorization" and answer.kind == frames.CALLRESULT:
            status, expiry = rules.verdict_of(self._seat.upstream_version, answer.payload)
            if status:
                self._seat.book.learn(token, status, expiry)
                self._seat.save_book()

    def judged_late(self, entry: Stored, answer: Frame) -> None:
        """What the authority says of somebody whom the box has let in."""
        status, expiry = rules.verdict_of(self._seat.upstream_version, answer.payload)
        if not status:
            return
        token = entry.token
        if not token:
            token, _ = rules.token_of(self._seat.upstream_version, entry.payload.encode())
        self._seat.book.learn(token, status, expiry)
        self._seat.save_book()
        if status == ACCEPTED or not entry.token:
            return
        self._seat.around.counters.conflicts += 1
        link = self._seat.names.find(int(entry.session)) if self._seat.version == "1.6" and entry.session else None
        if self._seat.around.config.stop_refused and entry.session and not (link is not None and link.over):
            self._seat.notes.stop.append(entry.session)
            self.stop_refused()

    def stop_refused(self) -> None:
        """End the sessions that the authority refuses. What the station cannot be told now it is told when it comes."""
        for name in list(self._seat.notes.stop):
            if self._seat.version == "1.6":
                action, payload = "RemoteStopTransaction", b'{"transactionId":%d}' % int(name)
            else:
                action, payload = "RequestStopTransaction", _encode({"transactionId": name})

            def told(answer: Frame | None, name: str = name) -> None:
                if answer is not None and name in self._seat.notes.stop:
                    self._seat.notes.stop.remove(name)
                    self._seat.save()

            self._seat.tell(action, payload, told)
