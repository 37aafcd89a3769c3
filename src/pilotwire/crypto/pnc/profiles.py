"""What the certificate of each role must look like (ISO 15118-2 annex F, ISO 15118-20 annex B), as far as it decides
whether a peer is believed. What certificates in the field leave out (a country, an organization, the domain component
of a contract) is not asked for; what would let one role stand in for another is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, Literal, NamedTuple

from pilotwire.protocols.iso15118.pnc import Edition

from ..chains import ChainError
from .extensions import Seen
from .keys import Kind, kind_of

Role = Literal["secc", "contract", "oem", "cps", "vehicle"]
Anchor = Literal["v2g", "mo", "oem"]

LONGEST_PATH: Final = 4
"""Certificates from leaf to root: three that are not self-signed (V2G2-007)."""
LARGEST: Final[dict[Edition, int]] = {"iso2": 800, "iso20": 1600}
"""Bytes of a certificate (DER)."""
KINDS: Final[dict[Edition, tuple[Kind, ...]]] = {"iso2": ("p256",), "iso20": ("p521", "ed448")}

_EMAID = re.compile(r"[A-Z]{2}[A-Z0-9]{3}[A-Z0-9]{9,10}")
_PCID = re.compile(r"[A-Z0-9]{17,18}")


class Profile(NamedTuple):
    """Rules for a leaf."""

    domain: str
    """The domain component that makes it of this role."""
    domain_required: bool
    usage: frozenset[str]
    """Key usages that it must have."""
    anchors: tuple[Anchor, ...]
    """The kinds of root that its chain may end at."""


PROFILES: Final[dict[Role, Profile]] = {
    "secc": Profile("CPO", True, frozenset({"digitalSignature"}), ("v2g",)),
    "contract": Profile("MO", False, frozenset({"digitalSignature"}), ("mo", "v2g")),
    "oem": Profile("OEM", False, frozenset({"digitalSignature", "keyAgreement"}), ("oem", "v2g")),
    "cps": Profile("CPS", True, frozenset({"digitalSignature"}), ("v2g",)),
    "vehicle": Profile("OEM", False, frozenset({"digitalSignature"}), ("oem", "v2g")),
}
_DOMAINS: Final = frozenset(one.domain for one in PROFILES.values())


def plain_emaid(text: str) -> str:
    """An EMAID without separators, upper case."""
    return text.replace("-", "").upper()


def check_leaf(role: Role, edition: Edition, leaf: Seen, kinds: Sequence[Kind]) -> None:
    """Raises ChainError: size, key, profile or name."""
    _check_any(edition, leaf, kinds)
    rules = PROFILES[role]
    if leaf.authority:
        raise ChainError("profile", f"an authority is no certificate of the role {role}")
    missing = rules.usage if leaf.usage is None else rules.usage - leaf.usage
    if missing:
        raise ChainError("profile", f"its key is not for {', '.join(sorted(missing))}")
    if leaf.usage is not None and leaf.usage & {"keyCertSign", "cRLSign"}:
        raise ChainError("profile", "a leaf's key may not sign certificates")
    others = _DOMAINS.intersection(leaf.domain) - {rules.domain}
    if others or (rules.domain_required and rules.domain not in leaf.domain):
        raise ChainError("profile", f"its domain is {', '.join(leaf.domain) or 'not told'}, not {rules.domain}")
    if role == "contract" and not _EMAID.fullmatch(plain_emaid(leaf.common_name)):
        raise ChainError("name", f"{leaf.common_name!r} is no EMAID")
    if role == "oem" and not _PCID.fullmatch(leaf.common_name.replace("-", "").upper()):
        raise ChainError("name", f"{leaf.common_name!r} is no PCID")


def check_between(edition: Edition, authority: Seen, kinds: Sequence[Kind]) -> None:
    """A sub-authority. That it is one, and how many may be below it, is `chains.verify`'s to judge."""
    _check_any(edition, authority, kinds)
    if authority.path_length not in (0, 1):
        raise ChainError("profile", f"a sub-authority with path length {authority.path_length}, not 0 or 1")
    if authority.usage is None or "keyCertSign" not in authority.usage:
        raise ChainError("profile", "the key of a sub-authority is not for signing certificates")


def _check_any(edition: Edition, seen: Seen, kinds: Sequence[Kind]) -> None:
    if len(seen.der) > LARGEST[edition]:
        raise ChainError("size", f"a certificate of {len(seen.der)} bytes; {LARGEST[edition]} are the most")
    try:
        kind = kind_of(seen.certificate.public_key())
    except ValueError as error:
        raise ChainError("weak-key", str(error)) from error
    if kind not in kinds:
        raise ChainError("weak-key", f"a key of the kind {kind}, not {' or '.join(kinds)}")
