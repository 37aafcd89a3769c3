"""Sessions of CHAdeMO over buses of python-can in real time, and with the simulated outlet and battery."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.netns import Namespace, check
from tests.protocols.chademo import chademo_process

from pilotwire.core.ev_link import Parted
from pilotwire.core.evse_link import AuthorizationAsked, Authorize, Ended, Needs, Offer
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.chademo import ChademoEv, ChademoEvConfig, ChademoEvse, ChademoEvseConfig, Pin
from pilotwire.station.outlet import Flow, Outlet
from pilotwire.transport.can import open_bus
from pilotwire.transport.can_sim import SimCanBus
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE
from pilotwire.vehicle.inside import Inside


async def test_a_session_on_a_virtual_bus_in_real_time():
    one, other = open_bus("virtual:chademo-session"), open_bus("virtual:chademo-session")
    told: list[Any] = []
    try:
        async with asyncio.timeout(90), asyncio.TaskGroup() as tasks:
            tasks.create_task(chademo_process.evse(one, told.append))
            await asyncio.sleep(0)
            tasks.create_task(chademo_process.ev(other, told.append))
    finally:
        one.close()
        other.close()
    ended = next(event for event in told if isinstance(event, Ended))
    parted = next(event for event in told if isinstance(event, Parted))
    assert ended.ok and parted.ok and parted.reason == "enough (102.5.0)"
    assert one.counts.dropped == other.counts.dropped == one.counts.send_errors == 0


@pytest.mark.parametrize("kind", [("1",), ("2",), ("2", "discharge")], ids="-".join)
def test_a_session_of_two_processes_by_multicast(kind: tuple[str, ...]):
    check()
    space = Namespace("chademo")
    try:
        space.run("ip", "link", "set", "lo", "up", "multicast", "on")
        space.run("ip", "route", "add", "239.0.0.0/8", "dev", "lo")
        script, bus = "tests/protocols/chademo/chademo_process.py", "udp_multicast:239.74.163.31"
        with space.python(script, "evse", bus, *kind) as charger:
            charger.until(lambda said: said["event"] == "open")
            with space.python(script, "ev", bus, *kind) as vehicle:
                limits = charger.until(lambda said: said["event"] == "Limits")
                ended = charger.until(lambda said: said["event"] == "Ended")
                parted = vehicle.until(lambda said: said["event"] == "Parted")
    finally:
        space.close()
    assert limits["max_mv"] == 450_000
    assert ended["ok"] and ended["by"] == "ev"
    assert parted["ok"] and parted["reason"] == "enough (102.5.0)"
    flowed = [said["ma"] for said in vehicle.said if said["event"] == "Flowing"]
    if "discharge" in kind:  # it is turned round on the way up, at the request
        assert max(flowed) > 0 and min(flowed) <= -5_000
    else:
        assert max(flowed) >= 10_000 and min(flowed) >= 0


@pytest.mark.parametrize("version", [1, 2])
def test_a_battery_is_charged_full_at_a_simulated_outlet(version: int):
    time = SimScheduler()
    bus = SimCanBus(time, 500_000)
    evse_port, ev_port = bus.port(), bus.port()
    ended: list[Ended] = []
    socs: list[int] = []

    def carry(port: Any, other: Any) -> Any:
        def send(data: Any) -> None:
            if isinstance(data, Pin):
                time.call_later(1, lambda: other().received(data))
            else:
                port.send(data)

        return send

    def heard(event: Any) -> None:
        outlet.event(event)
        if isinstance(event, AuthorizationAsked):
            evse.command(Authorize(accepted=True))
        elif isinstance(event, Needs) and event.soc is not None:
            socs.append(event.soc)
        elif isinstance(event, Ended):
            ended.append(event)

    def flow(mv: int, ma: int) -> Flow:
        """With its contactors closed the battery's voltage is at the outlet."""
        at = car.pack_mv if inside.closed else mv
        return Flow(at, ma, at * ma // 1000)

    car = Vehicle(CATALOGUE["compact one-phase 7 kW"], 780, target_soc=800)
    evse = Runner(ChademoEvse(ChademoEvseConfig(version=version)), time, send=carry(evse_port, lambda: ev), event=heard)
    ev = Runner(
        ChademoEv(ChademoEvConfig(version=version)), time, send=carry(ev_port, lambda: evse),
        event=lambda event: inside.event(event),
    )  # fmt: skip
    inside = Inside(car, time, ev.command, dc=True)
    outlet = Outlet(time, evse.command, flow=flow)
    evse_port.subscribe(evse.received)
    ev_port.subscribe(ev.received)
    outlet.offering(Offer(max_mv=500_000, max_ma=125_000))
    inside.begin()
    ev.start()
    for _ in range(600):
        time.run_for(1_000)
        if ended and inside.over:
            break
    outlet.stop()
    inside.stop()
    assert ended and ended[0].ok, ended
    assert inside.over is not None and inside.over.ok
    assert car.soc >= 800 and socs[-1] == 800 and sorted(socs) == socs
    assert not outlet.closed and not outlet.locked
    taken = car.taken_uj // 3_600_000_000
    assert abs(outlet.register_wh - taken) <= taken // 20 + 10
