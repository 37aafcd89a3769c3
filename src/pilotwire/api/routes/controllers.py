"""Sites that run a controller, over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Annotated, Any

from litestar import get
from litestar.params import QueryParameter
from litestar.response import Stream

from .. import exports, types
from ..exports import Column
from ..language import _
from ..listing import instant
from ..problems import problem
from ..resources import controllers
from .common import PlainRequest, context_of, principal_of, segment, text_or_400, whoever
from .sites import SitePath
from .streams import MEDIA_TYPE, stream_of

_DAY_MS = 86_400_000
From = Annotated[
    datetime | None, QueryParameter(name="from", description="From this instant on; left out: a day before the end")
]
Until = Annotated[datetime | None, QueryParameter(name="until", description="Before this instant; left out: now")]
StepS = Annotated[
    int, QueryParameter(name="step", ge=60, le=86_400, description="Length of a step in s: whole minutes")
]


def _span(request: PlainRequest, begin: datetime | None, end: datetime | None) -> tuple[int, int]:
    """Raises Problem 400 where nothing lies between them."""
    until_ms = instant("until", end)
    until_ms = context_of(request).scheduler.now() if until_ms is None else until_ms
    from_ms = instant("from", begin)
    from_ms = until_ms - _DAY_MS if from_ms is None else from_ms
    if not 0 <= from_ms < until_ms:
        raise problem("bad-parameter", errors=[{"field": "until", "message": _("has to be after `from`")}])
    return from_ms, until_ms


@get("/controllers", operation_id="listControllers", tags=["Controllers"], summary="Sites that run a controller")
async def list_controllers(request: PlainRequest) -> types.SiteControllerPage:
    """Those that you may see, by name, each with what flows there now."""
    return types.SiteControllerPage(items=await controllers.controllers(context_of(request), whoever(request)))


@get(
    "/sites/{site_id:str}/controller",
    operation_id="getController",
    tags=["Controllers"],
    summary="What a site does now",
)
async def get_controller(request: PlainRequest, site_id: SitePath) -> types.SiteNow:
    """The site at its last decision: what flows where against which limit, what each EVSE gets and why, in words."""
    return await controllers.now(context_of(request), whoever(request), segment(site_id))


@get(
    "/sites/{site_id:str}/controller/stream",
    operation_id="streamController",
    tags=["Controllers"],
    summary="The same, each second",
    media_type=MEDIA_TYPE,
)
async def stream_controller(
    request: PlainRequest,
    site_id: SitePath,
    brief: Annotated[
        bool, QueryParameter(description="Leave `why` of the EVSEs empty, which is most of it: for a page that asks")
    ] = False,
) -> Stream:
    """Server-sent events: one `now` (SiteNow) at once, then whenever something was decided, at most one a second. A
    client that reads too slowly misses some. `away` (`detail` says why) ends the stream where the site can no more be
    reached; comments come in silence."""
    principal = principal_of(request, "sites:read")
    pieces = await controllers.stream(context_of(request), principal, segment(site_id), brief=brief)
    return stream_of(request, principal, pieces)


@get(
    "/sites/{site_id:str}/controller/past",
    operation_id="getControllerPast",
    tags=["Controllers"],
    summary="What a site did at a moment, and why",
)
async def get_past(
    request: PlainRequest,
    site_id: SitePath,
    at: Annotated[datetime, QueryParameter(description="The moment: the decision that was in force then")],
) -> types.SitePast:
    """The decision is made again from the record of all that was measured and heard; `same` says whether it came out
    as it was recorded. 404 `nothing-known` says how far the record reaches."""
    at_ms = instant("at", at) or 0
    return await controllers.past(context_of(request), whoever(request), segment(site_id), at_ms)


@get(
    "/sites/{site_id:str}/controller/changes",
    operation_id="listControllerChanges",
    tags=["Controllers"],
    summary="What an EVSE was given, and why",
)
async def list_changes(
    request: PlainRequest,
    site_id: SitePath,
    evse: Annotated[str, QueryParameter(min_length=1, max_length=64, description="EVSE of the site")],
    begin: From = None,
    end: Until = None,
) -> types.SetPointChangePage:
    """Each change of its set-point or of the reason for it, the oldest first, with the one in force at the beginning;
    at most the last 1,000. Small moves of one that follows something are told once in a while."""
    from_ms, until_ms = _span(request, begin, end)
    found = await controllers.changes(
        context_of(request), whoever(request), segment(site_id), text_or_400("evse", evse) or "", from_ms, until_ms
    )
    return types.SetPointChangePage(items=found)


@get(
    "/sites/{site_id:str}/controller/course",
    operation_id="getControllerCourse",
    tags=["Controllers"],
    summary="Power over time, and what was planned",
)
async def get_course(
    request: PlainRequest, site_id: SitePath, begin: From = None, end: Until = None, step: StepS = 900
) -> types.SiteCourse:
    """Means over steps of equal length, beginning at the step in which `from` lies; at most 3,000 of them."""
    from_ms, until_ms = _span(request, begin, end)
    return await controllers.course(context_of(request), whoever(request), segment(site_id), from_ms, until_ms, step)


@get(
    "/sites/{site_id:str}/controller/course.csv",
    operation_id="exportControllerCourse",
    tags=["Controllers"],
    summary="The same as CSV",
    media_type="text/csv",
)
async def export_course(
    request: PlainRequest, site_id: SitePath, begin: From = None, end: Until = None, step: StepS = 900
) -> Stream:
    """A row for each step; what is not known is empty."""
    from_ms, until_ms = _span(request, begin, end)
    site = segment(site_id)
    found = await controllers.course(context_of(request), whoever(request), site, from_ms, until_ms, step)
    return _file(request, COURSE_COLUMNS, found.steps, f"course-{site}")


@get(
    "/sites/{site_id:str}/controller/windows",
    operation_id="listControllerWindows",
    tags=["Controllers"],
    summary="Demand windows, and the month's peaks",
)
async def list_windows(
    request: PlainRequest, site_id: SitePath, begin: From = None, end: Until = None
) -> types.ClosedWindowPage:
    """Windows that ended then, the oldest first, with who drew how much in them; and the highest of each month in this
    time, as it is billed. At most 3,000."""
    context, principal, site = context_of(request), whoever(request), segment(site_id)
    from_ms, until_ms = _span(request, begin, end)
    return types.ClosedWindowPage(
        items=await controllers.windows(context, principal, site, from_ms, until_ms),
        peaks=await controllers.peaks(context, principal, site, from_ms, until_ms),
    )


@get(
    "/sites/{site_id:str}/controller/windows.csv",
    operation_id="exportControllerWindows",
    tags=["Controllers"],
    summary="Demand windows as CSV",
    media_type="text/csv",
)
async def export_windows(request: PlainRequest, site_id: SitePath, begin: From = None, end: Until = None) -> Stream:
    """A row for each window, the oldest first."""
    from_ms, until_ms = _span(request, begin, end)
    site = segment(site_id)
    found = await controllers.windows(context_of(request), whoever(request), site, from_ms, until_ms)
    return _file(request, WINDOW_COLUMNS, found, f"windows-{site}")


@get(
    "/sites/{site_id:str}/controller/plan",
    operation_id="getControllerPlan",
    tags=["Controllers"],
    summary="What is planned",
)
async def get_plan(request: PlainRequest, site_id: SitePath) -> types.SiteOutlook:
    """The plan in force; 404 `nothing-known` where there is none."""
    found = await controllers.plan(context_of(request), whoever(request), segment(site_id))
    if found is None:
        raise problem("nothing-known", _("No plan is in force."))
    return found


def _column(name: str, kind: exports.Kind) -> Column:
    def of(row: Any) -> Any:
        return getattr(row, name)

    return Column(name, kind, of)


def _columns(row: type[Any], floats: frozenset[str] = frozenset(), texts: frozenset[str] = frozenset()):
    """Times are texts already."""
    fields: Sequence[str] = row.__struct_fields__
    return tuple(
        _column(name, "text" if name in texts else "float" if name in floats else "int")
        for name in fields
        if name != "causes_w"
    )


COURSE_COLUMNS = _columns(types.SiteCourseStep, frozenset(("soc_percent",)), frozenset(("time",)))
WINDOW_COLUMNS = _columns(types.ClosedWindow, texts=frozenset(("id", "node", "begin", "end", "quality")))


def _file(request: PlainRequest, columns: Sequence[Column], rows: Sequence[Any], name: str) -> Stream:
    async def pages() -> AsyncIterator[Sequence[Any]]:
        yield rows

    name = exports.file_name(name, "csv", context_of(request).scheduler.now())
    return Stream(
        exports.written(columns, pages(), "csv"),
        media_type="text/csv",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


HANDLERS = [
    list_controllers,
    get_controller,
    stream_controller,
    get_past,
    list_changes,
    get_course,
    export_course,
    list_windows,
    export_windows,
    get_plan,
]
