"""Certificates that OpenSSL takes in a real handshake, and those that it must not."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from cryptography.x509.verification import PolicyBuilder, Store

from pilotwire.crypto.certificates import Issued, make_authority, make_server, make_station

NOW = datetime.now(UTC).replace(microsecond=0)
NAMES = ["charge.example.org", "localhost", "127.0.0.1", "::1"]


@pytest.fixture(scope="module")
def authority():
    return make_authority("Test installation", now=NOW)


@pytest.fixture(scope="module")
def servers(authority):
    return {kind: make_server(authority, NAMES, now=NOW, kind=kind) for kind in ("ec", "rsa")}


def leaf(issued: Issued) -> x509.Certificate:
    return x509.load_pem_x509_certificates(issued.certificate_pem.encode())[0]


def handshake(tmp_path, authority, server, client=None, *, host="localhost", ciphers=None):
    """A TLS handshake in memory. Returns the client's view of the peer and the server's; raises ssl.SSLError."""

    def load(context, issued, name):
        path = tmp_path / f"{name}.pem"
        path.write_text(issued.key_pem + issued.certificate_pem)
        context.load_cert_chain(path)

    listening = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    load(listening, server, "server")
    listening.load_verify_locations(cadata=authority.certificate_pem)
    listening.verify_mode = ssl.CERT_REQUIRED if client else ssl.CERT_NONE
    dialing = ssl.create_default_context(cadata=authority.certificate_pem)
    if client:
        load(dialing, client, "client")
    if ciphers:
        for context in (listening, dialing):
            context.maximum_version = ssl.TLSVersion.TLSv1_2
            context.set_ciphers(ciphers)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    far = listening.wrap_bio(up, down, server_side=True)
    near = dialing.wrap_bio(down, up, server_hostname=host)
    done = set()
    for _ in range(10):
        for end in (near, far):
            if end not in done:
                try:
                    end.do_handshake()
                    done.add(end)
                except ssl.SSLWantReadError:
                    continue
    assert done == {near, far}
    return near, far


class TestServer:
    @pytest.mark.parametrize("kind", ["ec", "rsa"])
    @pytest.mark.parametrize("host", NAMES)
    def test_is_trusted_under_each_of_its_names(self, tmp_path, authority, servers, kind, host):
        near, _ = handshake(tmp_path, authority, servers[kind], host=host)
        assert near.version() == "TLSv1.3"

    def test_is_not_trusted_under_another_name(self, tmp_path, authority, servers):
        for host in ("other.example.org", "127.0.0.2"):
            with pytest.raises(ssl.SSLCertVerificationError):
                handshake(tmp_path, authority, servers["ec"], host=host)

    def test_is_not_trusted_by_who_trusts_another_authority(self, tmp_path, servers):
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(tmp_path, make_authority("Test installation", now=NOW), servers["ec"])

    @pytest.mark.parametrize(
        ("kind", "suite"),
        [
            ("ec", "ECDHE-ECDSA-AES128-GCM-SHA256"),
            ("ec", "ECDHE-ECDSA-AES256-GCM-SHA384"),
            ("rsa", "AES128-GCM-SHA256"),
            ("rsa", "AES256-GCM-SHA384"),
        ],
    )
    def test_serves_the_suites_of_ocpp(self, tmp_path, authority, servers, kind, suite):
        near, _ = handshake(tmp_path, authority, servers[kind], ciphers=suite)
        assert near.cipher()[0] == suite

    def test_usage_is_what_the_suites_need(self, servers):
        # TLS_RSA_* encrypts the premaster secret to the server's key (RFC 5246 7.4.2); strict stations look for it.
        for kind, issued in servers.items():
            usage = leaf(issued).extensions.get_extension_for_class(x509.KeyUsage).value
            assert usage.digital_signature
            assert usage.key_encipherment is (kind == "rsa")
            assert not usage.key_cert_sign

    def test_keys_are_strong_enough(self, servers):
        key = leaf(servers["ec"]).public_key()
        assert isinstance(key, ec.EllipticCurvePublicKey)
        assert key.curve.name == "secp256r1"
        key = leaf(servers["rsa"]).public_key()
        assert isinstance(key, rsa.RSAPublicKey)
        assert key.key_size == 2048

    def test_name_is_the_first_and_all_are_alternatives(self, servers):
        certificate = leaf(servers["ec"])
        assert certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == NAMES[0]
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == NAMES[:2]
        assert [str(ip) for ip in names.get_values_for_type(x509.IPAddress)] == NAMES[2:]

    def test_international_name_is_written_in_its_ascii_form(self, authority):
        certificate = leaf(make_server(authority, ["lädt.example.org"], now=NOW))
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        assert names.get_values_for_type(x509.DNSName) == ["xn--ldt-qla.example.org"]

    def test_chain_ends_with_the_authority(self, authority, servers):
        assert servers["ec"].certificate_pem.endswith(authority.certificate_pem)

    @pytest.mark.parametrize("kind", ["ec", "rsa"])
    def test_is_valid_by_an_independent_reading_of_rfc_5280(self, authority, servers, kind):
        verifier = PolicyBuilder().store(Store([leaf(authority)])).time(NOW)
        chain = verifier.build_server_verifier(x509.DNSName("localhost")).verify(leaf(servers[kind]), [])
        assert len(chain) == 2


class TestStation:
    @pytest.mark.parametrize("kind", ["ec", "rsa"])
    def test_is_taken_by_a_server_that_trusts_the_authority(self, tmp_path, authority, servers, kind):
        station = make_station(authority, "SN-4711", "Example Charging", now=NOW, kind=kind)
        _, far = handshake(tmp_path, authority, servers["ec"], station)
        subject = {key: value for ((key, value),) in far.getpeercert()["subject"]}
        assert subject == {"commonName": "SN-4711", "organizationName": "Example Charging"}

    def test_of_another_authority_is_refused(self, tmp_path, authority, servers):
        station = make_station(make_authority("Else", now=NOW), "SN-4711", "Example Charging", now=NOW)
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(tmp_path, authority, servers["ec"], station)

    def test_that_has_expired_is_refused(self, tmp_path, authority, servers):
        station = make_station(authority, "SN-4711", "X", now=NOW - timedelta(days=400))
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(tmp_path, authority, servers["ec"], station)

    def test_may_not_sign_others(self, tmp_path, authority, servers):
        station = make_station(authority, "SN-4711", "X", now=NOW)
        forged = make_station(station, "SN-1", "X", now=NOW)
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(tmp_path, authority, servers["ec"], forged)

    def test_names_no_host_and_needs_no_organization(self, authority):
        certificate = leaf(make_station(authority, "SN-4711", "", now=NOW))
        assert [name.rfc4514_string() for name in certificate.subject.rdns] == ["CN=SN-4711"]
        with pytest.raises(x509.ExtensionNotFound):
            certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)


class TestAuthority:
    def test_signs_certificates_and_no_authorities(self, authority):
        certificate = leaf(authority)
        assert certificate.issuer == certificate.subject
        certificate.verify_directly_issued_by(certificate)
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
        assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, 0)
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
        assert usage.key_cert_sign
        assert not usage.digital_signature

    def test_validity_begins_an_hour_ago_since_clocks_of_stations_lag(self, authority):
        certificate = leaf(authority)
        assert certificate.not_valid_before_utc == NOW - timedelta(hours=1)
        assert certificate.not_valid_after_utc == NOW + timedelta(days=3650)

    def test_serial_numbers_differ(self, authority):
        numbers = {leaf(make_station(authority, "SN", "X", now=NOW)).serial_number for _ in range(5)}
        assert len(numbers) == 5
