"""Sessions as other pages show them."""

from __future__ import annotations

import msgspec

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.queries import Queries


async def newest_with(
    context: ApiContext, principal: Principal, tokens: list[str], limit: int = 10
) -> list[types.Session]:
    """The newest sessions that this person may see and that were begun with one of these tokens."""
    if not tokens or not principal.may("sessions:read"):
        return []
    wanted = frozenset(tokens)
    theirs = msgspec.structs.replace(
        principal, tokens=wanted if principal.tokens is None else wanted & principal.tokens
    )
    return (await Queries(context, theirs).sessions(limit=limit)).items
