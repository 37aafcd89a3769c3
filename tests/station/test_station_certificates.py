"""Blocks A and M of the station: its certificates over time, what it installs and deletes, and what it tells of."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from pilotwire.core.time import to_datetime
from pilotwire.crypto import chains, pem, requests
from pilotwire.crypto.authority import Authority
from pilotwire.crypto.hash_data import hash_data, read, write
from pilotwire.station.certificates import Identity
from pilotwire.station.config import StationConfig
from pilotwire.station.keystore import CSMS_ROOT, MANUFACTURER_ROOT, Leaf
from pilotwire.station.program import Station
from pilotwire.transport.port import Refuse

VERSIONS = ("1.6", "2.0.1", "2.1")
START = 1_767_571_200_000
DAY = 86_400
CA = Authority.new("Netz AG", now=to_datetime(START))
OTHER = Authority.new("Other", now=to_datetime(START))
ROOT, OTHER_ROOT = (pem.text([chains.der(one.root)]) for one in (CA, OTHER))


def self_signed(key: Any) -> str:
    """A root with this key (PEM)."""
    return heir("Weak", key=key, signer=key, issuer=name("Weak"))


def name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def heir(subject: str = "", *, key: Any = None, signer: Any = CA.root_key, issuer: x509.Name = CA.root.subject) -> str:
    """An authority that the root has signed (PEM); its name is the root's unless it has one of its own."""
    key = key or requests.new_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(name(subject) if subject else issuer)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(CA.root.not_valid_before_utc)
        .not_valid_after(CA.root.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(signer, requests.hash_for(signer))
    )
    return pem.text([chains.der(made)])


def with_sha1() -> str:
    """A root that says it was signed with SHA-1 (no signing library does that any more)."""
    sha256, sha1 = bytes.fromhex("06092a864886f70d01010b"), bytes.fromhex("06092a864886f70d010105")
    data = pem.one(self_signed(rsa.generate_private_key(public_exponent=65537, key_size=2048)))
    assert data.count(sha256) == 2
    return pem.text([data.replace(sha256, sha1)])


def sign(
    csr: str, name: str = "CS-1", *, at: int = START, days: int = 90, ca: Authority = CA, o: str = "Netz AG"
) -> str:
    return pem.text(ca.sign(requests.read(csr), name, o, now=to_datetime(at), days=days))


@pytest.fixture
def make(make_world):
    """A world whose station shows what it is told to show."""

    def build(version: str = "2.0.1", *, profile: int = 3, days: int = 90, leaf: bool = True, on: bool = True, **more):
        settings = {"organization": "Netz AG", "backoff_random": "0", **more.pop("settings", {})}
        world = make_world(version, security_profile=profile, settings=settings, **more)
        world.seen = []
        world.csms.scripts["SignCertificate"] = lambda request: world.csms.messages.SignCertificateResponse(
            status="Accepted"
        )
        dialer = world.network.dialer("CS-1", user="CS-1", password=b"secret")

        def identity(told: Identity) -> None:
            world.seen.append(told)
            dialer.certificate = pem.blocks(told.chain)[0] if told.chain else None
            dialer.tls = told.profile >= 2

        def again(config: StationConfig | None = None) -> Station:
            return Station(
                config or world.config,
                world.scheduler,
                dialer,
                world.ids,
                world.random,
                world.storage,
                on_password=world.passwords.append,
                on_identity=identity,
            )

        world.build = again
        world.station = again()
        world.dialer = dialer
        if leaf:
            key = requests.new_key()
            chain = sign(requests.make(key, "CS-1", "Netz AG"), days=days)
            world.first = Leaf(chain, requests.key_text(key))
            world.station.certificates.provide(world.first, {CSMS_ROOT: [ROOT]})
        if on:
            world.station.power_on()
            world.run(10)
        return world

    return build


def trigger(world: Any) -> None:
    m = world.csms.messages
    if world.config.version == "1.6":
        world.csms.command(
            "ExtendedTriggerMessage", m.ExtendedTriggerMessageRequest(requested_message="SignChargePointCertificate")
        )
    else:
        world.csms.command(
            "TriggerMessage", m.TriggerMessageRequest(requested_message="SignChargingStationCertificate")
        )
    world.run(1)


OWN = pytest.mark.parametrize("own", [False, True], ids=["asked", "by-itself"])
"""Told to by the central system (A02), or by itself, a month before the end of its certificate (A03)."""


