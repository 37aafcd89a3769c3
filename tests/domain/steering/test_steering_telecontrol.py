"""Orders from outside, § 14a EnWG, and the record of what they did."""

import pytest
from msgspec import structs
from tests.domain.steering.steering_plant import DAY, KW, evse, tree
from tests.domain.steering.steering_table import Table, rules

from pilotwire.domain.energy import Demand, Limit, Node, SiteTree
from pilotwire.domain.steering import (
    Config,
    Contracted,
    Control,
    Load,
    Meter,
    Plan,
    ScheduledLimit,
    Slot,
    Span,
    Steuve,
    Wish,
)
from pilotwire.domain.steering.grid14a import gzf_permille, left, minimum_mw

DIM = Control("w4", "relay W4", "steuve_limit", "grid")


def table(devices: int, control: str = "ems", loads: tuple[Load, ...] = ()) -> Table:
    cars = tuple(evse(f"E{at}") for at in range(devices))
    ids = (*(each.id for each in cars), *(each.id for each in loads))
    config = Config(tree=tree(*cars), loads=loads, steuve=(Steuve("grid", ids, control),))  # type: ignore[arg-type]
    here = Table(config, [Wish(Demand(evse=each.id)) for each in cars])
    here.controls = (DIM,)
    return here


@pytest.mark.parametrize(
    ("n", "kw"),
    [(0, 0), (1, 4.2), (2, 7.56), (3, 10.5), (4, 13.02), (5, 15.12), (6, 16.8), (7, 18.06), (8, 18.9), (9, 19.32),
     (20, 40.11)],
)  # fmt: skip
def test_the_legal_minimum(n: int, kw: float) -> None:
    assert minimum_mw(n) == round(kw * KW)


def test_the_factor_falls_and_stays() -> None:
    factors = [gzf_permille(n) for n in range(1, 30)]
    assert factors == sorted(factors, reverse=True) and factors[-1] == 450


@pytest.mark.parametrize(
    ("grid", "cars", "limit"),
    [
        (10, 4, 7.56 + 6),  # 6 kW of a house beside
        (10, 0, 7.56 + 10),
        (-5, 0, 7.56),  # surplus of 5 kW adds, and takes the place of itself in the meter
        (3, 8, 7.56),
    ],
)
def test_dimmed_cars_have_the_minimum_and_their_own_surplus(grid: float, cars: float, limit: float) -> None:
    found = table(2).tick(grid, {"E0": cars / 2, "E1": cars / 2})
    (only,) = found.limits["grid"]
    assert only.source == "relay W4" and only.power_mw == pytest.approx(limit * KW, abs=2_000)
    assert rules(found, "grid") == ["steuve_limit"]
    (reason,) = [each for each in found.reasons if each.rule == "steuve_limit"]
    figures = dict(reason.figures)
    assert figures["limit_mw"] == figures["floor_mw"] + figures["surplus_mw"] == 7_560_000 + max(0, cars - grid) * KW


def test_no_order_goes_below_the_legal_minimum_but_may_leave_more() -> None:
    here = table(2)
    for value, kw in ((0, 7.56), (5 * KW, 7.56), (9 * KW, 9)):
        here.controls = (structs.replace(DIM, value_mw=value),)
        assert here.tick(0).limits["grid"][0].power_mw == pytest.approx(kw * KW, abs=2_000)


def test_a_lost_meter_leaves_the_minimum_beside_what_is_assumed() -> None:
    found = table(2).tick(None)
    assert found.limits["grid"][0].power_mw == 7_560_000 + 3 * 125 * 230_000


def test_an_order_counts_from_until() -> None:
    here = table(1)
    begin = DAY + (here.at_s + 3) * 1_000
    here.controls = (structs.replace(DIM, from_ms=begin, until_ms=begin + 2_000),)
    assert [bool(here.tick(0).limits) for _ in range(6)] == [False, False, True, True, False, False]


