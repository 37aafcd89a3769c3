"""The pages. Everything they show comes from the API's own reading functions, everything they do goes through its own
commands; `/ui/…` answers with pieces of HTML for the page that is open already."""

from __future__ import annotations

from typing import Annotated, Any, cast

from litestar import MediaType, Response, get, post
from litestar.params import FromQuery, PathParameter, QueryParameter
from litestar.response import Redirect

from pilotwire.api import types
from pilotwire.api.commands import execute
from pilotwire.api.live import hub_of
from pilotwire.api.openapi import schema_of
from pilotwire.api.problems import Problem, not_found, problem
from pilotwire.api.routes.common import PlainRequest, context_of, principal_of, queries_of, segment
from pilotwire.api.routes.login import own_path

from . import reference, words
from .view import missing_libraries, render

_CARDS = 100
"""At most so many cards are drawn with one request; the page asks again for the rest."""
StationPath = Annotated[str, PathParameter(description="Identity of the station")]


def _page(text: str) -> Response[str]:
    return Response(text, media_type=MediaType.HTML)


@get("/", include_in_schema=False)
async def live(request: PlainRequest) -> Response[str]:
    """Every station, its connectors and running sessions, moving."""
    principal, context = principal_of(request, "stations:read"), context_of(request)
    overview = await hub_of(context, principal.tenant).overview()
    return _page(
        render(
            "live.html",
            principal=principal,
            config=context.config,
            overview=overview,
            sessions={one.id: one for one in overview.sessions},
            missing=missing_libraries(),
        )
    )


@get("/ui/cards", include_in_schema=False)
async def cards(request: PlainRequest, id: Annotated[list[str] | None, QueryParameter()] = None) -> Response[str]:
    """Cards of these stations, drawn anew."""
    principal = principal_of(request, "stations:read")
    overview = await hub_of(context_of(request), principal.tenant).overview()
    wanted = set((id or [])[:_CARDS])
    return _page(
        render(
            "cards.html",
            stations=[one for one in overview.stations if one.id in wanted],
            sessions={one.id: one for one in overview.sessions},
        )
    )


@get("/ui/stations/{station_id:str}", include_in_schema=False)
async def detail(request: PlainRequest, station_id: StationPath) -> Response[str]:
    """One station's panel."""
    queries, principal = queries_of(request, "stations:read"), principal_of(request, "stations:read")
    station = await queries.station(segment(station_id))
    recent = (await queries.sessions(station=station.id, limit=8)).items
    running = [one for one in recent if one.status == "active"]
    running += [
        one
        for connector in station.connectors
        if connector.session_id and connector.session_id not in {session.id for session in recent}
        and (one := await queries.find_session(connector.session_id)) and one.status == "active"
    ]  # fmt: skip
    return _page(
        render(
            "detail.html",
            station=station,
            running=running,
            ended=[one for one in recent if one.status == "ended"],
            sessions={one.id: one for one in running},
            commands=await queries.commands(station.id, limit=5),
            may_command=principal.may("commands:send"),
        )
    )


_FORM = 16_384


async def _form(request: PlainRequest) -> dict[str, str]:
    if request.content_type[0] != "application/x-www-form-urlencoded":
        raise problem("bad-media-type")
    if len(await request.body()) > _FORM:
        raise problem("too-large")
    return {name: str(value) for name, value in (await request.form()).items()}


def _number(form: dict[str, str], name: str) -> int | None:
    text = form.get(name, "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def _payload(verb: str, form: dict[str, str]) -> dict[str, Any] | None:
    """The version-neutral payload of a button; None for a verb that has none here."""
    evse, connector = _number(form, "evse"), _number(form, "connector")
    match verb:
        case "start":
            start: dict[str, Any] = {"token": form.get("token", "").strip()}
            return start | ({"evse": evse} if evse else {})
        case "stop":
            return {"session": form.get("session", "")}
        case "reset":
            return {"type": "hard" if form.get("type") == "hard" else "soft"}
        case "unlock":
            return {"evse": evse or 1, "connector": connector or 1}
    return None


@post("/ui/stations/{station_id:str}/{verb:str}", include_in_schema=False, status_code=200)
async def command(request: PlainRequest, station_id: StationPath, verb: StationPath) -> Response[str]:
    """A button: the command goes the way of the API, its answer comes back in plain words."""
    principal = principal_of(request, "commands:send")
    form = await _form(request)
    payload = _payload(verb, form)
    if payload is None:
        raise not_found("button", verb)
    if verb == "start" and not payload["token"]:
        return _page(render("answer.html", said=words.Said("warn", "Which token? It is needed to start."), raw=None))
    try:
        answer = await execute(
            context_of(request), principal, segment(station_id), types.NewCommand(action=verb, payload=payload)
        )
    except Problem as refused:
        return _page(render("answer.html", said=words.of_problem(refused), raw=refused.details.answer))
    return _page(render("answer.html", said=words.of_answer(verb, answer), raw=answer.answer))


_WHY = {
    "wrong": "Name or password is wrong.",
    "wait": "Too many failed attempts. Wait a minute, then try again.",
}


@get("/login", include_in_schema=False)
async def login(request: PlainRequest, next: FromQuery[str] = "/", why: FromQuery[str] = "") -> Response[str]:
    """Where people log in; whoever is in already goes on."""
    if request.scope.get("state", {}).get("principal") is not None:
        return cast("Response[str]", Redirect(own_path(next), status_code=303))
    return _page(render("login.html", next=own_path(next), why=_WHY.get(why, ""), principal=None))


@get("/api", include_in_schema=False)
async def api_reference(request: PlainRequest) -> Response[str]:
    """The reference of the API."""
    document = schema_of(request.app)
    return _page(
        render(
            "reference.html",
            groups=reference.groups_of(document),
            problems=reference.problems(),
            version=document["info"]["version"],
            principal=request.scope.get("state", {}).get("principal"),
        )
    )


@get("/favicon.ico", include_in_schema=False)
async def favicon(request: PlainRequest) -> Redirect:
    return Redirect("/static/icon.svg", status_code=307)


HANDLERS = [live, cards, detail, command, login, api_reference, favicon]
