"""One tick: everything that is agreed, measured and signalled, turned into what `allocate` and the devices are told."""

from collections.abc import Iterable, Mapping

import msgspec

from pilotwire.core.errors import LocalError
from pilotwire.domain.energy import Demand, Limit, Moment

from .battery_steps import under_way
from .contracts import contract_limits
from .demand_window import Ran, run
from .demand_window import untouched as untouched_window
from .feed_in import curtailed, feed
from .flows import Flows, flows
from .inputs import External, Measured, Plan, Wish
from .interventions import note
from .levels import levels
from .ordered import in_mode, ordered, ordered_limits, ordered_phases
from .outputs import LoadLimit, Steering
from .reasons import Reason
from .registers import resumed as resumed_tracker
from .signals import signalled
from .site import Site
from .solar import Pool, share
from .state import DemandState, InverterState, SteeringState, SurplusState
from .storage import store
from .surplus import Sun, sun
from .telecontrol import Orders, carry_out
from .wants import wants
from .wishes import Shaped, least, most, shape


def steer(
    site: Site,
    wishes: Iterable[Wish],
    measured: Measured,
    external: External,
    plan: Plan | None,
    state: SteeringState,
    now: Moment,
) -> Steering:
    """What contracts, sun, batteries, prices and orders make of this moment. Pure: no memory but `state`.

    `site` comes from `prepare`. The result's `limits` and `pools` belong into `Signals`, its `demands` and `phases`
    to `allocate` and the chargers. A plan that is over is not followed. Raises LocalError for a wish of an EVSE that
    is not in the tree, and for two of one EVSE.
    """
    told = external.evses
    wanted = {id: in_mode(wish, told.get(id)) for id, wish in _by_evse(site, wishes).items()}
    if plan is not None and not plan.made_ms <= now.utc_ms < plan.until_ms:
        plan = None
    flow = flows(site, wanted, measured, now)
    reasons: list[Reason] = []
    hard: list[tuple[str, Limit]] = []
    for node, limit, reason in contract_limits(site.config, plan, now.utc_ms):
        hard.append((node, limit))
        reasons.append(reason)
    for node, limit, reason in ordered_limits(site, external, now.utc_ms):
        hard.append((node, limit))
        reasons.append(reason)
    orders = carry_out(site, external.controls, flow, measured, now)
    hard += orders.limits
    reasons += orders.reasons
    ran = _windows(site, flow, wanted, measured, plan, state, now)
    windows = [(each.view.node, Limit(source=f"demand window {each.view.id}", power_mw=each.limit_mw)) for each in ran]
    reasons += [each.reason for each in ran]
    free = {id for id, order in told.items() if order.mode is not None}
    shaped = [
        _cap(site, shape(site, wish, external, None if id in free else plan, now), orders)
        for id, wish in sorted(wanted.items())
    ]
    reasons += [each.reason for each in shaped if each.reason is not None]
    lowered = [ordered(site, each, told.get(each.evse.id)) for each in shaped]
    shaped = [each for each, _ in lowered]
    reasons += [reason for _, reason in lowered if reason is not None]
    found, pool = _surplus(site, flow, measured, shaped, state, now)
    reasons += pool.reasons
    level = levels(site, _by_node([*hard, *windows]), now)
    now_cars = [each for each in shaped if each.follows == "now"]
    on = {demand.evse: demand.phases for demand in pool.demands}
    wishes_mw, less = wants(site, now_cars, on, flow, measured, state.less_ms, now)
    stored = store(
        site, flow, measured, level, wishes_mw, _spared(site, flow, found, now_cars, pool), plan, orders.dimmed,
        state.batteries, now,
    )  # fmt: skip
    reasons += stored.reasons
    fed = feed(site, external, flow, measured, state.inverters, now)
    reasons += fed.reasons
    loads, why = _loads(site, flow, measured, orders)
    reasons += why
    going, ended = note(orders.orders, state.interventions, now)
    coming = under_way(site, flow, measured, stored.state, now)
    surplus = site.config.surplus
    return Steering(
        demands=tuple(sorted([*(each.demand for each in now_cars), *pool.demands], key=lambda each: each.evse)),
        limits=signalled(site, flow, hard, windows, level, coming),
        pools={} if surplus is None else {surplus.pool: pool.limits},
        phases={**pool.phases, **ordered_phases(site, external.evses)},
        batteries=stored.points,
        inverters=fed.limits,
        loads=loads,
        windows=tuple(each.view for each in ran),
        closed=tuple(window for each in ran for window in each.closed),
        ended=ended,
        reasons=tuple(reasons),
        state=SteeringState(
            demands={each.view.id: each.state for each in ran},
            surplus=pool.state,
            batteries=stored.state,
            inverters=fed.state,
            interventions=going,
            less_ms=less,
            at=now,
        ),
    )


