"""Set-points of batteries."""

import pytest
from msgspec import structs
from tests.domain.steering.steering_plant import DAY, KW, evse, tree
from tests.domain.steering.steering_table import Table, kw, rules

from pilotwire.domain.energy import Demand, Evse, Limit, Node, SiteTree
from pilotwire.domain.steering import (
    Battery,
    Config,
    Control,
    DemandWindow,
    Meter,
    Plan,
    ScheduledLimit,
    Slot,
    Steuve,
    Surplus,
    Wish,
)

B = Battery(
    id="B", node="grid", capacity_wh=100_000, charge_mw=30 * KW, discharge_mw=30 * KW, backup_permille=100,
    peak_permille=400, ramp_mw_s=100 * KW,
)  # fmt: skip
FUSE = 172.5
"""kW of three times 250 A."""


def table(*batteries: Battery, wishes: list[Wish] | None = None, grid_ma: int = 250_000, **more: object) -> Table:
    cars = tuple(evse(f"E{at}") for at in range(2))
    config = Config(tree=tree(*cars, grid_ma=grid_ma), batteries=batteries or (B,), **more)  # type: ignore[arg-type]
    return Table(config, wishes or [])


def test_it_covers_import_and_takes_export_and_rests_between() -> None:
    here = table()
    assert kw(here.tick(10, batteries={"B": (0, 600)}), "B") == -10
    assert kw(here.tick(0, batteries={"B": (-10, 600)}), "B") == -10  # its own power is not the house's
    assert kw(here.tick(4, batteries={"B": (-10, 600)}), "B") == -14
    here = table()
    assert kw(here.tick(-7, batteries={"B": (0, 600)}), "B") == 7
    found = here.tick(0.05, batteries={"B": (0, 600)})
    assert kw(found, "B") == 0 and rules(found, "B")[0] in ("battery_covers", "battery_rests")


def test_no_ping_pong_around_zero() -> None:
    here = table()
    told = [kw(here.tick(2 if at % 4 < 2 else -2, batteries={"B": (0, 600)}), "B") for at in range(120)]
    assert min(told) == -2 and max(told) == 0  # it covers, and does not turn within its rest
    assert kw(table().tick(0.05, batteries={"B": (0, 600)}), "B") == 0  # not worth it
    # From giving to taking there is a rest.
    here = table()
    here.tick(5, batteries={"B": (0, 600)})
    rest = [kw(here.tick(-5, batteries={"B": (0, 600)}), "B") for _ in range(25)]
    assert rest[:19] == [0] * 19 and rest[-1] == 5


def test_its_peak_reserve_is_for_peaks_alone_and_the_backup_for_nothing() -> None:
    here = table()
    found = here.tick(10, batteries={"B": (0, 400)})
    assert kw(found, "B") == 0 and rules(found, "B") == ["battery_reserve"]
    found = here.tick(FUSE + 10, batteries={"B": (0, 400)})
    assert kw(found, "B") < -9.9 and rules(found, "B") == ["battery_shaves"]
    assert kw(table().tick(FUSE + 10, batteries={"B": (0, 100)}), "B") == 0


def test_cars_that_want_more_than_there_is_wake_it() -> None:
    schedule = ScheduledLimit("grid", Limit(source="night", power_mw=20 * KW))
    wishes = [Wish(Demand(evse="E0")), Wish(Demand(evse="E1", maximum=10_000))]
    here = table(structs.replace(B, base="idle"), wishes=wishes, schedules=(schedule,))
    # 22.08 and 6.9 kW are wanted, 20 are there.
    found = here.tick(20, {"E0": 10, "E1": 6.9}, {"B": (0, 600)})
    assert kw(found, "B") == pytest.approx(-(3.1 + 22.08 + 6.9 - 20), abs=0.01)


def test_a_phase_that_is_full_is_shaved_three_times() -> None:
    here = table(structs.replace(B, base="idle"), grid_ma=100_000)
    odd = Meter(45 * KW, 0, (110_000, 50_000, 36_000))
    assert kw(here.tick(None, batteries={"B": (0, 600)}, meters={"grid": odd}), "B") == pytest.approx(-6.9, abs=0.01)


def test_the_ramp_is_kept() -> None:
    here = table(structs.replace(B, ramp_mw_s=2 * KW))
    assert [kw(here.tick(20, batteries={"B": (0, 600)}), "B") for _ in range(4)] == [-2, -4, -6, -8]


def test_several_share_by_charge_and_none_charges_another() -> None:
    two = (B, structs.replace(B, id="C"))
    here = table(*two)
    found = here.tick(12, batteries={"B": (0, 800), "C": (0, 600)})
    assert (kw(found, "B"), kw(found, "C")) == pytest.approx((-8, -4), abs=0.01)
    found = table(*two).tick(-12, batteries={"B": (0, 800), "C": (0, 600)})
    assert (kw(found, "B"), kw(found, "C")) == pytest.approx((4, 8), abs=0.01)
    for grid in range(-40, 41, 5):
        found = table(*two).tick(grid, batteries={"B": (3, 800), "C": (-5, 300)})
        assert kw(found, "B") * kw(found, "C") >= 0


