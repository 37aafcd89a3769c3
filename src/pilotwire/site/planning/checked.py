"""A plan that has come from another process is looked at before anybody follows it, and brought into steering's words.

Whatever it says, limits are kept: `allocate` comes after it. What is checked here is that it belongs to its record, so
that a mistake of ours costs a plan and not an evening.
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from pilotwire.domain import planning, steering
from pilotwire.domain.planning.reference import STALE_MS

from .record import Answer, Record, problem_of

SLOTS = 1_000
_MOST_MW = 10**12
"""A gigawatt: more is no power of a site."""


def fault_of(record: Record, name: bytes, answer: Answer) -> str:
    """Why an answer to a record is not used; "" when it may be."""
    plan = answer.plan
    if answer.of != name:
        return "the answer is to another question"
    if plan is None:
        return answer.error or "the answer holds no plan"
    options = record.options
    if (plan.now_ms, plan.step_ms, plan.steps) != (record.now_ms, options.step_ms, options.steps):
        return "the plan is of another time"
    if plan.starts_ms != record.now_ms - record.now_ms % options.step_ms:
        return "the plan begins at another time"
    problem = problem_of(record)
    if len(plan.cars) != len(problem.needs):
        return f"the plan has {len(plan.cars)} cars, there are {len(problem.needs)}"
    for need, car in zip(problem.needs, plan.cars, strict=True):
        evse = problem.topology.evses[need.evse]
        if car.evse != need.evse or car.unit != evse.unit or not 1 <= car.phases <= 3:
            return f"the plan says of {need.evse} what is of {car.evse}"
        if len(car.targets) != plan.steps or len(car.free) != plan.steps:
            return f"the plan has {len(car.targets)} steps for {need.evse}"
        if any(value and not evse.minimum <= value <= evse.maximum for value in car.targets):
            return f"the plan gives {need.evse} what its EVSE cannot give"
        if not 0 <= car.energy_wh <= max(0, need.energy_wh) or car.unmet_wh < 0:
            return f"the plan gives {need.evse} another energy than it needs"
    if [each.id for each in plan.batteries] != [each.id for each in problem.batteries]:
        return "the plan is of other batteries"
    for battery, each in zip(problem.batteries, plan.batteries, strict=True):
        if len(each.set_points_mw) != plan.steps or len(each.levels_wh) != plan.steps:
            return f"the plan has {len(each.set_points_mw)} steps for battery {battery.id}"
        if any(not -battery.discharge_mw <= mw <= battery.charge_mw for mw in each.set_points_mw):
            return f"the plan asks battery {battery.id} for more than it can do"
    if len(plan.peaks_mw) != len(problem.windows) or any(not 0 <= mw <= _MOST_MW for mw in plan.peaks_mw):
        return "the plan is of other demand windows"
    if len(plan.grid_mw) != plan.steps or any(abs(mw) > _MOST_MW for mw in plan.grid_mw):
        return "the plan says nothing of the connection"
    return ""


def followed(record: Record, plan: planning.Plan, stale_ms: int = STALE_MS) -> steering.Plan:
    """What steering reads of it: of cars that are there and are steered, and no further than it counts."""
    problem = problem_of(record)
    steered = set(record.steered)
    there = [
        (need, car) for need, car in zip(problem.needs, plan.cars, strict=True)
        if need.evse in steered
    ]  # fmt: skip
    mine = msgspec.structs.replace(problem, needs=tuple(need for need, _ in there))
    made = planning.courses(
        mine, msgspec.structs.replace(plan, cars=tuple(car for _, car in there)), record.windows_of, stale_ms
    )
    until = made.until_ms
    return msgspec.structs.replace(
        made,
        cars={id: _short(course, until) for id, course in sorted(made.cars.items())},
        batteries={id: _short(course, until) for id, course in sorted(made.batteries.items())},
        peaks={id: _short(course, until) for id, course in sorted(made.peaks.items())},
        sides={id: _short(course, until) for id, course in sorted(made.sides.items())},
    )


def _short(course: Iterable[steering.Slot], until_ms: int) -> steering.Course:
    """Without what nobody will read, and with equal neighbours as one: it stands in the log of decisions."""
    found: list[steering.Slot] = []
    for slot in course:
        if slot.from_ms >= until_ms or len(found) >= SLOTS:
            break
        last = found[-1] if found else None
        if last is not None and last.until_ms == slot.from_ms and last.power_mw == slot.power_mw:
            found[-1] = msgspec.structs.replace(last, until_ms=slot.until_ms)
        else:
            found.append(slot)
    return tuple(found)
