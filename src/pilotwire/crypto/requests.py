"""Certificate signing requests (PKCS #10): made by a station, judged by the central system before anybody signs.

A02.FR.*, A03: CN is the station's serial number (or identity), O its operator. The request goes to an authority as it
is; what is wrong with it is found here, so that an authority is never asked for a certificate in somebody else's name.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from pilotwire.core.errors import RemoteError

from . import chains, pem

LONGEST = 5_500
"""Characters, in every version."""
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
KINDS = ("ec-p256", "ec-p384", "rsa-2048", "rsa-3072")


class BadRequest(RemoteError):
    """No request that may be signed; `code` is one word: unreadable, signature, weak-key, subject, too-long."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Request(NamedTuple):
    """A request whose own signature is right."""

    der: bytes
    common_name: str
    organization: str
    key: str
    """Of what kind its key is: "EC secp256r1", "RSA 2048"."""
    fingerprint: str
    """SHA-256 of the public key, hex: a certificate belongs to the request that has the same."""


def new_key(kind: str = "ec-p256") -> Key:
    """A key pair of one of `KINDS`. Raises ValueError for another."""
    if kind == "ec-p256":
        return ec.generate_private_key(ec.SECP256R1())
    if kind == "ec-p384":
        return ec.generate_private_key(ec.SECP384R1())
    if kind in ("rsa-2048", "rsa-3072"):
        return rsa.generate_private_key(public_exponent=65537, key_size=int(kind[4:]))
    raise ValueError(f"no kind of key: {kind}")


def key_text(key: Key) -> str:
    """A private key as PKCS #8 PEM without a passphrase: for a file that only its owner reads, or a vault."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def read_key(text: str) -> Key:
    """The private key of a PEM. Raises ValueError."""
    key = serialization.load_pem_private_key(text.encode(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError(f"a key of the kind {type(key).__name__}")
    return key


def fingerprint(public: object) -> str:
    """SHA-256 of a public key (SubjectPublicKeyInfo), hex."""
    data = public.public_bytes(  # type: ignore[attr-defined]
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return hashlib.sha256(data).hexdigest()


def make(key: Key, common_name: str, organization: str, *, country: str = "") -> str:
    """A request in PEM."""
    names = [x509.NameAttribute(NameOID.COMMON_NAME, common_name)]
    if organization:
        names.append(x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization))
    if country:
        names.append(x509.NameAttribute(NameOID.COUNTRY_NAME, country))
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name(names)).sign(key, hash_for(key))
    return request.public_bytes(serialization.Encoding.PEM).decode()


def hash_for(key: object) -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    """The hash that goes with the strength of a key."""
    if isinstance(key, ec.EllipticCurvePrivateKey | ec.EllipticCurvePublicKey):
        return {384: hashes.SHA384, 521: hashes.SHA512}.get(key.key_size, hashes.SHA256)()
    return hashes.SHA256()


def read(text: str) -> Request:
    """What stands in a request (PEM). Raises BadRequest."""
    if len(text) > LONGEST:
        raise BadRequest("too-long", f"longer than {LONGEST} characters")
    try:
        data = pem.one(text, "CERTIFICATE REQUEST")
        request = x509.load_der_x509_csr(data)
        subject, public = request.subject, request.public_key()
    except (pem.BadPem, ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise BadRequest("unreadable", f"no certificate signing request: {error}") from error
    try:
        chains.check_key(public)
    except chains.ChainError as error:
        raise BadRequest("weak-key", str(error)) from error
    try:
        right = request.is_signature_valid
    except (InvalidSignature, UnsupportedAlgorithm, ValueError) as error:
        raise BadRequest("signature", f"its signature cannot be verified: {error}") from error
    if not right:
        raise BadRequest("signature", "its signature is wrong")
    kind = f"RSA {public.key_size}" if isinstance(public, rsa.RSAPublicKey) else f"EC {_curve(public)}"
    return Request(
        data,
        _only(subject, NameOID.COMMON_NAME, "CN"),
        _only(subject, NameOID.ORGANIZATION_NAME, "O"),
        kind,
        fingerprint(public),
    )


def check(request: Request, common_names: tuple[str, ...], organization: str) -> None:
    """Whether it is a request in the name of this station. Raises BadRequest("subject").

    `common_names`: what may stand as CN; `organization`: what must stand as O, "" where it does not matter.
    """
    if request.common_name not in common_names:
        raise BadRequest("subject", f"its CN is {request.common_name!r}, not {' or '.join(common_names)}")
    if organization and request.organization != organization:
        raise BadRequest("subject", f"its O is {request.organization!r}, not {organization}")


def _curve(public: object) -> str:
    return public.curve.name if isinstance(public, ec.EllipticCurvePublicKey) else type(public).__name__


def _only(name: x509.Name, oid: x509.ObjectIdentifier, word: str) -> str:
    found = name.get_attributes_for_oid(oid)
    if len(found) > 1:
        raise BadRequest("subject", f"more than one {word}")
    return str(found[0].value) if found else ""
