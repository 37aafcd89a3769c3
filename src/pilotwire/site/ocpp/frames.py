"""OCPP-J frames, read no further than routing needs: type, messageId, action. The rest stays the bytes that came.

What has to be changed (a transactionId, a flag) is changed in the outermost object of the payload, or one below; every
other byte stays as the sender wrote it: unknown fields, the order of keys, digits of numbers, escapes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from pilotwire.protocols.ocpp.rpc.envelope import (
    CALL,
    CALLERROR,
    CALLRESULT,
    CALLRESULTERROR,
    SEND,
    UNREADABLE_INPUT,
    write_call,
    write_result,
)
from pilotwire.protocols.ocpp.rpc.limits import depth_guard

__all__ = ["CALL", "CALLERROR", "CALLRESULT", "CALLRESULTERROR", "SEND", "Frame", "amend", "fields", "read", "with_id"]

_DEPTH = 64
"""Deeper than any message of OCPP by far; what is nested deeper is not carried."""

_ARRAY = msgspec.json.Decoder(list[msgspec.Raw])
_INTEGER = msgspec.json.Decoder(int)
_STRING = msgspec.json.Decoder(str)
_OBJECT = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ANY = msgspec.json.Decoder()
_encode = msgspec.json.encode
_guard = depth_guard(_DEPTH)


class Frame(NamedTuple):
    """One frame."""

    kind: int
    id: str
    action: str
    """Of CALL and SEND, else ""."""
    payload: bytes
    """Of CALL, SEND and CALLRESULT as it came; b"{}" of others."""
    raw: bytes


def read(data: bytes) -> Frame | None:
    """The frame, or None when it is no message: not JSON, no array, no type or id that can be read, too deep."""
    if _guard.exceeded(data):
        return None
    try:
        parts = _ARRAY.decode(data)
        if len(parts) < 2:
            return None
        kind, message_id = _INTEGER.decode(parts[0]), _STRING.decode(parts[1])
        if kind in (CALL, SEND):
            return Frame(kind, message_id, _STRING.decode(parts[2]), bytes(parts[3]), data)
        if kind == CALLRESULT:
            return Frame(kind, message_id, "", bytes(parts[2]), data)
    except (IndexError, *UNREADABLE_INPUT):
        return None
    return Frame(kind, message_id, "", b"{}", data)


def with_id(frame: Frame, message_id: str) -> bytes:
    """The same frame under another messageId."""
    parts = _ARRAY.decode(frame.raw)
    parts[1] = msgspec.Raw(_encode(message_id))
    return b"[" + b",".join(bytes(part) for part in parts) + b"]"


def with_payload(frame: Frame, payload: bytes) -> bytes:
    """The same CALL, SEND or CALLRESULT with another payload."""
    if frame.kind == CALLRESULT:
        return write_result(frame.id, payload)
    return write_call(frame.kind, frame.id, frame.action, payload)


def fields(payload: bytes) -> dict[str, msgspec.Raw]:
    """The outermost object of a payload, its values unread; {} where it is none."""
    try:
        return _OBJECT.decode(payload)
    except UNREADABLE_INPUT:
        return {}


def value(payload: bytes, *path: str) -> Any:
    """What stands at `path`, as plain JSON; None where nothing does."""
    inner = payload
    for name in path:
        found = fields(inner).get(name)
        if found is None:
            return None
        inner = bytes(found)
    try:
        return _ANY.decode(inner)
    except UNREADABLE_INPUT:
        return None


def amend(payload: bytes, changes: Mapping[str, bytes]) -> bytes:
    """`payload` with these members (JSON) set in its outermost object; new ones come last. As it was if it is none."""
    found = fields(payload)
    if not found and payload.strip() != b"{}":
        return payload
    members = {name: bytes(raw) for name, raw in found.items()} | dict(changes)
    return b"{" + b",".join(_encode(name) + b":" + raw for name, raw in members.items()) + b"}"
