"""The API and the console as one application."""

from __future__ import annotations

import logging
from functools import cache, partial

from litestar import Litestar, Router
from litestar.exceptions import HTTPException
from litestar.static_files import create_static_files_router

from pilotwire.api.app import create_app as create_api
from pilotwire.api.context import ApiContext

from .pages.errors import unrouted
from .view import STATIC, compile_templates, missing_libraries

log = logging.getLogger(__name__)


@cache
def _files() -> Router:
    return create_static_files_router(
        path="/static", directories=[STATIC], include_in_schema=False, cache_control=None, send_as_attachment=False
    )


def _compile_box() -> None:
    """What a box shows, page by page: whoever looks first holds up nobody."""
    folder = STATIC.parent / "templates"
    for page in sorted(folder.glob("*.html")) + [
        each for name in _BOX for each in sorted((folder / name).glob("*.html"))
    ]:
        compile_templates(page.relative_to(folder).as_posix())


_BOX = ("controller", "commissioning", "settings", "shell")
"""Folders of templates."""


def create_app(context: ApiContext) -> Litestar:
    """What `pilotwire run` serves over HTTP."""
    if missing := missing_libraries():
        log.warning("the console lacks %s: run python tools/build_frontend.py", ", ".join(missing))
    box = bool(context.config.box)
    if box:  # what a small machine does not show is not read by it either
        from .pages.of_a_box import HANDLERS
    else:
        from .pages.of_a_centre import HANDLERS
    app = create_api(context, extra=[*HANDLERS, _files()])
    app.exception_handlers[HTTPException] = unrouted
    if box:  # a small machine makes what it has, and not the document of the API
        app.state.warm[:] = [_compile_box]
        return app
    app.state.first.append(partial(compile_templates, "overview/index.html"))
    app.state.warm.insert(0, compile_templates)
    return app
