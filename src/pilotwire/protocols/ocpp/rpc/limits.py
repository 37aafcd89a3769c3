"""What a frame may cost before anything of it is decoded: its size and how deep it is nested."""

from __future__ import annotations

import re
from typing import NamedTuple


class Limits(NamedTuple):
    """Bounds of one connection."""

    size: int = 262_144
    """Bytes of one frame."""
    depth: int = 16
    """How many arrays and objects may lie inside one another; the message's own array counts as one."""
    message_id: int = 36
    """Characters of a messageId (1.6-J 4.1.4, 2.x part 4 4.1.4)."""
    open_calls: int = 64
    """CALLs of the peer that may wait for our answer at the same time."""


_NOT_OPENING = bytes(c for c in range(256) if c not in b"[{")
_NOT_STRUCTURE = bytes(c for c in range(256) if c not in b'[]{}"')
_ONE_KIND = bytes.maketrans(b"[]", b"{}")
# A string, whole or cut off by the end of the frame. Possessive, so that no input makes it try twice.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)


def deeper_than(data: bytes, limit: int) -> bool:
    """Whether the JSON text `data` nests deeper than `limit`. Exact for JSON; a text that is not JSON gets some answer.

    Counting the opening brackets, also those inside strings, can only overestimate the depth: one pass at C speed
    settles nearly every message. The others are stripped of their strings and peeled from the inside, a level a pass.
    """
    if len(data.translate(None, _NOT_OPENING)) <= limit:
        return False
    if b"\\" in data:
        shape = _STRING.sub(b"", data).translate(_ONE_KIND, _NOT_STRUCTURE)
    else:
        # Without escapes a string that holds no bracket is now `""`. The first one that does leaves an odd run of
        # quotes before its bracket, so a quote remains.
        shape = data.translate(_ONE_KIND, _NOT_STRUCTURE).replace(b'""', b"")
        if b'"' in shape:
            shape = _STRING.sub(b"", data).translate(_ONE_KIND, _NOT_STRUCTURE)
    while shape and limit:
        peeled = shape.replace(b"{}", b"")
        if len(peeled) == len(shape):
            # Not balanced, so not JSON: whatever was not closed counts as depth.
            return len(shape) > limit
        shape = peeled
        limit -= 1
    return bool(shape)
