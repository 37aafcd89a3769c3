"""Plug & Charge as the machines of both editions see it: what is asked of the keys and certificates of either end.

The machines hold no key and know no certificate: a station gives its machine a `SeccPnc`, a vehicle an `EvccPnc`
(`pilotwire.crypto.pnc` has both, by files or by whatever keeps the keys). All methods are pure computation, answer at
once and take the machine's `now` (ms since the epoch, UTC). None of them raises for what a peer has sent.

    station   contract(...) checks a chain and gives a verdict; RESPONSES says which code that is
              verify(...) is the key for `signature.check`
    vehicle   identity, chain, suite and sign(...) for `signature.sign`; the same of the provisioning certificate;
              take(...) checks an installation answer, opens the contract's key and makes it the contract

Certificates are DER. A chain is a tuple of them, leaf first, the root left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal, NamedTuple, Protocol, cast

from pilotwire.protocols.exi.codec import Message

from .signature import ECDSA_SHA256, ISO2, ISO20, Part, SignatureError, Suite, check, sign

Edition = Literal["iso2", "iso20"]
SCHEMAS: Final[dict[Edition, str]] = {"iso2": "iso2", "iso20": "iso20-common"}
SUITES: Final[dict[Edition, tuple[Suite, ...]]] = {"iso2": ISO2, "iso20": (*ISO20, ECDSA_SHA256)}
"""What is taken of a peer. In -20 also what stacks of today send, who sign with the keys of -2; whether such a key is
good is said by the verdict on its chain."""

Chain = tuple[bytes, ...]
Code = Literal["ok", "expires-soon", "expired", "not-yet-valid", "revoked", "not-allowed", "no-trust", "bad"]

RESPONSES: Final[dict[Edition, dict[Code, str]]] = {
    "iso2": {
        "ok": "OK",
        "expires-soon": "OK_CertificateExpiresSoon",
        "expired": "FAILED_CertificateExpired",
        "not-yet-valid": "FAILED_CertChainError",
        "revoked": "FAILED_CertificateRevoked",
        "not-allowed": "FAILED_CertificateNotAllowedAtThisEVSE",
        "no-trust": "FAILED_CertChainError",
        "bad": "FAILED_CertChainError",
    },
    "iso20": {
        "ok": "OK",
        "expires-soon": "OK_CertificateExpiresSoon",
        "expired": "WARNING_CertificateExpired",
        "not-yet-valid": "WARNING_CertificateNotYetValid",
        "revoked": "WARNING_CertificateRevoked",
        "not-allowed": "WARNING_GeneralPnCAuthorizationError",
        "no-trust": "WARNING_CertificateValidationError",
        "bad": "WARNING_CertificateValidationError",
    },
}
"""The response code of a verdict (ISO 15118-2, 8.7.2; ISO 15118-20, 8.6)."""


class Verdict(NamedTuple):
    """What is thought of a chain."""

    code: Code
    text: str = ""
    """Why, in words, without anything secret."""
    emaid: str = ""
    """Of a contract: upper case, without separators."""

    @property
    def ok(self) -> bool:
        return self.code in ("ok", "expires-soon")

    def response(self, edition: Edition) -> str:
        """The edition's response code."""
        return RESPONSES[edition][self.code]


class Issuer(NamedTuple):
    """A root that an end trusts, as ListOfRootCertificateIDs names it."""

    name: str
    """Distinguished name, RFC 4514."""
    serial: int


class SeccPnc(Protocol):
    """The station's part."""

    def contract(self, edition: Edition, chain: Chain, emaid: str, now: int) -> Verdict:
        """A contract's chain; `emaid` is what the message says beside it ("": it says nothing)."""
        ...

    def provisioning(self, edition: Edition, chain: Chain, now: int) -> Verdict:
        """The chain of a vehicle's provisioning certificate."""
        ...

    def verify(self, leaf: bytes, suite: Suite, data: bytes, signature: bytes) -> bool:
        """Whether `signature` over `data` is by the key in the certificate `leaf`; what cannot be read is not."""
        ...

    def providers(self) -> Sequence[str]:
        """Names of the mobility operators whose contracts it knows (SupportedProviders of ISO 15118-20)."""
        ...

    def signing(self, edition: Edition) -> tuple[Suite, Chain] | None:
        """With what it can sign schedules of prices, None: it does not."""
        ...

    def sign(self, edition: Edition, data: bytes) -> bytes:
        """Raw signature by the key of `signing`."""
        ...


