"""Saved views of tables: filters, order and columns that somebody wants again."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta, UnsetType

from .base import PRINTABLE, PageOf, Time

ViewTable = Literal["stations", "sessions", "tokens", "drivers", "sites", "alarms", "jobs", "messages"]
ViewName = Annotated[str, Meta(min_length=1, max_length=80, pattern=PRINTABLE, examples=["Faulted in Berlin"])]
ViewQuery = Annotated[
    str,
    Meta(
        max_length=2000,
        pattern=r"^[^\x00-\x20\x7f-\x9f]*$",
        description="The table's query, as in its URL after the question mark",
        examples=["status=Faulted&site=north-depot&sort=-last_seen"],
    ),
]
ViewColumns = Annotated[
    list[Annotated[str, Meta(max_length=40, pattern=r"^[a-z][a-z0-9_]*$")]],
    Meta(max_length=40, description="Columns in order; none: the table's own"),
]


class View(msgspec.Struct, kw_only=True):
    """A saved view."""

    id: str
    table: ViewTable
    name: ViewName
    query: ViewQuery
    columns: ViewColumns
    shared: Annotated[bool, Meta(description="Everybody in the tenant sees it")]
    owner: Annotated[str, Meta(description="Whose it is", examples=["ada"])]
    mine: bool
    created_at: Time
    updated_at: Time


class NewView(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A view to save."""

    table: ViewTable
    name: ViewName
    query: ViewQuery = ""
    columns: ViewColumns = []
    shared: bool = False


class ViewChange(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """What to change of a view; what is left out stays."""

    name: ViewName | UnsetType = msgspec.UNSET
    query: ViewQuery | UnsetType = msgspec.UNSET
    columns: ViewColumns | UnsetType = msgspec.UNSET
    shared: bool | UnsetType = msgspec.UNSET


class ViewPage(PageOf[View], kw_only=True):
    """Views by name."""
