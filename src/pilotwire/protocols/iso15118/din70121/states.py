"""The SECC of DIN SPEC 70121 as tables: which request may come when (9.7.4.2), which code stands in which answer."""

from __future__ import annotations

from typing import Final

ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "SessionSetup": ("SessionSetupReq",),
    "ServiceDiscovery": ("ServiceDiscoveryReq", "SessionStopReq"),
    "Selection": ("ServicePaymentSelectionReq", "SessionStopReq"),
    "ContractAuthentication": ("ContractAuthenticationReq", "SessionStopReq"),
    "ChargeParameterDiscovery": ("ChargeParameterDiscoveryReq", "SessionStopReq"),
    "CableCheck": ("CableCheckReq", "SessionStopReq"),
    "PreCharge": ("PreChargeReq", "SessionStopReq"),
    "PowerDelivery": ("PowerDeliveryReq", "PreChargeReq", "SessionStopReq"),
    "FirstDemand": ("CurrentDemandReq",),
    "ChargeLoop": ("CurrentDemandReq", "PowerDeliveryReq"),
    "WeldingDetection": ("WeldingDetectionReq", "SessionStopReq"),
}
"""State → the requests that may come in it, the one that is waited for first.

ServiceDetail, PaymentDetails, the certificates, ChargingStatus and MeteringReceipt are in the schema, but in no state:
DIN SPEC 70121 charges with direct current and external payment.
"""

LOOP: Final = frozenset({"FirstDemand", "ChargeLoop"})
"""Energy flows."""

_ANY: Final = ("OK", "FAILED", "FAILED_SequenceError", "FAILED_UnknownSession")

CODES: Final[dict[str, frozenset[str]]] = {
    "SessionSetupRes": frozenset({"OK_NewSessionEstablished", "FAILED", "FAILED_SequenceError"}),
    "ServiceDiscoveryRes": frozenset(_ANY),
    "ServiceDetailRes": frozenset(_ANY),
    "ServicePaymentSelectionRes": frozenset(
        {*_ANY, "FAILED_ServiceSelectionInvalid", "FAILED_PaymentSelectionInvalid"}
    ),
    "PaymentDetailsRes": frozenset(_ANY),
    "CertificateInstallationRes": frozenset(_ANY),
    "CertificateUpdateRes": frozenset(_ANY),
    "ContractAuthenticationRes": frozenset(_ANY),
    "ChargeParameterDiscoveryRes": frozenset(
        {*_ANY, "FAILED_WrongChargeParameter", "FAILED_WrongEnergyTransferType"}
    ),
    "PowerDeliveryRes": frozenset(
        {
            *_ANY, "FAILED_PowerDeliveryNotApplied", "FAILED_TariffSelectionInvalid",
            "FAILED_ChargingProfileInvalid", "FAILED_EVSEPresentVoltageToLow",
        }
    ),
    "ChargingStatusRes": frozenset(_ANY),
    "MeteringReceiptRes": frozenset(_ANY),
    "CableCheckRes": frozenset(_ANY),
    "PreChargeRes": frozenset(_ANY),
    "CurrentDemandRes": frozenset(_ANY),
    "WeldingDetectionRes": frozenset(_ANY),
    "SessionStopRes": frozenset(_ANY),
}  # fmt: skip
"""Answer → the response codes that may stand in it."""

CLAUSES: Final[dict[str, str]] = {
    "sequence": "DIN SPEC 70121 9.7.4.2, a request that is not in the table of the state",
    "session": "DIN SPEC 70121 9.1, SessionID, [V2G-DC-391]",
    "timeout": "DIN SPEC 70121 9.6.4 and 9.6.5, tables 75 to 77",
    "parse": "DIN SPEC 70121 9.1, Notification",
    "stop": "DIN SPEC 70121 9.5.3, EVSENotification",
    "contactor": "DIN SPEC 70121 9.4.2.3, PowerDelivery",
    "cable-check": "DIN SPEC 70121 9.4.2.1, CableCheck",
    "ev-status": "DIN SPEC 70121 9.5.3, DC_EVErrorCode",
    "selection": "DIN SPEC 70121 9.4.1.4",
    "authorization": "DIN SPEC 70121 9.4.1.5",
    "parameters": "DIN SPEC 70121 9.4.1.6",
    "delivery": "DIN SPEC 70121 9.4.1.7",
}
"""What went wrong → where the standard says what follows of it."""
