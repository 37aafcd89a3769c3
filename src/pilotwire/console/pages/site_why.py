"""Why an EVSE gets what it gets: now, and at any moment of the past, made again from the record."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.params import FromQuery
from litestar.response import Stream

from pilotwire.api import types
from pilotwire.api.language import _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import controllers
from pilotwire.core.time import to_rfc3339

from .. import site_plots
from ..diagram import figure, state_of_evse
from ..view import macros
from .common import PlainRequest, Text, allowed
from .site_frame import away, instant, local, ms_of, not_here, show, site_of, state_of, without
from .site_live import PIECES, Fragments, follow

_HOUR_MS = 3_600_000
SPANS = (1, 6, 24)
"""Hours of the course that one can choose."""
SHOWN = 100
"""Changes in the table at most; the newest."""


def _fragments(now: types.SiteNow, evse: str) -> Fragments:
    one = next((each for each in now.evses if each.id == evse), None)
    if one is None:
        return {}
    pieces = macros(PIECES)
    return {"why": str(pieces.sentences(one.why)), "evse": str(pieces.figures(one, state_of_evse(one)))}


@get("/sites/{site_id:str}/why")
async def why(
    request: PlainRequest, site_id: Text, evse: FromQuery[str] = "", at: FromQuery[str] = "", hours: FromQuery[str] = ""
) -> Response[Any]:
    """The sentences of an EVSE, the course of its set-points with their reasons; `at` is a moment of the past."""
    context, principal = allowed(request, "sites:read")
    site = await site_of(context, principal, site_id)
    if site.controller is None:
        return without(request, context, principal, site, "why")
    try:
        now = await controllers.now(context, principal, site.id)
    except Problem as problem:
        if not away(problem):
            raise
        return not_here(request, context, principal, site, "why", problem)
    chosen = next((one for one in now.evses if one.id == evse), now.evses[0] if now.evses else None)
    state, heard = state_of(context, site)
    span = int(hours) if hours in map(str, SPANS) else 6
    asked = instant(at, site.zone) if at else None
    wrong = _("That is no time; choose one in the field.") if at and asked is None else ""
    past: types.SitePast | None = None
    then: types.SiteEvse | None = None
    if chosen is not None and asked is not None:
        try:
            past = await controllers.past(context, principal, site.id, asked)
            then = next((one for one in past.now.evses if one.id == chosen.id), None)
        except Problem as problem:
            wrong = problem.details.detail
    until = context.scheduler.now() if asked is None else min(context.scheduler.now(), asked + span * _HOUR_MS // 2)
    begin = until - span * _HOUR_MS
    changes: list[types.SetPointChange] = []
    if chosen is not None:
        try:
            changes = await controllers.changes(context, principal, site.id, chosen.id, begin, until)
        except Problem as problem:
            if not away(problem):
                raise
    top = max([one.value for one in changes] or [0])
    unit = changes[0].unit if changes else "mA"
    per = 1000
    most = site_plots.top_of(top / per) * per if top else per
    return show(
        request, context, principal, site, "controller/why.html", "why",
        now=now, chosen=chosen, state=state, heard_at=heard, span=span, spans=SPANS, asked=asked, past=past, then=then,
        wrong=wrong, pieces=_fragments(now, chosen.id) if chosen is not None else {},
        at_field=local(asked if asked is not None else context.scheduler.now(), site.zone, "%Y-%m-%dT%H:%M:%S"),
        asked_text=None if asked is None else to_rfc3339(asked), changes=list(reversed(changes))[:SHOWN],
        more=max(0, len(changes) - SHOWN), of_state=state_of_evse,
        path_of=site_plots.steps([(ms_of(one.time), one.value) for one in changes], begin, until, int(most)),
        marker=None if asked is None or not begin <= asked <= until
        else round((asked - begin) / (until - begin) * 1000, 1),
        ticks=[figure(int(most * part / 4), unit) for part in (4, 3, 2, 1, 0)],
        labels=[local(begin + (until - begin) * part // 6, site.zone) for part in range(6)],
    )  # fmt: skip


@get("/ui/sites/{site_id:str}/why", media_type="text/event-stream")
async def why_stream(request: PlainRequest, site_id: Text, evse: FromQuery[str] = "") -> Stream:
    """Its sentences as they change."""
    context, principal = allowed(request, "sites:read")
    site = await site_of(context, principal, site_id)
    return follow(request, context, principal, site, lambda now: _fragments(now, evse))


HANDLERS: list[Any] = [why, why_stream]
