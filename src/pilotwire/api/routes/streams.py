"""Server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from litestar import get
from litestar.params import HeaderParameter, PathParameter, QueryParameter
from litestar.response import Stream

from .. import frames as tap
from .. import job_stream
from ..access import Principal, access_of
from ..events import Wanted, stream
from ..language import _
from ..live import hub_of
from ..problems import problem
from ..resources import jobs
from .common import PlainRequest, context_of, principal_of, segment, text_or_400

_MAX_SEQ = (1 << 63) - 1
MEDIA_TYPE = "text/event-stream"
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


def _seq(name: str, text: str | None) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and int(text) <= _MAX_SEQ):
        raise problem(
            "bad-parameter",
            errors=[{"field": name, "message": _("a seq of the journal: a whole number, 0 for its beginning")}],
        )
    return int(text)


def stream_of(request: PlainRequest, principal: Principal, pieces: AsyncIterator[bytes]) -> Stream:
    """A stream that ends with the login or key that it was opened with."""
    kept = access_of(context_of(request)).while_in(principal, pieces)
    return Stream(kept, media_type=MEDIA_TYPE, headers=_HEADERS)


@get(
    "/events", operation_id="streamEvents", tags=["Live"], summary="Facts as they are committed", media_type=MEDIA_TYPE
)
async def stream_events(
    request: PlainRequest,
    last_event_id: Annotated[
        str | None,
        HeaderParameter(name="Last-Event-ID", description="Journal seq after which to begin", max_length=20),
    ] = None,
    after: Annotated[
        str | None, QueryParameter(description="The same for a first request; 0 is the beginning", max_length=20)
    ] = None,
    station: Annotated[str | None, QueryParameter(max_length=48, description="Only of this station")] = None,
    types: Annotated[
        str | None,
        QueryParameter(max_length=500, description="Only these fact types, comma between, e.g. session-started"),
    ] = None,
) -> Stream:
    """Server-sent events. Each `facts` event is one committed journal entry with the journal's seq as its id.

    After a break, send the last id as `Last-Event-ID` and the journal is replayed from there, without gap or repeat.
    A client that reads too slowly gets a `lagged` event and is then caught up from the journal. Comments come in
    silence every 15 s; a stream ends after an hour, to be opened again.
    """
    wanted = Wanted(
        principal=principal_of(request, "events:read"),
        after=_seq("Last-Event-ID", last_event_id) if last_event_id else _seq("after", after),
        station=text_or_400("station", station),
        kinds=frozenset(kind.strip() for kind in (types or "").split(",") if kind.strip()),
    )
    return stream_of(request, wanted.principal, stream(context_of(request), wanted))


@get("/live", operation_id="streamLive", tags=["Live"], summary="The live picture", media_type=MEDIA_TYPE)
async def stream_live(
    request: PlainRequest,
    station: Annotated[
        str | None, QueryParameter(max_length=48, description="Only of this station; the totals are of all")
    ] = None,
    brief: Annotated[
        bool, QueryParameter(description="Leave stations and sessions out of the snapshot: for a page that has them")
    ] = False,
) -> Stream:
    """Server-sent events for a live page: one `snapshot` (Overview), then at most four `update`s (LiveUpdate) a second.

    A client that reads too slowly gets a `snapshot` again instead of the updates that it missed.
    """
    principal = principal_of(request, "events:read")
    hub = hub_of(context_of(request), principal)
    if hub.full:
        raise problem("busy", headers={"Retry-After": "10"})
    return stream_of(request, principal, hub.watch(only=text_or_400("station", station), brief=brief))


@get("/frames", operation_id="streamFrames", tags=["Live"], summary="OCPP frames as they pass", media_type=MEDIA_TYPE)
async def stream_frames(
    request: PlainRequest,
    station: Annotated[str | None, QueryParameter(max_length=48, description="Only of this station")] = None,
) -> Stream:
    """Server-sent events: one `frame` (FrameShown) per OCPP frame in either direction, none kept, none replayed.

    A client that reads too slowly gets a `lagged` event with the number of frames that it missed.
    """
    principal = principal_of(request, "messages:read")
    frames = tap.stream(context_of(request), principal, text_or_400("station", station))
    return stream_of(request, principal, frames)


@get(
    "/jobs/{job_id:str}/live",
    operation_id="streamJob",
    tags=["Jobs"],
    summary="A job as it goes on",
    media_type=MEDIA_TYPE,
)
async def stream_job(
    request: PlainRequest, job_id: Annotated[str, PathParameter(description="Id of the job")]
) -> Stream:
    """Server-sent events: one `job` (Job) at once, then whenever the job has gone on, at most four times a second; the
    stream ends with the job."""
    context, principal, name = context_of(request), principal_of(request, "jobs:read"), segment(job_id)
    await jobs.job(context, principal, name)
    return stream_of(request, principal, job_stream.stream(context, principal, name))


HANDLERS = [stream_events, stream_live, stream_frames, stream_job]
