"""The linear programme of a plan, as arrays for HiGHS, without a modelling layer between.

Columns are what is decided: current of each car in each step that it is there (A per phase of the grid side), charge,
discharge and level of batteries (kW, kWh), curtailment (kW), import and export (kW), what windows go above (kWh), peaks
(kW), and what each car goes without (kWh, in three parts of which the last costs a little more, so that a shortage is
shared). Rows are limits, energies and balances. Money is in hundredths of the currency.

It always has a solution: all cars, batteries and curtailment at rest. A limit that side loads alone exceed may be
exceeded by just that, dearly, so that nothing but a battery's discharge has business there.
"""

from __future__ import annotations

from typing import Any

from pilotwire.domain.energy.topology import PAIRS, POWER, ROWS

from .horizon import Horizon, at
from .model import Problem
from .rows import Car, Rows, battery_rows, pool_mw, side_loads

CENT = 1e-4
"""Micro to hundredths."""
OVER_CENT = 1e5
"""For each A or kW by which a limit is exceeded by side loads; nothing else costs as much."""
PARTS = (1.0, 1.01, 1.02)
CURTAIL_CENT = 0.01
"""For each kWh: curtailed only where that is good for something."""


class Matrix:
    """`build` makes one. Columns and rows are appended; `arrays` gives what HiGHS takes."""

    def __init__(self) -> None:
        self.cost: list[float] = []
        self.low: list[float] = []
        self.high: list[float] = []
        self.row_low: list[float] = []
        self.row_high: list[float] = []
        self.entries: list[tuple[Any, Any, Any]] = []
        """(rows, columns, values), arrays of equal length each."""
        self._single: tuple[list[int], list[int], list[float]] = ([], [], [])
        self.first: dict[tuple[int, int], int] = {}
        """Of (car, step): its column."""
        self.second: dict[tuple[int, int], int] = {}
        """Of (car, step): the column of what goes above the plan before."""
        self.limit_rows: list[tuple[int, int, int]] = []
        """(row of the matrix, row of the tree, step)."""
        self.energy_rows: dict[int, int] = {}
        self.unmet: dict[int, tuple[int, ...]] = {}
        self.pool_rows: dict[int, tuple[str, int]] = {}
        self.balance: list[int] = []
        self.import_: list[int] = []
        self.export: list[int] = []
        self.charge: list[list[int]] = []
        self.discharge: list[list[int]] = []
        self.levels: list[list[int]] = []
        self.curtail: dict[tuple[int, int], int] = {}
        self.window_rows: dict[int, int] = {}
        """Of rows of targets and peaks: the problem's window."""

    def column(self, cost: float, low: float, high: float) -> int:
        """One more decision."""
        self.cost.append(cost)
        self.low.append(low)
        self.high.append(high)
        return len(self.cost) - 1

    def row(self, low: float, high: float) -> int:
        """One more constraint, empty."""
        self.row_low.append(low)
        self.row_high.append(high)
        return len(self.row_low) - 1

    def put(self, row: int, column: int, value: float) -> None:
        """One entry."""
        rows, columns, values = self._single
        rows.append(row)
        columns.append(column)
        values.append(value)

    def arrays(self) -> tuple[Any, Any, Any]:
        """CSC: (starts, row indices, values)."""
        import numpy as np

        rows, columns, values = self._single
        all_rows = np.concatenate([each[0] for each in self.entries] + [np.array(rows, dtype=np.int32)])
        all_columns = np.concatenate([each[1] for each in self.entries] + [np.array(columns, dtype=np.int32)])
        all_values = np.concatenate([each[2] for each in self.entries] + [np.array(values, dtype=np.double)])
        order = np.lexsort((all_rows, all_columns))
        counts = np.bincount(all_columns, minlength=len(self.cost))
        starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
        return starts, all_rows[order].astype(np.int32), all_values[order].astype(np.double)


def build(
    problem: Problem, horizon: Horizon, rows: Rows, cars: list[Car], before: dict[tuple[int, int], int]
) -> Matrix:
    """`before`: mA of infeed that the plan before had, by (car, step)."""
    made = Matrix()
    _cars(made, problem, horizon, cars, before)
    _batteries(made, problem, horizon)
    _curtailment(made, problem, horizon)
    _limits(made, problem, horizon, rows, cars)
    _pools(made, problem, horizon, cars)
    _balance(made, problem, horizon, cars)
    _windows(made, problem, horizon)
    return made


def hours(ms: int) -> float:
    """Of a time in ms."""
    return ms / 3_600_000


