"""The configuration of a station: the device model of 2.x or the keys of 1.6, explained, searched, edited."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
from litestar import Response, get, post
from litestar.params import FromQuery, QueryParameter

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import _
from pilotwire.api.problems import Problem, not_found
from pilotwire.api.resources import variables
from pilotwire.api.routes.common import bad_body

from .. import words
from ..forms import Form
from .common import PlainRequest, Text, allowed, fragment, page, redirect
from .lists import Address
from .station import frame, station_of

_PLACE = ("component", "component_instance", "evse", "connector", "variable", "variable_instance", "attribute")
"""What names a variable."""
_SHOWN = 250
"""More rows than that are left to the search."""


def place_of(one: types.Variable) -> dict[str, Any]:
    """What names this variable, without what is empty."""
    return {name: getattr(one, name) for name in _PLACE if getattr(one, name) not in ("", None)}


def _edit_path(station_id: str, one: types.Variable) -> str:
    from urllib.parse import quote

    return f"/ui/stations/{quote(station_id, safe='')}/variable?{urlencode(place_of(one))}"


@get("/stations/{station_id:str}/configuration")
async def configuration(
    request: PlainRequest,
    station_id: Text,
    q: Annotated[str, QueryParameter(max_length=100)] = "",
    component: FromQuery[str] = "",
    writable: FromQuery[str] = "",
) -> Response[Any]:
    """Browse it."""
    context, principal = allowed(request, "variables:read")
    station = await station_of(context, principal, station_id)
    everything = await variables.variables(context, principal, station.id)
    needle = q.strip()
    fitting = (
        await variables.variables(context, principal, station.id, search=needle) if needle else everything
    )  # fmt: skip
    if writable:
        fitting = [one for one in fitting if one.writable]
    components: dict[str, int] = {}
    for one in fitting:
        components[one.component] = components.get(one.component, 0) + 1
    chosen = [one for one in fitting if one.component == component] if component else fitting
    if not component and not needle and len(components) > 1:
        component = next(iter(components))
        chosen = [one for one in fitting if one.component == component]
    base = frame(principal, station, "configuration")
    return page(
        request,
        "station/configuration.html",
        address=Address(f"/stations/{station_id}/configuration", q=needle, component=component, writable=writable),
        q=needle,
        component=component,
        writable=writable,
        components=components,
        known=len(everything),
        shown=chosen[:_SHOWN],
        more=max(0, len(chosen) - _SHOWN),
        edit_path=_edit_path,
        **base,
    )


async def _variable(
    context: ApiContext, principal: Principal, station: types.Station, asked: dict[str, str]
) -> types.Variable:
    for one in await variables.variables(context, principal, station.id, component=asked.get("component", "")):
        if {key: str(value) for key, value in place_of(one).items()} == asked:
            return one
    raise not_found("variable", asked.get("variable", ""))


def _asked(request: PlainRequest) -> dict[str, str]:
    return {name: value for name in _PLACE if (value := request.query_params.get(name, ""))}


def _dialog(
    request: PlainRequest, station: types.Station, one: types.Variable, form: Form, *, status: int = 200
) -> Response[Any]:
    return fragment(
        request,
        "station/variable.html",
        status=status,
        station=station,
        one=one,
        form=form,
        path=_edit_path(station.id, one),
    )


@get("/ui/stations/{station_id:str}/variable")
async def edit(request: PlainRequest, station_id: Text) -> Response[Any]:
    """The dialog of one variable, with an input of its type."""
    context, principal = allowed(request, "variables:write")
    station = await station_of(context, principal, station_id)
    one = await _variable(context, principal, station, _asked(request))
    return _dialog(request, station, one, Form({"value": [one.value or ""]}))


@post("/ui/stations/{station_id:str}/variable", status_code=200)
async def change(request: PlainRequest, station_id: Text) -> Response[Any]:
    """Set it; the station's answer, and whether a restart is needed."""
    context, principal = allowed(request, "variables:write")
    station = await station_of(context, principal, station_id)
    one = await _variable(context, principal, station, _asked(request))
    form = await Form.read(request)
    value = ",".join(form.all("value")) if one.data_type in ("MemberList", "SequenceList") else form.get("value")
    setting = {**place_of(one), "value": value}
    wanted = {"variables": [setting], "reason": form.get("reason"), "unchecked": form.flag("unchecked")}
    try:
        outcomes = await variables.change(
            context, principal, station.id, msgspec.convert(wanted, types.VariableSettings)
        )
    except (Problem, msgspec.ValidationError) as error:
        refused = error if isinstance(error, Problem) else bad_body(error)
        if refused.status == 422:
            told = "; ".join(one.message for one in refused.details.errors) or refused.details.detail
            form.wrong("value", told)
        else:
            form.fail(refused)
        return _dialog(request, station, one, form, status=refused.status)
    outcome = outcomes.results[0]
    level = "warn" if outcome.reboot_required else "good" if outcome.accepted else "bad"
    return fragment(
        request,
        "station/variable_set.html",
        station=station,
        one=one,
        outcome=outcome,
        said=words.Said(level, outcome.message),
        trigger="configuration",
    )


@post("/stations/{station_id:str}/configuration", status_code=200)
async def refresh(request: PlainRequest, station_id: Text) -> Response[Any]:
    """Ask the station for everything anew."""
    context, principal = allowed(request, "variables:read")
    station = await station_of(context, principal, station_id)
    path = request.url.path
    try:
        asked = await variables.refresh(context, principal, station.id, types.VariableRefresh())
    except Problem as refused:
        return redirect(request, path, "bad", refused.details.detail)
    if asked.answer.outcome == "refused":
        return redirect(request, path, "bad", _("The station refuses to tell its configuration."))
    if asked.complete:
        return redirect(request, path, "good", _("Read anew."))
    return redirect(request, path, "info", _("The station sends its configuration now; it comes in by and by."))


HANDLERS: list[Any] = [configuration, edit, change, refresh]
