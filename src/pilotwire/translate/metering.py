"""Sampled values of every version into `Sample`: exact thousandths of the base unit, and fast.

A MeterValues is the most frequent message there is, so nothing here is general where it can be a table. What cannot be
a number (1.6 `SignedData`, free text, NaN) makes no sample and no error: the raw frame is in the journal untouched.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec.structs import replace

from pilotwire.domain.metering import POWER, REGISTER, SOC, Reading, Row, Series, merged, read, rows
from pilotwire.domain.records import Register, Sample

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


_Names = tuple[str | None, str | None, str | None, str | None, str | None]
_series_v16: dict[tuple[int, int], dict[_Names, tuple[Series, int]]] = {}
"""(EVSE, connector) → (measurand, unit, phase, location, context) as on the wire → series and exponent. A station says
the same names with every message."""
_SERIES_LIMIT = 1000
"""Of EVSEs, and of names with each: a peer must not grow this for ever."""
_OTHER_SCALE = -1
"""In place of an exponent: a temperature that is not in Celsius."""


def _name_series(evse: int, connector: int, names: _Names) -> tuple[Series, int]:
    measurand, unit, phase, location, context = names
    measurand = measurand or DEFAULT_MEASURAND
    base, exponent = default_unit(measurand) if unit is None else UNITS.get(unit) or (unit, 3)
    if base in _OTHER_TEMPERATURES:
        exponent = _OTHER_SCALE
    where = (location or DEFAULT_LOCATION, context or DEFAULT_CONTEXT)
    return Series(evse, connector, measurand, phase or "", *where, base), exponent


def rows_v16(evse: int, connector: int, meter_values: Iterable[Any], session_id: str = "") -> list[Row]:
    """The MeterValue list of a 1.6 request. `value` is text there, `unit` a name such as kWh (1.6 part 2, 7.43)."""
    known = _series_v16.get((evse, connector))
    if known is None:
        known = {}
        if len(_series_v16) < _SERIES_LIMIT:
            _series_v16[evse, connector] = known
    found: list[Row] = []
    for meter_value in meter_values:
        kinds: list[Series] = []
        values: list[int] = []
        for sampled in meter_value.sampled_value:
            names = (sampled.measurand, sampled.unit, sampled.phase, sampled.location, sampled.context)
            named = known.get(names)
            if named is None:
                named = _name_series(evse, connector, names)
                if len(known) < _SERIES_LIMIT:
                    known[names] = named
            series, exponent = named
            text = sampled.value
            if sampled.format == SIGNED:
                continue
            whole, _, part = text.partition(".")
            digits = whole + part
            shift = exponent - len(part)
            if shift >= 0 and len(digits) + shift < 19 and digits.isdecimal():
                value = int(digits) * _POWERS[shift]  # nearly all: no sign, no exponent, three decimals at most
            else:
                try:
                    number = Decimal(text)
                except InvalidOperation:
                    continue
                if exponent == _OTHER_SCALE:
                    reading, series = _temperature(number, series.unit), series._replace(unit="Celsius")
                else:
                    reading = thousandths(number, exponent)
                if reading is None:
                    continue
                value = reading
            kinds.append(series)
            values.append(value)
        if kinds:
            found.append((session_id, milliseconds(meter_value.timestamp), kinds, values))
    return found if len(found) < 2 else merged(found)


def samples_v16(evse: int, connector: int, meter_values: Iterable[Any], session_id: str = "") -> tuple[Sample, ...]:
    """`rows_v16` as samples."""
    return tuple(
        Sample(evse, connector, time, of.measurand, value, of.unit, of.phase, of.location, of.context, session_id)
        for _, time, kinds, values in rows_v16(evse, connector, meter_values)
        for of, value in zip(kinds, values, strict=True)
    )


_PERIODIC = frozenset((None, "Sample.Periodic", "Sample.Clock", "Trigger", "Other"))
_OWN_METER = frozenset((None, "Outlet"))
_OF_SESSION = frozenset((None, REGISTER, POWER, SOC))


def _plain(text: str, exponent: int) -> int | None:
    """The commonest numbers in thousandths: no sign, no exponent, few digits. None: look closer."""
    whole, _, part = text.partition(".")
    digits = whole + part
    shift = exponent - len(part)
    return int(digits) * _POWERS[shift] if shift >= 0 and len(digits) + shift < 19 and digits.isdecimal() else None


_EXPONENTS: dict[str | None, int] = {None: 3} | {unit: exponent for unit, (_, exponent) in UNITS.items()}
"""As UNITS has them; without a unit, and in units of our own invention, thousandths are thousandths."""
_FACTORS: dict[str | None, int] = {unit: 10**exponent for unit, exponent in _EXPONENTS.items()}
"""The same as factors, none above 10**9."""


def _read_again(frame: bytes) -> Sequence[Any]:
    """The MeterValue list of a 1.6 MeterValues that was accepted before."""
    from pilotwire.protocols.ocpp.rpc.envelope import Call
    from pilotwire.protocols.ocpp.v16 import VERSION

    request: Any = VERSION.actions["MeterValues"].decode_request(msgspec.json.decode(frame, type=Call).payload).message
    return request.meter_value


class LazySamples:
    """`domain.metering.Batch` of a 1.6 MeterValues: samples, or their rows, that are made when the store takes them.

    What the session needs is read straight from the message; every sample is made, once, when somebody iterates, which
    is off the path between a message and its answer. Both come to the same: where the quick reading meets anything but
    the usual it makes the samples and reads those.
    """

    __slots__ = ("_connector", "_evse", "_frame", "_made", "_meter_values", "_session_id")

    def __init__(self, evse: int, connector: int, meter_values: Sequence[Any]) -> None:
        """`meter_values` is the MeterValue list of the request, and not to be changed any more."""
        self._evse = evse
        self._connector = connector
        self._meter_values: Sequence[Any] | None = meter_values
        self._made: tuple[Sample, ...] | None = None
        self._session_id = ""
        self._frame = b""

    def __iter__(self) -> Iterator[Sample]:
        return iter(self.made())

    def rows(self) -> Iterable[Row]:
        """As the store writes them."""
        if self._made is not None:
            return rows(self._made)
        return rows_v16(self._evse, self._connector, self._values(), self._session_id)

    def made(self) -> tuple[Sample, ...]:
        """All of them."""
        made = self._made
        if made is None:
            made = samples_v16(self._evse, self._connector, self._values(), self._session_id)
            self._made, self._meter_values = made, ()
        return made

    def assign(self, session_id: str) -> None:
        """Which session they belong to; to be called before anybody iterates for good."""
        self._session_id = session_id
        if self._made is not None:
            self._made = tuple(replace(sample, session_id=session_id) for sample in self._made)

    def compact(self, frame: bytes) -> None:
        """As `domain.metering.Batch` has it: what was decoded goes, and is read from `frame` again if need be."""
        self._frame, self._meter_values = frame, None

    def _values(self) -> Sequence[Any]:
        values = self._meter_values
        if values is None:
            values = self._meter_values = _read_again(self._frame)
        return values

    def reading(self) -> Reading:
        """`domain.metering.read` of the samples."""
        values = self._values()
        if self._made is not None or len(values) != 1:
            return read(self.made())
        register = power = soc = None
        wanted = _OF_SESSION
        for sampled in values[0].sampled_value:
            if sampled.measurand not in wanted:
                continue
            if (sampled.phase or sampled.location or sampled.context or sampled.format) is not None and (
                sampled.phase is not None
                or sampled.location not in _OWN_METER
                or sampled.context not in _PERIODIC
                or sampled.format == SIGNED
            ):
                return read(self.made())
            text = sampled.value
            if text.isdecimal() and len(text) < 10:
                value = int(text) * _FACTORS.get(sampled.unit, 1000)
            else:
                value = _plain(text, _EXPONENTS.get(sampled.unit, 3))
                if value is None:
                    return read(self.made())
            measurand = sampled.measurand
            if measurand == POWER and power is None:
                power = value
            elif measurand == SOC and soc is None:
                soc = value
            elif measurand != POWER and measurand != SOC and register is None:
                register = value
            else:
                return read(self.made())
        if register is None and power is None and soc is None:
            return read(self.made())
        time = milliseconds(values[0].timestamp)
        edge = None if register is None else Register(time, (register + 500) // 1000)
        if power is not None:
            power = (power + 500) // 1000
        return Reading(edge, edge, False, power, None if soc is None else soc // 100, time)


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
