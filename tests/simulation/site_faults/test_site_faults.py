"""A slice of the failure simulation; all of it: `make soak ARGS="--only site-faults"`."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest
from tests.simulation.site_faults.world import COMPONENTS, World, box_switched_off
from tests.simulation.site_faults.worlds import configuration

from pilotwire.site.compiled import overloads


def test_whatever_fails_nothing_is_above_a_limit_for_longer_than_a_watchdog_and_a_car_need() -> None:
    injected: Counter[str] = Counter()
    accepted = (seed for seed in range(1_000, 1_030) if configuration(seed)[1])
    for seed in islice(accepted, 8):
        world = World(seed).run(30)
        assert not world.faults, world.faults[:5]
        injected += world.injected
    assert set(injected) == set(COMPONENTS)


def test_who_has_lost_its_memory_goes_by_what_is_written_for_a_source_until_that_speaks() -> None:
    """Killed with all that was stored while the cloud cannot be reached: nobody there can know its last word."""
    world = World(1_000_092).run(100)
    assert not world.faults, world.faults[:5]


@pytest.mark.parametrize("seed", [0, 1, 28, 41, 48])
def test_the_checkers_verdict_is_what_happens_when_the_box_is_switched_off(seed: int) -> None:
    accepted, found = box_switched_off(seed)
    said = {(each.node, "imbalance" if " " in each.what else each.what) for each in overloads(configuration(seed)[0])}
    assert found == said
    assert accepted == (not found)
