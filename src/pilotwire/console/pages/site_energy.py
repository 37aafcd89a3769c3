"""A day of a site: where its power came from and where it went, its demand windows, the month's peak and its causes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import urlencode

from litestar import Response, get
from litestar.params import FromQuery
from litestar.response import Stream

from pilotwire.api import types
from pilotwire.api.language import _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import controllers
from pilotwire.core.time import to_rfc3339

from .. import site_plots
from ..view import kw, macros
from .common import PlainRequest, Text, allowed
from .site_frame import Day, away, day_of, local, ms_of, not_here, show, site_of, state_of, without
from .site_live import PIECES, Fragments, follow

STEP_S = 900
MINUTE_S = 60
"""Energy is summed by minutes: of a quarter of an hour that is known in part, only that part was drawn."""
CAUSES = 6
"""So many causes of a peak are told."""


class Peak(NamedTuple):
    """The month's highest window."""

    id: str
    node: str
    month: str
    peak_w: int
    time: str | None
    causes: list[tuple[str, int]]
    """(who, W), the largest first."""


def sums_of(steps: Sequence[types.SiteCourseStep], step_s: int) -> dict[str, int]:
    """Wh of a course: what was drawn, fed in, generated, charged and so on."""

    def wh(values: Sequence[int]) -> int:
        return sum(values) * step_s // 3_600

    def of(name: str) -> list[int]:
        return [value for one in steps if (value := getattr(one, name)) is not None]

    return {
        "drawn": wh([max(0, value) for value in of("grid_w")]),
        "fed": wh([max(0, -value) for value in of("grid_w")]),
        "sun": wh([max(0, -value) for value in of("pv_w")]),
        "gives": wh([max(0, -value) for value in of("battery_w")]),
        "charges": wh([max(0, value) for value in of("battery_w")]),
        "cars": wh([max(0, value) for value in of("cars_w")]),
        "building": wh([max(0, value) for value in of("building_w")]),
    }


def _part(steps: Sequence[types.SiteCourseStep], name: str, sign: int) -> list[int | None]:
    return [None if (value := getattr(one, name)) is None else max(0, sign * value) for one in steps]


def _now_windows(now: types.SiteNow | None) -> Fragments:
    pieces = macros(PIECES)
    return {} if now is None else {f"w{place}": str(pieces.window(one)) for place, one in enumerate(now.windows)}


