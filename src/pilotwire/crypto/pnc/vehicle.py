"""The vehicle's part of Plug & Charge: `Vehicle` is a `protocols.iso15118.pnc.EvccPnc`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from pilotwire.protocols.exi.codec import Message
from pilotwire.protocols.iso15118.pnc import (
    SUITES,
    Chain,
    Edition,
    Issuer,
    Verdict,
    chain_of,
    parts_of,
)
from pilotwire.protocols.iso15118.signature import SignatureError, Suite, check

from ..chains import ChainError
from . import keys
from .extensions import see
from .keys import PrivateKey, Wrapped
from .profiles import plain_emaid
from .station import verify_by
from .transport import BadTransport, bound_to
from .trust import Trust


@dataclass(frozen=True)
class Identity:
    """A certificate chain (DER, leaf first, no root) with its key."""

    chain: Chain
    key: PrivateKey


class Vehicle:
    """Holds contracts and provisioning certificates, and takes new contracts in."""

    def __init__(
        self,
        trust: Trust,
        *,
        contracts: dict[Edition, Identity] | None = None,
        provisioning: dict[Edition, Identity] | None = None,
        kept: Callable[[Edition, Identity], None] = lambda edition, identity: None,
    ) -> None:
        """`kept` is told of each contract that was installed."""
        self._trust = trust
        self._contracts = dict(contracts or {})
        self._provisioning = dict(provisioning or {})
        self._kept = kept

    # -- the contract -------------------------------------------------------------------------------------------------
    def emaid(self, edition: Edition) -> str:
        """As of EvccPnc."""
        held = self._contracts.get(edition)
        return "" if held is None else plain_emaid(see(held.chain[0]).common_name)

    def chain(self, edition: Edition) -> Chain:
        """As of EvccPnc."""
        held = self._contracts.get(edition)
        return () if held is None else held.chain

    def suite(self, edition: Edition) -> Suite:
        """As of EvccPnc."""
        return keys.SUITES[self._contracts[edition].key.kind]

    def sign(self, edition: Edition, data: bytes) -> bytes:
        """As of EvccPnc."""
        return self._contracts[edition].key.sign(data)

    def expires_soon(self, edition: Edition, now: int) -> bool:
        """As of EvccPnc."""
        held = self._contracts.get(edition)
        if held is None:
            return False
        ends = see(held.chain[0]).certificate.not_valid_after_utc.timestamp() * 1000
        return ends - now < self._trust.soon.total_seconds() * 1000

    # -- provisioning -------------------------------------------------------------------------------------------------
    def provisioning_chain(self, edition: Edition) -> Chain:
        """As of EvccPnc."""
        held = self._provisioning.get(edition)
        return () if held is None else held.chain

    def provisioning_suite(self, edition: Edition) -> Suite:
        """As of EvccPnc."""
        return keys.SUITES[self._provisioning[edition].key.kind]

    def provisioning_sign(self, edition: Edition, data: bytes) -> bytes:
        """As of EvccPnc."""
        return self._provisioning[edition].key.sign(data)

    def roots(self, edition: Edition) -> Sequence[Issuer]:
        """As of EvccPnc."""
        return self._trust.issuers("v2g")

    def verify(self, leaf: bytes, suite: Suite, data: bytes, signature: bytes) -> bool:
        """As of EvccPnc."""
        return verify_by(leaf, suite, data, signature)

    def take(self, edition: Edition, answer: Message, signature: object, now: int) -> Verdict:
        """As of EvccPnc."""
        try:
            signers, chain, wrapped = _opened(edition, answer, self._pcid(edition))
        except (KeyError, TypeError, IndexError) as error:
            return Verdict("bad", f"the answer lacks {error}")
        except ChainError as error:
            return Verdict("bad", str(error))
        verdict = self._trust.judge("cps", edition, signers, now)
        if not verdict.ok:
            return Verdict(verdict.code, f"the provisioning service: {verdict.text}")
        try:
            parts = parts_of(edition, "CertificateInstallationRes", answer)  # an update answer signs the same
            check(signature, parts, SUITES[edition], lambda *what: verify_by(signers[0], *what))
        except SignatureError as error:
            return Verdict("bad", str(error))
        return self._keep(edition, chain, wrapped, str(cast(Any, answer.get("eMAID", {})).get("value", "")))

    def _keep(self, edition: Edition, chain: Chain, wrapped: Wrapped, emaid: str) -> Verdict:
        try:
            leaf = see(chain[0])
            public = leaf.certificate.public_key()
            key = self._open(edition, wrapped, keys.info_of(public))
        except (ChainError, BadTransport, ValueError) as error:
            return Verdict("bad", str(error))
        named = plain_emaid(leaf.common_name)
        if emaid and plain_emaid(emaid) != named:
            return Verdict("bad", f"the certificate is of {named}, the answer speaks of {emaid}")
        identity = Identity(chain, key)
        self._contracts[edition] = identity
        self._kept(edition, identity)
        return Verdict("ok", "", named)

    def _open(self, edition: Edition, wrapped: Wrapped, public: bytes) -> PrivateKey:
        """An update comes wrapped for the key of the contract, an installation for that of the provisioning
        certificate; which one it was is seen by what comes out. Raises BadTransport."""
        for held in (self._contracts.get(edition), self._provisioning.get(edition)):
            if held is None:
                continue
            try:
                key = held.key.open(wrapped)
            except BadTransport:
                continue
            if key.public == public:
                return key
        raise BadTransport("the key that came is not that of the certificate")

    def _pcid(self, edition: Edition) -> str:
        held = self._provisioning.get(edition)
        return "" if held is None else see(held.chain[0]).common_name


def _opened(edition: Edition, answer: Message, pcid: str) -> tuple[Chain, Chain, Wrapped]:
    """The signer's chain, the contract's, and its wrapped key. Raises KeyError, TypeError, IndexError, ChainError."""
    if edition == "iso2":
        wrapped = Wrapped(answer["DHpublickey"]["value"], answer["ContractSignatureEncryptedPrivateKey"]["value"])
        chain = chain_of(answer["ContractSignatureCertChain"])
        return chain_of(answer["SAProvisioningCertificateChain"]), chain, wrapped
    data = cast(Message, answer["SignedInstallationData"])
    chain = chain_of(data["ContractCertificateChain"])
    bound = bound_to(pcid, see(chain[0]).identifier)
    wrapped = Wrapped(data["DHPublicKey"], data["SECP521_EncryptedPrivateKey"], bound)
    return chain_of(answer["CPSCertificateChain"]), chain, wrapped
