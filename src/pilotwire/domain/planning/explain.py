"""Why a car goes without: the prices that the optimum puts on limits say which of them keeps it back most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilotwire.domain.energy.topology import POWER, ROWS

from .horizon import Horizon, at
from .matrix import CENT, Matrix, hours
from .model import Problem
from .result import Shortfall
from .rows import Car, Rows

_TRIFLE = 1e-6


def out_of_time(horizon: Horizon, car: Car) -> Shortfall | None:
    """If it has left, or could not be given all that it needs by an empty site."""
    if not any(car.presence):
        return Shortfall(code="gone")
    most = sum(car.outlet_mw * car.infeed_high * ms for ms in car.presence) / 3_600_000_000
    return Shortfall(code="time") if most < car.need.energy_wh else None


class Prices:
    """The duals of an optimum: what a little more of each limit would be worth."""

    def __init__(self, problem: Problem, horizon: Horizon, rows: Rows, matrix: Matrix, duals: Any) -> None:
        self._problem, self._horizon, self._rows, self._matrix, self._duals = problem, horizon, rows, matrix, duals
        self._limits: list[dict[int, float]] = [{} for _ in range(horizon.steps)]
        for mine, row, step in matrix.limit_rows:
            price = -float(duals[mine])
            if price > _TRIFLE:
                self._limits[step][row] = price
        self._pools: dict[tuple[str, int], float] = {
            key: max(0.0, -float(duals[mine])) for mine, key in matrix.pool_rows.items()
        }

    def shortfall(self, number: int, car: Car, shares: Mapping[tuple[int, int], float]) -> Shortfall:
        """What kept a car back most, over all steps in which it could have had more."""
        blame: dict[tuple[str, int | str], float] = {}
        sources: dict[int, str] = {}
        for step, present in enumerate(car.presence):
            if not present or shares.get((number, step), 0.0) >= car.infeed_high - 1:
                continue
            limits = self._limits[step]
            for row, each in car.terms:
                if row in limits:
                    of = each / 1e6 if row % ROWS == POWER else 1.0
                    blame["row", row] = blame.get(("row", row), 0.0) + limits[row] * of
                    sources.setdefault(row, self._rows.sources[step][row])
            kw = car.power_mw / 1000
            pool = car.need.pool
            if pool is not None and (pool, step) in self._pools:
                blame["pool", pool] = blame.get(("pool", pool), 0.0) + self._pools[pool, step] * kw
            lasts = hours(self._horizon.lasts(step))
            paid = at(self._problem.prices.import_micro, step) * CENT * lasts
            extra = self.marginal(step) - max(0.0, paid)
            if extra > _TRIFLE:
                blame["window", ""] = blame.get(("window", ""), 0.0) + extra * kw * present / self._horizon.lasts(step)
        if not blame:
            return Shortfall(code="price")
        # Of equals the row that is lowest in the tree, whose number says nothing, but which comes first in its terms.
        kind, key = max(blame, key=lambda each: blame[each])
        if kind == "pool":
            return Shortfall(code="pool", place=str(key))
        if kind == "window":
            return Shortfall(code="window")
        place, what = self._rows.name(int(key))
        quota = self._problem.topology.is_tenant(int(key))
        return Shortfall(code="quota" if quota else "limit", place=place, what=what, source=sources[int(key)])

    def marginal(self, step: int) -> float:
        """What one more kW in a step costs, in hundredths: energy, windows and peaks, no limits."""
        return float(self._duals[self._matrix.balance[step]])

    def free(self, number: int, car: Car, cars: Sequence[Car]) -> tuple[int, ...]:
        """By step, 1 where more than the target costs nothing that matters: see `CarPlan.free`."""
        energy = self._matrix.energy_rows.get(number)
        if energy is None:
            return (0,) * self._horizon.steps
        worth = float(self._duals[energy])
        options = self._problem.options
        trifle = (6 * options.early_micro + 2 * options.change_micro) * CENT
        found: list[int] = []
        for step, present in enumerate(car.presence):
            if not present:
                found.append(0)
                continue
            kwh = car.outlet_mw / 1000 * hours(present)
            cost = self.marginal(step) * car.power_mw / 1000 * present / self._horizon.lasts(step)
            pool = car.need.pool
            if pool is not None:
                cost += self._pools.get((pool, step), 0.0) * car.power_mw / 1000
            found.append(int(cost <= (worth + trifle) * kwh))
        return tuple(found)
