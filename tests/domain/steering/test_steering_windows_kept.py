"""Demand windows over long times with a side load that jumps within its reserve: what counts is the true energy."""

import pytest
from msgspec import structs
from tests.domain.steering.steering_year import KW, WINDOW, Year

JANUARY = 1_767_225_600_000
MARCH = 1_774_569_600_000  # 2026-03-27T00:00Z: the clock goes forward two days later
OCTOBER = 1_792_713_600_000  # 2026-10-23T00:00Z: it goes back


@pytest.mark.parametrize(
    ("start", "step_s", "days"), [(JANUARY, 30, 8), (MARCH, 60, 5), (OCTOBER, 60, 5), (JANUARY, 1, 1)]
)
def test_windows_are_kept_and_used(start: int, step_s: int, days: int) -> None:
    year = Year(seed=start // 1_000 + step_s, step_s=step_s, start_ms=start)
    year.run(days)
    windows, over, worst = year.overshoots()
    assert windows >= days * 95 - 2
    assert over == 0 and worst <= 10
    assert year.mean_permille() >= 970
    assert year.changes <= windows * 20


@pytest.mark.parametrize("minutes", [30, 60])
def test_longer_windows_are_kept(minutes: int) -> None:
    contract = structs.replace(WINDOW, minutes=minutes)
    year = Year(seed=minutes, step_s=20, start_ms=JANUARY, contract=contract)
    year.run(3)
    _, over, _ = year.overshoots()
    assert over == 0 and year.mean_permille() >= 980


def test_a_coarse_register_is_enough() -> None:
    year = Year(seed=5, step_s=2, start_ms=JANUARY, register_wh=100)
    year.run(1)
    _, over, _ = year.overshoots()
    assert over == 0 and year.mean_permille() >= 970


def test_every_window_names_who_took_the_energy() -> None:
    year = Year(seed=7, step_s=10, start_ms=JANUARY)
    year.run(1)
    for each in year.closed[1:]:
        assert set(each.causes) <= {"cars", "side"}
        assert abs(sum(each.causes.values()) - each.peak_mw) <= KW
