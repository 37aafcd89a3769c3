"""One tick, case by case: what counts where, who comes first, and what is said about it."""

from typing import Any

import pytest

from pilotwire.core.errors import LocalError
from pilotwire.domain.energy import (
    Allocation,
    Demand,
    Evse,
    EvseState,
    Limit,
    Moment,
    Node,
    Policy,
    Reading,
    Signals,
    SiteTree,
    State,
    Tenant,
    allocate,
    prepare,
)

NOW = Moment(tick_ms=50_000_000, utc_ms=1_800_000_000_000)
HOUR = 3_600_000


def fuse(a: int, *, power_w: int | None = None, **other: Any) -> Limit:
    return Limit(source="fuse", phases_ma=(a * 1_000,) * 3, power_mw=power_w and power_w * 1_000, **other)


def site(*evses: Evse, limits: tuple[Limit, ...], nodes: tuple[Node, ...] = (), **other: Any) -> SiteTree:
    return SiteTree(nodes=(Node(id="grid", kind="connection", limits=limits), *nodes), evses=evses, **other)


def ac(id: str, node: str = "grid", maximum: int = 32, **other: Any) -> Evse:
    return Evse(id=id, node=node, maximum=maximum * 1_000, **other)


def tick(
    tree: SiteTree,
    *demands: Demand,
    order: Any = "equal",
    signals: Signals | None = None,
    state: State | None = None,
    now: Moment = NOW,
) -> Allocation:
    return allocate(prepare(tree), Policy(order=order), demands, signals or Signals(), state or State(), now)


def values(result: Allocation) -> dict[str, int]:
    return {point.evse: point.value for point in result.set_points}


def cars(*ids: str, **same: Any) -> list[Demand]:
    return [Demand(evse=id, **same) for id in ids]


def test_equal_shares_use_what_others_cannot():
    tree = site(ac("a", maximum=10), ac("b"), ac("c"), limits=(fuse(50),))
    assert values(tick(tree, *cars("a", "b", "c"))) == {"a": 10_000, "b": 20_000, "c": 20_000}


def test_a_bottleneck_below_leaves_the_rest_to_others():
    feeder = Node(id="f", kind="feeder", parent="grid", limits=(fuse(16),))
    tree = site(ac("a", "f"), ac("b", "f"), ac("c"), limits=(fuse(60),), nodes=(feeder,))
    result = tick(tree, *cars("a", "b", "c"))
    assert values(result) == {"a": 8_000, "b": 8_000, "c": 32_000}
    assert (result.reasons["a"].code, result.reasons["a"].place, result.reasons["a"].what) == ("limit", "f", "L1")
    assert result.reasons["c"].code == "own_maximum"


def test_cars_on_turned_phases_do_not_share_a_phase():
    """Three cars with one phase each are 16 A on each phase, not 48 A."""
    evses = [ac(id, phases=1, rotation=rotation) for id, rotation in zip("abc", ("RST", "STR", "TRS"), strict=True)]
    assert values(tick(site(*evses, limits=(fuse(16),)), *cars("a", "b", "c"))) == dict.fromkeys("abc", 16_000)


def test_an_unknown_rotation_counts_on_each_phase():
    evses = [ac(id, phases=1) for id in "abc"]
    result = tick(site(*evses, limits=(fuse(21),)), *cars("a", "b", "c"))
    assert values(result) == dict.fromkeys("abc", 7_000)


def test_two_phases_of_a_turned_evse():
    """STR: the EVSE's L1 is on S, its L2 on T; R stays free for the other car."""
    tree = site(ac("a", rotation="STR"), ac("b", phases=1, rotation="RST"), limits=(fuse(20),))
    assert values(tick(tree, Demand(evse="a", phases=2), Demand(evse="b"))) == {"a": 20_000, "b": 20_000}


def test_power_is_counted_by_the_phases_in_use():
    tree = site(ac("a", phases=1, rotation="RST"), ac("b"), limits=(Limit(source="contract", power_mw=9_200_000),))
    result = tick(tree, *cars("a", "b"))
    assert values(result) == {"a": 10_000, "b": 10_000}, "4 × 230 V × 10 A"
    assert result.reasons["a"].words == "power of grid (contract) has no room for another step, shared by equal"


