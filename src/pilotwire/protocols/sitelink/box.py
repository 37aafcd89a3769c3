"""The box's end of the link: it greets, offers its newest state, and is asked."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from pilotwire.core.machines import Close, Send

from .bucket import Bucket
from .frames import IDLE_MS, MOST_UP, Answer, Ask, BadFrame, Failed, FailKind, Hello, Seen, Tick, Watch
from .frames import decode_down as _decode
from .frames import encode as _encode

SEEN_MS: Final = 30_000
"""A tick that has not been seen for so long: nobody is there any more."""
OPEN: Final = 8
"""Questions that are answered at the same time."""
PER_S: Final = 10
BURST: Final = 40
_HEAD: Final = 64
"""Bytes of a frame beside what it carries, at most."""


class Asked(msgspec.Struct, frozen=True):
    """A question, for which `answer` or `fail` is due. `args` is MessagePack."""

    id: int
    method: str
    args: bytes


Effect = Send | Close | Asked
State = Literal["new", "open", "closed"]


class BoxEnd:
    """A `core.machines.Machine`, over messages of bytes."""

    def __init__(self, hello: Hello) -> None:
        self.state: State = "new"
        self.every_ms = IDLE_MS
        """How often the central system wants to see it."""
        self._hello = hello
        self._open: set[int] = set()
        self._bucket = Bucket(BURST, PER_S)
        self._seq = 0
        self._sent_ms: int | None = None
        """When the tick that is under way was sent."""
        self._due_ms = 0

    @property
    def deadline(self) -> int | None:
        """See `Machine`."""
        return self._sent_ms + SEEN_MS if self.state == "open" and self._sent_ms is not None else None

    def begin(self, now: int) -> list[Effect]:
        """The connection stands."""
        self.state, self._due_ms = "open", now
        return [Send(_encode(self._hello))]

    def wants(self, now: int) -> bool:
        """Whether a tick may go out: who makes one for nothing has worked for nothing."""
        return self.state == "open" and self._sent_ms is None and now >= self._due_ms

    def tick(self, state: bytes, now: int) -> list[Effect]:
        """The site's newest state. Nothing where none is wanted: it is not kept."""
        if not self.wants(now) or len(state) + _HEAD > MOST_UP:
            return []
        self._seq += 1
        self._sent_ms = now
        # Ticks come at the pace of the loop: a moment early is the right one, not the one after it.
        self._due_ms = now + self.every_ms - self.every_ms // 8
        return [Send(_encode(Tick(self._seq, msgspec.Raw(state))))]

    def answer(self, id: int, result: bytes) -> list[Effect]:
        """What was asked; nothing where nobody waits for it any more."""
        if len(result) + _HEAD > MOST_UP:
            return self.fail(id, "too_large", f"the answer has {len(result)} bytes; ask for less")
        return self._settle(Answer(id, msgspec.Raw(result)))

    def fail(self, id: int, kind: FailKind, words: str = "") -> list[Effect]:
        """Why it cannot be answered."""
        return self._settle(Failed(id, kind, words[:1_000]))

    def _settle(self, frame: Answer | Failed) -> list[Effect]:
        if self.state != "open" or frame.id not in self._open:
            return []
        self._open.discard(frame.id)
        return [Send(_encode(frame))]

    def receive(self, data: bytes, now: int) -> list[Effect]:
        """See `Machine`."""
        if self.state != "open":
            return []
        try:
            frame = _decode(data)
        except BadFrame as error:
            return self._close(f"not understood: {error}")
        if isinstance(frame, Watch):
            if frame.every_ms < self.every_ms:
                self._due_ms = min(self._due_ms, now)
            self.every_ms = frame.every_ms
            return []
        if isinstance(frame, Seen):
            if self._sent_ms is None or frame.seq != self._seq:
                return self._close(f"tick {frame.seq} is not under way")
            self._sent_ms = None
            return []
        return self._asked(frame, now)

    def _asked(self, frame: Ask, now: int) -> list[Effect]:
        if frame.id in self._open:
            return self._close(f"question {frame.id} is open already")
        if len(self._open) >= OPEN or not self._bucket.take(now):
            return [Send(_encode(Failed(frame.id, "busy", "too many questions at once")))]
        self._open.add(frame.id)
        return [Asked(frame.id, frame.method, bytes(frame.args))]

    def elapse(self, now: int) -> list[Effect]:
        """See `Machine`."""
        deadline = self.deadline
        if deadline is None or now < deadline:
            return []
        return self._close(f"no sign of life for {SEEN_MS // 1_000} s")

    def lost(self, now: int) -> list[Effect]:
        """See `Machine`."""
        self.state = "closed"
        self._open.clear()
        return []

    def _close(self, why: str) -> list[Effect]:
        self.state = "closed"
        self._open.clear()
        return [Close(reason=why)]
