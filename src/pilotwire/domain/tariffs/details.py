"""What it costs: 2.1's CostDetailsType, made of a `Costing`. Here, and nowhere else, is rounded.

The rule: each component (energy, chargingTime, …), without tax and with tax, is rounded by itself to the currency's
minor unit, half to even (`core.money`), from its exact value; every total is the sum of the rounded components, so that
a receipt adds up to the cent (I12.FR.17). Nothing that was rounded is ever used to go on. Seconds are cut off from the
whole course, period by period, so that the periods' add up to the total; energy is in Wh with three decimals.

chargingTime is the time in which it charged, idleTime the time in which it did not; both together are the transaction.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from fractions import Fraction

import msgspec

from pilotwire.core.money import Money

from . import amounts
from .amounts import Amount, Taxes
from .costing import Costing
from .model import Price, Tariff, TaxRate

NORMAL, MIN, MAX = "NormalCost", "MinCost", "MaxCost"
IDLE_TIME = "IdleTIme"
"""CostDimensionEnumType as the standard's schema spells it."""
_COMPONENTS = (
    amounts.FIXED,
    amounts.ENERGY,
    amounts.CHARGING,
    amounts.IDLE,
    amounts.RESERVATION_TIME,
    amounts.RESERVATION_FIXED,
)


class _Wire(msgspec.Struct, kw_only=True, omit_defaults=True, rename="camel", gc=False):
    """Base: in the wire's names."""


class Dimension(_Wire):
    """CostDimensionType."""

    type: str
    volume: Decimal


class ChargingPeriod(_Wire):
    """ChargingPeriodType; `start_period` in ms here."""

    start_period: int
    tariff_id: str
    dimensions: list[Dimension] = []


class TotalPrice(_Wire):
    excl_tax: Decimal | None = None
    incl_tax: Decimal | None = None


class TotalCost(_Wire):
    """TotalCostType."""

    currency: str
    type_of_cost: str
    total: TotalPrice
    fixed: Price | None = None
    energy: Price | None = None
    charging_time: Price | None = None
    idle_time: Price | None = None
    reservation_time: Price | None = None
    reservation_fixed: Price | None = None


class TotalUsage(_Wire):
    """TotalUsageType: Wh and s."""

    energy: Decimal
    charging_time: int
    idle_time: int
    reservation_time: int | None = None


class CostDetails(_Wire):
    """CostDetailsType."""

    total_cost: TotalCost
    total_usage: TotalUsage
    charging_periods: list[ChargingPeriod] = []

    @property
    def amount(self) -> Decimal:
        """What the driver pays: with tax, where that is known."""
        total = self.total_cost.total
        return total.incl_tax if total.incl_tax is not None else total.excl_tax or Decimal(0)


def of(costing: Costing, *, ended: bool = False, periods: bool = True) -> CostDetails:
    """The cost so far, or in all where it has ended (minCost counts then). `periods`: with them (not while it runs)."""
    tariff = costing.shares[-1].tariff
    usage = TotalUsage(
        energy=_wh(costing.energy),
        charging_time=costing.charged_ms // 1000,
        idle_time=costing.idle_ms // 1000,
        reservation_time=None if costing.reserved_ms is None else costing.reserved_ms // 1000,
    )
    cost = _total(costing, tariff)
    if ended and _below(tariff.min_cost, cost.total):
        cost = _minimum(tariff, cost)
    return CostDetails(total_cost=cost, total_usage=usage, charging_periods=_periods(costing) if periods else [])


def amount(costing: Costing) -> Decimal:
    """What the driver would pay if it ended now, without a minCost."""
    return of(costing, periods=False).amount


