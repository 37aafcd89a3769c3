"""Which cars of the pool charge from the surplus, with how many conductors, and what they may take.

A car that is on has its minimum guaranteed, so that a cloud does not stop it; what it gets beyond comes from the pool.
One car at a time starts or stops, the first of the order first, the last of it first.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from pilotwire.domain.energy import Demand, Limit, Moment

from .config import Surplus
from .reasons import Reason
from .site import Site
from .state import SurplusCar, SurplusState
from .surplus import Sun
from .wishes import Shaped, least

TRIAL_MS = 900_000
"""How often a car is started to see whether a throttled inverter has more."""


class Pool(NamedTuple):
    """Demands of those that charge, the pool's limit, conductors to use by EVSE, reasons by EVSE, the next state."""

    demands: tuple[Demand, ...]
    limits: tuple[Limit, ...]
    phases: Mapping[str, Literal[1, 3]]
    reasons: tuple[Reason, ...]
    state: SurplusState


class _Member:
    """A car of the pool in the middle of a tick."""

    def __init__(self, site: Site, shaped: Shaped, old: SurplusCar) -> None:
        self.id = shaped.evse.id
        self.shaped, self.old = shaped, old
        self.site = site
        self.always = shaped.follows == "min_pv"
        demand = shaped.demand
        self.switchable = shaped.wish.switchable and shaped.evse.current == "AC" and min(
            demand.phases, shaped.evse.phases
        ) == 3  # fmt: skip
        self.phases: Literal[1, 3] | None = old.phases if self.switchable else None
        self.on = self.always or old.on

    def used(self, phases: int | None) -> int:
        return self.shaped.demand.phases if phases is None else phases

    def least_mw(self, phases: int | None) -> int:
        demand = self.shaped.demand
        return self.site.draws_mw(self.shaped.evse, least(self.shaped.evse, demand), self.used(phases))

    @property
    def smallest_mw(self) -> int:
        """With as few conductors as it can use."""
        return self.least_mw(1 if self.switchable else None)


def share(site: Site, config: Surplus, members: Sequence[Shaped], found: Sun, old: SurplusState, now: Moment) -> Pool:
    """A tick of all cars that follow the surplus."""
    cars = [_Member(site, each, old.cars.get(each.evse.id, SurplusCar())) for each in sorted(members, key=_order)]
    boost = any(car.shaped.wish.boost for car in cars) and found.boost_mw > 0
    free = (found.free_mw or 0) + (found.boost_mw if boost else 0)
    lost = found.free_mw is None and not boost
    soc = found.soc_permille
    keeps = boost or (soc is not None and soc >= config.buffer_permille < 1_000)
    starts = boost or (soc is not None and soc >= config.buffer_start_permille < 1_000)
    tried = old.tried_ms
    trial = found.curtailed and (tried is None or now.tick_ms - tried >= TRIAL_MS)
    # Calmed, the surplus is the least of some time; a car stops only while it is really missing.
    here = max(free, (found.raw_mw or 0) + (found.boost_mw if boost else 0))
    for car in cars:
        if car.switchable and car.phases is None:
            car.phases = 3 if free >= car.least_mw(3) else 1
    taken = {car.id: car.least_mw(car.phases) for car in cars if car.on}
    calm = old.changed_ms is None or now.tick_ms - old.changed_ms >= config.grace_ms
    next_cars: dict[str, SurplusCar] = {}
    reasons: list[Reason] = []
    changed = old.changed_ms
    starter = next((car for car in cars if not car.on), None)
    stopper = next((car for car in reversed(cars) if car.on and not car.always), None)
    for car in cars:
        others = sum(mw for id, mw in taken.items() if id != car.id)
        since: int | None = None
        if car.on and not car.always:
            short = here - sum(taken.values()) < 0
            figures = {"surplus_mw": free, "minimum_mw": car.least_mw(car.phases)}
            if not short:
                reasons.append(Reason(car.id, "surplus_on", config.node, figures))
            elif keeps:
                reasons.append(Reason(car.id, "buffer", "battery", {"soc_permille": soc or 0}))
            elif car is stopper:
                since = now.tick_ms if car.old.since_ms is None else car.old.since_ms
                wait = max(config.disable_ms - (now.tick_ms - since), 0)
                if wait == 0 and calm:
                    changed, since, calm = now.tick_ms, None, False
                    if car.phases == 3:
                        car.phases = 1
                        taken[car.id] = car.least_mw(1)
                        reasons.append(Reason(car.id, "one_phase", config.node, figures))
                    else:
                        car.on = False
                        taken.pop(car.id)
                        reasons.append(Reason(car.id, "surplus_off", config.node, figures))
                else:
                    reasons.append(Reason(car.id, "surplus_off_soon", config.node, {**figures, "wait_ms": wait}))
            else:
                reasons.append(Reason(car.id, "surplus_on", config.node, figures))
        elif not car.on:
            lower = sum(
                each.least_mw(each.phases)
                for each in cars
                if each.on and not each.always and each.shaped.demand.priority < car.shaped.demand.priority
            )
            figures = {"surplus_mw": free - others, "minimum_mw": car.smallest_mw}
            carried = free - others + lower >= car.smallest_mw or starts
            enough = carried or trial
            if enough and car is starter:
                since = now.tick_ms if car.old.since_ms is None else car.old.since_ms
                wait = max(config.enable_ms - (now.tick_ms - since), 0)
                if wait == 0 and calm:
                    changed, since, calm = now.tick_ms, None, False
                    car.on = True
                    tried = tried if carried else now.tick_ms
                    car.phases = (3 if free - others >= car.least_mw(3) else 1) if car.switchable else None
                    taken[car.id] = car.least_mw(car.phases)
                    reasons.append(Reason(car.id, "surplus_on", config.node, figures))
                    _make_way(cars, car, taken, free)
                else:
                    reasons.append(Reason(car.id, "surplus_wait", config.node, {**figures, "wait_ms": wait}))
            elif lost:
                reasons.append(Reason(car.id, "surplus_lost", config.node))
            else:
                reasons.append(Reason(car.id, "surplus_off", config.node, figures))
        next_cars[car.id] = SurplusCar(on=car.on, since_ms=since, phases=car.phases)
    for car in cars:
        next_cars[car.id], did = _widen(car, next_cars[car.id], free, taken, calm, config, now)
        if did is not None:
            changed, calm = now.tick_ms, False
            reasons = [each for each in reasons if each.subject != car.id] + [did]
    guaranteed = sum(taken.values())
    pool = max(0, free - guaranteed)
    limits = _limits(site, config, found, cars, pool)
    figures = {"limit_mw": pool, "surplus_mw": found.raw_mw or 0}
    if cars:
        reasons.append(Reason(config.pool, "surplus_share", config.node, figures))
    if boost:
        reasons.append(Reason(config.pool, "boost", "battery", {"soc_permille": soc or 0, "limit_mw": found.boost_mw}))
    state = msgspec.structs.replace(old, cars=next_cars, changed_ms=changed, tried_ms=tried)
    demands = tuple(_demand(config, car) for car in cars if next_cars[car.id].on)
    phases: dict[str, Literal[1, 3]] = {car.id: car.phases for car in cars if car.phases is not None}
    return Pool(demands, limits, phases, tuple(reasons), state)


