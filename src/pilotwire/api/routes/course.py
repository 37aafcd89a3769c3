"""The course of a session: what happened, and what the meter measured."""

from __future__ import annotations

from typing import Annotated

from litestar import get
from litestar.params import QueryParameter

from .. import types
from ..resources import curves, timeline
from .common import PlainRequest, context_of, principal_of, segment
from .sessions import SessionPath


@get("/sessions/{session_id:str}/events", operation_id="listSessionEvents", tags=["Sessions"], summary="Its events")
async def list_session_events(request: PlainRequest, session_id: SessionPath) -> types.SessionEventPage:
    """What happened during a session, in order of time: begin, pauses and end with their reasons, the connector's
    states and faults, commands, lost connections."""
    principal = principal_of(request, "sessions:read")
    return types.SessionEventPage(items=await timeline.timeline(context_of(request), principal, segment(session_id)))


@get("/sessions/{session_id:str}/curves", operation_id="getSessionCurves", tags=["Sessions"], summary="Its curves")
async def get_session_curves(
    request: PlainRequest,
    session_id: SessionPath,
    points: Annotated[int, QueryParameter(ge=10, le=5_000, description="About how many points of each")] = 600,
) -> types.SessionCurves:
    """Power, energy, state of charge, current and voltage over time, each thinned for a chart."""
    principal = principal_of(request, "sessions:read")
    return await curves.curves(context_of(request), principal, segment(session_id), points=points)


HANDLERS = [list_session_events, get_session_curves]
