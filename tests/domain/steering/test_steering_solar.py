"""Cars that follow the sun: who starts and stops when, with how many conductors, beside which battery."""

import pytest
from msgspec import structs
from tests.domain.steering.steering_plant import DAY, KW, evse, tree
from tests.domain.steering.steering_table import Table, meter, rules

from pilotwire.domain.energy import Demand, Limit, Moment, Switching
from pilotwire.domain.steering import Battery, Config, External, Measured, Meter, Steering, Surplus, Wish, steer

PV = Surplus(node="grid")
BATTERY = Battery(id="B", node="grid", capacity_wh=20_000, charge_mw=5 * KW, discharge_mw=5 * KW, base="idle")


def table(*wishes: Wish, surplus: Surplus = PV, batteries: tuple[Battery, ...] = ()) -> Table:
    cars = tuple(evse(wish.demand.evse) for wish in wishes)
    return Table(Config(tree=tree(*cars), surplus=surplus, batteries=batteries), list(wishes))


def pv(id: str, mode: str = "pv", **changes: object) -> Wish:
    priority = changes.pop("priority", 0)
    return Wish(Demand(evse=id, priority=priority), mode=mode, **changes)  # type: ignore[arg-type]


def on(found: Steering) -> list[str]:
    return [demand.evse for demand in found.demands]


def pool(found: Steering) -> int:
    return found.pools["pv"][0].power_mw or 0


def test_a_car_starts_after_a_minute_of_its_minimum_and_has_that_guaranteed() -> None:
    here = table(pv("E0"))
    found = here.tick(-5, seconds=60)
    assert on(found) == [] and rules(found, "E0") == ["surplus_wait"]
    found = here.tick(-5, seconds=12)
    (demand,) = found.demands
    assert (demand.pool, demand.guaranteed) == ("pv", 6_000)
    assert pool(found) == 5 * KW - 4_140_000
    assert found.pools["pv"] == (Limit(source="surplus", power_mw=860_000),)


def test_too_little_never_starts_and_a_dip_begins_anew() -> None:
    here = table(pv("E0"))
    assert on(here.tick(-4, seconds=300)) == []
    here.tick(-5, seconds=50)
    here.tick(-4)
    assert on(here.tick(-5, seconds=55)) == []
    assert on(here.tick(-5, seconds=30)) == ["E0"]


def test_a_car_stops_three_minutes_after_the_sun_and_not_before() -> None:
    here = table(pv("E0"))
    here.tick(-5, seconds=75)
    found = here.tick(2, {"E0": 4.14}, seconds=179)  # 2.14 kW of surplus
    assert on(found) == ["E0"] and rules(found, "E0") == ["surplus_off_soon"] and pool(found) == 0
    here.tick(-1, {"E0": 4.14})  # it is back for a second
    assert on(here.tick(2, {"E0": 4.14}, seconds=179)) == ["E0"]
    found = here.tick(2, {"E0": 4.14}, seconds=3)
    assert on(found) == [] and rules(found, "E0") == ["surplus_off"]


def test_surplus_is_what_cars_and_batteries_do_not_change() -> None:
    here = table(pv("E0"), batteries=(BATTERY,))
    here.tick(-8, batteries={"B": (0, 500)}, seconds=75)
    shares = {pool(here.tick(grid, {"E0": car}, batteries={"B": (battery, 500)}, seconds=25))
              for grid, car, battery in [(-8, 0, 0), (0, 8, 0), (0, 4, 4), (3, 8, 3), (-3, 8, -3)]}  # fmt: skip
    assert shares == {8 * KW - 4_140_000}


def test_it_falls_at_once_and_rises_to_what_stayed() -> None:
    here = table(pv("E0"))
    here.tick(-8, seconds=80)
    assert pool(here.tick(-6)) == 6 * KW - 4_140_000
    assert pool(here.tick(-9, seconds=9)) == 6 * KW - 4_140_000
    here.tick(-7)
    assert pool(here.tick(-9, seconds=9)) <= 7 * KW - 4_140_000
    assert pool(here.tick(-9, seconds=21)) == 9 * KW - 4_140_000


