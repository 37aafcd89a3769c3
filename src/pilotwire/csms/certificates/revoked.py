"""Stations whose certificates were revoked are hung up on and not let in again (A00.FR.702, .705).

TLS has verified what a station shows; whether it was revoked meanwhile the authority's server says, by OCSP or by its
revocation list, whose address stands in the certificate. Admission waits for nobody: the station is in when the server
is asked, and out when it says "revoked"; from then on, until that answer is over, it is refused at the door. While it
stays connected it is asked again when the answer is over. A server that does not answer or does not know the
certificate keeps nobody out, or whoever silences it could silence a fleet.

Only who issued the certificate can be believed, so the issuer must be among the authorities that the tenant trusts.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from pilotwire.core.errors import PilotwireError
from pilotwire.core.ids import StationKey
from pilotwire.core.time import Timer
from pilotwire.crypto import chains, crl, ocsp
from pilotwire.crypto.hash_data import hash_data
from pilotwire.domain.certificates import Asked, OneStatus

if TYPE_CHECKING:
    from ..around import Around
    from .desk import Desk

SOONEST_MS, LATEST_MS = 3_600_000, 86_400_000
"""When it is asked again: when the answer is over, within these bounds."""
_MOST = 100_000


class Revocations:
    """See the module."""

    def __init__(self, around: Around, desk: Desk) -> None:
        """`desk` asks, and only whom it would ask for a station or car: an authority that a tenant trusts has written
        the address, and must not lead us into a network that is not the tenant's."""
        self._around = around
        self._desk = desk
        self._revoked: dict[StationKey, tuple[bytes, int]] = {}
        """Digest of the certificate, until when (ms) the answer holds."""
        self._due: dict[StationKey, Timer] = {}
        """Who is asked about next, and when."""

    def is_revoked(self, key: StationKey, der: bytes) -> bool:
        """Whether the authority has said so lately."""
        digest, until = self._revoked.get(key, (b"", 0))
        return bool(digest) and digest == _digest(der) and self._around.now() < until

    def came_with(self, key: StationKey, der: bytes) -> None:
        """A station was let in by this certificate."""
        if self._desk.statuses is not None:
            self._later(key, der, 0)

    def stop(self) -> None:
        """Ask no more."""
        for timer in self._due.values():
            timer.cancel()
        self._due.clear()

    def _later(self, key: StationKey, der: bytes, wait: int) -> None:
        before = self._due.pop(key, None)
        if before is not None:
            before.cancel()
        if len(self._due) < _MOST:
            self._due[key] = self._around.scheduler.call_later(wait, lambda: self._ask_again(key, der, wait))

    def _ask_again(self, key: StationKey, der: bytes, wait: int) -> None:
        if not wait or self._around.actor(key).connected:  # at first it may still be on its way in
            self._ask(key, der)
        else:
            self._due.pop(key, None)

    def _ask(self, key: StationKey, der: bytes) -> None:
        self._due.pop(key, None)
        about, statuses = self._about(key.tenant, der), self._desk.statuses
        if about is None or statuses is None:
            return

        def told(rows: tuple[OneStatus, ...]) -> None:
            wait = min(max(rows[0].next_update - self._around.now(), SOONEST_MS), LATEST_MS)
            if rows[0].status != "Revoked":
                self._later(key, der, wait)
                return
            self._revoked[key] = (_digest(der), self._around.now() + wait)
            while len(self._revoked) > _MOST:
                del self._revoked[next(iter(self._revoked))]
            self._around.log("a station whose certificate was revoked was disconnected", key)
            self._around.actor(key).hang_up(1008, "its certificate was revoked")

        statuses.chain(key.tenant, (about,), told)

    def _about(self, tenant: str, der: bytes) -> Asked | None:
        """What is asked of whom; None where the certificate names nobody, or nobody who is trusted here."""
        try:
            certificate = chains.load(der)
        except PilotwireError:
            return None  # TLS could read it; then its names alone count
        urls, source = ocsp.responders(certificate), "OCSP"
        if not urls:
            urls, source = crl.places(certificate), "CRL"
        if not urls:
            return None
        for issuer in self._desk.issuers(tenant):
            try:
                data = hash_data(der, chains.der(issuer))
                certificate.verify_directly_issued_by(issuer)
            except Exception:  # noqa: S112 - cryptography says in many ways that it was another one of that name
                continue
            return Asked(data.algorithm, data.issuer_name_hash, data.issuer_key_hash, data.serial_number, urls, source)
        return None


def _digest(der: bytes) -> bytes:
    return hashlib.sha256(der).digest()
