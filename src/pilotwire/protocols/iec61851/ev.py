"""The vehicle's end of the control pilot: an `EvLink` for basic charging, and the hand of a vehicle that talks.

The carrier's units: `PilotLoad` is sent (which resistance is shown), `PilotSample` is received, with the duty cycle,
and `ProximitySample` at inlets that see the plug's latch (type 1, CCS1, NACS): while its button is pressed nothing is
drawn.

    no oscillation, 0 A     wait in B        3 % to 7 %    in B: `HighLevelAsked`, then what `ShowState` says
    6 A and more            C (or D) when the battery wants it: `ContactsAsked(True)`, energy comes with the contactor
    the current changes     `Offered`; the charger obeys within 5 s
    oscillation stops       `ContactsAsked(False)`; B as soon as the charger has stopped, after 3 s in any case
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from pilotwire.core import ev_link as link
from pilotwire.core.evse_link import Offer
from pilotwire.core.machines import Send

from . import timers
from .duty import LEAST_MA, STEADY, current, is_digital
from .levels import LOADS, UNPLUGGED, PilotLoad, PilotSample
from .proximity import ProximitySample, latch_of

Shown = Literal["A", "B", "C", "D"]


class PilotEvConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the vehicle is."""

    ventilation: bool = False
    """It shows D rather than C."""
    digital: bool = True
    """It talks over power line when 5 % asks for it; else 5 % means nothing to it."""
    simplified: bool = False
    """It never shows B: it asks for energy as soon as it is plugged in."""
    diode: bool = True
    cable_ma: int | None = None
    """What its cable carries; the charger draws no more."""
    latch: bool = False
    """The inlet sees the plug's latch; until it is seen closed nothing is drawn."""


class HighLevelAsked(msgspec.Struct, frozen=True):
    """The duty cycle is 5 %: begin SLAC (`True`), or it no longer is: the link is over."""

    asked: bool


class ShowState(msgspec.Struct, frozen=True):
    """A command: for high-level communication, show this state from now on."""

    state: Shown


