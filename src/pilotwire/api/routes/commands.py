"""Which commands a station takes, over HTTP. Sending one is in `stations`."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import PathParameter

from .. import types
from ..resources import commands
from .common import PlainRequest, StationPath, context_of, segment, whoever

ActionPath = Annotated[str, PathParameter(description="An action of the station's OCPP version, or one of our verbs")]


@get(
    "/stations/{station_id:str}/commands/available",
    operation_id="listAvailableCommands",
    tags=["Commands"],
    summary="Which commands it takes",
)
async def list_available(request: PlainRequest, station_id: StationPath) -> types.CommandFormPage:
    """Our verbs, then every action of the station's OCPP version, each with the fields of its payload, an example, and
    whether it is dangerous and you may send it."""
    return types.CommandFormPage(
        items=await commands.available(context_of(request), whoever(request), segment(station_id))
    )


@get(
    "/stations/{station_id:str}/commands/available/{action:str}",
    operation_id="getAvailableCommand",
    tags=["Commands"],
    summary="What a command is made of",
)
async def get_available(request: PlainRequest, station_id: StationPath, action: ActionPath) -> types.CommandForm:
    """One command with the fields of its payload."""
    return await commands.form(context_of(request), whoever(request), segment(station_id), segment(action))


HANDLERS = [list_available, get_available]