def worth_cent(problem: Problem, car: Car) -> float:
    """Hundredths for each kWh that a car gets."""
    need = car.need
    worth = need.worth_micro
    if worth is None:
        worth = problem.options.worth_micro * (1 + max(0, min(need.priority, 9)))
    return worth * CENT


def _cars(
    made: Matrix, problem: Problem, horizon: Horizon, cars: list[Car], before: dict[tuple[int, int], int]
) -> None:
    options = problem.options
    for number, car in enumerate(cars):
        if not car.infeed_high:
            continue
        energy = made.row(car.need.energy_wh / 1000, car.need.energy_wh / 1000)
        made.energy_rows[number] = energy
        top = car.infeed_high / 1000
        for step, present in enumerate(car.presence):
            if not present:
                continue
            kwh = car.outlet_mw / 1000 * hours(present)
            late = hours(horizon.begins(step) - horizon.now_ms)
            cost = kwh * options.early_micro * CENT * late
            change = kwh * options.change_micro * CENT
            was = min(before.get((number, step), 0), car.infeed_high) / 1000
            if was:
                # Two columns: up to what was planned before, and above it. Going down costs by not earning the first's.
                made.first[number, step] = made.column(cost - change, 0.0, was)
                made.put(energy, made.first[number, step], kwh)
            if was < top:
                column = made.column(cost + (change if before else 0.0), 0.0, top - was)
                made.put(energy, column, kwh)
                (made.second if was else made.first)[number, step] = column
        worth = worth_cent(problem, car)
        third = car.need.energy_wh / 1000 / len(PARTS)
        made.unmet[number] = tuple(made.column(worth * part, 0.0, third) for part in PARTS)
        for column in made.unmet[number]:
            made.put(energy, column, 1.0)


def _batteries(made: Matrix, problem: Problem, horizon: Horizon) -> None:
    prices = problem.prices.import_micro
    mean = sum(at(prices, step) for step in range(horizon.steps)) / horizon.steps
    for battery in problem.batteries:
        share = max(1, min(1000, battery.efficiency)) / 1000
        worth = mean * share if battery.end_worth_micro is None else battery.end_worth_micro
        bottom = min(battery.reserve_wh, battery.level_wh) / 1000
        top = max(battery.capacity_wh, battery.level_wh) / 1000
        charge: list[int] = []
        discharge: list[int] = []
        levels: list[int] = []
        for step in range(horizon.steps):
            lasts = hours(horizon.lasts(step))
            wear = battery.wear_micro * CENT * lasts
            # Later is a trifle cheaper to discharge and earlier to charge, so that equal plans are one plan.
            trifle = problem.options.early_micro * CENT * lasts * hours(horizon.begins(step) - horizon.now_ms) / 100
            charge.append(made.column(trifle, 0.0, max(0, battery.charge_mw) / 1e6))
            discharge.append(made.column(wear - trifle, 0.0, max(0, battery.discharge_mw) / 1e6))
            last = step == horizon.steps - 1
            levels.append(made.column(-worth * CENT if last else 0.0, bottom, top))
            known = battery.level_wh / 1000 if not step else 0.0
            row = made.row(known, known)
            made.put(row, levels[-1], 1.0)
            if step:
                made.put(row, levels[-2], -1.0)
            made.put(row, charge[-1], -lasts * share)
            made.put(row, discharge[-1], lasts / share)
        made.charge.append(charge)
        made.discharge.append(discharge)
        made.levels.append(levels)


def _curtailment(made: Matrix, problem: Problem, horizon: Horizon) -> None:
    voltage = problem.topology.tree.voltage_mv
    for number, load in enumerate(problem.loads):
        if not load.curtailable or not load.phases_ma:
            continue
        for step in range(horizon.steps):
            phases = load.phases_ma[min(step, len(load.phases_ma) - 1)]
            fed = -sum(min(0, ma) for ma in phases) * voltage / 1e9
            if fed > 0:
                made.curtail[number, step] = made.column(CURTAIL_CENT * hours(horizon.lasts(step)), 0.0, fed)