def untouched(site: Site, now: Moment) -> SteeringState:
    """The state of a site through which nothing has flowed before `now`, as of a simulated one that begins.

    Without it a window that is running already is taken to have seen the worst.
    """
    return SteeringState({contract.id: untouched_window(contract, now) for contract in site.config.windows})


def resumed(site: Site, state: SteeringState, now: Moment) -> SteeringState:
    """A stored state taken up again after a restart, in which the clock of ticks began anew.

    Windows keep what they have counted; what flowed meanwhile is assumed to be the worst until a register says what it
    was. Delays begin anew, batteries and inverters are told again.
    """
    demands: dict[str, DemandState] = {}
    for contract in site.config.windows:
        known = state.demands.get(contract.id)
        if known is not None:
            tracker = resumed_tracker(known.tracker, now, contract.worst_mw)
            window = known.window
            if window is not None:
                window = msgspec.structs.replace(window, limit_mw=None)
            demands[contract.id] = DemandState(tracker, window, known.months)
    cars = {
        id: msgspec.structs.replace(car, phases_since_ms=None, idle_ms=None) for id, car in state.surplus.cars.items()
    }
    inverters = {id: InverterState(each.limit_mw) for id, each in state.inverters.items()}
    return SteeringState(demands, SurplusState(cars=cars), {}, inverters, state.interventions)


def _by_evse(site: Site, wishes: Iterable[Wish]) -> dict[str, Wish]:
    wanted: dict[str, Wish] = {}
    for wish in wishes:
        id = wish.demand.evse
        if id not in site.evses:
            raise LocalError(f"a wish for EVSE {id}, which is not in the tree")
        if id in wanted:
            raise LocalError(f"two wishes for EVSE {id}: only one car can be there")
        wanted[id] = wish
    return wanted


def _by_node(limits: Iterable[tuple[str, Limit]]) -> dict[str, list[Limit]]:
    found: dict[str, list[Limit]] = {}
    for node, limit in limits:
        found.setdefault(node, []).append(limit)
    return found


def _windows(
    site: Site, flow: Flows, wanted: Mapping[str, Wish], measured: Measured, plan: Plan | None,
    state: SteeringState, now: Moment,
) -> list[Ran]:  # fmt: skip
    found: list[Ran] = []
    for contract in site.config.windows:
        node = flow.nodes[contract.node]
        causes: dict[str, int] = {}
        for id in site.evses_below[contract.node]:
            drawn = flow.cars[id]
            if drawn is None:
                wish = wanted.get(id)
                # Nobody says what it draws: with a car there, all it can.
                evse = site.evses[id]
                drawn = 0 if wish is None else site.draws_mw(evse, most(evse, wish.demand), wish.demand.phases)
            if drawn:
                causes[id] = drawn
        for id in site.batteries_below[contract.node]:
            takes = flow.batteries[id]
            causes[id] = site.batteries[id].charge_mw if takes is None else takes
        before = state.demands.get(contract.id, DemandState())
        found.append(
            run(
                contract, before, measured.meters.get(contract.node), causes, node.side_mw, plan, state.at, now,
                site.config.stale_ms,
            )
        )  # fmt: skip
    return found


