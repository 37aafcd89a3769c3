"""Errors as the API tells them: `application/problem+json` (RFC 9457), each with a stable `type` and a next step."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.types import Send

from pilotwire.core.errors import LocalError, PilotwireError, TransientError
from pilotwire.storage.codec import BadCursor
from pilotwire.storage.documents import Conflict

from .language import N_, _

log = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
PREFIX = "/api#problem-"
"""`type` is this and the problem's name: a link into the reference of the same server."""


class FieldError(msgspec.Struct, kw_only=True):
    """What is wrong with one field."""

    field: str
    message: str


class ProblemDetails(msgspec.Struct, kw_only=True, omit_defaults=True):
    """RFC 9457 problem details."""

    type: str
    title: str
    status: int
    detail: str
    errors: list[FieldError] = []
    command_id: str | None = None
    answer: Any = None
    version: str | None = None


class Problem(PilotwireError):
    """Raised by handlers; becomes the answer."""

    def __init__(
        self,
        status: int,
        name: str,
        title: str,
        detail: str,
        *,
        errors: list[dict[str, str]] | None = None,
        headers: Mapping[str, str] | None = None,
        command_id: str | None = None,
        answer: Any = None,
        version: str | None = None,
    ) -> None:
        super().__init__(f"{title}: {detail}")
        self.status = status
        self.name = name
        self.headers = dict(headers or {})
        self.details = ProblemDetails(
            type=PREFIX + name,
            title=title,
            status=status,
            detail=detail,
            errors=[FieldError(**error) for error in errors or []],
            command_id=command_id,
            answer=answer,
            version=version,
        )

    def encode(self) -> bytes:
        return msgspec.json.encode(self.details)


CATALOGUE: dict[str, tuple[int, str, str]] = {
    "bad-cursor": (400, "The cursor is not one of ours", "Begin the list anew, without `cursor`."),
    "bad-parameter": (400, "A parameter is wrong", "`errors` names it."),
    "bad-json": (400, "The body is not JSON", "Send one JSON object, as UTF-8."),
    "login-needed": (401, "Login needed", "Log in at /login, or send an API key as `Authorization: Bearer pw_…`."),
    "bad-login": (401, "Name or password is wrong", "Try again; after five failures wait a minute."),
    "bad-key": (401, "The API key is not known", "Make a new one: `pilotwire users key NAME`."),
    "code-needed": (
        401,
        "A code is needed besides the password",
        "Send it as `code`: of your authenticator, or a recovery code.",
    ),
    "bad-code": (
        401,
        "The code is not right, or was used before",
        "Wait for the next one and try again, or use a recovery code.",
    ),
    "tenant-suspended": (403, "This tenant is suspended", "Ask whoever runs this installation."),
    "not-allowed": (403, "Your role does not allow that", "Ask an admin."),
    "bad-host": (403, "This Host is not served here", "Use the address that the server printed when it started."),
    "bad-origin": (403, "The request came from another site", "Send it from the console, or with an API key."),
    "not-found": (404, "There is no such thing", "Check the id; the list above it shows what there is."),
    "nothing-known": (
        404,
        "Nothing is known of that",
        "The detail says what there is; ask for another moment or another EVSE.",
    ),
    "no-tenant": (404, "There is no such tenant", "GET /api/v1/tenants shows which there are."),
    "bad-method": (405, "This address does not take that method", "`Allow` says which it takes."),
    "last-admin": (409, "Nobody would be left who may administer", "Make somebody else an admin first."),
    "not-a-person": (409, "This is for people who have logged in", "Log in with name and password."),
    "exists": (409, "It exists already", "Change it with PATCH, or delete it first."),
    "in-use": (409, "It is still used", "Take it away from what uses it first; the detail names one."),
    "too-many": (409, "There are as many as there may be", "Delete one that nobody needs any more."),
    "under-way": (409, "It is under way", "Wait: it is done without you."),
    "station-offline": (
        409,
        "The station is not connected",
        "Wait for it, or send `expires_in_s` to keep the command.",
    ),
    "key-in-use": (
        409,
        "A request with this Idempotency-Key is under way",
        "Wait for its answer, or ask again in a few seconds.",
    ),
    "stale": (
        412,
        "It has been changed since you read it",
        "Read it anew (`version` is its present ETag), then decide whether your change still holds.",
    ),
    "too-large": (413, "The body is too large", "Send less than 1 MiB."),
    "bad-media-type": (415, "The body is of a type that is not taken", "Send `Content-Type: application/json`."),
    "bad-body": (422, "A field of the body is wrong", "`errors` names each field."),
    "key-reused": (
        422,
        "This Idempotency-Key stood for another request",
        "Make a new key for each new request; repeat one only with the very same request.",
    ),
    "bad-file": (422, "The file cannot be used", "The detail says what to mend; then send it again."),
    "bad-command": (422, "The station's OCPP version does not allow this command", "`errors` says what to mend."),
    "provider-failed": (
        502,
        "The login provider does not answer as it should",
        "Try again; if it lasts, tell an admin.",
    ),
    "reason-needed": (422, "This command needs a reason", "Say why in `reason`; it is kept in the audit log."),
    "too-many-attempts": (429, "Too many failed logins", "Wait as long as `Retry-After` says."),
    "too-many-requests": (429, "Too many requests", "Wait as long as `Retry-After` says, then go on more slowly."),
    "broken": (500, "Something is broken on our side", "It is in the server's log."),
    "not-ready": (503, "Not ready", "Try again soon."),
    "not-now": (409, "That cannot be begun now", "The detail says what to do first."),
    "controller-away": (
        503,
        "The site cannot be reached",
        "It goes on by itself; try again when its link is up.",
    ),
    "busy": (503, "Too many streams are open", "Close one, or try again later."),
    "no-answer": (504, "The station has not answered in time", "Look at the command later by its id."),
}
"""Every problem: name → (status, title, what to do). The reference page lists it."""


