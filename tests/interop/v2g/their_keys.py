"""A test PKI of ours in the files that PyPI `iso15118` looks for."""

from __future__ import annotations

from pathlib import Path

from pilotwire.crypto import pem
from pilotwire.crypto.pnc.pki import Pki

CERTIFICATES = {
    "contract": "contractLeafCert", "mo-sub2": "moSubCA2Cert", "mo-sub1": "moSubCA1Cert", "mo-root": "moRootCACert",
    "secc": "seccLeafCert", "cpo-sub2": "cpoSubCA2Cert", "cpo-sub1": "cpoSubCA1Cert", "v2g-root": "v2gRootCACert",
    "cps": "cpsLeafCert", "cps-sub2": "cpsSubCA2Cert", "cps-sub1": "cpsSubCA1Cert",
    "oem": "oemLeafCert", "oem-sub2": "oemSubCA2Cert", "oem-sub1": "oemSubCA1Cert", "oem-root": "oemRootCACert",
}  # fmt: skip
KEYS = {
    "contract": "contractLeaf", "mo-sub2": "moSubCA2", "secc": "seccLeaf", "cps": "cpsLeaf", "oem": "oemLeaf",
}  # fmt: skip
PASSWORDS = (
    "seccLeafPassword", "oemLeafPassword", "contractLeafPassword", "cpsLeafPassword", "moSubCA2LeafPassword",
)  # fmt: skip


def write(pki: Pki, folder: Path, *, contract: bool = True) -> None:
    """All of it; its vehicle has no contract without `contract`."""
    certificates, keys = folder / "iso15118_2/certs", folder / "iso15118_2/private_keys"
    for place in (certificates, keys):
        place.mkdir(parents=True)
    for name, file in CERTIFICATES.items():
        if name == "contract" and not contract:
            continue
        (certificates / f"{file}.der").write_bytes(pki[name].certificate)
        (certificates / f"{file}.pem").write_text(pem.text([pki[name].certificate]))
    (certificates / "cpoCertChain.pem").write_text(pem.text(list(pki["secc"].chain)))
    (certificates / "oemCertChain.pem").write_text(pem.text(list(pki["oem"].chain)))
    for name, file in KEYS.items():
        if name == "contract" and not contract:
            continue
        (keys / f"{file}.key").write_text(pki[name].key.secret_pem())
    for password in PASSWORDS:
        (keys / f"{password}.txt").write_text("")
