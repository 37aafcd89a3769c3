"""DER controls: which holds, and what it makes of a power (2.1 R)."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotwire.domain.der import effects
from pilotwire.domain.der.model import Control, Curve, Droop, Grid, Limit, PowerFactor, Rating, Reactive
from pilotwire.domain.der.precedence import MOST, Began, Controls, Ended
from pilotwire.domain.interpolation import interpolate
from pilotwire.domain.v2x import Thresholds, balanced, local_frequency, residual

points = st.lists(
    st.tuples(st.integers(40_000, 60_000), st.integers(-10_000_000, 10_000_000)),
    min_size=1,
    max_size=10,
    unique_by=lambda p: p[0],
).map(sorted)
RATED = Rating(22_000_000, 10_000_000)


def control(id_="A", kind="VoltWatt", priority=1, *, default=True, start=None, end=None, setting=None):
    return Control(
        id=id_, kind=kind, default=default, priority=priority, start=start, end=end,
        setting=setting or Limit(50_000),
    )  # fmt: skip


def scheduled(id_, priority, start, end):
    return control(id_, priority=priority, default=False, start=start, end=end)


# ── curves ───────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(points, st.integers(39_000, 61_000))
def test_a_curve_stays_between_its_neighbours(curve, x):
    y = interpolate(curve, x)
    left = [p for p in curve if p[0] <= x]
    right = [p for p in curve if p[0] >= x]
    near = {left[-1][1] if left else curve[0][1], right[0][1] if right else curve[-1][1]}
    assert min(near) <= y <= max(near)


@given(points)
def test_a_curve_goes_through_its_points_and_is_flat_beyond(curve):
    assert all(interpolate(curve, x) == y for x, y in curve)
    assert interpolate(curve, curve[0][0] - 1) == curve[0][1]
    assert interpolate(curve, curve[-1][0] + 1) == curve[-1][1]


@given(points, st.integers(40_000, 60_000), st.integers(40_000, 60_000))
def test_a_rising_curve_never_falls(curve, a, b):
    rising = list(zip([x for x, _ in curve], sorted(y for _, y in curve), strict=True))
    low, high = min(a, b), max(a, b)
    assert interpolate(rising, low) <= interpolate(rising, high)


def test_the_power_of_frequency_and_signal():
    # The tables of the standard's 2.2.
    fcr = [(47_000, -10_000_000), (49_800, -10_000_000), (49_990, -500_000), (49_991, 0)]
    fcr += [(50_009, 0), (50_010, 500_000), (50_200, 10_000_000), (53_000, 10_000_000)]
    signals = [(-1_000, -2_000_000), (0, 0), (1_000, 2_000_000)]
    assert local_frequency(1_000_000, fcr, 50_000) == 1_000_000
    assert local_frequency(0, fcr, 49_895) == -5_250_000
    assert local_frequency(0, fcr, 46_000) == -10_000_000
    assert local_frequency(0, fcr, 50_000, signals, -1) == -2_000_000
    assert local_frequency(500_000, fcr, 50_010, signals, 1) == 3_000_000
    assert local_frequency(0, fcr, 50_000, signals, None) == 0


@given(
    st.integers(-20_000_000, 20_000_000),
    st.integers(-20_000_000, 20_000_000),
    st.integers(-10_000_000, 10_000_000),
    st.integers(1, 10_000_000),
    st.integers(0, 1_000_000),
)
def test_balancing_keeps_the_load_between_its_thresholds(load, setpoint, lower, apart, offset):
    wanted = Thresholds(lower + apart, lower, offset, -offset)
    after = balanced(setpoint, load + setpoint, wanted)
    assert lower - offset <= load + after <= lower + apart + offset
    assert balanced(after, load + after, wanted) == after


@pytest.mark.parametrize(
    ("setpoint", "imported", "exported", "expected"),
    [(None, 5, 0, 0), (0, 5, 0, 5), (1000, 1100, 0, 100), (-1000, 0, 900, -100), (-1000, 0, 1200, 200)],
)
def test_the_residual(setpoint, imported, exported, expected):
    assert residual(setpoint, imported, exported) == expected


# ── precedence ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_default_gives_way_to_a_better_one():
    rows = Controls()
    assert rows.add(control("A", priority=5), 0) == ()
    assert rows.add(control("B", priority=1), 0) == ("A",)
    assert rows.add(control("C", priority=3), 0) == ("C",)
    assert rows.in_force(0)["VoltWatt"].id == "B"
    assert [row.superseded for row in rows] == [True, False, True]


def test_the_same_id_takes_its_own_place():
    rows = Controls()
    rows.add(control("A", priority=5), 0)
    assert rows.add(control("A", priority=5), 0) == ()
    assert len(rows) == 1


def test_a_scheduled_control_comes_before_the_default_while_it_lasts():
    rows = Controls()
    rows.add(control("D", priority=0), 0)
    rows.add(scheduled("S", 9, 100, 200), 0)
    assert rows.in_force(99)["VoltWatt"].id == "D"
    assert rows.in_force(100)["VoltWatt"].id == "S"
    assert rows.in_force(200)["VoltWatt"].id == "D"


def test_one_that_has_not_begun_is_superseded_at_once_even_by_a_later_one():
    rows = Controls()
    rows.add(scheduled("A", 2, 100, 200), 0)
    assert rows.add(scheduled("B", 1, 500, 600), 0) == ("A",)
    assert "VoltWatt" not in rows.in_force(150)
    assert [type(each) for each in rows.sweep(150)] == []


def test_one_that_has_begun_goes_on_until_the_other_begins():
    rows = Controls()
    rows.add(scheduled("A", 2, 100, 900), 0)
    assert rows.sweep(100)[0].control.id == "A"
    assert rows.add(scheduled("B", 1, 500, 600), 200) == ()
    assert rows.in_force(499)["VoltWatt"].id == "A"
    (began,) = rows.sweep(500)
    assert isinstance(began, Began)
    assert (began.control.id, began.superseded) == ("B", ("A",))
    assert rows.in_force(550)["VoltWatt"].id == "B"
    (ended,) = rows.sweep(600)
    assert isinstance(ended, Ended)
    assert rows.in_force(650) == {}, "what was superseded does not come back"
    assert [row.id for row in rows] == ["A"]
    assert rows.sweep(900) == []
    assert len(rows) == 0


def test_a_worse_one_is_superseded_by_the_one_in_force():
    rows = Controls()
    rows.add(scheduled("A", 1, 100, 900), 0)
    rows.sweep(100)
    assert rows.add(scheduled("B", 2, 500, 600), 200) == ("B",)
    assert rows.sweep(500) == []
    assert rows.in_force(500)["VoltWatt"].id == "A"


def test_what_came_and_went_unseen_is_not_told():
    rows = Controls()
    rows.add(scheduled("A", 1, 100, 200), 0)
    assert rows.sweep(300) == []
    assert len(rows) == 0


def test_there_is_room_for_so_many_of_a_kind():
    rows = Controls(control(str(n)) for n in range(MOST))
    assert rows.add(control("more"), 0) is None
    assert rows.add(control("other", kind="FreqWatt"), 0) == ()
    assert rows.add(control("0", priority=0), 0) is not None


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 50), st.integers(1, 50), st.booleans()), max_size=20))
def test_one_of_a_kind_holds_and_it_is_never_a_superseded_one(rows):
    controls = Controls()
    for n, (priority, start, length, default) in enumerate(rows):
        now = n * 3
        if default:
            controls.add(control(f"{n}", priority=priority), now)
        else:
            controls.add(scheduled(f"{n}", priority, now + start, now + start + length), now)
        controls.sweep(now)
        force = controls.in_force(now)
        assert all(not row.superseded and row.holds(now) for row in force.values())
        alive = [row for row in controls if row.default and not row.superseded]
        assert len(alive) <= 1
        begun = [row for row in controls if row.started and not row.superseded and row.holds(now)]
        assert len(begun) <= 1
        if begun:
            assert force["VoltWatt"] == begun[0]


# ── effects ──────────────────────────────────────────────────────────────────────────────────────────────────────────

DROOP = control(kind="FreqDroop", setting=Droop(50_200, 49_800, 50, 40))
VOLT_WATT = control(setting=Curve(((106_000, 100_000), (110_000, 0)), "PctMaxW"))
FREQ_WATT = control(kind="FreqWatt", setting=Curve(((50_200, 100_000), (51_500, 0), (52_000, -50_000)), "PctMaxW"))
HALF = control(kind="LimitMaxDischarge", setting=Limit(50_000))


def shaped(wanted, *controls, grid=None, low=-10_000_000, high=22_000_000):
    return effects.shape(wanted, {row.kind: row for row in controls}, grid or Grid(), RATED, low, high)


@pytest.mark.parametrize(
    ("mhz", "wanted", "power"),
    [
        (50_000, -5_000_000, -5_000_000),
        (50_200, -5_000_000, -5_000_000),
        (50_450, -5_000_000, -4_000_000),  # 0.25 of 2.5 Hz: a tenth of 10 kW
        (52_700, -5_000_000, 5_000_000),
        (49_600, 3_000_000, 2_000_000),  # 0.2 of 2 Hz
        (47_000, 3_000_000, -7_000_000),
    ],
)
def test_droop(mhz, wanted, power):
    found = shaped(wanted, DROOP, grid=Grid(mhz))
    assert found.mw == power
    assert found.kind == ("" if power == wanted else "FreqDroop")
    if power != wanted:
        assert found.fault == ("OverFrequency" if mhz > 50_000 else "UnderFrequency")


@pytest.mark.parametrize(
    ("row", "grid", "power", "fault"),
    [
        (VOLT_WATT, Grid(volts=105_000), -8_000_000, None),
        (VOLT_WATT, Grid(volts=108_000), -5_000_000, "OverVoltage"),
        (VOLT_WATT, Grid(volts=120_000), 0, "OverVoltage"),
        (FREQ_WATT, Grid(50_850), -5_000_000, "OverFrequency"),
        (FREQ_WATT, Grid(52_000), 11_000_000, "OverFrequency"),
        (HALF, Grid(), -5_000_000, None),
    ],
)
def test_what_may_go_to_the_grid(row, grid, power, fault):
    found = shaped(-8_000_000, row, grid=grid)
    assert (found.mw, found.fault) == (power, fault)


@given(
    st.integers(-20_000_000, 30_000_000),
    st.integers(46_000, 53_000),
    st.integers(80_000, 120_000),
    st.integers(-10_000_000, 0),
    st.integers(0, 22_000_000),
    st.lists(st.sampled_from([DROOP, VOLT_WATT, FREQ_WATT, HALF]), max_size=4),
)
def test_no_control_goes_beyond_a_cap_and_half_is_half(wanted, mhz, volts, low, high, rows):
    found = shaped(wanted, *rows, grid=Grid(mhz, volts), low=low, high=high)
    assert low <= found.mw <= high
    if HALF in rows:
        assert found.mw >= -5_000_000
    if not found.kind:
        assert found.mw == max(low, min(high, wanted))


@given(st.integers(50_200, 53_000), st.integers(0, 500))
def test_the_higher_the_frequency_the_less_goes_to_the_grid(mhz, more):
    for row in (DROOP, FREQ_WATT):
        assert shaped(-8_000_000, row, grid=Grid(mhz)).mw <= shaped(-8_000_000, row, grid=Grid(mhz + more)).mw


def test_trips_have_their_time():
    high = control(kind="HFMustTrip", setting=Curve(((51_500, 20_000), (52_000, 100))))
    low = control(kind="LVMustTrip", setting=Curve(((45_000, 200), (80_000, 1_500))))
    assert effects.trips_after(high, Grid(51_500)) is None
    assert effects.trips_after(high, Grid(51_750)) == 10_050
    assert effects.trips_after(high, Grid(53_000)) == 100
    assert effects.trips_after(low, Grid(volts=80_000)) is None
    assert effects.trips_after(low, Grid(volts=40_000)) == 200
    times = [effects.trips_after(high, Grid(mhz)) for mhz in range(51_501, 52_200, 50)]
    assert all(a >= b for a, b in pairwise(times))


def test_monitored_power():
    row = control(kind="LimitMaxDischarge", setting=Limit(60_000, Curve(((1_000, 90_000), (60_000, 70_000)))))
    controls = {row.kind: row}
    assert effects.monitored(controls, 5_000_000, RATED) is None
    assert effects.monitored(controls, 6_500_000, RATED) is None
    assert effects.monitored(controls, 7_500_000, RATED) == ("LimitMaxDischarge", 60_000)
    assert effects.monitored(controls, 9_500_000, RATED) == ("LimitMaxDischarge", 1_000)


def test_reactive_power():
    fixed = control(kind="FixedPFInject", setting=PowerFactor(800, True))
    assert effects.reactive(-8_000_000, {fixed.kind: fixed}, Grid(), RATED) == (6_000_000, "FixedPFInject")
    assert effects.reactive(8_000_000, {fixed.kind: fixed}, Grid(), RATED) == (0, "")
    var = control(kind="FixedVar", setting=Reactive(-20_000, "PctMaxVar"))
    assert effects.reactive(0, {var.kind: var}, Grid(), RATED) == (2_000_000, "FixedVar")
    curve = control(kind="VoltVar", setting=Curve(((95_000, 40_000), (105_000, -40_000)), "PctMaxVar"))
    assert effects.reactive(0, {curve.kind: curve, var.kind: var}, Grid(volts=105_000), RATED) == (4_000_000, "VoltVar")