def test_one_that_is_full_leaves_it_to_the_other() -> None:
    two = (B, structs.replace(B, id="C"))
    found = table(*two).tick(-12, batteries={"B": (0, 1_000), "C": (0, 600)})
    assert (kw(found, "B"), kw(found, "C")) == (0, 12)


def test_a_lost_battery_is_told_nothing_and_not_counted_on() -> None:
    two = (B, structs.replace(B, id="C"))
    found = table(*two).tick(12, batteries={"C": (0, 600)})
    assert (kw(found, "B"), kw(found, "C")) == (0, -12) and rules(found, "B") == ["battery_lost"]
    here = table(wishes=[Wish(Demand(evse="E0"))])
    found = here.tick(FUSE + 10, {"E0": 10})
    assert found.limits == {}  # nothing is promised in its name


def test_one_that_does_not_follow_is_asked_last() -> None:
    two = (structs.replace(B, base="idle"), structs.replace(B, id="C", base="idle"))
    here = table(*two)
    found = here.tick(FUSE + 20, batteries={"B": (0, 600), "C": (0, 600)})
    assert (kw(found, "B"), kw(found, "C")) == pytest.approx((-10, -10), abs=0.1)
    found = here.tick(FUSE + 10, batteries={"B": (0, 600), "C": (-10, 600)}, seconds=8)
    assert kw(found, "C") == pytest.approx(-20, abs=0.1)


def test_what_it_is_about_to_take_is_kept_free() -> None:
    here = table(structs.replace(B, base="idle"))
    here.tick(FUSE + 10, batteries={"B": (0, 600)})
    found = here.tick(FUSE - 40, batteries={"B": (-10, 600)})
    assert kw(found, "B") == 0
    assert {limit.source for limit in found.limits["grid"]} == {"fuse, a battery about to take more"}
    (limit,) = found.limits["grid"]
    assert limit.phases_ma is not None and limit.phases_ma[0] == 250_000 - 14_493


def test_cars_at_full_power_are_not_for_it() -> None:
    wishes = [Wish(Demand(evse="E0"))]
    here = table(wishes=wishes, surplus=Surplus(node="grid"))
    assert kw(here.tick(14, {"E0": 11}, {"B": (0, 600)}), "B") == -3
    found = table(wishes=wishes, surplus=Surplus(node="grid")).tick(9, {"E0": 11}, {"B": (0, 600)})
    assert kw(found, "B") == 0 and rules(found, "B") == ["battery_locked"]
    unlocked = table(wishes=wishes, surplus=Surplus(node="grid", lock=False))
    assert kw(unlocked.tick(14, {"E0": 11}, {"B": (0, 600)}), "B") == -14


def test_the_plan_is_followed_within_what_cars_leave_and_without_export() -> None:
    def planned(mw: int, grid: float, wishes: list[Wish] | None = None, **more: object) -> float:
        here = table(wishes=wishes, **more)  # type: ignore[arg-type]
        here.plan = Plan(0, DAY * 2, batteries={"B": (Slot(0, DAY * 2, mw),)})
        return kw(here.tick(grid, batteries={"B": (0, 600)}), "B")

    assert planned(20 * KW, 10) == 20
    assert planned(-20 * KW, 10) == -10  # nothing is exported from it
    schedule = (ScheduledLimit("grid", Limit(source="night", power_mw=45 * KW)),)
    assert planned(20 * KW, 10, schedules=schedule) == 20
    wish = [Wish(Demand(evse="E0"))]  # may want 22.08 kW at any moment
    assert planned(20 * KW, 10, wish, schedules=schedule) == pytest.approx(12.92, abs=0.01)


def test_the_reserve_is_refilled_from_the_grid_where_that_is_allowed() -> None:
    charged = structs.replace(B, grid_charge=True, base="idle")
    found = table(structs.replace(charged, base="self")).tick(10, batteries={"B": (0, 300)})
    assert kw(found, "B") == 15 and rules(found, "B") == ["battery_refills"]
    assert kw(table().tick(10, batteries={"B": (0, 300)}), "B") == 0


def test_an_order_to_dim_forbids_charging_from_the_grid() -> None:
    here = table(structs.replace(B, grid_charge=True), steuve=(Steuve("grid", ("E0", "E1", "B")),))
    here.controls = (Control("d", "DSO", "steuve_limit", "grid"),)
    assert kw(here.tick(10, batteries={"B": (0, 300)}), "B") == 0
    here.plan = Plan(0, DAY * 2, batteries={"B": (Slot(0, DAY * 2, 20 * KW),)})
    assert kw(here.tick(10, batteries={"B": (0, 300)}), "B") == 0
    assert kw(here.tick(-6, batteries={"B": (0, 300)}), "B") == 6


