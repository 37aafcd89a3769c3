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
) -> tuple[Message, dict[int, Points], dict[int, int]]:
    """SAScheduleList, and by SAScheduleTupleID what it says and the station's own name of the schedule.

    `given`: schedules with the time at which they were told; none: `most_mw` for a day. `most_entries` is the
    vehicle's MaxEntriesSAScheduleTuple, `duration_s` until its departure.
    """
    tuples: list[Message] = []
    said: dict[int, Points] = {}
    most = min(most_entries or MOST_ENTRIES, MOST_ENTRIES)
    chosen = list(given)[:3]
    if not chosen:
        chosen = [(Schedule(points=((0, most_mw),), duration_s=max(DAY_S, duration_s or 0)), now)]
    names = numbered([schedule.id for schedule, _ in chosen])
    for number, (schedule, told) in zip(names, chosen, strict=True):
        points, until_s = cut(shifted(schedule, now - told), most, schedule.duration_s - (now - told) // 1000)
        one, said[number] = _tuple(number, schedule, points, (now - told) // 1000, until_s)
        tuples.append(one)
    return {"SAScheduleTuple": tuples}, said, names


def numbered(ids: Sequence[int]) -> dict[int, int]:
    """SAScheduleTupleID → the station's own name of each schedule: the same where it is 1 to 255, else a free one."""
    names = {one: one for one in ids if 1 <= one <= 255}
    free = (number for number in range(1, 256) if number not in names)
    return {one if 1 <= one <= 255 else next(free): one for one in ids}


def cut(points: Points, most: int, until_s: int) -> tuple[Points, int]:
    """The first so many points, and the end of the last: what does not fit is left out, not allowed."""
    return (points, until_s) if len(points) <= most else (points[:most], points[most][0])


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


def _tuple(number: int, schedule: Schedule, points: Points, age_s: int, until_s: int) -> tuple[Message, Points]:
    entries: list[Message] = []
    said: list[tuple[int, int]] = []
    left = max(1, until_s - points[-1][0])
    for start, mw in points:
        power = watts(max(0, mw))
        entries.append({"RelativeTimeInterval": {"start": min(start, LATEST_S)}, "PMax": power})
        said.append((start, milli(power)))
    entries[-1]["RelativeTimeInterval"]["duration"] = min(left, DAY_S)
    made: Message = {"SAScheduleTupleID": number, "PMaxSchedule": {"PMaxScheduleEntry": entries}}
    if schedule.prices:
        made["SalesTariff"] = _tariff(number, schedule, age_s, points[-1][0] + min(left, DAY_S))
    return made, tuple(said)


def _tariff(number: int, schedule: Schedule, age_s: int, until_s: int) -> Message:
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
    return {"SalesTariffID": number, "NumEPriceLevels": min(255, len(amounts)), "SalesTariffEntry": entries}


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
    duration = entries[-1].get("RelativeTimeInterval", {}).get("duration", DAY_S)
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
    """0 where the interval is of no kind that the standard has a meaning for."""
    return entry.get("RelativeTimeInterval", {}).get("start", 0)