class EvccPnc(Protocol):
    """The vehicle's part. A contract of one edition is no contract of the other."""

    def emaid(self, edition: Edition) -> str:
        """Of the contract; "": there is none."""
        ...

    def chain(self, edition: Edition) -> Chain:
        """The contract's; empty: there is none."""
        ...

    def suite(self, edition: Edition) -> Suite:
        """What the contract's key signs with."""
        ...

    def sign(self, edition: Edition, data: bytes) -> bytes:
        """Raw signature by the contract's key. Raises LookupError when there is none."""
        ...

    def expires_soon(self, edition: Edition, now: int) -> bool:
        """The contract's time is nearly over: an update is due."""
        ...

    def provisioning_chain(self, edition: Edition) -> Chain:
        """Of the provisioning certificate; empty: there is none."""
        ...

    def provisioning_suite(self, edition: Edition) -> Suite: ...

    def provisioning_sign(self, edition: Edition, data: bytes) -> bytes:
        """Raw signature by the provisioning key. Raises LookupError when there is none."""
        ...

    def roots(self, edition: Edition) -> Sequence[Issuer]:
        """The V2G roots that it trusts, 1 to 20."""
        ...

    def take(self, edition: Edition, answer: Message, signature: object, now: int) -> Verdict:
        """An installation or update answer: checks the chain and the signature of the provisioning service, opens the
        contract's key and keeps it when it fits the certificate.

        `answer` is the element CertificateInstallationRes or CertificateUpdateRes, `signature` the header's.
        """
        ...

    def verify(self, leaf: bytes, suite: Suite, data: bytes, signature: bytes) -> bool:
        """As of SeccPnc."""
        ...


# ── chains in messages ───────────────────────────────────────────────────────────────────────────────────────────────
def chain_of(element: Message) -> Chain:
    """The certificates of an element of any of the chain types of both editions."""
    below = cast(Message, element.get("SubCertificates") or {})
    return (cast(bytes, element["Certificate"]), *cast(list[bytes], below.get("Certificate", [])))


def chain_element(chain: Chain, id_: str = "") -> Message:
    """A chain as an element; `id_` where it is signed."""
    element: Message = {"Id": id_} if id_ else {}
    element["Certificate"] = chain[0]
    if len(chain) > 1:
        element["SubCertificates"] = {"Certificate": list(chain[1:])}
    return element


def root_ids(roots: Sequence[Issuer]) -> Message:
    """ListOfRootCertificateIDs."""
    ids = [{"X509IssuerName": one.name, "X509SerialNumber": one.serial} for one in roots[:20]]
    return {"RootCertificateID": ids}


# ── what is signed in which message ──────────────────────────────────────────────────────────────────────────────────
ID: Final = "id1"
SIGNED: Final[dict[Edition, dict[str, tuple[str, ...]]]] = {
    "iso2": {
        "AuthorizationReq": (),
        "MeteringReceiptReq": (),
        "CertificateInstallationReq": (),
        "CertificateUpdateReq": (),
        "CertificateInstallationRes": (
            "ContractSignatureCertChain", "ContractSignatureEncryptedPrivateKey", "DHpublickey", "eMAID",
        ),
        "CertificateUpdateRes": (
            "ContractSignatureCertChain", "ContractSignatureEncryptedPrivateKey", "DHpublickey", "eMAID",
        ),
    },
    "iso20": {
        "AuthorizationReq": ("PnC_AReqAuthorizationMode",),
        "MeteringConfirmationReq": ("SignedMeteringData",),
        "CertificateInstallationReq": ("OEMProvisioningCertificateChain",),
        "CertificateInstallationRes": ("SignedInstallationData",),
    },
}  # fmt: skip
"""The elements within each message that its signature covers; none: the message itself."""


def parts_of(edition: Edition, name: str, message: Message) -> list[Part]:
    """What the signature of a message covers (`message` is the element of that name). Raises SignatureError."""
    schema = SCHEMAS[edition]
    within = SIGNED[edition][name]
    try:
        parts = [Part(schema, one, cast(Message, message[one])) for one in within] or [Part(schema, name, message)]
    except KeyError as error:
        raise SignatureError("malformed", f"{name} lacks {error}") from None
    for part in parts:
        if not cast(Any, part.element).get("Id"):
            raise SignatureError("malformed", f"{part.name} has no Id to be referred to")
    return parts


def signed_by_contract(pnc: EvccPnc, edition: Edition, name: str, message: Message) -> Message:
    """The header's Signature over a message of the vehicle, by its contract (AuthorizationReq, MeteringReceiptReq,
    CertificateUpdateReq, MeteringConfirmationReq)."""
    return sign(parts_of(edition, name, message), pnc.suite(edition), lambda data: pnc.sign(edition, data))


def signed_by_provisioning(pnc: EvccPnc, edition: Edition, message: Message) -> Message:
    """The header's Signature over CertificateInstallationReq, by the provisioning certificate."""
    parts = parts_of(edition, "CertificateInstallationReq", message)
    return sign(parts, pnc.provisioning_suite(edition), lambda data: pnc.provisioning_sign(edition, data))


def check_signed(pnc: SeccPnc, edition: Edition, name: str, message: Message, signature: object, leaf: bytes) -> None:
    """Whether a message is signed by the key of `leaf`. Raises SignatureError: answer FAILED_SignatureError."""
    parts = parts_of(edition, name, message)
    check(signature, parts, SUITES[edition], lambda suite, data, value: pnc.verify(leaf, suite, data, value))
