"""The reference of the API."""

from __future__ import annotations

import asyncio
from typing import Any

from litestar import Response, get

from pilotwire.api.language import _
from pilotwire.api.openapi import schema_of

from .. import reference
from .common import PlainRequest, page


@get("/api")
async def api_reference(request: PlainRequest) -> Response[Any]:
    """The OpenAPI document, readable."""
    document = await asyncio.to_thread(schema_of, request.app)  # a second of work, the first time
    return page(
        request,
        "reference.html",
        here="api",
        crumbs=[(_("API"), None)],
        groups=reference.groups_of(document),
        problems=reference.problems(),
        version=document["info"]["version"],
    )


HANDLERS: list[Any] = [api_reference]
