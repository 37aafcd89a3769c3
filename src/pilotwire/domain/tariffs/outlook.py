"""What will be otherwise in a session that goes on as it does: its next prices by the clock, what others wait for."""

from __future__ import annotations

from decimal import Decimal
from typing import NamedTuple

from . import clock, conditions
from .costing import Costing

_MOST_LOOKS = 200


class Next(NamedTuple):
    """From `at` on (ms) prices of other places in their lists are used: energy, chargingTime, idleTime."""

    at: int
    used: tuple[int, int, int]


def present(costing: Costing) -> tuple[int, int, int]:
    """Places of the prices that are used now; as long as nothing was priced by this tariff, those that would be."""
    fresh = not costing.periods or min(costing.used) < -1
    return costing.prices_at(costing.at) if fresh else costing.used


def by_clock(costing: Costing, *, within_ms: int = clock.DAY_MS) -> Next | None:
    """The next prices by time of day, day or date; None where there are none in that time."""
    bounds = conditions.bounds(costing.tariff)
    if not bounds.timed:
        return None
    place, at, now = clock.zone(costing.zone), costing.at, present(costing)
    for _ in range(_MOST_LOOKS):
        at = clock.next_change(at, place, bounds.minutes)
        if at > costing.at + within_ms:
            return None
        used = costing.prices_at(at)
        if used != now:
            return Next(at, used)
    return None


def by_energy(costing: Costing) -> int | None:
    """The register (Wh) at which another price may be used."""
    bounds = conditions.bounds(costing.tariff)
    edge = next((edge for edge in bounds.energy if edge > costing.energy), None)
    return None if edge is None or costing.first_wh < 0 else costing.first_wh + -(-edge // 1000)


def by_power(costing: Costing) -> Decimal | None:
    """The power (W), nearest to what was measured last, at which another price may be used."""
    edges = conditions.powers(costing.tariff)
    now = costing.power or Decimal(0)
    return min(edges, key=lambda edge: (abs(edge - now), edge), default=None)
