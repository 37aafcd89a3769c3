"""Schedules of ISO 15118-2: what `evse_link.Schedule` becomes in SAScheduleList, and what a vehicle reads of one.

A tariff has price levels, 1 the cheapest, and of each period its price in percent of the dearest: -2 knows no money
(8.5.2.13 to 8.5.2.17).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final, cast

from pilotwire.core.evse_link import Price, Schedule
from pilotwire.protocols.exi.codec import Message

from ..physical import milli, watts

DAY_S: Final = 86_400
MOST_ENTRIES: Final = 1_024
LATEST_S: Final = 16_777_214
"""Of the start of an interval."""
Points = tuple[tuple[int, int], ...]
"""(start in s from now, mW)"""


def sa_schedules(
    given: Iterable[tuple[Schedule, int]], now: int, most_mw: int, most_entries: int | None, duration_s: int | None
) -> tuple[Message, dict[int, Points]]:
    """SAScheduleList, and what it says of each tuple.

    `given`: schedules with the time at which they were told; none: `most_mw` for a day. `most_entries` is the
    vehicle's MaxEntriesSAScheduleTuple, `duration_s` until its departure.
    """
    tuples: list[Message] = []
    said: dict[int, Points] = {}
    for schedule, told in given:
        if len(tuples) == 3:
            break
        points = shifted(schedule, now - told)[: min(most_entries or MOST_ENTRIES, MOST_ENTRIES)]
        one, said[schedule.id] = _tuple(schedule, points, (now - told) // 1000)
        tuples.append(one)
    if not tuples:
        whole = Schedule(points=((0, most_mw),), duration_s=max(DAY_S, duration_s or 0))
        one, said[1] = _tuple(whole, whole.points, 0)
        tuples.append(one)
    return {"SAScheduleTuple": tuples}, said


def shifted(schedule: Schedule, age_ms: int) -> Points:
    """The points of a schedule that was told `age_ms` ago, from now on."""
    age = age_ms // 1000
    points: list[tuple[int, int]] = []
    for start, mw in sorted(schedule.points):
        if start <= age:
            points = [(0, mw)]
        else:
            points.append((start - age, mw))
    if not points or points[0][0] > 0:
        points.insert(0, (0, 0))  # what nobody allows is not allowed
    return tuple(points)


def _tuple(schedule: Schedule, points: Points, age_s: int) -> tuple[Message, Points]:
    entries: list[Message] = []
    said: list[tuple[int, int]] = []
    left = max(points[-1][0] + 1, schedule.duration_s - age_s) - points[-1][0]
    for start, mw in points:
        power = watts(max(0, mw))
        entries.append({"RelativeTimeInterval": {"start": min(start, LATEST_S)}, "PMax": power})
        said.append((start, milli(power)))
    entries[-1]["RelativeTimeInterval"]["duration"] = min(left, DAY_S)
    made: Message = {"SAScheduleTupleID": schedule.id, "PMaxSchedule": {"PMaxScheduleEntry": entries}}
    if schedule.prices:
        made["SalesTariff"] = _tariff(schedule, age_s, points[-1][0] + min(left, DAY_S))
    return made, tuple(said)


def _tariff(schedule: Schedule, age_s: int, until_s: int) -> Message:
    """Levels by the rank of the price; periods that have passed are left out."""
    periods: dict[int, list[Price]] = {}
    for price in schedule.prices:
        periods.setdefault(price.start_s, []).append(price)
    amounts = sorted({one.amount for one in schedule.prices})
    dearest = max(amounts[-1], Decimal(0))
    starts = sorted(periods)
    current = max((start for start in starts if start <= age_s), default=starts[0])
    entries: list[Message] = []
    for start in starts[starts.index(current) :][:MOST_ENTRIES]:
        prices = sorted(periods[start], key=lambda one: one.from_mw)[:3]
        costs = [
            {
                "startValue": watts(one.from_mw),
                "Cost": [
                    {
                        "costKind": "relativePricePercentage",
                        "amount": int(max(one.amount, Decimal(0)) * 100 / dearest) if dearest else 0,
                    }
                ],
            }
            for one in prices
        ]
        entries.append(
            {
                "RelativeTimeInterval": {"start": max(0, start - age_s)},
                "EPriceLevel": min(255, amounts.index(prices[0].amount) + 1),
                "ConsumptionCost": costs,
            }
        )
    last = entries[-1]["RelativeTimeInterval"]
    last["duration"] = min(DAY_S, max(1, until_s - last["start"]))
    return {"SalesTariffID": schedule.id, "NumEPriceLevels": min(255, len(amounts)), "SalesTariffEntry": entries}


def exceeds(points: Points, profile: Sequence[tuple[int, int]]) -> bool:
    """Whether a vehicle's profile, (start in s, mW), is above the schedule at any time ([V2G2-225])."""
    for place, (start, mw) in enumerate(profile):
        end = profile[place + 1][0] if place + 1 < len(profile) else None
        for other, (begins, most) in enumerate(points):
            ends = points[other + 1][0] if other + 1 < len(points) else None
            meets = (end is None or begins < end) and (ends is None or start < ends)
            if meets and mw > most:
                return True
    return False


def read(element: Message) -> tuple[Schedule, ...]:
    """The schedules of SAScheduleList, prices as percent."""
    return tuple(_read(one) for one in cast(list[Message], element["SAScheduleTuple"]))


def _read(one: Message) -> Schedule:
    entries = cast(list[Message], one["PMaxSchedule"]["PMaxScheduleEntry"])
    points = tuple((_start(entry), milli(entry["PMax"])) for entry in entries)
    duration = entries[-1]["RelativeTimeInterval"].get("duration", DAY_S)
    prices: list[Price] = []
    for entry in cast(list[Message], one.get("SalesTariff", {}).get("SalesTariffEntry", [])):
        for cost in cast(list[Message], entry.get("ConsumptionCost", [])):
            for kind in cast(list[Any], cost["Cost"]):
                if kind["costKind"] == "relativePricePercentage":
                    amount = Decimal(kind["amount"]).scaleb(kind.get("amountMultiplier", 0))
                    prices.append(Price(start_s=_start(entry), amount=amount, from_mw=milli(cost["startValue"])))
    return Schedule(
        points=points, duration_s=points[-1][0] + duration, prices=tuple(prices), id=one["SAScheduleTupleID"]
    )


def _start(entry: Message) -> int:
    return entry["RelativeTimeInterval"]["start"]
