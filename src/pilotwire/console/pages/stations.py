"""The table of stations: found, filtered, sorted and paged by the server, ten thousand as quickly as a dozen."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get
from litestar.datastructures import Cookie
from litestar.params import FromQuery, QueryParameter

from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.fleet_query import SORTS, StationQuery
from pilotwire.api.language import N_, _
from pilotwire.api.queries import Queries
from pilotwire.api.resources import sites

from .common import PlainRequest, allowed, page
from .lists import Address
from .views import views_of

PAGE = 50
COLUMNS: dict[str, tuple[str, str]] = {
    "state": (N_("State"), ""),
    "power": (N_("Power"), "power_w"),
    "site": (N_("Site"), "site"),
    "model": (N_("Model"), "model"),
    "firmware": (N_("Firmware"), "firmware"),
    "version": (N_("OCPP"), "ocpp_version"),
    "seen": (N_("Last heard"), "last_seen"),
    "vendor": (N_("Vendor"), "vendor"),
    "serial": (N_("Serial number"), ""),
    "address": (N_("Address"), ""),
    "profile": (N_("Security"), ""),
    "booted": (N_("Booted"), "booted_at"),
    "note": (N_("Note"), ""),
}
"""Key → title, and the field that it is sorted by."""
DEFAULT = ("state", "power", "site", "model", "firmware", "version", "seen")
_COOKIE = "pilotwire_columns"
SHOWS: dict[str, tuple[str, dict[str, Any]]] = {
    "": (N_("All"), {}),
    "online": (N_("Online"), {"connected": True}),
    "offline": (N_("Offline"), {"connected": False}),
    "charging": (N_("In use"), {"status": ("Charging", "Occupied", "SuspendedEV", "SuspendedEVSE", "Finishing")}),
    "free": (N_("Available"), {"status": ("Available",), "connected": True}),
    "fault": (N_("Faulted"), {"status": ("Faulted",)}),
}
"""What the buttons above the table show."""
FILTERS = ("site", "model", "firmware", "ocpp_version", "vendor")


def query_of(asked: dict[str, Any]) -> StationQuery:
    """The address's question in the terms of the API."""
    fields: dict[str, Any] = dict(SHOWS.get(asked.get("show", ""), SHOWS[""])[1])
    for name in FILTERS:
        if asked.get(name):
            fields[name] = tuple(asked[name]) if isinstance(asked[name], list) else (asked[name],)
    return StationQuery(q=asked.get("q", ""), **fields)


def _columns(request: PlainRequest, chosen: list[str] | None) -> list[str]:
    """What the address says, else what this browser chose, else the usual ones; in the order of the table."""
    given = chosen if chosen is not None else request.cookies.get(_COOKIE, "").split(".")
    picked = [name for name in COLUMNS if name in given]
    return picked or list(DEFAULT)


async def listing(
    context: ApiContext, principal: Principal, asked: dict[str, Any], sort: str, cursor: str | None
) -> dict[str, Any]:
    """A page of the table and what can be filtered by."""
    queries = Queries(context, principal)
    wanted = query_of(asked)
    found = await queries.stations(wanted=wanted, sort=sort, cursor=cursor, limit=PAGE, count=True)
    facets = await queries.station_facets()
    names = {one.id: one.name for one in await sites.sites(context, principal)} if principal.may("sites:read") else {}
    running: dict[str, Any] = {}
    if principal.may("sessions:read"):
        for station in found.items:
            for connector in station.connectors:
                if connector.session_id and station.ocpp_version != "1.6":
                    session = await queries.find_session(connector.session_id)
                    if session is not None:
                        running[session.id] = session
    return {"found": found, "facets": facets, "names": names, "sessions": running, "everything": wanted.everything}


def _bulk(principal: Principal) -> dict[str, str]:
    """What may be done to many: action → title."""
    from .jobs import actions_of

    return {key: told[0] for key, told in actions_of(principal).items()}


@get("/stations")
async def table(
    request: PlainRequest,
    q: Annotated[str, QueryParameter(max_length=100)] = "",
    show: FromQuery[str] = "",
    site: FromQuery[str] = "",
    model: FromQuery[str] = "",
    firmware: FromQuery[str] = "",
    ocpp_version: FromQuery[str] = "",
    vendor: FromQuery[str] = "",
    sort: FromQuery[str] = "id",
    cursor: FromQuery[str | None] = None,
    columns: FromQuery[list[str] | None] = None,
) -> Response[Any]:
    """The table."""
    context, principal = allowed(request, "stations:read")
    asked = {
        "q": q.strip() if q.isprintable() else "", "show": show if show in SHOWS else "", "site": site, "model": model,
        "firmware": firmware, "ocpp_version": ocpp_version, "vendor": vendor,
    }  # fmt: skip
    shown = _columns(request, columns)
    address = Address("/stations", sort="" if sort == "id" else sort, **asked)
    made = page(
        request,
        "stations/list.html",
        here="stations",
        crumbs=[(_("Stations"), None)],
        address=address,
        asked=asked,
        sort=sort,
        sorts=SORTS,
        shows=SHOWS,
        columns=COLUMNS,
        shown=shown,
        cursor=cursor,
        may=principal.may,
        bulk=_bulk(principal),
        saved=await views_of(context, principal, "stations", address),
        **await listing(context, principal, asked, sort, cursor),
    )
    if columns is not None:
        made.set_cookie(
            Cookie(key=_COOKIE, value=".".join(shown), max_age=365 * 86_400, path="/", httponly=True, samesite="lax")
        )
    return made


HANDLERS: list[Any] = [table]
