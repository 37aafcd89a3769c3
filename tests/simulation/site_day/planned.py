"""The day as its plans alone would have it, by the quarter and without the second: cheap, for what only they can spoil.

Each quarter is planned with what is known then, and its first step is carried out: cars take what they are planned, as
far as they can; where building and sun are not as forecast, all give up the same part, so that the window is kept.
Who comes within a quarter waits for the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tests.simulation.site_day.foresight import Seen, problem
from tests.simulation.site_day.scenario import Scenario, Session, V

from pilotwire.domain.energy import Evse, prepare
from pilotwire.domain.planning import Plan, Visit, plan

_QUARTER_S = 900


def delivered(day: Scenario, past: Sequence[Visit]) -> list[float]:
    """Wh into all cars, by quarter."""
    topology = prepare(day.tree)
    present: Any = np.full(len(day.tree.evses), -1)
    got: Any = np.zeros(len(present))
    battery_wh = day.battery_wh * 0.5
    found: list[float] = []
    made: Plan | None = None
    for second in range(0, day.seconds, _QUARTER_S):
        before = second - _QUARTER_S if second else -day.seconds
        for at, number in enumerate(present):
            if number >= 0 and day.sessions[number].leaves <= second:
                present[at] = -1
        for number, car in enumerate(day.sessions):
            if before < car.arrives <= second < car.leaves:
                present[car.evse], got[car.evse] = number, 0.0
        made = plan(problem(day, topology, Seen(second, present, got, battery_wh), past), made)
        battery_w = made.batteries[0].set_points_mw[0] / 1000
        places = {evse.id: at for at, evse in enumerate(day.tree.evses)}
        taken = [(places[car.evse], car.targets[0]) for car in made.cars if car.targets[0]]
        wh = {at: _takes(day.tree.evses[at], day.sessions[present[at]], value, got[at], second) for at, value in taken}
        part = slice(second, second + _QUARTER_S)
        side_wh = (sum(day.building_w[part]) - sum(day.pv_w[part])) / 3600
        room = day.target_w / 4 - side_wh - battery_w / 4
        asked = sum(grid for grid, _ in wh.values())
        share = min(1.0, max(0.0, room) / asked) if asked else 0.0
        found.append(share * sum(outlet for _, outlet in wh.values()))
        for at, (_, outlet) in wh.items():
            got[at] += outlet * share
        battery_wh += (battery_w * 0.97 if battery_w > 0 else battery_w / 0.97) / 4
        battery_wh = min(max(battery_wh, 0.0), day.battery_wh)
    return found


def _takes(evse: Evse, car: Session, value: int, got_wh: float, second: int) -> tuple[float, float]:
    """Wh of the grid and into the car in this quarter, for a set-point in the EVSE's unit."""
    efficiency = evse.efficiency / 1000 if evse.current == "DC" else 1.0
    amps = value / (3 * V * 1000 * efficiency) if evse.current == "DC" else value / 1000
    soc = (car.begin_wh + got_wh) / car.capacity_wh
    taper = min(1.0, max(0.2, 1 - (soc - 0.8) / 0.2 * 0.8))
    hours = max(0, min(car.leaves - second, _QUARTER_S)) / 3600
    outlet = min(min(amps, car.true_ma / 1000 * taper) * car.phases * V * efficiency * hours, car.need_wh - got_wh)
    return outlet / efficiency, outlet
