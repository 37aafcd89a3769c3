"""N Diagnostics, the part about periodic event streams: which there are, and how often they are sent (N12, N14)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotwire.protocols.ocpp.v21 import messages as v21
from pilotwire.station.host import Reply
from pilotwire.station.streams import Params

from .handling import V21, on, reason

if TYPE_CHECKING:
    from pilotwire.station.program import Station


def get_streams(station: Station, request: v21.GetPeriodicEventStreamRequest) -> Reply:
    rows = [station.streams.described(stream) for stream in station.streams.open()]
    return Reply(v21.GetPeriodicEventStreamResponse(constant_stream_data=rows or None))


def adjust(station: Station, request: v21.AdjustPeriodicEventStreamRequest) -> Reply:
    params = Params(request.params.interval or 0, request.params.values or 0)
    code, words = "", ""
    if not params.interval and not params.values:
        code, words = "MissingParam", "interval or values"
    elif not station.streams.adjust(request.id, params):
        code, words = "NotFound", f"no stream {request.id}"
    if code:
        return Reply(v21.AdjustPeriodicEventStreamResponse(status="Rejected", status_info=reason(v21, code, words)))
    return Reply(v21.AdjustPeriodicEventStreamResponse(status="Accepted"))


HANDLERS = on(V21, {"AdjustPeriodicEventStream": adjust, "GetPeriodicEventStream": get_streams})
