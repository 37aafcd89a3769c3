"""The frame's own requests: the command palette, theme and language, the icon."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import QueryParameter
from litestar.response import Redirect

from pilotwire.api import language, types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import _
from pilotwire.api.queries import Queries
from pilotwire.api.routes.login import own_path

from ..forms import Form
from ..navigation import places_of
from ..view import kwh
from . import command
from .common import THEME_COOKIE, THEMES, PlainRequest, context_of, fragment, whoever

_YEAR = 365 * 86_400


@post("/ui/preferences", status_code=303)
async def preferences(request: PlainRequest) -> Response[Any]:
    """Theme and language of this browser, kept in cookies; back to the page it came from."""
    form = await Form.read(request)
    response: Response[Any] = Redirect(own_path(form.get("next", "/")), status_code=303)  # type: ignore[assignment]
    secure = request.url.scheme == "https"
    for key, value, valid in (
        (THEME_COOKIE, form.get("theme"), THEMES),
        (language.COOKIE, form.get("language"), language.languages()),
    ):
        if value in valid:
            response.set_cookie(
                Cookie(key=key, value=value, max_age=_YEAR, path="/", samesite="lax", secure=secure, httponly=True)
            )
    return response


class Found(NamedTuple):
    """A line of the palette."""

    group: str
    text: str
    href: str
    icon: str
    hint: str = ""


_STATIONS = 7


def _pages(principal: Principal, needle: str) -> list[Found]:
    return [
        Found(_("Pages"), _(place.text), place.path, place.icon, f"g {place.keys}")
        for place in places_of(principal)
        if needle in _(place.text).casefold() or needle in place.text.casefold()
    ]


async def _found(context: ApiContext, principal: Principal, text: str) -> list[Found]:
    """Pages, stations, what can be done with the first of them, sessions."""
    needle = text.casefold()
    lines = _pages(principal, needle)
    if not needle:
        return lines
    queries = Queries(context, principal)
    if principal.may("stations:read"):
        # "restart CP-1" finds the station by its last word too.
        words = [text, *([text.split()[-1]] if " " in text else [])]
        stations: list[types.Station] = []
        for word in words:
            stations = (await queries.stations(search=word, limit=_STATIONS)).items
            if stations:
                break
        for one in stations:
            state = _("online") if one.connected else _("offline")
            lines.append(Found(_("Stations"), one.id, f"/stations/{quote(one.id, safe='')}", "station", state))
        if stations and stations[0].connected:
            first = stations[0]
            for verb, told in command.VERBS.items():
                if verb != "stop" and command.may_send(principal, verb):
                    lines.append(
                        Found(
                            _("Do"),
                            f"{_(told.title)}: {first.id}",
                            f"/stations/{quote(first.id, safe='')}?do={verb}",
                            "play",
                        )
                    )
    if principal.may("sessions:read") and len(needle) > 3 and (session := await queries.find_session(text)):
        hint = f"{session.station_id} · {kwh(session.energy_wh)} kWh"
        lines.append(Found(_("Sessions"), session.id, f"/sessions/{quote(session.id, safe='')}", "bolt", hint))
    return lines


@get("/ui/palette")
async def palette(request: PlainRequest, q: Annotated[str, QueryParameter(max_length=80)] = "") -> Response[Any]:
    """What fits to what is typed."""
    context, principal = context_of(request), whoever(request)
    text = " ".join(q.split())
    return fragment(
        request,
        "shell/palette.html",
        found=await _found(context, principal, text) if text.isprintable() else [],
        q=text,
    )


@get("/favicon.ico")
async def favicon(request: PlainRequest) -> Redirect:
    return Redirect("/static/icon.svg", status_code=307)


HANDLERS: list[Any] = [palette, preferences, favicon]
