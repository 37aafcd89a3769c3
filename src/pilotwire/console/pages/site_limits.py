"""All limits of a site: of what, by whom, from when until when, and which of them bind now."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.params import FromQuery
from litestar.response import Stream

from pilotwire.api import types
from pilotwire.api.language import _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import controllers

from ..view import macros
from .common import PlainRequest, Text, allowed
from .site_frame import away, not_here, show, site_of, state_of, without
from .site_live import PIECES, Fragments, follow

_SHOWS = ("", "now", "binding")


def _chosen(now: types.SiteNow, wanted: str) -> list[types.SiteLimit]:
    """In the order of the tree, those that bind first at each place."""
    places = {node.id: place for place, node in enumerate(now.nodes)}
    rows = [
        one
        for one in now.limits
        if not wanted or (one.in_force if wanted == "now" else one.binding)
    ]  # fmt: skip
    return sorted(rows, key=lambda one: (places.get(one.node, len(places)), not one.binding, not one.in_force))


def _fragments(now: types.SiteNow, wanted: str) -> Fragments:
    return {"limits": str(macros(PIECES).limits(_chosen(now, wanted)))}


@get("/sites/{site_id:str}/limits")
async def limits(request: PlainRequest, site_id: Text, which: FromQuery[str] = "") -> Response[Any]:
    """The table."""
    context, principal = allowed(request, "sites:read")
    site = await site_of(context, principal, site_id)
    if site.controller is None:
        return without(request, context, principal, site, "limits")
    wanted = which if which in _SHOWS else ""
    try:
        now = await controllers.now(context, principal, site.id)
    except Problem as why:
        if not away(why):
            raise
        return not_here(request, context, principal, site, "limits", why)
    state, heard = state_of(context, site)
    shows = [("", _("All")), ("now", _("In force")), ("binding", _("Binding now"))]
    return show(
        request, context, principal, site, "controller/limits.html", "limits",
        state=state, heard_at=heard, shows=shows, which=wanted, pieces=_fragments(now, wanted),
    )  # fmt: skip


@get("/ui/sites/{site_id:str}/limits", media_type="text/event-stream")
async def limits_stream(request: PlainRequest, site_id: Text, which: FromQuery[str] = "") -> Stream:
    """Its rows as they change."""
    context, principal = allowed(request, "sites:read")
    site = await site_of(context, principal, site_id)
    return follow(request, context, principal, site, lambda now: _fragments(now, which if which in _SHOWS else ""))


HANDLERS: list[Any] = [limits, limits_stream]