def test_a_battery_buffers_the_fast_chargers_of_its_node() -> None:
    """A feeder of 60 kW, a battery beside chargers of 150 kW: it gives what the feeder cannot."""
    nodes = (
        Node(id="grid", kind="connection", limits=(Limit(source="fuse", power_mw=400 * KW),), metered=True,
             side_lost_ma=(0, 0, 0)),
        Node(id="feeder", kind="feeder", parent="grid", limits=(Limit(source="cable", power_mw=60 * KW),), metered=True,
             side_lost_ma=(0, 0, 0)),
    )  # fmt: skip
    fast = Evse(id="D", node="feeder", maximum=150 * KW, minimum=5 * KW, step=KW, current="DC", efficiency=950)
    big = structs.replace(B, node="feeder", charge_mw=50 * KW, discharge_mw=100 * KW)
    config = Config(tree=SiteTree(nodes=nodes, evses=(fast,)), batteries=(big,))
    here = Table(config, [Wish(Demand(evse="D"))])
    found = here.tick(60, {"D": 60}, {"B": (0, 900)}, nodes={"feeder": 60})
    assert kw(found, "B") == -60  # as much as flows in, so that nothing flows back; the car rises and takes it
    found = here.tick(60, {"D": 120}, {"B": (-60, 900)}, nodes={"feeder": 60})
    assert kw(found, "B") == pytest.approx(-(150 / 0.95 - 60), abs=0.1)
    # Without a car it takes its energy back, within the feeder.
    here = Table(Config(tree=config.tree, batteries=(structs.replace(big, grid_charge=True),)))
    found = here.tick(20, {}, {"B": (0, 200)}, nodes={"feeder": 40})
    assert kw(found, "B") == 20


def test_what_one_gives_to_its_feeder_the_other_need_not_cover() -> None:
    nodes = (
        Node(id="grid", kind="connection", limits=(Limit(source="fuse", power_mw=400 * KW),), metered=True,
             side_lost_ma=(0, 0, 0)),
        Node(id="feeder", kind="feeder", parent="grid", limits=(Limit(source="cable", power_mw=20 * KW),), metered=True,
             side_lost_ma=(0, 0, 0)),
    )  # fmt: skip
    config = Config(
        tree=SiteTree(nodes=nodes, evses=(evse("E0"),)),
        batteries=(structs.replace(B, node="feeder"), structs.replace(B, id="C")),
    )
    found = Table(config).tick(30, {}, {"B": (0, 600), "C": (0, 600)}, nodes={"feeder": 26})
    assert kw(found, "B") + kw(found, "C") == -30 and kw(found, "B") <= -6
    # The connection is 7 kW above its limit too: what the feeder's battery gives counts there.
    idle = tuple(structs.replace(each, base="idle") for each in config.batteries)
    found = Table(structs.replace(config, batteries=idle)).tick(
        407, {}, {"B": (0, 600), "C": (0, 600)}, nodes={"feeder": 26}
    )
    assert kw(found, "B") + kw(found, "C") == pytest.approx(-7, abs=0.01)


def test_a_car_that_is_full_wants_nothing_of_it() -> None:
    schedule = ScheduledLimit("grid", Limit(source="night", power_mw=20 * KW))
    here = table(structs.replace(B, base="idle"), wishes=[Wish(Demand(evse="E0"))], schedules=(schedule,))
    assert kw(here.tick(10, {"E0": 0}, {"B": (0, 600)}), "B") < -9
    assert kw(here.tick(10, {"E0": 0}, {"B": (0, 600)}, seconds=31), "B") == 0


def test_a_limit_that_needs_little_does_not_make_it_cover_less() -> None:
    schedule = ScheduledLimit("grid", Limit(source="night", power_mw=20 * KW))
    found = table(schedules=(schedule,)).tick(22, {}, {"B": (0, 600)})
    assert kw(found, "B") == -22 and rules(found, "B") == ["battery_shaves"]
    found = table(schedules=(schedule,)).tick(22, {}, {"B": (0, 300)})
    assert kw(found, "B") == -2  # the rest is the reserve for peaks


def test_a_car_that_takes_less_than_offered_wants_a_little_more_than_that() -> None:
    schedule = ScheduledLimit("grid", Limit(source="night", power_mw=20 * KW))
    here = table(structs.replace(B, base="idle"), wishes=[Wish(Demand(evse="E0"))], schedules=(schedule,))
    told = [kw(here.tick(18, {"E0": 4}, {"B": (0, 600)}, offered={"E0": 11}), "B") for _ in range(32)]
    assert told[0] == pytest.approx(-16.08, abs=0.01) and told[29] == told[0]  # it may be on its way
    assert told[-1] == 0  # 14 kW of house and the 5 that it wants


def test_a_window_counts_on_what_it_was_told_for_as_long_as_it_may_take_to_follow() -> None:
    window = DemandWindow("w", "grid", 200 * KW, 20 * KW, contracted_mw=50 * KW)
    here = table(structs.replace(B, base="idle"), windows=(window,))
    here.at_s = 0
    room: list[int] = []
    for _ in range(12):
        found = here.tick(60, {}, {"B": (0, 600)})  # told to give 10 kW, it gives nothing
        (limit,) = found.limits["grid"]
        assert limit.power_mw is not None
        room.append((limit.power_mw - found.windows[0].limit_mw + KW // 2) // KW)
    assert kw(found, "B") < -9
    assert room[:6] == [10] * 6 and room[-3:] == [0] * 3
