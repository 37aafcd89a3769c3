"""Sampled values of every version into `Sample`: exact thousandths of the base unit, and fast.

A MeterValues is the most frequent message there is, so nothing here is general where it can be a table. What cannot be
a number (1.6 `SignedData`, free text, NaN) makes no sample and no error: the raw frame is in the journal untouched.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

from pilotwire.domain.records import Sample

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MS = timedelta(milliseconds=1)
_BOUND = 1 << 63
_MAX_ADJUSTED = 19
"""Decimal exponent beyond which a value cannot be a 64-bit number of thousandths."""

DEFAULT_MEASURAND = "Energy.Active.Import.Register"
DEFAULT_CONTEXT = "Sample.Periodic"
DEFAULT_LOCATION = "Outlet"
SIGNED = "SignedData"

_POWERS = tuple(10**n for n in range(13))

_BASES = ("Wh", "varh", "VAh", "W", "var", "VA", "A", "V", "Hz", "Pa", "Ohm")
UNITS: dict[str, tuple[str, int]] = {unit: (unit, 3) for unit in _BASES}
"""Unit on the wire → (base unit, power of ten from the wire's unit to thousandths of the base unit)."""
UNITS |= {"k" + unit: (unit, 6) for unit in _BASES}
UNITS |= {"M" + unit: (unit, 9) for unit in ("Wh", "varh", "VAh", "W", "var", "VA")}
UNITS |= {"m" + unit: (unit, 0) for unit in ("A", "V", "W", "Wh")}
UNITS |= {
    "Celsius": ("Celsius", 3),
    "Celcius": ("Celsius", 3),  # the spelling of the first 1.6 schemas
    "Hertz": ("Hz", 3),
    "Percent": ("Percent", 3),
    "%": ("Percent", 3),
}

_OF_MEASURAND = (
    ("Energy.Active", "Wh"),
    ("Energy.Reactive", "varh"),
    ("Energy.Apparent", "VAh"),
    ("Energy", "Wh"),
    ("Power.Reactive", "var"),
    ("Power.Apparent", "VA"),
    ("Power.Factor", ""),
    ("Power", "W"),
    ("Current", "A"),
    ("Voltage", "V"),
    ("Frequency", "Hz"),
    ("Temperature", "Celsius"),
    ("SoC", "Percent"),
    ("RPM", "RPM"),
)

_default_units: dict[str, tuple[str, int]] = {}


def milliseconds(value: datetime) -> int:
    """An aware datetime in ms since the epoch; sub-millisecond digits are cut, a naive one is taken as UTC."""
    if value.tzinfo is None:
        value = value.replace(tzinfo=UTC)
    return (value - _EPOCH) // _MS


def default_unit(measurand: str) -> tuple[str, int]:
    """What a value without a unit is in.

    The standard names Wh for energy alone; of the others the measurand leaves no doubt, and real stations omit them.
    """
    known = _default_units.get(measurand)
    if known is None:
        unit = next((unit for prefix, unit in _OF_MEASURAND if measurand.startswith(prefix)), "")
        known = (unit, 3)
        if len(_default_units) < 1000:  # measurands of 2.1 are an open list: a peer must not grow this for ever
            _default_units[measurand] = known
    return known


def thousandths(value: Decimal, exponent: int) -> int | None:
    """`value` × 10**exponent as an integer, half-even; None where it is not finite or beyond 64 bits."""
    if not value.is_finite() or (value and value.adjusted() + exponent > _MAX_ADJUSTED):
        return None
    number = int(value.scaleb(exponent).to_integral_value(ROUND_HALF_EVEN))
    return number if -_BOUND <= number < _BOUND else None


def _temperature(value: Decimal, unit: str) -> int | None:
    if not value.is_finite() or value.adjusted() > _MAX_ADJUSTED:
        return None
    celsius = value - Decimal("273.15") if unit in ("K", "Kelvin") else (value - 32) * 5 / 9
    return thousandths(celsius, 3)


_OTHER_TEMPERATURES = frozenset(("K", "Kelvin", "Fahrenheit"))


def samples_v16(evse: int, connector: int, meter_values: Iterable[Any]) -> tuple[Sample, ...]:
    """The MeterValue list of a 1.6 request. `value` is text there, `unit` a name such as kWh (1.6 part 2, 7.43)."""
    found: list[Sample] = []
    for meter_value in meter_values:
        time = milliseconds(meter_value.timestamp)
        for sampled in meter_value.sampled_value:
            measurand = sampled.measurand or DEFAULT_MEASURAND
            unit = sampled.unit
            base, exponent = default_unit(measurand) if unit is None else UNITS.get(unit) or (unit, 3)
            text = sampled.value
            if sampled.format == SIGNED:
                continue
            whole, _, part = text.partition(".")
            digits = whole + part
            shift = exponent - len(part)
            if shift >= 0 and len(digits) < 13 and digits.isdecimal() and base not in _OTHER_TEMPERATURES:
                value = int(digits) * _POWERS[shift]  # nearly all: no sign, no exponent, three decimals at most
            else:
                try:
                    number = Decimal(text)
                except InvalidOperation:
                    continue
                if base in _OTHER_TEMPERATURES:
                    reading, base = _temperature(number, base), "Celsius"
                else:
                    reading = thousandths(number, exponent)
                if reading is None:
                    continue
                value = reading
            found.append(
                Sample(
                    evse,
                    connector,
                    time,
                    measurand,
                    value,
                    base,
                    sampled.phase or "",
                    sampled.location or DEFAULT_LOCATION,
                    sampled.context or DEFAULT_CONTEXT,
                )
            )
    return tuple(found)


def samples_v2(evse: int, connector: int, meter_values: Sequence[Any] | None) -> tuple[Sample, ...]:
    """The MeterValue list of a 2.x request: Decimal values, `unitOfMeasure` with a power of ten (2.0.1, 2.44)."""
    if not meter_values:
        return ()
    found: list[Sample] = []
    for meter_value in meter_values:
        time = milliseconds(meter_value.timestamp)
        for sampled in meter_value.sampled_value:
            measurand = sampled.measurand or DEFAULT_MEASURAND
            measure = sampled.unit_of_measure
            if measure is None:
                base, exponent = default_unit(measurand)
            else:
                unit = measure.unit
                base, exponent = default_unit(measurand) if unit is None else UNITS.get(unit) or (unit, 3)
                if measure.multiplier:
                    exponent += measure.multiplier
                    if not -30 <= exponent <= 30:  # no such meter: and 10**exponent must stay small
                        continue
            # Numbers of messages are finite and of a bounded magnitude: the decoder has seen to that.
            scaled = sampled.value.scaleb(exponent)
            value = int(scaled)
            if base in _OTHER_TEMPERATURES:
                celsius = _temperature(scaled.scaleb(-3), base)
                if celsius is None:
                    continue
                value, base = celsius, "Celsius"
            elif value != scaled:
                value = int(scaled.to_integral_value(ROUND_HALF_EVEN))
            if not -_BOUND <= value < _BOUND:
                continue
            found.append(
                Sample(
                    evse,
                    connector,
                    time,
                    measurand,
                    value,
                    base,
                    sampled.phase or "",
                    sampled.location or DEFAULT_LOCATION,
                    sampled.context or DEFAULT_CONTEXT,
                )
            )
    return tuple(found)