def problem(name: str, detail: str = "", **extra: Any) -> Problem:
    """A problem of the catalogue with its own detail and, always, what to do next."""
    status, title, advice = CATALOGUE[name]
    detail = f"{detail} {_(advice)}" if detail else _(advice)
    return Problem(status, name, _(title), detail, **extra)


_KINDS = (
    N_("API key"), N_("account of a station"), N_("alarm"), N_("command of this station"), N_("command"),
    N_("delivery"), N_("exclusion"), N_("group"), N_("job"), N_("login provider"), N_("login"), N_("mute"),
    N_("row of the audit log"), N_("rule"), N_("second factor"), N_("session"), N_("site"), N_("station"),
    N_("tenant"), N_("token"), N_("user"), N_("view"), N_("driver"), N_("webhook"), N_("subscription"),
    N_("background"), N_("site with a controller"),
)  # fmt: skip
"""Kinds of things that may not be there."""


def faulty(name: str, errors: list[dict[str, str]]) -> Problem:
    """A problem of the catalogue whose detail says what is wrong with each field, too."""
    return problem(name, "; ".join(f"{one['field']}: {one['message']}" for one in errors) + ".", errors=errors)


def not_found(what: str, key: str) -> Problem:
    """404 for one thing of a kind."""
    return Problem(
        404,
        "not-found",
        _("There is no such {what}", what=_(what)),
        _("No {what} {key} is known here. Check the id.", what=_(what), key=repr(key[:80])),
    )


_BY_STATUS = {
    400: "bad-parameter",
    401: "login-needed",
    403: "not-allowed",
    404: "not-found",
    405: "bad-method",
    413: "too-large",
    415: "bad-media-type",
    429: "too-many-attempts",
    503: "not-ready",
}


