"""Tariffs, who and what has them, and what sessions cost. Amounts are decimal text, so that no cent is lost."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import PRINTABLE, Cost, Note, PageOf, Short, Time

_Amount = Annotated[
    str,
    Meta(
        pattern=r"^[0-9]{1,9}(\.[0-9]{1,6})?$", description="Decimal text, in the tariff's currency", examples=["0.39"]
    ),
]
_Number = Annotated[int, Meta(ge=0, le=1_000_000_000)]
_TimeOfDay = Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["08:30"])]
_Day = Annotated[str, Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$", examples=["2026-03-14"])]
_DayOfWeek = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
TariffId = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9_-]{1,40}$", description="Chosen once, stays", examples=["standard-2026"])
]
_Currency = Annotated[str, Meta(pattern=r"^[A-Z]{3}$", description="ISO 4217", examples=["EUR"])]
TariffName = Annotated[str, Meta(min_length=1, max_length=100, pattern=PRINTABLE, examples=["Standard AC"])]
TariffScope = Literal["all", "site", "station", "evse", "group", "driver", "token"]


class _Part(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel", forbid_unknown_fields=True):
    """Base: in the names of OCPP 2.1."""


class TariffTax(_Part, kw_only=True):
    """A tax in per cent; one of a higher stack is on top of the lower ones."""

    type: Annotated[str, Meta(min_length=1, max_length=20, pattern=PRINTABLE, examples=["VAT"])]
    tax: Annotated[str, Meta(pattern=r"^[0-9]{1,3}(\.[0-9]{1,4})?$", description="Per cent", examples=["19"])]
    stack: Annotated[int, Meta(ge=0, le=100)] = 0


class TariffConditions(_Part, kw_only=True):
    """When a price holds; all that are set must. Minima are inclusive, maxima exclusive; times local to the EVSE."""

    start_time_of_day: _TimeOfDay | None = None
    end_time_of_day: Annotated[_TimeOfDay, Meta(description="Before the start: over midnight")] | None = None
    day_of_week: Annotated[list[_DayOfWeek], Meta(min_length=1, max_length=7)] | None = None
    valid_from_date: _Day | None = None
    valid_to_date: Annotated[_Day, Meta(description="Exclusive")] | None = None
    evse_kind: Literal["AC", "DC"] | None = None
    min_energy: Annotated[_Number, Meta(description="Wh since the session began")] | None = None
    max_energy: _Number | None = None
    min_current: Annotated[_Number, Meta(description="A, all phases together")] | None = None
    max_current: _Number | None = None
    min_power: Annotated[_Number, Meta(description="W")] | None = None
    max_power: _Number | None = None
    min_time: Annotated[_Number, Meta(description="s since the session began")] | None = None
    max_time: _Number | None = None
    min_charging_time: Annotated[_Number, Meta(description="s of charging so far")] | None = None
    max_charging_time: _Number | None = None
    min_idle_time: Annotated[_Number, Meta(description="s since charging stopped")] | None = None
    max_idle_time: _Number | None = None


class TariffFixedConditions(_Part, kw_only=True):
    """When a fixed price is due: looked at once, at the start."""

    start_time_of_day: _TimeOfDay | None = None
    end_time_of_day: _TimeOfDay | None = None
    day_of_week: Annotated[list[_DayOfWeek], Meta(min_length=1, max_length=7)] | None = None
    valid_from_date: _Day | None = None
    valid_to_date: _Day | None = None
    evse_kind: Literal["AC", "DC"] | None = None
    payment_brand: Annotated[str, Meta(max_length=20, pattern=PRINTABLE, examples=["VISA"])] | None = None
    payment_recognition: Annotated[str, Meta(max_length=20, pattern=PRINTABLE, examples=["CC"])] | None = None


class EnergyPrice(_Part, kw_only=True):
    """Per kWh, without tax."""

    price_kwh: _Amount
    conditions: TariffConditions | None = None


class TimePrice(_Part, kw_only=True):
    """Per minute, without tax."""

    price_minute: _Amount
    conditions: TariffConditions | None = None


class FixedPrice(_Part, kw_only=True):
    """Once, without tax."""

    price_fixed: _Amount
    conditions: TariffFixedConditions | None = None


_TaxRates = Annotated[list[TariffTax], Meta(min_length=1, max_length=5)]
_Prices = Meta(min_length=1, max_length=50, description="The first whose conditions hold is used")


class EnergyTariff(_Part, kw_only=True):
    """What energy costs."""

    prices: Annotated[list[EnergyPrice], _Prices]
    tax_rates: _TaxRates | None = None


class TimeTariff(_Part, kw_only=True):
    """What time costs."""

    prices: Annotated[list[TimePrice], _Prices]
    tax_rates: _TaxRates | None = None


class FixedTariff(_Part, kw_only=True):
    """A fee."""

    prices: Annotated[list[FixedPrice], _Prices]
    tax_rates: _TaxRates | None = None


class CostLimit(_Part, kw_only=True):
    """An amount without and with tax; at least one of them."""

    excl_tax: _Amount | None = None
    incl_tax: _Amount | None = None
    tax_rates: _TaxRates | None = None


class TariffText(_Part, kw_only=True):
    """What a driver reads."""

    format: Literal["ASCII", "HTML", "URI", "UTF8", "QRCODE"]
    content: Annotated[str, Meta(min_length=1, max_length=1024, pattern=r"^[^\x00]*$", examples=["0.46 EUR/kWh"])]
    language: Annotated[str, Meta(min_length=2, max_length=8, pattern=r"^[A-Za-z-]+$", examples=["en"])] | None = None


class TariffTerms(_Part, kw_only=True):
    """The prices: TariffType of OCPP 2.1 without its id."""

    currency: _Currency
    description: Annotated[list[TariffText], Meta(min_length=1, max_length=10)] | None = None
    valid_from: (
        Annotated[
            datetime, Meta(tz=True, description="From when on; left out: at once. Until then the terms before hold")
        ]
        | None
    ) = None
    energy: EnergyTariff | None = None
    charging_time: TimeTariff | None = None
    idle_time: TimeTariff | None = None
    fixed_fee: FixedTariff | None = None
    reservation_time: TimeTariff | None = None
    reservation_fixed: FixedTariff | None = None
    min_cost: CostLimit | None = None
    max_cost: CostLimit | None = None


class TariffRevision(msgspec.Struct, kw_only=True):
    """The terms as they were once set."""

    revision: Annotated[int, Meta(examples=[1])]
    tariff_id: Annotated[str, Meta(description="As stations know it", examples=["standard-2026.1"])]
    terms: TariffTerms


class Tariff(msgspec.Struct, kw_only=True):
    """What charging costs. A change of its terms is a new revision: sessions go on by the one that they began with."""

    id: TariffId
    name: str
    note: str
    revision: Annotated[int, Meta(description="Number of the newest terms", examples=[1])]
    terms: Annotated[TariffTerms, Meta(description="The newest")]
    text: Annotated[str, Meta(description="In short, with tax", examples=["0.46 EUR/kWh"])]
    in_force: Annotated[int | None, Meta(description="Revision that holds now; null: none yet", examples=[1])]
    assignments: Annotated[int, Meta(description="How many places and drivers have it", examples=[2])]
    created_at: Time
    updated_at: Time


class TariffDetail(Tariff, kw_only=True):
    """A tariff with its history."""

    revisions: Annotated[list[TariffRevision], Meta(description="The oldest first")]


class NewTariff(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A tariff to add."""

    id: TariffId
    name: TariffName
    note: Note = ""
    terms: TariffTerms


class TariffChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change; what is left out stays. Other terms are a new revision."""

    name: TariffName | msgspec.UnsetType = msgspec.UNSET
    note: Note | msgspec.UnsetType = msgspec.UNSET
    terms: TariffTerms | msgspec.UnsetType = msgspec.UNSET


class TariffAssignment(msgspec.Struct, kw_only=True):
    """Who or what has a tariff. The narrower goes before: token, driver, group; then EVSE, station, site, all."""

    id: Annotated[str, Meta(examples=["station CP-1001 0"])]
    tariff_id: str
    scope: TariffScope
    target: Annotated[str, Meta(description="Id of the site, station, group, driver or token; empty for all")]
    evse: Annotated[int, Meta(description="Of scope evse; else 0")]
    created_at: Time


class NewTariffAssignment(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Give a tariff to a place or a driver; it takes the place of the one that it had."""

    tariff_id: TariffId
    scope: TariffScope
    target: Annotated[Short, Meta(description="Id of the site, station, group, driver or token; empty for all")] = ""
    evse: Annotated[int, Meta(ge=0, le=1000, description="Of scope evse: which one of the station")] = 0


class CostPart(msgspec.Struct, kw_only=True):
    """A line of the bill."""

    name: Annotated[
        Literal["fixed", "energy", "charging_time", "idle_time", "reservation_time", "reservation_fixed"],
        Meta(examples=["energy"]),
    ]
    excl_tax: Annotated[str, Meta(examples=["7.07"])]
    incl_tax: Annotated[str, Meta(examples=["8.41"])]
    taxes: Annotated[list[str], Meta(description="Where they are the same all the way", examples=[["VAT 19 %"]])]


class CostPeriod(msgspec.Struct, kw_only=True):
    """A time in which the same prices held."""

    start: Time
    tariff_id: str
    energy_wh: Annotated[float, Meta(examples=[18250.0])]
    charging_s: int
    idle_s: Annotated[int, Meta(examples=[640])]


class CostBreakdown(msgspec.Struct, kw_only=True):
    """The bill of a session, line by line; the lines add up to the cent."""

    session_id: str
    cost: Cost | None
    kind: Annotated[
        Literal["NormalCost", "MinCost", "MaxCost"] | None, Meta(description="Whether minCost or maxCost decided")
    ]
    excl_tax: Annotated[str | None, Meta(examples=["7.07"])]
    incl_tax: Annotated[str | None, Meta(examples=["8.41"])]
    energy_wh: float
    charging_s: int
    idle_s: Annotated[int, Meta(examples=[640])]
    parts: Annotated[list[CostPart], Meta(examples=[[]])]
    periods: Annotated[list[CostPeriod], Meta(examples=[[]])]


class SessionTariff(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Another tariff for a running session."""

    tariff_id: TariffId


class TariffPage(PageOf[Tariff], kw_only=True):
    """Tariffs by name."""


class TariffAssignmentPage(PageOf[TariffAssignment], kw_only=True):
    """Assignments by place."""
