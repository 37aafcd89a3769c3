"""One profile over time: which of its periods holds when, and when that changes.

The kinds (2.1 K 3.3): Absolute and Recurring count from startSchedule, Relative (and what names no start, 1.6 7.13)
from when energy could first flow, Dynamic holds from its last update on. Recurring ones begin with startSchedule; a
cycle shows its tail until the next begins. validFrom, validTo, the schedule's duration and maxOfflineDuration cut; what
is cut away is a gap in which a lower stack level leads.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from typing import NamedTuple

from msgspec import structs

from .model import (
    CHARGING_ONLY,
    CYCLES,
    DAY_MS,
    EV_SCHEDULE,
    PRIORITY,
    TX,
    TX_DEFAULT,
    Circumstances,
    Period,
    Profile,
    Schedule,
    Transaction,
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BY_TRANSACTION = frozenset((TX, TX_DEFAULT, PRIORITY, EV_SCHEDULE))


class Row(NamedTuple):
    """A period, ready to be combined. `ma` or `mw` alone say it all, unless there is `rich`."""

    ma: int | None
    mw: int | None
    phases: int | None
    rich: Period | None
    unit: str


Piece = tuple[int, int, Row]
"""(from, to, row), ms since the epoch."""


class Course(NamedTuple):
    """A schedule's periods ready to walk: `starts[i]` is where `rows[i]` begins, ms into the schedule."""

    starts: tuple[int, ...]
    rows: tuple[Row, ...]


def _row(period: Period, unit: str) -> Row:
    mode = period.mode
    if mode == CHARGING_ONLY:
        # 3.4: set-points and discharge limits are not used in this mode.
        rich = period.limit_l2 is not None or period.limit_l3 is not None or period.phase_to_use is not None
        if not (rich or period.sleep or period.precondition):
            limit = period.limit
            return (
                Row(limit, None, period.phases, None, unit)
                if unit == "A"
                else Row(None, limit, period.phases, None, unit)
            )
        period = structs.replace(
            period,
            discharge=None,
            discharge_l2=None,
            discharge_l3=None,
            setpoint=None,
            setpoint_l2=None,
            setpoint_l3=None,
            reactive=None,
            reactive_l2=None,
            reactive_l3=None,
        )
    elif mode == "Idle":
        period = Period(
            start_ms=period.start_ms,
            limit=0,
            discharge=0,
            phases=period.phases,
            phase_to_use=period.phase_to_use,
            mode=mode,
            sleep=period.sleep,
            precondition=period.precondition,
        )
    return Row(None, None, period.phases, period, unit)


def course(schedule: Schedule, delays: tuple[int, ...] = (), *, above_soc: bool = False) -> Course:
    """The periods of `schedule`, late by `delays` (K01.FR.92, .97), capped by limitAtSoC if `above_soc`."""
    periods = schedule.periods
    if above_soc and schedule.limit_at_soc is not None:
        cap = schedule.limit_at_soc.limit
        periods = tuple(
            structs.replace(period, limit=cap if period.limit is None else min(period.limit, cap)) for period in periods
        )
    rows = tuple(_row(period, schedule.unit) for period in periods)
    starts = tuple(period.start_ms for period in periods)
    if not delays:
        return Course(starts, rows)
    late = [start + (delays[at] if 0 < at < len(delays) else 0) for at, start in enumerate(starts)]
    kept: list[tuple[int, Row]] = []
    following = schedule.duration_ms
    for start, row in zip(reversed(late), reversed(rows), strict=True):
        # A period that would begin after the next one has begun, or after the end, is left out (K01.FR.97).
        if following is None or start < following:
            kept.append((start, row))
            following = start
    kept.reverse()
    return Course(tuple(start for start, _ in kept), tuple(row for _, row in kept))


