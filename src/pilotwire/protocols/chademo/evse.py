"""The charger's end of CHAdeMO 1.x and 2.0 with V2X: an `EvseLink` whose units are `CanFrame` and `Pin`.

    unplugged → authorize → wake (d1) → negotiate → lock → insulation → discharged → vehicle contactors (d2)
      → output contactor → power → current down → contactors open → voltage down → unlock → over → unplugged

Each phase has one condition to go on and at most one timer (`PHASES`). A stop (`evse_rules.STOPS`, a command, a timer)
turns the output off first, then sets 109.5.5, then goes down the second half; an emergency takes d1 and d2 away at
once. The charger decides which way power flows: a negative `Offer.setpoint_mw` takes it out of a vehicle that can give.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Authorize,
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
    Pause,
    Resume,
    Stop,
)

from . import evse_frames
from .evse_phases import PHASES
from .evse_rules import STOPS, Stage, StopRule
from .evse_state import EMPTY_MV, ENDING, Phase
from .evse_stops import EvseStops, never
from .frames import LIMITS, MAKER, STATUS, TIMES
from .pins import Pin


class ChademoEvse(EvseStops):
    """A charger's end. Commands that mean nothing to CHAdeMO are ignored."""

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def command(self, command: EvseCommand, now: int) -> list[Any]:
        """What the station says."""
        self._begin(now)
        if isinstance(command, Offer):
            self.offer = command
            self._follow()
        elif isinstance(command, Measured):
            self.measured = command
        elif isinstance(command, Authorize):
            self._authorized(command)
        elif isinstance(command, Isolation):
            self._tested(command)
        elif isinstance(command, Locked):
            self.locked = command.locked
        elif isinstance(command, Contactor):
            self._contactor(command.closed)
        elif isinstance(command, Pause | Resume):
            self._paused = isinstance(command, Pause)
            self._follow()
        elif isinstance(command, Stop):
            self._commanded(command)
        elif isinstance(command, Fault):
            self._station_fault(command)
        self._watch()
        self._advance()
        return self._end()

    def lost(self, now: int) -> list[Any]:
        """The carrier is gone: output off, everything opened, nothing waited for."""
        self._begin(now)
        if self.phase not in ("unplugged", "over"):
            self._stop(StopRule(holds=never, words="the bus to the vehicle is gone", rule="CAN",
                                code="EVCommunicationError", emergency=True))  # fmt: skip
            self._event(ContactorAsked(False))
            self._finish()
        self._timers.clear()
        self._cycle = None
        return self._end()

    # ── units of the carrier ─────────────────────────────────────────────────────────────────────────────────────────

    def _pin(self, pin: Pin) -> None:
        if pin.name == "proximity" and pin.on and self.phase == "unplugged":
            self._event(Connected(protocol="chademo2" if self.config.version >= 2 else "chademo1"))
            self._event(AuthorizationAsked(by="external"))
            self._enter("authorize")
        elif pin.name == "proximity" and not pin.on and self.phase == "authorize":
            self._event(Ended(reason="the plug was pulled before charging was authorised", by="ev"))
            self._fresh()
        elif pin.name == "proximity" and not pin.on and self.phase == "over":
            self._fresh()
        self._watch()
        self._advance()

    def _heard(self, frame: int) -> None:
        if self.phase in ("unplugged", "authorize", "over"):
            self.heard.clear()  # nobody was asked to speak
            return
        self.seen.add(frame)
        if frame == STATUS:
            self._status_frames += 1
            if self._cycle is not None:
                self._arm("vehicle frames")
        elif frame not in (LIMITS, TIMES, MAKER):
            theirs = self.heard.get("v2h_sequence")
            self.v2h_sequence = None if theirs is None else min(theirs, self.config.v2h_sequence)
        self._watch()
        self._advance()
        if self.phase not in ("wake", *ENDING):
            self._tell()
        self._follow()

    def _flooded(self) -> None:
        if self.phase not in ("unplugged", "authorize", "over"):
            self._stop(StopRule(holds=never, words="the vehicle floods the bus", rule="CAN",
                                code="EVCommunicationError", emergency=True))  # fmt: skip
            self._advance()

    # ── phases ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _advance(self) -> None:
        while (rule := PHASES.get(self.phase)) is not None and rule.done(self):
            self._enter(rule.then)

    def _enter(self, phase: Phase) -> None:
        leaving = PHASES.get(self.phase)
        if leaving is not None and leaving.timer:
            self._disarm(leaving.timer)
        self.phase = phase
        if (rule := PHASES.get(phase)) is not None and rule.timer:
            self._arm(rule.timer)
        enter = self._ON_ENTRY.get(phase)
        if enter is not None:
            enter(self)

    def _wake(self) -> None:
        self.heard.clear()
        self.seen.clear()
        self._switch("d1", True)

    def _negotiate(self) -> None:
        self._arm("vehicle frames")
        self.incompatible = not self._fits()
        self._start_cycle()
        self._watch()

    def _lock(self) -> None:
        self._stage = Stage(True, False, False)
        self._event(LockAsked(True))

    def _insulation(self) -> None:
        self.isolation = None
        if self.measured.mv >= EMPTY_MV:
            self._own_fault("EVContactorWelded", "voltage at the outlet before the insulation test", "A.7.2")
            return
        self._event(IsolationAsked())

    def _setup_done(self) -> None:
        if not self.dynamic:
            self.frozen_ma = evse_frames.offered_ma(self)
        self._switch("d2", True)

    def _output(self) -> None:
        self._stage = Stage(True, True, self._stage.targeted)
        self._event(ContactorAsked(True))

    def _power(self) -> None:
        self.charging = True
        self._asked_at = self._now
        longest = self.heard.get("maximum_time_10s") or self.heard.get("maximum_time_min")
        if longest:
            self.until = self._timers["charging time"] = self._now + longest
        self._say()

    def _contactors_open(self) -> None:
        self.charging = False
        self._event(ContactorAsked(False))
        self._say()
        if self.emergency:
            self._switch("d2", False)
            self._switch("d1", False)

    def _voltage_down(self) -> None:
        self.charging = False
        self._switch("d2", False)
        self._switch("d1", False)

    def _unlock(self) -> None:
        if self.locked:
            self._event(LockAsked(False))

    def _finish(self) -> None:
        """The session is told to be over, once."""
        for timer in tuple(self._timers):
            self._disarm(timer)
        self._switch("d2", False)
        self._switch("d1", False)
        self._say()
        self._cycle = None
        self.phase = "over"
        if self._end_as is not None:
            self._event(self._end_as)
            self._end_as = None
        if not self.pins["proximity"]:
            self._fresh()

    _ON_ENTRY: ClassVar[dict[str, Callable[[ChademoEvse], None]]] = {
        "wake": _wake,
        "negotiate": _negotiate,
        "lock": _lock,
        "insulation": _insulation,
        "vehicle contactors": _setup_done,
        "output contactor": _output,
        "power": _power,
        "contactors open": _contactors_open,
        "voltage down": _voltage_down,
        "unlock": _unlock,
        "over": _finish,
    }


__all__ = ["ENDING", "PHASES", "STOPS", "ChademoEvse", "Phase"]
