"""Answers of DIN SPEC 70121 that refuse: whole and schema-valid, with nothing in them but the code."""

from __future__ import annotations

from typing import Final

from pilotwire.protocols.exi.codec import Message

from ..physical import amperes, volts, watts

_STATUS: Final[Message] = {
    "EVSEIsolationStatus": "Invalid",
    "EVSEStatusCode": "EVSE_Shutdown",
    "NotificationMaxDelay": 0,
    "EVSENotification": "StopCharging",
}
_AC_STATUS: Final[Message] = {
    "PowerSwitchClosed": False,
    "RCD": False,
    "NotificationMaxDelay": 0,
    "EVSENotification": "StopCharging",
}


def service(free: bool) -> Message:
    """ChargeService: direct current."""
    return {
        "ServiceTag": {"ServiceID": 1, "ServiceCategory": "EVCharging"},
        "FreeService": free,
        "EnergyTransferType": "DC_extended",
    }


def refusal(request: str, code: str, *, evse_id: bytes, status: Message | None = None) -> Message:
    """The body of the answer to `request`. `status` is the EVSE's, where more is known than that it stops."""
    dc_status = status or _STATUS
    said: Message = {"ResponseCode": code}
    match request:
        case "SessionSetupReq":
            said |= {"EVSEID": evse_id}
        case "ServiceDiscoveryReq":
            said |= {"PaymentOptions": {"PaymentOption": ["ExternalPayment"]}, "ChargeService": service(False)}
        case "ServiceDetailReq":
            said |= {"ServiceID": 1}
        case "PaymentDetailsReq":
            said |= {"GenChallenge": "", "DateTimeNow": 0}
        case "CertificateInstallationReq" | "CertificateUpdateReq":
            said |= {
                "Id": "id1",
                "ContractSignatureCertChain": {"Certificate": b""},
                "ContractSignatureEncryptedPrivateKey": b"",
                "DHParams": b"",
                "ContractID": "",
            }
            if request == "CertificateUpdateReq":
                said["RetryCounter"] = -1
        case "ContractAuthenticationReq":
            said |= {"EVSEProcessing": "Finished"}
        case "ChargeParameterDiscoveryReq":
            said |= {"EVSEProcessing": "Finished", "SAScheduleList": no_power(), **_parameters(dc_status)}
        case "PowerDeliveryReq":
            said |= {"DC_EVSEStatus": dc_status}
        case "MeteringReceiptReq":
            said |= {"AC_EVSEStatus": _AC_STATUS}
        case "ChargingStatusReq":
            said |= {
                "EVSEID": evse_id,
                "SAScheduleTupleID": 1,
                "ReceiptRequired": False,
                "AC_EVSEStatus": _AC_STATUS,
            }
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
            }
        case _:
            # ServicePaymentSelectionRes and SessionStopRes have nothing but the code.
            pass
    return said


def no_power() -> Message:
    """A schedule in which nothing flows: the schema wants one in every ChargeParameterDiscoveryRes."""
    entry: Message = {"RelativeTimeInterval": {"start": 0, "duration": 86_400}, "PMax": 0}
    schedule: Message = {"PMaxScheduleID": 1, "PMaxScheduleEntry": [entry]}
    return {"SAScheduleTuple": [{"SAScheduleTupleID": 1, "PMaxSchedule": schedule}]}


def _parameters(status: Message) -> Message:
    return {
        "DC_EVSEChargeParameter": {
            "DC_EVSEStatus": status,
            "EVSEMaximumCurrentLimit": amperes(0),
            "EVSEMaximumPowerLimit": watts(0),
            "EVSEMaximumVoltageLimit": volts(0),
            "EVSEMinimumCurrentLimit": amperes(0),
            "EVSEMinimumVoltageLimit": volts(0),
            "EVSEPeakCurrentRipple": amperes(0),
        }
    }
