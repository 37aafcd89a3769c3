"""The message log over HTTP."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from litestar import get
from litestar.params import QueryParameter

from .. import listing, types
from ..resources import messages
from .common import Cursor, Limit, PlainRequest, StationPath, context_of, segment, text_or_400, whoever


@get(
    "/stations/{station_id:str}/messages",
    operation_id="listMessages",
    tags=["Stations"],
    summary="Its message log, explained",
)
async def list_messages(
    request: PlainRequest,
    station_id: StationPath,
    cursor: Cursor = None,
    limit: Limit = 50,
    action: Annotated[str | None, QueryParameter(description="Only this action's", max_length=50)] = None,
    direction: Annotated[
        Literal["in", "out", "sys"] | None, QueryParameter(description="Only those from (to) the station")
    ] = None,
    errors: Annotated[bool, QueryParameter(description="Only what went wrong")] = False,
    since: Annotated[datetime | None, QueryParameter(description="Not before this time")] = None,
    until: Annotated[datetime | None, QueryParameter(description="Not after this time")] = None,
) -> types.MessagePage:
    """What passed between a station and us, newest first: decoded, with what it means, what followed from it, which
    tolerances it needed, the answer and how long that took. What the journal does not keep (our own answers, signs of
    life, refused messages) is seen from the first look on, for a quarter of an hour after the last. A page may hold
    fewer than `limit` and still have a next one."""
    return await messages.messages(
        context_of(request),
        whoever(request),
        segment(station_id),
        cursor=cursor,
        limit=limit,
        action=text_or_400("action", action),
        direction=direction,
        errors=errors,
        since=listing.instant("since", since),
        until=listing.instant("until", until),
    )


HANDLERS = [list_messages]
