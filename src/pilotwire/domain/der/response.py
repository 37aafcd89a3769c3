"""How fast an inverter follows a control, and when it goes back to normal (2.1 R; IEEE 1547 11.1, EN 50549-1 4.9.3.4).

- A response time is that of the open loop: after it 90 % of a change is done. It goes straight, and ends with the rest.
- With a hysteresis what a curve has taken away stays away until the grid is back within its bounds for so long; then it
  comes back by so many percent a second.
- The mean of ten minutes is that of a voltage that changes in steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from .model import Control, Curve, Droop, Hysteresis

_LEAST_STEP_MS = 100
MEAN_MS = 600_000
MEAN_EVERY_MS = 3_000
"""How often the mean is looked at while it matters."""


class _Way(msgspec.Struct):
    """On the way to `target`, since when and from where."""

    since: int
    start: int
    target: int
    taking_ms: int

    def at(self, now: int) -> int:
        whole = self.taking_ms * 10
        done = min(whole, (now - self.since) * 9)
        return self.target if done >= whole else self.start + (self.target - self.start) * done // whole

    def again(self, now: int) -> int | None:
        """When to look at it again; None: it is there."""
        end = self.since + -(-self.taking_ms * 10 // 9)
        return None if now >= end else min(end, now + max(_LEAST_STEP_MS, self.taking_ms // 10))


class _Held(msgspec.Struct):
    """What is allowed at most since the grid was out of bounds."""

    percent: int
    inside: int | None = None
    """Since when the grid is back."""
    released: int | None = None
    """Since when it comes back."""


class Response:
    """How the controls act at one EVSE. Times are ms of one clock that never goes back."""

    __slots__ = ("_held", "_now", "_ways", "again")

    def __init__(self) -> None:
        self._ways: dict[str, _Way] = {}
        self._held: dict[str, _Held] = {}
        self._now = 0
        self.again: int | None = None
        """When something will be otherwise by itself."""

    def at(self, now: int) -> None:
        """What follows is about this moment."""
        self._now, self.again = now, None

    def follow(self, control: Control, target: int) -> int:
        """What a control asks for (mW of a droop, thousandths of a percent of a curve), as far as it has come."""
        setting = control.setting
        taking = setting.response_ms if isinstance(setting, (Curve, Droop)) else 0
        way, now = self._ways.get(control.kind), self._now
        if way is None:
            # Nothing is known of before: a droop has shifted nothing, a curve has taken nothing away.
            start = 0 if isinstance(setting, Droop) else normal(setting) if isinstance(setting, Curve) else target
            way = self._ways[control.kind] = _Way(now, start, start, 0)
        if target != way.target:
            way = self._ways[control.kind] = _Way(now, way.at(now), target, taking)
        self._look(way.again(now))
        return way.at(now)

    def hold(self, control: Control, percent: int, x: int) -> int:
        """The percentage that a curve allows where the grid is at `x`, with its hysteresis."""
        setting = control.setting
        hysteresis = setting.hysteresis if isinstance(setting, Curve) else None
        if hysteresis is None:
            self._held.pop(control.kind, None)
            return percent
        now, held = self._now, self._held.get(control.kind)
        most = normal(setting)
        current = most if held is None else self._returned(held, hysteresis, most)
        if percent < current or held is None:
            if percent < most:
                self._held[control.kind] = _Held(percent)
            return percent
        if held.released is None:
            if not hysteresis.inside(x, otherwise=percent >= most):
                held.inside = None
                return current
            held.inside = now if held.inside is None else held.inside
            if now < held.inside + hysteresis.delay_ms:
                self._look(held.inside + hysteresis.delay_ms)
                return current
            held.released = now
            current = self._returned(held, hysteresis, most)
        if current >= percent:
            del self._held[control.kind]
            return percent
        self._look(now + 1000)
        return current

    def _returned(self, held: _Held, hysteresis: Hysteresis, most: int) -> int:
        if held.released is None:
            return held.percent
        if not hysteresis.gradient:
            return most
        return min(most, held.percent + hysteresis.gradient * (self._now - held.released) // 1000)

    def _look(self, at: int | None) -> None:
        if at is not None:
            self.again = at if self.again is None else min(self.again, at)


def normal(setting: object) -> int:
    """What a curve asks for where the grid is as it should be: of a limit all, of reactive power nothing."""
    assert isinstance(setting, Curve)
    return max(y for _, y in setting.points) if setting.unit in ("PctMaxW", "PctWAvail") else 0


def mean(history: Sequence[tuple[int, int]], now: int) -> int:
    """Of the last ten minutes; `history` has (since when, value), the oldest first. What was before is as the first."""
    begin = now - MEAN_MS
    total = 0
    for place, (since, value) in enumerate(history):
        start = begin if place == 0 else max(begin, since)
        end = history[place + 1][0] if place + 1 < len(history) else now
        total += value * max(0, end - start)
    return total // MEAN_MS


def recent(history: Sequence[tuple[int, int]], now: int) -> list[tuple[int, int]]:
    """Without what is older than ten minutes."""
    begin = now - MEAN_MS
    first = max((place for place, (since, _) in enumerate(history) if since <= begin), default=0)
    return list(history[first:])
