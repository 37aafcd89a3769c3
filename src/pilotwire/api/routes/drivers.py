"""Drivers over HTTP."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.params import PathParameter

from .. import listing, types
from ..edit import IfMatch, tagged
from ..resources import drivers
from .common import Cursor, Limit, PlainRequest, body_of, context_of, segment, text_or_400, whoever

DriverPath = Annotated[str, PathParameter(description="Id of the driver")]


@get("/drivers", operation_id="listDrivers", tags=["Drivers"], summary="List drivers")
async def list_drivers(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: listing.SortText = None,
    q: listing.Search = None,
) -> types.DriverPage:
    """The people who carry tokens. Can be sorted by name, email and created_at. Personal data."""
    page, after = listing.page_of(
        await drivers.drivers(context_of(request), whoever(request), search=text_or_400("q", q)),
        name="drivers",
        sort=sort,
        default="name",
        keys={
            "name": lambda one: one.name,
            "email": lambda one: one.email or None,
            "created_at": lambda one: one.created_at,
        },
        id_of=lambda one: one.id,
        cursor=cursor,
        limit=limit,
        filters={"q": q},
    )
    return types.DriverPage(items=page, next=after)


@get("/drivers/{driver_id:str}", operation_id="getDriver", tags=["Drivers"], summary="One driver")
async def get_driver(request: PlainRequest, driver_id: DriverPath) -> Response[types.Driver]:
    """Who carries which tokens."""
    return tagged(*await drivers.driver(context_of(request), whoever(request), segment(driver_id)))


@post("/drivers", operation_id="createDriver", tags=["Drivers"], summary="Add a driver", body=types.NewDriver)
async def create_driver(request: PlainRequest) -> Response[types.Driver]:
    """Add somebody who charges; a token belongs to one driver at most."""
    data = await body_of(request, types.NewDriver)
    return tagged(*await drivers.create(context_of(request), whoever(request), data), status_code=201)


@patch(
    "/drivers/{driver_id:str}",
    operation_id="changeDriver",
    tags=["Drivers"],
    summary="Change a driver",
    body=types.DriverChange,
)
async def change_driver(
    request: PlainRequest, driver_id: DriverPath, if_match: IfMatch = None
) -> Response[types.Driver]:
    """Change what is given, keep the rest."""
    data = await body_of(request, types.DriverChange)
    return tagged(
        *await drivers.change(context_of(request), whoever(request), segment(driver_id), data, if_match=if_match)
    )


@delete("/drivers/{driver_id:str}", operation_id="deleteDriver", tags=["Drivers"], summary="Remove a driver")
async def delete_driver(request: PlainRequest, driver_id: DriverPath, if_match: IfMatch = None) -> None:
    """The person is removed; the tokens stay and belong to nobody. To forget a person for good, erase."""
    await drivers.remove(context_of(request), whoever(request), segment(driver_id), if_match=if_match)


@post(
    "/drivers/{driver_id:str}/erase",
    operation_id="eraseDriver",
    tags=["Drivers"],
    summary="Forget a person for good",
    status_code=200,
    body=types.ErasureOrder,
)
async def erase_driver(request: PlainRequest, driver_id: DriverPath) -> types.Erasure:
    """What the law calls erasure: the person's data and the notes on their tokens go, sessions stay without a name."""
    data = await body_of(request, types.ErasureOrder)
    return await drivers.erase(context_of(request), whoever(request), segment(driver_id), data)


@get(
    "/drivers/{driver_id:str}/export",
    operation_id="exportDriver",
    tags=["Drivers"],
    summary="Everything that is kept of a person",
)
async def export_driver(request: PlainRequest, driver_id: DriverPath) -> types.DriverExport:
    """To be handed to them when they ask: the person, their tokens, their sessions."""
    return await drivers.export(context_of(request), whoever(request), segment(driver_id))


HANDLERS = [
    list_drivers,
    get_driver,
    create_driver,
    change_driver,
    delete_driver,
    erase_driver,
    export_driver,
]
