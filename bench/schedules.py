"""The composite schedule of 20 profiles over 24 h, against evaluating every minute, which is what others do."""

from __future__ import annotations

import time
from random import Random
from statistics import median

from pilotwire.domain.schedules.engine import Engine
from pilotwire.domain.schedules.model import (
    DAY_MS,
    EXTERNAL,
    STATION_MAX,
    TX,
    TX_DEFAULT,
    Circumstances,
    Composite,
    Period,
    Place,
    Profile,
    Schedule,
    Transaction,
)

HOUR = 3_600_000
NOW = 20_700 * DAY_MS


def profiles(count: int = 20, periods: int = 24) -> list[Profile]:
    """Five stack levels of four purposes, in A and W, daily, with gaps that fall to the level below."""
    random = Random(1)
    purposes = (STATION_MAX, EXTERNAL, TX_DEFAULT, TX)
    made: list[Profile] = []
    for at in range(count):
        purpose = purposes[at % 4]
        level = at // 4
        unit = "A" if at % 2 else "W"
        made.append(
            Profile(
                id=at,
                evse=1 if purpose == TX else 0,
                stack=level,
                purpose=purpose,
                kind="Recurring",
                recurrency="Daily",
                transaction="t" if purpose == TX else None,
                schedules=(
                    Schedule(
                        unit=unit,
                        start=NOW - 5 * DAY_MS + at * HOUR,
                        duration_ms=5 * HOUR if level else DAY_MS,
                        periods=tuple(
                            Period(
                                start_ms=each * DAY_MS // periods,
                                limit=random.randrange(6_000, 32_000)
                                if unit == "A"
                                else random.randrange(1_400_000, 22_000_000),
                            )
                            for each in range(periods)
                        ),
                    ),
                ),
            )
        )
    return made


AROUND = Circumstances(
    places={0: Place(), 1: Place(max_ma=32_000, max_mw=22_080_000)},
    transactions={1: Transaction(key="t", start=NOW - HOUR)},
)


def composite(made: list[Profile]) -> Composite:
    """Ours, from profiles that were not looked at before."""
    return Engine(made).composite(now=NOW, duration_ms=DAY_MS, evse=1, unit="A", around=AROUND)


def by_the_minute(made: list[Profile]) -> list[int | None]:
    """Every profile asked at every minute, the plain way."""
    limits: list[int | None] = []
    for minute in range(1440):
        at = NOW + minute * 60_000
        least: int | None = None
        for purposes in ((TX, TX_DEFAULT), (EXTERNAL,), (STATION_MAX,)):
            leading: int | None = None
            for purpose in purposes:
                for profile in sorted(made, key=lambda each: -each.stack):
                    if profile.purpose != purpose:
                        continue
                    schedule = profile.schedules[0]
                    elapsed = (at - (schedule.start or 0)) % DAY_MS
                    if schedule.duration_ms is not None and elapsed >= schedule.duration_ms:
                        continue
                    for period in schedule.periods:
                        if period.start_ms <= elapsed and period.limit is not None:
                            leading = period.limit if schedule.unit == "A" else period.limit // 690
                    break
                if leading is not None:
                    break
            if leading is not None and (least is None or leading < least):
                least = leading
        limits.append(None if least is None else min(least, 32_000))
    return limits


def measure(rounds: int, *, quick: bool) -> tuple[float, float, float]:
    """Median seconds of (ours from the start, ours once prepared, by the minute)."""
    made = profiles()
    engine = Engine(made)
    fresh: list[float] = []
    again: list[float] = []
    plain: list[float] = []
    ours = composite(made)
    theirs = by_the_minute(made)
    for minute, value in enumerate(theirs):
        shown = [each for each in ours.intervals if each.start_ms <= minute * 60_000][-1]
        assert shown.limit == value, (minute, shown, value)
    for _ in range(max(3, rounds)):
        for _ in range(5 if quick else 30):
            begun = time.perf_counter()
            composite(made)
            done = time.perf_counter()
            engine.composite(now=NOW, duration_ms=DAY_MS, evse=1, unit="A", around=AROUND)
            fresh.append(done - begun)
            again.append(time.perf_counter() - done)
        begun = time.perf_counter()
        by_the_minute(made)
        plain.append(time.perf_counter() - begun)
    return median(fresh), median(again), median(plain)
