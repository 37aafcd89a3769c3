"""Every command that a station takes, with a form made from the message's own type."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import QueryParameter

from pilotwire.api import types
from pilotwire.api.commands import execute
from pilotwire.api.language import _
from pilotwire.api.problems import Problem
from pilotwire.api.queries import Queries
from pilotwire.api.resources import commands
from pilotwire.api.routes.common import bad_body

from .. import payloads, words
from ..forms import Form
from .common import PlainRequest, Text, allowed, fragment, page
from .station import frame, station_of


@get("/stations/{station_id:str}/commands")
async def palette(
    request: PlainRequest, station_id: Text, q: Annotated[str, QueryParameter(max_length=60)] = ""
) -> Response[Any]:
    """What can be sent, and what was sent last."""
    context, principal = allowed(request, "commands:read")
    station = await station_of(context, principal, station_id)
    needle = q.strip().casefold()
    found = [
        one
        for one in await commands.available(context, principal, station.id)
        if needle in f"{one.action} {one.title} {one.description}".casefold()
    ]
    sent = await Queries(context, principal).commands(station.id, limit=30)
    return page(
        request,
        "station/commands.html",
        q=q.strip(),
        verbs=[one for one in found if one.neutral],
        actions=[one for one in found if not one.neutral],
        sent=sent,
        **frame(principal, station, "commands"),
    )


def _dialog(
    request: PlainRequest, station: types.Station, one: types.CommandForm, form: Form, *, status: int = 200
) -> Response[Any]:
    return fragment(
        request,
        "station/send.html",
        status=status,
        station=station,
        one=one,
        form=form,
        as_json=payloads.as_json,
        example=one.example,
    )


@get("/ui/stations/{station_id:str}/send/{action:str}")
async def ask(request: PlainRequest, station_id: Text, action: Text) -> Response[Any]:
    """The form of one command, filled with an example."""
    context, principal = allowed(request, "commands:send")
    station = await station_of(context, principal, station_id)
    one = await commands.form(context, principal, station.id, action)
    if one.dangerous:
        principal.need("commands:dangerous")
    return _dialog(request, station, one, Form(payloads.prefill(one.fields, one.example)))


@post("/ui/stations/{station_id:str}/send/{action:str}", status_code=200)
async def send(request: PlainRequest, station_id: Text, action: Text) -> Response[Any]:
    """Send it; the station's answer, explained and as it came."""
    context, principal = allowed(request, "commands:send")
    station = await station_of(context, principal, station_id)
    one = await commands.form(context, principal, station.id, action)
    form = await Form.read(request)
    payload: Any
    if form.get("_json"):
        try:
            payload = json.loads(form.get("_json"))
        except ValueError as error:
            form.wrong("_json", _("Not JSON: {error}", error=error))
            payload = {}
    else:
        payload = payloads.read(one.fields, form)
    if one.dangerous and not form.get("_reason"):
        form.wrong("_reason", _("Say why: it is kept with the command."))
    if form.bad:
        return _dialog(request, station, one, form, status=422)
    command = {"action": action, "payload": payload, "reason": form.get("_reason")}
    try:
        answer = await execute(context, principal, station.id, msgspec.convert(command, types.NewCommand))
    except msgspec.ValidationError as error:
        form.fail(bad_body(error))
        return _dialog(request, station, one, form, status=422)
    except Problem as refused:
        if refused.status != 422:
            said = words.of_problem(refused)
            return fragment(
                request, "station/answer.html", said=said, raw=refused.details.answer, again=action, station=station
            )
        form.fail(refused)
        for wrong in refused.details.errors:
            form.wrong(wrong.field.removeprefix("payload."), wrong.message)
        return _dialog(request, station, one, form, status=422)
    return fragment(
        request, "station/answer.html", said=words.of_answer(action, answer), raw=answer.answer, again=action,
        station=station,
    )  # fmt: skip


HANDLERS: list[Any] = [palette, ask, send]
