"""What a station keeps, over HTTP."""

from __future__ import annotations

from litestar import get

from .. import types
from ..resources import kept
from .common import PlainRequest, StationPath, context_of, segment, whoever


@get(
    "/stations/{station_id:str}/kept",
    operation_id="getStationKept",
    tags=["Stations"],
    summary="What it keeps of what it was told",
)
async def get_kept(request: PlainRequest, station_id: StationPath) -> types.StationKept:
    """Reservations, monitors, event streams, display messages, grid controls and what else a station keeps.

    It is what the station has accepted from us or has told itself. What others set is known once it was reported:
    send GetMonitoringReport, GetDisplayMessages, GetDERControl or GetPeriodicEventStream.
    """
    return await kept.of_station(context_of(request), whoever(request), segment(station_id))


HANDLERS = [get_kept]
