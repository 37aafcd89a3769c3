"""Reports: figures of periods, by site and station; outages, and what of them is excluded."""

from __future__ import annotations

import csv
import io
from bisect import bisect_left, bisect_right
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import date, timedelta
from itertools import accumulate
from operator import add
from typing import Any, NamedTuple

import msgspec

from pilotwire.core.time import from_datetime, to_datetime, to_rfc3339
from pilotwire.domain.reports import (
    CHARGING,
    DURATION,
    ENERGY,
    EXCLUDED,
    OCCUPIED,
    OFFLINE,
    OUTAGE,
    SESSIONS,
    WATCHED,
    Outage,
    Sums,
    midnight,
    percent,
    period_end,
    period_of,
    tiles,
    zeros,
)
from pilotwire.storage.codec import encode_cursor
from pilotwire.storage.documents import Change, Delete, Kept, put, sort_time, unpack

from .. import audit, listing, types
from ..access import Principal
from ..context import ApiContext
from ..happenings import reporting
from ..happenings.books import every
from ..happenings.records import END
from ..happenings.reporting import (
    DAY,
    EXCLUSION,
    TABLE,
    TOTAL,
    ExclusionRecord,
    Meta,
    Reporting,
    Table,
    TenantReports,
    Totals,
    shard_of,
    total_id,
)
from ..problems import not_found, problem
from ..queries import Queries
from ..scope import visible_stations
from .keeping import Collection

GROUPS = ("day", "week", "month", "total")
EXCLUSIONS = Collection(EXCLUSION, ExclusionRecord, "exclusion")
LONGEST_DAYS = 3_700
FINE_DAYS = 62
"""For how long stations are listed by day or week."""
SORTS = (
    "begin", "site_id", "station_id", "energy_wh", "sessions", "occupied_s", "charging_s", "outage_s",
    "utilisation_percent", "availability_percent", "uptime_percent",
)  # fmt: skip
_EXCLUDED_AT_MOST = 1_000
_DAY_MS = 86_400_000
_FRESH_MS = 2_000
"""For how long it is believed where stations stand and how many EVSEs they have."""


class _Line(NamedTuple):
    """A row before it is shown."""

    begin: date
    end: date
    site: str | None
    station: str | None
    sums: Sums
    capacity_ms: int


# -- asking -----------------------------------------------------------------------------------------------------------
class Asked(NamedTuple):
    """What a report is of, checked."""

    begin: date
    end: date
    """The day after the last."""
    group: str
    by: str
    site: str | None
    station: str | None


