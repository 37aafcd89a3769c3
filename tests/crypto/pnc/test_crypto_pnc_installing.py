"""A contract comes into a car: request, answer, both editions; and what is refused on either side."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from pilotwire.crypto.pnc import pki as makers
from pilotwire.crypto.pnc.keys import Kind, PrivateKey, Wrapped
from pilotwire.crypto.pnc.pki import Pki
from pilotwire.crypto.pnc.provisioning import Provisioning, Refused, TestOperator
from pilotwire.crypto.pnc.station import Station, verify_by
from pilotwire.crypto.pnc.vehicle import Identity, Vehicle
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118 import pnc
from pilotwire.protocols.iso15118.pnc import Edition
from pilotwire.protocols.iso15118.signature import SignatureError

NOW = datetime(2026, 1, 1, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)
DAY = 86_400_000
EDITIONS: tuple[Edition, ...] = ("iso2", "iso20")


def request_of(car: Vehicle, edition: Edition) -> bytes:
    """CertificateInstallationReq as a machine makes it."""
    chain = car.provisioning_chain(edition)
    if edition == "iso2":
        body = {
            "Id": "id1",
            "OEMProvisioningCert": chain[0],
            "ListOfRootCertificateIDs": pnc.root_ids(car.roots(edition)),
        }
        header = {"SessionID": bytes(8), "Signature": pnc.signed_by_provisioning(car, edition, body)}
        return exi.encode("iso2", {"V2G_Message": {"Header": header, "Body": {"CertificateInstallationReq": body}}})
    body = {
        "OEMProvisioningCertificateChain": pnc.chain_element(chain, "id1"),
        "ListOfRootCertificateIDs": pnc.root_ids(car.roots(edition)),
        "MaximumContractCertificateChains": 1,
    }
    header = {"SessionID": bytes(8), "TimeStamp": 1, "Signature": pnc.signed_by_provisioning(car, edition, body)}
    return exi.encode("iso20-common", {"CertificateInstallationReq": {"Header": header, **body}})


def update_of(car: Vehicle) -> bytes:
    body = {
        "Id": "id1",
        "ContractSignatureCertChain": pnc.chain_element(car.chain("iso2")),
        "eMAID": car.emaid("iso2"),
        "ListOfRootCertificateIDs": pnc.root_ids(car.roots("iso2")),
    }
    header = {"SessionID": bytes(8), "Signature": pnc.signed_by_contract(car, "iso2", "CertificateUpdateReq", body)}
    return exi.encode("iso2", {"V2G_Message": {"Header": header, "Body": {"CertificateUpdateReq": body}}})


def opened(edition: Edition, answer: bytes) -> tuple[dict, object]:
    """The element of an answer, and the signature in its header."""
    if edition == "iso2":
        message = exi.decode("iso2", answer)["V2G_Message"]
        ((_, body),) = message["Body"].items()
        return body, message["Header"].get("Signature")
    ((_, body),) = exi.decode("iso20-common", answer).items()
    return body, body["Header"].get("Signature")


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_first_contract_is_installed_and_used(pkis, vehicle, service, edition: Edition) -> None:
    kept: list[str] = []
    car = vehicle(edition, contract=False)
    car._kept = lambda edition, identity: kept.append(edition)
    assert (car.emaid(edition), car.chain(edition)) == ("", ())
    answer = service(edition).answer(edition, request_of(car, edition), MS)
    body, signature = opened(edition, answer)
    assert body["ResponseCode"] == "OK"
    assert car.take(edition, body, signature, MS) == ("ok", "", "DEPWRC00000002")
    assert kept == [edition]
    assert car.emaid(edition) == "DEPWRC00000002"
    assert not car.expires_soon(edition, MS)
    assert car.expires_soon(edition, MS + 715 * DAY)
    station = Station(pkis[edition].trust())
    assert station.contract(edition, car.chain(edition), "DEPWRC00000002", MS).ok
    # The key belongs to the certificate: what the car signs, the station believes.
    if edition == "iso2":
        name, message = "AuthorizationReq", {"Id": "id1", "GenChallenge": bytes(16)}
    else:
        chain = pnc.chain_element(car.chain(edition))
        name = "AuthorizationReq"
        message = {
            "PnC_AReqAuthorizationMode": {"Id": "id1", "GenChallenge": bytes(16), "ContractCertificateChain": chain}
        }
    signed = pnc.signed_by_contract(car, edition, name, message)
    pnc.check_signed(station, edition, name, message, signed, car.chain(edition)[0])
    with pytest.raises(SignatureError):
        pnc.check_signed(station, edition, name, message, signed, pkis[edition]["contract"].certificate)


def test_sizes_of_an_answer_of_2(vehicle, service) -> None:
    """It must fit into OCPP's 7500 characters of base64 and is about what real ones are."""
    answer = service("iso2").answer("iso2", request_of(vehicle("iso2", contract=False), "iso2"), MS)
    assert 3000 < len(answer) < 5600
    _, signature = opened("iso2", answer)
    uris = [one["URI"] for one in signature["SignedInfo"]["Reference"]]  # type: ignore[index]
    assert uris == ["#id1", "#id2", "#id3", "#id4"]


