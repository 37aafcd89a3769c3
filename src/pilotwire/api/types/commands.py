"""Which commands a station takes, and what they are made of: palettes and forms are drawn from this."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .base import PageOf

FieldKind = Literal["object", "array", "string", "integer", "number", "boolean", "date-time", "uri", "enum", "any"]


class CommandField(msgspec.Struct, kw_only=True):
    """A field of a command's payload."""

    name: Annotated[str, Meta(description="As the payload has it; empty: the items of a list")]
    kind: FieldKind
    required: bool
    description: str
    values: Annotated[list[str], Meta(description="Of an enum")]
    low: Annotated[int | None, Meta(description="Least value, or fewest items")]
    high: Annotated[int | None, Meta(description="Greatest value, most items, or most characters")]
    fields: Annotated[list[CommandField], Meta(description="Of an object")]
    items: Annotated[CommandField | None, Meta(description="Of an array")]


class CommandForm(msgspec.Struct, kw_only=True):
    """A command that a station takes."""

    action: Annotated[str, Meta(examples=["Reset"])]
    title: Annotated[str, Meta(examples=["Restart the station"])]
    description: str
    neutral: Annotated[bool, Meta(description="One of our verbs, the same for every OCPP version")]
    dangerous: Annotated[bool, Meta(description="It needs `commands:dangerous` and a `reason`")]
    allowed: Annotated[bool, Meta(description="You may send it")]
    fields: list[CommandField]
    example: Annotated[dict[str, Any], Meta(description="A payload that could be sent")]


class CommandFormPage(PageOf[CommandForm], kw_only=True):
    """Our verbs first, then the actions of the station's OCPP version by name."""