def _date(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        message = "a day is needed, as in 2026-03-14"
        raise problem("bad-parameter", errors=[{"field": name, "message": message}]) from None


async def _asked(
    context: ApiContext,
    principal: Principal,
    begin: str | None,
    end: str | None,
    group: str,
    by: str,
    site: str | None,
    station: str | None,
) -> Asked:
    """Raises Problem 400, 404, 403."""
    principal.need("reports:read")
    today = to_datetime(context.scheduler.now()).astimezone(context.config.zone).date()
    last = _date("end", end) if end else today + timedelta(days=1)
    first = _date("begin", begin) if begin else last - timedelta(days=30)
    errors: list[dict[str, str]] = []
    if not date(2000, 1, 1) <= first < last <= date(2200, 1, 1):
        errors.append({"field": "begin", "message": "has to be before `end`, in this century or the next"})
    elif (last - first).days > LONGEST_DAYS:
        errors.append({"field": "begin", "message": f"at most {LONGEST_DAYS} days before `end`"})
    elif by == "station" and station is None and group in ("day", "week") and (last - first).days > FINE_DAYS:
        errors.append({"field": "group", "message": f"of all stations by {group} at most {FINE_DAYS} days at once"})
    if group not in GROUPS:
        errors.append({"field": "group", "message": f"one of {', '.join(GROUPS)}"})
    if by not in ("all", "site", "station"):
        errors.append({"field": "by", "message": "one of all, site, station"})
    if errors:
        raise problem("bad-parameter", "; ".join(f"{one['field']}: {one['message']}" for one in errors), errors=errors)
    if station is not None:
        await Queries(context, principal).station(station)
        by = "station"
    if site is not None and principal.sites is not None and site not in principal.sites:
        raise not_found("site", site)
    return Asked(first, last, group, by, site, station)


async def report(
    context: ApiContext,
    principal: Principal,
    *,
    begin: str | None = None,
    end: str | None = None,
    group: str = "total",
    by: str = "all",
    site: str | None = None,
    station: str | None = None,
    sort: str | None = None,
    cursor: str | None = None,
    limit: int = 100,
) -> types.Report:
    """Figures from `begin` to before `end` (days; the last thirty where left out), per `group` and `by`.

    Raises Problem 400, 404, 403.
    """
    asked = await _asked(context, principal, begin, end, group, by, site, station)
    lines, worker = await _lines(context, principal, asked)
    totals = [sum(column) for column in zip(*(line.sums for line in lines), strict=True)] if lines else zeros()
    whole = _Line(asked.begin, asked.end, site, station, totals, sum(line.capacity_ms for line in lines))
    page, after = _page(lines, asked, sort, cursor, limit)
    meta = worker.meta if worker is not None else await _meta(context, principal.tenant)
    return types.Report(
        begin=asked.begin.isoformat(),
        end=asked.end.isoformat(),
        zone=str(context.config.zone),
        group=group,  # type: ignore[arg-type]
        by=asked.by,  # type: ignore[arg-type]
        generated_at=to_rfc3339(context.scheduler.now()),
        complete=meta.complete and not meta.rebuilding,
        totals=_row(whole),
        items=[_row(line) for line in page],
        next=after,
    )


_KEYS: dict[str, Callable[[_Line], Any]] = {
    "begin": lambda one: one.begin.toordinal(),
    "site_id": lambda one: one.site or "",
    "station_id": lambda one: one.station or "",
    "energy_wh": lambda one: one.sums[ENERGY],
    "sessions": lambda one: one.sums[SESSIONS],
    "occupied_s": lambda one: one.sums[OCCUPIED],
    "charging_s": lambda one: one.sums[CHARGING],
    "outage_s": lambda one: one.sums[OUTAGE],
    "utilisation_percent": lambda one: percent(one.sums[OCCUPIED], one.capacity_ms),
    "availability_percent": lambda one: percent(one.sums[WATCHED] - one.sums[OUTAGE], one.sums[WATCHED]),
    "uptime_percent": lambda one: percent(_up(one.sums), one.sums[WATCHED]),
}


def _page(
    lines: list[_Line], asked: Asked, sort: str | None, cursor: str | None, limit: int
) -> tuple[list[_Line], str | None]:
    """A page of the lines in order; those without a figure come last. Figures move while somebody pages, so a cursor
    names the line after which to go on, and where that is gone, its value."""
    chosen = listing.sort_of(sort, _KEYS, "begin")
    question = listing.question("reports", chosen, {name: str(value) for name, value in asked._asdict().items()})
    place = listing.place_in(cursor, question, tuple[str | float | None, str])
    key, sign = _KEYS[chosen.field], -1 if chosen.descending else 1
    lines.sort(key=_name)
    if chosen.field in ("site_id", "station_id"):
        lines.sort(key=key, reverse=chosen.descending)
    else:
        lines.sort(key=lambda one: (1, 0) if (value := key(one)) is None else (0, sign * value))
    start = 0
    if place is not None:
        start = next((at + 1 for at, one in enumerate(lines) if _name(one) == place[1]), len(lines))
    page = lines[start : start + limit]
    more = start + limit < len(lines)
    return page, listing.cursor_after(question, (key(page[-1]), _name(page[-1]))) if more and page else None


def _name(line: _Line) -> str:
    return f"{line.begin}\n{line.site or ''}\n{line.station or ''}"


async def report_csv(
    context: ApiContext,
    principal: Principal,
    *,
    begin: str | None = None,
    end: str | None = None,
    group: str = "total",
    by: str = "all",
    site: str | None = None,
    station: str | None = None,
) -> AsyncIterator[bytes]:
    """Every row of a report as CSV (RFC 4180), a line each, in order of period, site and station."""
    asked = await _asked(context, principal, begin, end, group, by, site, station)
    lines, _ = await _lines(context, principal, asked)
    lines.sort(key=lambda one: (one.begin, one.site or "", one.station or ""))
    names = [field.name for field in msgspec.structs.fields(types.ReportRow)]

    async def chunks() -> AsyncIterator[bytes]:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(names)
        for place, line in enumerate(lines):
            shown = msgspec.to_builtins(_row(line))
            writer.writerow(["" if shown[name] is None else _cell(shown[name]) for name in names])
            if place % 500 == 499:
                yield out.getvalue().encode()
                out.seek(0)
                out.truncate()
        yield out.getvalue().encode()

    return chunks()


def _cell(value: Any) -> Any:
    """A text that a spreadsheet would take for a formula is marked as text."""
    return f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@", "\t", "\r") else value


def _up(sums: Sums) -> int:
    return sums[WATCHED] - max(0, sums[OUTAGE] - sums[EXCLUDED])


def _row(line: _Line) -> types.ReportRow:
    sums = line.sums
    count = sums[SESSIONS]
    return types.ReportRow(
        begin=line.begin.isoformat(),
        end=line.end.isoformat(),
        site_id=line.site,
        station_id=line.station,
        energy_wh=sums[ENERGY],
        sessions=count,
        average_energy_wh=sums[ENERGY] // count if count > 0 else None,
        average_duration_s=sums[DURATION] // count // 1000 if count > 0 else None,
        occupied_s=sums[OCCUPIED] // 1000,
        charging_s=sums[CHARGING] // 1000,
        evse_s=line.capacity_ms // 1000,
        utilisation_percent=percent(sums[OCCUPIED], line.capacity_ms),
        charging_percent=percent(sums[CHARGING], line.capacity_ms),
        watched_s=sums[WATCHED] // 1000,
        outage_s=sums[OUTAGE] // 1000,
        excluded_s=min(sums[EXCLUDED], sums[OUTAGE]) // 1000,
        offline_s=sums[OFFLINE] // 1000,
        availability_percent=percent(sums[WATCHED] - sums[OUTAGE], sums[WATCHED]),
        uptime_percent=percent(_up(sums), sums[WATCHED]),
    )


# -- reading ----------------------------------------------------------------------------------------------------------
async def _worker(context: ApiContext, tenant: str) -> TenantReports | None:
    working: Reporting | None = context.parts.get(Reporting)
    if working is None:
        return None
    await working.fresh(tenant)
    return working.reports(tenant)


async def _meta(context: ApiContext, tenant: str) -> Meta:
    found = await reporting.read(context.store, tenant, reporting.META, f"meta.{context.store.stream}", Meta)
    return found or Meta()


async def _lines(context: ApiContext, principal: Principal, asked: Asked) -> tuple[list[_Line], TenantReports | None]:
    worker = await _worker(context, principal.tenant)
    reader = _Reader(context, principal, worker)
    await reader.prepare()
    if asked.station is not None:
        return await reader.one_station(asked), worker
    if asked.by == "station":
        return await reader.stations(asked), worker
    return await reader.sites(asked), worker


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


class _Reader:
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
        kept = self._context.parts.setdefault(_Reader, {})
        now = self._context.scheduler.now()
        at, site_of, evses = kept.get(self._tenant, (0, {}, {}))
        if not 0 <= now - at < _FRESH_MS or self._worker is None or len(self._worker.ledger.tracks) != len(evses):
            site_of = {one.id: one.site for one in await self._store.accounts(self._tenant) if one.site}
            tracks = await self._tracks()
            evses = {name: (max(1, len(track.evses)), track.first) for name, track in tracks.items()}
            kept[self._tenant] = (now, site_of, evses)
        self._site_of, self._evses = site_of, evses

    async def _tracks(self) -> dict[str, Any]:
        if self._worker is not None:
            return self._worker.ledger.tracks
        made: dict[str, Any] = {}
        for one in await every(self._store, self._tenant, reporting.STATE):
            made |= unpack(one, reporting.State).value.tracks
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
    async def sites(self, asked: Asked) -> list[_Line]:
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
            _Line(
                begin,
                end,
                asked.site,
                None,
                _add(_sum_days(one, begin, end) for one in days),
                known.between(*self._span(begin, end)),
            )
            for begin, end in self._periods(asked)
        ]

    async def _each_site(self, asked: Asked, standing: dict[str, list[str]]) -> list[_Line]:
        nothing, lines = zeros(), list[_Line]()
        known = {name: self._known(stations) for name, stations in standing.items() if self._sees_site(name)}
        for begin, end in self._periods(asked):
            sums = await self._between(begin, end, "site-")
            low, high = self._span(begin, end)
            for name in {*known, *(one for one in sums if self._sees_site(one))}:
                capacity = known[name].between(low, high) if name in known else 0
                lines.append(_Line(begin, end, name, None, sums.get(name, nothing), capacity))
        return lines

    def _sees_site(self, site: str) -> bool:
        return self._principal.sites is None or site in self._principal.sites

    async def _total(self, asked: Asked, site: str) -> dict[str, Sums]:
        """Day → columns, of one site or ("") of all."""
        days: dict[str, Sums] = {}
        month = asked.begin.replace(day=1)
        while month < asked.end:
            name = total_id(month.isoformat()[:7], site)
            days |= await reporting.read(self._store, self._tenant, TOTAL, name, Totals) or {}
            month = period_end(month, "month")
        return days

    # -- stations -----------------------------------------------------------------------------------------------------
    def _sees(self, station: str, site: str | None) -> bool:
        if self._visible is not None and station not in self._visible:
            return False
        return site is None or self._site_of.get(station, "") == site

    async def one_station(self, asked: Asked) -> list[_Line]:
        """From the days of its shard."""
        assert asked.station is not None
        days = {
            day: _add(one[1:] for one in evses)
            for day, evses in await self._days_of(asked.station, asked.begin, asked.end)
        }
        site = self._site_of.get(asked.station, "")
        return [
            _Line(
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
        for _, evses in await self._days_of(station, begin, end):
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

    async def stations(self, asked: Asked) -> list[_Line]:
        """Of each period, from tables."""
        lines: list[_Line] = []
        for begin, end in self._periods(asked):
            lines += self._station_lines(asked, begin, end, await self._between(begin, end))
        return lines

    def _station_lines(self, asked: Asked, begin: date, end: date, sums: dict[str, Sums]) -> list[_Line]:
        nothing = zeros()
        low, high = self._span(begin, end)
        return [
            _Line(
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
        fine = today - timedelta(days=reporting.FINE_DAYS - 2)
        tables: list[Table] = []
        old: list[date] = []
        for period, first in tiles(begin, min(end, today + timedelta(days=2))):
            if period == "day" and first < fine:
                old.append(first)
                continue
            found = await reporting.read(self._store, self._tenant, TABLE, f"{prefix}{period} {first}", Table)
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
        for number in range(reporting.SHARDS):
            for one in await every(self._store, self._tenant, DAY, f"{number:02x} {day}", f"{number:02x} {day}{END}"):
                for station, evses in unpack(one, reporting.DayRows).value.items():
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


# -- EVSEs ------------------------------------------------------------------------------------------------------------
async def evses(
    context: ApiContext, principal: Principal, station_id: str, *, begin: str | None = None, end: str | None = None
) -> list[types.EvseUse]:
    """How each EVSE of a station was used. Raises Problem 400, 404, 403."""
    asked = await _asked(context, principal, begin, end, "total", "station", None, station_id)
    worker = await _worker(context, principal.tenant)
    reader = _Reader(context, principal, worker)
    await reader.prepare()
    found = await reader.evses(station_id, asked.begin, asked.end)
    tracks = worker.ledger.tracks if worker is not None else {}
    track = tracks.get(station_id)
    numbers = sorted({*found, *(track.evses if track is not None else ())} - {0})
    whole = reader.capacity(station_id, asked.begin, asked.end) // max(1, len(numbers))
    made: list[types.EvseUse] = []
    for number in numbers:
        sums = found.get(number, zeros())
        made.append(
            types.EvseUse(
                station_id=station_id,
                evse=number,
                sessions=sums[SESSIONS],
                energy_wh=sums[ENERGY],
                occupied_s=sums[OCCUPIED] // 1000,
                charging_s=sums[CHARGING] // 1000,
                evse_s=whole // 1000,
                utilisation_percent=percent(sums[OCCUPIED], whole),
                outage_s=sums[OUTAGE] // 1000,
                uptime_percent=percent(_up(sums), sums[WATCHED]),
            )
        )
    return made


# -- outages ----------------------------------------------------------------------------------------------------------
def _outage(record: Outage, now: int) -> types.Outage:
    return types.Outage(
        id=reporting.outage_id(record),
        station_id=record.station,
        site_id=record.site,
        evse=record.evse,
        cause=record.cause,  # type: ignore[arg-type]
        detail=record.detail,
        began_at=to_rfc3339(record.began),
        ended_at=to_rfc3339(record.ended) if record.ended else None,
        duration_s=((record.ended or now) - record.began) // 1000,
        excluded_s=record.excluded // 1000,
    )


async def outages(
    context: ApiContext,
    principal: Principal,
    *,
    station: str | None = None,
    site: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> types.OutagePage:
    """Outages of a minute and more: first those that last, then newest first. Raises Problem 403."""
    principal.need("reports:read")
    asked = listing.question("outages", "-began_at", {"station": station, "site": site})
    place = listing.stored_cursor(cursor, asked)
    visible = await visible_stations(context, principal)
    worker = await _worker(context, principal.tenant)
    now = context.scheduler.now()

    def fits(one: Outage) -> bool:
        return (
            (visible is None or one.station in visible)
            and station in (None, one.station)
            and (site is None or one.site == site)
        )

    found: list[types.Outage] = []
    if place is None and worker is not None:
        lasting = [one for one in worker.ledger.lasting() if fits(one)]
        lasting.sort(key=lambda one: (-one.began, one.station, one.evse))
        found = [_outage(one, now) for one in lasting[:limit]]
    for _ in range(25):
        page = await context.store.documents(
            principal.tenant, reporting.OUTAGE, cursor=place, limit=200, newest_first=True
        )
        for document in page.items:
            if len(found) >= limit:
                return types.OutagePage(items=found, next=listing.next_of(place, asked) if place else None)
            place = encode_cursor(document.sort, document.id)
            record = unpack(document, Outage).value
            if fits(record):
                found.append(_outage(record, now))
        if page.next is None:
            return types.OutagePage(items=found, next=None)
    return types.OutagePage(items=found, next=listing.next_of(place, asked))


# -- exclusions -------------------------------------------------------------------------------------------------------
def _exclusion(name: str, record: ExclusionRecord) -> types.Exclusion:
    return types.Exclusion(
        id=name,
        station_id=record.station or None,
        site_id=record.site or None,
        begin=to_rfc3339(record.begin),
        end=to_rfc3339(record.end),
        reason=record.reason,  # type: ignore[arg-type]
        note=record.note,
        by=record.by,
        created_at=to_rfc3339(record.created_at),
    )


async def exclusions(context: ApiContext, principal: Principal) -> list[types.Exclusion]:
    """Every exclusion that concerns what is seen, newest first. Raises Problem 403."""
    principal.need("reports:read")
    visible = await visible_stations(context, principal)
    return [
        _exclusion(name, kept.value)
        async for name, kept in EXCLUSIONS.every(context, principal.tenant, newest_first=True)
        if visible is None or kept.value.station in visible or kept.value.site in (principal.sites or ())
    ]


async def exclude(context: ApiContext, principal: Principal, data: types.NewExclusion) -> types.Exclusion:
    """Let outages within a time not count, with a reason: those that were, and those that will be.

    Raises Problem 404, 422, 403.
    """
    principal.need("reports:read")
    principal.need("stations:write")
    begin, end = from_datetime(data.begin), from_datetime(data.end)
    errors: list[dict[str, str]] = []
    if (data.station_id is None) == (data.site_id is None):
        errors.append({"field": "station_id", "message": "give either a station or a site"})
    if begin >= end:
        errors.append({"field": "end", "message": "has to come after `begin`"})
    if end - begin > 366 * _DAY_MS:
        errors.append({"field": "end", "message": "at most a year after `begin`"})
    if errors:
        raise problem("bad-body", "; ".join(f"{one['field']}: {one['message']}" for one in errors) + ".", errors=errors)
    if data.station_id is not None:
        await Queries(context, principal).station(data.station_id)
    elif await context.store.document(principal.tenant, "site", data.site_id or "") is None or (
        principal.sites is not None and data.site_id not in principal.sites
    ):
        raise not_found("site", data.site_id or "")
    if len(await every(context.store, principal.tenant, EXCLUSION)) >= _EXCLUDED_AT_MOST:
        raise problem("too-many", f"There are {_EXCLUDED_AT_MOST} exclusions.")
    record = ExclusionRecord(
        station=data.station_id or "",
        site=data.site_id or "",
        begin=begin,
        end=end,
        reason=data.reason,
        note=data.note,
        by=principal.name,
        created_at=context.scheduler.now(),
    )
    name = context.ids.new()
    await _recount(context, principal.tenant, record, [put(EXCLUSION, name, record, sort=sort_time(begin), expected=0)])
    await audit.record(
        context,
        principal,
        "reports.exclude",
        f"{'station' if record.station else 'site'} {record.station or record.site}",
        detail={"begin": to_rfc3339(begin), "end": to_rfc3339(end), "reason": data.reason},
    )
    return _exclusion(name, record)


async def remove_exclusion(context: ApiContext, principal: Principal, name: str) -> None:
    """Let the outages within it count again. Raises Problem 404, 403."""
    principal.need("reports:read")
    principal.need("stations:write")
    kept: Kept[ExclusionRecord] = await EXCLUSIONS.get(context, principal.tenant, name)
    visible = await visible_stations(context, principal)
    record = kept.value
    if visible is not None and record.station not in visible and record.site not in (principal.sites or ()):
        raise not_found("exclusion", name)
    await _recount(context, principal.tenant, record, [Delete(EXCLUSION, name, kept.version)])
    await audit.record(context, principal, "reports.include", f"exclusion {name}", detail={"reason": record.reason})


async def _recount(context: ApiContext, tenant: str, about: ExclusionRecord, changes: list[Change]) -> None:
    """Write a change of the exclusions, and with it what it means for outages that are over."""
    working: Reporting | None = context.parts.get(Reporting)
    if working is None:
        raise problem("not-ready", "The figures of reports are not kept here.")
    await working.fresh(tenant)
    await working.recount(tenant, about, changes)


# -- state ------------------------------------------------------------------------------------------------------------
async def state(context: ApiContext, principal: Principal) -> types.ReportState:
    """How far the figures reach. Raises Problem 403."""
    principal.need("reports:read")
    working: Reporting | None = context.parts.get(Reporting)
    one = working.reports(principal.tenant) if working is not None else None
    meta = one.meta if one is not None else await _meta(context, principal.tenant)
    under_way = working is not None and principal.tenant in working.rebuilding
    return types.ReportState(
        zone=str(context.config.zone),
        complete=meta.complete and not under_way,
        rebuilding=under_way or (meta.horizon > 0 and not meta.complete),
        done=meta.done,
        since=to_rfc3339(meta.since) if meta.since else None,
        position=meta.position,
    )


async def rebuild(context: ApiContext, principal: Principal) -> types.ReportState:
    """Make all figures anew, from the journal and the sessions; they are incomplete meanwhile.

    Raises Problem 409 (under way), 403, 503.
    """
    principal.need("reports:read")
    principal.need("settings:write")
    if principal.sites is not None:
        raise problem("not-allowed", "This concerns every site, and you see some of them.")
    working: Reporting | None = context.parts.get(Reporting)
    if working is None:
        raise problem("not-ready", "The figures of reports are not kept here.")
    if not working.rebuild(principal.tenant):
        raise problem("under-way", "The figures are being made anew.")
    await audit.record(context, principal, "reports.rebuild", "reports")
    return await state(context, principal)
