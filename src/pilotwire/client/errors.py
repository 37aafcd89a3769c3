"""What can go wrong between a program and a Pilotwire server.

ApiProblem      the server answered with a problem (RFC 9457): it says what is wrong, where, and what to do
Unreachable     no answer: not connected, cut off, timed out, after all retries
StrangeAnswer   an answer that the API does not have: of another program, or of a version too far apart
"""

from __future__ import annotations

from typing import Any

import msgspec

from pilotwire.core.errors import PilotwireError, RemoteError, TransientError


class FieldError(msgspec.Struct, kw_only=True):
    """What is wrong with one field."""

    field: str
    message: str


class _Details(msgspec.Struct, kw_only=True):
    type: str = "about:blank"
    title: str = ""
    status: int = 0
    detail: str = ""
    errors: list[FieldError] = []
    command_id: str | None = None
    answer: Any = None
    version: str | None = None


class ApiProblem(PilotwireError):
    """The server's problem. `name` is stable (`not-found`, `stale`, `station-offline` …) and meant to be compared."""

    def __init__(self, status: int, details: _Details, retry_after_s: float | None = None) -> None:
        self.status = status
        """HTTP status."""
        self.type = details.type
        """A link into the server's reference: `/api#problem-<name>`."""
        self.name = details.type.rpartition("#problem-")[2]
        self.title = details.title
        self.detail = details.detail
        """What to do next, for people."""
        self.errors = details.errors
        """Each wrong field and what is wrong with it."""
        self.command_id = details.command_id
        """Of a command that the station did not answer in time: look it up later."""
        self.answer = details.answer
        self.version = details.version
        """With `stale`: the present ETag."""
        self.retry_after_s = retry_after_s
        named = "".join(f"\n  {one.field}: {one.message}" for one in details.errors)
        super().__init__(f"{details.title or f'HTTP {status}'}: {details.detail}{named}")


class Unreachable(TransientError):
    """There was no answer."""


class StrangeAnswer(RemoteError):
    """The answer is not one of this API."""


def problem_of(status: int, body: bytes, retry_after_s: float | None = None) -> ApiProblem:
    """The problem in an answer of 4xx or 5xx; a proxy's own page becomes one with only its status."""
    try:
        details = msgspec.json.decode(body, type=_Details)
    except msgspec.DecodeError:
        details = _Details(title=f"HTTP {status}", detail=body[:200].decode("utf-8", "replace"))
    return ApiProblem(status, details, retry_after_s)