def respond(error: Problem) -> Response[bytes]:
    """A problem as a response."""
    return Response(error.encode(), status_code=error.status, media_type=MEDIA_TYPE, headers=error.headers)


async def send_problem(error: Problem, send: Send, *, head: bool = False) -> None:
    """A problem as the whole answer, for layers around the application."""
    body = error.encode()
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode("latin-1")) for name, value in error.headers.items()]
    await send({"type": "http.response.start", "status": error.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body, "more_body": False})


def _on_problem(request: Request[Any, Any, Any], error: Problem) -> Response[bytes]:
    return respond(error)


def not_on_a_box() -> str:
    """What is said of all that a box at a site does not have."""
    return _("This box runs one site; stations, sessions and cards are in the central system.")


def _on_http(request: Request[Any, Any, Any], error: HTTPException) -> Response[bytes]:
    """Litestar's own errors: a wrong body is 422, a wrong parameter 400, both with their fields."""
    if isinstance(error, ValidationException):
        listed = error.extra if isinstance(error.extra, list) else []
        errors = [
            {"field": str(one.get("key") or "body"), "message": str(one.get("message", ""))}
            for one in listed
            if isinstance(one, dict)
        ]
        in_body = any(isinstance(one, dict) and one.get("source") == "body" for one in listed)
        if not errors:
            return respond(problem("bad-json" if "JSON" in error.detail else "bad-parameter", error.detail))
        name = "bad-body" if in_body else "bad-parameter"
        told = "; ".join(f"{one['field']}: {one['message']}" for one in errors)
        return respond(problem(name, f"{told}.", errors=errors))
    status = error.status_code
    name = _BY_STATUS.get(status, "broken" if status >= 500 else "bad-parameter")
    headers = {key: value for key, value in (error.headers or {}).items() if key.lower() in ("allow", "retry-after")}
    if status >= 500 and status != 503:
        log.error("request failed", exc_info=error)
        return respond(problem("broken"))
    _status, title, advice = CATALOGUE[name]
    detail = f"{request.method} {request.url.path[:200]}: {_(title).lower()}. {_(advice)}"
    if status == 404 and request.app.state.context.config.box:
        detail = f"{request.url.path[:200]}: {not_on_a_box()}"
    if status == 400 and error.detail:
        name, title = ("bad-json", CATALOGUE["bad-json"][1]) if "JSON" in error.detail else (name, title)
        detail = f"{error.detail}. {_(CATALOGUE[name][2])}"
    return respond(Problem(status, name, _(title), detail, headers=headers))


def _on_local(request: Request[Any, Any, Any], error: LocalError) -> Response[bytes]:
    log.error("request failed", exc_info=error)
    return respond(problem("broken"))


def _on_cursor(request: Request[Any, Any, Any], error: BadCursor) -> Response[bytes]:
    return respond(problem("bad-cursor", errors=[{"field": "cursor", "message": _("not a cursor of this list")}]))


def _on_conflict(request: Request[Any, Any, Any], error: Conflict) -> Response[bytes]:
    """Somebody was quicker, seen by the store while it wrote."""
    if error.found == 0:
        return respond(not_found(error.kind, error.id))
    present = f'"{error.found}"'
    return respond(problem("stale", headers={"ETag": present}, version=present))


def _on_transient(request: Request[Any, Any, Any], error: TransientError) -> Response[bytes]:
    return respond(problem("not-ready", f"{error}.", headers={"Retry-After": "2"}))


def _on_anything(request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
    log.error("request failed: %s %s", request.method, request.url.path, exc_info=error)
    return respond(problem("broken"))


HANDLERS: dict[int | type[Exception], Any] = {
    Problem: _on_problem,
    HTTPException: _on_http,
    BadCursor: _on_cursor,
    Conflict: _on_conflict,
    LocalError: _on_local,
    TransientError: _on_transient,
    Exception: _on_anything,
}
"""Litestar picks the handler of the nearest class."""
