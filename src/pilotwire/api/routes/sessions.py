"""Sessions, their samples and power curves, and the totals."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Literal, cast

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency, Provide
from litestar.params import PathParameter, QueryParameter, SkipValidation
from litestar.response import Stream

from pilotwire.storage.session_list import SessionQuery, SessionSort

from .. import audit, exports, types
from ..context import ApiContext
from ..language import _
from ..listing import SortText, instant, sort_of
from ..live import hub_of
from ..problems import problem
from .common import (
    Count,
    Cursor,
    Limit,
    PlainRequest,
    Several,
    context_of,
    principal_of,
    queries_of,
    segment,
    text_or_400,
    texts_or_400,
)

SORTS = ("started_at", "ended_at", "energy_wh")
_MOST = 1 << 53

SessionPath = Annotated[str, PathParameter(description="Id of the session")]


Stations = Annotated[list[str] | None, QueryParameter(description="At this station, by id" + Several)]
Sites = Annotated[list[str] | None, QueryParameter(description="At a station of this site, by id" + Several)]
Tokens = Annotated[list[str] | None, QueryParameter(description="Begun with this token, in any case" + Several)]
Reasons = Annotated[list[str] | None, QueryParameter(description="That ended for this OCPP reason" + Several)]
Flags = Annotated[list[str] | None, QueryParameter(description="With this anomaly, e.g. seq-gap" + Several)]


async def wanted_sessions(
    request: PlainRequest,
    station: Stations = None,
    site: Sites = None,
    status: Annotated[Literal["active", "ended"] | None, QueryParameter(description="Only these")] = None,
    token: Tokens = None,
    started_from: Annotated[datetime | None, QueryParameter(description="Begun at this time or later")] = None,
    started_before: Annotated[datetime | None, QueryParameter(description="Begun earlier than this time")] = None,
    ended_from: Annotated[datetime | None, QueryParameter(description="Ended at this time or later")] = None,
    ended_before: Annotated[datetime | None, QueryParameter(description="Ended earlier than this time")] = None,
    energy_from_wh: Annotated[int | None, QueryParameter(ge=0, le=_MOST, description="Ended with so much, Wh")] = None,
    energy_to_wh: Annotated[int | None, QueryParameter(ge=0, le=_MOST, description="Ended with no more, Wh")] = None,
    stop_reason: Reasons = None,
    flags: Flags = None,
    flagged: Annotated[bool | None, QueryParameter(description="With any anomaly, or with none")] = None,
    q: Annotated[
        str | None,
        QueryParameter(max_length=100, description="Part of the station's id or the token, or the session's whole id"),
    ] = None,
    sort: SortText = None,
) -> SessionQuery:
    """What is asked of the sessions; the list and the export take the same."""
    order = sort_of(sort, SORTS, "-started_at")
    stations = texts_or_400("station", station) or None
    if sites := texts_or_400("site", site):
        queries = queries_of(request, "sessions:read")
        there = {one.id async for one in queries.every_station() if one.site in sites}
        stations = tuple(sorted(there if stations is None else there.intersection(stations)))
    if status == "active" and order.field != "started_at":
        message = _("sessions that are under way can be sorted by started_at alone")
        raise problem("bad-parameter", errors=[{"field": "sort", "message": message}])
    return SessionQuery(
        stations=stations,
        status=status,
        tokens=texts_or_400("token", token) or None,
        started_from=instant("started_from", started_from),
        started_before=instant("started_before", started_before),
        ended_from=instant("ended_from", ended_from),
        ended_before=instant("ended_before", ended_before),
        energy_from=energy_from_wh,
        energy_to=energy_to_wh,
        reasons=texts_or_400("stop_reason", stop_reason),
        flags=texts_or_400("flags", flags),
        flagged=flagged,
        q=text_or_400("q", q) or "",
        sort=cast("SessionSort", order.field),
        descending=order.descending,
    )


@get(
    "/sessions",
    operation_id="listSessions",
    tags=["Sessions"],
    summary="List sessions",
    dependencies={"wanted": Provide(wanted_sessions)},
)
async def list_sessions(
    request: PlainRequest,
    wanted: NamedDependency[SkipValidation[SessionQuery]],
    cursor: Cursor = None,
    limit: Limit = 50,
    count: Count = False,
) -> types.SessionPage:
    """Charging sessions, newest started first, or by `sort`: started_at, ended_at, energy_wh.

    By ended_at and energy_wh only those that have ended are listed. Filters may be combined; one that is given several
    times wants any of its values. A page may hold fewer than `limit` items and still have a next one, where few of
    many sessions fit.
    """
    return await queries_of(request, "sessions:read").sessions(wanted=wanted, cursor=cursor, limit=limit, count=count)


@get(
    "/sessions/sums",
    operation_id="sumSessions",
    tags=["Sessions"],
    summary="What sessions come to",
    dependencies={"wanted": Provide(wanted_sessions)},
)
async def sum_sessions(
    request: PlainRequest, wanted: NamedDependency[SkipValidation[SessionQuery]]
) -> types.SessionSums:
    """How many sessions fit, their energy and their time, with the filters of the list. Up to 100,000 are gone through;
    what needs more is answered with null."""
    return await queries_of(request, "sessions:read").sums(wanted)


@get("/sessions/{session_id:str}", operation_id="getSession", tags=["Sessions"], summary="One session")
async def get_session(request: PlainRequest, session_id: SessionPath) -> types.Session:
    """A charging session."""
    return await queries_of(request, "sessions:read").session(segment(session_id))


@get(
    "/sessions/{session_id:str}/samples",
    operation_id="listSamples",
    tags=["Sessions"],
    summary="Meter samples",
    exports=True,
)
async def list_samples(
    request: PlainRequest,
    session_id: SessionPath,
    measurand: Annotated[str | None, QueryParameter(max_length=100, description="Only this measurand")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1_000_000, description="At most so many")] = 10_000,
    format: Annotated[
        Literal["json", "csv", "jsonl", "parquet"],
        QueryParameter(description="json, or a file: csv, jsonl (JSON Lines) or parquet, which sessions:export allows"),
    ] = "json",
) -> types.SamplePage:
    """Every sampled value of a session in order of time, from the hot store and the history alike.

    As JSON, or as a file whose columns are named like the fields: `value` is in the `unit` of its row.
    """
    wanted, only = segment(session_id), text_or_400("measurand", measurand)
    if format == "json":
        limit = min(limit, 100_000)
        found = await queries_of(request, "sessions:read").samples(wanted, measurand=only, limit=limit)
        return types.SamplePage(items=found)
    context, queries = context_of(request), queries_of(request, "sessions:export")
    pieces = await exports.samples(context, queries, wanted, only, limit, format)
    return cast("types.SamplePage", _file(context, pieces, "samples", format))


@get(
    "/sessions/export",
    operation_id="exportSessions",
    tags=["Sessions"],
    summary="Export sessions",
    dependencies={"wanted": Provide(wanted_sessions)},
    exports=True,
)
async def export_sessions(
    request: PlainRequest,
    wanted: NamedDependency[SkipValidation[SessionQuery]],
    format: Annotated[
        Literal["csv", "jsonl", "parquet"], QueryParameter(description="csv, jsonl (JSON Lines) or parquet")
    ] = "csv",
) -> Response[bytes]:
    """Every session that fits, as a file: CSV (RFC 4180, UTF-8, with a head), JSON Lines or Parquet.

    Filters and sort are those of the list. Columns carry their units in their names: energy_wh, duration_s,
    soc_percent; times are RFC 3339, UTC. It is sent while it is read, however many sessions there are.
    """
    context, queries = context_of(request), queries_of(request, "sessions:export")
    pieces = await exports.sessions(context, queries, wanted, format)
    given = {name: value for name, value in msgspec.to_builtins(wanted).items() if value not in (None, "", [], ())}
    await audit.record(context, queries.principal, "sessions.export", "sessions", detail={"format": format, **given})
    return cast("Response[bytes]", _file(context, pieces, "sessions", format))


def _file(context: ApiContext, pieces: AsyncIterator[bytes], what: str, form: exports.Format) -> Stream:
    name = exports.file_name(what, form, context.scheduler.now())
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Stream(pieces, media_type=exports.MEDIA_TYPES[form], headers=headers)


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


HANDLERS = [list_sessions, sum_sessions, export_sessions, get_session, list_samples, get_curve, get_totals]
