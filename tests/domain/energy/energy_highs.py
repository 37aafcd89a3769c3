"""The lexicographic max-min optimum by linear programmes, solved by HiGHS: an oracle for shares.

In a process of its own: `highspy` and whatever brings `ortools` cannot share one, and nobody who imports a test module
should get either by accident.

    python tests/domain/energy/energy_highs.py  <  [{"low": [...], "high": [...], "rows": [[cap, {car: factor}], ...]}]
    >  [[share, ...], ...]
"""

from __future__ import annotations

import json
import sys
from typing import Any

NEARLY_MA = 1e-3
"""What the solver's tolerances may be off by."""


def _maximum(
    low: list[float], high: list[float], rows: list[Any], cost: dict[int, float], lift: set[int]
) -> list[float]:
    """max cost·x + t (t counts if `lift` is not empty), x_i ≥ t for all of `lift`; t is the last of the answer."""
    import highspy
    import numpy

    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("primal_feasibility_tolerance", 1e-9)
    solver.setOptionValue("dual_feasibility_tolerance", 1e-9)
    count = len(low)
    for at in range(count):
        solver.addVar(low[at], high[at])
        solver.changeColCost(at, cost.get(at, 0.0))
    solver.addVar(0.0, max(high) if lift else 0.0)
    solver.changeColCost(count, 1.0 if lift else 0.0)
    solver.changeObjectiveSense(highspy.ObjSense.kMaximize)
    for cap, factors in rows:
        at = numpy.array([int(car) for car in factors], dtype=numpy.int32)
        solver.addRow(-highspy.kHighsInf, cap, len(at), at, numpy.array(list(factors.values()), dtype=numpy.double))
    for car in sorted(lift):
        pair = numpy.array([car, count], dtype=numpy.int32)
        solver.addRow(0.0, highspy.kHighsInf, 2, pair, numpy.array([1.0, -1.0]))
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise RuntimeError(f"HiGHS: {solver.modelStatusToString(solver.getModelStatus())}")
    return list(solver.getSolution().col_value)


def shares(low: list[float], high: list[float], rows: list[Any]) -> list[float]:
    """Lifts the smallest as far as it goes, fixes all that cannot be above that, and goes on with the others."""
    low, high = [float(ma) for ma in low], [float(ma) for ma in high]
    open_: set[int] = set(range(len(low)))
    while open_:
        # A lower bound that is above the level does no harm: x ≥ low and x ≥ t are both meant.
        level = _maximum(low, high, rows, {}, open_)[-1]
        raised = [max(ma, level) if at in open_ else ma for at, ma in enumerate(low)]
        raised = [min(ma, high[at]) for at, ma in enumerate(raised)]
        done: set[int] = set()
        for car in open_:
            most = _maximum(raised, high, rows, {car: 1.0}, set())[car]
            if most <= raised[car] + NEARLY_MA and raised[car] <= level + NEARLY_MA:
                done.add(car)
        if not done:
            raise RuntimeError(f"nobody holds the level {level}")
        low = raised
        for car in done:
            high[car] = low[car]
        open_ -= done
    return low


def main() -> None:
    cases = json.load(sys.stdin)
    json.dump([shares(case["low"], case["high"], case["rows"]) for case in cases], sys.stdout)


if __name__ == "__main__":
    main()
