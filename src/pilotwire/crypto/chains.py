"""Whether a certificate leads to one that we trust (RFC 5280 6.1, as far as the certificates of stations need it).

A path is looked for, not assumed: the order of what a peer sends does not matter, cross-certificates may lead around,
and what leads nowhere is ignored. The search is bounded, so that nobody can make it long. Judged on the way: names,
signatures, validity of every part, that each issuer is an authority allowed to sign certificates, path length, strength
of keys and hashes, and critical extensions that nobody here knows.

The leaf's own extensions are hardly looked at (real ones hold encodings that strict parsers refuse); what it is used
for is the caller's to judge.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.x509.oid import ExtensionOID

from pilotwire.core.errors import RemoteError

LONGEST = 6
"""Certificates in a path, the anchor counted (ISO 15118-2 allows four)."""
_CHECKS = 64
"""Signatures that may be verified in one search."""
RSA_BITS = (2048, 8192)
_CURVES = ("secp224r1", "secp256r1", "secp384r1", "secp521r1", "brainpoolP256r1", "brainpoolP384r1", "brainpoolP512r1")
_KNOWN_CRITICAL = frozenset(
    (
        ExtensionOID.BASIC_CONSTRAINTS,
        ExtensionOID.KEY_USAGE,
        ExtensionOID.EXTENDED_KEY_USAGE,
        ExtensionOID.CERTIFICATE_POLICIES,
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    )
)
"""Name constraints are not known: a critical one makes a path unusable, which is the safe side."""


class ChainError(RemoteError):
    """The certificate is not to be trusted; `code` says why, in one word: unreadable, expired, not-yet-valid, no-path,
    not-an-authority, path-length, key-usage, weak-key, weak-hash, unknown-critical, too-hard."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def load(der: bytes) -> x509.Certificate:
    """A certificate. Raises ChainError("unreadable")."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of serials and encodings that are judged here, not on the console
            certificate = x509.load_der_x509_certificate(der)
            # These are parsed only when they are asked for.
            _ = certificate.subject, certificate.issuer, certificate.public_key()
    except (ValueError, UnsupportedAlgorithm, TypeError, x509.InvalidVersion) as error:
        raise ChainError("unreadable", f"the certificate cannot be read: {error}") from error
    return certificate


def der(certificate: x509.Certificate) -> bytes:
    """Its bytes."""
    from cryptography.hazmat.primitives.serialization import Encoding

    return certificate.public_bytes(Encoding.DER)


def check_key(key: object) -> None:
    """Raises ChainError("weak-key") for one below 112 bits of strength (A00.FR.502) or beyond what we would compute."""
    if isinstance(key, rsa.RSAPublicKey):
        low, high = RSA_BITS
        if not low <= key.key_size <= high:
            raise ChainError("weak-key", f"an RSA key of {key.key_size} bits, not {low} to {high}")
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _CURVES:
            raise ChainError("weak-key", f"a key on the curve {key.curve.name}")
    elif not isinstance(key, ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        raise ChainError("weak-key", f"a key of the kind {type(key).__name__}")


def verify(
    leaf: x509.Certificate,
    between: Iterable[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    now: datetime,
) -> list[x509.Certificate]:
    """The path leaf … anchor. `between` is untrusted. An anchor may be a sub-authority, and its own validity counts.

    Raises ChainError with the reason of the attempt that came farthest.
    """
    _judge_one(leaf, now)
    if any(leaf == anchor for anchor in anchors):
        return [leaf]
    search = _Search(list(between)[: 2 * LONGEST], anchors, now)
    path = search.from_(leaf, [leaf])
    if path is None:
        raise search.best or ChainError("no-path", "it leads to no authority that is trusted")
    return path


class _Search:
    def __init__(self, between: list[x509.Certificate], anchors: Sequence[x509.Certificate], now: datetime) -> None:
        self.between = between
        self.anchors = anchors
        self.now = now
        self.checks = 0
        self.best: ChainError | None = None
        self._depth = 0

    def from_(self, below: x509.Certificate, path: list[x509.Certificate]) -> list[x509.Certificate] | None:
        if len(path) >= LONGEST:
            self._note(len(path), ChainError("path-length", f"more than {LONGEST} certificates"))
            return None
        for pool, trusted in ((self.anchors, True), (self.between, False)):
            for issuer in pool:
                if issuer.subject != below.issuer or issuer in path:
                    continue
                if not self._signed(below, issuer):
                    continue
                try:
                    _judge_one(issuer, self.now)
                    _judge_authority(issuer, path)
                except ChainError as error:
                    self._note(len(path), error)
                    continue
                longer = [*path, issuer]
                found = longer if trusted else self.from_(issuer, longer)
                if found is not None:
                    return found
        return None

    def _signed(self, below: x509.Certificate, issuer: x509.Certificate) -> bool:
        self.checks += 1
        if self.checks > _CHECKS:
            raise ChainError("too-hard", "too many certificates that look alike")
        try:
            check_key(issuer.public_key())
            below.verify_directly_issued_by(issuer)
        except ChainError as error:
            self._note(self._depth, error)
        except (InvalidSignature, ValueError, TypeError, UnsupportedAlgorithm):
            return False
        else:
            return True
        return False

    def _note(self, depth: int, error: ChainError) -> None:
        if self.best is None or depth >= self._depth:
            self.best, self._depth = error, depth


def _judge_one(certificate: x509.Certificate, now: datetime) -> None:
    if now < certificate.not_valid_before_utc:
        raise ChainError("not-yet-valid", f"valid from {certificate.not_valid_before_utc:%Y-%m-%d %H:%M} UTC on")
    if now > certificate.not_valid_after_utc:
        raise ChainError("expired", f"expired {certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC")
    check_key(certificate.public_key())
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm as error:
        raise ChainError("weak-hash", "signed by an algorithm that is not known") from error
    if isinstance(algorithm, hashes.SHA1 | hashes.MD5):
        raise ChainError("weak-hash", f"signed with {algorithm.name}")


def check_authority(certificate: x509.Certificate, now: datetime) -> None:
    """Whether it is an authority of today, fit to be trusted. Raises ChainError."""
    _judge_one(certificate, now)
    _judge_authority(certificate, [])


def _judge_authority(certificate: x509.Certificate, below: list[x509.Certificate]) -> None:
    """Whether it may have issued what is below it: `below` is the path so far, the leaf first."""
    try:
        extensions = certificate.extensions
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise ChainError("unreadable", f"extensions of an authority cannot be read: {error}") from error
    for extension in extensions:
        if extension.critical and extension.oid not in _KNOWN_CRITICAL:
            raise ChainError("unknown-critical", f"a critical extension {extension.oid.dotted_string}")
    try:
        constraints = extensions.get_extension_for_class(x509.BasicConstraints).value
    except x509.ExtensionNotFound:
        raise ChainError("not-an-authority", "an issuer is no authority") from None
    if not constraints.ca:
        raise ChainError("not-an-authority", "an issuer is no authority")
    authorities_below = sum(one.subject != one.issuer for one in below[1:])
    if constraints.path_length is not None and authorities_below > constraints.path_length:
        raise ChainError("path-length", f"more than {constraints.path_length} authorities below one")
    try:
        usage = extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    if not usage.key_cert_sign:
        raise ChainError("key-usage", "an issuer may not sign certificates")


def order(certificates: Sequence[x509.Certificate]) -> list[x509.Certificate]:
    """Leaf first, each followed by its issuer, the root left out: as CertificateSigned wants it, however they came.

    The leaf is the one that issued no other. Raises ChainError where there is none, or more than one.
    """
    rest = [one for one in certificates if one.subject != one.issuer]
    names = {one.issuer for one in rest}
    leaves = [one for one in rest if one.subject not in names]
    if len(leaves) != 1:
        raise ChainError("no-path", f"{len(leaves)} certificates that issued no other, where one belongs")
    path = [leaves[0]]
    while (
        above := next((one for one in rest if one.subject == path[-1].issuer and one not in path), None)
    ) is not None:
        path.append(above)
    return path
