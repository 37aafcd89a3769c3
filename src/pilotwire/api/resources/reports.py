"""Reports: figures of periods, by site, station and EVSE, as rows and as CSV, and how far the figures reach."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable
from datetime import date, timedelta
from typing import Any, Final

import msgspec

from pilotwire.core.time import to_datetime, to_rfc3339
from pilotwire.domain.ledger import (
    CHARGING,
    DURATION,
    ENERGY,
    EXCLUDED,
    OCCUPIED,
    OFFLINE,
    OUTAGE,
    SESSIONS,
    WATCHED,
    percent,
    up,
    zeros,
)

from .. import audit, listing, types
from ..access import Principal
from ..context import ApiContext
from ..exports import plain
from ..happenings.reporting import Reporting
from ..happenings.tenant_reports import TenantReports
from ..language import _
from ..problems import faulty, not_found, problem
from ..queries import Queries
from .report_figures import Asked, Figures, Line, meta_of, worker_of

LONGEST_DAYS: Final = 3_700
FINE_DAYS: Final = 62
"""For how long stations are listed by day or week."""


# -- asking -----------------------------------------------------------------------------------------------------------
def _date(name: str, text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        message = _("a day is needed, as in 2026-03-14")
        raise problem("bad-parameter", errors=[{"field": name, "message": message}]) from None


async def _asked(
    context: ApiContext,
    principal: Principal,
    begin: str | None,
    end: str | None,
    group: types.ReportGroup,
    by: types.ReportBy,
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
        errors.append({"field": "begin", "message": _("has to be before `end`, in this century or the next")})
    elif (last - first).days > LONGEST_DAYS:
        errors.append(
            {"field": "begin", "message": _("at most {longest_days} days before `end`", longest_days=LONGEST_DAYS)}
        )
    elif by == "station" and station is None and group in ("day", "week") and (last - first).days > FINE_DAYS:
        errors.append(
            {
                "field": "group",
                "message": _(
                    "of all stations by {group} at most {fine_days} days at once", group=group, fine_days=FINE_DAYS
                ),
            }
        )
    if errors:
        raise faulty("bad-parameter", errors)
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
    group: types.ReportGroup = "total",
    by: types.ReportBy = "all",
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
    whole = Line(asked.begin, asked.end, site, station, totals, sum(line.capacity_ms for line in lines))
    page, after = _page(lines, asked, sort, cursor, limit)
    meta = worker.meta if worker is not None else await meta_of(context, principal.tenant)
    return types.Report(
        begin=asked.begin.isoformat(),
        end=asked.end.isoformat(),
        zone=str(context.config.zone),
        group=asked.group,
        by=asked.by,
        generated_at=to_rfc3339(context.scheduler.now()),
        complete=meta.complete and not meta.rebuilding,
        totals=_row(whole),
        items=[_row(line) for line in page],
        next=after,
    )


_KEYS: Final[dict[str, Callable[[Line], Any]]] = {
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
    "uptime_percent": lambda one: percent(up(one.sums), one.sums[WATCHED]),
}


def _page(
    lines: list[Line], asked: Asked, sort: str | None, cursor: str | None, limit: int
) -> tuple[list[Line], str | None]:
    """A page of the lines in order; those without a figure come last. Figures move while somebody pages, so a cursor
    names the line after which to go on, and where that is gone, its value."""
    chosen = listing.sort_of(sort, _KEYS, "begin")
    question = listing.question("reports", chosen, {name: str(value) for name, value in asked._asdict().items()})
    place = listing.place_in(cursor, question, tuple[str | float | None, str])
    key, sign = _KEYS[chosen.field], -1 if chosen.descending else 1
    lines.sort(key=_name)
    if chosen.field in ("site_id", "station_id"):
        lines.sort(key=lambda one: key(one).casefold(), reverse=chosen.descending)
    else:
        lines.sort(key=lambda one: (1, 0) if (value := key(one)) is None else (0, sign * value))
    start = 0
    if place is not None:
        start = next((at for at, one in enumerate(lines, 1) if _name(one) == place[1]), None) or listing.start_after(
            lines, place, key=key, id_of=_name, descending=chosen.descending
        )
    page = lines[start : start + limit]
    more = start + limit < len(lines)
    return page, listing.cursor_after(question, (key(page[-1]), _name(page[-1]))) if more and page else None


def _name(line: Line) -> str:
    return f"{line.begin}\n{line.site or ''}\n{line.station or ''}"


async def report_csv(
    context: ApiContext,
    principal: Principal,
    *,
    begin: str | None = None,
    end: str | None = None,
    group: types.ReportGroup = "total",
    by: types.ReportBy = "all",
    site: str | None = None,
    station: str | None = None,
) -> AsyncIterator[bytes]:
    """Every row of a report as CSV (RFC 4180), a line each, in order of period, site and station."""
    asked = await _asked(context, principal, begin, end, group, by, site, station)
    lines, _worker = await _lines(context, principal, asked)
    lines.sort(key=lambda one: (one.begin, one.site or "", one.station or ""))
    names = types.ReportRow.__struct_fields__

    async def chunks() -> AsyncIterator[bytes]:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(names)
        for place, line in enumerate(lines):
            shown = msgspec.to_builtins(_row(line))
            writer.writerow([plain(cell) if isinstance(cell := shown[name], str) else cell for name in names])
            if place % 500 == 499:
                yield out.getvalue().encode()
                out.seek(0)
                out.truncate()
        yield out.getvalue().encode()

    return chunks()


def _row(line: Line) -> types.ReportRow:
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
        uptime_percent=percent(up(sums), sums[WATCHED]),
    )


async def _lines(context: ApiContext, principal: Principal, asked: Asked) -> tuple[list[Line], TenantReports | None]:
    worker = await worker_of(context, principal.tenant)
    reader = Figures(context, principal, worker)
    await reader.prepare()
    if asked.station is not None:
        return await reader.one_station(asked), worker
    if asked.by == "station":
        return await reader.stations(asked), worker
    return await reader.sites(asked), worker


# -- EVSEs ------------------------------------------------------------------------------------------------------------
async def evses(
    context: ApiContext, principal: Principal, station_id: str, *, begin: str | None = None, end: str | None = None
) -> list[types.EvseUse]:
    """How each EVSE of a station was used. Raises Problem 400, 404, 403."""
    asked = await _asked(context, principal, begin, end, "total", "station", None, station_id)
    worker = await worker_of(context, principal.tenant)
    reader = Figures(context, principal, worker)
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
                uptime_percent=percent(up(sums), sums[WATCHED]),
            )
        )
    return made


# -- state ------------------------------------------------------------------------------------------------------------
async def state(context: ApiContext, principal: Principal) -> types.ReportState:
    """How far the figures reach. Raises Problem 403."""
    principal.need("reports:read")
    working: Reporting | None = context.parts.get(Reporting)
    one = working.reports(principal.tenant) if working is not None else None
    meta = one.meta if one is not None else await meta_of(context, principal.tenant)
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
        raise problem("not-allowed", _("This concerns every site, and you see some of them."))
    working: Reporting | None = context.parts.get(Reporting)
    if working is None:
        raise problem("not-ready", _("The figures of reports are not kept here."))
    if not working.rebuild(principal.tenant):
        raise problem("under-way", _("The figures are being made anew."))
    await audit.record(context, principal, "reports.rebuild", "reports")
    return await state(context, principal)
