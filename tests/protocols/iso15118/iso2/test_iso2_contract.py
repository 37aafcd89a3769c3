"""Plug & Charge of ISO 15118-2 with keys and certificates of a test PKI: both ends, and everything that is refused."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.protocols.iso15118.iso2 import iso2_contract as pnc
from tests.protocols.iso15118.iso2.iso2_script import REQUESTS
from tests.protocols.iso15118.v2g_world import World, said

from pilotwire.core.ev_link import Halt, Offered, Rest
from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Certificate,
    CertificateAsked,
    Connected,
    Ended,
    Fault,
    Identified,
    Price,
    ReceiptSigned,
    ReceiptWanted,
    Schedule,
)
from pilotwire.crypto.pnc import pki as made
from pilotwire.crypto.pnc.vehicle import Identity, Vehicle
from pilotwire.protocols.iso15118.iso2.states import ALLOWED, CODES
from pilotwire.protocols.iso15118.pnc import Verdict

CONTRACT = {"payments": ("contract", "external")}


def world(*, car: Vehicle | None = None, keys: Any = None, secc: Any = None, evcc: Any = None, **more: Any) -> World:
    return World(
        secc=CONTRACT | {"install": True, "receipts": True} | (secc or {}),
        evcc={"payments": ("contract",)} | (evcc or {}),
        tls=True,
        secc_pnc=keys or pnc.station_keys(),
        evcc_pnc=car or pnc.vehicle(),
        **more,
    )


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_a_contract_from_plug_to_stop(service: Any) -> None:
    both = world(service=service).begin(5_000)
    both.evcc.command(Halt("enough"))
    both.run()
    assert both.names()[:6] == [
        "SessionSetup", "ServiceDiscovery", "PaymentServiceSelection", "PaymentDetails", "Authorization",
        "ChargeParameterDiscovery",
    ]  # fmt: skip
    assert both.ended.ok and both.parted.ok and both.outlet.register_wh > 0
    who = said(both.station, Identified)[-1]
    assert who.emaid == made.EMAID and who.contract == pnc.pki()["contract"].chain
    assert said(both.station, AuthorizationAsked) == [AuthorizationAsked(by="contract")]
    order = [type(one) for one in both.station]
    assert order.index(AuthorizationAsked) > order.index(Identified)
    assert "Ongoing" in {one["EVSEProcessing"] for one in both.bodies("AuthorizationRes")}


def test_installation_then_charging() -> None:
    car = pnc.vehicle(contract=False)
    both = world(car=car, evcc={"install": True}, install=pnc.install).begin(5_000)
    assert both.names()[:7] == [
        "SessionSetup", "ServiceDiscovery", "ServiceDetail", "PaymentServiceSelection", "CertificateInstallation",
        "PaymentDetails", "Authorization",
    ]  # fmt: skip
    assert both.names()[-1] == "CurrentDemand" and car.emaid("iso2") == made.EMAID
    (asked,) = said(both.station, CertificateAsked)
    assert asked.action == "install" and asked.schema == "urn:iso:15118:2:2013:MsgDef"
    assert said(both.station, Identified)[-1].contract == car.chain("iso2") != pnc.pki()["contract"].chain


def test_update_then_charging() -> None:
    car = pnc.vehicle()
    before = car.chain("iso2")
    both = world(car=car, evcc={"update": True}, install=pnc.install).begin(5_000)
    assert "CertificateUpdate" in both.names() and both.names()[-1] == "CurrentDemand"
    assert car.chain("iso2") != before and said(both.station, CertificateAsked)[0].action == "update"


def test_no_contract_for_the_car() -> None:
    both = world(car=pnc.vehicle(contract=False), evcc={"install": True}, install=lambda event: Certificate()).begin(
        5_000
    )
    assert both.bodies("CertificateInstallationRes")[0]["ResponseCode"] == "FAILED_NoCertificateAvailable"
    assert not both.ended.ok and not both.parted.ok


def test_an_installation_answer_of_somebody_else_is_not_taken() -> None:
    def forged(event: CertificateAsked) -> Certificate:
        good = pnc.install(event).exi
        from pilotwire.protocols import exi

        message = exi.decode("iso2", good)
        message["V2G_Message"]["Header"]["Signature"]["SignatureValue"]["value"] = bytes(64)
        return Certificate(exi=exi.encode("iso2", message))

    car = pnc.vehicle(contract=False)
    both = world(car=car, evcc={"install": True}, install=forged).begin(5_000)
    assert not car.chain("iso2") and not both.parted.ok and both.names()[-1] == "SessionStop"
    assert "certificate" in both.parted.reason


def test_without_tls_there_is_no_contract() -> None:
    both = World(secc=CONTRACT, evcc=CONTRACT, secc_pnc=pnc.station_keys(), evcc_pnc=pnc.vehicle()).begin()
    assert both.bodies("ServiceDiscoveryRes")[0]["PaymentOptionList"]["PaymentOption"] == ["ExternalPayment"]
    assert both.bodies("PaymentServiceSelectionReq")[0]["SelectedPaymentOption"] == "ExternalPayment"
    assert both.names()[-1] == "CurrentDemand"


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_a_receipt_is_asked_for_given_and_checked(service: Any) -> None:
    both = world(service=service).begin(5_000)
    both.secc.command(ReceiptWanted())
    both.run(2_500)
    (receipt,) = said(both.station, ReceiptSigned)
    assert receipt.energy_wh == both.bodies("MeteringReceiptReq")[0]["MeterInfo"]["MeterReading"]
    assert len(receipt.signature) == 64
    assert both.names()[-1] in ("CurrentDemand", "ChargingStatus")
    both.evcc.command(Halt("enough"))
    both.run()
    assert both.ended.ok


def test_a_contract_session_sleeps_and_is_joined() -> None:
    both = world().begin(5_000)
    both.evcc.command(Rest())
    both.run()
    again = world(paused=both.paused, resume=both.ev.kept, seed=7).begin(5_000)
    assert said(again.station, Connected)[0].resumed and again.names()[-1] == "CurrentDemand"
    assert again.bodies("PaymentServiceSelectionReq")[0]["SelectedPaymentOption"] == "Contract"


TARIFF = Schedule(
    points=((0, 11_000_000),),
    duration_s=7_200,
    prices=(Price(start_s=0, amount=Decimal("0.30")), Price(start_s=3_600, amount=Decimal("0.15"))),
)


@pytest.mark.parametrize("signer", ["mo-sub2", "cps", None])
def test_a_tariff_counts_when_the_mobility_operator_signed_it(signer: str | None) -> None:
    issued = pnc.pki()[signer] if signer else None
    keys = pnc.station_keys(tariff={"iso2": (issued.key, issued.chain)} if issued else {})
    both = world(service="AC", keys=keys)
    both.secc.command(TARIFF)
    both.begin(2_000)
    (schedule,) = said(both.car, Offered)[0].schedules
    told = [(one.start_s, one.amount) for one in schedule.prices]
    assert told == ([(0, Decimal(100)), (3_600, Decimal(50))] if signer == "mo-sub2" else [])
    sent = both.bodies("ChargeParameterDiscoveryRes")[0]["SAScheduleList"]["SAScheduleTuple"][0]["SalesTariff"]
    assert [one["EPriceLevel"] for one in sent["SalesTariffEntry"]] == [2, 1] and sent["NumEPriceLevels"] == 2


def test_a_tariff_is_believed_without_a_contract() -> None:
    both = World(service="AC")
    both.secc.command(TARIFF)
    both.begin(2_000)
    assert len(said(both.car, Offered)[0].schedules[0].prices) == 2


# ── what is refused ──────────────────────────────────────────────────────────────────────────────────────────────────
def refused(station: Any, code: str) -> None:
    answer = station.answer
    assert answer["ResponseCode"] == code and code in CODES[answer["name"]], answer
    assert station.evse.over and not said(station.effects, Ended)[0].ok and said(station.effects, Fault)


@pytest.mark.parametrize("state", ["Certificate", "PaymentDetails", "MeteringReceipt"])
@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_every_request_in_the_states_of_contracts(state: str, name: str) -> None:
    station = pnc.station_at(state, mute=(CertificateAsked,))
    answer = pnc.ask(station, name)
    if name not in ALLOWED[state]:
        refused(station, "FAILED_SequenceError")
    elif name.startswith("Certificate"):
        assert answer is None and said(station.effects, CertificateAsked)
    else:
        assert answer["ResponseCode"] == "OK"


VERDICTS = {
    "expired": "FAILED_CertificateExpired",
    "revoked": "FAILED_CertificateRevoked",
    "not-allowed": "FAILED_CertificateNotAllowedAtThisEVSE",
    "no-trust": "FAILED_CertChainError",
    "not-yet-valid": "FAILED_CertChainError",
    "bad": "FAILED_CertChainError",
}


class Judge:
    """A station's keys that think a certain thing of every chain."""

    def __init__(self, code: Any) -> None:
        self._code = code
        self._real = pnc.station_keys()

    def contract(self, *what: Any) -> Verdict:
        return Verdict(self._code, "for the test")

    provisioning = contract

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


