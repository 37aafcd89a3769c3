"""Transaction messages on their way to the CSMS: durable, in order, retried by the standard.

A message leaves the queue only when the CSMS has answered it, or when the CSMS has *reported* a failure to process it
as often as TransactionMessageAttempts (1.6, 3.7.1; a CALLERROR by the 1.6-J errata 3.3) or MessageAttempts (2.x, E13)
allow. Silence is not a report: an unanswered message is sent again, after the same growing wait, until it is answered,
because dropping it would lose a session's energy.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping

import msgspec


class Queued(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One transaction message."""

    n: int
    """Position; grows for ever."""
    action: str
    session: str
    """Key of the session it belongs to."""
    payload: bytes
    """The request as JSON. In 1.6 the transactionId is filled in when it is sent."""
    periodic: bool = False
    """A reading that may be thinned out when memory runs low."""
    offline: bool = False
    """It waited while there was no connection."""
    failures: int = 0
    """Failures to process that the CSMS reported."""
    tries: int = 0
    """Transmissions over the present connection."""
    message_id: str = ""


_encode = msgspec.json.encode
_decoder = msgspec.json.Decoder(Queued)


def _key(n: int) -> str:
    return f"queue.{n:015d}"


class TransactionQueue:
    """Oldest first. `write` stores a batch of changes with the station's other keys in one go."""

    __slots__ = ("_entries", "_limit", "_next", "discarded", "shed")

    def __init__(self, limit: int) -> None:
        self._entries: deque[Queued] = deque()
        self._next = 1
        self._limit = limit
        self.shed = 0
        """Periodic readings dropped because the queue was full."""
        self.discarded = 0
        """Messages given up after the CSMS had refused them as often as the standard allows."""

    def __len__(self) -> int:
        return len(self._entries)

    def __iter__(self) -> Iterator[Queued]:
        return iter(self._entries)

    @property
    def head(self) -> Queued | None:
        return self._entries[0] if self._entries else None

    @property
    def youngest(self) -> int:
        """Position of the message queued last, whether still here or not."""
        return self._next - 1

    def load(self, stored: Mapping[str, bytes]) -> None:
        """Take over what a restart left."""
        self._entries = deque(_decoder.decode(stored[key]) for key in sorted(stored) if key.startswith("queue."))
        for entry in self._entries:
            entry.tries = 0
        self._next = max(int(stored.get("queue-next", b"1")), self._entries[-1].n + 1 if self._entries else 1)

    def push(
        self,
        changes: dict[str, bytes | None],
        *,
        action: str,
        session: str,
        payload: bytes,
        periodic: bool,
        offline: bool = False,
    ) -> Queued:
        """Append; the change to the store is added to `changes`."""
        entry = Queued(
            n=self._next, action=action, session=session, payload=payload, periodic=periodic, offline=offline
        )
        self._next += 1
        self._entries.append(entry)
        changes[_key(entry.n)] = _encode(entry)
        changes["queue-next"] = str(self._next).encode()
        if len(self._entries) > self._limit:
            self._thin(changes)
        return entry

    def pop(self, changes: dict[str, bytes | None]) -> Queued:
        """The head has been answered."""
        entry = self._entries.popleft()
        changes[_key(entry.n)] = None
        return entry

    def went_offline(self, changes: dict[str, bytes | None]) -> None:
        """The connection is gone: what has not been sent yet is sent as a message of the time offline (E11.FR.07)."""
        for entry in self._entries:
            if not entry.offline and not entry.tries:
                entry.offline = True
                changes[_key(entry.n)] = _encode(entry)

    def update(self, changes: dict[str, bytes | None], entry: Queued) -> None:
        changes[_key(entry.n)] = _encode(entry)

    def drop_head(self, changes: dict[str, bytes | None]) -> Queued:
        """The head is given up."""
        self.discarded += 1
        return self.pop(changes)

    def any(self, test: Callable[[Queued], bool]) -> bool:
        return any(test(entry) for entry in self._entries)

    def _thin(self, changes: dict[str, bytes | None]) -> None:
        """Drop every second periodic reading that has never been sent (E04: intermediate values go first)."""
        kept: deque[Queued] = deque()
        drop = False
        for entry in self._entries:
            if entry.periodic and not entry.tries and not entry.failures and not entry.message_id:
                drop = not drop
                if drop:
                    changes[_key(entry.n)] = None
                    self.shed += 1
                    continue
            kept.append(entry)
        self._entries = kept
