"""The SECC of ISO 15118-2 as tables: which request may come when (8.8.4.2), and which code stands in which answer."""

from __future__ import annotations

from typing import Final

ALLOWED: Final[dict[str, tuple[str, ...]]] = {
    "SessionSetup": ("SessionSetupReq",),
    "ServiceDiscovery": ("ServiceDiscoveryReq", "SessionStopReq"),
    "Selection": ("PaymentServiceSelectionReq", "ServiceDetailReq", "SessionStopReq"),
    "Certificate": (
        "PaymentDetailsReq", "CertificateInstallationReq", "CertificateUpdateReq", "SessionStopReq",
    ),
    "PaymentDetails": ("PaymentDetailsReq", "SessionStopReq"),
    "Authorization": ("AuthorizationReq", "SessionStopReq"),
    "ChargeParameterDiscovery": ("ChargeParameterDiscoveryReq", "SessionStopReq"),
    "CableCheck": ("CableCheckReq", "SessionStopReq"),
    "PreCharge": ("PreChargeReq", "SessionStopReq"),
    "PowerDelivery": ("PowerDeliveryReq", "PreChargeReq", "SessionStopReq"),
    "AcPowerDelivery": ("PowerDeliveryReq", "SessionStopReq"),
    "FirstDemand": ("CurrentDemandReq",),
    "ChargeLoop": ("CurrentDemandReq", "PowerDeliveryReq"),
    "FirstStatus": ("ChargingStatusReq",),
    "AcChargeLoop": ("ChargingStatusReq", "PowerDeliveryReq"),
    "MeteringReceipt": ("MeteringReceiptReq",),
    "WeldingDetection": ("WeldingDetectionReq", "SessionStopReq"),
    "SessionStop": ("SessionStopReq",),
}  # fmt: skip
"""State → the requests that may come in it, the one that is waited for first.

Certificate is PaymentDetails for who has chosen the certificate service. A DC session that renegotiates goes through
CableCheck and PreCharge again ([V2G2-582]): there is no shortcut in the table of DC.
"""

LOOP: Final = frozenset({"FirstDemand", "ChargeLoop", "FirstStatus", "AcChargeLoop", "MeteringReceipt"})
"""Energy flows."""

_ANY: Final = ("OK", "FAILED", "FAILED_SequenceError", "FAILED_UnknownSession")
_CHAIN: Final = (
    "FAILED_CertificateExpired", "FAILED_CertificateRevoked", "FAILED_CertChainError",
    "FAILED_CertificateNotAllowedAtThisEVSE", "FAILED_NoCertificateAvailable",
)  # fmt: skip

CODES: Final[dict[str, frozenset[str]]] = {
    "SessionSetupRes": frozenset(
        {"OK_NewSessionEstablished", "OK_OldSessionJoined", "FAILED", "FAILED_SequenceError"}
    ),
    "ServiceDiscoveryRes": frozenset(_ANY),
    "ServiceDetailRes": frozenset({*_ANY, "FAILED_ServiceIDInvalid"}),
    "PaymentServiceSelectionRes": frozenset(
        {
            *_ANY, "FAILED_ServiceSelectionInvalid", "FAILED_PaymentSelectionInvalid",
            "FAILED_NoChargeServiceSelected",
        }
    ),
    "CertificateInstallationRes": frozenset({*_ANY, *_CHAIN, "FAILED_SignatureError"}),
    "CertificateUpdateRes": frozenset({*_ANY, *_CHAIN, "FAILED_SignatureError", "FAILED_ContractCanceled"}),
    "PaymentDetailsRes": frozenset(
        {*_ANY, *_CHAIN, "OK_CertificateExpiresSoon", "FAILED_SignatureError", "FAILED_ContractCanceled"}
    ),
    "AuthorizationRes": frozenset({*_ANY, "FAILED_SignatureError", "FAILED_ChallengeInvalid"}),
    "ChargeParameterDiscoveryRes": frozenset(
        {*_ANY, "FAILED_WrongChargeParameter", "FAILED_WrongEnergyTransferMode"}
    ),
    "PowerDeliveryRes": frozenset(
        {
            *_ANY, "FAILED_PowerDeliveryNotApplied", "FAILED_TariffSelectionInvalid",
            "FAILED_ChargingProfileInvalid", "FAILED_ContactorError",
        }
    ),
    "ChargingStatusRes": frozenset(_ANY),
    "MeteringReceiptRes": frozenset({*_ANY, "FAILED_MeteringSignatureNotValid"}),
    "CableCheckRes": frozenset(_ANY),
    "PreChargeRes": frozenset(_ANY),
    "CurrentDemandRes": frozenset(_ANY),
    "WeldingDetectionRes": frozenset(_ANY),
    "SessionStopRes": frozenset(_ANY),
}  # fmt: skip
"""Answer → the response codes that may stand in it (8.6.3 and the clauses of each message)."""

CLAUSES: Final[dict[str, str]] = {
    "sequence": "ISO 15118-2 8.8.4, a request that is not in the table of the state",
    "session": "ISO 15118-2 8.3.2, SessionID",
    "timeout": "ISO 15118-2 8.7.3.2",
    "parse": "ISO 15118-2 8.3.3, Notification",
    "stop": "ISO 15118-2 8.5.3.1 and 8.5.4.1, EVSENotification",
    "contactor": "ISO 15118-2 8.4.3.5, PowerDelivery",
    "cable-check": "ISO 15118-2 8.4.5.2, CableCheck",
    "ev-status": "ISO 15118-2 8.5.4.2",
    "service-detail": "ISO 15118-2 8.4.3.3.3, ServiceID",
    "selection": "ISO 15118-2 8.4.3.4.1",
    "payment-details": "ISO 15118-2 8.4.3.4.2",
    "authorization": "ISO 15118-2 8.4.3.7",
    "installation": "ISO 15118-2 8.4.3.11",
    "update": "ISO 15118-2 8.4.3.10",
    "parameters": "ISO 15118-2 8.4.3.8",
    "delivery": "ISO 15118-2 8.4.3.9",
    "receipt": "ISO 15118-2 8.4.4.3",
}
"""What went wrong → where the standard says what follows of it."""
