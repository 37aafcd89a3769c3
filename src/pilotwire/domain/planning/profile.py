"""What is likely to flow, learned as it is measured: a profile of the week, blended with the last hours.

Where `forecast` looks through all samples of the past, a profile is what a small box keeps of them: constant in size,
on three phases, and cheap enough to be asked beside a loop that has to tick.

One value (or one for each phase) is learned for each quarter of an hour, as its mean. A `week` keeps the quarters of
seven days apart, as buildings want it; a `day` keeps those of one day, as the sun wants it. What is forecast is what is
usual at that time, corrected by how the last two hours were: by the difference for a building, by the ratio for the sun
(clouds do not shine at night). The correction is halved every two hours. Where nothing is usual yet the last hours go
on, and fade for the sun. Everything is an integer; nothing is forecast of what was never measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import tzinfo
from typing import Literal

import msgspec

from pilotwire.domain.tariffs.clock import local

QUARTER_MS = 900_000
RECENT = 8
"""Quarters that say how the last hours were."""
HALF_MS = 7_200_000
"""After so long half of what the last hours say is left."""
MEMORY = 8
"""Weeks (or days) that a mean is made of: what is older counts less and less."""
DAY = 96

Values = tuple[int, ...]


class Usual(msgspec.Struct, frozen=True, array_like=True):
    """The mean of what was measured in a quarter of the week, and how often it was."""

    mean: Values
    seen: int


_NOTHING: Mapping[int, Usual] = {}


class Profile(msgspec.Struct, frozen=True):
    """Of one thing that flows. `usual` by quarter, of a week from Monday 00:00 local time or of a day.

    `recent`: (begin, values) of the last quarters, oldest first.
    """

    kind: Literal["week", "day"] = "week"
    usual: Mapping[int, Usual] = _NOTHING
    recent: tuple[tuple[int, Values], ...] = ()

    @property
    def seen(self) -> int:
        """How many different quarters have ever been measured: of 672 of a week, or 96 of a day."""
        return len(self.usual)


def quarter_of(profile: Profile, at_ms: int, zone: tzinfo) -> int:
    """Which quarter of its week or day an instant lies in."""
    shown = local(at_ms, zone)
    quarter = shown.hour * 4 + shown.minute // 15
    return quarter if profile.kind == "day" else shown.weekday() * DAY + quarter


def learn(profile: Profile, begin_ms: int, values: Values, zone: tzinfo) -> Profile:
    """`profile` with the means of the quarter that began at `begin_ms`. One that is known already changes nothing."""
    if profile.recent and begin_ms <= profile.recent[-1][0]:
        return profile
    key = quarter_of(profile, begin_ms, zone)
    old = profile.usual.get(key)
    if old is None or len(old.mean) != len(values):
        new = Usual(values, 1)
    else:
        seen = min(old.seen + 1, MEMORY)
        mean = tuple(was + _rounded(value - was, seen) for was, value in zip(old.mean, values, strict=True))
        new = Usual(mean, seen)
    usual = {**profile.usual, key: new}
    return msgspec.structs.replace(profile, usual=usual, recent=(*profile.recent, (begin_ms, values))[-RECENT:])


def expected(profile: Profile, at_ms: int, zone: tzinfo) -> Values | None:
    """What is usual at that time: of that weekday, else of days of its kind (working days, weekend), else of any."""
    key = quarter_of(profile, at_ms, zone)
    own = profile.usual.get(key)
    if own is not None or profile.kind == "day":
        return None if own is None else own.mean
    day, quarter = divmod(key, DAY)
    alike = range(5) if day < 5 else range(5, 7)
    for days in (alike, range(7)):
        known = [found.mean for each in days if (found := profile.usual.get(each * DAY + quarter)) is not None]
        if known:
            return tuple(sum(column) // len(known) for column in zip(*known, strict=True))
    return None


def forecast(profile: Profile, starts_ms: int, step_ms: int, steps: int, zone: tzinfo) -> tuple[Values, ...]:
    """By step, from `starts_ms` on; empty where nothing was ever measured."""
    if not profile.recent and not profile.usual:
        return ()
    last = [each for each in profile.recent if starts_ms - each[0] <= (RECENT + 1) * QUARTER_MS]
    width = len(last[-1][1]) if last else len(next(iter(profile.usual.values())).mean)
    before = [(values, expected(profile, begin, zone)) for begin, values in last]
    found: list[Values] = []
    for step in range(steps):
        at = starts_ms + step * step_ms
        left = _left(at - starts_ms)
        usual = expected(profile, at, zone)
        if usual is None:
            usual = _persisting(profile, last, left, width)
        elif profile.kind == "day":
            usual = _scaled(usual, before, left)
        else:
            usual = _shifted(usual, before, left)
        found.append(usual)
    return tuple(found)


def _left(ahead_ms: int) -> int:
    """Per mille of the correction that is left so far ahead: halved each `HALF_MS`, straight in between."""
    halves, rest = divmod(max(0, ahead_ms), HALF_MS)
    top = 1_000 >> min(halves, 20)
    return top - (top - (top >> 1)) * rest // HALF_MS


def _persisting(profile: Profile, last: Sequence[tuple[int, Values]], left: int, width: int) -> Values:
    if not last:
        return (0,) * width
    mean = tuple(sum(column) // len(last) for column in zip(*(values for _, values in last), strict=True))
    return mean if profile.kind == "week" else tuple(value * left // 1_000 for value in mean)


def _shifted(usual: Values, before: Sequence[tuple[Values, Values | None]], left: int) -> Values:
    """By how much the last hours were above or below what is usual."""
    known = [(values, was) for values, was in before if was is not None]
    if not known:
        return usual
    off = [
        _rounded(sum(values[at] - was[at] for values, was in known), len(known)) for at in range(len(usual))
    ]  # fmt: skip
    return tuple(value + off[at] * left // 1_000 for at, value in enumerate(usual))


def _scaled(usual: Values, before: Sequence[tuple[Values, Values | None]], left: int) -> Values:
    """By the ratio of the last hours to what is usual in them, up to twice."""
    seen = sum(abs(sum(values)) for values, was in before if was is not None)
    meant = sum(abs(sum(was)) for _, was in before if was is not None)
    if meant == 0:
        return usual
    permille = min(2_000, seen * 1_000 // meant)
    factor = 1_000 + (permille - 1_000) * left // 1_000
    return tuple(_rounded(value * factor, 1_000) for value in usual)


def _rounded(value: int, by: int) -> int:
    """To the nearest, away from nothing in particular: -1 / 2 is 0 as 1 / 2 is."""
    return value // by if value >= 0 else -(-value // by)