def test_direct_control_leaves_each_its_own() -> None:
    here = table(3, "direct")
    here.wishes = [
        Wish(Demand(evse="E0")), Wish(Demand(evse="E1", phases=1)), Wish(Demand(evse="E2", minimum=8_000)),
    ]  # fmt: skip
    found = here.tick(0)
    assert {demand.evse: demand.maximum for demand in found.demands} == {"E0": 6_086, "E1": 18_260}
    assert rules(found, "E2") == ["steuve_direct"] and found.limits == {}
    # A plan or a mode cannot go around it.
    here.plan = Plan(0, DAY * 2, cars={"E0": (Slot(0, DAY * 2, 22 * KW),)})
    assert here.tick(0).demands[0].maximum == 6_086


def test_a_heat_pump_is_one_of_the_devices() -> None:
    pump = Load("HP", "grid", 9 * KW, kind="heat_pump")
    found = table(1, loads=(pump,)).tick(5, {"E0": 0}, loads={"HP": 3})
    assert found.loads[0].limit_mw == 4_200_000
    # 7.56 for both, 3 go to the pump; 5 kW of house and pump are beside the car.
    assert found.limits["grid"][0].power_mw == pytest.approx((7.56 - 3 + 5) * KW, abs=2_000)


@pytest.mark.parametrize(
    ("cars", "pumps", "cooling", "together", "each"),
    [
        (0, (9,), (), 4.2, (4.2,)),
        (1, (9,), (), 7.56, (4.2,)),
        (0, (11,), (), 4.2, (4.2,)),  # above 11 kW, not at it
        (0, (14,), (), 5.6, (5.6,)),
        (4, (14,), (), 5.6 + 4 * 0.65 * 4.2, (5.6,)),
        (0, (12,), (30,), 12 + 0.8 * 4.2, (4.8, 12)),  # of two groups the larger, and the other as any device
        (0, (30,), (12,), 12 + 0.8 * 4.2, (12, 4.8)),
        (1, (6, 8), (), 5.6 + 0.8 * 4.2, (2.4, 3.2)),  # several are one device with their sum
        (0, (4, 4), (), 4.2, (2.1, 2.1)),
    ],
)  # fmt: skip
def test_what_is_left_to_heat_pumps_and_cooling(
    cars: int, pumps: tuple[int, ...], cooling: tuple[int, ...], together: float, each: tuple[float, ...]
) -> None:
    loads = [Load(f"HP{at}", "grid", kw * KW, kind="heat_pump") for at, kw in enumerate(pumps)]
    loads += [Load(f"AC{at}", "grid", kw * KW, kind="hvac") for at, kw in enumerate(cooling)]
    ids = (*(f"E{at}" for at in range(cars)), *(load.id for load in loads))
    found = left(Steuve("grid", ids), [*loads, Load("other", "grid", 50 * KW, kind="heat_pump")])
    assert found.together == round(together * KW)
    assert [found.each[load.id] for load in loads] == [round(kw * KW) for kw in each]
    assert all(found.each[f"E{at}"] == 4_200_000 for at in range(cars))


@pytest.mark.parametrize(("control", "cars"), [("ems", 12 + 0.8 * 4.2 - 10 + 15), ("direct", None)])
def test_a_large_heat_pump_keeps_two_fifths_of_its_power(control: str, cars: float | None) -> None:
    pump = Load("HP", "grid", 30 * KW, kind="heat_pump")
    found = table(1, control, loads=(pump,)).tick(15, {"E0": 0}, loads={"HP": 10})
    assert found.loads[0].limit_mw == 12 * KW
    limits = [each.power_mw for each in found.limits.get("grid", ())]
    assert limits == ([] if cars is None else [pytest.approx(cars * KW, abs=2_000)])
    assert found.state.interventions["w4"].limit_mw == (12 * KW + (3_360_000 if control == "ems" else 4_200_000))


def test_a_limit_of_import_is_kept_as_real_power() -> None:
    here = table(1)
    here.controls = (Control("lpc", "EEBus LPC", "import_limit", "grid", value_mw=11 * KW),)
    assert here.tick(5).limits["grid"][0].power_mw == pytest.approx(11 * KW, abs=2_000)
    # A power factor: the currents make 10 % more than the power is.
    found = here.tick(None, meters={"grid": Meter(9 * KW, 0, (14_493, 14_493, 14_493))})
    assert found.limits["grid"][0].power_mw == pytest.approx(12 * KW, abs=2_000)


