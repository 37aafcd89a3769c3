"""Keys of paper: with them the machines' part of Plug & Charge is tried alone. The real ones are in crypto."""

from __future__ import annotations

import hashlib
from typing import Any

from pilotwire.core.evse_link import Certificate, CertificateAsked
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118.iso20.answers import COMMON
from pilotwire.protocols.iso15118.pnc import Issuer, Verdict
from pilotwire.protocols.iso15118.signature import ISO20, Suite

LEAF, SUB = b"\x30\x01C", b"\x30\x01S"
OEM, OEM_SUB = b"\x30\x01O", b"\x30\x01P"
EMAID = "DEPWRC00000001"


def seal(leaf: bytes, data: bytes) -> bytes:
    """What stands for a signature by the key of a certificate."""
    size = ISO20[0].size
    return (hashlib.sha512(leaf + data).digest() * (size // 64 + 1))[:size]


class StationKeys:
    """A `SeccPnc` that believes all chains, or gives the verdict that it is told to."""

    def __init__(self, code: Any = "ok") -> None:
        self.code = code

    def contract(self, edition: str, chain: tuple[bytes, ...], emaid: str, now: int) -> Verdict:
        assert chain == (LEAF, SUB)
        return Verdict(self.code, "", EMAID)

    def provisioning(self, edition: str, chain: tuple[bytes, ...], now: int) -> Verdict:
        assert chain == (OEM, OEM_SUB)
        return Verdict(self.code)

    def verify(self, leaf: bytes, suite: Suite, data: bytes, signature: bytes) -> bool:
        return signature == seal(leaf, data)

    def providers(self) -> list[str]:
        return ["PWR"]

    def signing(self, edition: str) -> None:
        return None

    def sign(self, edition: str, data: bytes) -> bytes:
        raise LookupError


class CarKeys:
    """An `EvccPnc`; `empty`: it has no contract yet. `forged`: it signs with a key that is not its own."""

    def __init__(self, *, empty: bool = False, forged: bool = False) -> None:
        self.has = not empty
        self.forged = forged
        self.taken = 0

    def emaid(self, edition: str) -> str:
        return EMAID if self.has else ""

    def chain(self, edition: str) -> tuple[bytes, ...]:
        return (LEAF, SUB) if self.has else ()

    def suite(self, edition: str) -> Suite:
        return ISO20[0]

    provisioning_suite = suite

    def sign(self, edition: str, data: bytes) -> bytes:
        return seal(b"other" if self.forged else LEAF, data)

    def expires_soon(self, edition: str, now: int) -> bool:
        return False

    def provisioning_chain(self, edition: str) -> tuple[bytes, ...]:
        return (OEM, OEM_SUB)

    def provisioning_sign(self, edition: str, data: bytes) -> bytes:
        return seal(b"other" if self.forged else OEM, data)

    def roots(self, edition: str) -> list[Issuer]:
        return [Issuer("CN=V2G Root", 1)]

    def take(self, edition: str, answer: Any, signature: object, now: int) -> Verdict:
        self.taken += 1
        self.has = answer["SignedInstallationData"]["ContractCertificateChain"]["Certificate"] == LEAF
        return Verdict("ok" if self.has else "bad")

    def verify(self, leaf: bytes, suite: Suite, data: bytes, signature: bytes) -> bool:
        return signature == seal(leaf, data)


def installation(asked: CertificateAsked) -> Certificate:
    """The provisioning service's answer to an installation request."""
    ((name, request),) = exi.decode("iso20-common", asked.exi).items()
    assert name == "CertificateInstallationReq"
    empty = COMMON["CertificateInstallationRes"]
    chain = {"Certificate": LEAF, "SubCertificates": {"Certificate": [SUB]}}
    body = empty | {
        "Header": request["Header"] | {"Signature": None, "SessionID": bytes(8)},
        "ResponseCode": "OK",
        "SignedInstallationData": empty["SignedInstallationData"] | {"ContractCertificateChain": chain},
    }
    return Certificate(exi=exi.encode("iso20-common", {"CertificateInstallationRes": body}))
