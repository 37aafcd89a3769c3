"""What stations have installed (M03, M04, M05): the newest answer of each, and which of it must not be deleted.

A station that has lost the root of our own certificate can never connect again over TLS, and nobody can tell it so:
therefore deleting that one is refused here, whoever asks and by whatever way. To exchange a root, the new one is
installed first, our server gets its new certificate, and then the old root is no longer the one that matters.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cryptography import x509

from pilotwire.core.ids import StationKey
from pilotwire.core.time import to_datetime
from pilotwire.crypto import chains, pem
from pilotwire.crypto.hash_data import HashData, hash_data, read
from pilotwire.domain.trust import INSTALLED, InstalledCertificate, InstalledCertificates
from pilotwire.storage.documents import put

from .ports import Keeper

if TYPE_CHECKING:
    from ..actor import StationActor
    from ..around import Around

OURS = ("CSMSRootCertificate", "CentralSystemRootCertificate")
"""What a station verifies us with, as the versions call it."""
_MOST = 5_000


class Installed:
    """The lists of the stations that were asked since the start."""

    def __init__(self, around: Around, keeper: Keeper) -> None:
        self._around = around
        self._keeper = keeper
        self._lists: dict[StationKey, InstalledCertificates] = {}
        self._server: list[bytes] = []

    def serve_with(self, chain: str) -> None:
        """The certificates that our listener shows, and their roots (PEM)."""
        self._server = pem.blocks(chain, at_most=50) if chain.strip() else []

    def of(self, key: StationKey) -> InstalledCertificates | None:
        return self._lists.get(key)

    # -- commands -----------------------------------------------------------------------------------------------------
    def objection_to_delete(self, key: StationKey, request: Any) -> str:
        """Why a certificate must not be deleted; "" where it may be."""
        wanted = read(request.certificate_hash_data)
        account = self._around.accounts.get(key)
        by_tls = account is not None and (account.security_profile >= 2 or account.next_profile >= 2)
        if by_tls and self._names_ours(wanted):
            return "the station verifies this central system with it: without it, it could never connect again"
        known = self._lists.get(key)
        roots = [row for row in known.rows if row.use in OURS] if known is not None else []
        if by_tls and len(roots) == 1 and _data(roots[0]).same(wanted):
            return "it is the only root that the station verifies a central system with"
        return ""

    def _names_ours(self, wanted: HashData) -> bool:
        for one in self._server:
            for issuer in self._server:
                try:
                    if hash_data(one, issuer, wanted.algorithm).same(wanted):
                        return True
                except ValueError:
                    continue
        return False

    def objection_to_install(self, key: StationKey, request: Any) -> str:
        """Why a certificate is none to install; "" where it is."""
        try:
            certificate = chains.load(pem.one(request.certificate))
            chains.check_authority(certificate, to_datetime(self._around.now()))
        except (pem.BadPem, chains.ChainError) as error:
            return str(error)
        return ""

    # -- answers ------------------------------------------------------------------------------------------------------
    def listed(self, actor: StationActor, request: Any, answer: Mapping[str, Any]) -> None:
        """GetInstalledCertificateIds was answered."""
        if answer.get("status") not in ("Accepted", "NotFound"):
            return
        now, old = self._around.now(), self._lists.get(actor.key)
        asked = request.certificate_type
        rows: list[InstalledCertificate] = []
        if isinstance(asked, str):  # 1.6 asks for one use at a time
            rows = [_row(asked, row) for row in answer.get("certificateHashData") or ()]
            uses: set[str] | None = {asked}
        else:
            for chain in answer.get("certificateHashDataChain") or ():
                children = tuple(_parts(child) for child in chain.get("childCertificateHashData") or ())
                rows.append(_row(chain["certificateType"], chain["certificateHashData"], children))
            uses = set(asked) if asked else None
        if old is not None and uses is not None:
            rows = [*(row for row in old.rows if row.use not in uses), *rows]
        new = InstalledCertificates(asked_at=now, rows=tuple(rows))
        self._lists.pop(actor.key, None)
        self._lists[actor.key] = new
        if len(self._lists) > _MOST:
            del self._lists[next(iter(self._lists))]
        self._keeper.change(actor.key.tenant, put(INSTALLED, actor.key.station, new))

    def ask_again(self, actor: StationActor, use: str) -> None:
        """Something was installed or deleted: how it is now."""
        if actor.version == "1.6":
            actor.outbox.ask("GetInstalledCertificateIds", b'{"certificateType":"%s"}' % use.encode(), urgent=False)
        else:
            actor.outbox.ask("GetInstalledCertificateIds", b"{}", urgent=False)


def anchors_of(rows: InstalledCertificates, known: list[x509.Certificate]) -> dict[tuple[str, ...], x509.Certificate]:
    """Which of the authorities that we know are among a station's, by their hash data."""
    found: dict[tuple[str, ...], x509.Certificate] = {}
    for row in rows.rows:
        wanted = _data(row)
        for one in known:
            der = chains.der(one)
            try:
                if hash_data(der, None, wanted.algorithm).same(wanted):
                    found[wanted.key()] = one
            except ValueError:
                continue
    return found


def _data(row: InstalledCertificate) -> HashData:
    return HashData(row.hash_algorithm, row.issuer_name_hash, row.issuer_key_hash, row.serial_number)


def _parts(data: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return data["hashAlgorithm"], data["issuerNameHash"], data["issuerKeyHash"], data["serialNumber"]


def _row(
    use: str, data: Mapping[str, Any], children: tuple[tuple[str, str, str, str], ...] = ()
) -> InstalledCertificate:
    algorithm, name, key, serial = _parts(data)
    return InstalledCertificate(
        use=use,
        hash_algorithm=algorithm,
        issuer_name_hash=name,
        issuer_key_hash=key,
        serial_number=serial,
        children=children,
    )
