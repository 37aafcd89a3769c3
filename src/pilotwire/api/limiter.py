"""Slows down guessing of passwords (failures per client and per name) and whoever asks too much (requests per
principal), with the injected clock."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import NamedTuple


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


class Allowance(NamedTuple):
    """What is left to somebody."""

    left: int
    """How many requests may follow at once."""
    wait_ms: int
    """0: this request may be made. Else how long until the next may."""
    full_ms: int
    """How long until the whole allowance is there again."""


class RequestLimiter:
    """A token bucket per key: `rate` a second for long, `burst` at once. Bounded: the key seen longest ago goes."""

    def __init__(self, now: Callable[[], int], rate_per_s: float, burst: int, *, keys: int = 10_000) -> None:
        self.rate_per_s = rate_per_s
        self.burst = burst
        self._now = now
        self._keys = keys
        self._buckets: OrderedDict[object, list[float]] = OrderedDict()
        """Key → [tokens, when they were counted (ms)]."""

    def take(self, key: object) -> Allowance:
        """Take one request from the allowance of `key`, if there is one."""
        now = self._now()
        bucket = self._buckets.get(key)
        if bucket is None:
            if len(self._buckets) >= self._keys:
                self._buckets.popitem(last=False)
            bucket = self._buckets[key] = [float(self.burst), now]
        else:
            self._buckets.move_to_end(key)
            bucket[0] = min(self.burst, bucket[0] + max(0, now - bucket[1]) * self.rate_per_s / 1000)
            bucket[1] = now
        per_ms = self.rate_per_s / 1000
        if bucket[0] < 1:
            return Allowance(0, max(1, round((1 - bucket[0]) / per_ms)), round((self.burst - bucket[0]) / per_ms))
        bucket[0] -= 1
        return Allowance(int(bucket[0]), 0, round((self.burst - bucket[0]) / per_ms))