@pytest.mark.parametrize("code", sorted(VERDICTS))
def test_a_contract_that_is_not_believed(code: str) -> None:
    station = pnc.station_at("PaymentDetails", keys=Judge(code))
    pnc.ask(station, "PaymentDetailsReq")
    refused(station, VERDICTS[code])
    station = pnc.station_at("Certificate", keys=Judge(code))
    pnc.ask(station, "CertificateUpdateReq")
    refused(station, VERDICTS[code])


@pytest.mark.parametrize("code", ["expired", "revoked"])
def test_a_provisioning_certificate_that_is_not_believed(code: str) -> None:
    station = pnc.station_at("Certificate", keys=Judge(code))
    pnc.ask(station, "CertificateInstallationReq")
    refused(station, VERDICTS[code])


def test_a_contract_that_ends_soon_is_taken_and_told() -> None:
    station = pnc.station_at("PaymentDetails", keys=Judge("expires-soon"))
    assert pnc.ask(station, "PaymentDetailsReq")["ResponseCode"] == "OK_CertificateExpiresSoon"
    assert station.evse.state == "Authorization"


def test_another_challenge() -> None:
    station = pnc.station_at("Authorization")
    pnc.ask(station, "AuthorizationReq", GenChallenge=bytes(16))
    refused(station, "FAILED_ChallengeInvalid")
    station = pnc.station_at("Authorization")
    station.ask("AuthorizationReq", {})
    refused(station, "FAILED_ChallengeInvalid")


