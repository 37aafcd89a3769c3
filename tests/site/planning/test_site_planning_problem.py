"""What a plan rests on: cars, windows, limits, prices, batteries, sun and who is learned to come, of a running site."""

from __future__ import annotations

from collections.abc import Callable
from zoneinfo import ZoneInfo

import msgspec
import pytest
from tests.site.planning.site_planning_kit import EVENING, HOUR, TEXT, Asking, Planned
from tests.site.test_site_steered import Plain

from pilotwire.domain.energy import Limit
from pilotwire.domain.planning.habits import Visit, remember
from pilotwire.domain.steering import Control, External, Ordered, Price
from pilotwire.site.compiled import findings
from pilotwire.site.config import read
from pilotwire.site.planning.child import answer
from pilotwire.site.planning.learned import Learned, Stay, battery_wh, side_loads
from pilotwire.site.planning.problem import record_for
from pilotwire.site.planning.record import Record, encoded

BERLIN = ZoneInfo("Europe/Berlin")
DAY = 86_400_000

RICH = (
    TEXT.split("steering:", maxsplit=1)[0]
    .replace(
        "  - {id: main, kind: meter, file: none, endpoint: none}",
        "  - {id: main, kind: meter, file: none, endpoint: none}\n"
        "  - {id: roof, kind: inverter, file: none, endpoint: none}\n"
        "  - {id: store, kind: battery, file: none, endpoint: none}",
    )
    .replace("side_lost_a: 20", "side_lost_a: 20\n    feeds_a: 60")
    .replace(
        "failsafe:",
        "sources:\n"
        "  - {id: cloud, node: grid, lost_after_s: 60, lost_limit: {source: cloud lost, current_a: 45}}\n"
        "failsafe:",
    )
    .replace("{id: d, node: grid,", "{id: d, node: grid, mode: pv,")
    + """
steering:
  surplus: {node: grid, residual_kw: 1}
  batteries: [{id: store, node: grid, capacity_kwh: 20, charge_kw: 5, discharge_kw: 4, peak_percent: 10}]
  inverters: [{id: roof, node: grid, nominal_kw: 30}]
  feed_in: [{node: grid, share_percent: 70}]
  contracts: [{node: grid, power_kw: 40}]
  windows:
    - {id: quarter, node: grid, minutes: 15, contracted_kw: 20, worst_kw: 60, side_lost_kw: 15, reserve_kw: 2}
    - {id: hour, node: grid, minutes: 60, contracted_kw: 30, hard: true, worst_kw: 60, side_lost_kw: 15}
  schedules:
    - {node: garage, limit: {source: night, current_a: 10}, span: {from: "22:00", until: "06:00"}}
planning: {peaks: [{window: quarter, price_per_kw: 8}], hours: 24}
"""
)


class Rich(Planned):
    def begin(self, state=None):  # type: ignore[no-untyped-def]
        if not hasattr(self, "roof"):
            self.roof = Plain("roof", lambda: self, power_mw=-6_900_000)
            self.store = Plain("store", lambda: self, power_mw=1_380_000, soc_permille=600)
        self.meters |= {"roof": self.roof, "store": self.store}  # type: ignore[dict-item]
        return super().begin(state)

    def record(self, external: External | None = None, learned: Learned | None = None) -> Record:
        assert self.loop.inputs is not None
        assert self.loop.decision is not None
        inputs = self.loop.inputs
        if external is not None:
            inputs = msgspec.structs.replace(inputs, external=external)
        runner = self.runner
        return record_for(
            runner._known, inputs, self.loop.decision, learned or runner.watch.learned, None, runner.watch.recent()
        )


@pytest.fixture
def rich() -> Rich:
    small = Rich(RICH, plans=False)
    small.side("grid", (2_000, 4_000, 6_000))
    small.run(20)
    return small


def car(small: Planned, id: str) -> Asking:
    found = small.chargers[id]
    assert isinstance(found, Asking)
    return found


