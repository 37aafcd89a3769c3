"""A charger's faults in the words of OCPP and of the industry: 1.6 ChargePointErrorCode, and the minimum required error
codes (MREC, CX001 and on) that OCPP carries as vendorErrorCode or techCode.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FROZEN", "LOST", "FaultName", "fault_name"]


class FaultName(NamedTuple):
    """`error`: ChargePointErrorCode; `code`: MREC where one fits, else empty."""

    error: str
    code: str


LOST = FaultName("InternalError", "")
"""The charger does not answer: a fault within what is one station for the CSMS."""
FROZEN = FaultName("PowerMeterFailure", "")
"""Energy flows and the register stands still."""

_WORDS: tuple[tuple[tuple[str, ...], FaultName], ...] = (
    (("lock", "latch"), FaultName("ConnectorLockFailure", "CX001")),
    (("ground", "earth", "rcd", "rcm", "residual", "insulation", "isolation"), FaultName("GroundFailure", "CX002")),
    (("temperature", "overheat", "thermal"), FaultName("HighTemperature", "CX003")),
    (("overcurrent", "over current", "over-current"), FaultName("OverCurrentFailure", "CX004")),
    (("overvoltage", "over voltage", "over-voltage"), FaultName("OverVoltage", "CX005")),
    (("undervoltage", "under voltage", "under-voltage", "mains", "phase loss"), FaultName("UnderVoltage", "CX006")),
    (("emergency",), FaultName("OtherError", "CX008")),
    (("contactor", "relay", "weld"), FaultName("PowerSwitchFailure", "CX017")),
    (("meter",), FaultName("PowerMeterFailure", "")),
    (("proximity",), FaultName("EVCommunicationError", "CX023")),
    (("pilot", "diode"), FaultName("EVCommunicationError", "CX014")),
    (("communication", "vehicle"), FaultName("EVCommunicationError", "")),
    (("reader", "rfid"), FaultName("ReaderFailure", "")),
)  # fmt: skip


def fault_name(text: str) -> FaultName:
    """By the charger's own words."""
    low = text.casefold()
    for words, name in _WORDS:
        if any(word in low for word in words):
            return name
    return FaultName("OtherError", "")
