"""What inverters may generate."""

from msgspec import structs
from tests.domain.steering.steering_plant import DAY, KW, evse, tree
from tests.domain.steering.steering_table import Table, rules

from pilotwire.domain.energy import Demand
from pilotwire.domain.steering import Config, Control, FeedIn, Inverter, Price, Steering, Surplus, Wish

BIG, SMALL = Inverter("I", "grid", 60 * KW), Inverter("J", "grid", 20 * KW)


def table(*feed_in: FeedIn, inverters: tuple[Inverter, ...] = (BIG, SMALL)) -> Table:
    return Table(Config(tree=tree(evse("E0")), inverters=inverters, feed_in=feed_in))


def caps(found: Steering) -> list[float | None]:
    return [None if each.limit_mw is None else each.limit_mw / KW for each in found.inverters]


def test_nothing_limits_nothing() -> None:
    found = table().tick(-70, inverters={"I": 60, "J": 20})
    assert caps(found) == [None, None] and rules(found, "I") == ["feed_in_free"]


def test_a_share_of_the_installed_power_and_what_is_used_here() -> None:
    here = table(FeedIn("grid", share_permille=600))
    assert caps(here.tick(-48, inverters={"I": 40, "J": 10})) == [37.5, 12.5]  # 48 may go out, 2 are used
    assert caps(here.tick(-40, inverters={"I": 40, "J": 20})) == [51, 17]


def test_zero_feed_in_follows_the_load_down_at_once_and_up() -> None:
    here = table(FeedIn("grid", limit_mw=0))
    assert caps(here.tick(0, inverters={"I": 15, "J": 5})) == [15, 5]
    assert caps(here.tick(-8, inverters={"I": 15, "J": 5})) == [9, 3]
    assert caps(here.tick(0.2, inverters={"I": 9, "J": 3})) == [9, 3]  # too little to be worth a word
    assert caps(here.tick(8, inverters={"I": 9, "J": 3})) == [15, 5]


def test_a_limit_is_lifted_when_it_has_not_been_needed_for_a_minute() -> None:
    here = table(FeedIn("grid", limit_mw=10 * KW))
    here.tick(-10, inverters={"I": 30, "J": 10})
    assert caps(here.tick(60, inverters={"I": 20, "J": 5})) == [60, 20]
    assert caps(here.tick(60, inverters={"I": 20, "J": 5}, seconds=58)) == [60, 20]
    assert caps(here.tick(60, inverters={"I": 20, "J": 5}, seconds=3)) == [None, None]
    assert all(each.valid_ms == 60_000 for each in here.tick(60).inverters)


def test_the_meter_lost_means_nothing_is_used_here() -> None:
    here = table(FeedIn("grid", limit_mw=8 * KW))
    found = here.tick(None, inverters={"I": 30, "J": 10})
    assert caps(found) == [6, 2] and rules(found, "I") == ["feed_in_lost"]


def test_an_inverter_that_cannot_be_told_is_taken_off_the_others() -> None:
    here = table(FeedIn("grid", limit_mw=20 * KW), inverters=(BIG, structs.replace(SMALL, controllable=False)))
    assert caps(here.tick(-30, inverters={"I": 20, "J": 15})) == [10, None]


def test_a_price_below_the_limit_stops_the_export() -> None:
    here = table(FeedIn("grid", curtail_below=0))
    here.prices = (Price(DAY, DAY * 2, 100, -1),)
    found = here.tick(-50, inverters={"I": 40, "J": 20})
    assert caps(found) == [7.5, 2.5] and rules(found, "I") == ["price_negative"]
    here.prices = (Price(DAY, DAY * 2, 100, 0),)
    assert caps(here.tick(-50, inverters={"I": 40, "J": 20})) == [None, None]


def test_an_order_of_the_operator_counts_while_it_holds() -> None:
    here = table(FeedIn("grid", share_permille=700))
    until = DAY + (here.at_s + 5) * 1_000
    here.controls = (Control("s2", "FNN S2", "export_limit", "grid", permille=300, until_ms=until),)
    found = here.tick(-24, inverters={"I": 30, "J": 10})
    assert caps(found) == [30, 10]
    found = here.tick(-40, inverters={"I": 30, "J": 10}, seconds=2)
    assert caps(found) == [18, 6]
    assert caps(here.tick(-40, inverters={"I": 30, "J": 10}, seconds=5)) == [42, 14]


def test_a_throttled_inverter_is_asked_for_more_once_in_a_while() -> None:
    here = Table(
        Config(tree=tree(evse("E0")), inverters=(BIG,), feed_in=(FeedIn("grid", limit_mw=0),), surplus=Surplus("grid")),
        [Wish(Demand(evse="E0"), mode="pv")],
    )
    here.tick(0, inverters={"I": 5}, seconds=5)
    found = here.tick(0, {"E0": 0}, inverters={"I": 5}, seconds=62)
    assert [demand.evse for demand in found.demands] == ["E0"]  # it may have the 4.14 kW
    # It has not: three minutes of import, then a quarter of an hour of peace.
    found = here.tick(4.14, {"E0": 4.14}, inverters={"I": 5}, seconds=185)
    assert found.demands == ()
    assert here.tick(0, inverters={"I": 5}, seconds=600).demands == ()
    assert here.tick(0, inverters={"I": 5}, seconds=300).demands != ()
