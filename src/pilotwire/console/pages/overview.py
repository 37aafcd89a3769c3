"""What happens now, at a glance."""

from __future__ import annotations

from typing import Any

from litestar import Response, get

from pilotwire.api.live import hub_of

from .common import PlainRequest, context_of, fragment, page, principal_of

_ROWS = 50
"""So many running sessions are shown, those that draw most first."""


async def _now(request: PlainRequest) -> dict[str, Any]:
    principal = principal_of(request, "stations:read")
    overview = await hub_of(context_of(request), principal).overview()
    sessions = sorted(overview.sessions, key=lambda one: (-one.power_w, one.id))
    return {"totals": overview.totals, "sessions": sessions[:_ROWS], "events": overview.events}


@get("/")
async def index(request: PlainRequest) -> Response[Any]:
    """The picture of now; live.js keeps it moving."""
    return page(request, "overview/index.html", here="overview", **await _now(request))


@get("/ui/overview/now")
async def now(request: PlainRequest) -> Response[Any]:
    """What charges now, drawn anew."""
    return fragment(request, "overview/now.html", **await _now(request))


HANDLERS: list[Any] = [index, now]
