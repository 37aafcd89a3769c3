"""Why does it not work? A station looked through from the outside in."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from pilotwire.api.resources import checks, quirks

from .common import PlainRequest, Text, allowed, page
from .station import frame, station_of


@get("/stations/{station_id:str}/checks")
async def run(request: PlainRequest, station_id: Text) -> Response[Any]:
    """What was looked at, what was seen, what to do."""
    context, principal = allowed(request, "stations:read")
    station = await station_of(context, principal, station_id)
    found = await checks.checks(context, principal, station.id)
    odd = await quirks.of_station(context, principal, station.id)
    return page(request, "station/checks.html", found=found, quirks=odd, **frame(principal, station, "checks"))


HANDLERS: list[Any] = [run]
