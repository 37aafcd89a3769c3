"""Tariffs and cost over HTTP."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.params import PathParameter, QueryParameter

from .. import listing, types
from ..edit import IfMatch, tagged
from ..resources import tariffs
from .common import Cursor, Limit, PlainRequest, body_of, context_of, segment, text_or_400, whoever
from .sessions import SessionPath

TariffPath = Annotated[str, PathParameter(description="Id of the tariff")]
AssignmentPath = Annotated[str, PathParameter(description="Id of the assignment")]


@get("/tariffs", operation_id="listTariffs", tags=["Tariffs"], summary="List tariffs")
async def list_tariffs(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: listing.SortText = None,
    q: listing.Search = None,
) -> types.TariffPage:
    """What charging costs. Can be sorted by id, name and updated_at."""
    page, after = listing.page_of(
        await tariffs.tariffs(context_of(request), whoever(request), search=text_or_400("q", q)),
        name="tariffs",
        sort=sort,
        default="name",
        keys={
            "id": lambda one: one.id,
            "name": lambda one: one.name,
            "updated_at": lambda one: one.updated_at,
        },
        id_of=lambda one: one.id,
        cursor=cursor,
        limit=limit,
        filters={"q": q},
    )
    return types.TariffPage(items=page, next=after)


@get("/tariffs/{tariff_id:str}", operation_id="getTariff", tags=["Tariffs"], summary="One tariff")
async def get_tariff(request: PlainRequest, tariff_id: TariffPath) -> Response[types.TariffDetail]:
    """Its terms, with those that it had before."""
    return tagged(*await tariffs.tariff(context_of(request), whoever(request), segment(tariff_id)))


@post("/tariffs", operation_id="createTariff", tags=["Tariffs"], summary="Add a tariff", body=types.NewTariff)
async def create_tariff(request: PlainRequest) -> Response[types.TariffDetail]:
    """The terms are TariffType of OCPP 2.1; sessions of every version are priced by them."""
    data = await body_of(request, types.NewTariff)
    return tagged(*await tariffs.create(context_of(request), whoever(request), data), status_code=201)


@patch(
    "/tariffs/{tariff_id:str}",
    operation_id="changeTariff",
    tags=["Tariffs"],
    summary="Change a tariff",
    body=types.TariffChange,
)
async def change_tariff(
    request: PlainRequest, tariff_id: TariffPath, if_match: IfMatch = None
) -> Response[types.TariffDetail]:
    """Other terms are a new revision: it is sent to the stations, and sessions that begin from then on have it."""
    data = await body_of(request, types.TariffChange)
    return tagged(
        *await tariffs.change(context_of(request), whoever(request), segment(tariff_id), data, if_match=if_match)
    )


@delete("/tariffs/{tariff_id:str}", operation_id="deleteTariff", tags=["Tariffs"], summary="Remove a tariff")
async def delete_tariff(request: PlainRequest, tariff_id: TariffPath, if_match: IfMatch = None) -> None:
    """A tariff that nothing has any more. What sessions cost by it stays."""
    await tariffs.remove(context_of(request), whoever(request), segment(tariff_id), if_match=if_match)


@get(
    "/tariff-assignments",
    operation_id="listTariffAssignments",
    tags=["Tariffs"],
    summary="Who and what has which tariff",
)
async def list_assignments(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    tariff: Annotated[str | None, QueryParameter(description="Only of this tariff, by id", max_length=40)] = None,
) -> types.TariffAssignmentPage:
    """By place. A driver's tariff goes before that of the place; the narrower place before the wider."""
    wanted = text_or_400("tariff", tariff)
    page, after = listing.page_of(
        await tariffs.assignments(context_of(request), whoever(request), tariff_id=wanted),
        name="tariff-assignments",
        sort=None,
        default="id",
        keys={"id": lambda one: one.id},
        id_of=lambda one: one.id,
        cursor=cursor,
        limit=limit,
        filters={"tariff": tariff},
    )
    return types.TariffAssignmentPage(items=page, next=after)


@post(
    "/tariff-assignments",
    operation_id="assignTariff",
    tags=["Tariffs"],
    summary="Give a tariff to a place or a driver",
    body=types.NewTariffAssignment,
)
async def assign_tariff(request: PlainRequest) -> Response[types.TariffAssignment]:
    """It takes the place of the one that it had. 2.1 stations are sent it at once."""
    data = await body_of(request, types.NewTariffAssignment)
    return tagged(*await tariffs.assign(context_of(request), whoever(request), data), status_code=201)


@delete(
    "/tariff-assignments/{assignment_id:str}",
    operation_id="deleteTariffAssignment",
    tags=["Tariffs"],
    summary="Take a tariff from a place or a driver",
)
async def delete_assignment(request: PlainRequest, assignment_id: AssignmentPath) -> None:
    """Sessions that run go on by it."""
    await tariffs.take(context_of(request), whoever(request), segment(assignment_id))


@get(
    "/sessions/{session_id:str}/cost",
    operation_id="getSessionCost",
    tags=["Tariffs"],
    summary="What a session costs, line by line",
)
async def session_cost(request: PlainRequest, session_id: SessionPath) -> types.CostBreakdown:
    """So far, or in all. The lines add up to the cent."""
    return await tariffs.cost(context_of(request), whoever(request), segment(session_id))


@post(
    "/sessions/{session_id:str}/tariff",
    operation_id="changeSessionTariff",
    tags=["Tariffs"],
    summary="Give a running session another tariff",
    status_code=200,
    body=types.SessionTariff,
)
async def change_session_tariff(request: PlainRequest, session_id: SessionPath) -> types.CommandAnswer:
    """From now on; nothing is calculated back. A 2.1 station that works out the cost is asked to change."""
    data = await body_of(request, types.SessionTariff)
    return await tariffs.change_of_session(context_of(request), whoever(request), segment(session_id), data)


HANDLERS = [
    list_tariffs,
    get_tariff,
    create_tariff,
    change_tariff,
    delete_tariff,
    list_assignments,
    assign_tariff,
    delete_assignment,
    session_cost,
    change_session_tariff,
]
