"""The most used variables of the OCPP 2.x device model, by component. Most are the same in 2.0.1 and 2.1."""

from __future__ import annotations

from .entry import Entry, Kind, Mutability

_STATES = ("Available", "Occupied", "Reserved", "Unavailable", "Faulted")
_MEASURANDS = "a list of measurands such as Energy.Active.Import.Register, Power.Active.Import, SoC"


def _of(component: str, *rows: tuple[str, Kind, Mutability, str] | Entry) -> tuple[Entry, ...]:
    """Entries of one component."""
    return tuple(one if isinstance(one, Entry) else Entry(component, *one) for one in rows)


def _int(
    component: str,
    name: str,
    text: str,
    *,
    write: bool = True,
    unit: str = "",
    low: int = 0,
    high: int | None = None,
    required: bool = False,
    reboot: bool = False,
) -> Entry:
    mutability: Mutability = "ReadWrite" if write else "ReadOnly"
    return Entry(
        component, name, "integer", mutability, text, unit, low=low, high=high, required=required, reboot=reboot
    )


def _bool(component: str, name: str, text: str, *, write: bool = True, required: bool = False) -> Entry:
    return Entry(component, name, "boolean", "ReadWrite" if write else "ReadOnly", text, required=required)


def _list(
    component: str,
    name: str,
    kind: Kind,
    text: str,
    *,
    values: tuple[str, ...] = (),
    write: bool = True,
    required: bool = False,
    reboot: bool = False,
) -> Entry:
    mutability: Mutability = "ReadWrite" if write else "ReadOnly"
    return Entry(component, name, kind, mutability, text, values=values, required=required, reboot=reboot)


def _text(
    component: str, name: str, text: str, *, write: bool = False, required: bool = False, reboot: bool = False
) -> Entry:
    mutability: Mutability = "ReadWrite" if write else "ReadOnly"
    return Entry(component, name, "string", mutability, text, required=required, reboot=reboot)


_ALIGNED, _CACHE, _AUTH, _CLOCK = "AlignedDataCtrlr", "AuthCacheCtrlr", "AuthCtrlr", "ClockCtrlr"
_CUSTOM, _DATA, _DISPLAY, _PNC = "CustomizationCtrlr", "DeviceDataCtrlr", "DisplayMessageCtrlr", "ISO15118Ctrlr"
_LIST, _MONITOR, _COMM, _RESERVE = "LocalAuthListCtrlr", "MonitoringCtrlr", "OCPPCommCtrlr", "ReservationCtrlr"
_SAMPLED, _SECURE, _SMART, _COST, _TX = (
    "SampledDataCtrlr", "SecurityCtrlr", "SmartChargingCtrlr", "TariffCostCtrlr", "TxCtrlr",
)  # fmt: skip

_POINTS = ("ParkingBayOccupancy", "EVConnected", "Authorized", "PowerPathClosed", "EnergyTransfer", "DataSigned")