@get("/sites/{site_id:str}/energy")
async def energy(request: PlainRequest, site_id: Text, day: FromQuery[str] = "") -> Response[Any]:
    """One day of the site's calendar."""
    context, principal = allowed(request, "sites:read")
    site = await site_of(context, principal, site_id)
    if site.controller is None:
        return without(request, context, principal, site, "energy")
    zone, now_ms = site.zone, context.scheduler.now()
    chosen = day_of(day, zone, now_ms)
    today = chosen.after == ""
    try:
        now = await controllers.now(context, principal, site.id)
        course = await controllers.course(context, principal, site.id, chosen.from_ms, chosen.until_ms, STEP_S)
        minutes = await controllers.course(context, principal, site.id, chosen.from_ms, chosen.until_ms, MINUTE_S)
        closed = await controllers.windows(context, principal, site.id, chosen.from_ms, chosen.until_ms)
        month = chosen.date.replace(day=1)
        month_ms = int(datetime.combine(month, datetime.min.time(), zone).timestamp() * 1000)
        peaks = await controllers.peaks(context, principal, site.id, month_ms, chosen.until_ms)
        highest: list[Peak] = []
        for one in peaks:
            found = next((each for each in closed if each.id == one.id and each.begin == one.time), None)
            if found is None and one.time is not None:
                at = ms_of(one.time)
                near = await controllers.windows(context, principal, site.id, at, at + 3_700_000)
                found = next((each for each in near if each.id == one.id and each.begin == one.time), None)
            causes = sorted((found.causes_w if found else {}).items(), key=lambda each: -each[1])
            highest.append(
                Peak(
                    one.id, one.node, one.month, one.peak_w, one.time, [each for each in causes if each[1] > 0][:CAUSES]
                )
            )
    except Problem as why:
        if not away(why):
            raise
        return not_here(request, context, principal, site, "energy", why)
    steps = course.steps
    times = [local(ms_of(one.time), zone) for one in steps]
    titles = [f"{times[place]} – {local(ms_of(one.time) + STEP_S * 1000, zone)}" for place, one in enumerate(steps)]
    came = [
        ("grid-fill", _("Grid"), _part(steps, "grid_w", 1)), ("pv-fill", _("PV"), _part(steps, "pv_w", -1)),
        ("battery-fill", _("Battery gives"), _part(steps, "battery_w", -1)),
    ]  # fmt: skip
    went = [
        ("building-fill", _("Building"), _part(steps, "building_w", 1)),
        ("cars-fill", _("Cars"), _part(steps, "cars_w", 1)),
        ("battery-fill", _("Battery charges"), _part(steps, "battery_w", 1)),
        ("export-fill", _("Fed in"), _part(steps, "grid_w", -1)),
    ]  # fmt: skip
    known = any(one.grid_w is not None or one.cars_w is not None for one in steps)
    state, heard = state_of(context, site)
    span = urlencode({"from": to_rfc3339(chosen.from_ms), "until": to_rfc3339(chosen.until_ms)})
    api = f"/api/v1/sites/{site_id}/controller"
    return show(
        request, context, principal, site, "controller/energy.html", "energy",
        day=chosen, today=today, now=now if today else None, state=state, heard_at=heard, known=known,
        sums=sums_of(minutes.steps, MINUTE_S), plots=[
            (_("Where the power came from"), site_plots.stacked(times, _there(came), titles)),
            (_("Where it went"), site_plots.stacked(times, _there(went), titles)),
        ] if known else [],
        rows=[one for one in zip(titles, steps, strict=True) if one[1].grid_w is not None or one[1].cars_w is not None],
        windows=[
            (id, node, _windows(id, closed, now if today else None, chosen, zone))
            for id, node in _contracts(closed, now)
        ],
        closed=sorted(closed, key=lambda one: -one.peak_w)[:10], peaks=highest,
        pieces=_now_windows(now if today else None),
        csv=f"{api}/course.csv?{span}&step={STEP_S}", windows_csv=f"{api}/windows.csv?{span}",
        span_of=lambda one: f"{local(ms_of(one.begin), zone)} – {local(ms_of(one.end), zone)}",
    )  # fmt: skip


def _there(series: list[tuple[str, str, list[int | None]]]) -> list[tuple[str, str, list[int | None]]]:
    """Those of which anything is known: a site without PV has no line for it."""
    return [one for one in series if any(one[2])] or series[:1]


def _contracts(closed: Sequence[types.ClosedWindow], now: types.SiteNow) -> list[tuple[str, str]]:
    return list(dict.fromkeys((one.id, one.node) for one in (*closed, *now.windows)))


def _windows(
    id: str, closed: Sequence[types.ClosedWindow], now: types.SiteNow | None, day: Day, zone: Any
) -> site_plots.Plot:
    """All of a day, whatever of it is known."""
    found: list[site_plots.Window] = []

    def add(one: types.ClosedWindow | types.SiteWindow, mean_w: int, words: str, *, running: bool, over: bool) -> None:
        begin, end = ms_of(one.begin), ms_of(one.end)
        title = (
            f"{local(begin, zone)} – {local(end, zone)}: {kw(mean_w)} kW{words}, {_('target')} {kw(one.target_w)} kW"
        )
        found.append(site_plots.Window(begin, end, mean_w, one.target_w, running, over, title))

    for one in closed:
        if one.id == id:
            add(one, one.peak_w, "", running=False, over=one.overshoot_w > 0)
    for one in now.windows if now is not None else []:
        if one.id == id:
            add(one, one.forecast_w, f" {_('expected')}", running=True, over=one.forecast_w > one.target_w)
    times = [local(at, zone) for at in range(day.from_ms, day.until_ms, STEP_S * 1000)]
    return site_plots.windows(found, day.from_ms, day.until_ms, times)


@get("/ui/sites/{site_id:str}/energy", media_type="text/event-stream")
async def energy_stream(request: PlainRequest, site_id: Text) -> Stream:
    """The running windows as they change."""
    context, principal = allowed(request, "sites:read")
    return follow(request, context, principal, await site_of(context, principal, site_id), _now_windows)


HANDLERS: list[Any] = [energy, energy_stream]
