"""Plug & Charge of ISO 15118-2 for tests: keys of a test PKI, a station at any request, a vehicle at any answer."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from tests.protocols.iso15118.iso2.iso2_script import AC_DISCOVERY, REQUESTS, WAYS, at, go
from tests.protocols.iso15118.v2g_world import AC_DRIVE, AC_OFFER, ScriptedCar, ScriptedStation, bytes_of

from pilotwire.core.ev_link import Halt
from pilotwire.core.evse_link import Certificate, CertificateAsked, Measured, ReceiptWanted
from pilotwire.crypto.pnc import pki as made
from pilotwire.crypto.pnc.provisioning import Provisioning, TestOperator
from pilotwire.crypto.pnc.station import Station
from pilotwire.crypto.pnc.vehicle import Identity, Vehicle
from pilotwire.protocols.iso15118.physical import amperes, volts
from pilotwire.protocols.iso15118.pnc import signed_by_contract, signed_by_provisioning

NOW = 1_767_225_600_000


@cache
def pki() -> Any:
    """Made once: it costs some milliseconds a certificate."""
    return made.make("iso2", random=bytes_of(3), now=datetime.fromtimestamp(NOW / 1000, UTC))


def identity(name: str) -> Identity:
    issued = pki()[name]
    return Identity(issued.chain, issued.key)


def station_keys(**more: Any) -> Station:
    return Station(pki().trust(), **more)


def vehicle(*, contract: bool = True, provisioning: bool = True) -> Vehicle:
    return Vehicle(
        pki().trust(),
        contracts={"iso2": identity("contract")} if contract else {},
        provisioning={"iso2": identity("oem")} if provisioning else {},
    )


@cache
def provisioning() -> Provisioning:
    operator = TestOperator(pki()["mo-sub2"], bytes_of(4), lambda pcid: made.EMAID)
    return Provisioning(pki().trust(), identity("cps"), operator, bytes_of(5))


def install(event: CertificateAsked) -> Certificate:
    """What the provisioning service answers."""
    return Certificate(exi=provisioning().answer("iso2", event.exi, NOW))


# ── the station, played by a vehicle with a contract ─────────────────────────────────────────────────────────────────
CHOSEN = {
    "SelectedPaymentOption": "Contract",
    "SelectedServiceList": {
        "SelectedService": [
            {"ServiceID": 1},
            {"ServiceID": 2, "ParameterSetID": 1},
            {"ServiceID": 2, "ParameterSetID": 2},
        ]
    },
}
PLAIN = {"SelectedPaymentOption": "Contract", "SelectedServiceList": {"SelectedService": [{"ServiceID": 1}]}}


def station_at(state: str, *, mute: Any = (), keys: Any = None, update: bool = False) -> ScriptedStation:
    """A station that takes contracts over TLS, in that state, with the vehicle's keys in `station.car`."""
    station: Any = ScriptedStation(
        "iso2",
        services=("DC", "AC"),
        config={"payments": ("contract", "external"), "install": True, "receipts": True},
        tls=True,
        pnc=keys or station_keys(),
        offer=AC_OFFER,
    )
    station.car, station.challenge, station.meter = vehicle(), bytes(16), METER
    go(station, ["SessionSetupReq", "ServiceDiscoveryReq"])
    if state == "Certificate":
        go(station, [("PaymentServiceSelectionReq", CHOSEN)])
        station.mute = mute
        return station
    go(station, [("PaymentServiceSelectionReq", PLAIN)])
    if state != "PaymentDetails":
        ask(station, "PaymentDetailsReq")
    if state in ("MeteringReceipt", "AcChargeLoop"):
        ask(station, "AuthorizationReq")
        ask(station, "AuthorizationReq")
        go(station, [("ChargeParameterDiscoveryReq", AC_DISCOVERY), "PowerDeliveryReq", "ChargingStatusReq"])
    station.mute = mute
    assert station.evse.state == (state if state != "MeteringReceipt" else "AcChargeLoop")
    if state == "MeteringReceipt":
        station.command(Measured(mv=230_000, ma=16_000, energy_wh=1_234, meter_id="M1"))
        station.command(ReceiptWanted())
        station.meter = station.ask("ChargingStatusReq", {})["MeterInfo"]
        assert station.evse.state == "MeteringReceipt"
    return station


