"""Whatever comes, there is a plan, and it breaks nothing."""

from __future__ import annotations

import msgspec
import pytest
from tests.domain.planning.planning_worlds import faults_of, world

from pilotwire.domain.planning import Options, plan

PART = 125


@pytest.mark.parametrize("first", range(0, 500, PART))
def test_there_is_always_an_optimal_plan_within_all_limits(first: int) -> None:
    for seed in range(first, first + PART):
        problem = world(seed)
        made = plan(problem)
        assert made.status == "optimal", f"seed {seed}: {made.why}"
        assert not faults_of(problem, made), f"seed {seed}"


def test_a_plan_without_the_optimiser_breaks_nothing_either() -> None:
    fallen = 0
    for seed in range(100):
        problem = world(seed)
        options = msgspec.structs.replace(problem.options, iterations=1)
        made = plan(msgspec.structs.replace(problem, options=options))
        fallen += made.status == "fallback"
        assert not faults_of(problem, made), f"seed {seed}"
        assert made.status == "optimal" or made.why
    assert fallen > 25


def test_the_same_problem_gives_the_same_plan() -> None:
    for seed in range(40):
        assert plan(world(seed)) == plan(world(seed)), f"seed {seed}"


def test_a_plan_and_what_it_says_can_be_written_down_and_read_again() -> None:
    made = plan(world(3))
    assert msgspec.json.decode(msgspec.json.encode(made), type=type(made)) == made
    assert msgspec.json.decode(msgspec.json.encode(Options()), type=Options) == Options()
