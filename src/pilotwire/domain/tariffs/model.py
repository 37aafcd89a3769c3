"""The tariff: 2.1's TariffType, by which the cost in every version is worked out. Names and units are the standard's.

Prices are per kWh, per minute, or fixed, without tax, in the tariff's currency; decimals are exact. Its JSON is the
wire's: `Tariff` decodes what TariffType is and encodes it again.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Literal

import msgspec

DayOfWeek = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
EvseKind = Literal["AC", "DC"]

DAYS: tuple[str, ...] = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
"""By `date.weekday()`."""


class _Part(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """Base: frozen, in the wire's names."""


class TaxRate(_Part, frozen=True):
    """TaxRateType: a tax in per cent; a higher stack is on top of the lower ones (I12.FR.13)."""

    type: str
    tax: Decimal
    stack: int = 0


class FixedConditions(_Part, frozen=True):
    """TariffConditionsFixedType: looked at once, when the transaction starts. All that are set must hold."""

    start_time_of_day: str | None = None
    """"HH:MM", local time of the EVSE."""
    end_time_of_day: str | None = None
    """"HH:MM"; before the start: over midnight. "00:00" ends the day."""
    day_of_week: tuple[DayOfWeek, ...] | None = None
    valid_from_date: str | None = None
    """"YYYY-MM-DD", local, inclusive."""
    valid_to_date: str | None = None
    """Exclusive."""
    evse_kind: EvseKind | None = None
    payment_brand: str | None = None
    payment_recognition: str | None = None


class Conditions(_Part, frozen=True):
    """TariffConditionsType. Minima are inclusive, maxima exclusive."""

    start_time_of_day: str | None = None
    end_time_of_day: str | None = None
    day_of_week: tuple[DayOfWeek, ...] | None = None
    valid_from_date: str | None = None
    valid_to_date: str | None = None
    evse_kind: EvseKind | None = None
    min_energy: Decimal | None = None
    """Wh since the transaction began."""
    max_energy: Decimal | None = None
    min_current: Decimal | None = None
    """A, the sum over the phases."""
    max_current: Decimal | None = None
    min_power: Decimal | None = None
    """W."""
    max_power: Decimal | None = None
    min_time: int | None = None
    """s since the transaction began."""
    max_time: int | None = None
    min_charging_time: int | None = None
    """s of charging in the transaction so far."""
    max_charging_time: int | None = None
    min_idle_time: int | None = None
    """s since charging was interrupted last, 0 while charging."""
    max_idle_time: int | None = None


class EnergyPrice(_Part, frozen=True):
    price_kwh: Decimal
    conditions: Conditions | None = None


class TimePrice(_Part, frozen=True):
    price_minute: Decimal
    conditions: Conditions | None = None


class FixedPrice(_Part, frozen=True):
    price_fixed: Decimal
    conditions: FixedConditions | None = None


class Energy(_Part, frozen=True):
    prices: tuple[EnergyPrice, ...]
    tax_rates: tuple[TaxRate, ...] | None = None


class Time(_Part, frozen=True):
    prices: tuple[TimePrice, ...]
    tax_rates: tuple[TaxRate, ...] | None = None


class Fixed(_Part, frozen=True):
    prices: tuple[FixedPrice, ...]
    tax_rates: tuple[TaxRate, ...] | None = None


class Price(_Part, frozen=True):
    """PriceType: an amount without and with tax; at least one of them."""

    excl_tax: Decimal | None = None
    incl_tax: Decimal | None = None
    tax_rates: tuple[TaxRate, ...] | None = None


class Text(_Part, frozen=True):
    """MessageContentType."""

    format: str
    content: str
    language: str | None = None


class Tariff(_Part, frozen=True):
    """TariffType."""

    tariff_id: str
    currency: str
    description: tuple[Text, ...] | None = None
    energy: Energy | None = None
    valid_from: str | None = None
    """RFC 3339; as text, so that it goes on as it came."""
    charging_time: Time | None = None
    idle_time: Time | None = None
    fixed_fee: Fixed | None = None
    reservation_time: Time | None = None
    reservation_fixed: Fixed | None = None
    min_cost: Price | None = None
    max_cost: Price | None = None


_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(Tariff)


def encode(value: Any) -> bytes:
    """A tariff or cost as the wire's JSON, decimals as numbers, exactly."""
    return _encoder.encode(value)


def decode(text: bytes | str) -> Tariff:
    """A TariffType's JSON. Raises `msgspec.DecodeError`; what it may not say is `checking.faults`' to find."""
    return _decoder.decode(text)


def described(tariff: Tariff, language: str = "") -> str:
    """Its text in this language, else its first one, else ""."""
    return chosen(tariff.description or (), language)


def chosen(texts: tuple[Text, ...], language: str = "") -> str:
    """The text in this language, else the first one, else ""."""
    for text in texts:
        if language and (text.language or "").lower().startswith(language.lower()):
            return text.content
    return texts[0].content if texts else ""
