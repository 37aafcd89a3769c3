"""Certificates read with tolerance: those of contracts and of provisioning services hold encodings (a default value
written out) that make strict parsers refuse all extensions, so only what is asked for is taken apart here."""

from __future__ import annotations

from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from ..chains import ChainError, load
from ..der import BIT_STRING, OID, SEQUENCE, element, elements, expect
from ..subject import read_subject

_BOOLEAN, _INTEGER, _OCTETS, _EXTENSIONS = 0x01, 0x02, 0x04, 0xA3
_BASIC_CONSTRAINTS, _KEY_USAGE, _SUBJECT_KEY = b"\x55\x1d\x13", b"\x55\x1d\x0f", b"\x55\x1d\x0e"
_DOMAIN_COMPONENT = x509.oid.NameOID.DOMAIN_COMPONENT
USAGES = (
    "digitalSignature", "nonRepudiation", "keyEncipherment", "dataEncipherment", "keyAgreement", "keyCertSign",
    "cRLSign",
)  # fmt: skip


class Seen(NamedTuple):
    """What the rules of profiles ask about."""

    certificate: x509.Certificate
    der: bytes
    common_name: str
    domain: tuple[str, ...]
    """Domain components, upper case."""
    authority: bool | None
    """None: no basic constraints."""
    path_length: int | None
    usage: frozenset[str] | None
    """None: no key usage."""
    identifier: bytes
    """Subject key identifier; empty: none."""


def see(der: bytes) -> Seen:
    """Raises ChainError("unreadable")."""
    certificate = load(der)
    try:
        name = read_subject(der).common_name
        domain = tuple(str(one.value).upper() for one in certificate.subject.get_attributes_for_oid(_DOMAIN_COMPONENT))
        found = _extensions(der)
        authority, length = _constraints(found[_BASIC_CONSTRAINTS]) if _BASIC_CONSTRAINTS in found else (None, None)
        usage = _usage(found[_KEY_USAGE]) if _KEY_USAGE in found else None
        identifier = element(found[_SUBJECT_KEY])[1] if _SUBJECT_KEY in found else b""
    except (ValueError, IndexError, UnsupportedAlgorithm) as error:
        raise ChainError("unreadable", f"the certificate cannot be read: {error}") from error
    return Seen(certificate, der, name, domain, authority, length, usage, identifier)


def _extensions(der: bytes) -> dict[bytes, bytes]:
    _, certificate, _ = element(der)
    _, body, _ = element(certificate)
    outer = next((value for tag, value in elements(body) if tag == _EXTENSIONS), None)
    found: dict[bytes, bytes] = {}
    if outer is None:
        return found
    tag, listed, _ = element(outer)
    expect(tag, SEQUENCE)
    for tag, one in elements(listed):
        expect(tag, SEQUENCE)
        parts = elements(one)
        expect(parts[0][0], OID)
        expect(parts[-1][0], _OCTETS)
        if parts[0][1] in found:
            raise ValueError("an extension comes twice")
        found[parts[0][1]] = parts[-1][1]
    return found


def _constraints(value: bytes) -> tuple[bool, int | None]:
    tag, content, _ = element(value)
    expect(tag, SEQUENCE)
    authority, length = False, None
    for tag, one in elements(content):
        if tag == _BOOLEAN:
            authority = one != b"\x00"
        elif tag == _INTEGER:
            length = int.from_bytes(one, "big", signed=True)
    return authority, length


def _usage(value: bytes) -> frozenset[str]:
    tag, bits, _ = element(value)
    expect(tag, BIT_STRING)
    return frozenset(name for place, name in enumerate(USAGES) if len(bits) > 1 and bits[1] & (0x80 >> place))
