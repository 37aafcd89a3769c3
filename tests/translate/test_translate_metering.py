"""Sampled values become exact thousandths of the base unit, whatever unit, multiplier or spelling they came in."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotwire.domain import metering
from pilotwire.domain.records import Sample
from pilotwire.protocols.ocpp.version import load
from pilotwire.translate import tables

AT = "2026-01-31T12:00:00.250Z"
AT_MS = 1_769_860_800_250


def v16(*sampled: dict[str, Any], connector: int = 2) -> tuple[Sample, ...]:
    payload = {"connectorId": connector, "meterValue": [{"timestamp": AT, "sampledValue": list(sampled)}]}
    request = load("1.6").actions["MeterValues"].decode_request(msgspec.json.encode(payload)).message
    given = tables.load("1.6")["MeterValues"].read(request)
    assert given.evse == connector
    return tuple(given.samples)


def v2(*sampled: dict[str, Any], version: str = "2.0.1") -> tuple[Sample, ...]:
    payload = {"evseId": 3, "meterValue": [{"timestamp": AT, "sampledValue": list(sampled)}]}
    data = msgspec.json.Encoder(decimal_format="number").encode(payload)
    request = load(version).actions["MeterValues"].decode_request(data).message
    return tables.load(version)["MeterValues"].read(request).samples


@pytest.mark.parametrize(
    ("sampled", "value", "unit"),
    [
        ({"value": "1234"}, 1_234_000, "Wh"),
        ({"value": "1234.5678"}, 1_234_568, "Wh"),
        ({"value": "0.0005"}, 0, "Wh"),
        ({"value": "0.0015"}, 2, "Wh"),
        ({"value": "-12.5"}, -12_500, "Wh"),
        ({"value": "1.5E3"}, 1_500_000, "Wh"),
        ({"value": "007"}, 7_000, "Wh"),
        ({"value": "12.345", "unit": "kWh"}, 12_345_000, "Wh"),
        ({"value": "12.345678", "unit": "kWh"}, 12_345_678, "Wh"),
        ({"value": "7.36", "unit": "kW", "measurand": "Power.Active.Import"}, 7_360_000, "W"),
        ({"value": "3680", "measurand": "Power.Active.Import"}, 3_680_000, "W"),
        ({"value": "16.1", "measurand": "Current.Import", "unit": "A"}, 16_100, "A"),
        ({"value": "230", "measurand": "Voltage"}, 230_000, "V"),
        ({"value": "47", "measurand": "SoC"}, 47_000, "Percent"),
        ({"value": "50", "measurand": "Frequency"}, 50_000, "Hz"),
        ({"value": "0.98", "measurand": "Power.Factor"}, 980, ""),
        ({"value": "21.5", "measurand": "Temperature", "unit": "Celcius"}, 21_500, "Celsius"),
        ({"value": "300", "measurand": "Temperature", "unit": "K"}, 26_850, "Celsius"),
        ({"value": "212", "measurand": "Temperature", "unit": "Fahrenheit"}, 100_000, "Celsius"),
        ({"value": "1", "unit": "kvarh", "measurand": "Energy.Reactive.Import.Register"}, 1_000_000, "varh"),
        ({"value": "9007199254740993"}, 9_007_199_254_740_993_000, "Wh"),
    ],
)
def test_16_values(sampled: dict[str, Any], value: int, unit: str) -> None:
    (sample,) = v16(sampled)
    assert (sample.value, sample.unit, sample.time) == (value, unit, AT_MS)


@pytest.mark.parametrize(
    "text", ["", "NaN", "Infinity", "-Infinity", "twelve", "1e999999", "-1e999999", "1,5", "9" * 30, "0x10", " "]
)
def test_16_what_is_no_number_makes_no_sample_and_no_error(text: str) -> None:
    samples = v16({"value": text}, {"value": "5"})
    assert [sample.value for sample in samples] == [5_000]


def test_16_signed_data_makes_no_sample() -> None:
    assert v16({"value": "1234", "format": "SignedData"}) == ()


def test_16_defaults_and_places() -> None:
    (plain, full) = v16(
        {"value": "1"},
        {"value": "2", "context": "Transaction.End", "location": "Inlet", "phase": "L2-N", "measurand": "Voltage"},
    )
    assert plain == Sample(2, 1, AT_MS, "Energy.Active.Import.Register", 1000, "Wh", "", "Outlet", "Sample.Periodic")
    assert (full.context, full.location, full.phase) == ("Transaction.End", "Inlet", "L2-N")
    (main,) = v16({"value": "1"}, connector=0)
    assert (main.evse, main.connector) == (0, 0)


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
@pytest.mark.parametrize(
    ("sampled", "value", "unit"),
    [
        ({"value": 1234}, 1_234_000, "Wh"),
        ({"value": Decimal("1234.5675")}, 1_234_568, "Wh"),
        ({"value": Decimal("1.2"), "unitOfMeasure": {"unit": "kWh"}}, 1_200_000, "Wh"),
        ({"value": 12, "unitOfMeasure": {"unit": "Wh", "multiplier": 3}}, 12_000_000, "Wh"),
        ({"value": 12, "unitOfMeasure": {"multiplier": -1}}, 1_200, "Wh"),
        (
            {"value": Decimal("-7.4"), "measurand": "Power.Active.Export", "unitOfMeasure": {"unit": "kW"}},
            -7_400_000,
            "W",
        ),
        ({"value": Decimal("41.5"), "measurand": "SoC"}, 41_500, "Percent"),
        ({"value": 3, "measurand": "Current.Import", "unitOfMeasure": {"unit": "furlong"}}, 3_000, "furlong"),
        (
            {"value": 300, "measurand": "SoC", "unitOfMeasure": {"unit": "K"}},
            26_850,
            "Celsius",
        ),
    ],
)
def test_2x_values(version: str, sampled: dict[str, Any], value: int, unit: str) -> None:
    (sample,) = v2(sampled, version=version)
    assert (sample.value, sample.unit, sample.evse, sample.connector) == (value, unit, 3, 0)


@pytest.mark.parametrize("multiplier", [50, -50, 2_000_000_000, 16])
def test_2x_impossible_values_make_no_sample(multiplier: int) -> None:
    samples = v2({"value": 12345, "unitOfMeasure": {"multiplier": multiplier}}, {"value": 5})
    assert [sample.value for sample in samples] == [5_000]


def exact(value: Decimal, exponent: int) -> int:
    """Half-even without the code under test."""
    numerator, denominator = (value * 10**exponent).as_integer_ratio()
    quotient, rest = divmod(numerator, denominator)
    return quotient + (2 * rest > denominator or (2 * rest == denominator and quotient % 2 == 1))


@given(st.decimals(min_value=-(10**12), max_value=10**12, places=6), st.sampled_from(["Wh", "kWh"]))
def test_16_and_2x_agree_and_are_exact(value: Decimal, unit: str) -> None:
    (old,) = v16({"value": format(value, "f"), "unit": unit})
    (new,) = v2({"value": value, "unitOfMeasure": {"unit": unit}})
    assert old.value == new.value == exact(value, 3 if unit == "Wh" else 6)


SAMPLED = st.fixed_dictionaries(
    {"value": st.sampled_from(["0", "1234", "12.3456", "-5", "1e3", "junk", "9999999999999999", "57.9999", ".5"])},
    optional={
        "measurand": st.sampled_from(["Energy.Active.Import.Register", "Power.Active.Import", "SoC", "Voltage"]),
        "unit": st.sampled_from(["Wh", "kWh", "W", "kW", "Percent", "V"]),
        "phase": st.sampled_from(["L1", "L2", "L1-N"]),
        "location": st.sampled_from(["Outlet", "Inlet", "Body"]),
        "context": st.sampled_from(["Sample.Periodic", "Transaction.Begin", "Transaction.End", "Sample.Clock"]),
        "format": st.sampled_from(["Raw", "SignedData"]),
    },
)


def in_pairs(rows: Iterable[metering.Row]) -> list[object]:
    return [(row[:2], one) for row in rows for one in zip(row[2], row[3], strict=True)]


@given(st.lists(st.lists(SAMPLED, min_size=1, max_size=5), min_size=1, max_size=2))
def test_the_quick_reading_is_the_reading_of_the_samples(values: list[list[dict[str, Any]]]) -> None:
    """What a session learns from a message does not depend on whether its samples have been made yet."""
    payload = {"connectorId": 1, "meterValue": [{"timestamp": AT, "sampledValue": one} for one in values]}
    request = load("1.6").actions["MeterValues"].decode_request(msgspec.json.encode(payload)).message
    read = tables.load("1.6")["MeterValues"].read
    lazy = read(request).samples
    quick = lazy.reading()
    rows = list(lazy.rows())
    assert quick == metering.read(tuple(lazy)) == lazy.reading()
    assert rows == list(lazy.rows())
    assert in_pairs(rows) == in_pairs(metering.rows(tuple(lazy)))


def test_samples_made_late_belong_to_the_session_that_was_assigned() -> None:
    payload = {"connectorId": 1, "meterValue": [{"timestamp": AT, "sampledValue": [{"value": "1"}]}]}
    request = load("1.6").actions["MeterValues"].decode_request(msgspec.json.encode(payload)).message
    lazy = tables.load("1.6")["MeterValues"].read(request).samples
    lazy.assign("one")
    assert [row[0] for row in lazy.rows()] == ["one"]
    assert [sample.session_id for sample in lazy] == ["one"]
    lazy.assign("two")
    assert [sample.session_id for sample in lazy] == ["two"]


@pytest.mark.parametrize("measurand", ["SoC", "Energy.Active.Import.Register"])
@pytest.mark.parametrize("connector", ["2", '"2"'])
def test_compacted_samples_are_read_from_the_frame_again(measurand: str, connector: str) -> None:
    """Also from one that only a tolerance could read."""
    payload = (
        f'{{"connectorId":{connector},"meterValue":[{{"timestamp":"{AT}","sampledValue":'
        f'[{{"value":"12.5","measurand":"{measurand}"}},{{"value":"7","measurand":"Voltage"}}]}}]}}'
    ).encode()
    request = load("1.6").actions["MeterValues"].decode_request(payload).message
    read = tables.load("1.6")["MeterValues"].read
    whole, compact = read(request).samples, read(request).samples
    compact.compact(b'[2,"1","MeterValues",' + payload + b"]")
    compact.assign("s")
    whole.assign("s")
    assert compact.reading() == whole.reading()
    assert list(compact.rows()) == list(whole.rows())
    assert tuple(compact) == tuple(whole)
    assert len(tuple(compact)) == 2


def test_a_number_beyond_64_bits_makes_no_sample() -> None:
    assert v16({"value": "99999999999999999", "unit": "kWh"}, {"value": "1"})[0].value == 1_000
