"""Sessions: every one that runs or ran, to be filtered, sorted, summed up, kept as a view and exported."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from urllib.parse import urlencode

from litestar import Response, get
from litestar.params import QueryParameter

from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import N_, _
from pilotwire.api.queries import Queries
from pilotwire.api.resources import sites
from pilotwire.api.routes.sessions import wanted_sessions
from pilotwire.core.time import to_datetime

from ..words import TABLES, word
from .common import PlainRequest, allowed, fragment, page
from .lists import Address, Cursor
from .session import lasted, mean_power
from .views import views_of

_PAGE = 50
PERIODS = {
    "today": N_("today"),
    "yesterday": N_("yesterday"),
    "7d": N_("the last 7 days"),
    "30d": N_("the last 30 days"),
    "month": N_("this month"),
    "last-month": N_("last month"),
}
"""Times to choose from, by the server's clock."""
_SIMPLE = ("q", "status", "site", "station", "token", "stop_reason", "flags")
_NAMES = (*_SIMPLE, "period", "from", "to", "odd")
Short = Annotated[str, QueryParameter(max_length=200)]


def _period(name: str, context: ApiContext) -> tuple[datetime | None, datetime | None]:
    """From when to when a period reaches; None: no bound."""
    now = to_datetime(context.scheduler.now()).astimezone(context.config.zone)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None)
    first = today.replace(day=1)
    begin, end = {
        "today": (today, None),
        "yesterday": (today - timedelta(days=1), today),
        "7d": (today - timedelta(days=6), None),
        "30d": (today - timedelta(days=29), None),
        "month": (first, None),
        "last-month": ((first - timedelta(days=1)).replace(day=1), first),
    }.get(name, (None, None))
    zone = context.config.zone
    # Midnights of the zone, also across a change of the clock.
    return (begin.replace(tzinfo=zone) if begin else None, end.replace(tzinfo=zone) if end else None)


def _day(text: str, context: ApiContext, *, after: int = 0) -> datetime | None:
    try:
        return (datetime.fromisoformat(text) + timedelta(days=after)).replace(tzinfo=context.config.zone)
    except (ValueError, OverflowError):
        return None


def _asked(request: PlainRequest) -> dict[str, str]:
    """What the address asks for, cleaned; "" for what it does not."""
    given = {name: request.query_params.get(name, "").strip()[:200] for name in _NAMES}
    if given["status"] not in ("active", "ended"):
        given["status"] = ""
    if given["period"] not in PERIODS:
        given["period"] = ""
    if given["from"] or given["to"]:
        given["period"] = ""
    return given


def _question(asked: dict[str, str], context: ApiContext, sort: str) -> dict[str, Any]:
    """The same as parameters of the API's list and exports."""
    begin, end = _period(asked["period"], context)
    begin = _day(asked["from"], context) or begin
    end = _day(asked["to"], context, after=1) or end
    found: dict[str, Any] = {}
    for name in _SIMPLE:
        if value := asked[name]:
            found[name] = value if name in ("q", "status") else [value]
    if asked["odd"]:
        found["flagged"] = True
    if begin is not None:
        found["started_from"] = begin
    if end is not None:
        found["started_before"] = end
    if sort and not (asked["status"] == "active" and sort.removeprefix("-") != "started_at"):
        found["sort"] = sort
    return found


def _query(question: dict[str, Any]) -> str:
    """The question as the query of an address of the API."""
    plain: dict[str, Any] = {}
    for name, value in question.items():
        plain[name] = value.isoformat() if isinstance(value, datetime) else "true" if value is True else value
    return urlencode(plain, doseq=True)


async def _site_names(context: ApiContext, principal: Principal) -> dict[str, str]:
    if not principal.may("sites:read"):
        return {}
    found = await sites.names(context, principal)
    return dict(sorted(found.items(), key=lambda pair: pair[1].casefold()))


@get("/sessions")
async def session_list(
    request: PlainRequest,
    sort: Annotated[str, QueryParameter(max_length=40)] = "-started_at",
    cursor: Cursor = None,
) -> Response[Any]:
    """Live and past sessions."""
    context, principal = allowed(request, "sessions:read")
    asked = _asked(request)
    question = _question(asked, context, sort)
    queries = Queries(context, principal)
    wanted = await wanted_sessions(request, **question)
    found = await queries.sessions(wanted=wanted, cursor=cursor, limit=_PAGE, count=True)
    now = context.scheduler.now()
    address = Address("/sessions", **asked, sort="" if sort == "-started_at" else sort)
    return page(
        request,
        "sessions/list.html",
        here="sessions",
        crumbs=[(_("Sessions"), None)],
        items=found.items,
        next=found.next,
        total=found.total if isinstance(found.total, int) else None,
        cursor=cursor,
        asked=asked,
        sort=question.get("sort", "-started_at"),
        address=address,
        saved=await views_of(context, principal, "sessions", address),
        query=_query({name: value for name, value in question.items() if name != "sort"}),
        lasted={one.id: lasted(one.started_at, one.ended_at, now) for one in found.items},
        mean={one.id: mean_power(one, now) for one in found.items},
        priced=any(one.cost is not None for one in found.items),
        periods=PERIODS,
        sites=await _site_names(context, principal),
        reasons=_choices("stop"),
        flags=_choices("flag"),
        may_export=principal.may("sessions:export"),
        live=principal.may("events:read") and any(one.status == "active" for one in found.items),
        filtered=any(asked.values()),
        everything=not any(asked.values()) and cursor is None,
    )


def _choices(table: str) -> list[tuple[str, str]]:
    return sorted(((code, _(word(table, code).name)) for code in TABLES[table]), key=lambda pair: pair[1].casefold())


@get("/ui/sessions/sums")
async def session_sums(request: PlainRequest) -> Response[Any]:
    """What the sessions that fit come to, as far as they can be gone through quickly."""
    context, principal = allowed(request, "sessions:read")
    question = _question(_asked(request), context, "")
    wanted = await wanted_sessions(request, **question)
    sums = await Queries(context, principal).sums(wanted)
    count, energy = sums.sessions or 0, sums.energy_wh or 0
    return fragment(
        request,
        "sessions/sums.html",
        count=count,
        energy=energy,
        hours=(sums.duration_s or 0) / 3600,
        whole=sums.sessions is not None,
        mean=energy // count if count else 0,
        may_report=principal.may("reports:read"),
    )


HANDLERS: list[Any] = [session_list, session_sums]
