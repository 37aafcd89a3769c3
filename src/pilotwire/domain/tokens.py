"""Tokens: who may charge. The verdict comes from the books that the context carries."""

from __future__ import annotations

from msgspec.structs import replace

from . import inputs
from .context import Context, Decision
from .facts import TokenPresented
from .inputs import TokenVerdict
from .state import StationState

ACCEPTED = TokenVerdict(status="Accepted")
DIRECT = "DirectPayment"
"""2.1: who has paid, at a terminal or on the web, is known by the payment's reference alone (C18, C24, C25); a book may
still say no to it."""
_UNKNOWN = ("Invalid", "Unknown")


def verdict(token: str, token_type: str, ctx: Context) -> TokenVerdict:
    """What this token may do now. The lab takes unknown tokens; `NoAuthorization` (2.x) asks for none."""
    if token_type == "NoAuthorization":  # noqa: S105
        return ACCEPTED
    found = ctx.authorize(token, token_type, ctx.now)
    if found.status in _UNKNOWN and (ctx.lab or token_type == DIRECT):
        return ACCEPTED
    return found


def beginning(state: StationState, found: TokenVerdict) -> TokenVerdict:
    """The verdict on a token that a transaction begins with: a master pass ends transactions only (C12.FR.09,
    C16.FR.03)."""
    kept = state.station.kept
    if kept is None or not kept.master or found.parent.casefold() != kept.master.casefold():
        return found
    return replace(found, status="Invalid")


def authorize(state: StationState, given: inputs.Authorize, ctx: Context) -> Decision:
    """Authorize: look the token up, note that it was shown."""
    found = verdict(given.token, given.token_type, ctx)
    fact = TokenPresented(
        event_time=ctx.now, token=given.token, token_type=given.token_type, verdict=found.status, evse=0
    )
    return Decision((fact,), (), found)
