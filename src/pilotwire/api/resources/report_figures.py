"""Reading what is kept of reports: sums and capacity per period, of all, of sites and of stations."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import date, timedelta
from itertools import accumulate
from operator import add
from typing import NamedTuple

import msgspec

from pilotwire.core.time import to_datetime
from pilotwire.domain.ledger import Sums, Track, zeros
from pilotwire.domain.periods import midnight, period_end, period_of, tiles
from pilotwire.storage.documents import unpack

from .. import types
from ..access import Principal
from ..context import ApiContext
from ..happenings.books import every
from ..happenings.records import END
from ..happenings.report_records import (
    DAY,
    FINE_DAYS,
    META,
    SHARDS,
    STATE,
    TABLE,
    TOTAL,
    DayRows,
    Meta,
    State,
    Table,
    Totals,
    read,
    shard_of,
    total_id,
)
from ..happenings.reporting import Reporting
from ..happenings.tenant_reports import TenantReports
from ..scope import visible_stations

_FRESH_MS = 2_000
"""For how long it is believed where stations stand and how many EVSEs they have."""


class Line(NamedTuple):
    """A row before it is shown."""

    begin: date
    end: date
    site: str | None
    station: str | None
    sums: Sums
    capacity_ms: int


class Asked(NamedTuple):
    """What a report is of, checked."""

    begin: date
    end: date
    """The day after the last."""
    group: types.ReportGroup
    by: types.ReportBy
    site: str | None
    station: str | None


async def worker_of(context: ApiContext, tenant: str) -> TenantReports | None:
    """A tenant's ledger, up to date; None where no worker keeps it in this process."""
    working: Reporting | None = context.parts.get(Reporting)
    if working is None:
        return None
    await working.fresh(tenant)
    return working.reports(tenant)


async def meta_of(context: ApiContext, tenant: str) -> Meta:
    """How far what is kept reaches."""
    return await read(context.store, tenant, META, f"meta.{context.store.stream}", Meta) or Meta()


class _Known:
    """Time of the EVSEs of many stations, as far as they were known; summed up beforehand for many periods."""

    def __init__(self, stations: Iterable[tuple[int, int]]) -> None:
        """`stations`: (EVSEs, since when, ms)."""
        ordered = sorted((first, count) for count, first in stations)
        self._firsts = [first for first, _ in ordered]
        self._counts = [0, *accumulate(count for _, count in ordered)]
        self._weighted = [0, *accumulate(first * count for first, count in ordered)]

    def between(self, low: int, high: int) -> int:
        """EVSE time (ms) between two instants."""
        if high <= low:
            return 0
        before, within = bisect_right(self._firsts, low), bisect_left(self._firsts, high)
        whole = self._counts[before] * (high - low)
        if within <= before:
            return whole
        count = self._counts[within] - self._counts[before]
        return whole + count * high - (self._weighted[within] - self._weighted[before])


