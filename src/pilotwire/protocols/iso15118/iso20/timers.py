"""The timers of ISO 15118-20 (8.5.4, tables 215 to 219), and three of the field, said so where they stand."""

from __future__ import annotations

from typing import Final

from pilotwire.core.timers import TimerRule

PROTOCOL: Final = "ISO 15118-20"
MESSAGE: Final = "V2G_EVCC_Msg_Timeout "


def message_timer(request: str, ms: int) -> TimerRule:
    """How long the vehicle waits for the answer to a request."""
    tables = {"AC": 216, "DC": 217, "WPT": 218, "ACDP": 219}
    of_mode = not request.endswith("ChargeParameterDiscoveryReq")
    table = tables.get(request.partition("_")[0], 215) if of_mode else 215
    return TimerRule(
        name=MESSAGE + request,
        protocol=PROTOCOL,
        side="ev",
        ms=ms,
        clause=f"[V2G20-438], table {table}",
        then=f"no answer to {request}: contactors open, the session is over",
    )


POLL_MS: Final = 100
"""The vehicle: between an answer Ongoing and the same question again."""
LOOP_MS: Final = 200
"""The vehicle: between an answer of the charge loop and the next request. V2G_EVCC_Sequence_Performance_Time is 250 ms
(tables 216 to 218)."""

COMMON_MESSAGES: Final = {
    "SessionSetupReq": 2_000,
    "AuthorizationSetupReq": 2_000,
    "AuthorizationReq": 2_000,
    "CertificateInstallationReq": 5_000,
    "ServiceDiscoveryReq": 2_000,
    "ServiceDetailReq": 5_000,
    "ServiceSelectionReq": 2_000,
    "ScheduleExchangeReq": 2_000,
    "PowerDeliveryReq": 2_000,
    "MeteringConfirmationReq": 2_000,
    "SessionStopReq": 2_000,
    "VehicleCheckInReq": 2_000,
    "VehicleCheckOutReq": 2_000,
}
AC_MESSAGES: Final = {"AC_ChargeParameterDiscoveryReq": 2_000, "AC_ChargeLoopReq": 500}
DC_MESSAGES: Final = {
    "DC_ChargeParameterDiscoveryReq": 2_000,
    "DC_CableCheckReq": 2_000,
    "DC_PreChargeReq": 2_000,
    "DC_ChargeLoopReq": 500,
    "DC_WeldingDetectionReq": 2_000,
}
WPT_MESSAGES: Final = {
    "WPT_FinePositioningSetupReq": 2_000,
    "WPT_FinePositioningReq": 2_000,
    "WPT_PairingReq": 2_000,
    "WPT_ChargeParameterDiscoveryReq": 2_000,
    "WPT_AlignmentCheckReq": 2_000,
    "WPT_ChargeLoopReq": 500,
}
ACDP_MESSAGES: Final = {
    "ACDP_VehiclePositioningReq": 2_000,
    "ACDP_ConnectReq": 2_000,
    "ACDP_DisconnectReq": 2_000,
    "ACDP_SystemStatusReq": 2_000,
}
STATUS_MS: Final = 1_000
"""The vehicle: between an answer to ACDP_SystemStatus and the next."""

