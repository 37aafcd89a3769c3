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

OF_THE_MOMENT = frozenset({"BootNotification", "Heartbeat"})
"""Actions whose answer carries the current time."""


Kept = tuple[bytes, bytes]
"""A CALL and the answer that it got. The frame itself and not a hash of it: taking one costs more than keeping the
frame, and only byte for byte is certain."""


class AnswerMemory:
    """A bounded memory of answers by messageId. The actor of a station owns it, so that it can outlive a connection."""

    __slots__ = ("_capacity", "_kept", "_max_bytes", "_scope", "find")

    def __init__(self, capacity: int = 4, max_bytes: int = 4_096) -> None:
        """`capacity` answers, each with its CALL of at most `max_bytes` bytes; the oldest go first.

        A few are enough: a sender has one CALL outstanding, so it repeats its last. Only a station that does not keep
        to that can repeat an older one.
        """
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._kept: dict[str, Kept] = {}
        self.find: Callable[[str], Kept | None] = self._kept.get
        """What is kept for a messageId; the caller compares the content."""
        self._scope = 0

    def __len__(self) -> int:
        return len(self._kept)

    def enter(self, lasting: bool) -> int:
        """Begin a connection, get its scope for `keep`. All is forgotten unless ids are `lasting` over connections."""
        if not lasting:
            self._kept.clear()
            self._scope += 1
        return self._scope

    def keep(self, scope: int, message_id: str, frame: bytes, reply: bytes) -> None:
        """Keep `reply` as the answer to the CALL `frame`, unless its scope has ended or they are too large."""
        if scope != self._scope:
            return
        kept = self._kept
        if message_id in kept:
            del kept[message_id]
        if len(frame) + len(reply) > self._max_bytes:
            return
        kept[message_id] = frame, reply
        if len(kept) > self._capacity:
            del kept[next(iter(kept))]

    def forget(self, message_id: str) -> None:
        """Forget the answer to `message_id`, if there is one."""
        self._kept.pop(message_id, None)
