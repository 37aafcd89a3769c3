"""What upstreams ask a seat's station: refused, answered here, or handed down in the station's names."""

from __future__ import annotations

from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire.protocols.ocpp.rpc.envelope import write_call, write_error, write_result
from pilotwire.protocols.ocpp.rpc.errors import INTERNAL_ERROR, SECURITY_ERROR, RpcError

from . import frames
from .around import OWN
from .downlink import Ask
from .forwarder import Forwarder
from .frames import Frame
from .notes import new_passwords
from .seams import North, Told
from .tokens import ACCEPTED

if TYPE_CHECKING:
    from .seat import Seat

_numbers = msgspec.json.Encoder(decimal_format="number").encode


class Asking:
    """Of one seat."""

    def __init__(self, seat: Seat) -> None:
        self._seat = seat

    def asked(self, forwarder: Forwarder, frame: Frame) -> None:
        counters = self._seat.around.counters
        if frame.kind != frames.CALL:
            if forwarder is self._seat.authority and self._seat.downlink is not None and self._seat.north is None:
                self._seat.downlink.send(frame.raw)
            return
        if not forwarder.upstream.rights.may(frame.action):
            counters.denied += 1
            self._refuse_up(forwarder, frame, RpcError(SECURITY_ERROR, "this central system may not ask for that"))
        elif self._seat.downlink is None:
            self._refuse_up(forwarder, frame, RpcError(INTERNAL_ERROR, "the station is not connected"))
        elif self._seat.north is not None:
            self._ask_through_north(forwarder, frame, self._seat.north)
        elif self._seat.limits is not None and self._seat.limits.handles(frame.action):
            self._seat.limits.asked(
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
        downlink = self._seat.downlink
        assert downlink is not None
        payload = self._incoming(forwarder, frame)
        if self._seat.limits is not None:
            try:
                payload = self._seat.limits.without_profile(forwarder.upstream.name, frame.action, payload)
            except RpcError as error:
                self._refuse_up(forwarder, frame, error)
                return
        same = forwarder is self._seat.authority and not frame.id.startswith(OWN)
        message_id = frame.id if same else self._seat.around.own_id()
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
            if forwarder is self._seat.authority:
                self.obeyed(frame.action, frame.payload, answer)
            self._seat.around.counters.passed_back += 1
            forwarder.answer(answer.raw if same else frames.with_id(answer, frame.id))

        if downlink.call(Ask(message_id, raw, answered)):
            self._seat.around.counters.down += 1
        else:
            self._refuse_up(forwarder, frame, RpcError(INTERNAL_ERROR, "too many calls wait for the station"))

    def _incoming(self, forwarder: Forwarder, frame: Frame) -> bytes:
        """The payload of an upstream's CALL in the station's names."""
        if self._seat.version != "1.6" or self._seat.north is not None:
            return frame.payload
        name = forwarder.upstream.name
        if frame.action == "RemoteStopTransaction":
            link = self._seat.names.at(name, frames.value(frame.payload, "transactionId"))
            if link is not None and link.station != link.names[name]:
                return frames.amend(frame.payload, {"transactionId": b"%d" % link.station})
        elif frame.action == "SetChargingProfile":
            inner = frames.fields(frame.payload).get("csChargingProfiles")
            if inner is not None:
                link = self._seat.names.at(name, frames.value(bytes(inner), "transactionId"))
                if link is not None and link.station != link.names[name]:
                    changed = frames.amend(bytes(inner), {"transactionId": b"%d" % link.station})
                    return frames.amend(frame.payload, {"csChargingProfiles": changed})
        return frame.payload

    def obeyed(self, action: str, payload: bytes, answer: Frame) -> None:
        """The station has answered the authority: what of it the box has to know."""
        if answer.kind != frames.CALLRESULT or frames.value(answer.payload, "status") != ACCEPTED:
            return
        if action == "ClearCache":
            self._seat.book.forget()
        elif action == "SendLocalList":
            rows = frames.value(payload, "localAuthorizationList") or []
            full = frames.value(payload, "updateType") == "Full"
            self._seat.book.list_changed(self._seat.box, full, [row for row in rows if isinstance(row, dict)])
        else:
            return
        self._seat.save_book()

    def _new_password(self, action: str, payload: bytes, answer: Frame) -> None:
        """An upstream has given the station another password: it will come here with that too. Kept as a hash."""
        found = new_passwords(action, payload, answer)
        if found:
            self._seat.notes.passwords = [sha256(each).hexdigest() for each in found]
            self._seat.notes.moved = False
            self._seat.save()

    def _ask_through_north(self, forwarder: Forwarder, frame: Frame, north: North) -> None:
        def call(action: str, payload: Any, told: Told) -> None:
            request = _numbers(payload)
            limits = self._seat.limits
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

            if not self._seat.tell(action, request, answered):
                told(None)

        def done(response: Any, error: RpcError | None) -> None:
            if error is not None:
                self._refuse_up(forwarder, frame, error)
            else:
                forwarder.answer(write_result(frame.id, _numbers(response)))

        self._seat.around.counters.down += 1
        north.down(frame.action, frame.payload, call, done)

    def _refuse_up(self, forwarder: Forwarder, frame: Frame, error: RpcError) -> None:
        forwarder.answer(write_error(frames.CALLERROR, frame.id, error, self._seat.upstream_version))


def _as_frame(said: bytes | RpcError) -> Frame | None:
    """An answer that is given here, as the station's would be."""
    return None if isinstance(said, RpcError) else Frame(frames.CALLRESULT, "", "", said, said)
