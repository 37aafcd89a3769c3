"""What could have been delivered at best, by somebody who had known everything: a linear programme over the whole day.

In a process of its own, and written without the planner: true arrivals, departures, needs, wiring and loads, exact
limits of every phase of every node, the battery, the demand windows, each car's falling power above 80 %; steps of five
minutes, in each of which loads are at their mean and cars may have any current from 0 on, at once and without rests.
So nobody can deliver more but for what the means hide.

    python tests/simulation/site_day/optimum.py  <  {...}  >  {"wh": ..., "by_session": [...], "import_w": [...]}
"""

from __future__ import annotations

import json
import sys
from typing import Any

STEP_S = 300
EARLY = 1e-7
"""Of optima that deliver the same the one that does so early: too little to change how much that is."""
V = 230


def solve(case: dict[str, Any]) -> dict[str, Any]:
    """The most energy in all. `case` is what `case_of` makes."""
    import highspy
    import numpy as np

    steps = case["seconds"] // STEP_S
    hours = STEP_S / 3600
    cost: list[float] = []
    high: list[float] = []
    entries: list[tuple[int, int, float]] = []
    rhs: list[tuple[float, float]] = []

    def column(price: float, top: float) -> int:
        cost.append(price)
        high.append(top)
        return len(cost) - 1

    def row(low: float, top: float) -> int:
        rhs.append((low, top))
        return len(rhs) - 1

    infinity = highspy.kHighsInf
    loads: list[dict[tuple[str, int], list[tuple[int, float]]]] = [{} for _ in range(steps)]
    power: list[list[tuple[int, float]]] = [[] for _ in range(steps)]
    by_session: list[list[tuple[int, float]]] = []
    for car in case["sessions"]:
        mine: list[tuple[int, float]] = []
        total = row(0.0, car["need_wh"] / 1000)
        level = None
        for step in range(steps):
            begins, ends = step * STEP_S, (step + 1) * STEP_S
            there = max(0, min(ends, car["leaves"]) - max(begins, car["arrives"])) / STEP_S
            if not there:
                continue
            kw = car["phases"] * V / 1000
            amps = column(0.0, car["true_a"] * there)
            kwh = kw * car["outlet"] * hours
            mine.append((amps, kwh))
            entries.append((total, amps, kwh))
            # From 80 % on it takes less and less: p ≤ top × (1 − 0.8 × (soc − 0.8) / 0.2), soc at the step's begin.
            fall = 4.0 / car["capacity_kwh"] * car["true_a"]
            most = car["true_a"] * (1 + 4.0 * (0.8 - car["begin_kwh"] / car["capacity_kwh"]))
            if most < car["true_a"] + fall * car["need_wh"] / 1000:
                if level is not None:
                    limit = row(-infinity, most * there)
                    entries.append((limit, amps, 1.0))
                    entries.append((limit, level, fall * there))
                after = column(0.0, infinity)
                sum_ = row(0.0, 0.0)
                entries.append((sum_, after, 1.0))
                entries.append((sum_, amps, -kwh))
                if level is not None:
                    entries.append((sum_, level, -1.0))
                level = after
            for node in car["nodes"]:
                for phase in car["on"]:
                    loads[step].setdefault((node, phase), []).append((amps, 1.0))
            power[step].append((amps, kw))
        by_session.append(mine)
        for at, (amps, kwh) in enumerate(mine):
            cost[amps] -= kwh * (1 - EARLY * at)
    stored = None
    imports: list[int] = []
    for step in range(steps):
        building, sun = case["building_w"][step] / 1000, case["pv_w"][step] / 1000
        charge, discharge = column(0.0, case["battery_w"] / 1000), column(0.0, case["battery_w"] / 1000)
        level = column(0.0, case["battery_wh"] / 1000)
        known = case["battery_wh"] / 2000 if stored is None else 0.0
        balance = row(known, known)
        entries += [(balance, level, 1.0), (balance, charge, -0.97 * hours), (balance, discharge, hours / 0.97)]
        if stored is not None:
            entries.append((balance, stored, -1.0))
        stored = level
        for (node, phase), terms in loads[step].items():
            room = case["limits"][node]
            if node == "grid":
                room -= building * case["split"][phase] * 1000 / V
            if node in ("grid", "t1"):
                room += sun / 3 * 1000 / V
            limit = row(-infinity, room)
            entries += [(limit, at, value) for at, value in terms]
            if node == "grid":
                entries += [(limit, charge, 1000 / 3 / V), (limit, discharge, -1000 / 3 / V)]
        imports.append(column(0.0, infinity))
        net = row(building - sun, infinity)  # what is more than it takes is export
        entries += [(net, imports[-1], 1.0), (net, charge, -1.0), (net, discharge, 1.0)]
        entries += [(net, at, -value) for at, value in power[step]]
    for window in range(steps * STEP_S // 900):
        limit = row(-infinity, case["target_w"] / 1000 / 4)
        entries += [(limit, at, hours) for at in imports[window * 900 // STEP_S : (window + 1) * 900 // STEP_S]]
    order = sorted(entries, key=lambda each: each[1])
    counts = np.bincount([each[1] for each in order], minlength=len(cost))
    starts = np.concatenate(([0], np.cumsum(counts))).astype(np.int32)
    solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.passModel(
        len(cost), len(rhs), len(order), int(highspy.MatrixFormat.kColwise), int(highspy.ObjSense.kMinimize), 0.0,
        np.array(cost), np.zeros(len(cost)), np.array(high), np.array([low for low, _ in rhs]),
        np.array([top for _, top in rhs]), starts, np.array([each[0] for each in order], dtype=np.int32),
        np.array([each[2] for each in order]), np.zeros(len(cost), dtype=np.int32),
    )  # fmt: skip
    solver.run()
    if solver.getModelStatus() != highspy.HighsModelStatus.kOptimal:
        raise RuntimeError(f"HiGHS: {solver.modelStatusToString(solver.getModelStatus())}")
    values = solver.getSolution().col_value
    got = [sum(values[at] * kwh for at, kwh in mine) * 1000 for mine in by_session]
    taken = [sum(values[at] * kw for at, kw in each) * hours * 1000 for each in power]
    return {"wh": sum(got), "by_session": got, "import_w": [values[at] * 1000 for at in imports],
            "cumulative_wh": [sum(taken[: step + 1]) for step in range(steps)]}  # fmt: skip


def case_of(day: Any) -> dict[str, Any]:
    """The truth of a scenario, as data."""
    parents = {node.id: node.parent for node in day.tree.nodes}
    sessions: list[dict[str, Any]] = []
    for car in day.sessions:
        evse = day.tree.evses[car.evse]
        nodes: list[str] = []
        at: str | None = evse.node
        while at is not None:
            nodes.append(at)
            at = parents[at]
        sessions.append(
            {
                "arrives": car.arrives, "leaves": car.leaves, "need_wh": car.need_wh, "phases": car.phases,
                "true_a": car.true_ma / 1000, "outlet": evse.efficiency / 1000 if evse.current == "DC" else 1.0,
                "capacity_kwh": car.capacity_wh / 1000, "begin_kwh": car.begin_wh / 1000, "nodes": nodes,
                "on": list(day.on[car.evse][: car.phases]),
            }
        )  # fmt: skip
    means = range(0, day.seconds - STEP_S + 1, STEP_S)
    return {
        "seconds": day.seconds,
        "sessions": sessions,
        "limits": day.true_limits,
        "split": list(day.building_split),
        "building_w": [sum(day.building_w[at : at + STEP_S]) / STEP_S for at in means],
        "pv_w": [sum(day.pv_w[at : at + STEP_S]) / STEP_S for at in means],
        "battery_wh": day.battery_wh,
        "battery_w": day.battery_w,
        "target_w": day.target_w,
    }


if __name__ == "__main__":
    json.dump(solve(json.load(sys.stdin)), sys.stdout)
