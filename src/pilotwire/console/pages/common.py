"""What all pages share: drawing one, drawing a piece for htmx, saying something once on the page that comes next."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from typing import Annotated, Any, Literal

from litestar import MediaType, Response
from litestar.datastructures import Cookie
from litestar.params import PathParameter
from litestar.response import Redirect

from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.routes.common import PlainRequest, context_of, principal_of, queries_of, segment, whoever

from ..navigation import places_of
from ..view import missing_libraries, render
from .settings_tabs import on_a_box

__all__ = (
    "Crumb", "Level", "PlainRequest", "StationPath", "Text", "allowed", "context_of", "flash", "fragment", "is_piece",
    "page", "principal_of", "queries_of", "redirect", "segment", "whoever",
)  # fmt: skip

Level = Literal["good", "info", "warn", "bad"]
Crumb = tuple[str, str | None]
"""Text and address; the last has none."""
Text = Annotated[str, PathParameter()]
StationPath = Text
THEMES = ("auto", "light", "dark")
THEME_COOKIE = "pilotwire_theme"
_FLASH_COOKIE = "pilotwire_flash"


def is_piece(request: PlainRequest) -> bool:
    """Whether htmx (or live.js) asks for a piece of a page rather than for a page."""
    return request.url.path.startswith("/ui/") or "hx-request" in request.headers


def _flashed(request: PlainRequest) -> tuple[str, str] | None:
    try:
        level, text = json.loads(base64.urlsafe_b64decode(request.cookies.get(_FLASH_COOKIE, "")))
        return (str(level), str(text)) if level in ("good", "info", "warn", "bad") else None
    except (ValueError, TypeError, binascii.Error):
        return None


def page(
    request: PlainRequest,
    template: str,
    *,
    here: str = "",
    crumbs: Sequence[Crumb] = (),
    status: int = 200,
    **values: Any,
) -> Response[str]:
    """A whole page. `here` is the key of its place in the navigation."""
    principal: Principal | None = request.scope.get("state", {}).get("principal")
    theme = request.cookies.get(THEME_COOKIE, "auto")
    said = _flashed(request)
    config = context_of(request).config
    if config.box and "tabs" in values:
        values["tabs"] = on_a_box(values["tabs"])
    text = render(
        template,
        here=here,
        crumbs=crumbs,
        principal=principal,
        places=places_of(principal, box=bool(config.box)),
        config=config,
        theme=theme if theme in THEMES else "auto",
        wall="wall" in request.query_params,
        said=said,
        path=request.url.path + (f"?{request.url.query}" if request.url.query else ""),
        missing=missing_libraries(),
        **values,
    )
    response = Response(text, media_type=MediaType.HTML, status_code=status)
    if said:
        response.set_cookie(Cookie(key=_FLASH_COOKIE, value="", max_age=0, path="/", httponly=True, samesite="lax"))
    return response


def fragment(
    request: PlainRequest,
    template: str,
    *,
    status: int = 200,
    toast: tuple[Level, str] | None = None,
    trigger: str = "",
    **values: Any,
) -> Response[str]:
    """A piece of a page for htmx. `toast` is shown besides; `trigger` is an event that the page hears (hx-trigger)."""
    principal: Principal | None = request.scope.get("state", {}).get("principal")
    text = render(template, principal=principal, config=context_of(request).config, **values)
    events: dict[str, Any] = {}
    if toast:
        events["toast"] = {"level": toast[0], "text": toast[1]}
    if trigger:
        events[trigger] = {}
    headers = {"HX-Trigger": json.dumps(events)} if events else {}
    return Response(text, media_type=MediaType.HTML, status_code=status, headers=headers)


def redirect(request: PlainRequest, path: str, level: Level = "good", text: str = "") -> Response[Any]:
    """Go to another page (also from htmx), and say `text` there once."""
    response: Response[Any]
    if "hx-request" in request.headers:
        response = Response("", media_type=MediaType.HTML, headers={"HX-Redirect": path})
    else:
        response = Redirect(path, status_code=303)  # type: ignore[assignment]
    return flash(response, level, text) if text else response


def flash(response: Response[Any], level: Level, text: str) -> Response[Any]:
    """Say this once on the page that is opened next."""
    value = base64.urlsafe_b64encode(json.dumps([level, text[:600]]).encode()).decode()
    response.set_cookie(Cookie(key=_FLASH_COOKIE, value=value, max_age=60, path="/", httponly=True, samesite="lax"))
    return response


def allowed(request: PlainRequest, permission: str) -> tuple[ApiContext, Principal]:
    """The context and who asks, who must have this permission. Raises Problem 401 or 403."""
    return context_of(request), principal_of(request, permission)
