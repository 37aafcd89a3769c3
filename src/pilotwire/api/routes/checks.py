"""Why does it not work? Over HTTP."""

from __future__ import annotations

from litestar import get

from .. import types
from ..resources import checks
from .common import PlainRequest, StationPath, context_of, segment, whoever


@get(
    "/stations/{station_id:str}/checks",
    operation_id="checkStation",
    tags=["Stations"],
    summary="Why does it not work?",
)
async def check_station(request: PlainRequest, station_id: StationPath) -> types.StationChecks:
    """Look a station through from the outside in: account, last attempts to connect, certificate, connection, start,
    clock, signs of life, connectors, tokens, meter values, messages, firmware, commands. Each with what was seen and
    what to do; the first that is bad is mostly the cause of those after it."""
    return await checks.checks(context_of(request), whoever(request), segment(station_id))


HANDLERS = [check_station]
