"""What forms share: bodies of the API made from what was typed, with every wrong field told in plain words; a form
drawn again when what it wants is refused; times as people type them."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Container, Iterable, Mapping
from datetime import datetime, tzinfo
from functools import cache
from typing import Any, TypeVar, get_type_hints

import msgspec
from litestar import Response

from pilotwire.api.language import _
from pilotwire.api.plain import plain
from pilotwire.api.problems import Problem, problem
from pilotwire.api.resources.keeping import Tagged

from ..forms import Form
from .common import PlainRequest, redirect

T = TypeVar("T")
ETAG = "etag"
"""The hidden field with the ETag of what is being edited."""


@cache
def _hints(kind: type) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def body(kind: type[T], values: Mapping[str, Any]) -> T:
    """`values` as a body of the API. Raises Problem 422 that names every wrong field, not just the first."""
    errors: list[dict[str, str]] = []
    hints = _hints(kind)
    for name, value in values.items():
        try:
            msgspec.convert(value, hints[name])
        except msgspec.ValidationError as error:
            text, _at, where = str(error).partition(" - at `$")
            errors.append({"field": f"{name}{where.rstrip('`')}", "message": plain(text, value)})
    if errors:
        raise problem("bad-body", errors=errors)
    return msgspec.convert(dict(values), kind)


def local(time: str | None, zone: tzinfo) -> str:
    """A time of the API as `<input type=datetime-local>` takes it, in the server's zone."""
    return datetime.fromisoformat(time).astimezone(zone).strftime("%Y-%m-%dT%H:%M") if time else ""


def moment(form: Form, name: str, zone: tzinfo) -> datetime | None:
    """What was chosen in `<input type=datetime-local>`; None for nothing. A wrong one is noted in the form."""
    text = form.get(name)
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=zone)
    except ValueError:
        form.wrong(name, _("is no time: write 2027-12-31T18:00"))
        return None


def zone_name(zone: tzinfo) -> str:
    """The server's zone by name, to stand next to such a field."""
    return getattr(zone, "key", None) or str(zone)


def words_of(text: str) -> list[str]:
    """A list typed with commas, semicolons or lines between, each once."""
    return list(dict.fromkeys(part.strip() for part in re.split(r"[,;\n]", text) if part.strip()))


def lists(form: Form, name: str) -> None:
    """Errors of a list's items (`tokens[2]`) as errors of the one field where the list is typed."""
    for key in [key for key in form.errors if key.startswith(f"{name}[")]:
        form.wrong(name, form.errors.pop(key))


async def again(
    request: PlainRequest,
    form: Form,
    refused: Problem,
    draw: Callable[[PlainRequest, Form, T, str, int], Awaitable[Response[Any]]],
    read: Callable[[], Awaitable[Tagged[T]]],
    *,
    passing: Container[int] = (404,),
    listed: Iterable[str] = (),
) -> Response[Any]:
    """The form of a thing once more after its change was refused: what was typed, what is wrong with it, and over it
    the thing as it is kept now. Problems of a status in `passing` are raised on; `listed` are fields of lists."""
    if refused.status in passing:
        raise refused
    form.fail(refused)
    for name in listed:
        lists(form, name)
    now = await read()
    return await draw(request, form, now.value, now.etag, refused.status)


async def unless_in_use(request: PlainRequest, work: Awaitable[object], *, stay: str, then: str, said: str) -> Any:
    """Take something away and say so at `then`; where something still uses it (409), say that at `stay`."""
    try:
        await work
    except Problem as refused:
        if refused.status != 409:
            raise
        return redirect(request, stay, "bad", refused.details.detail)
    return redirect(request, then, "good", said)
