"""Editing without overwriting what somebody else wrote meanwhile: ETag and If-Match.

Every single resource carries an `ETag`. Of a document it is its version (`"7"`), of a record without one a digest. A
change may send it back as `If-Match`; when the resource has changed since, the answer is 412 `stale` with the present
tag, and nothing is done. Without If-Match a change is made to whatever is there.

A tag may have a second part after a dot (`"7.9f2c…"`), for what a resource shows besides what can be edited (a
station's power, say): it lets caches see a change, and is no reason to refuse an edit.
"""

from __future__ import annotations

import hashlib
from typing import Annotated, Any, TypeVar

import msgspec
from litestar import Request, Response
from litestar.params import HeaderParameter

from pilotwire.storage.documents import Conflict

from .problems import Problem, problem

T = TypeVar("T")

IfMatch = Annotated[
    str | None,
    HeaderParameter(
        name="If-Match",
        description="The ETag that you read: the change is made only if nobody has changed it since (else 412)",
        max_length=1000,
    ),
]
"""The type of a handler's parameter `if_match`."""


def tag_of(value: object, shown: object = None) -> str:
    """The entity tag of a resource, with its quotes: of a version (int), or of whatever msgspec can encode.

    `shown`: the rest of what is shown, which If-Match does not look at.
    """
    text = str(value) if isinstance(value, int) else f"d{digest(value)}"
    return f'"{text}.{digest(shown)}"' if shown is not None else f'"{text}"'


def digest(value: object) -> str:
    """A short digest of bytes, or of the JSON of anything else; as long as makes two equal by chance unheard of."""
    data = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return hashlib.blake2b(data, digest_size=9).hexdigest()


def tagged(value: T, tag: str, status_code: int | None = None) -> Response[T]:
    """A response with its `ETag`."""
    return Response(value, status_code=status_code, headers={"ETag": tag})


def given_in(request: Request[Any, Any, Any]) -> str | None:
    """The If-Match of a request."""
    return request.headers.get("if-match")


def check(if_match: str | None, present: str) -> None:
    """Raises Problem 412 `stale` unless `if_match` is None, `*`, or names the tag `present`."""
    if if_match is None or if_match.strip() == "*":
        return
    wanted = _editable(present)
    if not any(_editable(one) == wanted for one in if_match.split(",") if not one.strip().startswith("W/")):
        raise stale(present)


def version_in(if_match: str | None, present: int) -> int | None:
    """`check` against a version; returns what to hand to the store as `expected` (None: no condition).

    The store compares once more while it writes and raises `Conflict`, which the application answers as 412 too.
    """
    check(if_match, tag_of(present))
    return None if if_match is None else present


def matches(if_none_match: str, tag: str) -> bool:
    """Whether a cache that sent `if_none_match` holds what `tag` stands for (weak comparison)."""
    if if_none_match.strip() == "*":
        return True
    plain = tag.removeprefix("W/")
    return any(one.strip().removeprefix("W/") == plain for one in if_none_match.split(","))


def stale(present: str) -> Problem:
    """412: somebody was quicker."""
    return problem("stale", headers={"ETag": present}, version=present)


def of_conflict(error: Conflict) -> Problem:
    """412 for what the store saw while it wrote."""
    return stale(tag_of(error.found))


def _editable(tag: str) -> str:
    return tag.strip().strip('"').partition(".")[0]
