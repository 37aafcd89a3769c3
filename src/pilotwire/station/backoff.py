"""How long to wait before connecting again: OCPP 2.0.1 part 4, 5.3 (a 1.6 station does the same)."""

from __future__ import annotations

from random import Random


class BackOff:
    """RetryBackOffWaitMinimum, doubled after each failure at most RepeatTimes times, each time plus a new random part.

    All values in seconds; waits are returned in milliseconds.
    """

    __slots__ = ("_failures", "_random")

    def __init__(self, random: Random) -> None:
        self._random = random
        self._failures = 0

    def succeeded(self) -> None:
        self._failures = 0

    def next_wait_ms(self, minimum_s: int, random_range_s: int, repeat_times: int) -> int:
        doublings = min(self._failures, max(0, repeat_times))
        self._failures += 1
        return (minimum_s << doublings) * 1000 + self._random.randint(0, max(0, random_range_s) * 1000)
