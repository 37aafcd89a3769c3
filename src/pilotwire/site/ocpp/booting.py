"""A seat's station boots: what the authority says to that, live or later, and the answer while it is away."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.protocols.ocpp.rpc.errors import RpcError

from . import frames
from .downlink import Downlink
from .forwarder import Forwarder, Live
from .frames import Frame
from .tokens import ACCEPTED

if TYPE_CHECKING:
    from .seat import Seat

_encode = msgspec.json.encode


class Booting:
    """Of one seat."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat

    def boot(self, downlink: Downlink, frame: Frame) -> None:
        if self._seat.north is not None:
            try:
                self._seat.north.boot(frame.payload)
            except RpcError as error:
                self._seat.refuse(downlink, frame, error)
                return
        self._seat.notes.boot = frame.payload.decode(errors="replace")
        self._seat.notes.due = [each.upstream.name for each in self._seat.forwarders]
        self._seat.save()
        authority = self._seat.authority

        def answered(answer: Frame | None) -> None:
            if answer is None:
                self._seat.reply(downlink, frame, self._answer())
                return
            self._heard(authority, answer)
            self._seat.hand_back(downlink, frame, answer)

        if authority.uplink.expected:
            authority.held = True
            authority.ask(self._seat.call_of(frame, "BootNotification", self._payload(), answered))
        else:
            answered(None)
        for mirror in self._seat.forwarders[1:]:
            if mirror.uplink.is_open:
                for call in self.ready(mirror):
                    mirror.first(call)

    def _payload(self) -> bytes:
        payload = self._seat.notes.boot.encode()
        return payload if self._seat.north is None else self._seat.north.boot(payload)

    def _answer(self) -> bytes:
        """What is answered to a boot while the authority is away: as it did last."""
        last = self._seat.notes.boot_answer.encode()
        status = frames.value(last, "status") or ACCEPTED
        interval = frames.value(last, "interval") or self._seat.around.config.heartbeat_s
        now = to_rfc3339(self._seat.around.now())
        return _encode({"status": status, "currentTime": now, "interval": interval})

    def _heard(self, forwarder: Forwarder, answer: Frame) -> None:
        """An upstream has answered a boot, live or told later."""
        status = frames.value(answer.payload, "status") if answer.kind == frames.CALLRESULT else None
        if forwarder is self._seat.authority and isinstance(status, str):
            self._seat.notes.boot_answer = answer.payload.decode(errors="replace")
        if status == ACCEPTED:
            if forwarder.upstream.name in self._seat.notes.due:
                self._seat.notes.due.remove(forwarder.upstream.name)
            forwarder.held = False
            forwarder.pump()
        else:
            interval = frames.value(answer.payload, "interval")
            seconds = interval if isinstance(interval, int) and interval > 0 else self._seat.around.config.attempt_s
            self._seat.around.scheduler.call_later(seconds * 1000, partial(self._again, forwarder))
        self._seat.save()

    def _again(self, forwarder: Forwarder) -> None:
        seat = self._seat
        if forwarder.held and forwarder.uplink.is_open and not seat.stopped and forwarder in seat.forwarders:
            for call in self.ready(forwarder):
                forwarder.first(call)

    def ready(self, forwarder: Forwarder) -> Sequence[Live]:
        if forwarder.upstream.name not in self._seat.notes.due or not self._seat.notes.boot:
            return ()
        forwarder.held = True
        if forwarder.asks("BootNotification"):
            return ()

        def answered(answer: Frame | None) -> None:
            if answer is not None:
                self._heard(forwarder, answer)

        payload = self._payload()
        return (Live(self._seat.around.own_id(), "BootNotification", payload, None, answered, own=True),)
