"""Quirks: what stations do otherwise than the standard says, and what is done differently because of it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import Note, PageOf, Short, Time

QuirkSeverity = Annotated[
    Literal["low", "medium", "high"],
    Meta(
        description="low: tolerated without loss; medium: something is lost, late or doubtful; "
        "high: charging, money or the connection suffers"
    ),
]
RemedyId = Literal[
    "keys-by-name", "small-batches", "no-triggers", "connector-in-start", "whole-seconds", "wait-for-boot"
]


class QuirkSource(msgspec.Struct, kw_only=True):
    """A vendor, model or program that was reported to have the quirk."""

    who: Annotated[str, Meta(examples=["Growatt THOR"])]
    url: Annotated[str, Meta(description="Where everybody can read it", examples=["https://github.com/evcc-io/evcc"])]


class QuirkModel(msgspec.Struct, kw_only=True):
    """Stations of one vendor, model and firmware that have it."""

    vendor: str
    model: str
    firmware: Annotated[str, Meta(description="With which it was seen last")]
    stations: int


class Quirk(msgspec.Struct, kw_only=True):
    """A named quirk, and which stations have it."""

    id: Annotated[str, Meta(examples=["local-time-as-utc"])]
    title: Annotated[str, Meta(examples=["Local time called UTC"])]
    versions: Annotated[list[str], Meta(description="OCPP versions", examples=[["1.6", "2.0.1", "2.1"]])]
    severity: QuirkSeverity
    found_by: Annotated[
        Literal["decoder", "messages", "frames", "answers", "connection"], Meta(description="What shows it")
    ]
    seen: Annotated[str, Meta(description="By what it is recognised", examples=["Times are off by whole hours."])]
    effect: Annotated[
        str, Meta(description="What goes wrong where nobody knows of it", examples=["Sessions lie an hour off."])
    ]
    ours: Annotated[str, Meta(description="What is done about it here", examples=["The clock is estimated."])]
    operator: Annotated[str, Meta(description="What an operator can do", examples=["Set its time zone to UTC."])]
    known: list[QuirkSource]
    remedy: Annotated[RemedyId | None, Meta(description="What is done differently for stations that have it")]
    frames: Annotated[list[str], Meta(description="An example, line by line", examples=[['[2,"h1","Heartbeat",null]']])]
    stations: Annotated[int, Meta(description="How many of the stations that you see have it")]
    first_seen_at: Time | None
    last_seen_at: Annotated[Time | None, Meta(description="To within a day")]
    models: Annotated[list[QuirkModel], Meta(description="The most stations first; a hundred at most")]


class QuirkPage(PageOf[Quirk], kw_only=True):
    """Quirks: those of the most stations first."""


class StationQuirk(msgspec.Struct, kw_only=True):
    """A quirk of a station."""

    id: Annotated[str, Meta(examples=["local-time-as-utc"])]
    title: Annotated[str, Meta(examples=["Local time called UTC"])]
    severity: QuirkSeverity
    seen: Annotated[str, Meta(description="By what it is recognised", examples=["Times are off by whole hours."])]
    effect: Annotated[
        str, Meta(description="What goes wrong where nobody knows of it", examples=["Sessions lie an hour off."])
    ]
    ours: Annotated[str, Meta(description="What is done about it here", examples=["The clock is estimated."])]
    operator: Annotated[str, Meta(description="What an operator can do", examples=["Set its time zone to UTC."])]
    remedy: Annotated[RemedyId | None, Meta(description="What is done differently because of it")]
    first_seen_at: Time
    last_seen_at: Annotated[Time, Meta(description="To within a day")]
    firmware: Annotated[str, Meta(description="With which it was seen last")]
    frame: Annotated[
        str | None,
        Meta(
            description="The newest frame that shows it, as far as the journal is looked back and you may see messages",
            examples=['[2,"17","Heartbeat",null]'],
        ),
    ]
    frame_at: Time | None


class Remedy(msgspec.Struct, kw_only=True):
    """What the central system can do differently."""

    id: RemedyId
    title: Annotated[str, Meta(examples=["Ask for settings by name"])]
    what: Annotated[str, Meta(examples=["Settings are asked for by name, eight at once."])]


class StationQuirks(msgspec.Struct, kw_only=True):
    """The quirks of a station, the gravest first, and what is done differently for it."""

    station_id: str
    items: list[StationQuirk]
    remedies: Annotated[list[Remedy], Meta(description="That count for it now: by a quirk or by a setting")]


class QuirkSetting(msgspec.Struct, kw_only=True):
    """An operator's word on a remedy for a vendor, model or firmware. The setting that names the most counts."""

    id: str
    remedy: RemedyId
    on: bool
    vendor: str
    model: str
    firmware: str
    note: str
    by: str
    created_at: Time


class NewQuirkSetting(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A word on a remedy."""

    remedy: RemedyId
    on: Annotated[bool, Meta(description="Off keeps a remedy from being taken although the quirk was seen")] = True
    vendor: Annotated[Short, Meta(description="Empty: any")] = ""
    model: Annotated[Short, Meta(description="Empty: any")] = ""
    firmware: Annotated[Short, Meta(description="A beginning; empty: any")] = ""
    note: Note = ""


class QuirkSettingPage(PageOf[QuirkSetting], kw_only=True):
    """Settings, the newest last, and the remedies that there are."""

    remedies: list[Remedy]