def test_orders_for_nodes_that_do_not_exist_and_without_a_figure_change_nothing() -> None:
    here = table(1)
    here.controls = (structs.replace(DIM, node="moon"), Control("x", "y", "import_limit", "grid"))
    found = here.tick(0)
    assert found.limits == {} and found.state.interventions == {}


def test_every_intervention_is_recorded() -> None:
    here = table(2)
    here.controls = ()
    here.tick(20, {"E0": 10, "E1": 8})
    here.controls = (DIM,)
    begin = here.tick(20, {"E0": 10, "E1": 8}).state.interventions["w4"]
    assert (begin.source, begin.limit_mw, begin.before_mw, begin.until_ms) == ("relay W4", 7_560_000, 18 * KW, None)
    here.tick(20, {"E0": 10, "E1": 8}, seconds=5)  # still falling: does not count
    here.tick(9, {"E0": 4, "E1": 3}, seconds=40)
    here.tick(9, {"E0": 4.14, "E1": 3})
    here.controls = (structs.replace(DIM, value_mw=9 * KW),)
    (ended,) = here.tick(9, {"E0": 4.14, "E1": 3.2}).ended
    assert (ended.before_mw, ended.after_mw, ended.highest_mw) == (18 * KW, 7_140_000, 7_140_000)
    assert ended.until_ms == DAY + here.at_s * 1_000
    here.controls = ()
    (second,) = here.tick(9, {"E0": 4.14, "E1": 3.2}).ended
    assert second.limit_mw == 9 * KW and second.from_ms == ended.until_ms
    assert here.tick(9).ended == ()


def test_contracts_and_schedules_are_limits() -> None:
    night = ScheduledLimit("grid", Limit(source="night", phases_ma=(40_000,) * 3), Span(0, 360), zone="UTC")
    config = Config(tree=tree(evse("E0")), contracts=(Contracted("grid", 50 * KW, hard=False),), schedules=(night,))
    here = Table(config)
    found = here.tick(0)
    assert [(each.source, each.power_mw, each.phases_ma) for each in found.limits["grid"]] == [
        ("contracted capacity", 50 * KW, None), ("night", None, (40_000, 40_000, 40_000)),
    ]  # fmt: skip
    here.plan = Plan(0, DAY * 2, peaks={"grid": (Slot(0, DAY * 2, 70 * KW),)})
    assert here.tick(0).limits["grid"][0].power_mw == 70 * KW
    hard = Table(structs.replace(config, contracts=(Contracted("grid", 50 * KW),)))
    hard.plan = here.plan
    assert hard.tick(0).limits["grid"][0].power_mw == 50 * KW
    here.at_s += 7 * 3_600
    assert len(here.tick(0).limits["grid"]) == 1


def test_a_load_may_have_what_is_left() -> None:
    rod = Load("R", "grid", 6 * KW, minimum_mw=KW, step_mw=500_000, surplus=True)
    here = Table(Config(tree=tree(evse("E0")), loads=(rod,)))
    assert here.tick(-2.7).loads[0].surplus_mw == 2_500_000
    assert here.tick(-0.2, loads={"R": 2.5}).loads[0].surplus_mw == 2_500_000
    assert here.tick(-0.7).loads[0].surplus_mw == 0
    assert here.tick(-9).loads[0].surplus_mw == 6 * KW


def test_a_group_beside_uncontrolled_chargers() -> None:
    nodes = (
        Node(id="grid", kind="connection", limits=(Limit(source="fuse", power_mw=100 * KW),), metered=True,
             side_lost_ma=(0, 0, 0)),
        Node(id="garage", kind="group", parent="grid"),
    )  # fmt: skip
    cars = (evse("E0", node="garage"), evse("X"))
    here = Table(
        Config(tree=SiteTree(nodes=nodes, evses=cars), steuve=(Steuve("garage", ("E0",)),)), [Wish(Demand(evse="E0"))]
    )
    here.controls = (structs.replace(DIM, node="garage"),)
    # 12 kW of sun more than the house and the other car use: all that on top.
    assert here.tick(-12, {"E0": 0, "X": 10}).limits["garage"][0].power_mw == 16_200_000
    assert here.tick(20, {"E0": 4, "X": 10}).limits["garage"][0].power_mw == 4_200_000