def test_dc_is_fed_from_three_phases_with_losses():
    evse = Evse(id="d", node="grid", maximum=50_000_000, minimum=5_000_000, step=100_000, current="DC", efficiency=900)
    result = tick(site(evse, limits=(fuse(32),)), Demand(evse="d"))
    (point,) = result.set_points
    assert (point.value, point.unit) == (19_800_000, "mW"), "32 A × 690 V × 0.9 = 19,872 W"
    assert point.infeed_ma == 31_885


def test_imbalance_does_not_rest_on_a_car_that_may_end():
    tree = site(
        ac("a", phases=1, rotation="RST"),
        ac("b", phases=1, rotation="STR"),
        ac("c"),
        limits=(fuse(63, imbalance_ma=20_000),),
    )
    result = tick(tree, *cars("a", "b", "c"))
    assert values(result) == {"a": 20_000, "b": 20_000, "c": 32_000}
    assert result.reasons["a"].what == "L1 above L2"


def test_the_lowest_limit_counts_and_is_named():
    night = Limit(source="night", phases_ma=(20_000,) * 3, from_ms=NOW.utc_ms, until_ms=NOW.utc_ms + HOUR)
    tree = site(ac("a"), limits=(fuse(32), night))
    assert tick(tree, *cars("a")).reasons["a"].source == "night"
    for off in (-1, HOUR):
        at = Moment(tick_ms=NOW.tick_ms, utc_ms=NOW.utc_ms + off)
        assert values(tick(tree, *cars("a"), now=at)) == {"a": 32_000}
    signals = Signals(limits={"grid": (Limit(source="DSO", phases_ma=(6_000, 9_000, 9_000)),)})
    result = tick(tree, *cars("a"), signals=signals)
    assert values(result) == {"a": 6_000}
    assert (result.reasons["a"].source, result.reasons["a"].what) == ("DSO", "L1")


def test_a_signal_may_say_zero():
    signals = Signals(limits={"grid": (Limit(source="DSO", power_mw=0),)})
    result = tick(site(ac("a"), limits=(fuse(32),)), *cars("a"), signals=signals)
    assert values(result) == {"a": 0}
    assert result.reasons["a"].words == (
        "it waits: power of grid (DSO) has no room for its minimum, and others come first by equal"
    )


def test_side_load_counts_per_phase():
    grid = Node(id="grid", kind="connection", limits=(fuse(40),), metered=True, side_lost_ma=(39_000,) * 3)
    tree = SiteTree(nodes=(grid,), evses=(ac("a", phases=1, rotation="STR"), ac("b", phases=1, rotation="RST")))
    at = NOW.tick_ms
    reading = Reading(phases_ma=(30_000, -5_000, 0), at_ms=at)
    result = tick(tree, *cars("a", "b"), signals=Signals(meters={"grid": reading}))
    assert values(result) == {"a": 32_000, "b": 10_000}, "what L2 feeds in is no room on L1"
    for lost in (Signals(), Signals(meters={"grid": Reading(phases_ma=(0, 0, 0), at_ms=at - 20_000)})):
        assert values(tick(tree, *cars("a", "b"), signals=lost)) == {"a": 0, "b": 0}


def test_own_current_is_not_side_load():
    """The meter sees the car too: what the car draws is taken out again."""
    grid = Node(id="grid", kind="connection", limits=(fuse(32),), metered=True, side_lost_ma=(0, 0, 0))
    tree = SiteTree(nodes=(grid,), evses=(ac("a"),))
    state = State(
        {"a": EvseState(value=20_000, infeed_ma=20_000, before_ma=0, changed_ms=0, admitted=True, since_ms=0)}
    )
    at = NOW.tick_ms
    signals = Signals(
        meters={"grid": Reading(phases_ma=(24_600, 19_600, 19_600), at_ms=at)},
        draws={"a": Reading(phases_ma=(19_600, 19_600, 19_600), at_ms=at)},
    )
    assert values(tick(tree, *cars("a"), signals=signals, state=state)) == {"a": 27_000}


