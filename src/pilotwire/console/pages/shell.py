"""The frame's own requests: the command palette, theme and language, the icon."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get, post
from litestar.datastructures import Cookie
from litestar.params import QueryParameter
from litestar.response import Redirect

from pilotwire.api import language
from pilotwire.api.routes.login import own_path

from ..forms import Form
from ..palette import find
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


@get("/ui/palette")
async def palette(request: PlainRequest, q: Annotated[str, QueryParameter(max_length=80)] = "") -> Response[Any]:
    """What fits to what is typed."""
    context, principal = context_of(request), whoever(request)
    text = " ".join(q.split())
    return fragment(
        request,
        "shell/palette.html",
        found=await find(context, principal, text, request.headers.get("hx-current-url", "")),
        q=text,
    )


@get("/favicon.ico")
async def favicon(request: PlainRequest) -> Redirect:
    return Redirect("/static/icon.svg", status_code=307)


HANDLERS: list[Any] = [palette, preferences, favicon]