def _limits(made: Matrix, problem: Problem, horizon: Horizon, rows: Rows, cars: list[Car]) -> None:
    """Only rows that could be exceeded; of those in which all count alike, only the tightest."""
    import numpy as np

    topology = problem.topology
    voltage = topology.tree.voltage_mv
    known = sorted({row for left in rows.left for row in left})
    place = {row: number for number, row in enumerate(known)}
    share = np.zeros((len(known), len(cars)))
    for number, car in enumerate(cars):
        for row, each in car.terms:
            if row in place:
                share[place[row], number] = each / 1e6 if row % ROWS == POWER else 1.0
    storing = np.zeros((len(known), len(problem.batteries)))
    for number, battery in enumerate(problem.batteries):
        for row, power in battery_rows(topology, battery):
            if row in place:
                storing[place[row], number] = 1.0 if power else 1e6 / 3 / voltage
    loads = sorted({number for number, _ in made.curtail})
    alike = np.concatenate([share, storing], axis=1)
    groups: dict[bytes, int] = {}
    kind = np.array([groups.setdefault(alike[row].tobytes(), len(groups)) for row in range(len(known))], dtype=int)
    if loads:
        kind = np.arange(len(known))  # curtailment counts phase by phase
    by_step: list[tuple[list[int], list[int]]] = [([], []) for _ in range(horizon.steps)]
    for columns in (made.first, made.second):
        for (number, step), column in columns.items():
            by_step[step][0].append(column)
            by_step[step][1].append(number)
    tops = np.array([car.infeed_high / 1000 for car in cars])
    charging = np.array([max(0, battery.charge_mw) / 1e6 for battery in problem.batteries])
    for step in range(horizon.steps):
        columns = np.array(by_step[step][0], dtype=np.int32)
        numbers = np.array(by_step[step][1], dtype=int)
        there = np.zeros(len(cars))
        there[numbers] = tops[numbers]
        most = share @ there + storing @ charging
        left = np.array([_unit(row, rows.left[step][row]) if row in rows.left[step] else np.inf for row in known])
        cuts = [(number, made.curtail[number, step]) for number in loads if (number, step) in made.curtail]
        adds = [np.array([_cut(problem, number, step, row) for row in known]) for number, _ in cuts]
        for (_, column), add in zip(cuts, adds, strict=True):
            most += np.maximum(add, 0.0) * made.high[column]
        wanted = np.nonzero((most > left - 1e-9) & np.isfinite(left))[0]
        if not len(wanted):
            continue
        best: dict[int, int] = {}
        for row in wanted:
            other = best.get(int(kind[row]))
            if other is None or left[row] < left[other]:
                best[int(kind[row])] = int(row)
        chosen = np.array(sorted(best.values()), dtype=int)
        base = len(made.row_low)
        for row in chosen:
            room = float(left[row])
            mine = made.row(-np.inf, room)
            made.limit_rows.append((mine, known[int(row)], step))
            if room < 0:
                made.put(mine, made.column(OVER_CENT, 0.0, -room), -1.0)
            for number in range(len(problem.batteries)):
                if storing[row, number]:
                    made.put(mine, made.charge[number][step], float(storing[row, number]))
                    made.put(mine, made.discharge[number][step], -float(storing[row, number]))
            for (_, column), add in zip(cuts, adds, strict=True):
                if add[row]:
                    made.put(mine, column, float(add[row]))
        part = share[chosen][:, numbers]
        at_row, at_column = np.nonzero(part)
        made.entries.append(((base + at_row).astype(np.int32), columns[at_column], part[at_row, at_column]))


def _unit(row: int, value: int) -> float:
    return value / 1e9 if row % ROWS == POWER else value / 1000


def _cut(problem: Problem, number: int, step: int, row: int) -> float:
    """What 1 kW less of a generator's power adds to a row."""
    load = problem.loads[number]
    topology = problem.topology
    if row // ROWS not in topology.above[load.node]:
        return 0.0
    kind = row % ROWS
    if kind == POWER:
        return 1.0
    phases = [max(0, -ma) for ma in load.phases_ma[min(step, len(load.phases_ma) - 1)]]
    each = [ma / sum(phases) * 1e6 / topology.tree.voltage_mv for ma in phases]
    if kind < POWER:
        return each[kind]
    a, b = PAIRS[kind - POWER - 1]
    return each[a] - each[b]


def _pools(made: Matrix, problem: Problem, horizon: Horizon, cars: list[Car]) -> None:
    for pool in sorted(problem.pools_mw):
        for step in range(horizon.steps):
            members = [number for number, car in enumerate(cars) if car.need.pool == pool]
            members = [number for number in members if (number, step) in made.first]
            if not members:
                continue
            row = made.row(-float("inf"), pool_mw(problem, pool, step) / 1e6)
            made.pool_rows[row] = (pool, step)
            for number in members:
                for columns in (made.first, made.second):
                    if (number, step) in columns:
                        made.put(row, columns[number, step], cars[number].power_mw / 1000)


