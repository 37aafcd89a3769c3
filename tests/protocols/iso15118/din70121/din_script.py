"""Requests of DIN SPEC 70121, the way to each state of the SECC, and answers for the EVCC."""

from __future__ import annotations

from typing import Any

from tests.protocols.iso15118.v2g_world import ScriptedCar, ScriptedStation

from pilotwire.core.ev_link import Halt
from pilotwire.protocols.iso15118.physical import amperes, volts, watts

STATUS = {"EVReady": True, "EVErrorCode": "NO_ERROR", "EVRESSSOC": 30}
DC = {
    "DC_EVStatus": STATUS,
    "EVMaximumCurrentLimit": amperes(120_000),
    "EVMaximumVoltageLimit": volts(450_000),
}
CHAIN = {"Certificate": b"leaf"}
ROOTS = {"RootCertificateID": ["root"]}
METER = {"MeterID": "M1"}

REQUESTS: dict[str, dict[str, Any]] = {
    "SessionSetupReq": {"EVCCID": b"\x02\0\0\0\0\x01"},
    "ServiceDiscoveryReq": {},
    "ServicePaymentSelectionReq": {
        "SelectedPaymentOption": "ExternalPayment",
        "SelectedServiceList": {"SelectedService": [{"ServiceID": 1}]},
    },
    "ContractAuthenticationReq": {},
    "ChargeParameterDiscoveryReq": {"EVRequestedEnergyTransferType": "DC_extended", "DC_EVChargeParameter": DC},
    "CableCheckReq": {"DC_EVStatus": STATUS},
    "PreChargeReq": {
        "DC_EVStatus": STATUS,
        "EVTargetVoltage": volts(400_000),
        "EVTargetCurrent": amperes(2_000),
    },
    "PowerDeliveryReq": {"ReadyToChargeState": True},
    "CurrentDemandReq": {
        "DC_EVStatus": STATUS,
        "EVTargetCurrent": amperes(60_000),
        "ChargingComplete": False,
        "EVTargetVoltage": volts(400_000),
    },
    "WeldingDetectionReq": {"DC_EVStatus": STATUS},
    "SessionStopReq": {},
    "ServiceDetailReq": {"ServiceID": 1},
    "PaymentDetailsReq": {"ContractID": "C", "ContractSignatureCertChain": CHAIN},
    "CertificateInstallationReq": {"OEMProvisioningCert": b"oem", "ListOfRootCertificateIDs": ROOTS, "DHParams": b"x"},
    "CertificateUpdateReq": {
        "ContractSignatureCertChain": CHAIN,
        "ContractID": "C",
        "ListOfRootCertificateIDs": ROOTS,
        "DHParams": b"x",
    },
    "ChargingStatusReq": {},
    "MeteringReceiptReq": {"SessionID": bytes(8), "MeterInfo": METER},
}
"""A valid body of each request of the schema."""
STOP = {"ReadyToChargeState": False}

_UP: list[Any] = [
    "SessionSetupReq", "ServiceDiscoveryReq", "ServicePaymentSelectionReq", "ContractAuthenticationReq",
    "ContractAuthenticationReq",
]  # fmt: skip
_CHECKED = [*_UP, "ChargeParameterDiscoveryReq", "CableCheckReq", "CableCheckReq"]
_CHARGED = [*_CHECKED, "PreChargeReq", "PowerDeliveryReq"]
WAYS: dict[str, list[Any]] = {
    "SessionSetup": [],
    "ServiceDiscovery": _UP[:1],
    "Selection": _UP[:2],
    "ContractAuthentication": _UP[:3],
    "ChargeParameterDiscovery": _UP,
    "CableCheck": [*_UP, "ChargeParameterDiscoveryReq"],
    "PreCharge": _CHECKED,
    "PowerDelivery": [*_CHECKED, "PreChargeReq"],
    "FirstDemand": _CHARGED,
    "ChargeLoop": [*_CHARGED, "CurrentDemandReq"],
    "WeldingDetection": [*_CHARGED, "CurrentDemandReq", ("PowerDeliveryReq", STOP)],
}
"""State → the requests that lead to it."""


