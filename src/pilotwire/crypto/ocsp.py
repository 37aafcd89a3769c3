"""Asking whether a certificate was revoked (RFC 6960), for certificates known by their hashes alone: what a station or
car sends us are hashes, and where to ask. Bytes in, bytes out; who carries them is `pilotwire.transport.outward`.

An answer is believed when it is about the certificate that was asked for, is of today, and is signed by the issuer or
by a responder that the issuer has named (extended key usage OCSPSigning). The issuer is looked for in the trust store,
by its hashes, never taken from the answer.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, padding, rsa
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from pilotwire.core.errors import RemoteError

from .chains import ChainError, check_key, der, load
from .der import parts
from .hash_data import HashData, serial_text

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "SHA256": hashes.SHA256(),
    "SHA384": hashes.SHA384(),
    "SHA512": hashes.SHA512(),
}
_LATE = timedelta(minutes=5)
"""How much the responder's clock may differ."""
KEPT_AT_MOST = timedelta(days=7)
"""M06: an answer is asked for anew once a week at least."""
LONGEST = 65_536
"""Bytes of an answer that are read."""


class OcspError(RemoteError):
    """No answer that is to be believed; `code`: unreadable, refused, other-certificate, signature or stale."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Status(NamedTuple):
    """What a responder says."""

    status: str
    """good, revoked or unknown."""
    this_update: datetime
    next_update: datetime
    """Until when it may be kept; where the responder names none, soon."""
    response: bytes
    """As it came, DER."""


def question(about: HashData) -> bytes:
    """An OCSP request (DER) about one certificate. Raises OcspError for hashes that are none."""
    try:
        return (
            ocsp.OCSPRequestBuilder()
            .add_certificate_by_hash(
                bytes.fromhex(about.issuer_name_hash),
                bytes.fromhex(about.issuer_key_hash),
                int(about.serial_number, 16),
                _HASHES[about.algorithm.upper()],
            )
            .build()
            .public_bytes(serialization.Encoding.DER)
        )
    except (ValueError, KeyError) as error:
        raise OcspError("unreadable", f"hash data that name no certificate: {error}") from error


def find_issuer(about: HashData, known: Iterable[x509.Certificate]) -> x509.Certificate | None:
    """The authority whose name and key have these hashes."""
    for one in known:
        own = der(one)
        try:
            same = hash_data_of_issuer(own, about.algorithm)
        except ValueError:
            continue
        if same == (about.issuer_name_hash.lower(), about.issuer_key_hash.lower()):
            return one
    return None


def responders(certificate: x509.Certificate) -> tuple[str, ...]:
    """Where a certificate says that its status is told; none where it says nothing (or nothing readable)."""
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(
        one.access_location.value
        for one in access
        if one.access_method == AuthorityInformationAccessOID.OCSP
        and isinstance(one.access_location, x509.UniformResourceIdentifier)
    )[:4]


def hash_data_of_issuer(certificate: bytes, algorithm: str) -> tuple[str, str]:
    """Name and key hash by which an authority (DER) is named in what it issues."""
    own = parts(certificate)
    name = algorithm.lower()
    if algorithm.upper() not in _HASHES:
        raise ValueError(f"no hash algorithm of OCPP: {algorithm}")
    return hashlib.new(name, own.subject).hexdigest(), hashlib.new(name, own.public_key).hexdigest()


def read(response: bytes, about: HashData, issuer: x509.Certificate, now: datetime) -> Status:
    """What an answer says about the certificate. Raises OcspError where it is not to be believed."""
    try:
        answer = ocsp.load_der_ocsp_response(response)
    except (ValueError, TypeError) as error:
        raise OcspError("unreadable", f"no OCSP answer: {error}") from error
    if answer.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
        raise OcspError("refused", f"the responder says {answer.response_status.name.lower().replace('_', ' ')}")
    try:
        one = next((single for single in answer.responses if _about(single, about)), None)
        if one is None:
            raise OcspError("other-certificate", "the answer is about another certificate")
        _check_signature(answer, issuer, now)
        begin, end, verdict = one.this_update_utc, one.next_update_utc, one.certificate_status
    except (ValueError, UnsupportedAlgorithm, TypeError) as error:
        raise OcspError("unreadable", f"an OCSP answer that cannot be read: {error}") from error
    if begin > now + _LATE:
        raise OcspError("stale", "the answer is of the future")
    if end is not None and end < now - _LATE:
        raise OcspError("stale", f"the answer was good until {end:%Y-%m-%d %H:%M} UTC")
    if end is None and begin < now - KEPT_AT_MOST:
        raise OcspError("stale", "the answer is older than a week and names no end")
    until = min(now + timedelta(hours=1) if end is None else end, now + KEPT_AT_MOST)
    return Status(verdict.name.lower(), begin, until, response)


def _about(single: ocsp.OCSPSingleResponse, about: HashData) -> bool:
    said = HashData(
        single.hash_algorithm.name.upper(),
        single.issuer_name_hash.hex(),
        single.issuer_key_hash.hex(),
        serial_text(single.serial_number),
    )
    return said.same(about)


def _check_signature(answer: ocsp.OCSPResponse, issuer: x509.Certificate, now: datetime) -> None:
    signers = [issuer]
    for named in list(answer.certificates)[:4]:
        try:
            delegate = load(der(named))
            if delegate.issuer == issuer.subject:
                delegate.verify_directly_issued_by(issuer)
                _check_delegate(delegate, now)
                signers.append(delegate)
        except (ChainError, InvalidSignature, ValueError, TypeError):
            continue  # no responder that the issuer has named; another of the certificates may be
    for signer in signers:
        if _signed_by(answer, signer.public_key()):
            return
    raise OcspError("signature", "neither the issuer nor a responder that it has named has signed the answer")


def _check_delegate(delegate: x509.Certificate, now: datetime) -> None:
    if not delegate.not_valid_before_utc <= now <= delegate.not_valid_after_utc:
        raise ChainError("expired", "the responder's certificate is not of today")
    try:
        usage = delegate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except x509.ExtensionNotFound:
        raise ChainError("key-usage", "the responder may not sign OCSP answers") from None
    if ExtendedKeyUsageOID.OCSP_SIGNING not in usage:
        raise ChainError("key-usage", "the responder may not sign OCSP answers")


def _signed_by(answer: ocsp.OCSPResponse, key: object) -> bool:
    algorithm = answer.signature_hash_algorithm
    try:
        check_key(key)
        if isinstance(key, rsa.RSAPublicKey):
            if algorithm is None or algorithm.name == "sha1":
                return False
            key.verify(answer.signature, answer.tbs_response_bytes, padding.PKCS1v15(), algorithm)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            if algorithm is None or algorithm.name == "sha1":
                return False
            key.verify(answer.signature, answer.tbs_response_bytes, ec.ECDSA(algorithm))
        elif isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
            key.verify(answer.signature, answer.tbs_response_bytes)
        else:
            return False
    except (InvalidSignature, ChainError):
        return False
    return True


class Answers:
    """Answers kept until they are to be asked for anew: bounded, the ones longest unused go first."""

    def __init__(self, limit: int = 10_000) -> None:
        self._limit = limit
        self._kept: dict[tuple[str, str, str, str], Status] = {}
        self.hits = 0
        self.misses = 0

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, about: HashData, now: datetime) -> Status | None:
        """The answer that is still good."""
        key = about.key()
        found = self._kept.pop(key, None)
        if found is None or found.next_update <= now:
            self.misses += 1
            return None
        self._kept[key] = found  # at the end: used last
        self.hits += 1
        return found

    def put(self, about: HashData, status: Status) -> None:
        """Keep one. What a responder does not know may be known in a minute, so that is not kept."""
        if status.status == "unknown":
            return
        self._kept[about.key()] = status
        while len(self._kept) > self._limit:
            del self._kept[next(iter(self._kept))]
