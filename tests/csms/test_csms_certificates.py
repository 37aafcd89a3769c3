"""Blocks A and M of the central system: from a signing request to the certificate, what is refused, what is told."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from csms_kit import World, now_of

from pilotwire.core.ids import DEFAULT_TENANT, StationKey
from pilotwire.core.time import to_datetime
from pilotwire.crypto import chains, pem, requests
from pilotwire.crypto.authority import Authority
from pilotwire.crypto.hash_data import hash_data
from pilotwire.crypto.subject import read_subject
from pilotwire.csms.certificates.ports import Later, Refused, Signed
from pilotwire.domain.facts import CertificateIssued, CertificateRequested, CertificateSettled, CredentialChanged
from pilotwire.domain.trust import ENROLLMENTS, Enrollment
from pilotwire.storage.documents import unpack

VERSIONS = ("1.6", "2.0.1", "2.1")
KEY = requests.new_key()
ROOT = Authority.new("Netz AG", now=to_datetime(1_767_225_600_000))


def ready(version: str = "2.0.1", **account: Any):
    world = World(vault=True)
    world.account("CP1", organization="Netz AG", **account)
    station = world.station("CP1", version)
    station.boot()
    world.run()
    return world, station


def csr(name: str = "CP1", organization: str = "Netz AG", key=KEY) -> str:
    return requests.make(key, name, organization)


def enrollments(world: World) -> list[Enrollment]:
    page = now_of(world.store.documents(DEFAULT_TENANT, ENROLLMENTS))
    return [unpack(one, Enrollment).value for one in page.items]


def signed(station) -> list[dict[str, Any]]:
    return [call[3] for call in station.calls if call[2] == "CertificateSigned"]


def fit_for_a_station(leaf: x509.Certificate) -> None:
    """A00.FR.501 to 514: what is in a certificate that we have signed, besides its names."""
    assert isinstance(leaf.public_key(), ec.EllipticCurvePublicKey) and leaf.public_key().key_size >= 224
    assert leaf.signature_algorithm_oid == x509.SignatureAlgorithmOID.ECDSA_WITH_SHA256
    assert leaf.serial_number > 2**64, "a number that no other certificate has"
    names = [name.oid for name in leaf.subject]
    assert names == [x509.NameOID.COMMON_NAME, x509.NameOID.ORGANIZATION_NAME]
    usage = leaf.extensions.get_extension_for_class(x509.KeyUsage).value
    assert usage.digital_signature and not usage.key_cert_sign and not usage.crl_sign
    for kind in (x509.ExtendedKeyUsage, x509.SubjectAlternativeName):
        with pytest.raises(x509.ExtensionNotFound):
            leaf.extensions.get_extension_for_class(kind)


# -- signing requests -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("version", VERSIONS)
def test_from_the_request_to_the_certificate(version) -> None:
    world, station = ready(version)
    body: dict[str, Any] = {"csr": csr()}
    if version != "1.6":
        body["certificateType"] = "ChargingStationCertificate"
    if version == "2.1":
        body["requestId"] = 77
    assert station.call("SignCertificate", body) == {"status": "Accepted"}
    world.run()
    (sent,) = signed(station)
    assert sent["certificateChain"].startswith("-----BEGIN CERTIFICATE-----\n")
    leaf, sub = (chains.load(der) for der in pem.blocks(sent["certificateChain"]))
    fit_for_a_station(leaf)
    authority = world.system.certificates.authority
    assert chains.verify(leaf, [sub], [authority.root], to_datetime(world.clock.now()))
    assert read_subject(pem.blocks(sent["certificateChain"])[0]) == ("CP1", "Netz AG")
    assert requests.fingerprint(leaf.public_key()) == requests.fingerprint(KEY.public_key())
    assert sent.get("certificateType") == (None if version == "1.6" else "ChargingStationCertificate")
    assert sent.get("requestId") == (77 if version == "2.1" else None)
    (one,) = enrollments(world)
    assert (one.status, one.authority, one.attempts, one.deliveries) == ("delivered", "built-in", 1, 1)
    assert one.not_after > world.clock.now() + 360 * 86_400_000
    assert [type(fact) for fact in world.facts() if type(fact).__name__.startswith("Certificate")] == [
        CertificateRequested,
        CertificateIssued,
        CertificateSettled,
    ]
    assert len(world.system.certificates.enrollments) == 0


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (csr("CP2"), "CN"),
        (csr("CP1", "Other AG"), "O is"),
        ("hello", "no certificate signing request"),
        (csr(key=__import__("cryptography.hazmat.primitives.asymmetric.rsa", fromlist=["x"]).generate_private_key(
            public_exponent=65537, key_size=1024)), "1024"),
    ],
    ids=["name", "organization", "garbage", "weak"],
)  # fmt: skip
@pytest.mark.parametrize("version", VERSIONS)
def test_requests_that_nobody_signs(version, text, reason) -> None:
    world, station = ready(version)
    answer = station.call("SignCertificate", {"csr": text})
    assert answer["status"] == "Rejected"
    if version != "1.6":
        assert answer["statusInfo"]["reasonCode"] == "InvalidCSR" and reason in answer["statusInfo"]["additionalInfo"]
    (fact,) = world.facts(CertificateRequested)
    assert fact.verdict == "Rejected" and reason in fact.reason
    assert enrollments(world) == [] and signed(station) == []


def test_the_serial_number_is_the_accounts() -> None:
    world, station = ready(serial="SN-9")
    assert station.call("SignCertificate", {"csr": csr("CP1")})["status"] == "Rejected"
    assert station.call("SignCertificate", {"csr": csr("SN-9")})["status"] == "Accepted"
    world.run()
    assert enrollments(world)[0].common_name == "SN-9"


def test_nobody_signs_for_cars_until_somebody_is_set_up() -> None:
    _world, station = ready()
    answer = station.call("SignCertificate", {"csr": csr(), "certificateType": "V2GCertificate"})
    assert answer == {
        "status": "Rejected",
        "statusInfo": {"reasonCode": "NotEnabled", "additionalInfo": "no certificate authority is set up"},
    }


def test_a_station_that_is_pending_may_ask_and_gets_it() -> None:
    """A00.FR.806: before it has got credentials of its own a station may do little else."""
    world = World(vault=True)
    world.account("CP1", organization="Netz AG", boot="Pending")
    station = world.station("CP1", "2.0.1")
    assert station.boot()["status"] == "Pending"
    world.run()
    assert station.call("SignCertificate", {"csr": csr()})["status"] == "Accepted"
    world.run()
    assert len(signed(station)) == 1


class Slow:
    """An authority that answers when it is told to."""

    name = "slow"

    def __init__(self) -> None:
        self.anchors = [ROOT.root]
        self.asked: list[Any] = []

    def sign(self, request, common_name, organization, *, again, done) -> None:
        self.asked.append((request, common_name, organization, again, done))

    def answer(self, place: int = -1, authority: Authority = ROOT, **names: str) -> None:
        request, common_name, organization, _, done = self.asked[place]
        now = to_datetime(1_767_225_600_000)
        done(Signed(authority.sign(request, names.get("cn", common_name), organization, now=now)))


def slow(version: str = "2.1"):
    world, station = ready(version)
    signer = Slow()
    world.system.certificates._signers["ChargingStationCertificate"] = signer
    return world, station, signer


def test_come_back_later_is_done_and_in_the_end_given_up() -> None:
    world, station, signer = slow()
    station.call("SignCertificate", {"csr": csr()})
    signer.asked[0][4](Later(120, "maintenance"))
    world.run(119_000)
    assert len(signer.asked) == 1
    world.run(2_000)
    assert len(signer.asked) == 2
    signer.asked[1][4](Later(25 * 3600, "maintenance"))
    (one,) = enrollments(world)
    assert (one.status, one.attempts) == ("failed", 2) and "maintenance" in one.reason


def test_the_authority_says_no() -> None:
    world, station, signer = slow()
    station.call("SignCertificate", {"csr": csr()})
    signer.asked[0][4](Refused("the contract has ended"))
    assert [(one.status, one.reason) for one in enrollments(world)] == [("failed", "the contract has ended")]
    assert signed(station) == []


@pytest.mark.parametrize("wrong", ["key", "name", "root"])
def test_a_certificate_that_no_station_should_have_is_not_passed_on(wrong) -> None:
    world, station, signer = slow()
    station.call("SignCertificate", {"csr": csr()})
    request, name, organization, again, done = signer.asked[0]
    if wrong == "key":
        request = requests.read(csr(key=requests.new_key()))
        signer.asked[0] = (request, name, organization, again, done)
    signer.answer(
        authority=Authority.new("Netz AG", now=to_datetime(1_767_225_600_000)) if wrong == "root" else ROOT,
        **({"cn": "CP2"} if wrong == "name" else {}),
    )
    world.run()
    (one,) = enrollments(world)
    assert one.status == "failed" and "cannot be used" in one.reason
    assert signed(station) == []


def test_a_newer_request_takes_the_place_of_the_older() -> None:
    world, station, signer = slow()
    station.call("SignCertificate", {"csr": csr(), "requestId": 1})
    newer = requests.new_key()
    station.call("SignCertificate", {"csr": csr(key=newer), "requestId": 2})
    signer.answer(0)
    world.run()
    assert signed(station) == []
    signer.answer(1)
    world.run()
    (sent,) = signed(station)
    assert sent["requestId"] == 2
    assert sorted(one.status for one in enrollments(world)) == ["delivered", "superseded"]


def test_the_station_refuses_it() -> None:
    world, station = ready()
    station.on["CertificateSigned"] = lambda payload: {
        "status": "Rejected",
        "statusInfo": {"reasonCode": "BadKey", "additionalInfo": "not mine"},
    }
    station.call("SignCertificate", {"csr": csr()})
    world.run()
    assert [(one.status, one.reason) for one in enrollments(world)] == [("refused", "BadKey: not mine")]
    (fact,) = world.facts(CertificateSettled)
    assert fact.status == "refused"


def test_a_station_that_is_away_gets_it_when_it_is_back_also_in_another_process() -> None:
    world, station, signer = slow()
    station.call("SignCertificate", {"csr": csr(), "requestId": 5})
    station.link.close(1000, "")
    world.run()
    signer.answer()
    world.run()
    assert [one.status for one in enrollments(world)] == ["delivering"]
    world.system._around.certificates = None  # the process dies
    world.boot()
    world.run(60_000)
    station.dial()
    world.run(10_000)
    (sent,) = signed(station)
    assert sent["requestId"] == 5
    assert [(one.status, one.deliveries) for one in enrollments(world)] == [("delivered", 1)]


def test_a_request_at_the_authority_outlives_the_process() -> None:
    world, station, signer = slow()
    station.call("SignCertificate", {"csr": csr()})
    assert len(signer.asked) == 1
    world.boot()  # whose authority is the built-in one
    world.run(10_000)
    station.dial()
    world.run(10_000)
    assert len(signed(station)) == 1
    assert [(one.status, one.authority) for one in enrollments(world)] == [("delivered", "built-in")]


def test_no_answer_is_asked_three_times() -> None:
    world, station = ready()
    station.on["CertificateSigned"] = lambda payload: None
    station.call("SignCertificate", {"csr": csr()})
    for _ in range(6):
        world.run(60_000)
    assert len(signed(station)) == 3
    (one,) = enrollments(world)
    assert (one.status, one.deliveries) == ("failed", 3)


# -- what must not be deleted, what is none to install ---------------------------------------------------------------
def listed(*rows: Any):
    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        chain = [{"certificateType": use, "certificateHashData": data} for use, data in rows]
        return {"status": "Accepted", "certificateHashDataChain": chain} if chain else {"status": "NotFound"}

    return answer


def wire(der: bytes, algorithm: str = "SHA256") -> dict[str, str]:
    data = hash_data(der, None, algorithm)
    return {
        "hashAlgorithm": data.algorithm,
        "issuerNameHash": data.issuer_name_hash,
        "issuerKeyHash": data.issuer_key_hash,
        "serialNumber": data.serial_number,
    }


OURS, OTHER = chains.der(ROOT.root), chains.der(Authority.new("Other", now=to_datetime(1_767_225_600_000)).root)


@pytest.mark.parametrize("algorithm", ["SHA256", "SHA384", "SHA512"])
def test_the_root_of_our_own_certificate_is_not_deleted(algorithm) -> None:
    world, station = ready()
    account = world.system._around.accounts.get(StationKey(DEFAULT_TENANT, "CP1"))
    account.security_profile = 2
    world.system.certificates.installed.serve_with(pem.text([OURS]))
    (reply,) = world.command("DeleteCertificate", {"certificateHashData": wire(OURS, algorithm)})
    assert reply.outcome == "invalid" and "never connect again" in reply.answer["description"]
    account.security_profile = 1  # over plain WebSocket the root verifies nothing
    assert world.command("DeleteCertificate", {"certificateHashData": wire(OURS, algorithm)}) == []
    world.run()
    assert station.calls[-2][2] == "DeleteCertificate"


def test_nor_the_only_root_that_is_there() -> None:
    world, station = ready()
    account = world.system._around.accounts.get(StationKey(DEFAULT_TENANT, "CP1"))
    account.security_profile = 2
    station.on["GetInstalledCertificateIds"] = listed(
        ("CSMSRootCertificate", wire(OURS)), ("ManufacturerRootCertificate", wire(OTHER))
    )
    world.command("GetInstalledCertificateIds", {})
    world.run()
    (reply,) = world.command("DeleteCertificate", {"certificateHashData": wire(OURS)})
    assert reply.outcome == "invalid" and "only root" in reply.answer["description"]
    replies = world.command("DeleteCertificate", {"certificateHashData": wire(OTHER)})
    world.run()
    assert replies[0].outcome == "answered"
    assert station.calls[-1][2] == "GetInstalledCertificateIds"  # how it is now


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_what_is_installed_is_kept(version) -> None:
    world, station = ready(version)
    if version == "1.6":
        station.on["GetInstalledCertificateIds"] = lambda payload: (
            {"status": "Accepted", "certificateHashData": [wire(OURS)]}
            if payload["certificateType"] == "CentralSystemRootCertificate"
            else {"status": "NotFound"}
        )
        for use in ("CentralSystemRootCertificate", "ManufacturerRootCertificate"):
            world.command("GetInstalledCertificateIds", {"certificateType": use})
    else:
        station.on["GetInstalledCertificateIds"] = listed(("V2GRootCertificate", wire(OTHER)))
        world.command("GetInstalledCertificateIds", {"certificateType": ["V2GRootCertificate"]})
    world.run()
    found = world.system.certificates.installed.of(StationKey(DEFAULT_TENANT, "CP1"))
    (row,) = found.rows
    assert row.use == ("CentralSystemRootCertificate" if version == "1.6" else "V2GRootCertificate")
    page = now_of(world.store.documents(DEFAULT_TENANT, "installed-certificates"))
    assert [one.id for one in page.items] == ["CP1"]


def test_what_is_no_root_is_not_installed() -> None:
    world, _station = ready()
    leaf = ROOT.sign(requests.read(csr()), "CP1", "Netz AG", now=to_datetime(world.clock.now()))[0]
    for text, why in ((pem.text([leaf]), "no authority"), ("hello", "PEM"), (pem.text([OURS, OTHER]), "not one")):
        (reply,) = world.command("InstallCertificate", {"certificateType": "CSMSRootCertificate", "certificate": text})
        assert reply.outcome == "invalid" and why in reply.answer["description"]
    replies = world.command(
        "InstallCertificate", {"certificateType": "CSMSRootCertificate", "certificate": pem.text([OURS])}
    )
    world.run()
    assert replies[0].outcome == "answered"


# -- passwords --------------------------------------------------------------------------------------------------------
NEW = "a-brand-new-password"


def change(world: World, version: str) -> list[Any]:
    if version == "1.6":
        return world.command("ChangeConfiguration", {"key": "AuthorizationKey", "value": NEW.encode().hex()})
    row = {
        "component": {"name": "SecurityCtrlr"},
        "variable": {"name": "BasicAuthPassword"},
        "attributeValue": NEW,
    }
    return world.command("SetVariables", {"setVariableData": [row]})


def answered(status: str, version: str):
    def answer(payload: dict[str, Any]) -> dict[str, Any]:
        if version == "1.6":
            return {"status": status}
        row = payload["setVariableData"][0]
        return {
            "setVariableResult": [
                {"attributeStatus": status, "component": row["component"], "variable": row["variable"]}
            ]
        }

    return answer


def may(world: World, password: bytes) -> bool:
    """Whether a station gets in with it (another connection of the identity; the old one is closed)."""
    client = world.network.dialer("CP1", user="CP1", password=password)
    from csms_kit import SUBPROTOCOL, Client

    other = Client(world, "CP1", "2.0.1", password=password)
    other.dialer = client
    other.offered = [SUBPROTOCOL["2.0.1"]]
    other.dial()
    world.run(5_000)
    opened = other.result is not None and other.result.status == 101
    if other.link is not None:
        other.link.close(1000, "")
        world.run()
    return opened


@pytest.mark.parametrize("version", VERSIONS)
def test_an_accepted_password_is_the_only_one(version) -> None:
    world, station = ready(version)
    action = "ChangeConfiguration" if version == "1.6" else "SetVariables"
    station.on[action] = answered("Accepted", version)
    replies = change(world, version)
    world.run()
    assert replies[0].outcome == "answered"
    station.link.close(1000, "")
    world.run()
    assert not may(world, b"a station's password")
    assert may(world, NEW.encode())
    assert [fact.what for fact in world.facts(CredentialChanged)] == ["password"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_refused_password_changes_nothing(version) -> None:
    world, station = ready(version)
    action = "ChangeConfiguration" if version == "1.6" else "SetVariables"
    station.on[action] = answered("Rejected", version)
    change(world, version)
    world.run()
    station.link.close(1000, "")
    world.run()
    assert not may(world, NEW.encode())
    assert may(world, b"a station's password")


@pytest.mark.parametrize("restart", [False, True])
@pytest.mark.parametrize("took", [False, True])
def test_the_connection_breaks_in_between_and_nobody_is_locked_out(took, restart) -> None:
    """Whether the station took the password before it fell silent nobody knows, not even after a restart of ours."""
    world, station = ready()
    station.on["SetVariables"] = lambda payload: None
    replies = change(world, "2.0.1")
    world.run()
    station.link.abort()
    world.run(60_000)
    assert replies[0].outcome == "timed-out"
    if restart:
        world.boot()
    if took:
        assert may(world, NEW.encode())
        assert not may(world, b"a station's password"), "from its first login with the new one the old is dead"
    else:
        assert may(world, b"a station's password")
        assert may(world, NEW.encode())


def test_a_password_that_cannot_be_written_down_is_not_sent() -> None:
    world, station = ready()

    async def fails(account: Any) -> None:
        raise OSError("the disk is full")

    world.store.put_account = fails
    replies = change(world, "2.0.1")
    world.run()
    assert replies[0].outcome == "undeliverable"
    assert not any(call[2] == "SetVariables" for call in station.calls)


def test_passwords_that_no_station_takes() -> None:
    world, _ = ready("1.6")
    (reply,) = world.command("ChangeConfiguration", {"key": "AuthorizationKey", "value": "not hex"})
    assert reply.outcome == "invalid"
    world, _ = ready()
    row = {"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"}, "attributeValue": "short"}
    (reply,) = world.command("SetVariables", {"setVariableData": [row]})
    assert reply.outcome == "invalid"


# -- security profiles ------------------------------------------------------------------------------------------------
def network(profile: int) -> dict[str, Any]:
    return {
        "configurationSlot": 2,
        "connectionData": {
            "ocppVersion": "OCPP20",
            "ocppTransport": "JSON",
            "ocppCsmsUrl": "wss://csms.example/ocpp",
            "messageTimeout": 30,
            "securityProfile": profile,
            "ocppInterface": "Wired0",
        },
    }


@pytest.mark.parametrize("version", VERSIONS)
def test_up_from_one_to_two_and_never_down(version) -> None:
    world, station = ready(version)
    key = StationKey(DEFAULT_TENANT, "CP1")
    if version == "1.6":
        world.command("ChangeConfiguration", {"key": "SecurityProfile", "value": "2"})
    else:
        world.command("SetNetworkProfile", network(2))
    world.run()
    accounts = world.system._around.accounts
    assert (accounts.get(key).security_profile, accounts.get(key).next_profile) == (1, 2)
    station.link.close(1000, "")
    world.run()
    assert may(world, b"a station's password"), "it has not gone up yet"
    from csms_kit import Client

    up = Client(world, "CP1", version, tls=True)
    up.dial()
    world.run(5_000)
    assert up.result.status == 101
    assert (accounts.get(key).security_profile, accounts.get(key).next_profile) == (2, 0)
    assert now_of(world.store.account(key)).security_profile == 2
    up.link.close(1000, "")
    world.run()
    assert not may(world, b"a station's password"), "never down again"
    assert [(fact.what, fact.value) for fact in world.facts(CredentialChanged)] == [("security-profile", "2")]


@pytest.mark.parametrize("version", VERSIONS)
def test_down_is_refused(version) -> None:
    world, _ = ready(version)
    world.system._around.accounts.get(StationKey(DEFAULT_TENANT, "CP1")).security_profile = 2
    if version == "1.6":
        (reply,) = world.command("ChangeConfiguration", {"key": "SecurityProfile", "value": "1"})
    else:
        (reply,) = world.command("SetNetworkProfile", network(1))
    assert reply.outcome == "invalid" and "not allowed" in reply.answer["description"]


def test_a_station_that_refuses_to_go_up_stays() -> None:
    world, station = ready("1.6")
    station.on["ChangeConfiguration"] = lambda payload: {"status": "Rejected"}
    world.command("ChangeConfiguration", {"key": "SecurityProfile", "value": "2"})
    world.run()
    assert world.system._around.accounts.get(StationKey(DEFAULT_TENANT, "CP1")).next_profile == 0


def test_profile_three_needs_an_organization() -> None:
    world = World(vault=True)
    station = world.station("CP1", "1.6")
    station.boot()
    (reply,) = world.command("ChangeConfiguration", {"key": "SecurityProfile", "value": "3"})
    assert reply.outcome == "invalid" and "organization" in reply.answer["description"]


# -- the status of certificates, contracts of cars --------------------------------------------------------------------
def test_without_anybody_to_ask_the_answer_is_a_clear_no() -> None:
    world, station = ready("2.1")
    data = wire(OURS)
    answer = station.call("GetCertificateStatus", {"ocspRequestData": data | {"responderURL": "http://127.0.0.1/"}})
    assert answer["status"] == "Failed"
    rows = [{"certificateHashData": data, "source": "OCSP", "urls": ["http://127.0.0.1/"]}]
    answer = station.call("GetCertificateChainStatus", {"certificateStatusRequests": rows})
    assert [row["status"] for row in answer["certificateStatus"]] == ["Failed"]
    answer = station.call(
        "Get15118EVCertificate",
        {"iso15118SchemaVersion": "urn:iso:15118:2:2013:MsgDef", "action": "Install", "exiRequest": "gA=="},
    )
    assert answer["status"] == "Failed" and answer["statusInfo"]["reasonCode"] == "NotEnabled"
    assert json.dumps(answer)
    assert world.system.counters.errors == {}
