"""How late this process is: the event loop with its timers, the store with its commits.

Ten times a second a timer looks how late it comes itself, and how long it takes until what waits then is durable. What
is shown is the longest of the last ten seconds.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterator
from typing import Any

from prometheus_client.core import GaugeMetricFamily, Metric

STEP_S = 0.1
LOOK_S = 0.005
"""How closely a commit is waited for."""
WINDOW = 100
"""Samples that are remembered."""


class Lag:
    """Measures from `start` to `stop`."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self._loop_s: deque[float] = deque([0.0], WINDOW)
        self._store_s: deque[float] = deque([0.0], WINDOW)
        self._mark: tuple[int, float] | None = None
        """How many entries had been appended, and when that was seen."""
        self._timer: asyncio.TimerHandle | None = None

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._due = self._loop.time() + STEP_S
        self._timer = self._loop.call_at(self._due, self._step)

    async def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    @property
    def loop_s(self) -> float:
        """The longest that a timer was late."""
        return max(self._loop_s)

    @property
    def store_s(self) -> float:
        """The longest that an entry waited to be durable, to within a look."""
        return max(self._store_s)

    def _step(self) -> None:
        now = self._loop.time()
        self._loop_s.append(max(0.0, now - self._due))
        if self._mark is None:
            if self._store.appended > self._store.settled:
                self._mark = (self._store.appended, now)
                self._loop.call_later(LOOK_S, self._look)
            else:
                self._store_s.append(0.0)
        self._due = max(self._due + STEP_S, now)
        self._timer = self._loop.call_at(self._due, self._step)

    def _look(self) -> None:
        """Is it durable now what waited at the step?"""
        if self._mark is None or self._timer is None:
            return
        appended, since = self._mark
        waited = self._loop.time() - since
        if self._store.settled >= appended or self._store.appended < appended:  # the latter: it was opened anew
            self._mark = None
            self._store_s.append(waited)
        else:
            self._store_s[-1] = max(self._store_s[-1], waited)
            self._loop.call_later(LOOK_S, self._look)

    def metrics(self) -> Iterator[Metric]:
        """For `/metrics`."""
        yield GaugeMetricFamily(
            "pilotwire_loop_lag_seconds", "How late the event loop was at most in the last ten seconds", self.loop_s
        )
        yield GaugeMetricFamily(
            "pilotwire_store_lag_seconds", "How long an entry waited for its commit at most, likewise", self.store_s
        )
        waiting = self._store.appended - self._store.settled
        yield GaugeMetricFamily("pilotwire_store_waiting", "Entries that wait for their commit now", waiting)
