"""The settings of a station: one table that both 1.6 configuration keys and 2.x variables come from.

A station holds only what differs from the table, so a thousand stations share one catalogue.
Sources: OCPP 1.6 chapter 9, 1.6-J errata and the security whitepaper for the keys; 2.0.1 part 2 appendix and the
CSV of standardized component variables for the variables.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Literal, NamedTuple

import msgspec

from pilotwire.domain import web_payment

from .points import POINTS

Kind = Literal[
    "integer", "boolean", "string", "decimal", "MemberList", "SequenceList", "OptionList", "dateTime", "password"
]

MEASURANDS = (
    "Current.Export",
    "Current.Import",
    "Current.Offered",
    "Energy.Active.Export.Register",
    "Energy.Active.Import.Interval",
    "Energy.Active.Import.Register",
    "Frequency",
    "Power.Active.Export",
    "Power.Active.Import",
    "Power.Offered",
    "SoC",
    "Temperature",
    "Voltage",
)
"""What the simulated meter can measure."""

V2X_MEASURANDS = (
    *MEASURANDS,
    "Energy.Active.Net",
    "Power.Active.Residual",
    "Power.Active.Setpoint",
    "Power.Reactive.Export",
    "Power.Reactive.Import",
)
"""What can be measured besides while a car may give energy back (2.1 Q)."""
V2X_MODES = (
    "ChargingOnly",
    "CentralSetpoint",
    "CentralFrequency",
    "LocalFrequency",
    "LocalLoadBalancing",
    "ExternalSetpoint",
    "ExternalLimits",
    "Idle",
)
"""OperationModeEnumType."""

_SAMPLED = "Energy.Active.Import.Register,Power.Active.Import,Current.Import,Voltage,SoC"


class Variable(NamedTuple):
    """Where a setting lives in the 2.x device model."""

    component: str
    variable: str
    instance: str | None = None


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """One setting. `writable` False: ReadOnly."""

    name: str
    default: str
    kind: Kind = "integer"
    writable: bool = True
    reboot: bool = False
    """A change takes effect after a restart (answered RebootRequired)."""
    secret: bool = False
    """WriteOnly: never shown."""
    low: int | None = None
    high: int | None = None
    members: tuple[str, ...] = ()
    """Allowed members of a list, or options."""
    unit: str = ""
    key: str = ""
    """1.6 configuration key; empty: none."""
    variable: Variable | None = None
    feature: str = ""
    """Only a station with this feature has it (`StationConfig.features`)."""


def _int(
    name: str,
    default: int,
    key: str = "",
    var: Variable | None = None,
    *,
    low: int = 0,
    high: int = 2**31 - 1,
    writable: bool = True,
    unit: str = "",
) -> Setting:
    return Setting(
        name=name, default=str(default), low=low, high=high, key=key, variable=var, writable=writable, unit=unit
    )


def _bool(name: str, default: bool, key: str = "", var: Variable | None = None, *, writable: bool = True) -> Setting:
    return Setting(
        name=name, default="true" if default else "false", kind="boolean", key=key, variable=var, writable=writable
    )


def _list(
    name: str,
    default: str,
    members: tuple[str, ...],
    key: str = "",
    var: Variable | None = None,
    *,
    writable: bool = True,
    kind: Kind = "MemberList",
) -> Setting:
    return Setting(name=name, default=default, kind=kind, members=members, key=key, variable=var, writable=writable)


def _text(
    name: str,
    default: str,
    key: str = "",
    var: Variable | None = None,
    *,
    writable: bool = False,
    kind: Kind = "string",
    reboot: bool = False,
    secret: bool = False,
    high: int = 500,
) -> Setting:
    return Setting(
        name=name,
        default=default,
        kind=kind,
        key=key,
        variable=var,
        writable=writable,
        reboot=reboot,
        secret=secret,
        high=high,
    )


_V = Variable


def _for(feature: str, *settings: Setting) -> tuple[Setting, ...]:
    """Settings that only a station with `feature` has."""
    return tuple(msgspec.structs.replace(setting, feature=feature) for setting in settings)


def _decimal(name: str, default: str, var: Variable, *, writable: bool = True, unit: str = "") -> Setting:
    return Setting(name=name, default=default, kind="decimal", writable=writable, unit=unit, variable=var)


_WEB = ("maxcost", "maxenergy", "maxtime")
_CARD_DETAILS = (
    "SessionRef",
    "MerchantRef",
    "PaymentBrand",
    "ReadingMethod",
    "PaymentRecognition",
    "CardBin",
    "CardLast4Digits",
    "CardExpiryDate",
    "HashedCardNr",
    "WalletUserId",
)
"""What a terminal can tell of a payment (additionalInfo types of ad hoc payment)."""

_V2X = _for(
    "v2x",
    _bool("v2x_enabled", True, "", _V("V2XChargingCtrlr", "Enabled")),
    _bool("iso15118_enabled", True, "", _V("ISO15118Ctrlr", "Enabled")),
    _bool("renegotiation", True, "", _V("ISO15118Ctrlr", "ServiceRenegotiationSupport"), writable=False),
    _int("frequency_threshold", 10, "", _V("V2XChargingCtrlr", "LocalFrequencyUpdateThreshold"), high=5_000),
    *(
        _decimal(name, "", _V("V2XChargingCtrlr", "LocalLoadBalancing", instance), unit="W")
        for name, instance in (
            ("balance_upper", "UpperThreshold"),
            ("balance_lower", "LowerThreshold"),
            ("balance_upper_offset", "UpperOffset"),
            ("balance_lower_offset", "LowerOffset"),
        )
    ),
    *(
        _list(f"v2x_{kind}.{mode}", "", V2X_MEASURANDS, "", _V("V2XChargingCtrlr", variable, mode))
        for mode in V2X_MODES
        for kind, variable in (
            ("started", "TxStartedMeasurands"),
            ("sampled", "TxUpdatedMeasurands"),
            ("ended", "TxEndedMeasurands"),
        )
    ),
)

TABLE: tuple[Setting, ...] = (
    # communication
    _int("heartbeat_interval", 300, "HeartbeatInterval", _V("OCPPCommCtrlr", "HeartbeatInterval"), unit="s"),
    _int("ping_interval", 0, "WebSocketPingInterval", _V("OCPPCommCtrlr", "WebSocketPingInterval"), unit="s"),
    _int(
        "attempts", 3, "TransactionMessageAttempts", _V("OCPPCommCtrlr", "MessageAttempts", "TransactionEvent"), low=1
    ),
    _int(
        "attempt_interval",
        60,
        "TransactionMessageRetryInterval",
        _V("OCPPCommCtrlr", "MessageAttemptInterval", "TransactionEvent"),
        unit="s",
    ),
    _int("backoff_minimum", 10, "", _V("OCPPCommCtrlr", "RetryBackOffWaitMinimum"), unit="s"),
    _int("backoff_random", 10, "", _V("OCPPCommCtrlr", "RetryBackOffRandomRange"), unit="s"),
    _int("backoff_repeats", 4, "", _V("OCPPCommCtrlr", "RetryBackOffRepeatTimes"), high=16),
    _int("reset_retries", 0, "ResetRetries", _V("OCPPCommCtrlr", "ResetRetries")),
    _int("offline_threshold", 60, "", _V("OCPPCommCtrlr", "OfflineThreshold"), unit="s"),
    _int("message_timeout", 30, "", _V("OCPPCommCtrlr", "MessageTimeout", "Default"), writable=False, unit="s"),
    Setting(
        name="network_priority",
        default="1",
        kind="SequenceList",
        members=("1", "2", "3"),
        reboot=True,
        variable=_V("OCPPCommCtrlr", "NetworkConfigurationPriority"),
    ),
    _int("network_attempts", 3, "", _V("OCPPCommCtrlr", "NetworkProfileConnectionAttempts"), writable=False),
    _text("active_network", "1", "", _V("OCPPCommCtrlr", "ActiveNetworkProfile")),
    _list(
        "file_protocols",
        "",
        ("HTTP", "HTTPS", "FTP", "FTPS", "SFTP"),
        "",
        _V("OCPPCommCtrlr", "FileTransferProtocols"),
        writable=False,
    ),
    _bool(
        "unlock_on_disconnect",
        True,
        "UnlockConnectorOnEVSideDisconnect",
        _V("OCPPCommCtrlr", "UnlockOnEVSideDisconnect"),
    ),
    _bool("queue_all", False, "", _V("OCPPCommCtrlr", "QueueAllMessages"), writable=False),
    # transactions
    _int("connection_timeout", 60, "ConnectionTimeOut", _V("TxCtrlr", "EVConnectionTimeOut"), low=1, unit="s"),
    _bool("stop_on_disconnect", True, "StopTransactionOnEVSideDisconnect", _V("TxCtrlr", "StopTxOnEVSideDisconnect")),
    _bool("stop_on_invalid", True, "StopTransactionOnInvalidId", _V("TxCtrlr", "StopTxOnInvalidId")),
    _int("max_energy_invalid", 0, "MaxEnergyOnInvalidId", _V("TxCtrlr", "MaxEnergyOnInvalidId"), unit="Wh"),
    _list("start_point", "PowerPathClosed", POINTS, "", _V("TxCtrlr", "TxStartPoint")),
    _list("stop_point", "PowerPathClosed", POINTS, "", _V("TxCtrlr", "TxStopPoint")),
    _bool("before_accepted", True, "", _V("TxCtrlr", "TxBeforeAcceptedEnabled")),
    # authorization
    _bool("local_offline", True, "LocalAuthorizeOffline", _V("AuthCtrlr", "LocalAuthorizeOffline")),
    _bool("local_preauthorize", False, "LocalPreAuthorize", _V("AuthCtrlr", "LocalPreAuthorize")),
    _bool("authorize_remote", False, "AuthorizeRemoteTxRequests", _V("AuthCtrlr", "AuthorizeRemoteStart")),
    _bool("offline_unknown", False, "AllowOfflineTxForUnknownId", _V("AuthCtrlr", "OfflineTxForUnknownIdEnabled")),
    _bool("auth_enabled", True, "", _V("AuthCtrlr", "Enabled"), writable=False),
    _text("master_group", "", "", _V("AuthCtrlr", "MasterPassGroupId"), writable=True, high=36),
    _bool("cache_enabled", True, "AuthorizationCacheEnabled", _V("AuthCacheCtrlr", "Enabled")),
    _int("cache_lifetime", 90 * 86_400, "", _V("AuthCacheCtrlr", "LifeTime"), low=1, unit="s"),
    _bool("cache_available", True, "", _V("AuthCacheCtrlr", "Available"), writable=False),
    _bool("list_enabled", True, "LocalAuthListEnabled", _V("LocalAuthListCtrlr", "Enabled")),
    _bool("list_expiry", True, "", _V("LocalAuthListCtrlr", "SupportsExpiryDateTime"), writable=False),
    _bool("list_available", True, "", _V("LocalAuthListCtrlr", "Available"), writable=False),
    _int("list_max", 500, "LocalAuthListMaxLength", None, writable=False),
    _int("list_items", 100, "SendLocalListMaxLength", _V("LocalAuthListCtrlr", "ItemsPerMessage"), writable=False),
    _int("list_bytes", 65_536, "", _V("LocalAuthListCtrlr", "BytesPerMessage"), writable=False, unit="B"),
    # metering
    _int("sample_interval", 60, "MeterValueSampleInterval", _V("SampledDataCtrlr", "TxUpdatedInterval"), unit="s"),
    _list("sampled", _SAMPLED, MEASURANDS, "MeterValuesSampledData", _V("SampledDataCtrlr", "TxUpdatedMeasurands")),
    _list("started", "Energy.Active.Import.Register", MEASURANDS, "", _V("SampledDataCtrlr", "TxStartedMeasurands")),
    _list(
        "ended",
        "Energy.Active.Import.Register",
        MEASURANDS,
        "StopTxnSampledData",
        _V("SampledDataCtrlr", "TxEndedMeasurands"),
    ),
    _int("ended_interval", 0, "", _V("SampledDataCtrlr", "TxEndedInterval"), unit="s"),
    _bool("sampled_available", True, "", _V("SampledDataCtrlr", "Available"), writable=False),
    _bool("sampled_enabled", True, "", _V("SampledDataCtrlr", "Enabled"), writable=False),
    _bool("register_without_phases", True, "", _V("SampledDataCtrlr", "RegisterValuesWithoutPhases"), writable=False),
    _int("aligned_interval", 0, "ClockAlignedDataInterval", _V("AlignedDataCtrlr", "Interval"), high=86_400, unit="s"),
    _list(
        "aligned",
        "Energy.Active.Import.Register",
        MEASURANDS,
        "MeterValuesAlignedData",
        _V("AlignedDataCtrlr", "Measurands"),
    ),
    _int("aligned_ended_interval", 0, "", _V("AlignedDataCtrlr", "TxEndedInterval"), high=86_400, unit="s"),
    _list("aligned_ended", "", MEASURANDS, "StopTxnAlignedData", _V("AlignedDataCtrlr", "TxEndedMeasurands")),
    _bool("aligned_idle", False, "", _V("AlignedDataCtrlr", "SendDuringIdle")),
    _bool("aligned_available", True, "", _V("AlignedDataCtrlr", "Available"), writable=False),
    _bool("aligned_enabled", True, "", _V("AlignedDataCtrlr", "Enabled"), writable=False),
    _int("sampled_max", len(MEASURANDS), "MeterValuesSampledDataMaxLength", None, writable=False),
    _int("ended_max", len(MEASURANDS), "StopTxnSampledDataMaxLength", None, writable=False),
    _int("aligned_max", len(MEASURANDS), "MeterValuesAlignedDataMaxLength", None, writable=False),
    _int("aligned_ended_max", len(MEASURANDS), "StopTxnAlignedDataMaxLength", None, writable=False),
    # smart charging
    _int("max_stack", 20, "ChargeProfileMaxStackLevel", _V("SmartChargingCtrlr", "ProfileStackLevel"), writable=False),
    _list(
        "rate_units",
        "Current,Power",
        ("Current", "Power"),
        "ChargingScheduleAllowedChargingRateUnit",
        None,
        writable=False,
    ),
    _list("rate_units_2", "A,W", ("A", "W"), "", _V("SmartChargingCtrlr", "RateUnit"), writable=False),
    _int(
        "max_periods", 100, "ChargingScheduleMaxPeriods", _V("SmartChargingCtrlr", "PeriodsPerSchedule"), writable=False
    ),
    _int("max_profiles", 50, "MaxChargingProfilesInstalled", None, writable=False),
    _bool(
        "phase_switch",
        False,
        "ConnectorSwitch3to1PhaseSupported",
        _V("SmartChargingCtrlr", "Phases3to1"),
        writable=False,
    ),
    _bool("smart_available", True, "", _V("SmartChargingCtrlr", "Available"), writable=False),
    _bool("smart_enabled", True, "", _V("SmartChargingCtrlr", "Enabled"), writable=False),
    Setting(
        name="limit_significance",
        default="1",
        kind="decimal",
        writable=False,
        unit="Percent",
        variable=_V("SmartChargingCtrlr", "LimitChangeSignificance"),
    ),
    _bool("limit_schedules", True, "", _V("SmartChargingCtrlr", "NotifyChargingLimitWithSchedules")),
    _int("max_external_id", -1, "", _V("SmartChargingCtrlr", "MaxExternalConstraintsId"), low=-(2**31)),
    _bool("external_disallowed", False, "", _V("SmartChargingCtrlr", "ExternalConstraintsProfileDisallowed")),
    _list(
        "additional_purposes",
        "PriorityCharging,LocalGeneration",
        ("PriorityCharging", "LocalGeneration"),
        "",
        _V("SmartChargingCtrlr", "SupportedAdditionalPurposes"),
        writable=False,
    ),
    Setting(
        name="setpoint_priority",
        default="ExternalControl",
        kind="OptionList",
        members=("ExternalControl", "CSMS"),
        variable=_V("SmartChargingCtrlr", "SetpointPriority"),
    ),
    _bool("dynamic_supported", True, "", _V("SmartChargingCtrlr", "SupportsDynamicProfiles"), writable=False),
    _bool("max_offline_supported", True, "", _V("SmartChargingCtrlr", "SupportsMaxOfflineDuration"), writable=False),
    _bool("local_time_supported", True, "", _V("SmartChargingCtrlr", "SupportsUseLocalTime"), writable=False),
    _bool("random_delay_supported", True, "", _V("SmartChargingCtrlr", "SupportsRandomizedDelay"), writable=False),
    _bool("limit_at_soc_supported", True, "", _V("SmartChargingCtrlr", "SupportsLimitAtSoC"), writable=False),
    _bool("sleep_supported", True, "", _V("SmartChargingCtrlr", "SupportsEvseSleep"), writable=False),
    _text("time_zone", "", "", _V("ClockCtrlr", "TimeZone"), writable=True, high=60),
    # firmware
    _bool("sessions_before_update", False, "", _V("ChargingStation", "AllowNewSessionsPendingFirmwareUpdate")),
    # triggers
    _list(
        "custom_triggers",
        "Heartbeat,MeterValues",
        ("Heartbeat", "MeterValues"),
        "",
        _V("CustomizationCtrlr", "CustomTriggers"),
        writable=False,
    ),
    # reservation
    _bool("reservation_available", True, "", _V("ReservationCtrlr", "Available"), writable=False),
    _bool("reservation_enabled", True, "", _V("ReservationCtrlr", "Enabled")),
    _bool(
        "reserve_any",
        True,
        "ReserveConnectorZeroSupported",
        _V("ReservationCtrlr", "NonEvseSpecific"),
        writable=False,
    ),
    # monitoring
    _bool("monitoring_available", True, "", _V("MonitoringCtrlr", "Available"), writable=False),
    _bool("monitoring_enabled", True, "", _V("MonitoringCtrlr", "Enabled")),
    _int("offline_severity", 4, "", _V("MonitoringCtrlr", "OfflineQueuingSeverity"), high=9),
    _int(
        "monitor_items",
        50,
        "",
        _V("MonitoringCtrlr", "ItemsPerMessage", "SetVariableMonitoring"),
        writable=False,
    ),
    _int(
        "monitor_bytes",
        65_536,
        "",
        _V("MonitoringCtrlr", "BytesPerMessage", "SetVariableMonitoring"),
        writable=False,
        unit="B",
    ),
    _int(
        "monitor_clear_items",
        50,
        "",
        _V("MonitoringCtrlr", "ItemsPerMessage", "ClearVariableMonitoring"),
        writable=False,
    ),
    _int(
        "monitor_clear_bytes",
        65_536,
        "",
        _V("MonitoringCtrlr", "BytesPerMessage", "ClearVariableMonitoring"),
        writable=False,
        unit="B",
    ),
    # display
    _bool("display_available", True, "", _V("DisplayMessageCtrlr", "Available"), writable=False),
    _bool("display_enabled", True, "", _V("DisplayMessageCtrlr", "Enabled")),
    _list(
        "display_states",
        "Charging,Faulted,Idle,Unavailable",
        ("Charging", "Faulted", "Idle", "Unavailable"),
        "",
        _V("DisplayMessageCtrlr", "SupportedStates"),
        writable=False,
    ),
    _list(
        "display_formats",
        "ASCII,UTF8",
        ("ASCII", "UTF8"),
        "",
        _V("DisplayMessageCtrlr", "SupportedFormats"),
        writable=False,
    ),
    _list(
        "display_priorities",
        "AlwaysFront,InFront,NormalCycle",
        ("AlwaysFront", "InFront", "NormalCycle"),
        "",
        _V("DisplayMessageCtrlr", "SupportedPriorities"),
        writable=False,
    ),
    Setting(
        name="display_language",
        default="en",
        kind="OptionList",
        members=("en", "de", "fr", "nl"),
        variable=_V("DisplayMessageCtrlr", "Language"),
    ),
    # tariff and cost
    _bool("tariff_available", True, "", _V("TariffCostCtrlr", "Available", "Tariff"), writable=False),
    _bool("tariff_enabled", True, "", _V("TariffCostCtrlr", "Enabled", "Tariff")),
    _bool("cost_available", True, "", _V("TariffCostCtrlr", "Available", "Cost"), writable=False),
    _bool("cost_enabled", True, "", _V("TariffCostCtrlr", "Enabled", "Cost")),
    _bool("running_cost", False, "", _V("TariffCostCtrlr", "Enabled", "RunningCost")),
    _bool("cost_display", False, "CustomDisplayCostAndPrice"),
    _int("cost_interval", 60, "", _V("TariffCostCtrlr", "Interval", "Cost"), low=1, unit="s"),
    _int("tariff_interval", 0, "", _V("TariffCostCtrlr", "Interval", "Tariff"), unit="s"),
    _int("tariff_elements", 20, "", _V("TariffCostCtrlr", "MaxElements", "Tariff"), writable=False),
    _bool("tariff_conditions", True, "", _V("TariffCostCtrlr", "ConditionsSupported", "Tariff"), writable=False),
    Setting(
        name="tariff_failed",
        default="UseDefaultTariff",
        kind="OptionList",
        members=("Deauthorize", "UseDefaultTariff", "CentralCost"),
        variable=_V("TariffCostCtrlr", "HandleFailedTariff", "Tariff"),
    ),
    _bool("tariff_problem", False, "", _V("TariffCostCtrlr", "Problem"), writable=False),
    _text("currency", "EUR", "", _V("TariffCostCtrlr", "Currency"), writable=True, high=3),
    _text("tariff_fallback", "", "", _V("TariffCostCtrlr", "TariffFallbackMessage"), writable=True, high=512),
    _text(
        "offline_tariff_fallback",
        "",
        "",
        _V("TariffCostCtrlr", "OfflineTariffFallbackMessage"),
        writable=True,
        high=512,
    ),
    _text("total_cost_fallback", "", "", _V("TariffCostCtrlr", "TotalCostFallbackMessage"), writable=True, high=512),
    _list(
        "limits_supported",
        "maxCost,maxEnergy,maxSoC,maxTime",
        ("maxCost", "maxEnergy", "maxSoC", "maxTime"),
        "",
        _V("TxCtrlr", "SupportedLimits"),
        writable=False,
    ),
    # security
    _text("organization", "Pilotwire", "CpoName", _V("SecurityCtrlr", "OrganizationName"), writable=True),
    _text(
        "password",
        "",
        "AuthorizationKey",
        _V("SecurityCtrlr", "BasicAuthPassword"),
        writable=True,
        kind="password",
        secret=True,
        high=64,
    ),
    _int("sign_wait", 60, "", _V("SecurityCtrlr", "CertSigningWaitMinimum"), low=1, unit="s"),
    _int("sign_repeats", 3, "", _V("SecurityCtrlr", "CertSigningRepeatTimes"), high=16),
    _int(
        "chain_size",
        10_000,
        "CertificateSignedMaxChainSize",
        _V("SecurityCtrlr", "MaxCertificateChainSize"),
        high=10_000,
        writable=False,
    ),
    _bool(
        "root_check",
        False,
        "AdditionalRootCertificateCheck",
        _V("SecurityCtrlr", "AdditionalRootCertificateCheck"),
        writable=False,
    ),
    _bool("allow_downgrade", False, "", _V("SecurityCtrlr", "AllowSecurityProfileDowngrade"), writable=False),
    _int("certificates_max", 20, "CertificateStoreMaxLength", writable=False),
    # clock
    _list(
        "time_source",
        "Heartbeat",
        ("Heartbeat",),
        "",
        _V("ClockCtrlr", "TimeSource"),
        writable=False,
        kind="SequenceList",
    ),
    # device data
    _int("report_items", 50, "", _V("DeviceDataCtrlr", "ItemsPerMessage", "GetReport"), writable=False),
    _int("get_items", 50, "", _V("DeviceDataCtrlr", "ItemsPerMessage", "GetVariables"), writable=False),
    _int("set_items", 50, "", _V("DeviceDataCtrlr", "ItemsPerMessage", "SetVariables"), writable=False),
    _int("report_bytes", 65_536, "", _V("DeviceDataCtrlr", "BytesPerMessage", "GetReport"), writable=False, unit="B"),
    _int("get_bytes", 65_536, "", _V("DeviceDataCtrlr", "BytesPerMessage", "GetVariables"), writable=False, unit="B"),
    _int("set_bytes", 65_536, "", _V("DeviceDataCtrlr", "BytesPerMessage", "SetVariables"), writable=False, unit="B"),
    *_V2X,
    *_for(
        "swap",
        _int("swap_target", 80, "", _V("BatterySwapCtrlr", "TargetSoc"), high=100, unit="Percent"),
        _int("swap_max", 95, "", _V("BatterySwapCtrlr", "MaxSoc"), high=100, unit="Percent"),
        _text("swap_token", "", "", _V("BatterySwapCtrlr", "IdToken"), writable=True, high=255),
        _int("swap_in_timeout", 120, "", _V("BatterySwapCtrlr", "Timeout", "In"), low=1, unit="s"),
        _int("swap_out_timeout", 120, "", _V("BatterySwapCtrlr", "Timeout", "Out"), low=1, unit="s"),
    ),
    *_for(
        "pnc",
        _bool("pnc_enabled", True, "", _V("ISO15118Ctrlr", "PnCEnabled")),
        _bool("contract_central", False, "", _V("ISO15118Ctrlr", "CentralContractValidationAllowed")),
        _bool("contract_offline", False, "", _V("ISO15118Ctrlr", "ContractValidationOffline")),
        _bool("contract_install", True, "", _V("ISO15118Ctrlr", "ContractCertificateInstallationEnabled")),
    ),
    *_for(
        "payment",
        _bool("payment_enabled", True, "", _V("PaymentCtrlr", "Enabled")),
        _bool("payment_problem", False, "", _V("PaymentCtrlr", "Problem"), writable=False),
        _bool("payment_authorize", False, "", _V("PaymentCtrlr", "AuthorizeDirectPayment")),
        _decimal("payment_amount", "50", _V("PaymentCtrlr", "AuthorizationAmount")),
        _decimal("payment_increment", "0", _V("PaymentCtrlr", "IncrementalAuthorizationAmount")),
        _decimal("payment_threshold", "5", _V("PaymentCtrlr", "IncrementalAuthorizationThreshold")),
        _list("payment_details", "CardLast4Digits", _CARD_DETAILS, "", _V("PaymentCtrlr", "PaymentDetails")),
        _bool("payment_by_csms", False, "", _V("PaymentCtrlr", "SettlementByCSMS")),
        _text("payment_receipts", "", "", _V("PaymentCtrlr", "ReceiptServerUrl"), writable=True),
        _bool("payment_receipt_by_csms", True, "", _V("PaymentCtrlr", "ReceiptByCSMS")),
        *(
            _text(f"merchant.{name}", "", "", _V("PaymentCtrlr", "Merchant", name), writable=True)
            for name in ("Id", "TaxId", "Name", "Address", "City")
        ),
        *(
            _text(f"terminal.{variable}", "", "", _V("PaymentCtrlr", variable))
            for variable in (
                "TerminalID",
                "PaymentServiceProvider",
                "VendorName",
                "Model",
                "SerialNumber",
                "FirmwareVersion",
                "IMSI",
                "ICCID",
            )
        ),
        _bool("terminal_connected", True, "", _V("PaymentCtrlr", "Connected"), writable=False),
    ),
    *_for(
        "resume",
        _int("resumption_timeout", 0, "", _V("TxCtrlr", "ResumptionTimeout"), unit="s"),
        _bool("resume_energy", False, "", _V("TxCtrlr", "AllowEnergyTransferResumption")),
        _int("resume_random", 0, "", _V("TxCtrlr", "EnergyTransferResumptionRandomRange"), unit="s"),
    ),
    *_for(
        "signing",
        _bool("sign_readings", False, "", _V("SampledDataCtrlr", "SignReadings")),
        _bool("sign_started", True, "", _V("SampledDataCtrlr", "SignStartedReadings")),
        _bool("sign_updated", True, "", _V("SampledDataCtrlr", "SignUpdatedReadings")),
        _bool("sign_aligned", False, "", _V("AlignedDataCtrlr", "SignReadings")),
        _bool("sign_aligned_updated", True, "", _V("AlignedDataCtrlr", "SignUpdatedReadings")),
        Setting(
            name="public_key",
            default="OncePerTransaction",
            kind="OptionList",
            members=("Never", "OncePerTransaction", "EveryMeterValue"),
            variable=_V("OCPPCommCtrlr", "PublicKeyWithSignedMeterValue"),
        ),
    ),
    *_for(
        "webpay",
        _bool("web_enabled", True, "", _V("WebPaymentsCtrlr", "Enabled")),
        _text("web_template", "", "", _V("WebPaymentsCtrlr", "URLTemplate"), writable=True),
        _list("web_parameters", ",".join(_WEB), _WEB, "", _V("WebPaymentsCtrlr", "URLParameters"), writable=False),
        _list("web_version", "v1", ("v1",), "", _V("WebPaymentsCtrlr", "TOTPVersion"), kind="OptionList"),
        _text("web_station", "", "", _V("WebPaymentsCtrlr", "ChargingStationId"), writable=True, high=255),
        _text("web_roaming", "", "", _V("WebPaymentsCtrlr", "RoamingEvseId"), writable=True, high=255),
        _int("web_validity", 30, "", _V("WebPaymentsCtrlr", "ValidityTime"), low=6, high=3600, unit="s"),
        _text("web_secret", "", "", _V("WebPaymentsCtrlr", "SharedSecret"), writable=True, secret=True),
        _int("web_length", 8, "", _V("WebPaymentsCtrlr", "Length"), low=6, high=32),
    ),
    # 1.6 only
    _int("blink_repeat", 3, "BlinkRepeat"),
    _int("light_intensity", 80, "LightIntensity", high=100),
    _int("minimum_status", 0, "MinimumStatusDuration", high=0),
    _text("phase_rotation", "", "ConnectorPhaseRotation", writable=True),
    _int("max_keys", 100, "GetConfigurationMaxKeys", writable=False),
    _text(
        "feature_profiles",
        "Core,FirmwareManagement,LocalAuthListManagement,Reservation,SmartCharging,RemoteTrigger",
        "SupportedFeatureProfiles",
    ),
    _int("feature_profiles_max", 6, "SupportedFeatureProfilesMaxLength", writable=False),
)
BY_NAME: Mapping[str, Setting] = {setting.name: setting for setting in TABLE}
BY_KEY: Mapping[str, Setting] = {setting.key.lower(): setting for setting in TABLE if setting.key}
"""1.6 keys are case-insensitive (CiString)."""
BY_VARIABLE: Mapping[tuple[str, str, str | None], Setting] = {
    (s.variable.component.lower(), s.variable.variable.lower(), s.variable.instance and s.variable.instance.lower()): s
    for s in TABLE
    if s.variable
}

Verdict = Literal["Accepted", "Rejected", "RebootRequired"]


class Settings:
    """The settings of one station: the table, the factory's differences, and what was set since."""

    __slots__ = ("_changed", "_factory", "_overrides")

    def __init__(self, factory: Mapping[str, str], changed: Callable[[str], None]) -> None:
        """`changed` is told the name after an accepted change. Raises KeyError for an unknown factory name."""
        for name in factory:
            BY_NAME[name]
        self._factory = factory
        self._overrides: dict[str, str] = {}
        self._changed = changed

    def restore(self, overrides: Mapping[str, str]) -> None:
        """What an earlier run had stored; names that no longer exist are left out."""
        self._overrides = {name: value for name, value in overrides.items() if name in BY_NAME}

    @property
    def overrides(self) -> Mapping[str, str]:
        return self._overrides

    def text(self, name: str) -> str:
        value = self._overrides.get(name)
        if value is None:
            value = self._factory.get(name)
        return BY_NAME[name].default if value is None else value

    def number(self, name: str) -> int:
        return int(self.text(name))

    def flag(self, name: str) -> bool:
        return self.text(name) == "true"

    def members(self, name: str) -> tuple[str, ...]:
        return tuple(part.strip() for part in self.text(name).split(",") if part.strip())

    def options(self, name: str) -> tuple[str, ...]:
        """The options of an OptionList."""
        return BY_NAME[name].members

    def change(self, setting: Setting, value: str) -> Verdict:
        """Set by the CSMS: Rejected when it is read-only or not a value of its kind and range."""
        if not setting.writable:
            return "Rejected"
        cleaned = clean(setting, value)
        if cleaned is None or self._upside_down(setting.name, cleaned):
            return "Rejected"
        return self.put(setting, cleaned)

    def _upside_down(self, name: str, value: str) -> bool:
        """What would be no use: transactions that never begin or end; what is charged at most below what may be handed
        out (S04.FR.10)."""
        if name in ("start_point", "stop_point"):
            return not value
        if name == "web_template":
            return bool(value) and not web_payment.is_template(value)  # C25.FR.50
        if name == "swap_max":
            return int(value) < self.number("swap_target")
        return name == "swap_target" and int(value) > self.number("swap_max")

    def put(self, setting: Setting, value: str) -> Verdict:
        """Set by the station itself, without asking whether it is writable."""
        if value != self.text(setting.name):
            self._overrides[setting.name] = value
            self._changed(setting.name)
        return "RebootRequired" if setting.reboot else "Accepted"


def clean(setting: Setting, value: str) -> str | None:
    """`value` in its canonical spelling; None when the setting cannot take it."""
    if setting.kind == "integer":
        try:
            number = int(value)
        except ValueError:
            return None
        if (setting.low is not None and number < setting.low) or (setting.high is not None and number > setting.high):
            return None
        return str(number)
    if setting.kind == "boolean":
        lowered = value.strip().lower()
        return lowered if lowered in ("true", "false") else None
    if setting.kind in ("MemberList", "SequenceList"):
        parts = [part.strip() for part in value.split(",") if part.strip()]
        if setting.members and any(part not in setting.members for part in parts):
            return None
        return ",".join(parts)
    if setting.kind == "decimal" and (value or setting.default):
        try:
            return value if Decimal(value).is_finite() else None
        except InvalidOperation:
            return None
    if setting.kind == "OptionList" and setting.members and value not in setting.members:
        return None
    return value if len(value) <= (setting.high or 500) else None
