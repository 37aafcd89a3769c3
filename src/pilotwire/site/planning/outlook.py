"""A plan in the words of `domain.seen`, and as a table on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any

from pilotwire.domain.energy import Topology
from pilotwire.domain.planning import CarPlan, Need, Plan, Shortfall
from pilotwire.domain.seen import CarOutlook, Outlook
from pilotwire.domain.tariffs.clock import local

from .record import Record, problem_of

_WHY: Mapping[str, str] = {
    "gone": "it has left, or its time is over",
    "time": "it cannot take so much in the time that it has",
    "window": "a demand window would go above its target, or a new peak would cost more than its energy is worth",
    "price": "its energy is worth less than it costs",
    "shared": "others came first where it was short",
}


def shortfall_words(why: Shortfall | None) -> str:
    """Why a car goes without; "" where it does not."""
    if why is None:
        return ""
    if why.code in ("limit", "quota"):
        return f"{why.what} of {why.place} carries no more ({why.source})"
    if why.code == "pool":
        return f"the surplus {why.place} is shared out"
    return _WHY[why.code]


def outlook_of(record: Record, plan: Plan, until_ms: int, words: str) -> Outlook:
    """As people and programs want to see it."""
    problem = problem_of(record)
    steered = set(record.steered)
    cars: list[CarOutlook] = []
    for need, car in zip(problem.needs, plan.cars, strict=True):
        cars.append(
            CarOutlook(
                evse=car.evse,
                energy_wh=car.energy_wh,
                # What has no reason is rounding.
                unmet_wh=0 if car.shortfall is None else car.unmet_wh,
                words=_words(record, need, car, steered),
                course=_course(problem.topology, plan, car),
            )
        )
    return Outlook(
        made_ms=plan.now_ms,
        until_ms=until_ms,
        words=words,
        step_ms=plan.step_ms,
        from_ms=plan.starts_ms,
        grid_mw=plan.grid_mw,
        batteries={each.id: each.set_points_mw for each in plan.batteries},
        cars=tuple(cars),
    )


def _words(record: Record, need: Need, car: CarPlan, steered: set[str]) -> str:
    said: list[str] = []
    if car.unmet_wh and car.shortfall is not None:
        said.append(shortfall_words(car.shortfall))
    basis = record.basis.get(car.evse)
    if basis is not None:
        said.append(f"energy {basis.energy}; leaves {basis.departure}")
    if car.evse not in steered:
        said.append("reckoned with, not steered by the plan")
    return "; ".join(said)


def grid_mw(topology: Topology, car: CarPlan, value: int) -> int:
    """What a target draws from the grid."""
    if car.unit == "mW":
        return value * 1_000 // topology.evses[car.evse].efficiency
    return value * topology.tree.voltage_mv * car.phases // 1_000


def _course(topology: Topology, plan: Plan, car: CarPlan) -> tuple[tuple[int, int, int], ...]:
    """(from, until, mW), equal neighbours as one, without those in which nothing is planned."""
    found: list[tuple[int, int, int]] = []
    for step, value in enumerate(car.targets):
        if not value:
            continue
        begin = max(plan.now_ms, plan.starts_ms + step * plan.step_ms)
        end = plan.starts_ms + (step + 1) * plan.step_ms
        mw = grid_mw(topology, car, value)
        if found and found[-1][1] == begin and found[-1][2] == mw:
            found[-1] = (found[-1][0], end, mw)
        else:
            found.append((begin, end, mw))
    return tuple(found)


def quarters_of(record: Record, plan: Plan) -> list[tuple[int, int, int, int, int]]:
    """(from, until, grid, cars, batteries) in mW of each step, for plan against outcome."""
    topology = problem_of(record).topology
    found: list[tuple[int, int, int, int, int]] = []
    for step in range(plan.steps):
        begin = plan.starts_ms + step * plan.step_ms
        cars = sum(grid_mw(topology, car, car.targets[step]) for car in plan.cars)
        batteries = sum(each.set_points_mw[step] for each in plan.batteries)
        found.append((begin, begin + plan.step_ms, plan.grid_mw[step], cars, batteries))
    return found


def data_of(record: Record, plan: Plan) -> dict[str, Any]:
    """For programs: `pilotwire site plan --json`. Figures in mW, Wh, ms of UTC and millionths of the currency."""
    problem = problem_of(record)
    return {
        "site": record.site,
        "made_ms": plan.now_ms,
        "step_ms": plan.step_ms,
        "from_ms": plan.starts_ms,
        "status": plan.status,
        "words": [*record.words, *([plan.why] if plan.why else [])],
        "cost_micro": plan.cost_micro,
        "grid_mw": list(plan.grid_mw),
        "batteries": {each.id: list(each.set_points_mw) for each in plan.batteries},
        "peaks_mw": dict(zip(record.windows_of, plan.peaks_mw, strict=True)),
        "cars": [
            {
                "evse": car.evse,
                "departure_ms": need.departure_ms,
                "needs_wh": need.energy_wh,
                "energy_wh": car.energy_wh,
                "unmet_wh": 0 if car.shortfall is None else car.unmet_wh,
                "why": shortfall_words(car.shortfall),
                "steered": car.evse in record.steered,
                "basis": None if (basis := record.basis.get(car.evse)) is None
                else {"energy": basis.energy, "departure": basis.departure},
                "course": [list(each) for each in _course(problem.topology, plan, car)],
            }
            for need, car in zip(problem.needs, plan.cars, strict=True)
        ],
        "expected": [
            {
                "node": each.node, "energy_wh": each.energy_wh, "arrival_ms": each.arrival_ms,
                "departure_ms": each.departure_ms, "power_mw": each.power_mw,
            }
            for each in record.expected
        ],
    }  # fmt: skip


def _clock(at_ms: int | None, zone: tzinfo) -> str:
    return "" if at_ms is None else local(at_ms, zone).strftime("%a %H:%M")


def _kw(mw: int) -> str:
    return f"{mw / 1_000_000:.1f}"


def _rows(rows: list[tuple[str, ...]]) -> list[str]:
    """Columns under one another, the first to the left and figures to the right."""
    widths = [max(len(row[at]) for row in rows) for at in range(len(rows[0]))]
    lines: list[str] = []
    for row in rows:
        cells = [
            cell.ljust(width) if at in (0, len(row) - 1) else cell.rjust(width)
            for at, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return lines


def table_of(record: Record, plan: Plan, zone: tzinfo) -> list[str]:
    """For a terminal: hour by hour what flows, car by car what it gets and why not all."""
    problem = problem_of(record)
    made = local(plan.now_ms, zone).strftime("%Y-%m-%d %H:%M")
    how = "optimal" if plan.status == "optimal" else f"by least laxity: {plan.why}"
    lines = [f"{record.site}: plan made {made}, {plan.steps * plan.step_ms // 3_600_000} h ahead, {how}"]
    lines += [f"  mind: {words}" for words in record.words]
    names = [each.id for each in plan.batteries]
    rows: list[tuple[str, ...]] = [("", "import price", "grid kW", "cars kW", *(f"{id} kW" for id in names), "")]
    prices = record.prices.import_micro
    per_hour = max(1, 3_600_000 // plan.step_ms)
    for first in range(0, plan.steps, per_hour):
        steps = range(first, min(first + per_hour, plan.steps))
        count = len(steps)
        cars = sum(grid_mw(problem.topology, car, car.targets[step]) for car in plan.cars for step in steps) // count
        price = sum(prices[min(step, len(prices) - 1)] for step in steps) // count if prices else None
        batteries = [_kw(sum(each.set_points_mw[step] for step in steps) // count) for each in plan.batteries]
        rows.append(
            (
                _clock(plan.starts_ms + first * plan.step_ms, zone),
                "" if price is None else f"{price / 1_000_000:.4f}",
                _kw(sum(plan.grid_mw[step] for step in steps) // count),
                _kw(cars),
                *batteries,
                "",
            )
        )
    lines += ["", *_rows(rows), ""]
    if record.expected:
        kwh = sum(each.energy_wh for each in record.expected) / 1_000
        first = _clock(min(each.arrival_ms for each in record.expected), zone)
        lines += [f"{kwh:.1f} kWh are kept room for: cars that come on days like this, from {first} on", ""]
    if not plan.cars:
        return [*lines, "no car is there that wants energy"]
    cars_rows: list[tuple[str, ...]] = [("", "until", "needs kWh", "gets kWh", "at", "")]
    for need, car in zip(problem.needs, plan.cars, strict=True):
        course = _course(problem.topology, plan, car)
        begin = _clock(course[0][0], zone) if course else ""
        said: list[str] = []
        if car.unmet_wh and car.shortfall is not None:
            said.append(f"not all: {shortfall_words(car.shortfall)}")
        basis = record.basis.get(car.evse)
        if basis is not None:
            said.append(f"energy {basis.energy}; leaves {basis.departure}")
        if car.evse not in record.steered:
            said.append("not steered by the plan")
        cars_rows.append(
            (
                car.evse,
                _clock(need.departure_ms, zone),
                f"{need.energy_wh / 1_000:.1f}",
                f"{car.energy_wh / 1_000:.1f}",
                begin,
                "; ".join(said),
            )
        )
    return [*lines, *_rows(cars_rows)]
