"""The cost of a course equals the plain pricer's, whoever works it out and however it is cut; it never falls."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.domain.tariffs import checking, details
from pilotwire.domain.tariffs.costing import Costing, Mark, begin
from pilotwire.domain.tariffs.model import (
    DAYS,
    Conditions,
    Energy,
    EnergyPrice,
    Fixed,
    FixedConditions,
    FixedPrice,
    Price,
    Tariff,
    TaxRate,
    Time,
    TimePrice,
    decode,
    encode,
)

sys.path.insert(0, str(Path(__file__).parent))
from tariff_oracle import Stretch, cost

RATE_WH = 5
"""Wh per second where energy flows: every threshold falls on a whole second."""
ZONES = ("Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe", "UTC")

prices = st.integers(0, 4000).map(lambda n: Decimal(n).scaleb(-3))
taxes = st.none() | st.lists(
    st.builds(
        TaxRate, type=st.just("VAT"), tax=st.integers(0, 300).map(lambda n: Decimal(n) / 10), stack=st.integers(0, 2)
    ),
    min_size=1,
    max_size=3,
).map(tuple)
clock = st.sampled_from(["00:00", "00:05", "01:30", "02:00", "02:30", "03:00", "08:00", "18:00", "23:55"])
days = st.lists(st.sampled_from(DAYS), min_size=1, max_size=4, unique=True).map(tuple)
dates = st.sampled_from(["2026-03-28", "2026-03-29", "2026-03-30", "2026-10-25", "2026-10-26", "2026-11-01"])


@st.composite
def conditions(draw: st.DrawFn) -> Conditions:
    """One or two things that must hold."""
    found: dict[str, Any] = {}
    for what in draw(st.lists(st.integers(0, 8), min_size=1, max_size=2, unique=True)):
        if what == 0:
            found |= {"start_time_of_day": draw(clock), "end_time_of_day": draw(clock)}
        elif what == 1:
            found["day_of_week"] = draw(days)
        elif what == 2:
            found[draw(st.sampled_from(["valid_from_date", "valid_to_date"]))] = draw(dates)
        elif what == 3:
            found[draw(st.sampled_from(["min_energy", "max_energy"]))] = Decimal(draw(st.integers(0, 500)) * RATE_WH)
        elif what == 4:
            found[draw(st.sampled_from(["min_power", "max_power"]))] = Decimal(draw(st.sampled_from([1, 9000, 18000])))
        elif what == 5:
            found[draw(st.sampled_from(["min_current", "max_current"]))] = Decimal(draw(st.sampled_from([1, 40, 80])))
        elif what == 6:
            found["evse_kind"] = draw(st.sampled_from(["AC", "DC"]))
        else:
            name = draw(st.sampled_from(["time", "charging_time", "idle_time"]))
            found[draw(st.sampled_from(["min_", "max_"])) + name] = draw(st.integers(0, 900))
    for name in ("time", "charging_time", "idle_time"):
        if found.get(f"min_{name}", -1) >= found.get(f"max_{name}", 901):
            del found[f"max_{name}"]  # bounds that exclude each other are a fault of their own
    return Conditions(**found)


def lists(price: Any, group: Any, field: str) -> Any:
    row = st.builds(lambda amount, given: price(**{field: amount}, conditions=given), prices, st.none() | conditions())
    return st.none() | st.builds(group, prices=st.lists(row, min_size=1, max_size=3).map(tuple), tax_rates=taxes)


fixed_conditions = st.builds(
    FixedConditions,
    start_time_of_day=st.none() | clock,
    day_of_week=st.none() | days,
    evse_kind=st.sampled_from([None, "AC", "DC"]),
)
fees = st.none() | st.builds(
    Fixed,
    prices=st.lists(
        st.builds(FixedPrice, price_fixed=prices, conditions=st.none() | fixed_conditions), min_size=1, max_size=2
    ).map(tuple),
    tax_rates=taxes,
)


def tariffs(name: str) -> st.SearchStrategy[Tariff]:
    return st.builds(
        Tariff,
        tariff_id=st.just(name),
        currency=st.just("EUR"),
        energy=lists(EnergyPrice, Energy, "price_kwh"),
        charging_time=lists(TimePrice, Time, "price_minute"),
        idle_time=lists(TimePrice, Time, "price_minute"),
        fixed_fee=fees,
    )


stretches = st.lists(
    st.builds(
        lambda seconds, flows, power, current: Stretch(
            seconds, RATE_WH if flows else 0, flows, Decimal(power), Decimal(current)
        ),
        st.integers(1, 400),
        st.booleans(),
        st.sampled_from([0, 8999, 9000, 18000]),
        st.sampled_from([0, 39, 40, 79, 80]),
    ),
    min_size=1,
    max_size=6,
)
beginnings = st.builds(
    lambda base, shift: base + timedelta(seconds=shift),
    st.sampled_from(
        [
            datetime(2026, 3, 29, 1, 0, tzinfo=UTC),  # Berlin: 02:00 becomes 03:00
            datetime(2026, 10, 25, 1, 0, tzinfo=UTC),  # 03:00 becomes 02:00
            datetime(2026, 11, 1, 6, 0, tzinfo=UTC),  # New York
            datetime(2026, 10, 3, 15, 30, tzinfo=UTC),  # Lord Howe moves by half an hour
            datetime(2026, 6, 30, 22, 0, tzinfo=UTC),
            datetime(2026, 2, 3, 17, 0, tzinfo=UTC),
        ]
    ),
    st.integers(-1000, 200),
)


def ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def run(
    first: Tariff,
    start: datetime,
    course: list[Stretch],
    *,
    zone: str,
    kind: str,
    change: tuple[int, Tariff] | None = None,
    stored: bool = False,
    watch: Any = None,
) -> Costing:
    """The course as a station reports it: a reading with state, power and current where each stretch begins."""
    time, wh = ms(start), 1000
    state: Costing | None = None
    after = 0
    for stretch in course:
        mark = Mark(time, wh, stretch.charging, stretch.power, stretch.current)
        if state is None:
            state = begin(first, mark, zone=zone, evse_kind=kind)
        else:
            state.feed(mark)
        if change is not None and after <= change[0] < after + stretch.seconds:
            state.change(change[1], time + (change[0] - after) * 1000)
        if watch is not None:
            watch(state)
        if stored:
            state = msgspec.json.decode(msgspec.json.encode(state), type=Costing)
        after += stretch.seconds
        time += stretch.seconds * 1000
        wh += stretch.seconds * stretch.wh
    assert state is not None
    state.feed(Mark(time, wh))
    if watch is not None:
        watch(state)
    state.finish(time)
    return state


def total(state: Costing) -> tuple[Decimal | None, Decimal | None]:
    found = details.of(state, ended=True).total_cost.total
    return found.excl_tax, found.incl_tax


@settings(max_examples=150, deadline=None)
@given(tariffs("a"), beginnings, stretches, st.sampled_from(ZONES), st.sampled_from(["AC", "DC"]))
def test_a_course_costs_what_every_second_of_it_costs(
    tariff: Tariff, start: datetime, course: list[Stretch], zone: str, kind: str
) -> None:
    state = run(tariff, start, course, zone=zone, kind=kind)
    excl, incl, _ = cost([(0, tariff)], start, course, zone=zone, kind=kind)
    assert total(state) == (excl, incl)


@settings(max_examples=60, deadline=None)
@given(tariffs("a"), tariffs("b"), beginnings, stretches, st.sampled_from(ZONES), st.data())
def test_a_tariff_changed_on_the_way_counts_from_then_on(
    first: Tariff, second: Tariff, start: datetime, course: list[Stretch], zone: str, data: st.DataObject
) -> None:
    at = data.draw(st.integers(1, max(1, sum(one.seconds for one in course) - 1)))
    change = (at, second) if at < sum(one.seconds for one in course) else None
    state = run(first, start, course, zone=zone, kind="AC", change=change)
    used = [(0, first)] + ([(at, second)] if change else [])
    excl, incl, _ = cost(used, start, course, zone=zone, kind="AC")
    assert total(state) == (excl, incl)


@settings(max_examples=80, deadline=None)
@given(tariffs("a"), beginnings, stretches, st.sampled_from(ZONES))
def test_stored_between_two_messages_it_goes_on_as_it_was(
    tariff: Tariff, start: datetime, course: list[Stretch], zone: str
) -> None:
    kept = run(tariff, start, course, zone=zone, kind="DC")
    stored = run(tariff, start, course, zone=zone, kind="DC", stored=True)
    assert encode(details.of(kept, ended=True)) == encode(details.of(stored, ended=True))


@settings(max_examples=80, deadline=None)
@given(tariffs("a"), beginnings, stretches, st.sampled_from([None, "1", "2.5"]), st.data())
def test_the_cost_never_falls_and_stays_below_its_maximum(
    tariff: Tariff, start: datetime, course: list[Stretch], most: str | None, data: st.DataObject
) -> None:
    if most is not None:
        tariff = msgspec.structs.replace(tariff, max_cost=Price(incl_tax=Decimal(most)))
    seen: list[Decimal] = []
    run(tariff, start, course, zone="Europe/Berlin", kind="AC", watch=lambda state: seen.append(details.amount(state)))
    assert seen == sorted(seen)
    assert most is None or seen[-1] <= Decimal(most)


@settings(max_examples=80, deadline=None)
@given(tariffs("a"), beginnings, stretches)
def test_what_the_uncapped_cost_reaches_the_capped_one_reaches(
    tariff: Tariff, start: datetime, course: list[Stretch]
) -> None:
    free = total(run(tariff, start, course, zone="UTC", kind="AC"))
    assert free[1] is not None
    most = (free[1] / 2).quantize(Decimal("0.01"))
    capped = msgspec.structs.replace(tariff, max_cost=Price(incl_tax=most))
    state = run(capped, start, course, zone="UTC", kind="AC")
    found = details.of(state, ended=True)
    assert found.total_usage == details.of(run(tariff, start, course, zone="UTC", kind="AC")).total_usage
    if free[1] > most + Decimal("0.05"):
        assert found.total_cost.type_of_cost == "MaxCost"
        assert found.total_cost.total.incl_tax is not None
        assert most - Decimal("0.03") <= found.total_cost.total.incl_tax <= most


@settings(max_examples=80, deadline=None)
@given(tariffs("a"), tariffs("b"), beginnings, stretches)
def test_the_periods_add_up_to_the_usage(tariff: Tariff, other: Tariff, start: datetime, course: list[Stretch]) -> None:
    state = run(tariff, start, course, zone="Europe/Berlin", kind="AC", change=(1, other))
    found = details.of(state, ended=True)
    sums: dict[str, Decimal] = {}
    for period in found.charging_periods:
        for one in period.dimensions:
            sums[one.type] = sums.get(one.type, Decimal(0)) + one.volume
    assert sums["Energy"] == found.total_usage.energy == sum(one.seconds * one.wh for one in course)
    assert sums.get("ChargingTime", 0) == found.total_usage.charging_time
    assert sums.get("IdleTIme", 0) == found.total_usage.idle_time
    begins = [period.start_period for period in found.charging_periods]
    assert begins == sorted(begins)
    cost_ = found.total_cost
    parts = [cost_.fixed, cost_.energy, cost_.charging_time, cost_.idle_time]
    assert cost_.total.incl_tax == sum((p.incl_tax or Decimal(0) for p in parts if p is not None), Decimal(0))
    assert cost_.total.excl_tax == sum((p.excl_tax or Decimal(0) for p in parts if p is not None), Decimal(0))


def _example(**parts: Any) -> Tariff:
    return Tariff(tariff_id="11", currency="EUR", **parts)


def test_a_session_over_a_time_of_day_is_cut_there_and_the_energy_with_it() -> None:
    # An hour of 10 kW from 17:30 to 18:30, cheap until six and dear after: half of it each, by the one reading.
    tariff = _example(
        energy=Energy(
            prices=(
                EnergyPrice(
                    price_kwh=Decimal("0.40"),
                    conditions=Conditions(start_time_of_day="18:00", end_time_of_day="23:00"),
                ),
                EnergyPrice(price_kwh=Decimal("0.25")),
            ),
            tax_rates=(TaxRate(type="vat", tax=Decimal(10)),),
        )
    )
    start = datetime(2026, 7, 1, 15, 30, tzinfo=UTC)
    state = begin(tariff, Mark(ms(start), 0), zone="Europe/Berlin")
    state.feed(Mark(ms(start) + 3_600_000, 10_000))
    state.finish(ms(start) + 3_600_000)
    found = details.of(state, ended=True)
    assert [(p.start_period, p.dimensions[0].volume) for p in found.charging_periods] == [
        (ms(start), 5000),
        (ms(start) + 1_800_000, 5000),
    ]
    assert found.total_cost.energy is not None
    assert (found.total_cost.energy.excl_tax, found.total_cost.energy.incl_tax) == (Decimal("3.25"), Decimal("3.58"))
    assert found.amount == Decimal("3.58")


def test_taxes_of_a_higher_stack_are_on_top_of_the_lower() -> None:
    rates = (
        TaxRate(type="energy tax", tax=Decimal(5)),
        TaxRate(type="levy", tax=Decimal(5)),
        TaxRate(type="VAT", tax=Decimal(20), stack=1),
    )
    tariff = _example(fixed_fee=Fixed(prices=(FixedPrice(price_fixed=Decimal(10)),), tax_rates=rates))
    found = details.of(begin(tariff, Mark(0, 0)))
    assert found.total_cost.fixed == Price(excl_tax=Decimal("10.00"), incl_tax=Decimal("13.20"), tax_rates=rates)


def test_a_minimum_takes_the_place_of_less_only_at_the_end() -> None:
    tariff = _example(
        energy=Energy(prices=(EnergyPrice(price_kwh=Decimal("0.5")),)),
        min_cost=Price(excl_tax=Decimal(5), tax_rates=(TaxRate(type="VAT", tax=Decimal(20)),)),
    )
    state = begin(tariff, Mark(0, 0))
    state.feed(Mark(60_000, 2000))
    assert details.of(state).total_cost.type_of_cost == "NormalCost"
    assert details.of(state).amount == Decimal("1.00")
    state.finish(60_000)
    found = details.of(state, ended=True)
    assert found.total_cost.type_of_cost == "MinCost"
    assert found.total_cost.fixed == Price(
        excl_tax=Decimal(5), incl_tax=Decimal("6.00"), tax_rates=(TaxRate(type="VAT", tax=Decimal(20)),)
    )
    assert found.total_cost.energy is None
    assert found.total_usage.energy == 2000


def test_a_reservation_is_paid_once_by_its_length() -> None:
    tariff = _example(
        energy=Energy(prices=(EnergyPrice(price_kwh=Decimal(0)),)),
        reservation_time=Time(prices=(TimePrice(price_minute=Decimal("0.10")),)),
        reservation_fixed=Fixed(prices=(FixedPrice(price_fixed=Decimal(2)),)),
    )
    found = details.of(begin(tariff, Mark(0, 0), reserved_ms=600_000))
    assert found.total_cost.reservation_time == Price(excl_tax=Decimal("1.00"), incl_tax=Decimal("1.00"))
    assert found.total_cost.reservation_fixed == Price(excl_tax=Decimal("2.00"), incl_tax=Decimal("2.00"))
    assert found.total_usage.reservation_time == 600
    assert details.of(begin(tariff, Mark(0, 0))).amount == 0


def test_a_fee_above_the_maximum_gives_way_to_it() -> None:
    tariff = _example(
        fixed_fee=Fixed(prices=(FixedPrice(price_fixed=Decimal(9)),)), max_cost=Price(incl_tax=Decimal(5))
    )
    found = details.of(begin(tariff, Mark(0, 0)))
    assert (found.amount, found.total_cost.type_of_cost) == (Decimal("5.00"), "MaxCost")


def test_readings_that_come_late_or_fall_take_nothing_back() -> None:
    tariff = _example(energy=Energy(prices=(EnergyPrice(price_kwh=Decimal(1)),)))
    state = begin(tariff, Mark(0, 1000))
    state.feed(Mark(60_000, 5000))
    for mark in (Mark(30_000, 2000), Mark(70_000, 4000), Mark(70_000, 4500)):
        state.feed(mark)
        assert details.amount(state) == Decimal("4.00")
    state.feed(Mark(20_000, 7000))  # the clock was set back; the meter was not
    assert details.amount(state) == Decimal("6.00")
    assert state.late == 2


def test_a_state_change_waits_for_the_reading_after_it() -> None:
    tariff = _example(
        energy=Energy(prices=(EnergyPrice(price_kwh=Decimal(1)),)),
        idle_time=Time(prices=(TimePrice(price_minute=Decimal(1)),)),
    )
    state = begin(tariff, Mark(0, 0, charging=True))
    state.feed(Mark(60_000, charging=False))
    assert details.amount(state) == 0
    state.feed(Mark(120_000, 6000))
    assert details.amount(state) == Decimal("7.00")
    assert (state.charged_ms, state.idle_ms) == (60_000, 60_000)


def test_a_tariff_survives_the_wire_to_the_digit() -> None:
    text = (
        b'{"tariffId":"10","currency":"USD","energy":{"taxRates":[{"type":"federal","tax":6.0},{"type":"state",'
        b'"tax":4.125}],"prices":[{"priceKwh":0.2500001}]},"maxCost":{"exclTax":1e2}}'
    )
    tariff = decode(text)
    assert tariff.energy is not None
    assert tariff.energy.prices[0].price_kwh == Decimal("0.2500001")
    assert decode(encode(tariff)) == tariff
    assert b"0.2500001" in encode(tariff)


@pytest.mark.parametrize(
    ("tariff", "where"),
    [
        (_example(), "energy"),
        (_example(energy=Energy(prices=())), "energy.prices"),
        (_example(energy=Energy(prices=(EnergyPrice(price_kwh=Decimal(-1)),))), "energy.prices[0]"),
        (_example(energy=Energy(prices=(EnergyPrice(price_kwh=Decimal("1e-30")),))), "energy.prices[0]"),
        (
            _example(
                energy=Energy(
                    prices=(EnergyPrice(price_kwh=Decimal(1), conditions=Conditions(start_time_of_day="24:00")),)
                )
            ),
            "energy.prices[0].conditions.startTimeOfDay",
        ),
        (
            _example(
                idle_time=Time(
                    prices=(TimePrice(price_minute=Decimal(1), conditions=Conditions(min_time=9, max_time=9)),)
                )
            ),
            "idleTime.prices[0].conditions.maxTime",
        ),
        (_example(fixed_fee=Fixed(prices=(FixedPrice(price_fixed=Decimal(1)),)), min_cost=Price()), "minCost"),
    ],
)
def test_what_is_wrong_with_a_tariff_is_said_where_it_is(tariff: Tariff, where: str) -> None:
    assert where in [place for place, _ in checking.faults(tariff)]


@given(tariffs("a"))
@settings(max_examples=60, deadline=None)
def test_tariffs_as_they_are_drawn_have_no_fault_but_lacking_prices(tariff: Tariff) -> None:
    assert [where for where, _ in checking.faults(tariff) if where != "energy"] == []
    assert checking.elements(tariff) <= 3


def test_a_week_of_readings_keeps_a_small_state() -> None:
    tariff = _example(
        energy=Energy(
            prices=(
                EnergyPrice(price_kwh=Decimal("0.4"), conditions=Conditions(min_power=Decimal(5000))),
                EnergyPrice(price_kwh=Decimal("0.3")),
            )
        )
    )
    state = begin(tariff, Mark(0, 0))
    for minute in range(1, 5000):
        state.feed(Mark(minute * 60_000, minute * 50, True, Decimal(6000 if minute % 2 else 1000)))
    assert len(msgspec.json.encode(state)) < 60_000
    assert Fraction(sum(period.energy for period in state.periods)) == 4999 * 50_000
