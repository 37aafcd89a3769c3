"""Schedules of ISO 15118-2 and DIN 70121 to the wire and back, as time goes by."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.core.evse_link import Price, Schedule
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118.din70121 import schedules as din
from pilotwire.protocols.iso15118.iso2 import schedules
from pilotwire.protocols.iso15118.iso2.answers import refusal
from pilotwire.protocols.iso15118.iso2.schedules import exceeds, read, sa_schedules, shifted

POINTS = st.lists(
    st.tuples(st.integers(0, 100_000), st.integers(0, 400_000_000)),
    min_size=1,
    max_size=20,
    unique_by=lambda one: one[0],
).map(lambda found: tuple(sorted(found)))


def on_the_wire(element: dict[str, Any]) -> None:
    body = refusal("ChargeParameterDiscoveryReq", "OK", evse_id="ZZ*PWR*E1", dc=True) | {"SAScheduleList": element}
    message = {"V2G_Message": {"Header": {"SessionID": bytes(8)}, "Body": {"ChargeParameterDiscoveryRes": body}}}
    assert exi.decode("iso2", exi.encode("iso2", message)) == message


@settings(max_examples=100, derandomize=True, deadline=None)
@given(POINTS, st.integers(0, 150_000))
def test_what_is_sent_is_read(points: Any, age_s: int) -> None:
    schedule = Schedule(points=points, duration_s=90_000, id=2)
    element, said, _ = sa_schedules([(schedule, 0)], age_s * 1_000, 0, None, None)
    on_the_wire(element)
    (back,) = read(element)
    assert back.points == said[2] and back.id == 2
    assert back.points[0][0] == 0, "from now on"
    assert [start for start, _ in back.points] == sorted({start for start, _ in back.points})
    for start, mw in back.points:
        now = [power for at, power in points if at <= start + age_s]
        assert 0 <= (now[-1] if now else 0) - mw < 1_000_000, "what was allowed then, rounded down"


@settings(max_examples=100, derandomize=True, deadline=None)
@given(POINTS)
def test_a_profile_is_within_its_own_schedule_and_nothing_above(points: Any) -> None:
    whole = shifted(Schedule(points=points), 0)
    assert not exceeds(whole, whole)
    for place, (start, mw) in enumerate(whole):
        above = [*whole[:place], (start, mw + 1), *whole[place + 1 :]]
        assert exceeds(whole, above)
    lowest = min(mw for _, mw in whole)
    assert not exceeds(whole, [(0, lowest)]) and exceeds(whole, [(0, lowest + 1)])


@pytest.mark.parametrize("module", [schedules, din])
def test_profiles_by_hand(module: Any) -> None:
    points = ((0, 10_000), (60, 5_000), (120, 10_000))
    assert not module.exceeds(points, [(0, 5_000)])
    assert module.exceeds(points, [(0, 10_000)]), "it has no end, and so meets the dip"
    assert not module.exceeds(points, [(0, 10_000), (60, 5_000)])
    assert not module.exceeds(points, [(0, 10_000), (60, 5_000), (120, 10_000)])
    assert module.exceeds(points, [(0, 10_000), (61, 5_000)])
    assert not module.exceeds(points, [])


def test_a_day_of_the_offer_where_there_is_no_schedule() -> None:
    element, said, _ = sa_schedules([], 0, 11_040_000, None, None)
    assert said == {1: ((0, 11_040_000),)}
    entry = element["SAScheduleTuple"][0]["PMaxSchedule"]["PMaxScheduleEntry"][0]
    assert entry["RelativeTimeInterval"] == {"start": 0, "duration": 86_400}


def test_no_more_entries_than_the_vehicle_takes() -> None:
    schedule = Schedule(points=tuple((60 * n, 1_000_000) for n in range(30)))
    element, said, _ = sa_schedules([(schedule, 0)], 0, 0, 12, None)
    assert len(element["SAScheduleTuple"][0]["PMaxSchedule"]["PMaxScheduleEntry"]) == len(said[1]) == 12


@pytest.mark.parametrize("module", [schedules, din])
def test_what_is_left_out_is_not_allowed(module: Any) -> None:
    schedule = Schedule(points=tuple((60 * n, (30 - n) * 1_000_000) for n in range(30)), duration_s=7_200)
    more = (12, None) if module is schedules else ()
    element, said, _ = module.sa_schedules([(schedule, 0)], 0, 0, *more)
    (back,) = module.read(element)
    assert back.points == said[1] == schedule.points[:12]
    assert back.duration_s == 720, "the twelfth ends where the thirteenth would begin"


def test_names_that_the_wire_cannot_carry() -> None:
    assert schedules.numbered([7, 4_711, 0]) == {7: 7, 1: 4_711, 2: 0}
    many = [(Schedule(points=((0, 1_000_000),), id=one), 0) for one in (1, 900, 2)]
    element, said, names = sa_schedules(many, 0, 0, None, None)
    on_the_wire(element)
    assert names == {1: 1, 3: 900, 2: 2} and set(said) == {1, 2, 3}


def test_intervals_of_no_kind() -> None:
    for module in (schedules, din):
        element, _, _ = module.sa_schedules([], 0, 1_000, *((None, None) if module is schedules else ()))
        entry = element["SAScheduleTuple"][0]["PMaxSchedule"]["PMaxScheduleEntry"][0]
        del entry["RelativeTimeInterval"]
        entry["TimeInterval"] = {}
        assert module.read(element)[0].points[0][0] == 0


def test_before_a_schedule_begins_nothing_is_allowed() -> None:
    assert shifted(Schedule(points=((300, 5_000_000),)), 0) == ((0, 0), (300, 5_000_000))
    assert shifted(Schedule(points=((300, 5_000_000),)), 400_000) == ((0, 5_000_000),)


def test_prices_become_levels_and_percent() -> None:
    prices = (
        Price(start_s=0, amount=Decimal("0.40")),
        Price(start_s=0, amount=Decimal("0.20"), from_mw=11_000_000),
        Price(start_s=3_600, amount=Decimal("0.10")),
        Price(start_s=7_200, amount=Decimal("0.40")),
    )
    schedule = Schedule(points=((0, 22_000_000),), duration_s=10_800, prices=prices)
    element, _, _ = sa_schedules([(schedule, 0)], 0, 0, None, None)
    on_the_wire(element)
    tariff = element["SAScheduleTuple"][0]["SalesTariff"]
    assert [one["EPriceLevel"] for one in tariff["SalesTariffEntry"]] == [3, 1, 3]
    (back,) = read(element)
    assert [(one.start_s, one.amount, one.from_mw) for one in back.prices] == [
        (0, Decimal(100), 0), (0, Decimal(50), 11_000_000), (3_600, Decimal(25), 0), (7_200, Decimal(100), 0),
    ]  # fmt: skip
    later, _, _ = sa_schedules([(schedule, 0)], 4_000_000, 0, None, None)
    assert [(one.start_s, one.amount) for one in read(later)[0].prices] == [(0, Decimal(25)), (3_200, Decimal(100))]


@settings(max_examples=50, derandomize=True, deadline=None)
@given(POINTS, st.integers(0, 150_000))
def test_din_is_capped_at_16_bits(points: Any, age_s: int) -> None:
    element, said, _ = din.sa_schedules([(Schedule(points=points, id=5), 0)], age_s * 1_000, 0)
    (back,) = din.read(element)
    assert back.points == said[1] and back.points[0][0] == 0 and len(back.points) <= 13
    assert all(0 <= mw <= 32_767_000 for _, mw in back.points)
