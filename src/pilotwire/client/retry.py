"""When to try again, and after how long."""

from __future__ import annotations

from collections.abc import Callable

import msgspec


class Retry(msgspec.Struct, frozen=True, kw_only=True):
    """Exponential back-off with jitter. `Retry(attempts=1)` tries once."""

    attempts: int = 5
    """How often a request is sent at most."""
    first_s: float = 0.5
    """The wait after the first failure, at most; each further one may take twice as long."""
    most_s: float = 20.0
    """No wait of our own is longer."""
    patience_s: float = 120.0
    """When the server asks (`Retry-After`) for a longer wait than this, the problem is raised instead."""

    def delay(self, attempt: int, random: Callable[[], float], asked_s: float | None = None) -> float:
        """Seconds to wait after the failure of attempt 0, 1, …; `random()` is from 0 to 1."""
        most = min(self.most_s, self.first_s * 2**attempt)
        return max(asked_s or 0.0, most / 2 + most / 2 * random())