def test_residual_power_stays_with_the_grid() -> None:
    here = table(pv("E0"), surplus=structs.replace(PV, residual_mw=KW))
    assert pool(here.tick(-8, seconds=80)) == 7 * KW - 4_140_000


def test_min_pv_has_its_minimum_at_night_and_more_by_day() -> None:
    here = table(pv("E0", "min_pv"))
    found = here.tick(3)
    assert found.demands[0].guaranteed == 6_000 and pool(found) == 0
    assert pool(here.tick(-8, seconds=20)) == 8 * KW - 4_140_000


def test_all_that_fit_start_together_and_the_last_stops_first() -> None:
    here = table(pv("E0"), pv("E1"), pv("E2"))
    drawn = {"E0": 4.14, "E1": 4.14}
    assert on(here.tick(-9, seconds=75)) == ["E0", "E1"]
    assert on(here.tick(-4, drawn, seconds=600)) == ["E0", "E1"]  # 12.28 kW: not three times 4.14
    assert on(here.tick(-5, drawn, seconds=85)) == ["E0", "E1", "E2"]
    drawn["E2"] = 4.14
    found = here.tick(3, drawn, seconds=179)
    assert on(found) == ["E0", "E1", "E2"] and rules(found, "E0") == ["surplus_off_soon"]
    assert on(here.tick(3, drawn, seconds=2)) == ["E0", "E1"]
    assert on(here.tick(-1, {"E0": 4.14, "E1": 4.14}, seconds=600)) == ["E0", "E1"]


def test_when_the_sun_is_gone_all_stop_after_one_delay() -> None:
    ids = [f"E{at}" for at in range(8)]
    here = table(*(pv(id) for id in ids))
    assert on(here.tick(-40, seconds=75)) == ids
    drawn = dict.fromkeys(ids, 4.14)
    assert on(here.tick(34, drawn, seconds=180)) == ids
    assert on(here.tick(34, drawn, seconds=2)) == []


def test_a_car_of_higher_priority_takes_the_place_of_a_lower_one() -> None:
    here = table(pv("E0"), pv("E1", "off"))
    here.tick(-5, seconds=75)
    here.wishes = [pv("E0"), pv("E1", priority=1)]
    assert on(here.tick(-0.86, {"E0": 4.14}, seconds=40)) == ["E0"]
    assert on(here.tick(-0.86, {"E0": 4.14}, seconds=25)) == ["E1"]
    here.wishes = [pv("E0"), pv("E1")]
    assert on(here.tick(-0.86, {"E1": 4.14}, seconds=200)) == ["E1"]  # of the same rank: who is on stays


def test_a_car_that_is_full_keeps_nobody_waiting() -> None:
    here = table(pv("E0"), pv("E1"))
    here.tick(-5, seconds=75)
    assert on(here.tick(-5, {"E0": 0}, seconds=55)) == ["E0"]
    found = here.tick(-5, {"E0": 0}, seconds=75)
    assert on(found) == ["E0", "E1"] and pool(found) == 860_000
    # It wakes up: that is too much for both.
    assert on(here.tick(3.28, {"E0": 4.14, "E1": 4.14}, seconds=182)) == ["E0"]


def test_one_conductor_when_three_are_too_many() -> None:
    here = table(pv("E0", switchable=True))
    found = here.tick(-2, seconds=75)
    assert on(found) == ["E0"] and found.phases == {"E0": 1} and found.demands[0].phases == 1
    assert pool(found) == 2 * KW - 1_380_000
    assert here.tick(-5, seconds=60).phases == {"E0": 1}
    found = here.tick(-5, seconds=30)
    assert found.phases == {"E0": 3} and pool(found) == 5 * KW - 4_140_000
    # Conductors are dropped before it stops.
    found = here.tick(-2, seconds=185)
    assert found.phases == {"E0": 1} and on(found) == ["E0"]
    assert on(here.tick(1, seconds=185)) == []


def test_switching_waits_for_the_grace_of_the_last_decision() -> None:
    here = table(pv("E0", switchable=True), surplus=structs.replace(PV, grace_ms=600_000))
    here.tick(-2, seconds=75)
    assert here.tick(-9, seconds=500).phases == {"E0": 1}
    assert here.tick(-9, seconds=120).phases == {"E0": 3}


