"""One end of CHAdeMO on a real bus: `chademo_process.py evse|ev BUS [VERSION [discharge]]` says its events as lines of
JSON, until it is over. With `discharge` the charger turns the flow round as soon as the vehicle asks for ten amperes.

The wires d1, d2, k and the plug are frames with identifiers of their own here, for there is only the bus to carry them.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

from pilotwire.core.ev_link import Contacts, ContactsAsked, Drive, Flowing, Halt, Parted
from pilotwire.core.evse_link import AuthorizationAsked, Authorize, Ended, Offer, Requested
from pilotwire.core.runner import Runner
from pilotwire.protocols.can import CanFrame
from pilotwire.protocols.chademo import ChademoEv, ChademoEvConfig, ChademoEvse, ChademoEvseConfig, Pin
from pilotwire.station.outlet import Hardware, Outlet
from pilotwire.transport.can import CanBus, open_bus
from pilotwire.transport.runtime import LoopScheduler

WIRES = ("proximity", "d1", "d2", "k")
WIRE = 0x7E0
QUICK = Hardware(
    contactor_ms=10, lock_ms=10, isolation_ms=50, volts_ramp=10_000_000, amperes_ramp=2_000_000, tick_ms=10
)


BACK = Offer(
    max_mv=500_000, max_ma=125_000, max_discharge_ma=50_000, max_discharge_mw=20_000_000, setpoint_mw=-8_000_000
)


def say(event: Any) -> None:
    told = {name: getattr(event, name) for name in event.__struct_fields__}
    print(json.dumps({"event": type(event).__name__, **told}, default=str), flush=True)


def sender(bus: CanBus) -> Callable[[Any], None]:
    """Frames as they are, wires as frames."""

    def send(data: Any) -> None:
        bus.send(CanFrame(WIRE + WIRES.index(data.name), bytes([data.on])) if isinstance(data, Pin) else data)

    return send


def receiver(runner: Runner) -> Callable[[CanFrame], None]:
    """The other way."""

    def receive(frame: CanFrame) -> None:
        wire = frame.id - WIRE
        runner.received(Pin(WIRES[wire], bool(frame.data[0])) if 0 <= wire < len(WIRES) else frame)  # type: ignore[arg-type]

    return receive


async def evse(bus: CanBus, tell: Callable[[Any], None] = say, *, version: int = 2, discharge: bool = False) -> None:
    """A charger with a quick outlet, until the session is over."""
    over = asyncio.Event()
    scheduler = LoopScheduler()

    def heard(event: Any) -> None:
        tell(event)
        outlet.event(event)
        if isinstance(event, AuthorizationAsked):
            runner.command(Authorize(accepted=True))
        elif isinstance(event, Requested) and event.ma >= 10_000 and discharge:
            outlet.offering(BACK)
        elif isinstance(event, Ended):
            over.set()

    config = ChademoEvseConfig(version=version, discharge=discharge)
    runner = Runner(ChademoEvse(config), scheduler, send=sender(bus), event=heard)
    outlet = Outlet(scheduler, runner.command, QUICK)
    bus.subscribe(receiver(runner))
    outlet.offering(Offer(max_mv=500_000, max_ma=125_000))
    await over.wait()
    outlet.stop()
    runner.stop()


async def ev(bus: CanBus, tell: Callable[[Any], None] = say, *, version: int = 2, discharge: bool = False) -> None:
    """A vehicle that charges until ten amperes flow (or five flow back), and halts."""
    over = asyncio.Event()
    scheduler = LoopScheduler()

    def heard(event: Any) -> None:
        tell(event)
        if isinstance(event, ContactsAsked):
            runner.command(Contacts(event.closed))
        elif isinstance(event, Flowing) and (event.ma <= -5_000 if discharge else event.ma >= 10_000):
            runner.command(Halt("enough"))
        elif isinstance(event, Parted):
            over.set()

    config = ChademoEvConfig(version=version, discharge=discharge)
    runner = Runner(ChademoEv(config), scheduler, send=sender(bus), event=heard)
    bus.subscribe(receiver(runner))
    runner.command(
        Drive(
            soc=500,
            target_ma=100_000,
            present_mv=380_000,
            target_mv=400_000,
            max_mv=450_000,
            max_discharge_ma=50_000 if discharge else 0,
            max_discharge_mw=20_000_000 if discharge else 0,
        )
    )
    runner.start()
    await over.wait()
    runner.stop()


async def main(side: str, address: str, version: str = "2", *more: str) -> None:
    bus = open_bus(address)
    print(json.dumps({"event": "open"}), flush=True)
    try:
        async with asyncio.timeout(90):
            await {"evse": evse, "ev": ev}[side](bus, version=int(version), discharge="discharge" in more)
    finally:
        bus.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
