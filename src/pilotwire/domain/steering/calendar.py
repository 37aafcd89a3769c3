"""The local clock: where windows begin and end, and which hours a table means. Instants are UTC ms."""

from functools import lru_cache

from pilotwire.domain.tariffs.clock import local, next_change, zone

from .config import Span

MINUTE_MS = 60_000


@lru_cache(maxsize=64)
def bounds(at_ms: int, minutes: int, place: str) -> tuple[int, int]:
    """(from, until) of the window in which `at_ms` lies: the wall's clock shows a multiple of `minutes` at both.

    A day on which the clock is moved has 92 or 100 quarters. Where it is moved in the middle of a window (by half an
    hour, in hourly windows), the window ends there.
    """
    tz = zone(place)
    shown = local(at_ms, tz)
    into = (shown.minute % minutes if minutes < 60 else shown.minute) * MINUTE_MS
    begin = at_ms - into - shown.second * 1_000 - shown.microsecond // 1_000
    if local(begin, tz).utcoffset() != shown.utcoffset():
        begin = next_change(begin, tz, ())
    return begin, next_change(at_ms, tz, range(0, 1_440, minutes))


def holds(span: Span, at_ms: int, place: str) -> bool:
    """Whether `at_ms` lies within the span."""
    shown = local(at_ms, zone(place))
    minute, weekday = shown.hour * 60 + shown.minute, shown.weekday()
    if span.months and shown.month not in span.months:
        return False
    if span.from_minute < span.until_minute:
        inside, day = span.from_minute <= minute < span.until_minute, weekday
    elif minute >= span.from_minute:
        inside, day = True, weekday
    else:
        inside, day = minute < span.until_minute, (weekday - 1) % 7
    return inside and (not span.weekdays or day in span.weekdays)


def month_of(at_ms: int, place: str) -> int:
    """202601 for any instant of January 2026 on the local calendar."""
    shown = local(at_ms, zone(place))
    return shown.year * 100 + shown.month


def day_of(at_ms: int, place: str) -> int:
    """The day of the month on the local calendar."""
    return local(at_ms, zone(place)).day
