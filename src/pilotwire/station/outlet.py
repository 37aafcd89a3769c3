"""The power side of one EVSE, simulated: power stage, contactor, lock, isolation monitor.

It hears the events of an `EvseLink` and answers with commands, as hardware would: after a moment, and with what really
is at the outlet. A pad or a pantograph (`Hardware.contactless`) sees the vehicle come into its place too.
Whoever has a meter of his own says by `flow` what really flows, and is told of every change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from pilotwire.core.evse_link import (
    Connected,
    Contactor,
    ContactorAsked,
    Ended,
    EvseCommand,
    Fault,
    Isolation,
    IsolationAsked,
    LockAsked,
    Locked,
    Measured,
    Offer,
    Paused,
    Positioned,
    Requested,
)
from pilotwire.core.time import Scheduler, Timer

SAFE_MV = 60_000
"""What may be touched (IEC 61851-23)."""
SAFE_MA = 5_000
"""What a contactor may still cut."""
_COMING = Positioned(in_place=False, x_mm=800, y_mm=-120)
"""Where a vehicle is seen first, that has to come nearer."""


class Hardware(msgspec.Struct, frozen=True, kw_only=True):
    """How the hardware behaves. Times in ms, ramps in mV/s and mA/s."""

    dc: bool = True
    contactor_ms: int = 80
    lock_ms: int = 300
    isolation_ms: int = 1_500
    isolation: str = "valid"
    """What the monitor finds: valid, warning, fault, no-monitor."""
    volts_ramp: int = 500_000
    amperes_ramp: int = 20_000
    """CHAdeMO and IEC 61851-23 want no more than 20 A/s; what is taken away is taken away faster."""
    tick_ms: int = 100
    report_ms: int = 1_000
    """How often the meter is told when nothing changes."""
    lock_fails: bool = False
    contactor_fails: bool = False
    contactless: bool = False
    """A pad or a pantograph: the vehicle has to find its place first."""
    positioning_ms: int = 3_000
    """How long that takes it."""


class Flow(NamedTuple):
    """What is at the outlet."""

    mv: int
    ma: int
    """DC: of the output. AC: of each phase."""
    mw: int


class Outlet:
    """One outlet. `flow(mv, ma)` is given what the power stage is set to and says what really flows.

    Without `flow` a DC outlet gives what it is asked for within the offer, and an AC outlet what is offered.
    """

    __slots__ = (
        "_asked",
        "_command",
        "_energy",
        "_flow",
        "_moving",
        "_ramp",
        "_register",
        "_register_uj",
        "_scheduler",
        "_since",
        "_told",
        "_waiting",
        "changed",
        "closed",
        "hardware",
        "locked",
        "ma",
        "meter_id",
        "mv",
        "offer",
        "watch",
    )

    def __init__(
        self,
        scheduler: Scheduler,
        command: Callable[[EvseCommand], None],
        hardware: Hardware = Hardware(),  # noqa: B008 - frozen
        *,
        flow: Callable[[int, int], Flow] | None = None,
        register: Callable[[], int] | None = None,
        register_wh: int = 0,
        meter_id: str = "",
    ) -> None:
        self.hardware = hardware
        self.offer = Offer()
        self.closed = False
        self.locked = False
        self.mv = 0
        """What the power stage is at."""
        self.ma = 0
        self.meter_id = meter_id
        self.changed: Callable[[], None] = lambda: None
        """What the power stage is at, or the contactor, is another."""
        self.watch: Callable[[Any], None] | None = None
        """Hears every event after the outlet has."""
        self._scheduler = scheduler
        self._command = command
        self._flow = flow
        self._moving = False
        self._asked = Requested()
        self._ramp: Timer | None = None
        self._told: Measured | None = None
        self._since = int(scheduler.now())
        self._energy = 0
        self._register = register
        self._register_uj = register_wh * 3_600_000_000
        self._waiting: list[Timer] = []

    @property
    def register_wh(self) -> int:
        """The meter's register."""
        return self._register_uj // 3_600_000_000 if self._register is None else self._register()

    def offering(self, offer: Offer) -> None:
        """What may flow has changed: the link hears of it, and what is above goes down at once."""
        self.offer = offer
        self._command(offer)
        self._step()

    def report(self) -> None:
        """Tell the link what is at the outlet, where that is another than what was told last."""
        flow = self.flowing
        measured = Measured(mv=flow.mv, ma=flow.ma, mw=flow.mw, energy_wh=self.register_wh, meter_id=self.meter_id)
        if measured != self._told:
            self._told = measured
            self._command(measured)

    def event(self, event: Any) -> None:
        """An event of the link."""
        kind = type(event)
        if kind is Connected:
            if self.hardware.contactless and not event.resumed:
                self._command(_COMING)
                self._later(self.hardware.positioning_ms, lambda: self._command(Positioned(in_place=True)))
        elif kind is IsolationAsked:
            self._later(self.hardware.isolation_ms, lambda: self._command(Isolation(self.hardware.isolation)))  # type: ignore[arg-type]
        elif kind is LockAsked:
            self._later(self.hardware.lock_ms, lambda: self._lock(event.locked))
        elif kind is ContactorAsked:
            if not event.closed:
                self._off()
            self._later(self.hardware.contactor_ms, lambda: self._switch(event.closed))
        elif kind is Requested:
            self._asked = event
            self._step()
        elif kind in (Ended, Paused) or (kind is Fault and event.by == "ev"):
            self._off()
            if self.closed:
                self._later(self.hardware.contactor_ms, lambda: self._switch(False))
        if self.watch is not None:
            self.watch(event)

    def stop(self) -> None:
        """The simulation is over: nothing is answered any more."""
        for timer in (*self._waiting, *([self._ramp] if self._ramp else ())):
            timer.cancel()
        self._waiting.clear()
        self._ramp = None

    # ── hardware ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def _later(self, delay_ms: int, then: Callable[[], None]) -> None:
        def due() -> None:
            self._waiting.remove(timer)
            then()

        timer = self._scheduler.call_later(delay_ms, due)
        self._waiting.append(timer)

    def _lock(self, locked: bool) -> None:
        if not self.hardware.lock_fails:
            self.locked = locked
        self._command(Locked(self.locked))

    def _switch(self, closed: bool) -> None:
        if not self.hardware.contactor_fails:
            self.closed = closed
        self._command(Contactor(self.closed))
        self._step()
        self.changed()

    def _off(self) -> None:
        self._asked = Requested()
        self._step()

    def _step(self) -> None:
        """One step of the ramp, and the next one armed."""
        now = int(self._scheduler.now())
        passed = now - self._since if self._moving else 0
        self._count(now)
        mv, ma = self._goal()
        before = (self.mv, self.ma)
        self.mv = _toward(self.mv, mv, self.hardware.volts_ramp * passed // 1000) if self.hardware.dc else mv
        # Less is given at once; more is given slowly.
        self.ma = (
            ma
            if abs(ma) <= abs(self.ma) or not self.hardware.dc
            else _toward(self.ma, ma, self.hardware.amperes_ramp * passed // 1000)
        )
        if (self.mv, self.ma) != before:
            self.changed()
        self.report()
        if self._ramp is not None:
            self._ramp.cancel()
            self._ramp = None
        self._moving = (self.mv, self.ma) != (mv, ma)
        if self._moving:
            self._ramp = self._scheduler.call_later(self.hardware.tick_ms, self._tick)
        elif self.mv or self.ma:
            self._ramp = self._scheduler.call_later(self.hardware.report_ms, self._tick)

    def _tick(self) -> None:
        self._ramp = None
        self._step()

    def _goal(self) -> tuple[int, int]:
        asked, offer = self._asked, self.offer
        if not self.hardware.dc:
            if not self.closed:
                return 0, 0
            ma = asked.ma or (asked.mw or 0) * 1000 // (offer.nominal_mv * max(1, offer.phases))
            return offer.nominal_mv, max(-offer.max_discharge_ma, min(ma, offer.max_ma))
        mv = asked.mv if offer.max_mv is None else min(asked.mv, offer.max_mv)
        ma = max(-offer.max_discharge_ma, min(asked.ma, offer.max_ma))
        if offer.max_mw is not None and mv:
            ma = min(ma, offer.max_mw * 1000 // mv)
        if asked.phase == "precharge" or not self.closed:
            ma = 0
        return mv, ma

    @property
    def flowing(self) -> Flow:
        """What is at the outlet now."""
        if self._flow is not None:
            return self._flow(self.mv, self.ma)
        phases = 1 if self.hardware.dc else self.offer.phases
        return Flow(self.mv, self.ma, self.mv * self.ma * phases // 1000)

    def _count(self, now: int) -> None:
        self._register_uj += max(0, self._energy) * (now - self._since)
        self._since = now
        self._energy = self.flowing.mw


def _toward(value: int, goal: int, step: int) -> int:
    return min(value + step, goal) if goal > value else max(value - step, goal)
