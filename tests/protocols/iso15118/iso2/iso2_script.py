"""Requests of ISO 15118-2 and the way to each state of the SECC, for tests that play the vehicle."""

from __future__ import annotations

from typing import Any

from tests.protocols.iso15118.v2g_world import AC_OFFER, ScriptedStation

from pilotwire.protocols.iso15118.physical import amperes, volts, watt_hours, watts

STATUS = {"EVReady": True, "EVErrorCode": "NO_ERROR", "EVRESSSOC": 30}
DC = {
    "DC_EVStatus": STATUS,
    "EVMaximumCurrentLimit": amperes(120_000),
    "EVMaximumVoltageLimit": volts(450_000),
    "EVMaximumPowerLimit": watts(50_000_000),
}
AC = {
    "EAmount": watt_hours(20_000),
    "EVMaxVoltage": volts(400_000),
    "EVMaxCurrent": amperes(32_000),
    "EVMinCurrent": amperes(6_000),
}
CHAIN = {"Certificate": b"leaf", "SubCertificates": {"Certificate": [b"sub"]}}
ROOTS = {"RootCertificateID": [{"X509IssuerName": "CN=root", "X509SerialNumber": 1}]}
METER = {"MeterID": "M1", "MeterReading": 1}

REQUESTS: dict[str, dict[str, Any]] = {
    "SessionSetupReq": {"EVCCID": b"\x02\0\0\0\0\x01"},
    "ServiceDiscoveryReq": {},
    "ServiceDetailReq": {"ServiceID": 1},
    "PaymentServiceSelectionReq": {
        "SelectedPaymentOption": "ExternalPayment",
        "SelectedServiceList": {"SelectedService": [{"ServiceID": 1}]},
    },
    "CertificateInstallationReq": {"Id": "id1", "OEMProvisioningCert": b"oem", "ListOfRootCertificateIDs": ROOTS},
    "CertificateUpdateReq": {
        "Id": "id1",
        "ContractSignatureCertChain": CHAIN,
        "eMAID": "DEPWRC00000001",
        "ListOfRootCertificateIDs": ROOTS,
    },
    "PaymentDetailsReq": {"eMAID": "DEPWRC00000001", "ContractSignatureCertChain": CHAIN},
    "AuthorizationReq": {},
    "ChargeParameterDiscoveryReq": {"RequestedEnergyTransferMode": "DC_extended", "DC_EVChargeParameter": DC},
    "PowerDeliveryReq": {"ChargeProgress": "Start", "SAScheduleTupleID": 1},
    "ChargingStatusReq": {},
    "MeteringReceiptReq": {"Id": "id1", "SessionID": bytes(8), "MeterInfo": METER},
    "CableCheckReq": {"DC_EVStatus": STATUS},
    "PreChargeReq": {
        "DC_EVStatus": STATUS,
        "EVTargetVoltage": volts(400_000),
        "EVTargetCurrent": amperes(2_000),
    },
    "CurrentDemandReq": {
        "DC_EVStatus": STATUS,
        "EVTargetCurrent": amperes(60_000),
        "ChargingComplete": False,
        "EVTargetVoltage": volts(400_000),
    },
    "WeldingDetectionReq": {"DC_EVStatus": STATUS},
    "SessionStopReq": {"ChargingSession": "Terminate"},
}
"""A valid body of each."""

STOP = {"ChargeProgress": "Stop", "SAScheduleTupleID": 1}
AC_DISCOVERY = {"RequestedEnergyTransferMode": "AC_three_phase_core", "AC_EVChargeParameter": AC}

_UP = ["SessionSetupReq", "ServiceDiscoveryReq", "PaymentServiceSelectionReq", "AuthorizationReq", "AuthorizationReq"]
_DC = [*_UP, "ChargeParameterDiscoveryReq"]
_CHECKED = [*_DC, "CableCheckReq", "CableCheckReq"]
_CHARGED = [*_CHECKED, "PreChargeReq", "PowerDeliveryReq"]
_AC: list[Any] = [*_UP, ("ChargeParameterDiscoveryReq", AC_DISCOVERY)]

WAYS: dict[str, list[Any]] = {
    "SessionSetup": [],
    "ServiceDiscovery": _UP[:1],
    "Selection": _UP[:2],
    "Authorization": _UP[:3],
    "ChargeParameterDiscovery": _UP,
    "CableCheck": _DC,
    "PreCharge": _CHECKED,
    "PowerDelivery": [*_CHECKED, "PreChargeReq"],
    "FirstDemand": _CHARGED,
    "ChargeLoop": [*_CHARGED, "CurrentDemandReq"],
    "WeldingDetection": [*_CHARGED, "CurrentDemandReq", ("PowerDeliveryReq", STOP)],
    "AcPowerDelivery": _AC,
    "FirstStatus": [*_AC, "PowerDeliveryReq"],
    "AcChargeLoop": [*_AC, "PowerDeliveryReq", "ChargingStatusReq"],
    "SessionStop": [*_AC, "PowerDeliveryReq", "ChargingStatusReq", ("PowerDeliveryReq", STOP)],
}
"""State → the requests that lead to it with external payment."""


def at(state: str, way: list[Any] | None = None, **more: Any) -> ScriptedStation:
    """A station in that state."""
    ac = any(type(one) is tuple and one[1] is AC_DISCOVERY for one in WAYS.get(state, []))
    if ac:
        more = {"services": ("AC",), "offer": AC_OFFER} | more
    station = ScriptedStation("iso2", **more)
    go(station, WAYS[state] if way is None else way)
    assert station.evse.state == state, f"{station.evse.state}, not {state}"
    return station


def go(station: ScriptedStation, way: list[Any]) -> None:
    for one in way:
        name, body = one if type(one) is tuple else (one, REQUESTS[one])
        answer = station.ask(name, body)
        assert answer is not None and answer["ResponseCode"].startswith("OK"), (name, answer)