def other_keys(station: Any) -> None:
    """From now on the vehicle signs with a key that is not in its certificate."""
    contract, oem = pnc.pki()["contract"], pnc.pki()["oem"]
    station.car = Vehicle(
        pnc.pki().trust(),
        contracts={"iso2": Identity(contract.chain, oem.key)},
        provisioning={"iso2": Identity(oem.chain, contract.key)},
    )


@pytest.mark.parametrize(
    ("state", "name", "code"),
    [
        ("Authorization", "AuthorizationReq", "FAILED_SignatureError"),
        ("Certificate", "CertificateInstallationReq", "FAILED_SignatureError"),
        ("Certificate", "CertificateUpdateReq", "FAILED_SignatureError"),
        ("MeteringReceipt", "MeteringReceiptReq", "FAILED_MeteringSignatureNotValid"),
    ],
)
def test_signed_by_another_key(state: str, name: str, code: str) -> None:
    station = pnc.station_at(state)
    other_keys(station)
    pnc.ask(station, name)
    refused(station, code)
    assert not said(station.effects, AuthorizationAsked | CertificateAsked | ReceiptSigned)
    unsigned = pnc.station_at(state)
    body = REQUESTS[name] | {"Id": "id1"}
    if name == "AuthorizationReq":
        body["GenChallenge"] = unsigned.challenge
    if name == "MeteringReceiptReq":
        body |= {"SessionID": unsigned.session, "MeterInfo": unsigned.meter}
    unsigned.ask(name, body)
    refused(unsigned, code)


def test_a_receipt_of_another_reading_or_session() -> None:
    station = pnc.station_at("MeteringReceipt")
    pnc.ask(station, "MeteringReceiptReq", MeterInfo={"MeterID": "M1", "MeterReading": 1})
    refused(station, "FAILED_MeteringSignatureNotValid")
    station = pnc.station_at("MeteringReceipt")
    pnc.ask(station, "MeteringReceiptReq", SessionID=b"\x05" * 8)
    refused(station, "FAILED_MeteringSignatureNotValid")


def test_what_was_shown_once_is_not_asked_for_again() -> None:
    station = pnc.station_at("Authorization", mute=(AuthorizationAsked,))
    assert pnc.ask(station, "AuthorizationReq")["EVSEProcessing"] == "Ongoing"
    assert station.ask("AuthorizationReq", {})["EVSEProcessing"] == "Ongoing"
    assert len(said(station.all, AuthorizationAsked)) == 1


def test_no_answer_of_a_contract_session_carries_a_key() -> None:
    """Nothing that the machines tell (events, reasons) has a private key in it."""
    both = world().begin(5_000)
    secret = pnc.pki()["contract"].key.secret()
    assert all(secret.hex() not in repr(one) and repr(secret) not in repr(one) for one in [*both.station, *both.car])
