"""One tick: limits, who is let in, fair shares, steps, and what of it may be commanded now."""

from collections.abc import Iterable, Mapping
from itertools import groupby
from typing import Any, Literal

import msgspec

from pilotwire.core.errors import LocalError

from .admission import admit
from .behaviour import observe
from .cars import Car, rank
from .demand import Demand, Moment, Policy, Signals
from .lost import come_back, lost_value, may_draw_ma, remember
from .model import Member, Unit
from .pace import pace
from .quantise import share
from .reasons import Code, Reason
from .room import Room, room
from .scale import infeed
from .sides import side_loads
from .state import EvseState, State, tolerance
from .topology import ROWS, WHAT, Terms, Topology


class SetPoint(msgspec.Struct, frozen=True):
    """What an EVSE, or a load, is told: `value` in its unit (AC mA per phase, DC mW at the vehicle), 0 for a pause."""

    evse: str
    value: int
    unit: Unit
    infeed_ma: int
    """What that loads each of its phases with."""
    target: int
    """Its share; `value` is on the way there."""


class Allocation(msgspec.Struct, frozen=True):
    """`set_points` of every EVSE of the tree, by id in order; a reason for each; the state for the next tick.

    `loads` are the set-points of the other controllable loads, by id in order; their reasons are with the others.
    """

    set_points: tuple[SetPoint, ...]
    reasons: Mapping[str, Reason]
    state: State
    loads: tuple[SetPoint, ...] = ()


def allocate(
    topology: Topology,
    policy: Policy,
    demands: Iterable[Demand],
    signals: Signals,
    state: State,
    now: Moment,
) -> Allocation:
    """Shares out what the site can carry now. Pure: no clock, no chance, no memory but `state`.

    * No limit in force is ever exceeded by the sum of the set-points and the measured side loads, on any phase of any
      node; nor by what may still be drawn under set-points that are under way, unless they already were above it.
    * A set-point is 0 or a step from the minimum to the maximum.
    * For the cars let in, shares are max-min fair within each rank of the policy, within a step, and no step of any
      of them is left over. In `value` that holds as soon as all changes are over.

    An EVSE that is lost has no share: what it may be drawing is kept free, and its set-point is what it had, lowered to
    what it falls back to.

    Raises LocalError for a demand of an EVSE that is not in the tree, and for two of one EVSE.
    """
    wanted = _by_evse(topology, demands)
    voltage = topology.tree.voltage_mv
    known: dict[str, tuple[Member, int, EvseState]] = {}
    for id, evse in topology.members.items():
        demand, old = wanted.get(id), state.evses.get(id) or EvseState()
        if (gone_since := signals.lost.get(id)) is not None:
            kept = may_draw_ma(evse, old, gone_since, now.tick_ms, voltage)
            known[id] = (evse, evse.phases, msgspec.structs.replace(old, lost_ma=kept, drawn_ma=None))
            wanted.pop(id, None)
            continue
        if old.lost_ma:
            old = come_back(old, now.tick_ms)
        seen = observe(old, signals.draws.get(id), now.tick_ms, policy.stale_ms)
        known[id] = (evse, evse.phases if demand is None else demand.phases, seen)
    sides = side_loads(topology, policy, signals, known, state.sides, now)
    pools = sorted({demand.pool for demand in wanted.values() if demand.pool is not None})
    limits = room(topology, signals, sides, now, pools)
    for id in signals.lost:
        if id in known:
            limits.take(limits.limited_terms(topology.worst(known[id][0])), known[id][2].lost_ma)
    full = list(limits.left)
    cars: list[Car] = []
    gone: dict[str, tuple[EvseState, Terms]] = {}
    for id in sorted(known):
        evse, used, old = known[id]
        if id in signals.lost:
            continue
        terms = limits.limited_terms(topology.terms(evse, used))
        demand = wanted.get(id)
        if demand is None:
            gone[id] = (old, terms)
        else:
            pool_terms = () if demand.pool is None else limits.pool_terms(demand.pool, topology.kinds(evse, used))
            car = Car(evse, demand, old, terms, pool_terms, voltage, now.tick_ms)
            car.rank = rank(car, policy, voltage, topology.count(evse, used), now.utc_ms)
            cars.append(car)
        if not old.infeed_ma and old.settled(now.tick_ms) and (old.drawn_ma or 0) > tolerance(0):
            limits.take(terms, old.drawn_ma or 0)  # against its orders: nothing that we say takes it away
    admitted = admit(cars, limits, policy, now.tick_ms)
    groups = [list(group) for _, group in groupby(sorted(admitted, key=lambda car: (car.rank, car.id)), _rank)]
    _guaranteed(groups, limits)
    for group in groups:
        share(group, limits)
    targets = {car.id: car.level for car in cars}
    reasons = {car.id: _why(car, topology, limits, policy) for car in cars}
    for car in cars:
        car.top = car.level
    limits.left = full
    settling = pace(cars, gone, limits, groups, now.tick_ms)
    for car in cars:
        if car.level < targets[car.id]:
            reasons[car.id] = _held(car, topology, limits, policy, now.tick_ms, settling)
    for id in signals.lost:
        if id in known:
            reasons[id] = Reason(code="lost", kept_ma=known[id][2].lost_ma)
    for id in gone:
        reasons[id] = Reason(code="no_demand")
    told = {car.id: (car, targets[car.id]) for car in cars}
    points: list[SetPoint] = []
    left: dict[str, EvseState] = {}
    for id in sorted(known):
        evse, _, old = known[id]
        if id in signals.lost:
            points.append(_point_of_lost(evse, old, voltage))
            left[id] = _told(old, points[-1].value, points[-1].infeed_ma, now.tick_ms)
            continue
        car, target = told.get(id, (None, 0))
        points.append(_set_point(evse, car, target))
        left[id] = _next(old, car, target, now.tick_ms, policy.rotate_ms)
    return Allocation(
        tuple(point for point in points if point.evse in topology.evses),
        {id: reasons[id] for id in sorted(reasons)},
        State(left, sides),
        tuple(point for point in points if point.evse in topology.loads) if topology.loads else (),
    )


