"""Buttons that command a station: a dialog with what is to be known, then the station's own answer in plain words."""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
from litestar import Response, get, post

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.commands import execute
from pilotwire.api.context import ApiContext
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem, not_found
from pilotwire.domain.permissions import DANGEROUS

from .. import words
from ..forms import Form
from .common import PlainRequest, Text, allowed, fragment, segment
from .station import running_of, station_of


class Verb(NamedTuple):
    """A button."""

    title: str
    go: str
    """What the button that does it says."""
    hint: str
    """What will happen."""


VERBS = {
    "start": Verb(
        N_("Start charging"),
        N_("Start charging"),
        N_("The station begins as soon as a car is plugged in. The token is charged for it."),
    ),
    "stop": Verb(N_("Stop charging"), N_("Stop charging"), N_("The car may stay plugged in; it draws no more.")),
    "unlock": Verb(
        N_("Unlock a connector"),
        N_("Unlock"),
        N_("The plug can then be pulled. A running session may end with it."),
    ),
    "reset": Verb(N_("Restart the station"), N_("Restart"), N_("While it restarts, it cannot be reached.")),
    "availability": Verb(
        N_("Availability"),
        N_("Set"),
        N_("Out of service, it takes no new session. A running one ends first."),
    ),
    "trigger": Verb(
        N_("Ask for a message"), N_("Ask"), N_("The station sends the message once more, with its present values.")
    ),
}
TRIGGERS = [
    ("status", N_("State of its connectors")),
    ("meter-values", N_("Meter values")),
    ("boot", N_("Boot notification")),
    ("heartbeat", N_("Heartbeat")),
    ("firmware", N_("State of a firmware update")),
    ("log", N_("State of an upload of logs")),
    ("certificate", N_("Request for a new certificate")),
]


def dangerous(action: str) -> bool:
    """Whether it needs `commands:dangerous` and a reason."""
    return action in DANGEROUS


def may_send(principal: Principal, action: str) -> bool:
    """Whether this person may send it."""
    return principal.may("commands:send") and (not dangerous(action) or principal.may("commands:dangerous"))


def payload_of(verb: str, form: Form) -> dict[str, Any]:
    """The version-neutral payload; what is wrong is noted in the form."""
    evse, connector = form.number("evse"), form.number("connector")
    match verb:
        case "start":
            if not form.get("token"):
                form.wrong("token", _("Which token? It is needed to start."))
            return {"token": form.get("token")} | ({"evse": evse} if evse else {})
        case "stop":
            return {"session": form.get("session")}
        case "unlock":
            return {"evse": evse or 1, "connector": connector or 1}
        case "reset":
            return {"type": "hard" if form.get("type") == "hard" else "soft"}
        case "availability":
            return {"operative": form.get("operative") == "yes"} | ({"evse": evse} if evse else {})
        case _:
            return {"message": form.get("message")} | ({"evse": evse} if evse else {})


def new_command(action: str, payload: dict[str, Any], form: Form) -> types.NewCommand:
    """The command with its reason, where one is given."""
    command = {"action": action, "payload": payload}
    if reason := form.get("reason"):
        command["reason"] = reason
    return msgspec.convert(command, types.NewCommand)


async def _dialog(
    request: PlainRequest, context: ApiContext, principal: Principal, station_id: str, verb: str, form: Form
) -> Response[Any]:
    station = await station_of(context, principal, station_id)
    sessions = await running_of(context, principal, station)
    return fragment(
        request,
        "station/command.html",
        status=422 if form.bad else 200,
        station=station,
        sessions=sessions,
        verb=verb,
        told=VERBS[verb],
        triggers=TRIGGERS,
        dangerous=dangerous(verb),
        form=form,
    )


@get("/ui/stations/{station_id:str}/do/{verb:str}")
async def ask(request: PlainRequest, station_id: Text, verb: Text) -> Response[Any]:
    """The dialog."""
    context, principal = allowed(request, "commands:send")
    if verb not in VERBS:
        raise not_found("button", verb)
    if dangerous(verb):
        principal.need("commands:dangerous")
    form = Form({name: request.query_params.getall(name) for name in request.query_params})
    return await _dialog(request, context, principal, station_id, verb, form)


@post("/ui/stations/{station_id:str}/do/{verb:str}", status_code=200)
async def do(request: PlainRequest, station_id: Text, verb: Text) -> Response[Any]:
    """The command goes the way of the API; its answer comes back in plain words."""
    context, principal = allowed(request, "commands:send")
    if verb not in VERBS:
        raise not_found("button", verb)
    if dangerous(verb):
        principal.need("commands:dangerous")
    form = await Form.read(request)
    payload = payload_of(verb, form)
    if dangerous(verb) and not form.get("reason"):
        form.wrong("reason", _("Say why: it is kept with the command."))
    if form.bad:
        return await _dialog(request, context, principal, station_id, verb, form)
    try:
        answer = await execute(context, principal, segment(station_id), new_command(verb, payload, form))
    except Problem as refused:
        said, raw = words.of_problem(refused), refused.details.answer
    else:
        said, raw = words.of_answer(verb, answer), answer.answer
    return fragment(request, "station/answer.html", said=said, raw=raw)


HANDLERS: list[Any] = [ask, do]
