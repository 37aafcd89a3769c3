"""The local time of an EVSE, by which a tariff's times of day, days and dates are meant (I07.FR.17, I12.FR.37)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAY_MS = 86_400_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=256)
def zone(name: str) -> tzinfo:
    """The zone of an IANA name; UTC for "" and for one that is not known."""
    if not name:
        return UTC
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return UTC


def local(at: int, place: tzinfo) -> datetime:
    """What the clock on the wall shows at `at` (ms)."""
    return (_EPOCH + timedelta(milliseconds=at)).astimezone(place)


def _offset(at: int, place: tzinfo) -> int:
    moved = local(at, place).utcoffset()
    assert moved is not None
    return moved // timedelta(milliseconds=1)


def next_change(at: int, place: tzinfo, minutes: Iterable[int]) -> int:
    """The first instant (ms) after `at` when it is one of `minutes` (of the day) on the wall, or the clock is moved.

    Midnight is always one. A clock that is moved shows other times at once: whoever asks looks at its conditions then.
    """
    offset = _offset(at, place)
    of_day = (at + offset) % DAY_MS
    waits = [(minute * 60_000 - of_day) % DAY_MS or DAY_MS for minute in minutes]
    until = at + min([DAY_MS - of_day, *waits])
    if _offset(until, place) == offset:
        return until
    low, high = at, until  # the offset is the old one at `low`, another at `high`
    while high - low > 1:
        middle = (low + high) // 2
        if _offset(middle, place) == offset:
            low = middle
        else:
            high = middle
    return high
