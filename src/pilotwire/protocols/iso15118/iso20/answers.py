"""The least that the schema takes as an answer to each request: what stands beside FAILED ([V2G20-736]).

`COMMON` here; each energy service brings its own (`AC_EMPTY`, ...), and `modes.EMPTY` is all of them.
"""

from __future__ import annotations

from typing import Any, Final

Message = dict[str, Any]

_NO_CHAIN: Final[Message] = {"Certificate": b"", "SubCertificates": {"Certificate": [b""]}}

COMMON: Final[dict[str, Message]] = {
    "SessionSetupRes": {"EVSEID": ""},
    "AuthorizationSetupRes": {
        "AuthorizationServices": ["EIM"],
        "CertificateInstallationService": False,
        "EIM_ASResAuthorizationMode": {},
    },
    "AuthorizationRes": {"EVSEProcessing": "Finished"},
    "ServiceDiscoveryRes": {
        "ServiceRenegotiationSupported": False,
        "EnergyTransferServiceList": {"Service": [{"ServiceID": 2, "FreeService": False}]},
    },
    "ServiceDetailRes": {
        "ServiceID": 0,
        "ServiceParameterList": {
            "ParameterSet": [{"ParameterSetID": 0, "Parameter": [{"Name": "", "boolValue": False}]}]
        },
    },
    "ServiceSelectionRes": {},
    "ScheduleExchangeRes": {"EVSEProcessing": "Finished", "Dynamic_SEResControlMode": {}},
    "PowerDeliveryRes": {},
    "MeteringConfirmationRes": {},
    "SessionStopRes": {},
    "CertificateInstallationRes": {
        "EVSEProcessing": "Finished",
        "CPSCertificateChain": {"Certificate": b""},
        "SignedInstallationData": {
            "Id": "id1",
            "ContractCertificateChain": _NO_CHAIN,
            "ECDHCurve": "SECP521",
            "DHPublicKey": bytes(133),
            "SECP521_EncryptedPrivateKey": bytes(94),
        },
        "RemainingContractCertificateChains": 0,
    },
    "VehicleCheckInRes": {},
    "VehicleCheckOutRes": {"EVSECheckOutStatus": "Completed"},
}