def test_batteries_sun_and_building_are_told_apart(rich: Rich) -> None:
    assert rich.loop.inputs is not None
    assert rich.loop.decision is not None
    side = side_loads(rich.site, rich.loop.inputs, rich.loop.decision)
    # The meter shows the side load alone; a battery that takes 2 A and a roof that gives 10 A on each phase are in it.
    assert side == {"grid": (10_000, 12_000, 14_000)}
    record = rich.record()
    beside = next(load for load in record.loads if load.id == "beside grid")
    assert beside.phases_ma[0] == (10_000, 12_000, 14_000)
    roof = next(load for load in record.loads if load.id == "roof")
    assert roof.curtailable
    assert roof.phases_ma[0] == (-10_000, -10_000, -10_000)
    assert roof.phases_ma[-1] == (0, 0, 0), "nobody knows how long the sun shines"
    (battery,) = record.batteries
    assert (battery.level_wh, battery.reserve_wh, battery.charge_mw, battery.discharge_mw) == (
        12_000, 2_000, 5_000_000, 4_000_000,
    )  # fmt: skip
    assert record.feed_in_mw == 21_000_000
    made = answer(encoded(record))
    assert made.plan is not None, made.error


def test_windows_are_those_of_the_connection(rich: Rich) -> None:
    record = rich.record()
    assert record.windows_of == ("quarter", "hour")
    quarter, hour = record.windows
    assert (quarter.target_mw, quarter.peak_micro, quarter.incumbent_mw) == (None, 8_000_000, 20_000_000)
    assert (hour.target_mw, hour.peak_micro, hour.minutes, hour.offset_ms) == (30_000_000, 0, 60, 0)


def test_limits_by_the_clock_by_contract_and_from_outside(rich: Rich) -> None:
    operator = Control(
        id="1", source="operator", kind="import_limit", node="grid", value_mw=9_000_000, until_ms=EVENING + HOUR
    )
    external = External(
        controls=(operator,),
        limits={"garage": (Limit(source="ems", power_mw=7_000_000),), "gone": (Limit(source="x"),)},
    )
    record = rich.record(external)
    night = next(limit for limit in record.limits["garage"] if limit.source == "night")
    assert (night.from_ms, night.until_ms) == (EVENING + 5 * HOUR, EVENING + 13 * HOUR)
    assert {limit.source: limit.power_mw for limit in record.limits["grid"] if limit.power_mw} == {
        "contracted capacity": 40_000_000, "operator": 9_000_000,
    }  # fmt: skip
    assert "cloud lost" in {limit.source for limit in record.limits["grid"]}, "it has never been heard"
    assert next(limit for limit in record.limits["grid"] if limit.source == "operator").until_ms == EVENING + HOUR
    assert "ems" in {limit.source for limit in record.limits["garage"]}
    assert "gone" not in record.limits


def test_each_car_says_on_what_its_need_rests(rich: Rich) -> None:
    car(rich, "a").ask(20_000, EVENING + 8 * HOUR)
    car(rich, "b").plug(32_000)
    car(rich, "b").car_soc = 500
    car(rich, "c").plug(32_000)
    car(rich, "d").ask(9_000, EVENING + 8 * HOUR)
    rich.run(5)
    record = rich.record()
    needs = {need.evse: need for need in record.needs}
    assert 19_900 <= needs["a"].energy_wh <= 20_000
    assert needs["a"].departure_ms == EVENING + 8 * HOUR
    assert needs["b"].energy_wh == 30_000, "half of a battery of the usual size"
    assert 19_900 <= needs["c"].energy_wh <= 20_000
    assert "nobody said" in record.basis["c"].energy
    assert needs["c"].departure_ms is not None
    assert needs["c"].departure_ms - record.now_ms < 3.2 * HOUR, "as soon as it can be: 20 kWh on one phase"
    assert needs["d"].pool == "pv"
    assert record.steered == ("a", "b", "c"), "who follows the sun goes on doing so"
    assert record.pools_mw["pv"][0] == 0


def test_what_was_learned_stands_in_for_what_nobody_said(rich: Rich) -> None:
    car(rich, "a").plug(32_000)
    rich.run(5)
    habits = Learned().habits
    for day in range(1, 7):
        came = EVENING - day * DAY
        habits = remember(habits, Visit("a", "", came, came + 10 * HOUR, 15_000, 22_000_000))
        habits = remember(habits, Visit("b", "", came + 2 * HOUR, came + 12 * HOUR, 8_000, 22_000_000))
    learned = Learned(habits=habits, stays={"a": Stay(EVENING, "s", "")})
    record = rich.record(learned=learned)
    (need,) = record.needs
    assert need.energy_wh <= 15_000
    assert need.departure_ms == EVENING + 10 * HOUR
    assert record.basis["a"].departure == "as on visits before"
    coming = [each for each in record.expected if each.arrival_ms > record.now_ms]
    assert coming
    assert abs(coming[0].arrival_ms - (EVENING + 2 * HOUR)) < HOUR
    few = Learned(habits=msgspec.structs.replace(habits, visits=habits.visits[-4:]))
    assert rich.record(learned=few).expected == (), "two days are no habit"


