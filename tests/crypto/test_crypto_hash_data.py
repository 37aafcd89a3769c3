"""CertificateHashData exact to the byte: against the OCSP CertIDs of an independent writer, for each algorithm, kind
of key, and shape of name and serial number."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509 import ocsp
from cryptography.x509.name import _ASN1Type
from cryptography.x509.oid import NameOID
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.crypto.hash_data import ALGORITHMS, HashData, find, hash_data, is_self_issued, read, serial_text, write
from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.protocols.ocpp.v21 import messages as v21
from pilotwire.protocols.ocpp.v201 import messages as v201

NOW = datetime(2026, 3, 1, tzinfo=UTC)
ROOT_KEY = ec.generate_private_key(ec.SECP384R1())
RSA_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
LEAF_KEY = ec.generate_private_key(ec.SECP256R1())
_HASH = {"SHA256": hashes.SHA256(), "SHA384": hashes.SHA384(), "SHA512": hashes.SHA512()}


def name(*pairs: tuple[x509.ObjectIdentifier, str], kind: _ASN1Type | None = None) -> x509.Name:
    return x509.Name([x509.NameAttribute(oid, value, kind) for oid, value in pairs])


def make(subject: x509.Name, issuer: x509.Name, key, signer, serial: int) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(NOW)
        .not_valid_after(NOW + timedelta(days=30))
        .sign(signer, hashes.SHA256())
    )


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


ROOT_NAME = name((NameOID.COMMON_NAME, "Würzburg Root"), (NameOID.ORGANIZATION_NAME, "Netz AG"))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize("signer", [ROOT_KEY, RSA_KEY], ids=["ec", "rsa"])
@pytest.mark.parametrize("serial", [1, 0x0F, 0x80, 0xABCDEF, (1 << 159) - 1])
def test_same_as_an_ocsp_cert_id(algorithm, signer, serial) -> None:
    root = make(ROOT_NAME, ROOT_NAME, signer, signer, 7)
    leaf = make(name((NameOID.COMMON_NAME, "CP1")), ROOT_NAME, LEAF_KEY, signer, serial)
    asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, root, _HASH[algorithm]).build()
    got = hash_data(der(leaf), der(root), algorithm)
    assert got == HashData(
        algorithm, asked.issuer_name_hash.hex(), asked.issuer_key_hash.hex(), f"{asked.serial_number:x}"
    )
    assert hash_data(der(root), None, algorithm).serial_number == "7"


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME, NameOID.LOCALITY_NAME, NameOID.TITLE]),
            st.text("abcXYZ äöÜ-._9", min_size=1, max_size=20),
        ),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([None, _ASN1Type.UTF8String, _ASN1Type.BMPString]),
    st.integers(1, (1 << 159) - 1),
)
def test_any_name_and_serial(pairs, kind, serial) -> None:
    issuer = name(*pairs, kind=kind)
    root = make(issuer, issuer, ROOT_KEY, ROOT_KEY, 1)
    leaf = make(name((NameOID.COMMON_NAME, "x")), issuer, LEAF_KEY, ROOT_KEY, serial)
    asked = ocsp.OCSPRequestBuilder().add_certificate(leaf, root, hashes.SHA256()).build()
    got = hash_data(der(leaf), der(root))
    assert got.issuer_name_hash == asked.issuer_name_hash.hex()
    assert got.issuer_key_hash == asked.issuer_key_hash.hex()
    assert got.serial_number == f"{serial:x}"


def test_the_root_of_another_name_is_refused() -> None:
    other = name((NameOID.COMMON_NAME, "other"))
    leaf = make(name((NameOID.COMMON_NAME, "CP1")), ROOT_NAME, LEAF_KEY, ROOT_KEY, 5)
    with pytest.raises(ValueError, match="somebody else"):
        hash_data(der(leaf), der(make(other, other, ROOT_KEY, ROOT_KEY, 1)))
    assert not is_self_issued(der(leaf))
    assert is_self_issued(der(make(ROOT_NAME, ROOT_NAME, ROOT_KEY, ROOT_KEY, 5)))


@pytest.mark.parametrize(
    ("serial", "text"), [(0, "0"), (10, "a"), (256, "100"), (-1, "ff"), (-128, "80"), (-129, "ff7f")]
)
def test_serial_numbers(serial, text) -> None:
    assert serial_text(serial) == text


def test_case_and_leading_zeros_do_not_matter() -> None:
    one = HashData("SHA256", "AB" * 32, "cd" * 32, "0F")
    assert one.same(HashData("SHA256", "ab" * 32, "CD" * 32, "f"))
    assert not one.same(HashData("SHA384", "ab" * 32, "CD" * 32, "f"))
    assert not one.same(HashData("SHA256", "ab" * 32, "CD" * 32, "f0"))


def test_found_among_others() -> None:
    root = make(ROOT_NAME, ROOT_NAME, ROOT_KEY, ROOT_KEY, 9)
    leaves = [make(name((NameOID.COMMON_NAME, f"CP{n}")), ROOT_NAME, LEAF_KEY, ROOT_KEY, n) for n in (3, 4, 5)]
    ders = [b"junk", *(der(one) for one in leaves)]
    wanted = hash_data(der(leaves[1]), der(root), "SHA512")
    assert find(wanted, ders, [der(root)]) == der(leaves[1])
    assert find(wanted, ders, []) is None
    assert find(wanted._replace(serial_number="99"), ders, [der(root)]) is None


@pytest.mark.parametrize("m", [v16, v201, v21])
def test_to_the_wire_and_back(m) -> None:
    root = make(ROOT_NAME, ROOT_NAME, ROOT_KEY, ROOT_KEY, 9)
    data = hash_data(der(root), None, "SHA384")
    assert read(write(data, m.CertificateHashDataType)) == data


@pytest.mark.parametrize("cut", [0, 1, 2, 10, 50, 200])
def test_what_is_cut_off_is_no_certificate(cut) -> None:
    whole = der(make(ROOT_NAME, ROOT_NAME, ROOT_KEY, ROOT_KEY, 9))
    with pytest.raises(ValueError):
        hash_data(whole[:cut])
    with pytest.raises(ValueError):
        hash_data(whole, None, "SHA1")
