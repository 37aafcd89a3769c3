"""Runs the day under one controller and measures: energy, excursions above limits, demand windows."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

import numpy as np
from tests.simulation.site_day.control import CONTROLLERS
from tests.simulation.site_day.plant import Plant
from tests.simulation.site_day.scenario import Scenario, V

SEEN_A = 0.05
"""Less than that above a limit is nothing."""


class Excursion(NamedTuple):
    """A limit that was exceeded without a pause: where, from which second on, for how long, by how much at most."""

    place: str
    phase: int
    second: int
    lasted_s: int
    most_a: float
    limit_a: float


class Outcome(NamedTuple):
    """What came of it. Energy in Wh; `minutes` are means by minute for the plots."""

    name: str
    delivered_wh: float
    wanted_wh: float
    sessions_full: int
    sessions: int
    excursions: tuple[Excursion, ...]
    over_a2s: float
    """Σ of A above a limit × s."""
    windows_w: tuple[float, ...]
    target_w: float
    cost_micro: float
    cpu_s: float
    tick_p50_ms: float
    tick_p99_ms: float
    plans: int
    fallbacks: int
    by_session_wh: tuple[float, ...]
    minutes: dict[str, list[float]]
    reasons: dict[str, int]

    @property
    def longest_s(self) -> int:
        """Of all excursions."""
        return max((each.lasted_s for each in self.excursions), default=0)

    @property
    def windows_over(self) -> list[tuple[int, float]]:
        """(window, W above the target)."""
        return [(at, watts - self.target_w) for at, watts in enumerate(self.windows_w) if watts > self.target_w]


def run(day: Scenario, name: str) -> Outcome:
    """The whole day; `name` is one of CONTROLLERS."""
    plant = Plant(day)
    controller = CONTROLLERS[name](day, plant)
    told, battery = np.zeros(len(day.tree.evses)), 0.0
    open_: dict[tuple[int, int], tuple[int, float]] = {}
    found: list[Excursion] = []
    windows: list[float] = []
    window_wh = cost = over = 0.0
    keys = ("grid_l1", "grid_l2", "grid_l3", "cars", "building", "sun", "battery", "level", "import")
    sums = dict.fromkeys(keys, 0.0)
    minutes: dict[str, list[float]] = {key: [] for key in keys}
    ticks: list[float] = []
    begun = time.process_time()
    limits = plant.limits[:, None]

    def close(key: tuple[int, int], second: int) -> None:
        since, most = open_.pop(key)
        found.append(
            Excursion(
                plant.names[key[0]], key[1] + 1, since, second - since, round(most, 2), float(plant.limits[key[0]])
            )
        )

    for second in range(day.seconds):
        if plant.step(told, battery):
            controller.changed()
        view = plant.view()
        tick = time.process_time()
        told, battery = controller.told(view._replace(second=second))
        ticks.append(time.process_time() - tick)
        above = plant.flows - limits
        if (above > SEEN_A).any() or open_:
            now = {(int(a), int(b)) for a, b in zip(*np.nonzero(above > SEEN_A), strict=True)}
            for key in [key for key in open_ if key not in now]:
                close(key, second)
            for key in now:
                since, most = open_.get(key, (second, 0.0))
                open_[key] = (since, max(most, float(above[key])))
                over += float(above[key])
        watts = float(plant.flows[0].sum()) * V
        window_wh += max(0.0, watts) / 3600
        price = day.import_micro[second // 900] if watts > 0 else 80_000
        cost += watts / 3.6e6 * price
        if second % 900 == 899:
            windows.append(window_wh * 4)
            window_wh = 0.0
        for phase in range(3):
            sums[f"grid_l{phase + 1}"] += plant.flows[0, phase]
        sums["cars"] += float((plant.amps * plant.count).sum()) * V
        sums["building"] += day.building_w[second]
        sums["sun"] += day.pv_w[second]
        sums["battery"] += plant.battery_w
        sums["level"] += plant.battery_wh
        sums["import"] += watts
        if second % 60 == 59:
            for key in keys:
                minutes[key].append(round(sums[key] / 60, 3))
            sums = dict.fromkeys(keys, 0.0)
    for key in list(open_):
        close(key, day.seconds)
    plant.finish()
    got = np.minimum(plant.total_wh, [car.need_wh for car in day.sessions])
    ticks.sort()
    return Outcome(
        name=name,
        delivered_wh=float(got.sum()),
        wanted_wh=sum(car.need_wh for car in day.sessions),
        sessions_full=sum(car.need_wh - wh < 100 for car, wh in zip(day.sessions, got, strict=True)),
        sessions=len(day.sessions),
        excursions=tuple(found),
        over_a2s=over,
        windows_w=tuple(windows),
        target_w=day.target_w,
        cost_micro=cost,
        cpu_s=time.process_time() - begun,
        tick_p50_ms=ticks[len(ticks) // 2] * 1000,
        tick_p99_ms=ticks[len(ticks) * 99 // 100] * 1000,
        plans=getattr(controller, "plans", 0),
        fallbacks=getattr(controller, "fallbacks", 0),
        by_session_wh=tuple(float(wh) for wh in got),
        minutes=minutes,
        reasons=getattr(controller, "reasons", {}),
    )


def describe(outcome: Outcome, optimum_wh: float) -> dict[str, Any]:
    """One row of the table."""
    over = outcome.windows_over
    return {
        "controller": outcome.name,
        "delivered_kwh": round(outcome.delivered_wh / 1000, 1),
        "of_optimum_percent": round(100 * outcome.delivered_wh / optimum_wh, 2),
        "sessions_full": f"{outcome.sessions_full} of {outcome.sessions}",
        "excursions": len(outcome.excursions),
        "longest_s": outcome.longest_s,
        "most_over_percent": round(max((100 * e.most_a / e.limit_a for e in outcome.excursions), default=0.0), 1),
        "over_as": round(outcome.over_a2s),
        "windows_over": f"{len(over)} of {len(outcome.windows_w)}",
        "worst_window_over_kw": round(max((watts for _, watts in over), default=0.0) / 1000, 2),
        "tick_p99_ms": round(outcome.tick_p99_ms, 1),
        "cpu_s": round(outcome.cpu_s, 1),
    }
