"""Random sites and days, and a judge of plans that knows nothing of the planner's matrices."""

from __future__ import annotations

import random
from typing import Any

from pilotwire.domain.energy import Evse, Limit, Node, SiteTree, Tenant, prepare
from pilotwire.domain.planning import Battery, Load, Need, Options, Plan, Prices, Problem, Window

NOW = 1_774_742_700_000
"""2026-03-29 00:05 UTC: five minutes into a quarter, on a day that has 23 hours in most of Europe."""
HOUR = 3_600_000
_ON = {"R": 0, "S": 1, "T": 2}


def flat(ma: int) -> tuple[int, int, int]:
    """The same on each phase."""
    return (ma, ma, ma)


def small(*evses: Evse, limits: tuple[Limit, ...] = (), nodes: tuple[Node, ...] = (), **more: Any) -> SiteTree:
    """A connection `grid`, by default of 100 A, with these EVSEs."""
    limits = limits or (Limit(source="fuse", phases_ma=flat(100_000)),)
    return SiteTree(nodes=(Node(id="grid", kind="connection", limits=limits), *nodes), evses=evses, **more)


def world(seed: int) -> Problem:
    """Anything that may come: tight and zero limits, cars that have left, prices below 0, no cars at all."""
    draw = random.Random(seed)
    nodes = [Node(id="grid", kind="connection", limits=(_limit(draw, 20_000, 200_000),))]
    for at in range(draw.randint(0, 4)):
        parent = draw.choice(nodes).id
        limits = tuple(_limit(draw, 10_000, 120_000) for _ in range(draw.randint(0, 2)))
        nodes.append(Node(id=f"n{at}", kind="feeder", parent=parent, limits=limits))
    tenants = (Tenant(id="tenant", limits=(_limit(draw, 16_000, 64_000),)),) if draw.random() < 0.3 else ()
    evses = tuple(_evse(draw, at, draw.choice(nodes).id, bool(tenants)) for at in range(draw.randint(0, 9)))
    tree = SiteTree(nodes=tuple(nodes), evses=evses, tenants=tenants)
    steps = draw.choice((1, 4, 12, 24))
    pools = {"sun": tuple(draw.randint(-5_000_000, 30_000_000) for _ in range(steps))} if draw.random() < 0.3 else {}
    signals = {draw.choice(nodes).id: (_signal(draw),) for _ in range(draw.randint(0, 2))}
    return Problem(
        topology=prepare(tree),
        now_ms=NOW + draw.randint(0, 900_000),
        needs=tuple(need for evse in evses for need in _needs(draw, evse, bool(pools))),
        loads=tuple(_load(draw, at, draw.choice(nodes).id, steps) for at in range(draw.randint(0, 3))),
        batteries=tuple(_battery(draw, at, draw.choice(nodes).id) for at in range(draw.randint(0, 2))),
        prices=Prices(
            import_micro=tuple(draw.randint(-100_000, 400_000) for _ in range(draw.randint(0, steps))),
            export_micro=tuple(draw.randint(-50_000, 90_000) for _ in range(draw.randint(0, steps))),
        ),
        windows=tuple(_window(draw) for _ in range(draw.randint(0, 2))),
        limits=signals,
        pools_mw=pools,
        feed_in_mw=draw.choice((None, None, 0, 10_000_000)),
        options=Options(steps=steps),
    )


def _limit(draw: random.Random, least: int, most: int) -> Limit:
    kind = draw.random()
    ma = (draw.randint(least, most), draw.randint(least, most), draw.randint(least, most))
    return Limit(
        source="fuse",
        phases_ma=ma if kind < 0.8 else None,
        power_mw=sum(ma) * 200 if kind > 0.6 else None,
        imbalance_ma=draw.choice((None, None, 0, 20_000)),
    )


def _signal(draw: random.Random) -> Limit:
    begins = NOW + draw.randint(-2 * HOUR, 6 * HOUR)
    return Limit(
        source="operator",
        power_mw=draw.choice((0, -5_000_000, 4_200_000, 30_000_000)),
        from_ms=begins,
        until_ms=begins + draw.randint(60_000, 3 * HOUR),
    )


def _evse(draw: random.Random, at: int, node: str, tenant: bool) -> Evse:
    of = "tenant" if tenant and draw.random() < 0.5 else None
    if draw.random() < 0.2:
        return Evse(
            id=f"e{at}", node=node, current="DC", minimum=5_000_000, maximum=50_000_000, step=500_000, tenant=of
        )
    rotation: Any = draw.choice(("RST", "STR", "TRS", "RTS", None))
    return Evse(id=f"e{at}", node=node, phases=draw.choice((1, 3, 3)), rotation=rotation, maximum=32_000, tenant=of)


