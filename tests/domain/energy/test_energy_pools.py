"""Budgets that cars share wherever they are: guarantees do not count, and nothing is given without a limit."""

from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domain.energy.energy_plant import Plant
from tests.domain.energy.energy_pools import faults_with_pools
from tests.domain.energy.energy_worlds import World

from pilotwire.domain.energy import (
    Allocation,
    Demand,
    Evse,
    Limit,
    Moment,
    Node,
    Policy,
    Signals,
    SiteTree,
    State,
    allocate,
    prepare,
)

NOW = Moment(tick_ms=50_000_000, utc_ms=1_800_000_000_000)
FUSE = Limit(source="fuse", phases_ma=(100_000,) * 3)
TREE = SiteTree(
    nodes=(
        Node(id="grid", kind="connection", limits=(FUSE,)),
        Node(id="f", kind="feeder", parent="grid", limits=(Limit(source="fuse", phases_ma=(63_000,) * 3),)),
    ),
    evses=(
        Evse(id="a", node="f", maximum=32_000),
        Evse(id="b", node="grid", maximum=32_000),
        Evse(id="c", node="grid", phases=1, rotation="STR", maximum=32_000),
    ),
)


def tick(*demands: Demand, surplus_w: int | None, tree: SiteTree = TREE, **other: Any) -> Allocation:
    pools = {} if surplus_w is None else {"pv": (Limit(source="surplus", power_mw=surplus_w * 1_000),)}
    return allocate(prepare(tree), Policy(**other), demands, Signals(pools=pools), State(), NOW)


def values(result: Allocation) -> dict[str, int]:
    return {point.evse: point.value for point in result.set_points}


def test_a_pool_is_shared_and_others_do_not_touch_it():
    result = tick(Demand(evse="a", pool="pv"), Demand(evse="b", pool="pv"), Demand(evse="c"), surplus_w=13_800)
    assert values(result) == {"a": 10_000, "b": 10_000, "c": 32_000}
    assert result.reasons["a"].code == "pool"
    assert result.reasons["a"].words == "its pool pv (power, surplus) has no room for another step, shared by equal"


def test_a_car_whose_pool_has_no_room_for_its_minimum_waits():
    result = tick(Demand(evse="a", pool="pv"), Demand(evse="b", pool="pv"), surplus_w=5_000)
    assert values(result) == {"a": 7_000, "b": 0, "c": 0}
    reason = result.reasons["b"]
    assert (reason.code, reason.place, reason.waits) == ("pool", "pv", True)
    assert reason.words == "it waits: its pool pv (power, surplus) has no room for its minimum"


def test_what_is_guaranteed_does_not_count():
    """6 A of the grid for each, and 4,140 W of the sun for both."""
    demands = [Demand(evse=id, pool="pv", guaranteed=6_000) for id in ("a", "b")]
    assert values(tick(*demands, surplus_w=4_140)) == {"a": 9_000, "b": 9_000, "c": 0}
    assert values(tick(*demands, surplus_w=0)) == {"a": 6_000, "b": 6_000, "c": 0}
    assert values(tick(*demands, surplus_w=-3_000)) == {"a": 6_000, "b": 6_000, "c": 0}


def test_a_guarantee_below_the_minimum_leaves_the_rest_of_it_to_the_pool():
    """4 A are promised, and 6 A is the least: 2 A come from the pool, 1,380 W."""
    demand = Demand(evse="a", pool="pv", guaranteed=4_000)
    assert values(tick(demand, surplus_w=1_380))["a"] == 6_000
    assert values(tick(demand, surplus_w=1_379))["a"] == 0


def test_a_pool_of_which_nothing_is_known_gives_nothing():
    result = tick(Demand(evse="a", pool="pv"), Demand(evse="b", pool="pv", guaranteed=8_000), surplus_w=None)
    assert values(result) == {"a": 0, "b": 8_000, "c": 0}
    assert (result.reasons["a"].code, result.reasons["a"].source) == ("pool", "nothing is known of it")


def test_a_limit_of_a_pool_that_is_over_gives_nothing():
    over = Limit(source="plan", power_mw=20_000_000, until_ms=NOW.utc_ms)
    only_balance = Limit(source="plan", imbalance_ma=20_000)
    for limit in (over, only_balance):
        signals = Signals(pools={"pv": (limit,)})
        result = allocate(prepare(TREE), Policy(), [Demand(evse="a", pool="pv")], signals, State(), NOW)
        assert values(result)["a"] == 0


def test_a_pool_may_have_a_limit_for_each_phase():
    signals = Signals(pools={"pv": (Limit(source="inverter", phases_ma=(9_000, 20_000, 9_000)),)})
    demands = [Demand(evse="a", pool="pv"), Demand(evse="c", pool="pv")]
    result = allocate(prepare(TREE), Policy(), demands, signals, State(), NOW)
    assert values(result) == {"a": 9_000, "b": 0, "c": 11_000}
    assert (result.reasons["a"].what, result.reasons["c"].what) == ("L1", "L2")


def test_the_fuse_counts_though_the_pool_is_full():
    tree = msgspec.structs.replace(
        TREE, nodes=(msgspec.structs.replace(TREE.nodes[0], limits=(Limit(source="x", phases_ma=(20_000,) * 3),)),),
        evses=tuple(msgspec.structs.replace(evse, node="grid") for evse in TREE.evses),
    )  # fmt: skip
    result = tick(Demand(evse="a", pool="pv"), Demand(evse="b"), surplus_w=50_000, tree=tree)
    assert values(result) == {"a": 10_000, "b": 10_000, "c": 0}
    assert result.reasons["a"].code == "limit"


def test_the_guarantee_of_one_comes_before_the_pool_of_another():
    demands = [
        Demand(evse="a", pool="pv", priority=1),
        Demand(evse="b", pool="pv", guaranteed=20_000),
    ]
    got = values(tick(*demands, surplus_w=10_350, order="priority"))
    assert got == {"a": 15_000, "b": 20_000, "c": 0}


def test_who_is_raised_within_a_pool_waits_until_the_others_have_let_go():
    evses = TREE.evses[:2]
    tree = msgspec.structs.replace(TREE, evses=evses)
    pools = {"pv": (Limit(source="surplus", power_mw=22_080_000),)}
    here = World(tree, Policy(), (Demand(evse="a", pool="pv"),), Signals(pools=pools), {"a": "RST", "b": "RST"})
    there = Plant(here, {"a": 4, "b": 4})
    for _ in range(20):
        there.second()
    there.world = here._replace(demands=(Demand(evse="a", pool="pv"), Demand(evse="b", pool="pv", guaranteed=6_000)))
    seen: list[tuple[int, ...]] = []
    for _ in range(40):
        said = there.second()
        beyond = there.drawn["a"] + max(0, there.drawn["b"] - 6_000)
        assert beyond <= 32_000, "never more than 22,080 W beyond what is guaranteed"
        seen.append(tuple(point.value for point in said.set_points))
    assert seen[0] == (19_000, 6_000), "what is promised does not wait for the pool"
    assert seen[-1] == (19_000, 19_000)


@settings(max_examples=150, derandomize=True, deadline=None)
@given(st.integers(0, 2**48))
def test_no_pool_is_overdrawn_and_nothing_is_left_in_it(seed: int):
    assert faults_with_pools(seed) == []
