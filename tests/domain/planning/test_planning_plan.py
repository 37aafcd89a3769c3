"""What a plan does with prices, windows, suns, batteries, clocks and the plan before."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from tests.domain.planning.planning_worlds import HOUR, NOW, flat, small

from pilotwire.core.errors import LocalError
from pilotwire.domain.energy import Evse, Limit, Tenant, prepare
from pilotwire.domain.planning import (
    Battery,
    Horizon,
    Load,
    Need,
    Options,
    Prices,
    Problem,
    Window,
    courses,
    local_hours,
    plan,
    targets,
)

START = NOW - NOW % 900_000
SITE = prepare(small(*(Evse(id=f"e{at}", node="grid", maximum=32_000) for at in range(6))))


def problem(*needs: Need, **more: Any) -> Problem:
    """Six cars at most behind 100 A, 24 steps."""
    return Problem(topology=SITE, now_ms=START, needs=needs, **{"options": Options(steps=24), **more})


def energy_wh(values: tuple[int, ...]) -> float:
    """Of targets of three phases in quarters."""
    return sum(values) / 1000 * 690 / 4


def test_nothing_to_plan_is_a_plan() -> None:
    made = plan(Problem(topology=prepare(small()), now_ms=START, options=Options(steps=1)))
    assert (made.status, made.cars, made.grid_mw, made.cost_micro) == ("optimal", (), (0,), 0)


def test_without_prices_a_car_charges_at_once() -> None:
    car = plan(problem(Need(evse="e0", energy_wh=22_080))).cars[0]
    assert car.targets[:5] == (32_000,) * 4 + (0,)
    assert (car.energy_wh, car.unmet_wh, car.shortfall) == (22_080, 0, None)


def test_the_cheap_hours_are_used_and_the_deadline_is_kept() -> None:
    prices = Prices(import_micro=(300_000,) * 12 + (100_000,) * 12)
    late = plan(problem(Need(evse="e0", energy_wh=22_080), prices=prices)).cars[0]
    assert late.targets[:12] == (0,) * 12
    assert late.unmet_wh == 0
    early = plan(problem(Need(evse="e0", energy_wh=22_080, departure_ms=START + 2 * HOUR), prices=prices)).cars[0]
    assert early.targets[:4] == (32_000,) * 4
    assert early.unmet_wh == 0


def test_where_waiting_costs_more_than_it_saves_nobody_waits() -> None:
    prices = Prices(import_micro=(300_000,) * 12 + (100_000,) * 12)
    need = Need(evse="e0", energy_wh=22_080)
    waits = plan(problem(need, prices=prices, options=Options(steps=24, early_micro=50_000))).cars[0]
    assert waits.targets[:12] == (0,) * 12  # three hours at 5 ct against 20 ct
    now = plan(problem(need, prices=prices, options=Options(steps=24, early_micro=100_000))).cars[0]
    assert now.targets[:4] == (32_000,) * 4


def test_whose_energy_is_worth_less_than_it_costs_waits_and_says_so() -> None:
    prices = Prices(import_micro=(300_000,))
    car = plan(problem(Need(evse="e0", energy_wh=5_000, worth_micro=100_000), prices=prices)).cars[0]
    assert car.unmet_wh == 5_000
    assert car.shortfall is not None
    assert car.shortfall.code == "price"


def test_who_has_left_and_who_has_no_time_say_so() -> None:
    made = plan(
        problem(
            Need(evse="e0", energy_wh=5_000, departure_ms=START - HOUR),
            Need(evse="e1", energy_wh=50_000, departure_ms=START + HOUR),
        )
    )
    assert [car.shortfall.code for car in made.cars if car.shortfall] == ["gone", "time"]
    assert [car.energy_wh for car in made.cars] == [0, 22_080]


def test_a_shortfall_names_the_limit() -> None:
    quota = Limit(source="lease", phases_ma=flat(10_000))
    tree = small(Evse(id="e0", node="grid", maximum=32_000, tenant="t"), tenants=(Tenant(id="t", limits=(quota,)),))
    made = plan(Problem(topology=prepare(tree), now_ms=START, needs=(Need(evse="e0", energy_wh=90_000),)))
    many = tuple(Need(evse=f"e{at}", energy_wh=90_000, departure_ms=START + 5 * HOUR) for at in range(6))
    assert made.cars[0].shortfall is None  # there is time enough for a day's quota
    soon = Need(evse="e0", energy_wh=80_000, departure_ms=START + 4 * HOUR)
    short = plan(Problem(topology=prepare(tree), now_ms=START, needs=(soon,)))
    reason = short.cars[0].shortfall
    assert reason is not None
    assert (reason.code, reason.place, reason.source) == ("quota", "t", "lease")
    for car in plan(problem(*many)).cars:
        assert car.shortfall is None or (car.shortfall.code, car.shortfall.place) == ("limit", "grid")


def test_a_target_comes_before_energy_and_is_named() -> None:
    needs = tuple(Need(evse=f"e{at}", energy_wh=40_000) for at in range(6))
    made = plan(problem(*needs, windows=(Window(target_mw=20_000_000),)))
    assert all(window.excess_wh == 0 for window in made.windows)
    assert all(window.average_mw <= 20_000_000 for window in made.windows)
    assert sum(car.energy_wh for car in made.cars) >= 119_000
    assert {car.shortfall.code for car in made.cars if car.shortfall} == {"window"}


def test_what_has_flowed_in_the_running_window_counts() -> None:
    now = START + 600_000
    window = Window(target_mw=20_000_000, so_far_wh=4_900)
    made = plan(
        Problem(
            topology=SITE,
            now_ms=now,
            needs=(Need(evse="e0", energy_wh=9_000),),
            windows=(window,),
            options=Options(steps=4),
        )
    )
    assert made.cars[0].targets[0] == 0
    assert made.windows[0].energy_wh == 4_900


def test_a_peak_that_is_paid_for_is_used_and_no_more_than_that() -> None:
    needs = (Need(evse="e0", energy_wh=40_000), Need(evse="e1", energy_wh=40_000))
    made = plan(problem(*needs, windows=(Window(peak_micro=50_000_000, incumbent_mw=15_000_000),)))
    assert made.peaks_mw == (15_000_000,)
    assert max(window.average_mw for window in made.windows) <= 15_000_000
    assert max(car.unmet_wh for car in made.cars) <= 1
    fresh = Window(peak_micro=50_000_000, incumbent_mw=15_000_000, resets_ms=START + 3 * HOUR, floor_mw=5_000_000)
    after = plan(problem(needs[0], windows=(fresh,)))
    assert max(after.grid_mw[12:]) <= 5_000_000


def test_with_prices_below_zero_nothing_flows_both_ways_and_no_car_takes_more_than_it_needs() -> None:
    battery = Battery(
        id="b", node="grid", level_wh=5_000, capacity_wh=20_000, charge_mw=20_000_000, discharge_mw=20_000_000
    )
    prices = Prices(import_micro=(-200_000,) * 8 + (200_000,), export_micro=(-200_000,) * 8 + (50_000,))
    made = plan(problem(Need(evse="e0", energy_wh=10_000), prices=prices, batteries=(battery,)))
    levels = (5_000, *made.batteries[0].levels_wh)
    for step, mw in enumerate(made.batteries[0].set_points_mw):
        changed = levels[step + 1] - levels[step]
        # Who charged and discharged at once would gain less than its efficiency leaves.
        assert abs(changed - (mw * 0.97 if mw > 0 else mw / 0.97) / 4_000) < 2
    assert 9_999 <= made.cars[0].energy_wh <= 10_000
    assert energy_wh(made.cars[0].targets) <= 10_000 + 6 * 690 / 4


def test_the_sun_is_used_before_it_is_fed_in_and_cut_where_it_may_not_be() -> None:
    sun = Load(id="sun", node="grid", phases_ma=(flat(0),) * 8 + (flat(-20_000),) * 8 + (flat(0),), curtailable=True)
    prices = Prices(import_micro=(300_000,), export_micro=(80_000,))
    made = plan(problem(Need(evse="e0", energy_wh=20_000), loads=(sun,), prices=prices))
    assert sum(made.cars[0].targets[8:16]) == sum(made.cars[0].targets)
    none = plan(problem(loads=(sun,), prices=prices, feed_in_mw=0))
    assert none.curtailed_mw[8] == pytest.approx(13_800_000, abs=10)
    assert max(abs(mw) for mw in none.grid_mw) < 10


def test_a_plan_hardly_changes_when_a_forecast_hardly_does() -> None:
    needs = tuple(Need(evse=f"e{at}", energy_wh=15_000 + 700 * at, departure_ms=START + 5 * HOUR) for at in range(6))
    house = tuple(flat(30_000 + 1_000 * (step % 7)) for step in range(24))
    prices = Prices(import_micro=tuple(250_000 + 10_000 * (step % 5) for step in range(24)))
    first = plan(problem(*needs, loads=(Load(id="h", node="grid", phases_ma=house),), prices=prices))
    wobbled = tuple(flat(ma + 30 * (-1) ** step) for step, (ma, _, _) in enumerate(house))
    tickled = Prices(import_micro=tuple(micro + 300 * (-1) ** step for step, micro in enumerate(prices.import_micro)))
    again = problem(*needs, loads=(Load(id="h", node="grid", phases_ma=wobbled),), prices=tickled)

    def moved(made: Any) -> float:
        pairs = zip(first.cars, made.cars, strict=True)
        return sum(energy_wh(tuple(abs(a - b) for a, b in zip(x.targets, y.targets, strict=True))) for x, y in pairs)

    assert moved(plan(again, first)) < 1_000  # of 100 kWh
    assert moved(plan(again)) > moved(plan(again, first))


def test_the_days_of_the_change_of_clocks_are_days_in_utc() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    for day, hours in (((2026, 3, 29), 23), ((2026, 10, 25), 25)):
        midnight = int(datetime(*day, tzinfo=berlin).astimezone(UTC).timestamp() * 1000)
        horizon = Horizon(midnight, 900_000, hours * 4)
        local = local_hours(horizon, berlin)
        assert (local[0][1], local[-1][1]) == (0, 23)
        assert len({day for day, _ in local}) == 1
        night = Prices(import_micro=tuple(100_000 if hour < 6 else 300_000 for _, hour in local))
        cheap = (6 + hours - 24) * 4
        made = plan(
            Problem(
                topology=SITE, now_ms=midnight, prices=night, options=Options(steps=hours * 4),
                needs=(Need(evse="e0", energy_wh=cheap * 5_520),),
            )
        )  # fmt: skip
        assert made.cars[0].targets == (32_000,) * cheap + (0,) * (hours * 4 - cheap)


def test_a_car_that_is_behind_catches_up_and_one_on_time_keeps_its_target() -> None:
    prices = Prices(import_micro=(100_000,) * 8 + (300_000,) * 16)
    made = plan(problem(Need(evse="e0", energy_wh=24_000), Need(evse="e1", energy_wh=1_000), prices=prices))
    now = START + 450_000
    meant = made.cars[0].targets[0] * 690 * 450 // 3_600_000
    on_time = targets(made, SITE, now, {"e0": meant})["e0"]
    assert on_time.value == made.cars[0].targets[0]
    behind = targets(made, SITE, START + 900_000 * 2, {"e0": 0})["e0"]
    assert behind.behind_wh > 0
    assert behind.value == 32_000
    later = targets(made, SITE, START + 10 * 900_000, {"e0": 24_000}, stale_ms=6 * HOUR)["e0"]
    assert (later.value, later.most) == (0, 0)
    assert targets(made, SITE, START + 2 * HOUR, {}) == {}
    assert targets(None, SITE, START, {}) == {}


def test_steering_reads_it() -> None:
    day = problem(Need(evse="e0", energy_wh=10_000), prices=Prices(import_micro=(300_000,) * 12 + (100_000,) * 12))
    made = plan(day)
    said = courses(day, made)
    slots = {slot.from_ms: slot.power_mw for slot in said.cars["e0"]}
    assert slots[START] == 0  # it waits for the cheap hours
    assert START + 12 * 900_000 not in slots  # there it may have whatever is left over
    assert said.until_ms == START + HOUR


def test_mistakes_are_named() -> None:
    for wrong, text in (
        (problem(Need(evse="x", energy_wh=1)), "EVSE x"),
        (problem(Need(evse="e0", energy_wh=1), Need(evse="e0", energy_wh=1)), "two needs of EVSE e0"),
        (problem(Need(evse="e0", energy_wh=1, pool="p")), "pool p"),
        (problem(loads=(Load(id="l", node="x", phases_ma=()),)), "load l is at x"),
        (problem(options=Options(steps=0)), "0 steps"),
    ):
        with pytest.raises(LocalError, match=text):
            plan(wrong)


def test_numpy_and_highs_are_loaded_when_a_plan_is_made_and_not_before() -> None:
    code = "import sys, pilotwire.domain.planning; print(sorted({'numpy', 'highspy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_options_reach_the_optimiser() -> None:
    day = problem(Need(evse="e0", energy_wh=10_000))
    none = plan(msgspec.structs.replace(day, options=Options(steps=24, iterations=1)))
    assert none.cars[0].energy_wh == 10_000