def _total(costing: Costing, tariff: Tariff) -> TotalCost:
    exact: dict[str, Amount] = {}
    taxes: dict[str, set[Taxes]] = {}
    for share in costing.shares:
        for name, value, rates in amounts.components(share, costing.reserved_ms):
            exact[name] = exact.get(name, amounts.NOTHING).plus(value)
            taxes.setdefault(name, set()).add(rates)
    rounded = {
        name: (_rounded(value.excl, tariff.currency), _rounded(value.incl, tariff.currency))
        for name, value in exact.items()
    }
    if costing.capped and tariff.max_cost is not None:
        _give_way(rounded, tariff.max_cost)
    prices = {
        # Rates that changed on the way are no rates by which the one amount comes from the other.
        name: Price(excl_tax=excl, incl_tax=incl, tax_rates=next(iter(taxes[name])) if len(taxes[name]) == 1 else None)
        for name, (excl, incl) in rounded.items()
    }
    return TotalCost(
        currency=tariff.currency,
        type_of_cost=MAX if costing.capped else NORMAL,
        total=TotalPrice(
            excl_tax=sum((excl for excl, _ in rounded.values()), Decimal(0)),
            incl_tax=sum((incl for _, incl in rounded.values()), Decimal(0)),
        ),
        **{name: prices[name] for name in _COMPONENTS if name in prices},
    )


def _rounded(value: Fraction, currency: str) -> Decimal:
    # The division is the one step that is not exact; 28 digits are far beyond what the rounding after it can see.
    return Money(Decimal(value.numerator) / Decimal(value.denominator), currency).rounded().amount


def _give_way(rounded: dict[str, tuple[Decimal, Decimal]], most: Price) -> None:
    """Components that were each rounded up together, or a fixed fee alone, may be above maxCost: the largest gives."""
    for place, limit in ((0, most.excl_tax), (1, most.incl_tax)):
        if limit is None:
            continue
        excess = sum((pair[place] for pair in rounded.values()), Decimal(0)) - limit
        for name in sorted(rounded, key=lambda one: (-rounded[one][place], one)):
            if excess <= 0:
                break
            pair = list(rounded[name])
            cut = min(excess, pair[place])
            pair[place] -= cut
            excess -= cut
            rounded[name] = (pair[0], pair[1])


def _below(least: Price | None, total: TotalPrice) -> bool:
    """I12.FR.38."""
    if least is None:
        return False
    assert total.excl_tax is not None and total.incl_tax is not None
    return (least.excl_tax is not None and total.excl_tax < least.excl_tax) or (
        least.incl_tax is not None and total.incl_tax < least.incl_tax
    )


def _minimum(tariff: Tariff, cost: TotalCost) -> TotalCost:
    """minCost in place of everything. What it does not say is worked out by its taxes, where it names them."""
    least = tariff.min_cost
    assert least is not None
    excl, incl = least.excl_tax, least.incl_tax
    rate = amounts.factor(least.tax_rates)
    if incl is None and excl is not None:
        incl = _rounded(Fraction(excl) * rate, tariff.currency)
    elif excl is None and incl is not None:
        excl = _rounded(Fraction(incl) / rate, tariff.currency)
    return TotalCost(
        currency=tariff.currency,
        type_of_cost=MIN,
        total=TotalPrice(excl_tax=excl, incl_tax=incl),
        fixed=Price(excl_tax=excl, incl_tax=incl, tax_rates=least.tax_rates),
    )


def _wh(value: int) -> Decimal:
    return Decimal(value).scaleb(-3)


def _periods(costing: Costing) -> list[ChargingPeriod]:
    found: list[ChargingPeriod] = []
    charged = idle = 0
    for period in costing.periods:
        charging, charged = (charged + period.charging) // 1000 - charged // 1000, charged + period.charging
        idling, idle = (idle + period.idle) // 1000 - idle // 1000, idle + period.idle
        rows: list[tuple[str, Decimal | None]] = [("Energy", _wh(period.energy))]
        if charging:
            rows.append(("ChargingTime", Decimal(charging)))
        if idling:
            rows.append((IDLE_TIME, Decimal(idling)))
        rows += [
            ("MinPower", period.min_power),
            ("MaxPower", period.max_power),
            ("MinCurrent", period.min_current),
            ("MaxCurrent", period.max_current),
        ]
        found.append(
            ChargingPeriod(
                start_period=period.start,
                tariff_id=period.tariff_id,
                dimensions=[Dimension(type=name, volume=value) for name, value in rows if value is not None],
            )
        )
    return found


def tax_rates(rates: Iterable[TaxRate] | None) -> list[str]:
    """As people read them: "VAT 19 %"."""
    return [f"{rate.type} {rate.tax.normalize():f} %" for rate in rates or ()]