def _cap(site: Site, shaped: Shaped, orders: Orders) -> Shaped:
    """What direct control of § 14a leaves of a demand; below its minimum it waits."""
    cap = orders.caps.get(shaped.evse.id)
    if cap is None:
        return shaped
    over, under = site.unit_mw(shaped.evse, shaped.demand.phases)
    units = cap * under // over
    demand = shaped.demand
    demand = msgspec.structs.replace(demand, maximum=units if demand.maximum is None else min(units, demand.maximum))
    follows = "wait" if most(shaped.evse, demand) < least(shaped.evse, demand) else shaped.follows
    return shaped._replace(demand=demand, follows=follows)


def _surplus(
    site: Site, flow: Flows, measured: Measured, shaped: list[Shaped], state: SteeringState, now: Moment
) -> tuple[Sun | None, Pool]:
    members = [each for each in shaped if each.follows in ("pv", "min_pv")]
    config = site.config.surplus
    if config is None:
        # Without a rule for surplus there is none: who has a minimum gets that, the others wait.
        demands = tuple(_minimal(each) for each in members if each.follows == "min_pv")
        reasons = tuple(Reason(each.evse.id, "surplus_lost", "surplus") for each in members if each.follows == "pv")
        return None, Pool(demands, (), {}, reasons, SurplusState())
    pool = [each.evse.id for each in members]
    throttled = curtailed(site, measured, state.inverters, now)
    found, calmed = sun(site, config, flow, measured, pool, throttled, state.surplus, now)
    return found, share(site, config, members, flow.cars, found, calmed, now)


def _minimal(shaped: Shaped) -> Demand:
    return msgspec.structs.replace(shaped.demand, maximum=least(shaped.evse, shaped.demand))


def _spared(site: Site, flow: Flows, found: Sun | None, now_cars: list[Shaped], pool: Pool) -> int:
    """What cars draw that a battery is not to cover."""
    config = site.config.surplus
    if config is not None and not config.lock:
        return 0
    spared = sum(flow.cars[each.evse.id] or 0 for each in now_cars)
    helped = False
    if config is not None and found is not None and found.soc_permille is not None:
        helped = found.soc_permille >= config.buffer_permille
    for demand in pool.demands:
        if not helped and not flow.wishes[demand.evse].boost:
            spared += flow.cars[demand.evse] or 0
    return spared


def _loads(site: Site, flow: Flows, measured: Measured, orders: Orders) -> tuple[tuple[LoadLimit, ...], list[Reason]]:
    """Dimmed loads, and what surplus is left for those that can use it, the first of the list first."""
    root = flow.nodes[site.root].power_mw
    drawn = {
        each.id: max(0, measured.loads[each.id].power_mw) for each in site.config.loads if each.id in measured.loads
    }
    flexible = sum(drawn.get(each.id, 0) for each in site.config.loads if each.surplus)
    left = 0 if root is None else max(0, flexible - root)
    limits: list[LoadLimit] = []
    reasons: list[Reason] = []
    for load in site.config.loads:
        cap = orders.caps.get(load.id)
        extra = 0
        if load.surplus:
            extra = min(left, load.nominal_mw if cap is None else min(cap, load.nominal_mw))
            extra = extra // load.step_mw * load.step_mw
            extra = extra if extra >= max(1, load.minimum_mw) else 0
            left -= extra
        limits.append(LoadLimit(load.id, cap, extra))
        if extra:
            reasons.append(Reason(load.id, "load_surplus", site.root, {"limit_mw": extra}))
        elif cap is None:
            reasons.append(Reason(load.id, "load_free", "", {}))
        else:
            reasons.append(Reason(load.id, "steuve_direct", "§ 14a", {"limit_mw": cap}))
    return tuple(limits), reasons
