"""A station and a vehicle with their front machines on one wire, in simulated time: any dialect, with physics.

The wire can be told to spoil what passes: `World(..., spoil=f)`, where `f(sent_by, number, frame)` gives what arrives
instead of a frame.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from pilotwire.core.ev_link import ContactsAsked, Parted
from pilotwire.core.evse_link import AuthorizationAsked, Authorize, Ended, Offer, Paused, Requested
from pilotwire.core.machines import Close
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler, Timer
from pilotwire.protocols.iso15118.config import Dialect, EvccConfig, SeccConfig
from pilotwire.protocols.iso15118.evcc import Evcc
from pilotwire.protocols.iso15118.secc import Secc
from pilotwire.protocols.iso15118.v2gtp import Frame
from pilotwire.station.outlet import Hardware, Outlet
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import BIDIRECTIONAL
from pilotwire.vehicle.inside import Habits, Inside

Spoil = Callable[[str, int, Frame], Sequence[Frame]]
TRIP_MS = 2
OFFER = Offer(
    max_mv=500_000, min_mv=150_000, max_ma=200_000, max_mw=60_000_000, max_discharge_ma=50_000,
    max_discharge_mw=20_000_000,
)  # fmt: skip
OFFER_AC = Offer(max_ma=16_000, max_mw=11_000_000, max_discharge_ma=16_000, max_discharge_mw=11_000_000)
QUICK: dict[str, Any] = {
    "contactor_ms": 20, "lock_ms": 20, "isolation_ms": 100, "volts_ramp": 8_000_000, "amperes_ramp": 2_000_000,
    "tick_ms": 20, "report_ms": 100,
}  # fmt: skip


class World:
    """One session, from the plug in to both ends' last word."""

    def __init__(self, dialect: Dialect, service: Any, *, spoil: Spoil | None = None, charge_ms: int = 300) -> None:
        self.scheduler = SimScheduler()
        self.spoil = spoil
        self.frames: dict[str, list[Frame]] = {"ev": [], "evse": []}
        """What each end has sent."""
        self.station_events: list[Any] = []
        self.vehicle_events: list[Any] = []
        self.closed: list[str] = []
        """Who has closed the connection, in order."""
        self.most_ma = 0
        self.after_end: list[Requested] = []
        """What was asked of the outlet once it was over; must be nothing."""
        self._closing: list[Timer] = []
        self._charge_ms = charge_ms
        dice = random.Random(1)
        dc = not service.startswith("AC")
        self.secc = Secc(
            SeccConfig(dialects=(dialect,), services=(service,)), random=dice.randbytes, tls=True, paused={}
        )
        self.evcc = Evcc(EvccConfig(dialects=(dialect,), services=(service,)), random=dice.randbytes, tls=True)
        self.station = Runner(
            self.secc, self.scheduler, send=lambda frame: self._pass("evse", frame), event=self._station,
            close=lambda close: self._close("evse", close),
        )  # fmt: skip
        self.vehicle = Runner(
            self.evcc, self.scheduler, send=lambda frame: self._pass("ev", frame), event=self._vehicle,
            close=lambda close: self._close("ev", close),
        )  # fmt: skip
        self.outlet = Outlet(
            self.scheduler, self.station.command, Hardware(dc=dc and service != "WPT", **QUICK), meter_id="METER1"
        )
        self.inside = Inside(
            Vehicle(BIDIRECTIONAL, 500), self.scheduler, self.vehicle.command, dc=dc,
            habits=Habits(contacts_ms=20, look_ms=100, halt_when_full=False),
        )  # fmt: skip
        self.station.start()
        self.outlet.offering(OFFER if dc else OFFER_AC)
        self.inside.begin()
        self.vehicle.start()

    # -- the wire -----------------------------------------------------------------------------------------------------
    def _pass(self, sent_by: str, frame: Frame) -> None:
        if self.closed:
            return
        self.frames[sent_by].append(frame)
        number = len(self.frames[sent_by]) - 1
        arriving = [frame] if self.spoil is None else self.spoil(sent_by, number, frame)
        to = self.station if sent_by == "ev" else self.vehicle
        for one in arriving:
            self.scheduler.call_later(TRIP_MS, lambda one=one: None if self.closed else to.received(one))

    def _close(self, end: str, close: Close) -> None:
        self._closing.append(self.scheduler.call_later(close.after_ms, lambda: self._shut(end)))

    def _shut(self, end: str) -> None:
        if not self.closed:
            self.closed.append(end)
            self.scheduler.call_later(TRIP_MS, self.station.lost)
            self.scheduler.call_later(TRIP_MS, self.vehicle.lost)

    # -- what is told -------------------------------------------------------------------------------------------------
    def _station(self, event: Any) -> None:
        self.station_events.append(event)
        if isinstance(event, Requested):
            if self.ended and (event.ma or event.mv or event.mw):
                self.after_end.append(event)
            self.most_ma = max(self.most_ma, event.ma)
        self.outlet.event(event)
        if isinstance(event, AuthorizationAsked):
            self.scheduler.call_later(50, lambda: self.station.command(Authorize(accepted=True)))

    def _vehicle(self, event: Any) -> None:
        self.vehicle_events.append(event)
        self.inside.event(event)
        if isinstance(event, ContactsAsked) and event.closed:
            self.scheduler.call_later(self._charge_ms, self.inside.halt)
        if isinstance(event, Parted):
            self.inside.stop()

    @property
    def ended(self) -> list[Any]:
        """The station's last words."""
        return [event for event in self.station_events if isinstance(event, Ended | Paused)]

    @property
    def parted(self) -> list[Parted]:
        """The vehicle's."""
        return [event for event in self.vehicle_events if isinstance(event, Parted)]

    def run(self, most_ms: int = 400_000) -> World:
        """Until both are done and the hardware has settled, or `most_ms` is over."""
        until = int(self.scheduler.now()) + most_ms
        while not (self.ended and self.parted and self.closed) and int(self.scheduler.now()) < until:
            self.scheduler.run_for(50)
        self.scheduler.run_for(1_000)
        self.outlet.stop()
        self.inside.stop()
        return self
