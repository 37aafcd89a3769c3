"""Certificates for both ends, on each curve that ISO 15118 knows, and machines that stand for the dialects'."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from cryptography.x509.oid import NameOID
from tests.transport.v2g.stand_in import Dialect

from pilotwire.protocols.iso15118 import evcc, secc

KINDS: dict[str, Callable[[], Any]] = {
    "p256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "p521": lambda: ec.generate_private_key(ec.SECP521R1()),
    "ed448": ed448.Ed448PrivateKey.generate,
}


class Files(NamedTuple):
    """Root certificate, and chain with key of a station and of a vehicle below it; all PEM."""

    root: Path
    station: Path
    vehicle: Path


def _certificate(
    name: str, key: Any, issuer: str, issuer_key: Any, *, authority: bool, domain: str = ""
) -> x509.Certificate:
    def named(text: str, domain: str = "") -> x509.Name:
        parts = [x509.NameAttribute(NameOID.DOMAIN_COMPONENT, domain)] if domain else []
        return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, text)])

    now = datetime.datetime.now(datetime.UTC)
    digest = None if isinstance(issuer_key, ed448.Ed448PrivateKey) else hashes.SHA512()
    return (
        x509.CertificateBuilder()
        .subject_name(named(name, domain))
        .issuer_name(named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        .sign(issuer_key, digest)
    )


def _write(path: Path, certificate: x509.Certificate, key: Any) -> Path:
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + private)
    return path


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Files]:
    """Curve → files."""
    folder = tmp_path_factory.mktemp("pki")
    found: dict[str, Files] = {}
    for kind, make in KINDS.items():
        root_key, root_name = make(), f"V2G Root {kind}"
        root = _certificate(root_name, root_key, root_name, root_key, authority=True)
        made = [_write(folder / f"{kind}-root.pem", root, root_key)]
        for end, domain in (("station", "CPO"), ("vehicle", "OEM")):
            key = make()
            leaf = _certificate(end, key, root_name, root_key, authority=False, domain=domain)
            made.append(_write(folder / f"{kind}-{end}.pem", leaf, key))
        found[kind] = Files(*made)
    return found


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ends' dialects are `stand_in.Dialect`."""
    monkeypatch.setattr(secc, "secc_of", lambda dialect: Dialect)
    monkeypatch.setattr(evcc, "evcc_of", lambda dialect: Dialect)
