"""RationalNumber ⇄ integers, and schedules ⇄ the wire: what is written is read as the same, or as less."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.core.evse_link import Price, Schedule
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118.iso20 import schedules, services
from pilotwire.protocols.iso15118.iso20.rational import (
    MOST,
    decimal,
    discharge,
    milli,
    of_decimal,
    of_whole,
    rational,
    whole,
)

NOW = 1_767_225_600_000
FEW = settings(max_examples=150, derandomize=True, deadline=None)


@FEW
@given(st.integers(-(10**12), 10**12))
def test_what_is_written_is_never_more_than_what_was_meant(value: int) -> None:
    number = rational(value)
    assert -32_768 <= number["Value"] <= 32_767 and -128 <= number["Exponent"] <= 127
    read = milli(number)
    assert abs(read) <= abs(value)
    assert read * value >= 0
    assert abs(value) - abs(read) <= abs(value) // 3_276, "no more is lost than 16 bits cannot hold"


@FEW
@given(st.integers(-32_768, 32_767), st.integers(-3, 6))
def test_what_fits_is_exact(value: int, exponent: int) -> None:
    thousandths = value * 10 ** (exponent + 3)
    assert milli(rational(thousandths)) == thousandths
    assert milli({"Exponent": exponent, "Value": value}) == thousandths


@FEW
@given(st.integers(-32_768, 32_767), st.integers(-128, 127))
def test_whatever_comes_is_read_and_has_a_bound(value: int, exponent: int) -> None:
    read = milli({"Exponent": exponent, "Value": value})
    assert abs(read) <= MOST
    assert (read >= 0) or value < 0
    assert discharge({"Exponent": exponent, "Value": value}) == abs(read)


@pytest.mark.parametrize("ones", [0, 1, -1, 60_000, 32_767, -32_768, 1_000_000])
def test_whole_numbers(ones: int) -> None:
    assert whole(of_whole(ones)) == ones


@FEW
@given(st.decimals(min_value=Decimal("-30"), max_value=Decimal("30"), places=3))
def test_prices_are_exact(amount: Decimal) -> None:
    assert decimal(of_decimal(amount)) == amount


@pytest.mark.parametrize("amount", ["123456.7", "-99999", "0.00000001", "1E+9"])
def test_prices_that_16_bits_cannot_hold_are_the_nearest(amount: str) -> None:
    read = decimal(of_decimal(Decimal(amount)))
    assert abs(read - Decimal(amount)) <= abs(Decimal(amount)) / 3_276 + Decimal("1E-9")


POINTS = st.lists(st.tuples(st.integers(0, 80_000), st.integers(0, 32_000).map(lambda w: w * 1000)), max_size=12)
SCHEDULED = services.Selection(service="DC_BPT", parameter_set=1, pricing=services.ABSOLUTE_PRICES)


@FEW
@given(POINTS, st.booleans())
def test_a_schedule_comes_as_it_went(points: list[tuple[int, int]], back: bool) -> None:
    starts = {start: -mw if back and start % 2 else mw for start, mw in points}
    schedule = Schedule(points=tuple(sorted(starts.items())), duration_s=86_400, id=2)
    ((one),) = schedules.offered([schedule], NOW, SCHEDULED, 1024)
    read = schedules.read_tuple(one, NOW)
    assert read.id == 2 and read.duration_s == 86_400
    for when in [0, 1, 86_399, *starts, *(start + 1 for start in starts)]:
        if when < 86_400:
            assert schedules.at(read.points, when) == schedules.at(schedule.points, when)


@FEW
@given(POINTS, st.integers(12, 20))
def test_a_schedule_that_is_too_long_never_gives_more(points: list[tuple[int, int]], most: int) -> None:
    dense = tuple((start, 1_000_000 + start * 1000) for start in range(40))
    schedule = Schedule(points=dense + tuple(sorted(dict((s + 100, mw) for s, mw in points).items())))
    (one,) = schedules.offered([schedule], NOW, SCHEDULED, most)
    entries = one["ChargingSchedule"]["PowerSchedule"]["PowerScheduleEntries"]["PowerScheduleEntry"]
    assert len(entries) <= most
    read = schedules.read_tuple(one, NOW)
    for when in range(0, 80_200, 411):
        assert schedules.at(read.points, when) <= schedules.at(schedule.points, when)


def test_a_schedule_that_began_before() -> None:
    schedule = Schedule(points=((0, 3_000_000), (600, 2_000_000), (1_200, 1_000_000)), duration_s=3_600)
    (one,) = schedules.offered([schedule], NOW, SCHEDULED, 12)
    read = schedules.read_tuple(one, NOW + 700_000)
    assert read.points == ((0, 2_000_000), (500, 1_000_000))
    assert read.duration_s == 2_900


PRICES = (Price(start_s=0, amount=Decimal("0.4")), Price(start_s=3_600, amount=Decimal("0.2")))


@pytest.mark.parametrize("pricing", [services.NO_PRICES, services.ABSOLUTE_PRICES, services.PRICE_LEVELS])
def test_prices_as_they_were_selected(pricing: int) -> None:
    selection = services.Selection(service="DC", parameter_set=1, pricing=pricing)
    schedule = Schedule(points=((0, 1_000_000),), duration_s=7_200, prices=PRICES, currency="NOK")
    (one,) = schedules.offered([schedule], NOW, selection, 12)
    header = {"Header": {"SessionID": bytes(8), "TimeStamp": 0}, "ResponseCode": "OK", "EVSEProcessing": "Finished"}
    body = header | {"Scheduled_SEResControlMode": {"ScheduleTuple": [one]}}
    assert exi.decode("iso20-common", exi.encode("iso20-common", {"ScheduleExchangeRes": body}))
    read = schedules.read_tuple(one, NOW)
    amounts = [(price.start_s, price.amount) for price in read.prices]
    if pricing == services.ABSOLUTE_PRICES:
        assert read.prices == PRICES and read.currency == "NOK"
    elif pricing == services.PRICE_LEVELS:
        assert amounts == [(0, Decimal(2)), (3_600, Decimal(1))], "the dearer the higher"
    else:
        assert amounts == []


@pytest.mark.parametrize(
    ("profile", "end", "wrong"),
    [
        (((0, 3_000_000),), 600, False),
        (((0, 3_000_001),), 600, True),
        (((0, 1_000_000), (600, 2_000_000)), 1_200, False),
        (((0, 3_000_000), (599, 3_000_000), (600, 2_000_000)), 1_200, False),
        (((0, 3_000_000), (601, 2_000_000)), 1_200, True),
        (((0, 0), (1_200, -1_000_000)), 9_999, False),
        (((0, 0), (1_200, -1_000_001)), 9_999, True),
        (((0, -1),), 600, True),
        (((0, 2_000_000),), 1_201, True),
    ],
)
def test_a_profile_keeps_to_its_schedule(profile: tuple[tuple[int, int], ...], end: int, wrong: bool) -> None:
    schedule = Schedule(points=((0, 3_000_000), (600, 2_000_000), (1_200, -1_000_000)), duration_s=1_800)
    points = tuple((NOW + start * 1000, mw) for start, mw in profile)
    assert bool(schedules.exceeds(points, NOW + end * 1000, schedule, NOW)) is wrong
