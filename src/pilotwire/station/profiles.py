"""Charging profiles: which limit holds now, until when, and the composite schedule.

Compact and exact for what a station needs: the purposes ChargingStationMaxProfile (1.6 ChargePointMaxProfile),
ChargingStationExternalConstraints, TxDefaultProfile and TxProfile; the kinds Absolute, Recurring and Relative; stacks.

The rules (1.6 3.13 and 5.16, 2.0.1 K01):
- of one purpose the profile with the highest stack level *that has a period now* leads;
- an EVSE's own TxDefaultProfile comes before the one of EVSE 0 at the same stack level;
- a TxProfile of the running transaction takes the place of TxDefaultProfile;
- the limits of the purposes are combined by minimum.

Times are station clock, ms. Limits are integers: mA per phase for unit A, mW in total for unit W.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import msgspec

STATION_MAX = "ChargingStationMaxProfile"
EXTERNAL = "ChargingStationExternalConstraints"
TX_DEFAULT = "TxDefaultProfile"
TX = "TxProfile"

_DAY = 86_400_000
_RECURRENCE = {"Daily": _DAY, "Weekly": 7 * _DAY}


class Period(msgspec.Struct, frozen=True, array_like=True):
    """From `start_ms` into the schedule on: `limit` (mA or mW, as the schedule's unit says)."""

    start_ms: int
    limit: int
    phases: int | None = None


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """One ChargingSchedule."""

    unit: str
    """A or W."""
    periods: tuple[Period, ...]
    start: int | None = None
    duration_ms: int | None = None


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """One ChargingProfile as installed on `evse` (0: the whole station)."""

    id: int
    evse: int
    stack: int
    purpose: str
    kind: str
    schedule: Schedule
    recurrency: str | None = None
    valid_from: int | None = None
    valid_to: int | None = None
    session: str | None = None
    """TxProfile: key of the session it is for."""


class Transaction(NamedTuple):
    """What the profiles need to know of the running transaction."""

    session: str
    start: int


class Limit(NamedTuple):
    """Upper limits that hold until `until` (ms; None: until something is set). None: not limited that way."""

    ma: int | None = None
    mw: int | None = None
    phases: int | None = None
    until: int | None = None

    def lowest(self, other: Limit) -> Limit:
        return Limit(
            _least(self.ma, other.ma),
            _least(self.mw, other.mw),
            _least(self.phases, other.phases),
            _least(self.until, other.until),
        )


def _least(a: int | None, b: int | None) -> int | None:
    return b if a is None else a if b is None else min(a, b)


def period_at(profile: Profile, now: int, tx_start: int | None) -> tuple[Period | None, int | None]:
    """The period of `profile` that holds at `now`, and when that may change."""
    if profile.valid_from is not None and now < profile.valid_from:
        return None, profile.valid_from
    if profile.valid_to is not None and now >= profile.valid_to:
        return None, None
    schedule = profile.schedule
    until = profile.valid_to
    cycle: int | None = None
    if profile.kind == "Relative" or (schedule.start is None and profile.kind == "Absolute"):
        # 1.6 and 2.x: an absolute schedule without a start is relative to the start of charging.
        if tx_start is None:
            return None, until
        start = tx_start
    elif schedule.start is None:
        return None, until
    else:
        start = schedule.start
        if profile.kind == "Recurring":
            cycle = _RECURRENCE.get(profile.recurrency or "Daily", _DAY)
    if now < start:
        return None, _least(until, start)
    elapsed = now - start
    if cycle is not None:
        start += elapsed // cycle * cycle
        elapsed %= cycle
        until = _least(until, start + cycle)
    if schedule.duration_ms is not None:
        if elapsed >= schedule.duration_ms:
            return None, until
        until = _least(until, start + schedule.duration_ms)
    chosen: Period | None = None
    for period in schedule.periods:
        if period.start_ms > elapsed:
            until = _least(until, start + period.start_ms)
            break
        chosen = period
    return chosen, until


class ProfileBook:
    """The installed profiles of a station."""

    __slots__ = ("_profiles",)

    def __init__(self, profiles: Iterable[Profile] = ()) -> None:
        self._profiles = list(profiles)

    def __len__(self) -> int:
        return len(self._profiles)

    @property
    def profiles(self) -> Sequence[Profile]:
        return self._profiles

    def put(self, profile: Profile) -> None:
        """Install; replaces what has the same id, or the same stack level, purpose and EVSE (1.6 5.16, K01.FR.05)."""
        self._profiles = [
            p
            for p in self._profiles
            if p.id != profile.id
            and (p.stack, p.purpose, p.evse, p.session)
            != (profile.stack, profile.purpose, profile.evse, profile.session)
        ]
        self._profiles.append(profile)

    def clear(self, test: Callable[[Profile], bool]) -> int:
        """Remove what `test` names; returns how many."""
        before = len(self._profiles)
        self._profiles = [p for p in self._profiles if not test(p)]
        return before - len(self._profiles)

    def station_limit(self, now: int) -> Limit:
        """What the whole station may draw."""
        return self._leading((STATION_MAX,), 0, now, None).lowest(self._leading((EXTERNAL,), 0, now, None))

    def evse_limit(self, evse: int, now: int, tx: Transaction | None) -> Limit:
        """What one EVSE may draw by its transaction profiles and external constraints of its own.

        Without a transaction: as if one began now under the default profile (K08.FR.06).
        """
        own = Limit()
        if tx is not None:
            limit, found = self._lead(
                [p for p in self._profiles if p.purpose == TX and p.evse == evse and p.session == tx.session],
                now,
                tx.start,
            )
            if found:
                return limit
            own = Limit(until=limit.until)
        return own.lowest(self._leading((TX_DEFAULT,), evse, now, now if tx is None else tx.start))

    def _leading(self, purposes: tuple[str, ...], evse: int, now: int, tx_start: int | None) -> Limit:
        return self._lead([p for p in self._profiles if p.purpose in purposes and p.evse in (0, evse)], now, tx_start)[
            0
        ]

    @staticmethod
    def _lead(profiles: list[Profile], now: int, tx_start: int | None) -> tuple[Limit, bool]:
        until: int | None = None
        for profile in sorted(profiles, key=lambda p: (p.stack, p.evse, p.id), reverse=True):
            period, change = period_at(profile, now, tx_start)
            until = _least(until, change)
            if period is not None:
                if profile.schedule.unit == "A":
                    return Limit(period.limit, None, period.phases, until), True
                return Limit(None, period.limit, period.phases, until), True
        return Limit(until=until), False


def composite(
    limit_at: Callable[[int], Limit], now: int, duration_ms: int, in_unit: Callable[[Limit], int | None], most: int
) -> list[tuple[int, int]]:
    """The schedule from `now` on for `duration_ms` as (offset ms, limit in the asked unit), equal neighbours merged.

    `most` stands where nothing limits, which is the hardware's own maximum.
    """
    rows: list[tuple[int, int]] = []
    at = now
    end = now + duration_ms
    while at < end and len(rows) < 1000:
        limit = limit_at(at)
        value = in_unit(limit)
        value = most if value is None else min(value, most)
        if not rows or rows[-1][1] != value:
            rows.append((at - now, value))
        if limit.until is None or limit.until <= at:
            break
        at = limit.until
    return rows
