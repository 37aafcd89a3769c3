"""Reports: energy, use, availability and uptime, by period and by site or station, with plots; outages and what excuses
them."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from litestar import Response, get, post

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem, problem
from pilotwire.api.resources import outages, reports, sites
from pilotwire.core.time import to_datetime

from ..forms import Form
from ..view import kwh, numeral
from ..words import TABLES
from .common import PlainRequest, Text, allowed, page, redirect, segment
from .editing import body, moment, zone_name
from .lists import Address, Asked, Cursor
from .reports_plot import Plot, bars

PERIODS = {
    "7d": N_("the last 7 days"),
    "30d": N_("the last 30 days"),
    "month": N_("this month"),
    "last-month": N_("last month"),
    "year": N_("this year"),
    "last-year": N_("last year"),
}
GROUPS: dict[types.ReportGroup, str] = {"day": N_("by day"), "week": N_("by week"), "month": N_("by month")}
MONTHS = (
    N_("Jan"), N_("Feb"), N_("Mar"), N_("Apr"), N_("May"), N_("Jun"), N_("Jul"), N_("Aug"), N_("Sep"), N_("Oct"),
    N_("Nov"), N_("Dec"),
)  # fmt: skip
_STACKED = 6
"""So many sites are told apart in the plot of energy."""
_BARS = 400
_ROWS = 100
_SORTS = ("energy_wh", "sessions", "utilisation_percent", "availability_percent", "uptime_percent", "outage_s")


def _days(period: str, today: date) -> tuple[date, date]:
    """First day, and the day after the last."""
    first = today.replace(day=1)
    tomorrow = today + timedelta(days=1)
    match period:
        case "7d":
            return today - timedelta(days=6), tomorrow
        case "month":
            return first, tomorrow
        case "last-month":
            return (first - timedelta(days=1)).replace(day=1), first
        case "year":
            return date(today.year, 1, 1), tomorrow
        case "last-year":
            return date(today.year - 1, 1, 1), date(today.year, 1, 1)
        case _:
            return today - timedelta(days=29), tomorrow


def _named(begin: str, group: str) -> str:
    day = date.fromisoformat(begin)
    month = _(MONTHS[day.month - 1])
    return f"{month} {day.year}" if group == "month" else _("{day} {month}", day=day.day, month=month)


def hours(seconds: int | None) -> str:
    """A duration as 12 h 05 min; minutes below an hour."""
    if seconds is None:
        return "–"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 60 else f"{minutes // 60:,} h {minutes % 60:02d} min"


def share(value: float | None) -> str:
    """A share with one decimal; – where nothing was to be measured. Never rounded up to 100."""
    if value is None:
        return "–"
    shown = min(round(value, 1), 99.9) if value < 100 else 100.0
    return f"{numeral(shown, 0 if shown == 100 else 1)} %"


async def _energy(
    context: ApiContext, principal: Principal, asked: dict[str, Any], found: types.Report, named: dict[str, str]
) -> Plot:
    """Energy in each period, by site where there are several."""
    begins = [one.begin for one in found.items]
    labels = [_named(one.begin, found.group) for one in found.items]
    if len(named) > 1 and not asked["site"] and not asked["station"]:
        by_site = await reports.report(
            context, principal, begin=found.begin, end=found.end, group=found.group, by="site", limit=500
        )
        sums: dict[str, list[float]] = {}
        for one in by_site.items if by_site.next is None else []:
            if one.begin in begins:
                line = sums.setdefault(one.site_id or "", [0.0] * len(begins))
                line[begins.index(one.begin)] += one.energy_wh / 1000
        ranked = sorted(sums, key=lambda site: -sum(sums[site]))
        if len(ranked) > 1:
            rest = ranked[_STACKED:]
            series = [(named.get(site, site) or _("at no site"), sums[site]) for site in ranked[:_STACKED]]
            if rest:
                others = [sum(sums[site][place] for site in rest) for place in range(len(begins))]
                series.append((_("others"), others))
            titles = [
                [f"{label}: {name} {kwh(round(value * 1000))} kWh" for label, value in zip(labels, values, strict=True)]
                for name, values in series
            ]
            return bars(labels, series, titles)
    values = [one.energy_wh / 1000 for one in found.items]
    titles = [[f"{label}: {kwh(one.energy_wh)} kWh" for label, one in zip(labels, found.items, strict=True)]]
    return bars(labels, [(_("Energy"), values)], titles)


def _percents(found: types.Report, field: str, name: str, rest: str = "") -> Plot:
    labels = [_named(one.begin, found.group) for one in found.items]
    given = [getattr(one, field) for one in found.items]
    values = [value or 0.0 for value in given]
    titles = [[f"{label}: {share(value)}" for label, value in zip(labels, given, strict=True)]]
    series: list[tuple[str, list[float]]] = [(name, values)]
    if rest:
        series.append((rest, [100 - value if value is not None else 0.0 for value in given]))
        titles.append(
            [
                f"{label}: {share(100 - value if value is not None else None)}"
                for label, value in zip(labels, given, strict=True)
            ]
        )
    return bars(labels, series, titles, top=100 if rest else None)


@get("/reports")
async def overview(
    request: PlainRequest,
    period: Asked = "30d",
    begin: Asked = "",
    end: Asked = "",
    group: Asked = "",
    by: Asked = "site",
    site: Asked = "",
    station: Asked = "",
    sort: Asked = "-energy_wh",
    cursor: Cursor = None,
) -> Response[Any]:
    """The figures of a time, plotted by day, week or month and listed by site or station."""
    context, principal = allowed(request, "reports:read")
    today = to_datetime(context.scheduler.now()).astimezone(context.config.zone).date()
    first, after = _days(period, today)
    wrong = ""
    if begin or end:
        try:
            first, last = date.fromisoformat(begin or str(first)), date.fromisoformat(end or str(today))
            after, period = last + timedelta(days=1), ""
        except (ValueError, OverflowError):
            wrong = _("A day is written 2026-03-14.")
    if first >= after:
        wrong = _("The first day has to come before the last.")
        first, after = _days("30d", today)
    long = (after - first).days
    grouped = group if group in GROUPS else ("day" if long <= 45 else "week" if long <= 200 else "month")
    listed = by if by in ("site", "station") else "site"
    where: dict[str, Any] = {"site": site or None, "station": station or None}
    span: dict[str, Any] = {"begin": first.isoformat(), "end": after.isoformat()}
    found = await reports.report(context, principal, **span, group=grouped, limit=_BARS, **where)
    order = sort if sort.removeprefix("-") in _SORTS else "-energy_wh"
    rows = await reports.report(
        context, principal, **span, group="total", by=listed, sort=order, cursor=cursor, limit=_ROWS, **where
    )
    named = await sites.names(context, principal) if principal.may("sites:read") else {}
    address = Address(
        "/reports", period=period if period != "30d" else "", begin=begin, end=end, group=group,
        by=listed if listed != "site" else "", site=site, station=station, sort="" if order == "-energy_wh" else order,
    )  # fmt: skip
    query = Address("/api/v1/reports.csv", **span, site=site, station=station)
    return page(
        request,
        "reports/overview.html",
        here="reports",
        crumbs=[(_("Reports"), None)],
        found=found,
        rows=rows.items,
        next=rows.next,
        first=cursor is not None,
        totals=found.totals,
        energy=await _energy(context, principal, where, found, named),
        use=_percents(found, "utilisation_percent", _("In use")),
        uptime=_percents(found, "uptime_percent", _("Up"), _("Down")),
        labels={one.begin: _named(one.begin, grouped) for one in found.items},
        last_day=(after - timedelta(days=1)).isoformat(),
        asked={
            "period": period,
            "begin": begin,
            "end": end,
            "group": grouped,
            "by": listed,
            "site": site,
            "station": station,
        },
        periods=[(key, _(text)) for key, text in PERIODS.items()],
        groups=[(key, _(text)) for key, text in GROUPS.items()],
        sites=dict(sorted(named.items(), key=lambda pair: pair[1].casefold())),
        sort=order,
        address=address,
        csv=query,
        wrong=wrong,
        share=share,
        hours=hours,
        tab="figures",
        tabs=tabs(),
    )


def tabs() -> list[tuple[str, str, str]]:
    """The parts of Reports."""
    return [("figures", _("Figures"), "/reports"), ("outages", _("Outages"), "/reports/outages")]


async def _outages(request: PlainRequest, form: Form, status: int = 200) -> Response[Any]:
    context, principal = allowed(request, "reports:read")
    station = request.query_params.get("station", "")[:48]
    cursor = request.query_params.get("cursor")
    found = await outages.outages(context, principal, station=station or None, cursor=cursor, limit=50)
    named = await sites.names(context, principal) if principal.may("sites:read") else {}
    return page(
        request,
        "reports/outages.html",
        here="reports",
        crumbs=[(_("Reports"), "/reports"), (_("Outages"), None)],
        status=status,
        tabs=tabs(),
        tab="outages",
        items=found.items,
        next=found.next,
        first=cursor is not None,
        station=station,
        address=Address("/reports/outages", station=station),
        exclusions=await outages.exclusions(context, principal),
        sites=dict(sorted(named.items(), key=lambda pair: pair[1].casefold())),
        reasons=[(code, _(known.name)) for code, known in TABLES["excuse"].items()],
        form=form,
        zone=zone_name(context.config.zone),
        hours=hours,
        may_write=principal.may("stations:write"),
    )


@get("/reports/outages")
async def outage_list(request: PlainRequest) -> Response[Any]:
    """Time in which an EVSE could not be used, and what excuses it."""
    start = {"station_id": [request.query_params.get("station", "")[:48]], "reason": ["maintenance"]}
    return await _outages(request, Form(start))


@post("/reports/outages")
async def exclude(request: PlainRequest) -> Response[Any]:
    """Let outages within a time not count, with a reason."""
    context, principal = allowed(request, "stations:write")
    form = await Form.read(request)
    zone = context.config.zone
    try:
        begin, end = moment(form, "begin", zone), moment(form, "end", zone)
        for name, value in (("begin", begin), ("end", end)):
            if value is None:
                form.wrong(name, _("is needed"))
        if form.errors:
            raise problem("bad-body")
        given = {
            "station_id": form.get("station_id") or None,
            "site_id": form.get("site_id") or None,
            "begin": begin,
            "end": end,
            "reason": form.get("reason"),
            "note": form.get("note"),
        }
        await outages.exclude(context, principal, body(types.NewExclusion, given))
    except Problem as refused:
        if refused.status == 403:
            raise
        form.fail(refused)
        if refused.status == 404:
            form.wrong("station_id", _("is not known here"))
        return await _outages(request, form, 422)
    return redirect(request, "/reports/outages", "good", _("Outages within that time do not count any more."))


@post("/reports/exclusions/{name:str}/delete")
async def include(request: PlainRequest, name: Text) -> Response[Any]:
    """Let them count again."""
    context, principal = allowed(request, "stations:write")
    await outages.remove_exclusion(context, principal, segment(name))
    return redirect(request, "/reports/outages", "good", _("Outages within that time count again."))


HANDLERS: list[Any] = [overview, outage_list, exclude, include]
