"""The vehicle's end of CHAdeMO 1.x and 2.0 with V2X: an `EvLink` whose units are `CanFrame` and `Pin`.

    plugged → greet (d1) → waiting → ready (k) → contactors (d2) → output → power
      → current down → open → weld → charger off → over

The request follows `Drive` by at most 20 A/s. Which way power flows, the charger decides; a vehicle that can give
says so (102.5.7, 200) and is told of what flows by `Flowing`, negative when it gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pilotwire.core.ev_link import (
    Allowed,
    Contacts,
    ContactsAsked,
    Drive,
    EvCommand,
    Halt,
    Linked,
    Rest,
)
from pilotwire.core.evse_link import Fault
from pilotwire.core.machines import Send

from .ev_phases import PHASES
from .ev_rules import EvStopRule
from .ev_state import ENDING, EvPhase
from .ev_stops import EvStops, never
from .frames import CHARGER_STATUS
from .pins import Pin


class ChademoEv(EvStops):
    """A vehicle's end."""

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def start(self, now: int) -> list[Any]:
        """The plug is in."""
        self._begin(now)
        self._fresh()
        self.pins["proximity"] = True
        self._effects.append(Send(Pin("proximity", True)))
        return self._end()

    def unplug(self, now: int) -> list[Any]:
        """The plug is out, in order or not."""
        self._begin(now)
        self.pins["proximity"] = False
        self._effects.append(Send(Pin("proximity", False)))
        self._watch()
        self._advance()
        return self._end()

    def command(self, command: EvCommand, now: int) -> list[Any]:
        """What the inside of the vehicle says."""
        self._begin(now)
        if isinstance(command, Drive):
            self.drive = command
        elif isinstance(command, Contacts):
            self._contacts(command.closed)
        elif isinstance(command, Halt):
            words = command.reason or "the vehicle ends charging"
            self._stop(EvStopRule(holds=never, words=words, rule="102.5.0", emergency=command.emergency,
                                  code="EmergencyStop" if command.emergency else "", by="ev"))  # fmt: skip
        elif isinstance(command, Rest):
            self._stop(EvStopRule(holds=never, words="the vehicle pauses: CHAdeMO ends the session", rule="102.5.0",
                                  by="ev"))  # fmt: skip
        elif isinstance(command, Fault):
            self._fail(command.code, command.text or command.code, command.rule or "102.5.2", tell=False)
        self._advance()
        return self._end()

    def lost(self, now: int) -> list[Any]:
        """The carrier is gone."""
        self._begin(now)
        if self.phase not in ("plugged", "over"):
            self._stop(EvStopRule(holds=never, words="the bus to the charger is gone", rule="CAN",
                                  code="ChargerCommunicationError", emergency=True, by="evse"))  # fmt: skip
            self._finish()
        self._timers.clear()
        self._cycle = None
        return self._end()

    # ── units of the carrier ─────────────────────────────────────────────────────────────────────────────────────────

    def _pin(self, pin: Pin) -> None:
        if pin.name == "d1" and pin.on and self.phase in ("plugged", "over") and self.pins["proximity"]:
            if self.phase == "over":
                self._fresh()
            self._enter("greet")
        if pin.name == "d2" and pin.on and self.phase in ("ready", "contactors", "output", "power"):
            self._ready_seen = True
        self._watch()
        self._advance()

    def _heard(self, frame: int) -> None:
        if self.phase in ("plugged", "over"):
            self.heard.clear()
            return
        self.seen.add(frame)
        if frame == CHARGER_STATUS:
            self._arm("charger frames")
            if self.phase in ENDING:
                self._disarm("charger frames")
        self._watch()
        self._advance()
        self._tell()
        self._deviation()

    def _flooded(self) -> None:
        if self.phase not in ("plugged", "over"):
            self._fail("ChargerCommunicationError", "the charger floods the bus", "CAN")
            self._advance()

    # ── phases ───────────────────────────────────────────────────────────────────────────────────────────────────────

    def _advance(self) -> None:
        while (rule := PHASES.get(self.phase)) is not None and rule.done(self):
            self._enter(rule.then)

    def _enter(self, phase: EvPhase) -> None:
        leaving = PHASES.get(self.phase)
        if leaving is not None and leaving.timer:
            self._disarm(leaving.timer)
        self.phase = phase
        if (rule := PHASES.get(phase)) is not None and rule.timer:
            self._arm(rule.timer)
        enter = self._ON_ENTRY.get(phase)
        if enter is not None:
            enter(self)

    def _greet(self) -> None:
        self._event(Linked(protocol="chademo2" if self.config.version >= 2 else "chademo1"))
        self._start_cycle()

    def _ready(self) -> None:
        self._event(Allowed())
        self.enabled = True
        self._switch("k", True)
        self._say()

    def _contactors(self) -> None:
        self._ready_seen = True
        self._event(ContactsAsked(True))

    def _output(self) -> None:
        self.told_open = False
        self._say()

    def _open(self) -> None:
        self._opened_mv = self.heard.get("present_output_voltage") or 0
        self._switch("k", False)
        if self.closed or not self.told_open:
            self._event(ContactsAsked(False))
            self._arm("contactors")

    def _weld(self) -> None:
        self._disarm("contactors")
        if not self.told_open and self.heard.get("weld_detection_supported") and not self.emergency:
            self._arm("weld quarter")

    def _charger_off(self) -> None:
        self._disarm("weld quarter", "weld end")
        self.told_open = True
        self._say()

    def _finish(self) -> None:
        for timer in tuple(self._timers):
            self._disarm(timer)
        self._switch("k", False)
        self._cycle = None
        self.phase = "over"
        if self._part_as is not None:
            self._event(self._part_as)
            self._part_as = None

    _ON_ENTRY: ClassVar[dict[str, Callable[[ChademoEv], None]]] = {
        "greet": _greet,
        "ready": _ready,
        "contactors": _contactors,
        "output": _output,
        "open": _open,
        "weld": _weld,
        "charger off": _charger_off,
        "over": _finish,
    }


__all__ = ["ENDING", "PHASES", "ChademoEv", "EvPhase"]
