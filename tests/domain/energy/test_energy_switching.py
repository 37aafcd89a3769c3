"""From three phases to one before a car stops, and back when that is worth it: never under current, never often."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.domain.energy.energy_switches import Relays, faults_when_switching, site, switchable

from pilotwire.domain.energy import Allocation, Demand, Evse, Limit, faults_of


def relays(tree: Any, *, lag: int = 2, relay: int = 2, confirms: bool = True, measured: bool = True) -> Relays:
    ids = [evse.id for evse in tree.evses]
    return Relays(
        tree, lags=dict.fromkeys(ids, lag), relays=dict.fromkeys(ids, relay), confirms=confirms, measured=measured
    )


def cut(there: Relays, l1: int, l2: int | None = None, l3: int | None = None) -> None:
    phases: Any = tuple((l1 if a is None else a) * 1_000 for a in (l1, l2, l3))
    there.limits = {"grid": (Limit(source="DSO", phases_ma=phases),)}


def run(there: Relays, seconds: int, *demands: Demand) -> list[tuple[int, int | None, str]]:
    """What the first EVSE was told and why, where that changed."""
    seen: list[tuple[int, int | None, str]] = []
    for _ in range(seconds):
        said = there.tick(demands or [Demand(evse="a")])
        point = said.set_points[0]
        row = (point.value, point.phases, said.reasons[point.evse].code)
        if not seen or seen[-1] != row:
            seen.append(row)
    return seen


def test_it_falls_to_one_phase_before_it_stops():
    there = relays(site(32, switchable("a")))
    run(there, 30)
    cut(there, 20, 5, 20)
    assert run(there, 40) == [(0, 3, "switching"), (0, 1, "switching"), (20_000, 1, "limit")]
    assert (there.conductors["a"], there.flows(), there.under_current) == (1, (20_000, 0, 0), [])


@pytest.mark.parametrize(("rotation", "free"), [("RST", 0), ("STR", 1), ("TSR", 2)])
def test_it_counts_on_the_phase_that_it_will_load(rotation: Any, free: int):
    there = relays(site(32, switchable("a", rotation)))
    run(there, 30)
    most: list[int] = [5, 5, 5]
    most[free] = 16
    cut(there, *most)
    assert run(there, 40)[-1] == (16_000, 1, "limit")
    assert there.flows()[free] == 16_000


def test_an_unknown_phase_may_be_any():
    there = relays(site(32, switchable("a", None)))
    run(there, 30)
    cut(there, 16, 5, 16)
    assert run(there, 40) == [(0, 3, "waiting")]


def test_it_goes_back_when_there_has_been_room_for_long_enough():
    there = relays(site(32, switchable("a", up_ms=100_000)))
    run(there, 30)
    cut(there, 20, 5, 20)
    run(there, 150)
    cut(there, 20)
    began = there.second
    assert run(there, 130) == [
        (20_000, 1, "limit"), (0, 1, "switching"), (0, 3, "switching"), (20_000, 3, "limit")
    ]  # fmt: skip
    assert there.moves["a"][1] - began >= 100
    assert there.flows() == (20_000, 20_000, 20_000)


def test_room_that_does_not_last_is_no_reason_to_go_back():
    there = relays(site(32, switchable("a", up_ms=100_000)))
    run(there, 30)
    for _ in range(10):
        cut(there, 20, 5, 20)
        run(there, 30)
        cut(there, 20)
        run(there, 80)
    assert len(there.moves["a"]) == 1


def test_a_minimum_with_no_margin_is_no_reason_to_go_back():
    there = relays(site(32, switchable("a", up_ms=50_000)))
    run(there, 30)
    cut(there, 5)
    run(there, 1)
    cut(there, 20, 5, 20)
    run(there, 60)
    cut(there, 6)
    run(there, 300)
    assert there.conductors["a"] == 1, "6 A on three phases are the minimum, a margin of 1 A is wanted"
    cut(there, 7)
    run(there, 90)
    assert there.conductors["a"] == 3


def test_less_power_on_three_phases_is_no_reason_to_go_back():
    """20 A on one phase are 4.6 kW; a pool of 5 kW gives 7 A on three, 4.8 kW: 200 W more are wanted."""
    there = relays(site(32, switchable("a", up_ms=50_000)))
    car = Demand(evse="a", pool="pv")

    def surplus(watts: int, seconds: int) -> tuple[int, int | None]:
        there.pools = {"pv": (Limit(source="surplus", power_mw=watts * 1_000),)}
        return run(there, seconds, car)[-1][:2]

    assert surplus(7_000, 30) == (10_000, 3)
    assert surplus(4_000, 30) == (17_000, 1)
    assert surplus(5_000, 200) == (21_000, 1)
    assert surplus(8_000, 200) == (11_000, 3)


def test_changes_in_a_session_are_counted():
    there = relays(site(32, switchable("a", up_ms=20_000, down_ms=10_000, most=4)))
    for _ in range(6):
        cut(there, 20, 5, 20)
        run(there, 60)
        cut(there, 20)
        run(there, 60)
    assert len(there.moves["a"]) == 3, "one more would leave none to fall back"
    assert there.conductors["a"] == 1
    for _ in range(3):
        there.tick([])
    run(there, 60)
    assert there.conductors["a"] == 3, "the next car counts anew, and begins where it fits"


def test_who_plans_may_prefer_one_phase_or_three():
    there = relays(site(32, switchable("a", up_ms=600_000, down_ms=10_000)))
    run(there, 30)
    assert run(there, 40, Demand(evse="a", prefers=1))[-1] == (32_000, 1, "own_maximum")
    run(there, 600, Demand(evse="a", prefers=1))
    assert there.conductors["a"] == 1
    assert run(there, 40, Demand(evse="a", prefers=3))[-1] == (32_000, 3, "own_maximum")


def test_it_is_said():
    there = relays(site(32, switchable("a")))
    run(there, 30)
    cut(there, 20, 5, 20)
    said: list[Allocation] = [there.tick([Demand(evse="a")]) for _ in range(40)]
    assert said[0].reasons["a"].words == "it is paused for a moment to be switched to 1 phase(s)"
    assert said[-1].reasons["a"].words == (
        "L1 of grid (DSO) has no room for another step, shared by equal; "
        "it is on one phase, because three have not had room for long enough"
    )


def test_a_car_that_goes_on_drawing_is_not_switched():
    there = relays(site(32, switchable("a")))
    run(there, 30)
    cut(there, 20, 5, 20)
    there.stuck.add("a")
    assert {row[:2] for row in run(there, 60)} == {(0, 3)}
    assert there.moves["a"] == []


def test_without_a_measurement_or_a_confirmation_it_takes_its_time():
    there = relays(site(32, switchable("a")), lag=8, relay=4, confirms=False, measured=False)
    run(there, 30)
    cut(there, 20, 5, 20)
    assert run(there, 60)[-1] == (20_000, 1, "limit")
    assert there.under_current == []


def test_a_current_that_has_not_come_yet_is_no_pause():
    """It is told to stop before it has begun to draw: what it was told 4 s ago comes while it would be switched."""
    there = relays(site(32, switchable("a", pause_ms=0)), lag=6, relay=4, confirms=False)
    run(there, 4)
    cut(there, 20, 5, 20)
    run(there, 40)
    assert (there.under_current, there.conductors["a"]) == ([], 1)


@pytest.mark.parametrize("seed", [1_087, 1_154, 281_474_976_710_656])
def test_what_was_found_once_stays_mended(seed: int):
    """A relay that moved under a current on its way up; a step left over by one that goes back to three phases; a car
    that had gone and was still drawing on one phase, taken out of the meter on three.
    """
    assert faults_when_switching(seed) == []


def test_a_switch_that_does_not_happen_is_given_up():
    there = relays(site(32, switchable("a", down_ms=10_000)))
    run(there, 30)
    cut(there, 20, 5, 20)
    there.relays["a"] = 1_000
    seen = run(there, 90)
    assert seen[:3] == [(0, 3, "switching"), (0, 1, "switching"), (0, 3, "waiting")] or (0, 3, "switching") in seen[2:]
    assert there.flows() == (0, 0, 0), "nothing flows on phases that have no room"
    cut(there, 20)
    run(there, 90)
    assert there.flows() == (20_000, 20_000, 20_000)


def test_while_one_pauses_its_room_is_not_gone():
    """The other may not take what the first will have, nor what it may still be drawing."""
    there = relays(site(40, switchable("a", "STR", most=0), switchable("b")))
    cars = [Demand(evse="a"), Demand(evse="b")]
    run(there, 40, *cars)
    cut(there, 40, 11, 40)
    for _ in range(60):
        there.tick(cars)
    assert (there.conductors, there.under_current) == ({"a": 3, "b": 1}, [])
    assert there.flows() == (40_000, 11_000, 11_000)


@pytest.mark.parametrize(
    "evse",
    [
        Evse(id="a", node="grid", maximum=32_000, phases=1, switching=switchable("x").switching),
        Evse(id="a", node="grid", maximum=32_000, current="DC", switching=switchable("x").switching),
        switchable("a", up_ms=-1),
    ],
)
def test_a_wrong_description_is_refused(evse: Evse):
    assert len(faults_of(site(32, evse))) == 1


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.integers(0, 2**48))
def test_no_limit_is_violated_and_nothing_flaps_while_switching(seed: int):
    assert faults_when_switching(seed) == []
