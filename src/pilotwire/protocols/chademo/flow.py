"""How much is to flow at a CHAdeMO outlet: what the vehicle asks, what is offered, and how fast it may change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pilotwire.core.evse_link import Offer

SLEW_MA_PER_MS: Final = 20
"""20 A/s, upwards. What is taken away is taken away at once."""
EXTENDED_MA: Final = 255_000
"""102.3 (FF) when the request is in 110.1-2."""


def asked_ma(heard: Mapping[str, Any], *, extended: bool) -> int:
    """The vehicle's request; `extended`: both ends have set the bit of high current (110.0.1, 118.0.1)."""
    asked: int = heard.get("charging_current_request") or 0
    return heard.get("extended_current_request") or 0 if extended and asked == EXTENDED_MA else asked


def goal_ma(heard: Mapping[str, Any], offer: Offer, mv: int, *, extended: bool, discharge: bool) -> int:
    """What is to flow (mA), negative: out of the vehicle.

    `mv` is what is at the outlet, `discharge` that both ends can do it (102.5.7, 109.4.0). Which way it flows, the
    charger decides by `Offer.setpoint_mw`; a vehicle only says how much it can take and give.
    """
    mv = max(mv, 1_000)
    soc: int = heard.get("charged_rate") or 0
    setpoint = offer.setpoint_mw
    if setpoint is not None and setpoint < 0:
        return -_back(heard, offer, mv, soc, -setpoint) if discharge else 0
    most = min(asked_ma(heard, extended=extended), offer.max_ma)
    if offer.max_mw is not None:
        most = min(most, offer.max_mw * 1_000 // mv)
    if setpoint is not None:
        most = min(most, setpoint * 1_000 // mv)
    highest: int = heard.get("maximum_remaining_capacity") or 0
    if discharge and 0 < highest < 1_000 and soc >= highest:
        return 0
    return max(0, most)


def _back(heard: Mapping[str, Any], offer: Offer, mv: int, soc: int, mw: int) -> int:
    """What the vehicle is to give (mA)."""
    if mv <= heard.get("minimum_discharge_voltage", 0):
        return 0
    lowest: int = heard.get("minimum_discharge_level") or 0
    if 0 < lowest <= 1_000 and soc <= lowest:
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
