"""What a station has of keys and certificates, and what it may be given: no timers, no messages.

Roots are named by their use as 2.x does; 1.6's CentralSystemRootCertificate is the same as CSMSRootCertificate. Private
keys are made here, are stored in the station's memory alone, and leave by no message (A02.FR.05).
"""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import msgspec
from cryptography.x509.oid import NameOID

from pilotwire.crypto import chains, pem, requests
from pilotwire.crypto.hash_data import HashData, hash_data, is_self_issued

CSMS_ROOT, MANUFACTURER_ROOT = "CSMSRootCertificate", "ManufacturerRootCertificate"
STATION_USE = "ChargingStationCertificate"
LEAD_MS = 3_600_000
"""How far ahead of the station's clock a certificate may begin: clocks differ (A02.FR.06, .08). By 2.1 not at all."""


class Unfit(Exception):
    """Why a certificate is not taken."""


class Root(msgspec.Struct, frozen=True, omit_defaults=True):
    """An installed root (PEM)."""

    use: str
    certificate: str
    issuer: str = ""
    """Who has signed it, where it replaced that one (M05.FR.10); "": itself."""

    def data(self, algorithm: str = "SHA256") -> HashData:
        """By what it is listed and deleted."""
        return hash_data(pem.one(self.certificate), pem.one(self.issuer) if self.issuer else None, algorithm)


class Leaf(msgspec.Struct, frozen=True):
    """A certificate of the station's own: its chain, leaf first, and its private key (PEM)."""

    chain: str
    key: str

    @property
    def ders(self) -> list[bytes]:
        return pem.blocks(self.chain)

    def same(self, chain: str) -> bool:
        """Whether a chain (PEM) is this one, however it is written."""
        try:
            return pem.blocks(chain)[0] == self.ders[0]
        except pem.BadPem:
            return False

    def ends(self) -> int:
        """When it expires (ms)."""
        return int(chains.load(self.ders[0]).not_valid_after_utc.timestamp() * 1000)

    def begins(self) -> int:
        return int(chains.load(self.ders[0]).not_valid_before_utc.timestamp() * 1000)


class Pending(msgspec.Struct):
    """A signing request that is under way."""

    use: str
    key: str
    csr: str
    request_id: int
    tries: int = 0
    """How often it was sent."""


class Kept(msgspec.Struct):
    """All of it, as it is stored."""

    roots: list[Root] = []
    leaf: Leaf | None = None
    """The one in use."""
    new: Leaf | None = None
    """A newer one that has not been used successfully yet."""
    v2g: Leaf | None = None
    pending: list[Pending] = []
    counter: int = 0
    """Of requestIds."""
    profile: int = 0
    """The security profile that the CSMS has raised it to; 0: as built."""
    old_profile: int = 0
    """While the raised one has not worked yet: the one before."""
    old_root: str = ""
    """While the newest CSMS root has not worked yet: the one that it replaces (PEM), to fall back to."""
    pnc_off: bool = False
    """Plug & Charge was switched off until the next restart (A02.FR.21)."""


class Installed(msgspec.Struct, frozen=True):
    """How one installed certificate is listed."""

    use: str
    data: HashData
    children: tuple[HashData, ...] = ()


def install(kept: Kept, use: str, text: str, *, now: datetime, limit: int, check_root: bool) -> None:
    """Take a root. Raises Unfit. `check_root`: AdditionalRootCertificateCheck (M05.FR.09 to 12).

    Only self-signed authorities are roots: what is none could be installed and never be found again. But one that
    replaces another is signed by that.
    """
    same = [root for root in kept.roots if root.use == use]
    replaced = same[-1] if use == CSMS_ROOT and check_root and same else None
    try:
        der = pem.one(text)
        certificate = chains.load(der)
        chains.check_authority(certificate, now)
        if replaced is None:
            if not is_self_issued(der):
                raise Unfit("it is no root")
            certificate.verify_directly_issued_by(certificate)
    except (pem.BadPem, chains.ChainError) as error:
        raise Unfit(str(error)) from error
    except Exception as error:  # cryptography says in many ways that a signature is wrong
        if isinstance(error, Unfit):
            raise
        raise Unfit("its signature is wrong") from error
    own = pem.text([der])
    if any(root.use == use and root.certificate == own for root in kept.roots):
        return  # M05.FR.17: it replaces itself
    stay = kept.roots
    if replaced is not None:
        try:
            certificate.verify_directly_issued_by(chains.load(pem.one(replaced.certificate)))
        except Exception as error:
            raise Unfit("it is not signed by the root that it is to replace") from error
        stay = [root for root in stay if root.use != use or root is replaced]
    if len(stay) >= limit:
        raise Unfit("there is no room for another certificate")
    if replaced is not None:
        kept.old_root = replaced.certificate
    kept.roots = [*stay, Root(use, own, replaced.certificate if replaced is not None else "")]


