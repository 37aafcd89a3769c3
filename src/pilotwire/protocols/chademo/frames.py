"""The frames of CHAdeMO (IEEE 2030.1.1 annex A) as a table: 11-bit identifiers, 500 kbit/s, every 100 ms.

Numbers of two bytes have the low byte first. That is what vehicles send: the maximum battery voltage of 100.4-5 reads
398 to 440 V in recordings; high byte first it would be tens of kilovolts. Currents of discharging count down from
FF. Values are in mV, mA, Wh, ms and 0.1 % of charge.

Byte 1-4 of 118 mirror byte 1-2 of 110 and the present current of 109; open recordings of 118 with high current are
not known. 202 is sent by some vehicles and told of nowhere; it is left alone.
"""

from __future__ import annotations

from typing import Any, Final

from pilotwire.protocols.can import CanFrame, Message, Signal, SignalError, Table, flag, message, number, octets

CYCLE: Final = 100
LIMITS, TIMES, STATUS, DYNAMIC, MAKER = 0x100, 0x101, 0x102, 0x110, 0x700
DISCHARGE_LIMITS, DISCHARGE_ESTIMATE = 0x200, 0x201
CHARGER_LIMITS, CHARGER_STATUS, CHARGER_DYNAMIC, CHARGER_MAKER = 0x108, 0x109, 0x118, 0x708
CHARGER_DISCHARGE_LIMITS, CHARGER_DISCHARGE_ESTIMATE = 0x208, 0x209

MINUTE: Final = 60_000


def _volts(name: str, byte: int, about: str) -> Signal:
    return number(name, byte * 8, 16, unit="mV", factor=1_000, about=about)


def _amperes(name: str, byte: int, about: str) -> Signal:
    return number(name, byte * 8, 8, unit="mA", factor=1_000, about=about)


def _given(name: str, byte: int, about: str) -> Signal:
    return number(name, byte * 8, 8, unit="mA", factor=-1_000, offset=255_000, about=about)


def _percent(name: str, byte: int, about: str) -> Signal:
    return number(name, byte * 8, 8, unit="0.1 %", factor=10, about=about)


