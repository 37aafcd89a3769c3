"""Energy is neither made nor lost: what passes the inlet is charge plus loss, to the microjoule."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotwire.core.errors import LocalError
from pilotwire.domain.interpolation import interpolate
from pilotwire.vehicle.battery import MICROJOULES_PER_WH, Battery
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

kinds = st.sampled_from(list(CATALOGUE.values()))


@given(kinds, st.integers(0, 1000), st.lists(st.tuples(st.integers(0, 10**12), st.booleans()), max_size=30))
def test_inlet_energy_is_gain_plus_loss(kind, soc, portions):
    car = Vehicle(kind, soc)
    before = car.battery.stored_uj
    for energy, dc in portions:
        car.take(energy, dc=dc)
    total = sum(energy for energy, _ in portions)
    assert car.taken_uj == total == (car.battery.stored_uj - before) + car.lost_uj
    assert 0 <= car.battery.stored_uj <= car.battery.capacity_uj
    assert car.lost_uj >= 0


@given(kinds, st.integers(0, 950), st.sampled_from([6_000, 10_000, 16_000, 32_000, 63_000]), st.integers(1, 3))
def test_ac_charging_reaches_its_target_and_stops(kind, soc, offer, phases):
    car = Vehicle(kind, soc)
    steps = 0
    while currents := car.draw_ac(offer, phases):
        assert len(currents) <= min(phases, kind.ac_phases)
        assert all(6_000 <= current <= min(offer, kind.ac_max_ma) for current in currents)
        power = sum(currents) * 230
        wait = car.until_change(power, dc=False)
        assert wait is not None
        car.take(power * wait, dc=False)
        steps += 1
        assert steps < 200
    assert car.soc == 1000
    # The efficiency holds over the whole session but for what the last millisecond brought too much.
    wanted = car.gained_uj * 1000 // kind.ac_efficiency
    assert abs(car.taken_uj - wanted) <= max(1, 63_000 * 3 * 230)


@given(st.sampled_from([kind for kind in CATALOGUE.values() if kind.dc_curve]), st.integers(0, 990))
def test_dc_draw_stays_below_every_limit(kind, soc):
    car = Vehicle(kind, soc)
    draw = car.draw_dc(150_000, 500_000, 1_000_000)
    assert draw is not None
    assert draw.mv * draw.ma <= 150_000 * 10**6
    assert draw.ma <= min(500_000, kind.dc_max_ma)
    assert draw.mv * draw.ma <= interpolate(kind.dc_curve, car.soc // 10 * 10) * 10**6


def test_dc_tapers_towards_the_end():
    kind = CATALOGUE["sedan three-phase 11 kW 800 V"]
    powers = []
    for soc in (500, 650, 800, 900, 990):
        draw = Vehicle(kind, soc).draw_dc(350_000, 500_000, 1_000_000)
        assert draw is not None
        powers.append(draw.mv * draw.ma // 10**9)
    assert powers == sorted(powers, reverse=True) and powers[0] > 200 and powers[-1] < 25


def test_a_400_volt_outlet_cannot_serve_an_800_volt_pack():
    assert Vehicle(CATALOGUE["sedan three-phase 11 kW 800 V"], 500).draw_dc(50_000, 125_000, 500_000) is None


def test_below_six_amperes_nothing_flows():
    car = Vehicle(CATALOGUE["compact three-phase 11 kW"], 300)
    assert car.draw_ac(5_999, 3) == ()
    assert car.draw_ac(6_000, 3) == (6_000, 6_000, 6_000)
    car.paused = True
    assert car.draw_ac(16_000, 3) == () and car.until_change(1000, dc=False) is None


def test_an_energy_wish_ends_the_draw_exactly():
    car = Vehicle(CATALOGUE["compact three-phase 11 kW"], 300, max_taken_wh=5)
    while currents := car.draw_ac(16_000, 3):
        power = sum(currents) * 230
        wait = car.until_change(power, dc=False)
        assert wait is not None
        car.take(power * wait, dc=False)
    assert 0 <= car.taken_uj - 5 * MICROJOULES_PER_WH < 16_000 * 3 * 230


def test_impossible_batteries_are_refused():
    for capacity, soc in ((0, 500), (1000, 1001), (1000, -1)):
        with pytest.raises(LocalError):
            Battery(capacity, soc)


def test_the_catalogue_is_plausible():
    assert len(CATALOGUE) >= 12
    for kind in CATALOGUE.values():
        assert 6_000 <= kind.ac_max_ma <= 32_000 and kind.ac_phases in (1, 3)
        assert 850 <= kind.ac_efficiency < 1000 and 900 <= kind.dc_efficiency < 1000
        assert kind.pack_empty_mv < kind.pack_full_mv
        assert [soc for soc, _ in kind.dc_curve] == sorted({soc for soc, _ in kind.dc_curve})
        assert bool(kind.dc_curve) == bool(kind.dc_max_ma)
