"""The receiving half of the RPC machine: one frame in, one event out. `machine` has the rules, here cited by number."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from pilotwire.protocols.ocpp.version import Action, Version

from . import envelope
from .counters import Counters
from .envelope import (
    CALL,
    CALLERROR,
    CALLRESULT,
    CALLRESULTERROR,
    SEND,
    UNREADABLE,
    UNREADABLE_INPUT,
    Broken,
    Call,
    CallError,
    CallResult,
    CallResultError,
    Message,
    Send,
)
from .errors import (
    GENERIC_ERROR,
    INTERNAL_ERROR,
    MESSAGE_TYPE_NOT_SUPPORTED,
    NOT_IMPLEMENTED,
    RPC_FRAMEWORK_ERROR,
    RpcError,
)
from .events import (
    IGNORED_CLOSED,
    IGNORED_REPEATED_ANSWER,
    IGNORED_UNASKED_ANSWER,
    IGNORED_UNKNOWN_MESSAGE_TYPE,
    IGNORED_UNREADABLE_AT_PEER,
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
from .limits import NOT_OUTLINE, Limits, depth_guard
from .memory import AnswerMemory


class Dialect(NamedTuple):
    """What the versions do differently."""

    decoder: msgspec.json.Decoder[Message]
    message_types: frozenset[int]
    answers_unknown_types: bool
    overload_code: str
    lasting_ids: bool
    """Message ids are unique over all connections of a station, not only in one."""


_V1: msgspec.json.Decoder[Message] = msgspec.json.Decoder(Call | CallResult | CallError)
_TYPES = frozenset({CALL, CALLRESULT, CALLERROR})
_DIALECTS: Mapping[str, Dialect] = {
    "1.6": Dialect(_V1, _TYPES, False, GENERIC_ERROR, False),
    "2.0.1": Dialect(_V1, _TYPES, True, RPC_FRAMEWORK_ERROR, True),
    "2.1": Dialect(
        msgspec.json.Decoder(Call | CallResult | CallError | CallResultError | Send),
        _TYPES | {CALLRESULTERROR, SEND},
        True,
        RPC_FRAMEWORK_ERROR,
        True,
    ),
}

_NOTHING: Mapping[Any, Any] = {}
_NO_DEVIATIONS: tuple[str, ...] = ()

_CLOSED_DEPTH = 16
"""No request that holds nothing of open type nests as deep as this."""

_ENDED_KEPT = 8
"""How many ended calls are remembered, to tell a late answer from one that nobody asked for."""


class Inbound:
    """What a machine knows of its connection, and the reading of frames."""

    __slots__ = (
        "_actions",
        "_closed",
        "_closed_actions",
        "_decode",
        "_dialect",
        "_ended",
        "_guard",
        "_has_send",
        "_limits",
        "_max_id",
        "_max_open",
        "_max_size",
        "_memory",
        "_open",
        "_scope",
        "_shallow",
        "_version",
        "counters",
        "outstanding",
        "timeout_ms",
    )

    outstanding: OpenCall | None
    """The CALL of ours that waits for its answer."""
    timeout_ms: int
    """How long the next CALL waits for its answer; may be changed at any time (2.x NetworkProfile messageTimeout)."""
    counters: Counters

    def __init__(
        self,
        version: Version,
        *,
        limits: Limits = Limits(),  # noqa: B008 (immutable)
        timeout_ms: int = 30_000,
        memory: AnswerMemory | None = None,
        counters: Counters | None = None,
    ) -> None:
        """`memory` belongs to the peer, not to the connection. `counters` may be shared by many machines."""
        self._version: str = version.name
        self._actions: Mapping[str, Action] = version.actions
        self._closed_actions: Mapping[bytes, Any] = getattr(version, "closed", _NOTHING)
        self._dialect = _DIALECTS[version.name]
        self._decode = self._dialect.decoder.decode
        self._has_send = SEND in self._dialect.message_types
        self._limits = limits
        if limits.depth < _CLOSED_DEPTH:
            self._closed_actions = _NOTHING
        self._guard = depth_guard(limits.depth)
        self._shallow = self._guard.shallow
        self._max_size = limits.size
        self._max_id = limits.message_id
        self._max_open = limits.open_calls
        self._memory = memory if memory is not None else AnswerMemory(capacity=0, max_bytes=0)
        self._scope = self._memory.enter(self._dialect.lasting_ids)
        # CALLs of the peer that wait for our answer: the action and the frame, the latter to know it again.
        self._open: dict[str, tuple[Action, bytes]] = {}
        # The last calls of ours that ended: id and why another answer to it is ignored.
        self._ended: dict[str, str] = {}
        self._closed = False
        self.outstanding = None
        self.timeout_ms = timeout_ms
        self.counters = counters if counters is not None else Counters()

    @property
    def open_calls(self) -> int:
        """How many CALLs of the peer wait for our answer."""
        return len(self._open)

    # ── inbound ──────────────────────────────────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes, now: int) -> Event:
        """Read one text frame that arrived at `now` (ms since the epoch). Never raises.

        `now` ends no call: that is for `expire` alone (rule 5).
        """
        if self._closed:
            self.counters.ignored += 1
            return Ignored(IGNORED_CLOSED)
        if len(data) > self._max_size:
            return self._head_only(data, f"larger than {self._max_size} bytes")
        if not data.isascii():
            try:
                data.decode()
            except UnicodeDecodeError:
                return self._head_only(data, "not UTF-8")
        closed = self._closed_actions
        if closed:
            # The quick way for what is sent most: the action is looked up before anything is decoded, then one decode
            # reads envelope and payload. Whatever is not plainly right goes the long way, which finds the same or says
            # what is wrong. Depth needs no look here: a type that is closed is as deep as it is.
            words = data.split(b'"', 4)
            if len(words) == 5 and words[3] in closed:
                action = closed[words[3]]
                whole = action.decode_whole(data)
                if whole is not None:
                    message_id = whole.message_id
                    settled = self._before(message_id, data)
                    if settled is not None:
                        return settled
                    self._open[message_id] = action, data
                    self.counters.calls_received += 1
                    return CallReceived(message_id, action, whole.payload, _NO_DEVIATIONS)
        if data.translate(None, NOT_OUTLINE) not in self._shallow and self._guard.exceeded(data):
            return self._head_only(data, f"nested deeper than {self._limits.depth} levels")
        try:
            message = self._decode(data)
        except UNREADABLE_INPUT:
            return self._on_broken(envelope.read_broken(data, self._max_id))
        if type(message) is Call:
            return self._on_call(message, data)
        if type(message) is CallResult:
            return self._on_result(message)
        if type(message) is CallError:
            return self._on_error(message.message_id, message)
        if type(message) is Send:
            return self._on_send(message)
        return self._on_result_error(message)

    def _before(self, message_id: str, frame: bytes) -> Event | None:
        """What becomes of a CALL that need not be looked into; None when it is to be read."""
        kept = self._memory.find(message_id)
        if (
            kept is None
            and message_id not in self._open
            and len(self._open) < self._max_open
            and len(message_id) <= self._max_id
        ):
            return None
        counters = self.counters
        if len(message_id) > self._max_id:
            return self._refused(None, RpcError(RPC_FRAMEWORK_ERROR, self._id_rule()))
        earlier = self._open.get(message_id)
        if earlier is not None:
            if earlier[1] == frame:
                counters.repeated += 1
                return Repeated(message_id, None)
            counters.message_id_reused += 1
            return self._refused(message_id, RpcError(RPC_FRAMEWORK_ERROR, "the messageId is in use by an open CALL"))
        if kept is not None:
            call, reply = kept
            if call == frame:
                counters.repeated += 1
                return Repeated(message_id, reply)
            counters.message_id_reused += 1
        if len(self._open) >= self._max_open:
            counters.overloaded += 1
            return self._refused(message_id, RpcError(self._dialect.overload_code, "too many CALLs are open"))
        return None

    def _on_call(self, message: Call, frame: bytes) -> Event:
        message_id = message.message_id
        settled = self._before(message_id, frame)
        if settled is not None:
            return settled
        action = self._actions.get(message.action)
        if action is None:
            return self._refused(message_id, self._not_implemented(message.action))
        if self._has_send and action.is_send:
            return self._refused(message_id, RpcError(MESSAGE_TYPE_NOT_SUPPORTED, f"{action.name} goes out as SEND"))
        try:
            request, deviations = action.decode_request(message.payload)
        except Exception as error:
            return self._refused(message_id, self._as_rpc_error(error))
        self._open[message_id] = action, frame
        self.counters.calls_received += 1
        if deviations:
            self.counters.tolerated += 1
        return CallReceived(message_id, action, request, deviations)

    def _on_send(self, message: Send) -> Event:
        action = self._actions.get(message.action)
        try:
            if len(message.message_id) > self._max_id:
                raise RpcError(RPC_FRAMEWORK_ERROR, self._id_rule())
            if action is None:
                raise self._not_implemented(message.action)
            if not action.is_send:
                raise RpcError(MESSAGE_TYPE_NOT_SUPPORTED, f"{action.name} goes out as CALL")
            request, deviations = action.decode_request(message.payload)
        except Exception as error:
            return self._dropped(self._as_rpc_error(error))
        self.counters.sends_received += 1
        if deviations:
            self.counters.tolerated += 1
        return SendReceived(message.message_id, action, request, deviations)

    def _on_result(self, message: CallResult) -> Event:
        call = self.outstanding
        if call is None or call.message_id != message.message_id:
            return self._unasked(message.message_id)
        self._end(call, IGNORED_REPEATED_ANSWER)
        try:
            response, deviations = call.action.decode_response(message.payload)
        except Exception as error:
            return self._bad_answer(call, self._as_rpc_error(error))
        self.counters.results_received += 1
        if deviations:
            self.counters.tolerated += 1
        return ResultReceived(call, response, deviations)

    def _on_error(self, message_id: str, message: CallError | Broken) -> Event:
        call = self.outstanding
        if call is None or call.message_id != message_id:
            return self._unasked(message_id)
        self._end(call, IGNORED_REPEATED_ANSWER)
        self.counters.errors_received += 1
        return ErrorReceived(call, _error_in(message))

    def _on_result_error(self, message: CallResultError | Broken) -> Event:
        message_id = message.message_id
        if message_id is None or len(message_id) > self._max_id:
            return self._dropped(RpcError(RPC_FRAMEWORK_ERROR, self._id_rule()))
        # Saying again what the peer cannot read would not help it.
        self._memory.forget(message_id)
        self.counters.result_errors_received += 1
        return ResultErrorReceived(message_id, _error_in(message))

    def _head_only(self, data: bytes, why: str) -> Event:
        """A frame that is not worth or not capable of being decoded."""
        return self._on_broken(envelope.read_head(data, why, self._max_id))

    def _on_broken(self, broken: Broken) -> Event:
        """A frame that is no message of this version, by the type that it claims."""
        message_type, message_id = broken.message_type, broken.message_id
        if message_type is not None and message_type not in self._dialect.message_types:
            if not self._dialect.answers_unknown_types:
                self.counters.ignored += 1
                return Ignored(IGNORED_UNKNOWN_MESSAGE_TYPE)
            error = RpcError(MESSAGE_TYPE_NOT_SUPPORTED, f"not a message type of OCPP {self._version}")
            return self._refused(message_id, error)
        error = RpcError(RPC_FRAMEWORK_ERROR, broken.why)
        if message_type == SEND:
            return self._dropped(error)
        if message_type == CALLRESULTERROR:
            return self._on_result_error(broken) if broken.elements else self._dropped(error)
        if message_type in (CALLRESULT, CALLERROR):
            if message_id is None:
                return self._dropped(error)
            if message_type == CALLERROR and broken.elements:
                return self._on_error(message_id, broken)
            call = self.outstanding
            if call is None or call.message_id != message_id:
                return self._unasked(message_id)
            self._end(call, IGNORED_REPEATED_ANSWER)
            return self._bad_answer(call, error, answer=message_type == CALLRESULT)
        return self._refused(message_id, error)

    def _refused(self, message_id: str | None, error: RpcError) -> Malformed:
        """A CALL, or what may be one, that is answered with CALLERROR at once."""
        self.counters.malformed += 1
        if message_id is None or message_id in self._open:
            message_id = UNREADABLE
        return Malformed(error, envelope.write_error(CALLERROR, message_id, error, self._version), None)

    def _dropped(self, error: RpcError) -> Malformed:
        """A bad message of a type that is never answered."""
        self.counters.malformed += 1
        return Malformed(error, None, None)

    def _bad_answer(self, call: OpenCall, error: RpcError, *, answer: bool = True) -> Malformed:
        """The answer to `call` cannot be read. `answer`: it was a CALLRESULT, so 2.1 tells its sender."""
        self.counters.malformed += 1
        reply = None
        if answer and CALLRESULTERROR in self._dialect.message_types:
            reply = envelope.write_error(CALLRESULTERROR, call.message_id, error, self._version)
        return Malformed(error, reply, call)

    def _unasked(self, message_id: str) -> Ignored:
        reason = self._ended.get(message_id)
        if reason is None:
            reason = IGNORED_UNREADABLE_AT_PEER if message_id == UNREADABLE else IGNORED_UNASKED_ANSWER
            self.counters.unasked_answers += 1
        else:
            self.counters.late_answers += 1
        return Ignored(reason)

    def _as_rpc_error(self, error: Exception) -> RpcError:
        """What a decoder raised as the answer to give; an error that is none is a fault of ours."""
        if isinstance(error, RpcError):
            return error
        self.counters.internal_errors += 1
        internal = RpcError(INTERNAL_ERROR, "the message could not be read")
        internal.__cause__ = error
        return internal

    def _not_implemented(self, name: str) -> RpcError:
        return RpcError(NOT_IMPLEMENTED, f"OCPP {self._version} has no action {name[:50]!a}")

    def _id_rule(self) -> str:
        return f"a messageId has at most {self._max_id} characters"

    def _end(self, call: OpenCall, reason: str) -> None:
        self.outstanding = None
        ended = self._ended
        ended[call.message_id] = reason
        if len(ended) > _ENDED_KEPT:
            del ended[next(iter(ended))]


def _error_in(message: CallError | CallResultError | Broken) -> RpcError:
    if isinstance(message, Broken):
        return envelope.read_broken_error(message.elements)
    return envelope.read_error(message.code, message.description, message.details)
