"""How often something may happen: so many at once, and so many a second for long."""

from __future__ import annotations


class Bucket:
    """Integers of a thousandth: `burst` at once, `per_s` a second."""

    __slots__ = ("_at", "_burst", "_left", "_per_s")

    def __init__(self, burst: int, per_s: int) -> None:
        self._burst, self._per_s = burst * 1_000, per_s
        self._left = self._burst
        self._at: int | None = None

    def take(self, now: int) -> bool:
        """Whether one more may happen at `now` (ms)."""
        if self._at is not None:
            self._left = min(self._burst, self._left + max(0, now - self._at) * self._per_s)
        self._at = now
        if self._left < 1_000:
            return False
        self._left -= 1_000
        return True
