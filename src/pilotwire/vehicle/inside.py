"""The inside of a vehicle behind its end of a link: the battery says what it wants, contactors do as they are told.

Works with any `EvLink`. Alone (`pilotwire ev`) the battery takes what the EVSE says that flows; in the twin the EVSE's
simulated meter feeds the battery: `settle` brings that up to date, and nothing is counted here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from pilotwire.core.ev_link import Contacts, ContactsAsked, Drive, EvCommand, Flowing, Halt, Linked, Offered, Parted
from pilotwire.core.evse_link import Offer
from pilotwire.core.time import Scheduler, Timer

from .car import Vehicle


class Habits(msgspec.Struct, frozen=True, kw_only=True):
    """How the vehicle behaves. Times in ms."""

    contacts_ms: int = 100
    look_ms: int = 1_000
    """How often it looks at its battery."""
    halt_when_full: bool = True
    departure_ms: int | None = None
    """From the start; None: it does not say."""
    discharge_ma: int = 0
    """It gives so much back (mA, DC; per phase, AC), as long as its battery has more than its reserve."""
    contacts_fail: bool = False


class Inside:
    """One vehicle at one link. `command` is the link's."""

    __slots__ = (
        "_began",
        "_command",
        "_dc",
        "_flow_mw",
        "_flow_since",
        "_halted",
        "_offer",
        "_scheduler",
        "_settle",
        "_timers",
        "_told",
        "closed",
        "flowing",
        "habits",
        "over",
        "vehicle",
        "watch",
    )

    def __init__(
        self,
        vehicle: Vehicle,
        scheduler: Scheduler,
        command: Callable[[EvCommand], None],
        *,
        dc: bool,
        habits: Habits = Habits(),  # noqa: B008 - frozen
        settle: Callable[[], None] | None = None,
    ) -> None:
        self.vehicle = vehicle
        self.habits = habits
        self.closed = False
        """The inlet's contactors."""
        self.flowing = Flowing()
        self.over: Parted | None = None
        self.watch: Callable[[Any], None] | None = None
        """Hears every event after the vehicle has."""
        self._scheduler = scheduler
        self._command = command
        self._dc = dc
        self._settle = settle
        self._offer: Offer | None = None
        self._told: Drive | None = None
        self._flow_mw = 0
        self._flow_since = int(scheduler.now())
        self._began = self._flow_since
        self._halted = False
        self._timers: list[Timer] = []

    def begin(self) -> None:
        """The plug is in: tell the link what the battery is. To be called before the link starts."""
        self._look()

    def event(self, event: Any) -> None:
        """An event of the link."""
        kind = type(event)
        if kind is ContactsAsked:
            if not event.closed:
                # Whatever was told last, nothing flows through contactors that are to open.
                self._count()
                self._flow_mw = 0
            self._later(self.habits.contacts_ms, lambda: self._switch(event.closed))
        elif kind is Flowing:
            self._count()
            self.flowing = event
            self._flow_mw = event.mw if event.mw is not None else event.mv * event.ma // 1000
        elif kind is Offered:
            self._offer = event.offer
            self._tell()
        elif kind is Linked:
            self._tell()
        elif kind is Parted:
            self.over = event
            self._count()
            self._flow_mw = 0
            self.closed = False
            self.stop()
        if self.watch is not None:
            self.watch(event)

    def halt(self, reason: str = "the driver ends it") -> None:
        """The driver (or the battery) ends charging."""
        if not self._halted:
            self._halted = True
            self._command(Halt(reason))

    def stop(self) -> None:
        """Nothing more is said."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _later(self, delay_ms: int, then: Callable[[], None]) -> None:
        def due() -> None:
            self._timers.remove(timer)
            then()

        timer = self._scheduler.call_later(delay_ms, due)
        self._timers.append(timer)

    def _switch(self, closed: bool) -> None:
        if not self.habits.contacts_fail:
            self.closed = closed
        self._command(Contacts(self.closed))

    def _count(self) -> None:
        """What has flowed since the last look is in the battery, or out of it."""
        now = int(self._scheduler.now())
        energy = self._flow_mw * (now - self._flow_since)
        self._flow_since = now
        if self._settle is not None:
            self._settle()
        elif energy > 0:
            self.vehicle.take(energy, dc=self._dc)
        elif energy < 0:
            self.vehicle.give(-energy, dc=self._dc)

    def _look(self) -> None:
        self._count()
        self._tell()
        done = not self.vehicle.wants_energy and not self._gives
        if done and self.habits.halt_when_full and self._flow_mw == 0 and self.closed:
            self.halt("the battery has what it wants")
        self._later(self.habits.look_ms, self._look)

    @property
    def _gives(self) -> bool:
        return self.habits.discharge_ma > 0 and self.vehicle.can_give and self.vehicle.most_given(dc=self._dc) > 0

    def _tell(self) -> None:
        drive = self.drive()
        if drive != self._told:
            self._told = drive
            self._command(drive)

    def drive(self) -> Drive:
        """What the battery is and wants now."""
        vehicle, kind = self.vehicle, self.vehicle.kind
        wanted = max(0, vehicle.target_uj - vehicle.battery.stored_uj) // 3_600_000_000
        if vehicle.max_taken_uj is not None:
            wanted = min(wanted, max(0, vehicle.max_taken_uj - vehicle.taken_uj) // 3_600_000_000)
        target = vehicle.target_uj * 1000 // vehicle.battery.capacity_uj
        offer = self._offer
        pack_mv = vehicle.pack_mv
        ready = vehicle.wants_energy or self._gives
        if self._dc:
            max_ma = kind.dc_max_ma
            max_mw = max((watts for _, watts in kind.dc_curve), default=0) * 1000
            most_mw = max_mw if offer is None or offer.max_mw is None else min(max_mw, offer.max_mw)
            most_ma = max_ma if offer is None else min(max_ma, offer.max_ma)
            draw = vehicle.draw_dc(most_mw // 1000, most_ma, kind.pack_full_mv * 11 // 10)
            ma = draw.ma if draw is not None else 0
        else:
            max_ma = kind.ac_max_ma
            phases = kind.ac_phases if offer is None else min(kind.ac_phases, offer.phases)
            max_mw = max_ma * phases * 230
            most_ma = max_ma if offer is None else min(max_ma, offer.max_ma)
            currents = vehicle.draw_ac(most_ma, phases, least_ma=0)
            ma = currents[0] if currents else 0
        if self._gives:
            ma = -min(self.habits.discharge_ma, max_ma)
        most_given = vehicle.most_given(dc=self._dc)
        per_volt = pack_mv if self._dc else 230_000 * kind.ac_phases
        departure = self.habits.departure_ms
        flowing = max(1, self._flow_mw)
        return Drive(
            soc=vehicle.soc,
            target_soc=target,
            capacity_wh=kind.capacity_wh,
            energy_wh=wanted,
            present_mv=pack_mv,
            target_mv=pack_mv,
            target_ma=ma,
            max_mv=kind.pack_full_mv * 11 // 10,
            min_mv=kind.pack_empty_mv * 9 // 10,
            max_ma=max_ma,
            max_mw=max_mw,
            phases=kind.ac_phases,
            max_discharge_ma=min(max_ma, most_given * 1000 // per_volt),
            max_discharge_mw=most_given,
            departure_ms=None if departure is None else max(0, self._began + departure - int(self._scheduler.now())),
            remaining_ms=wanted * 3_600_000_000 // flowing if self._flow_mw > 0 else None,
            ready=ready,
        )
