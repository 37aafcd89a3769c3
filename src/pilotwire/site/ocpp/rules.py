"""What is done with each action of a station, as tables, and what the box answers while the authority is away."""

from __future__ import annotations

from hashlib import blake2b
from typing import Final

from pilotwire.core.time import to_rfc3339
from pilotwire.protocols.ocpp.version import VersionName

from . import frames
from .frames import Frame

_BOTH = ("MeterValues", "StatusNotification", "SecurityEventNotification", "FirmwareStatusNotification",
         "LogStatusNotification")  # fmt: skip
_TWO = (
    *_BOTH, "TransactionEvent", "PublishFirmwareStatusNotification", "NotifyEvent", "NotifyReport",
    "NotifyMonitoringReport", "NotifyCustomerInformation", "NotifyDisplayMessages", "ReportChargingProfiles",
    "ReservationStatusUpdate", "NotifyChargingLimit", "ClearedChargingLimit",
)  # fmt: skip

KEPT: Final[dict[VersionName, frozenset[str]]] = {
    "1.6": frozenset((*_BOTH, "StartTransaction", "StopTransaction", "DiagnosticsStatusNotification",
                      "SignedFirmwareStatusNotification")),
    "2.0.1": frozenset(_TWO),
    "2.1": frozenset((*_TWO, "NotifyPriorityCharging", "NotifyDERAlarm", "NotifyDERStartStop", "BatterySwap")),
}  # fmt: skip
"""What must reach the upstream, whenever that may be. All of it can be answered without asking anybody."""

SIMPLE: Final[dict[str, bytes]] = {
    "NotifyEVChargingNeeds": b'{"status":"Rejected"}',
    "NotifyEVChargingSchedule": b'{"status":"Accepted"}',
}
"""What is answered so while the authority is away, and not kept: it would be stale."""

_TIMED: Final = frozenset({"StartTransaction", "StopTransaction", "MeterValues", "TransactionEvent"})
_TIME: Final = b'"timestamp"'


def kept(version: VersionName, action: str) -> bool:
    return action in KEPT[version]


def periodic(frame: Frame) -> bool:
    """A reading that could be done without, when the queue is full."""
    if frame.action == "MeterValues":
        return True
    return frame.action == "TransactionEvent" and frames.value(frame.payload, "eventType") == "Updated"


def fingerprint(frame: Frame) -> str:
    """The same for a message and its repetition, of no other message; "": it has nothing that tells it from others.

    A repeated TransactionEvent may say `offline` where the first did not: it is known by its transaction and seqNo.
    """
    if frame.action == "TransactionEvent":
        transaction = frames.value(frame.payload, "transactionInfo", "transactionId")
        said = f"{transaction}|{frames.value(frame.payload, 'seqNo')}|{frames.value(frame.payload, 'eventType')}"
        return blake2b(said.encode(errors="replace"), digest_size=12).hexdigest()
    if frame.action in _TIMED or _TIME in frame.payload:
        return blake2b(frame.action.encode(errors="replace") + b"|" + frame.payload, digest_size=12).hexdigest()
    return ""


def kept_payload(version: VersionName, frame: Frame, now: int, *, away: bool) -> bytes:
    """What is put into the queue: the payload with the words that it needs to be true later."""
    payload = frame.payload
    if version == "1.6":
        if frame.action == "StatusNotification" and _TIME not in payload:
            return frames.amend(payload, {"timestamp": b'"%b"' % to_rfc3339(now).encode()})
        return payload
    if frame.action == "TransactionEvent" and away and frames.value(payload, "offline") is not True:
        return frames.amend(payload, {"offline": b"true"})
    return payload


def token_of(version: VersionName, payload: bytes) -> tuple[str, str]:
    """(token, its type) that a request of the station names; ("", "") where it names none."""
    if version == "1.6":
        token, kind = frames.value(payload, "idTag"), ""
    else:
        token, kind = frames.value(payload, "idToken", "idToken"), frames.value(payload, "idToken", "type")
    return (token if isinstance(token, str) else "", kind if isinstance(kind, str) else "")


def verdict_of(version: VersionName, payload: bytes) -> tuple[str, str]:
    """(status, expiry) that an answer of the upstream gives the token; ("", "") where it says nothing."""
    info, expiry = ("idTagInfo", "expiryDate") if version == "1.6" else ("idTokenInfo", "cacheExpiryDateTime")
    status, until = frames.value(payload, info, "status"), frames.value(payload, info, expiry)
    return (status if isinstance(status, str) else "", until if isinstance(until, str) else "")
