"""What a vehicle's end sends of itself: 100, 101, 102, 110, 200, 201, 700."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotwire.protocols.can import CanFrame

from . import frames
from .flow import EXTENDED_MA
from .versions import CHADEMO_1, CHADEMO_2

if TYPE_CHECKING:
    from .ev_state import EvState

_BYTE_MA = 254_000
_FILLER_SOC = 10
"""What vehicles say before they know (0.1 %)."""


def cycle(end: EvState) -> list[CanFrame]:
    """What is sent every 100 ms."""
    drive = end.drive
    remaining = drive.remaining_ms
    sent = [
        frames.encode_frame(frames.LIMITS, {
            "minimum_charge_current": drive.min_ma,
            "minimum_battery_voltage": drive.min_mv,
            "maximum_battery_voltage": drive.max_mv,
            "charged_rate_reference": 1_000,
        }),
        frames.encode_frame(frames.TIMES, {
            "maximum_time_10s": None,
            "maximum_time_min": 240 * frames.MINUTE,
            "estimated_time": 0 if remaining is None else min(remaining, 254 * frames.MINUTE),
            "battery_capacity": drive.capacity_wh,
        }),
    ]  # fmt: skip
    if end.config.version >= 2:
        # Before 102: FF there must not be read together with a request of before.
        sent.append(frames.encode_frame(frames.DYNAMIC, {
            "dynamic_control": True,
            "high_current_control": True,
            "extended_current_request": end.asked_ma,
        }))  # fmt: skip
    sent.append(status(end))
    if end.config.discharge:
        sent.append(frames.encode_frame(frames.DISCHARGE_LIMITS, {
            "maximum_discharge_current": end.given_ma,
            "minimum_discharge_voltage": drive.min_mv,
            "minimum_discharge_level": end.config.minimum_level * 10,
            "maximum_remaining_capacity": end.config.maximum_level * 10,
        }))  # fmt: skip
        if end.config.sends_201:
            sent.append(frames.encode_frame(frames.DISCHARGE_ESTIMATE, {
                "v2h_sequence": end.config.v2h_sequence,
                "discharge_time": 0,
                "available_energy": drive.capacity_wh * drive.soc // 1_000,
            }))  # fmt: skip
    if end.config.maker is not None:
        maker = {"automaker": end.config.maker, "automaker_option": b"\0" * 7}
        sent.append(frames.encode_frame(frames.MAKER, maker))
    return sent


def status(end: EvState) -> CanFrame:
    """102."""
    return frames.encode_frame(frames.STATUS, {
        "protocol_number": CHADEMO_2 if end.config.version >= 2 else CHADEMO_1,
        "target_battery_voltage": end.drive.target_mv,
        "charging_current_request": EXTENDED_MA if end.extended else min(end.asked_ma, _BYTE_MA),
        "battery_overvoltage": "battery_overvoltage" in end.faults,
        "battery_undervoltage": "battery_undervoltage" in end.faults,
        "battery_current_deviation": "battery_current_deviation" in end.faults,
        "high_battery_temperature": "high_battery_temperature" in end.faults,
        "battery_voltage_deviation": "battery_voltage_deviation" in end.faults,
        "vehicle_charging_enabled": end.enabled,
        "not_in_park": end.not_in_park,
        "charging_system_fault": "charging_system_fault" in end.faults,
        "vehicle_contactor_open": end.told_open,
        "normal_stop_request": end.wants_stop,
        "vehicle_discharge_compatible": end.config.discharge,
        "charged_rate": _FILLER_SOC if end.statuses <= end.config.filler_frames else end.drive.soc,
    })  # fmt: skip
