"""The configuration keys of OCPP 1.6, with those of the security and Plug & Charge extensions."""

from __future__ import annotations

from .entry import Entry, Kind, Mutability

_PHASES = ("NotApplicable", "Unknown", "RST", "RTS", "SRT", "STR", "TRS", "TSR")


def _key(
    name: str,
    kind: Kind,
    mutability: Mutability,
    profile: str,
    text: str,
    *,
    unit: str = "",
    required: bool = False,
    low: int | None = None,
    high: int | None = None,
    values: tuple[str, ...] = (),
    reboot: bool = False,
) -> Entry:
    if kind == "integer" and low is None:
        low = 0
    return Entry(
        "", name, kind, mutability, text, unit, values, low, high, required=required, reboot=reboot, profile=profile
    )


_CORE, _AUTH, _RESERVE, _SMART = "Core", "LocalAuthListManagement", "Reservation", "SmartCharging"
_SECURE, _PNC, _FILES = "Security", "PlugAndCharge", "FirmwareManagement"

TABLE: tuple[Entry, ...] = (
    # -- Core ---------------------------------------------------------------------------------------------------------
    _key("AllowOfflineTxForUnknownId", "boolean", "ReadWrite", _CORE,
         "While the station is offline it also starts charging for tokens that it does not know; they are checked "
         "once the connection is back."),
    _key("AuthorizationCacheEnabled", "boolean", "ReadWrite", _CORE,
         "The station remembers tokens that were accepted and uses that memory to decide by itself."),
    _key("AuthorizeRemoteTxRequests", "boolean", "ReadWrite", _CORE, required=True, text=
         "A remote start is checked like a presented card before charging begins; otherwise it starts at once."),
    _key("BlinkRepeat", "integer", "ReadWrite", _CORE,
         "How often the lights blink to acknowledge something."),
    _key("ClockAlignedDataInterval", "integer", "ReadWrite", _CORE, unit="s", required=True, text=
         "Distance of the meter readings that are taken at fixed times of the day (900: every quarter of an hour on "
         "the clock). 0 switches them off."),
    _key("ConnectionTimeOut", "integer", "ReadWrite", _CORE, unit="s", required=True, text=
         "How long after authorization the driver has to plug in before the session is given up."),
    _key("ConnectorPhaseRotation", "MemberList", "ReadWrite", _CORE, required=True, text=
         "How each connector's phases are wired to the grid's, as `0.RST,1.RST,2.RTS` (0: the station's own feed). "
         "Load balancing by phase relies on it."),
    _key("ConnectorPhaseRotationMaxLength", "integer", "ReadOnly", _CORE,
         "How many entries ConnectorPhaseRotation may have."),
    _key("GetConfigurationMaxKeys", "integer", "ReadOnly", _CORE, required=True, text=
         "How many keys may be asked for in one GetConfiguration."),
    _key("HeartbeatInterval", "integer", "ReadWrite", _CORE, unit="s", required=True, text=
         "After so long without any message the station sends a Heartbeat, which also sets its clock."),
    _key("LightIntensity", "integer", "ReadWrite", _CORE, unit="Percent", high=100, text=
         "Brightness of the station's lights."),
    _key("LocalAuthorizeOffline", "boolean", "ReadWrite", _CORE, required=True, text=
         "While offline the station may start charging for tokens of its local list or cache."),
    _key("LocalPreAuthorize", "boolean", "ReadWrite", _CORE, required=True, text=
         "While online the station starts at once for tokens that it knows and asks the central system afterwards."),
    _key("MaxEnergyOnInvalidId", "integer", "ReadWrite", _CORE, unit="Wh", text=
         "What may still be delivered when a token turns out to be refused after charging has begun."),
    _key("MeterValuesAlignedData", "MemberList", "ReadWrite", _CORE, required=True, text=
         "Which measurands are sent in the readings at fixed times (ClockAlignedDataInterval)."),
    _key("MeterValuesAlignedDataMaxLength", "integer", "ReadOnly", _CORE,
         "How many measurands MeterValuesAlignedData may name."),
    _key("MeterValuesSampledData", "MemberList", "ReadWrite", _CORE, required=True, text=
         "Which measurands are sent while charging (MeterValueSampleInterval), e.g. Energy.Active.Import.Register, "
         "Power.Active.Import, SoC. Without power here the live pictures derive it from the energy."),
    _key("MeterValuesSampledDataMaxLength", "integer", "ReadOnly", _CORE,
         "How many measurands MeterValuesSampledData may name."),
    _key("MeterValueSampleInterval", "integer", "ReadWrite", _CORE, unit="s", required=True, text=
         "Distance of the meter readings while charging. 0 switches them off; 30 to 60 is usual."),
    _key("MinimumStatusDuration", "integer", "ReadWrite", _CORE, unit="s", text=
         "A status is reported only when it has lasted this long, so that short changes make no noise."),
    _key("NumberOfConnectors", "integer", "ReadOnly", _CORE, required=True, text=
         "How many connectors the station has."),
    _key("ResetRetries", "integer", "ReadWrite", _CORE, required=True, text=
         "How often the station tries again when a reset has failed."),
    _key("StopTransactionOnEVSideDisconnect", "boolean", "ReadWrite", _CORE, required=True, text=
         "Pulling the plug out of the car ends the session; otherwise charging goes on when it is plugged in again."),
    _key("StopTransactionOnInvalidId", "boolean", "ReadWrite", _CORE, required=True, text=
         "A session whose token turns out to be refused is ended; otherwise only its power is cut."),
    _key("StopTxnAlignedData", "MemberList", "ReadWrite", _CORE, required=True, text=
         "Which readings at fixed times are repeated in the message that ends a session."),
    _key("StopTxnAlignedDataMaxLength", "integer", "ReadOnly", _CORE,
         "How many measurands StopTxnAlignedData may name."),
    _key("StopTxnSampledData", "MemberList", "ReadWrite", _CORE, required=True, text=
         "Which readings taken while charging are repeated in the message that ends a session."),
    _key("StopTxnSampledDataMaxLength", "integer", "ReadOnly", _CORE,
         "How many measurands StopTxnSampledData may name."),
    _key("SupportedFeatureProfiles", "MemberList", "ReadOnly", _CORE, required=True, text=
         "Which parts of OCPP 1.6 the station has.", values=(
             "Core", "FirmwareManagement", "LocalAuthListManagement", "RemoteTrigger", "Reservation", "SmartCharging")),
    _key("SupportedFeatureProfilesMaxLength", "integer", "ReadOnly", _CORE,
         "How many entries SupportedFeatureProfiles may have."),
    _key("TransactionMessageAttempts", "integer", "ReadWrite", _CORE, required=True, text=
         "How often a message about a session is sent again when the central system answers with an error."),
    _key("TransactionMessageRetryInterval", "integer", "ReadWrite", _CORE, unit="s", required=True, text=
         "Wait before such a message is sent again; multiplied by the number of attempts before it."),
    _key("UnlockConnectorOnEVSideDisconnect", "boolean", "ReadWrite", _CORE, required=True, text=
         "The cable is released at the station as soon as it is pulled out of the car."),
    _key("WebSocketPingInterval", "integer", "ReadWrite", _CORE, unit="s", text=
         "Distance of the pings that keep the connection open through routers. 0 switches them off."),
    # -- local list ---------------------------------------------------------------------------------------------------
    _key("LocalAuthListEnabled", "boolean", "ReadWrite", _AUTH, required=True, text=
         "The station uses the list of tokens that the central system has sent it."),
    _key("LocalAuthListMaxLength", "integer", "ReadOnly", _AUTH, required=True, text=
         "How many tokens that list may hold."),
    _key("SendLocalListMaxLength", "integer", "ReadOnly", _AUTH, required=True, text=
         "How many tokens one SendLocalList may carry."),
    # -- reservation --------------------------------------------------------------------------------------------------
    _key("ReserveConnectorZeroSupported", "boolean", "ReadOnly", _RESERVE,
         "The whole station can be reserved, not only one of its connectors."),
    # -- smart charging -----------------------------------------------------------------------------------------------
    _key("ChargeProfileMaxStackLevel", "integer", "ReadOnly", _SMART, required=True, text=
         "The highest stack level of a charging profile; a higher one overrules a lower one."),
    _key("ChargingScheduleAllowedChargingRateUnit", "MemberList", "ReadOnly", _SMART, required=True,
         values=("Current", "Power"), text="Whether limits may be given in ampere, in watt, or in both."),
    _key("ChargingScheduleMaxPeriods", "integer", "ReadOnly", _SMART, required=True, text=
         "How many periods one charging schedule may have."),
    _key("ConnectorSwitch3to1PhaseSupported", "boolean", "ReadOnly", _SMART,
         "The station can go from three phases to one while charging, to reach lower powers."),
    _key("MaxChargingProfilesInstalled", "integer", "ReadOnly", _SMART, required=True, text=
         "How many charging profiles the station keeps at the same time."),
    # -- firmware and files -------------------------------------------------------------------------------------------
    _key("SupportedFileTransferProtocols", "MemberList", "ReadOnly", _FILES,
         values=("FTP", "FTPS", "HTTP", "HTTPS", "SFTP"), text=
         "By which protocols the station fetches firmware and uploads diagnostics."),
    # -- security -----------------------------------------------------------------------------------------------------
    _key("AdditionalRootCertificateCheck", "boolean", "ReadOnly", _SECURE,
         "The station takes only one root certificate of the central system beside the manufacturer's, and a new one "
         "must be signed by the old."),
    _key("AuthorizationKey", "string", "WriteOnly", _SECURE,
         "The password with which the station logs in (HTTP Basic). It cannot be read back. Change it here and in the "
         "station's account together, else the station cannot come back.", reboot=True),
    _key("CertificateSignedMaxChainSize", "integer", "ReadOnly", _SECURE, unit="B", text=
         "How large a certificate chain in CertificateSigned may be."),
    _key("CertificateStoreMaxLength", "integer", "ReadOnly", _SECURE,
         "How many root certificates the station can keep."),
    _key("CpoName", "string", "ReadWrite", _SECURE,
         "The operator's name: the organization in the station's own certificate. Security profile 3 compares it."),
    _key("SecurityProfile", "integer", "ReadWrite", _SECURE, high=3, reboot=True, text=
         "How the station connects: 1 password, 2 TLS and password, 3 TLS with its own certificate. It can be raised "
         "but not lowered from here; set the station's account to the same profile."),
    # -- Plug & Charge ------------------------------------------------------------------------------------------------
    _key("CentralContractValidationAllowed", "boolean", "ReadWrite", _PNC,
         "A contract certificate that the station cannot check itself is sent to the central system to be checked."),
    _key("CertSigningRepeatTimes", "integer", "ReadWrite", _PNC,
         "How often a request for a new certificate is repeated when none comes."),
    _key("CertSigningWaitMinimum", "integer", "ReadWrite", _PNC, unit="s", text=
         "How long the station waits for a signed certificate before it asks again; doubled every time."),
    _key("ContractValidationOffline", "boolean", "ReadWrite", _PNC,
         "While offline the station checks contract certificates by itself."),
    _key("ISO15118PnCEnabled", "boolean", "ReadWrite", _PNC,
         "Plug & Charge: the car may authorize by its contract certificate instead of a card."),
    # -- further keys in wide use -------------------------------------------------------------------------------------
    _key("CustomIdleFeeAfterStop", "boolean", "ReadWrite", "CostAndPrice",
         "Idle fees are reckoned after the session has been ended too, while the car blocks the place."),
    _key("DefaultPrice", "string", "ReadWrite", "CostAndPrice",
         "The price that is shown where no other is known, as JSON."),
    _key("Language", "string", "ReadWrite", "CostAndPrice", "The language in which the station shows texts."),
    _key("NumberOfDecimalsForCostValues", "integer", "ReadWrite", "CostAndPrice", high=6, text=
         "How many decimals amounts of money are shown with."),
    _key("SupportedLanguages", "MemberList", "ReadOnly", "CostAndPrice",
         "The languages in which the station can show texts."),
    _key("TimeOffset", "string", "ReadWrite", "CostAndPrice",
         "What is added to UTC for the times that the station shows, as +01:00."),
    _key("NextTimeOffsetTransitionDateTime", "dateTime", "ReadWrite", "CostAndPrice",
         "When that offset changes next (summer time)."),
    _key("TimeOffsetNextTransition", "string", "ReadWrite", "CostAndPrice", "The offset from then on."),
)  # fmt: skip
"""By profile and name."""

PHASE_ROTATIONS = _PHASES
"""What may follow the connector's number in ConnectorPhaseRotation."""
