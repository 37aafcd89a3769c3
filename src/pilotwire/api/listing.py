"""Lists: sorting, filtering and paging by cursors that are bound to the question they were made for.

A cursor carries a digest of the question (sort and filters), so that one handed to another question is told apart
(400 `bad-cursor`) instead of leading to a page of something else. `sort` names a field, `-field` the reverse; equal
ones are in order of their id, so that pages neither repeat nor skip.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any, NamedTuple, TypeVar

import msgspec
from litestar.params import QueryParameter

from pilotwire.core.time import from_datetime

from . import cursors
from .edit import digest
from .language import _
from .problems import Problem, problem

T = TypeVar("T")
Key = str | int | float | bool | None
"""What may be sorted by."""

SortText = Annotated[
    str | None,
    QueryParameter(
        description="A field to sort by; with a minus in front, the reverse",
        max_length=64,
        pattern=r"^-?[a-z][a-z0-9_]*$",
    ),
]


Search = Annotated[str | None, QueryParameter(max_length=100, description="Text to look for, in any case")]


class Sort(NamedTuple):
    """By which field, and whether the greatest comes first."""

    field: str
    descending: bool

    @property
    def text(self) -> str:
        return f"-{self.field}" if self.descending else self.field


def sort_of(text: str | None, fields: Iterable[str], default: str) -> Sort:
    """`text` (or `default`) as a `Sort`. Raises Problem 400 for a field that cannot be sorted by."""
    known = list(fields)
    text = text or default
    field = text.removeprefix("-")
    if field not in known:
        raise problem(
            "bad-parameter",
            _("This list cannot be sorted by {field}.", field=repr(field[:40])),
            errors=[
                {
                    "field": "sort",
                    "message": _("one of {names}, with a minus in front for the reverse", names=", ".join(known)),
                }
            ],
        )
    return Sort(field, text.startswith("-"))


def question(name: str, sort: Sort | str, filters: Mapping[str, object] | None = None) -> str:
    """What a list was asked, as a short digest; filters that are None or empty do not count."""
    asked = {key: value for key, value in sorted((filters or {}).items()) if value not in (None, "", [], ())}
    return digest([name, sort if isinstance(sort, str) else sort.text, asked])


class _Place(msgspec.Struct, array_like=True):
    question: str
    place: Any


def cursor_after(question: str, place: object) -> str:
    """A cursor that goes on after `place` (JSON values) with this question."""
    return cursors.encode(_Place(question, place))


def place_in(cursor: str | None, question: str, kind: type[T]) -> T | None:
    """The place in a cursor; None without one. Raises Problem 400 for one of another question, or none of ours."""
    if not cursor:
        return None
    found = cursors.decode(cursor, _Place)
    if found.question != question:
        raise Problem(
            400,
            "bad-cursor",
            "The cursor belongs to another question",
            "Ask with the same `sort` and filters as the page before, or leave `cursor` out to begin anew.",
            errors=[{"field": "cursor", "message": _("made for another sort or other filters")}],
        )
    try:
        return msgspec.convert(found.place, kind)
    except msgspec.ValidationError:
        raise cursors.bad_cursor() from None


def order_of(key: Key) -> tuple[bool, Key]:
    """A key that compares with those of its kind; None comes last, texts in any case."""
    return (key is None, (key.casefold() if isinstance(key, str) else key) if key is not None else 0)


class _Reversed:
    """Compares the other way round."""

    __slots__ = ("key",)

    def __init__(self, key: Any) -> None:
        self.key = key

    def __lt__(self, other: _Reversed) -> bool:
        return other.key < self.key

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Reversed) and other.key == self.key


def rank(order: tuple[bool, Key], id: str, descending: bool) -> tuple[Any, ...]:
    """What a list is sorted by. The key alone is turned round: what has none stays last, and equal ones stay in order
    of their ids."""
    missing, key = order
    return missing, _Reversed(key) if descending else key, id


def start_after(
    ordered: Sequence[T],
    place: tuple[Key, str],
    *,
    key: Callable[[T], Key],
    id_of: Callable[[T], str],
    descending: bool,
) -> int:
    """Where a sorted list goes on after an item that had this key and id, whether it is still there or not.

    Raises Problem 400."""
    try:
        return bisect_right(
            ordered,
            rank(order_of(place[0]), place[1], descending),
            key=lambda one: rank(order_of(key(one)), id_of(one), descending),
        )
    except TypeError:  # a key of another kind than this field's: made up
        raise cursors.bad_cursor() from None


def page_of(
    items: Iterable[T],
    *,
    name: str,
    sort: str | None,
    default: str,
    keys: Mapping[str, Callable[[T], Key]],
    id_of: Callable[[T], str],
    cursor: str | None,
    limit: int,
    filters: Mapping[str, object] | None = None,
) -> tuple[list[T], str | None]:
    """A page of a list that is whole in memory (and has been filtered): the items, and the cursor of the next page.

    `keys` are the fields to sort by; `filters` are what was asked, to bind the cursor to it. Raises Problem 400.
    """
    chosen = sort_of(sort, keys, default)
    asked = question(name, chosen, filters)
    place = place_in(cursor, asked, tuple[str | float | int | bool | None, str])
    key = keys[chosen.field]
    ordered = sorted(items, key=lambda one: rank(order_of(key(one)), id_of(one), chosen.descending))
    start = 0
    if place is not None:
        start = start_after(ordered, place, key=key, id_of=id_of, descending=chosen.descending)
    page = ordered[start : start + limit]
    more = start + limit < len(ordered)
    return page, cursor_after(asked, (key(page[-1]), id_of(page[-1]))) if more and page else None


def stored_cursor(cursor: str | None, question: str) -> str | None:
    """The store's own cursor inside one of ours (`next_of` put it there). Raises Problem 400."""
    return place_in(cursor, question, str)


def next_of(stored: str | None, question: str) -> str | None:
    """The store's cursor of the next page as one of ours, bound to the question."""
    return cursor_after(question, stored) if stored is not None else None


def wanted(search: str | None, *texts: str) -> bool:
    """Whether any of the texts holds `search`, in any case; no search is found everywhere."""
    return not search or search.casefold() in "\n".join(texts).casefold()


def instant(name: str, value: datetime | None) -> int | None:
    """A time of a query parameter in ms. Raises Problem 400 for one without a zone or out of range."""
    if value is None:
        return None
    if value.tzinfo is None:
        message = _("needs a time zone, as in 2026-03-14T09:26:53Z")
        raise problem("bad-parameter", errors=[{"field": name, "message": message}])
    try:
        return from_datetime(value)
    except OverflowError:
        raise problem("bad-parameter", errors=[{"field": name, "message": _("out of range")}]) from None
