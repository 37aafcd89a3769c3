"""Sessions, their samples and power curves, and the totals."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import get
from litestar.params import PathParameter, QueryParameter

from .. import types
from ..live import hub_of
from .common import Cursor, Limit, PlainRequest, context_of, principal_of, queries_of, segment, text_or_400

SessionPath = Annotated[str, PathParameter(description="Id of the session")]


@get("/sessions", operation_id="listSessions", tags=["Sessions"], summary="List sessions")
async def list_sessions(
    request: PlainRequest,
    station: Annotated[str | None, QueryParameter(max_length=48, description="Only of this station")] = None,
    status: Annotated[Literal["active", "ended"] | None, QueryParameter(description="Only these")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> types.SessionPage:
    """Charging sessions, newest started first."""
    queries = queries_of(request, "sessions:read")
    return await queries.sessions(station=text_or_400("station", station), status=status, cursor=cursor, limit=limit)


@get("/sessions/{session_id:str}", operation_id="getSession", tags=["Sessions"], summary="One session")
async def get_session(request: PlainRequest, session_id: SessionPath) -> types.Session:
    """A charging session."""
    return await queries_of(request, "sessions:read").session(segment(session_id))


@get("/sessions/{session_id:str}/samples", operation_id="listSamples", tags=["Sessions"], summary="Meter samples")
async def list_samples(
    request: PlainRequest,
    session_id: SessionPath,
    measurand: Annotated[str | None, QueryParameter(max_length=100, description="Only this measurand")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=100_000, description="At most so many")] = 10_000,
) -> types.SamplePage:
    """Every sampled value of a session in order of time, from the hot store and the history alike."""
    found = await queries_of(request, "sessions:read").samples(
        segment(session_id), measurand=text_or_400("measurand", measurand), limit=limit
    )
    return types.SamplePage(items=found)


@get("/sessions/{session_id:str}/curve", operation_id="getCurve", tags=["Sessions"], summary="Power curve")
async def get_curve(
    request: PlainRequest,
    session_id: SessionPath,
    points: Annotated[int, QueryParameter(ge=10, le=2_000, description="About how many points")] = 240,
) -> types.Curve:
    """Power over time, thinned for a chart; derived from the energy register where the station measures no power."""
    return await queries_of(request, "sessions:read").curve(segment(session_id), points=points)


@get("/totals", operation_id="getTotals", tags=["Live"], summary="The site at a glance")
async def get_totals(request: PlainRequest) -> types.Totals:
    """How much is charging now and what was delivered today."""
    return await hub_of(context_of(request), principal_of(request, "reports:read")).totals()


HANDLERS = [list_sessions, get_session, list_samples, get_curve, get_totals]
