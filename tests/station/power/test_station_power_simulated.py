"""A simulated cabinet below the outlets of a simulated station: what a vehicle link asks for is what modules give."""

from __future__ import annotations

from typing import Any

from pilotwire.core.evse_link import ContactorAsked, Ended, Measured, Offer, Requested
from pilotwire.core.time import SimScheduler
from pilotwire.station.outlet import Hardware, Outlet
from pilotwire.station.power.circuit import Battery
from pilotwire.station.power.messages import Insulation, OutputFault
from pilotwire.station.power.simulated import SimCabinet
from pilotwire.station.power.stage import CabinetConfig


def station() -> tuple[SimScheduler, SimCabinet, dict[int, Outlet], dict[int, list[Any]], list[Any]]:
    sim = SimScheduler()
    cabinet = SimCabinet(sim, {"infy": 2, "huawei": 2}, 2, config=CabinetConfig(rise_ma_s=200_000, hold_ms=2_000))
    heard: list[Any] = []
    cabinet.told = heard.append
    outlets: dict[int, Outlet] = {}
    told: dict[int, list[Any]] = {1: [], 2: []}
    sim.run_for(4_000)
    for number in (1, 2):
        outlets[number] = Outlet(
            sim, told[number].append, Hardware(amperes_ramp=100_000, tick_ms=50), flow=cabinet.flow(number)
        )
    return sim, cabinet, outlets, told, heard


def charge(sim: SimScheduler, cabinet: SimCabinet, outlet: Outlet, number: int, ma: int, want_ma: int) -> None:
    cabinet.serve(number, outlet, limit_mv=450_000, want_ma=want_ma, battery=lambda: Battery(380_000))
    sim.run_for(500)
    outlet.event(Requested(mv=380_000, ma=0, phase="precharge"))
    sim.run_for(4_000)
    outlet.event(ContactorAsked(closed=True))
    sim.run_for(200)
    outlet.event(Requested(mv=400_000, ma=ma))


def test_two_vehicles_share_a_cabinet():
    sim, cabinet, outlets, told, heard = station()
    charge(sim, cabinet, outlets[1], 1, 250_000, 300_000)
    assert any(isinstance(e, Measured) and abs(e.mv - 380_000) < 2_000 and e.ma == 0 for e in told[1]), "precharge"
    sim.run_for(8_000)
    assert abs(cabinet.plant.outlets[1].ma - 250_000) <= 2_500
    assert isinstance(told[1][-1], Measured) and abs(told[1][-1].ma - 250_000) <= 2_500
    charge(sim, cabinet, outlets[2], 2, 100_000, 300_000)
    sim.run_for(15_000)
    offers = [event for event in told[1] if isinstance(event, Offer)]
    assert offers[-1].max_ma < 250_000, "the first hears that it is to take less"
    assert abs(cabinet.plant.outlets[2].ma - 100_000) <= 2_500
    assert cabinet.plant.outlets[1].ma >= 100_000
    outlets[1].event(Ended(reason="done", by="ev"))
    cabinet.leave(1)
    sim.run_for(3_000)
    assert cabinet.plant.outlets[1].ma == 0
    assert not [event for event in heard if isinstance(event, OutputFault)]
    assert not cabinet.plant.under_load
    cabinet.stop()
    begun = int(sim.now())
    while sim.step():
        assert int(sim.now()) - begun < 60_000, "someone goes on for ever"
        for outlet in outlets.values():
            outlet.stop()


def test_a_fault_of_the_cabinet_reaches_the_link():
    sim, cabinet, outlets, told, _ = station()
    charge(sim, cabinet, outlets[1], 1, 50_000, 100_000)
    sim.run_for(4_000)
    assert abs(cabinet.plant.outlets[1].ma - 50_000) <= 2_500
    cabinet._tell(Insulation(1, 20_000))
    sim.run_for(3_000)
    assert cabinet.plant.outlets[1].ma == 0
    assert [event for event in told[1] if isinstance(event, Offer)][-1].max_ma == 0
