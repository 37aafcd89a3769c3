"""The service that answers CertificateInstallationReq and CertificateUpdateReq (mobility operator and provisioning
service in one): for tests of both ends, and behind Get15118EVCertificate in trials.

EXI in, EXI out, as OCPP carries them. The session's number in the header is zero; whoever delivers the answer writes
its own there, the header is not signed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, Protocol, cast

from pilotwire.core.errors import RemoteError
from pilotwire.protocols import exi
from pilotwire.protocols.exi.codec import Message
from pilotwire.protocols.iso15118.pnc import (
    SUITES,
    Chain,
    Edition,
    chain_element,
    chain_of,
    parts_of,
)
from pilotwire.protocols.iso15118.signature import Part, SignatureError, check, sign

from ..chains import ChainError
from . import keys
from .extensions import Seen, see
from .issuing import CONTRACT, Issued, Wanted, issue
from .keys import Random, SoftwareKey
from .profiles import plain_emaid
from .station import verify_by
from .transport import bound_to, wrapped
from .trust import Trust
from .vehicle import Identity

NAMESPACES: Final[dict[str, Edition]] = {
    "urn:iso:15118:2:2013:MsgDef": "iso2",
    "urn:iso:std:iso:15118:-20:CommonMessages": "iso20",
}
"""What OCPP's Get15118EVCertificate may name as the schema of a request."""


class Refused(RemoteError):
    """No contract is given; `code`: unreadable, chain, signature, key or no-contract."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class Operator(Protocol):
    """Who makes contracts."""

    def contract(self, edition: Edition, pcid: str, emaid: str, now: int) -> tuple[Chain, SoftwareKey]:
        """A contract with its key, to be wrapped for the car and then forgotten. `emaid`: the one it has ("": it asks
        for its first). Raises Refused("no-contract")."""
        ...


class TestOperator:
    """Gives each car a contract: the EMAID of a table by PCID, else a made one."""

    __test__ = False

    def __init__(self, issuer: Issued, random: Random, emaids: dict[str, str] | Callable[[str], str | None]) -> None:
        """`issuer`: the operator's Sub2."""
        self._issuer = issuer
        self._random = random
        self._emaid = emaids.get if isinstance(emaids, dict) else emaids

    def contract(self, edition: Edition, pcid: str, emaid: str, now: int) -> tuple[Chain, SoftwareKey]:
        """As of Operator."""
        named = plain_emaid(emaid) or self._emaid(pcid)
        if not named:
            raise Refused("no-contract", f"there is no contract for {pcid}")
        when = datetime.fromtimestamp(now / 1000, UTC)
        made = issue(
            "contract", Wanted(named, 730, CONTRACT, "MO"), self._issuer,
            kind=self._issuer.key.kind, random=self._random, now=when,
        )  # fmt: skip
        return made.chain, made.key


