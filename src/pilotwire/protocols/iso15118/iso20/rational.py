"""RationalNumber of ISO 15118-20 (Value · 10^Exponent, 16 and 8 bits) ⇄ integers in thousandths: mV, mA, mW, mWh.

Whoever limits rounds toward zero: what a number on the wire promises is never more than what was meant.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

Message = dict[str, Any]

LEAST_VALUE: Final = -32_768
MOST_VALUE: Final = 32_767
LEAST_EXPONENT: Final = -3
"""Of what we send; thousandths are the smallest that anything here is reckoned in."""
MOST: Final = 10**15
"""Thousandths. What is read beyond it counts as this: no vehicle means more, and no sum above grows without end."""


def milli(number: Message) -> int:
    """The thousandths of a RationalNumber; below a thousandth it is cut toward zero."""
    exponent = int(number["Exponent"]) + 3
    value = int(number["Value"])
    if exponent >= 0:
        found = value * 10 ** min(exponent, 20)
    else:
        found = abs(value) // 10 ** min(-exponent, 20) * (1 if value >= 0 else -1)
    return max(-MOST, min(MOST, found))


def rational(thousandths: int) -> Message:
    """The RationalNumber of so many thousandths: exact where 16 bits allow, else cut toward zero."""
    sign, value, exponent = (-1 if thousandths < 0 else 1), abs(thousandths), LEAST_EXPONENT
    most = -LEAST_VALUE if sign < 0 else MOST_VALUE
    while value > most or (value and exponent < 0 and value % 10 == 0):
        value //= 10
        exponent += 1
    return {"Exponent": exponent if value else 0, "Value": sign * value}


def whole(number: Message) -> int:
    """The ones of a RationalNumber, cut toward zero: Wh out of an energy in Wh."""
    found = milli(number)
    return abs(found) // 1000 * (1 if found >= 0 else -1)


def of_whole(ones: int) -> Message:
    """The RationalNumber of so many ones."""
    return rational(ones * 1000)


def of_decimal(amount: Decimal) -> Message:
    """The RationalNumber nearest to an amount of money: prices are rounded, not cut."""
    exponent = 0
    value = amount
    while value != value.to_integral_value() and exponent > -9 and abs(value * 10) <= MOST_VALUE:
        value *= 10
        exponent -= 1
    while abs(value.to_integral_value()) > MOST_VALUE:
        value /= 10
        exponent += 1
    return {"Exponent": exponent, "Value": int(value.to_integral_value())}


def decimal(number: Message) -> Decimal:
    """The amount of a RationalNumber, exact."""
    return Decimal(int(number["Value"])).scaleb(int(number["Exponent"]))


# ── discharge ────────────────────────────────────────────────────────────────────────────────────────────────────────
# The standard does not say clearly whether a limit of discharge is positive ("so much may be given back") or negative
# ("the current may go down to so much"), and stacks of the field do either. Everything that reads one goes through
# `discharge`, which takes either; everything that sends one sends the positive figure. Only values of what flows or is
# to flow carry a sign that means something: negative is out of the vehicle.
def discharge(number: Message | None) -> int | None:
    """The thousandths of a limit of discharge, positive, whichever sign its sender gives it."""
    return None if number is None else abs(milli(number))
