"""One end of GB/T 27930 on a real bus: `gbt_process.py evse|ev BUS [EDITION]` says its events as JSON lines."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Any

from pilotwire.core.ev_link import Contacts, ContactsAsked, Drive, Flowing, Halt, Parted
from pilotwire.core.evse_link import AuthorizationAsked, Authorize, Ended, Offer
from pilotwire.protocols.gbt27930 import Cc1, EvConfig, EvseConfig, GbtEv, GbtEvse, Supply
from pilotwire.station.outlet import Hardware, Outlet
from pilotwire.transport.can import CanBus, open_bus
from pilotwire.transport.can_link import CanLink
from pilotwire.transport.runtime import SteadyScheduler

VIN = "LSVAA49J132047371"
QUICK = Hardware(
    contactor_ms=10, lock_ms=10, isolation_ms=50, volts_ramp=10_000_000, amperes_ramp=2_000_000, tick_ms=10
)


def say(event: Any) -> None:
    told = {name: getattr(event, name) for name in event.__struct_fields__}
    print(json.dumps({"event": type(event).__name__, **told}, default=str), flush=True)


async def evse(bus: CanBus, tell: Any = say, *, edition: Any = "auto") -> None:
    """A charger with a quick outlet, until the session is over."""
    over = asyncio.Event()
    scheduler = SteadyScheduler()

    def heard(event: Any) -> None:
        tell(event)
        outlet.event(event)
        if isinstance(event, AuthorizationAsked):
            runner.command(Authorize(accepted=True))
        elif isinstance(event, Ended):
            over.set()

    supply: list[Supply] = []
    link = CanLink(
        bus, GbtEvse(EvseConfig(charger=7, edition=edition)), event=heard, pins=supply.append, scheduler=scheduler
    )
    runner = link.runner
    outlet = Outlet(scheduler, runner.command, QUICK)
    outlet.offering(Offer(max_mv=750_000, min_mv=200_000, max_ma=250_000))
    runner.received(Cc1(4_000))
    await over.wait()
    outlet.stop()
    runner.stop()
    assert supply == [Supply(True), Supply(False)]


async def ev(bus: CanBus, tell: Any = say, *, edition: Any = "auto") -> None:
    """A vehicle that charges for a moment, and halts."""
    over = asyncio.Event()
    scheduler = SteadyScheduler()

    def heard(event: Any) -> None:
        tell(event)
        if isinstance(event, ContactsAsked):
            runner.command(Contacts(event.closed))
        elif isinstance(event, Flowing) and event.ma > 90_000:
            scheduler.call_later(300, lambda: runner.command(Halt("enough")))
        elif isinstance(event, Parted):
            over.set()

    cells = tuple((3_900, 0) for _ in range(96))
    machine = GbtEv(EvConfig(vin=VIN, pins=False, cells=cells, edition=edition))
    runner = CanLink(bus, machine, event=heard, scheduler=scheduler).runner
    runner.command(Drive(soc=500, target_ma=100_000, present_mv=380_000, max_mv=450_000, capacity_wh=60_000))
    runner.start()
    await over.wait()
    runner.stop()


async def main(side: str, address: str, edition: str = "auto") -> None:
    bus = open_bus(address)
    print(json.dumps({"event": "open"}), flush=True)
    try:
        async with asyncio.timeout(90):
            await {"evse": evse, "ev": ev}[side](bus, edition=edition)
    finally:
        bus.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
