"""Targets from what has been paid for already."""

from msgspec import structs

from pilotwire.domain.steering import DemandWindow, Month, Plan, Slot, Span, Weight, WindowSummary
from pilotwire.domain.steering.peaks import billed, record, target, top_mean

KW = 1_000_000
HOUR = 3_600_000
JANUARY = 1_767_571_200_000  # 2026-01-05T00:00Z, 01:00 in Brussels
BE = DemandWindow(id="w", node="grid", worst_mw=100 * KW, side_lost_mw=10 * KW, floor_mw=2_500_000, billing="mean_12")
NO = structs.replace(BE, minutes=60, floor_mw=0, zone="Europe/Oslo", billing="top_3_days")


def summary(contract: DemandWindow, from_ms: int, kw: int, known_kw: int | None = None) -> WindowSummary:
    lasts = contract.minutes * 60_000
    wh = kw * 1_000 * lasts // HOUR
    known = wh if known_kw is None else known_kw * 1_000 * lasts // HOUR
    return WindowSummary(
        id="w", node="grid", from_ms=from_ms, until_ms=from_ms + lasts, energy_wh=wh, known_wh=known, peak_mw=kw * KW,
        billed_mw=kw * KW, target_mw=0, overshoot_mw=0, quality="register", causes={},
    )  # fmt: skip


def test_the_floor_then_the_months_peak_which_falls_back_with_the_month() -> None:
    assert target(BE, (), JANUARY, None) == 2_500_000
    months = record(BE, record(BE, (), summary(BE, JANUARY, 7)), summary(BE, JANUARY + HOUR, 5))
    assert target(BE, months, JANUARY + 2 * HOUR, None) == 7 * KW
    assert target(BE, months, JANUARY + 31 * 24 * HOUR, None) == 2_500_000
    assert target(structs.replace(BE, ratchet=False), months, JANUARY, None) == 2_500_000


def test_what_was_only_assumed_raises_no_peak() -> None:
    months = record(BE, (), summary(BE, JANUARY, 90, known_kw=4))
    assert months[0].peak_mw == 4 * KW


def test_hard_is_what_is_contracted_and_nothing_else() -> None:
    hard = structs.replace(BE, hard=True, contracted_mw=20 * KW)
    plan = Plan(0, JANUARY * 2, peaks={"w": (Slot(0, JANUARY * 2, 50 * KW),)})
    months = (Month(202_601, 40 * KW),)
    assert target(hard, months, JANUARY, plan) == 20 * KW
    assert target(structs.replace(hard, hard=False), months, JANUARY, None) == 40 * KW
    assert target(structs.replace(hard, hard=False), months, JANUARY, plan) == 50 * KW


def test_a_night_of_half_weight_may_have_twice_the_power() -> None:
    night = Weight(Span(from_minute=22 * 60, until_minute=6 * 60), 500)
    contract = structs.replace(BE, contracted_mw=10 * KW, weights=(night,), zone="Europe/Stockholm")
    assert target(contract, (), JANUARY, None) == 20 * KW
    assert target(contract, (), JANUARY + 8 * HOUR, None) == 10 * KW
    months = record(contract, (), structs.replace(summary(contract, JANUARY, 16), billed_mw=8 * KW))
    assert months[0].peak_mw == 8 * KW


def test_twelve_months_roll() -> None:
    months: tuple[Month, ...] = ()
    for at in range(14):
        begin = 1_768_435_200_000 + at * 30 * 24 * HOUR + at * 11 * HOUR
        months = record(BE, months, summary(BE, begin, 1 if at == 0 else 10))
    assert len(months) == 13
    assert [month.key for month in months[-3:]] == [202_612, 202_701, 202_702]
    assert billed(BE, months, 202_702) == 10 * KW
    assert billed(BE, (Month(202_601, KW), Month(202_602, 10 * KW)), 202_602) == (2_500_000 + 10 * KW) // 2
    assert billed(BE, (Month(202_501, 90 * KW), Month(202_601, 10 * KW)), 202_601) == 10 * KW


def test_three_highest_hours_on_different_days() -> None:
    days = ((1, 9 * KW), (2, 6 * KW), (3, 3 * KW), (4, KW))
    assert top_mean(days) == 6 * KW and top_mean(days[:1]) == 9 * KW and top_mean(()) == 0
    months = (Month(202_601, 9 * KW, days),)
    # On the 5th: up to the third of the others costs nothing.
    assert target(NO, months, JANUARY, None) == 3 * KW
    # On a day that has its 7 kW already, so much again.
    own = (Month(202_601, 9 * KW, (*days, (5, 7 * KW))),)
    assert target(NO, own, JANUARY, None) == 7 * KW
    assert billed(NO, months, 202_601) == 6 * KW


def test_steps_of_the_price_are_used_up() -> None:
    stepped = structs.replace(NO, steps_mw=(2 * KW, 5 * KW, 10 * KW))
    months = (Month(202_601, 4 * KW, ((1, 4 * KW), (2, 3 * KW), (3, 2 * KW))),)
    # Mean 3 kW is paid as 5: with 8 kW today, (8 + 4 + 3) / 3 is still 5.
    assert target(stepped, months, JANUARY, None) == 8 * KW


def test_record_keeps_the_days_of_a_month() -> None:
    months = record(NO, (), summary(NO, JANUARY, 5))
    months = record(NO, months, summary(NO, JANUARY + HOUR, 4))
    months = record(NO, months, summary(NO, JANUARY + 24 * HOUR, 6))
    assert months == (Month(202_601, 6 * KW, ((5, 5 * KW), (6, 6 * KW))),)
