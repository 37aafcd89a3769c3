"""What is kept of reports: documents by kind (`pilotwire.domain.ledger` says what is booked).

report-day    by shard and day: station → EVSEs with their columns
report-table  by year, quarter, month, week and, for `FINE_DAYS`, day: stations (or sites) in one order, a list
              per column, so that a table of ten thousand is read at once and several are added quickly
report-total  by month and site ("" is the whole tenant)   day → columns
report-state  by shard: what the ledger remembers of stations and running sessions
report-meta   how far the figures reach
"""

from __future__ import annotations

from datetime import date
from functools import lru_cache
from typing import TypeVar
from zlib import crc32

import msgspec

from pilotwire.domain.ledger import COLUMNS, Booked, Sums, Track
from pilotwire.domain.outages import Outage, Window
from pilotwire.domain.periods import PERIODS, period_of
from pilotwire.storage.documents import unpack
from pilotwire.storage.port import Store

from .. import types

T = TypeVar("T")

DAY, TABLE, TOTAL, STATE, META = "report-day", "report-table", "report-total", "report-state", "report-meta"
OUTAGE, EXCLUSION = "outage", "exclusion"
SHARDS = 64
FINE_DAYS = 100
"""For how many days back there are tables of single days."""


class Meta(msgspec.Struct, omit_defaults=True, kw_only=True):
    """How far the figures of a tenant reach."""

    position: int = 0
    """Of the journal's stream."""
    since: int = 0
    """Since when statuses were watched, ms."""
    horizon: int = 0
    """Sessions of which the first message came before this are booked by the pass."""
    cursor: str | None = None
    """Where the pass stands."""
    done: int = 0
    complete: bool = False
    rebuilding: bool = False
    """The journal is being gone through from its beginning."""


class State(msgspec.Struct, omit_defaults=True, kw_only=True):
    """What the ledger remembers of a shard's stations."""

    tracks: dict[str, Track] = {}
    booked: dict[str, Booked] = {}


class Table(msgspec.Struct, kw_only=True):
    """Sums per station, a list per column."""

    ids: list[str] = []
    columns: list[list[int]] = msgspec.field(default_factory=lambda: [[] for _ in range(COLUMNS)])


class ExclusionRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Time that somebody excluded."""

    station: str = ""
    site: str = ""
    begin: int
    end: int
    reason: types.ExclusionReason
    note: str = ""
    by: str = ""
    created_at: int


DayRows = dict[str, list[list[int]]]
"""Station → [evse, columns …] of one day."""
Totals = dict[str, Sums]
"""Day → columns, of one month and site."""


@lru_cache(65_536)
def shard_of(station: str) -> str:
    """Which documents hold a station."""
    return f"{crc32(station.encode()) % SHARDS:02x}"


def table_names(day: str, fine: str) -> list[tuple[str, str]]:
    """The ids of the tables that a day goes into: of stations, and of sites."""
    of = date.fromisoformat(day)
    return [
        (name, f"site-{name}")
        for period in PERIODS
        if period != "day" or day >= fine
        for name in (f"{period} {period_of(of, period)}",)
    ]


def total_id(month: str, site: str) -> str:
    """The id of the document of a month and a site."""
    return f"{month} {site}"


def outage_id(one: Outage) -> str:
    """The id of an outage's document."""
    return f"{one.station}.{one.evse}.{one.began}"


def window_of(one: ExclusionRecord) -> Window:
    """An exclusion as the ledger has it."""
    return Window(one.begin, one.end, one.station, one.site)


async def read(store: Store, tenant: str, kind: str, id: str, body: type[T]) -> T | None:
    """A document's body, None where there is none."""
    found = await store.document(tenant, kind, id)
    return unpack(found, body).value if found is not None else None
