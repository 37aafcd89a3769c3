"""1.6 and 2.0.1 side by side: enumerations, configuration keys, readings, tokens, profiles. All of it pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

STATUS: Final[Mapping[str, str]] = {
    "Available": "Available", "Preparing": "Occupied", "Charging": "Occupied", "SuspendedEV": "Occupied",
    "SuspendedEVSE": "Occupied", "Finishing": "Occupied", "Reserved": "Reserved", "Unavailable": "Unavailable",
    "Faulted": "Faulted",
}  # fmt: skip
"""ChargePointStatus → ConnectorStatusEnumType."""

CHARGING: Final[Mapping[str, str]] = {
    "Preparing": "EVConnected", "Charging": "Charging", "SuspendedEV": "SuspendedEV",
    "SuspendedEVSE": "SuspendedEVSE", "Finishing": "EVConnected",
}  # fmt: skip
"""ChargePointStatus → ChargingStateEnumType, while a transaction runs."""

STOPPED: Final[Mapping[str, tuple[str, str]]] = {
    # Reason → (ReasonEnumType, TriggerReasonEnumType)
    "Local": ("Local", "StopAuthorized"), "Remote": ("Remote", "RemoteStop"),
    "EVDisconnected": ("EVDisconnected", "EVCommunicationLost"), "DeAuthorized": ("DeAuthorized", "Deauthorized"),
    "HardReset": ("ImmediateReset", "ResetCommand"), "SoftReset": ("Reboot", "ResetCommand"),
    "Reboot": ("Reboot", "AbnormalCondition"), "PowerLoss": ("PowerLoss", "AbnormalCondition"),
    "EmergencyStop": ("EmergencyStop", "AbnormalCondition"), "UnlockCommand": ("Remote", "UnlockCommand"),
    "Other": ("Other", "AbnormalCondition"),
}  # fmt: skip

TAG: Final[Mapping[str, str]] = {
    "Accepted": "Accepted", "Blocked": "Blocked", "ConcurrentTx": "ConcurrentTx", "Expired": "Expired",
    "Invalid": "Invalid", "NoCredit": "Blocked", "NotAllowedTypeEVSE": "Blocked", "NotAtThisLocation": "Blocked",
    "NotAtThisTime": "Blocked", "Unknown": "Invalid",
}  # fmt: skip
"""AuthorizationStatusEnumType → AuthorizationStatus."""

LOG: Final[Mapping[str, str]] = {
    "Idle": "Idle", "Uploaded": "Uploaded", "UploadFailed": "UploadFailure", "Uploading": "Uploading",
}  # fmt: skip
"""DiagnosticsStatus → UploadLogStatusEnumType."""

TRIGGER: Final[Mapping[str, str]] = {
    "BootNotification": "BootNotification", "Heartbeat": "Heartbeat", "MeterValues": "MeterValues",
    "TransactionEvent": "MeterValues", "StatusNotification": "StatusNotification",
    "FirmwareStatusNotification": "FirmwareStatusNotification",
    "LogStatusNotification": "DiagnosticsStatusNotification",
}  # fmt: skip

PURPOSE: Final[Mapping[str, str]] = {
    "ChargingStationMaxProfile": "ChargePointMaxProfile", "TxDefaultProfile": "TxDefaultProfile",
    "TxProfile": "TxProfile",
}  # fmt: skip

_CONTEXT: Final[Mapping[str, str]] = {"Trigger": "Trigger", "Sample.Clock": "MeterValueClock"}

KEYS_COMPONENT: Final = "ConfigurationKeys"
"""Component of the 1.6 keys that 2.0.1 has no variable for; the variable is called as the key."""

VARIABLES: Final[Mapping[tuple[str, str, str], str]] = {
    # (component, variable, instance) → key
    ("OCPPCommCtrlr", "HeartbeatInterval", ""): "HeartbeatInterval",
    ("OCPPCommCtrlr", "WebSocketPingInterval", ""): "WebSocketPingInterval",
    ("OCPPCommCtrlr", "ResetRetries", ""): "ResetRetries",
    ("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"): "TransactionMessageAttempts",
    ("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent"): "TransactionMessageRetryInterval",
    ("SampledDataCtrlr", "TxUpdatedInterval", ""): "MeterValueSampleInterval",
    ("SampledDataCtrlr", "TxUpdatedMeasurands", ""): "MeterValuesSampledData",
    ("SampledDataCtrlr", "TxEndedMeasurands", ""): "StopTxnSampledData",
    ("AlignedDataCtrlr", "Interval", ""): "ClockAlignedDataInterval",
    ("AlignedDataCtrlr", "Measurands", ""): "MeterValuesAlignedData",
    ("AuthCtrlr", "LocalPreAuthorize", ""): "LocalPreAuthorize",
    ("AuthCtrlr", "LocalAuthorizeOffline", ""): "LocalAuthorizeOffline",
    ("AuthCtrlr", "OfflineTxForUnknownIdEnabled", ""): "AllowOfflineTxForUnknownId",
    ("AuthCtrlr", "AuthorizeRemoteStart", ""): "AuthorizeRemoteTxRequests",
    ("AuthCacheCtrlr", "Enabled", ""): "AuthorizationCacheEnabled",
    ("LocalAuthListCtrlr", "Enabled", ""): "LocalAuthListEnabled",
    ("TxCtrlr", "EVConnectionTimeOut", ""): "ConnectionTimeOut",
    ("TxCtrlr", "StopTxOnEVSideDisconnect", ""): "StopTransactionOnEVSideDisconnect",
    ("TxCtrlr", "StopTxOnInvalidId", ""): "StopTransactionOnInvalidId",
    ("SmartChargingCtrlr", "ProfileStackLevel", ""): "ChargeProfileMaxStackLevel",
    ("SmartChargingCtrlr", "RateUnit", ""): "ChargingScheduleAllowedChargingRateUnit",
    ("SmartChargingCtrlr", "PeriodsPerSchedule", ""): "ChargingScheduleMaxPeriods",
}
_BY_KEY: Final = {key: place for place, key in VARIABLES.items()}
COMPONENTS: Final = frozenset((KEYS_COMPONENT, *(component for component, _, _ in VARIABLES)))


def key_of(component: Mapping[str, Any], variable: Mapping[str, Any]) -> str | None:
    """The 1.6 key of a variable; None where there is none."""
    if component.get("name") == KEYS_COMPONENT:
        return str(variable.get("name"))[:50]
    return VARIABLES.get((str(component.get("name")), str(variable.get("name")), str(variable.get("instance") or "")))


def unknown(component: Mapping[str, Any]) -> str:
    """attributeStatus of a variable that there is not: its component is not there, either, or it alone is not."""
    return "UnknownVariable" if component.get("name") in COMPONENTS else "UnknownComponent"


def variable_of(key: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """(component, variable) as which a 1.6 key is shown."""
    component, name, instance = _BY_KEY.get(key, (KEYS_COMPONENT, key, ""))
    return {"name": component}, {"name": name, "instance": instance} if instance else {"name": name}


def meter_values(rows: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """1.6 meterValue → 2.0.1 MeterValueType; readings that are no figures, or of what 2.0.1 lacks, are left out."""
    found: list[dict[str, Any]] = []
    for row in rows:
        samples = [sample for each in row.get("sampledValue") or () if (sample := _sample(each)) is not None]
        if samples and isinstance(row.get("timestamp"), str):
            found.append({"timestamp": row["timestamp"], "sampledValue": samples})
    return found


def _sample(row: Mapping[str, Any]) -> dict[str, Any] | None:
    if row.get("format") == "SignedData" or row.get("measurand") in ("Temperature", "RPM"):
        return None
    try:
        value = Decimal(str(row["value"]).strip())
    except (InvalidOperation, KeyError):
        return None
    if not value.is_finite() or not -60 < value.adjusted() < 60:
        return None
    sample: dict[str, Any] = {"value": value}
    for name in ("context", "measurand", "phase", "location"):
        if row.get(name) is not None:
            sample[name] = row[name]
    if row.get("unit") is not None:
        sample["unitOfMeasure"] = {"unit": "Celsius" if row["unit"] == "Celcius" else row["unit"]}
    return sample


def register(timestamp: str, wh: int, context: str) -> dict[str, Any]:
    """A register at the begin or the end of a transaction."""
    sample = {
        "value": wh, "context": context, "measurand": "Energy.Active.Import.Register", "location": "Outlet",
        "unitOfMeasure": {"unit": "Wh"},
    }  # fmt: skip
    return {"timestamp": timestamp, "sampledValue": [sample]}


def trigger(rows: Iterable[Mapping[str, Any]]) -> str:
    """Why readings of a transaction are sent."""
    for row in rows:
        for each in row.get("sampledValue") or ():
            return _CONTEXT.get(str(each.get("context")), "MeterValuePeriodic")
    return "MeterValuePeriodic"


def tag_info(info: Mapping[str, Any]) -> dict[str, Any]:
    """IdTokenInfoType → IdTagInfo."""
    found: dict[str, Any] = {"status": TAG.get(str(info.get("status")), "Invalid")}
    if info.get("cacheExpiryDateTime") is not None:
        found["expiryDate"] = info["cacheExpiryDateTime"]
    group = info.get("groupIdToken")
    if isinstance(group, dict) and isinstance(name := group.get("idToken"), str) and 1 <= len(name) <= 20:  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        found["parentIdTag"] = name
    return found


def profile_16(profile: Mapping[str, Any], transaction: int | None) -> dict[str, Any] | None:
    """ChargingProfileType → ChargingProfile; None for what 1.6 cannot say."""
    purpose = PURPOSE.get(str(profile["chargingProfilePurpose"]))
    schedules = profile["chargingSchedule"]
    if purpose is None or len(schedules) != 1:
        return None
    periods: list[dict[str, Any]] = []
    for row in schedules[0]["chargingSchedulePeriod"]:
        if row.get("phaseToUse") is not None:
            return None
        # 1.6 has tenths: rounded down, so that it is never more than was said.
        limit = (Decimal(str(row["limit"])) * 10 // 1) / 10
        period: dict[str, Any] = {"startPeriod": row["startPeriod"], "limit": limit}
        if row.get("numberPhases") is not None:
            period["numberPhases"] = row["numberPhases"]
        periods.append(period)
    schedule: dict[str, Any] = {
        "chargingRateUnit": schedules[0]["chargingRateUnit"], "chargingSchedulePeriod": periods,
    }  # fmt: skip
    for name in ("duration", "startSchedule"):
        if schedules[0].get(name) is not None:
            schedule[name] = schedules[0][name]
    if schedules[0].get("minChargingRate") is not None:
        schedule["minChargingRate"] = (Decimal(str(schedules[0]["minChargingRate"])) * 10 // 1) / 10
    found: dict[str, Any] = {
        "chargingProfileId": profile["id"], "stackLevel": profile["stackLevel"],
        "chargingProfilePurpose": purpose, "chargingProfileKind": profile["chargingProfileKind"],
        "chargingSchedule": schedule,
    }  # fmt: skip
    for name in ("recurrencyKind", "validFrom", "validTo"):
        if profile.get(name) is not None:
            found[name] = profile[name]
    if transaction is not None:
        found["transactionId"] = transaction
    return found
