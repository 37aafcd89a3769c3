"""Prices and cost in 1.6: the DataTransfer messages by which stations in California show them.

`SetUserPrice` before charging, `RunningCost` while it goes on, `FinalCost` at the end, all from the central system;
`ConnectorUnplugged` from the station. Amounts are in the one currency of the installation, with tax.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, NamedTuple

from pilotwire.core.time import to_rfc3339
from pilotwire.domain.notices import COST_MESSAGES
from pilotwire.domain.records import Session
from pilotwire.domain.tariffs import amounts, course, model, outlook
from pilotwire.domain.tariffs import bill as bills
from pilotwire.domain.tariffs.costing import Costing
from pilotwire.domain.tariffs.model import Tariff, Text

VENDOR = COST_MESSAGES
USER_PRICE, RUNNING, FINAL, UNPLUGGED = "SetUserPrice", "RunningCost", "FinalCost", "ConnectorUnplugged"
_MOST_TEXT = 512


class Message(NamedTuple):
    """messageId and data."""

    name: str
    data: dict[str, Any]


def user_price(token: str, tariff: Tariff) -> Message:
    """What the driver is to read, in each language that the tariff has."""
    more = [
        {"format": text.format, "language": text.language or "", "content": text.content[:_MOST_TEXT]}
        for text in tariff.description or ()
    ]
    body: dict[str, Any] = {"idToken": token, "priceText": price_text(tariff)}
    if more:
        body["priceTextExtra"] = more
    return Message(USER_PRICE, body)


def texts(tariff: Tariff) -> tuple[Text, ...]:
    """What a driver is to read of a tariff, in every language that there is; the default one first."""
    said = price_text(tariff)
    return tariff.description or ((Text(format="UTF8", content=said),) if said else ())


def price_text(tariff: Tariff) -> str:
    """Its description, or what its first prices are, with tax: "0.48 EUR/kWh, 0.10 EUR/min idle"."""
    said = model.described(tariff)
    if said:
        return said[:_MOST_TEXT]
    parts: list[str] = []
    for given, unit in (
        (tariff.energy, "/kWh"),
        (tariff.charging_time, "/min"),
        (tariff.idle_time, "/min idle"),
        (tariff.fixed_fee, " per session"),
    ):
        if given is not None and given.prices:
            price = given.prices[-1]  # the last one has the fewest conditions
            net = next(getattr(price, name) for name in price.__struct_fields__ if name.startswith("price"))
            parts.append(f"{_with_tax(net, given.tax_rates)} {tariff.currency}{unit}")
    return ", ".join(parts)[:_MOST_TEXT]


def _with_tax(net: Decimal, rates: amounts.Taxes) -> str:
    factor = amounts.factor(rates)
    gross = net * Decimal(factor.numerator) / Decimal(factor.denominator)
    short = gross.quantize(Decimal("0.0001")).normalize()
    return f"{short:f}" if -short.as_tuple().exponent >= 2 else f"{short:.2f}"  # type: ignore[operator]


def running_cost(session: Session, timestamp: str) -> Message:
    """What it costs so far, and what goes on being charged."""
    bill = session.bill
    assert bill is not None and bill.amount is not None
    charging = course.charging(session.charging_state) is not False
    body: dict[str, Any] = {
        "transactionId": int(session.transaction),
        "timestamp": timestamp,
        "meterValue": session.last.wh if session.last is not None else session.meter_start_wh or 0,
        "cost": bill.amount,
        "state": "Charging" if charging else "Idle",
    }
    costing = bill.costing
    if costing is not None:
        body |= _prices(costing, outlook.present(costing), charging=charging)
        after = outlook.by_clock(costing)
        if after is not None:
            body["nextPeriod"] = {"atTime": to_rfc3339(after.at)} | _prices(costing, after.used, charging=True)
        trigger = _trigger(costing, after)
        if trigger:
            body["triggerMeterValue"] = trigger
    return Message(RUNNING, body)


def _prices(costing: Costing, used: tuple[int, int, int], *, charging: bool) -> dict[str, Any]:
    """chargingPrice and idlePrice of the prices at these places of the tariff's lists."""
    tariff = costing.shares[-1].tariff
    found: dict[str, Any] = {}
    prices: dict[str, Any] = {}
    if tariff.energy is not None and 0 <= used[0] < len(tariff.energy.prices):
        price = tariff.energy.prices[used[0]].price_kwh
        prices["kWhPrice"] = Decimal(_with_tax(price, tariff.energy.tax_rates))
    if tariff.charging_time is not None and 0 <= used[1] < len(tariff.charging_time.prices):
        price = tariff.charging_time.prices[used[1]].price_minute * 60
        prices["hourPrice"] = Decimal(_with_tax(price, tariff.charging_time.tax_rates))
    if tariff.fixed_fee is not None and costing.shares[0].fixed >= 0 and len(costing.shares) == 1:
        price = tariff.fixed_fee.prices[costing.shares[0].fixed].price_fixed
        prices["flatFee"] = Decimal(_with_tax(price, tariff.fixed_fee.tax_rates))
    if charging and prices:
        found["chargingPrice"] = prices
    if tariff.idle_time is not None and tariff.idle_time.prices:
        price = tariff.idle_time.prices[max(used[2], 0)]
        grace = 0 if price.conditions is None else price.conditions.min_idle_time or 0
        hour = Decimal(_with_tax(price.price_minute * 60, tariff.idle_time.tax_rates))
        found["idlePrice"] = {"graceMinutes": grace // 60, "hourPrice": hour}
    return found


def _trigger(costing: Costing, after: outlook.Next | None) -> dict[str, Any]:
    """When the station is to read its meter, so that what comes after is priced from there on."""
    tariff = costing.shares[-1].tariff
    found: dict[str, Any] = {} if after is None else {"atTime": to_rfc3339(after.at)}
    energy, power = outlook.by_energy(costing), outlook.by_power(costing)
    if energy is not None:
        found["atEnergykWh"] = Decimal(energy) / 1000
    if power is not None:
        found["atPowerkW"] = power / 1000
    if tariff.idle_time is not None or tariff.charging_time is not None:
        found["atCPStatus"] = ["Charging", "SuspendedEV", "SuspendedEVSE"]
    return found


def final_cost(session: Session) -> Message:
    """What it has come to, with a line for each part."""
    bill = session.bill
    assert bill is not None and bill.amount is not None
    body: dict[str, Any] = {"transactionId": int(session.transaction), "cost": bill.amount}
    found = bills.cost(bill, periods=False)
    if found is not None:
        body["priceText"] = f"{found.amount} {found.total_cost.currency}"
    return Message(FINAL, body)
