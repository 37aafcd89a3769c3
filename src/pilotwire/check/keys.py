"""Certificates that a run needs and that nobody gave: made anew, for this run alone."""

from __future__ import annotations

import ssl
import warnings
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pilotwire.core.errors import ConfigError

CIPHERS: Mapping[str, str] = {
    "ecdsa128": "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ecdsa256": "ECDHE-ECDSA-AES256-GCM-SHA384",
    "rsa128": "AES128-GCM-SHA256",
    "rsa256": "AES256-GCM-SHA384",
}
"""The suites that a CSMS has to offer (2.x part 2, A00.FR.318 and .507), by the names that the cases use."""


def signing_request(common_name: str, organization: str) -> str:
    """A CSR, PEM. The key is thrown away: nobody is going to use the certificate."""
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
        ]
    )
    request = x509.CertificateSigningRequestBuilder().subject_name(name)
    return _pem(request.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256()))


def authority(common_name: str) -> str:
    """A self-signed root certificate, PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return _pem(certificate)


def _pem(thing: x509.Certificate | x509.CertificateSigningRequest) -> str:
    return thing.public_bytes(serialization.Encoding.PEM).decode()


def contexts(
    ca: Path | None,
    certificate: Path | None,
    key: Path | None,
    bad_certificate: Path | None = None,
    bad_key: Path | None = None,
) -> dict[str, ssl.SSLContext | None]:
    """TLS contexts by the names that the cases use; "" is the usual one. Raises ConfigError."""
    try:
        usual = _context(ca, certificate, key)
        found: dict[str, ssl.SSLContext | None] = {"": usual}
        for name, suite in CIPHERS.items():
            found[name] = each = _context(ca, certificate, key)
            each.maximum_version = ssl.TLSVersion.TLSv1_2
            each.set_ciphers(suite)
        found["tls11"] = old = _context(ca, certificate, key)
        old.set_ciphers("ALL:@SECLEVEL=0")
        old.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # old is what this one has to be
            old.maximum_version = ssl.TLSVersion.TLSv1_1
        found["bad-certificate"] = _context(ca, bad_certificate, bad_key) if bad_certificate else None
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"a certificate or key cannot be used: {error}") from error
    return found


def _context(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(ca) if ca else None)
    if certificate:
        context.load_cert_chain(str(certificate), str(key) if key else None)
    return context
