"""What joins the two ends of a link in one process: a wire that carries units, and the control pilot's circuit.

Live and in simulated time alike; what is carried is what the machines send, byte for byte where it is bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotwire.core.runner import Runner
from pilotwire.core.time import Scheduler
from pilotwire.protocols.can.frame import CanFrame
from pilotwire.protocols.gbt27930.wires import PLUGGED
from pilotwire.protocols.iec61851.levels import UNPLUGGED, X1, PilotLevel, PilotLoad, measure
from pilotwire.transport.can_sim import SimCanBus

Tap = Callable[[str, Any, int], None]
"""(ev or evse: who has sent it; the unit; ms since the epoch)."""


class Wire:
    """Carries units between two runners, each `latency_ms` later and in order."""

    __slots__ = ("_latency", "_scheduler", "ev", "evse", "tap")

    def __init__(self, scheduler: Scheduler, latency_ms: int = 1) -> None:
        self._scheduler = scheduler
        self._latency = latency_ms
        self.evse: Runner | None = None
        self.ev: Runner | None = None
        self.tap: Tap | None = None

    def from_evse(self, data: Any) -> None:
        """What the EVSE's end sends."""
        self._carry("evse", data)

    def from_ev(self, data: Any) -> None:
        """What the vehicle's end sends."""
        self._carry("ev", data)

    def _carry(self, sender: str, data: Any) -> None:
        if self.tap is not None:
            self.tap(sender, data, int(self._scheduler.now()))
        self._scheduler.call_later(self._latency, lambda: self._arrive(sender, data))

    def _arrive(self, sender: str, data: Any) -> None:
        there = self.ev if sender == "evse" else self.evse
        if there is not None:
            there.received(data)

    def plugged(self) -> None:
        """The plug is in, both ends are there: what each of them sees of it by itself, without a word of the other."""

    def close(self) -> None:
        """The plug is pulled: both ends hear of it."""
        ev, evse, self.ev, self.evse = self.ev, self.evse, None, None
        for end in (ev, evse):
            if end is not None:
                end.lost()


class PilotWire(Wire):
    """The control pilot: the EVSE drives a level, the vehicle shows a load, both measure what follows."""

    __slots__ = ("_level", "_load")

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__(scheduler, 0)
        self._level = X1
        self._load = UNPLUGGED

    def _arrive(self, sender: str, data: Any) -> None:
        if isinstance(data, PilotLevel):
            self._level = data
        elif isinstance(data, PilotLoad):
            self._load = data
        sample = measure(self._level, self._load)
        for end in (self.evse, self.ev):
            if end is not None:
                end.received(sample)

    def close(self) -> None:
        ev, self.ev = self.ev, None
        if ev is not None:
            ev.lost()
        self._arrive("ev", UNPLUGGED)
        super().close()


class CanWire(Wire):
    """A CAN bus between the two, and the wires beside it (pins), which are no frames."""

    __slots__ = ("_ports", "bus")

    def __init__(self, scheduler: Scheduler, bitrate: int) -> None:
        super().__init__(scheduler, 1)
        self.bus = SimCanBus(scheduler, bitrate)
        self._ports = {"evse": self.bus.port(), "ev": self.bus.port()}
        self._ports["evse"].subscribe(lambda frame: self._arrive("ev", frame))
        self._ports["ev"].subscribe(lambda frame: self._arrive("evse", frame))

    def _carry(self, sender: str, data: Any) -> None:
        if isinstance(data, CanFrame):
            if self.tap is not None:
                self.tap(sender, data, int(self._scheduler.now()))
            self._ports[sender].send(data)
        else:
            super()._carry(sender, data)

    def close(self) -> None:
        super().close()
        for port in self._ports.values():
            port.close()


class GbtWire(CanWire):
    """A GB/T plug: CAN, the two detection points, the charger's supply for the vehicle."""

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__(scheduler, 250_000)

    def plugged(self) -> None:
        cc1, cc2 = PLUGGED
        if self.evse is not None:
            self.evse.received(cc1)
        if self.ev is not None:
            self.ev.received(cc2)