@pytest.mark.parametrize(("soc", "free"), [(200, 3), (300, 8), (990, 8)])
def test_below_its_priority_the_battery_comes_first(soc: int, free: int) -> None:
    config = structs.replace(PV, priority_permille=300)
    here = table(pv("E0", "min_pv"), surplus=config, batteries=(BATTERY,))
    found = here.tick(-8, batteries={"B": (0, soc)}, seconds=25)
    assert pool(found) == max(0, free * KW - 4_140_000)


def test_a_buffer_keeps_a_car_going_and_a_fuller_one_starts_it() -> None:
    config = structs.replace(PV, buffer_permille=600, buffer_start_permille=800)
    here = table(pv("E0"), surplus=config, batteries=(BATTERY,))
    assert on(here.tick(0, batteries={"B": (0, 700)}, seconds=200)) == []
    assert on(here.tick(0, batteries={"B": (0, 800)}, seconds=65)) == ["E0"]
    found = here.tick(0, {"E0": 4.14}, {"B": (-4.14, 700)}, seconds=600)
    assert on(found) == ["E0"] and "buffer" in rules(found, "E0")
    assert on(here.tick(0, {"E0": 4.14}, {"B": (-4.14, 590)}, seconds=190)) == []


def test_battery_boost_adds_what_it_gives_down_to_its_limit() -> None:
    here = table(pv("E0", boost=True), batteries=(BATTERY,))
    found = here.tick(-1, batteries={"B": (0, 900)}, seconds=75)
    assert on(found) == ["E0"] and pool(found) == 6 * KW - 4_140_000 and "boost" in rules(found, "pv")
    assert on(here.tick(-1, batteries={"B": (0, 200)}, seconds=200)) == []


def test_a_lost_meter_has_no_surplus() -> None:
    here = table(pv("E0"), pv("E1", "min_pv"))
    here.tick(-20, seconds=80)
    found = here.tick(None)
    assert pool(found) == 0 and on(found) == ["E0", "E1"]
    found = here.tick(None, seconds=200)
    assert on(found) == ["E1"]
    assert "surplus_lost" in rules(found, "E0")


def test_phases_that_are_not_balanced_have_a_surplus_each() -> None:
    here = table(pv("E0", "min_pv"), surplus=structs.replace(PV, balance="phase"))
    odd = Meter(-7_590_000, 0, (-20_000, -15_000, 2_000))
    found = here.tick(None, meters={"grid": odd}, seconds=25)
    (power, phases) = found.pools["pv"]
    assert power.power_mw == 7_590_000 - 4_140_000
    assert phases.phases_ma == (14_000, 9_000, 0)
    even = here.tick(None, meters={"grid": meter(-8, 0)}, seconds=25)
    assert min(even.pools["pv"][1].phases_ma or ()) >= 5_000


def test_more_volts_make_less_current_of_the_same_surplus() -> None:
    here = table(pv("E0", "min_pv"))
    here.tick(-8, seconds=25)
    at = here.at_s * 1_000 + 1_000
    high = Measured(meters={"grid": structs.replace(meter(-8, at), voltage_mv=253_000)})
    found = steer(here.site, here.wishes, high, External(), None, here.state, Moment(at, DAY + at))
    assert pool(found) == (8 * KW - 4_140_000) * 230 // 253


def test_the_next_start_waits_for_the_grace_of_the_last() -> None:
    here = table(pv("E0"), pv("E1"), surplus=structs.replace(PV, enable_ms=5_000, grace_ms=90_000))
    assert on(here.tick(-5, seconds=30)) == ["E0"]
    assert on(here.tick(-5, {"E0": 4.14}, seconds=60)) == ["E0"]
    assert on(here.tick(-5, {"E0": 4.14}, seconds=40)) == ["E0", "E1"]


def test_where_the_allocation_switches_it_is_told_what_is_preferred() -> None:
    car = structs.replace(evse("E0"), switching=Switching())
    here = Table(Config(tree=tree(car), surplus=PV), [pv("E0")])
    (demand,) = here.tick(-2, seconds=75).demands
    assert (demand.phases, demand.prefers) == (3, 1)
    (demand,) = here.tick(-9, seconds=95).demands
    assert (demand.phases, demand.prefers) == (3, 3)
