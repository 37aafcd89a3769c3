"""Why does it not work? What was looked at, what was seen, what to do."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import Time

Verdict = Literal["ok", "warn", "bad", "unknown"]


class Check(msgspec.Struct, kw_only=True):
    """One thing that was looked at."""

    id: Annotated[str, Meta(examples=["handshake"])]
    title: Annotated[str, Meta(description="What was looked at", examples=["The last attempts to connect"])]
    verdict: Annotated[Verdict, Meta(description="unknown: there is nothing to judge by")]
    seen: Annotated[str, Meta(description="What was seen", examples=["The password is wrong."])]
    advice: Annotated[str, Meta(description="What to do; empty where all is well")]
    at: Annotated[Time | None, Meta(description="When it was seen, where that matters")]
    details: Annotated[list[str], Meta(description="More of the same, newest first")]


class StationChecks(msgspec.Struct, kw_only=True):
    """A station looked through, from the outside in: the first that is bad is mostly the cause of those after it."""

    station_id: str
    time: Time
    verdict: Annotated[Verdict, Meta(description="The worst of all")]
    summary: Annotated[str, Meta(description="What most likely keeps it from working, or that all is well")]
    checks: list[Check]
