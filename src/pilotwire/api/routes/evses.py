"""What a station is made of, over HTTP."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import PathParameter

from .. import types
from ..resources import evses
from .common import PlainRequest, StationPath, context_of, segment, whoever

EvsePath = Annotated[int, PathParameter(description="EVSE id, from 1", ge=0, le=2**31 - 1)]


@get("/stations/{station_id:str}/evses", operation_id="listEvses", tags=["Stations"], summary="Its EVSEs")
async def list_evses(request: PlainRequest, station_id: StationPath) -> types.EvsePage:
    """The EVSEs of a station, each with its connectors. An OCPP 1.6 connector is an EVSE of its own."""
    return types.EvsePage(items=await evses.evses(context_of(request), whoever(request), segment(station_id)))


@get("/stations/{station_id:str}/evses/{evse:int}", operation_id="getEvse", tags=["Stations"], summary="One EVSE")
async def get_evse(request: PlainRequest, station_id: StationPath, evse: EvsePath) -> types.Evse:
    """One EVSE with its connectors."""
    return await evses.evse(context_of(request), whoever(request), segment(station_id), evse)


@get(
    "/stations/{station_id:str}/connectors", operation_id="listConnectors", tags=["Stations"], summary="Its connectors"
)
async def list_connectors(request: PlainRequest, station_id: StationPath) -> types.ConnectorPage:
    """Every connector of a station and what it does now."""
    return types.ConnectorPage(items=await evses.connectors(context_of(request), whoever(request), segment(station_id)))


@get(
    "/stations/{station_id:str}/details",
    operation_id="getStationDetails",
    tags=["Stations"],
    summary="Its account, link, clock and firmware",
)
async def get_details(request: PlainRequest, station_id: StationPath) -> types.StationDetails:
    """What somebody who looks after a station wants to know: where it must connect, how it did, what its clock says."""
    return await evses.details(context_of(request), whoever(request), segment(station_id))


HANDLERS = [list_evses, get_evse, list_connectors, get_details]
