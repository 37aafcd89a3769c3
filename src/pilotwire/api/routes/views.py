"""Saved views over HTTP."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.params import PathParameter, QueryParameter

from .. import types
from ..edit import IfMatch, tagged
from ..resources import views
from .common import PlainRequest, body_of, context_of, segment, whoever

ViewPath = Annotated[str, PathParameter(description="Id of the view")]


@get("/views", operation_id="listViews", tags=["Views"], summary="List saved views")
async def list_views(
    request: PlainRequest,
    table: Annotated[types.ViewTable | None, QueryParameter(description="Only those of this table")] = None,
) -> types.ViewPage:
    """Your own views and those that are shared, by name."""
    return types.ViewPage(items=await views.views(context_of(request), whoever(request), table=table))


@get("/views/{view_id:str}", operation_id="getView", tags=["Views"], summary="One view")
async def get_view(request: PlainRequest, view_id: ViewPath) -> Response[types.View]:
    """A saved view."""
    return tagged(*await views.view(context_of(request), whoever(request), segment(view_id)))


@post("/views", operation_id="createView", tags=["Views"], summary="Save a view", body=types.NewView)
async def create_view(request: PlainRequest) -> Response[types.View]:
    """Save filters, order and columns of a table, for yourself or shared."""
    data = await body_of(request, types.NewView)
    return tagged(*await views.create(context_of(request), whoever(request), data), status_code=201)


@patch(
    "/views/{view_id:str}", operation_id="changeView", tags=["Views"], summary="Change a view", body=types.ViewChange
)
async def change_view(request: PlainRequest, view_id: ViewPath, if_match: IfMatch = None) -> Response[types.View]:
    """Change what is given, keep the rest."""
    data = await body_of(request, types.ViewChange)
    return tagged(*await views.change(context_of(request), whoever(request), segment(view_id), data, if_match=if_match))


@delete("/views/{view_id:str}", operation_id="deleteView", tags=["Views"], summary="Forget a view")
async def delete_view(request: PlainRequest, view_id: ViewPath, if_match: IfMatch = None) -> None:
    """Your own; an admin's right also for shared ones."""
    await views.remove(context_of(request), whoever(request), segment(view_id), if_match=if_match)


HANDLERS = [list_views, get_view, create_view, change_view, delete_view]
