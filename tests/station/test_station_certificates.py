"""Blocks A and M of the station: its certificates over time, what it installs and deletes, and what it tells of."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

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
@pytest.mark.parametrize("version", VERSIONS)
def test_from_the_trigger_to_the_next_connection(make, version) -> None:
    world = make(version)
    assert shown(world) == world.first.ders[0]
    trigger(world)
    (asked,) = world.csms.heard("SignCertificate")
    request = requests.read(asked.csr)
    assert (request.common_name, request.organization) == ("CS-1", "Netz AG")
    assert world.first.key not in asked.csr
    more = {"request_id": asked.request_id} if version == "2.1" else {}
    answer = signed(world, sign(asked.csr), **more)
    assert answer.status == "Accepted"
    world.run(30)
    assert len(world.csms.handshakes) == 2
    assert requests.fingerprint(chains.load(shown(world)).public_key()) == request.fingerprint
    assert world.csms.heard("BootNotification")[1:] == []  # a reconnection, no restart
    assert len(world.station.certificates.pending) == 0
    assert events(world) == []


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


def test_again_after_twice_as_long_each_time_and_then_no_more(make) -> None:
    """A02.FR.17 to 19."""
    world = make(settings={"sign_wait": "100", "sign_repeats": "3"})
    trigger(world)
    world.run(5_000)
    times = world.csms.times("SignCertificate")
    assert [round(b - a) for a, b in pairwise(times)] == [100, 200, 400]
    assert len({one.csr for one in world.csms.heard("SignCertificate")}) == 1
    world.run(50_000)
    assert len(world.csms.times("SignCertificate")) == 4
    assert signed(world, sign(world.csms.heard("SignCertificate")[0].csr)).status == "Accepted"  # late is not too late


def test_rejected_is_not_repeated_by_itself(make) -> None:
    world = make(settings={"sign_wait": "10"})
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
def test_certificates_that_are_not_taken(make, wrong, how) -> None:
    world = make()
    trigger(world)
    answer = signed(world, how(world.csms.heard("SignCertificate")[0].csr))
    assert answer.status == "Rejected"
    assert wrong in answer.status_info.additional_info
    world.run(5_000)
    assert len(world.csms.heard("SignCertificate")) == 1  # A02.FR.20
    assert len(world.csms.handshakes) == 1
    assert events(world) == ["InvalidChargingStationCertificate"]


def test_a_chain_that_is_too_long(make) -> None:
    """A02.FR.16."""
    world = make(settings={"chain_size": "500"})
    trigger(world)
    answer = signed(world, sign(world.csms.heard("SignCertificate")[0].csr))
    assert answer.status == "Rejected" and "MaxCertificateChainSize" in answer.status_info.additional_info


def test_the_wrong_number_is_refused_and_the_right_one_still_taken(make) -> None:
    world = make("2.1")
    trigger(world)
    (asked,) = world.csms.heard("SignCertificate")
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


def test_in_16_the_event_has_its_own_name(make) -> None:
    world = make("1.6")
    trigger(world)
    assert signed(world, sign(requests.make(requests.new_key(), "CS-1", "Netz AG"))).status == "Rejected"
    world.run(5)
    assert events(world) == ["InvalidChargePointCertificate"]


# -- the change-over --------------------------------------------------------------------------------------------------
def refuse_new(world: Any, first: bytes) -> None:
    plain = type(world.csms).admit

    def admit(handshake: Any) -> Any:
        plain(world.csms, handshake)
        return world.csms if handshake.certificate == first else Refuse(403, "wrong-certificate")

    world.csms.admit = admit


def test_a_new_certificate_that_is_not_let_in_gives_way_to_the_old(make) -> None:
    """A02.FR.28, .29."""
    world = make()
    refuse_new(world, world.first.ders[0])
    trigger(world)
    signed(world, sign(world.csms.heard("SignCertificate")[0].csr))
    world.run(120)
    assert world.station.online
    assert shown(world) == world.first.ders[0]
    assert events(world) == ["DiscardedRenewedClientCertificate"]
    assert world.station.certificates.leaf == world.first
    trigger(world)
    assert len(world.csms.heard("SignCertificate")) == 2


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


def test_renewed_a_month_before_the_end(make) -> None:
    """A03.FR.02."""
    world = make(days=90, settings={"heartbeat_interval": "3600"})
    world.csms.interval = 3600
    world.run(59.5 * DAY)
    assert world.csms.heard("SignCertificate") == []
    world.run(1 * DAY)
    assert len(world.csms.heard("SignCertificate")) >= 1
    chain = sign(world.csms.heard("SignCertificate")[0].csr, at=int(world.scheduler.now()))
    assert signed(world, chain).status == "Accepted"
    world.run(60)
    assert shown(world) != world.first.ders[0]
    world.run(58 * DAY)
    assert len(world.csms.handshakes) == 2


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


@pytest.mark.parametrize("version", VERSIONS)
def test_installed_listed_and_deleted(make, version) -> None:
    world = make(version)
    use = "CentralSystemRootCertificate" if version == "1.6" else CSMS_ROOT
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


def test_the_stations_own_certificate_cannot_be_deleted(make) -> None:
    """M04.FR.06."""
    world = make()
    leaf, sub = world.first.ders
    assert delete(world, leaf, sub) == "Failed"


@pytest.mark.parametrize(
    "text",
    [
        "hello",
        ROOT + OTHER_ROOT,
        pem.text([chains.der(CA.issuing)]),
        sign(requests.make(requests.new_key(), "CS-1", "Netz AG")),
        pem.text([chains.der(Authority.new("Old", now=to_datetime(START) - timedelta(days=8000)).root)]),
        pem.text([chains.der(CA.root)[:-4] + b"abcd"]),
    ],
    ids=["garbage", "two", "no-root", "leaf", "expired", "forged"],
)
@pytest.mark.parametrize("version", VERSIONS)
def test_what_is_no_root_is_rejected(make, version, text) -> None:
    world = make(version)
    assert install(world, MANUFACTURER_ROOT, text[:5_500]) == "Rejected"


def test_there_is_room_for_so_many(make) -> None:
    """M05.FR.06."""
    world = make(settings={"certificates_max": "2"})
    assert install(world, MANUFACTURER_ROOT, OTHER_ROOT) == "Accepted"
    assert install(world, "V2GRootCertificate", ROOT) == "Rejected"


def test_with_the_additional_check_a_root_is_signed_by_the_one_before(make) -> None:
    """M05.FR.09 to 12."""
    from cryptography import x509

    world = make(settings={"root_check": "true"})
    assert install(world, CSMS_ROOT, OTHER_ROOT) == "Rejected"
    key = requests.new_key()
    heir = (
        x509.CertificateBuilder()
        .subject_name(CA.root.subject)
        .issuer_name(CA.root.subject)
        .public_key(key.public_key())
        .serial_number(5)
        .not_valid_before(CA.root.not_valid_before_utc)
        .not_valid_after(CA.root.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(CA.root_key, requests.hash_for(CA.root_key))
    )
    assert install(world, CSMS_ROOT, pem.text([chains.der(heir)])) == "Accepted"
    assert len(world.station.certificates.roots()) == 2  # the old one to fall back to


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


def test_events_wait_for_the_connection_and_survive_a_restart(make) -> None:
    """A04.FR.02."""
    world = make()
    world.offline()
    world.station.security.event("TamperDetectionActivated", "the door is open")
    world.station.security.event("InvalidMessages", "not critical: it stands in the log")
    world.station.finish()
    world.station.power_off()
    world.station = world.build()
    world.online()
    world.station.power_on()
    world.run(30)
    (told,) = world.csms.heard("SecurityEventNotification")
    assert (told.type, told.tech_info) == ("TamperDetectionActivated", "the door is open")


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
def test_trouble_with_tls_is_told_once_it_is_over(make, reason, event) -> None:
    world = make()
    faults = world.network.faults
    faults.dial = lambda tenant, identity, now: reason
    world.offline()
    world.online()
    world.run(300)
    assert not world.station.online
    del faults.dial
    world.run(600)
    assert events(world) == [event]
    assert sum(event in line for line in world.station.security.lines()) == 1


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
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
