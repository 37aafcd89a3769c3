"""Energy by registers and by power, and the worst where there is neither."""

from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.domain.energy import Moment
from pilotwire.domain.steering import Meter
from pilotwire.domain.steering.registers import UJ_PER_WH, advance, between, resumed
from pilotwire.domain.steering.state import Tracker

KW = 1_000_000
UTC = 1_800_000_000_000


def step(old: Tracker, second: int, kw: int | None, wh: int | None = None, lost_kw: int = 50) -> Tracker:
    meter = None if kw is None else Meter(kw * KW, second * 1_000, energy_wh=wh)
    now = Moment(second * 1_000, UTC + second * 1_000)
    return advance(old, meter, now, stale_ms=11_000, lost_mw=lost_kw * KW, worst_mw=100 * KW)


def test_power_is_integrated_and_export_is_not() -> None:
    found = step(Tracker(), 0, 36)
    found = step(found, 10, 36)
    assert found.total_uj == found.known_uj == 100 * UJ_PER_WH
    found = step(step(found, 20, -36), 30, -36)
    assert found.total_uj == 150 * UJ_PER_WH  # half of the step down, then nothing


def test_the_first_step_tells_where_the_register_stands_and_moves_nothing() -> None:
    found = step(Tracker(), 0, 36, 1_000)
    found = step(found, 5, 36, 1_000)
    found = step(found, 10, 36, 1_010)  # it stood just below 1010
    assert found.total_uj == 100 * UJ_PER_WH and found.anchored


def test_later_steps_set_the_integral_right() -> None:
    found = step(step(Tracker(), 0, 36, 1_000), 10, 36, 1_100)
    found = step(found, 20, 36, 1_190)  # the power is read 10 % too high
    assert found.total_uj - 100 * UJ_PER_WH == 90 * UJ_PER_WH == found.known_uj - 100 * UJ_PER_WH


def test_without_a_meter_the_worst_is_assumed_until_the_register_says_what_it_was() -> None:
    found = step(step(Tracker(), 0, 36, 1_000), 10, 36, 1_100)
    before = found
    for second in (20, 30, 40):
        found = step(found, second, None, lost_kw=72)
    assert found.total_uj - before.total_uj == 600 * UJ_PER_WH
    assert found.known_uj == before.known_uj
    found = step(found, 41, 36, 1_400)
    assert found.total_uj - before.total_uj == 300 * UJ_PER_WH == found.known_uj - before.known_uj


def test_a_register_that_has_not_moved_bounds_what_was_assumed() -> None:
    found = step(step(step(Tracker(), 0, 36, 1_000), 10, 36, 1_100), 20, 36, 1_200)
    before = found
    found = step(step(found, 60, None), 61, 0, 1_200)
    assert found.total_uj - before.total_uj <= 100 * UJ_PER_WH


def test_a_register_that_goes_back_or_jumps_is_begun_anew() -> None:
    steady = step(step(Tracker(), 0, 36, 1_000), 10, 36, 1_100)
    for strange in (5, 9_000_000):
        found = step(steady, 20, 36, strange)
        assert found.total_uj - steady.total_uj == 100 * UJ_PER_WH
        assert not found.anchored
        after = step(step(found, 30, 36, strange + 100), 40, 36, strange + 200)
        assert after.total_uj - found.total_uj == 200 * UJ_PER_WH


def test_a_restart_assumes_the_worst_until_the_register_speaks() -> None:
    steady = step(step(Tracker(), 1_000, 36, 1_000), 1_010, 36, 1_100)
    now = Moment(7_000, UTC + 1_110_000)  # the clock of ticks began anew
    found = resumed(steady, now, 100 * KW)
    assert found.total_uj - steady.total_uj == 100 * KW * 100_000
    meter = Meter(36 * KW, 8_000, energy_wh=1_600)
    found = advance(found, meter, Moment(8_000, UTC + 1_111_000), stale_ms=11_000, lost_mw=0, worst_mw=100 * KW)
    assert found.total_uj - steady.total_uj == 500 * UJ_PER_WH


def test_stale_and_future_values_are_none() -> None:
    old = step(Tracker(), 0, 36)
    for at in (-20_000, 5_000):
        meter = Meter(36 * KW, at)
        found = advance(old, meter, Moment(1_000, UTC + 1_000), stale_ms=11_000, lost_mw=72 * KW, worst_mw=100 * KW)
        assert found.power_mw is None and found.total_uj == 72 * KW * 1_000 and found.known_uj == 0


def test_an_instant_in_between_is_on_the_straight_line() -> None:
    a = step(Tracker(), 0, 36)
    b = step(a, 10, 36)
    assert between(a, b, UTC + 2_500) == (25 * UJ_PER_WH, 25 * UJ_PER_WH)
    assert between(a, b, UTC - 1)[0] == 0 and between(a, b, UTC + 99_000)[0] == 100 * UJ_PER_WH


@settings(max_examples=60, derandomize=True, deadline=None)
@given(st.lists(st.integers(0, 90), min_size=20, max_size=80), st.sampled_from([1, 10, 100]))
def test_any_power_and_any_register_count_the_truth(powers: list[int], grain: int) -> None:
    """Constant within each second; within two steps of the register and a second's trapezes of the truth."""
    true, found = 123 * UJ_PER_WH, Tracker()
    start = true
    for second, kw in enumerate(powers):
        found = step(found, second, kw, true // UJ_PER_WH // grain * grain)
        true += kw * KW * 1_000
    true -= powers[-1] * KW * 1_000
    assert abs(found.total_uj - (true - start)) <= (2 * grain * UJ_PER_WH + 2 * 90 * KW * 1_000 + UJ_PER_WH)
