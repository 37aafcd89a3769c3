"""The station's part of Plug & Charge: `Station` is a `protocols.iso15118.pnc.SeccPnc`."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pilotwire.protocols.iso15118.pnc import Chain, Edition, Verdict
from pilotwire.protocols.iso15118.signature import Suite

from .. import chains
from .keys import SUITES, PrivateKey, verify
from .profiles import plain_emaid
from .trust import Trust


class Station:
    """Checks what cars show."""

    def __init__(
        self,
        trust: Trust,
        *,
        allowed: Callable[[str], bool] = lambda _: True,
        providers: Sequence[str] = (),
        tariff: dict[Edition, tuple[PrivateKey, Chain]] | None = None,
    ) -> None:
        """`allowed`: whether contracts of this EMAID are taken here at all. `tariff`: with what prices are signed."""
        self._trust = trust
        self._allowed = allowed
        self._providers = tuple(providers)
        self._tariff = dict(tariff or {})

    def contract(self, edition: Edition, chain: Chain, emaid: str, now: int) -> Verdict:
        """As of SeccPnc."""
        verdict = self._trust.judge("contract", edition, chain, now)
        if not verdict.ok:
            return verdict
        if emaid and plain_emaid(emaid) != verdict.emaid:
            return Verdict("bad", f"the certificate is of {verdict.emaid}, not of {emaid}")
        if not self._allowed(verdict.emaid):
            return Verdict("not-allowed", f"{verdict.emaid} is not served here", verdict.emaid)
        return verdict

    def provisioning(self, edition: Edition, chain: Chain, now: int) -> Verdict:
        """As of SeccPnc."""
        return self._trust.judge("oem", edition, chain, now)._replace(emaid="")

    def verify(self, leaf: bytes, suite: Suite, data: bytes, signature: bytes) -> bool:
        """As of SeccPnc."""
        return verify_by(leaf, suite, data, signature)

    def providers(self) -> Sequence[str]:
        """As of SeccPnc."""
        return self._providers

    def signing(self, edition: Edition) -> tuple[Suite, Chain] | None:
        """As of SeccPnc."""
        if edition not in self._tariff:
            return None
        key, chain = self._tariff[edition]
        return SUITES[key.kind], chain

    def sign(self, edition: Edition, data: bytes) -> bytes:
        """As of SeccPnc. Raises LookupError where `signing` is None."""
        return self._tariff[edition][0].sign(data)


def verify_by(leaf: bytes, suite: Suite, data: bytes, signature: bytes) -> bool:
    """Whether a raw signature is by the key in a certificate (DER)."""
    try:
        public = chains.load(leaf).public_key()
    except chains.ChainError:
        return False
    return verify(public, suite, data, signature)
