"""S Battery swap: one that the CSMS asks for (S02)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotwire.protocols.ocpp.v21 import messages as v21
from pilotwire.station.host import Reply

from .handling import V21, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def request_swap(station: Station, request: v21.RequestBatterySwapRequest) -> Reply:
    swaps = station.swap
    token, token_type = request.id_token.id_token, request.id_token.type
    running = swaps.swap
    if running is not None and (running.request_id, running.token) == (request.request_id, token):
        return Reply(v21.RequestBatterySwapResponse(status="Accepted"))  # the same once more
    code = words = ""
    if not swaps.active:
        code, words = "UnsupportedRequest", "this is no swap station"
    elif running is not None:
        code, words = "InvalidMessageSeq", "another swap is under way"
    elif not swaps.enough():
        code, words = "NoBatteryAvailable", f"{len(swaps.eligible())} charged, {len(swaps.free())} slots free"
    if code:
        return Reply(v21.RequestBatterySwapResponse(status="Rejected", status_info=reason(v21, code, words)))
    swaps.begin(request.request_id, token, token_type)
    return Reply(v21.RequestBatterySwapResponse(status="Accepted"))


HANDLERS = on(V21, {"RequestBatterySwap": request_swap})
