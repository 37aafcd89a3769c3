"""Set-points of the stationary batteries: first so that every node keeps its limit before a car is throttled, then
the plan, then the exchange with the grid at zero, then refilling.

What a node needs is reckoned without the batteries' own power, so that a battery that follows slowly does not chase
itself. Nothing is taken from one battery to be put into another: what is given is what others need, what is taken is
what would be exported without any battery (or comes from the grid where that is allowed).
"""

from collections.abc import Mapping
from typing import NamedTuple

from pilotwire.domain.energy import Moment

from .batteries import charge_most, discharge_most, free_wh, split, usable_wh
from .battery_steps import Goal, astray_since, given_up, step
from .config import Battery
from .flows import Flows
from .inputs import Measured, Plan, planned
from .levels import Level, shortage
from .outputs import BatterySetPoint
from .reasons import Reason
from .site import Site
from .state import BatteryState


class Stored(NamedTuple):
    """Set-points and reasons by id in order, and the next state."""

    points: tuple[BatterySetPoint, ...]
    reasons: tuple[Reason, ...]
    state: Mapping[str, BatteryState]


def store(
    site: Site, flow: Flows, measured: Measured, level: Mapping[str, Level], wanted: Mapping[str, int],
    spared_mw: int, plan: Plan | None, dimmed: bool, old: Mapping[str, BatteryState], now: Moment,
) -> Stored:  # fmt: skip
    """`wanted` by EVSE if nothing limited it. `spared_mw` of cars' power is not for batteries to cover.

    `dimmed`: an order forbids taking power from the grid.
    """
    alive = [id for id in sorted(site.batteries) if flow.batteries[id] is not None]
    level = {node: each for node, each in level.items() if site.batteries_below[node]}
    short = {node: shortage(site, node, each, wanted, flow) for node, each in level.items()}
    needs = {node: _need(site, node, each, short[node], flow) for node, each in level.items()}
    followers = [id for id in alive if not given_up(site.batteries[id], old.get(id), now)]
    goals = _shave(site, measured, level, needs, followers)
    if len(followers) < len(alive):
        # Who does not follow is asked last, and what it is asked for is not counted on.
        late = _shave(site, measured, level, needs, alive)
        goals = {id: goals.get(id) or late[id] for id in sorted({*goals, *late})}
    calm = [id for id in alive if id not in goals]
    goals |= _rest(site, flow, measured, level, short, spared_mw, plan, dimmed, goals, calm, now)
    points: list[BatterySetPoint] = []
    reasons: list[Reason] = []
    state: dict[str, BatteryState] = {}
    for id in sorted(site.batteries):
        battery, before = site.batteries[id], old.get(id, BatteryState())
        goal = goals.get(id)
        if goal is None:
            points.append(BatterySetPoint(id, 0))
            reasons.append(Reason(id, "battery_lost", id))
            state[id] = BatteryState(told_ms=now.tick_ms)
            continue
        power, state[id] = step(battery, goal, before, astray_since(battery, before, flow.batteries[id] or 0, now), now)
        points.append(BatterySetPoint(id, power))
        reasons.append(_reason(battery, goal, power, measured))
    return Stored(tuple(points), tuple(reasons), state)


def _need(site: Site, node: str, level: Level, wanted: int | None, flow: Flows) -> int:
    """What batteries have to give for a node: what is missing already, and ahead of cars that want more as much as
    does not flow back out of the node, for they rise one step after the other."""
    if wanted is None or wanted <= 0:
        return 0
    here = flow.nodes[node]
    bare = 0 if here.power_mw is None else here.power_mw - here.batteries_mw
    missing = shortage(site, node, level, {}, flow) or 0
    return max(missing, min(wanted, max(0, bare)))


def _shave(
    site: Site, measured: Measured, level: Mapping[str, Level], needs: Mapping[str, int], alive: list[str]
) -> dict[str, Goal]:
    """Who gives how much so that each node keeps its level, the lowest nodes first."""
    give = {id: 0 for id in alive}
    why: dict[str, tuple[str, int]] = {}
    most = {id: discharge_most(site.batteries[id], measured, 0) for id in alive}
    weight = {id: usable_wh(site.batteries[id], measured, site.batteries[id].backup_permille) for id in alive}
    for node in site.upwards:
        here = [id for id in site.batteries_below[node] if id in give]
        left = needs.get(node, 0) - sum(give[id] for id in here)
        if left <= 0 or not here:
            continue
        shares = split(left, {id: most[id] - give[id] for id in here}, weight)
        for id, more in shares.items():
            if more:
                give[id] += more
                why[id] = (f"{node} ({level[node].source})", level[node].power_mw or 0)
    return {id: Goal(-mw, "battery_shaves", why[id][0], why[id][1], urgent=True) for id, mw in give.items() if mw}


