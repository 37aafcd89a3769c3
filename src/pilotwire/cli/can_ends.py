"""`--link chademo` and `--link gbt27930`: both ends of a vehicle's CAN bus, for `pilotwire station` and `pilotwire ev`.

Between two programs pins go over the bus too (`transport.can_lab`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from pilotwire.core.errors import ConfigError, TransientError
from pilotwire.core.ev_link import EvCommand, Parted

if TYPE_CHECKING:
    from pilotwire.core.ev_link import EvLink
    from pilotwire.core.evse_link import EvseLink
    from pilotwire.core.runner import Runner
    from pilotwire.station.config import EvseConfig
    from pilotwire.transport.can import CanBus
    from pilotwire.transport.can_lab import LabPlug
    from pilotwire.vehicle.car import Vehicle

EDITIONS: Final = {"chademo": ("1", "2"), "gbt27930": ("2011", "2015")}
"""Link → what can be spoken there, the newest last."""
BITRATES: Final = {"chademo": 500_000, "gbt27930": 250_000}
LINGER_S: Final = 1.5
"""From the end of the conversation to the plug's being pulled: the station has its own part to bring to an end."""
PATIENCE_S: Final = 10.0
VIN: Final = "LZZPW00R0S0000001"
"""On GB/T 27930: a model year and plant that nobody uses."""


class NoStation(TransientError):
    """Nobody is at the other end of the bus."""


class Outlet(Protocol):
    """Where a vehicle plugs in (`outlets.Outlet`)."""

    def begin(self, command: Callable[[Any], None]) -> Callable[[Any], None]: ...
    def pulled(self) -> None: ...


# ── the station ──────────────────────────────────────────────────────────────────────────────────────────────────────


class CanOutlet:
    """The station's end of one bus: each time that a plug goes in, a new conversation."""

    def __init__(self, outlet: Outlet, link: str, config: EvseConfig, bus: CanBus) -> None:
        from pilotwire.transport.can_lab import LabPlug
        from pilotwire.transport.runtime import SteadyScheduler

        self._outlet = outlet
        self._link = link
        self._config = config
        self._bus = bus
        self._scheduler = SteadyScheduler()
        self._runner: Runner | None = None
        self._plug: LabPlug = LabPlug(bus, "evse", self._scheduler, plugged=self._plugged, pulled=self._pulled)

    def _plugged(self) -> None:
        from pilotwire.core.runner import Runner
        from pilotwire.protocols.gbt27930.wires import PLUGGED

        hears: list[Callable[[Any], None]] = []
        runner = Runner(
            evse_end(self._link, self._config), self._scheduler,
            send=self._plug.send, event=lambda event: hears[0](event),
        )  # fmt: skip
        self._runner = runner
        hears.append(self._outlet.begin(runner.command))
        self._plug.received = runner.received
        if self._link == "gbt27930":
            runner.received(PLUGGED[0])

    def _pulled(self) -> None:
        """The wire that says so first, then the bus has nobody on it any more."""
        from pilotwire.protocols.chademo.pins import Pin
        from pilotwire.protocols.gbt27930.wires import UNPLUGGED

        runner, self._runner = self._runner, None
        if runner is not None:
            runner.received(UNPLUGGED[0] if self._link == "gbt27930" else Pin("proximity", False))
            runner.lost()
        self._outlet.pulled()

    async def close(self) -> None:
        """The station is switched off."""
        if self._runner is not None:
            self._runner.lost()
        self._plug.close()
        self._bus.close()


def evse_end(link: str, config: EvseConfig) -> EvseLink:
    """The machine of an outlet."""
    if link == "chademo":
        from pilotwire.protocols.chademo.config import ChademoEvseConfig
        from pilotwire.protocols.chademo.evse import ChademoEvse

        return ChademoEvse(ChademoEvseConfig(discharge=config.bidirectional))
    from pilotwire.protocols.gbt27930.evse import EvseConfig as GbtEvseConfig
    from pilotwire.protocols.gbt27930.evse import GbtEvse

    return GbtEvse(GbtEvseConfig(max_mv=config.max_mv, max_ma=config.max_ma))


