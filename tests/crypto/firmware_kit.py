"""A manufacturer that signs firmware, for tests."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta
from random import Random

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def image(version: str, size: int = 4096) -> bytes:
    """A firmware image of the simulated station: its first line says its version."""
    head = f"pilotwire-station {version}\n".encode()
    return head + Random(version).randbytes(size - len(head))


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _certificate(
    subject: str, key: Key, issuer: str, issuer_key: Key, now: datetime, *, authority: bool, may_sign: bool = True
) -> x509.Certificate:
    usage = x509.KeyUsage(
        digital_signature=may_sign and not authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=not authority,
        key_cert_sign=authority,
        crl_sign=authority,
        encipher_only=False,
        decipher_only=False,
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .add_extension(usage, critical=True)
    )
    return builder.sign(issuer_key, hashes.SHA256())


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


class Manufacturer:
    """A root and a certificate that signs firmware. `rsa_key`: RSA instead of an elliptic curve."""

    def __init__(self, now: datetime, name: str = "Voltwerk", *, rsa_key: bool = False, may_sign: bool = True) -> None:
        root_key = ec.generate_private_key(ec.SECP256R1())
        self._key: Key = (
            rsa.generate_private_key(public_exponent=65537, key_size=2048)
            if rsa_key
            else ec.generate_private_key(ec.SECP256R1())
        )
        root = f"{name} root"
        self.root = _pem(_certificate(root, root_key, root, root_key, now, authority=True))
        self.certificate = _pem(
            _certificate(f"{name} firmware", self._key, root, root_key, now, authority=False, may_sign=may_sign)
        )

    def sign(self, data: bytes, *, pkcs1: bool = False) -> str:
        """The signature over an image, Base64."""
        if isinstance(self._key, rsa.RSAPrivateKey):
            way = padding.PKCS1v15() if pkcs1 else padding.PSS(padding.MGF1(hashes.SHA256()), 32)
            made = self._key.sign(data, way, hashes.SHA256())
        else:
            made = self._key.sign(data, ec.ECDSA(hashes.SHA256()))
        return base64.b64encode(made).decode()
