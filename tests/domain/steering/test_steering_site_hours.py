"""Hours of a site in seconds: steer, allocate, a plant that lags. Windows kept, battery before cars, sun used."""

import math

from msgspec import structs
from tests.domain.steering.steering_plant import KW, Plant, evse, tree, words

from pilotwire.domain.energy import Demand
from pilotwire.domain.steering import (
    Battery,
    Config,
    DemandWindow,
    FeedIn,
    Inverter,
    Surplus,
    WindowSummary,
    Wish,
)

WINDOW = DemandWindow(
    id="w", node="grid", worst_mw=172 * KW, side_lost_mw=60 * KW, contracted_mw=50 * KW, reserve_mw=20 * KW
)
BATTERY = Battery(
    id="B", node="grid", capacity_wh=40_000, charge_mw=15 * KW, discharge_mw=15 * KW, backup_permille=100,
    peak_permille=300, ramp_mw_s=20 * KW,
)  # fmt: skip


def _now(count: int) -> list[Wish]:
    return [Wish(Demand(evse=f"E{at}")) for at in range(count)]


def _building(second: int) -> int:
    """15 kW, every half hour 20 kW more for ten minutes."""
    return 15 * KW + (20 * KW if second % 1_800 > 1_200 else 0)


def _closed(plant: Plant) -> list[WindowSummary]:
    return plant.closed


def test_four_cars_keep_their_windows_and_use_them() -> None:
    plant = Plant(
        Config(tree=tree(*(evse(f"E{at}") for at in range(4))), windows=(WINDOW,)), _building, wishes=lambda s: _now(4)
    )
    plant.run(3_600 + 1)
    closed = _closed(plant)
    assert len(closed) == 4
    assert max(each.peak_mw for each in closed) <= 50 * KW * 101 // 100
    assert min(each.peak_mw for each in closed) >= 50 * KW * 97 // 100
    assert all(each.quality == "register" for each in closed)
    # 12 changes an hour are the building's doing (two steps up, two down), and a few steps as a window's rest is used.
    assert max(plant.changes.values()) <= 40


def test_a_battery_gives_before_a_car_is_throttled() -> None:
    cars = tuple(evse(f"E{at}") for at in range(2))
    plant = Plant(
        Config(tree=tree(*cars), windows=(WINDOW,), batteries=(structs.replace(BATTERY, base="idle"),)),
        side_mw=lambda s: 10 * KW if s < 600 else 20 * KW,
        wishes=lambda s: [Wish(Demand(evse=f"E{at}", maximum=24_000)) for at in range(2)],
        soc_wh={"B": 36_000},
    )
    plant.run(600)
    assert plant.drawn == {"E0": 16_560_000, "E1": 16_560_000} and plant.battery == {"B": 0}
    changed = dict(plant.changes)
    plant.run(600)  # 53 kW: above the target until the battery gives
    assert {id: plant.changes[id] - changed[id] for id in ("E0", "E1")} == {"E0": 0, "E1": 0}
    assert plant.battery["B"] < -2 * KW
    assert plant.last is not None and "battery_shaves" in words(plant.last)