class PilotEv:
    """The machine. `shown` is the state that it shows."""

    def __init__(self, config: PilotEvConfig | None = None) -> None:
        self.config = config or PilotEvConfig()
        self.shown: Shown = "A"
        self.ignored = 0
        self.offered_ma = 0
        self.digital = False
        self._drive: link.Drive | None = None
        self._ended = False
        self._halt: link.Halt | None = None
        self._rest = False
        self._linked = False
        self._latched = not self.config.latch
        self._contacts = False
        self._asked = False
        self._stop_at: int | None = None
        self._obey_at: int | None = None
        self._next_ma: int | None = None
        self._told: Shown | None = None
        self._sample: PilotSample | None = None
        self._next: tuple[int, bool] | None = None
        self._since = 0
        self._out: list[Any] = []

    # ── the machine's face ───────────────────────────────────────────────────────────────────────────────────────
    @property
    def deadline(self) -> int | None:
        dues = (
            None if self._next is None else self._since + timers.DEBOUNCE.ms,
            None if self._stop_at is None else self._stop_at + timers.EV_STOP.ms,
            None if self._obey_at is None else self._obey_at + timers.EV_CHANGE.ms,
        )
        return min((due for due in dues if due is not None), default=None)

    def start(self, now: int) -> Sequence[Any]:
        """The plug is in."""
        self._show("B" if not self.config.simplified else "C")
        return self._settle(now)

    def receive(self, data: Any, now: int) -> Sequence[Any]:
        if isinstance(data, ProximitySample) and self.config.latch and not self._ended:
            self._latched = latch_of(data.ohm) == "closed"
            return self._settle(now)
        if not isinstance(data, PilotSample) or self._ended:
            self.ignored += 1
            return ()
        self._sample = data
        told = self._meaning(data)
        if told == (self.offered_ma, self.digital):
            self._next = None
        elif told != self._next:
            self._next, self._since = told, now
        return self._settle(now)

    def elapse(self, now: int) -> Sequence[Any]:
        if self._obey_at is not None and now >= self._obey_at + timers.EV_CHANGE.ms:
            self._obey_at = None
        return self._settle(now)

    def lost(self, now: int) -> Sequence[Any]:
        """The plug was pulled."""
        if self._ended:
            return ()
        if self._asked or self._contacts:
            self._out.append(link.ContactsAsked(False))
            self._asked = False
        self._part("the plug was pulled", "ev", ok=not self._contacts)
        self.shown = "A"
        out, self._out = [Send(UNPLUGGED), *self._out], []
        return out

    def command(self, command: Any, now: int) -> Sequence[Any]:
        if isinstance(command, link.Drive):
            self._drive = command
            if command.ready:
                self._rest = False
        elif isinstance(command, link.Contacts):
            self._contacts = command.closed
        elif isinstance(command, link.Halt):
            self._halt = command
        elif isinstance(command, link.Rest):
            self._rest = True
        elif isinstance(command, ShowState):
            self._told = command.state
        elif isinstance(command, link.Fault):
            self._halt = link.Halt(reason=command.text or command.code, emergency=True)
        return self._settle(now)

    # ── what the pilot says ──────────────────────────────────────────────────────────────────────────────────────
    def _meaning(self, sample: PilotSample) -> tuple[int, bool]:
        """What may flow, and whether to talk. State E and F mean nothing of both."""
        if sample.high_mv < 1_000 or sample.duty in (0, STEADY):
            return 0, False
        if is_digital(sample.duty) and self.config.digital:
            return 0, True
        ma = current(sample.duty)
        return (min(ma, self.config.cable_ma) if self.config.cable_ma is not None else ma), False

    def _believe(self, now: int) -> None:
        if self._next is None or now < self._since + timers.DEBOUNCE.ms:
            return
        ma, digital = self._next
        self._next = None
        if digital != self.digital:
            self.digital = digital
            self._out.append(HighLevelAsked(digital))
            if not digital:
                self._told = None
        if ma and not self._linked:
            self._linked = True
            self._out += [link.Linked(protocol="iec61851", service="AC"), link.Allowed()]
        if ma != self.offered_ma:
            if self.shown in ("C", "D") and ma < self.offered_ma:
                self._obey_at = self._since
            self.offered_ma = ma
            if self._linked:
                self._out.append(link.Offered(offer=Offer(max_ma=ma, min_ma=min(ma, LEAST_MA))))

    # ── what is to be done ───────────────────────────────────────────────────────────────────────────────────────
    def _wants(self) -> bool:
        """It is to show C: it may draw and wants to."""
        ready = self._drive is not None and self._drive.ready
        return self.offered_ma >= LEAST_MA and ready and self._latched and not self._rest and self._halt is None

    def _settle(self, now: int) -> Sequence[Any]:
        self._believe(now)
        if self.shown != "A" and not self._ended:
            if self.digital:
                self._follow()
            else:
                self._charge(now)
            if self._halt is not None and self.shown == "B" and not self._asked:
                self._part(self._halt.reason or "the vehicle ended it", "ev", ok=not self._halt.emergency)
        out, self._out = self._out, []
        return out

    def _follow(self) -> None:
        self._stop_at = None
        told = self._told or "B"
        if self._halt is not None or not self._latched:
            told = "B"
        self._show(told)

    def _charge(self, now: int) -> None:
        if self._wants():
            self._stop_at = None
            self._show("D" if self.config.ventilation else "C")
            if not self._asked:
                self._asked = True
                self._out.append(link.ContactsAsked(True))
            return
        if self._asked:
            self._asked, self._stop_at = False, now
            self._out.append(link.ContactsAsked(False))
        emergency = self._halt is not None and self._halt.emergency
        stopped = self._stop_at is None or not self._contacts or emergency
        if stopped or now >= (self._stop_at or 0) + timers.EV_STOP.ms:
            self._stop_at = None
            if not self.config.simplified or self._halt is not None:
                self._show("B")

    def _show(self, state: Shown) -> None:
        if state != self.shown:
            self.shown = state
            load = LOADS[state]
            self._out.append(Send(load if self.config.diode else PilotLoad(load.ohm, diode=False)))

    def _part(self, reason: str, by: Literal["ev", "evse"], *, ok: bool) -> None:
        self._ended, self._next, self._stop_at, self._obey_at = True, None, None, None
        self._out.append(link.Parted(reason=reason, by=by, ok=ok))

    def overdrawn(self, ma: int, now: int) -> bool:
        """The charger draws more than it may: not within the 5 s that it has to obey a lower current."""
        return ma > self.offered_ma and self._obey_at is None
