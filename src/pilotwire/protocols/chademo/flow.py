"""How much is to flow at a CHAdeMO outlet: what the vehicle asks, what is offered, and how fast it may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pilotwire.core.evse_link import Offer

SLEW_MA_PER_MS: Final = 20
"""20 A/s, upwards. What is taken away is taken away at once."""
FULL: Final = 1_000
"""0.1 %."""
UNTOLD: Final = 2_550
"""FF in a field of percent."""
EXTENDED_MA: Final = 255_000
"""102.3 (FF) when the request is in 110.1-2."""


def asked_ma(heard: Mapping[str, Any], *, extended: bool) -> int:
    """The vehicle's request; `extended`: both ends have set the bit of high current (110.0.1, 118.0.1)."""
    asked: int = heard.get("charging_current_request") or 0
    return heard.get("extended_current_request") or 0 if extended and asked == EXTENDED_MA else asked


def soc_of(heard: Mapping[str, Any]) -> int:
    """State of charge (0.1 %): the charged rate of 102.6 by the reference of 100.6.

    The reference is 100 in most vehicles; one of 2018 is recorded with 255 and a rate of 143, which is 56 %.
    """
    rate: int = heard.get("charged_rate") or 0
    reference: int = heard.get("charged_rate_reference") or FULL
    return min(FULL, rate * FULL // reference)


def levels_of(heard: Mapping[str, Any]) -> tuple[int, int]:
    """Between which states of charge a vehicle gives and takes (200.6, 200.7; 0.1 %); 0 and 1000: not told.

    Percent by the later V2H guidelines. By the earlier ones it is energy in 0.1 kWh, as a vehicle of 22.2 kWh is
    recorded with 67 and 178 (30 % and 80 %): the higher one beyond 100 and below FF tells.
    """
    lowest: int = heard.get("minimum_discharge_level") or 0
    highest: int = heard.get("maximum_remaining_capacity") or 0
    capacity: int = heard.get("battery_capacity") or 0
    if FULL < highest < UNTOLD and capacity:
        # The table reads 1 % a step, as 10; here a step is 100 Wh.
        lowest, highest = lowest * 10 * FULL // capacity, highest * 10 * FULL // capacity
    return (lowest if lowest <= FULL else 0), (highest if 0 < highest <= FULL else FULL)


def goal_ma(heard: Mapping[str, Any], offer: Offer, mv: int, *, extended: bool, discharge: bool) -> int:
    """What is to flow (mA), negative: out of the vehicle.

    `mv` is what is at the outlet, `discharge` that both ends can do it (102.5.7, 109.4.0). Which way it flows, the
    charger decides by `Offer.setpoint_mw`; a vehicle only says how much it can take and give.
    """
    mv = max(mv, 1_000)
    lowest, highest = levels_of(heard)
    soc = soc_of(heard)
    setpoint = offer.setpoint_mw
    if setpoint is not None and setpoint < 0:
        return -_back(heard, offer, mv, -setpoint) if discharge and soc > lowest else 0
    most = min(asked_ma(heard, extended=extended), offer.max_ma)
    if offer.max_mw is not None:
        most = min(most, offer.max_mw * 1_000 // mv)
    if setpoint is not None:
        most = min(most, setpoint * 1_000 // mv)
    if discharge and highest < FULL and soc >= highest:
        return 0
    return max(0, most)


def _back(heard: Mapping[str, Any], offer: Offer, mv: int, mw: int) -> int:
    """What the vehicle is to give (mA)."""
    if mv <= heard.get("minimum_discharge_voltage", 0):
        return 0
    most = min(mw * 1_000 // mv, offer.max_discharge_ma, heard.get("maximum_discharge_current", 0))
    if offer.max_discharge_mw:
        most = min(most, offer.max_discharge_mw * 1_000 // mv)
    return max(0, most)


def slewed(now_ma: int, goal: int, passed_ms: int) -> int:
    """Where the set point may be `passed_ms` later: towards zero at once, away from it by 20 A/s."""
    start = now_ma if (now_ma > 0) == (goal > 0) else 0
    if abs(goal) <= abs(start):
        return goal
    step = SLEW_MA_PER_MS * max(0, passed_ms)
    return min(goal, start + step) if goal > 0 else max(goal, start - step)
