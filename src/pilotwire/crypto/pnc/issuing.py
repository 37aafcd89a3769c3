"""Making the certificates of a V2G PKI: one function for all roles, so that profiles stand in one table.

Reproducible: the same random bytes and the same time give the same certificates, signatures included.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

from ..chains import der
from .keys import Kind, Random, SoftwareKey, new_key

_BACKDATED = timedelta(hours=1)
"""Clocks of cars and stations lag."""
_HASHES: Final[dict[Kind, Any]] = {"p256": hashes.SHA256(), "p521": hashes.SHA512(), "ed448": None}
COUNTRY: Final = "DE"


@dataclass(frozen=True)
class Issued:
    """A certificate with its key and what is above it, the root left out."""

    name: str
    """In the PKI: "v2g-root", "cpo-sub1", "secc", ..."""
    certificate: bytes
    key: SoftwareKey
    above: tuple[bytes, ...] = ()
    """DER, the issuer first, the root left out."""
    root: bool = False

    @property
    def chain(self) -> tuple[bytes, ...]:
        return (self.certificate, *self.above)


class Wanted(NamedTuple):
    """What a certificate is to be."""

    common_name: str
    days: int
    usage: frozenset[str]
    domain: str = ""
    path_length: int | None = None
    authority: bool = False
    ocsp_signing: bool = False
    dns: str = ""


AUTHORITY: Final = frozenset({"keyCertSign", "cRLSign"})
SIGNING: Final = frozenset({"digitalSignature"})
AGREEING: Final = frozenset({"digitalSignature", "keyAgreement"})
CONTRACT: Final = frozenset({"digitalSignature", "nonRepudiation", "keyEncipherment", "keyAgreement"})
_ATTRIBUTES: Final = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
}


def identifier_of(key: SoftwareKey) -> bytes:
    """The short key identifier, 8 bytes (RFC 5280 4.2.1.2, method 2): what ISO 15118-20 binds a wrapped key to."""
    digest = bytearray(hashlib.sha1(key.point, usedforsecurity=False).digest()[-8:])
    digest[0] = 0x40 | digest[0] & 0x0F
    return bytes(digest)


def issue(
    name: str,
    wanted: Wanted,
    issuer: Issued | None,
    *,
    kind: Kind,
    random: Random,
    now: datetime,
    organization: str = "Pilotwire",
    ocsp_url: str = "",
    key: SoftwareKey | None = None,
) -> Issued:
    """A certificate of a new key (or of `key`), signed by `issuer`; by itself where there is none.

    `kind` is of its key; the signature goes with the issuer's. It never outlives its issuer.
    """
    own = key or new_key(kind, random)
    signer = own if issuer is None else issuer.key
    above = None if issuer is None else x509.load_der_x509_certificate(issuer.certificate)
    subject = _name(wanted.common_name, organization, wanted.domain)
    ends = now + timedelta(days=wanted.days)
    if above is not None:
        ends = min(ends, above.not_valid_after_utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject if above is None else above.subject)
        .public_key(own.raw.public_key())
        .serial_number(int.from_bytes(b"\x01" + random(8)))
        .not_valid_before((now - _BACKDATED).replace(microsecond=0))
        .not_valid_after(ends.replace(microsecond=0))
        .add_extension(x509.BasicConstraints(wanted.authority, wanted.path_length), critical=True)
        .add_extension(_usage(wanted.usage), critical=True)
        .add_extension(x509.SubjectKeyIdentifier(identifier_of(own)), critical=False)
    )
    if issuer is not None:
        identifier = x509.AuthorityKeyIdentifier(identifier_of(issuer.key), None, None)
        builder = builder.add_extension(identifier, critical=False)
        if ocsp_url:
            where = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, x509.UniformResourceIdentifier(ocsp_url))
            builder = builder.add_extension(x509.AuthorityInformationAccess([where]), critical=False)
    if wanted.ocsp_signing:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
    if wanted.dns:
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(wanted.dns)]), critical=False)
    algorithm = _HASHES[signer.kind]
    deterministic = None if signer.kind == "ed448" else True
    certificate = der(builder.sign(signer.raw, algorithm, ecdsa_deterministic=deterministic))
    line = () if issuer is None or issuer.root else issuer.chain
    return Issued(name, certificate, own, line, issuer is None)


def _name(common_name: str, organization: str, domain: str) -> x509.Name:
    parts = [
        x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        x509.NameAttribute(NameOID.COUNTRY_NAME, COUNTRY),
    ]
    if domain:
        parts.append(x509.NameAttribute(NameOID.DOMAIN_COMPONENT, domain))
    return x509.Name(parts)


def _usage(names: frozenset[str]) -> x509.KeyUsage:
    wanted = {attribute: name in names for name, attribute in _ATTRIBUTES.items()}
    return x509.KeyUsage(**wanted, data_encipherment=False, encipher_only=False, decipher_only=False)
