"""Stations, their accounts and commands."""

from __future__ import annotations

from typing import Annotated, cast

from litestar import Response, delete, get, patch, post
from litestar.params import QueryParameter

from .. import types
from ..commands import execute
from ..edit import IfMatch, tagged
from ..fleet_query import StationQuery
from ..listing import SortText
from ..resources import stations as resource
from .common import (
    Count,
    Cursor,
    Limit,
    PlainRequest,
    Several,
    StationPath,
    body_of,
    context_of,
    principal_of,
    queries_of,
    segment,
    text_or_400,
    texts_or_400,
    whoever,
)

FilterStatus = Annotated[
    list[str] | None,
    QueryParameter(description="A connector says so: Available, Charging, Occupied, Faulted …" + Several),
]
FilterVendor = Annotated[list[str] | None, QueryParameter(description="Of this vendor" + Several)]
FilterModel = Annotated[list[str] | None, QueryParameter(description="Of this model" + Several)]
FilterFirmware = Annotated[list[str] | None, QueryParameter(description="With this firmware version" + Several)]
FilterOcppVersion = Annotated[
    list[str] | None, QueryParameter(description="That speak this version: 1.6, 2.0.1 or 2.1" + Several)
]
FilterSite = Annotated[
    list[str] | None, QueryParameter(description="At this site, by id; `-` for those at none" + Several)
]


@get("/stations", operation_id="listStations", tags=["Stations"], summary="List stations")
async def list_stations(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: SortText = None,
    count: Count = False,
    connected: Annotated[bool | None, QueryParameter(description="Only those that are (not) connected")] = None,
    enabled: Annotated[bool | None, QueryParameter(description="Only those whose account is (not) switched on")] = None,
    registered: Annotated[bool | None, QueryParameter(description="Only those with (without) an account")] = None,
    status: FilterStatus = None,
    vendor: FilterVendor = None,
    model: FilterModel = None,
    firmware: FilterFirmware = None,
    ocpp_version: FilterOcppVersion = None,
    site: FilterSite = None,
    q: Annotated[
        str | None,
        QueryParameter(max_length=100, description="Part of id, vendor, model, serial, firmware or note, in any case"),
    ] = None,
) -> Response[types.StationPage]:
    """Stations with their connectors: those that ever connected and those that only have an account.

    By id, or by `sort`: id, site, vendor, model, firmware, ocpp_version, connected, power_w, last_seen, connected_at or
    booted_at. Filters may be combined; one that is given several times wants any of its values.
    """
    wanted = StationQuery(
        connected=connected,
        enabled=enabled,
        registered=registered,
        status=texts_or_400("status", status),
        vendor=texts_or_400("vendor", vendor),
        model=texts_or_400("model", model),
        firmware=texts_or_400("firmware", firmware),
        ocpp_version=texts_or_400("ocpp_version", ocpp_version),
        site=texts_or_400("site", site),
        q=text_or_400("q", q) or "",
    )
    queries = queries_of(request, "stations:read")
    body, tag = await queries.stations_encoded(wanted, sort=sort, cursor=cursor, limit=limit, count=count)
    return cast("Response[types.StationPage]", Response(body, media_type="application/json", headers={"ETag": tag}))


@get("/station-facets", operation_id="getStationFacets", tags=["Stations"], summary="What to filter stations by")
async def station_facets(request: PlainRequest) -> types.StationFacets:
    """Every vendor, model, firmware, version and site that there is among the stations, and how many have it."""
    found = await queries_of(request, "stations:read").station_facets()
    return types.StationFacets(**{name: _facets(counts) for name, counts in found.items()})


def _facets(counts: dict[str, int]) -> list[types.Facet]:
    return [types.Facet(value=value, stations=count) for value, count in sorted(counts.items())]


@get("/stations/{station_id:str}", operation_id="getStation", tags=["Stations"], summary="One station")
async def get_station(request: PlainRequest, station_id: StationPath) -> Response[types.Station]:
    """A station with its connectors."""
    return tagged(*await resource.station(context_of(request), whoever(request), segment(station_id)))


@post(
    "/stations",
    operation_id="createStation",
    tags=["Stations"],
    summary="Let a station connect",
    body=types.NewStation,
)
async def create_station(request: PlainRequest) -> types.StationCreated:
    """Make the account of a station. Its password is in this answer and nowhere else."""
    return await resource.create(context_of(request), whoever(request), await body_of(request, types.NewStation))


@patch(
    "/stations/{station_id:str}",
    operation_id="changeStation",
    tags=["Stations"],
    summary="Change an account",
    body=types.StationChange,
)
async def change_station(
    request: PlainRequest, station_id: StationPath, if_match: IfMatch = None
) -> Response[types.Station]:
    """Change what is given, keep the rest. A new password or `enabled: false` counts from the next connection on."""
    data = await body_of(request, types.StationChange)
    return tagged(
        *await resource.change(context_of(request), whoever(request), segment(station_id), data, if_match=if_match)
    )


@delete("/stations/{station_id:str}", operation_id="deleteStation", tags=["Stations"], summary="Delete an account")
async def delete_station(request: PlainRequest, station_id: StationPath, if_match: IfMatch = None) -> None:
    """The station may connect no longer. What it told and its sessions stay."""
    await resource.remove(context_of(request), whoever(request), segment(station_id), if_match=if_match)


@get("/stations/{station_id:str}/commands", operation_id="listCommands", tags=["Commands"], summary="List commands")
async def list_commands(request: PlainRequest, station_id: StationPath, limit: Limit = 50) -> types.CommandPage:
    """The newest commands to a station and what became of them."""
    return types.CommandPage(
        items=await queries_of(request, "commands:read").commands(segment(station_id), limit=limit)
    )


@post(
    "/stations/{station_id:str}/commands",
    operation_id="sendCommand",
    tags=["Commands"],
    summary="Send a command, get the station's answer",
    status_code=200,
    body=types.NewCommand,
)
async def send_command(request: PlainRequest, station_id: StationPath) -> types.CommandAnswer:
    """Send a command and wait: this answer is the station's own answer, never "queued".

    `outcome` is `answered` for a CALLRESULT and `refused` for a CALLERROR; both are 200, since the station did answer.
    A station that is not connected is 409, one that stays silent 504, a payload that its OCPP version does not allow
    422. With `expires_in_s` a command outlives the connection; look it up by its id.
    """
    data = await body_of(request, types.NewCommand)
    return await execute(context_of(request), principal_of(request, "commands:send"), segment(station_id), data)


@get("/commands/{command_id:str}", operation_id="getCommand", tags=["Commands"], summary="One command")
async def get_command(request: PlainRequest, command_id: StationPath) -> types.Command:
    """A command and what became of it."""
    return await queries_of(request, "commands:read").command(segment(command_id))


HANDLERS = [
    list_stations,
    station_facets,
    get_station,
    create_station,
    change_station,
    delete_station,
    list_commands,
    send_command,
    get_command,
]
