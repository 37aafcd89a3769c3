"""Problems as people read them: a page that says what is wrong, why, and what to do; for htmx a note in place."""

from __future__ import annotations

import logging
from typing import Any

from litestar import Response
from litestar.exceptions import HTTPException

from pilotwire.api import problems
from pilotwire.api.language import _
from pilotwire.api.problems import CATALOGUE, Problem, problem

from .common import PlainRequest, context_of, fragment, is_piece, page

log = logging.getLogger(__name__)


def _name(refused: Problem) -> str:
    return refused.details.type.removeprefix(problems.PREFIX)


def show(request: PlainRequest, refused: Problem) -> Response[Any]:
    """A problem as page or piece, with its own status and headers."""
    details = refused.details
    advice = _(CATALOGUE.get(_name(refused), (0, "", ""))[2])
    why = details.detail.removesuffix(advice).strip() if advice else details.detail
    values = {"problem": details, "advice": advice, "why": why, "name": _name(refused)}
    if is_piece(request):
        made = fragment(request, "shell/problem.html", status=refused.status, **values)
    else:
        made = page(request, "shell/error.html", status=refused.status, **values)
    made.headers.update(refused.headers)
    return made


def _problem(request: PlainRequest, error: Problem) -> Response[Any]:
    return show(request, error)


def _http(request: PlainRequest, error: HTTPException) -> Response[Any]:
    status = error.status_code
    if status >= 500:
        log.error("page failed: %s", request.url.path, exc_info=error)
        return show(request, problem("broken"))
    if status == 404 and context_of(request).config.box:
        return show(request, problem("not-found", problems.not_on_a_box()))
    if status == 404:
        return show(request, problem("not-found", _("{path} is no page of this console.", path=request.url.path[:200])))
    if status == 405:
        return show(request, problem("bad-method"))
    if status == 413:
        return show(request, problem("too-large"))
    return show(request, problem("bad-parameter", error.detail[:300]))


def _transient(request: PlainRequest, error: Exception) -> Response[Any]:
    return show(request, problem("not-ready", f"{error}.", headers={"Retry-After": "2"}))


def _cursor(request: PlainRequest, error: Exception) -> Response[Any]:
    return show(request, problem("bad-cursor"))


def _anything(request: PlainRequest, error: Exception) -> Response[Any]:
    log.error("page failed: %s %s", request.method, request.url.path, exc_info=error)
    return show(request, problem("broken"))


HANDLERS: dict[int | type[Exception], Any] = {
    **{kind: _anything for kind in problems.HANDLERS if isinstance(kind, type)},
    problems.BadCursor: _cursor,
    problems.TransientError: _transient,
    Problem: _problem,
    HTTPException: _http,
}


def wants_page(request: PlainRequest) -> bool:
    """Whether a person's browser asks, and for a page, not for the API."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def unrouted(request: PlainRequest, error: HTTPException) -> Response[Any]:
    """What no route matches: for people the page, for programs the API's own answer."""
    if wants_page(request):
        return _http(request, error)
    answer: Response[Any] = problems.HANDLERS[HTTPException](request, error)
    return answer
