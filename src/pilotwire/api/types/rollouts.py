"""Staged roll-outs of firmware and of new certificates."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import PRINTABLE, PageOf, Short, Time
from .jobs import StationFilter

RolloutKind = Literal["firmware", "certificates"]
RolloutStatus = Literal["running", "watching", "pausing", "paused", "stopped", "done"]
MemberState = Literal[
    "pending", "waiting", "ordering", "updating", "installed", "failed", "silent", "refused", "skipped"
]
_Percent = Annotated[float, Meta(ge=0, le=100)]


class RolloutPolicy(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """How carefully; beyond a limit the roll-out stops itself. Shares are of the stations that are over,
    and of a hundred at least (or the whole stage, where it is smaller): beyond 1 % the first of ten stops it."""

    stages: Annotated[
        list[Annotated[int, Meta(ge=1, le=100)]],
        Meta(min_length=1, max_length=20, description="Percent of all stations after each stage; the last is 100"),
    ] = msgspec.field(default_factory=lambda: [1, 10, 100])
    watch_s: Annotated[int, Meta(ge=0, le=2_592_000, description="How long to watch after each stage, s")] = 3600
    max_failed_percent: Annotated[_Percent, Meta(description="Failed, refused, or fell silent")] = 1.0
    max_lost_percent: Annotated[_Percent, Meta(description="Updated, and then not heard of")] = 2.0
    max_security_events: Annotated[
        int, Meta(ge=0, le=1_000_000, description="Critical ones, of all that were begun")
    ] = 0
    max_session_failures_percent: Annotated[_Percent, Meta(description="Stations with failed sessions after it")] = 5.0
    silent_s: Annotated[int, Meta(ge=10, le=604_800, description="A station that tells nothing for so long")] = 1800
    lost_s: Annotated[int, Meta(ge=10, le=604_800, description="A station without a connection for so long")] = 600
    quiet_s: Annotated[
        int, Meta(ge=60, le=604_800, description="A connected station without a heartbeat for so long is lost too, s")
    ] = 1200
    wait_s: Annotated[int, Meta(ge=0, le=2_592_000, description="How long to wait for busy stations, s")] = 86_400
    at_once: Annotated[int, Meta(ge=1, le=200, description="Updated at the same time")] = 20
    also_busy: Annotated[bool, Meta(description="Update also where a session runs; the station may end it")] = False


class NewRollout(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Bring firmware, or new certificates, to many stations, stage by stage. Give `station_ids` or `filter`."""

    reason: Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*$", description="Why; kept in the audit log")]
    kind: Annotated[
        RolloutKind,
        Meta(
            description="certificates: each station asks for a new one and counts as installed when it has come back "
            "with it; who charges is not waited for"
        ),
    ] = "firmware"
    firmware_id: Annotated[
        str,
        Meta(max_length=100, pattern=PRINTABLE.replace("+", "*"), description="The image; none for certificates"),
    ] = ""
    title: Annotated[str, Meta(max_length=200, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")] = ""
    station_ids: (
        Annotated[list[Annotated[str, Meta(min_length=1, max_length=48, pattern=PRINTABLE)]], Meta(max_length=20_000)]
        | None
    ) = None
    filter: StationFilter | None = None
    policy: RolloutPolicy = msgspec.field(default_factory=RolloutPolicy)


class RolloutStage(msgspec.Struct, kw_only=True):
    """One stage."""

    number: int
    percent: int
    stations: Annotated[int, Meta(description="So many come in with this stage")]
    status: Literal["ahead", "running", "watching", "over"]
    installed: int
    failed: Annotated[int, Meta(description="Failed or refused")]
    silent: int
    skipped: int
    under_way: int
    waiting: Annotated[int, Meta(description="Busy or away")]


class Rollout(msgspec.Struct, kw_only=True):
    """A roll-out and how far it is."""

    id: str
    kind: RolloutKind
    title: str
    firmware_id: Annotated[str, Meta(description="Empty for certificates")]
    version: Annotated[str, Meta(description="Empty for certificates")]
    status: Annotated[
        RolloutStatus,
        Meta(description="watching: a stage is over and its stations are looked at; pausing: what is under way is "
        "waited for; stopped: for good until it is resumed, see `why`"),
    ]  # fmt: skip
    why: Annotated[str, Meta(description="Why it stopped")]
    by_itself: Annotated[bool, Meta(description="It stopped itself")]
    policy: RolloutPolicy
    reason: Short
    stages: list[RolloutStage]
    stage: Annotated[int, Meta(description="The present one, from 1")]
    watch_until: Time | None
    total: int
    installed: int
    failed: int
    silent: int
    skipped: int
    under_way: int
    waiting: int
    lost: int
    security_events: int
    session_failures: int
    percent: Annotated[float, Meta(description="Of the stations that are over")]
    created_by: str
    created_at: Time
    ended_at: Time | None


class RolloutPage(PageOf[Rollout], kw_only=True):
    """Roll-outs, newest first."""


class RolloutStation(msgspec.Struct, kw_only=True):
    """One station of a roll-out."""

    station_id: str
    stage: Annotated[int, Meta(description="0: in none yet")]
    state: MemberState
    text: Annotated[str, Meta(description="Why, in words")]
    lost: bool
    security_events: int
    session_failed: bool
    changed_at: Time | None


class RolloutStationPage(PageOf[RolloutStation], kw_only=True):
    """Stations in the order in which they were given."""
