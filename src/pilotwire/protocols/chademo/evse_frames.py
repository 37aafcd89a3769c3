"""What a charger's end sends of itself: 108, 109, 118, 208, 209, 708."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotwire.protocols.can import CanFrame

from . import frames
from .versions import CHADEMO_1, CHADEMO_2

if TYPE_CHECKING:
    from .evse_state import EvseState

_BYTE_MA = 254_000
"""The most that 108.3 says; FF would be the sign of extended current in 102.3."""


def offered_ma(end: EvseState) -> int:
    """What can be given now."""
    offer = end.offer
    if offer is None:
        return 0
    most = offer.max_ma
    mv = end.heard.get("target_battery_voltage") or 0
    if offer.max_mw is not None and mv:
        most = min(most, offer.max_mw * 1_000 // mv)
    if offer.setpoint_mw is not None and mv:
        most = min(most, max(0, offer.setpoint_mw) * 1_000 // mv) if end.dynamic else most
    return most // 1_000 * 1_000


def threshold_mv(end: EvseState) -> int:
    """108.4-5: the lower of what the charger can and what the battery may have."""
    offer = end.offer
    ours = 0 if offer is None or offer.max_mv is None else offer.max_mv
    highest: int = end.heard.get("maximum_battery_voltage") or 0
    return min(ours, highest) if highest and ours else ours or highest


def cycle(end: EvseState, now: int) -> list[CanFrame]:
    """What is sent every 100 ms."""
    offer, ma = end.offer, offered_ma(end) if end.frozen_ma is None else end.frozen_ma
    sent = [
        frames.encode_frame(frames.CHARGER_LIMITS, {
            "weld_detection_supported": end.config.weld_detection,
            "available_output_voltage": 0 if offer is None else offer.max_mv or 0,
            "available_output_current": min(ma, _BYTE_MA),
            "threshold_voltage": threshold_mv(end),
        }),
        status(end, now),
    ]  # fmt: skip
    present = end.measured.ma
    if end.config.version >= 2:
        sent.append(frames.encode_frame(frames.CHARGER_DYNAMIC, {
            "charger_dynamic_control": True,
            "charger_high_current_control": True,
            "extended_available_current": ma,
            "extended_present_current": max(0, present),
        }))  # fmt: skip
    if end.config.discharge:
        sent.append(frames.encode_frame(frames.CHARGER_DISCHARGE_LIMITS, {
            "present_discharge_current": max(0, -present),
            "available_input_voltage": 0 if offer is None else offer.min_mv,
            "available_input_current": 0 if offer is None else offer.max_discharge_ma,
            "lower_threshold_voltage": end.heard.get("minimum_discharge_voltage") or 0,
        }))  # fmt: skip
        sent.append(frames.encode_frame(frames.CHARGER_DISCHARGE_ESTIMATE, {
            "charger_v2h_sequence": end.config.v2h_sequence if end.v2h_sequence is None else end.v2h_sequence,
            "remaining_discharge_time": end.heard.get("discharge_time") or 0,
        }))  # fmt: skip
    if end.config.maker is not None:
        maker = {"charger_maker": end.config.maker, "charger_option": b"\0" * 7}
        sent.append(frames.encode_frame(frames.CHARGER_MAKER, maker))
    return sent


def status(end: EvseState, now: int) -> CanFrame:
    """109."""
    left = None if end.until is None else max(0, end.until - now)
    fine = left is not None and left <= 0xFE * 10_000
    return frames.encode_frame(frames.CHARGER_STATUS, {
        "charger_protocol_number": CHADEMO_2 if end.config.version >= 2 else CHADEMO_1,
        "present_output_voltage": end.measured.mv,
        "present_output_current": max(0, end.measured.ma),
        "charger_discharge_compatible": end.config.discharge,
        "charger_charging": end.charging,
        "charger_malfunction": end.malfunction,
        "connector_locked": end.locked,
        "battery_incompatible": end.incompatible,
        "charging_system_malfunction": end.system_malfunction,
        "charging_stop_control": end.stopping or end.phase != "power",
        "remaining_time_10s": left if fine else None,
        "remaining_time_min": left if left is not None and not fine else None,
    })  # fmt: skip
