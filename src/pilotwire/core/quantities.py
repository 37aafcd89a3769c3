"""Physical quantities as integers in base units. Never a float for energy.

Import into the car or the site is positive. `Decimal` wire values are turned into these once, at the edge, by
`to_base`; rounding is half-even to the integer unit.
"""

from decimal import ROUND_HALF_EVEN, Decimal
from typing import NewType

Watt = NewType("Watt", int)
WattHour = NewType("WattHour", int)
MilliAmpere = NewType("MilliAmpere", int)
MilliVolt = NewType("MilliVolt", int)
Milliseconds = NewType("Milliseconds", int)
PerMille = NewType("PerMille", int)
"""State of charge in steps of 0.1 %: 1000 is full."""


def scaled(value: Decimal, exponent: int) -> int:
    """`value` × 10**exponent as an integer, rounded half-even; exact for values the integer can hold.

    >>> scaled(Decimal("1.2345"), 3)
    1234
    """
    return int(value.scaleb(exponent).to_integral_value(rounding=ROUND_HALF_EVEN))