def test_who_charges_by_an_order_waits_for_no_plan(rich: Rich) -> None:
    for id in "abc":
        car(rich, id).ask(20_000, EVENING + 8 * HOUR)
    rich.run(20)
    assert {"a", "b"} <= set(rich.record().steered)
    external = External(evses={"a": Ordered(source="broker", mode="now"), "b": Ordered(source="broker", mode="off")})
    record = rich.record(external)
    assert {"a", "b"} & {need.evse for need in record.needs} == {"a"}
    assert not {"a", "b"} & set(record.steered)


def test_orders_pauses_and_the_lost(rich: Rich) -> None:
    for id in "abc":
        car(rich, id).ask(20_000, EVENING + 8 * HOUR)
    rich.run(20)
    external = External(
        evses={"a": Ordered(source="ems", pause=True), "b": Ordered(source="ems", maximum_ma=10_000)},
    )
    car(rich, "c").link = False
    rich.run(40)
    record = rich.record(external)
    needs = {need.evse: need for need in record.needs}
    assert set(needs) == {"b"}
    assert needs["b"].maximum == 10_000
    lost = next(load for load in record.loads if load.id == "lost c")
    assert sorted(lost.phases_ma[0])[:2] == [0, 0], "on its one phase"
    assert max(lost.phases_ma[0]) >= 6_000


def test_prices_that_are_not_known_yet_are_as_a_day_before(rich: Rich) -> None:
    assert rich.record().prices.import_micro == (300_000,)
    assert any("no prices are known" in words for words in rich.record().words)
    table = tuple(
        Price(EVENING + hour * HOUR, EVENING + (hour + 1) * HOUR, 100_000 + hour, 50_000) for hour in range(-18, 7)
    )
    prices = rich.record(External(prices=table)).prices
    assert prices.import_micro[0] == 100_000
    assert prices.import_micro[27] == 100_006
    assert prices.import_micro[28] == 100_000 - 17, "as the day before"
    assert len(prices.import_micro) == 96
    few = rich.record(External(prices=table[-7:]))
    assert few.prices.import_micro[40] == 100_003, "the mean of what is known"
    assert any("no price is known yet" in words for words in few.words)


def test_the_same_tick_gives_the_same_record(rich: Rich) -> None:
    car(rich, "a").ask(20_000, None)
    rich.run(10)
    assert encoded(rich.record()) == encoded(rich.record())


def test_a_battery_is_as_large_as_what_it_took() -> None:
    stay = Stay(0, "s", "", energy_wh=12_000, soc=300, soc_wh=2_000)
    assert battery_wh(stay, 340) is None
    assert battery_wh(stay, 500) == 50_000


@pytest.mark.parametrize(
    ("change", "where", "severity"),
    [
        (lambda t: t.replace("window: quarter", "window: month"), "planning.peaks[month]", "error"),
        (lambda t: t.replace("hours: 24", "hours: 1"), "planning.hours", "error"),
        (lambda t: t.replace("hours: 24", "charged_at_once: [z]"), "planning.charged_at_once", "error"),
        (lambda t: t.replace("hours: 24", "value_per_kwh: 0.1"), "planning.value_per_kwh", "error"),
        (lambda t: t.replace("hours: 24", "export_price: 0.5"), "planning.export_price", "warning"),
        (lambda t: t.replace("hours: 24", "horizon: 24"), "planning.horizon", "error"),
        (lambda t: t.replace("hours: 24", "stay_h: 0"), "planning.stay_h", "error"),
        (
            lambda t: t.replace("price_per_kw: 8}", "price_per_kw: 8}, {window: quarter, price_per_kw: 9}"),
            "planning.peaks[quarter]",
            "error",
        ),
        (
            lambda t: t.replace("id: hour, node: grid", "id: hour, node: garage")
            .replace("window: quarter", "window: hour")
            .replace("parent: grid", "parent: grid\n    meter: main\n    side_lost_a: 1"),
            "planning.peaks[hour]",
            "error",
        ),
    ],
)  # fmt: skip
def test_mistakes_in_the_section_are_named(change: Callable[[str], str], where: str, severity: str) -> None:
    text = change(RICH)
    assert text != RICH
    config, found = read(text)
    if config is not None:
        found = findings(config)
    assert (where, severity) in {(each.where, each.severity) for each in found}, found
