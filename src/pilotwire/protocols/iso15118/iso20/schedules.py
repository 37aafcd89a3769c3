"""`core` schedules ⇄ ScheduleTuple, price schedules and EVPowerProfile (ISO 15118-20, 8.3.5.3.9 to 8.3.5.3.54).

Power into the vehicle is positive. A point below zero is what may be given back: it goes into DischargingSchedule, as a
positive figure (see `rational.discharge`). A schedule without such a point says nothing of giving back: the offer does.
Where the vehicle takes fewer entries than there are, the rest becomes one
entry with the least of their powers: it may be less than was meant, never more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from pilotwire.core.evse_link import Price, Schedule

from . import services
from .rational import MOST, decimal, discharge, milli, of_decimal, rational
from .wire import sub

Message = dict[str, Any]
Points = tuple[tuple[int, int], ...]

BY_POWER: Final = "urn:iso:std:iso:15118:-20:PriceAlgorithm:1-Power"
"""The price depends on the power (PriceRule, 8.3.5.3.54)."""
MOST_ENTRIES: Final = 1024
_NO_CURRENCY: Final = "XXX"
"""ISO 4217: no currency."""


def plain(schedule: Schedule) -> Schedule:
    """A schedule as the wire can carry it: points in order, its number and length within 32 bits."""
    return msgspec.structs.replace(
        schedule,
        id=min(max(1, schedule.id), 0xFFFF_FFFF),
        points=tuple(sorted(schedule.points)),
        duration_s=min(max(1, schedule.duration_s), 0xFFFF_FFFF),
    )


# ── the station writes ───────────────────────────────────────────────────────────────────────────────────────────────
def offered(schedules: Iterable[Schedule], anchor: int, selection: services.Selection, most: int) -> list[Message]:
    """ScheduleTuples; `anchor` in ms since the epoch, `most` entries in each."""
    return [_tuple(one, anchor, selection, min(most, MOST_ENTRIES)) for one in schedules]


def _tuple(schedule: Schedule, anchor: int, selection: services.Selection, most: int) -> Message:
    charging: Message = {
        "PowerSchedule": _power(schedule, anchor, most, 1),
        **prices(schedule, anchor, selection, most),
    }
    found: Message = {"ScheduleTupleID": max(1, schedule.id), "ChargingSchedule": charging}
    if selection.bidirectional and any(mw < 0 for _, mw in schedule.points):
        found["DischargingSchedule"] = {"PowerSchedule": _power(schedule, anchor, most, -1)}
    return found


def _power(schedule: Schedule, anchor: int, most: int, sign: int) -> Message:
    lasting = [(seconds, max(0, sign * mw)) for seconds, mw in _lasting(schedule.points, schedule.duration_s)]
    if len(lasting) > most:
        rest = lasting[most - 1 :]
        lasting = [*lasting[: most - 1], (sum(one[0] for one in rest), min(one[1] for one in rest))]
    # All powers of this standard are in W, and so are these: thousandths are mW.
    entries = [{"Duration": seconds, "Power": rational(mw)} for seconds, mw in lasting]
    return {"TimeAnchor": anchor // 1000, "PowerScheduleEntries": {"PowerScheduleEntry": entries}}


def _lasting(points: Sequence[tuple[int, int]], until: int) -> list[tuple[int, int]]:
    """(start, value) → (how long, value); there is always one."""
    starts = sorted(point for point in points if point[0] < until) or [(0, 0)]
    if starts[0][0] > 0:
        starts.insert(0, (0, 0))
    ends = [start for start, _ in starts[1:]] + [until]
    return [
        (end - max(0, start), value) for (start, value), end in zip(starts, ends, strict=True) if end > max(0, start)
    ]


def prices(schedule: Schedule, anchor: int, selection: services.Selection, most: int) -> Message:
    """AbsolutePriceSchedule or PriceLevelSchedule as was selected; one level all the time where there are no prices.

    The schema has either of them optional, and vehicles in the field (PyPI iso15118) refuse a schedule without.
    """
    if not schedule.prices or selection.pricing == services.NO_PRICES:
        flat = {"PriceLevelScheduleEntry": [{"Duration": schedule.duration_s, "PriceLevel": 0}]}
        level: Message = {"TimeAnchor": anchor // 1000, "PriceScheduleID": max(1, schedule.id)}
        return {"PriceLevelSchedule": level | {"NumberOfPriceLevels": 0, "PriceLevelScheduleEntries": flat}}
    starts: dict[int, list[Price]] = {}
    for price in sorted(schedule.prices, key=lambda one: (one.start_s, one.from_mw)):
        starts.setdefault(price.start_s, []).append(price)
    order = sorted(starts)
    lasting = [
        (end - start, starts[start])
        for start, end in zip(order, [*order[1:], max(schedule.duration_s, order[-1] + 1)], strict=True)
    ][:most]
    stamp: Message = {"TimeAnchor": anchor // 1000, "PriceScheduleID": max(1, schedule.id)}
    if selection.pricing == services.PRICE_LEVELS:
        levels = {amount: level for level, amount in enumerate(sorted({one.amount for one in schedule.prices}), 1)}
        entries = [{"Duration": s, "PriceLevel": min(255, levels[group[0].amount])} for s, group in lasting]
        listed = {"PriceLevelScheduleEntry": entries}
        return {
            "PriceLevelSchedule": stamp
            | {"NumberOfPriceLevels": min(255, len(levels)), "PriceLevelScheduleEntries": listed}
        }
    stacks = [
        {
            "Duration": seconds,
            "PriceRule": [
                {"EnergyFee": of_decimal(one.amount), "PowerRangeStart": rational(one.from_mw)} for one in group[:8]
            ],
        }
        for seconds, group in lasting
    ]
    return {
        "AbsolutePriceSchedule": stamp
        | {
            "Currency": (schedule.currency or _NO_CURRENCY)[:3],
            "Language": "eng",
            "PriceAlgorithm": BY_POWER,
            "PriceRuleStacks": {"PriceRuleStack": stacks},
        }
    }


# ── the vehicle reads ────────────────────────────────────────────────────────────────────────────────────────────────
def read_tuple(one: Message, now: int) -> Schedule:
    """A ScheduleTuple as a schedule from now on."""
    charging = one["ChargingSchedule"]
    power = charging["PowerSchedule"]
    points = _starts(power, now, _sum)
    back = sub(one, "DischargingSchedule").get("PowerSchedule")
    if back is not None:
        points = _merged(points, _starts(back, now, _back))
    duration = max(1, _end(power, now))
    found, currency = _read_prices(charging, now)
    return Schedule(points=points, duration_s=duration, prices=found, currency=currency, id=one["ScheduleTupleID"])


def _sum(entry: Message) -> int:
    """The power of all phases; L2 and L3 stand where phases differ."""
    return sum(milli(entry[name]) for name in ("Power", "Power_L2", "Power_L3") if entry.get(name) is not None)


def _back(entry: Message) -> int:
    """What may be given back, below zero."""
    return -(discharge(entry["Power"]) or 0)


def _starts(power: Message, now: int, of: Callable[[Message], int]) -> Points:
    start = _offset(power, now)
    found: list[tuple[int, int]] = []
    for entry in power["PowerScheduleEntries"]["PowerScheduleEntry"]:
        found.append((start, max(-MOST, min(MOST, of(entry)))))
        start += entry["Duration"]
    # What lies behind us is over; the last of it still holds.
    gone = [point for point in found if point[0] <= 0]
    return tuple([(0, gone[-1][1])] if gone else []) + tuple(point for point in found if point[0] > 0)


def _offset(power: Message, now: int) -> int:
    """When a schedule begins, s from now; some stations send a TimeAnchor of zero and mean now."""
    return int(power["TimeAnchor"]) - now // 1000 if power["TimeAnchor"] else 0


def _end(power: Message, now: int) -> int:
    return _offset(power, now) + sum(e["Duration"] for e in power["PowerScheduleEntries"]["PowerScheduleEntry"])


def _merged(charge: Points, back: Points) -> Points:
    """Where nothing may be taken but something given, what may be given."""
    starts = sorted({start for start, _ in (*charge, *back)})
    return tuple((start, at(charge, start) or at(back, start)) for start in starts)


def at(points: Sequence[tuple[int, int]], when: int) -> int:
    """The value that holds at a time; nothing holds before the first."""
    place = bisect_right(points, when, key=lambda point: point[0])
    return points[place - 1][1] if place else 0


def bounds(points: Sequence[tuple[int, int]], when: int) -> tuple[int | None, int]:
    """(least, most) mW that may flow at a time; least None: these points do not say."""
    value = at(points, when)
    return (min(0, value) if any(mw < 0 for _, mw in points) else None), max(0, value)


def _read_prices(charging: Message, now: int) -> tuple[tuple[Price, ...], str]:
    absolute, levels = charging.get("AbsolutePriceSchedule"), charging.get("PriceLevelSchedule")
    found: list[Price] = []
    if absolute is not None:
        start = _offset(absolute, now)
        for stack in absolute["PriceRuleStacks"]["PriceRuleStack"]:
            for rule in stack["PriceRule"]:
                fee = decimal(rule["EnergyFee"])
                found.append(Price(start_s=max(0, start), amount=fee, from_mw=milli(rule["PowerRangeStart"])))
            start += stack["Duration"]
        return tuple(found), absolute["Currency"]
    if levels is not None and levels["NumberOfPriceLevels"] > 1:  # one level says nothing
        start = _offset(levels, now)
        for entry in levels["PriceLevelScheduleEntries"]["PriceLevelScheduleEntry"]:
            found.append(Price(start_s=max(0, start), amount=Decimal(entry["PriceLevel"])))
            start += entry["Duration"]
    return tuple(found), ""


# ── power profiles ───────────────────────────────────────────────────────────────────────────────────────────────────
def profile(points: Points, now: int, chosen: int | None, duration_s: int) -> Message:
    """EVPowerProfile by (start in s from now, mW); `chosen`: the ScheduleTupleID, None under dynamic control."""
    entries = [{"Duration": s, "Power": rational(mw)} for s, mw in _lasting(points, duration_s)][:2048]
    made: Message = {"TimeAnchor": now // 1000, "EVPowerProfileEntries": {"EVPowerProfileEntry": entries}}
    if chosen is None:
        made["Dynamic_EVPPTControlMode"] = {}
    else:
        # It is optional, and stations in the field (PyPI iso15118) miss it.
        confirmed = "PowerToleranceConfirmed"
        made["Scheduled_EVPPTControlMode"] = {"SelectedScheduleTupleID": chosen, "PowerToleranceAcceptance": confirmed}
    return made


def read_profile(made: Message, anchor: int) -> tuple[Points, int]:
    """(start in ms since the epoch, mW) of each entry, and when the last one ends.

    Some vehicles send a TimeAnchor of zero and mean `anchor`, the one of the schedule (ms since the epoch): a profile
    that would be over before its schedule begins is read so."""
    start = int(made["TimeAnchor"]) * 1000
    if start + 1000 * sum(one["Duration"] for one in made["EVPowerProfileEntries"]["EVPowerProfileEntry"]) < anchor:
        start = anchor // 1000 * 1000
    found: list[tuple[int, int]] = []
    for entry in made["EVPowerProfileEntries"]["EVPowerProfileEntry"]:
        found.append((start, _sum(entry)))
        start += entry["Duration"] * 1000
    return tuple(found), start


def exceeds(points: Points, end: int, schedule: Schedule, anchor: int) -> str:
    """Where a profile asks for more than its schedule gives; "": nowhere. Times in ms since the epoch.

    What a profile says of the time behind the schedule binds nobody."""
    limits = [(anchor // 1000 * 1000 + start * 1000, mw) for start, mw in schedule.points]
    last = anchor + schedule.duration_s * 1000
    both = any(mw < 0 for _, mw in limits)
    for when in sorted({start for start, _ in (*points, *limits)}):
        if points[0][0] <= when < min(end, last):
            drawn, limit = at(points, when), at(limits, when)
            if drawn > max(0, limit) or (both and drawn < min(0, limit)):
                return f"{drawn} mW, {(when - anchor) // 1000} s behind the anchor, where {limit} mW may flow"
    return ""
