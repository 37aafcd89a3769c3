"""Tokens: who may charge. The verdict comes from the books that the context carries."""

from __future__ import annotations

from . import inputs
from .context import Context, Decision
from .facts import TokenPresented
from .inputs import TokenVerdict
from .state import StationState

ACCEPTED = TokenVerdict(status="Accepted")
_UNKNOWN = ("Invalid", "Unknown")


def verdict(token: str, token_type: str, ctx: Context) -> TokenVerdict:
    """What this token may do now. The lab takes unknown tokens; `NoAuthorization` (2.x) asks for none."""
    if token_type == "NoAuthorization":  # noqa: S105
        return ACCEPTED
    found = ctx.authorize(token, token_type, ctx.now)
    if ctx.lab and found.status in _UNKNOWN:
        return ACCEPTED
    return found


def authorize(state: StationState, given: inputs.Authorize, ctx: Context) -> Decision:
    """Authorize: look the token up, note that it was shown."""
    found = verdict(given.token, given.token_type, ctx)
    fact = TokenPresented(
        event_time=ctx.now, token=given.token, token_type=given.token_type, verdict=found.status, evse=0
    )
    return Decision((fact,), (), found)
