"""Reports: energy, use and uptime by station and site, per day, week, month or whole period."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import Note, PageOf, Time

Day = Annotated[
    str, Meta(description="A day of the report's zone", examples=["2026-03-14"], extra_json_schema={"format": "date"})
]
Percent = Annotated[float | None, Meta(description="0 to 100; null where nothing was to be measured")]

ReportGroup = Literal["day", "week", "month", "total"]
ReportBy = Literal["all", "site", "station"]
ExclusionReason = Literal["maintenance", "utility", "vandalism", "vehicle", "nature", "closed", "other"]


class ReportRow(msgspec.Struct, kw_only=True):
    """Figures of one period, and of one site or station where the report is by these."""

    begin: Annotated[Day, Meta(description="First day")]
    end: Annotated[Day, Meta(description="Day after the last")]
    site_id: Annotated[str | None, Meta(description="Null: of all sites; empty: stations at no site")]
    station_id: str | None
    energy_wh: int
    sessions: Annotated[int, Meta(description="Sessions that ended in the period")]
    average_energy_wh: Annotated[int | None, Meta(description="Energy divided by sessions")]
    average_duration_s: Annotated[int | None, Meta(description="Of the sessions that ended")]
    occupied_s: Annotated[int, Meta(description="Time with a session, summed over EVSEs")]
    charging_s: Annotated[int, Meta(description="Time in which energy was asked for and given, summed over EVSEs")]
    evse_s: Annotated[int, Meta(description="Time of all EVSEs since they were first heard of")]
    utilisation_percent: Annotated[Percent, Meta(description="occupied_s of evse_s")]
    charging_percent: Annotated[Percent, Meta(description="charging_s of evse_s")]
    watched_s: Annotated[int, Meta(description="Time in which statuses were watched, summed over EVSEs")]
    outage_s: Annotated[int, Meta(description="Time of EVSEs that could not be used: faulted, unavailable, offline")]
    excluded_s: Annotated[int, Meta(description="Part of outage_s that somebody excluded, with a reason")]
    offline_s: Annotated[int, Meta(description="Time of EVSEs whose station had no connection")]
    availability_percent: Annotated[Percent, Meta(description="(watched_s − outage_s) of watched_s")]
    uptime_percent: Annotated[Percent, Meta(description="(watched_s − (outage_s − excluded_s)) of watched_s")]


class Report(msgspec.Struct, kw_only=True):
    """A report, and what it sums up to."""

    begin: Day
    end: Annotated[Day, Meta(description="Day after the last")]
    zone: Annotated[str, Meta(description="Whose midnight parts the days", examples=["Europe/Berlin"])]
    group: ReportGroup
    by: ReportBy
    generated_at: Time
    complete: Annotated[bool, Meta(description="False while older figures are still being gathered")]
    totals: ReportRow
    items: list[ReportRow]
    next: str | None


class EvseUse(msgspec.Struct, kw_only=True):
    """How one EVSE was used."""

    station_id: str
    evse: int
    sessions: int
    energy_wh: int
    occupied_s: int
    charging_s: int
    evse_s: int
    utilisation_percent: Percent
    outage_s: int
    uptime_percent: Percent


class EvseUsePage(PageOf[EvseUse], kw_only=True):
    """Every EVSE of a station."""


class Outage(msgspec.Struct, kw_only=True):
    """Time in which an EVSE could not be used."""

    id: str
    station_id: str
    site_id: str
    evse: int
    cause: Annotated[Literal["offline", "faulted", "unavailable"], Meta(description="What it began with")]
    detail: Annotated[str, Meta(description="Error code, where one was told")]
    began_at: Time
    ended_at: Annotated[Time | None, Meta(description="Null: it lasts")]
    duration_s: int
    excluded_s: int


class OutagePage(PageOf[Outage], kw_only=True):
    """Outages, newest first."""


class Exclusion(msgspec.Struct, kw_only=True):
    """Time in which outages do not count against uptime, with the reason."""

    id: str
    station_id: Annotated[str | None, Meta(description="Null: every station of the site")]
    site_id: str | None
    begin: Time
    end: Time
    reason: ExclusionReason
    note: str
    by: str
    created_at: Time


class ExclusionPage(PageOf[Exclusion], kw_only=True):
    """Exclusions, newest first."""


class NewExclusion(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Time to exclude: of a station, or of a whole site."""

    station_id: Annotated[str, Meta(min_length=1, max_length=48)] | None = None
    site_id: Annotated[str, Meta(min_length=1, max_length=48)] | None = None
    begin: Annotated[datetime, Meta(tz=True)]
    end: Annotated[datetime, Meta(tz=True)]
    reason: ExclusionReason
    note: Note = ""


class ReportState(msgspec.Struct, kw_only=True):
    """How far the figures reach."""

    zone: str
    complete: bool
    rebuilding: Annotated[bool, Meta(description="Older sessions are being gone through")]
    done: Annotated[int, Meta(description="Sessions gone through in this rebuild")]
    since: Annotated[Time | None, Meta(description="Since when statuses were watched")]
    position: Annotated[int, Meta(description="Journal entry up to which the figures reach")]
