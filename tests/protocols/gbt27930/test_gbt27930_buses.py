"""Sessions of GB/T 27930 over buses of python-can in real time, and with the simulated outlet and battery."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.netns import Namespace, check
from tests.protocols.gbt27930 import gbt_process

from pilotwire.core.ev_link import Parted
from pilotwire.core.evse_link import AuthorizationAsked, Authorize, Ended, Needs, Offer
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.gbt27930 import Cc1, Cc2, EvConfig, EvseConfig, GbtEv, GbtEvse, Supply
from pilotwire.station.outlet import Outlet
from pilotwire.transport.can import open_bus
from pilotwire.transport.can_sim import SimCanBus
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE
from pilotwire.vehicle.inside import Inside


async def test_a_session_on_a_virtual_bus_in_real_time():
    one, other = open_bus("virtual:gbt-session"), open_bus("virtual:gbt-session")
    told: list[Any] = []
    try:
        async with asyncio.timeout(90):
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(gbt_process.evse(one, told.append))
                tasks.create_task(gbt_process.ev(other, told.append))
    finally:
        one.close()
        other.close()
    ended = next(event for event in told if isinstance(event, Ended))
    parted = next(event for event in told if isinstance(event, Parted))
    assert ended.ok and parted.ok and parted.reason == "enough"
    assert one.counts.dropped == other.counts.dropped == one.counts.send_errors == 0


@pytest.mark.parametrize("edition", ["2011", "2015"])
def test_a_session_of_two_processes_by_multicast(edition: str):
    check()
    space = Namespace("gbt")
    try:
        space.run("ip", "link", "set", "lo", "up", "multicast", "on")
        space.run("ip", "route", "add", "239.0.0.0/8", "dev", "lo")
        script, bus = "tests/protocols/gbt27930/gbt_process.py", "udp_multicast:239.74.163.30"
        with space.python(script, "ev", bus, edition) as vehicle:
            vehicle.until(lambda said: said["event"] == "open")
            with space.python(script, "evse", bus, edition) as charger:
                connected = charger.until(lambda said: said["event"] == "Connected")
                identified = charger.until(lambda said: said["event"] == "Identified")
                ended = charger.until(lambda said: said["event"] == "Ended")
                parted = vehicle.until(lambda said: said["event"] == "Parted")
    finally:
        space.close()
    assert connected["protocol"] == f"gbt27930-{edition}"
    assert identified["vin"] == gbt_process.VIN
    assert ended["ok"] and ended["by"] == "ev"
    assert parted["ok"] and parted["reason"] == "enough"


@pytest.mark.parametrize("edition", ["2011", "2015"])
def test_a_battery_is_charged_full_at_a_simulated_outlet(edition: Any):
    time = SimScheduler()
    bus = SimCanBus(time, 250_000)
    evse_port, ev_port = bus.port(), bus.port()
    ended: list[Ended] = []
    socs: list[int] = []

    def from_charger(data: Any) -> None:
        if isinstance(data, Supply):
            time.call_later(1, lambda: ev.received(data))
        else:
            evse_port.send(data)

    def heard(event: Any) -> None:
        outlet.event(event)
        if isinstance(event, AuthorizationAsked):
            evse.command(Authorize(accepted=True))
        elif isinstance(event, Needs) and event.soc is not None:
            socs.append(event.soc)
        elif isinstance(event, Ended):
            ended.append(event)

    evse = Runner(
        GbtEvse(EvseConfig(edition=edition, max_mv=750_000, max_ma=125_000)), time, send=from_charger, event=heard
    )
    outlet = Outlet(time, evse.command)
    car = Vehicle(CATALOGUE["compact one-phase 7 kW"], 780, target_soc=800)
    ev = Runner(GbtEv(EvConfig(vin=gbt_process.VIN)), time, send=ev_port.send, event=lambda event: inside.event(event))
    inside = Inside(car, time, ev.command, dc=True)
    evse_port.subscribe(evse.received)
    ev_port.subscribe(ev.received)
    outlet.offering(Offer(max_mv=750_000, max_ma=125_000))
    inside.begin()
    evse.received(Cc1(4_000))
    ev.received(Cc2(6_000))
    ev.start()
    for _ in range(600):
        time.run_for(1_000)
        if ended and inside.over:
            break
    outlet.stop()
    inside.stop()
    assert ended and ended[0].ok, ended
    assert inside.over is not None and inside.over.ok
    assert car.soc >= 800 and socs[-1] == 800 and socs == sorted(socs)
    assert not outlet.closed and not outlet.locked
    taken = car.taken_uj // 3_600_000_000
    assert abs(outlet.register_wh - taken) <= taken // 50 + 5
