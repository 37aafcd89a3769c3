"""Heat pumps and their like beside cars: dimmed or in levels, with a floor, and times for which they stay so."""

from typing import Any

import pytest

from pilotwire.domain.energy import (
    Allocation,
    Demand,
    Evse,
    EvseState,
    Limit,
    Load,
    Moment,
    Node,
    Policy,
    Reading,
    Resource,
    Signals,
    SiteTree,
    State,
    allocate,
    faults_of,
    prepare,
)

UTC_MS = 1_800_000_000_000


def site(a: int, *loads: Load, cars: int = 2, **other: Any) -> SiteTree:
    fuse = Limit(source="fuse", phases_ma=(a * 1_000,) * 3)
    evses = tuple(Evse(id=f"e{at}", node="grid", maximum=32_000) for at in range(cars))
    return SiteTree(nodes=(Node(id="grid", kind="connection", limits=(fuse,)),), evses=evses, loads=loads, **other)


def at(second: int) -> Moment:
    return Moment(tick_ms=50_000_000 + second * 1_000, utc_ms=UTC_MS + second * 1_000)


def tick(
    tree: SiteTree, *, second: int = 0, state: State | None = None, want: Any = None, **signals: Any
) -> Allocation:
    ids = [each.id for each in (*tree.evses, *tree.loads)] if want is None else want
    demands = [Demand(evse=id) for id in ids]
    return allocate(prepare(tree), Policy(), demands, Signals(**signals), state or State(), at(second))


def values(result: Allocation) -> dict[str, int]:
    return {point.evse: point.value for point in (*result.set_points, *result.loads)}


def pump(**other: Any) -> Load:
    return Load(**{"id": "pump", "node": "grid", "maximum": 9_000_000, **other})


def test_a_dimmable_load_shares_with_the_cars():
    result = tick(site(30, pump()))
    # 10 A of three phases are 6.9 kW: nobody is above anybody by more than a step.
    assert values(result) == {"e0": 10_000, "e1": 10_000, "pump": 6_900_000}
    (point,) = result.loads
    assert (point.unit, point.infeed_ma) == ("mW", 10_000)
    assert [point.evse for point in result.set_points] == ["e0", "e1"]


def test_a_floor_comes_before_any_car():
    """4.2 kW are 6.087 A per phase; what is left is for one car."""
    assert values(tick(site(13, pump(floor=4_200_000)))) == {"e0": 6_000, "e1": 0, "pump": 4_800_000}
    assert values(tick(site(7, pump(floor=4_200_000)))) == {"e0": 0, "e1": 0, "pump": 4_800_000}
    without = values(tick(site(13, pump(minimum=4_200_000)), want=["e0", "e1", "pump"]))
    assert without == {"e0": 7_000, "e1": 6_000, "pump": 0}


def test_a_floor_is_no_reason_to_melt_a_fuse():
    result = tick(site(5, pump(floor=4_200_000)), want=["pump"])
    assert values(result)["pump"] == 3_400_000, "5 A of three phases are 3,450 W"


@pytest.mark.parametrize(
    ("a", "expected"), [(2, 0), (3, 1_500_000), (8, 1_500_000), (9, 6_000_000), (13, 6_000_000), (14, 9_000_000)]
)
def test_levels_are_the_only_values(a: int, expected: int):
    levels = (1_500_000, 6_000_000, 9_000_000)
    assert values(tick(site(a, pump(levels=levels), cars=0)))["pump"] == expected


def test_on_or_off_on_one_phase():
    boiler = Load(id="b", node="grid", maximum=2_300_000, levels=(2_300_000,), phases=1, rotation="STR")
    result = tick(site(16, boiler))
    assert values(result) == {"b": 2_300_000, "e0": 6_000, "e1": 0}
    assert result.loads[0].infeed_ma == 10_000
    assert result.reasons["e0"].what == "L2"
    lean = tick(site(9, boiler, cars=0))
    assert (values(lean), lean.reasons["b"].code) == ({"b": 0}, "waiting")