def asking(make: Any, version: str, *, own: bool = False, **more: Any) -> tuple[Any, Any]:
    """A world whose station has asked for a certificate, and what it has sent."""
    world = make(version, days=20 if own else 90, **more)
    if not own:
        trigger(world)
    (asked,) = world.csms.heard("SignCertificate")
    return world, asked


def number(asked: Any) -> dict[str, int]:
    """By 2.1 an answer names its request."""
    found = getattr(asked, "request_id", None)
    return {} if found is None else {"request_id": found}


def signed(world: Any, chain: str, **more: Any) -> Any:
    m = world.csms.messages
    world.csms.command("CertificateSigned", m.CertificateSignedRequest(certificate_chain=chain, **more))
    world.run(0.5)
    return world.csms.answers[-1][1]


def shown(world: Any) -> bytes:
    return world.csms.handshakes[-1].certificate


def events(world: Any) -> list[str]:
    return [one.type for one in world.csms.heard("SecurityEventNotification")]


# -- asked for, signed, used ------------------------------------------------------------------------------------------
@OWN
@pytest.mark.parametrize("version", VERSIONS)
def test_from_the_trigger_to_the_next_connection(make, version, own) -> None:
    world, asked = asking(make, version, own=own)
    assert shown(world) == world.first.ders[0]
    assert asked.csr.startswith("-----BEGIN CERTIFICATE REQUEST-----\n")
    request = requests.read(asked.csr)
    assert (request.common_name, request.organization) == ("CS-1", "Netz AG")
    assert request.key == "EC secp256r1"
    assert request.fingerprint != requests.fingerprint(chains.load(world.first.ders[0]).public_key())
    (pending,) = world.station.certificates.pending
    if version != "1.6":
        assert asked.certificate_type == "ChargingStationCertificate"
    if version == "2.1":
        assert asked.request_id == pending.request_id and asked.hash_root_certificate is None
    answer = signed(world, sign(asked.csr), **number(asked))
    assert answer.status == "Accepted"
    world.run(30)
    assert len(world.csms.handshakes) == 2
    assert requests.fingerprint(chains.load(shown(world)).public_key()) == request.fingerprint
    assert world.csms.heard("BootNotification")[1:] == []  # a reconnection, no restart
    assert len(world.station.certificates.pending) == 0
    assert world.station.certificates.leaf.ders[0] == shown(world)
    assert world.station.certificates.entries == 2, "the certificate that is not in use is gone, the root is there"
    assert events(world) == []
    secrets = ["".join(key.split("\n")[1:-2]) for key in (world.first.key, pending.key)]
    said = "".join(str(one.request).replace("\\n", "") for one in world.csms.said) + str(world.csms.answers)
    assert not any(secret in said for secret in secrets) and "PRIVATE" not in said


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
def test_a_certificate_that_begins_soon_is_used_from_then_on(make, version) -> None:
    world, asked = asking(make, version)
    assert signed(world, sign(asked.csr, at=START + 5_400_000)).status == "Accepted"  # they begin an hour before
    world.run(1_700)
    assert len(world.csms.handshakes) == 1
    world.run(200)
    assert len(world.csms.handshakes) == 2 and shown(world) != world.first.ders[0]


def test_by_21_a_certificate_is_valid_when_it_comes(make) -> None:
    world, asked = asking(make, "2.1")
    answer = signed(world, sign(asked.csr, at=START + 5_400_000), **number(asked))
    assert answer.status == "Rejected" and "valid" in answer.status_info.additional_info


@pytest.mark.parametrize("version", VERSIONS)
def test_of_two_certificates_the_newest_is_used(make, version) -> None:
    """By the beginning of their validity; by 2.1 it is the one that the central system has sent last."""
    world, asked = asking(make, version)
    assert signed(world, sign(asked.csr, at=START - 7_200_000), **number(asked)).status == "Accepted"
    world.run(30)
    assert (shown(world) == world.first.ders[0]) is (version != "2.1")
    assert len(world.csms.handshakes) == (2 if version == "2.1" else 1)
    assert world.station.certificates.leaf.ders[0] == shown(world)
    assert world.station.certificates.pending == []


def test_the_serial_number_names_the_station(make) -> None:
    world = make(serial="SN-5", leaf=False, profile=2)
    trigger(world)
    assert requests.read(world.csms.heard("SignCertificate")[0].csr).common_name == "SN-5"


def test_a_station_without_client_certificates_stays_connected(make) -> None:
    world = make(profile=2, leaf=False)
    trigger(world)
    assert signed(world, sign(world.csms.heard("SignCertificate")[0].csr)).status == "Accepted"
    world.run(60)
    assert len(world.csms.handshakes) == 1
    assert world.station.certificates.leaf is not None