def open_can_outlet(outlet: Outlet, link: str, bus: str, config: EvseConfig) -> CanOutlet:
    """Let vehicles in at an outlet. Raises ConfigError."""
    if not config.dc:
        raise ConfigError(f"--link {link} is for DC outlets: add --dc")
    return CanOutlet(outlet, link, config, _opened(bus, link))


def _opened(bus: str, link: str) -> CanBus:
    from pilotwire.transport.can import open_bus

    return open_bus(bus, BITRATES[link])


# ── the vehicle ──────────────────────────────────────────────────────────────────────────────────────────────────────


class CanCar:
    """The vehicle's end of one bus, from plugging in to pulling the plug."""

    def __init__(self, link: str, machine: EvLink, bus: CanBus) -> None:
        from pilotwire.core.runner import Runner
        from pilotwire.transport.can_lab import LabPlug
        from pilotwire.transport.runtime import SteadyScheduler

        self._link = link
        self._bus = bus
        self._event: Callable[[Any], None] = lambda event: None
        self._loop = asyncio.get_running_loop()
        self._there = asyncio.Event()
        scheduler = SteadyScheduler()
        self._plug = LabPlug(bus, "ev", scheduler, plugged=self._there.set, pulled=self._pulled)
        self._runner = Runner(machine, scheduler, send=self._plug.send, event=self._hear)
        self._plug.received = self._runner.received
        self.done: asyncio.Future[str] = self._loop.create_future()
        """Why it is over."""

    def command(self, command: EvCommand) -> None:
        self._runner.command(command)

    async def begin(self, opened: Callable[[CanCar], Callable[[Any], None]], patience_s: float) -> bool:
        """Wait for a station to be there, then talk; False: there is none."""
        from pilotwire.protocols.gbt27930.wires import PLUGGED

        try:
            async with asyncio.timeout(patience_s):
                await self._there.wait()
        except TimeoutError:
            self._close("nobody is there")
            return False
        self._event = opened(self)
        if self._link == "gbt27930":
            self._runner.received(PLUGGED[1])
        self._runner.start()
        return True

    def _hear(self, event: Any) -> None:
        self._event(event)
        if type(event) is Parted:
            self._loop.call_later(LINGER_S, self._close, event.reason)

    def _pulled(self) -> None:
        self._runner.lost()
        self._close("the plug is out at the station")

    def _close(self, why: str) -> None:
        if not self.done.done():
            self.done.set_result(why)
            self._runner.stop()
            self._plug.close()
            self._bus.close()


def ev_end(link: str, edition: str | None, vehicle: Vehicle, *, gives: bool) -> EvLink:
    """The machine of a vehicle. Raises ConfigError for an edition that the link does not have."""
    if edition is not None and edition not in EDITIONS[link]:
        raise ConfigError(f"--link {link} has the editions {' and '.join(EDITIONS[link])}, not {edition}")
    kind = vehicle.kind
    if link == "chademo":
        from pilotwire.protocols.chademo.config import ChademoEvConfig
        from pilotwire.protocols.chademo.ev import ChademoEv

        return ChademoEv(ChademoEvConfig(version=int(edition or 2), discharge=gives))
    from pilotwire.protocols.gbt27930.ev import EvConfig as GbtEvConfig
    from pilotwire.protocols.gbt27930.ev import GbtEv

    rated = (kind.pack_empty_mv + kind.pack_full_mv) // 2
    capacity = kind.capacity_wh * 1_000_000 // rated
    own: Any = edition or "auto"
    return GbtEv(GbtEvConfig(vin=VIN, capacity_mah=capacity, rated_mv=rated, maker="PWR", edition=own))


async def plug_in(
    link: str,
    bus: str,
    machine: EvLink,
    opened: Callable[[CanCar], Callable[[Any], None]],
    *,
    patience_s: float = PATIENCE_S,
) -> CanCar:
    """Plug in at the station on a bus and begin; `opened(car)` returns who hears the machine's events. Raises
    ConfigError, NoStation."""
    car = CanCar(link, machine, _opened(bus, link))
    if not await car.begin(opened, patience_s):
        raise NoStation(
            f"no station answers on {bus} within {patience_s:g} s: is `pilotwire station --dc --link {link}:{bus}` "
            "there?"
        )
    return car
