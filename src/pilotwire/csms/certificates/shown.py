"""The certificates by which stations come in (profile 3): which one each shows, and until when it is valid.

That is what counts for whoever watches ends: a certificate that was signed and delivered need not be in use, and one in
use need not be of an authority that asks us. A station that shows the same as last time costs a digest and a look.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import msgspec

from pilotwire.core.errors import PilotwireError
from pilotwire.core.ids import DEFAULT_TENANT, StationKey
from pilotwire.core.time import from_datetime
from pilotwire.crypto import chains
from pilotwire.crypto.hash_data import serial_text
from pilotwire.crypto.subject import read_subject
from pilotwire.domain.trust import SHOWN, ShownCertificate
from pilotwire.storage.documents import put, sort_time

from .ports import Keeper

if TYPE_CHECKING:
    from ..around import Around

_PAGE = 500
_DIGEST = 8
_read = msgspec.json.Decoder(ShownCertificate).decode


class Shown:
    """See the module."""

    def __init__(self, around: Around, keeper: Keeper) -> None:
        self._around = around
        self._keeper = keeper
        self._known: dict[StationKey, bytes] = {}
        """The beginning of the digest of what each showed last."""
        self._loaded: set[str] = set()

    def __len__(self) -> int:
        return len(self._known)

    def came_with(self, key: StationKey, der: bytes) -> None:
        """A station was let in by this certificate."""
        fingerprint = hashlib.sha256(der).digest()
        if self._known.get(key) == fingerprint[:_DIGEST]:
            return
        try:
            one = self._read(key, der, fingerprint)
        except (PilotwireError, ValueError) as error:
            # It was good enough for TLS and for its names; only when it ends is not known.
            self._around.log("a station's certificate cannot be read", key, error=str(error))
            return
        self._known[key] = fingerprint[:_DIGEST]
        self._keeper.change(key.tenant, put(SHOWN, key.station, one, sort=sort_time(one.not_after)))

    def _read(self, key: StationKey, der: bytes, fingerprint: bytes) -> ShownCertificate:
        certificate, subject = chains.load(der), read_subject(der)
        return ShownCertificate(
            station=key.station,
            common_name=subject.common_name,
            organization=subject.organization,
            issuer=certificate.issuer.rfc4514_string(),
            serial=serial_text(certificate.serial_number),
            fingerprint=fingerprint.hex(),
            not_before=int(from_datetime(certificate.not_valid_before_utc)),
            not_after=int(from_datetime(certificate.not_valid_after_utc)),
            seen_at=int(self._around.now()),
        )

    async def load(self) -> None:
        """Read what was shown before, of tenants that are new here."""
        for tenant in (self._around.accounts.tenants() | {DEFAULT_TENANT}) - self._loaded:
            self._loaded.add(tenant)
            cursor: str | None = None
            while True:
                page = await self._around.store.documents(tenant, SHOWN, cursor=cursor, limit=_PAGE)
                for document in page.items:
                    try:
                        digest = bytes.fromhex(_read(document.body).fingerprint)[:_DIGEST]
                    except (msgspec.DecodeError, ValueError):
                        continue  # it is written anew when the station comes
                    self._known.setdefault(StationKey(tenant, document.id), digest)
                cursor = page.next
                if cursor is None:
                    break
