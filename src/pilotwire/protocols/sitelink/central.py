"""The central system's end of the link: it is greeted, sees the newest state, and asks."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from pilotwire.core.machines import Close, Send

from .bucket import Bucket
from .frames import FASTEST_MS, IDLE_MS, MOST_DOWN, SLOWEST_MS, Answer, Ask, BadFrame, Failed, Hello, Seen, Tick, Watch
from .frames import decode_up as _decode
from .frames import encode as _encode

HELLO_MS: Final = 10_000
"""Who has not greeted by then is none of ours."""
ANSWER_MS: Final = 20_000
SILENT_MS: Final = 45_000
"""Nothing was heard for so long: nobody is there any more."""
OPEN: Final = 6
"""Questions that are open at the same time; a box takes 8."""
PER_S: Final = 5
BURST: Final = 20


class Busy(Exception):
    """So many questions are open already that no more is asked."""


class Greeted(msgspec.Struct, frozen=True):
    """It has said who it is."""

    hello: Hello


class Ticked(msgspec.Struct, frozen=True):
    """A state has come, in MessagePack. It has been acknowledged."""

    now: bytes


class Settled(msgspec.Struct, frozen=True):
    """A question is over: `result` in MessagePack, or why there is none. `lost` and `late` are our own words for it."""

    id: int
    result: bytes | None = None
    kind: str = ""
    words: str = ""


Effect = Send | Close | Greeted | Ticked | Settled
State = Literal["new", "open", "closed"]


class CentralEnd:
    """A `core.machines.Machine`, over messages of bytes. It begins when the connection stands."""

    def __init__(self, now: int) -> None:
        self.state: State = "new"
        self.every_ms = IDLE_MS
        self._begun_ms = self._heard_ms = now
        self._open: dict[int, int] = {}
        """Questions, and until when they may be answered."""
        self._late: set[int] = set()
        """Those that nobody waits for any more, whose answers may still come."""
        self._id = 0
        self._seq = 0
        self._bucket = Bucket(BURST, PER_S)

    @property
    def deadline(self) -> int | None:
        """See `Machine`."""
        if self.state == "closed":
            return None
        if self.state == "new":
            return self._begun_ms + HELLO_MS
        return min((*self._open.values(), self._heard_ms + SILENT_MS))

    def ask(self, method: str, args: bytes, now: int) -> tuple[int, list[Effect]]:
        """The question's number, under which `Settled` comes. Raises Busy."""
        if self.state != "open" or len(self._open) + len(self._late) >= OPEN:
            raise Busy
        self._id += 1
        frame = _encode(Ask(self._id, method, msgspec.Raw(args)))
        if len(frame) > MOST_DOWN:
            raise Busy
        self._open[self._id] = now + ANSWER_MS
        return self._id, [Send(frame)]

    def watch(self, every_ms: int) -> list[Effect]:
        """How often ticks are wanted."""
        every_ms = max(FASTEST_MS, min(SLOWEST_MS, every_ms))
        if self.state != "open" or every_ms == self.every_ms:
            return []
        self.every_ms = every_ms
        return [Send(_encode(Watch(every_ms)))]

    def receive(self, data: bytes, now: int) -> list[Effect]:
        """See `Machine`."""
        if self.state == "closed":
            return []
        try:
            frame = _decode(data)
        except BadFrame as error:
            return self.refuse(f"not understood: {error}")
        self._heard_ms = now
        if isinstance(frame, Hello):
            if self.state == "open":
                return self.refuse("it greets twice")
            self.state = "open"
            return [Greeted(frame)]
        if self.state == "new":
            return self.refuse("it does not greet")
        if isinstance(frame, Tick):
            return self._ticked(frame, now)
        return self._settled(frame)

    def _ticked(self, frame: Tick, now: int) -> list[Effect]:
        if frame.seq <= self._seq:
            return self.refuse(f"tick {frame.seq} comes after tick {self._seq}")
        if not self._bucket.take(now):
            return self.refuse("it ticks too fast")
        self._seq = frame.seq
        return [Ticked(bytes(frame.now)), Send(_encode(Seen(frame.seq)))]

    def _settled(self, frame: Answer | Failed) -> list[Effect]:
        if frame.id in self._late:
            self._late.discard(frame.id)
            return []
        if self._open.pop(frame.id, None) is None:
            return self.refuse(f"nobody has asked question {frame.id}")
        if isinstance(frame, Failed):
            return [Settled(frame.id, None, frame.kind, frame.words)]
        return [Settled(frame.id, bytes(frame.result))]

    def refuse(self, why: str) -> list[Effect]:
        """The box does what it must not: the connection ends, and all that was asked with it."""
        over = self._end(why)
        return [*over, Close(reason=why[:120])]

    def elapse(self, now: int) -> list[Effect]:
        """See `Machine`."""
        if self.state == "closed":
            return []
        if self.state == "new":
            return self.refuse("it does not greet") if now >= self._begun_ms + HELLO_MS else []
        if now >= self._heard_ms + SILENT_MS:
            return self.refuse(f"no sign of life for {SILENT_MS // 1_000} s")
        late = [id for id, until in self._open.items() if now >= until]
        for id in late:
            del self._open[id]
            self._late.add(id)
        over: list[Effect] = [
            Settled(id, None, "late", f"the site has not answered within {ANSWER_MS // 1_000} s") for id in late
        ]
        return [*over, *self.refuse("it does not answer")] if len(self._late) >= OPEN else over

    def lost(self, now: int) -> list[Effect]:
        """See `Machine`."""
        return [*self._end("the connection to the site is lost")]

    def _end(self, why: str) -> list[Settled]:
        self.state = "closed"
        over = [Settled(id, None, "lost", why) for id in self._open]
        self._open.clear()
        self._late.clear()
        return over
