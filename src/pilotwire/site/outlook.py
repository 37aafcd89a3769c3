"""The plan in force as people look at it, from what the loop follows: for a planner that says nothing of its own."""

from __future__ import annotations

from pilotwire.domain.seen import CarOutlook, Outlook
from pilotwire.domain.steering import Course, Plan
from pilotwire.domain.steering.inputs import planned

from .compiled import Site
from .inputs import TickInputs

STEP_MS = 900_000
MOST = 192
"""Two days of quarter hours."""


def outlook_of(site: Site, inputs: TickInputs) -> Outlook | None:
    """None where no plan is in force. What cars need beyond it is not known here: `unmet_wh` is 0."""
    plan, utc = inputs.plan, inputs.now.utc_ms
    if plan is None or not plan.made_ms <= utc < plan.until_ms:
        return None
    begin = utc // STEP_MS * STEP_MS
    steps = range(begin, min(_ends(plan), begin + MOST * STEP_MS), STEP_MS)
    root = next(node.id for node in site.topology.tree.nodes if node.parent is None)
    cars = {id: [_mean(course, at) for at in steps] for id, course in plan.cars.items()}
    batteries = {id: tuple(_mean(course, at) for at in steps) for id, course in sorted(plan.batteries.items())}
    side = [planned(plan.sides, root, max(at, utc)) for at in steps]
    grid: list[int] = []
    for k, mw in enumerate(side):
        if mw is None:
            break  # without a forecast of the rest nobody knows
        grid.append(mw + sum(row[k] for row in cars.values()) + sum(row[k] for row in batteries.values()))
    return Outlook(
        made_ms=plan.made_ms,
        until_ms=plan.until_ms,
        words="the plan is in force",
        step_ms=STEP_MS,
        grid_mw=tuple(grid),
        batteries=batteries,
        cars=tuple(
            CarOutlook(
                evse=id,
                energy_wh=_energy_wh(course, utc),
                unmet_wh=0,
                words="as the plan has it",
                course=tuple((slot.from_ms, slot.until_ms, slot.power_mw) for slot in course if slot.until_ms > utc),
            )
            for id, course in sorted(plan.cars.items())
        ),
        from_ms=begin,
    )


def _ends(plan: Plan) -> int:
    courses = (*plan.cars.values(), *plan.batteries.values(), *plan.sides.values())
    return max((slot.until_ms for course in courses for slot in course), default=plan.until_ms)


def _mean(course: Course, at_ms: int) -> int:
    """Over a step; what is not planned is 0."""
    return (
        sum(slot.power_mw * max(0, min(slot.until_ms, at_ms + STEP_MS) - max(slot.from_ms, at_ms)) for slot in course)
        // STEP_MS
    )


def _energy_wh(course: Course, utc_ms: int) -> int:
    return sum(slot.power_mw * max(0, slot.until_ms - max(slot.from_ms, utc_ms)) for slot in course) // 3_600_000_000