@OWN
@pytest.mark.parametrize("version", VERSIONS)
def test_again_after_twice_as_long_each_time_and_then_no_more(make, version, own) -> None:
    """A02.FR.17 to 19."""
    world, asked = asking(make, version, own=own, settings={"sign_wait": "100", "sign_repeats": "3"})
    world.run(5_000)
    times = world.csms.times("SignCertificate")
    assert [round(b - a) for a, b in pairwise(times)] == [100, 200, 400]
    assert len({one.csr for one in world.csms.heard("SignCertificate")}) == 1
    world.run(50_000)
    assert len(world.csms.times("SignCertificate")) == 4
    assert signed(world, sign(asked.csr)).status == "Accepted"  # late is not too late


@pytest.mark.parametrize("version", VERSIONS)
def test_after_the_last_attempt_it_asks_when_it_is_told_to(make, version) -> None:
    world, asked = asking(make, version, settings={"sign_wait": "100", "sign_repeats": "1"})
    world.run(5_000)
    assert len(world.csms.heard("SignCertificate")) == 2
    trigger(world)
    assert len(world.csms.heard("SignCertificate")) == 3
    assert world.csms.heard("SignCertificate")[-1].csr != asked.csr


@pytest.mark.parametrize("version", VERSIONS)
def test_rejected_is_not_repeated_by_itself(make, version) -> None:
    world = make(version, settings={"sign_wait": "10"})
    world.csms.scripts["SignCertificate"] = lambda request: world.csms.messages.SignCertificateResponse(
        status="Rejected"
    )
    trigger(world)
    world.run(1_000)
    assert len(world.csms.heard("SignCertificate")) == 1
    trigger(world)
    assert len(world.csms.heard("SignCertificate")) == 2


def test_a_request_survives_offline_and_a_restart(make) -> None:
    world = make(settings={"sign_wait": "50"})
    trigger(world)
    csr = world.csms.heard("SignCertificate")[0].csr
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(20)
    assert [one.csr for one in world.csms.heard("SignCertificate")] == [csr, csr]
    assert signed(world, sign(csr)).status == "Accepted"


