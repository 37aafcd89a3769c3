"""Which tariff is the one at a moment: by validFrom, the newest that has begun (I07.FR.19 to .24)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from . import checking
from .model import Tariff


def begins(tariff: Tariff) -> int | None:
    """From when on it holds (ms); None: it always has."""
    return None if tariff.valid_from is None else checking.instant(tariff.valid_from)


def current(installed: Sequence[Tariff], now: int) -> Tariff | None:
    """Of the default tariffs of one EVSE, in the order in which they were installed."""
    found: Tariff | None = None
    since = -1
    for tariff in installed:
        start = begins(tariff) or 0
        if start <= now and start >= since:
            found, since = tariff, start
    return found


def kept(installed: Iterable[Tariff], now: int) -> list[Tariff]:
    """Without those that another has replaced: what is in force, and what will be."""
    rows = list(installed)
    found = current(rows, now)
    return [one for one in rows if one is found or (begins(one) or 0) > now]


def with_one_more(installed: Iterable[Tariff], new: Tariff, now: int) -> list[Tariff]:
    """After `new` was installed. One without validFrom, or whose time has come, replaces what is in force; one for
    later waits beside it, in place of one for the same instant."""
    start = begins(new) or 0
    if start <= now:
        rest = [one for one in installed if (begins(one) or 0) > now]
    else:
        rest = [one for one in installed if (begins(one) or 0) != start or (begins(one) or 0) <= now]
    return kept([*rest, new], now)
