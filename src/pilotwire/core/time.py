"""Time, injected. An instant is an integer: milliseconds since 1970-01-01T00:00:00Z.

Nothing below the composition root reads a clock or starts a timer by itself: it is handed a `Scheduler`.
`pilotwire.transport.runtime` has the one over asyncio, `SimScheduler` here is the one for simulated time, in which a
60-minute rule is tested in milliseconds.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NewType, Protocol

Timestamp = NewType("Timestamp", int)
"""Milliseconds since the epoch, UTC."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)


def from_datetime(value: datetime) -> Timestamp:
    """An aware datetime as a Timestamp; a naive one is taken as UTC. Sub-millisecond digits are cut."""
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return Timestamp((value - _EPOCH) // _MS)


def to_datetime(value: Timestamp | int) -> datetime:
    """An aware UTC datetime. Raises OverflowError outside the years 1 to 9999."""
    return _EPOCH + timedelta(milliseconds=value)


_DAY_MS = 86_400_000
_DAYS_KEPT = 1_000
_days: dict[int, str] = {}
"""Days as text: a list of stations or sessions names the same few over and over."""


def to_rfc3339(value: Timestamp | int) -> str:
    """`2026-01-31T12:00:00.000Z`: RFC 3339, UTC, three decimals, which every OCPP version takes."""
    day, ms = divmod(value, _DAY_MS)
    text = _days.get(day)
    if text is None:
        if len(_days) >= _DAYS_KEPT:
            _days.clear()
        # isoformat pads the year to four digits, strftime does not everywhere.
        text = _days[day] = to_datetime(day * _DAY_MS).date().isoformat()
    seconds, ms = divmod(ms, 1000)
    minutes, seconds = divmod(seconds, 60)
    return "%sT%02d:%02d:%02d.%03dZ" % (text, minutes // 60, minutes % 60, seconds, ms)  # noqa: UP031 - twice as fast


def from_rfc3339(text: str) -> Timestamp:
    """Parse RFC 3339. Raises ValueError when it is not, or when it has no offset."""
    value = datetime.fromisoformat(text)
    if value.tzinfo is None:
        raise ValueError(f"date-time without an offset: {text!r}")
    return from_datetime(value)


class Timer(Protocol):
    """Something scheduled that can be called off."""

    def cancel(self) -> None: ...


class Scheduler(Protocol):
    """A clock and a way to be called later. The only source of time for actors, stations and vehicles."""

    def now(self) -> Timestamp:
        """Now, in ms since the epoch (UTC)."""
        ...

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> Timer:
        """Call `callback` once, `delay_ms` from now (0 = as soon as the current callback has returned)."""
        ...


class _SimTimer:
    __slots__ = ("callback",)

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class SimScheduler:
    """Simulated time: a heap of callbacks, run in order of due time, ties in order of scheduling."""

    def __init__(self, start: Timestamp | int = 1_767_225_600_000) -> None:
        self._now = int(start)
        self._heap: list[tuple[int, int, _SimTimer]] = []
        self._count = 0

    def now(self) -> Timestamp:
        return Timestamp(self._now)

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> Timer:
        self._count += 1
        timer = _SimTimer(callback)
        heapq.heappush(self._heap, (self._now + max(0, int(delay_ms)), self._count, timer))
        return timer

    def step(self) -> bool:
        """Run the next callback; False when none is left."""
        while self._heap:
            due, _, timer = heapq.heappop(self._heap)
            if timer.callback is not None:
                self._now = max(self._now, due)
                timer.callback()
                return True
        return False

    def run_until(self, instant: Timestamp | int) -> None:
        """Run everything due up to and including `instant`, then set the clock to it."""
        heap = self._heap
        while heap and heap[0][0] <= instant:
            if heap[0][2].callback is None:
                heapq.heappop(heap)  # called off; step() would go on to the next, which may lie beyond `instant`
            else:
                self.step()
        self._now = max(self._now, int(instant))

    def run_for(self, duration_ms: int) -> None:
        """`run_until` from now."""
        self.run_until(self._now + duration_ms)
