"""Prices, the cheapest hours, and what a wish makes of them and of the plan."""

import pytest
from tests.domain.steering.steering_plant import DAY, KW, evse, tree

from pilotwire.domain.energy import Demand, Moment
from pilotwire.domain.steering import Config, External, Plan, Price, Rate, Slot, Span, Wish, prepare
from pilotwire.domain.steering.prices import is_cheapest, needed_ms, price_at
from pilotwire.domain.steering.wishes import Shaped, shape

HOUR = 3_600_000
NOW = Moment(0, DAY)
CONFIG = Config(tree=tree(evse("E0"), evse("D", current="DC", step=1_000_000, minimum=5 * KW, maximum=150 * KW)))
DAY_AHEAD = External(prices=tuple(Price(DAY + at * HOUR, DAY + (at + 1) * HOUR, micro) for at, micro in
                                  enumerate([300, 100, 200, 100, 400, 50])))  # fmt: skip


def test_energy_needs_time() -> None:
    assert needed_ms(11_000, 11 * KW) == HOUR
    assert needed_ms(1, 11 * KW) == 328


def test_day_ahead_prices_come_before_the_table() -> None:
    config = Config(
        tree=CONFIG.tree, rates=(Rate(70, Span(from_minute=22 * 60, until_minute=360)), Rate(90)), zone="UTC"
    )
    assert price_at(config, DAY_AHEAD, DAY + HOUR) == (DAY_AHEAD.prices[1], "day-ahead prices")
    found = price_at(config, External(), DAY + HOUR)
    assert found is not None and (found[0].import_micro, found[1]) == (70, "time of use")
    found = price_at(config, External(), DAY + 12 * HOUR)
    assert found is not None and found[0].import_micro == 90
    assert price_at(CONFIG, External(), DAY) is None


@pytest.mark.parametrize(
    ("needs_h", "until_h", "cheap"),
    [
        (1, 6, {5}), (2, 6, {1, 5}), (3, 6, {1, 3, 5}), (2, 5, {1, 3}), (4, 6, {1, 2, 3, 5}), (5, 5, {0, 1, 2, 3, 4}),
    ],
)  # fmt: skip
def test_the_cheapest_hours_until_departure(needs_h: int, until_h: int, cheap: set[int]) -> None:
    """Seen from each hour, with what was charged in the hours before taken off."""
    charged: set[int] = set()
    for hour in range(until_h):
        left = (needs_h - len(charged)) * HOUR
        if left > 0 and is_cheapest(CONFIG, DAY_AHEAD, left, DAY + until_h * HOUR, DAY + hour * HOUR):
            charged.add(hour)
    assert charged == cheap


def test_no_time_to_choose_and_no_prices() -> None:
    assert is_cheapest(CONFIG, DAY_AHEAD, 3 * HOUR, DAY + 2 * HOUR, DAY) is True
    assert is_cheapest(CONFIG, External(), HOUR, DAY + 6 * HOUR, DAY) is None
    # What is known is enough to wait for, though nobody knows the price of the last hours.
    assert is_cheapest(CONFIG, DAY_AHEAD, HOUR, DAY + 9 * HOUR, DAY) is False


def shaped(wish: Wish, external: External = DAY_AHEAD, plan: Plan | None = None, at_h: int = 0) -> Shaped:
    return shape(prepare(CONFIG), wish, external, plan, Moment(0, DAY + at_h * HOUR))


def rule(found: Shaped) -> str:
    return "" if found.reason is None else found.reason.rule


CAR = Demand(evse="E0", energy_wh=22_080, departure_ms=DAY + 6 * HOUR)


def test_below_its_limit_of_price_a_car_charges_and_else_follows_its_mode() -> None:
    for mode, otherwise in (("now", "wait"), ("pv", "pv"), ("min_pv", "min_pv")):
        wish = Wish(CAR, mode=mode, cheap_below=150)  # type: ignore[arg-type]
        assert (shaped(wish).follows, rule(shaped(wish))) == (otherwise, "price_wait")
        assert (shaped(wish, at_h=1).follows, rule(shaped(wish, at_h=1))) == ("now", "price_cheap")
    assert shaped(Wish(CAR, cheap_below=150), External()).follows == "now"  # no price: nothing to wait for


def test_the_cheapest_hours_are_the_fallback_where_no_plan_speaks() -> None:
    wish = Wish(CAR, cheapest=True)
    assert [shaped(wish, at_h=hour).follows for hour in range(3)] == ["wait", "wait", "wait"]
    assert (shaped(wish, at_h=5).follows, rule(shaped(wish, at_h=5))) == ("now", "cheapest_now")
    assert shaped(wish, External()).follows == "now"
    assert shaped(Wish(Demand(evse="E0"), cheapest=True)).follows == "now"  # until when, how much: nobody says
    plan = Plan(DAY, DAY + HOUR, cars={"E0": (Slot(DAY, DAY + HOUR, 8 * KW),)})
    found = shaped(wish, plan=plan)
    assert (found.follows, found.demand.maximum, rule(found)) == ("now", 12_000, "plan")


def test_a_plan_caps_upwards_to_a_step_and_never_below_the_minimum() -> None:
    def cap(mw: int, id: str = "E0") -> int | None:
        plan = Plan(DAY, DAY + HOUR, cars={id: (Slot(DAY, DAY + HOUR, mw),)})
        return shaped(Wish(Demand(evse=id)), plan=plan).demand.maximum

    assert (cap(6_900_000), cap(6_900_001), cap(1)) == (10_000, 11_000, 6_000)
    assert cap(50 * KW) == 73_000  # more than it can: the EVSE's own maximum stays
    assert cap(10 * KW, "D") == 10 * KW  # 9.5 kW at the vehicle, in steps of 1 kW
    plan = Plan(DAY, DAY + HOUR, cars={"E0": (Slot(DAY, DAY + HOUR, 0),)})
    assert shaped(Wish(CAR), plan=plan).follows == "wait"
    assert shaped(Wish(CAR, mode="pv"), plan=plan).follows == "pv"


def test_off_is_off() -> None:
    assert rule(shaped(Wish(CAR, mode="off", cheap_below=10_000))) == "mode_off"