def test_cars_are_throttled_when_the_battery_does_not_do_what_it_is_told() -> None:
    cars = tuple(evse(f"E{at}") for at in range(2))
    plant = Plant(
        Config(tree=tree(*cars), windows=(WINDOW,), batteries=(BATTERY,)),
        side_mw=lambda s: 30 * KW,
        wishes=lambda s: _now(2),
        soc_wh={"B": 36_000},
        battery_dead=lambda id, s: True,
    )
    plant.run(2 * 900 + 1)
    assert all(each.overshoot_mw <= each.target_mw // 100 for each in _closed(plant))


def test_an_empty_battery_is_not_counted_on() -> None:
    cars = tuple(evse(f"E{at}") for at in range(4))
    plant = Plant(
        Config(tree=tree(*cars), windows=(WINDOW,), batteries=(BATTERY,)), _building, wishes=lambda s: _now(4),
        soc_wh={"B": 6_000},
    )  # fmt: skip
    plant.run(2 * 900 + 1)
    assert plant.uwh["B"] // 3_600_000 >= 3_950  # the backup stays
    assert all(each.overshoot_mw <= each.target_mw // 100 for each in _closed(plant))


def _sun(second: int) -> int:
    """A half wave of 30 kW over four hours, the middle of it, with a cloud of two and a half minutes every twenty."""
    bare = int(30 * KW * math.sin(math.pi * (second + 3_600) / 14_400))
    return bare * 3 // 10 if second % 1_200 > 1_050 else bare


def test_cars_on_surplus_use_it_and_import_nothing_for_long() -> None:
    cars = tuple(evse(f"E{at}") for at in range(3))
    config = Config(tree=tree(*cars), surplus=Surplus(node="grid"), inverters=(Inverter("I", "grid", 40 * KW),))
    plant = Plant(
        config,
        side_mw=lambda s: 2 * KW,
        sun_mw=lambda s: int(30 * KW * math.sin(math.pi * min(s, 5_400) / 5_400)),
        wishes=lambda s: [Wish(Demand(evse=f"E{at}"), mode="pv") for at in range(3)],
    )
    used = possible = 0
    running = 0
    longest = 0

    def watch(plant: Plant) -> None:
        nonlocal used, possible, running, longest
        free = plant.potential_mw - plant.building_mw
        if free >= 4_140_000:
            possible += free
            used += min(free, sum(plant.drawn.values()))
        running = running + 1 if plant.grid_mw > KW // 10 and any(plant.drawn.values()) else 0
        longest = max(longest, running)

    plant.run(5_400, watch)
    assert used * 100 >= possible * 96
    assert longest <= 190  # the delay of three minutes, and ten seconds for the cars
    assert max(plant.changes.values()) <= 50


def test_clouds_do_not_make_cars_tremble() -> None:
    cars = tuple(evse(f"E{at}") for at in range(2))
    config = Config(tree=tree(*cars), surplus=Surplus(node="grid"), inverters=(Inverter("I", "grid", 40 * KW),))
    plant = Plant(
        config, side_mw=lambda s: 2 * KW, sun_mw=_sun,
        wishes=lambda s: [Wish(Demand(evse=f"E{at}"), mode="pv") for at in range(2)],
    )  # fmt: skip
    on = offs = 0

    def watch(plant: Plant) -> None:
        nonlocal on, offs
        running = sum(value > 0 for value in plant.values.values())
        offs += running < on
        on = running

    plant.run(3_700, watch)
    assert offs == 0  # three clouds
    assert max(plant.changes.values()) <= 50


def test_nothing_is_fed_in_and_cars_find_the_sun_that_is_held_back() -> None:
    cars = (evse("E0"),)
    config = Config(
        tree=tree(*cars), surplus=Surplus(node="grid"), inverters=(Inverter("I", "grid", 40 * KW),),
        feed_in=(FeedIn("grid", limit_mw=0),),
    )  # fmt: skip
    plant = Plant(
        config, side_mw=lambda s: 5 * KW, sun_mw=lambda s: 25 * KW,
        wishes=lambda s: [Wish(Demand(evse="E0"), mode="pv")] if s > 600 else [],
    )  # fmt: skip
    plant.run(300)
    assert -KW // 10 <= plant.grid_mw <= KW // 10
    assert plant.pv_mw <= 5 * KW + KW // 10
    plant.run(1_500)
    assert plant.drawn["E0"] >= 18 * KW
    assert plant.grid_mw >= -KW // 2


def test_the_battery_takes_what_cars_leave_and_covers_the_evening_but_not_the_cars() -> None:
    config = Config(
        tree=tree(evse("E0")), surplus=Surplus(node="grid", lock=True), batteries=(BATTERY,),
        inverters=(Inverter("I", "grid", 40 * KW),),
    )  # fmt: skip
    plant = Plant(
        config, side_mw=lambda s: 3 * KW, sun_mw=lambda s: 20 * KW if s < 1_800 else 0,
        wishes=lambda s: [Wish(Demand(evse="E0"))] if s > 2_400 else [], soc_wh={"B": 20_000},
    )  # fmt: skip
    plant.run(600)
    assert plant.battery["B"] == 15 * KW and plant.grid_mw == -2 * KW
    plant.run(1_500)
    assert -3 * KW - KW // 10 <= plant.battery["B"] <= -3 * KW + KW // 10  # evening
    plant.run(600)
    assert plant.drawn["E0"] > 20 * KW
    assert plant.battery["B"] >= -3 * KW - KW // 10  # the house, not the car
    assert plant.changes["B"] <= 40
