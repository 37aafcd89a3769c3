"""The controllers: ours, and two as products do it."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np
from tests.simulation.site_day.foresight import RESERVE, Seen, problem
from tests.simulation.site_day.history import visits
from tests.simulation.site_day.plant import Plant, View
from tests.simulation.site_day.scenario import Scenario, V
from tests.simulation.site_day.wiring import Wiring

from pilotwire.domain.energy import Demand, Moment, Policy, Reading, Signals, State, allocate
from pilotwire.domain.planning import Plan, Target, courses, plan, targets
from pilotwire.domain.steering import Battery as Storage
from pilotwire.domain.steering import Car as Drawn
from pilotwire.domain.steering import (
    Cell,
    Config,
    DemandWindow,
    External,
    Measured,
    Meter,
    SteeringState,
    Wish,
    prepare,
    steer,
)
from pilotwire.domain.steering import Plan as SteeringPlan

_WINDOW_S = 900


class Ours:
    """Planner → `steer` → `allocate`, each second; a new plan each quarter, and soon after cars have come or gone."""

    def __init__(self, day: Scenario, plant: Plant) -> None:
        self.day, self.plant = day, plant
        self.wiring = Wiring(day, plant.inside)
        self._prepare()
        self.steered = SteeringState()
        self.state = State()
        self.policy = Policy(order="least_laxity")
        self.plan: Plan | None = None
        self.course: SteeringPlan | None = None
        self.planned = -10_000
        self.register_wh = 0.0
        self.window_wh = 0.0
        self.told_w = 0.0
        self.offered: dict[str, int] = {}
        self.plans = self.fallbacks = 0
        self.reasons: dict[str, int] = {}
        self._changed = True
        self._targets: dict[str, Target] = {}
        self.at_plan: dict[str, float] = {}
        self.past = visits(day)

    def _prepare(self) -> None:
        day = self.day
        target = int(day.target_w * 1000 * RESERVE)
        battery_mw = int(day.battery_w * 1000)
        self.site = prepare(
            Config(
                tree=self.wiring.tree,
                windows=(
                    DemandWindow(
                        id="quarter", node="grid", worst_mw=3 * target, side_lost_mw=target, contracted_mw=target,
                        hard=True, ratchet=False, react_ms=8_000, burst_permille=1_300,
                    ),
                ),
                batteries=(
                    Storage(
                        id="battery", node="grid", capacity_wh=int(day.battery_wh), charge_mw=battery_mw,
                        discharge_mw=battery_mw, base="idle", grid_charge=True,
                    ),
                ),
            )
        )  # fmt: skip
        self.topology = self.site.topology

    def changed(self) -> None:
        """A car has come or gone."""
        self._changed = True

    def told(self, view: View) -> tuple[Any, float]:
        """A for each EVSE, W for the battery."""
        day, second = self.day, view.second
        now = Moment(tick_ms=second * 1000, utc_ms=self.day.begins_ms + second * 1000)
        grid_w = float(sum(view.meters["grid"])) * V
        if second % _WINDOW_S == 0:
            self.window_wh = 0.0
        self.register_wh += max(0.0, grid_w) / 3600
        self.window_wh += max(0.0, grid_w) / 3600
        if self.wiring.learn(view.meters, view.draws, self.plant.count):
            self._prepare()
        if second % _WINDOW_S == 1 or (self._changed and second - self.planned >= 60):
            self._replan(view)
        steering = steer(
            self.site, self._wishes(view), self._measured(view, now.tick_ms), External(), self.course, self.steered, now
        )
        self.steered = steering.state
        meters = {name: Reading(phases_ma=_ma(amps), at_ms=now.tick_ms) for name, amps in view.meters.items()}
        draws: dict[str, Reading] = {}
        for at, evse in enumerate(day.tree.evses):
            ma = int(view.draws[at] * 1000)
            draws[evse.id] = Reading(phases_ma=(ma, ma, ma), at_ms=now.tick_ms)
        signals = Signals(meters=meters, draws=draws, limits=steering.limits, pools=steering.pools)
        result = allocate(self.topology, self.policy, self._planned(steering.demands, view), signals, self.state, now)
        self.state = result.state
        self.told_w = sum(each.power_mw for each in steering.batteries) / 1000
        amps = np.array([point.infeed_ma for point in result.set_points]) / 1000
        watts = amps * self.plant.count * V
        self.offered = {evse.id: int(watts[at] * 1000) for at, evse in enumerate(day.tree.evses)}
        if second % 60 == 0:
            for reason in result.reasons.values():
                self.reasons[reason.code] = self.reasons.get(reason.code, 0) + 1
        return amps, self.told_w

    def _planned(self, demands: tuple[Demand, ...], view: View) -> list[Demand]:
        """What the plan means a car to have comes before anybody gets more than that."""
        if view.second % 10 == 0 or view.second == self.planned:
            got = view.delivered_wh
            delivered = {
                evse.id: int(got[at] - self.at_plan.get(evse.id, 0)) for at, evse in enumerate(self.day.tree.evses)
            }
            self._targets = targets(self.plan, self.topology, self.day.begins_ms + view.second * 1000, delivered)
        found: list[Demand] = []
        for demand in demands:
            target = self._targets.get(demand.evse)
            if target is not None and target.value:
                most = demand.maximum or target.value
                demand = msgspec.structs.replace(demand, guaranteed=min(target.value, most))
            found.append(demand)
        return found

    def _measured(self, view: View, tick_ms: int) -> Measured:
        power = view.draws * self.plant.count * V * 1000
        cars = {
            evse.id: Drawn(power_mw=int(power[at]), at_ms=tick_ms, offered_mw=self.offered.get(evse.id))
            for at, evse in enumerate(self.day.tree.evses)
            if self.plant.present[at] >= 0
        }
        meter = Meter(
            power_mw=int(float(sum(view.meters["grid"])) * V * 1000), at_ms=tick_ms, energy_wh=int(self.register_wh),
            energy_at_ms=tick_ms,
        )  # fmt: skip
        soc = int(view.battery_wh / self.day.battery_wh * 1000)
        cell = Cell(power_mw=int(view.battery_w * 1000), soc_permille=soc, at_ms=tick_ms)
        return Measured(meters={"grid": meter}, cars=cars, batteries={"battery": cell})

    def _wishes(self, view: View) -> list[Wish]:
        found: list[Wish] = []
        for at, evse in enumerate(self.day.tree.evses):
            number = self.plant.present[at]
            if number < 0:
                continue
            car = self.day.sessions[number]
            left = int(car.need_wh - view.delivered_wh[at])
            if left > 0:
                demand = Demand(
                    evse=evse.id,
                    phases=car.phases,  # type: ignore[arg-type]
                    maximum=evse.maximum if evse.current == "DC" else car.max_ma,
                    arrived_ms=car.arrives * 1000,
                    energy_wh=left,
                    departure_ms=self.day.begins_ms + car.declared * 1000,
                )
                found.append(Wish(demand))
        return found

    def _replan(self, view: View) -> None:
        seen = Seen(view.second, self.plant.present, view.delivered_wh, view.battery_wh, self.window_wh)
        asked = problem(self.day, self.topology, seen, self.past)
        self.plan = plan(asked, self.plan)
        self.plans += 1
        self.fallbacks += self.plan.status != "optimal"
        self.planned, self._changed = view.second, False
        self.course = courses(asked, self.plan)
        self.at_plan = {evse.id: float(view.delivered_wh[at]) for at, evse in enumerate(self.day.tree.evses)}


def _ma(amps: Any) -> tuple[int, int, int]:
    a, b, c = (int(each * 1000) for each in amps)
    return a, b, c


class _Scalar:
    """What the two others have in common: a tree with one figure for each node, the highest of its phases."""

    def __init__(self, day: Scenario, plant: Plant) -> None:
        self.day, self.plant = day, plant
        self.amps = np.zeros(len(day.tree.evses))
        self.inside = plant.inside
        window_a = day.target_w / 3 / V
        self.caps = plant.limits.copy()
        self.caps[0] = min(self.caps[0], window_a)
        self.tops = np.array([_top(evse) for evse in day.tree.evses])
        self.lows = np.array([_low(evse) for evse in day.tree.evses])

    def changed(self) -> None:
        """Nothing is planned."""

    def wanting(self, view: View) -> Any:
        """The EVSEs at which a car wants energy."""
        return (self.plant.present >= 0) & (view.delivered_wh < self.plant.need)


class EqualShare(_Scalar):
    """(a) Every 10 s: what the highest phase leaves at each node, divided by the cars below; each car counts as if it
    loaded all phases. Where that is below 6 A, first come, first served."""

    def told(self, view: View) -> tuple[Any, float]:
        """A for each EVSE; the battery rests."""
        if view.second % 10:
            return self.amps, 0.0
        want = self.wanting(view)
        left = self.caps.copy()
        for at, name in enumerate(("grid", "t0", "t1")):
            own = (self.inside[at][:, None] * view.draws[:, None] * self.plant.phases).sum(axis=0)
            left[at] -= max(0.0, float((view.meters[name] - own).max()))
        order = sorted(np.nonzero(want)[0], key=lambda at: self.day.sessions[self.plant.present[at]].arrives)
        chosen: list[int] = []
        counts = np.zeros(len(left))
        for at in order:
            above = self.inside[:, at] > 0
            if bool((left[above] >= (counts[above] + 1) * 6.0).all()) and self.tops[at] >= self.lows[at]:
                chosen.append(int(at))
                counts[above] += 1
        amps = np.zeros(len(want))
        for at in chosen:
            above = self.inside[:, at] > 0
            share = float(np.floor((left[above] / counts[above]).min()))
            amps[at] = min(self.tops[at], share) if share >= self.lows[at] else 0.0
        self.amps = amps
        return amps, 0.0


class OneByOne(_Scalar):
    """(b) Every 30 s one charger: up or down by what the highest phase leaves at the nodes above it."""

    def __init__(self, day: Scenario, plant: Plant) -> None:
        super().__init__(day, plant)
        self.turn = 0

    def told(self, view: View) -> tuple[Any, float]:
        """A for each EVSE; the battery rests."""
        if view.second % 30:
            return self.amps, 0.0
        want = self.wanting(view)
        flows = self.inside @ (view.draws[:, None] * self.plant.phases)
        for at, name in enumerate(("grid", "t0", "t1")):
            flows[at] = view.meters[name]
        at = self.turn % len(self.amps)
        self.turn += 1
        amps = self.amps.copy()
        if not want[at]:
            amps[at] = 0.0
        else:
            above = self.inside[:, at] > 0
            room = float(np.floor((self.caps - flows.max(axis=1))[above].min()))
            value = min(self.tops[at], float(np.floor(view.draws[at])) + room)
            amps[at] = value if value >= self.lows[at] else 0.0
        self.amps = amps
        return amps, 0.0


def _top(evse: Any) -> float:
    return evse.maximum / (3 * V * evse.efficiency) if evse.current == "DC" else evse.maximum / 1000


def _low(evse: Any) -> float:
    return evse.minimum / (3 * V * evse.efficiency) if evse.current == "DC" else evse.minimum / 1000


CONTROLLERS: dict[str, Any] = {"pilotwire": Ours, "equal share": EqualShare, "one by one": OneByOne}
