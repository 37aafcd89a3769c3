"""What happens now, at a glance."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post

from pilotwire.api import types
from pilotwire.api.commands import execute
from pilotwire.api.live import hub_of
from pilotwire.api.problems import Problem, not_found

from .. import words
from ..forms import Form
from .common import PlainRequest, StationPath, context_of, fragment, page, principal_of, segment

_ROWS = 50
"""So many running sessions are shown, those that draw most first."""


async def _now(request: PlainRequest) -> dict[str, Any]:
    principal = principal_of(request, "stations:read")
    overview = await hub_of(context_of(request), principal).overview()
    sessions = sorted(overview.sessions, key=lambda one: (-one.power_w, one.id))
    return {"totals": overview.totals, "sessions": sessions[:_ROWS], "events": overview.events}


@get("/")
async def index(request: PlainRequest) -> Response[Any]:
    """The picture of now; live.js keeps it moving."""
    return page(request, "overview/index.html", here="overview", **await _now(request))


@get("/ui/overview/now")
async def now(request: PlainRequest) -> Response[Any]:
    """What charges now, drawn anew."""
    return fragment(request, "overview/now.html", **await _now(request))


def _payload(verb: str, form: Form) -> dict[str, Any] | None:
    """The version-neutral payload of a button; None for a verb that has none here."""
    evse, connector = form.number("evse"), form.number("connector")
    match verb:
        case "start":
            start: dict[str, Any] = {"token": form.get("token")}
            return start | ({"evse": evse} if evse else {})
        case "stop":
            return {"session": form.get("session")}
        case "reset":
            return {"type": "hard" if form.get("type") == "hard" else "soft"}
        case "unlock":
            return {"evse": evse or 1, "connector": connector or 1}
    return None


@post("/ui/stations/{station_id:str}/{verb:str}", status_code=200)
async def command(request: PlainRequest, station_id: StationPath, verb: StationPath) -> Response[Any]:
    """A button: the command goes the way of the API, its answer comes back in plain words."""
    principal = principal_of(request, "commands:send")
    form = await Form.read(request)
    payload = _payload(verb, form)
    if payload is None:
        raise not_found("button", verb)
    if verb == "start" and not payload["token"]:
        said = words.Said("warn", "Which token? It is needed to start.")
        return fragment(request, "answer.html", said=said, raw=None)
    try:
        answer = await execute(
            context_of(request), principal, segment(station_id), types.NewCommand(action=verb, payload=payload)
        )
    except Problem as refused:
        return fragment(request, "answer.html", said=words.of_problem(refused), raw=refused.details.answer)
    return fragment(request, "answer.html", said=words.of_answer(verb, answer), raw=answer.answer)


HANDLERS: list[Any] = [index, now, command]
