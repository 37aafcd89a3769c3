"""Commands of ours that the standard does not let us send, though their payload is valid; and what is to be said of it.

Certificates and credentials have theirs in `certificates.actions`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from pilotwire.domain.tokens import verdict

if TYPE_CHECKING:
    from .actor import StationActor


def objection(actor: StationActor, action: str, request: Any) -> str:
    """Why a command must not go out; "" where it may."""
    look = _LOOKS.get(action)
    return "" if look is None else look(actor, request)


def _swap(actor: StationActor, request: Any) -> str:
    """2.1 S02.FR.03."""
    token = request.id_token
    status = verdict(token.id_token, token.type, actor.context(actor.around.now())).status
    if status == "Accepted":
        return ""
    return f"the token is not authorized ({status}): no battery may be swapped for it"


def _monitors(actor: StationActor, request: Any) -> str:
    """2.1 N11.FR.09."""
    for one in request.set_monitoring_data:
        pace = getattr(one, "periodic_event_stream", None)
        if pace is not None and pace.interval is None and pace.values is None:
            return "a periodic event stream needs an interval, a number of values, or both"
    return ""


_LOOKS: Mapping[str, Callable[[StationActor, Any], str]] = {
    "RequestBatterySwap": _swap,
    "SetVariableMonitoring": _monitors,
}
