"""What a vehicle that tells its needs is offered (2.x K15 to K17): as much as it can take, within the charging profiles
that the station has, until it departs. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from .schedules.engine import Engine
from .schedules.model import Circumstances, Place, Profile, Transaction, Unit

FIRST_ID = 1_900_000_000
"""Ids of profiles from here on, one for each EVSE, are those of our offers: a new one takes the place of the last."""
LONGEST_MS = 86_400_000
MOST_PERIODS = 24


class Offer(msgspec.Struct, frozen=True, kw_only=True):
    """A TxProfile for a transaction, on level `stack`: from `start` on (ms, the station's clock) for `duration_ms`."""

    evse: int
    transaction: str
    unit: Unit
    stack: int
    start: int
    duration_ms: int
    periods: tuple[tuple[int, int], ...]
    """(from, ms after the start; limit in thousandths of the unit)."""


def offered(profiles: Iterable[Profile], evse: int) -> Profile | None:
    """The offer that the EVSE's station has accepted last."""
    return next((one for one in profiles if one.id == FIRST_ID + evse), None)


def plan(
    profiles: Iterable[Profile],
    *,
    evse: int,
    transaction: Transaction,
    unit: Unit,
    most: int,
    now: int,
    departure: int | None,
    longest: int = MOST_PERIODS,
) -> Offer:
    """The offer to a vehicle that can take no more than `most` (mA or mW). It follows the station's other profiles,
    whoever set them, and stands above those of the same transaction. An earlier offer does not count.

    Vehicle and station take no more than `longest` periods (K17.FR.19, K18.FR.07, K19.FR.07).
    """
    lasts = LONGEST_MS if departure is None or departure <= now else min(LONGEST_MS, departure - now)
    others = tuple(one for one in profiles if one.id != FIRST_ID + evse)
    around = Circumstances(places={evse: Place()}, transactions={evse: transaction})
    composite = Engine(others).composite(now=now, duration_ms=lasts, evse=evse, unit=unit, around=around)
    periods: list[tuple[int, int]] = []
    for each in composite.intervals:
        limit = most if each.limit is None else min(most, each.limit)
        if not periods or periods[-1][1] != limit:
            periods.append((each.start_ms, limit))
    return Offer(
        evse=evse,
        transaction=transaction.key,
        unit=unit,
        # No two profiles of a transaction are on one level (K01.FR.39); the highest holds.
        stack=1 + max((one.stack for one in others if one.transaction == transaction.key), default=-1),
        start=now,
        duration_ms=lasts,
        periods=_shortened(periods, max(1, min(longest, MOST_PERIODS))) or ((0, most),),
    )


def _shortened(periods: list[tuple[int, int]], count: int) -> tuple[tuple[int, int], ...]:
    """No more than `count`: the last of them stands for the rest, so it allows what all of that does."""
    if len(periods) <= count:
        return tuple(periods)
    kept, rest = periods[: count - 1], periods[count - 1 :]
    return (*kept, (rest[0][0], min(limit for _, limit in rest)))


def request(offer: Offer, start: str) -> dict[str, Any]:
    """SetChargingProfile as 2.x has it; `start` is the offer's, RFC 3339."""
    rows = [
        {"startPeriod": at // 1000, "limit": limit // 100 / 10}  # one decimal, never more than is meant
        for at, limit in offer.periods
    ]
    schedule = {
        "id": 1,
        "startSchedule": start,
        "duration": offer.duration_ms // 1000,
        "chargingRateUnit": offer.unit,
        "chargingSchedulePeriod": rows,
    }
    profile = {
        "id": FIRST_ID + offer.evse,
        "stackLevel": offer.stack,
        "chargingProfilePurpose": "TxProfile",
        "chargingProfileKind": "Absolute",
        "transactionId": offer.transaction,
        "chargingSchedule": [schedule],
    }
    return {"evseId": offer.evse, "chargingProfile": profile}
