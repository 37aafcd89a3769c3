"""What is wrong with a tariff that its types allow: times that are none, bounds that exclude each other, nothing to
price. A station says Rejected with InvalidValue to such a one (I07.FR.05), the API refuses it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime
from decimal import Decimal

from .model import Conditions, FixedConditions, Price, Tariff, TaxRate

_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d", re.ASCII)
_BOUNDS = ("energy", "current", "power", "time", "charging_time", "idle_time")
_PRICED = ("energy", "charging_time", "idle_time", "fixed_fee", "reservation_time", "reservation_fixed")
MAX_TAX_RATES = 5
MAX_TEXTS = 10
_MAX_AMOUNT = Decimal(10) ** 9
_MAX_EXPONENT = -12


def faults(tariff: Tariff) -> list[tuple[str, str]]:
    """(where in the tariff, what is wrong), in the wire's names; empty: none."""
    return list(_faults(tariff))


def elements(tariff: Tariff) -> int:
    """How many prices the largest of its lists has (TariffCostCtrlr.MaxElements)."""
    lists = (getattr(tariff, name) for name in _PRICED)
    return max((len(one.prices) for one in lists if one is not None), default=0)


def conditional(tariff: Tariff) -> bool:
    """Whether any of its prices has conditions."""
    lists = (getattr(tariff, name) for name in _PRICED)
    return any(price.conditions is not None for one in lists if one is not None for price in one.prices)


def by_current(tariff: Tariff) -> bool:
    """Whether a price hangs on the current, which no message of a session is priced by."""
    lists = (tariff.energy, tariff.charging_time, tariff.idle_time)
    return any(
        price.conditions.min_current is not None or price.conditions.max_current is not None
        for one in lists
        if one is not None
        for price in one.prices
        if price.conditions is not None
    )


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)


def _faults(tariff: Tariff) -> Iterator[tuple[str, str]]:
    if not 1 <= len(tariff.tariff_id) <= 60:
        yield "tariffId", "must have 1 to 60 characters"
    if len(tariff.currency) != 3 or not (tariff.currency.isascii() and tariff.currency.isupper()):
        yield "currency", "must be three upper-case letters (ISO 4217)"
    if tariff.valid_from is not None and instant(tariff.valid_from) is None:
        yield "validFrom", "must be a date and time with its offset (RFC 3339)"
    if tariff.description is not None and not 1 <= len(tariff.description) <= MAX_TEXTS:
        yield "description", f"must have 1 to {MAX_TEXTS} texts"
    found = False
    for name in _PRICED:
        one = getattr(tariff, name)
        if one is None:
            continue
        found = True
        if not one.prices:
            yield f"{_camel(name)}.prices", "must not be empty"
        yield from _taxes(f"{_camel(name)}.taxRates", one.tax_rates)
        for place, price in enumerate(one.prices):
            where = f"{_camel(name)}.prices[{place}]"
            amount = next(getattr(price, field) for field in price.__struct_fields__ if field.startswith("price"))
            if _bad(amount):
                yield where, "must be a price of zero or more"
            if price.conditions is not None:
                yield from _conditions(f"{where}.conditions", price.conditions)
    if not found:
        yield "energy", "a tariff needs a price: energy, chargingTime, idleTime, fixedFee or a reservation's"
    yield from _limit("minCost", tariff.min_cost)
    yield from _limit("maxCost", tariff.max_cost)


def _bad(amount: Decimal) -> bool:
    exponent = amount.as_tuple().exponent
    return not (isinstance(exponent, int) and exponent >= _MAX_EXPONENT and 0 <= amount <= _MAX_AMOUNT)


def _taxes(where: str, rates: tuple[TaxRate, ...] | None) -> Iterator[tuple[str, str]]:
    if rates is None:
        return
    if not 1 <= len(rates) <= MAX_TAX_RATES:
        yield where, f"must have 1 to {MAX_TAX_RATES} rates"
    for place, rate in enumerate(rates):
        if _bad(rate.tax) or rate.tax > 1000 or not 0 <= rate.stack <= 100 or not 1 <= len(rate.type) <= 20:
            yield f"{where}[{place}]", "must be a named tax of zero or more per cent"


def _limit(where: str, price: Price | None) -> Iterator[tuple[str, str]]:
    if price is None:
        return
    if price.excl_tax is None and price.incl_tax is None:
        yield where, "needs exclTax or inclTax"
    if any(amount is not None and _bad(amount) for amount in (price.excl_tax, price.incl_tax)):
        yield where, "must be an amount of zero or more"
    yield from _taxes(f"{where}.taxRates", price.tax_rates)


def _conditions(where: str, given: Conditions | FixedConditions) -> Iterator[tuple[str, str]]:
    for name in ("start_time_of_day", "end_time_of_day"):
        text = getattr(given, name)
        if text is not None and _TIME.fullmatch(text) is None:
            yield f"{where}.{_camel(name)}", "must be a time of day as 08:30"
    days = [day_of(getattr(given, name)) for name in ("valid_from_date", "valid_to_date")]
    for name, day in zip(("valid_from_date", "valid_to_date"), days, strict=True):
        if getattr(given, name) is not None and day is None:
            yield f"{where}.{_camel(name)}", "must be a date as 2026-03-14"
    if days[0] is not None and days[1] is not None and days[0] >= days[1]:
        yield f"{where}.validToDate", "must be after validFromDate"
    if given.day_of_week is not None and not 1 <= len(given.day_of_week) <= 7:
        yield f"{where}.dayOfWeek", "must name 1 to 7 days"
    if isinstance(given, FixedConditions):
        return
    for name in _BOUNDS:
        low, high = getattr(given, f"min_{name}"), getattr(given, f"max_{name}")
        for word, value in (("min", low), ("max", high)):
            if value is not None and _bad(Decimal(value)):
                yield f"{where}.{_camel(f'{word}_{name}')}", "must be zero or more"
        if low is not None and high is not None and low >= high:
            yield f"{where}.{_camel(f'max_{name}')}", f"must be above {_camel(f'min_{name}')}"


def day_of(text: str | None) -> date | None:
    """The date of "YYYY-MM-DD", None where it is none."""
    if text is None or len(text) != 10:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def instant(text: str) -> int | None:
    """The ms of an RFC 3339 date-time, None where it is none or has no offset."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return None if moment.tzinfo is None else round(moment.timestamp() * 1000)
