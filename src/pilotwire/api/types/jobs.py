"""Jobs: the same thing done to many stations, with progress."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from .base import PRINTABLE, PageOf, Short, Time

JobKind = Literal["command", "set-variables", "refresh-variables", "change", "delete"]
JobStatus = Literal["queued", "running", "cancelling", "done", "failed", "cancelled"]
_Texts = Annotated[list[Short], Meta(max_length=100)]


class StationFilter(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Which stations, as the list of stations filters: everything given has to hold; of several values, one."""

    connected: bool | None = None
    enabled: bool | None = None
    registered: bool | None = None
    status: _Texts = []
    vendor: _Texts = []
    model: _Texts = []
    firmware: _Texts = []
    ocpp_version: _Texts = []
    site: Annotated[_Texts, Meta(description="Ids; `-` for those at none")] = []
    q: Annotated[str, Meta(max_length=100, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] = ""


class NewJob(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Something to be done to many stations. Give `station_ids` or `filter`."""

    kind: JobKind
    title: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] = ""
    station_ids: (
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=48, pattern=PRINTABLE)]], Meta(max_length=20_000)]
        | None
    ) = None
    filter: StationFilter | None = None
    payload: Annotated[
        dict[str, Any],
        Meta(
            description="As the same request for one station has it: of `command` {action, payload, timeout_s, "
            "expires_in_s}, of `set-variables` {variables}, of `refresh-variables` {variables, report}, of `change` "
            "what to change of the account (no password), of `delete` nothing",
            examples=[{"action": "trigger", "payload": {"message": "status"}}],
        ),
    ] = {}
    reason: Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$", description="Dangerous commands need one")] = ""
    concurrency: Annotated[int, Meta(ge=1, le=50, description="At most so many stations at the same time")] = 10
    continue_on_error: Annotated[bool, Meta(description="Go on with the others when one fails")] = True


class Job(msgspec.Struct, kw_only=True):
    """A job and how far it is."""

    id: str
    kind: JobKind
    title: str
    status: Annotated[JobStatus, Meta(description="done: all tried; failed: ended with the first failure, as ordered")]
    payload: dict[str, Any]
    reason: str
    concurrency: int
    continue_on_error: bool
    created_by: str
    created_at: Time
    started_at: Time | None
    ended_at: Time | None
    total: int
    succeeded: int
    failed: int
    skipped: Annotated[int, Meta(description="Not tried, because the job ended before")]
    waiting: int
    percent: Annotated[float, Meta(description="Of the stations that have been tried or skipped")]


class JobOutcome(msgspec.Struct, kw_only=True):
    """What became of one station."""

    station_id: str
    ok: bool
    outcome: Annotated[
        str,
        Meta(
            description="done; refused (the station said no); failed (see `problem`); skipped; unknown: the server was "
            "stopped while it was under way, and it was not done again"
        ),
    ]
    text: Annotated[str, Meta(description="In plain words")]
    problem: Annotated[str, Meta(description="Name of the problem, as in `type`; else empty")]
    command_id: str | None
    answer: Any
    ended_at: Time


class JobPage(PageOf[Job], kw_only=True):
    """Jobs, newest first."""


class JobOutcomePage(PageOf[JobOutcome], kw_only=True):
    """Outcomes in the order of the job's stations."""
