"""What the energy of a session has cost so far: ReceiptType (8.3.5.3.59), by the prices of the schedule it follows."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from pilotwire.core.evse_link import Price, Schedule

from .rational import of_decimal

Message = dict[str, Any]


def price_at(prices: Sequence[Price], seconds: int, mw: int) -> Decimal | None:
    """The price of a kWh at a time and a power: of the last period that has begun, the range that the power is in."""
    begun = [one for one in prices if one.start_s <= seconds]
    if not begun:
        return None
    start = max(one.start_s for one in begun)
    ranges = [one for one in begun if one.start_s == start]
    within = [one for one in ranges if one.from_mw <= max(0, mw)]
    return max(within, key=lambda one: one.from_mw).amount if within else min(ranges, key=_from).amount


def _from(price: Price) -> int:
    return price.from_mw


class Receipt:
    """Adds up from one meter reading to the next."""

    __slots__ = ("_began", "_cost", "_last_wh", "_price")

    def __init__(self) -> None:
        self._began: int | None = None
        self._last_wh = 0
        self._cost = Decimal(0)
        self._price = Decimal(0)

    def read(self, energy_wh: int, mw: int, now: int, schedule: Schedule | None, anchor: int) -> None:
        """The meter's register at a moment (ms since the epoch); `anchor` is that of the schedule."""
        if schedule is None or not schedule.prices:
            return
        if self._began is None:
            self._began, self._last_wh = now, energy_wh
        price = price_at(schedule.prices, (now - anchor) // 1000, mw)
        if price is not None:
            self._cost += price * max(0, energy_wh - self._last_wh) / 1000
            self._price = price
        self._last_wh = energy_wh

    def element(self) -> Message:
        """ReceiptType as a field; nothing where nothing has a price."""
        if self._began is None:
            return {}
        costs = {"Amount": of_decimal(self._cost), "CostPerUnit": of_decimal(self._price)}
        return {"Receipt": {"TimeAnchor": self._began // 1000, "EnergyCosts": costs}}
