"""Reports over HTTP."""

from __future__ import annotations

from typing import Annotated

from litestar import delete, get, post
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from .. import listing, types
from ..resources import outages, reports
from .common import Cursor, Limit, PlainRequest, StationPath, body_of, context_of, segment, text_or_400, whoever

ExclusionPath = Annotated[str, PathParameter(description="Id of the exclusion")]
Begin = Annotated[
    str | None,
    QueryParameter(description="First day, as in 2026-03-14; 30 days before `end` where left out", max_length=10),
]
End = Annotated[str | None, QueryParameter(description="Day after the last; tomorrow where left out", max_length=10)]
Group = Annotated[types.ReportGroup, QueryParameter(description="A row for each of these")]
By = Annotated[types.ReportBy, QueryParameter(description="And for each of these")]
OfSite = Annotated[str | None, QueryParameter(max_length=64, description="Only of this site")]
OfStation = Annotated[str | None, QueryParameter(max_length=64, description="Only of this station")]


@get("/reports", operation_id="getReport", tags=["Reports"], summary="Energy, use and uptime")
async def get_report(
    request: PlainRequest,
    begin: Begin = None,
    end: End = None,
    group: Group = "total",
    by: By = "all",
    site: OfSite = None,
    station: OfStation = None,
    sort: listing.SortText = None,
    cursor: Cursor = None,
    limit: Limit = 100,
) -> types.Report:
    """Figures of the days from `begin` to before `end`, per period and per site or station, and what they sum up to.

    Can be sorted by begin, site_id, station_id, energy_wh, sessions, occupied_s, charging_s, outage_s,
    utilisation_percent, availability_percent and uptime_percent. Days are those of the zone of each site.
    """
    return await reports.report(
        context_of(request),
        whoever(request),
        begin=begin,
        end=end,
        group=group,
        by=by,
        site=text_or_400("site", site),
        station=text_or_400("station", station),
        sort=sort,
        cursor=cursor,
        limit=limit,
    )


@get(
    "/reports.csv",
    operation_id="exportReport",
    tags=["Reports"],
    summary="A report as CSV",
    media_type="text/csv",
)
async def export_report(
    request: PlainRequest,
    begin: Begin = None,
    end: End = None,
    group: Group = "total",
    by: By = "all",
    site: OfSite = None,
    station: OfStation = None,
) -> Stream:
    """Every row of a report, in order of period, site and station."""
    chunks = await reports.report_csv(
        context_of(request),
        whoever(request),
        begin=begin,
        end=end,
        group=group,
        by=by,
        site=text_or_400("site", site),
        station=text_or_400("station", station),
    )
    return Stream(
        chunks,
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="report-by-{by}.csv"'},
    )


@get("/reports/state", operation_id="getReportState", tags=["Reports"], summary="How far the figures reach")
async def get_state(request: PlainRequest) -> types.ReportState:
    """Whether older sessions are still being gone through, and since when statuses were watched."""
    return await reports.state(context_of(request), whoever(request))


@post(
    "/reports/rebuild",
    operation_id="rebuildReports",
    tags=["Reports"],
    summary="Make all figures anew",
    status_code=202,
)
async def rebuild(request: PlainRequest) -> types.ReportState:
    """From the journal and the sessions. The figures are incomplete until it is done."""
    return await reports.rebuild(context_of(request), whoever(request))


@get("/reports/outages", operation_id="listOutages", tags=["Reports"], summary="List outages")
async def list_outages(
    request: PlainRequest,
    station: OfStation = None,
    site: OfSite = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> types.OutagePage:
    """Times of a minute and more in which an EVSE could not be used: first those that last, then newest first."""
    return await outages.outages(
        context_of(request),
        whoever(request),
        station=text_or_400("station", station),
        site=text_or_400("site", site),
        cursor=cursor,
        limit=limit,
    )


@get("/reports/exclusions", operation_id="listExclusions", tags=["Reports"], summary="List exclusions")
async def list_exclusions(request: PlainRequest) -> types.ExclusionPage:
    """Times in which outages do not count against uptime, newest first."""
    return types.ExclusionPage(items=await outages.exclusions(context_of(request), whoever(request)))


@post(
    "/reports/exclusions",
    operation_id="createExclusion",
    tags=["Reports"],
    summary="Exclude a time",
    body=types.NewExclusion,
)
async def create_exclusion(request: PlainRequest) -> types.Exclusion:
    """Outages of a station or a site within a time do not count against uptime: maintenance, no power, vandalism …"""
    data = await body_of(request, types.NewExclusion)
    return await outages.exclude(context_of(request), whoever(request), data)


@delete(
    "/reports/exclusions/{exclusion_id:str}",
    operation_id="deleteExclusion",
    tags=["Reports"],
    summary="Delete an exclusion",
)
async def delete_exclusion(request: PlainRequest, exclusion_id: ExclusionPath) -> None:
    """The outages within it count again."""
    await outages.remove_exclusion(context_of(request), whoever(request), segment(exclusion_id))


@get(
    "/stations/{station_id:str}/use",
    operation_id="listEvseUse",
    tags=["Reports"],
    summary="How a station's EVSEs were used",
)
async def list_evses(
    request: PlainRequest, station_id: StationPath, begin: Begin = None, end: End = None
) -> types.EvseUsePage:
    """Each EVSE over the whole period."""
    return types.EvseUsePage(
        items=await reports.evses(context_of(request), whoever(request), segment(station_id), begin=begin, end=end)
    )


HANDLERS = [
    get_report,
    export_report,
    get_state,
    rebuild,
    list_outages,
    list_exclusions,
    create_exclusion,
    delete_exclusion,
    list_evses,
]