def settle_root(kept: Kept) -> None:
    """The newest CSMS root has worked: the one before goes (M05.FR.13)."""
    kept.roots = [root for root in kept.roots if root.use != CSMS_ROOT or root.certificate != kept.old_root]
    kept.old_root = ""


def listed(kept: Kept, uses: list[str] | None, algorithm: str = "SHA256") -> list[Installed]:
    """What is installed of these uses; None: of all."""
    found = [Installed(root.use, root.data(algorithm)) for root in kept.roots if uses is None or root.use in uses]
    if kept.v2g is not None and (uses is None or "V2GCertificateChain" in uses):
        chain = _chain_data(kept.v2g.ders, [pem.one(root.certificate) for root in kept.roots], algorithm)
        if chain:
            found.append(Installed("V2GCertificateChain", chain[0], tuple(chain[1:5])))
    return found


def _chain_data(ders: list[bytes], roots: list[bytes], algorithm: str) -> list[HashData]:
    data: list[HashData] = []
    for der in ders:
        for issuer in (*ders, *roots):
            try:
                data.append(hash_data(der, issuer, algorithm))
                break
            except ValueError:
                continue
    return data


def delete(kept: Kept, wanted: HashData, *, by_tls: bool) -> str:
    """Accepted, Failed or NotFound (M04). The last root by which the CSMS is verified stays."""
    for own in (kept.leaf, kept.new):
        if own is not None and any(one.same(wanted) for one in _chain_data(own.ders[:1], own.ders, wanted.algorithm)):
            return "Failed"  # M04.FR.06
    for root in kept.roots:
        try:
            same = root.data(wanted.algorithm).same(wanted)
        except ValueError:
            return "NotFound"
        if not same:
            continue
        last = root.use == CSMS_ROOT and sum(one.use == CSMS_ROOT for one in kept.roots) == 1
        if last and by_tls:
            return "Failed"
        kept.roots = [one for one in kept.roots if one is not root]
        if root.use == CSMS_ROOT:
            kept.old_root = ""  # of the two, one is left
        return "Accepted"
    if kept.v2g is not None and any(
        one.data.same(wanted) for one in listed(kept, ["V2GCertificateChain"], wanted.algorithm)
    ):
        kept.v2g = None
        return "Accepted"
    return "NotFound"


def ask(kept: Kept, use: str, common_name: str, organization: str, kind: str) -> Pending:
    """A new key pair and its signing request; one for the same use that is under way is forgotten."""
    key = requests.new_key(kind)
    kept.counter += 1
    pending = Pending(use, requests.key_text(key), requests.make(key, common_name, organization), kept.counter)
    kept.pending = [*(one for one in kept.pending if one.use != use), pending]
    return pending


def take(
    kept: Kept,
    use: str,
    chain: str,
    request_id: int | None,
    *,
    now: datetime,
    lead_ms: int,
    common_name: str,
    organization: str,
) -> Leaf:
    """The answer to a signing request (A02.FR.06). Raises Unfit.

    Its authority must be one that an installed root vouches for, where there is a root of that name; a hierarchy of
    which no root is installed is believed, since it came over the authenticated connection.
    """
    candidates = [one for one in kept.pending if one.use == use]
    if request_id is not None:
        candidates = [one for one in candidates if one.request_id == request_id]
    if not candidates:
        raise Unfit("no request of that kind or number is under way")
    pending = candidates[-1]
    try:
        ders = pem.blocks(chain)
        found = chains.order([chains.load(der) for der in ders])
        leaf = found[0]
        public = requests.read_key(pending.key).public_key()
        if requests.fingerprint(leaf.public_key()) != requests.fingerprint(public):
            raise Unfit("it is for another key")
        if use == STATION_USE:
            _names(leaf, common_name, organization)
        moment = max(now, leaf.not_valid_before_utc)
        if (moment - now).total_seconds() * 1000 > lead_ms:
            raise Unfit("it is not valid yet")
        roots = [chains.load(pem.one(root.certificate)) for root in kept.roots]
        named = [root for root in roots if root.subject == found[-1].issuer]
        chains.verify(leaf, found[1:], named or [found[-1]], moment)
        for below, above in pairwise(found):
            below.verify_directly_issued_by(above)
    except (pem.BadPem, chains.ChainError) as error:
        raise Unfit(str(error)) from error
    except Unfit:
        raise
    except Exception as error:  # cryptography says in many ways that a signature is wrong
        raise Unfit("a signature in the chain is wrong") from error
    kept.pending = [one for one in kept.pending if one is not pending]
    return Leaf(pem.text([chains.der(one) for one in found]), pending.key)


def _names(leaf: object, common_name: str, organization: str) -> None:
    subject = leaf.subject  # type: ignore[attr-defined]
    name = [str(one.value) for one in subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    if name != [common_name]:
        raise Unfit(f"its CN is {', '.join(name) or 'missing'}, not {common_name}")
    own = [str(one.value) for one in subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)]
    if organization and own != [organization]:
        raise Unfit(f"its O is {', '.join(own) or 'missing'}, not {organization}")
