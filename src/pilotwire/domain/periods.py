"""Local days and the calendar periods they belong to. Pure."""

from __future__ import annotations

from datetime import date, datetime, timedelta, tzinfo
from typing import Final

from pilotwire.core.time import from_datetime, to_datetime


class Days:
    """The days of one zone."""

    def __init__(self, zone: tzinfo) -> None:
        self.zone = zone
        self._low = self._high = 0
        self._day = ""
        self._last = (0, 0, "")
        """The day before in turn: what is booked together goes back and forth between two."""

    def _look_up(self, instant: int) -> None:
        (self._low, self._high, self._day), self._last = self._last, (self._low, self._high, self._day)
        if self._low <= instant < self._high:
            return
        day = to_datetime(instant).astimezone(self.zone).date()
        self._low, self._high = midnight(day, self.zone), midnight(day + timedelta(days=1), self.zone)
        self._day = day.isoformat()

    def day(self, instant: int) -> str:
        """The day of an instant (ms), as 2026-03-14."""
        if not self._low <= instant < self._high:
            self._look_up(instant)
        return self._day

    def split(self, begin: int, end: int) -> list[tuple[str, int]]:
        """The days between two instants and how much (ms) of each."""
        parts: list[tuple[str, int]] = []
        while begin < end:
            day = self.day(begin)
            until = min(end, self._high)
            parts.append((day, until - begin))
            begin = until
        return parts


def midnight(day: date, zone: tzinfo) -> int:
    """When a day begins in a zone, ms."""
    return from_datetime(datetime(day.year, day.month, day.day, tzinfo=zone))


PERIODS: Final = ("year", "quarter", "month", "week", "day")
"""Longest first. Weeks begin on Monday."""


def period_of(day: date, group: str) -> date:
    """The first day of the period that a day belongs to."""
    match group:
        case "year":
            return day.replace(month=1, day=1)
        case "quarter":
            return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
        case "month":
            return day.replace(day=1)
        case "week":
            return day - timedelta(days=day.weekday())
        case _:
            return day


def period_end(begin: date, group: str) -> date:
    """The day after the last of the period that begins with `begin`."""
    match group:
        case "year":
            return begin.replace(year=begin.year + 1)
        case "quarter":
            return (begin + timedelta(days=93)).replace(day=1)
        case "month":
            return (begin + timedelta(days=32)).replace(day=1)
        case "week":
            return begin + timedelta(days=7)
        case _:
            return begin + timedelta(days=1)


def tiles(begin: date, end: date) -> list[tuple[str, date]]:
    """Periods that cover the days from `begin` to before `end`, each once: (period, its first day)."""
    made: list[tuple[str, date]] = []
    while begin < end:
        for period in PERIODS:
            if period_of(begin, period) == begin and (until := period_end(begin, period)) <= end:
                made.append((period, begin))
                begin = until
                break
    return made