# -- what is not taken ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("wrong", "how"),
    [
        ("key", lambda csr: sign(requests.make(requests.new_key(), "CS-1", "Netz AG"))),
        ("CN", lambda csr: sign(csr, "CS-2")),
        ("O", lambda csr: sign(csr, o="Other")),
        ("expired", lambda csr: sign(csr, at=START - 200 * DAY * 1000, days=30)),
        ("valid", lambda csr: sign(csr, at=START + 3 * DAY * 1000)),
        ("PEM", lambda csr: "hello"),
        ("leads", lambda csr: sign(csr, ca=Authority.new("Netz AG", now=to_datetime(START)))),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
@OWN
@pytest.mark.parametrize("version", VERSIONS)
def test_certificates_that_are_not_taken(make, version, own, wrong, how) -> None:
    world, asked = asking(make, version, own=own)
    answer = signed(world, how(asked.csr))
    assert answer.status == "Rejected"
    assert version == "1.6" or wrong in answer.status_info.additional_info
    world.run(5_000)
    assert len(world.csms.heard("SignCertificate")) == 1  # A02.FR.20
    assert len(world.csms.handshakes) == 1
    assert world.station.certificates.leaf == world.first and world.station.certificates.pending == []
    point = "ChargePoint" if version == "1.6" else "ChargingStation"
    assert events(world) == [f"Invalid{point}Certificate"]


@OWN
@pytest.mark.parametrize("version", VERSIONS)
def test_a_chain_that_is_too_long(make, version, own) -> None:
    """A02.FR.16."""
    world, asked = asking(make, version, own=own, settings={"chain_size": "500"})
    answer = signed(world, sign(asked.csr))
    assert answer.status == "Rejected"
    assert version == "1.6" or "MaxCertificateChainSize" in answer.status_info.additional_info
    world.run(30)
    assert len(world.csms.handshakes) == 1


@OWN
def test_the_wrong_number_is_refused_and_the_right_one_still_taken(make, own) -> None:
    world, asked = asking(make, "2.1", own=own)
    assert asked.request_id is not None
    assert signed(world, sign(asked.csr), request_id=asked.request_id + 1).status == "Rejected"
    assert events(world) == []
    assert signed(world, sign(asked.csr), request_id=asked.request_id).status == "Accepted"
    world.run(30)
    assert signed(world, sign(asked.csr), request_id=asked.request_id).status == "Rejected"


def test_the_same_certificate_once_more_is_no_news(make) -> None:
    """Its answer may be lost on the way, for the station hangs up to change over."""
    world = make("2.1")
    trigger(world)
    (asked,) = world.csms.heard("SignCertificate")
    chain = sign(asked.csr)
    for _ in range(2):
        assert signed(world, chain, request_id=asked.request_id).status == "Accepted"
        world.run(30)
    assert len(world.csms.handshakes) == 2


# -- the change-over --------------------------------------------------------------------------------------------------
def refuse_new(world: Any, first: bytes) -> None:
    plain = type(world.csms).admit

    def admit(handshake: Any) -> Any:
        plain(world.csms, handshake)
        return world.csms if handshake.certificate == first else Refuse(403, "wrong-certificate")

    world.csms.admit = admit


@OWN
@pytest.mark.parametrize("version", VERSIONS)
def test_a_new_certificate_that_is_not_let_in_gives_way_to_the_old(make, version, own) -> None:
    """A02.FR.28, .29."""
    world, asked = asking(make, version, own=own)
    refuse_new(world, world.first.ders[0])
    signed(world, sign(asked.csr), **number(asked))
    world.run(120)
    assert world.station.online
    assert shown(world) == world.first.ders[0]
    assert len({one.certificate for one in world.csms.handshakes}) == 2, "by turns"
    assert events(world) == ["DiscardedRenewedClientCertificate"]
    assert world.station.certificates.leaf == world.first
    count = len(world.csms.handshakes)
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(30)
    assert [one.certificate for one in world.csms.handshakes[count:]] == [world.first.ders[0]], "the new one is gone"
    before = len(world.csms.heard("SignCertificate"))
    trigger(world)
    assert len(world.csms.heard("SignCertificate")) == before + 1


def test_a_network_that_is_down_says_nothing_about_a_certificate(make) -> None:
    world = make()
    trigger(world)
    csr = world.csms.heard("SignCertificate")[0].csr
    m = world.csms.messages
    world.csms.command("CertificateSigned", m.CertificateSignedRequest(certificate_chain=sign(csr)))
    world.run(0.02)
    world.network.serve(None)
    world.run(900)
    world.online()
    world.run(1_500)
    assert world.station.online
    assert shown(world) != world.first.ders[0]
    assert events(world) == []


def test_a_killed_station_knows_its_new_certificate(make) -> None:
    world = make()
    trigger(world)
    csr = world.csms.heard("SignCertificate")[0].csr
    m = world.csms.messages
    world.csms.command("CertificateSigned", m.CertificateSignedRequest(certificate_chain=sign(csr)))
    world.run(0.025)
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(30)
    assert shown(world) != world.first.ders[0]
    assert world.station.certificates.leaf != world.first


def test_a_session_goes_on_over_the_change(make) -> None:
    world = make("2.1")
    world.station.plug(1, world.car())
    world.station.tap(1, "TAG")
    world.run(300)
    trigger(world)
    (asked,) = world.csms.heard("SignCertificate")
    signed(world, sign(asked.csr), request_id=asked.request_id)
    world.run(300)
    world.station.unplug(1)
    world.run(30)
    said = world.csms.heard("TransactionEvent")
    assert [one.seq_no for one in said] == list(range(len(said)))
    assert {one.transaction_info.transaction_id for one in said} == {said[0].transaction_info.transaction_id}
    assert (said[0].event_type, said[-1].event_type) == ("Started", "Ended")
    assert len(world.csms.handshakes) == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_renewed_a_month_before_the_end(make, version) -> None:
    """A03.FR.02."""
    world = make(version, days=32)
    world.run(1.5 * DAY)
    assert world.csms.heard("SignCertificate") == []
    world.run(1 * DAY)
    assert len(world.csms.heard("SignCertificate")) >= 1
    asked = world.csms.heard("SignCertificate")[0]
    first = requests.fingerprint(chains.load(world.first.ders[0]).public_key())
    assert requests.read(asked.csr).fingerprint != first, "a key pair of its own"
    chain = sign(asked.csr, at=int(world.scheduler.now()), days=40)
    assert signed(world, chain, **number(asked)).status == "Accepted"
    world.run(60)
    assert shown(world) != world.first.ders[0]
    before = len(world.csms.heard("SignCertificate"))
    world.run(8 * DAY)
    assert len(world.csms.handshakes) == 2 and len(world.csms.heard("SignCertificate")) == before
    world.run(3 * DAY)
    assert len(world.csms.heard("SignCertificate")) > before, "and so on"


# -- certificates towards vehicles ------------------------------------------------------------------------------------
def vehicles(make: Any, version: str, use: str = "V2GCertificate") -> Any:
    """A world whose station is told to ask for a certificate towards vehicles, and knows their root."""
    world = make(version, plug_and_charge=True)
    assert install(world, "V2GRootCertificate", OTHER_ROOT) == "Accepted"
    m = world.csms.messages
    world.csms.command("TriggerMessage", m.TriggerMessageRequest(requested_message=f"Sign{use}"))
    world.run(1)
    assert world.csms.answers[-1][1].status == "Accepted"
    return world


@pytest.mark.parametrize(
    ("version", "use"), [("2.0.1", "V2GCertificate"), ("2.1", "V2GCertificate"), ("2.1", "V2G20Certificate")]
)
def test_the_certificate_towards_vehicles_has_a_root_of_its_own(make, version, use) -> None:
    world = vehicles(make, version, use)
    (asked,) = world.csms.heard("SignCertificate")
    assert asked.certificate_type == use
    if version == "2.1":
        assert read(asked.hash_root_certificate) == hash_data(pem.one(OTHER_ROOT))
    newest = sign(asked.csr, ca=OTHER)
    assert signed(world, newest, certificate_type=use, **number(asked)).status == "Accepted"
    world.run(5)
    assert len(world.csms.handshakes) == 1 and world.station.certificates.leaf == world.first
    assert world.station.certificates.v2g.ders == pem.blocks(newest)
    # An older one does not take its place.
    world.csms.command("TriggerMessage", world.csms.messages.TriggerMessageRequest(requested_message=f"Sign{use}"))
    world.run(1)
    again = world.csms.heard("SignCertificate")[-1]
    older = sign(again.csr, ca=OTHER, at=START - 7_200_000)
    assert signed(world, older, certificate_type=use, **number(again)).status == "Accepted"
    assert world.station.certificates.v2g.ders == pem.blocks(newest)
    # It is listed with what is above it.
    listed = ids(world, "V2GCertificateChain")
    (row,) = listed.certificate_hash_data_chain
    leaf, sub = pem.blocks(newest)
    assert (listed.status, row.certificate_type) == ("Accepted", "V2GCertificateChain")
    assert read(row.certificate_hash_data) == hash_data(leaf, sub)
    assert [read(one) for one in row.child_certificate_hash_data] == [hash_data(sub, pem.one(OTHER_ROOT))]


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_without_a_certificate_towards_vehicles_there_is_no_plug_and_charge_until_the_restart(make, version) -> None:
    world = make(version, plug_and_charge=True)
    world.csms.scripts["SignCertificate"] = lambda request: world.csms.messages.SignCertificateResponse(
        status="Rejected"
    )
    trigger(world)
    assert world.station.settings.flag("pnc_enabled"), "that one is not for vehicles"
    m = world.csms.messages
    world.csms.command("TriggerMessage", m.TriggerMessageRequest(requested_message="SignV2GCertificate"))
    world.run(1)
    assert not world.station.settings.flag("pnc_enabled")
    world.station.reboot("RemoteReset")
    world.run(60)
    assert world.station.settings.flag("pnc_enabled")


# -- roots ------------------------------------------------------------------------------------------------------------
def ids(world: Any, *uses: str) -> Any:
    m = world.csms.messages
    if world.config.version == "1.6":
        request = m.GetInstalledCertificateIdsRequest(certificate_type=uses[0])
    else:
        request = m.GetInstalledCertificateIdsRequest(certificate_type=list(uses) or None)
    world.csms.command("GetInstalledCertificateIds", request)
    world.run(0.5)
    return world.csms.answers[-1][1]


def install(world: Any, use: str, text: str) -> str:
    m = world.csms.messages
    world.csms.command("InstallCertificate", m.InstallCertificateRequest(certificate_type=use, certificate=text))
    world.run(0.5)
    return world.csms.answers[-1][1].status


def delete(world: Any, der: bytes, issuer: bytes | None = None, algorithm: str = "SHA256") -> str:
    m = world.csms.messages
    data = write(hash_data(der, issuer, algorithm), m.CertificateHashDataType)
    world.csms.command("DeleteCertificate", m.DeleteCertificateRequest(certificate_hash_data=data))
    world.run(0.5)
    return world.csms.answers[-1][1].status


def root_use(version: str) -> str:
    return "CentralSystemRootCertificate" if version == "1.6" else CSMS_ROOT


@pytest.mark.parametrize("version", VERSIONS)
def test_installed_listed_and_deleted(make, version) -> None:
    world = make(version)
    use = root_use(version)
    assert install(world, use, OTHER_ROOT) == "Accepted"
    assert install(world, use, OTHER_ROOT.replace("\n", "\r\n")) == "Accepted"  # M05.FR.17: the same once more
    listed = ids(world, use)
    rows = listed.certificate_hash_data if version == "1.6" else [
        row.certificate_hash_data for row in listed.certificate_hash_data_chain
    ]  # fmt: skip
    assert [read(row) for row in rows] == [hash_data(pem.one(text)) for text in (ROOT, OTHER_ROOT)]
    assert ids(world, MANUFACTURER_ROOT).status == "NotFound"
    assert delete(world, pem.one(OTHER_ROOT), algorithm="SHA512") == "Accepted"
    assert delete(world, pem.one(OTHER_ROOT)) == "NotFound"
    assert delete(world, pem.one(ROOT)) == "Failed"  # the last by which the central system is verified
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(20)
    assert len(world.station.certificates.roots()) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_the_stations_own_certificate_cannot_be_deleted(make, version) -> None:
    """M04.FR.06, in 1.6 .05."""
    world = make(version)
    leaf, sub = world.first.ders
    assert delete(world, leaf, sub) == "Failed"
    assert world.station.certificates.leaf == world.first


NO_ROOTS = {
    "garbage": ("hello", "PEM"),
    "two": (ROOT + OTHER_ROOT, "not one"),
    "no-root": (pem.text([chains.der(CA.issuing)]), "no root"),
    "leaf": (sign(requests.make(requests.new_key(), "CS-1", "Netz AG")), ""),
    "expired": (
        pem.text([chains.der(Authority.new("Old", now=to_datetime(START) - timedelta(days=8000)).root)]),
        "expired",
    ),
    "forged": (pem.text([chains.der(CA.root)[:-4] + b"abcd"]), "signature"),
    "weak-rsa": (self_signed(rsa.generate_private_key(public_exponent=65537, key_size=1024)), "1024"),
    "weak-curve": (self_signed(ec.generate_private_key(ec.SECP192R1())), "secp192r1"),
    "weak-hash": (with_sha1(), "sha1"),
}


@pytest.mark.parametrize("wrong", NO_ROOTS)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_no_root_is_rejected(make, version, wrong) -> None:
    world = make(version)
    text, why = NO_ROOTS[wrong]
    assert install(world, MANUFACTURER_ROOT, text[:5_500]) == "Rejected"
    assert version == "1.6" or why in world.csms.answers[-1][1].status_info.additional_info
    assert ids(world, MANUFACTURER_ROOT).status == "NotFound"


@pytest.mark.parametrize("version", VERSIONS)
def test_there_is_room_for_so_many(make, version) -> None:
    """M05.FR.06."""
    most = 2 if version == "1.6" else 3  # 1.6 counts roots, 2.x the station's own certificate too
    world = make(version, settings={"certificates_max": str(most)})
    assert install(world, MANUFACTURER_ROOT, OTHER_ROOT) == "Accepted"
    assert install(world, MANUFACTURER_ROOT, ROOT) == "Rejected"
    assert len(world.station.certificates.roots(MANUFACTURER_ROOT)) == 1
    m = world.csms.messages
    if version == "1.6":
        world.csms.command("GetConfiguration", m.GetConfigurationRequest(key=["CertificateStoreMaxLength"]))
        world.run(1)
        assert world.csms.answers[-1][1].configuration_key[0].value == "2"
    else:
        row = reported(world)["SecurityCtrlr", "CertificateEntries"]
        assert row.variable_attribute[0].value == "3" and row.variable_characteristics.max_limit == 3


def reported(world: Any) -> dict[tuple[str, str], Any]:
    """The full inventory: (component, variable) → its row, of components without an EVSE."""
    m = world.csms.messages
    world.csms.command("GetBaseReport", m.GetBaseReportRequest(request_id=1, report_base="FullInventory"))
    world.run(5)
    rows = [row for part in world.csms.heard("NotifyReport") for row in part.report_data]
    return {(row.component.name, row.variable.name): row for row in rows if row.component.evse is None}


@pytest.mark.parametrize(("version", "most"), [("2.0.1", 40), ("2.1", 64)])
def test_how_long_a_password_may_be_is_told(make, version, most) -> None:
    row = reported(make(version))["SecurityCtrlr", "BasicAuthPassword"]
    assert row.variable_characteristics.max_limit == most and row.variable_attribute[0].value is None


HEIRS = {"same name": heir(), "new name": heir("Netz AG Root 2")}


@pytest.mark.parametrize("name", HEIRS)
@pytest.mark.parametrize("version", VERSIONS)
def test_with_the_additional_check_a_root_is_signed_by_the_one_before(make, version, name) -> None:
    """M05.FR.09 to 12."""
    world = make(version, settings={"root_check": "true"})
    assert install(world, root_use(version), OTHER_ROOT) == "Rejected"
    assert world.station.certificates.roots() == [ROOT]
    assert install(world, root_use(version), HEIRS[name]) == "Accepted"
    assert world.station.certificates.roots() == [ROOT, HEIRS[name]]  # the old one to fall back to
    assert install(world, root_use(version), ROOT) == "Accepted"  # it is there
    assert install(world, root_use(version), OTHER_ROOT) == "Rejected"
    rows = ids(world, root_use(version))
    found = rows.certificate_hash_data if version == "1.6" else [
        row.certificate_hash_data for row in rows.certificate_hash_data_chain
    ]  # fmt: skip
    assert [read(row) for row in found] == [hash_data(pem.one(text), pem.one(ROOT)) for text in (ROOT, HEIRS[name])]
    assert delete(world, pem.one(HEIRS[name]), pem.one(ROOT)) == "Accepted"
    assert world.station.certificates.roots() == [ROOT]


def distrusting(world: Any, served: list[str]) -> list[str]:
    """The central system's certificate leads to one of the roots `served`; the roots of each attempt."""
    tried: list[str] = []

    def dial(tenant: str, identity: str, now: int) -> str:
        tried.append(world.seen[-1].roots)
        trusted = any(root in tried[-1] for root in served)
        return "" if trusted else "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"

    world.network.faults.dial = dial
    return tried


@pytest.mark.parametrize("version", VERSIONS)
def test_a_new_root_that_works_stays_alone(make, version) -> None:
    """M05.FR.13."""
    world = make(version, settings={"root_check": "true"})
    new = HEIRS["new name"]
    assert install(world, root_use(version), new) == "Accepted"
    tried = distrusting(world, [new])
    world.offline()
    world.online()
    world.run(60)
    assert world.station.online and tried == [new]
    assert world.station.certificates.roots() == [new]
    assert ids(world, root_use(version)).status == "Accepted"
    assert delete(world, pem.one(new), pem.one(ROOT)) == "Failed", "now it is the only one"


@pytest.mark.parametrize("version", VERSIONS)
def test_where_the_new_root_does_not_verify_the_old_one_is_tried(make, version) -> None:
    """M05.FR.14."""
    world = make(version, settings={"root_check": "true"})
    new = HEIRS["new name"]
    assert install(world, root_use(version), new) == "Accepted"
    tried = distrusting(world, [ROOT])
    world.offline()
    world.online()
    world.run(60)
    assert world.station.online and tried == [new, ROOT]
    assert world.station.certificates.roots() == [ROOT, new]
    system = "CentralSystem" if version == "1.6" else "Csms"
    assert events(world) == [f"Invalid{system}Certificate"]
    # When the central system has changed over, too, the old one goes; the station remembers it over a restart.
    distrusting(world, [new])
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(60)
    assert world.station.online and world.station.certificates.roots() == [new]


# -- security profiles and events -------------------------------------------------------------------------------------
def change(world: Any, key: str, value: str) -> str:
    m = world.csms.messages
    world.csms.command("ChangeConfiguration", m.ChangeConfigurationRequest(key=key, value=value))
    world.run(0.5)
    return world.csms.answers[-1][1].status


def test_up_and_never_down(make) -> None:
    world = make("1.6", profile=1, leaf=False)
    assert change(world, "SecurityProfile", "2") == "Rejected"  # no root yet
    assert install(world, "CentralSystemRootCertificate", ROOT) == "Accepted"
    assert change(world, "SecurityProfile", "3") == "Rejected"  # no certificate yet
    assert change(world, "SecurityProfile", "2") == "Accepted"
    world.run(60)
    assert (world.seen[-1].profile, world.csms.handshakes[-1].tls) == (2, True)
    assert change(world, "SecurityProfile", "1") == "Rejected"
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(20)
    assert world.csms.handshakes[-1].tls and world.station.certificates.profile == 2


def test_a_profile_that_never_works_is_given_up(make) -> None:
    world = make("1.6", profile=1, leaf=False)
    install(world, "CentralSystemRootCertificate", ROOT)
    plain = type(world.csms).admit

    def admit(handshake: Any) -> Any:
        plain(world.csms, handshake)
        return Refuse(403, "wrong-security-profile") if handshake.tls else world.csms

    world.csms.admit = admit
    assert change(world, "SecurityProfile", "2") == "Accepted"
    world.run(900)
    assert world.station.online and world.station.certificates.profile == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_events_of_a_start_a_restart_and_the_clock(make, version) -> None:
    world = make(version, security_events=True)
    assert events(world) == ["StartupOfTheDevice"]
    world.station.reboot("RemoteReset")
    world.run(60)
    assert events(world) == ["StartupOfTheDevice", "StartupOfTheDevice", "ResetOrReboot"]
    world.csms.clock_error_ms = 60_000
    world.run(400)
    assert events(world)[-1] == "SettingSystemTime"


@pytest.mark.parametrize("version", VERSIONS)
def test_events_wait_for_the_connection_and_survive_a_restart(make, version) -> None:
    """A04.FR.01, .02, .04."""
    world = make(version)
    world.offline()
    world.station.security.event("TamperDetectionActivated", "the door is open")
    world.station.security.event("InvalidMessages", "not critical: it stands in the log")
    kinds = [line.split()[1] for line in world.station.security.lines()]
    assert kinds == ["TamperDetectionActivated", "InvalidMessages"]
    world.station.finish()
    world.station.power_off()
    world.station = world.build()
    world.online()
    world.station.power_on()
    world.run(30)
    (told,) = world.csms.heard("SecurityEventNotification")
    assert (told.type, told.tech_info) == ("TamperDetectionActivated", "the door is open")
    world.station.security.event("InvalidFirmwareSignature")
    world.station.finish()
    world.run(1)
    assert events(world)[1:] == ["InvalidFirmwareSignature"]


def test_an_event_is_told_again_until_it_is_answered(make) -> None:
    world = make()
    world.csms.silent.add("SecurityEventNotification")
    world.station.security.event("TamperDetectionActivated")
    world.station.finish()
    world.run(100)
    world.csms.silent.clear()
    world.offline()
    world.online()
    world.run(60)
    assert set(events(world)) == {"TamperDetectionActivated"} and len(events(world)) >= 2
    world.run(600)
    before = len(events(world))
    world.offline()
    world.online()
    world.run(60)
    assert len(events(world)) == before


def test_too_many_events_are_bounded_and_say_so(make) -> None:
    world = make()
    world.offline()
    for n in range(300):
        world.station.security.event("InvalidTLSVersion", str(n))
    world.online()
    world.run(120)
    told = world.csms.heard("SecurityEventNotification")
    assert len(told) == 100
    assert told[0].type == "MemoryExhaustion" and told[-1].tech_info == "299"


@pytest.mark.parametrize(
    ("reason", "event"),
    [
        ("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed: self-signed", "InvalidCsmsCertificate"),
        ("[SSL: TLSV1_ALERT_PROTOCOL_VERSION] tlsv1 alert protocol version", "InvalidTLSVersion"),
        ("[SSL: SSLV3_ALERT_HANDSHAKE_FAILURE] handshake failure", "InvalidTLSCipherSuite"),
    ],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_trouble_with_tls_is_told_once_it_is_over(make, version, reason, event) -> None:
    world = make(version)
    faults = world.network.faults
    faults.dial = lambda tenant, identity, now: reason
    world.offline()
    world.online()
    world.run(300)
    assert not world.station.online
    del faults.dial
    world.run(600)
    assert events(world) == [event.replace("Csms", "CentralSystem") if version == "1.6" else event]
    assert sum(event in line for line in world.station.security.lines()) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_new_password_is_logged_and_not_shown(make, version) -> None:
    """A01.FR.11, .12."""
    world = make(version, profile=1, leaf=False)
    m = world.csms.messages
    if version == "1.6":
        secret = b"a-new-password-16".hex()
        assert change(world, "AuthorizationKey", secret) == "Accepted"
    else:
        secret = "a-new-password-16"
        row = m.SetVariableDataType(
            attribute_value=secret,
            component=m.ComponentType(name="SecurityCtrlr"),
            variable=m.VariableType(name="BasicAuthPassword"),
        )
        world.csms.command("SetVariables", m.SetVariablesRequest(set_variable_data=[row]))
        world.run(0.5)
    lines = world.station.security.lines()
    assert any("ReconfigurationOfSecurityParameters" in line for line in lines)
    assert not any(secret in line for line in lines)
    assert world.station.settings.text("password") == secret and world.passwords == [secret]
