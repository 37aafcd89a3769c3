"""The timers of DIN SPEC 70121 (9.6, tables 75 to 77); the pilot's own are of `iec61851`."""

from __future__ import annotations

from typing import Final, Literal

from pilotwire.core.timers import TimerRule

NAME: Final = "DIN 70121"
MESSAGES: Final[dict[str, int]] = {
    "SessionSetup": 2_000,
    "ServiceDiscovery": 2_000,
    "ServicePaymentSelection": 2_000,
    "ContractAuthentication": 2_000,
    "ChargeParameterDiscovery": 2_000,
    "PowerDelivery": 2_000,
    "CableCheck": 2_000,
    "PreCharge": 2_000,
    "CurrentDemand": 250,
    "WeldingDetection": 2_000,
    "SessionStop": 2_000,
}
"""V2G_EVCC_Msg_Timeout of each pair of messages, ms."""
PERFORMANCE: Final[dict[int, int]] = {250: 25, 2_000: 1_500}
"""V2G_SECC_Msg_Performance_Time of what the vehicle waits for so long."""


def _rule(name: str, side: Literal["ev", "evse"], ms: int, clause: str, then: str, *, least: bool = False) -> TimerRule:
    return TimerRule(name=name, protocol=NAME, side=side, ms=ms, clause=clause, then=then, least=least)


TIMERS: Final[tuple[TimerRule, ...]] = (
    *(
        _rule(f"V2G_EVCC_Msg_Timeout_{name}", "ev", ms, "9.6.4, table 75", "the vehicle ends the session")
        for name, ms in MESSAGES.items()
    ),
    *(
        _rule(
            f"V2G_SECC_Msg_Performance_Time_{name}",
            "evse",
            PERFORMANCE[ms],
            "9.6.4, table 75",
            "the answer has been given, a refusal where the station did not do its part",
        )
        for name, ms in MESSAGES.items()
    ),
    _rule("V2G_EVCC_ReadyToCharge_Timeout", "ev", 150_000, "9.6.5, table 77", "the vehicle ends the session"),
    _rule("V2G_EVCC_CableCheck_Timeout", "ev", 40_000, "9.6.5, table 77", "the vehicle ends the session"),
    _rule("V2G_SECC_CableCheck_Performance_Time", "evse", 38_000, "9.6.5, table 77", "the next answer is FAILED"),
    _rule("V2G_EVCC_PreCharge_Timeout", "ev", 7_000, "9.6.5, table 77", "the vehicle ends the session"),
    _rule(
        "V2G_SECC_PowerDelivery_Timeout",
        "evse",
        20_000,
        "9.6.5, table 77, [V2G-DC-969]",
        "from the first PreChargeReq: the vehicle does not come to an end with it; output off, closed",
    ),
    _rule(
        "V2G_SECC_WeldingDetection_Timeout",
        "evse",
        20_000,
        "9.6.5, table 77, [V2G-DC-925]",
        "from the first WeldingDetectionReq: the vehicle does not come to an end with it; closed",
    ),
    _rule("V2G_EVCC_Sequence_Performance_Time", "ev", 40_000, "9.6.4, table 75", "the next request has been sent"),
    _rule("V2G_SECC_Sequence_Timeout", "evse", 60_000, "9.6.4, table 75", "output off, the connection is closed"),
    _rule(
        "EVSE_Authorization_External",
        "evse",
        300_000,
        "",
        "nobody has paid: the next ContractAuthenticationRes is FAILED (as long as EVerest's EvseV2G waits)",
    ),
    _rule(
        "EVSE_Offer",
        "evse",
        55_000,
        "",
        "the station offers nothing: the next ChargeParameterDiscoveryRes is FAILED (as in ISO 15118-2)",
    ),
    _rule(
        "EVSE_Contactor_Close",
        "evse",
        1_500,
        "9.6.4, table 75",
        "closing: PowerDeliveryRes is FAILED in the time that it has; opening: the contactor is reported as welded",
    ),
    _rule(
        "NotificationMaxDelay",
        "evse",
        30_000,
        "9.5.3",
        "a vehicle that was told to stop and does not is switched off; the length is ours",
    ),
    _rule(
        "SECC_TCP_Close",
        "evse",
        5_000,
        "9.6.6",
        "the station closes the connection, not before, so that the vehicle can read the last answer",
        least=True,
    ),
)
LIMITS: Final[dict[str, int]] = {rule.name: rule.ms for rule in TIMERS}
"""ms by name."""

PACE: Final[dict[str, int]] = {
    "ContractAuthentication": 250,
    "ChargeParameterDiscovery": 250,
    "CableCheck": 250,
    "PreCharge": 100,
    "CurrentDemand": 250,
    "WeldingDetection": 100,
}
"""Time from one request of the vehicle to the next of the same kind, ms; the standard leaves it open."""