def _balance(made: Matrix, problem: Problem, horizon: Horizon, cars: list[Car]) -> None:
    """Import less export is what cars, batteries and everything else take; mean power of the step."""
    import numpy as np

    sides = side_loads(problem, horizon)
    root = next(node.id for node in problem.topology.tree.nodes if node.parent is None)
    voltage = problem.topology.tree.voltage_mv
    most_in = sum(car.infeed_high * car.power_mw / 1e6 for car in cars)
    most_in += sum(max(0, battery.charge_mw) / 1e6 for battery in problem.batteries)
    most_out = sum(max(0, battery.discharge_mw) / 1e6 for battery in problem.batteries)
    for step in range(horizon.steps):
        lasts = hours(horizon.lasts(step))
        side = sum(sides[root][step]) * voltage / 1e9 if root in sides else 0.0
        cut = [made.curtail[key] for key in made.curtail if key[1] == step]
        top = max(0.0, side + most_in + sum(made.high[column] for column in cut))
        bottom = max(0.0, most_out - side)
        feed_in = bottom if problem.feed_in_mw is None else min(bottom, max(0, problem.feed_in_mw) / 1e6)
        made.import_.append(made.column(at(problem.prices.import_micro, step) * CENT * lasts, 0.0, top))
        made.export.append(made.column(-at(problem.prices.export_micro, step) * CENT * lasts, 0.0, feed_in))
        row = made.row(side, side)
        made.balance.append(row)
        made.put(row, made.import_[-1], 1.0)
        made.put(row, made.export[-1], -1.0)
        if feed_in < bottom:
            # What is fed in though it may not be and nothing can be cut down: as dear as a limit.
            made.put(row, made.column(OVER_CENT, 0.0, bottom - feed_in), -1.0)
        for column in cut:
            made.put(row, column, -1.0)
        for number in range(len(problem.batteries)):
            made.put(row, made.charge[number][step], -1.0)
            made.put(row, made.discharge[number][step], 1.0)
    for columns in (made.first, made.second):
        if not columns:
            continue
        keys = np.array(list(columns), dtype=int)
        power = np.array([car.power_mw / 1000 for car in cars])
        part = np.array([cars[n].presence[t] / horizon.lasts(t) for n, t in columns])
        rows = np.array(made.balance, dtype=np.int32)[keys[:, 1]]
        made.entries.append((rows, np.array(list(columns.values()), dtype=np.int32), -power[keys[:, 0]] * part))


def windows_of(problem: Problem, horizon: Horizon, number: int) -> list[tuple[int, int, list[int]]]:
    """(from, until, steps) of each demand window; a window shorter than a step is as long as the step."""
    window = problem.windows[number]
    length = max(window.minutes * 60_000, horizon.step_ms)
    found: dict[int, list[int]] = {}
    for step in range(horizon.steps):
        begins = horizon.starts_ms + step * horizon.step_ms - window.offset_ms
        found.setdefault(begins - begins % length + window.offset_ms, []).append(step)
    return [(begin, begin + length, steps) for begin, steps in sorted(found.items())]


def weight_of(problem: Problem, number: int, step: int) -> float:
    """How much a window that begins in this step counts."""
    weights = problem.windows[number].weights
    return at(weights, step) / 1000 if weights else 1.0


def _windows(made: Matrix, problem: Problem, horizon: Horizon) -> None:
    for number, window in enumerate(problem.windows):
        peak = made.column(window.peak_micro * CENT, max(0, window.incumbent_mw) / 1e6, float("inf"))
        fresh = None
        if window.resets_ms is not None:
            fresh = made.column(window.peak_micro * CENT, max(0, window.floor_mw) / 1e6, float("inf"))
        for begins, ends, steps in windows_of(problem, horizon, number):
            length = hours(ends - begins)
            so_far = window.so_far_wh / 1000 if begins <= horizon.now_ms < ends else 0.0
            counts: list[int] = []
            if window.target_mw is not None:
                room = max(0, window.target_mw) / 1e6 * length - so_far
                counts.append(made.row(-float("inf"), room))
                made.put(counts[-1], made.column(window.excess_micro * CENT, 0.0, float("inf")), -1.0)
            weight = weight_of(problem, number, steps[0])
            if window.peak_micro > 0 and weight > 0:
                counts.append(made.row(-float("inf"), -so_far))
                of = (
                    fresh if fresh is not None and window.resets_ms is not None and begins >= window.resets_ms else peak
                )
                made.put(counts[-1], of, -length / weight)
            for row in counts:
                made.window_rows[row] = number
                for step in steps:
                    made.put(row, made.import_[step], hours(horizon.lasts(step)))
