"""How a battery comes to its goal: no trembling about zero, no turn without a rest, a ramp; and whether it follows."""

from collections.abc import Mapping
from typing import NamedTuple

from pilotwire.domain.energy import Moment

from .batteries import fading_mw
from .config import Battery
from .flows import Flows
from .inputs import Measured
from .reasons import Rule
from .site import Site
from .state import BatteryState


class Goal(NamedTuple):
    """What it had better do (charging positive), and why. `urgent`: a limit needs it, it does not wait for a rest."""

    power_mw: int
    rule: Rule
    source: str
    limit_mw: int
    urgent: bool


def step(battery: Battery, goal: Goal, old: BatteryState, astray: int | None, now: Moment) -> tuple[int, BatteryState]:
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


def astray_since(battery: Battery, old: BatteryState, takes: int, now: Moment) -> int | None:
    """Since when it gives noticeably less (or takes more) than it was told last."""
    if takes - old.told_mw <= max(battery.dead_mw, abs(old.told_mw) // 10):
        return None
    return now.tick_ms if old.astray_ms is None else old.astray_ms


def given_up(battery: Battery, old: BatteryState | None, now: Moment) -> bool:
    return old is not None and old.astray_ms is not None and now.tick_ms - old.astray_ms > battery.follow_ms


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
        if coming < 0 and given_up(battery, new[id], now):
            continue
        found[id] = coming
    return found
