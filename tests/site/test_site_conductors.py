"""How many conductors a car uses, by what flows."""

from __future__ import annotations

from pilotwire.site.conductors import LASTS_MS, Conductors
from pilotwire.site.ports import Points, Value


def reading(at_ms: int, *ma: int, quality: str = "good") -> Points:
    return {
        f"current_l{number}_ma": Value(each, at_ms, quality)  # type: ignore[arg-type]
        for number, each in enumerate(ma, 1)
    }


def seen(*readings: Points) -> int | None:
    conductors = Conductors()
    for each in readings:
        conductors.seen(each)
    return conductors.count


def test_a_car_with_one_conductor_is_known_after_a_while() -> None:
    assert seen(reading(0, 10_000, 0, 0)) is None, "the others may be about to begin"
    assert seen(reading(0, 10_000, 0, 0), reading(LASTS_MS, 10_000, 100, 0)) == 1
    assert seen(reading(0, 10_000, 9_000, 0), reading(LASTS_MS, 10_000, 9_000, 0)) == 2


def test_more_are_believed_at_once() -> None:
    one = [reading(0, 10_000, 0, 0), reading(LASTS_MS, 10_000, 0, 0)]
    assert seen(*one, reading(LASTS_MS + 1_000, 10_000, 700, 0)) == 2
    assert seen(*one, reading(LASTS_MS + 1_000, 10_000, 9_000, 9_000)) == 3


def test_it_has_to_stay_so_without_a_break() -> None:
    assert seen(reading(0, 9_000, 0, 0), reading(20_000, 9_000, 9_000, 0), reading(LASTS_MS, 9_000, 0, 0)) is None


def test_what_flows_on_a_later_terminal_alone_counts_on_all_before_it() -> None:
    assert seen(reading(0, 0, 0, 9_000), reading(LASTS_MS, 0, 0, 9_000)) == 3


def test_a_pause_says_nothing_and_takes_nothing_back() -> None:
    one = [reading(0, 9_000, 0, 0), reading(LASTS_MS, 9_000, 0, 0)]
    assert seen(*one, reading(LASTS_MS + 1_000, 0, 0, 0)) == 1
    assert seen(reading(0, 0, 0, 0), reading(LASTS_MS, 0, 0, 0)) is None
    assert seen(reading(0, 1_000, 0, 0), reading(LASTS_MS, 1_000, 0, 0)) is None, "too little to tell"


def test_what_is_not_a_whole_good_reading_says_nothing() -> None:
    assert seen(reading(0, 9_000), reading(LASTS_MS, 9_000)) is None
    assert seen(reading(0, 9_000, 0, 0, quality="suspect"), reading(LASTS_MS, 9_000, 0, 0, quality="suspect")) is None
    torn = {**reading(LASTS_MS, 9_000, 0, 0), "current_l2_ma": Value(0, LASTS_MS - 5_000)}
    assert seen(reading(0, 9_000, 0, 0), torn) is None


def test_nothing_is_believed_of_the_next_car() -> None:
    conductors = Conductors()
    for each in (reading(0, 9_000, 0, 0), reading(LASTS_MS, 9_000, 0, 0)):
        conductors.seen(each)
    conductors.forget()
    assert conductors.count is None
    conductors.seen(reading(LASTS_MS + 1_000, 9_000, 0, 0))
    assert conductors.count is None
