"""What really flows, second by second. It knows nothing of any controller."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from tests.simulation.site_day.scenario import Scenario, V

_MINIMUM_A = 5.9
"""Below what is 6 A but for rounding a charger offers nothing."""
_RISE_A = 3.0
"""A car comes up by no more than that in a second."""


class View(NamedTuple):
    """What a controller sees: A on each phase at metered nodes, of each EVSE; kWh since the car came."""

    second: int
    meters: dict[str, Any]
    draws: Any
    delivered_wh: Any
    battery_w: float
    battery_wh: float


class Plant:
    """`step(told_a, battery_w)` passes a second: A per phase that each EVSE is told, W for the battery (charging +)."""

    def __init__(self, day: Scenario, seed: int = 11) -> None:
        self.day = day
        self._draw = np.random.default_rng(seed)
        evses = day.tree.evses
        count = len(evses)
        self.names = tuple(node.id for node in day.tree.nodes)
        parents = {node.id: node.parent for node in day.tree.nodes}
        self.inside = np.zeros((len(self.names), count))
        for at, evse in enumerate(evses):
            node: str | None = evse.node
            while node is not None:
                self.inside[self.names.index(node), at] = 1
                node = parents[node]
        self.limits = np.array([day.true_limits[name] for name in self.names])
        self.dc = np.array([evse.current == "DC" for evse in evses])
        self.present = np.full(count, -1, dtype=int)
        """The session at each EVSE."""
        self.phases = np.zeros((count, 3))
        self.count = np.zeros(count)
        self.top = np.zeros(count)
        self.need = np.zeros(count)
        self.got = np.zeros(count)
        self.capacity, self.begun = np.ones(count), np.zeros(count)
        self.over, self.sleep = np.ones(count), np.zeros(count)
        self.paused = np.zeros(count)
        self.wakes = np.zeros(count)
        self.amps = np.zeros(count)
        self.delay = np.array(day.delay_s)
        self.lag = np.array(day.lag_s)
        self._told = [np.zeros(count) for _ in range(int(self.delay.max()) + 1)]
        self.total_wh = np.zeros(len(day.sessions))
        self.by_second = sorted(range(len(day.sessions)), key=lambda at: day.sessions[at].arrives)
        self._next = 0
        self._leaving: list[tuple[int, int]] = []
        self.second = 0
        self.battery_wh = day.battery_wh * 0.5
        self.battery_w = 0.0
        self.flows = np.zeros((len(self.names), 3))
        self._outlet = np.array([evse.efficiency / 1000 if evse.current == "DC" else 1.0 for evse in evses])

    def _come_and_go(self) -> bool:
        day, changed = self.day, False
        for end, evse in self._leaving:
            if end <= self.second:
                self.total_wh[self.present[evse]] = self.got[evse]
                self.present[evse] = -1
                self.amps[evse] = self.top[evse] = 0
                changed = True
        self._leaving = [each for each in self._leaving if each[0] > self.second]
        while self._next < len(self.by_second):
            number = self.by_second[self._next]
            car = day.sessions[number]
            if car.arrives > self.second:
                break
            self._next += 1
            at = car.evse
            self.present[at] = number
            self.phases[at] = 0
            for phase in day.on[at][: car.phases]:
                self.phases[at, phase] = 1
            self.count[at], self.top[at], self.need[at] = car.phases, car.true_ma / 1000, car.need_wh
            self.got[at], self.capacity[at], self.begun[at] = 0, car.capacity_wh, car.begin_wh
            self.over[at], self.sleep[at], self.paused[at], self.wakes[at] = car.overdraws, car.sleeps_s, 0, 0
            self._leaving.append((car.leaves, at))
            changed = True
        return changed

    def step(self, told_a: Any, battery_w: float) -> bool:
        """Whether a car has come or gone."""
        changed = self._come_and_go()
        self._told.append(told_a)
        self._told.pop(0)
        offered = np.choose(len(self._told) - 1 - self.delay, self._told)
        offered = np.where(offered * 1.0 >= np.where(self.dc, 1.0, _MINIMUM_A), offered, 0)
        # Cars that oversleep: after a minute without current they take a while to wake up.
        self.paused = np.where(offered > 0, 0, self.paused + 1)
        self.wakes = np.where(self.paused > 60, self.sleep, np.maximum(0, self.wakes - (offered > 0)))
        soc = (self.begun + self.got) / self.capacity
        taper = np.clip(1 - (soc - 0.8) / 0.2 * 0.8, 0.2, 1.0)
        hungry = (self.present >= 0) & (self.got < self.need) & (self.wakes <= 0)
        wants = np.where(hungry, np.minimum(offered * self.over, self.top * taper), 0)
        change = (wants - self.amps) / self.lag
        self.amps = np.where(wants < self.amps, np.maximum(wants, self.amps + change - 1), self.amps)
        self.amps = np.where(
            wants > self.amps, np.minimum(wants, self.amps + np.minimum(_RISE_A, change + 0.2)), self.amps
        )
        self.amps = np.where(self.present >= 0, self.amps, 0)
        self.got += self.amps * self.count * V * self._outlet / 3600
        self._battery(battery_w)
        self._flow()
        self.second += 1
        return changed

    def _battery(self, wanted: float) -> None:
        most = self.day.battery_w
        power = min(most, max(-most, wanted))
        self.battery_w += (power - self.battery_w) / 2  # half way each second
        into = self.battery_w * 0.97 if self.battery_w > 0 else self.battery_w / 0.97
        level = self.battery_wh + into / 3600
        if not 0 <= level <= self.day.battery_wh:
            self.battery_w, level = 0.0, min(max(level, 0.0), self.day.battery_wh)
        self.battery_wh = level

    def _flow(self) -> None:
        loads = self.amps[:, None] * self.phases
        self.flows = self.inside @ loads
        building = self.day.building_w[self.second]
        for phase in range(3):
            share = building * self.day.building_split[phase] / V
            self.flows[0, phase] += share + self.battery_w / 3 / V - self.day.pv_w[self.second] / 3 / V
            self.flows[2, phase] -= self.day.pv_w[self.second] / 3 / V

    def view(self) -> View:
        """Measured: a meter is off by a few parts in a thousand."""
        noise = 1 + self._draw.normal(0, 0.001, (3, 3))
        meters = {self.names[at]: self.flows[at] * noise[at] for at in range(3)}
        draws = self.amps * (1 + self._draw.normal(0, 0.002, len(self.amps)))
        return View(self.second, meters, draws, self.got, self.battery_w, self.battery_wh)

    def finish(self) -> None:
        """Counts the cars that are still there."""
        for at, number in enumerate(self.present):
            if number >= 0:
                self.total_wh[number] = self.got[at]
