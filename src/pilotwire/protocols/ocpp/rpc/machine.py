"""The OCPP-J RPC machine: one per connection, the same at both ends, without IO, clock or randomness.

What comes in is read by `inbound`, what goes out is made here; together they decide all about message types, ids and
open calls. The rules:

1.  Every frame gives exactly one event; no bytes whatever make `receive` raise.
2.  The machine does not know whether it is a station, a CSMS or a local controller. A known action is handed to the
    application, which refuses with NotSupported what its side does not serve, also an action that the peer's role may
    not send ("recognised but not supported"); an action that the version does not have is NotImplemented. A bad payload
    of an action that is not served is answered for its payload.
3.  Each side has at most one CALL outstanding (2.x part 4 4.1.1 SHALL, 1.6-J 4.1.1 SHOULD). `call` raises Busy on a
    second one. CALLs may cross: the peer's are received while ours waits. SENDs count for nothing.
4.  Of the peer we take more than one at a time, since 1.6 stations do so, up to `Limits.open_calls`; beyond that
    RpcFrameworkError (1.6: GenericError), and the sender may try again.
5.  A call of ours ends exactly once: ResultReceived, ErrorReceived, Malformed with `call` (its answer could not be
    read), `expire` or `close`. Until `expire` has ended it, an answer still counts, however late by the clock.
    Answers to ended or unknown calls are Ignored and counted.
6.  Answers are never answered, so two machines cannot get into a quarrel. The one exception is 2.1's CALLRESULTERROR
    for a CALLRESULT that answers a call of ours and cannot be read. Other versions have no word for that.
7.  What cannot be read is answered under the messageId if that can be read, else under "-1". A messageId beyond
    `Limits.message_id` counts as unreadable: no frame of ours carries an id that the standard does not allow. So does
    the id of a CALL that still is open, since the refusal would pass for that CALL's answer.
8.  Not JSON, not an array, too few, too many or wrong elements, too large, too deep: RpcFrameworkError (2.x part 4
    table 7), which 1.6 spells FormationViolation. Nothing of such a frame is quoted back.
9.  A message type that the version does not have: 2.x answers MessageTypeNotSupported, 1.6-J 4.1.3 ignores it.
    An action that goes out as SEND is refused likewise when it comes as CALL. A SEND gets no answer of any kind.
10. The same CALL again (same id, same bytes) is not a new one: while the first is open it is dropped, since the one
    answer serves both; afterwards the answer is given again from `AnswerMemory` (its file has the rules). The same id
    with other content is a new CALL and counted; while the first still is open it is refused, by rule 7 under "-1".
11. A message that its type cannot read is answered with the code that the action's decoder found. Tolerated deviations
    are carried in the event.
12. After `close` nothing is received or called any more, but open CALLs of the peer can still be answered: the frame
    goes nowhere, the answer into the memory, where the peer's next connection finds it.
"""

from __future__ import annotations

import msgspec

from pilotwire.core.errors import LocalError, TransientError
from pilotwire.protocols.ocpp.version import Action

from . import envelope
from .counters import Counters
from .envelope import CALL, CALLERROR, SEND, UNREADABLE
from .errors import RpcError
from .events import (
    IGNORED_LATE_ANSWER,
    CallReceived,
    ErrorReceived,
    Event,
    Ignored,
    Malformed,
    OpenCall,
    Repeated,
    ResultErrorReceived,
    ResultReceived,
    SendReceived,
)
from .inbound import Inbound
from .limits import Limits
from .memory import OF_THE_MOMENT, AnswerMemory

__all__ = [
    "AnswerMemory",
    "Busy",
    "CallReceived",
    "Closed",
    "Counters",
    "ErrorReceived",
    "Event",
    "Ignored",
    "Limits",
    "Malformed",
    "OpenCall",
    "Repeated",
    "ResultErrorReceived",
    "ResultReceived",
    "Rpc",
    "RpcError",
    "SendReceived",
]


class Busy(TransientError):
    """A CALL of ours is outstanding; the next one has to wait for its end."""


class Closed(TransientError):
    """The connection of this machine is gone."""


