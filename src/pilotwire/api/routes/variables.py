"""The device model over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from litestar import get, patch, post
from litestar.params import QueryParameter

from .. import listing, types
from ..resources import variables
from .common import Cursor, PlainRequest, StationPath, body_of, context_of, segment, text_or_400, whoever

_Limit = Annotated[int, QueryParameter(ge=1, le=5000, description="At most so many items")]


@get(
    "/stations/{station_id:str}/variables",
    operation_id="listVariables",
    tags=["Device model"],
    summary="Device model as reported, explained",
)
async def list_variables(
    request: PlainRequest,
    station_id: StationPath,
    cursor: Cursor = None,
    limit: _Limit = 1000,
    sort: listing.SortText = None,
    component: Annotated[str | None, QueryParameter(description="Only this component's", max_length=50)] = None,
    q: listing.Search = None,
    writable: Annotated[bool | None, QueryParameter(description="Only those that can (not) be set")] = None,
    changed_since: Annotated[datetime | None, QueryParameter(description="Only those reported since")] = None,
) -> types.VariablePage:
    """Variables (2.x) or configuration keys (1.6, component "") as the station last reported them, each with its unit,
    type and what it does. Can be sorted by component, variable and reported_at. Secrets have no value here."""
    found = await variables.variables(
        context_of(request),
        whoever(request),
        segment(station_id),
        component=text_or_400("component", component),
        search=text_or_400("q", q),
        writable=writable,
        changed_since=listing.instant("changed_since", changed_since),
    )
    page, after = listing.page_of(
        found,
        name=f"variables {segment(station_id)}",
        sort=sort,
        default="component",
        keys={
            "component": lambda one: one.component,
            "variable": lambda one: one.variable,
            "reported_at": lambda one: one.reported_at,
        },
        id_of=lambda one: (
            f"{one.component}\n{one.component_instance}\n{one.evse or 0:06d}\n{one.connector or 0:06d}\n"
            f"{one.variable}\n{one.variable_instance}\n{one.attribute}"
        ),
        cursor=cursor,
        limit=limit,
        filters={"component": component, "q": q, "writable": writable, "changed_since": str(changed_since or "")},
    )
    return types.VariablePage(items=page, next=after)


@patch(
    "/stations/{station_id:str}/variables",
    operation_id="setVariables",
    tags=["Device model"],
    summary="Set variables through the station",
    body=types.VariableSettings,
)
async def set_variables(request: PlainRequest, station_id: StationPath) -> types.VariableOutcomes:
    """Set values in the station and tell what it said to each: ChangeConfiguration in 1.6, SetVariables in 2.x.

    What is known to be read-only, or no value of its type, is 422 and nothing is sent."""
    data = await body_of(request, types.VariableSettings)
    return await variables.change(context_of(request), whoever(request), segment(station_id), data)


@post(
    "/stations/{station_id:str}/variables/refresh",
    operation_id="refreshVariables",
    tags=["Device model"],
    summary="Ask the station for its values",
    status_code=200,
    body=types.VariableRefresh,
)
async def refresh_variables(request: PlainRequest, station_id: StationPath) -> types.VariableRefreshed:
    """Read variables anew: those named (GetConfiguration, GetVariables), or all (GetConfiguration, GetBaseReport)."""
    data = await body_of(request, types.VariableRefresh)
    return await variables.refresh(context_of(request), whoever(request), segment(station_id), data)


HANDLERS = [list_variables, set_variables, refresh_variables]