def draw_delays(profile: Profile, pick: Callable[[int], int]) -> tuple[int, ...]:
    """How late each period of `profile` is, in whole seconds as ms: `pick(n)` gives a random number of 0 to n.

    Drawn when a transaction starts or the profile is set during one (K01.FR.93). Empty: nothing is delayed.
    """
    most = max((schedule.random_delay_ms for schedule in profile.schedules), default=0) // 1000
    if most <= 0:
        return ()
    count = max(len(schedule.periods) for schedule in profile.schedules)
    return (0, *(pick(most) * 1000 for _ in range(count - 1)))


class Curve:
    """A profile, prepared to be asked often."""

    __slots__ = ("_above", "_base", "evse", "profile", "purpose", "rank")

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.purpose = profile.purpose
        self.evse = profile.evse
        self.rank = (profile.stack, profile.evse, profile.id)
        """Who leads: the highest stack level; of one level an EVSE's own before the whole station's."""
        self._base = tuple(course(schedule) for schedule in profile.schedules)
        self._above: tuple[Course, ...] | None = None

    def _course(self, tx: Transaction | None) -> tuple[Schedule, Course]:
        profile = self.profile
        at = tx.schedule if tx is not None and 0 < tx.schedule < len(profile.schedules) else 0
        schedule = profile.schedules[at]
        if tx is None:
            return schedule, self._base[at]
        capped = schedule.limit_at_soc is not None and tx.soc is not None and tx.soc >= schedule.limit_at_soc.soc
        delays = tx.delays.get(profile.id) if tx.delays else None
        if delays:
            return schedule, course(schedule, delays, above_soc=capped)
        if not capped:
            return schedule, self._base[at]
        if self._above is None:
            self._above = tuple(course(each, above_soc=True) for each in profile.schedules)
        return schedule, self._above[at]

    def _validity(self, offline_since: int | None) -> tuple[int | None, int | None]:
        profile = self.profile
        end = profile.valid_to
        if offline_since is not None and profile.max_offline_ms is not None:
            gone = offline_since + profile.max_offline_ms
            end = gone if end is None else min(end, gone)
        return profile.valid_from, end

    def _anchor(self, schedule: Schedule, tx_start: int | None) -> int | None:
        """Where the schedule begins; None: nowhere yet."""
        if schedule.start is not None and self.profile.kind != "Relative":
            return schedule.start
        if self.evse and tx_start is not None:
            return tx_start
        if self.purpose in _BY_TRANSACTION:
            return tx_start
        return self.profile.installed

    # ── a stretch of time ────────────────────────────────────────────────────────────────────────────────────────

    def spans(
        self, lo: int, hi: int, tx: Transaction | None, tx_start: int | None, around: Circumstances, out: list[Piece]
    ) -> None:
        """Append what holds in [lo, hi), in order; gaps are left out."""
        schedule, walk = self._course(tx)
        valid_from, valid_to = self._validity(around.offline_since)
        if valid_from is not None and valid_from > lo:
            lo = valid_from
        if valid_to is not None and valid_to < hi:
            hi = valid_to
        if lo >= hi:
            return
        profile = self.profile
        if profile.kind == "Dynamic":
            if schedule.duration_ms is not None:
                updated = profile.installed if profile.updated is None else profile.updated
                hi = min(hi, updated + schedule.duration_ms)
            if lo < hi:
                out.append((lo, hi, walk.rows[0]))
            return
        anchor = self._anchor(schedule, tx_start)
        if anchor is None:
            return
        if not (schedule.local and schedule.start is not None and around.zone is not None):
            self._walk(lo, hi, anchor, schedule, walk, 0, out)
            return
        for begin, end, shift in _offsets(around.zone, lo, hi):
            self._walk(begin + shift, end + shift, anchor, schedule, walk, shift, out)

    def _walk(
        self, lo: int, hi: int, anchor: int, schedule: Schedule, walk: Course, shift: int, out: list[Piece]
    ) -> None:
        cycle = CYCLES.get(self.profile.recurrency or "Daily", DAY_MS) if self.profile.kind == "Recurring" else None
        lasts = schedule.duration_ms
        if cycle is not None and (lasts is None or lasts > cycle):
            lasts = cycle  # what is longer than the cycle is not executed (1.6 errata 3.43)
        lo = max(lo, anchor)
        if lo >= hi:
            return
        starts, rows = walk
        count = len(starts)
        start = anchor if cycle is None else anchor + (lo - anchor) // cycle * cycle
        while start < hi:
            stop = hi if lasts is None else min(hi, start + lasts)
            at = max(lo, start)
            if at < stop:
                index = bisect_right(starts, at - start) - 1
                if index < 0:
                    at = start + starts[0]
                    index = 0
                while at < stop:
                    index += 1
                    end = min(stop, start + starts[index]) if index < count else stop
                    out.append((at - shift, end - shift, rows[index - 1]))
                    at = end
            if cycle is None:
                return
            start += cycle

    # ── a point in time ──────────────────────────────────────────────────────────────────────────────────────────

    def at(
        self, now: int, tx: Transaction | None, tx_start: int | None, around: Circumstances
    ) -> tuple[Row | None, int | None]:
        """What holds at `now`, and until when that is so at least; None: for ever."""
        schedule, walk = self._course(tx)
        valid_from, valid_to = self._validity(around.offline_since)
        if valid_to is not None and now >= valid_to:
            return None, None
        if valid_from is not None and now < valid_from:
            return None, valid_from
        profile = self.profile
        if profile.kind == "Dynamic":
            until = valid_to
            if schedule.duration_ms is not None:
                end = (profile.installed if profile.updated is None else profile.updated) + schedule.duration_ms
                if now >= end:
                    return None, None
                until = _sooner(until, end)
            return walk.rows[0], until
        anchor = self._anchor(schedule, tx_start)
        if anchor is None:
            return None, valid_to
        if not (schedule.local and schedule.start is not None and around.zone is not None):
            row, until = self._find(now, anchor, schedule, walk)
            return row, _sooner(until, valid_to)
        shift = _offset(around.zone, now)
        row, until = self._find(now + shift, anchor, schedule, walk)
        # The clock on the wall may jump before: then the answer is another one.
        begin, end, _ = next(_offsets(around.zone, now, now + 2 * DAY_MS if until is None else until - shift))
        assert begin == now
        return row, _sooner(end, valid_to)

    def _find(self, now: int, anchor: int, schedule: Schedule, walk: Course) -> tuple[Row | None, int | None]:
        if now < anchor:
            return None, anchor
        lasts = schedule.duration_ms
        again: int | None = None
        start = anchor
        if self.profile.kind == "Recurring":
            cycle = CYCLES.get(self.profile.recurrency or "Daily", DAY_MS)
            start += (now - anchor) // cycle * cycle
            again = start + cycle
            if lasts is None or lasts > cycle:
                lasts = cycle
        elapsed = now - start
        if lasts is not None and elapsed >= lasts:
            return None, again
        starts, rows = walk
        index = bisect_right(starts, elapsed)
        until = None if lasts is None else start + lasts
        if index < len(starts):
            until = _sooner(until, start + starts[index])
        return (rows[index - 1] if index else None), until


def _sooner(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


# ── the clock on the wall ────────────────────────────────────────────────────────────────────────────────────────────


def _offset(zone: tzinfo, at: int) -> int:
    """What must be added to UTC at the instant `at` (ms) for local time, in ms."""
    delta = (_EPOCH + timedelta(milliseconds=at)).astimezone(zone).utcoffset() or timedelta(0)
    return delta // timedelta(milliseconds=1)


def _offsets(zone: tzinfo, lo: int, hi: int) -> Iterator[tuple[int, int, int]]:
    """[lo, hi) in parts of one offset each: (from, to, offset)."""
    step = DAY_MS // 4
    begin = lo
    at = lo
    now = _offset(zone, lo)
    while at < hi:
        ahead = min(at + step, hi)
        then = _offset(zone, ahead)
        if then == now:
            at = ahead
            continue
        low, high = at, ahead
        while high - low > 1:
            middle = (low + high) // 2
            if _offset(zone, middle) == now:
                low = middle
            else:
                high = middle
        yield begin, high, now
        begin = at = high
        now = then
    if begin < hi:
        yield begin, hi, now
