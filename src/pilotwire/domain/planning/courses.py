"""A plan in the words of steering, which reads it tick by tick."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pilotwire.domain.energy import Topology
from pilotwire.domain.steering import Course, Slot
from pilotwire.domain.steering import Plan as SteeringPlan

from .horizon import Horizon
from .model import Problem
from .reference import STALE_MS
from .result import CarPlan, Plan
from .rows import side_loads


def courses(problem: Problem, made: Plan, windows: Sequence[str] = (), stale_ms: int = STALE_MS) -> SteeringPlan:
    """`made` (of `problem`) for `steer`. `windows`: the steering's ids of the problem's windows, in their order.

    Where a car may take more than its target at no cost (`CarPlan.free`) nothing is said of it: then it is steered by
    its mode, and shares what there is by the policy. Elsewhere it is held at its target, or waits. The same holds for
    steps in which no car is planned for its EVSE. A window's peak is said where a peak has a price: up to there it has
    been paid for or is worth it.
    """
    horizon = Horizon(made.now_ms, made.step_ms, made.steps)
    cars: dict[str, list[Slot]] = {}
    for need, car in zip(problem.needs, made.cars, strict=True):
        cars.setdefault(car.evse, []).extend(_car(problem.topology, horizon, car, need.departure_ms))
    batteries = {each.id: _course(horizon, each.set_points_mw) for each in made.batteries}
    peaks: dict[str, Course] = {}
    for number, id in enumerate(windows):
        if problem.windows[number].peak_micro > 0:
            peaks[id] = (Slot(horizon.now_ms, horizon.ends_ms, made.peaks_mw[number]),)
    voltage = problem.topology.tree.voltage_mv
    sides = {
        node: _course(horizon, (sum(ma) * voltage // 1_000 for ma in by_step))
        for node, by_step in side_loads(problem, horizon).items()
    }
    return SteeringPlan(
        made_ms=made.now_ms,
        until_ms=min(made.now_ms + stale_ms, horizon.ends_ms),
        cars={id: tuple(sorted(slots, key=lambda slot: slot.from_ms)) for id, slots in cars.items() if slots},
        batteries=batteries,
        peaks=peaks,
        sides=sides,
    )


def _car(topology: Topology, horizon: Horizon, car: CarPlan, departure_ms: int | None) -> list[Slot]:
    evse = topology.evses[car.evse]
    found: list[Slot] = []
    for step, value in enumerate(car.targets):
        if car.free[step] or (departure_ms is not None and horizon.begins(step) >= departure_ms):
            continue
        if car.unit == "mW":
            mw = -(-value * 1_000 // evse.efficiency)
        else:
            mw = -(-value * topology.tree.voltage_mv * car.phases // 1_000)
        found.append(Slot(horizon.begins(step), horizon.ends(step), mw))
    return found


def _course(horizon: Horizon, values: Iterable[int]) -> Course:
    return tuple(Slot(horizon.begins(step), horizon.ends(step), value) for step, value in enumerate(values))
