"""What both ends share: effects of one step, named timers, the 100 ms cycle, a guard against babble."""

from __future__ import annotations

from typing import Any, Final, Literal

from pilotwire.core.machines import Close, Send
from pilotwire.protocols.can import CanFrame

from .frames import decode_frame
from .pins import Pin
from .timers import CYCLE_MS, limit

_SECOND: Final = 1_000


class End:
    """One end of a CHAdeMO plug. Units of the carrier are `CanFrame` and `Pin`."""

    side: Literal["ev", "evse"]
    theirs: frozenset[int]
    """The frames of the other end; all else on the bus is not for us."""
    drives: frozenset[str]
    """The wires that this end switches; nobody else does."""

    def __init__(self, babble: int) -> None:
        self.pins = {"proximity": False, "d1": False, "d2": False, "k": False}
        self.heard: dict[str, Any] = {}
        """Every signal of the other end, as it was last."""
        self.bad_frames = 0
        """Frames that were too short to be read."""
        self.unknown_frames = 0
        self._effects: list[Any] = []
        self._timers: dict[str, int] = {}
        self._cycle: int | None = None
        self._babble = babble
        self._window = (0, 0)
        self._now = 0

    @property
    def deadline(self) -> int | None:
        """When `elapse` is to be called at the latest."""
        due = min(self._timers.values(), default=None)
        if self._cycle is None:
            return due
        return self._cycle if due is None else min(due, self._cycle)

    def receive(self, data: Any, now: int) -> list[Any]:
        """A frame or a pin of the other end. What is neither is counted and ignored."""
        self._begin(now)
        if type(data) is Pin:
            if data.name not in self.pins or data.name in self.drives:
                self.unknown_frames += 1
            elif self.pins[data.name] != data.on:
                self.pins[data.name] = data.on
                self._pin(data)
        elif type(data) is CanFrame:
            self._frame(data)
        else:
            self.unknown_frames += 1
        return self._end()

    def elapse(self, now: int) -> list[Any]:
        """Timers that have run out, and the cycle."""
        self._begin(now)
        for name, due in sorted(self._timers.items(), key=lambda item: item[1]):
            if due <= now and self._timers.get(name) == due:
                del self._timers[name]
                self._expired(name)
        if self._cycle is not None and self._cycle <= now:
            # From the plan, not from now: the cycle does not drift. What was slept through is not made up for.
            self._cycle += CYCLE_MS * (1 + (now - self._cycle) // CYCLE_MS)
            self._tick()
        return self._end()

    # ── for the ends ─────────────────────────────────────────────────────────────────────────────────────────────────

    def _begin(self, now: int) -> None:
        self._now = max(now, self._now)
        self._effects = []

    def _end(self) -> list[Any]:
        effects, self._effects = self._effects, []
        return effects

    def _event(self, event: Any) -> None:
        self._effects.append(event)

    def _send(self, frame: CanFrame) -> None:
        self._effects.append(Send(frame))

    def _switch(self, name: Literal["proximity", "d1", "d2", "k"], on: bool) -> None:
        if self.pins[name] != on:
            self.pins[name] = on
            self._effects.append(Send(Pin(name, on)))

    def _close(self, reason: str) -> None:
        self._effects.append(Close(0, reason))

    def _arm(self, name: str) -> None:
        self._timers[name] = self._now + limit(self.side, name)

    def _disarm(self, *names: str) -> None:
        for name in names:
            self._timers.pop(name, None)

    def _start_cycle(self) -> None:
        if self._cycle is None:
            self._cycle = self._now + CYCLE_MS
            self._tick()

    def _frame(self, frame: CanFrame) -> None:
        if frame.extended or frame.id not in self.theirs:
            self.unknown_frames += 1
            return
        start, count = self._window
        if self._now - start >= _SECOND:
            start, count = self._now, 0
        self._window = (start, count + 1)
        if count + 1 == self._babble:
            self._flooded()
        if count + 1 >= self._babble:
            return
        values = decode_frame(frame)
        if values is None:
            self.bad_frames += 1
            return
        self.heard.update(values)
        self._heard(frame.id)

    # ── what an end makes of it ──────────────────────────────────────────────────────────────────────────────────────

    def _pin(self, pin: Pin) -> None:
        raise NotImplementedError

    def _heard(self, frame: int) -> None:
        raise NotImplementedError

    def _expired(self, name: str) -> None:
        raise NotImplementedError

    def _tick(self) -> None:
        raise NotImplementedError

    def _flooded(self) -> None:
        raise NotImplementedError