class Figures:
    """Reads what is kept."""

    def __init__(self, context: ApiContext, principal: Principal, worker: TenantReports | None) -> None:
        self._context, self._principal, self._worker = context, principal, worker
        self._store, self._tenant = context.store, principal.tenant
        self._site_of: dict[str, str] = {}
        self._visible: frozenset[str] | None = None
        self._evses: dict[str, tuple[int, int]] = {}

    async def prepare(self) -> None:
        """Where stations stand, which are seen, how many EVSEs each has and since when."""
        self._visible = await visible_stations(self._context, self._principal)
        kept: dict[str, tuple[int, dict[str, str], dict[str, tuple[int, int]]]]
        kept = self._context.parts.setdefault(Figures, {})
        now = self._context.scheduler.now()
        at, site_of, evses = kept.get(self._tenant, (0, {}, {}))
        if not 0 <= now - at < _FRESH_MS or self._worker is None or len(self._worker.ledger.tracks) != len(evses):
            site_of = {one.id: one.site for one in await self._store.accounts(self._tenant) if one.site}
            tracks = await self._tracks()
            evses = {name: (max(1, len(track.evses)), track.first) for name, track in tracks.items()}
            kept[self._tenant] = (now, site_of, evses)
        self._site_of, self._evses = site_of, evses

    async def _tracks(self) -> dict[str, Track]:
        if self._worker is not None:
            return self._worker.ledger.tracks
        made: dict[str, Track] = {}
        for one in await every(self._store, self._tenant, STATE):
            made |= unpack(one, State).value.tracks
        return made

    def _known(self, stations: Iterable[str]) -> _Known:
        return _Known(self._evses[one] for one in stations if one in self._evses)

    def _span(self, begin: date, end: date) -> tuple[int, int]:
        """From one day to another (ms), as far as time has come."""
        zone = self._context.config.zone
        return midnight(begin, zone), min(midnight(end, zone), self._context.scheduler.now())

    def _capacity(self, station: str, low: int, high: int) -> int:
        count, first = self._evses.get(station, (0, 0))
        return count * max(0, high - max(low, first))

    def _periods(self, asked: Asked) -> list[tuple[date, date]]:
        if asked.group == "total":
            return [(asked.begin, asked.end)]
        periods: list[tuple[date, date]] = []
        begin = period_of(asked.begin, asked.group)
        while begin < asked.end:
            end = period_end(begin, asked.group)
            periods.append((max(begin, asked.begin), min(end, asked.end)))
            begin = end
        return periods

    # -- all, by site -------------------------------------------------------------------------------------------------
    async def sites(self, asked: Asked) -> list[Line]:
        """All of them or each, of each period."""
        standing: dict[str, list[str]] = {}
        for station in self._evses:
            standing.setdefault(self._site_of.get(station, ""), []).append(station)
        if asked.by == "site" and asked.site is None:
            return await self._each_site(asked, standing)
        if asked.site is not None:
            wanted = [asked.site]
        else:
            wanted = [""] if self._principal.sites is None else sorted(self._principal.sites)
        days = [await self._total(asked, name) for name in wanted]
        stations = self._evses if wanted == [""] else [one for name in wanted for one in standing.get(name, ())]
        known = self._known(stations)
        return [
            Line(
                begin,
                end,
                asked.site,
                None,
                _add(_sum_days(one, begin, end) for one in days),
                known.between(*self._span(begin, end)),
            )
            for begin, end in self._periods(asked)
        ]

    async def _each_site(self, asked: Asked, standing: dict[str, list[str]]) -> list[Line]:
        nothing, lines = zeros(), list[Line]()
        known = {name: self._known(stations) for name, stations in standing.items() if self._sees_site(name)}
        for begin, end in self._periods(asked):
            sums = await self._between(begin, end, "site-")
            low, high = self._span(begin, end)
            for name in {*known, *(one for one in sums if self._sees_site(one))}:
                capacity = known[name].between(low, high) if name in known else 0
                lines.append(Line(begin, end, name, None, sums.get(name, nothing), capacity))
        return lines

    def _sees_site(self, site: str) -> bool:
        return self._principal.sites is None or site in self._principal.sites

    async def _total(self, asked: Asked, site: str) -> dict[str, Sums]:
        """Day → columns, of one site or ("") of all."""
        days: dict[str, Sums] = {}
        month = asked.begin.replace(day=1)
        while month < asked.end:
            name = total_id(month.isoformat()[:7], site)
            days |= await read(self._store, self._tenant, TOTAL, name, Totals) or {}
            month = period_end(month, "month")
        return days

    # -- stations -----------------------------------------------------------------------------------------------------
    def _sees(self, station: str, site: str | None) -> bool:
        if self._visible is not None and station not in self._visible:
            return False
        return site is None or self._site_of.get(station, "") == site

    async def one_station(self, asked: Asked) -> list[Line]:
        """From the days of its shard."""
        assert asked.station is not None
        days = {
            day: _add(one[1:] for one in evses)
            for day, evses in await self._days_of(asked.station, asked.begin, asked.end)
        }
        site = self._site_of.get(asked.station, "")
        return [
            Line(
                begin,
                end,
                site,
                asked.station,
                _sum_days(days, begin, end),
                self._capacity(asked.station, *self._span(begin, end)),
            )
            for begin, end in self._periods(asked)
        ]

    async def evses(self, station: str, begin: date, end: date) -> dict[int, Sums]:
        """A station's EVSEs, summed."""
        found: dict[int, Sums] = {}
        for _day, evses in await self._days_of(station, begin, end):
            for one in evses:
                found[one[0]] = _add((found.get(one[0], zeros()), one[1:]))
        return found

    def capacity(self, station: str, begin: date, end: date) -> int:
        """Time (ms) of a station's EVSEs between two days."""
        return self._capacity(station, *self._span(begin, end))

    async def _days_of(self, station: str, begin: date, end: date) -> list[tuple[str, list[list[int]]]]:
        """(day, EVSEs with their columns). The other stations of the shard are passed over unread."""
        shard = shard_of(station)
        found: list[tuple[str, list[list[int]]]] = []
        for one in await every(self._store, self._tenant, DAY, f"{shard} {begin}", f"{shard} {end}"):
            mine = _raw_rows.decode(one.body).get(station)
            if mine is not None:
                found.append((one.id.partition(" ")[2], _evse_rows.decode(mine)))
        return found

    async def stations(self, asked: Asked) -> list[Line]:
        """Of each period, from tables."""
        lines: list[Line] = []
        for begin, end in self._periods(asked):
            lines += self._station_lines(asked, begin, end, await self._between(begin, end))
        return lines

    def _station_lines(self, asked: Asked, begin: date, end: date, sums: dict[str, Sums]) -> list[Line]:
        nothing = zeros()
        low, high = self._span(begin, end)
        return [
            Line(
                begin,
                end,
                self._site_of.get(station, ""),
                station,
                sums.get(station, nothing),
                self._capacity(station, low, high),
            )
            for station in self._evses.keys() | sums.keys()
            if self._sees(station, asked.site)
        ]

    async def _between(self, begin: date, end: date, prefix: str = "") -> dict[str, Sums]:
        """Sums per station (with the prefix `site-` per site) between two days, from the longest tables that fit."""
        today = to_datetime(self._context.scheduler.now()).astimezone(self._context.config.zone).date()
        fine = today - timedelta(days=FINE_DAYS - 2)
        tables: list[Table] = []
        old: list[date] = []
        for period, first in tiles(begin, min(end, today + timedelta(days=2))):
            if period == "day" and first < fine:
                old.append(first)
                continue
            found = await read(self._store, self._tenant, TABLE, f"{prefix}{period} {first}", Table)
            if found is not None:
                tables.append(found)
        sums = _add_tables(tables)
        for first in old:
            for name, values in (await self._gathered(first, prefix)).items():
                sums[name] = _add((sums[name], values)) if name in sums else values
        return sums

    async def _gathered(self, day: date, prefix: str) -> dict[str, Sums]:
        """The same of a day that is too long ago to have a table."""
        sums: dict[str, Sums] = {}
        if prefix:
            month = day.isoformat()[:7]
            for one in await every(self._store, self._tenant, TOTAL, f"{month} ", f"{month} {END}"):
                found = unpack(one, Totals).value.get(day.isoformat())
                if found is not None:
                    sums[one.id.partition(" ")[2]] = found
            return sums
        for number in range(SHARDS):
            for one in await every(self._store, self._tenant, DAY, f"{number:02x} {day}", f"{number:02x} {day}{END}"):
                for station, evses in unpack(one, DayRows).value.items():
                    sums[station] = _add(row[1:] for row in evses)
        return sums


