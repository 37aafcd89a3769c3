"""Whether a chain is to be believed, and for what: the path, the profile, the right kind of root, revocation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Final

from cryptography import x509

from pilotwire.protocols.iso15118.pnc import Chain, Code, Edition, Issuer, Verdict

from .. import chains
from ..chains import ChainError
from ..hash_data import HashData, hash_data
from .extensions import Seen, see
from .keys import Kind
from .profiles import KINDS, LONGEST_PATH, PROFILES, Anchor, Role, check_between, check_leaf, plain_emaid

Revoked = Callable[[HashData], bool]
"""Whether the certificate of these hashes (SHA-256) is known to be revoked: of OCSP answers or revocation lists."""

_CODES: Final[Mapping[str, Code]] = {
    "expired": "expired",
    "not-yet-valid": "not-yet-valid",
    "no-path": "no-trust",
    "revoked": "revoked",
}
"""Of `ChainError.code`; everything else is bad."""


class Trust:
    """The roots that are believed, each for what it is."""

    def __init__(
        self,
        *,
        v2g: Iterable[bytes] = (),
        mo: Iterable[bytes] = (),
        oem: Iterable[bytes] = (),
        revoked: Revoked = lambda _: False,
        soon: timedelta = timedelta(days=21),
        kinds: Mapping[Edition, Sequence[Kind]] = KINDS,
        below: Iterable[bytes] = (),
    ) -> None:
        """`kinds`: of keys that are taken; {"iso20": ("p521", "ed448", "p256")} takes cars of today, that use the keys
        of -2 in -20. `soon`: how long before its end a certificate expires soon. `below`: sub-authorities that are
        known beforehand, since installation requests of -2 bring the leaf alone; they are not trusted by that. Raises
        ChainError for what cannot be read.
        """
        self._roots: dict[Anchor, list[x509.Certificate]] = {
            "v2g": [chains.load(one) for one in v2g],
            "mo": [chains.load(one) for one in mo],
            "oem": [chains.load(one) for one in oem],
        }
        self._revoked = revoked
        self.soon = soon
        self._kinds = {**KINDS, **kinds}
        self._below = [see(one) for one in below]

    def roots(self, anchor: Anchor) -> list[bytes]:
        """DER."""
        return [chains.der(one) for one in self._roots[anchor]]

    def issuers(self, anchor: Anchor) -> list[Issuer]:
        """As ListOfRootCertificateIDs names them."""
        return [Issuer(one.subject.rfc4514_string(), one.serial_number) for one in self._roots[anchor]]

    def judge(self, role: Role, edition: Edition, chain: Chain, now: int) -> Verdict:
        """The verdict on a chain shown by a peer; never raises for what is in it. `now`: ms since the epoch."""
        try:
            path, leaf = self.path(role, edition, chain, now)
        except ChainError as error:
            return Verdict(_CODES.get(error.code, "bad"), str(error))
        except ValueError as error:  # of fields that are parsed only when they are looked at
            return Verdict("bad", f"a certificate cannot be read: {error}")
        name = plain_emaid(leaf.common_name) if role == "contract" else ""
        if min(one.not_valid_after_utc for one in path) - _time(now) < self.soon:
            return Verdict("expires-soon", "", name)
        return Verdict("ok", "", name)

    def path(self, role: Role, edition: Edition, chain: Chain, now: int) -> tuple[list[x509.Certificate], Seen]:
        """The path leaf … root, and the leaf. Raises ChainError."""
        if not chain:
            raise ChainError("unreadable", "no certificate at all")
        if len(chain) > LONGEST_PATH:
            raise ChainError("path-length", f"{len(chain)} certificates")
        kinds = self._kinds[edition]
        leaf, *sent = (see(one) for one in chain)
        between = [*sent, *(one for one in self._below if one.der not in chain)]
        check_leaf(role, edition, leaf, kinds)
        anchors = [root for anchor in PROFILES[role].anchors for root in self._roots[anchor]]
        when = _time(now)
        # A root among what was sent helps nobody who does not know it. Path lengths of 0 and 1, which are asked for
        # below, leave room for two sub-authorities.
        path = chains.verify(leaf.certificate, [one.certificate for one in between], anchors, when)
        if len(path) < 2:
            raise ChainError("profile", "a leaf cannot be its own root")
        known = {chains.der(one.certificate): one for one in between}
        for authority in path[1:-1]:
            check_between(edition, known[chains.der(authority)], kinds)
        for below_, issuer in pairwise(path):
            if self._revoked(hash_data(chains.der(below_), chains.der(issuer))):
                raise ChainError("revoked", f"revoked: {below_.subject.rfc4514_string()}")
        return path, leaf


def chain_hash_data(chain: Chain, roots: Iterable[bytes], algorithm: str = "SHA256") -> list[HashData]:
    """What OCPP's Authorize tells of a contract's chain: each certificate below the root, by its issuer's hashes. One
    whose issuer is neither in the chain nor among the roots is left out, and so is all above it."""
    issuers = [*chain[1:], *roots]
    found: list[HashData] = []
    for one in chain:
        data = next((data for issuer in issuers if (data := _issued_by(one, issuer, algorithm)) is not None), None)
        if data is None:
            break
        found.append(data)
    return found


def _issued_by(certificate: bytes, issuer: bytes, algorithm: str) -> HashData | None:
    try:
        return hash_data(certificate, issuer, algorithm)
    except ValueError:
        return None


def _time(now: int) -> datetime:
    return datetime.fromtimestamp(now / 1000, UTC)
