"""What `Rpc.receive` tells: exactly one event per frame."""

from __future__ import annotations

import msgspec

from pilotwire.protocols.ocpp.version import Action

from .errors import RpcError


class OpenCall(msgspec.Struct):
    """A CALL of ours that waits for its answer. Times are ms since the epoch."""

    message_id: str
    action: Action
    request: msgspec.Struct
    tag: object
    """What the caller handed to `Rpc.call` to know its call again."""
    sent_at: int
    deadline: int
    """From this instant on `Rpc.expire` ends the call."""


class CallReceived(msgspec.Struct, frozen=True, gc=False):
    """A CALL that was read and now is open. Answer it later by `Rpc.answer` or `Rpc.refuse`."""

    message_id: str
    action: Action
    request: msgspec.Struct
    deviations: tuple[str, ...]
    """Names of the tolerance rules that reading it needed."""


class SendReceived(msgspec.Struct, frozen=True, gc=False):
    """A SEND (2.1, type 6). It is never answered, not even when it cannot be served."""

    message_id: str
    action: Action
    request: msgspec.Struct
    deviations: tuple[str, ...]


class ResultReceived(msgspec.Struct, frozen=True):
    """The CALLRESULT to `call`, which is over."""

    call: OpenCall
    response: msgspec.Struct
    deviations: tuple[str, ...]


class ErrorReceived(msgspec.Struct, frozen=True):
    """The CALLERROR to `call`, which is over. `error.code` is canonical; a code that no version has stays as it is."""

    call: OpenCall
    error: RpcError


class ResultErrorReceived(msgspec.Struct, frozen=True):
    """A CALLRESULTERROR (2.1, type 5): the peer could not read the CALLRESULT that we sent under `message_id`."""

    message_id: str
    error: RpcError


class Malformed(msgspec.Struct, frozen=True):
    """A frame that was not accepted."""

    error: RpcError
    reply: bytes | None
    """What to send, as it is; None when the standard wants no answer to such a frame."""
    call: OpenCall | None
    """Set when the frame was the answer to this call of ours and could not be read: the call is over."""


class Repeated(msgspec.Struct, frozen=True):
    """A CALL with the id and the content of an earlier one."""

    message_id: str
    reply: bytes | None
    """The answer given before, to be sent again; None while the earlier one still is open (its answer will serve)."""


class Ignored(msgspec.Struct, frozen=True):
    """A frame that changes nothing and is not answered. `reason` is one of the `IGNORED_*` texts."""

    reason: str


IGNORED_LATE_ANSWER = "late-answer"
"""The call had timed out."""
IGNORED_REPEATED_ANSWER = "repeated-answer"
"""The call had been answered."""
IGNORED_UNASKED_ANSWER = "unasked-answer"
"""No call of ours has this id."""
IGNORED_UNREADABLE_AT_PEER = "unreadable-at-peer"
"""A CALLERROR under "-1": the peer could not read the id of something that we sent."""
IGNORED_UNKNOWN_MESSAGE_TYPE = "unknown-message-type"
"""1.6-J 4.1.3: a message type that the version does not have is ignored."""
IGNORED_CLOSED = "closed"
"""The frame came after `Rpc.close`."""

Event = (
    CallReceived | SendReceived | ResultReceived | ErrorReceived | ResultErrorReceived | Malformed | Repeated | Ignored
)
