"""Slows down guessing of passwords: failures are counted per client and per name, with the injected clock."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable


class FailureLimiter:
    """At most `limit` failures per key within `window_ms`. Bounded: the key that failed longest ago is forgotten."""

    def __init__(self, now: Callable[[], int], *, limit: int = 5, window_ms: int = 60_000, keys: int = 10_000) -> None:
        self._now = now
        self._limit = limit
        self._window_ms = window_ms
        self._keys = keys
        self._failures: OrderedDict[str, deque[int]] = OrderedDict()

    def wait_ms(self, *names: str) -> int:
        """How long whoever goes by these keys has to wait; 0 when an attempt is free."""
        return max((self._wait(name) for name in names), default=0)

    def _wait(self, name: str) -> int:
        times = self._failures.get(name)
        if not times:
            return 0
        now = self._now()
        while times and times[0] <= now - self._window_ms:
            times.popleft()
        if len(times) < self._limit:
            return 0
        return times[-self._limit] + self._window_ms - now

    def failed(self, *names: str) -> None:
        for name in names:
            times = self._failures.setdefault(name, deque(maxlen=self._limit))
            times.append(self._now())
            self._failures.move_to_end(name)
        while len(self._failures) > self._keys:
            self._failures.popitem(last=False)

    def succeeded(self, *names: str) -> None:
        for name in names:
            self._failures.pop(name, None)
