"""Offers to vehicles that tell their needs."""

from __future__ import annotations

from typing import Any

from pilotwire.domain.ev_plans import FIRST_ID, LONGEST_MS, Offer, offered, plan, request
from pilotwire.domain.schedules.model import EXTERNAL, TX, TX_DEFAULT, Period, Profile, Schedule, Transaction

HOUR = 3_600_000
NOW = 1_800_000_000_000
RUNS = Transaction(key="T", start=NOW - HOUR)


def profile(id_: int, limits: list[tuple[int, int]], purpose: str = TX_DEFAULT, **more: Any) -> Profile:
    periods = tuple(Period(start_ms=at, limit=limit) for at, limit in limits)
    schedule = Schedule(unit="A", periods=periods, start=NOW)
    return Profile(id=id_, evse=1, stack=0, purpose=purpose, kind="Absolute", schedules=(schedule,), **more)


def made(*profiles: Profile, most: int = 16_000, departure: int | None = NOW + 4 * HOUR) -> Offer:
    return plan(profiles, evse=1, transaction=RUNS, unit="A", most=most, now=NOW, departure=departure)


def test_as_much_as_the_vehicle_takes_and_the_profiles_leave() -> None:
    assert made().periods == ((0, 16_000),)
    assert made(profile(1, [(0, 20_000), (HOUR, 10_000), (2 * HOUR, 32_000)])).periods == (
        (0, 16_000),
        (HOUR, 10_000),
        (2 * HOUR, 16_000),
    )
    outside = profile(-1, [(0, 9_000)], EXTERNAL, source="EMS")
    assert made(profile(1, [(0, 20_000)]), outside).periods == ((0, 9_000),)


def test_until_it_departs_and_no_longer_than_a_day() -> None:
    assert made().duration_ms == 4 * HOUR
    assert made(departure=None).duration_ms == made(departure=NOW - 1).duration_ms == LONGEST_MS


def test_above_other_profiles_of_the_transaction_and_in_place_of_the_last_offer() -> None:
    others = profile(7, [(0, 8_000)], TX, transaction="T")
    last = profile(FIRST_ID + 1, [(0, 6_000)], TX, transaction="T")
    assert made(others, last).stack == 1
    assert made(others, last).periods == ((0, 8_000),)
    assert made(last).stack == 0 and made(last).periods == ((0, 16_000),)
    assert offered((others, last), 1) is last and offered((others, last), 2) is None


def test_what_is_sent_is_never_more_than_was_meant() -> None:
    sent = request(made(most=16_790), "2027-01-15T08:00:00.000Z")
    assert sent["evseId"] == 1
    body = sent["chargingProfile"]
    assert (body["id"], body["transactionId"], body["chargingProfilePurpose"]) == (FIRST_ID + 1, "T", "TxProfile")
    assert body["chargingSchedule"][0]["chargingSchedulePeriod"] == [{"startPeriod": 0, "limit": 16.7}]
    assert body["chargingSchedule"][0]["duration"] == 4 * 3600


def test_no_more_periods_than_are_taken_and_what_is_left_out_allows_no_more() -> None:
    """maxScheduleTuples, PeriodsPerSchedule: the last period stands for the rest."""
    limits = [(at * HOUR // 4, 15_000 - at * 500 if at % 2 else 6_500 + at * 100) for at in range(12)]
    whole = made(profile(1, limits))
    assert len(whole.periods) == 12
    for most in (1, 2, 5, 11, 12, 30):
        short = plan(
            (profile(1, limits),), evse=1, transaction=RUNS, unit="A", most=16_000, now=NOW,
            departure=NOW + 4 * HOUR, longest=most,
        ).periods  # fmt: skip
        assert len(short) == min(most, 12) and short[: most - 1] == whole.periods[: most - 1]
        for at, limit in whole.periods:
            assert [each for start, each in short if start <= at][-1] <= limit
    assert len(made(profile(1, [(at * HOUR // 20, 6_000 + at) for at in range(40)])).periods) == 24