def test_what_an_evse_draws_against_its_orders_is_nobody_elses():
    """No car is announced at a, and still 10 A flow there."""
    tree = site(ac("a"), ac("b"), limits=(fuse(32),))
    signals = Signals(draws={"a": Reading(phases_ma=(10_000, 0, 0), at_ms=NOW.tick_ms)})
    result = tick(tree, *cars("b"), signals=signals)
    assert [(point.value, point.target) for point in result.set_points] == [(0, 0), (22_000, 22_000)]


def test_a_car_that_has_gone_gives_no_room_on_phases_that_it_was_not_on():
    """One conductor of three: what it still draws is on L1, and L2 and L3 of the meter are somebody else's."""
    grid = Node(id="grid", kind="connection", limits=(fuse(32),), metered=True, side_lost_ma=(0, 0, 0))
    tree = SiteTree(nodes=(grid,), evses=(ac("a", rotation="RST"), ac("b", rotation="RST")))
    state, drawn = State(), {"a": 0, "b": 0}
    cut = {"grid": (Limit(source="DSO", phases_ma=(32_000, 28_000, 28_000)),)}
    for second in range(32):
        now = Moment(tick_ms=NOW.tick_ms + second * 1_000, utc_ms=NOW.utc_ms)
        a, b = drawn["a"], drawn["b"]
        draws = {id: Reading(phases_ma=(ma, 0, 0), at_ms=now.tick_ms) for id, ma in drawn.items()}
        meters = {"grid": Reading(phases_ma=(a + b, 20_000 + b, 20_000 + b), at_ms=now.tick_ms)}
        demands = [Demand(evse="a", phases=1), Demand(evse="b")] if second < 25 else [Demand(evse="b")]
        signals = Signals(meters=meters, draws=draws, limits=cut if second >= 28 else {})
        result = tick(tree, *demands, signals=signals, state=state, now=now)
        state, got = result.state, values(result)
        drawn = {"a": got["a"] if second < 25 else 20_000, "b": got["b"]}
        if second in (24, 27):
            assert drawn == {"a": 20_000, "b": 12_000}
        if second >= 28:
            assert got["b"] == 8_000, "L2 and L3 have 20 A beside the cars, and 28 A in all"


def test_priority_comes_before_shares():
    tree = site(ac("a"), ac("b"), ac("c"), limits=(fuse(50),))
    demands = [Demand(evse="a"), Demand(evse="b", priority=1), Demand(evse="c")]
    assert values(tick(tree, *demands, order="priority")) == {"a": 9_000, "b": 32_000, "c": 9_000}
    assert values(tick(tree, *demands)) == {"a": 17_000, "b": 17_000, "c": 16_000}


@pytest.mark.parametrize(
    ("order", "first", "second"),
    [
        ("first_come", {"arrived_ms": 1}, {"arrived_ms": 2}),
        ("lowest_soc", {"soc": 300}, {"soc": 400}),
        ("lowest_soc", {"soc": 990}, {"soc": None}),
        ("earliest_departure", {"departure_ms": NOW.utc_ms + HOUR}, {"departure_ms": NOW.utc_ms + 2 * HOUR}),
        ("earliest_departure", {"departure_ms": NOW.utc_ms + HOUR}, {}),
        # Both need an hour and a half at 22 kW; the first leaves later and still has less to spare.
        (
            "least_laxity",
            {"departure_ms": NOW.utc_ms + 4 * HOUR, "energy_wh": 80_000},
            {"departure_ms": NOW.utc_ms + 3 * HOUR, "energy_wh": 10_000},
        ),
    ],
)
def test_who_comes_first_gets_all_he_can_take(order: str, first: dict[str, Any], second: dict[str, Any]):
    tree = site(ac("a"), ac("b"), limits=(fuse(40),))
    result = tick(tree, Demand(evse="a", **second), Demand(evse="b", **first), order=order)
    assert values(result) == {"a": 8_000, "b": 32_000}
    assert result.reasons["a"].order == order
    swapped = tick(tree, Demand(evse="a", **first), Demand(evse="b", **second), order=order)
    assert values(swapped) == {"a": 32_000, "b": 8_000}


def test_nearly_equal_cars_share():
    tree = site(ac("a"), ac("b"), limits=(fuse(40),))
    demands = [Demand(evse="a", soc=301), Demand(evse="b", soc=309)]
    assert values(tick(tree, *demands, order="lowest_soc")) == {"a": 20_000, "b": 20_000}