def ask(station: Any, name: str, **changes: Any) -> Any:
    """A request as the vehicle of the test PKI makes and signs it; `changes` are made before it is signed."""
    car = getattr(station, "car", None)
    body = dict(REQUESTS[name])
    if car is None or station.evse.state not in ("Certificate", "PaymentDetails", "Authorization", "MeteringReceipt"):
        return station.ask(name, body | changes)
    signature: Any = None
    if name == "CertificateInstallationReq":
        body |= {"OEMProvisioningCert": car.provisioning_chain("iso2")[0]} | changes
        signature = signed_by_provisioning(car, "iso2", body)
    elif name == "CertificateUpdateReq":
        body |= {"ContractSignatureCertChain": _chain(car), "eMAID": car.emaid("iso2")} | changes
        signature = signed_by_contract(car, "iso2", name, body)
    elif name == "PaymentDetailsReq":
        answer = station.ask(
            name, body | {"ContractSignatureCertChain": _chain(car), "eMAID": car.emaid("iso2")} | changes
        )
        station.challenge = answer.get("GenChallenge")
        return answer
    elif name == "AuthorizationReq":
        body |= {"Id": "id1", "GenChallenge": station.challenge} | changes
        signature = signed_by_contract(car, "iso2", name, body)
    elif name == "MeteringReceiptReq":
        body |= {"SessionID": station.session, "MeterInfo": station.meter} | changes
        signature = signed_by_contract(car, "iso2", name, body)
    return station.ask(name, body) if signature is None else station.ask(name, body, Signature=signature)


def _chain(car: Vehicle) -> dict[str, Any]:
    chain = car.chain("iso2")
    return {"Certificate": chain[0], "SubCertificates": {"Certificate": list(chain[1:])}}


def station_for(pair: str) -> Any:
    """A station that waits for that request."""
    if pair in ("PaymentDetails", "MeteringReceipt"):
        return station_at(pair)
    for state in WAYS:
        station = at(state)
        if f"{pair}Req" in station.evse.ALLOWED[state]:
            return station
    raise AssertionError(pair)


