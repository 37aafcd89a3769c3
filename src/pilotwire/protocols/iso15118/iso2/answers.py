"""Answers of ISO 15118-2 that refuse: whole and schema-valid, with nothing in them but the code."""

from __future__ import annotations

from typing import Final

from pilotwire.protocols.exi.codec import Message

from ..physical import amperes, volts, watts

_DC_STATUS: Final[Message] = {
    "NotificationMaxDelay": 0,
    "EVSENotification": "StopCharging",
    "EVSEIsolationStatus": "Invalid",
    "EVSEStatusCode": "EVSE_Shutdown",
}
_AC_STATUS: Final[Message] = {"NotificationMaxDelay": 0, "EVSENotification": "StopCharging", "RCD": False}


def refusal(request: str, code: str, *, evse_id: str, dc: bool, status: Message | None = None) -> Message:
    """The body of the answer to `request`. `status` is the EVSE's, where more is known than that it stops."""
    dc_status, ac_status = (status or _DC_STATUS, _AC_STATUS) if dc else (_DC_STATUS, status or _AC_STATUS)
    of_evse: Message = {"DC_EVSEStatus": dc_status} if dc else {"AC_EVSEStatus": ac_status}
    said: Message = {"ResponseCode": code}
    match request:
        case "SessionSetupReq":
            said |= {"EVSEID": evse_id}
        case "ServiceDiscoveryReq":
            said |= {
                "PaymentOptionList": {"PaymentOption": ["ExternalPayment"]},
                "ChargeService": {
                    "ServiceID": 1,
                    "ServiceCategory": "EVCharging",
                    "FreeService": False,
                    "SupportedEnergyTransferMode": {
                        "EnergyTransferMode": ["DC_extended" if dc else "AC_three_phase_core"]
                    },
                },
            }
        case "ServiceDetailReq":
            said |= {"ServiceID": 1}
        case "CertificateInstallationReq" | "CertificateUpdateReq":
            said |= {
                "SAProvisioningCertificateChain": {"Certificate": b""},
                "ContractSignatureCertChain": {"Id": "id1", "Certificate": b""},
                "ContractSignatureEncryptedPrivateKey": {"Id": "id2", "value": b""},
                "DHpublickey": {"Id": "id3", "value": b""},
                "eMAID": {"Id": "id4", "value": "ZZ000000000000"},
            }
        case "PaymentDetailsReq":
            said |= {"GenChallenge": bytes(16), "EVSETimeStamp": 0}
        case "AuthorizationReq":
            said |= {"EVSEProcessing": "Finished"}
        case "ChargeParameterDiscoveryReq":
            said |= {"EVSEProcessing": "Finished", **_parameters(dc, dc_status, ac_status)}
        case "PowerDeliveryReq" | "MeteringReceiptReq":
            said |= of_evse
        case "ChargingStatusReq":
            said |= {"EVSEID": evse_id, "SAScheduleTupleID": 1, "AC_EVSEStatus": ac_status}
        case "CableCheckReq":
            said |= {"DC_EVSEStatus": dc_status, "EVSEProcessing": "Finished"}
        case "PreChargeReq" | "WeldingDetectionReq":
            said |= {"DC_EVSEStatus": dc_status, "EVSEPresentVoltage": volts(0)}
        case "CurrentDemandReq":
            said |= {
                "DC_EVSEStatus": dc_status,
                "EVSEPresentVoltage": volts(0),
                "EVSEPresentCurrent": amperes(0),
                "EVSECurrentLimitAchieved": False,
                "EVSEVoltageLimitAchieved": False,
                "EVSEPowerLimitAchieved": False,
                "EVSEID": evse_id,
                "SAScheduleTupleID": 1,
            }
        case _:
            # PaymentServiceSelectionRes and SessionStopRes have nothing but the code.
            pass
    return said


def _parameters(dc: bool, dc_status: Message, ac_status: Message) -> Message:
    if not dc:
        return {
            "AC_EVSEChargeParameter": {
                "AC_EVSEStatus": ac_status,
                "EVSENominalVoltage": volts(0),
                "EVSEMaxCurrent": amperes(0),
            }
        }
    return {
        "DC_EVSEChargeParameter": {
            "DC_EVSEStatus": dc_status,
            "EVSEMaximumCurrentLimit": amperes(0),
            "EVSEMaximumPowerLimit": watts(0),
            "EVSEMaximumVoltageLimit": volts(0),
            "EVSEMinimumCurrentLimit": amperes(0),
            "EVSEMinimumVoltageLimit": volts(0),
            "EVSEPeakCurrentRipple": amperes(0),
        }
    }
