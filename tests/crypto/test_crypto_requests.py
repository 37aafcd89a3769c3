"""Signing requests: what is signed, what is refused and why."""

from __future__ import annotations

import base64

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from pilotwire.crypto.requests import BadRequest, check, key_text, make, new_key, read, read_key


@pytest.mark.parametrize(
    ("kind", "shown"), [("ec-p256", "EC secp256r1"), ("ec-p384", "EC secp384r1"), ("rsa-2048", "RSA 2048")]
)
def test_made_and_read(kind, shown) -> None:
    key = new_key(kind)
    request = read(make(key, "SN-77", "Netz AG", country="DE"))
    assert (request.common_name, request.organization, request.key) == ("SN-77", "Netz AG", shown)
    check(request, ("CP1", "SN-77"), "Netz AG")
    again = read_key(key_text(key))
    assert read(make(again, "other", "")).fingerprint == request.fingerprint


def refused(text: str, code: str) -> None:
    with pytest.raises(BadRequest) as caught:
        read(text)
    assert caught.value.code == code


def test_not_a_request() -> None:
    for text in ("", "hello", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----"):
        refused(text, "unreadable")
    refused("x" * 5_501, "too-long")


def test_a_request_whose_signature_is_not_its_own() -> None:
    text = make(new_key(), "CP1", "Netz AG")
    data = bytearray(base64.b64decode("".join(text.split("\n")[1:-2])))
    at = data.index(b"CP1")
    data[at : at + 3] = b"CP2"
    refused(base64.b64encode(data).decode(), "signature")


def test_weak_keys() -> None:
    weak = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    refused(make(weak, "CP1", "Netz AG"), "weak-key")
    refused(make(ec.generate_private_key(ec.SECP192R1()), "CP1", "Netz AG"), "weak-key")


def test_two_common_names() -> None:
    names = [x509.NameAttribute(NameOID.COMMON_NAME, "CP1"), x509.NameAttribute(NameOID.COMMON_NAME, "CP2")]
    text = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name(names))
        .sign(new_key(), hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )
    refused(text, "subject")


@pytest.mark.parametrize(("names", "organization"), [(("CP2",), "Netz AG"), (("CP1",), "Other AG"), (("cp1",), "")])
def test_in_the_name_of_another(names, organization) -> None:
    with pytest.raises(BadRequest) as caught:
        check(read(make(new_key(), "CP1", "Netz AG")), names, organization)
    assert caught.value.code == "subject"


def test_the_organization_need_not_matter() -> None:
    check(read(make(new_key(), "CP1", "")), ("CP1",), "")
