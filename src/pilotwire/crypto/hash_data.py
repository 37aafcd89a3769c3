"""CertificateHashData: by what OCPP names a certificate without sending it (2.x CertificateHashDataType, 1.6 security
whitepaper; the same hashes as an OCSP CertID, RFC 6960 4.1.1).

    issuer_name_hash   over the DER of the issuer's Name as it stands in the certificate
    issuer_key_hash    over the issuer's public key: the value of the BIT STRING, without tag, length and unused bits
    serial_number      hexadecimal, without 0x and leading zeros

Everything is read from the bytes, not from a parser's idea of them: a name that is written again may be written
differently, and then no peer finds the certificate any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, NamedTuple

from .der import parts

ALGORITHMS = ("SHA256", "SHA384", "SHA512")


class HashData(NamedTuple):
    """The four fields. Compare with `same`, which does not look at the case of hex digits."""

    algorithm: str
    issuer_name_hash: str
    issuer_key_hash: str
    serial_number: str

    def same(self, other: HashData) -> bool:
        """Whether both name the same certificate by the same algorithm."""
        return self.key() == other.key()

    def key(self) -> tuple[str, str, str, str]:
        """For dictionaries: what stays when letter case and leading zeros are left out."""
        return (
            self.algorithm.upper(),
            self.issuer_name_hash.lower(),
            self.issuer_key_hash.lower(),
            self.serial_number.lower().lstrip("0") or "0",
        )


def hash_data(certificate: bytes, issuer: bytes | None = None, algorithm: str = "SHA256") -> HashData:
    """How a certificate (DER) issued by `issuer` (DER; None: by itself) is named.

    Raises ValueError for bytes that are no certificate, and for an issuer whose name is another.
    """
    own = parts(certificate)
    above = own if issuer is None else parts(issuer)
    if own.issuer != above.subject:
        raise ValueError("issued by somebody else")
    return HashData(
        algorithm, _hash(algorithm, own.issuer), _hash(algorithm, above.public_key), serial_text(own.serial)
    )


def is_self_issued(certificate: bytes) -> bool:
    """Whether subject and issuer are the same name (DER)."""
    own = parts(certificate)
    return own.issuer == own.subject


def serial_text(serial: int) -> str:
    """A serial number as the standard writes it. RFC 5280 wants 1 to 20 bytes and positive; some are neither, and a
    negative one is shown as its bytes."""
    if serial < 0:
        size = ((serial + 1).bit_length() + 8) // 8
        serial &= (1 << 8 * size) - 1
    return f"{serial:x}"


def find(wanted: HashData, candidates: Iterable[bytes], issuers: Iterable[bytes]) -> bytes | None:
    """The candidate (DER) that `wanted` names; its issuer is looked for among the candidates and `issuers`."""
    pool = list(candidates)
    above = [*pool, *issuers]
    for candidate in pool:
        try:
            own = parts(candidate)
        except ValueError:
            continue
        if serial_text(own.serial) != wanted.key()[3]:
            continue
        for issuer in above:
            try:
                if hash_data(candidate, issuer, wanted.algorithm).same(wanted):
                    return candidate
            except ValueError:
                continue
    return None


def read(wire: Any) -> HashData:
    """From a CertificateHashDataType (or OCSPRequestDataType) of any version."""
    return HashData(wire.hash_algorithm, wire.issuer_name_hash, wire.issuer_key_hash, wire.serial_number)


def write(data: HashData, kind: Any) -> Any:
    """As a version's CertificateHashDataType, which is `kind`."""
    return kind(
        hash_algorithm=data.algorithm,
        issuer_name_hash=data.issuer_name_hash,
        issuer_key_hash=data.issuer_key_hash,
        serial_number=data.serial_number,
    )


def _hash(algorithm: str, data: bytes) -> str:
    if algorithm not in ALGORITHMS:
        raise ValueError(f"no hash algorithm of OCPP: {algorithm}")
    return hashlib.new(algorithm.lower(), data, usedforsecurity=False).hexdigest()
