"""Shares against the lexicographic optimum that HiGHS finds."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
from tests.domain.energy.energy_worlds import Oracle, World, world

from pilotwire.domain.energy import Policy

SOLVER = Path(__file__).with_name("energy_highs.py")
COUNT = 150


def _optima(cases: list[dict[str, Any]]) -> list[list[float]]:
    """In a process of its own: HiGHS does not share one with whatever else tests import."""
    # By its path: an installed package may bring a top-level `tests` of its own, which then comes first.
    told = subprocess.run(
        [sys.executable, str(SOLVER)], input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    return json.loads(told.stdout)


def _plain(here: World, step: int) -> World:
    """AC cars that share equally, in equal steps."""
    evses = tuple(msgspec.structs.replace(evse, step=step) for evse in here.tree.evses if evse.current == "AC")
    ids = {evse.id for evse in evses}
    demands = tuple(msgspec.structs.replace(car, guaranteed=0) for car in here.demands if car.evse in ids)
    tree = msgspec.structs.replace(here.tree, evses=evses)
    return here._replace(tree=tree, demands=demands, policy=Policy(order="equal"))


def _programme(oracle: Oracle, ids: list[str]) -> dict[str, Any]:
    """The cars that were let in, and what the oracle knows of every limit; power in mA of one phase."""
    rows: list[Any] = []
    at = {id: number for number, id in enumerate(ids)}
    volts = oracle.tree.voltage_mv
    for place, limit in oracle.limits():
        cars = [id for id in oracle.below(place) if id in at]
        side = oracle.sides.get(place, (0, 0, 0))
        if limit.phases_ma is not None:
            for phase in range(3):
                room = max(0, limit.phases_ma[phase] - side[phase])
                rows.append((room, {at[id]: 1 for id in cars if phase in oracle.may_be_on(id)}))
        if limit.power_mw is not None:
            room = max(0, limit.power_mw * 1_000 / volts - sum(side))
            rows.append((room, {at[id]: oracle.used(id) for id in cars}))
        if limit.imbalance_ma is not None:
            for a, b in ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)):
                room = max(0, limit.imbalance_ma - side[a] + side[b])
                rows.append(
                    (room, {at[id]: 1 for id in cars if oracle.used(id) < 3 and oracle.may_unbalance(id, a, b)})
                )
    bounds = [oracle.bounds(id) for id in ids]
    return {
        "low": [least for least, _ in bounds],
        "high": [most for _, most in bounds],
        "rows": [row for row in rows if row[1]],
    }


def _compare(step: int) -> list[tuple[float, float]]:
    """(what a car got, its share in the optimum), for all cars let in of `COUNT` worlds."""
    cases: list[dict[str, Any]] = []
    given: list[list[int]] = []
    for seed in range(COUNT):
        here = _plain(world(seed, most=9), step)
        values = {point.evse: point.value for point in here.tick().set_points if point.value}
        if values:
            cases.append(_programme(Oracle(here), list(values)))
            given.append(list(values.values()))
    found = _optima(cases)
    return [pair for got, best in zip(given, found, strict=True) for pair in zip(got, best, strict=True)]


def test_shares_are_the_lexicographic_optimum():
    """In steps of 1 mA: but for what does not divide without rest, a few mA, each car has its share of the optimum."""
    pairs = _compare(1)
    assert len(pairs) > 250
    worst = max(abs(got - best) for got, best in pairs)
    assert worst <= 20, worst


def test_nobody_is_a_step_below_the_optimum():
    """In steps of 1 A; more than the optimum may be had of what others' steps leave."""
    pairs = _compare(1_000)
    assert len(pairs) > 250
    assert all(got > best - 1_020 for got, best in pairs)
