"""The timers of ISO 15118-2 (8.7.2 and 8.7.3, tables 109 to 111); the pilot's own are of `iec61851`."""

from __future__ import annotations

from typing import Final

from pilotwire.core.timers import TimerRule

NAME: Final = "ISO 15118-2"
MESSAGES: Final[dict[str, int]] = {
    "SessionSetup": 2_000,
    "ServiceDiscovery": 2_000,
    "ServiceDetail": 5_000,
    "PaymentServiceSelection": 2_000,
    "CertificateInstallation": 5_000,
    "CertificateUpdate": 5_000,
    "PaymentDetails": 5_000,
    "Authorization": 2_000,
    "ChargeParameterDiscovery": 2_000,
    "ChargingStatus": 2_000,
    "MeteringReceipt": 2_000,
    "PowerDelivery": 5_000,
    "CableCheck": 2_000,
    "PreCharge": 2_000,
    "CurrentDemand": 250,
    "WeldingDetection": 2_000,
    "SessionStop": 2_000,
}
"""V2G_EVCC_Msg_Timeout of each pair of messages, ms."""
PERFORMANCE: Final[dict[int, int]] = {250: 25, 2_000: 1_500, 5_000: 4_500}
"""V2G_SECC_Msg_Performance_Time of what the vehicle waits for so long."""


def _rule(name: str, side: str, ms: int, clause: str, then: str, *, least: bool = False) -> TimerRule:
    return TimerRule(
        name=name, protocol=NAME, side="ev" if side == "ev" else "evse", ms=ms, clause=clause, then=then, least=least
    )


TIMERS: Final[tuple[TimerRule, ...]] = (
    *(
        _rule(f"V2G_EVCC_Msg_Timeout_{name}", "ev", ms, "8.7.2, table 109", "the vehicle ends the session")
        for name, ms in MESSAGES.items()
    ),
    *(
        _rule(
            f"V2G_SECC_Msg_Performance_Time_{name}",
            "evse",
            PERFORMANCE[ms],
            "8.7.2, table 109",
            "the answer has been given, a refusal where the station did not do its part",
        )
        for name, ms in MESSAGES.items()
    ),
    _rule("V2G_EVCC_Ongoing_Timeout", "ev", 60_000, "8.7.2, table 109", "the vehicle ends the session"),
    _rule("V2G_SECC_Ongoing_Performance_Time", "evse", 55_000, "8.7.2, table 109", "the next answer is FAILED"),
    _rule(
        "EVSE_Authorization_External",
        "evse",
        300_000,
        "",
        "nobody has paid: the next AuthorizationRes is FAILED (as long as EVerest's EvseV2G waits)",
    ),
    _rule("V2G_EVCC_CableCheck_Timeout", "ev", 40_000, "8.7.3, table 110", "the vehicle ends the session"),
    _rule("V2G_SECC_CableCheck_Performance_Time", "evse", 38_000, "8.7.3, table 110", "the next answer is FAILED"),
    _rule("V2G_EVCC_PreCharge_Timeout", "ev", 7_000, "8.7.3, table 110", "the vehicle ends the session"),
    _rule("V2G_EVCC_Sequence_Performance_Time", "ev", 40_000, "8.7.2, table 109", "the next request has been sent"),
    _rule("V2G_SECC_Sequence_Timeout", "evse", 60_000, "8.7.2, table 109", "output off, the connection is closed"),
    _rule(
        "EVSE_Contactor_Close",
        "evse",
        3_000,
        "8.4.3.9.3, [V2G2-862]",
        "closing: PowerDeliveryRes says FAILED_ContactorError; opening: the contactor is reported as welded",
    ),
    _rule(
        "NotificationMaxDelay",
        "evse",
        30_000,
        "8.5.3.1 and 8.5.4.1",
        "a vehicle that was told to stop and does not is switched off; the length is ours",
    ),
    _rule(
        "SECC_TCP_Close",
        "evse",
        5_000,
        "8.7.4, [V2G2-726] and [V2G2-034]",
        "the station closes the connection, not before, so that the vehicle can read the last answer",
        least=True,
    ),
)
LIMITS: Final[dict[str, int]] = {rule.name: rule.ms for rule in TIMERS}
"""ms by name."""
LIMITS["V2G_SECC_Msg_Performance_Time_Certificate"] = LIMITS["V2G_SECC_Msg_Performance_Time_CertificateInstallation"]

PACE: Final[dict[str, int]] = {
    "Authorization": 250,
    "ChargeParameterDiscovery": 250,
    "CableCheck": 250,
    "PreCharge": 100,
    "CurrentDemand": 250,
    "ChargingStatus": 1_000,
    "WeldingDetection": 100,
}
"""Time from one request of the vehicle to the next of the same kind, ms; the standard leaves it open."""
