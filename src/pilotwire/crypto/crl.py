"""Revocation lists (RFC 5280 5): read, verified with their issuer's key, and asked about one serial number."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from pilotwire.core.errors import RemoteError

from . import pem
from .hash_data import HashData

LONGEST = 4 * 1024 * 1024
_LATE = timedelta(minutes=5)
_KEPT_AT_MOST = timedelta(days=7)


class CrlError(RemoteError):
    """No list that is to be believed; `code` is one word: unreadable, signature, stale."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Verdict(NamedTuple):
    status: str
    """good or revoked."""
    next_update: datetime


def read(data: bytes, about: HashData, issuer: x509.Certificate, now: datetime) -> Verdict:
    """Whether the list (DER or PEM) of `issuer` names the certificate. Raises CrlError."""
    try:
        if data.lstrip().startswith(b"-----"):
            data = pem.one(data.decode("ascii", "replace"), "X509 CRL")
        found = x509.load_der_x509_crl(data)
        same = found.issuer == issuer.subject and found.is_signature_valid(issuer.public_key())  # type: ignore[arg-type]
        begin, end = found.last_update_utc, found.next_update_utc
        one = found.get_revoked_certificate_by_serial_number(int(about.serial_number, 16))
    except (ValueError, TypeError, UnsupportedAlgorithm, pem.BadPem) as error:
        raise CrlError("unreadable", f"no revocation list: {error}") from error
    if not same:
        raise CrlError("signature", "the list is not signed by the issuer of the certificate")
    if begin > now + _LATE:
        raise CrlError("stale", "the list is of the future")
    if end is not None and end < now - _LATE:
        raise CrlError("stale", f"the list was good until {end:%Y-%m-%d %H:%M} UTC")
    until = min(now + timedelta(hours=1) if end is None else end, now + _KEPT_AT_MOST)
    return Verdict("good" if one is None or _back(one) else "revoked", until)


def places(certificate: x509.Certificate) -> tuple[str, ...]:
    """Where a certificate says that the list of its issuer is; none where it says nothing (or nothing readable)."""
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(
        name.value
        for point in points
        for name in point.full_name or ()
        if isinstance(name, x509.UniformResourceIdentifier) and name.value.startswith(("http://", "https://"))
    )[:4]


def _back(one: x509.RevokedCertificate) -> bool:
    """Whether it was taken off hold (removeFromCRL stands in delta lists, but some write it anywhere)."""
    try:
        reason = one.extensions.get_extension_for_class(x509.CRLReason).value.reason
    except (x509.ExtensionNotFound, ValueError):
        return False
    return reason is x509.ReasonFlags.remove_from_crl
