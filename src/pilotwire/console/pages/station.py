"""One station: what it does now, and everything that one may want to know of it or do with it."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.params import FromQuery

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import N_, _
from pilotwire.api.queries import Queries
from pilotwire.api.resources import evses, handshakes

from .common import PlainRequest, Text, allowed, fragment, page, segment

TABS: list[tuple[str, str, str]] = [
    ("", N_("Now"), "stations:read"),
    ("sessions", N_("Sessions"), "sessions:read"),
    ("alarms", N_("Alarms"), "alarms:read"),
    ("checks", N_("Checks"), "stations:read"),
    ("messages", N_("Messages"), "messages:read"),
    ("configuration", N_("Configuration"), "variables:read"),
    ("commands", N_("Commands"), "commands:read"),
    ("charging", N_("Limits"), "stations:read"),
    ("kept", N_("What it keeps"), "stations:read"),
    ("firmware", N_("Firmware and logs"), "stations:read"),
    ("security", N_("Security"), "stations:read"),
    ("certificates", N_("Certificates"), "stations:read"),
    ("network", N_("Network"), "stations:read"),
    ("account", N_("Account"), "stations:write"),
]
"""Path below the station, text, who may see it."""


async def station_of(context: ApiContext, principal: Principal, station_id: str) -> types.Station:
    """Raises Problem 404, 403."""
    principal.need("stations:read")
    return await Queries(context, principal).station(segment(station_id))


def frame(principal: Principal, station: types.Station, tab: str) -> dict[str, Any]:
    """What every tab's template needs."""
    return {
        "here": "stations",
        "crumbs": [(_("Stations"), "/stations"), (station.id, None)],
        "station": station,
        "tab": tab,
        "tabs": [one for one in TABS if principal.may(one[2])],
        "may": principal.may,
        "do": "",
    }


async def running_of(context: ApiContext, principal: Principal, station: types.Station) -> dict[str, types.Session]:
    """The sessions that run at the station's connectors, by id."""
    if not principal.may("sessions:read"):
        return {}
    queries = Queries(context, principal)
    found = {one.id: one for one in (await queries.sessions(station=station.id, status="active", limit=50)).items}
    for connector in station.connectors:
        if connector.session_id and connector.session_id not in found:
            one = await queries.find_session(connector.session_id)
            if one is not None and one.status == "active":
                found[one.id] = one
    return found


async def _now(context: ApiContext, principal: Principal, station: types.Station) -> dict[str, Any]:
    queries = Queries(context, principal)
    recent = await queries.sessions(station=station.id, limit=6) if principal.may("sessions:read") else None
    return {
        "station": station,
        "sessions": await running_of(context, principal, station),
        "details": await evses.details(context, principal, station.id),
        "ended": [one for one in recent.items if one.status == "ended"] if recent else [],
        "commands": await queries.commands(station.id, limit=6) if principal.may("commands:read") else [],
        "may": principal.may,
    }


@get("/stations/{station_id:str}")
async def now(request: PlainRequest, station_id: Text, do: FromQuery[str] = "") -> Response[Any]:
    """Its connectors and what they do; `do` opens the dialog of a command."""
    context, principal = allowed(request, "stations:read")
    station = await station_of(context, principal, station_id)
    values = frame(principal, station, "") | await _now(context, principal, station)
    values["do"] = do if do.isalpha() and principal.may("commands:send") else ""
    return page(request, "station/now.html", **values)


@get("/ui/stations/{station_id:str}/now")
async def now_piece(request: PlainRequest, station_id: Text) -> Response[Any]:
    """The same, drawn anew."""
    context, principal = allowed(request, "stations:read")
    station = await station_of(context, principal, station_id)
    return fragment(request, "station/now_body.html", **await _now(context, principal, station))


@get("/ui/stations/{station_id:str}/head")
async def head_piece(request: PlainRequest, station_id: Text) -> Response[Any]:
    """The heading with what it does and the buttons, drawn anew."""
    context, principal = allowed(request, "stations:read")
    station = await station_of(context, principal, station_id)
    return fragment(request, "station/head.html", station=station, may=principal.may)


@get("/stations/{station_id:str}/sessions")
async def sessions(request: PlainRequest, station_id: Text, cursor: FromQuery[str | None] = None) -> Response[Any]:
    """Its sessions, newest first."""
    context, principal = allowed(request, "sessions:read")
    station = await station_of(context, principal, station_id)
    found = await Queries(context, principal).sessions(station=station.id, cursor=cursor, limit=50)
    return page(request, "station/sessions.html", found=found, cursor=cursor, **frame(principal, station, "sessions"))


@get("/stations/{station_id:str}/network")
async def network(request: PlainRequest, station_id: Text) -> Response[Any]:
    """How it is connected, and its account."""
    context, principal = allowed(request, "stations:read")
    station = await station_of(context, principal, station_id)
    return page(
        request,
        "station/network.html",
        details=await evses.details(context, principal, station.id),
        handshakes=await handshakes.handshakes(context, principal, station.id),
        **frame(principal, station, "network"),
    )


HANDLERS: list[Any] = [now, now_piece, head_piece, sessions, network]