def at(state: str, **more: Any) -> ScriptedStation:
    """A station in that state."""
    station = ScriptedStation("din", **more)
    for one in WAYS[state]:
        name, body = one if type(one) is tuple else (one, REQUESTS[one])
        answer = station.ask(name, body)
        assert answer is not None and answer["ResponseCode"].startswith("OK"), (name, answer)
    assert station.evse.state == state
    return station


_EVSE = {
    "EVSEIsolationStatus": "Valid",
    "EVSEStatusCode": "EVSE_Ready",
    "NotificationMaxDelay": 0,
    "EVSENotification": "None",
}
ANSWERS: dict[str, dict[str, Any]] = {
    "SessionSetup": {"ResponseCode": "OK_NewSessionEstablished", "EVSEID": b"\0"},
    "ServiceDiscovery": {
        "ResponseCode": "OK",
        "PaymentOptions": {"PaymentOption": ["ExternalPayment"]},
        "ChargeService": {
            "ServiceTag": {"ServiceID": 1, "ServiceCategory": "EVCharging"},
            "FreeService": False,
            "EnergyTransferType": "DC_extended",
        },
    },
    "ServicePaymentSelection": {"ResponseCode": "OK"},
    "ContractAuthentication": {"ResponseCode": "OK", "EVSEProcessing": "Finished"},
    "ChargeParameterDiscovery": {
        "ResponseCode": "OK",
        "EVSEProcessing": "Finished",
        "SAScheduleList": {
            "SAScheduleTuple": [
                {
                    "SAScheduleTupleID": 1,
                    "PMaxSchedule": {
                        "PMaxScheduleID": 1,
                        "PMaxScheduleEntry": [{"RelativeTimeInterval": {"start": 0}, "PMax": 30_000}],
                    },
                }
            ]
        },
        "DC_EVSEChargeParameter": {
            "DC_EVSEStatus": _EVSE,
            "EVSEMaximumCurrentLimit": amperes(100_000),
            "EVSEMaximumPowerLimit": watts(30_000_000),
            "EVSEMaximumVoltageLimit": volts(500_000),
            "EVSEMinimumCurrentLimit": amperes(0),
            "EVSEMinimumVoltageLimit": volts(150_000),
            "EVSEPeakCurrentRipple": amperes(1_000),
        },
    },
    "CableCheck": {"ResponseCode": "OK", "DC_EVSEStatus": _EVSE, "EVSEProcessing": "Finished"},
    "PreCharge": {"ResponseCode": "OK", "DC_EVSEStatus": _EVSE, "EVSEPresentVoltage": volts(400_000)},
    "PowerDelivery": {"ResponseCode": "OK", "DC_EVSEStatus": _EVSE},
    "CurrentDemand": {
        "ResponseCode": "OK",
        "DC_EVSEStatus": _EVSE,
        "EVSEPresentVoltage": volts(400_000),
        "EVSEPresentCurrent": amperes(60_000),
        "EVSECurrentLimitAchieved": False,
        "EVSEVoltageLimitAchieved": False,
        "EVSEPowerLimitAchieved": False,
    },
    "WeldingDetection": {"ResponseCode": "OK", "DC_EVSEStatus": _EVSE, "EVSEPresentVoltage": volts(0)},
    "SessionStop": {"ResponseCode": "OK"},
}
"""An answer to each request that lets the vehicle go on."""


def car_asking(pair: str, *, mute: Any = ()) -> ScriptedCar:
    """A vehicle that has just sent that request."""
    car = ScriptedCar("din", mute=mute)
    asked = car.start()
    for _ in range(40):
        if asked == f"{pair}Req":
            return car
        if asked is None:
            asked = car.wait((car.ev.deadline or car.now) - car.now)
            continue
        name = asked[:-3]
        if name == "CurrentDemand":
            car.command(Halt("for the test"))
        asked = car.answer(f"{name}Res", ANSWERS[name])
    raise AssertionError(f"the vehicle never asks for {pair}")
