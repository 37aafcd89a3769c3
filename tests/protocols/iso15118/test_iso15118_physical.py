"""PhysicalValue of DIN 70121 and ISO 15118-2: what is written is what is read, and limits are never told too high."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.protocols import exi
from pilotwire.protocols.iso15118.physical import amperes, is_in, milli, seconds, volts, watt_hours, watts, whole

EXACT: list[tuple[Any, int, dict[str, Any]]] = [
    (volts, 400_000, {"Multiplier": -1, "Unit": "V", "Value": 4_000}),
    (volts, 400_099, {"Multiplier": -1, "Unit": "V", "Value": 4_000}),
    (volts, 5_000_000, {"Multiplier": -1, "Unit": "V", "Value": 32_767}),
    (amperes, 0, {"Multiplier": -1, "Unit": "A", "Value": 0}),
    (amperes, -5_050, {"Multiplier": -1, "Unit": "A", "Value": -50}),
    (watts, 32_767_999, {"Multiplier": 0, "Unit": "W", "Value": 32_767}),
    (watts, 32_768_000, {"Multiplier": 1, "Unit": "W", "Value": 3_276}),
    (watts, 350_000_000, {"Multiplier": 2, "Unit": "W", "Value": 3_500}),
    (watts, 100_000_000_000, {"Multiplier": 3, "Unit": "W", "Value": 32_767}),
    (watts, -1_500, {"Multiplier": 0, "Unit": "W", "Value": -1}),
    (watt_hours, 60_000, {"Multiplier": 1, "Unit": "Wh", "Value": 6_000}),
    (seconds, 1_200_999, {"Multiplier": 0, "Unit": "s", "Value": 1_200}),
]


@pytest.mark.parametrize(("write", "value", "wire"), EXACT)
def test_exact(write: Any, value: int, wire: dict[str, Any]) -> None:
    assert write(value) == wire


def test_every_multiplier() -> None:
    for power, factor in zip(range(-3, 4), (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000), strict=True):
        assert milli({"Multiplier": power, "Unit": "A", "Value": -7}) == -7 * factor
    assert whole({"Multiplier": -3, "Unit": "Wh", "Value": -1_999}) == -1


def test_units() -> None:
    assert is_in({"Multiplier": 0, "Unit": "V", "Value": 1}, "V") and is_in({"Multiplier": 0, "Value": 1}, "V")
    assert not is_in({"Multiplier": 0, "Unit": "A", "Value": 1}, "V")


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.sampled_from([volts, amperes, watts]), st.integers(-3_000_000, 3_000_000_000))
def test_never_further_from_zero_than_it_is(write: Any, value: int) -> None:
    wire = write(value)
    told = milli(wire)
    assert abs(told) <= abs(value) and told * value >= 0
    if abs(value) <= 3_276_700:
        assert abs(value) - abs(told) < (100 if write is not watts else 1_000)
    body = {"PreChargeRes": {"ResponseCode": "OK", "DC_EVSEStatus": _STATUS, "EVSEPresentVoltage": wire}}
    message = {"V2G_Message": {"Header": {"SessionID": bytes(8)}, "Body": body}}
    assert exi.decode("iso2", exi.encode("iso2", message)) == message


_STATUS = {"NotificationMaxDelay": 0, "EVSENotification": "None", "EVSEStatusCode": "EVSE_Ready"}
