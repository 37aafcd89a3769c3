"""The timers that hold before a protocol is agreed on: discovery, connection and supportedAppProtocol.

Those of the conversations themselves are in `din70121.timers`, `iso2.timers` and `iso20.timers`.
"""

from __future__ import annotations

from typing import Final

from pilotwire.core.timers import TimerRule

BEFORE: Final = "DIN 70121, ISO 15118"
"""No protocol is agreed on yet."""
SDP_RETRY: Final = TimerRule(
    name="SDP response",
    protocol=BEFORE,
    side="ev",
    ms=250,
    clause="ISO 15118-2 [V2G2-159]",
    then="the request is sent once more, up to 50 times in all",
)
SDP_MOST: Final = 50
"""Requests in a row ([V2G2-161]) before the vehicle gives up."""
SAP_RESPONSE: Final = TimerRule(
    name="V2G_EVCC_Msg_Timeout supportedAppProtocol",
    protocol=BEFORE,
    side="ev",
    ms=2_000,
    clause="ISO 15118-2 table 109; ISO 15118-20 table 215",
    then="the vehicle ends the conversation and closes the connection",
)
SETUP: Final = TimerRule(
    name="V2G_EVCC_CommunicationSetup_Timeout",
    protocol=BEFORE,
    side="ev",
    ms=20_000,
    clause="ISO 15118-2 table 109",
    then="no session was set up in time: the vehicle ends the conversation",
)
SECC_SEQUENCE: Final = TimerRule(
    name="V2G_SECC_Sequence_Timeout supportedAppProtocol",
    protocol=BEFORE,
    side="evse",
    ms=60_000,
    clause="ISO 15118-2 table 109",
    then="the station closes the connection",
)
CLOSE_WAIT: Final = TimerRule(
    name="wait for the vehicle to close the connection",
    protocol=BEFORE,
    side="evse",
    ms=5_000,
    clause="ISO 15118-20 [V2G20-1633]; DIN SPEC 70121 [V2G-DC-937], [V2G-DC-938]",
    then="the station closes the connection itself, and no sooner",
    least=True,
)

TIMERS: Final = (SDP_RETRY, SAP_RESPONSE, SETUP, SECC_SEQUENCE, CLOSE_WAIT)
