"""What holds in any site: random worlds, looked at by an oracle that knows only trees, fuses and phases.

`make soak ARGS="--only allocation"` does the same for a million of them.
"""

import random

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domain.energy.energy_wide import faults_wide
from tests.domain.energy.energy_worlds import (
    NOW,
    Oracle,
    faults_of_seed,
    faults_when_raised,
    greatest_total,
    powers_only,
    raised,
    world,
)

from pilotwire.domain.energy import Limit, Policy

FEW = settings(max_examples=150, derandomize=True, deadline=None)
SEEDS = st.integers(0, 2**48)


@FEW
@given(SEEDS)
def test_no_limit_is_violated_no_step_is_left_and_order_is_nothing(seed: int):
    assert faults_of_seed(seed) == []


def test_the_oracle_sees_what_is_wrong():
    """One step more or less, or half a minimum, in any world is a fault: an oracle that sees nothing is none."""
    seen = {"more": 0, "less": 0, "half": 0}
    for seed in range(40):
        here = world(seed)
        values = {point.evse: point.value for point in here.tick().set_points}
        oracle = Oracle(here)
        for id, value in values.items():
            if not value:
                continue
            step = oracle.evses[id].step
            assert oracle.faults(values | {id: value + step})
            seen["more"] += 1
            if value - step >= oracle.bounds(id)[0]:
                assert oracle.faults(values | {id: value - step})
                seen["less"] += 1
            if oracle.bounds(id)[0]:
                assert oracle.faults(values | {id: oracle.bounds(id)[0] // 2})
                seen["half"] += 1
    assert min(seen.values()) > 20


@FEW
@given(SEEDS)
def test_more_limit_never_gives_less_in_total_where_all_load_the_same_phases(seed: int):
    """For the same cars let in. Nodes carry one another, so each limit that grows makes room for as much more."""
    assert faults_when_raised(seed) == []


@FEW
@given(SEEDS)
def test_more_limit_never_makes_the_fair_order_worse(seed: int):
    """With any phases: the shares, sorted from the smallest, never come before those with the lower limit.

    Their sum may: more room for a car that loads one phase takes from one that loads three. Steps of 1 mA, so that
    what is compared is the shares; what does not divide without rest is a few mA.
    """
    draw = random.Random(seed)
    here = world(seed)
    evses = tuple(msgspec.structs.replace(evse, step=1) for evse in here.tree.evses if evse.current == "AC")
    demands = tuple(
        msgspec.structs.replace(demand, guaranteed=0)
        for demand in here.demands
        if demand.evse in {evse.id for evse in evses}
    )
    here = here._replace(
        tree=msgspec.structs.replace(here.tree, evses=evses), demands=demands, policy=Policy(order="equal")
    )
    before = {point.evse: point.value for point in here.tick().set_points}
    after = {point.evse: point.value for point in raised(here, draw).tick().set_points}
    if {id for id, value in before.items() if value} != {id for id, value in after.items() if value}:
        return
    for less, more in zip(sorted(before.values()), sorted(after.values()), strict=True):
        if abs(more - less) > 50:
            assert more > less
            return


@FEW
@given(SEEDS)
def test_under_limits_of_power_the_total_is_the_greatest_there_is(seed: int):
    """The strongest true form of "more limit never gives less in total", with any phases.

    Limits of a tree of one figure (power, or the current of one phase that all load) are nested sets, and what keeps
    them is a polymatroid: everything to which nothing can be added has the same, greatest, total there, whichever way
    it is shared. So fairness costs nothing, and more limit cannot give less. With limits on each phase the sets of two
    phases cross, and it is no longer so: see the next test.
    """
    here = powers_only(seed)
    oracle = Oracle(here, sides={})
    totals: list[int] = []
    worlds = [here, raised(here, random.Random(seed))]
    admitted: list[list[str]] = []
    for each in worlds:
        values = {point.evse: point.value for point in each.tick().set_points if point.value}
        total = sum(value * oracle.used(id) for id, value in values.items()) * here.tree.voltage_mv
        greatest = greatest_total(each, values)
        # Steps of 1 mA: each node may be left with less than one of a car's.
        assert greatest - 3 * here.tree.voltage_mv * len(here.tree.nodes) <= total <= greatest
        totals.append(total)
        admitted.append(list(values))
    if admitted[0] == admitted[1]:
        assert totals[1] >= totals[0] - 3 * here.tree.voltage_mv * len(here.tree.nodes)


def test_a_total_may_fall_when_a_narrow_branch_is_widened():
    """Why the sum is promised only where all load the same phases: fairness itself asks for this."""
    from pilotwire.domain.energy import Demand, Evse, Node, Signals, SiteTree, State, allocate, prepare

    def total(feeder_a: int) -> int:
        tree = SiteTree(
            nodes=(
                Node(id="grid", kind="connection", limits=(Limit(source="fuse", phases_ma=(32_000,) * 3),)),
                Node(id="f", kind="feeder", parent="grid", limits=(Limit(source="fuse", phases_ma=(feeder_a,) * 3),)),
            ),
            evses=(
                Evse(id="one", node="f", phases=1, rotation="RST", maximum=32_000),
                Evse(id="three", node="grid", maximum=32_000),
            ),
        )
        result = allocate(prepare(tree), Policy(), [Demand(evse="one"), Demand(evse="three")], Signals(), State(), NOW)
        return sum(point.value * (3 if point.evse == "three" else 1) for point in result.set_points)

    assert (total(10_000), total(16_000)) == (76_000, 64_000)


@FEW
@given(SEEDS)
def test_all_of_it_together(seed: int):
    """Pools, loads with floors and levels, batteries, cars on one phase of three, and EVSEs that nobody hears."""
    assert faults_wide(seed) == []
