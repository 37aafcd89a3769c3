"""A plain pricer: second by second, everything looked at anew. It shares the types with the real one, nothing else."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal
from fractions import Fraction
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from pilotwire.domain.tariffs.model import Conditions, FixedConditions, Tariff, TaxRate


class Stretch(NamedTuple):
    """So long (s), with so much energy per second (Wh), charging or not, at so much power and current."""

    seconds: int
    wh: int
    charging: bool
    power: Decimal
    current: Decimal


def _clock(value: str) -> tuple[int, int]:
    hour, minute = value.split(":")
    return int(hour), int(minute)


def _time_ok(c: Conditions | FixedConditions, wall: datetime) -> bool:
    if c.valid_from_date and wall.date() < datetime.fromisoformat(c.valid_from_date).date():
        return False
    if c.valid_to_date and wall.date() >= datetime.fromisoformat(c.valid_to_date).date():
        return False
    if c.day_of_week and wall.strftime("%A") not in c.day_of_week:
        return False
    now = (wall.hour, wall.minute)
    start = _clock(c.start_time_of_day) if c.start_time_of_day else None
    end = _clock(c.end_time_of_day) if c.end_time_of_day else None
    if end == (0, 0):
        end = (24, 0)
    if start and end and end <= start:
        return now >= start or now < end
    return (not start or now >= start) and (not end or now < end)


def _fits(c: Conditions | None, values: dict[str, Any], kind: str, wall: datetime) -> bool:
    if c is None:
        return True
    for name, value in values.items():
        low, high = getattr(c, f"min_{name}"), getattr(c, f"max_{name}")
        if (low is not None and value < low) or (high is not None and value >= high):
            return False
    return (not c.evse_kind or c.evse_kind == kind) and _time_ok(c, wall)


def cost(
    tariffs: list[tuple[int, Tariff]],
    begin: datetime,
    course: list[Stretch],
    *,
    zone: str,
    kind: str,
) -> tuple[Decimal, Decimal, dict[str, Fraction]]:
    """(excl, incl, exact per component); `tariffs` are (from which second on, which)."""
    place = ZoneInfo(zone)
    exact: dict[str, list[Fraction]] = {}

    def add(name: str, net: Fraction, rates: tuple[TaxRate, ...] | None) -> None:
        gross = net
        for stack in sorted({rate.stack for rate in rates or ()}):
            gross += gross * sum(Fraction(rate.tax) for rate in rates or () if rate.stack == stack) / 100
        pair = exact.setdefault(name, [Fraction(0), Fraction(0)])
        pair[0] += net
        pair[1] += gross

    first = tariffs[0][1]
    if first.fixed_fee:
        for fee in first.fixed_fee.prices:
            c = fee.conditions
            wall = begin.astimezone(place)
            if c is None or (
                (not c.evse_kind or c.evse_kind == kind)
                and not c.payment_brand
                and not c.payment_recognition
                and _time_ok(c, wall)
            ):
                add("fixed", Fraction(fee.price_fixed), first.fixed_fee.tax_rates)
                break
    second = energy = charged = idle = 0
    for stretch in course:
        for _ in range(stretch.seconds):
            tariff = [one for since, one in tariffs if since <= second][-1]
            wall = (begin + timedelta(seconds=second)).astimezone(place)

            values = {
                "energy": energy,
                "power": stretch.power,
                "current": stretch.current,
                "time": second,
                "charging_time": charged,
                "idle_time": 0 if stretch.charging else idle,
            }
            for name, group, volume in (
                ("energy", tariff.energy, Fraction(stretch.wh, 1000)),
                ("charging_time", tariff.charging_time, Fraction(1 if stretch.charging else 0, 60)),
                ("idle_time", tariff.idle_time, Fraction(0 if stretch.charging else 1, 60)),
            ):
                if group is None:
                    continue
                price = next((p for p in group.prices if _fits(p.conditions, values, kind, wall)), None)
                if price is not None:
                    amount = price.price_kwh if name == "energy" else price.price_minute  # type: ignore[union-attr]
                    add(name, Fraction(amount) * volume, group.tax_rates)
            second += 1
            energy += stretch.wh
            if stretch.charging:
                charged += 1
                idle = 0
            else:
                idle += 1
    cent = Decimal("0.01")
    sums = [
        sum(
            ((Decimal(p[i].numerator) / p[i].denominator).quantize(cent, ROUND_HALF_EVEN) for p in exact.values()),
            Decimal(0),
        )
        for i in (0, 1)
    ]
    return sums[0], sums[1], {name: pair[0] for name, pair in exact.items()}
