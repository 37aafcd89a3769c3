"""The time of a plan: steps on the clock, in UTC. A day with 23 or 25 hours is nothing special here.

Who makes prices by local hours asks `local_hours` which of them a step belongs to.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

HOUR_MS = 3_600_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Horizon(NamedTuple):
    """Steps of `step_ms` from the one that `now_ms` lies in; of that one only what is left of it is planned."""

    now_ms: int
    step_ms: int
    steps: int

    @property
    def starts_ms(self) -> int:
        """When the first step began."""
        return self.now_ms - self.now_ms % self.step_ms

    @property
    def ends_ms(self) -> int:
        """When the last step is over."""
        return self.starts_ms + self.steps * self.step_ms

    def begins(self, step: int) -> int:
        """From when on a step can be used."""
        return max(self.now_ms, self.starts_ms + step * self.step_ms)

    def ends(self, step: int) -> int:
        """When it is over."""
        return self.starts_ms + (step + 1) * self.step_ms

    def lasts(self, step: int) -> int:
        """How long it can be used, ms."""
        return self.ends(step) - self.begins(step)

    def overlap(self, step: int, from_ms: int, until_ms: int) -> int:
        """How many ms of it lie in between."""
        return max(0, min(self.ends(step), until_ms) - max(self.begins(step), from_ms))


def at(values: Sequence[int], step: int) -> int:
    """The value of a step; the last one goes on, nothing is 0."""
    if not values:
        return 0
    return values[step] if step < len(values) else values[-1]


def local_hours(horizon: Horizon, zone: tzinfo) -> tuple[tuple[int, int], ...]:
    """(days since 1970, hour) of each step's begin by the clock on the wall, for prices that follow it."""
    found: list[tuple[int, int]] = []
    for step in range(horizon.steps):
        local = (_EPOCH + timedelta(milliseconds=horizon.starts_ms + step * horizon.step_ms)).astimezone(zone)
        found.append((local.toordinal() - _EPOCH.toordinal(), local.hour))
    return tuple(found)