def test_a_load_stays_on_and_off_for_its_time():
    load = pump(levels=(4_140_000,), maximum=4_140_000, min_on_ms=300_000, min_off_ms=600_000)
    tree = site(12, load, cars=1)
    result = tick(tree, want=["pump"])
    state, seen = result.state, list[tuple[int, int, int]]()
    cut = {"grid": (Limit(source="DSO", phases_ma=(6_500,) * 3),)}
    for second in range(1, 1_600):
        # A car comes, and there is room for one of them; after 400 s for none of them, until 450 s.
        if 400 <= second < 450:
            signals: Any = {"limits": {"grid": (Limit(source="DSO", phases_ma=(1_000,) * 3),)}}
        else:
            signals = {"limits": cut}
        demands = [Demand(evse="e0", priority=1 if second < 300 else 0), Demand(evse="pump")]
        result = allocate(prepare(tree), Policy(order="priority"), demands, Signals(**signals), state, at(second))
        state = result.state
        now = values(result)
        row = (second, now["e0"], now["pump"])
        if not seen or seen[-1][1:] != row[1:]:
            seen.append(row)
        if 410 < second < 1_000:
            assert result.reasons["pump"].code == "resting"
            assert "stays off for another" in result.reasons["pump"].words
    assert seen[0] == (1, 0, 4_140_000), "it is not put out by a car that comes first"
    assert (400, 0, 0) in seen, "but it is by a limit"
    back = [second for second, _, power in seen if second > 400 and power]
    assert not back or back[0] >= 1_000


def test_a_load_that_was_switched_off_comes_back_when_its_time_is_over():
    tree = site(30, pump(min_off_ms=60_000), cars=0)
    off = {"grid": (Limit(source="DSO", phases_ma=(0, 0, 0)),)}
    state, on = State(), list[int]()
    for second in range(120):
        result = tick(tree, second=second, state=state, limits=off if 20 <= second < 25 else {})
        state = result.state
        if values(result)["pump"]:
            on.append(second)
        elif second >= 25:
            assert result.reasons["pump"].wait_ms == (80 - second) * 1_000
    assert on == [*range(20), *range(80, 120)]


def test_a_load_that_nobody_asks_for_is_off():
    result = tick(site(30, pump()), want=["e0"])
    assert (values(result)["pump"], result.reasons["pump"].code) == (0, "no_demand")


def test_what_a_load_draws_is_no_side_load():
    grid = Node(
        id="grid",
        kind="connection",
        metered=True,
        side_lost_ma=(0, 0, 0),
        limits=(Limit(source="fuse", phases_ma=(32_000,) * 3),),
    )
    tree = SiteTree(nodes=(grid,), loads=(pump(),))
    told = EvseState(value=6_900_000, infeed_ma=10_000, changed_ms=0, admitted=True, since_ms=0)
    state = State({"pump": told})
    now = at(0).tick_ms
    meters = {"grid": Reading(phases_ma=(30_000, 30_000, 30_000), at_ms=now)}
    draws = {"pump": Reading(phases_ma=(10_000, 10_000, 10_000), at_ms=now)}
    assert values(tick(tree, state=state, meters=meters, draws=draws))["pump"] == 8_200_000, "12 A beside 20 A"


def test_a_battery_below_no_meter_counts_with_what_it_draws():
    battery = Resource(id="bat", node="grid", kind="battery", lost_ma=(15_000, 15_000, 15_000))
    tree = site(40, cars=1, resources=(battery,))
    now = at(0).tick_ms

    def given(ma: int, age_ms: int = 0) -> int:
        return values(tick(tree, draws={"bat": Reading(phases_ma=(ma, ma, ma), at_ms=now - age_ms)}))["e0"]

    assert given(10_000) == 30_000
    assert given(-20_000) == 32_000
    assert given(10_000, age_ms=20_000) == 25_000, "lost: the most that it may draw"
    small = site(20, cars=1, resources=(battery,))
    feeding = {"bat": Reading(phases_ma=(-9_000, -9_000, -9_000), at_ms=now)}
    assert values(tick(small, draws=feeding))["e0"] == 20_000, (
        "what it feeds in is no room on a fuse that is not metered"
    )


@pytest.mark.parametrize(
    ("tree", "said"),
    [
        (site(30, pump(node="x")), "its node x does not exist"),
        (site(30, pump(step=0)), "step is 0"),
        (site(30, pump(levels=(2, 1))), "ascending"),
        (site(30, pump(levels=(0, 9_000_000))), "positive and ascending"),
        (site(30, pump(levels=(1, 2))), "is not its maximum"),
        (site(30, pump(minimum=9_050_000)), "no multiple of its step"),
        (site(30, pump(floor=-1)), "cannot be negative"),
        (site(30, pump(failsafe=9_000_001)), "is not between 0 and its maximum"),
        (site(30, pump(tenant="t")), "its tenant t does not exist"),
        (site(30, pump(id="e0")), "member e0: is there 2 times"),
        (site(30, resources=(Resource(id="r", node="x", kind="generator"),)), "generator r: its node x"),
        (
            site(30, resources=(Resource(id="r", node="grid", kind="battery", lost_ma=(0, 0, -1)),)),
            "cannot be negative",
        ),
    ],
)
def test_a_wrong_load_is_refused(tree: SiteTree, said: str):
    assert said in " | ".join(str(fault) for fault in faults_of(tree))