FRAMES: Final = Table("chademo", (
    message(LIMITS, "EV_LIMITS", 8, sender="ev", period_ms=CYCLE, least=7, about="H'100", signals=(
        _amperes("minimum_charge_current", 0, "100.0"),
        _volts("minimum_battery_voltage", 2, "100.2-3"),
        _volts("maximum_battery_voltage", 4, "100.4-5"),
        _percent("charged_rate_reference", 6, "100.6: what the charged rate of 102.6 refers to, fixed to 100 %"),
    )),
    message(TIMES, "EV_TIMES", 8, sender="ev", period_ms=CYCLE, least=7, about="H'101", signals=(
        number("maximum_time_10s", 8, 8, unit="ms", factor=10_000, missing=0xFF, about="101.1; FF: see 101.2"),
        number("maximum_time_min", 16, 8, unit="ms", factor=MINUTE, missing=0xFF, about="101.2"),
        number("estimated_time", 24, 8, unit="ms", factor=MINUTE, missing=0xFF, about="101.3"),
        number("battery_capacity", 40, 16, unit="Wh", factor=100, about="101.5-6"),
    )),
    message(STATUS, "EV_STATUS", 8, sender="ev", period_ms=CYCLE, least=7, about="H'102", signals=(
        number("protocol_number", 0, 8, about="102.0: see versions"),
        _volts("target_battery_voltage", 1, "102.1-2"),
        _amperes("charging_current_request", 3, "102.3; FF: see 110.1-2 when high current is agreed"),
        flag("battery_overvoltage", 32, about="102.4.0"),
        flag("battery_undervoltage", 33, about="102.4.1"),
        flag("battery_current_deviation", 34, about="102.4.2"),
        flag("high_battery_temperature", 35, about="102.4.3"),
        flag("battery_voltage_deviation", 36, about="102.4.4"),
        flag("vehicle_charging_enabled", 40, about="102.5.0"),
        flag("not_in_park", 41, about="102.5.1"),
        flag("charging_system_fault", 42, about="102.5.2"),
        flag("vehicle_contactor_open", 43, about="102.5.3: open, or the test for welding is over"),
        flag("normal_stop_request", 44, about="102.5.4"),
        flag("vehicle_discharge_compatible", 47, about="102.5.7"),
        _percent("charged_rate", 6, "102.6: state of charge"),
    )),
    message(CHARGER_LIMITS, "EVSE_LIMITS", 8, sender="evse", period_ms=CYCLE, least=6, about="H'108", signals=(
        flag("weld_detection_supported", 0, about="108.0"),
        _volts("available_output_voltage", 1, "108.1-2"),
        _amperes("available_output_current", 3, "108.3"),
        _volts("threshold_voltage", 4, "108.4-5: above it the charger stops"),
    )),
    message(CHARGER_STATUS, "EVSE_STATUS", 8, sender="evse", period_ms=CYCLE, least=8, about="H'109", signals=(
        number("charger_protocol_number", 0, 8, about="109.0: see versions"),
        _volts("present_output_voltage", 1, "109.1-2"),
        _amperes("present_output_current", 3, "109.3"),
        flag("charger_discharge_compatible", 32, about="109.4.0"),
        flag("charger_charging", 40, about="109.5.0"),
        flag("charger_malfunction", 41, about="109.5.1"),
        flag("connector_locked", 42, about="109.5.2"),
        flag("battery_incompatible", 43, about="109.5.3"),
        flag("charging_system_malfunction", 44, about="109.5.4"),
        flag("charging_stop_control", 45, about="109.5.5"),
        number("remaining_time_10s", 48, 8, unit="ms", factor=10_000, missing=0xFF, about="109.6; FF: see 109.7"),
        number("remaining_time_min", 56, 8, unit="ms", factor=MINUTE, missing=0xFF, about="109.7"),
    )),
    message(DYNAMIC, "EV_DYNAMIC", 8, sender="ev", period_ms=CYCLE, least=3, about="H'110", signals=(
        flag("dynamic_control", 0, about="110.0.0"),
        flag("high_current_control", 1, about="110.0.1"),
        flag("high_voltage_control", 2, about="110.0.2"),
        number("extended_current_request", 8, 16, unit="mA", factor=1_000, about="110.1-2"),
    )),
    message(CHARGER_DYNAMIC, "EVSE_DYNAMIC", 8, sender="evse", period_ms=CYCLE, least=5, about="H'118", signals=(
        flag("charger_dynamic_control", 0, about="118.0.0"),
        flag("charger_high_current_control", 1, about="118.0.1"),
        flag("charger_high_voltage_control", 2, about="118.0.2"),
        number("extended_available_current", 8, 16, unit="mA", factor=1_000, about="118.1-2"),
        number("extended_present_current", 24, 16, unit="mA", factor=1_000, about="118.3-4"),
    )),
    message(DISCHARGE_LIMITS, "EV_DISCHARGE_LIMITS", 8, sender="ev", period_ms=CYCLE, least=8, about="H'200", signals=(
        _given("maximum_discharge_current", 0, "200.0, counted down from FF"),
        _volts("minimum_discharge_voltage", 4, "200.4-5"),
        _percent("minimum_discharge_level", 6, "200.6"),
        _percent("maximum_remaining_capacity", 7, "200.7"),
    )),
    message(DISCHARGE_ESTIMATE, "EV_DISCHARGE_ESTIMATE", 8, sender="ev", period_ms=CYCLE, least=5, about="H'201",
            signals=(
        number("v2h_sequence", 0, 8, about="201.0: charge and discharge sequence number"),
        number("discharge_time", 8, 16, unit="ms", factor=MINUTE, about="201.1-2"),
        number("available_energy", 24, 16, unit="Wh", factor=100, about="201.3-4"),
    )),
    message(CHARGER_DISCHARGE_LIMITS, "EVSE_DISCHARGE_LIMITS", 8, sender="evse", period_ms=CYCLE, least=8,
            about="H'208", signals=(
        _given("present_discharge_current", 0, "208.0, counted down from FF"),
        _volts("available_input_voltage", 1, "208.1-2"),
        _given("available_input_current", 3, "208.3, counted down from FF"),
        _volts("lower_threshold_voltage", 6, "208.6-7: below it the charger stops"),
    )),
    message(CHARGER_DISCHARGE_ESTIMATE, "EVSE_DISCHARGE_ESTIMATE", 8, sender="evse", period_ms=CYCLE, least=3,
            about="H'209", signals=(
        number("charger_v2h_sequence", 0, 8, about="209.0"),
        number("remaining_discharge_time", 8, 16, unit="ms", factor=MINUTE, about="209.1-2"),
    )),
    message(MAKER, "EV_MAKER", 8, sender="ev", period_ms=CYCLE, least=1, about="H'700", signals=(
        number("automaker", 0, 8, about="700.0"), octets("automaker_option", 1, 7, about="700.1-7"),
    )),
    message(CHARGER_MAKER, "EVSE_MAKER", 8, sender="evse", period_ms=CYCLE, least=1, about="H'708", signals=(
        number("charger_maker", 0, 8, about="708.0"), octets("charger_option", 1, 7, about="708.1-7"),
    )),
))  # fmt: skip

OF_EV: Final = frozenset(each.id for each in FRAMES.messages if each.sender == "ev")
OF_EVSE: Final = frozenset(each.id for each in FRAMES.messages if each.sender == "evse")
_BY_ID: Final[dict[int, Message]] = {each.id: each for each in FRAMES.messages}


def decode_frame(frame: CanFrame) -> dict[str, Any] | None:
    """The signals of a frame; None: it is none of ours, or too short to be read."""
    found = FRAMES.find(frame)
    if found is None:
        return None
    try:
        return found.decode(frame.data)
    except SignalError:
        return None


def encode_frame(id: int, values: dict[str, Any]) -> CanFrame:
    """A frame. Values beyond what a field holds become the nearest that it holds."""
    return _BY_ID[id].frame(values)
