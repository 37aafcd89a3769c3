"""What the handlers share."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request
from litestar.datastructures import State
from litestar.params import PathParameter, QueryParameter

from ..access import Principal
from ..context import ApiContext
from ..guard import unslash
from ..language import DEFAULT, _, speaking
from ..plain import plain
from ..problems import Problem, problem
from ..queries import Queries
from ..tenancy import NOBODY, bound

PlainRequest = Request[Any, Any, State]

Cursor = Annotated[
    str | None,
    QueryParameter(description="`next` of the page before; leave it out for the first page", max_length=2048),
]
Limit = Annotated[int, QueryParameter(ge=1, le=500, description="At most so many items")]
StationPath = Annotated[str, PathParameter(description="Identity of the station")]


def whole_context(request: PlainRequest) -> ApiContext:
    """The context with the ports of every tenant: for logging in and for what the platform's admin does, alone."""
    context: ApiContext = request.app.state.context
    return context


def context_of(request: PlainRequest) -> ApiContext:
    """The context for whatever serves this request: its store and bus know no tenant but that of who asks."""
    principal: Principal | None = request.scope.get("state", {}).get("principal")
    return bound(whole_context(request), principal.tenant if principal is not None else NOBODY)


def whoever(request: PlainRequest) -> Principal:
    """Who asks, whatever they may do; raises Problem 401."""
    principal: Principal | None = request.scope.get("state", {}).get("principal")
    if principal is None:
        raise problem("login-needed", headers={"WWW-Authenticate": 'Bearer realm="pilotwire"'})
    return principal


def principal_of(request: PlainRequest, permission: str) -> Principal:
    """Who asks, who must have this permission; raises Problem 401 or 403."""
    principal = whoever(request)
    principal.need(permission)
    return principal


def queries_of(request: PlainRequest, permission: str) -> Queries:
    return Queries(context_of(request), principal_of(request, permission))


def segment(text: str) -> str:
    """A path parameter as the client meant it."""
    return unslash(text)


def text_or_400(name: str, value: str | None) -> str | None:
    """A query text that no id or search can hold is refused before it reaches a database."""
    if value and not value.isprintable():
        raise problem("bad-parameter", errors=[{"field": name, "message": _("holds control characters")}])
    return value or None


def texts_or_400(name: str, values: list[str] | None) -> tuple[str, ...]:
    """The same of a parameter that may be given several times; a few at most, and short ones."""
    found = tuple(dict.fromkeys(value for value in values or () if text_or_400(name, value)))
    if len(found) > MAX_VALUES or any(len(one) > MAX_VALUE for one in found):
        message = _("at most {n} values of at most {n2} characters", n=MAX_VALUES, n2=MAX_VALUE)
        raise problem("bad-parameter", errors=[{"field": name, "message": message}])
    return found


MAX_VALUES = 50
MAX_VALUE = 255
Several = "; may be given several times"
Count = Annotated[bool, QueryParameter(description="Also say how many there are in all, as `total`")]
T = TypeVar("T")
_FIELD = re.compile(r"(?:unknown|required) field `([^`]+)`")
_PATH = re.compile(r" - at `\$\.?([^`]*)`$")


async def body_of(request: PlainRequest, kind: type[T]) -> T:
    """The JSON body as `kind`, strictly. Raises Problem 415, 400 (not JSON) or 422 with the field."""
    given = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if given != "application/json" and not given.endswith("+json"):
        raise problem("bad-media-type", _("The body is sent as {given}.", given=repr(given[:80])))
    try:
        return msgspec.json.decode(await request.body(), type=kind)
    except msgspec.ValidationError as error:
        raise bad_body(error) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise problem("bad-json", f"{error}.") from None


def bad_body(error: msgspec.ValidationError) -> Problem:
    """422 that names the field."""
    text = str(error)
    where = _PATH.search(text)
    if where:
        text = text[: where.start()]
    field = (where.group(1) if where else "") or "body"
    if named := _FIELD.search(text):
        field = named.group(1) if field == "body" else f"{field}.{named.group(1)}"
    if "matching regex" in text:
        text = _("holds characters that are not allowed here")
    elif speaking() != DEFAULT:
        text = plain(text)
    return problem("bad-body", f"{field}: {text}.", errors=[{"field": field, "message": text}])
