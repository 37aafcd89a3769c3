"""The times that a capture is held against: taken from the timers of each protocol, never written down twice."""

from __future__ import annotations

from typing import Final

from pilotwire.protocols.iso15118.din70121 import timers as din
from pilotwire.protocols.iso15118.iso2 import timers as iso2
from pilotwire.protocols.iso15118.iso20 import timers as iso20

_20: Final = {
    name.removesuffix("Req"): ms
    for table in (
        iso20.COMMON_MESSAGES,
        iso20.AC_MESSAGES,
        iso20.DC_MESSAGES,
        iso20.WPT_MESSAGES,
        iso20.ACDP_MESSAGES,
    )
    for name, ms in table.items()
}
EVCC_TIMEOUTS: Final[dict[str, dict[str, int]]] = {
    "sap": {"supportedAppProtocol": 2_000},
    "din": din.MESSAGES,
    "iso2": iso2.MESSAGES,
    "iso20-common": _20,
    "iso20-ac": _20,
    "iso20-dc": _20,
    "iso20-wpt": _20,
    "iso20-acdp": _20,
}
"""How long a vehicle waits for each answer, by schema and pair of messages, ms."""
CABLE_CHECK_MS: Final = 40_000
"""V2G_EVCC_CableCheck_Timeout, the same in all three."""
PRE_CHARGE_MS: Final = {"din": 7_000, "iso2": 7_000}
PRE_CHARGE_20_MS: Final = iso20.PRE_CHARGE.ms
ONGOING_MS: Final = 60_000
SEQUENCE_MS: Final = 60_000
SDP_MS: Final = 250 * 50
"""50 requests, 250 ms apart ([V2G2-159])."""


def pre_charge_ms(schema: str) -> int:
    """V2G_EVCC_PreCharge_Timeout of a dialect."""
    return PRE_CHARGE_MS.get(schema, PRE_CHARGE_20_MS)


def answer_ms(request: str, schema: str) -> int:
    """V2G_EVCC_Msg_Timeout of a request."""
    return EVCC_TIMEOUTS.get(schema, {}).get(request.removesuffix("Req"), 2_000)


def sequence_timer(answer: str) -> tuple[int, str]:
    """How long a station waits for the next request behind an answer (ms), and what that is called."""
    if answer.endswith("_ChargeLoopRes"):
        return iso20.SEQUENCE_LOOP.ms, iso20.SEQUENCE_LOOP.name
    return SEQUENCE_MS, iso20.SEQUENCE.name
