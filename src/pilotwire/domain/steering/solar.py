"""The pool of the surplus: demands of the cars that charge from it, what is in it, and why.

A car that is on has its minimum guaranteed, so that a cloud does not stop it; what it gets beyond comes from the pool.
"""

from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import msgspec

from pilotwire.domain.energy import Demand, Limit, Moment

from .config import Surplus
from .reasons import Reason
from .site import Site
from .solar_round import Member, Round
from .state import SurplusState
from .surplus import Sun
from .wishes import Shaped, least


class Pool(NamedTuple):
    """Demands of those that charge, the pool's limit, conductors to use by EVSE, reasons by EVSE, the next state."""

    demands: tuple[Demand, ...]
    limits: tuple[Limit, ...]
    phases: Mapping[str, Literal[1, 3]]
    reasons: tuple[Reason, ...]
    state: SurplusState


def share(
    site: Site, config: Surplus, members: Sequence[Shaped], drawn: Mapping[str, int | None], found: Sun,
    old: SurplusState, now: Moment,
) -> Pool:  # fmt: skip
    """A tick of all cars that follow the surplus; `drawn` by EVSE is what they draw, None where nobody says."""
    here = Round(site, config, members, drawn, found, old, now)
    here.run()
    pool = max(0, here.free - here.taken)
    reasons = [_why(here, car) for car in here.cars]
    soc = found.soc_permille or 0
    if here.cars:
        figures = {"limit_mw": pool, "surplus_mw": found.raw_mw or 0}
        reasons.append(Reason(config.pool, "surplus_share", config.node, figures))
    if here.boost:
        reasons.append(Reason(config.pool, "boost", "battery", {"soc_permille": soc, "limit_mw": found.boost_mw}))
    return Pool(
        demands=tuple(_demand(config, car) for car in here.cars if car.on),
        limits=_limits(site, config, found, here.cars, pool),
        phases={car.id: car.phases for car in here.cars if car.on and car.phases is not None},
        reasons=tuple(reasons),
        state=here.state,
    )


def _why(here: Round, car: Member) -> Reason:
    node, now, config = here.config.node, here.now.tick_ms, here.config
    figures = {"surplus_mw": here.free, "minimum_mw": car.least_mw(car.phases) if car.on else car.smallest_mw}
    if car.on and car.was_on and car.phases != car.old.phases and car.old.phases is not None:
        return Reason(car.id, "one_phase" if car.phases == 1 else "three_phases", node, figures)
    if car.on and (car.always or here.here >= here.taken):
        return Reason(car.id, "surplus_on", node, figures)
    if car.on and here.keeps:
        return Reason(car.id, "buffer", "battery", {"soc_permille": here.found.soc_permille or 0})
    if car.on:
        wait = config.disable_ms if here.short_ms is None else config.disable_ms - (now - here.short_ms)
        return Reason(car.id, "surplus_off_soon", node, {**figures, "wait_ms": max(0, wait)})
    if here.lost:
        return Reason(car.id, "surplus_lost", node)
    if here.enough_ms is not None and car is next(each for each in here.cars if not each.on):
        return Reason(
            car.id, "surplus_wait", node, {**figures, "wait_ms": max(0, config.enable_ms - (now - here.enough_ms))}
        )
    return Reason(car.id, "surplus_off", node, figures)


def _demand(config: Surplus, car: Member) -> Demand:
    demand = car.shaped.demand
    demand = msgspec.structs.replace(demand, pool=config.pool, guaranteed=least(car.shaped.evse, demand))
    if car.phases is None:
        return demand
    if car.shaped.evse.switching is None:
        return msgspec.structs.replace(demand, phases=car.phases)
    return msgspec.structs.replace(demand, prefers=car.phases)  # the allocation does the switching


def _limits(site: Site, config: Surplus, found: Sun, cars: Sequence[Member], pool_mw: int) -> tuple[Limit, ...]:
    # The allocation counts with the nominal voltage: more volts than that make more of the same current.
    power = Limit(source="surplus", power_mw=pool_mw * site.voltage_mv // found.voltage_mv)
    if found.phases_ma is None:
        return (power,)
    left = list(found.phases_ma)
    for car in cars:
        if car.on:
            evse, used = car.shaped.evse, car.shaped.demand.phases if car.phases is None else car.phases
            volts = site.voltage_mv * site.topology.count(evse, used)
            for phase in site.topology.phases(evse, used):
                left[phase] -= car.least_mw(car.phases) * 1_000 // volts
    return (power, Limit(source="surplus of the phase", phases_ma=(max(0, left[0]), max(0, left[1]), max(0, left[2]))))