_raw_rows = msgspec.json.Decoder(dict[str, msgspec.Raw])
_evse_rows = msgspec.json.Decoder(list[list[int]])


def _add(several: Iterable[Sums]) -> Sums:
    total = zeros()
    for one in several:
        for place, value in enumerate(one):
            total[place] += value
    return total


def _sum_days(days: dict[str, Sums], begin: date, end: date) -> Sums:
    low, high = begin.isoformat(), end.isoformat()
    return _add(sums for day, sums in days.items() if low <= day < high)


def _add_tables(tables: list[Table]) -> dict[str, Sums]:
    """Tables list stations in one order as far as they go, so columns are added as a whole."""
    if not tables:
        return {}
    longest = max(tables, key=lambda one: len(one.ids))
    columns = [list(column) for column in longest.columns]
    odd: list[Table] = []
    for table in tables:
        if table is longest:
            continue
        if table.ids != longest.ids[: len(table.ids)]:
            odd.append(table)
            continue
        for mine, more in zip(columns, table.columns, strict=False):
            mine[: len(more)] = map(add, mine, more)
    sums: dict[str, Sums] = dict(zip(longest.ids, map(list, zip(*columns, strict=True)), strict=True))
    for table in odd:
        for station, *values in zip(table.ids, *table.columns, strict=True):
            sums[station] = _add((sums[station], values)) if station in sums else list(values)
    return sums
