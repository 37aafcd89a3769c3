"""Authorize with a contract certificate (2.x C07): its chain is judged before the token is.

What a station sends is either the hashes of the chain, which it has verified itself (C07.FR.01): then it is asked
whether one was revoked; or the chain as it is, which it could not verify (C07.FR.06): then we do.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from msgspec.structs import replace

from pilotwire.core.errors import PilotwireError
from pilotwire.core.time import to_datetime
from pilotwire.crypto import chains, pem
from pilotwire.domain.blocks import Contract
from pilotwire.domain.certificates import OneStatus
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
    wrong = _wrong(desk, actor, given.certificate) if given.certificate else ""
    if wrong or not given.about:
        found(replace(given, judged=wrong or "Accepted"))
        return
    if desk.statuses is None:
        found(given)
        return

    def told(rows: tuple[OneStatus, ...]) -> None:
        found(replace(given, judged=_verdict(rows)))

    desk.statuses.chain(actor.key.tenant, given.about, told)


def _verdict(rows: tuple[OneStatus, ...]) -> str:
    statuses = {row.status for row in rows}
    if "Revoked" in statuses:
        return "CertificateRevoked"
    # Who cannot be asked about cannot be vouched for.
    return "Accepted" if statuses == {"Good"} else "CertChainError"


def _wrong(desk: Desk, actor: StationActor, text: str) -> str:
    """What is wrong with a chain; "" where it leads to an authority that the tenant trusts."""
    try:
        leaf, *between = [chains.load(one) for one in pem.blocks(text)]
        anchors = desk.trusted(actor.key.tenant, _USES)
        chains.verify(leaf, between, anchors, to_datetime(actor.around.now()))
    except chains.ChainError as error:
        return "CertificateExpired" if error.code == "expired" else "CertChainError"
    except PilotwireError:
        return "CertChainError"
    return ""
