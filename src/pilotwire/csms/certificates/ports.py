"""Whom the central system asks about certificates. All of it is callback code: what takes a network answers later.

An asker is called on the loop's thread, returns at once, and calls back once, however it ends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from cryptography import x509

from pilotwire.core.ids import StationKey
from pilotwire.crypto.requests import Request
from pilotwire.domain.certificates import Asked, EvCertificateAsked, EvCertificateTold, OneStatus, StatusTold
from pilotwire.domain.records import StationAccount
from pilotwire.storage.documents import Change


class Signed(NamedTuple):
    """A certificate was had: the leaf first, then its authorities, the root left out (DER)."""

    chain: list[bytes]


class Later(NamedTuple):
    """Ask again after this time."""

    after_s: int
    why: str


class Refused(NamedTuple):
    """The authority does not sign it."""

    why: str


class Signer(Protocol):
    """An authority."""

    @property
    def name(self) -> str:
        """For people: built-in, or a host."""
        ...

    @property
    def anchors(self) -> list[x509.Certificate]:
        """What its certificates lead to, as far as it is known."""
        ...

    def sign(
        self,
        request: Request,
        common_name: str,
        organization: str,
        *,
        again: bool,
        done: Callable[[Signed | Later | Refused], None],
    ) -> None:
        """`again`: the station has a certificate of this authority already."""
        ...


class StatusDesk(Protocol):
    """Asks whether certificates were revoked."""

    def status(self, tenant: str, about: Asked, done: Callable[[StatusTold], None]) -> None:
        """The OCSP answer as it is (2.0.1)."""
        ...

    def chain(
        self,
        tenant: str,
        about: tuple[Asked, ...],
        done: Callable[[tuple[OneStatus, ...]], None],
        issuers: Sequence[x509.Certificate] = (),
    ) -> None:
        """The verdicts (2.1). `issuers`: authorities that count beside those that the tenant trusts, since they have
        been verified."""
        ...


class Contracts(Protocol):
    """Has contract certificates for cars."""

    def certificate(
        self, key: StationKey, asked: EvCertificateAsked, done: Callable[[EvCertificateTold], None]
    ) -> None: ...


class Keeper(Protocol):
    """Writes down, in the order in which it was told, what is no fact of the journal."""

    def change(self, tenant: str, change: Change) -> None:
        """A document."""
        ...

    def account(self, account: StationAccount, done: Callable[[bool], None]) -> None:
        """A station's account; `done` is told whether it is durable."""
        ...
