"""Whether a meter can be believed: its register against what it says flows."""

from __future__ import annotations

from typing import Final

from pilotwire.core.evse_link import Measured

_SLACK_WH: Final = 100
_WH: Final = 3_600_000_000
"""mW × ms."""


def _most_mw(measured: Measured) -> int:
    """What it can be at most: the power read, or voltage and current in three phases."""
    return max(abs(measured.mw), abs(measured.mv * measured.ma) * 3 // 1_000)


class MeterWatch:
    """Compares readings: the register must have grown by what can have flowed since the first one, and by no less."""

    __slots__ = ("_at", "_last", "_least", "_most", "_start")

    def __init__(self) -> None:
        self._last: Measured | None = None
        self._at = self._start = self._least = self._most = 0

    def _begin(self, measured: Measured) -> None:
        self._start, self._least, self._most = measured.energy_wh, 0, 0

    def reading(self, measured: Measured, now: int) -> str:
        """What is wrong with it, in words; empty: nothing."""
        last, spent = self._last, max(0, now - self._at)
        self._last, self._at = measured, now
        if last is None:
            self._begin(measured)
            return ""
        if measured.energy_wh < last.energy_wh:
            self._begin(measured)
            return f"the meter's register went back from {last.energy_wh} Wh to {measured.energy_wh} Wh"
        self._least += max(0, min(last.mw, measured.mw)) * spent
        self._most += max(_most_mw(last), _most_mw(measured)) * spent
        grown, least, most = measured.energy_wh - self._start, self._least // _WH, self._most // _WH
        if grown > 2 * most + _SLACK_WH:
            self._begin(measured)
            return f"the meter's register grew by {grown} Wh while at most {most} Wh can have flowed"
        if least > 2 * grown + _SLACK_WH:
            self._begin(measured)
            return f"the meter's register grew by {grown} Wh while its power says {least} Wh"
        return ""
