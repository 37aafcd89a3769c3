"""Runs a machine on a CAN bus: CHAdeMO, GB/T 27930, or whatever else takes and sends `CanFrame`s.

    link = open_link("socketcan:can0", GbtEvse(), event=outlet.event, pins=relays.set)
    link.runner.received(Cc1(4_000))            # what is beside the bus is told as it changes
    link.runner.command(Offer(...))

What the machine sends that is no frame (a pin, the vehicle's supply) goes to `pins`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotwire.core.machines import Machine
from pilotwire.core.runner import Runner
from pilotwire.core.time import Scheduler
from pilotwire.protocols.can.frame import CanFrame

from .can import CanBus, open_bus
from .runtime import SteadyScheduler


class CanLink:
    """A machine on a port, until it is closed."""

    def __init__(
        self,
        bus: CanBus,
        machine: Machine,
        *,
        event: Callable[[Any], None],
        pins: Callable[[Any], None] = lambda pin: None,
        scheduler: Scheduler | None = None,
    ) -> None:
        self.bus = bus
        self._pins = pins
        self.runner = Runner(machine, scheduler or SteadyScheduler(), send=self._send, event=event)
        self._unsubscribe = bus.subscribe(self.runner.received)

    def _send(self, data: Any) -> None:
        if isinstance(data, CanFrame):
            self.bus.send(data)
        else:
            self._pins(data)

    def lost(self, why: str = "") -> None:
        """The bus is gone: the machine is told, and does nothing more."""
        self._unsubscribe()
        self.runner.lost()

    def close(self) -> None:
        """The machine does nothing more, the bus is given back."""
        self._unsubscribe()
        self.runner.stop()
        self.bus.close()


def open_link(
    address: str,
    machine: Machine,
    *,
    event: Callable[[Any], None],
    pins: Callable[[Any], None] = lambda pin: None,
    bitrate: int | None = None,
) -> CanLink:
    """Opens the bus (`transport.can.open_bus`) and runs `machine` on it. Raises ConfigError."""
    links: list[CanLink] = []

    def lost(why: str) -> None:
        for link in links:
            link.lost(why)

    links.append(CanLink(open_bus(address, bitrate, lost=lost), machine, event=event, pins=pins))
    return links[0]
