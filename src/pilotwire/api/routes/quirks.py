"""Quirks over HTTP."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, post
from litestar.params import PathParameter, QueryParameter

from .. import types
from ..edit import IfMatch, tagged
from ..resources import quirks
from .common import PlainRequest, StationPath, body_of, context_of, segment, text_or_400, whoever

SettingPath = Annotated[str, PathParameter(description="Id of the setting")]


@get("/quirks", operation_id="listQuirks", tags=["Stations"], summary="List quirks")
async def list_quirks(
    request: PlainRequest,
    seen: Annotated[bool | None, QueryParameter(description="Only those that a station has (or none)")] = None,
    vendor: Annotated[str | None, QueryParameter(max_length=255, description="Count stations of this vendor")] = None,
    model: Annotated[str | None, QueryParameter(max_length=255, description="Count stations of this model")] = None,
) -> types.QuirkPage:
    """What stations do otherwise than the standard says: every quirk that has a name, with how many of your stations
    have it, by vendor, model and firmware."""
    items = await quirks.quirks(
        context_of(request),
        whoever(request),
        seen=seen,
        vendor=text_or_400("vendor", vendor) or "",
        model=text_or_400("model", model) or "",
    )
    return types.QuirkPage(items=items)


@get(
    "/stations/{station_id:str}/quirks",
    operation_id="listStationQuirks",
    tags=["Stations"],
    summary="The quirks of a station",
)
async def station_quirks(request: PlainRequest, station_id: StationPath) -> types.StationQuirks:
    """What it does otherwise than the standard says, with the newest frame that shows it, and what is done differently
    for it."""
    return await quirks.of_station(context_of(request), whoever(request), segment(station_id))


@get("/quirk-settings", operation_id="listQuirkSettings", tags=["Stations"], summary="List settings of remedies")
async def list_settings(request: PlainRequest) -> types.QuirkSettingPage:
    """What operators said about remedies for vendors, models and firmware, and the remedies that there are."""
    return await quirks.settings(context_of(request), whoever(request))


@post(
    "/quirk-settings",
    operation_id="createQuirkSetting",
    tags=["Stations"],
    summary="Switch a remedy on or off for a model",
    body=types.NewQuirkSetting,
)
async def create_setting(request: PlainRequest) -> Response[types.QuirkSetting]:
    """It counts at once, for stations that are connected too."""
    data = await body_of(request, types.NewQuirkSetting)
    return tagged(*await quirks.create(context_of(request), whoever(request), data), status_code=201)


@delete(
    "/quirk-settings/{setting_id:str}",
    operation_id="deleteQuirkSetting",
    tags=["Stations"],
    summary="Take back a setting of a remedy",
)
async def delete_setting(request: PlainRequest, setting_id: SettingPath, if_match: IfMatch = None) -> None:
    """From then on the remedy is taken where the quirk is seen."""
    await quirks.remove(context_of(request), whoever(request), segment(setting_id), if_match=if_match)


HANDLERS = [list_quirks, station_quirks, list_settings, create_setting, delete_setting]
