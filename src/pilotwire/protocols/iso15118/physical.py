"""PhysicalValue of DIN SPEC 70121 and ISO 15118-2: a 16-bit number times a power of ten, and the integers of the house.

    {"Multiplier": -1, "Unit": "V", "Value": 4003}  ⇄  400 300 mV

Volts and amperes are written with one decimal, which every car in the field reads; powers and energies with the
smallest power of ten in which they fit. What is written is rounded towards zero, so that a limit is never told higher
than it is. (ISO 15118-2 8.5.2.7, DIN SPEC 70121 9.5.2.4)
"""

from __future__ import annotations

from typing import Any, Final

Physical = dict[str, Any]

_MILLI: Final[tuple[int, ...]] = (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)
_MOST: Final = 32_767


def volts(mv: int) -> Physical:
    """mV as V with one decimal; at most 3,276.7 V."""
    return {"Multiplier": -1, "Unit": "V", "Value": _short(mv)}


def amperes(ma: int) -> Physical:
    """mA as A with one decimal; at most 3,276.7 A."""
    return {"Multiplier": -1, "Unit": "A", "Value": _short(ma)}


def _short(milli: int) -> int:
    value = milli // 100 if milli >= 0 else -(-milli // 100)
    return max(-_MOST, min(value, _MOST))


def watts(mw: int) -> Physical:
    """mW as W; at most 32.767 MW."""
    return _scaled(mw // 1000 if mw >= 0 else -(-mw // 1000), "W")


def watt_hours(wh: int) -> Physical:
    """Wh; at most 32.767 MWh."""
    return _scaled(wh, "Wh")


def seconds(ms: int) -> Physical:
    """ms as s."""
    return _scaled(ms // 1000, "s")


def _scaled(value: int, unit: str) -> Physical:
    sign, value, power = (-1 if value < 0 else 1), abs(value), 0
    while value > _MOST and power < 3:
        value //= 10
        power += 1
    return {"Multiplier": power, "Unit": unit, "Value": sign * min(value, _MOST)}


def milli(found: Physical) -> int:
    """The value in thousandths of its unit: mV, mA, mW, ms; rounded never, since 10⁻³ is the smallest multiplier."""
    value: int = found["Value"]
    power: int = found["Multiplier"]
    return value * _MILLI[power + 3]


def whole(found: Physical) -> int:
    """The value in its unit, for Wh, towards zero."""
    value = milli(found)
    return value // 1000 if value >= 0 else -(-value // 1000)


def is_in(found: Physical, unit: str) -> bool:
    """Whether the value is in that unit; DIN SPEC 70121 leaves the unit out at will."""
    return found.get("Unit", unit) == unit
