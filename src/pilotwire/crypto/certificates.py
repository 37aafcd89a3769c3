"""Certificates for a first deployment and for tests: an authority of the installation, servers and stations under it.

Keys are EC P-256 or RSA 2048 (A00.FR.5xx: at least 112 bits of strength). Everything is PEM text; `now` is injected.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from ipaddress import ip_address
from typing import Literal, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

Kind = Literal["ec", "rsa"]
_Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
_BACKDATED = timedelta(hours=1)
"""Stations' clocks lag."""


class Issued(NamedTuple):
    """A certificate and its private key, PEM. A server's or station's `certificate_pem` ends with its authority's."""

    certificate_pem: str
    key_pem: str


def _new_key(kind: Kind) -> _Key:
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: _Key) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _name(common_name: str, organization: str) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        parts.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    return x509.Name(parts)


def make_authority(common_name: str, *, now: datetime, organization: str = "Pilotwire", days: int = 3650) -> Issued:
    """A self-signed certificate authority (EC P-256) that may sign servers and stations but no further authorities."""
    key = _new_key("ec")
    name = _name(common_name, organization)
    certificate = (
        _builder(name, name, key, now, days)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(sign_certificates=True), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Issued(_pem(certificate), _key_pem(key))


def make_server(
    authority: Issued,
    names: Sequence[str],
    *,
    now: datetime,
    kind: Kind = "ec",
    days: int = 825,
    organization: str = "Pilotwire",
    key_pem: str = "",
) -> Issued:
    """A server certificate for `names` (host names and IP addresses); CN is the first (A00.FR.512: the FQDN).

    With `key_pem` that key is kept. Raises ValueError where it is none of ours.
    """
    alternatives = [_alternative(name) for name in names]
    return _issue(authority, _name(names[0], organization), kind, now, days, alternatives, key_pem)


def make_own(
    names: Sequence[str], *, now: datetime, key_pem: str = "", days: int = 825, organization: str = "Pilotwire"
) -> Issued:
    """A self-signed certificate (EC P-256) of a server that nobody vouches for, for `names` as in `make_server`.

    With `key_pem` that key is kept, so that whoever has pinned it goes on trusting. 825 days are the most that Apple's
    systems accept.
    """
    key = _own_key(key_pem) if key_pem else _new_key("ec")
    name = _name(names[0], organization)
    alternatives = [_alternative(one) for one in names]
    certificate = (
        _builder(name, name, key, now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Issued(_pem(certificate), _key_pem(key))


def _own_key(text: str) -> _Key:
    """Raises ValueError for a key that we have not made."""
    key = serialization.load_pem_private_key(text.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("neither an EC nor an RSA key")
    return key


def make_station(
    authority: Issued, serial: str, organization: str, *, now: datetime, kind: Kind = "ec", days: int = 365
) -> Issued:
    """A station's client certificate: CN its serial number, O its operator (A00.FR.404, 511)."""
    return _issue(authority, _name(serial, organization), kind, now, days, [])


def _issue(
    authority: Issued,
    name: x509.Name,
    kind: Kind,
    now: datetime,
    days: int,
    alternatives: Sequence[x509.GeneralName],
    key_pem: str = "",
) -> Issued:
    issuer = x509.load_pem_x509_certificate(authority.certificate_pem.encode())
    issuer_key = serialization.load_pem_private_key(authority.key_pem.encode(), None)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey)
    key = _own_key(key_pem) if key_pem else _new_key(kind)
    builder = (
        _builder(name, issuer.subject, key, now, days)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(sign_certificates=False, encipher=kind == "rsa"), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if alternatives:
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    certificate = builder.sign(issuer_key, hashes.SHA256())
    return Issued(_pem(certificate) + authority.certificate_pem, _key_pem(key))


def _builder(name: x509.Name, issuer: x509.Name, key: _Key, now: datetime, days: int) -> x509.CertificateBuilder:
    public = key.public_key()
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _usage(*, sign_certificates: bool, encipher: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not sign_certificates,
        content_commitment=False,
        key_encipherment=encipher,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=sign_certificates,
        crl_sign=sign_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        # Certificates carry international names in their ASCII form (RFC 5280 7.2).
        return x509.DNSName(name if name.isascii() else name.encode("idna").decode())
