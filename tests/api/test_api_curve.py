"""The power curve from whatever a station measures."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pilotwire.api.curve import derived, measured, power_curve, thinned
from pilotwire.domain.records import Sample


def power(time: int, watts: int, phase: str = "", location: str = "") -> Sample:
    return Sample(1, 1, time, "Power.Active.Import", watts * 1000, "W", phase=phase, location=location)


def register(time: int, wh: int, phase: str = "") -> Sample:
    return Sample(1, 1, time, "Energy.Active.Import.Register", wh * 1000, "Wh", phase=phase)


def test_the_total_is_taken_before_the_phases() -> None:
    samples = [
        power(0, 11_000),
        power(0, 3_600, "L1"),
        power(1, 3_600, "L1"),
        power(1, 3_700, "L2"),
        power(1, 3_500, "L3"),
    ]
    assert measured(samples) == [(0, 11_000), (1, 10_800)]


def test_what_the_grid_side_or_the_car_says_is_not_the_outlet() -> None:
    assert measured([power(0, 1, location="Inlet"), power(1, 2, location="EV"), power(2, 3, location="Outlet")]) == [
        (2, 3)
    ]


def test_energy_steps_become_power() -> None:
    minute = 60_000
    samples = [register(0, 0), register(minute, 100), register(3 * minute, 300), register(4 * minute, 300)]
    assert derived(samples) == [(minute, 6_000), (3 * minute, 6_000), (4 * minute, 0)]


def test_a_register_that_goes_back_gives_no_negative_power() -> None:
    assert derived([register(0, 100), register(1_000, 50), register(1_000, 60)]) == []


def test_the_source_is_told() -> None:
    assert power_curve("s", [power(0, 1)], [], 10).source == "power"
    assert power_curve("s", [], [register(0, 0), register(1_000, 1)], 10).source == "energy"
    assert power_curve("s", [], [], 10).source == "none"


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.integers(0, 10**5)), min_size=1, max_size=400, unique_by=lambda p: p[0]
    ),
    st.integers(10, 100),
)
def test_thinning_keeps_ends_extremes_and_order(points: list[tuple[int, int]], limit: int) -> None:
    curve = sorted(points)
    thin = thinned(curve, limit)
    assert len(thin) <= max(limit + 2, 4)
    assert set(thin) <= set(curve) and thin == sorted(thin)
    assert thin[0] == curve[0] and thin[-1] == curve[-1]
    assert max(p for _, p in thin) == max(p for _, p in curve)
    assert min(p for _, p in thin) == min(p for _, p in curve)
