"""How many conductors a car really uses, by what its EVSE measures on each of them.

Few chargers say it, and a car with one conductor that counts on three keeps two phases free for nobody. Terminals are
in the EVSE's order, L1 first: up to the last of them on which anything flows, all are taken to be in use. More are
believed at once, fewer when it has stayed so for a while, and nothing of one car is believed of the next.
"""

from __future__ import annotations

from typing import Literal

from .ports import Points

LASTS_MS = 30_000
"""So long only the first ones carry current until the others are taken to be free."""
TOGETHER_MS = 1_500
"""Figures no further apart are of one reading."""
FLOWS_MA, NOTHING_MA = 2_000, 500

Count = Literal[1, 2, 3]
_NAMES = ("current_l1_ma", "current_l2_ma", "current_l3_ma")


class Conductors:
    """Of one EVSE. `count` is None as long as nothing is known."""

    def __init__(self) -> None:
        self.count: Count | None = None
        self._fewer: Count | None = None
        self._since_ms = 0

    def forget(self) -> None:
        """Another car, or another number of phases connected."""
        self.count = self._fewer = None

    def seen(self, points: Points) -> None:
        """A new reading. One that lacks a phase, or in which nothing flows, says nothing."""
        found = [value for name in _NAMES if (value := points.get(name)) is not None and value.quality == "good"]
        times = [value.at_ms for value in found]
        if len(found) < 3 or max(times) - min(times) > TOGETHER_MS or max(value.value for value in found) < FLOWS_MA:
            return
        last: Count = 3 if found[2].value > NOTHING_MA else 2 if found[1].value > NOTHING_MA else 1
        if self.count is not None and last >= self.count:
            self.count, self._fewer = last, None
            return
        if last != self._fewer:
            self._fewer, self._since_ms = last, max(times)
        if max(times) - self._since_ms >= LASTS_MS:
            self.count, self._fewer = self._fewer, None
