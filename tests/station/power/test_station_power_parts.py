"""Circuit, monitors, meter and supplies: the simulators' physics by themselves."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.station.power.cabinet_world import World

from pilotwire.core.evse_link import Fault, Measured, Offer
from pilotwire.station.power.circuit import Battery, Source, solve
from pilotwire.station.power.interfaces import Capabilities, MeterReading, SupplyError, VoltageCurrent
from pilotwire.station.power.limits import (
    altitude_factor,
    cable_check_voltage,
    current_tolerance,
    emergency_voltage,
    voltage_tolerance,
)
from pilotwire.station.power.messages import Insulation, OutputOff, TripAll
from pilotwire.station.power.monitors import SimDcMeter, SimIsolationMonitor
from pilotwire.station.power.stage import CabinetConfig
from pilotwire.station.power.supply import OutputSupply, SimPowerSupply, for_link

sources = st.lists(
    st.builds(Source, st.sampled_from([0, 300_000, 400_000, 400_500, 900_000]), st.integers(0, 130_000)), max_size=8
)


@settings(max_examples=120, derandomize=True, deadline=None)
@given(sources, st.integers(200_000, 900_000), st.integers(10, 500))
def test_a_battery_takes_what_the_sources_give(modules: list[Source], emf: int, milliohm: int):
    mv, flows = solve(modules, Battery(emf, milliohm), 0, 10)
    total = sum(flows)
    assert all(0 <= ma <= module.ma for ma, module in zip(flows, modules, strict=True))
    assert abs(mv - emf - milliohm * total // 1000) <= 1, "Ohm"
    for ma, module in zip(flows, modules, strict=True):
        if ma:
            assert module.mv >= mv - 1, "no one gives above its own voltage"
        elif module.ma:
            assert module.mv <= mv + 500, "who could give more holds the voltage"


def test_without_a_battery_the_voltage_follows_and_dies_away():
    assert solve([Source(400_000, 5_000)], None, 0, 10) == (400_000, [0])
    mv = 400_000
    for _ in range(60):
        mv, _ = solve([Source(0, 0)], None, mv, 10)
    assert mv < 60_000


def test_figures_of_the_standard():
    assert [current_tolerance(ma) for ma in (0, 49_999, 50_000, 400_000)] == [2_500, 2_500, 2_500, 20_000]
    assert voltage_tolerance() == 20_000
    thresholds = [emergency_voltage(mv) for mv in (400_000, 500_000, 500_001, 750_000, 850_000, 1_000_000, 1_250_000)]
    assert thresholds == [550_000, 550_000, 825_000, 825_000, 935_000, 1_100_000, 1_375_000]
    assert cable_check_voltage(400_000, 1_000_000) == 450_000
    assert cable_check_voltage(480_000, 1_000_000) == 500_000
    assert cable_check_voltage(800_000, 920_000) == 880_000
    assert cable_check_voltage(900_000, 920_000) == 920_000
    assert [altitude_factor(m) for m in (0, 2_000, 3_000, 5_000)] == [1000, 1000, 900, 700]


def test_an_isolation_monitor_takes_its_time():
    monitor = SimIsolationMonitor(capacitance_uf=4)
    told: list[Any] = []
    monitor.told = told.append
    monitor.start_self_test(450_000)
    monitor.see(450_000, 0)
    monitor.see(450_000, 7_990)
    assert not told
    monitor.see(450_000, 8_000)
    assert told == [True]
    monitor.start()
    monitor.see(450_000, 10_000)
    monitor.see(450_000, 14_990)
    assert told == [True], "a long cable is slow"
    monitor.resistance = 60_000
    monitor.see(450_000, 15_000)
    assert told == [True, 60_000]
    monitor.start_self_test(450_000)
    for now in (16_000, 24_000):
        monitor.see(200_000, now)
    assert False in told, "it does not see the voltage that it was promised"
    monitor.stop()
    count = len(told)
    monitor.see(450_000, 60_000)
    assert len(told) == count


def test_a_meter_counts():
    meter = SimDcMeter("m")
    told: list[MeterReading] = []
    meter.told = told.append
    for now in range(0, 3_600_001, 1_000):
        meter.see(400_000, 50_000, now)
    assert meter.read() == MeterReading(400_000, 50_000, 20_000_000, 20_000)
    assert len(told) == 3_601


def test_a_simulated_supply_precharges_and_charges():
    supply = SimPowerSupply()
    told: list[Any] = []
    supply.told = told.append
    for now in range(10, 100, 10):
        supply.step(now)
    supply.set_export(400_000, 2_000)
    supply.set_mode("Export", "PreCharge")
    reached = None
    for now in range(100, 3_000, 10):
        supply.step(now)
        if supply.mv == 400_000 and reached is None:
            reached = now
    assert reached is not None and 1_000 < reached < 1_500, "a start and a ramp"
    supply.battery = Battery(390_000, 50)
    supply.set_export(420_000, 60_000)
    for now in range(3_000, 6_000, 10):
        supply.step(now)
    assert supply.ma == 60_000 and VoltageCurrent(393_000, 60_000) in told
    supply.set_mode("Off")
    assert supply.mode == "Export"
    supply.step(6_010)
    assert supply.mode == "Off" and supply.ma == 0, "off is told when nothing flows"
    assert next(t for t in told if isinstance(t, Capabilities)).max_export_mv == 1_000_000
    supply.stage.faults.add("fan fault")
    supply.step(6_020)
    assert SupplyError("", "fan fault") in told


@pytest.mark.parametrize("fault", [False, True])
def test_an_output_of_a_cabinet_is_a_power_supply(fault: bool):
    world = World(("infy", "huawei"), 1, config=CabinetConfig(rise_ma_s=200_000))
    supply = OutputSupply(world.tell, 1, limit_mv=450_000, want_ma=150_000)
    told: list[Any] = []
    supply.told = told.append

    heard = 0

    def run(ms: int) -> None:
        nonlocal heard
        world.run(ms)
        for event in world.said[heard:]:
            supply.hear(event)
        heard = len(world.said)

    run(3_000)
    world.plant.outlets[1].battery = Battery(380_000)
    supply.set_export(400_000, 80_000)
    assert not world.ma(1)
    supply.set_mode("Export", "Charging")
    run(4_000)
    assert world.ma(1) == 80_000 and supply.mode == "Export"
    assert [t for t in told if isinstance(t, Capabilities)][-1].max_export_ma == 175_000
    assert VoltageCurrent(384_000, 80_000) in told
    supply.set_export(400_000, 30_000)
    run(1_000)
    assert world.ma(1) == 30_000
    if fault:
        world.tell(Insulation(1, 1_000))
        run(2_000)
        assert supply.mode == "Fault"
        assert [t for t in told if isinstance(t, SupplyError)] == [SupplyError("ResistanceFault", "isolation 1000 ohm")]
    else:
        supply.set_mode("Off")
        run(2_000)
        assert supply.mode == "Off" and "Off" in told
    assert world.ma(1) == 0


def test_what_a_link_is_told():
    world = World(("infy",), 2)
    world.run(3_000)
    world.charge(1, 400_000, 60_000)
    said = [*world.run(6_000)]
    world.tell(Insulation(1, 1_000))
    said += [*world.said[-3:], *world.run(2_000)]
    told = [event for event in map(for_link, said) if event is not None]
    assert Offer(max_mv=1_000_000, max_ma=75_000, max_mw=30_000_000) in told
    assert any(isinstance(event, Measured) and event.mw == event.mv * event.ma // 1000 > 0 for event in told)
    assert Fault(code="ResistanceFault", by="evse", text="isolation 1000 ohm", rule="power cabinet") in told
    assert for_link(OutputOff(1, "x")) is None and for_link(TripAll("x")) is None
