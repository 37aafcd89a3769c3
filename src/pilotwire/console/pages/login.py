"""Where people log in."""

from __future__ import annotations

from typing import Any, cast

from litestar import Response, get
from litestar.params import FromQuery
from litestar.response import Redirect

from pilotwire.api.routes.login import own_path

from ..language import N_
from .common import PlainRequest, page

_WHY = {
    "wrong": N_("Name or password is wrong."),
    "wait": N_("Too many failed attempts. Wait a minute, then try again."),
}


@get("/login")
async def login(request: PlainRequest, next: FromQuery[str] = "/", why: FromQuery[str] = "") -> Response[Any]:
    """The form; whoever is in already goes on."""
    if request.scope.get("state", {}).get("principal") is not None:
        return cast("Response[Any]", Redirect(own_path(next), status_code=303))
    return page(request, "login.html", next=own_path(next), why=_WHY.get(why, ""))


HANDLERS: list[Any] = [login]