def _rest(
    site: Site, flow: Flows, measured: Measured, level: Mapping[str, Level], short: Mapping[str, int | None],
    spared_mw: int, plan: Plan | None, dimmed: bool, goals: Mapping[str, Goal], calm: list[str], now: Moment,
) -> dict[str, Goal]:  # fmt: skip
    """What the batteries do that no limit needs."""
    found = {id: Goal(0, "battery_rests", "", 0, urgent=False) for id in calm}
    batteries = site.batteries
    root = flow.nodes[site.root]
    for id in calm:
        wanted = None if plan is None else planned(plan.batteries, id, now.utc_ms)
        if wanted is not None:
            found[id] = Goal(
                _allowed(site, id, wanted, flow, measured, short, dimmed), "battery_plan", "plan", 0, False
            )
    if root.power_mw is None:
        return found
    # What would flow at the connection if no battery did anything, and what others are about to give.
    bare = root.power_mw - root.batteries_mw
    given = sum(-goal.power_mw for goal in goals.values())
    steered = sum(goal.power_mw for goal in found.values())
    free = [id for id in calm if found[id].rule == "battery_rests" and batteries[id].base == "self"]
    if bare < 0:
        take = max(0, -bare - max(0, steered))
        most = {id: charge_most(batteries[id], measured) for id in free}
        for id, mw in split(take, most, {id: free_wh(batteries[id], measured) for id in free}).items():
            if mw:
                found[id] = Goal(mw, "battery_stores", site.root, 0, False)
    else:
        cover = max(0, bare - given - max(0, spared_mw) + min(0, steered))
        giving = {id: -goal.power_mw for id, goal in goals.items() if batteries[id].base == "self"}
        most = {
            id: max(0, discharge_most(batteries[id], measured, batteries[id].peak_permille) - giving.get(id, 0))
            for id in (*free, *giving)
        }
        weight = {id: usable_wh(batteries[id], measured, batteries[id].peak_permille) for id in most}
        shares = split(cover, most, weight)
        for id, gives in giving.items():
            found[id] = goals[id]._replace(power_mw=-gives - shares[id])  # it covers beside what a limit needs
        for id in free:
            if shares[id]:
                found[id] = Goal(-shares[id], "battery_covers", site.root, 0, False)
            elif cover and not most[id]:
                found[id] = Goal(0, "battery_reserve", "", 0, False)
            elif not cover and spared_mw > 0:
                found[id] = Goal(0, "battery_locked", "", spared_mw, False)
    for id in free:
        battery, cell = batteries[id], measured.batteries[id]
        low = cell.soc_permille < battery.peak_permille and battery.grid_charge and found[id].power_mw == 0
        if low and not goals:
            refill = _allowed(site, id, battery.charge_mw // 2, flow, measured, short, dimmed)
            if refill > 0:
                found[id] = Goal(refill, "battery_refills", "", 0, False)
    return found


def _allowed(
    site: Site, id: str, wanted: int, flow: Flows, measured: Measured, short: Mapping[str, int | None], dimmed: bool
) -> int:
    """`wanted` within what the battery can and what its nodes have room for when every car has what it wants."""
    battery = site.batteries[id]
    root = flow.nodes[site.root]
    bare = None if root.power_mw is None else root.power_mw - root.batteries_mw
    others = len([each for each in site.batteries if flow.batteries[each] is not None])
    if wanted < 0:
        give = min(-wanted, discharge_most(battery, measured, battery.peak_permille))
        return -min(give, max(0, bare or 0) // max(1, others))
    take = min(wanted, charge_most(battery, measured))
    for node in site.path[battery.node]:
        if node in short:
            # The room is for all batteries below together.
            sharing = max(1, len([each for each in site.batteries_below[node] if flow.batteries[each] is not None]))
            take = min(take, max(0, -(short[node] or 0)) // sharing)
    if dimmed:
        take = min(take, max(0, -(bare or 0)) // max(1, others))
    return take


def _reason(battery: Battery, goal: Goal, power: int, measured: Measured) -> Reason:
    figures = {
        "power_mw": abs(power),
        "limit_mw": goal.limit_mw,
        "soc_permille": measured.batteries[battery.id].soc_permille,
    }
    if goal.rule == "battery_locked":
        figures["power_mw"] = goal.limit_mw
    figures["reserve_permille"] = battery.peak_permille
    return Reason(battery.id, goal.rule, goal.source, figures)
