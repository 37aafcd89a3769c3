"""Set-points of the stationary batteries: first so that every node keeps its limit before a car is throttled, then
the plan, then the exchange with the grid at zero, then refilling.

What a node needs is reckoned without the batteries' own power, so that a battery that follows slowly does not chase
itself. Nothing is taken from one battery to be put into another: what is given is what others need, what is taken is
what would be exported without any battery (or comes from the grid where that is allowed).
"""

from collections.abc import Mapping
from typing import NamedTuple

from pilotwire.domain.energy import Moment

from .batteries import charge_most, discharge_most, fading_mw, free_wh, split, usable_wh
from .config import Battery
from .flows import Flows
from .inputs import Measured, Plan, planned
from .levels import Level, shortage
from .outputs import BatterySetPoint
from .reasons import Reason, Rule
from .site import Site
from .state import BatteryState


class Stored(NamedTuple):
    """Set-points and reasons by id in order, and the next state."""

    points: tuple[BatterySetPoint, ...]
    reasons: tuple[Reason, ...]
    state: Mapping[str, BatteryState]


class _Goal(NamedTuple):
    power_mw: int
    rule: Rule
    source: str
    limit_mw: int
    urgent: bool


def store(
    site: Site, flow: Flows, measured: Measured, level: Mapping[str, Level], wanted: Mapping[str, int],
    spared_mw: int, plan: Plan | None, dimmed: bool, old: Mapping[str, BatteryState], now: Moment,
) -> Stored:  # fmt: skip
    """`wanted` by EVSE if nothing limited it. `spared_mw` of cars' power is not for batteries to cover.

    `dimmed`: an order forbids taking power from the grid.
    """
    alive = [id for id in sorted(site.batteries) if flow.batteries[id] is not None]
    short = {node: shortage(site, node, each, wanted, flow) for node, each in level.items()}
    needs = {node: _need(site, node, each, short[node], flow) for node, each in level.items()}
    followers = [id for id in alive if not _given_up(site.batteries[id], old.get(id), now)]
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
        power, state[id] = _step(battery, goal, before, _astray(battery, before, flow.batteries[id] or 0, now), now)
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
) -> dict[str, _Goal]:
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
    return {id: _Goal(-mw, "battery_shaves", why[id][0], why[id][1], urgent=True) for id, mw in give.items() if mw}


def _rest(
    site: Site, flow: Flows, measured: Measured, level: Mapping[str, Level], short: Mapping[str, int | None],
    spared_mw: int, plan: Plan | None, dimmed: bool, goals: Mapping[str, _Goal], calm: list[str], now: Moment,
) -> dict[str, _Goal]:  # fmt: skip
    """What the batteries do that no limit needs."""
    found = {id: _Goal(0, "battery_rests", "", 0, urgent=False) for id in calm}
    batteries = site.batteries
    root = flow.nodes[site.root]
    for id in calm:
        wanted = None if plan is None else planned(plan.batteries, id, now.utc_ms)
        if wanted is not None:
            found[id] = _Goal(
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
                found[id] = _Goal(mw, "battery_stores", site.root, 0, False)
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
                found[id] = _Goal(-shares[id], "battery_covers", site.root, 0, False)
            elif cover and not most[id]:
                found[id] = _Goal(0, "battery_reserve", "", 0, False)
            elif not cover and spared_mw > 0:
                found[id] = _Goal(0, "battery_locked", "", spared_mw, False)
    for id in free:
        battery, cell = batteries[id], measured.batteries[id]
        low = cell.soc_permille < battery.peak_permille and battery.grid_charge and found[id].power_mw == 0
        if low and not goals:
            refill = _allowed(site, id, battery.charge_mw // 2, flow, measured, short, dimmed)
            if refill > 0:
                found[id] = _Goal(refill, "battery_refills", "", 0, False)
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


def _step(
    battery: Battery, goal: _Goal, old: BatteryState, astray: int | None, now: Moment
) -> tuple[int, BatteryState]:
    """What it is told now on its way to the goal: no trembling about zero, no turn without a rest, a ramp."""
    power = goal.power_mw
    told = old.told_mw
    if abs(power) < battery.dead_mw:
        power = 0
    elif told and abs(power - told) < battery.dead_mw // 2:
        power = told
    sign = (power > 0) - (power < 0)
    turned = old.turned_ms
    rests = turned is not None and now.tick_ms - turned < battery.dwell_ms
    if not goal.urgent and sign:
        going = (told > 0) - (told < 0)
        if going == -sign or (going == 0 and old.before == -sign and rests):
            power = 0
    passed = 0 if old.told_ms is None else max(0, now.tick_ms - old.told_ms)
    reach = battery.ramp_mw_s * passed // 1_000 if old.told_ms is not None else battery.ramp_mw_s
    power = min(max(power, told - reach), told + reach)
    new_sign = (power > 0) - (power < 0)
    old_sign = (told > 0) - (told < 0)
    before = old.before
    if old_sign and new_sign != old_sign:
        turned, before = now.tick_ms, -1 if old_sign < 0 else 1
    return power, BatteryState(power, now.tick_ms, astray, turned, before)


def _astray(battery: Battery, old: BatteryState, takes: int, now: Moment) -> int | None:
    """Since when it gives noticeably less (or takes more) than it was told last."""
    if takes - old.told_mw <= max(battery.dead_mw, abs(old.told_mw) // 10):
        return None
    return now.tick_ms if old.astray_ms is None else old.astray_ms


def _given_up(battery: Battery, old: BatteryState | None, now: Moment) -> bool:
    return old is not None and old.astray_ms is not None and now.tick_ms - old.astray_ms > battery.follow_ms


def _reason(battery: Battery, goal: _Goal, power: int, measured: Measured) -> Reason:
    figures = {
        "power_mw": abs(power),
        "limit_mw": goal.limit_mw,
        "soc_permille": measured.batteries[battery.id].soc_permille,
    }
    if goal.rule == "battery_locked":
        figures["power_mw"] = goal.limit_mw
    figures["reserve_permille"] = battery.peak_permille
    return Reason(battery.id, goal.rule, goal.source, figures)


def under_way(
    site: Site, flow: Flows, measured: Measured, new: Mapping[str, BatteryState], now: Moment
) -> dict[str, int]:
    """By battery: by how much it will still change its power (what it is told less what it takes).

    Less power to come (it gives more) is believed for `follow_ms` and no longer if it does not come; more
    power to come is always believed.
    """
    found: dict[str, int] = {}
    for id, battery in site.batteries.items():
        takes = flow.batteries[id]
        if takes is None:
            continue
        coming = new[id].told_mw - takes + fading_mw(battery, measured, -new[id].told_mw)
        if coming < 0 and _given_up(battery, new[id], now):
            continue
        found[id] = coming
    return found
