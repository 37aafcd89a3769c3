"""What is told of a certificate that a server shows: what to pin, its names, and whether its dates are right."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from cryptography import x509

from . import pem
from .trust import Fingerprints, fingerprints


class Shown(NamedTuple):
    """What is told of a certificate."""

    fingerprints: Fingerprints
    names: frozenset[str]
    """Host names and addresses that it is for."""
    issuer: str
    """Who signed it; "" where nobody else did."""
    since: datetime
    until: datetime


def shown(text: str) -> Shown:
    """What is told of the first certificate of a PEM text. Raises ValueError, RemoteError."""
    der = pem.blocks(text)[0]
    certificate = x509.load_der_x509_certificate(der)
    own = certificate.issuer == certificate.subject
    return Shown(
        fingerprints=fingerprints(der),
        names=frozenset(_names(certificate)),
        issuer="" if own else certificate.issuer.rfc4514_string(),
        since=certificate.not_valid_before_utc,
        until=certificate.not_valid_after_utc,
    )


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(each) for each in names.get_values_for_type(x509.IPAddress)]
    return [*names.get_values_for_type(x509.DNSName), *addresses]


def dates(file: Path, certificate: Shown, now: datetime) -> str:
    """What is wrong with the dates of the certificate in `file`, in words; "" while nothing is."""
    left = certificate.until - now
    if left.total_seconds() < 0:
        return f"the certificate {file} has expired at {certificate.until:%Y-%m-%d}"
    if now < certificate.since:
        return f"the certificate {file} is not valid before {certificate.since:%Y-%m-%d %H:%M} UTC: is the clock right?"
    if left.days < 14:
        return f"the certificate {file} expires in {left.days} days, at {certificate.until:%Y-%m-%d}"
    return ""
