"""The arrays that OCPP-J sends: one message type each, read in one step and written by hand.

The payload stays `msgspec.Raw` until the action's own type reads it. `read_broken` says as much as can be known about a
frame that the types do not fit.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple, final

import msgspec

from .errors import GENERIC_ERROR, RpcError, canonical_code, wire_code

CALL = 2
CALLRESULT = 3
CALLERROR = 4
CALLRESULTERROR = 5
SEND = 6

UNREADABLE = "-1"
"""The messageId of an answer to a message whose own cannot be read (2.x part 4 4.2.3; 1.6 has no other word for it)."""

_EMPTY = msgspec.Raw(b"{}")


@final
class Call(msgspec.Struct, array_like=True, tag=CALL, forbid_unknown_fields=True, gc=False):
    """`[2, messageId, action, payload]`"""

    message_id: str
    action: str
    payload: msgspec.Raw


@final
class CallResult(msgspec.Struct, array_like=True, tag=CALLRESULT, forbid_unknown_fields=True, gc=False):
    """`[3, messageId, payload]`"""

    message_id: str
    payload: msgspec.Raw


@final
class CallError(msgspec.Struct, array_like=True, tag=CALLERROR):
    """`[4, messageId, errorCode, errorDescription, errorDetails]`. Read leniently: it ends a call whatever it says."""

    message_id: str
    code: str = GENERIC_ERROR
    description: str = ""
    details: msgspec.Raw = _EMPTY


@final
class CallResultError(msgspec.Struct, array_like=True, tag=CALLRESULTERROR):
    """`[5, messageId, errorCode, errorDescription, errorDetails]`, 2.1"""

    message_id: str
    code: str = GENERIC_ERROR
    description: str = ""
    details: msgspec.Raw = _EMPTY


@final
class Send(msgspec.Struct, array_like=True, tag=SEND, forbid_unknown_fields=True, gc=False):
    """`[6, messageId, action, payload]`, 2.1"""

    message_id: str
    action: str
    payload: msgspec.Raw


Message = Call | CallResult | CallError | CallResultError | Send
"""What a frame can be; 1.6 and 2.0.1 have the first three."""


class Broken(NamedTuple):
    """A frame that is none of the messages above, as far as it can be read."""

    message_type: int | None
    message_id: str | None
    elements: list[msgspec.Raw]
    """What the array holds; empty when it is no JSON array at all."""
    why: str
    """What is wrong, in words that quote nothing of the frame."""


_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_STRING = msgspec.json.Decoder(str)
_INTEGER = msgspec.json.Decoder(int)
_OBJECT = msgspec.json.Decoder(dict[str, Any])
_encode = msgspec.json.Encoder().encode

UNREADABLE_INPUT = (msgspec.MsgspecError, ValueError, RecursionError)
"""What msgspec raises on bytes: its own errors, UnicodeDecodeError, and RecursionError when nested beyond the stack."""

# How every message begins; enough to name a message that is too large, too deep or cut off.
_HEAD = re.compile(rb'[ \t\r\n]*\[[ \t\r\n]*([0-9]{1,4})[ \t\r\n]*,[ \t\r\n]*"([^"\\\x00-\x1f]*)"')
_HEAD_BYTES = 256


def read_head(data: bytes, why: str, max_id: int) -> Broken:
    """Message type and id from the first bytes of a frame that is not decoded any further."""
    head = _HEAD.match(data[:_HEAD_BYTES])
    if head is None:
        return Broken(None, None, [], why)
    try:
        message_id = head[2].decode()
    except UnicodeDecodeError:
        return Broken(int(head[1]), None, [], why)
    return Broken(int(head[1]), message_id if len(message_id) <= max_id else None, [], why)


def read_broken(data: bytes, max_id: int) -> Broken:
    """Find out how a frame that no message type fits is wrong."""
    try:
        elements = _ARRAY.decode(data)
    except msgspec.ValidationError:
        return Broken(None, None, [], "a message is a JSON array")
    except UNREADABLE_INPUT:
        return read_head(data, "not JSON", max_id)
    message_id = text_at(elements, 1)
    if message_id is not None and len(message_id) > max_id:
        message_id = None
    try:
        message_type = _INTEGER.decode(elements[0]) if elements else None
    except UNREADABLE_INPUT:
        message_type = None
    if message_type is None:
        why = "a message begins with the number of its type"
    elif message_id is None:
        why = f"the second element is the messageId, a string of at most {max_id} characters"
    else:
        why = "wrong number or types of elements for this message type"
    return Broken(message_type, message_id, elements, why)


def text_at(elements: list[msgspec.Raw], index: int) -> str | None:
    """The string at `index`, or None when there is none."""
    try:
        return _STRING.decode(elements[index])
    except (IndexError, *UNREADABLE_INPUT):
        return None


def read_error(code: str | None, description: str | None, details: msgspec.Raw) -> RpcError:
    """The error that a CALLERROR or CALLRESULTERROR carries, with GenericError and {} for what cannot be read."""
    try:
        members = _OBJECT.decode(details)
    except UNREADABLE_INPUT:
        members = {}
    return RpcError(canonical_code((code or GENERIC_ERROR)[:64]), (description or "")[:255], members)


def read_broken_error(elements: list[msgspec.Raw]) -> RpcError:
    """The same from an array with elements missing or of wrong types."""
    return read_error(text_at(elements, 2), text_at(elements, 3), elements[4] if len(elements) > 4 else _EMPTY)


def write_call(message_type: int, message_id: str, action: str, payload: bytes) -> bytes:
    """A CALL or SEND."""
    return b"[%d,%b,%b,%b]" % (message_type, _encode(message_id), _encode(action), payload)


def write_result(message_id: str, payload: bytes) -> bytes:
    """A CALLRESULT."""
    return b"[3,%b,%b]" % (_encode(message_id), payload)


def write_error(message_type: int, message_id: str, error: RpcError, version: str) -> bytes:
    """A CALLERROR or CALLRESULTERROR, with the code as `version` spells it.

    The code is what matters: a description or details that are no JSON (lone surrogates, foreign objects) are left out.
    """
    code = _encode(wire_code(error.code, version))
    description = error.description[:255].encode(errors="replace").decode()
    try:
        details = _encode(dict(error.details))
    except (TypeError, *UNREADABLE_INPUT):
        details = b"{}"
    return b"[%d,%b,%b,%b,%b]" % (message_type, _encode(message_id), code, _encode(description), details)
