"""The next day: targets for cars and batteries, jointly for all circuits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilotwire.core.errors import LocalError
from pilotwire.domain.energy.topology import POWER, ROWS

from .explain import Prices, out_of_time
from .fallback import by_laxity
from .horizon import Horizon, at
from .matrix import Matrix, build, hours, weight_of, windows_of
from .model import Problem
from .repair import Room, pattern, shares_of, whole, wider
from .result import BatteryPlan, CarPlan, Plan, Shortfall, WindowPlan
from .rows import Car, Rows, battery_rows, coming, side_loads
from .solve import Solver, Unsolved, solve_exclusive

_STEPS = 1_000


def plan(problem: Problem, previous: Plan | None = None) -> Plan:
    """The cheapest plan that gives cars what they need, or as much of it as limits allow.

    Pure and synchronous, and heavy: 0.1 s to seconds, to be run beside the loop. Hard are limits, quotas, pools, what
    cars and batteries can do; energy by departure, window targets and peaks are priced, so that there always is a
    plan. Of equal plans the one that charges early and resembles `previous`. If the optimiser fails or takes too long
    the plan is one by least laxity, with `status` "fallback".

    Raises LocalError for a need, load or battery at an unknown place, two needs of one EVSE that overlap in time, and
    figures that make no sense.
    """
    _check(problem)
    horizon = Horizon(problem.now_ms, problem.options.step_ms, problem.options.steps)
    cars = [Car(need, problem.topology, horizon) for need in problem.needs]
    cars += [coming(each, problem.topology, horizon) for each in problem.expected]
    rows = Rows(problem, horizon)
    matrix = build(problem, horizon, rows, cars, _before(problem, horizon, cars, previous))
    try:
        return _optimal(problem, horizon, rows, cars, matrix)
    except Unsolved as error:
        return _fallback(problem, horizon, rows, cars[: len(problem.needs)], str(error))


def _optimal(problem: Problem, horizon: Horizon, rows: Rows, cars: list[Car], matrix: Matrix) -> Plan:
    solver = Solver(matrix, problem.options)
    pairs = [pair for two in zip(matrix.charge, matrix.discharge, strict=True) for pair in zip(*two, strict=True)]
    pairs += list(zip(matrix.import_, matrix.export, strict=True))
    answer = solve_exclusive(solver, pairs)
    prices = Prices(problem, horizon, rows, matrix, answer.duals)
    first = shares_of(matrix, answer.values)
    taken = _stored(problem, horizon, matrix, answer.values)
    on = pattern(horizon, cars, first, Room(problem, rows, cars, taken))
    settled = _with_pattern(solver, matrix, horizon, cars, on, pairs)
    unmet = {number: sum(float(settled.values[at]) for at in at_all) * 1000 for number, at_all in matrix.unmet.items()}
    by_step = [at(problem.prices.import_micro, step) for step in range(horizon.steps)]
    stored = _stored(problem, horizon, matrix, settled.values)
    more = wider(horizon, cars, on, unmet, by_step, Room(problem, rows, cars, stored))
    if len(more) > len(on):
        try:
            again = _with_pattern(solver, matrix, horizon, cars, more, pairs)
        except Unsolved:
            again = None  # the narrower pattern is good too
        if again is not None and solver.costs(again.values) < solver.costs(settled.values):
            settled, on = again, more
    values = settled.values
    shares = shares_of(matrix, values)
    ints = whole(
        problem, horizon, cars, shares, on, Room(problem, rows, cars, _stored(problem, horizon, matrix, values))
    )
    found: list[CarPlan] = []
    for number, car in enumerate(cars[: len(problem.needs)]):
        why = out_of_time(horizon, car)
        if why is None:
            why = prices.shortfall(number, car, first)
        found.append(_car(problem, horizon, number, car, ints, why, prices.free(number, car, cars)))
    return _result(problem, horizon, cars, ints, found, matrix, values, settled.iterations)


def _with_pattern(
    solver: Solver,
    matrix: Matrix,
    horizon: Horizon,
    cars: Sequence[Car],
    on: Mapping[tuple[int, int], int],
    pairs: Sequence[tuple[int, int]],
) -> Any:
    """The optimum when who is off stays off, and who is on has at least the minimum."""
    columns: list[int] = []
    low: list[float] = []
    high: list[float] = []
    least: dict[int, float] = {}
    for key, first in matrix.first.items():
        second = matrix.second.get(key)
        number, step = key
        top = [matrix.high[first], 0.0 if second is None else matrix.high[second]]
        bottom = on.get(key, 0) / 1000
        if not bottom:
            top = [0.0, 0.0]
        else:
            bottom = min(bottom, sum(top))
            least[number] = least.get(number, 0.0) + bottom * cars[number].outlet_mw / 1000 * hours(
                cars[number].presence[step]
            )
        columns.append(first)
        low.append(min(bottom, top[0]))
        high.append(top[0])
        if second is not None:
            columns.append(second)
            low.append(max(0.0, bottom - top[0]))
            high.append(top[1])
    solver.bounds(columns, low, high)
    # Which way power flows may be another one now.
    flows = sorted({column for pair in pairs for column in pair})
    solver.bounds(flows, [matrix.low[column] for column in flows], [matrix.high[column] for column in flows])
    for number, energy in matrix.energy_rows.items():
        # A last step at the minimum may be a little more than it needs: it ends by itself.
        solver.row(energy, max(cars[number].need.energy_wh / 1000, least.get(number, 0.0)))
    return solve_exclusive(solver, pairs)


def _stored(problem: Problem, horizon: Horizon, matrix: Matrix, values: Any) -> list[dict[int, int]]:
    """What batteries and curtailment take of each row, by step: rounded up."""
    found: list[dict[int, int]] = [{} for _ in range(horizon.steps)]
    voltage = problem.topology.tree.voltage_mv
    for number, battery in enumerate(problem.batteries):
        places = battery_rows(problem.topology, battery)
        for step, taken in enumerate(found):
            mw = _mw(values, matrix, number, step)
            for row, power in places:
                taken[row] = taken.get(row, 0) + (mw * 1_000 if power else -(-mw * 1_000 // (3 * voltage)))
    for (number, step), column in matrix.curtail.items():
        kw = float(values[column])
        if kw <= 1e-9:
            continue
        load = problem.loads[number]
        phases = [max(0, -ma) for ma in load.phases_ma[min(step, len(load.phases_ma) - 1)]]
        for place in problem.topology.above[load.node]:
            for phase, ma in enumerate(phases):
                row = place * ROWS + phase
                found[step][row] = found[step].get(row, 0) + int(kw * 1e9 / voltage * ma / sum(phases)) + 1
            row = place * ROWS + POWER
            found[step][row] = found[step].get(row, 0) + int(kw * 1e9) + 1
    return found


def _mw(values: Any, matrix: Matrix, battery: int, step: int) -> int:
    charge = float(values[matrix.charge[battery][step]])
    discharge = float(values[matrix.discharge[battery][step]])
    return int(charge * 1e6) - int(discharge * 1e6)


def _car(
    problem: Problem,
    horizon: Horizon,
    number: int,
    car: Car,
    ints: Mapping[tuple[int, int], int],
    why: Shortfall,
    free: tuple[int, ...],
) -> CarPlan:
    need = car.need
    micro = sum(car.outlet_mw * ints.get((number, step), 0) * ms for step, ms in enumerate(car.presence) if ms)
    energy = min(int(micro / 3_600_000_000 + 1e-6), max(0, need.energy_wh))
    unmet = max(0, need.energy_wh) - energy
    voltage = problem.topology.tree.voltage_mv
    return CarPlan(
        evse=need.evse,
        phases=problem.topology.count(car.evse, need.phases),
        unit="mW" if car.evse.current == "DC" else "mA",
        targets=tuple(car.value(ints.get((number, step), 0), voltage) for step in range(horizon.steps)),
        free=free,
        energy_wh=energy,
        unmet_wh=unmet,
        # What is smaller than a minute at the minimum is rounding.
        shortfall=why if unmet * 60 > car.outlet_mw * car.infeed_low / 1000 else None,
    )


def _result(
    problem: Problem,
    horizon: Horizon,
    cars: Sequence[Car],
    ints: Mapping[tuple[int, int], int],
    found: list[CarPlan],
    matrix: Matrix | None,
    values: Any,
    iterations: int,
    why: str = "",
) -> Plan:
    voltage = problem.topology.tree.voltage_mv
    root = next(node.id for node in problem.topology.tree.nodes if node.parent is None)
    sides = side_loads(problem, horizon).get(root)
    grid = [sum(sides[step]) * voltage // 1_000 if sides else 0 for step in range(horizon.steps)]
    for (number, step), ma in ints.items():
        grid[step] += int(cars[number].power_mw * ma * cars[number].presence[step] / horizon.lasts(step))
    batteries: list[BatteryPlan] = []
    curtailed = [0] * horizon.steps
    for number, battery in enumerate(problem.batteries):
        points = (
            [0] * horizon.steps if matrix is None else [_mw(values, matrix, number, s) for s in range(horizon.steps)]
        )
        share = max(1, min(1000, battery.efficiency)) / 1000
        level = float(battery.level_wh)
        levels: list[int] = []
        for step, mw in enumerate(points):
            grid[step] += mw
            level += (mw * share if mw > 0 else mw / share) / 1000 * hours(horizon.lasts(step))
            levels.append(int(level))
        batteries.append(BatteryPlan(id=battery.id, set_points_mw=tuple(points), levels_wh=tuple(levels)))
    if matrix is not None:
        for (_, step), column in matrix.curtail.items():
            curtailed[step] += int(float(values[column]) * 1e6)
        for step, mw in enumerate(curtailed):
            grid[step] += mw
    windows, peaks = _window_plans(problem, horizon, grid)
    return Plan(
        now_ms=horizon.now_ms,
        starts_ms=horizon.starts_ms,
        step_ms=horizon.step_ms,
        steps=horizon.steps,
        cars=tuple(found),
        batteries=tuple(batteries),
        windows=tuple(windows),
        grid_mw=tuple(grid),
        curtailed_mw=tuple(curtailed),
        peaks_mw=tuple(peaks),
        cost_micro=_cost(problem, horizon, grid, peaks),
        status="optimal" if matrix is not None else "fallback",
        why=why,
        iterations=iterations,
    )


def _window_plans(problem: Problem, horizon: Horizon, grid: Sequence[int]) -> tuple[list[WindowPlan], list[int]]:
    windows: list[WindowPlan] = []
    peaks: list[int] = []
    for number, window in enumerate(problem.windows):
        peak = window.incumbent_mw
        for begins, ends, steps in windows_of(problem, horizon, number):
            energy = window.so_far_wh if begins <= horizon.now_ms < ends else 0
            # mW · ms / 3.6e9 is Wh
            energy += sum(max(0, grid[step]) * horizon.lasts(step) for step in steps) // 3_600_000_000
            average = int(energy * 3_600_000_000 // (ends - begins) * weight_of(problem, number, steps[0]))
            target = window.target_mw
            above = 0 if target is None else max(0, energy - target * (ends - begins) // 3_600_000_000)
            windows.append(
                WindowPlan(
                    window=number, from_ms=begins, until_ms=ends, energy_wh=energy, average_mw=average,
                    target_mw=target, excess_wh=above,
                )
            )  # fmt: skip
            peak = max(peak, average)
        peaks.append(peak)
    return windows, peaks


def _cost(problem: Problem, horizon: Horizon, grid: Sequence[int], peaks: Sequence[int]) -> int:
    cost = 0
    for step, mw in enumerate(grid):
        price = at(problem.prices.import_micro if mw > 0 else problem.prices.export_micro, step)
        cost += mw * horizon.lasts(step) * price // 3_600_000_000_000
    for window, peak in zip(problem.windows, peaks, strict=True):
        cost += (peak - window.incumbent_mw) * window.peak_micro // 1_000_000
    return cost


def _fallback(problem: Problem, horizon: Horizon, rows: Rows, cars: list[Car], why: str) -> Plan:
    ints = by_laxity(problem, horizon, rows, cars)
    free = tuple(1 for _ in range(horizon.steps))
    found: list[CarPlan] = []
    for number, car in enumerate(cars):
        reason = out_of_time(horizon, car) or Shortfall(code="shared")
        found.append(_car(problem, horizon, number, car, ints, reason, free))
    return _result(problem, horizon, cars, ints, found, None, None, 0, why)


def _before(
    problem: Problem, horizon: Horizon, cars: Sequence[Car], previous: Plan | None
) -> dict[tuple[int, int], int]:
    """mA that the plan before had for (car, step); empty without one that is about the same time."""
    found: dict[tuple[int, int], int] = {}
    if previous is None or previous.step_ms != horizon.step_ms:
        return found
    shift = (horizon.starts_ms - previous.starts_ms) // horizon.step_ms
    if not 0 <= shift < previous.steps:
        return found
    known = {car.evse: car.targets for car in previous.cars}
    voltage = problem.topology.tree.voltage_mv
    for number, car in enumerate(cars):
        targets = known.get(car.need.evse, ())
        for step in range(min(horizon.steps, len(targets) - shift)):
            value = targets[step + shift]
            if value and car.presence[step]:
                found[number, step] = car.infeed(value, voltage)
    return found


def _check(problem: Problem) -> None:
    topology, options = problem.topology, problem.options
    if not 1 <= options.steps <= _STEPS or options.step_ms < 60_000:
        raise LocalError(f"a plan of {options.steps} steps of {options.step_ms} ms: 1 to {_STEPS}, a minute at least")
    if options.seconds < 1 or options.iterations < 1:
        raise LocalError("a plan needs a second and an iteration at least")
    times: dict[str, list[tuple[int, int]]] = {}
    for need in problem.needs:
        if need.evse not in topology.evses:
            raise LocalError(f"a need of EVSE {need.evse}, which is not in the tree")
        if need.pool is not None and need.pool not in problem.pools_mw:
            raise LocalError(f"the need of EVSE {need.evse} is of pool {need.pool}, which has no budget")
        since = problem.now_ms if need.arrival_ms is None else max(problem.now_ms, need.arrival_ms)
        until = since + _STEPS * options.step_ms if need.departure_ms is None else need.departure_ms
        if any(since < end and begin < until for begin, end in times.get(need.evse, ())):
            raise LocalError(f"two needs of EVSE {need.evse} at one time: only one car can be there")
        times.setdefault(need.evse, []).append((since, until))
    for what, node in [
        *((f"load {load.id}", load.node) for load in problem.loads),
        *((f"battery {battery.id}", battery.node) for battery in problem.batteries),
        *(("what is expected", expected.node) for expected in problem.expected),
    ]:
        if node not in topology.places:
            raise LocalError(f"{what} is at {node}, which is not in the tree")
    for battery in problem.batteries:
        if battery.level_wh < 0 or battery.capacity_wh < 0 or not 0 < battery.efficiency <= 1000:
            raise LocalError(f"battery {battery.id}: level and capacity cannot be negative, efficiency is 1 to 1000")
    for expected in problem.expected:
        if expected.power_mw < 0 or expected.energy_wh < 0:
            raise LocalError(f"what is expected at {expected.node}: energy and power cannot be negative")
    for window in problem.windows:
        if window.minutes < 1 or window.peak_micro < 0 or window.excess_micro < 0 or window.so_far_wh < 0:
            raise LocalError(f"a window of {window.minutes} minutes: lengths, prices and energy cannot be negative")