def test_a_guarantee_comes_before_priority():
    tree = site(ac("a"), ac("b"), limits=(fuse(40),))
    demands = [Demand(evse="a", guaranteed=12_000), Demand(evse="b", priority=1)]
    assert values(tick(tree, *demands, order="priority")) == {"a": 12_000, "b": 28_000}


def test_a_tenant_keeps_to_his_quota_wherever_his_evses_are():
    nodes = tuple(Node(id=id, kind="feeder", parent="grid", limits=(fuse(63),)) for id in ("f", "g"))
    shop = Tenant(id="shop", limits=(Limit(source="lease", phases_ma=(20_000,) * 3),))
    evses = (ac("a", "f", tenant="shop"), ac("b", "g", tenant="shop"), ac("c", "g"))
    tree = site(*evses, limits=(fuse(100),), nodes=nodes, tenants=(shop,))
    result = tick(tree, *cars("a", "b", "c"))
    assert values(result) == {"a": 10_000, "b": 10_000, "c": 32_000}
    assert result.reasons["a"].code == "quota"
    assert result.reasons["a"].words == "the quota of shop (L1, lease) is used up, shared by equal"


def test_no_capacity_is_left_by_rounding():
    """31 A for three cars in whole amperes, and a car that takes 0.1 A takes what is less than one."""
    tree = site(ac("a"), ac("b"), ac("c"), limits=(fuse(31),))
    assert sum(values(tick(tree, *cars("a", "b", "c"))).values()) == 31_000
    mixed = site(
        ac("a", step=4_000),
        ac("b", step=1_000),
        ac("c", step=100),
        limits=(Limit(source="x", phases_ma=(31_350,) * 3),),
    )
    got = values(tick(mixed, *cars("a", "b", "c")))
    assert (got["a"], sum(got.values())) == (8_000, 31_300)


def test_minima_that_do_not_fit_take_turns():
    tree = site(ac("a"), ac("b"), ac("c"), limits=(fuse(14),))
    topology, policy, state = prepare(tree), Policy(rotate_ms=600_000), State()
    seen: list[str] = []
    for second in range(0, 3_600, 5):
        now = Moment(tick_ms=second * 1_000, utc_ms=NOW.utc_ms + second * 1_000)
        result = allocate(topology, policy, cars("a", "b", "c"), Signals(), state, now)
        state = result.state
        assert sum(values(result).values()) <= 14_000
        at = "".join(point.evse for point in result.set_points if point.target)
        if not seen or seen[-1] != at:
            seen.append(at)
    assert seen == ["ab", "ac", "bc", "ab", "ac", "bc"]


def test_who_has_been_let_in_is_not_put_out_at_once():
    """A car with less to spare waits until `hold_ms` is over; one with a higher priority does not."""
    tree = site(ac("a"), ac("b"), limits=(fuse(9),))
    first = tick(tree, Demand(evse="a", arrived_ms=9), order="first_come")
    for late, priority, expected in ((60, 0, 9_000), (130, 0, 0), (60, 1, 0)):
        now = Moment(tick_ms=NOW.tick_ms + late * 1_000, utc_ms=NOW.utc_ms)
        demands = [Demand(evse="a", arrived_ms=9), Demand(evse="b", arrived_ms=1, priority=priority)]
        result = tick(tree, *demands, order="first_come", state=first.state, now=now)
        assert values(result)["a"] == expected


def test_a_car_that_cannot_charge_here_is_told_apart_from_one_that_waits():
    result = tick(site(ac("a"), limits=(fuse(63),)), Demand(evse="a", minimum=40_000))
    assert (values(result), result.reasons["a"].code) == ({"a": 0}, "impossible")


def test_an_evse_without_a_car_gets_nothing():
    result = tick(site(ac("a"), ac("b"), limits=(fuse(63),)), Demand(evse="a"))
    assert (values(result)["b"], result.reasons["b"].code) == (0, "no_demand")


def test_wrong_demands_are_refused():
    tree = site(ac("a"), limits=(fuse(63),))
    with pytest.raises(LocalError, match="EVSE x, which is not in the tree"):
        tick(tree, Demand(evse="x"))
    with pytest.raises(LocalError, match="two demands of EVSE a"):
        tick(tree, Demand(evse="a"), Demand(evse="a"))
