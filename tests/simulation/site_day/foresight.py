"""What is planned with: what the cars that are there have said, forecasts, and who is expected after days gone by."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from tests.simulation.site_day.history import ZONE
from tests.simulation.site_day.scenario import Scenario, V

from pilotwire.domain.energy import Topology
from pilotwire.domain.planning import Battery, Load, Need, Options, Prices, Problem, Visit, Window, expected

RESERVE = 0.996
"""Of a window's energy is used; the rest is for what the last seconds bring."""
EARLY_MICRO = 50_000
"""Energy comes before its price: an hour of waiting costs one hundredth of what the energy is worth, for who waits at a
site that is short of power may find in the end that others have come, or that there is no time left."""
_QUARTER_S = 900


class Seen(NamedTuple):
    """At `second`: of each EVSE the number of the session there (-1: none) and what it has got; the rest is metered."""

    second: int
    present: Any
    delivered_wh: Any
    battery_wh: float
    window_wh: float = 0.0


def problem(day: Scenario, topology: Topology, seen: Seen, past: Sequence[Visit]) -> Problem:
    """The plan of now until the end of the day."""
    second, first = seen.second, seen.second // _QUARTER_S
    steps = min(96, max(4, (day.seconds - second) // _QUARTER_S + 1))
    utc = day.begins_ms + second * 1000
    needs: list[Need] = []
    busy: dict[str, int] = {}
    for at, evse in enumerate(day.tree.evses):
        number = seen.present[at]
        if number < 0:
            continue
        car = day.sessions[number]
        # Who has said that it would leave by now and is still there may stay for another while.
        leaves = day.begins_ms + max(car.declared, second + _QUARTER_S) * 1000
        busy[evse.id] = leaves
        left = int(car.need_wh - seen.delivered_wh[at])
        if left > 0:
            needs.append(
                Need(
                    evse=evse.id,
                    energy_wh=left,
                    departure_ms=leaves,
                    phases=car.phases,  # type: ignore[arg-type]
                    maximum=None if evse.current == "DC" else car.max_ma,
                )
            )
    building = tuple(_split(watts, day.building_split) for watts in day.building_forecast_w[first:])
    sun = tuple(_split(-watts, (1 / 3, 1 / 3, 1 / 3)) for watts in day.pv_forecast_w[first:])
    power = int(day.battery_w * 1000)
    return Problem(
        topology=topology,
        now_ms=utc,
        needs=tuple(needs),
        loads=(Load("building", "grid", building or ((0, 0, 0),)), Load("sun", "t1", sun or ((0, 0, 0),))),
        batteries=(Battery("battery", "grid", int(seen.battery_wh), int(day.battery_wh), power, power),),
        prices=Prices(import_micro=day.import_micro[first:], export_micro=(80_000,)),
        windows=(Window(target_mw=int(day.target_w * 1000 * RESERVE), so_far_wh=int(seen.window_wh)),),
        options=Options(steps=steps, early_micro=EARLY_MICRO),
        expected=expected(
            topology, past, ZONE, now_ms=utc, until_ms=utc + steps * _QUARTER_S * 1000, busy=busy, depth=2,
            arrival_ms=1_800_000,
        ),
    )  # fmt: skip


def _split(watts: float, shares: tuple[float, float, float]) -> tuple[int, int, int]:
    a, b, c = (int(watts * share / V * 1000) for share in shares)
    return a, b, c
