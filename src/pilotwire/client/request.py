"""Requests and answers without a connection: what both forms of the client share."""

from __future__ import annotations

import re
import ssl
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Generic, NamedTuple, TypeVar
from urllib.parse import quote

import msgspec

from .errors import ApiProblem, StrangeAnswer, problem_of

T = TypeVar("T")


class Operation(NamedTuple, Generic[T]):
    """One operation of the OpenAPI document."""

    id: str
    method: str
    path: str
    """With the names of its parameters in braces."""
    answer: type[T] | None = None
    """What it answers with; None: nothing, text, a file or a stream."""


class Kept(msgspec.Struct, Generic[T], frozen=True):
    """A resource as it was read, with the version that it had then.

    Give it as `if_match` to a change: the change is made only if nobody else has changed the resource since; otherwise
    `ApiProblem` with the name `stale`.
    """

    value: T
    version: str
    """The ETag."""


class Request(NamedTuple):
    """Everything that goes out."""

    method: str
    path: str
    query: list[tuple[str, str | int | float | bool | None]]
    headers: dict[str, str]
    body: bytes | None
    patience_s: float
    """How long to wait for the answer to begin."""
    repeatable: bool
    """Whether it can be sent once more when nobody knows whether it arrived."""


PATIENCE_S = 60.0
_SLACK_S = 15.0


def build(
    operation: Operation[Any],
    path: Sequence[str | int] = (),
    *,
    query: Mapping[str, Any] | None = None,
    body: object = None,
    media_type: str = "application/json",
    if_match: Kept[Any] | str | None = None,
    idempotency_key: str | None = None,
    accept: str = "application/json",
) -> Request:
    """The request of an operation. A POST gets an `Idempotency-Key`, so that it can be retried without harm."""
    headers = {"Accept": accept}
    if if_match is not None:
        headers["If-Match"] = if_match.version if isinstance(if_match, Kept) else if_match
    if operation.method == "POST":
        headers["Idempotency-Key"] = idempotency_key or str(uuid.uuid4())
    data: bytes | None = None
    if body is not None:
        headers["Content-Type"] = media_type
        data = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else _encode(body)
    return Request(
        method=operation.method,
        path=address(operation.path, path),
        query=pairs(query or {}),
        headers=headers,
        body=data,
        patience_s=max(PATIENCE_S, (getattr(body, "timeout_s", None) or 0) + _SLACK_S),
        repeatable=operation.method in ("GET", "POST", "DELETE") or (operation.method == "PUT" and if_match is None),
    )


_encode = msgspec.json.encode


def address(template: str, values: Sequence[str | int]) -> str:
    """The path with its parameters filled in; ids may hold any printable character, slashes too."""
    names = iter(values)

    def fill(match: re.Match[str]) -> str:
        text = str(next(names))
        if text in ("", ".", ".."):
            raise ValueError(f"{text!r} cannot be part of an address ({match[0]} of {template})")
        return quote(text, safe="")

    return re.sub(r"\{[^}]+\}", fill, template)


def pairs(query: Mapping[str, Any]) -> list[tuple[str, str | int | float | bool | None]]:
    """Query parameters as text; None is left out, lists are repeated."""
    made: list[tuple[str, str | int | float | bool | None]] = []
    for name, value in query.items():
        several = value if isinstance(value, list | tuple) else [value]
        made += [(name, text_of(one)) for one in several if one is not None]
    return made


def text_of(value: Any) -> str:
    """A parameter as the API reads it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError(f"{value.isoformat()} has no time zone")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def answer(operation: Operation[T], status: int, headers: Mapping[str, str], body: bytes) -> T:
    """The answer, typed. Raises ApiProblem, StrangeAnswer."""
    check(status, headers, body)
    if operation.answer is None:
        return None  # type: ignore[return-value]
    try:
        return msgspec.json.decode(body, type=operation.answer)
    except msgspec.DecodeError as error:
        raise StrangeAnswer(f"{operation.id}: the answer is not a {operation.answer.__name__}: {error}") from error


def kept(operation: Operation[T], status: int, headers: Mapping[str, str], body: bytes) -> Kept[T]:
    """The answer with its version. Raises ApiProblem, StrangeAnswer."""
    value = answer(operation, status, headers, body)
    tag = headers.get("etag")
    if not tag:
        raise StrangeAnswer(f"{operation.id}: the answer has no ETag")
    return Kept(value, tag)


def check(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raises ApiProblem for 4xx and 5xx, StrangeAnswer for a redirect to somewhere else."""
    if status >= 400:
        raise problem_of(status, body, retry_after(headers))
    if status >= 300:
        raise StrangeAnswer(f"HTTP {status} to {headers.get('location', '?')}: this is not the API's address")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds that the server asks to wait (RFC 9110 10.2.3: seconds or a date)."""
    text = headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    if not text:
        return None
    try:
        when = parsedate_to_datetime(text)
    except ValueError:
        return None
    return max(0.0, (when - datetime.now(when.tzinfo or UTC)).total_seconds()) if when.tzinfo else None


def again(request: Request, problem: ApiProblem, attempt: int) -> bool:
    """Whether a refused request may be sent again: nothing was done, and the reason passes by itself."""
    if problem.status in (429, 503):
        return problem.name != "too-many-attempts"  # failed logins: trying on makes it worse
    return problem.name == "key-in-use" and attempt > 0 and request.method == "POST"


PAGE = 200
"""Items per request when a list is walked through."""


def unreachable(url: str, error: Exception) -> str:
    """Why there is no answer, in words."""
    said = str(error) or type(error).__name__
    if distrusted(error):
        return f"{url} is not trusted: {said}; say whom to trust by ca or fingerprint"
    return f"{url} does not answer: {said}"


def distrusted(error: BaseException | None) -> bool:
    """Whether the server's certificate is not believed: waiting does not mend that."""
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def file_name(headers: Mapping[str, str]) -> str:
    """The name in `Content-Disposition`, without any folder."""
    match = re.search(r'filename="([^"]+)"', headers.get("content-disposition", ""))
    return match[1].replace("\\", "/").rpartition("/")[2] if match else ""