def test_a_contract_is_updated_for_its_own_key(vehicle, service) -> None:
    car = vehicle("iso2")
    before = car.chain("iso2")
    answer = service("iso2").answer("iso2", update_of(car), MS)
    assert "CertificateUpdateRes" in exi.decode("iso2", answer)["V2G_Message"]["Body"]
    assert car.take("iso2", *opened("iso2", answer), MS) == ("ok", "", makers.EMAID)
    assert car.chain("iso2") != before
    # Another car cannot open it, though the answer itself is right.
    verdict = vehicle("iso2", contract=False).take("iso2", *opened("iso2", answer), MS)
    assert (verdict.code, "key" in verdict.text) == ("bad", True)


@pytest.mark.parametrize("edition", EDITIONS)
def test_what_is_for_another_car_is_not_taken(pkis, vehicle, service, edition: Edition) -> None:
    own: Pki = pkis[edition]
    answer = service(edition).answer(edition, request_of(vehicle(edition, contract=False), edition), MS)
    stranger = makers.make(edition, random=random.Random(5).randbytes, now=NOW)
    other = Vehicle(own.trust(), provisioning={edition: Identity(own["oem"].chain, stranger["oem"].key)})
    assert other.take(edition, *opened(edition, answer), MS).code == "bad"
    assert other.emaid(edition) == ""


@pytest.mark.parametrize("edition", EDITIONS)
def test_a_service_that_is_not_trusted_or_has_expired(pkis, vehicle, service, edition: Edition) -> None:
    car = vehicle(edition, contract=False)
    answer = service(edition).answer(edition, request_of(car, edition), MS)
    assert car.take(edition, *opened(edition, answer), MS + 100 * DAY).code == "expired"
    stranger = makers.make(edition, random=random.Random(5).randbytes, now=NOW)
    foreign = Provisioning(
        pkis[edition].trust(),
        Identity(stranger["cps"].chain, stranger["cps"].key),
        TestOperator(stranger["mo-sub2"], random.Random(1).randbytes, lambda pcid: "DEPWRC00000003"),
        random.Random(1).randbytes,
    )
    answer = foreign.answer(edition, request_of(car, edition), MS)
    assert car.take(edition, *opened(edition, answer), MS).code == "no-trust"
    assert car.emaid(edition) == ""


@pytest.mark.parametrize("edition", EDITIONS)
def test_an_answer_that_was_changed_is_not_taken(vehicle, service, edition: Edition) -> None:
    car = vehicle(edition, contract=False)
    answer = service(edition).answer(edition, request_of(car, edition), MS)

    def changed(change) -> tuple[str, str]:
        body, signature = opened(edition, answer)
        change(body, signature)
        verdict = car.take(edition, body, signature, MS)
        assert car.emaid(edition) == "", "nothing is kept"
        return verdict.code, verdict.text

    assert changed(lambda body, signature: signature.update(SignatureValue={"value": bytes(64)}))[0] == "bad"
    if edition == "iso2":
        assert changed(lambda body, _: body["DHpublickey"].update(value=bytes(65)))[0] == "bad"
        assert changed(lambda body, _: body["eMAID"].update(value="DEPWRC00000009"))[0] == "bad"
        assert changed(lambda body, _: body.pop("eMAID"))[0] == "bad"
        assert changed(lambda body, _: body["DHpublickey"].pop("Id"))[0] == "bad"
        chain = "ContractSignatureCertChain"
        assert changed(lambda body, _: body[chain].update(Certificate=b"\x30\x03"))[0] == "bad"
    else:
        data = "SignedInstallationData"
        assert changed(lambda body, _: body[data].update(DHPublicKey=bytes(133)))[0] == "bad"
        assert changed(lambda body, _: body.pop(data))[0] == "bad"
        assert changed(lambda body, _: body[data].pop("SECP521_EncryptedPrivateKey"))[0] == "bad"
    body, _ = opened(edition, answer)
    assert car.take(edition, body, None, MS).text == "the message is not signed"


