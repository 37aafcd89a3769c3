"""The duty cycle of the control pilot and the current that it means (IEC 61851-1:2017, A.3.5, tables A.7 and A.8).

Duty in 0.1 % (0 to 1000), current in mA per phase. What an EVSE may set and what a vehicle makes of what it measures
are not the same: the vehicle's ranges are wider at their ends.

    below 3 %     nothing may flow          8 to 10 %    6 A
    3 to 7 %      digital communication     10 to 85 %   duty × 0.6 A
    above 7 %     nothing, up to 8 %        85 to 96 %   (duty − 64) × 2.5 A
                                            96 to 97 %   80 A; above it nothing
"""

from __future__ import annotations

from typing import Final

DIGITAL: Final = 50
"""5 %: the current is agreed upon by high-level communication."""
STEADY: Final = 1000
"""No oscillation: +12 V all the time."""
LEAST_MA: Final = 6_000
"""The least that a pilot can tell. Who can have less has nothing."""
MOST_MA: Final = 80_000
_KNEE_MA: Final = 52_750
"""What 85.1 % means; the two ranges do not meet, 85 % is 51 A."""


def current(duty: int) -> int:
    """What a vehicle may draw at this duty cycle, in mA; 0 also where it is to communicate (`is_digital`)."""
    if duty < 80 or duty > 970:
        return 0
    if duty < 100:
        return LEAST_MA
    if duty <= 850:
        return duty * 60
    if duty <= 960:
        return (duty - 640) * 250
    return MOST_MA


def is_digital(duty: int) -> bool:
    """High-level communication is asked for: 3 % to 7 %."""
    return 30 <= duty <= 70


def duty(ma: int) -> int:
    """The duty cycle by which an EVSE grants at most `ma`: never one that means more. `STEADY` below 6 A.

    The steps are 60 mA up to 51 A and 250 mA up to 80 A; what lies between is rounded down
    (51 to 52.75 A is a gap of the standard's own).
    """
    if ma < LEAST_MA:
        return STEADY
    if ma >= MOST_MA:
        return 960
    if ma < _KNEE_MA:
        return min(ma // 60, 850)
    return 640 + ma // 250
