"""HiGHS on the arrays of a plan: once, again with changed bounds, and with choices between two flows.

`highspy` is loaded when it is needed first. It cannot share a process with `ortools`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from .matrix import Matrix
from .model import Options

BOTH = 1e-5
"""kW: two flows that exclude one another are both meant from here on."""
_NODES = 60


class Answer(NamedTuple):
    """Values of columns, duals of rows, and how many iterations it took."""

    values: Any
    duals: Any
    iterations: int


class Unsolved(Exception):
    """HiGHS gave no optimum; the text says what it said."""


class Solver:
    """A programme that is solved again and again with other bounds, from where it was."""

    def __init__(self, matrix: Matrix, options: Options) -> None:
        import highspy
        import numpy as np

        self._np: Any = np
        self._highspy: Any = highspy
        self._matrix = matrix
        self._options = options
        self.low: Any = np.array(matrix.low, dtype=np.double)
        self.high: Any = np.array(matrix.high, dtype=np.double)
        self.row_low: Any = np.array(matrix.row_low, dtype=np.double)
        self.row_high: Any = np.array(matrix.row_high, dtype=np.double)
        self._arrays = matrix.arrays()
        self._cost: Any = np.array(matrix.cost, dtype=np.double)
        self._highs: Any = self._load(())
        self.iterations = 0

    def _load(self, pairs: Sequence[tuple[int, int]]) -> Any:
        """`pairs`: of two columns each, only one may be above 0; a binary column for each says which."""
        np, matrix = self._np, self._matrix
        highs = self._highspy.Highs()
        for name, value in (
            ("output_flag", False),
            ("threads", 1),
            ("random_seed", 1),
            ("time_limit", float(self._options.seconds)),
            ("simplex_iteration_limit", self._options.iterations),
            ("mip_max_nodes", _NODES),
            ("mip_heuristic_effort", 0.0),
            ("mip_detect_symmetry", False),
            ("mip_pool_age_limit", 5),
            ("mip_rel_gap", 1e-4),
        ):
            highs.setOptionValue(name, value)
        starts, indices, values = self._arrays
        infinity = self._highspy.kHighsInf
        bounds = [np.clip(each, -infinity, infinity) for each in (self.low, self.high)]
        highs.passModel(
            len(matrix.cost), len(matrix.row_low), len(values), int(self._highspy.MatrixFormat.kColwise),
            int(self._highspy.ObjSense.kMinimize), 0.0, self._cost, *bounds,
            self.row_low, self.row_high, starts, indices, values, np.zeros(len(matrix.cost), dtype=np.int32),
        )  # fmt: skip
        for first, second in pairs:
            binary = highs.getNumCol()
            highs.addVar(0.0, 1.0)
            highs.changeColIntegrality(binary, self._highspy.HighsVarType.kInteger)
            for column, top, cap in ((first, -self.high[first], 0.0), (second, self.high[second], self.high[second])):
                both = np.array([column, binary], dtype=np.int32)
                highs.addRow(-infinity, float(cap), 2, both, np.array([1.0, float(top)]))
        return highs

    def bounds(self, columns: Sequence[int], low: Sequence[float], high: Sequence[float]) -> None:
        """Changes what columns may be."""
        np = self._np
        at = np.array(columns, dtype=np.int32)
        lows, highs = np.array(low, dtype=np.double), np.array(high, dtype=np.double)
        self.low[at], self.high[at] = lows, highs
        self._highs.changeColsBounds(len(at), at, lows, highs)

    def row(self, row: int, value: float) -> None:
        """Changes what a row is equal to."""
        if self.row_high[row] != value:
            self.row_low[row] = self.row_high[row] = value
            self._highs.changeRowBounds(row, value, value)

    def costs(self, values: Any) -> float:
        """What is minimised."""
        return float(self._np.dot(self._cost, values))

    def run(self) -> Answer:
        """The optimum, from the last one on. Raises Unsolved."""
        self._run(self._highs)
        found = self._highs.getSolution()
        return Answer(self._np.array(found.col_value), self._np.array(found.row_dual), self.iterations)

    def choose(self, pairs: Sequence[tuple[int, int]]) -> Any:
        """Values with only one of each pair above 0. Raises Unsolved."""
        highs = self._load(pairs)
        self._run(highs)
        return self._np.array(highs.getSolution().col_value)[: len(self.low)]

    def _run(self, highs: Any) -> None:
        status = self._highspy.HighsModelStatus
        highs.run()
        info = highs.getInfo()
        self.iterations += max(0, info.simplex_iteration_count)
        found = highs.getModelStatus()
        enough = found == status.kSolutionLimit and info.primal_solution_status == 2
        if found != status.kOptimal and not enough:
            raise Unsolved(f"HiGHS: {highs.modelStatusToString(found)}")


def solve_exclusive(solver: Solver, pairs: Sequence[tuple[int, int]]) -> Answer:
    """The optimum in which no pair of opposite flows is above 0 together.

    With positive prices none ever is. At negative ones using energy up pays, and a battery that charges and discharges
    at once, or a connection that imports and exports, would be the way; then the choice is made by integers, and where
    that takes too long, by what is left of both.
    """
    answer = solver.run()
    for last in (False, False, True):
        values = answer.values
        at_odds = [pair for pair in pairs if values[pair[0]] > BOTH and values[pair[1]] > BOTH]
        if not at_odds:
            return answer
        try:
            chosen = solver.choose(at_odds)
        except Unsolved:
            chosen = values
        if last:
            at_odds = list(pairs)
        shut = [second if chosen[first] >= chosen[second] else first for first, second in at_odds]
        solver.bounds(shut, [0.0] * len(shut), [0.0] * len(shut))
        answer = solver.run()
    return answer
