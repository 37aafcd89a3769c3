"""Frames that are no message, or come when none was expected."""

from __future__ import annotations

import re
from typing import Any

import msgspec

from pilotwire.protocols.ocpp.rpc import errors
from pilotwire.protocols.ocpp.rpc.events import (
    IGNORED_LATE_ANSWER,
    IGNORED_REPEATED_ANSWER,
    IGNORED_UNASKED_ANSWER,
    IGNORED_UNKNOWN_MESSAGE_TYPE,
    Malformed,
)
from pilotwire.protocols.ocpp.version import Version

LOOKED_INTO = 65_536
"""A frame that is larger is not decoded to find out how it is wrong."""

_IGNORED = {
    IGNORED_LATE_ANSWER: "answer-late",
    IGNORED_REPEATED_ANSWER: "answer-repeated",
    IGNORED_UNASKED_ANSWER: "answer-unasked",
    IGNORED_UNKNOWN_MESSAGE_TYPE: "message-type-unknown",
}
_SPELLINGS = {
    "1.6": frozenset((errors.FORMAT_VIOLATION, errors.OCCURRENCE_CONSTRAINT)),
    "2": frozenset(("FormationViolation", "OccurenceConstraintViolation")),
}
_CODES = frozenset(
    (
        errors.NOT_IMPLEMENTED, errors.NOT_SUPPORTED, errors.INTERNAL_ERROR, errors.PROTOCOL_ERROR,
        errors.SECURITY_ERROR, errors.FORMAT_VIOLATION, errors.PROPERTY_CONSTRAINT, errors.OCCURRENCE_CONSTRAINT,
        errors.TYPE_CONSTRAINT, errors.GENERIC_ERROR, errors.MESSAGE_TYPE_NOT_SUPPORTED, errors.RPC_FRAMEWORK_ERROR,
    )
)  # fmt: skip
_HEAD = re.compile(rb"\s*\[\s*[2-6]\s*,")


def ignored(reason: str) -> str:
    """The quirk of a frame that the machine ignored; "" where it is none."""
    return _IGNORED.get(reason, "")


def malformed(event: Malformed, data: bytes, version: Version) -> str:
    """The quirk of a frame that was not accepted."""
    if event.call is not None:
        return "answer-unreadable"
    if len(data) > LOOKED_INTO:
        return "frame-too-large"
    try:
        parts: Any = msgspec.json.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return "frame-not-json"
    if not isinstance(parts, list) or not parts or type(parts[0]) is not int:  # pyright: ignore[reportUnknownArgumentType]
        return "frame-no-message"
    message: list[Any] = parts
    if message[0] not in (2, 3, 4, 5, 6) or (version.name != "2.1" and message[0] > 4):
        return "message-type-unknown"
    if len(message) > 1 and isinstance(message[1], int | float):
        return "message-id-number"
    if len(message) > 1 and isinstance(message[1], str) and len(message[1]) > 36:
        return "message-id-too-long"
    if message[0] not in (2, 6) or len(message) != 4 or not isinstance(message[2], str):
        return "frame-no-message"
    if message[2] not in version.actions:
        known = {name.casefold() for name in version.actions}
        return "action-misspelt" if message[2].strip().casefold() in known else "action-unknown"
    if event.error.code == errors.RPC_FRAMEWORK_ERROR:
        return "message-id-reused"
    return "payload-refused"


def refused(data: bytes, version: str) -> list[str]:
    """The quirks of a CALLERROR as it stands on the wire."""
    try:
        parts: Any = msgspec.json.decode(data[:LOOKED_INTO])
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return []
    message: list[Any] = parts if isinstance(parts, list) else []
    if not message or message[0] != 4:
        return []
    found: list[str] = []
    if len(message) != 5 or not isinstance(message[3], str) or not isinstance(message[4], dict):
        found.append("error-incomplete")
    code: Any = message[2] if len(message) > 2 else None
    if isinstance(code, str):
        if code in _SPELLINGS["1.6" if version == "1.6" else "2"]:
            found.append("error-code-of-other-version")
        elif errors.canonical_code(code) not in _CODES:
            found.append("error-code-unknown")
    return found


def overlaps(data: bytes) -> bool:
    """Whether a frame that came too early is a CALL or SEND."""
    head = _HEAD.match(data)
    return head is not None and (b"2" in head[0] or b"6" in head[0])
