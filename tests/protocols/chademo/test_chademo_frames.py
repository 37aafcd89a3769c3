"""Frames of CHAdeMO: low byte first, currents of discharging counted down from FF, nothing lost on the way."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.chademo import FRAMES, decode_frame, encode_frame
from pilotwire.protocols.chademo.flow import levels_of, soc_of
from pilotwire.protocols.chademo.frames import OF_EV, OF_EVSE
from pilotwire.protocols.chademo.versions import meanings_of, words_of

IDS = sorted(each.id for each in FRAMES.messages)


def test_every_frame_of_the_standard_is_in_the_table() -> None:
    assert [f"{id:X}" for id in IDS] == (
        ["100", "101", "102", "108", "109", "110", "118", "200", "201", "208", "209", "700", "708"]
    )  # fmt: skip
    assert not OF_EV & OF_EVSE and len(OF_EV | OF_EVSE) == len(IDS)


@pytest.mark.parametrize(
    ("id", "data", "name", "value"),
    [
        (0x100, "00000000B80164 00", "maximum_battery_voltage", 440_000),
        (0x101, "00FF1E0A00A00000", "maximum_time_10s", None),
        (0x101, "00FF1E0A00A00000", "maximum_time_min", 1_800_000),
        (0x101, "00FF1E0A00900100", "battery_capacity", 40_000),
        (0x102, "029A016400C13700", "target_battery_voltage", 410_000),
        (0x102, "029A016400C13700", "charging_current_request", 100_000),
        (0x102, "029A016400C13700", "vehicle_discharge_compatible", True),
        (0x102, "029A016400C13700", "charged_rate", 550),
        (0x108, "01F4017D9A010000", "threshold_voltage", 410_000),
        (0x109, "0290013200050FFF", "present_output_voltage", 400_000),
        (0x109, "0290013200050FFF", "connector_locked", True),
        (0x109, "0290013200050FFF", "remaining_time_10s", 150_000),
        (0x109, "0290013200050FFF", "remaining_time_min", None),
        (0x110, "032C010000000000", "extended_current_request", 300_000),
        (0x200, "F500000004010A64", "maximum_discharge_current", 10_000),
        (0x200, "F500000004010A64", "minimum_discharge_voltage", 260_000),
        (0x208, "FFF401F00000FA00", "present_discharge_current", 0),
        (0x208, "FFF401F00000FA00", "available_input_current", 15_000),
        (0x208, "FFF401F00000FA00", "lower_threshold_voltage", 250_000),
        (0x201, "0200009600000000", "available_energy", 15_000),
    ],
)
def test_bytes_mean(id: int, data: str, name: str, value: object) -> None:
    values = decode_frame(CanFrame(id, bytes.fromhex(data)))
    assert values is not None and values[name] == value


@pytest.mark.parametrize("id", IDS)
@settings(max_examples=25, derandomize=True, deadline=None)
@given(data=st.binary(min_size=8, max_size=8))
def test_what_is_read_is_written_and_read_again(id: int, data: bytes) -> None:
    values = decode_frame(CanFrame(id, data))
    assert values is not None
    again = decode_frame(encode_frame(id, values))
    assert again == values


@pytest.mark.parametrize("id", IDS)
@settings(max_examples=10, derandomize=True, deadline=None)
@given(data=st.binary(max_size=7), extended=st.booleans())
def test_short_or_foreign_frames_are_told_apart(id: int, data: bytes, extended: bool) -> None:
    values = decode_frame(CanFrame(id, data, extended))
    least = FRAMES.by_id[id, False].least
    assert (values is None) == (extended or len(data) < least)


def test_values_beyond_a_field_become_the_nearest_that_it_holds() -> None:
    assert decode_frame(encode_frame(0x109, {"present_output_current": 300_000}))["present_output_current"] == 255_000  # type: ignore[index]
    assert (
        decode_frame(encode_frame(0x208, {"present_discharge_current": 999_000}))["present_discharge_current"]
        == 255_000
    )  # type: ignore[index]


@pytest.mark.parametrize(
    ("rate", "reference", "soc"), [(72, 100, 720), (143, 255, 560), (50, 0, 500), (0, 100, 0), (200, 100, 1_000)]
)
def test_the_state_of_charge_is_told_by_its_reference(rate: int, reference: int, soc: int) -> None:
    """143 of 255 is what a Nissan Leaf ZE1 was recorded with."""
    heard = {"charged_rate": rate * 10, "charged_rate_reference": reference * 10}
    assert soc_of(heard) == soc


@pytest.mark.parametrize(
    ("lowest", "highest", "capacity", "levels"),
    [
        (10, 100, 35_400, (100, 1_000)),
        (67, 178, 22_200, (301, 801)),
        (26, 255, 0, (260, 1_000)),
        (255, 255, 22_200, (0, 1_000)),
        (0, 0, 0, (0, 1_000)),
    ],
    ids=["percent", "energy", "half told", "untold", "nothing"],
)
def test_levels_are_percent_or_energy(lowest: int, highest: int, capacity: int, levels: tuple[int, int]) -> None:
    heard = {"minimum_discharge_level": lowest * 10, "maximum_remaining_capacity": highest * 10,
             "battery_capacity": capacity}  # fmt: skip
    assert levels_of(heard) == levels


def test_a_protocol_number_has_every_published_meaning() -> None:
    assert {meaning.version for meaning in meanings_of(2)} == {"1.0 to 1.2", "2.0"}
    assert "no published meaning" in words_of(77)
