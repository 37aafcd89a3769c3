"""Page cursors: opaque to clients, bad ones are told apart from an end of the list."""

from __future__ import annotations

import base64
import binascii
from typing import TypeVar

import msgspec

from .language import _
from .problems import Problem

T = TypeVar("T")
MAX_CURSOR = 2048


def encode(value: object) -> str:
    """A cursor that holds `value`: URL-safe, without padding."""
    return base64.urlsafe_b64encode(msgspec.json.encode(value)).decode().rstrip("=")


def decode(text: str, kind: type[T]) -> T:
    """What `encode` put in; raises Problem 400 for anything that we did not hand out."""
    try:
        if len(text) > MAX_CURSOR:
            raise ValueError("too long")
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(raw, type=kind)
    except (ValueError, binascii.Error, msgspec.DecodeError):
        raise bad_cursor() from None


def bad_cursor() -> Problem:
    return Problem(
        400,
        "bad-cursor",
        "The cursor is not one of ours",
        "Use the value of `next` from the page before, unchanged, or leave `cursor` out to begin anew.",
        errors=[{"field": "cursor", "message": _("not a cursor of this list")}],
    )