TABLE: tuple[Entry, ...] = (
    # -- meter values at fixed times ----------------------------------------------------------------------------------
    _bool(_ALIGNED, "Available", "The station can take meter readings at fixed times of the day.", write=False),
    _bool(_ALIGNED, "Enabled", "It takes them."),
    _int(_ALIGNED, "Interval", "Distance of these readings (900: every quarter of an hour on the clock). 0: none.",
         unit="s", required=True),
    _list(_ALIGNED, "Measurands", "MemberList", f"What they hold: {_MEASURANDS}.", required=True),
    _bool(_ALIGNED, "SendDuringIdle", "They are sent only while no session is running."),
    _bool(_ALIGNED, "SignReadings", "They carry the meter's signature."),
    _int(_ALIGNED, "TxEndedInterval", "Distance of the fixed readings that are sent when a session ends. 0: none.",
         unit="s", required=True),
    _list(_ALIGNED, "TxEndedMeasurands", "MemberList", f"What those hold: {_MEASURANDS}.", required=True),
    # -- memory of accepted tokens ------------------------------------------------------------------------------------
    _bool(_CACHE, "Available", "The station can remember tokens that were accepted.", write=False),
    _bool(_CACHE, "Enabled", "It remembers them and decides by that."),
    _bool(_CACHE, "DisablePostAuthorize", "A token that is remembered as refused is not asked for again."),
    _int(_CACHE, "LifeTime", "How long a token is remembered.", unit="s"),
    _list(_CACHE, "Policy", "OptionList", "Which tokens are forgotten first when the memory is full.",
          values=("LRU", "LFU", "FIFO", "CUSTOM")),
    _int(_CACHE, "Storage", "How much memory that takes.", write=False, unit="B"),
    # -- authorization ------------------------------------------------------------------------------------------------
    _bool(_AUTH, "Enabled", "A token is needed to charge. When it is off everybody charges."),
    _int(_AUTH, "AdditionalInfoItemsPerMessage", "How many additional tokens one message may carry.", write=False),
    _bool(_AUTH, "AuthorizeRemoteStart",
          "A remote start is checked like a presented card before charging begins; otherwise it starts at once.",
          required=True),
    _bool(_AUTH, "DisableRemoteAuthorization",
          "The central system is not asked: list and cache alone decide, even while the station is online."),
    _bool(_AUTH, "LocalAuthorizeOffline",
          "While offline the station may start charging for tokens of its local list or cache.", required=True),
    _bool(_AUTH, "LocalPreAuthorize",
          "While online the station starts at once for tokens that it knows and asks the central system afterwards.",
          required=True),
    _text(_AUTH, "MasterPassGroupId",
          "Tokens of this group may stop every session of the station (police, maintenance) but start none.",
          write=True),
    _bool(_AUTH, "OfflineTxForUnknownIdEnabled", "While offline it also starts for tokens that it does not know."),
    _list(_AUTH, "SupportedIdTokenTypes", "MemberList", "Which kinds of tokens it can read (2.1).", write=False),
    # -- clock --------------------------------------------------------------------------------------------------------
    Entry(_CLOCK, "DateTime", "dateTime", "ReadOnly", "What the station's clock says.", required=True),
    Entry(_CLOCK, "NextTimeOffsetTransitionDateTime", "dateTime", "ReadWrite",
          "When its offset from UTC changes next (summer time)."),
    _text(_CLOCK, "NtpServerUri", "The time server that it asks; one for each instance.", write=True),
    _list(_CLOCK, "NtpSource", "OptionList", "Whether the time server is set by hand or comes with the network.",
          values=("DHCP", "manual")),
    _int(_CLOCK, "TimeAdjustmentReportingThreshold", "A correction of the clock by more than this is reported.",
         unit="s"),
    _text(_CLOCK, "TimeOffset", "What is added to UTC for the times that people see, as +01:00.", write=True),
    _list(_CLOCK, "TimeSource", "SequenceList",
          "Where the time comes from, the preferred source first. Heartbeat: from the central system.", required=True,
          values=("Heartbeat", "NTP", "GPS", "RealTimeClock", "MobileNetwork", "RadioTimeTransmitter")),
    _text(_CLOCK, "TimeZone", "The time zone for the times that people see, as Europe/Berlin.", write=True),
    # -- vendors' own -------------------------------------------------------------------------------------------------
    _bool(_CUSTOM, "CustomImplementationEnabled",
          "A vendor's own extension (named by the instance) is switched on."),
    # -- limits of device data ----------------------------------------------------------------------------------------
    _int(_DATA, "BytesPerMessage", "How large a message that reads or sets variables may be.", write=False, unit="B",
         required=True),
    _int(_DATA, "ConfigurationValueSize", "How long a value that is set may be.", write=False, high=1000),
    _int(_DATA, "ItemsPerMessage", "How many variables one message may read or set.", write=False, required=True),
    _int(_DATA, "ReportingValueSize", "How long a reported value may be; longer ones are cut.", write=False,
         high=2500),
    _int(_DATA, "ValueSize", "How long values may be, set or reported.", write=False, high=2500),
    # -- messages on the screen ---------------------------------------------------------------------------------------
    _bool(_DISPLAY, "Available", "The station can show messages.", write=False),
    _bool(_DISPLAY, "Enabled", "It shows them."),
    _int(_DISPLAY, "DisplayMessages", "How many messages it holds now; the limit is MaxLimit.", write=False,
         required=True),
    _int(_DISPLAY, "PersonalMessageSize", "How long a message for one driver may be.", write=False),
    _list(_DISPLAY, "SupportedFormats", "MemberList", "In which formats messages may be sent.", write=False,
          values=("ASCII", "HTML", "URI", "UTF8", "QRCODE"), required=True),
    _list(_DISPLAY, "SupportedPriorities", "MemberList", "Which priorities it tells apart.", write=False,
          values=("AlwaysFront", "InFront", "NormalCycle"), required=True),
    _list(_DISPLAY, "SupportedStates", "MemberList", "In which states it can show a message.", write=False,
          values=("Charging", "Faulted", "Idle", "Unavailable", "Suspended", "Discharging")),
    _list(_DISPLAY, "Language", "OptionList", "The language of the screen (2.1)."),
    # -- Plug & Charge ------------------------------------------------------------------------------------------------
    _bool(_PNC, "Enabled", "The station talks ISO 15118 with cars."),
    _bool(_PNC, "PnCEnabled", "Plug & Charge: the car may authorize by its contract certificate."),
    _bool(_PNC, "CentralContractValidationAllowed",
          "A contract certificate that the station cannot check itself is sent to the central system to be checked."),
    _bool(_PNC, "ContractCertificateInstallationEnabled", "A car may fetch its contract certificate here."),
    _bool(_PNC, "ContractValidationOffline", "While offline the station checks contract certificates by itself.",
          required=True),
    _bool(_PNC, "V2GCertificateInstallationEnabled", "The station fetches its own certificate for cars by itself."),
    _bool(_PNC, "RequestMeteringReceipt", "The car is asked to sign for the meter readings."),
    _text(_PNC, "CountryName", "Country in the certificate for cars.", write=True),
    _text(_PNC, "OrganizationName", "Organization in the certificate for cars.", write=True),
    _text(_PNC, "SeccId", "The name in the station's certificate for cars.", write=True),
    _list(_PNC, "ProtocolSupported", "MemberList", "Which editions of ISO 15118 it speaks, one for each instance.",
          write=False),
    _list(_PNC, "ProtocolAgreed", "string", "The edition that was agreed with the car.", write=False),
    _int(_PNC, "MaxScheduleEntries", "How many steps a schedule for the car may have.", write=False),
    _list(_PNC, "RequestedEnergyTransferMode", "OptionList", "How the car wants to be charged.", write=False,
          values=("AC_single_phase", "AC_two_phase", "AC_three_phase", "DC", "AC_BPT", "DC_BPT")),
    _bool(_PNC, "ServiceRenegotiationSupport", "Services can be agreed anew while charging (2.1).", write=False),
    # -- local list ---------------------------------------------------------------------------------------------------
    _bool(_LIST, "Available", "The station can keep a list of tokens from the central system.", write=False),
    _bool(_LIST, "Enabled", "It uses that list.", required=True),
    _bool(_LIST, "DisablePostAuthorize", "A token that the list refuses is not asked for again."),
    _int(_LIST, "Entries", "How many tokens the list holds; the limit is MaxLimit.", write=False, required=True),
    _int(_LIST, "BytesPerMessage", "How large one SendLocalList may be.", write=False, unit="B", required=True),
    _int(_LIST, "ItemsPerMessage", "How many tokens one SendLocalList may carry.", write=False, required=True),
    _int(_LIST, "Storage", "How much memory the list takes.", write=False, unit="B"),
    _bool(_LIST, "SupportsExpiryDateTime", "The station heeds the expiry of a listed token.", write=False),
    # -- monitoring ---------------------------------------------------------------------------------------------------
    _bool(_MONITOR, "Available", "The station can watch its own variables.", write=False, required=True),
    _bool(_MONITOR, "Enabled", "It watches them and reports by NotifyEvent.", required=True),
    _list(_MONITOR, "ActiveMonitoringBase", "OptionList", "Which set of monitors is active.", write=False,
          values=("All", "FactoryDefault", "HardWiredOnly")),
    _int(_MONITOR, "ActiveMonitoringLevel", "Events of this severity and graver ones are reported (0 is the gravest).",
         write=False, high=9),
    _int(_MONITOR, "BytesPerMessage", "How large one SetVariableMonitoring may be.", write=False, unit="B",
         required=True),
    _int(_MONITOR, "ItemsPerMessage", "How many monitors one SetVariableMonitoring may set.", write=False,
         required=True),
    _int(_MONITOR, "OfflineQueuingSeverity", "While offline, events of this severity and graver ones are kept.",
         high=9),
    # -- communication ------------------------------------------------------------------------------------------------
    _int(_COMM, "ActiveNetworkProfile", "Which of the network configurations is in use.", write=False),
    _int(_COMM, "FieldLength", "How long the field (named by the instance) may be, where the station takes more than "
         "the standard.", write=False),
    _list(_COMM, "FileTransferProtocols", "MemberList", "How it fetches firmware and uploads logs.", write=False,
          values=("FTP", "FTPS", "HTTP", "HTTPS", "SFTP"), required=True),
    _int(_COMM, "HeartbeatInterval", "After so long without any message the station sends a Heartbeat.", unit="s",
         low=1),
    _int(_COMM, "MessageAttemptInterval",
         "Wait before a message about a session is sent again; multiplied by the attempts before it.", unit="s",
         required=True),
    _int(_COMM, "MessageAttempts", "How often a message about a session is tried when it is answered by an error.",
         low=1, required=True),
    _int(_COMM, "MessageTimeout", "How long the station waits for an answer.", unit="s", low=1, required=True),
    _list(_COMM, "NetworkConfigurationPriority", "SequenceList",
          "Which network configurations are tried, in this order. A wrong one can cut the station off.", required=True,
          reboot=True),
    _int(_COMM, "NetworkProfileConnectionAttempts", "How often one is tried before the next.", low=1, required=True),
    _int(_COMM, "OfflineThreshold",
         "Only when it was offline longer than this does the station report the state of its connectors anew.",
         unit="s", required=True),
    _list(_COMM, "PublicKeyWithSignedMeterValue", "OptionList", "When signed readings carry the meter's public key.",
          values=("Never", "OncePerTransaction", "EveryMeterValue")),
    _bool(_COMM, "QueueAllMessages", "While offline all messages are kept, not only those about sessions."),
    _int(_COMM, "ResetRetries", "How often the station tries again when a reset has failed.", required=True),
    _int(_COMM, "RetryBackOffRandomRange",
         "What is added by chance to the wait before reconnecting, so that not all come back at once.", unit="s",
         required=True),
    _int(_COMM, "RetryBackOffRepeatTimes", "How often that wait is doubled.", required=True),
    _int(_COMM, "RetryBackOffWaitMinimum", "How long it waits before the first attempt to reconnect.", unit="s",
         required=True),
    _bool(_COMM, "UnlockOnEVSideDisconnect",
          "The cable is released at the station as soon as it is pulled out of the car.", required=True),
    _int(_COMM, "WebSocketPingInterval", "Distance of the pings that keep the connection open. 0: none.", unit="s",
         required=True),
    # -- reservation --------------------------------------------------------------------------------------------------
    _bool(_RESERVE, "Available", "The station can be reserved.", write=False),
    _bool(_RESERVE, "Enabled", "It takes reservations."),
    _bool(_RESERVE, "NonEvseSpecific", "It takes reservations for any of its EVSEs.", write=False),
    # -- meter values while charging ----------------------------------------------------------------------------------
    _bool(_SAMPLED, "Available", "The station can take meter readings while charging.", write=False),
    _bool(_SAMPLED, "Enabled", "It takes them."),
    _bool(_SAMPLED, "SignReadings", "Readings at begin and end of a session carry the meter's signature."),
    _bool(_SAMPLED, "RegisterValuesWithoutPhases", "Energy is reported as a sum, not by phase."),
    _int(_SAMPLED, "TxEndedInterval", "Distance of the readings that are sent when a session ends. 0: none between "
         "begin and end.", unit="s", required=True),
    _list(_SAMPLED, "TxEndedMeasurands", "MemberList", f"What those hold: {_MEASURANDS}.", required=True),
    _list(_SAMPLED, "TxStartedMeasurands", "MemberList", "What the reading at the begin of a session holds.",
          required=True),
    _int(_SAMPLED, "TxUpdatedInterval", "Distance of the readings during a session. 0: none; 30 to 60 is usual.",
         unit="s", required=True),
    _list(_SAMPLED, "TxUpdatedMeasurands", "MemberList",
          "What the readings during a session hold. Without power here the live pictures derive it from the energy.",
          required=True),
    # -- security -----------------------------------------------------------------------------------------------------
    _bool(_SECURE, "AdditionalRootCertificateCheck",
          "Only one root certificate of the central system is kept beside the manufacturer's, and a new one must be "
          "signed by the old.", write=False),
    Entry(_SECURE, "BasicAuthPassword", "string", "WriteOnly",
          "The password with which the station logs in. It cannot be read back. Change it here and in the station's "
          "account together, else the station cannot come back.", reboot=True, required=True),
    _int(_SECURE, "CertificateEntries", "How many certificates are installed; the limit is MaxLimit.", write=False,
         required=True),
    _int(_SECURE, "CertSigningRepeatTimes", "How often a request for a new certificate is repeated."),
    _int(_SECURE, "CertSigningWaitMinimum", "Wait before it is repeated for the first time; doubled every time.",
         unit="s"),
    _text(_SECURE, "Identity", "The station's identity: the last part of its URL.", write=True, reboot=True),
    _int(_SECURE, "MaxCertificateChainSize", "How large a certificate chain may be.", write=False, unit="B"),
    _text(_SECURE, "OrganizationName",
          "The operator's name: the organization in the station's own certificate. Security profile 3 compares it.",
          write=True, required=True),
    _int(_SECURE, "SecurityProfile", "How the station connects: 1 password, 2 TLS and password, 3 TLS with its own "
         "certificate.", write=False, high=3, required=True),
    # -- smart charging -----------------------------------------------------------------------------------------------
    _bool(_SMART, "Available", "The station takes charging profiles.", write=False),
    _bool(_SMART, "Enabled", "It heeds them.", required=True),
    _bool(_SMART, "ACPhaseSwitchingSupported", "It can choose which phase a single-phase car charges on.",
          write=False),
    _int(_SMART, "Entries", "How many charging profiles are installed; the limit is MaxLimit.", write=False,
         required=True),
    _bool(_SMART, "ExternalControlSignalsEnabled", "Signals from elsewhere (a grid operator's relay) may limit it."),
    Entry(_SMART, "LimitChangeSignificance", "decimal", "ReadWrite",
          "A limit from elsewhere is reported when it has changed by more than this.", "Percent", required=True),
    _bool(_SMART, "NotifyChargingLimitWithSchedules", "Such a report carries the schedules."),
    _int(_SMART, "PeriodsPerSchedule", "How many periods one schedule may have.", write=False, required=True),
    _bool(_SMART, "Phases3to1", "It can go from three phases to one while charging, to reach lower powers.",
          write=False),
    _int(_SMART, "ProfileStackLevel", "The highest stack level; a higher one overrules a lower one.", write=False,
         required=True),
    _list(_SMART, "RateUnit", "MemberList", "Whether limits may be given in ampere, in watt, or in both.",
          values=("A", "W"), write=False, required=True),
    # -- tariff and cost ----------------------------------------------------------------------------------------------
    _bool(_COST, "Available", "It can show the tariff, or the cost (by instance).", write=False),
    _bool(_COST, "Enabled", "It shows them (by instance)."),
    _text(_COST, "Currency", "Currency of the amounts, as EUR.", write=True, required=True),
    _text(_COST, "TariffFallbackMessage", "What is shown where no tariff is known.", write=True, required=True),
    _text(_COST, "TotalCostFallbackMessage", "What is shown at the end where the cost is not known.", write=True,
          required=True),
    _text(_COST, "OfflineTariffFallbackMessage", "What is shown as the tariff while offline (2.1).", write=True),
    # -- sessions -----------------------------------------------------------------------------------------------------
    _int(_TX, "EVConnectionTimeOut",
         "How long after authorization the driver has to plug in before the session is given up.", unit="s",
         required=True),
    _int(_TX, "MaxEnergyOnInvalidId",
         "What may still be delivered when a token turns out to be refused after charging has begun.", unit="Wh"),
    _bool(_TX, "StopTxOnEVSideDisconnect", "Pulling the plug out of the car ends the session.", required=True),
    _bool(_TX, "StopTxOnInvalidId", "A session whose token turns out to be refused is ended.", required=True),
    _bool(_TX, "TxBeforeAcceptedEnabled", "It charges before the central system has accepted it for the first time."),
    _list(_TX, "TxStartPoint", "MemberList",
          "What begins a session, any of these. It decides what counts as its beginning on the invoice.",
          values=_POINTS, required=True),
    _list(_TX, "TxStopPoint", "MemberList", "What ends it, when any of these is over.", values=_POINTS[:5],
          required=True),
    Entry(_TX, "ChargingTime", "decimal", "ReadOnly", "How long energy has been flowing in the present session.", "s"),
    # -- what the station is ------------------------------------------------------------------------------------------
    *_of(
        "ChargingStation",
        ("AllowNewSessionsPendingFirmwareUpdate", "boolean", "ReadWrite",
         "New sessions may begin while a firmware update waits for the station to be free."),
        Entry("ChargingStation", "AvailabilityState", "OptionList", "ReadOnly", "How the station stands as a whole.",
              values=_STATES, required=True),
        ("Available", "boolean", "ReadOnly", "The station is there."),
        ("Enabled", "boolean", "ReadWrite", "The station is in service."),
        ("Model", "string", "ReadOnly", "Model, as the manufacturer calls it."),
        ("Problem", "boolean", "ReadOnly", "Something is wrong with the station."),
        ("SerialNumber", "string", "ReadOnly", "Its serial number."),
        Entry("ChargingStation", "SupplyPhases", "integer", "ReadOnly", "How many phases feed it (0: direct current).",
              required=True),
        ("VendorName", "string", "ReadOnly", "The manufacturer."),
        ("ECVariant", "string", "ReadOnly", "Variant of its electronics."),
        ("Identity", "string", "ReadOnly", "The name under which it connects."),
        Entry("ChargingStation", "Power", "decimal", "ReadOnly", "What it delivers now; MaxLimit is what it can.", "W"),
    ),
    *_of(
        "EVSE",
        ("AllowReset", "boolean", "ReadOnly", "This EVSE can be reset by itself."),
        Entry("EVSE", "AvailabilityState", "OptionList", "ReadOnly", "How this EVSE stands.", values=_STATES,
              required=True),
        ("Available", "boolean", "ReadOnly", "This EVSE is there."),
        ("Enabled", "boolean", "ReadWrite", "This EVSE is in service."),
        ("EvseId", "string", "ReadOnly", "Its public number, as DE*ABC*E1234 (eMI3)."),
        ("ISO15118EvseId", "string", "ReadWrite", "The number that cars are told over ISO 15118."),
        ("ChargeProtocol", "string", "ReadOnly", "How it talks with the car."),
        Entry("EVSE", "Power", "decimal", "ReadOnly", "What it delivers now; MaxLimit is what it can.", "W",
              required=True),
        Entry("EVSE", "SupplyPhases", "integer", "ReadOnly", "How many phases feed it (0: direct current).",
              required=True),
        Entry("EVSE", "ACCurrent", "decimal", "ReadOnly", "Alternating current that flows now, by phase.", "A"),
        Entry("EVSE", "ACVoltage", "decimal", "ReadOnly", "Alternating voltage, by phase.", "V"),
        Entry("EVSE", "DCCurrent", "decimal", "ReadOnly", "Direct current that flows now.", "A"),
        Entry("EVSE", "DCVoltage", "decimal", "ReadOnly", "Direct voltage now.", "V"),
        ("Overload", "boolean", "ReadOnly", "It carries more than it should."),
        ("Problem", "boolean", "ReadOnly", "Something is wrong with this EVSE."),
        ("Tripped", "boolean", "ReadOnly", "Its protection has tripped."),
    ),
    *_of(
        "Connector",
        Entry("Connector", "AvailabilityState", "OptionList", "ReadOnly", "How this connector stands.",
              values=_STATES, required=True),
        ("Available", "boolean", "ReadOnly", "This connector is there."),
        ("Enabled", "boolean", "ReadWrite", "This connector is in service."),
        ("ChargeProtocol", "string", "ReadOnly", "How it talks with the car."),
        Entry("Connector", "ConnectorType", "string", "ReadOnly", "Kind of plug or socket, as cType2 or cCCS2.",
              required=True),
        ("Locked", "boolean", "ReadOnly", "The plug is locked."),
        ("PhaseRotation", "string", "ReadWrite", "How its phases are wired to the grid's, as RST."),
        ("Problem", "boolean", "ReadOnly", "Something is wrong with this connector."),
        Entry("Connector", "SupplyPhases", "integer", "ReadOnly", "How many phases it carries (0: direct current).",
              required=True),
        ("Tripped", "boolean", "ReadOnly", "Its protection has tripped."),
    ),
    *_of(
        "ConnectedEV",
        ("Available", "boolean", "ReadOnly", "A car is connected that tells of itself."),
        ("VehicleId", "string", "ReadOnly", "The car's own number, where it tells it. Personal data."),
        ("ProtocolAgreed", "string", "ReadOnly", "What it speaks with the station."),
        ("ProtocolSupportedByEV", "string", "ReadOnly", "What it could speak."),
        Entry("ConnectedEV", "BatteryCapacity", "decimal", "ReadOnly", "What its battery holds.", "Wh"),
        Entry("ConnectedEV", "StateOfCharge", "decimal", "ReadOnly", "How full its battery is.", "Percent"),
        Entry("ConnectedEV", "DepartureTime", "dateTime", "ReadOnly", "When it wants to leave."),
        Entry("ConnectedEV", "RemainingTimeFull", "integer", "ReadOnly", "Until it is full.", "s"),
    ),
    *_of(
        "TokenReader",
        ("Enabled", "boolean", "ReadWrite", "The card reader works."),
        ("Problem", "boolean", "ReadOnly", "Something is wrong with the card reader."),
        ("Token", "string", "ReadOnly", "The token that it read last. Personal data."),
        ("TokenType", "string", "ReadOnly", "Its kind."),
    ),
    *_of(
        "FiscalMetering",
        Entry("FiscalMetering", "EnergyImport", "decimal", "ReadOnly", "Energy of the present session.", "Wh"),
        Entry("FiscalMetering", "EnergyImportRegister", "decimal", "ReadOnly", "The meter's register.", "Wh"),
        ("Certificate", "string", "ReadOnly", "The meter's certificate."),
        ("PublicKey", "string", "ReadOnly", "The key that its signatures are checked with."),
        ("Problem", "boolean", "ReadOnly", "Something is wrong with the meter."),
    ),
    *_of(
        "DataLink",
        ("Active", "boolean", "ReadOnly", "This link (mobile, wire, wireless) is in use."),
        ("ICCID", "string", "ReadOnly", "Number of the SIM card."),
        ("IMSI", "string", "ReadOnly", "Number of the subscriber."),
        ("NetworkAddress", "string", "ReadOnly", "Its own address."),
        Entry("DataLink", "SignalStrength", "decimal", "ReadOnly", "How strong the signal is.", "dBm"),
        ("Complete", "boolean", "ReadOnly", "The link is set up."),
    ),
    # -- of any component ---------------------------------------------------------------------------------------------
    *_of(
        "*",
        ("Active", "boolean", "ReadOnly", "It is at work."),
        ("Complete", "boolean", "ReadOnly", "It has come to its end."),
        ("Enabled", "boolean", "ReadWrite", "It is switched on."),
        ("Available", "boolean", "ReadOnly", "It is there."),
        ("Fallback", "boolean", "ReadOnly", "It works by a fallback."),
        ("FirmwareVersion", "string", "ReadOnly", "Version of its firmware."),
        ("Manufacturer", "string", "ReadOnly", "Who made it."),
        ("Model", "string", "ReadOnly", "Its model."),
        ("Present", "boolean", "ReadOnly", "It is installed."),
        ("Problem", "boolean", "ReadOnly", "Something is wrong with it."),
        ("SerialNumber", "string", "ReadOnly", "Its serial number."),
        ("State", "string", "ReadOnly", "Its state."),
        ("Suspended", "boolean", "ReadOnly", "It rests for a while."),
        Entry("*", "Temperature", "decimal", "ReadOnly", "Its temperature.", "Celsius"),
        ("Tripped", "boolean", "ReadOnly", "Its protection has tripped."),
        ("VendorName", "string", "ReadOnly", "Who made it."),
    ),
)  # fmt: skip
"""By component and name."""
