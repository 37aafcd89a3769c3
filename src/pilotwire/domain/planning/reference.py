"""How the loop reads a plan, tick by tick.

The loop gives each car its `value` before anybody gets more (`Demand.guaranteed`), and up to `most` of what is left
over. Without a plan, or with one that is over, there is no target: the loop shares out as its policy says.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from pilotwire.domain.energy import Topology

from .result import CarPlan, Plan

STALE_MS = 3_600_000
"""A plan that nobody has renewed for an hour says nothing about now."""


class Target(msgspec.Struct, frozen=True):
    """In the EVSE's unit. `value`: what it is to have now. `most`: what it may have of what is left over.

    `behind_wh`: how much less it has than the plan has meant it to have by now; negative if it is ahead.
    """

    evse: str
    value: int
    most: int
    behind_wh: int = 0


def step_at(plan: Plan, utc_ms: int, stale_ms: int = STALE_MS) -> int | None:
    """The step that this moment lies in; None where the plan says nothing about it."""
    if not plan.now_ms <= utc_ms < plan.now_ms + stale_ms:
        return None
    step = (utc_ms - plan.starts_ms) // plan.step_ms
    return step if 0 <= step < plan.steps else None


def targets(
    plan: Plan | None, topology: Topology, utc_ms: int, delivered_wh: Mapping[str, int], stale_ms: int = STALE_MS
) -> dict[str, Target]:
    """By EVSE. `delivered_wh`: what each car has got since the plan was made; who is missing counts as on time.

    A car that is behind is given more, so that it would catch up by the end of the step, but never above what it can
    take; one that is ahead keeps its target: more was given because it cost nothing, and the next plan knows.
    A target of 0 stays 0 for who is on time; who is behind by more than a minute at its minimum comes in.
    """
    if plan is None:
        return {}
    step = step_at(plan, utc_ms, stale_ms)
    if step is None:
        return {}
    found: dict[str, Target] = {}
    for car in plan.cars:
        evse = topology.evses.get(car.evse)
        if evse is None:
            continue
        value, top = car.targets[step], evse.maximum
        each_uw = _microwatt(topology, car)
        behind = 0
        if car.evse in delivered_wh:
            behind = _meant_wh(plan, car, utc_ms, each_uw) - delivered_wh[car.evse]
            if behind * 3_600_000 > max(evse.minimum, 1) * each_uw // 1_000 * 60:
                left_ms = max(60_000, plan.starts_ms + (step + 1) * plan.step_ms - utc_ms)
                value += behind * 3_600_000_000_000 // (left_ms * each_uw)
        if value:
            value = min(max(value, evse.minimum), top)
        most = top if car.free[step] else value
        if car.evse in found and not value:
            continue  # the car before is still there
        found[car.evse] = Target(evse=car.evse, value=value, most=most, behind_wh=behind)
    return found


def battery_mw(plan: Plan | None, utc_ms: int, stale_ms: int = STALE_MS) -> dict[str, int]:
    """What each battery is to do now by the plan, positive charges; empty without a plan for now."""
    step = None if plan is None else step_at(plan, utc_ms, stale_ms)
    if plan is None or step is None:
        return {}
    return {battery.id: battery.set_points_mw[step] for battery in plan.batteries}


def _microwatt(topology: Topology, car: CarPlan) -> int:
    """µW at the outlet for one unit of the target."""
    return 1_000 if car.unit == "mW" else topology.tree.voltage_mv * car.phases


def _meant_wh(plan: Plan, car: CarPlan, utc_ms: int, each_uw: int) -> int:
    """Energy that the plan has meant the car to have by now, since it was made."""
    total = 0
    for step, value in enumerate(car.targets):
        begins = max(plan.now_ms, plan.starts_ms + step * plan.step_ms)
        ends = min(utc_ms, plan.starts_ms + (step + 1) * plan.step_ms)
        if ends <= begins:
            break
        total += value * (ends - begins)
    return min(total * each_uw // 3_600_000_000_000, car.energy_wh)
