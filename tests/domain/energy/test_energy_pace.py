"""In time: lowered at once, raised only into room that is free, and cars that do what they like."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domain.energy.energy_plant import Plant, faults_in_time, faults_when_lowered
from tests.domain.energy.energy_worlds import World

from pilotwire.domain.energy import Demand, Evse, Limit, Node, Policy, Signals, SiteTree

FEW = settings(max_examples=40, derandomize=True, deadline=None)
SEEDS = st.integers(0, 2**48)


def fuse(a: int) -> tuple[Limit, ...]:
    return (Limit(source="fuse", phases_ma=(a * 1_000, a * 1_000, a * 1_000)),)


def plant(*ids: str, a: int, lag: int = 3, metered: bool = False, policy: Policy | None = None) -> Plant:
    grid = Node(id="grid", kind="connection", limits=fuse(a), metered=metered, side_lost_ma=(0, 0, 0))
    tree = SiteTree(nodes=(grid,), evses=tuple(Evse(id=id, node="grid", maximum=32_000) for id in ids))
    demands = tuple(Demand(evse=id) for id in ids)
    here = World(tree, policy or Policy(), demands, Signals(), dict.fromkeys(ids, "RST"))
    return Plant(here, dict.fromkeys(ids, lag))


def leave(here: Plant, *ids: str) -> None:
    """Their cars are gone; they draw nothing any more."""
    here.world = here.world._replace(demands=tuple(car for car in here.world.demands if car.evse not in ids))
    for id in ids:
        here.drawn[id] = 0


def come(here: Plant, *ids: str) -> None:
    here.world = here.world._replace(demands=(*here.world.demands, *(Demand(evse=id) for id in ids)))


def fused(here: Plant, a: int) -> None:
    limits = {"grid": (Limit(source="DSO", phases_ma=(a * 1_000, a * 1_000, a * 1_000)),)}
    here.world = here.world._replace(signals=Signals(limits=limits))


def test_a_second_car_waits_until_the_first_has_let_go():
    here = plant("a", "b", a=32)
    leave(here, "b")
    here.second()
    for _ in range(15):
        here.second()
    assert here.drawn["a"] == 32_000
    come(here, "b")
    said = here.second()
    assert [(point.value, point.target) for point in said.set_points] == [(16_000, 16_000), (0, 16_000)]
    assert said.reasons["b"].code == "under_way"
    assert said.reasons["b"].words == "it is raised when others have let go: L1 of grid (fuse) is still loaded"
    first = None
    for second in range(12):
        said = here.second()
        assert here.over() == []
        if first is None and said.set_points[1].value:
            first = second
    assert first == 3, "the third second after, when a's current has been seen to fall"
    assert here.drawn == {"a": 16_000, "b": 16_000}


def test_without_a_measurement_it_waits_for_the_time_to_follow():
    here = plant("a", "b", a=32)
    here.measured = False
    leave(here, "b")
    for _ in range(15):
        here.second()
    come(here, "b")
    waits = 0
    while not here.second().set_points[1].value:
        waits += 1
    assert waits == 10


def test_a_lower_limit_counts_at_once_and_a_higher_one_after_the_time_to_settle():
    here = plant("a", a=32)
    for _ in range(12):
        here.second()
    fused(here, 10)
    assert here.second().set_points[0].value == 10_000
    fused(here, 20)
    said = here.second()
    assert (said.set_points[0].value, said.set_points[0].target) == (10_000, 20_000)
    assert said.reasons["a"].code == "settling"
    assert said.reasons["a"].words == f"it is raised when its last change is over, in {said.reasons['a'].wait_ms} ms"
    due = said.reasons["a"].wait_ms // 1_000
    values = [here.second().set_points[0].value for _ in range(due + 1)]
    assert values[-1] == 20_000
    fused(here, 6)
    assert here.second().set_points[0].value == 6_000


def test_the_time_to_follow_is_learned():
    quick, slow = plant("a", a=32, lag=1), plant("a", a=32, lag=15)
    for here in (quick, slow):
        for at in range(400):
            fused(here, 32 if at // 40 % 2 else 10)
            here.second()
    assert quick.state.evses["a"].settle_ms < 6_000
    assert 15_000 <= slow.state.evses["a"].settle_ms <= 21_000


def test_what_a_car_does_not_take_goes_to_others():
    here = plant("a", "b", a=40)
    here.appetite["a"] = 8_000
    for _ in range(90):
        said = here.second()
        assert here.over() == []
    assert here.state.evses["a"].behaviour == "takes_less"
    assert {point.evse: point.value for point in said.set_points} == {"a": 9_000, "b": 31_000}
    assert said.reasons["a"].code == "takes_less"
    del here.appetite["a"]
    for _ in range(60):
        said = here.second()
        assert here.over() == []
    assert {point.evse: point.value for point in said.set_points} == {"a": 20_000, "b": 20_000}


def test_a_sleeping_car_keeps_its_minimum_and_may_wake_up():
    here = plant("a", "b", a=40)
    here.appetite["a"] = 0
    for _ in range(90):
        said = here.second()
    assert {point.evse: point.value for point in said.set_points} == {"a": 6_000, "b": 32_000}
    assert said.reasons["a"].words == "it draws nothing; it keeps its minimum so that it can wake up"
    del here.appetite["a"]
    for _ in range(60):
        said = here.second()
        assert here.over() == []
    assert {point.evse: point.value for point in said.set_points} == {"a": 20_000, "b": 20_000}


def test_a_car_that_overdraws_is_counted_with_what_it_draws():
    here = plant("a", "b", a=40)
    here.stubborn["a"] = 26_000
    for _ in range(60):
        said = here.second()
    assert here.state.evses["a"].behaviour == "overdraws"
    assert here.over() == []
    assert said.reasons["a"].overdraws
    assert said.reasons["a"].words.endswith("; it draws more than it is given and is counted with what it draws")
    assert here.drawn["b"] >= 6_000


def test_a_car_that_overdraws_is_paused_where_nothing_else_keeps_the_limit():
    here = plant("a", "b", a=30)
    here.stubborn["a"] = 31_000
    for _ in range(60):
        said = here.second()
    assert here.over() == []
    assert {point.evse: point.value for point in said.set_points} == {"a": 0, "b": 30_000}


@pytest.mark.parametrize("measured", [True, False])
def test_side_load_is_answered_within_a_tick_and_the_lag(measured: bool):
    here = plant("a", "b", a=63, lag=4, metered=True)
    here.measured = measured
    draw = random.Random(5)
    over = 0
    for at in range(600):
        if at % 40 == 0:
            ma = draw.randint(0, 50_000)
            here.side["grid"] = (ma, draw.randint(0, 40_000), 0)
        here.second()
        over = over + 1 if here.over() else 0
        assert over <= 5, here.over()
    assert sum(here.drawn.values()) > 0


@pytest.mark.parametrize("measured", [True, False])
@pytest.mark.parametrize("lag", [0, 4, 9])
def test_cars_that_are_rising_are_not_taken_for_side_load(measured: bool, lag: int):
    """Else they would be lowered because of themselves, again and again."""
    here = plant("a", "b", a=63, lag=lag, metered=True)
    here.measured = measured
    here.side["grid"] = (13_000, 5_000, -4_000)
    seen: list[tuple[int, ...]] = []
    for _ in range(60):
        said = here.second()
        assert here.over() == []
        values = tuple(point.value for point in said.set_points)
        if not seen or seen[-1] != values:
            seen.append(values)
    assert seen == [(25_000, 25_000)]


@FEW
@given(SEEDS)
def test_nothing_flows_above_a_limit_while_cars_come_and_go(seed: int):
    """Cars follow after up to 8 s. Not once, on any phase: who is raised has the room really free.

    Where all has been quiet for long enough, set-points are the shares, with no step left.
    """
    assert faults_in_time(seed)[1] == []


@FEW
@given(SEEDS)
def test_a_cut_is_kept_as_soon_as_the_slowest_car_has_followed(seed: int):
    """Signals and side loads jump, on any node: never above for longer than a car needs to follow, and a tick."""
    assert faults_when_lowered(seed) == []


def test_cuts_are_felt():
    """Were cars to need no time, nothing would ever be above for a second: the property before sees something."""
    assert any(faults_when_lowered(seed, bound=2) for seed in range(10))
