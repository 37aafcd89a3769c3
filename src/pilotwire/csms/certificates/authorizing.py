"""Authorize with a contract certificate (2.x C07): its chain is judged before the token is.

What a station sends is either the hashes of the chain, which it has verified itself (C07.FR.01): then it is asked
whether one was revoked; or the chain as it is, which it could not verify (C07.FR.06): then we do.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

from cryptography import x509
from msgspec.structs import replace

from pilotwire.core.errors import PilotwireError
from pilotwire.core.time import to_datetime
from pilotwire.crypto import chains, ocsp, pem
from pilotwire.crypto.hash_data import hash_data
from pilotwire.domain.blocks import Contract
from pilotwire.domain.certificates import Asked, OneStatus
from pilotwire.domain.inputs import Input

_USES = ("mo", "v2g")
"""What an authority must be trusted for, so that contracts may lead to it."""

if TYPE_CHECKING:
    from ..actor import StationActor
    from .desk import Desk


def judge(actor: StationActor, given: Input, found: Callable[[Input], None]) -> None:
    """Authorize: with a contract certificate, `found` gets what is to be said of it."""
    if not isinstance(given, Contract):
        found(given)
        return
    desk = actor.around.certificates
    if desk is None:
        found(given)
        return
    about, path = given.about, list[x509.Certificate]()
    if given.certificate:
        try:
            path = _path(desk, actor, given.certificate)
        except chains.ChainError as error:
            found(replace(given, judged="CertificateExpired" if error.code == "expired" else "CertChainError"))
            return
        except PilotwireError:
            found(replace(given, judged="CertChainError"))
            return
        # What is asked about is what was shown, whatever hashes came with it.
        about = _about(path) or given.about
    if not about:
        found(replace(given, judged="Accepted"))  # no certificate of the chain says where it could be asked about
        return
    if desk.statuses is None:
        found(given)
        return

    def told(rows: tuple[OneStatus, ...]) -> None:
        found(replace(given, judged=_verdict(rows)))

    desk.statuses.chain(actor.key.tenant, about, told, path[1:])


def _verdict(rows: tuple[OneStatus, ...]) -> str:
    statuses = {row.status for row in rows}
    if "Revoked" in statuses:
        return "CertificateRevoked"
    # Who cannot be asked about cannot be vouched for.
    return "Accepted" if statuses == {"Good"} else "CertChainError"


def _path(desk: Desk, actor: StationActor, text: str) -> list[x509.Certificate]:
    """From the contract's certificate to an authority that the tenant trusts. Raises PilotwireError."""
    leaf, *between = [chains.load(one) for one in pem.blocks(text)]
    anchors = desk.trusted(actor.key.tenant, _USES)
    return chains.verify(leaf, between, anchors, to_datetime(actor.around.now()))


def _about(path: list[x509.Certificate]) -> tuple[Asked, ...]:
    """Each certificate of a chain that says who can be asked whether it was revoked."""
    found: list[Asked] = []
    for one, issuer in pairwise(path):
        urls = ocsp.responders(one)
        if urls:
            data = hash_data(chains.der(one), chains.der(issuer))
            asked = Asked(data.algorithm, data.issuer_name_hash, data.issuer_key_hash, data.serial_number, urls)
            found.append(asked)
    return tuple(found)
