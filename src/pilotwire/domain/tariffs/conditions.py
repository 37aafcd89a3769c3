"""When a price holds: a condition against what is so at one moment, and when that may be otherwise.

What is not known holds no bound: a price that asks for at least or less than so much power waits for a meter that says
it, and the next one in the list is used meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo
from decimal import Decimal
from math import ceil

import msgspec

from . import clock
from .model import DAYS, Conditions, FixedConditions, Tariff

Timed = Conditions | FixedConditions


class Situation(msgspec.Struct, gc=False):
    """What is so at one moment. Times and lengths ms, energy mWh, power W, current A over all phases."""

    at: int
    place: tzinfo
    evse_kind: str
    energy: int = 0
    power: Decimal | None = None
    current: Decimal | None = None
    elapsed: int = 0
    charging: int = 0
    """How long it has charged so far."""
    idle: int = 0
    """How long ago charging was interrupted."""
    payment: tuple[str, str] = ("", "")
    """Brand and recognition of an ad-hoc payment (additionalInfo of the idToken)."""


def minute_of(text: str) -> int:
    """ "HH:MM" as minute of the day."""
    return int(text[:2]) * 60 + int(text[3:5])


def at_time(given: Timed, wall: datetime) -> bool:
    """Whether time of day, weekday and date allow it. A weekday is the calendar's, over midnight too."""
    if given.valid_from_date is not None and wall.date().isoformat() < given.valid_from_date:
        return False
    if given.valid_to_date is not None and wall.date().isoformat() >= given.valid_to_date:
        return False
    if given.day_of_week is not None and DAYS[wall.weekday()] not in given.day_of_week:
        return False
    if given.start_time_of_day is None and given.end_time_of_day is None:
        return True
    minute = wall.hour * 60 + wall.minute
    low = minute_of(given.start_time_of_day or "00:00")
    high = minute_of(given.end_time_of_day or "00:00") or 1440
    return low <= minute < high if low < high else minute >= low or minute < high


def holds(given: Conditions, now: Situation, wall: datetime) -> bool:
    """Whether every condition that is set holds."""
    if given.evse_kind is not None and given.evse_kind != now.evse_kind:
        return False
    return (
        _within(given.min_energy, given.max_energy, now.energy, 1000)
        and _known(given.min_power, given.max_power, now.power)
        and _known(given.min_current, given.max_current, now.current)
        and _within(given.min_time, given.max_time, now.elapsed, 1000)
        and _within(given.min_charging_time, given.max_charging_time, now.charging, 1000)
        and _within(given.min_idle_time, given.max_idle_time, now.idle, 1000)
        and at_time(given, wall)
    )


def holds_fixed(given: FixedConditions, now: Situation, wall: datetime) -> bool:
    """The same of a fixed price."""
    return (
        given.evse_kind in (None, now.evse_kind)
        and given.payment_brand in (None, now.payment[0])
        and given.payment_recognition in (None, now.payment[1])
        and at_time(given, wall)
    )


def _within(low: Decimal | int | None, high: Decimal | int | None, value: int, unit: int) -> bool:
    return (low is None or value >= low * unit) and (high is None or value < high * unit)


def _known(low: Decimal | None, high: Decimal | None, value: Decimal | None) -> bool:
    if low is None and high is None:
        return True
    return value is not None and (low is None or value >= low) and (high is None or value < high)


class Bounds(msgspec.Struct, frozen=True):
    """Where the conditions of a tariff may change their minds, each list in rising order."""

    minutes: tuple[int, ...] = ()
    """Of the day."""
    timed: bool = False
    """Days or dates matter too: midnight is a bound."""
    energy: tuple[int, ...] = ()
    """mWh, rounded up: not reached before."""
    elapsed: tuple[int, ...] = ()
    """ms, as the next two."""
    charging: tuple[int, ...] = ()
    idle: tuple[int, ...] = ()
    power: bool = False
    current: bool = False


def bounds(tariff: Tariff) -> Bounds:
    """Of the prices that are looked at during a transaction."""
    given = [
        price.conditions
        for one in (tariff.energy, tariff.charging_time, tariff.idle_time)
        if one is not None
        for price in one.prices
        if price.conditions is not None
    ]
    texts = {text for one in given for text in (one.start_time_of_day, one.end_time_of_day) if text is not None}
    return Bounds(
        minutes=tuple(sorted(map(minute_of, texts))),
        timed=bool(texts)
        or any(one.day_of_week or one.valid_from_date is not None or one.valid_to_date is not None for one in given),
        energy=_edges(edge for one in given for edge in (one.min_energy, one.max_energy)),
        elapsed=_edges(edge for one in given for edge in (one.min_time, one.max_time)),
        charging=_edges(edge for one in given for edge in (one.min_charging_time, one.max_charging_time)),
        idle=_edges(edge for one in given for edge in (one.min_idle_time, one.max_idle_time)),
        power=any(one.min_power is not None or one.max_power is not None for one in given),
        current=any(one.min_current is not None or one.max_current is not None for one in given),
    )


def powers(tariff: Tariff) -> tuple[Decimal, ...]:
    """The powers (W) at which another price may be used, in rising order."""
    given = (
        price.conditions
        for one in (tariff.energy, tariff.charging_time, tariff.idle_time)
        if one is not None
        for price in one.prices
        if price.conditions is not None
    )
    edges = {edge for one in given for edge in (one.min_power, one.max_power) if edge is not None}
    return tuple(sorted(edges))


def _edges(values: Iterable[Decimal | int | None]) -> tuple[int, ...]:
    """Thousandths, rounded up."""
    return tuple(sorted({ceil(value * 1000) for value in values if value is not None}))


def wall(at: int, place: tzinfo) -> datetime:
    """The clock on the wall."""
    return clock.local(at, place)
