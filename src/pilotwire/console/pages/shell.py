"""The frame's own requests: theme and language, the icon."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.response import Redirect

from pilotwire.api.routes.login import own_path

from .. import language
from ..forms import Form
from .common import THEME_COOKIE, THEMES, PlainRequest

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


@get("/favicon.ico")
async def favicon(request: PlainRequest) -> Redirect:
    return Redirect("/static/icon.svg", status_code=307)


HANDLERS: list[Any] = [preferences, favicon]