def _by_evse(topology: Topology, demands: Iterable[Demand]) -> dict[str, Demand]:
    wanted: dict[str, Demand] = {}
    for demand in demands:
        if demand.evse not in topology.members:
            raise LocalError(f"a demand of EVSE {demand.evse}, which is not in the tree")
        if demand.evse in wanted:
            raise LocalError(f"two demands of EVSE {demand.evse}: only one car can be there")
        wanted[demand.evse] = demand
    return wanted


def _rank(car: Car) -> tuple[int, ...]:
    return car.rank


def _guaranteed(groups: list[list[Car]], limits: Room) -> None:
    """What was promised comes before anybody gets more than that, by rank where not even that fits."""
    for group in groups:
        promised = [car for car in group if car.guaranteed > car.level]
        tops = [car.top for car in promised]
        for car in promised:
            car.top, car.terms = car.guaranteed, car.tree_terms
        share(promised, limits)
        for car, top in zip(promised, tops, strict=True):
            car.top, car.terms = top, car.all_terms


def _tightest(car: Car, limits: Room) -> int | None:
    """The row that has no room for another step: of several the one with least, and of those the lowest node."""
    left = limits.left
    after = car.infeed(car.level + 1 if car.level else car.low)
    needs, pool_needs = after - car.infeed_ma, car.pooled(after) - car.pooled(car.infeed_ma)
    if not car.level:
        needs, pool_needs = needs + car.excess, pool_needs + car.excess
    full = [(left[row] // each, at, row) for at, (row, each) in enumerate(car.tree_terms) if left[row] < each * needs]
    if pool_needs:
        pool = enumerate(car.pool_terms, start=len(car.tree_terms))
        full += [(left[row] // each, at, row) for at, (row, each) in pool if left[row] < each * pool_needs]
    return min(full)[2] if full else None


def _limit(
    code: Literal["limit", "waiting", "under_way"],
    row: int | None,
    car: Car,
    topology: Topology,
    limits: Room,
    policy: Policy,
) -> Reason:
    if row is None:
        return Reason(code="unexplained", order=policy.order)
    kind: Code = code
    if code != "under_way" and limits.is_pool(row):
        kind = "pool"
    elif code == "limit" and topology.is_tenant(row):
        kind = "quota"
    return Reason(
        code=kind,
        place=limits.names[row // ROWS],
        what=WHAT[row % ROWS],
        source=limits.sources[row],
        order=policy.order,
        waits=code == "waiting",
        overdraws=car.excess > 0,
    )


def _why(car: Car, topology: Topology, limits: Room, policy: Policy) -> Reason:
    if car.low > car.high:
        return Reason(code="impossible")
    if car.resting_ms:
        return Reason(code="resting", wait_ms=car.resting_ms)
    if car.level:
        if car.level < car.top:
            return _limit("limit", _tightest(car, limits), car, topology, limits, policy)
        if car.top < car.high:
            return Reason(code="asleep" if car.old.behaviour == "asleep" else "takes_less")
        return Reason(code="own_maximum", overdraws=car.excess > 0)
    return _limit("waiting", _tightest(car, limits), car, topology, limits, policy)


def _held(car: Car, topology: Topology, limits: Room, policy: Policy, now_ms: int, settling: set[str]) -> Reason:
    if car.id in settling:
        return Reason(code="settling", wait_ms=(car.old.changed_ms or 0) + car.old.settle_ms - now_ms)
    return _limit("under_way", _tightest(car, limits), car, topology, limits, policy)


def _set_point(evse: Member, car: Car | None, target: int) -> SetPoint:
    if car is None:
        return SetPoint(evse.id, 0, evse.unit, 0, 0)
    return SetPoint(evse.id, car.value(car.level), evse.unit, car.infeed_ma, car.value(target))


def _point_of_lost(evse: Member, old: EvseState, voltage_mv: int) -> SetPoint:
    value = lost_value(evse, old)
    return SetPoint(evse.id, value, evse.unit, infeed(evse, value, voltage_mv), value)


def _told(old: EvseState, value: int, infeed_ma: int, now_ms: int) -> EvseState:
    """`old` after it has been told `value`."""
    if value == old.value and infeed_ma == old.infeed_ma:
        return old
    still = max(old.infeed_ma + old.excess_ma, old.burden_ma(now_ms))
    below = infeed_ma < still
    return msgspec.structs.replace(
        old,
        value=value,
        infeed_ma=infeed_ma,
        before_ma=old.infeed_ma,
        changed_ms=now_ms,
        followed=False,
        sure=old.followed or old.settled(now_ms),
        told=remember(old, infeed_ma, now_ms),
        ceiling_ma=still if below else old.ceiling_ma,
        ceiling_until_ms=now_ms + old.settle_ms if below else old.ceiling_until_ms,
        switched_ms=old.switched_ms if bool(value) == bool(old.value) else now_ms,
    )


def _next(old: EvseState, car: Car | None, target: int, now_ms: int, rotate_ms: int) -> EvseState:
    value, ma = (0, 0) if car is None else (car.value(car.level), car.infeed_ma)
    old = _told(old, value, ma, now_ms)
    changes: dict[str, Any] = {}
    if car is None:
        # The next car at this EVSE is another one; how soon the EVSE follows is its own.
        gone = {"since_ms": None, "admitted": False, "behaviour": "follows", "odd_ms": None, "excess_ma": 0}
        changes |= {name: value for name, value in gone.items() if getattr(old, name) != value}
    elif old.since_ms is None or old.admitted != (target > 0):
        changes |= {"since_ms": now_ms, "turn_ms": now_ms, "admitted": target > 0}
    elif old.admitted and now_ms - old.turn_ms >= rotate_ms:
        changes |= {"turn_ms": now_ms}
    return msgspec.structs.replace(old, **changes) if changes else old
