"""Whether firmware is what its vendor signed (1.6 whitepaper 5.1, 2.x L01.FR.04, A00.FR.7xx).

The signature is made over the whole file with SHA-256: RSA-PSS or ECDSA. RSA with PKCS #1 v1.5 is not allowed, and told
apart from a wrong signature, since there are vendors who do it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed

from pilotwire.core.errors import RemoteError

from . import chains, pem

MOST_CERTIFICATE = 5500
"""Characters of `signingCertificate`."""
MOST_SIGNATURE = 800
"""Characters of `signature`."""


class BadFirmware(RemoteError):
    """`code` is what a station would tell: InvalidSignature, InvalidCertificate or RevokedCertificate."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


def signer(certificate: str) -> tuple[x509.Certificate, list[x509.Certificate]]:
    """The signing certificate (the first) and those that came with it. Raises BadFirmware."""
    try:
        first, *others = [chains.load(one) for one in pem.blocks(certificate)]
        chains.check_key(first.public_key())
    except (pem.BadPem, chains.ChainError) as error:
        raise BadFirmware("InvalidCertificate", str(error)) from error
    return first, others


def check_signature(certificate: x509.Certificate, signature: str, sha256: bytes) -> None:
    """Raises BadFirmware unless `signature` (Base64) is of a file with this digest, by that certificate's key."""
    try:
        made = base64.b64decode("".join(signature.split()), validate=True)
    except (binascii.Error, ValueError) as error:
        raise BadFirmware("InvalidSignature", "the signature is no Base64") from error
    key = certificate.public_key()
    prehashed = Prehashed(hashes.SHA256())
    try:
        if isinstance(key, rsa.RSAPublicKey):
            _check_rsa(key, made, sha256)
        elif isinstance(key, ec.EllipticCurvePublicKey):
            key.verify(made, sha256, ec.ECDSA(prehashed))
        else:
            raise BadFirmware("InvalidCertificate", "firmware is signed with RSA-PSS or ECDSA")
    except (InvalidSignature, ValueError, UnsupportedAlgorithm) as error:
        raise BadFirmware("InvalidSignature", "the signature is not of this file and this certificate") from error


def _check_rsa(key: rsa.RSAPublicKey, made: bytes, sha256: bytes) -> None:
    prehashed = Prehashed(hashes.SHA256())
    try:
        key.verify(made, sha256, padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.AUTO), prehashed)
    except InvalidSignature:
        try:
            key.verify(made, sha256, padding.PKCS1v15(), prehashed)
        except InvalidSignature:
            pass
        else:
            raise BadFirmware(
                "InvalidSignature", "it is signed with RSA PKCS #1 v1.5; the standard asks for RSA-PSS"
            ) from None
        raise


def check_chain(
    certificate: x509.Certificate,
    between: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    now: datetime,
) -> None:
    """Raises BadFirmware unless the certificate leads to an authority that is trusted for firmware, and may sign."""
    if not anchors:
        raise BadFirmware("InvalidCertificate", "no authority is trusted for firmware (use: manufacturer)")
    try:
        chains.verify(certificate, between, anchors, now)
    except chains.ChainError as error:
        raise BadFirmware("InvalidCertificate", str(error)) from error
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return
    except ValueError as error:
        raise BadFirmware("InvalidCertificate", f"its extensions cannot be read: {error}") from error
    if not usage.digital_signature:
        raise BadFirmware("InvalidCertificate", "the certificate may not sign (key usage)")