# ── the vehicle, played by a station ─────────────────────────────────────────────────────────────────────────────────
_STATUS = {
    "NotificationMaxDelay": 0,
    "EVSENotification": "None",
    "EVSEIsolationStatus": "Valid",
    "EVSEStatusCode": "EVSE_Ready",
}
AC_STATUS = {"NotificationMaxDelay": 0, "EVSENotification": "None", "RCD": False}
METER = {"MeterID": "M1", "MeterReading": 1_234}
_SCHEDULES = {
    "SAScheduleTuple": [
        {
            "SAScheduleTupleID": 1,
            "PMaxSchedule": {
                "PMaxScheduleEntry": [
                    {
                        "RelativeTimeInterval": {"start": 0, "duration": 86_400},
                        "PMax": {"Multiplier": 1, "Unit": "W", "Value": 3_000},
                    }
                ]
            },
        }
    ]
}
ANSWERS: dict[str, dict[str, Any]] = {
    "SessionSetup": {"ResponseCode": "OK_NewSessionEstablished", "EVSEID": "ZZ*PWR*E1"},
    "ServiceDiscovery": {
        "ResponseCode": "OK",
        "PaymentOptionList": {"PaymentOption": ["Contract", "ExternalPayment"]},
        "ChargeService": {
            "ServiceID": 1,
            "ServiceCategory": "EVCharging",
            "FreeService": False,
            "SupportedEnergyTransferMode": {"EnergyTransferMode": ["DC_extended", "AC_three_phase_core"]},
        },
        "ServiceList": {"Service": [{"ServiceID": 2, "ServiceCategory": "ContractCertificate", "FreeService": True}]},
    },
    "ServiceDetail": {
        "ResponseCode": "OK",
        "ServiceID": 2,
        "ServiceParameterList": {
            "ParameterSet": [
                {"ParameterSetID": number, "Parameter": [{"Name": "Service", "stringValue": word}]}
                for number, word in ((1, "Installation"), (2, "Update"))
            ]
        },
    },
    "PaymentServiceSelection": {"ResponseCode": "OK"},
    "PaymentDetails": {"ResponseCode": "OK", "GenChallenge": bytes(range(16)), "EVSETimeStamp": 0},
    "Authorization": {"ResponseCode": "OK", "EVSEProcessing": "Finished"},
    "ChargeParameterDiscovery": {
        "ResponseCode": "OK",
        "EVSEProcessing": "Finished",
        "SAScheduleList": _SCHEDULES,
        "DC_EVSEChargeParameter": {
            "DC_EVSEStatus": _STATUS,
            "EVSEMaximumCurrentLimit": amperes(100_000),
            "EVSEMaximumPowerLimit": {"Multiplier": 1, "Unit": "W", "Value": 3_000},
            "EVSEMaximumVoltageLimit": volts(500_000),
            "EVSEMinimumCurrentLimit": amperes(0),
            "EVSEMinimumVoltageLimit": volts(150_000),
            "EVSEPeakCurrentRipple": amperes(1_000),
        },
    },
    "CableCheck": {"ResponseCode": "OK", "DC_EVSEStatus": _STATUS, "EVSEProcessing": "Finished"},
    "PreCharge": {"ResponseCode": "OK", "DC_EVSEStatus": _STATUS, "EVSEPresentVoltage": volts(400_000)},
    "PowerDelivery": {"ResponseCode": "OK", "DC_EVSEStatus": _STATUS},
    "CurrentDemand": {
        "ResponseCode": "OK",
        "DC_EVSEStatus": _STATUS,
        "EVSEPresentVoltage": volts(400_000),
        "EVSEPresentCurrent": amperes(60_000),
        "EVSECurrentLimitAchieved": False,
        "EVSEVoltageLimitAchieved": False,
        "EVSEPowerLimitAchieved": False,
        "EVSEID": "ZZ*PWR*E1",
        "SAScheduleTupleID": 1,
    },
    "WeldingDetection": {"ResponseCode": "OK", "DC_EVSEStatus": _STATUS, "EVSEPresentVoltage": volts(0)},
    "SessionStop": {"ResponseCode": "OK"},
    "ChargingStatus": {
        "ResponseCode": "OK",
        "EVSEID": "ZZ*PWR*E1",
        "SAScheduleTupleID": 1,
        "EVSEMaxCurrent": amperes(16_000),
        "MeterInfo": METER,
        "AC_EVSEStatus": AC_STATUS,
    },
    "MeteringReceipt": {"ResponseCode": "OK", "AC_EVSEStatus": AC_STATUS},
}
"""An answer to each request that lets the vehicle go on."""
AC_ANSWERS: dict[str, dict[str, Any]] = {
    "ChargeParameterDiscovery": {
        "ResponseCode": "OK",
        "EVSEProcessing": "Finished",
        "SAScheduleList": _SCHEDULES,
        "AC_EVSEChargeParameter": {
            "AC_EVSEStatus": AC_STATUS,
            "EVSENominalVoltage": volts(230_000),
            "EVSEMaxCurrent": amperes(16_000),
        },
    },
    "PowerDelivery": {"ResponseCode": "OK", "AC_EVSEStatus": AC_STATUS},
    "ChargingStatus": ANSWERS["ChargingStatus"] | {"ReceiptRequired": True},
}


def car_asking(pair: str, *, mute: Any = ()) -> ScriptedCar:
    """A vehicle that has just sent that request."""
    keys: Any = None
    config: dict[str, Any] = {}
    ac = pair in ("ChargingStatus", "MeteringReceipt")
    if pair in ("ServiceDetail", "CertificateInstallation", "CertificateUpdate", "PaymentDetails", "MeteringReceipt"):
        keys = vehicle(contract=pair not in ("ServiceDetail", "CertificateInstallation"))
        config = {"payments": ("contract",), "install": True, "update": pair == "CertificateUpdate"}
    car = ScriptedCar(
        services=("AC",) if ac else ("DC",), config=config, mute=mute, tls=keys is not None, pnc=keys,
        **({"drive": AC_DRIVE} if ac else {}),
    )  # fmt: skip
    asked = car.start()
    for _ in range(60):
        if asked == f"{pair}Req":
            return car
        if asked is None:
            asked = car.wait((car.ev.deadline or car.now) - car.now)
            continue
        name = asked[:-3]
        if name == "CurrentDemand":
            car.command(Halt("for the test"))
        asked = car.answer(f"{name}Res", (AC_ANSWERS if ac else {}).get(name, ANSWERS[name]))
    raise AssertionError(f"the vehicle never asks for {pair}")