class Provisioning:
    """See the module."""

    def __init__(self, trust: Trust, signer: Identity, operator: Operator, random: Random) -> None:
        """`signer`: the provisioning service's certificate; `trust`: the roots of cars (and of contracts, for
        updates)."""
        self._trust = trust
        self._signer = signer
        self._operator = operator
        self._random = random

    def answer(self, edition: Edition, request: bytes, now: int) -> bytes:
        """The EXI answer to an EXI request. Raises Refused."""
        try:
            message = exi.decode("iso2" if edition == "iso2" else "iso20-common", request)
            header, name, asked = _unfolded(edition, message)
        except (exi.DecodeError, KeyError, ValueError) as error:
            raise Refused("unreadable", f"no request for a contract: {error}") from error
        role, chain, emaid = _who(edition, name, asked)
        verdict = self._trust.judge(role, edition, chain, now)
        if not verdict.ok:
            raise Refused("chain", verdict.text)
        try:
            parts = parts_of(edition, name, asked)
            check(header.get("Signature"), parts, SUITES[edition], lambda *what: verify_by(chain[0], *what))
        except SignatureError as error:
            raise Refused("signature", str(error)) from error
        car = see(chain[0])
        if edition == "iso2":
            return self._answer_2(name, car, emaid, now)
        return self._answer_20(car, asked, now)

    def _answer_2(self, name: str, car: Seen, emaid: str, now: int) -> bytes:
        chain, key = self._operator.contract("iso2", "" if emaid else car.common_name, emaid, now)
        packet = wrapped(key, keys.point_of(cast(Any, car.certificate.public_key())), "p256", self._random)
        body: Message = {
            "ResponseCode": "OK",
            "SAProvisioningCertificateChain": chain_element(self._signer.chain),
            "ContractSignatureCertChain": chain_element(chain, "id1"),
            "ContractSignatureEncryptedPrivateKey": {"Id": "id2", "value": packet.data},
            "DHpublickey": {"Id": "id3", "value": packet.public},
            "eMAID": {"Id": "id4", "value": plain_emaid(see(chain[0]).common_name)},
        }
        answer = name.replace("Req", "Res")
        header = {"SessionID": bytes(8), "Signature": self._signed(parts_of("iso2", answer, body))}
        return exi.encode("iso2", {"V2G_Message": {"Header": header, "Body": {answer: body}}})

    def _answer_20(self, car: Seen, asked: Message, now: int) -> bytes:
        if keys.kind_of(car.certificate.public_key()) != "p521":
            raise Refused("key", "a key can be wrapped for P-521 alone")
        wanted = cast(Message, asked.get("PrioritizedEMAIDs") or {}).get("EMAID") or [""]
        chain, key = self._operator.contract("iso20", car.common_name, wanted[0], now)
        bound = bound_to(car.common_name, see(chain[0]).identifier)
        packet = wrapped(key, keys.point_of(cast(Any, car.certificate.public_key())), "p521", self._random, bound)
        data: Message = {
            "Id": "id1",
            "ContractCertificateChain": chain_element(chain),
            "ECDHCurve": "SECP521",
            "DHPublicKey": packet.public,
            "SECP521_EncryptedPrivateKey": packet.data,
        }
        signature = self._signed([Part("iso20-common", "SignedInstallationData", data)])
        body: Message = {
            "Header": {"SessionID": bytes(8), "TimeStamp": now // 1000, "Signature": signature},
            "ResponseCode": "OK",
            "EVSEProcessing": "Finished",
            "CPSCertificateChain": chain_element(self._signer.chain),
            "SignedInstallationData": data,
            "RemainingContractCertificateChains": 0,
        }
        return exi.encode("iso20-common", {"CertificateInstallationRes": body})

    def _signed(self, parts: list[Part]) -> Message:
        return sign(parts, keys.SUITES[self._signer.key.kind], self._signer.key.sign)


def _unfolded(edition: Edition, message: Message) -> tuple[Message, str, Message]:
    """Header, name and element of a request. Raises KeyError, ValueError."""
    if edition == "iso2":
        whole = cast(Message, message["V2G_Message"])
        ((name, asked),) = cast(Message, whole["Body"]).items()
        header = cast(Message, whole["Header"])
        names = ("CertificateInstallationReq", "CertificateUpdateReq")
    else:
        ((name, asked),) = message.items()
        header = cast(Message, asked.get("Header") or {})
        names = ("CertificateInstallationReq",)
    if name not in names:
        raise ValueError(f"{name} asks for none")
    return header, name, cast(Message, asked)


def _who(edition: Edition, name: str, asked: Message) -> tuple[Any, Chain, str]:
    """Role and chain of who asks, and the EMAID that it has."""
    if name == "CertificateUpdateReq":
        return "contract", chain_of(asked["ContractSignatureCertChain"]), str(asked["eMAID"])
    if edition == "iso2":
        return "oem", (cast(bytes, asked["OEMProvisioningCert"]),), ""
    return "oem", chain_of(asked["OEMProvisioningCertificateChain"]), ""


__all__ = ["NAMESPACES", "ChainError", "Operator", "Provisioning", "Refused", "TestOperator"]