def _needs(draw: random.Random, evse: Evse, pools: bool) -> list[Need]:
    found: list[Need] = []
    begins = NOW + draw.randint(-3 * HOUR, 6 * HOUR)
    for _ in range(draw.randint(0, 2)):
        ends = begins + draw.randint(0, 8 * HOUR)
        found.append(
            Need(
                evse=evse.id,
                energy_wh=draw.choice((-5, 0, 100, 1_000, 10_000, 40_000, 200_000)),
                arrival_ms=None if begins <= NOW else begins,
                departure_ms=None if draw.random() < 0.1 else ends,
                phases=draw.choice((1, 2, 3)),
                minimum=draw.choice((0, 8_000)),
                maximum=draw.choice((None, 16_000, 4_000)) if evse.current == "AC" else None,
                priority=draw.choice((0, 0, 3)),
                worth_micro=draw.choice((None, None, 100_000)),
                pool="sun" if pools and draw.random() < 0.5 else None,
            )
        )
        if found[-1].departure_ms is None:
            break
        begins = ends
    return found


def _load(draw: random.Random, at: int, node: str, steps: int) -> Load:
    sun = draw.random() < 0.5
    least, most = (-60_000, 0) if sun else (0, 40_000)
    values = tuple(
        (draw.randint(least, most), draw.randint(least, most), draw.randint(least, most))
        for _ in range(draw.randint(0, steps))
    )
    return Load(id=f"l{at}", node=node, phases_ma=values, curtailable=sun and draw.random() < 0.5)


def _battery(draw: random.Random, at: int, node: str) -> Battery:
    return Battery(
        id=f"b{at}",
        node=node,
        level_wh=draw.randint(0, 60_000),
        capacity_wh=50_000,
        reserve_wh=draw.choice((0, 10_000)),
        charge_mw=draw.choice((0, 30_000_000)),
        discharge_mw=draw.choice((0, 30_000_000)),
        efficiency=draw.choice((800, 950, 1000)),
    )


def _window(draw: random.Random) -> Window:
    return Window(
        minutes=draw.choice((15, 30, 60)),
        target_mw=draw.choice((None, 0, 20_000_000, 60_000_000)),
        peak_micro=draw.choice((0, 5_000_000)),
        incumbent_mw=draw.choice((0, 30_000_000)),
        resets_ms=draw.choice((None, NOW + 4 * HOUR)),
        so_far_wh=draw.choice((0, 2_000)),
    )


def faults_of(problem: Problem, plan: Plan) -> list[str]:
    """What a plan breaks: limits, minima, needs, batteries, both flows at once."""
    found: list[str] = []
    tree = problem.topology.tree
    parents = {node.id: node.parent for node in tree.nodes}
    evses = {evse.id: evse for evse in tree.evses}
    by_evse = list(zip(problem.needs, plan.cars, strict=True))
    for need, car in by_evse:
        found += _car_faults(problem, need, car, evses[need.evse], plan)
    for battery, each in zip(problem.batteries, plan.batteries, strict=True):
        bottom, top = min(battery.reserve_wh, battery.level_wh), max(battery.capacity_wh, battery.level_wh)
        for step, (mw, level) in enumerate(zip(each.set_points_mw, each.levels_wh, strict=True)):
            if not bottom - 2 <= level <= top + 2:
                found.append(f"step {step}: battery {battery.id} at {level} Wh")
            if not -battery.discharge_mw <= mw <= battery.charge_mw:
                found.append(f"step {step}: battery {battery.id} at {mw} mW")

    def below(node: str, place: str) -> bool:
        at: str | None = node
        while at is not None and at != place:
            at = parents[at]
        return at == place

    for step in range(plan.steps):
        begins = max(plan.now_ms, plan.starts_ms + step * plan.step_ms)
        ends = plan.starts_ms + (step + 1) * plan.step_ms
        for place in [*tree.nodes, *tree.tenants]:
            limits = [*place.limits, *problem.limits.get(place.id, ())]
            limits = [
                limit
                for limit in limits
                if (limit.from_ms is None or limit.from_ms < ends)
                and (limit.until_ms is None or limit.until_ms > begins)
            ]
            if not limits:
                continue
            cars = [0, 0, 0]
            mw = 0
            spread = [[0] * 3 for _ in range(3)]
            for need, car in by_evse:
                evse = evses[need.evse]
                inside = evse.tenant == place.id if isinstance(place, Tenant) else below(evse.node, place.id)
                value = car.targets[step]
                if not value or not inside:
                    continue
                on, off, count, ma = _flows(evse, need.phases, value, tree.voltage_mv)
                for phase in on:
                    cars[phase] += ma
                mw += ma * count * tree.voltage_mv // 1_000
                for a, b in off:
                    spread[a][b] += ma
            side = [0.0, 0.0, 0.0]
            if isinstance(place, Node):
                side = _sides(problem, plan, step, [n.id for n in tree.nodes if below(n.id, place.id)])
            for limit in limits:
                for phase in range(3):
                    if limit.phases_ma is None or not cars[phase]:
                        continue  # nobody is to blame for what side loads alone exceed
                    if cars[phase] + side[phase] > limit.phases_ma[phase] + 1:
                        found.append(f"step {step}: {place.id} L{phase + 1} {cars[phase]} + {side[phase]} mA, {limit}")
                total = mw + sum(side) * tree.voltage_mv / 1_000
                if limit.power_mw is not None and mw and total > limit.power_mw + 1_000:
                    found.append(f"step {step}: {place.id} {total} mW, {limit}")
                for a in range(3):
                    for b in range(3):
                        if limit.imbalance_ma is None or a == b or not spread[a][b]:
                            continue
                        if spread[a][b] + side[a] - side[b] > limit.imbalance_ma + 1:
                            found.append(f"step {step}: {place.id} L{a + 1} above L{b + 1} by {spread[a][b]}, {limit}")
        for pool, budget in problem.pools_mw.items():
            used = sum(
                _flows(evses[need.evse], need.phases, car.targets[step], tree.voltage_mv)[3]
                * _flows(evses[need.evse], need.phases, 1, tree.voltage_mv)[2]
                * tree.voltage_mv
                // 1_000
                for need, car in by_evse
                if need.pool == pool
            )
            if used > max(0, budget[min(step, len(budget) - 1)]) + 1_000:
                found.append(f"step {step}: pool {pool} gives {used} mW")
    return found


