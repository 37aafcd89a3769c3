"""What a site plans for the hours to come, car by car, and what became of what was planned for a day."""

from __future__ import annotations

from typing import Any

from litestar import Response, get
from litestar.params import FromQuery

from pilotwire.api.language import _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import controllers

from .. import site_plots
from .common import PlainRequest, Text, allowed
from .site_energy import MINUTE_S, STEP_S
from .site_frame import away, day_of, local, ms_of, not_here, show, site_of, without


@get("/sites/{site_id:str}/outlook")
async def outlook(request: PlainRequest, site_id: Text, day: FromQuery[str] = "") -> Response[Any]:
    """The plan in force, and a day's plan against its outcome."""
    context, principal = allowed(request, "sites:read")
    site = await site_of(context, principal, site_id)
    if site.controller is None:
        return without(request, context, principal, site, "outlook")
    zone = site.zone
    chosen = day_of(day, zone, context.scheduler.now())
    try:
        plan = await controllers.plan(context, principal, site.id)
        course = await controllers.course(context, principal, site.id, chosen.from_ms, chosen.until_ms, STEP_S)
        minutes = await controllers.course(context, principal, site.id, chosen.from_ms, chosen.until_ms, MINUTE_S)
    except Problem as why:
        if not away(why):
            raise
        return not_here(request, context, principal, site, "outlook", why)
    ahead: list[tuple[str, site_plots.Plot]] = []
    if plan is not None:
        begin = ms_of(plan.begin)
        times = [local(begin + place * plan.step_s * 1000, zone) for place in range(len(plan.grid_w))]
        cars = [
            sum(
                one.power_w for car in plan.cars for one in car.course
                if ms_of(one.begin) <= begin + place * plan.step_s * 1000 < ms_of(one.end)
            )
            for place in range(len(times))
        ]  # fmt: skip
        named = [("cars-fill", _("Cars"), cars)]
        ahead.append(
            (
                _("Cars, and what that means at the connection"),
                site_plots.compared(times, named[0], ("planned", _("Grid"), plan.grid_w), times),
            )
        )
        for id, row in plan.batteries_w.items():
            ahead.append(
                (
                    f"{_('Battery')} {id}",
                    site_plots.compared(
                        times, ("battery-fill", _("charges, or gives below zero"), row), ("planned", "", []), times
                    ),
                )
            )
    steps = course.steps
    times = [local(ms_of(one.time), zone) for one in steps]
    outcome: list[tuple[str, site_plots.Plot]] = []
    for title, kind, measured, planned in (
        (_("Grid"), "grid-fill", "grid_w", "planned_grid_w"), (_("Cars"), "cars-fill", "cars_w", "planned_cars_w"),
        (_("Battery"), "battery-fill", "battery_w", "planned_battery_w"),
    ):  # fmt: skip
        values, wanted = [getattr(one, measured) for one in steps], [getattr(one, planned) for one in steps]
        if any(value is not None for value in wanted):
            drawn = site_plots.compared(times, (kind, _("measured"), values), ("planned", _("planned"), wanted), times)
            outcome.append((title, drawn))
    return show(
        request, context, principal, site, "controller/outlook.html", "outlook",
        plan=plan, ahead=ahead, outcome=outcome, day=chosen, today=chosen.after == "",
        misses=_misses(minutes.steps),
    )  # fmt: skip


def _misses(steps: Any) -> dict[str, tuple[int, int]]:
    """Of grid and cars: (Wh planned, Wh measured) over the steps of which both are known."""
    found: dict[str, tuple[int, int]] = {}
    for name in ("grid_w", "cars_w", "battery_w"):
        both = [
            (planned, measured)
            for one in steps
            if (planned := getattr(one, f"planned_{name}")) is not None and (measured := getattr(one, name)) is not None
        ]
        if both:
            found[name] = (sum(p for p, _m in both) * MINUTE_S // 3_600, sum(m for _p, m in both) * MINUTE_S // 3_600)
    return found


HANDLERS: list[Any] = [outlook]
