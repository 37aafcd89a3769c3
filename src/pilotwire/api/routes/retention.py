"""How long what is kept."""

from __future__ import annotations

from litestar import Response, get, patch

from .. import types
from ..edit import IfMatch, tagged
from ..resources import retention
from .common import PlainRequest, body_of, whoever, whole_context


@get("/retention", operation_id="getRetention", tags=["Operations"], summary="How long what is kept")
async def get_retention(request: PlainRequest) -> Response[types.Retention]:
    """How long meter samples stay in the database, and what else is not kept for good."""
    found = await retention.retention(whole_context(request), whoever(request))
    return tagged(found.value, found.etag)


@patch(
    "/retention",
    operation_id="changeRetention",
    tags=["Operations"],
    summary="Change how long what is kept",
    body=types.RetentionChange,
)
async def change_retention(request: PlainRequest, if_match: IfMatch = None) -> Response[types.Retention]:
    """For the whole installation; platform admins may. It counts from the next night on."""
    data = await body_of(request, types.RetentionChange)
    made = await retention.change(whole_context(request), whoever(request), data, if_match=if_match)
    return tagged(made.value, made.etag)


HANDLERS = [get_retention, change_retention]
