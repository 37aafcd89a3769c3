"""The rules that every tenant begins with. Each can be changed or switched off, none can be lost."""

from __future__ import annotations

from typing import Final

from .alarms_rules import FactCondition, GaugeCondition, Match, Rule, StalledCondition, Test

_ATTACKS: Final = (
    "AttemptedReplayAttacks", "CsmsFailedToAuthenticate", "FailedToAuthenticateAtCsms",
    "InvalidCentralSystemCertificate", "InvalidChargePointCertificate", "InvalidChargingStationCertificate",
    "InvalidCsmsCertificate", "InvalidFirmwareSignature", "InvalidFirmwareSigningCertificate", "InvalidMessages",
    "InvalidTLSCipherSuite", "InvalidTLSVersion", "MaintenanceLoginFailed", "SecurityLogWasCleared",
    "TamperDetectionActivated",
)  # fmt: skip
"""Security events (OCPP 2.1 part 2, appendix 1, and the 1.6 security whitepaper) that may be an attack."""

_FIRMWARE_FAILED: Final = (
    "DownloadFailed", "InstallationFailed", "InstallVerificationFailed", "InvalidSignature", "RevokedCertificate",
)  # fmt: skip
_FIRMWARE_GOES_ON: Final = ("Downloading", "Downloaded", "Installing", "Installed", "SignatureVerified")
_NO_ERROR: Final = ("", "NoError")


def _any(name: str, *values: str) -> Test:
    return Test(field=name, op="in", values=values)


BUILT_IN: Final[tuple[Rule, ...]] = (
    Rule(
        id="station-offline",
        name="Station offline",
        description="The station has been without a connection for five minutes.",
        severity="major",
        hold_s=60,
        condition=FactCondition(when=(Match("station-disconnected"),), clear=(Match("station-connected"),), for_s=300),
    ),
    Rule(
        id="connector-faulted",
        name="Connector faulted",
        description="A connector reports the status Faulted.",
        severity="major",
        condition=FactCondition(
            when=(Match("connector-status-changed", (Test("status", value="Faulted"),)),),
            clear=(Match("connector-status-changed", (Test("status", "ne", "Faulted"),)),),
            per=("evse", "connector"),
        ),
    ),
    Rule(
        id="connector-error",
        name="Error code reported",
        description="A connector reports an error code, though it is not Faulted.",
        severity="minor",
        condition=FactCondition(
            when=(
                Match(
                    "connector-status-changed",
                    (Test("status", "ne", "Faulted"), Test("error_code", "not-in", values=_NO_ERROR)),
                ),
            ),
            clear=(Match("connector-status-changed"),),
            per=("evse", "connector"),
        ),
    ),
    Rule(
        id="device-alert",
        name="Device model alert",
        description="The station reports an event of severity 0 (danger) to 4 (error) in its device model.",
        severity="major",
        condition=FactCondition(
            when=(
                Match(
                    "event-notified",
                    (Test("trigger", value="Alerting"), Test("severity", "le", 4), Test("cleared", value=False)),
                ),
            ),
            clear=(Match("event-notified", (Test("cleared", value=True),)),),
            per=("component", "variable", "evse", "connector"),
        ),
    ),
    Rule(
        id="boot-rejected",
        name="Boot rejected",
        description="A BootNotification was answered Rejected: the station may not work.",
        severity="minor",
        condition=FactCondition(
            when=(Match("station-booted", (Test("verdict", value="Rejected"),)),),
            clear=(Match("station-booted", (Test("verdict", "ne", "Rejected"),)),),
        ),
    ),
    Rule(
        id="security-event",
        name="Security event",
        description="The station reports a security event that may be an attack. Clears one hour after the last.",
        severity="major",
        condition=FactCondition(
            when=(Match("security-event-notified", (_any("kind", *_ATTACKS),)),), per=("kind",), clear_after_s=3600
        ),
    ),
    Rule(
        id="handshakes-refused",
        name="Connections refused repeatedly",
        description="Five connection attempts under a known identity were refused within ten minutes.",
        severity="major",
        condition=FactCondition(
            when=(Match("handshake-refused", (Test("reason", "ne", "unknown-identity"),)),),
            clear=(Match("station-connected"),),
            count=5,
            within_s=600,
            clear_after_s=3600,
        ),
    ),
    Rule(
        id="session-stuck",
        name="Session without energy",
        description="A session should be charging, and its meter has not moved for thirty minutes.",
        severity="minor",
        condition=StalledCondition(for_s=1800),
    ),
    Rule(
        id="site-over-limit",
        name="Site power over its limit",
        description="The sessions at a site have drawn more than its power limit for ten seconds.",
        severity="critical",
        condition=GaugeCondition(gauge="site-power-percent", over=100, back=97, for_s=10),
    ),
    Rule(
        id="clock-skew",
        name="Clock is wrong",
        description="The station's clock differs from ours by more than a minute.",
        severity="warning",
        condition=GaugeCondition(gauge="clock-skew-s", over=60, back=30, for_s=60),
    ),
    Rule(
        id="certificate-ending",
        name="Certificate about to end",
        description="The certificate by which the station comes in ends within three weeks and has not been renewed.",
        severity="major",
        hold_s=0,
        condition=GaugeCondition(gauge="certificate-overdue-days", over=9),
    ),
    Rule(
        id="certificate-ended",
        name="Certificate has ended",
        description="The certificate of the station has ended: once it is disconnected it cannot come back.",
        severity="critical",
        hold_s=0,
        condition=GaugeCondition(gauge="certificate-overdue-days", over=30),
    ),
    Rule(
        id="command-failing",
        name="Commands fail",
        description="Three commands within fifteen minutes were refused or not answered.",
        severity="minor",
        condition=FactCondition(
            when=(Match("command-settled", (_any("outcome", "refused", "timed-out"),)),),
            clear=(Match("command-settled", (Test("outcome", value="answered"),)),),
            count=3,
            within_s=900,
            clear_after_s=3600,
        ),
    ),
    Rule(
        id="firmware-failed",
        name="Firmware update failed",
        description="A firmware update failed. Clears when one goes on, or after a day.",
        severity="major",
        condition=FactCondition(
            when=(Match("firmware-status-changed", (_any("status", *_FIRMWARE_FAILED),)),),
            clear=(Match("firmware-status-changed", (_any("status", *_FIRMWARE_GOES_ON),)),),
            clear_after_s=86_400,
        ),
    ),
    Rule(
        id="rollout-stopped",
        name="Roll-out stopped itself",
        description="A roll-out went wrong at too many stations. Clears when somebody resumes or ends it.",
        severity="major",
        hold_s=0,
        condition=GaugeCondition(gauge="rollout-stopped", over=0),
    ),
    Rule(
        id="webhook-failing",
        name="Webhook failing",
        description="A webhook has taken nothing for an hour.",
        severity="minor",
        hold_s=0,
        condition=GaugeCondition(gauge="webhook-failing-min", over=60),
    ),
)
