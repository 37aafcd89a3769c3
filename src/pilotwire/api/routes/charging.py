"""How a station's charging is limited, over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get
from litestar.params import QueryParameter

from .. import types
from ..resources import charging
from .common import PlainRequest, StationPath, context_of, segment, whoever


@get(
    "/stations/{station_id:str}/charging",
    operation_id="getStationCharging",
    tags=["Stations"],
    summary="Charging profiles, and what follows from them",
)
async def get_charging(
    request: PlainRequest,
    station_id: StationPath,
    unit: Annotated[Literal["A", "W"], QueryParameter(description="Of the schedules")] = "W",
    hours: Annotated[int, QueryParameter(ge=1, le=168, description="How far ahead")] = 24,
) -> types.StationCharging:
    """The profiles that it has accepted or reported, and for each EVSE the schedule that they come to.

    It is worked out here, by the same rules by which stations are judged: what a station says itself is asked by
    GetCompositeSchedule, and an answer that does not follow is an event (`composite-schedule-differed`). What the
    hardware gives, and limits of other systems that it does not tell, are not in it.
    """
    return await charging.of_station(context_of(request), whoever(request), segment(station_id), unit=unit, hours=hours)


HANDLERS = [get_charging]
