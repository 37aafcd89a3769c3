"""How a station's charging is limited: its profiles, and for each EVSE the schedule that they come to, as a curve."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, NamedTuple

from litestar import Response, get
from litestar.params import QueryParameter

from pilotwire.api import types
from pilotwire.api.resources import charging

from ..view import numeral
from .common import PlainRequest, Text, allowed, page, segment
from .station import frame, station_of

WIDTH, HEIGHT = 720, 140


class Curve(NamedTuple):
    """A schedule as it is drawn: a line of steps in a box of `WIDTH` by `HEIGHT`."""

    schedule: types.ExpectedSchedule
    points: str
    top: str
    """What the upper edge stands for."""


def curve_of(schedule: types.ExpectedSchedule) -> Curve:
    """Its steps as a line; where nothing limits it runs along the upper edge."""
    limits = [one.limit for one in schedule.steps if one.limit is not None]
    most = max(limits, default=0.0) * 1.1 or 1.0
    begin = datetime.fromisoformat(schedule.start).timestamp()
    points: list[str] = []
    for place, step in enumerate(schedule.steps):
        at = datetime.fromisoformat(step.time).timestamp() - begin
        later = schedule.steps[place + 1 : place + 2]
        until = datetime.fromisoformat(later[0].time).timestamp() - begin if later else schedule.duration_s
        height = HEIGHT * (1 - (1.0 if step.limit is None else step.limit / most))
        points += [f"{WIDTH * moment / schedule.duration_s:.1f},{height:.1f}" for moment in (at, until)]
    return Curve(schedule, " ".join(points), shown(most, schedule.unit) if limits else "")


def shown(limit: float | None, unit: str) -> str:
    """A limit as people read it."""
    if limit is None:
        return ""
    return f"{numeral(limit / 1000, 2)} kW" if unit == "W" else f"{numeral(limit, 1)} A"


@get("/stations/{station_id:str}/charging")
async def shown_charging(
    request: PlainRequest, station_id: Text, hours: Annotated[int, QueryParameter(ge=1, le=168)] = 24
) -> Response[Any]:
    """Profiles and curves."""
    context, principal = allowed(request, "stations:read")
    station = await station_of(context, principal, station_id)
    found = await charging.of_station(context, principal, segment(station_id), hours=hours)
    return page(
        request,
        "station/charging.html",
        found=found,
        hours=hours,
        curves=[curve_of(one) for one in found.schedules],
        shown=shown,
        width=WIDTH,
        height=HEIGHT,
        **frame(principal, station, "charging"),
    )


HANDLERS: list[Any] = [shown_charging]
