"""One tick: limits, who is let in, fair shares, steps, and what of it may be commanded now."""

from collections.abc import Iterable, Mapping
from itertools import groupby

import msgspec

from pilotwire.core.errors import LocalError

from .admission import admit
from .behaviour import observe
from .cars import Car, Lines, rank
from .demand import Demand, Moment, Policy, Signals
from .explain import held, why
from .lost import come_back, may_draw_ma
from .model import Evse, Member, Switching
from .outcome import SetPoint, next_state, point_of_lost, set_point, told
from .pace import pace
from .quantise import hand_out, share
from .reasons import Reason
from .room import Room, room
from .rotation import learn, wired
from .sides import side_loads
from .state import Evidence, EvseState, State, tolerance
from .switching import advance, aims, begin, has_waited, may_go_up
from .topology import Terms, Topology


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
        # A car that has gone may still draw, on the phases that it was on; what nobody announced may be on any, and is
        # not taken out of what a meter shows.
        used = old.used if demand is None else demand.phases
        if isinstance(evse, Evse) and evse.switching is not None:
            phasing = advance(seen, evse.switching, demand, now.tick_ms)
            if phasing is not seen.phasing:
                seen = msgspec.structs.replace(seen, phasing=phasing)
            if demand is not None:
                used = min(used, phasing.now)
        known[id] = (wired(topology, evse, used, state.rotations), used, seen)
    rotations, moves = learn(
        topology, policy, signals, known, state.evses, state.rotations, state.moves, now
    )  # for the next tick
    sides = side_loads(topology, policy, signals, known, state.sides, now)
    pools = sorted({demand.pool for demand in wanted.values() if demand.pool is not None})
    limits = room(topology, signals, sides, now, pools)
    for id in signals.lost:
        if id in known:
            limits.take(limits.limited_terms(topology.worst(topology.members[id])), known[id][2].lost_ma)
    full = list(limits.left)
    cars: list[Car] = []
    gone: dict[str, tuple[EvseState, Terms]] = {}
    for id in sorted(known):
        evse, used, old = known[id]
        if id in signals.lost:
            continue
        demand = wanted.get(id)
        lines = _lines(
            topology, limits, evse, used or evse.phases, None if demand is None else demand.pool, state.rotations
        )
        if demand is None:
            gone[id] = (old, lines.tree)
        else:
            car = Car(evse, demand, old, lines, voltage, now.tick_ms)
            if isinstance(evse, Evse) and evse.switching is not None:
                _aim(car, evse.switching, topology, limits, state, now.tick_ms)
            car.rank = rank(car, policy, voltage, topology.count(evse, used), now.utc_ms)
            cars.append(car)
        if not old.infeed_ma and old.settled(now.tick_ms) and (old.drawn_ma or 0) > tolerance(0):
            limits.take(lines.tree, old.drawn_ma or 0)  # against its orders: nothing that we say takes it away
    admitted = admit(cars, limits, policy, now.tick_ms)
    groups = [list(group) for _, group in groupby(sorted(admitted, key=lambda car: (car.rank, car.id)), _rank)]
    _guaranteed(groups, limits)
    for group in groups:
        share(group, limits)
    freed = False
    for car in cars:
        if isinstance(car.evse, Evse) and car.evse.switching is not None:
            aim = car.aim
            _switch(car, car.evse.switching, topology, limits, state, now.tick_ms)
            freed = freed or car.aim is not aim
    if freed:
        hand_out(admitted, limits)  # what one that goes up to three phases has left on its one
    targets = {car.id: car.level for car in cars}
    reasons = {car.id: why(car, topology, limits, policy) for car in cars}
    for car in cars:
        car.top = car.level
    limits.left = full
    settling = pace(cars, gone, limits, groups, now.tick_ms)
    for car in cars:
        if car.level < targets[car.id]:
            reasons[car.id] = held(car, topology, limits, policy, now.tick_ms, settling)
    for car in cars:
        if car.phasing.now == 1 and not car.paused and car.demand.phases > 1:
            reasons[car.id] = msgspec.structs.replace(reasons[car.id], phases=1)
    for id in signals.lost:
        if id in known:
            reasons[id] = Reason(code="lost", kept_ma=known[id][2].lost_ma)
    for id in gone:
        reasons[id] = Reason(code="no_demand")
    shares = {car.id: (car, targets[car.id]) for car in cars}
    points: list[SetPoint] = []
    left: dict[str, EvseState] = {}
    for id in sorted(known):
        evse, _, old = known[id]
        if id in signals.lost:
            points.append(point_of_lost(evse, old, voltage))
            left[id] = told(old, points[-1].value, points[-1].infeed_ma, now.tick_ms)
            continue
        car, target = shares.get(id, (None, 0))
        points.append(set_point(evse, old, car, target))
        left[id] = next_state(old, car, target, now.tick_ms, policy.rotate_ms)
    return Allocation(
        tuple(point for point in points if point.evse in topology.evses),
        {id: reasons[id] for id in sorted(reasons)},
        State(left, sides, rotations, moves),
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


def _lines(
    topology: Topology, limits: Room, evse: Member, used: int, pool: str | None, known: Mapping[str, Evidence]
) -> Lines:
    evse = wired(topology, topology.members[evse.id], used, known)
    return Lines(
        used,
        limits.limited_terms(topology.terms(evse, used)),
        () if pool is None else limits.pool_terms(pool, topology.kinds(evse, used)),
    )


def _aim(car: Car, config: Switching, topology: Topology, limits: Room, state: State, now_ms: int) -> None:
    """On how many phases it is to have its share."""
    aim, instead = aims(car.old, config, car.demand, now_ms)
    for count in (aim, instead):
        if count is None:
            continue
        used = min(count, car.demand.phases)
        lines = car.on
        if used != lines.phases:
            lines = _lines(topology, limits, car.evse, used, car.demand.pool, state.rotations)
        if count is aim:
            car.use(lines)
        else:
            car.instead = lines


def _switch(car: Car, config: Switching, topology: Topology, limits: Room, state: State, now_ms: int) -> None:
    """Begins to switch it, to what it has its share on, or to three phases that have had room for long enough."""
    demand, phasing = car.demand, car.phasing
    aim = 1 if car.aim.phases == 1 else 3
    if demand.phases == 1:
        return
    meant = phasing.now if phasing.stage == "" else phasing.to
    if car.level and phasing.stage != "switching" and aim != meant:
        car.phasing = begin(phasing, aim, now_ms)
    elif may_go_up(car.old, config, demand, now_ms):
        three = _lines(topology, limits, car.evse, min(3, demand.phases), demand.pool, state.rotations)
        level = _level_on(car, three, config, limits)
        if not level:
            if phasing.room_ms is not None:
                car.phasing = msgspec.structs.replace(phasing, room_ms=None)
        elif not has_waited(phasing, config, demand, now_ms):
            if phasing.room_ms is None:
                car.phasing = msgspec.structs.replace(phasing, room_ms=now_ms)
        else:
            car.give_back(limits)
            car.use(three)
            car.take(limits, car.infeed(level))
            car.set(level)
            car.phasing = begin(phasing, 3, now_ms)
    elif phasing.room_ms is not None:
        car.phasing = msgspec.structs.replace(phasing, room_ms=None)


def _level_on(car: Car, three: Lines, config: Switching, limits: Room) -> int:
    """The level that it could have there beside what all others have; 0 if that is not worth a change."""
    car.give_back(limits)
    tree, pool = limits.most(three.tree), limits.most(three.pool)
    car.take(limits, car.infeed_ma)
    most = car.infeed(car.top)
    if tree is not None:
        most = min(most, tree - car.excess)
    if pool is not None:
        most = min(most, pool - car.excess + car.free_ma)
    level = min(car.top, car.level_at(max(0, most)))
    infeed_ma = car.infeed(level)
    enough = infeed_ma >= car.infeed(car.low) + config.up_ma
    gain = infeed_ma * three.phases - car.infeed_ma * car.aim.phases
    return level if level >= car.low and enough and gain * car.voltage_mv >= config.up_mw * 1_000 else 0


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