def test_requests_that_are_refused(pkis, vehicle, service) -> None:
    for edition in EDITIONS:
        desk: Provisioning = service(edition)
        request = request_of(vehicle(edition, contract=False), edition)

        def refused(data: bytes, now: int = MS, desk=desk, edition=edition) -> str:
            with pytest.raises(Refused) as caught:
                desk.answer(edition, data, now)
            return caught.value.code

        assert refused(b"") == "unreadable"
        assert refused(request[:100]) == "unreadable"
        assert refused(request, MS + 5000 * DAY) == "chain"
        schema = pnc.SCHEMAS[edition]
        message = exi.decode(schema, request)
        top = message["V2G_Message"] if edition == "iso2" else message["CertificateInstallationReq"]
        del top["Header"]["Signature"]
        assert refused(exi.encode(schema, message)) == "signature"
        stranger = makers.make(edition, random=random.Random(5).randbytes, now=NOW)
        theirs = Vehicle(
            pkis[edition].trust(), provisioning={edition: Identity(stranger["oem"].chain, stranger["oem"].key)}
        )
        assert refused(request_of(theirs, edition)) == "chain"
    unknown = Provisioning(
        pkis["iso2"].trust(),
        Identity(pkis["iso2"]["cps"].chain, pkis["iso2"]["cps"].key),
        TestOperator(pkis["iso2"]["mo-sub2"], random.Random(1).randbytes, {}),
        random.Random(1).randbytes,
    )
    with pytest.raises(Refused) as caught:
        unknown.answer("iso2", request_of(vehicle("iso2", contract=False), "iso2"), MS)
    assert caught.value.code == "no-contract"
    message = {
        "V2G_Message": {"Header": {"SessionID": bytes(8)}, "Body": {"SessionStopReq": {"ChargingSession": "Terminate"}}}
    }
    with pytest.raises(Refused, match="asks for none"):
        unknown.answer("iso2", exi.encode("iso2", message), MS)


def test_a_car_with_ed448_signs_its_request_but_gets_no_key(pkis) -> None:
    own: Pki = pkis["ed448"]
    rng = random.Random(1)
    desk = Provisioning(
        own.trust(),
        Identity(own["cps"].chain, own["cps"].key),
        TestOperator(own["mo-sub2"], rng.randbytes, lambda pcid: "DEPWRC00000003"),
        rng.randbytes,
    )
    car = Vehicle(own.trust(), provisioning={"iso20": Identity(own["oem"].chain, own["oem"].key)})
    with pytest.raises(Refused) as caught:
        desk.answer("iso20", request_of(car, "iso20"), MS)
    assert caught.value.code == "key"


class Module:
    """A key in hardware: it signs and opens, and has no number to give away."""

    __slots__ = ("_inside", "opened")

    def __init__(self, inside: PrivateKey) -> None:
        self._inside = inside
        self.opened: list[Module] = []

    @property
    def kind(self) -> Kind:
        return self._inside.kind

    @property
    def public(self) -> bytes:
        return self._inside.public

    def sign(self, data: bytes) -> bytes:
        return self._inside.sign(data)

    def open(self, wrapped: Wrapped) -> Module:
        self.opened.append(Module(self._inside.open(wrapped)))
        return self.opened[-1]


@pytest.mark.parametrize("edition", EDITIONS)
def test_with_keys_in_hardware_nobody_asks_for_the_number(pkis, edition: Edition) -> None:
    own: Pki = pkis[edition]
    key = Module(own["oem"].key)
    car = Vehicle(own.trust(), provisioning={edition: Identity(own["oem"].chain, key)})
    rng = random.Random(7)
    operator = TestOperator(own["mo-sub2"], rng.randbytes, lambda pcid: "DEPWRC00000002")
    signer = Identity(own["cps"].chain, Module(own["cps"].key))
    desk = Provisioning(own.trust(), signer, operator, rng.randbytes)
    answer = desk.answer(edition, request_of(car, edition), MS)
    assert car.take(edition, *opened(edition, answer), MS).ok
    signature = car.sign(edition, b"data")
    assert verify_by(car.chain(edition)[0], car.suite(edition), b"data", signature)
    assert len(key.opened) == 1, "the contract's key came as a key, out of the one that opened it"