class Rpc(Inbound):
    """One end of one OCPP-J connection."""

    __slots__ = ()

    # ── outbound ─────────────────────────────────────────────────────────────────────────────────────────────────

    def answer(self, message_id: str, response: msgspec.Struct) -> bytes:
        """The CALLRESULT to the open CALL `message_id`, which is then over.

        Raises LocalError when no such CALL is open or when `response` is not what its action answers with; in the
        latter case it stays open and can still be refused.
        """
        opened = self._open.get(message_id)
        if opened is None:
            raise LocalError(f"no CALL {message_id!r} is open")
        action = opened[0]
        expected = action.response_type
        if expected is None or not isinstance(response, expected):
            raise LocalError(f"{action.name} is not answered with {type(response).__name__}")
        return self.confirm(message_id, action.encode(response))

    def confirm(self, message_id: str, payload: bytes) -> bytes:
        """`answer` with what `Action.encode` has made of the response before, for answers that are always the same.

        Raises LocalError when no such CALL is open.
        """
        opened = self._open.pop(message_id, None)
        if opened is None:
            raise LocalError(f"no CALL {message_id!r} is open")
        action, frame = opened
        reply = envelope.write_result(message_id, payload)
        if action.name not in OF_THE_MOMENT:
            self._memory.keep(self._scope, message_id, frame, reply)
        self.counters.answers_sent += 1
        return reply

    def refuse(self, message_id: str, error: RpcError) -> bytes:
        """The CALLERROR to the open CALL `message_id`, which is then over. Raises LocalError when none is open."""
        if self._open.pop(message_id, None) is None:
            raise LocalError(f"no CALL {message_id!r} is open")
        self.counters.refusals_sent += 1
        return envelope.write_error(CALLERROR, message_id, error, self._version)

    def call(self, message_id: str, action: str, request: msgspec.Struct, now: int, tag: object = None) -> bytes:
        """A CALL of ours, from now on outstanding until answered, expired or closed.

        Raises Busy while another one is outstanding, Closed after `close`, LocalError for an id or a request that the
        standard does not allow. Nothing has changed then.
        """
        if self._closed:
            raise Closed("the connection is closed")
        if self.outstanding is not None:
            raise Busy(f"{self.outstanding.action.name} is outstanding")
        known, payload = self._outbound(message_id, action, request, is_send=False)
        self.outstanding = OpenCall(message_id, known, request, tag, now, now + self.timeout_ms)
        self._ended.pop(message_id, None)
        self.counters.calls_sent += 1
        return envelope.write_call(CALL, message_id, action, payload)

    def send(self, message_id: str, action: str, request: msgspec.Struct) -> bytes:
        """A SEND of ours (2.1), allowed while a CALL is outstanding, never answered. Raises Closed or LocalError."""
        if self._closed:
            raise Closed("the connection is closed")
        _, payload = self._outbound(message_id, action, request, is_send=True)
        self.counters.sends_sent += 1
        return envelope.write_call(SEND, message_id, action, payload)

    def _outbound(self, message_id: str, name: str, request: msgspec.Struct, *, is_send: bool) -> tuple[Action, bytes]:
        if not 1 <= len(message_id) <= self._max_id or message_id == UNREADABLE:
            raise LocalError(f"{self._id_rule()} and is not empty or {UNREADABLE}: {message_id!r}")
        action = self._actions.get(name)
        if action is None:
            raise LocalError(f"OCPP {self._version} has no action {name!r}")
        if action.is_send is not is_send:
            raise LocalError(f"{name} goes out as {'SEND' if action.is_send else 'CALL'}")
        if not isinstance(request, action.request_type):
            raise LocalError(f"{name} is not asked with {type(request).__name__}")
        return action, action.encode(request)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def expire(self, now: int) -> OpenCall | None:
        """End the outstanding call if its deadline has come, and return it. A late answer to it is then Ignored."""
        call = self.outstanding
        if call is None or now < call.deadline:
            return None
        self._end(call, IGNORED_LATE_ANSWER)
        self.counters.timeouts += 1
        return call

    def close(self) -> OpenCall | None:
        """The connection is gone: end the outstanding call and return it. Closing twice does nothing."""
        self._closed = True
        call, self.outstanding = self.outstanding, None
        return call
