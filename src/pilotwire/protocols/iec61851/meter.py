"""What a meter shows: whether it can be believed, and whether more flows than the pilot grants."""

from __future__ import annotations

from typing import Final

from pilotwire.core.evse_link import Measured

from . import timers

_SLACK_WH: Final = 100
_OVER_PERCENT: Final = 110
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


class CurrentWatch:
    """More than 110 % of what is granted, for seven seconds. A vehicle has five to obey a lower current."""

    __slots__ = ("_at", "_before", "_over_at", "granted_ma")

    def __init__(self) -> None:
        self.granted_ma = 0
        """What the pilot grants now."""
        self._before = 0
        self._at = 0
        self._over_at: int | None = None

    @property
    def deadline(self) -> int | None:
        return None if self._over_at is None else self._over_at + timers.OVER_CURRENT.ms

    def grant(self, ma: int, now: int) -> None:
        """The pilot grants another current."""
        self._before, self.granted_ma, self._at = self.granted_ma, ma, now

    def forget(self) -> None:
        """Nothing flows, or the pilot has no say in it."""
        self._over_at = None

    def measured(self, ma: int, now: int) -> None:
        """So much flows."""
        granted = self.granted_ma
        if now < self._at + timers.CHANGE.ms:
            granted = max(granted, self._before)
        if not granted or ma * 100 <= granted * _OVER_PERCENT:
            self._over_at = None
        elif self._over_at is None:
            self._over_at = now

    def exceeded(self, now: int) -> bool:
        """It has flowed for too long. Told once."""
        due = self.deadline
        if due is None or now < due:
            return False
        self._over_at = None
        return True
