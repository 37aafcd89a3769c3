"""What happens now, at a glance: what charges, power against limits, energy, what is wrong, and where."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import MediaType, Response, get
from litestar.params import FromQuery

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import _, speaking
from pilotwire.api.live import hub_of
from pilotwire.api.resources import alarms, sites

from .. import maps
from ..view import count
from .common import PlainRequest, allowed, fragment, page

_ROWS = 40
"""So many running sessions are shown, those that draw most first."""
_SITES = 12
_ALARMS = 6
_FRESH_S = 1.0
"""What a hundred consoles ask for at the same time is put together once."""


class _Kept:
    """Pieces that were just made, by what they show."""

    def __init__(self) -> None:
        self.pieces: dict[Any, tuple[float, int, dict[str, Any]]] = {}


async def _now(context: ApiContext, principal: Principal, site: str, *, fresh: bool) -> dict[str, Any]:
    kept: _Kept = context.parts.setdefault(_Kept, _Kept())
    rights = (principal.may("sessions:read"), principal.may("alarms:read"), principal.may("sites:read"))
    key = (principal.tenant, principal.sites, principal.tokens, rights, site, speaking())
    # Made before the last change was told, it would be shown until the next one.
    now, ticks = asyncio.get_running_loop().time(), hub_of(context, principal).ticks
    found = kept.pieces.get(key)
    if found is not None and not fresh and now - found[0] < _FRESH_S and found[1] == ticks:
        return found[2]
    kept.pieces = {one: piece for one, piece in kept.pieces.items() if now - piece[0] < _FRESH_S}
    values = await _gather(context, principal, site)
    kept.pieces[key] = (now, ticks, values)
    return values


async def _gather(context: ApiContext, principal: Principal, site: str) -> dict[str, Any]:
    overview = await hub_of(context, principal).overview()
    places: list[types.Site] = []
    summaries: list[types.SiteSummary] = []
    if principal.may("sites:read"):
        places = await sites.sites(context, principal)
        summaries = await sites.summaries(context, principal) if places else []
    here = next((one for one in places if one.id == site), None)
    running = overview.sessions if principal.may("sessions:read") else []
    stations = [one for one in overview.stations if here is None or one.site == here.id]
    if here is not None:
        names = {one.id for one in stations}
        running = [one for one in running if one.station_id in names]
    draws = {one.station_id for one in overview.sessions if one.power_w > 0}
    opened = None
    if principal.may("alarms:read"):
        opened = (await alarms.alarms(context, principal, state="open", site=site or None, limit=_ALARMS)).items
    limits = [one.power_limit_w for one in summaries if one.power_limit_w and (here is None or one.site_id == here.id)]
    told = next((one for one in summaries if here is not None and one.site_id == here.id), None)
    return {
        "totals": overview.totals,
        "told": told,
        "limit": sum(limits) if limits and len(limits) == len(summaries if here is None else [told]) else None,
        "sessions": sorted(running, key=lambda one: (-one.power_w, one.id))[:_ROWS],
        "running": len(running),
        "events": [one for one in overview.events if here is None or one.station_id in {s.id for s in stations}],
        "site": here,
        "summaries": sorted(summaries, key=lambda one: -(one.load_percent or 0))[:_SITES],
        "more_sites": max(0, len(summaries) - _SITES),
        "alarms": opened,
        "alarms_open": overview.totals.alarms_open if opened is not None else 0,
        "drawing": _drawing(places, here, summaries, stations, draws),
        "stations": len(overview.stations),
    }


def _drawing(
    places: list[types.Site],
    here: types.Site | None,
    summaries: list[types.SiteSummary],
    stations: list[types.Station],
    draws: set[str],
) -> maps.Drawing | None:
    """The plan of the chosen or only site, else the map of sites, else each station as a square, where they are few."""
    if here is None and len(places) == 1 and places[0].plan is not None:
        here = places[0]
    if here is not None and here.plan is not None and len(stations) <= maps.FIELD:
        standing = {one.id: one for one in stations}
        return maps.of_plan(here.plan, standing, draws, background=here.background)
    if here is None:
        drawn = maps.of_sites(places, {one.site_id: one for one in summaries})
        if drawn is not None:
            return drawn
    if 0 < len(stations) <= maps.FIELD:
        return maps.of_field(stations, draws)
    return None


@get("/")
async def index(request: PlainRequest, site: FromQuery[str] = "") -> Response[Any]:
    """The picture of now; live.js keeps it moving."""
    context, principal = allowed(request, "stations:read")
    values = await _now(context, principal, site, fresh=True)
    chosen = values["site"]
    crumbs: list[Any] = [(_("Overview"), "/"), (chosen.name, None)] if chosen else [(_("Overview"), None)]
    return page(request, "overview/index.html", here="overview", crumbs=crumbs, may=principal.may, **values)


@get("/ui/overview/now")
async def now(request: PlainRequest, site: FromQuery[str] = "") -> Response[Any]:
    """What moves of it, drawn anew."""
    context, principal = allowed(request, "stations:read")
    values = await _now(context, principal, site, fresh=False)
    return fragment(request, "overview/now.html", may=principal.may, **values)


@get("/ui/alarms/open")
async def alarms_open(request: PlainRequest) -> Response[Any]:
    """How many alarms are open, for the navigation; nothing where none is."""
    context, principal = allowed(request, "alarms:read")
    number = (await hub_of(context, principal).picture()).totals().alarms_open
    return Response(count(number) if number else "", media_type=MediaType.HTML)


HANDLERS: list[Any] = [index, now, alarms_open]
