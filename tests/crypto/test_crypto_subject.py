"""CN and O out of certificates as stations really have them."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pilotwire.crypto.certificates import make_authority, make_station
from pilotwire.crypto.subject import Subject, read_subject

NOW = datetime(2026, 1, 31, tzinfo=UTC)
CN, O, OU = b"\x55\x04\x03", b"\x55\x04\x0a", b"\x55\x04\x0b"  # noqa: E741 (the standard's own names)


def element(tag: int, content: bytes) -> bytes:
    if len(content) < 128:
        return bytes((tag, len(content))) + content
    return bytes((tag, 0x82)) + len(content).to_bytes(2, "big") + content


def attribute(oid: bytes, tag: int, value: bytes) -> bytes:
    return element(0x30, element(0x06, oid) + element(tag, value))


def certificate(*relatives: bytes, version: bytes = b"\xa0\x03\x02\x01\x02") -> bytes:
    """As much of a certificate as there is before and in the subject, then something."""
    name = element(0x30, b"".join(element(0x31, relative) for relative in relatives))
    empty = element(0x30, b"")
    body = version + element(0x02, b"\x01") + empty * 3 + name + empty
    return element(0x30, element(0x30, body) + empty)


@pytest.fixture(scope="module")
def authority():
    return make_authority("Installation", now=NOW)


@pytest.fixture(scope="module")
def real(authority):
    """Real certificates as DER, with what is in them."""
    made = {}
    for kind, serial, organization in (
        ("ec", "SN-1", "Example Charging"),
        ("rsa", "SN-2", "Lädt & Söhne"),
        ("ec", "充电桩-3", ""),
    ):
        pem = make_station(authority, serial, organization, now=NOW, kind=kind).certificate_pem.encode()
        made[x509.load_pem_x509_certificates(pem)[0].public_bytes(Encoding.DER)] = Subject(serial, organization)
    return made


def test_real_certificates(real):
    for der, subject in real.items():
        assert read_subject(der) == subject


def test_authority_itself(authority):
    der = x509.load_pem_x509_certificate(authority.certificate_pem.encode()).public_bytes(Encoding.DER)
    assert read_subject(der) == ("Installation", "Pilotwire")


@pytest.mark.parametrize(
    ("tag", "value", "text"),
    [
        (0x0C, "Säule".encode(), "Säule"),
        (0x0C, b"S\xe4ule", "Säule"),  # a UTF8String that is Latin-1
        (0x13, b"SN_1@x", "SN_1@x"),  # characters that a PrintableString does not have
        (0x13, b"S\xe4ule", "Säule"),
        (0x14, b"S\xe4ule", "Säule"),  # T61String
        (0x14, "Säule".encode(), "Säule"),
        (0x16, b"SN-1", "SN-1"),  # IA5String
        (0x12, b"0815", "0815"),  # NumericString
        (0x1A, b"SN-1", "SN-1"),  # VisibleString
        (0x1E, "Säule".encode("utf-16-be"), "Säule"),  # BMPString
        (0x1C, "Säule".encode("utf-32-be"), "Säule"),  # UniversalString
        (0x0C, b"", ""),
        (0x0C, b"x" * 300, "x" * 300),  # longer than X.520 allows
    ],
)
def test_odd_encodings(tag, value, text):
    assert read_subject(certificate(attribute(CN, tag, value), attribute(O, 0x0C, b"Org"))) == (text, "Org")


def test_what_cryptography_refuses_is_read(real):
    # The same certificate, but its CN claims to be a PrintableString and holds Latin-1.
    der = next(iter(real))
    odd = der.replace(b"\x0c\x04SN-1", b"\x13\x04SN\xe41")
    with pytest.raises(ValueError):
        x509.load_der_x509_certificate(odd).subject  # noqa: B018
    assert read_subject(odd) == ("SNä1", "Example Charging")


def test_version_1_certificate_has_no_version():
    assert read_subject(certificate(attribute(CN, 0x0C, b"SN-1"), version=b"")) == ("SN-1", "")


def test_several_attributes_in_one_relative_name():
    both = attribute(O, 0x0C, b"Org") + attribute(CN, 0x0C, b"SN-1")
    assert read_subject(certificate(both)) == ("SN-1", "Org")


def test_subject_without_names():
    assert read_subject(certificate()) == ("", "")
    assert read_subject(certificate(attribute(OU, 0x0C, b"Unit"))) == ("", "")


def test_two_names_that_differ_are_none():
    twice = [attribute(CN, 0x0C, b"SN-1"), attribute(CN, 0x0C, b"SN-2"), attribute(O, 0x0C, b"Org")]
    assert read_subject(certificate(*twice)) == ("", "Org")
    same = [attribute(CN, 0x0C, b"SN-1"), attribute(CN, 0x13, b"SN-1")]
    assert read_subject(certificate(*same)) == ("SN-1", "")


def test_other_attributes_may_be_anything():
    assert read_subject(certificate(attribute(OU, 0x05, b""), attribute(CN, 0x0C, b"SN-1"))).common_name == "SN-1"


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"not a certificate",
        b"\x30\x00",
        b"\x30\x80\x00\x00",  # indefinite length is BER
        b"\x30\x85\x00\x00\x00\x00\x01",
        b"\x30\x84\xff\xff\xff\xff",
        b"\x30\x82\x01",
        certificate(attribute(CN, 0x05, b"")),
        certificate(attribute(CN, 0x1E, b"odd")),
        certificate(b"\x02\x01\x01"),
        certificate(element(0x30, b"\x02\x01\x01")),
    ],
)
def test_what_is_no_certificate(der):
    with pytest.raises(ValueError):
        read_subject(der)


def test_cut_off_anywhere(real):
    der = next(iter(real))
    for end in range(len(der)):
        with pytest.raises(ValueError):
            read_subject(der[:end])


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(at=st.integers(0, 300), junk=st.binary(max_size=4), data=st.binary(max_size=60))
def test_any_bytes_are_a_subject_or_a_value_error(real, at, junk, data):
    der = next(iter(real))
    for given_bytes in (data, der[:at] + junk + der[at + len(junk) :]):
        try:
            subject = read_subject(given_bytes)
        except ValueError:
            continue
        assert isinstance(subject.common_name, str)