SETUP: Final = TimerRule(
    name="V2G_EVCC_CommunicationSetup_Timeout",
    protocol=PROTOCOL,
    side="ev",
    ms=20_000,
    clause="8.5.4",
    then="no SessionSetupRes since the plug is in: the session is over",
)
ONGOING: Final = TimerRule(
    name="V2G_EVCC_Ongoing_Timeout",
    protocol=PROTOCOL,
    side="ev",
    ms=60_000,
    clause="8.5.4, table 215",
    then="the EVSE answers Ongoing for too long: the session is over (not while it waits for its customer)",
)
CABLE_CHECK: Final = TimerRule(
    name="V2G_EVCC_CableCheck_Timeout",
    protocol=PROTOCOL,
    side="ev",
    ms=40_000,
    clause="8.5.4",
    then="the cable check does not end: the session is over",
)
PRE_CHARGE: Final = TimerRule(
    name="V2G_EVCC_PreCharge_Timeout",
    protocol=PROTOCOL,
    side="ev",
    ms=10_000,
    clause="8.5.4",
    then="the voltage does not come up to the battery's: the session is over, contactors were never closed",
)
SEQUENCE: Final = TimerRule(
    name="V2G_SECC_Sequence_Timeout",
    protocol=PROTOCOL,
    side="evse",
    ms=60_000,
    clause="[V2G20-443], table 215",
    then="no next request: the output is switched off, the connection closed",
)
SEQUENCE_LOOP: Final = TimerRule(
    name="V2G_SECC_Sequence_Timeout_CL",
    protocol=PROTOCOL,
    side="evse",
    ms=500,
    clause="[V2G20-1500], [V2G20-1502], tables 216 and 217",
    then="no next request within the charge loop: the output is switched off, the connection closed",
)
AUTHORIZATION: Final = TimerRule(
    name="V2G_SECC_Ongoing_Performance_Time EIM",
    protocol=PROTOCOL,
    side="evse",
    ms=180_000,
    clause="",
    then="nobody lets the vehicle in: AuthorizationRes FAILED (three minutes, as EVerest's libiso15118)",
)
PERFORMANCE: Final = TimerRule(
    name="V2G_SECC_Ongoing_Performance_Time",
    protocol=PROTOCOL,
    side="evse",
    ms=55_000,
    clause="8.5.4, table 215",
    then="what was Ongoing does not finish: FAILED in the next answer, and the end",
)
CONTACTOR: Final = TimerRule(
    name="V2G_SECC_Msg_Performance_Time PowerDeliveryRes",
    protocol=PROTOCOL,
    side="evse",
    ms=1_500,
    clause="8.5.4, table 215",
    then="the contactor does not close: PowerDeliveryRes FAILED_ContactorError, before the vehicle stops waiting",
)
OBEY: Final = TimerRule(
    name="EVSENotification Terminate",
    protocol=PROTOCOL,
    side="evse",
    ms=10_000,
    clause="",
    then="the vehicle goes on although it was told to end: the output is switched off (a figure of ours)",
)

VIOLATION: Final = TimerRule(
    name="EVPowerProfile violated",
    protocol=PROTOCOL,
    side="evse",
    ms=60_000,
    clause="",
    then="the vehicle draws more than its profile all that time, and was told: FAILED_EVPowerProfileViolation (ours)",
)

EV_MESSAGES: Final = tuple(
    message_timer(name, ms) for name, ms in (COMMON_MESSAGES | AC_MESSAGES | DC_MESSAGES).items()
)
CORE: Final = (
    *EV_MESSAGES, SETUP, ONGOING, CABLE_CHECK, PRE_CHARGE,
    SEQUENCE, SEQUENCE_LOOP, AUTHORIZATION, PERFORMANCE, CONTACTOR, OBEY, VIOLATION,
)  # fmt: skip
"""Of Common, AC and DC."""
POSITIONING_SECC: Final = TimerRule(
    name="positioning",
    protocol=PROTOCOL,
    side="evse",
    ms=290_000,
    clause="",
    then="the vehicle does not come to its place: FAILED in the next answer, and the end (a figure of ours)",
)
POSITIONING_EVCC: Final = TimerRule(
    name="positioning",
    protocol=PROTOCOL,
    side="ev",
    ms=300_000,
    clause="",
    then="the station never says that the vehicle stands right: the session is over (a figure of ours)",
)
CONTACTLESS: Final = (
    *(message_timer(name, ms) for name, ms in (WPT_MESSAGES | ACDP_MESSAGES).items()),
    POSITIONING_SECC, POSITIONING_EVCC,
)  # fmt: skip
"""Of WPT and ACDP."""
TIMERS: Final = (*CORE, *CONTACTLESS)
_WAIT: Final = {rule.name.removeprefix(MESSAGE): rule.ms for rule in TIMERS if rule.name.startswith(MESSAGE)}


def wait_ms(request: str) -> int:
    """How long the vehicle waits for the answer to a request."""
    return _WAIT[request]
