"""The last answers given, so that a CALL which is sent again gets the answer it got before.

A sender that missed our answer may repeat its CALL under the same messageId (2.x part 4 4.1.4). Business keys keep a
repeated transaction message from counting twice in any case; this memory makes the second answer equal to the first and
costs nobody a commit.

Rules
- Same id and same bytes: the same answer. Same id and other bytes: a new CALL, whose answer replaces the old one.
- CALLRESULTs alone are kept. A refusal is not: the repeated CALL deserves a new chance.
- Answers that hold the present time (`OF_THE_MOMENT`) are not kept: an old clock is worse than a second answer.
- 2.x message ids are unique over all connections of a station, so the memory outlives a connection. In 1.6 they are
  unique in one connection only, and stations do count from 1 again after each reboot: a new connection empties it.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

OF_THE_MOMENT = frozenset({"BootNotification", "Heartbeat"})
"""Actions whose answer carries the current time."""


class KeptAnswer(msgspec.Struct, frozen=True, gc=False):
    """An answer and the fingerprint of the CALL that it answered."""

    fingerprint: int
    length: int
    reply: bytes

    def answers(self, frame: bytes) -> bool:
        """Whether `frame` is the CALL that this answered, byte for byte as far as a 64-bit fingerprint can tell."""
        return self.length == len(frame) and self.fingerprint == hash(frame)


class AnswerMemory:
    """A bounded memory of answers by messageId. The actor of a station owns it, so that it can outlive a connection."""

    __slots__ = ("_bytes", "_capacity", "_kept", "_max_bytes", "_scope", "find")

    def __init__(self, capacity: int = 16, max_bytes: int = 16_384) -> None:
        """`capacity` answers of together `max_bytes` bytes; the oldest go first."""
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._kept: dict[str, KeptAnswer] = {}
        self.find: Callable[[str], KeptAnswer | None] = self._kept.get
        """The answer that is kept for a messageId; the caller compares the content."""
        self._bytes = 0
        self._scope = 0

    def __len__(self) -> int:
        return len(self._kept)

    def enter(self, lasting: bool) -> int:
        """Begin a connection, get its scope for `keep`. All is forgotten unless ids are `lasting` over connections."""
        if not lasting:
            self._kept.clear()
            self._bytes = 0
            self._scope += 1
        return self._scope

    def keep(self, scope: int, message_id: str, frame: bytes, reply: bytes) -> None:
        """Keep `reply` as the answer to the CALL `frame`, unless its scope has ended or it is too large."""
        if scope != self._scope:
            return
        kept = self._kept
        if message_id in kept:
            self.forget(message_id)
        size = len(reply)
        if size > self._max_bytes:
            return
        kept[message_id] = KeptAnswer(hash(frame), len(frame), reply)
        self._bytes += size
        while len(kept) > self._capacity or self._bytes > self._max_bytes:
            self._bytes -= len(kept.pop(next(iter(kept))).reply)

    def forget(self, message_id: str) -> None:
        """Forget the answer to `message_id`, if there is one."""
        kept = self._kept.pop(message_id, None)
        if kept is not None:
            self._bytes -= len(kept.reply)
