"""What is left for the rest of a window."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.domain.steering.budget import Budget, budget

KW = 1_000_000
QUARTER = 900_000


def test_the_rest_of_the_energy_over_the_rest_of_the_time() -> None:
    assert budget(target_mw=60 * KW, lasts_ms=QUARTER, left_ms=QUARTER, used_uj=0) == Budget(60 * KW, False)
    half = budget(target_mw=60 * KW, lasts_ms=QUARTER, left_ms=QUARTER // 2, used_uj=40 * KW * QUARTER // 2)
    assert half == Budget(80 * KW, False)


def test_the_reserve_and_a_forecast_that_rises_are_kept_free() -> None:
    found = budget(target_mw=60 * KW, lasts_ms=QUARTER, left_ms=QUARTER, used_uj=0, reserve_uj=90 * KW * 10_000)
    assert found.limit_mw == 59 * KW
    found = budget(target_mw=60 * KW, lasts_ms=QUARTER, left_ms=QUARTER, used_uj=0, rising_mw=5 * KW)
    assert found.limit_mw == 55 * KW
    found = budget(target_mw=60 * KW, lasts_ms=QUARTER, left_ms=QUARTER, used_uj=0, rising_mw=-5 * KW)
    assert found.limit_mw == 60 * KW


def test_the_last_minutes_allow_no_burst_and_the_last_seconds_change_nothing() -> None:
    assert budget(target_mw=60 * KW, lasts_ms=QUARTER, left_ms=60_000, used_uj=0).limit_mw == 90 * KW
    assert budget(target_mw=60 * KW, lasts_ms=QUARTER, left_ms=9_000, used_uj=0, last_mw=42) == Budget(42, True)
    assert not budget(target_mw=60 * KW, lasts_ms=QUARTER, left_ms=9_000, used_uj=0).held


def test_what_is_nearly_right_stays() -> None:
    near = budget(target_mw=60 * KW, lasts_ms=QUARTER, left_ms=QUARTER, used_uj=0, last_mw=60 * KW + 500_000)
    assert near.limit_mw == 60 * KW + 500_000
    far = budget(target_mw=60 * KW, lasts_ms=QUARTER, left_ms=QUARTER, used_uj=0, last_mw=60 * KW + 700_000)
    assert far.limit_mw == 60 * KW


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.integers(0, 500 * KW), st.integers(0, QUARTER), st.integers(0, 10**15), st.integers(0, 10**12))
def test_never_negative_never_above_the_burst(target: int, left: int, used: int, reserve: int) -> None:
    found = budget(target_mw=target, lasts_ms=QUARTER, left_ms=left, used_uj=used, reserve_uj=reserve)
    assert 0 <= found.limit_mw <= target * 3 // 2
    # Taking it to the end stays within the target, unless that is lost already.
    if used + reserve < target * QUARTER and left >= 10_000:
        assert used + found.limit_mw * left <= target * QUARTER
