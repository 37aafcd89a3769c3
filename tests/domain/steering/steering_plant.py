"""A small site in seconds: cars follow 5 s late, batteries 2 s, inverters at once; a building and a sun by function."""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pilotwire.domain.energy import Evse, Limit, Moment, Node, Policy, Reading, Signals, SiteTree, State, allocate
from pilotwire.domain.steering import (
    Car,
    Cell,
    Config,
    External,
    Measured,
    Meter,
    Plan,
    Power,
    Site,
    Steering,
    SteeringState,
    WindowSummary,
    Wish,
    prepare,
    steer,
)

KW = 1_000_000
VOLT = 230
DAY = 1_783_296_000_000
"""Monday 2026-07-06T00:00Z."""


def tree(*evses: Evse, grid_ma: int = 250_000, power_mw: int | None = None) -> SiteTree:
    """One connection with a meter, and EVSEs."""
    limits = (Limit(source="fuse", phases_ma=(grid_ma, grid_ma, grid_ma), power_mw=power_mw),)
    lost = (grid_ma // 2,) * 3
    return SiteTree(
        nodes=(Node(id="grid", kind="connection", limits=limits, metered=True, side_lost_ma=lost),), evses=evses
    )


def evse(id: str, **changes: Any) -> Evse:
    """At the connection, three phases, 6 to 32 A, unless told otherwise."""
    return Evse(**({"id": id, "node": "grid", "maximum": 32_000, "rotation": "RST"} | changes))


@dataclass
class Plant:
    """`side_mw(second)` is the building, `sun_mw(second)` what the sun offers (positive), of all inverters together."""

    config: Config
    side_mw: Callable[[int], int] = lambda second: 0
    sun_mw: Callable[[int], int] = lambda second: 0
    wishes: Callable[[int], list[Wish]] = lambda second: []
    external: Callable[[int], External] = lambda second: External()
    plan: Plan | None = None
    soc_wh: dict[str, int] = field(default_factory=dict)
    utc_ms: int = DAY
    car_lag_s: int = 5
    battery_lag_s: int = 2
    car_max_mw: int = 22 * KW
    meter_lost: Callable[[int], bool] = lambda second: False
    battery_dead: Callable[[str, int], bool] = lambda id, second: False
    """A dead battery reports but does not do what it is told."""

    def __post_init__(self) -> None:
        self.site: Site = prepare(self.config)
        self.steering_state = SteeringState()
        self.state = State()
        self.second = 0
        ids = [each.id for each in self.config.tree.evses]
        self.offers: dict[str, deque[int]] = {id: deque([0] * self.car_lag_s, maxlen=self.car_lag_s) for id in ids}
        self.told: dict[str, deque[int]] = {
            each.id: deque([0] * self.battery_lag_s, maxlen=self.battery_lag_s) for each in self.config.batteries
        }
        self.cap: dict[str, int | None] = {each.id: None for each in self.config.inverters}
        self.drawn: dict[str, int] = dict.fromkeys(ids, 0)
        self.offered: dict[str, int] = dict.fromkeys(ids, 0)
        self.battery: dict[str, int] = {each.id: 0 for each in self.config.batteries}
        self.uwh: dict[str, int] = {id: wh * 3_600_000 for id, wh in self.soc_wh.items()}
        self.register_uj = 5_000 * 3_600_000_000 + 777
        self.grid_mw = 0
        self.pv_mw = 0
        self.potential_mw = 0
        self.building_mw = 0
        self.changes: dict[str, int] = dict.fromkeys([*ids, *self.battery], 0)
        self.values: dict[str, int] = dict.fromkeys(ids, 0)
        self.closed: list[WindowSummary] = []
        self.last: Steering | None = None
        self.phases: dict[str, int] = {}
        self._physics()

    def _physics(self) -> None:
        wishes = {wish.demand.evse: wish for wish in self.wishes(self.second)}
        for each in self.config.tree.evses:
            wish = wishes.get(each.id)
            value = self.offers[each.id][0]
            if wish is None or value == 0:
                self.drawn[each.id] = 0
                continue
            phases = self.phases.get(each.id, wish.demand.phases)
            power = value * VOLT * phases if each.current == "AC" else value * 1000 // each.efficiency
            self.drawn[each.id] = min(power, self.car_max_mw)
        for battery in self.config.batteries:
            wanted = self.told[battery.id][0]
            if self.battery_dead(battery.id, self.second):
                wanted = 0
            full = battery.capacity_wh * 3_600_000
            if (wanted < 0 and self.uwh[battery.id] <= 0) or (wanted > 0 and self.uwh[battery.id] >= full):
                wanted = 0
            self.battery[battery.id] = wanted
            self.uwh[battery.id] += wanted  # mW·s
        self.building_mw = self.side_mw(self.second)
        self.potential_mw = self.sun_mw(self.second)
        self.pv_mw = self.potential_mw
        nominal = sum(each.nominal_mw for each in self.config.inverters)
        if nominal:
            self.pv_mw = 0
            for each in self.config.inverters:
                part = self.potential_mw * each.nominal_mw // nominal
                cap = self.cap[each.id]
                self.pv_mw += part if cap is None else min(part, cap)
        self.grid_mw = self.building_mw - self.pv_mw + sum(self.drawn.values()) + sum(self.battery.values())
        self.register_uj += max(0, self.grid_mw) * 1_000

    def tick(self) -> Steering:
        """One second: measure, steer, allocate, tell, wait a second."""
        now = Moment(tick_ms=self.second * 1_000 + 50_000, utc_ms=self.utc_ms + self.second * 1_000)
        at = now.tick_ms
        phases = [0, 0, 0]
        for each in self.config.tree.evses:
            count = 3 if each.current == "DC" else self.phases.get(each.id, 3)
            for phase in range(count):
                phases[phase] += self.drawn[each.id] // (VOLT * count)
        rest = (self.building_mw - self.pv_mw + sum(self.battery.values())) // (3 * VOLT)
        currents = (phases[0] + rest, phases[1] + rest, phases[2] + rest)
        lost = self.meter_lost(self.second)
        meters = {} if lost else {
            "grid": Meter(
                self.grid_mw, at, currents, self.register_uj // 3_600_000_000, at, voltage_mv=VOLT * 1_000
            )
        }  # fmt: skip
        nominal = sum(each.nominal_mw for each in self.config.inverters)
        measured = Measured(
            meters=meters,
            cars={id: Car(mw, at, self.offered[id]) for id, mw in self.drawn.items()},
            batteries={
                each.id: Cell(self.battery[each.id], self.uwh[each.id] // 3_600 // each.capacity_wh, at)
                for each in self.config.batteries
            },
            inverters={each.id: Power(-self.pv_mw * each.nominal_mw // nominal, at) for each in self.config.inverters},
        )
        found = steer(
            self.site,
            self.wishes(self.second),
            measured,
            self.external(self.second),
            self.plan,
            self.steering_state,
            now,
        )
        signals = Signals(
            meters={} if lost else {"grid": Reading(currents, at)},
            draws={each.id: Reading(self._on(each, self.drawn[each.id]), at) for each in self.config.tree.evses},
            limits=found.limits,
            pools=found.pools,
        )
        allocation = allocate(self.site.topology, Policy(), found.demands, signals, self.state, now)
        self.steering_state, self.state = found.state, allocation.state
        self.closed += found.closed
        for id, count in found.phases.items():
            self.phases[id] = count
        for point in allocation.set_points:
            if point.value != self.values[point.evse]:
                self.changes[point.evse] += 1
                self.values[point.evse] = point.value
            self.offers[point.evse].append(point.value)
            each = self.site.evses[point.evse]
            count = self.phases.get(point.evse, 3)
            self.offered[point.evse] = point.value * (VOLT * count if each.current == "AC" else 1)
        for battery in found.batteries:
            if battery.power_mw != self.told[battery.id][-1]:
                self.changes[battery.id] += 1
            self.told[battery.id].append(battery.power_mw)
        for inverter in found.inverters:
            self.cap[inverter.id] = inverter.limit_mw
        self.last = found
        self.second += 1
        self._physics()
        return found

    def _on(self, each: Evse, mw: int) -> tuple[int, int, int]:
        count = 3 if each.current == "DC" else self.phases.get(each.id, 3)
        ma = mw // (VOLT * count)
        return (ma, ma if count > 1 else 0, ma if count > 2 else 0)

    def run(self, seconds: int, watch: Callable[["Plant"], None] | None = None) -> None:
        """So many ticks; `watch` sees the plant after each."""
        for _ in range(seconds):
            self.tick()
            if watch is not None:
                watch(self)


def words(found: Steering) -> Mapping[str, str]:
    """Reasons in words, by rule."""
    return {reason.rule: reason.words for reason in found.reasons}
