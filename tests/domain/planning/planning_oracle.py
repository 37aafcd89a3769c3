"""The cheapest day by a model that is written another way: row by row, each quantity a column of its own.

In a process of its own, for `highspy` and whatever brings `ortools` cannot share one. No minimum currents, no plan
before, no preference for early: only money. Prices have to be such that using energy up does not pay.

    python tests/domain/planning/planning_oracle.py  <  [case, ...]  >  [cost in micro, ...]
"""

from __future__ import annotations

import json
import sys
from typing import Any


class Model:
    """Columns with a cost, rows as they come."""

    def __init__(self) -> None:
        import highspy

        self.infinity = highspy.kHighsInf
        self._highs = highspy.Highs()
        self._highs.setOptionValue("output_flag", False)
        self._optimal = highspy.HighsModelStatus.kOptimal
        self._count = 0

    def add(self, low: float, high: float, cost: float = 0.0) -> int:
        self._highs.addVar(low, high)
        self._highs.changeColCost(self._count, cost)
        self._count += 1
        return self._count - 1

    def row(self, low: float, high: float, terms: dict[int, float]) -> None:
        import numpy as np

        at = np.array(list(terms), dtype=np.int32)
        self._highs.addRow(low, high, len(at), at, np.array(list(terms.values()), dtype=np.double))

    def minimum(self) -> float:
        self._highs.run()
        if self._highs.getModelStatus() != self._optimal:
            raise RuntimeError(str(self._highs.getModelStatus()))
        return float(self._highs.getObjectiveValue())


def cheapest(case: dict[str, Any]) -> float:
    """Micro of the currency: energy, peaks, excess of windows, wear, what is left in the battery, and what is unmet."""
    model, inf = Model(), float("inf")
    steps, hours = case["steps"], case["step_h"]
    taken: list[dict[int, float]] = [{} for _ in range(steps)]
    flows: list[dict[tuple[str, int], dict[int, float]]] = [{} for _ in range(steps)]
    for car in case["cars"]:
        energy: dict[int, float] = {}
        for step in range(steps):
            if not car["from"] <= step < car["until"]:
                continue
            watts = model.add(0.0, car["most_w"])
            taken[step][watts] = 1.0
            energy[watts] = hours * car["outlet"]
            for node in car["nodes"]:
                for phase in car["on"]:
                    flows[step].setdefault((node, phase), {})[watts] = 1.0 / len(car["on"]) / 230.0
        for part in (1.0, 1.01, 1.02):
            energy[model.add(0.0, car["need_wh"] / 3, car["worth"] * part / 1000)] = 1.0
        model.row(car["need_wh"], car["need_wh"], energy)
    stored: int | None = None
    battery = case["battery"]
    for step in range(steps):
        charge = model.add(0.0, battery["w"])
        discharge = model.add(0.0, battery["w"], battery["wear"] / 1000 * hours)
        level = model.add(0.0, battery["wh"], -battery["worth"] / 1000 if step == steps - 1 else 0.0)
        terms = {level: 1.0, charge: -0.9 * hours, discharge: hours / 0.9}
        if stored is None:
            model.row(battery["level"], battery["level"], terms)
        else:
            model.row(0.0, 0.0, {**terms, stored: -1.0})
        stored = level
        taken[step] |= {charge: 1.0, discharge: -1.0}
        for phase in range(3):
            flows[step].setdefault(("grid", phase), {}).update({charge: 1 / 3 / 230.0, discharge: -1 / 3 / 230.0})
    imports: list[int] = []
    for step in range(steps):
        for (node, _), terms in flows[step].items():
            room = case["limits"][node] - (case["side_a"][step] if node == "grid" else 0.0)
            model.row(-model.infinity, room, terms)
        imports.append(model.add(0.0, inf, case["import"][step] / 1000 * hours))
        export = model.add(0.0, inf, -case["export"][step] / 1000 * hours)
        model.row(
            case["side_a"][step] * 690, case["side_a"][step] * 690,
            {imports[-1]: 1.0, export: -1.0, **{at: -value for at, value in taken[step].items()}},
        )  # fmt: skip
    window = case["window"]
    peak = model.add(window["incumbent_w"], inf, window["peak"] / 1000)
    for first in range(0, steps, window["steps"]):
        mine = imports[first : first + window["steps"]]
        length = window["steps"] * hours
        excess = model.add(0.0, inf, window["excess"] / 1000)
        model.row(-model.infinity, window["target_w"] * length, {**dict.fromkeys(mine, hours), excess: -1.0})
        model.row(-model.infinity, 0.0, {**dict.fromkeys(mine, hours), peak: -length})
    return model.minimum() - window["incumbent_w"] * window["peak"] / 1000


if __name__ == "__main__":
    json.dump([cheapest(case) for case in json.load(sys.stdin)], sys.stdout)
