"""The message log of a station: every frame decoded, explained, paired with its answer; new ones come by themselves."""

from __future__ import annotations

from typing import Any

from litestar import MediaType, Response, get
from litestar.params import FromQuery

from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.resources import messages

from .common import PlainRequest, Text, allowed, fragment, page
from .lists import Address
from .station import frame, station_of

_PAGE = 60
DIRECTIONS = ("in", "out")


async def _found(
    context: ApiContext, principal: Principal, station_id: str, action: str, direction: str, errors: str, cursor: str
) -> dict[str, Any]:
    station = await station_of(context, principal, station_id)
    found = await messages.messages(
        context,
        principal,
        station.id,
        cursor=cursor or None,
        limit=_PAGE,
        action=action or None,
        direction=direction if direction in DIRECTIONS else None,
        errors=bool(errors),
    )
    address = Address(f"/stations/{station_id}/messages", action=action, direction=direction, errors=errors)
    return {
        "station": station,
        "found": found,
        "address": address,
        "asked": {"action": action, "direction": direction, "errors": errors},
        "cursor": cursor,
    }


@get("/stations/{station_id:str}/messages")
async def log(
    request: PlainRequest,
    station_id: Text,
    action: FromQuery[str] = "",
    direction: FromQuery[str] = "",
    errors: FromQuery[str] = "",
    cursor: FromQuery[str] = "",
) -> Response[Any]:
    """The log, newest first."""
    context, principal = allowed(request, "messages:read")
    values = await _found(context, principal, station_id, action.strip(), direction, errors, cursor)
    return page(request, "station/messages.html", **{**values, **frame(principal, values["station"], "messages")})


@get("/ui/stations/{station_id:str}/messages")
async def tail(
    request: PlainRequest,
    station_id: Text,
    action: FromQuery[str] = "",
    direction: FromQuery[str] = "",
    errors: FromQuery[str] = "",
    top: FromQuery[str] = "",
) -> Response[Any]:
    """The newest, drawn anew; nothing (204) while `top` is the newest still and not waiting for its answer."""
    context, principal = allowed(request, "messages:read")
    values = await _found(context, principal, station_id, action.strip(), direction, errors, "")
    items = values["found"].items
    if (items[0].id if items else "-") == top and not any(one.latency_ms is None for one in items[:1]):
        return Response("", media_type=MediaType.HTML, status_code=204)
    return fragment(request, "station/message_rows.html", **values)


HANDLERS: list[Any] = [log, tail]
