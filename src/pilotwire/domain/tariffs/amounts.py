"""Volumes times prices, exactly: fractions, rounded nowhere (`details` does, once).

Volumes are mWh and ms, prices per kWh and minute. A tax of stack 0 is on the net price, one of stack 1 on what that
makes, and so on; taxes of one stack add up (I12.FR.13).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from fractions import Fraction
from typing import NamedTuple

from .model import Price, TaxRate
from .shares import Share

ENERGY, CHARGING, IDLE, FIXED, RESERVATION_TIME, RESERVATION_FIXED = (
    "energy",
    "charging_time",
    "idle_time",
    "fixed",
    "reservation_time",
    "reservation_fixed",
)
_KWH = 1_000_000
_MINUTE = 60_000

Taxes = tuple[TaxRate, ...] | None


class Amount(NamedTuple):
    """Without and with tax, in the tariff's currency."""

    excl: Fraction
    incl: Fraction

    def plus(self, other: Amount) -> Amount:
        return Amount(self.excl + other.excl, self.incl + other.incl)


NOTHING = Amount(Fraction(0), Fraction(0))


def factor(rates: Taxes) -> Fraction:
    """What a net price is multiplied by."""
    stacks: dict[int, Fraction] = {}
    for rate in rates or ():
        stacks[rate.stack] = stacks.get(rate.stack, Fraction(0)) + Fraction(rate.tax)
    product = Fraction(1)
    for per_cent in stacks.values():
        product *= 1 + per_cent / 100
    return product


def components(share: Share, reserved_ms: int | None) -> Iterator[tuple[str, Amount, Taxes]]:
    """(name, amount, its taxes) of each that the tariff has."""
    tariff = share.tariff
    if tariff.energy is not None:
        net = sum((Fraction(p.price_kwh) * v for p, v in zip(tariff.energy.prices, share.energy, strict=True)), _ZERO)
        yield ENERGY, _taxed(net / _KWH, tariff.energy.tax_rates), tariff.energy.tax_rates
    for name, time, volumes in (
        (CHARGING, tariff.charging_time, share.charging),
        (IDLE, tariff.idle_time, share.idle),
    ):
        if time is not None:
            net = sum((Fraction(p.price_minute) * v for p, v in zip(time.prices, volumes, strict=True)), _ZERO)
            yield name, _taxed(net / _MINUTE, time.tax_rates), time.tax_rates
    for name, fixed, place in (
        (FIXED, tariff.fixed_fee, share.fixed),
        (RESERVATION_FIXED, tariff.reservation_fixed, share.reservation_fixed),
    ):
        if fixed is not None and place >= 0:
            yield name, _taxed(Fraction(fixed.prices[place].price_fixed), fixed.tax_rates), fixed.tax_rates
    if tariff.reservation_time is not None and share.reservation_time >= 0 and reserved_ms is not None:
        price = tariff.reservation_time.prices[share.reservation_time].price_minute
        rates = tariff.reservation_time.tax_rates
        yield RESERVATION_TIME, _taxed(Fraction(price) * reserved_ms / _MINUTE, rates), rates


_ZERO = Fraction(0)


def _taxed(net: Fraction, rates: Taxes) -> Amount:
    return Amount(net, net * factor(rates))


def total(shares: Sequence[Share], reserved_ms: int | None) -> Amount:
    """Everything together."""
    found = NOTHING
    for share in shares:
        for _, amount, _ in components(share, reserved_ms):
            found = found.plus(amount)
    return found


def reached(limit: Price | None, cost: Amount) -> bool:
    """Whether a cost has come to maxCost, without or with tax."""
    if limit is None:
        return False
    return (limit.excl_tax is not None and cost.excl >= Fraction(limit.excl_tax)) or (
        limit.incl_tax is not None and cost.incl >= Fraction(limit.incl_tax)
    )


def part_below(limit: Price, before: Amount, after: Amount) -> Fraction | None:
    """Which part of the way from `before` to `after` may be gone until `limit` is reached; None: it is not."""
    if not reached(limit, after):
        return None
    parts = [
        max(Fraction(0), (Fraction(most) - low) / (high - low))
        for most, low, high in (
            (limit.excl_tax, before.excl, after.excl),
            (limit.incl_tax, before.incl, after.incl),
        )
        if most is not None and high >= Fraction(most) and high > low
    ]
    return min(parts, default=Fraction(0))