def _flows(evse: Evse, used: int, value: int, voltage: int) -> tuple[list[int], list[tuple[int, int]], int, int]:
    """(phases that count, pairs of phases of which the first may be the higher, number of phases, mA on each)."""
    if evse.current == "DC":
        return [0, 1, 2], [], 3, value * 1_000_000 // (3 * voltage * evse.efficiency)
    count = min(used, evse.phases)
    if count == 3:
        return [0, 1, 2], [], 3, value
    if evse.rotation is None:
        return [0, 1, 2], [(a, b) for a in range(3) for b in range(3) if a != b], count, value
    on = sorted(_ON[letter] for letter in evse.rotation[:count])
    return on, [(a, b) for a in on for b in range(3) if b not in on], count, value


def _sides(problem: Problem, plan: Plan, step: int, nodes: list[str]) -> list[float]:
    voltage = problem.topology.tree.voltage_mv
    side = [0.0, 0.0, 0.0]
    for load in problem.loads:
        if load.node in nodes and load.phases_ma:
            for phase, ma in enumerate(load.phases_ma[min(step, len(load.phases_ma) - 1)]):
                side[phase] += ma
    for battery, each in zip(problem.batteries, plan.batteries, strict=True):
        if battery.node in nodes:
            for phase in range(3):
                side[phase] += each.set_points_mw[step] * 1_000 / 3 / voltage
    return side


def _car_faults(problem: Problem, need: Need, car: Any, evse: Evse, plan: Plan) -> list[str]:
    found: list[str] = []
    low = max(evse.minimum, need.minimum)
    high = evse.maximum if need.maximum is None else min(evse.maximum, need.maximum)
    each_mw = 1.0
    if evse.current == "AC":
        each_mw = min(need.phases, evse.phases) * problem.topology.tree.voltage_mv / 1e6 * 1000
    energy = 0.0
    last = 0.0
    for step, value in enumerate(car.targets):
        if value and not low <= value <= high:
            found.append(f"step {step}: {need.evse} at {value}, not from {low} to {high}")
        begins = max(plan.now_ms, plan.starts_ms + step * plan.step_ms, need.arrival_ms or 0)
        ends = min(plan.starts_ms + (step + 1) * plan.step_ms, need.departure_ms or 1 << 60)
        if value and ends <= begins:
            found.append(f"step {step}: {need.evse} has {value} though no car is there")
        if value:
            last = value * each_mw * (ends - begins) / HOUR / 1000
            energy += last
    if energy - last > max(0, need.energy_wh) + 1 and car.energy_wh:
        found.append(f"{need.evse} has {energy} Wh before its last step {last}, it needs {need.energy_wh}")
    if car.energy_wh > max(0, need.energy_wh) or car.energy_wh + car.unmet_wh != max(0, need.energy_wh):
        found.append(f"{need.evse}: {car.energy_wh} and {car.unmet_wh} of {need.energy_wh} Wh")
    if abs(min(energy, max(0, need.energy_wh)) - car.energy_wh) > 2:
        found.append(f"{need.evse}: targets give {energy} Wh, it says {car.energy_wh}")
    return found
