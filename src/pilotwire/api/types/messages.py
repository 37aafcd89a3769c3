"""The message log of a station: what passed, decoded and explained."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .base import PageOf, Time


class DeviationShown(msgspec.Struct, kw_only=True):
    """A tolerance that a message needed: it is not as the standard has it, and was taken all the same."""

    rule: str
    text: Annotated[str, Meta(description="What the deviation looks like, and who is known for it")]


class MessageAnswer(msgspec.Struct, kw_only=True):
    """The other half of an exchange."""

    kind: str
    payload: Any
    error_code: str
    error_description: str
    summary: str


class MessageShown(msgspec.Struct, kw_only=True):
    """A message, or something that happened to the connection."""

    id: str
    seq: Annotated[int | None, Meta(description="Its number in the journal; null: seen passing, not kept")]
    time: Time
    direction: Annotated[
        Literal["in", "out", "sys"], Meta(description="in: from the station; out: to it; sys: no message")
    ]
    kind: Annotated[str, Meta(description="CALL, CALLRESULT, CALLERROR, CALLRESULTERROR, SEND; empty: no message")]
    action: str
    message_id: str
    summary: Annotated[str, Meta(description="What it means, in plain words")]
    facts: Annotated[list[str], Meta(description="What followed from it, in plain words")]
    level: Literal["info", "good", "warn", "bad"]
    payload: Annotated[Any, Meta(description="Without passwords; without tokens for those who may not see them")]
    answer: Annotated[
        MessageAnswer | None,
        Meta(description="Of a CALL: what was answered, where that is known (our own answers only while watched)"),
    ]
    request: Annotated[Any, Meta(description="Of an answer to our command: what was asked")]
    latency_ms: Annotated[int | None, Meta(description="From the request to its answer, where both are known")]
    error_code: str
    error_description: str
    fault: Annotated[str, Meta(description="Why the standard does not allow it; empty where it does")]
    deviations: list[DeviationShown]
    command_id: str | None
    connection: Annotated[int, Meta(description="Which of the station's connections, counted from 1")]
    size: Annotated[int, Meta(description="Bytes of the frame")]


class MessagePage(PageOf[MessageShown], kw_only=True):
    """Messages, newest first."""

    watched_since: Annotated[
        Time | None, Meta(description="Since when all frames of this station are seen, our answers too")
    ] = None
