"""Both ends of a pilot on one wire, under simulated time, with a contactor and a lock that take their time."""

from __future__ import annotations

from typing import Any

from pilotwire.core import ev_link, evse_link
from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.iec61851.ev import PilotEv
from pilotwire.protocols.iec61851.evse import PilotEvse
from pilotwire.protocols.iec61851.levels import UNPLUGGED, X1, PilotLevel, PilotLoad, measure


class PilotWorld:
    """`said`: (ms from the beginning, event) of the EVSE; `heard`: of the vehicle; `levels`: what was driven."""

    def __init__(self, evse: Any = None, ev: PilotEv | None = None) -> None:
        self.time = SimScheduler(0)
        self.level: PilotLevel = X1
        self.load: PilotLoad = UNPLUGGED
        self.said: list[tuple[int, Any]] = []
        self.heard: list[tuple[int, Any]] = []
        self.levels: list[tuple[int, PilotLevel]] = []
        self.closed = False
        self.contactor_ms: int | None = 20
        """How long it takes; None: it does not move."""
        self.lock_works = True
        self.charger_stops = True
        """The vehicle's charger says when it has stopped."""
        self.machine = evse or PilotEvse()
        self.vehicle = ev
        self.evse = Runner(self.machine, self.time, send=self._drive, event=self._said)
        self.ev = Runner(ev, self.time, send=self._show, event=self._heard) if ev else None
        self._sample()

    @property
    def now(self) -> int:
        return int(self.time.now())

    def run(self, ms: int) -> None:
        self.time.run_for(ms)

    def show(self, load: PilotLoad) -> None:
        """A bare resistance in place of a vehicle."""
        self._show(load)

    def plug(self) -> None:
        assert self.ev
        self.ev.start()
        self._sample()

    def unplug(self) -> None:
        assert self.ev
        self.ev.lost()
        self._show(UNPLUGGED)

    def charge(self, max_ma: int = 16_000, phases: int = 3) -> None:
        """Authorised and offered."""
        self.evse.command(evse_link.Offer(max_ma=max_ma, phases=phases))
        self.evse.command(evse_link.Authorize(accepted=True))

    def events(self, kind: type) -> list[Any]:
        return [event for _, event in self.said if type(event) is kind]

    def at(self, event: Any) -> int:
        """When the EVSE said it last."""
        return next(at for at, said in reversed(self.said) if said == event)

    def evs(self, kind: type) -> list[Any]:
        return [event for _, event in self.heard if type(event) is kind]

    def faults(self) -> list[str]:
        return [fault.code for fault in self.events(evse_link.Fault)]

    # ── the wire ─────────────────────────────────────────────────────────────────────────────────────────────────
    def _drive(self, level: PilotLevel) -> None:
        self.level = level
        self.levels.append((self.now, level))
        self._sample()

    def _show(self, load: PilotLoad) -> None:
        self.load = load
        self._sample()

    def _sample(self) -> None:
        sample = measure(self.level, self.load)
        self.evse.received(sample)
        if self.ev and self.load != UNPLUGGED:
            self.ev.received(sample)

    def _said(self, event: Any) -> None:
        self.said.append((self.now, event))
        if isinstance(event, evse_link.ContactorAsked) and self.contactor_ms is not None:
            self.time.call_later(self.contactor_ms, lambda: self._contactor(event.closed))
        elif isinstance(event, evse_link.LockAsked):
            locked = event.locked and self.lock_works
            self.time.call_later(50, lambda: self.evse.command(evse_link.Locked(locked)))

    def _contactor(self, closed: bool) -> None:
        self.closed = closed
        self.evse.command(evse_link.Contactor(closed))

    def _heard(self, event: Any) -> None:
        self.heard.append((self.now, event))
        if isinstance(event, ev_link.ContactsAsked) and (event.closed or self.charger_stops):
            assert self.ev
            self.ev.command(ev_link.Contacts(event.closed))
