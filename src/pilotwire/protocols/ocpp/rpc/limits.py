"""What a frame may cost before anything of it is decoded: its size and how deep it is nested."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple


class Limits(NamedTuple):
    """Bounds of one connection."""

    size: int = 262_144
    """Bytes of one frame."""
    depth: int = 16
    """How many arrays and objects may lie inside one another; the message's own array counts as one. At most 200: the
    decoder and those who get the message stand on a finite stack."""
    message_id: int = 36
    """Characters of a messageId (1.6-J 4.1.4, 2.x part 4 4.1.4)."""
    open_calls: int = 64
    """CALLs of the peer that may wait for our answer at the same time."""


NOT_OUTLINE = bytes(c for c in range(256) if c not in b'[]{}"\\')
"""What `bytes.translate` takes away to leave the outline of a JSON text."""
_NOT_STRUCTURE = bytes(c for c in range(256) if c not in b"[]{}")
_ONE_KIND = bytes.maketrans(b"[]", b"{}")
# A string, whole or cut off by the end of the frame. Possessive, so that no input makes it try twice.
_STRING = re.compile(rb'"(?:[^"\\]++|\\.)*+"?', re.DOTALL)

_MAX_DEPTH = 200
_OUTLINE_BYTES = 512
_OUTLINES = 512


class DepthGuard:
    """Tells JSON texts that nest deeper than a limit.

    Messages of one kind are alike in outline: take away all but brackets and quotes, and the meter values of a station
    are the same text every minute. Without escapes the outline alone decides the depth. So outlines that were found
    shallow are remembered, a bounded set of them, and nearly every message costs one pass at C speed and a look-up:

        if data.translate(None, NOT_OUTLINE) not in guard.shallow and guard.exceeded(data): ...
    """

    __slots__ = ("_limit", "shallow")

    def __init__(self, limit: int) -> None:
        self._limit = min(limit, _MAX_DEPTH)
        self.shallow: set[bytes] = set()
        """Outlines that are known to be within the limit."""

    def exceeded(self, data: bytes) -> bool:
        """Whether `data` nests deeper than the limit. Exact for JSON; what is not JSON gets some answer."""
        if deeper_than(data, self._limit):
            return True
        outline = data.translate(None, NOT_OUTLINE)
        if len(outline) <= _OUTLINE_BYTES and b"\\" not in outline:
            if len(self.shallow) >= _OUTLINES:
                self.shallow.clear()
            self.shallow.add(outline)
        return False


@cache
def depth_guard(limit: int) -> DepthGuard:
    """The guard for `limit`, shared by all connections: what it remembers does not depend on who sent it."""
    return DepthGuard(limit)


def deeper_than(data: bytes, limit: int) -> bool:
    """Whether the JSON text `data` nests deeper than `limit`: strip the strings, then peel a level from the inside."""
    shape = _STRING.sub(b"", data).translate(_ONE_KIND, _NOT_STRUCTURE)
    for _ in range(limit):
        peeled = shape.replace(b"{}", b"")
        if len(peeled) == len(shape):
            break
        shape = peeled
    # What is left over is too deep, or not balanced and so not JSON; then the decoder finds it, unless it is so much
    # that the decoder should not see it either.
    return len(shape) > limit if b"{}" not in shape else True