def _order(shaped: Shaped) -> tuple[int, int, int, str]:
    demand = shaped.demand
    return (0 if shaped.follows == "min_pv" else 1, -demand.priority, demand.arrived_ms, demand.evse)


def _make_way(cars: Sequence[_Member], comer: _Member, taken: dict[str, int], free: int) -> None:
    """Cars of lower priority pause, as many as it takes, the last first."""
    for car in reversed(cars):
        if free >= sum(taken.values()):
            return
        if car.on and not car.always and car.shaped.demand.priority < comer.shaped.demand.priority:
            car.on = False
            del taken[car.id]


def _widen(
    car: _Member, new: SurplusCar, free: int, taken: dict[str, int], calm: bool, config: Surplus, now: Moment
) -> tuple[SurplusCar, Reason | None]:
    """One conductor becomes three when the surplus has carried three for long enough; `min_pv` also goes back."""
    new = msgspec.structs.replace(new, on=car.on, phases=car.phases)
    if not car.on or not car.switchable:
        return new, None
    left = free - sum(mw for id, mw in taken.items() if id != car.id)
    wide = left >= car.least_mw(3)
    goal: Literal[1, 3]
    rule: Literal["one_phase", "three_phases"]
    if car.phases == 1 and wide:
        goal, delay, rule = 3, config.enable_ms, "three_phases"
    elif car.phases == 3 and not wide and car.always:
        goal, delay, rule = 1, config.disable_ms, "one_phase"
    else:
        return new, None
    since = now.tick_ms if car.old.phases_since_ms is None else car.old.phases_since_ms
    if not calm or now.tick_ms - since < delay:
        return msgspec.structs.replace(new, phases_since_ms=since), None
    car.phases = goal
    taken[car.id] = car.least_mw(goal)
    return msgspec.structs.replace(new, phases=goal), Reason(car.id, rule, config.node, {"surplus_mw": left})


def _demand(config: Surplus, car: _Member) -> Demand:
    demand = car.shaped.demand
    promised = least(car.shaped.evse, demand)
    phases = demand.phases if car.phases is None else car.phases
    return msgspec.structs.replace(demand, pool=config.pool, guaranteed=promised, phases=phases)


def _limits(site: Site, config: Surplus, found: Sun, cars: Sequence[_Member], pool_mw: int) -> tuple[Limit, ...]:
    # The allocation counts with the nominal voltage: more volts than that make more of the same current.
    power = Limit(source="surplus", power_mw=pool_mw * site.voltage_mv // found.voltage_mv)
    if found.phases_ma is None:
        return (power,)
    left = list(found.phases_ma)
    for car in cars:
        if car.on:
            evse, used = car.shaped.evse, car.used(car.phases)
            volts = site.voltage_mv * site.topology.count(evse, used)
            for phase in site.topology.phases(evse, used):
                left[phase] -= car.least_mw(car.phases) * 1_000 // volts
    return (power, Limit(source="surplus of the phase", phases_ma=(max(0, left[0]), max(0, left[1]), max(0, left[2]))))
