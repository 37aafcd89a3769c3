"""V2G with the pilot beside it, as one link: to the station (`Beside`), to the inside of the vehicle (`EvBeside`).

    beside = Beside(event)                      event: the station's (`Plugged.event`)
    plug = EvsePlug(..., event=beside.plug_event);  beside.plug = plug
    plugged.attach(beside.command)
    runner = Runner(secc, ..., event=beside.v2g_event);  beside.begin(runner.command)     at LinkUp(True)
    beside.over()                               the connection is gone

What flows is asked for by V2G, and switched by the pilot: its `ContactorAsked` goes to the outlet only while the
vehicle shows C or D. What the station says goes to V2G while there is one, and to the pilot as far as it concerns it;
so that whichever has the word, a fault, an emergency stop and the contactor are known to both. When the pilot ends the
link, V2G is told to stop at once; when V2G is over, an ordered stop reaches the pilot too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotwire.core.ev_link import Allowed, Ask, Halt, Parted, Rest
from pilotwire.core.evse_link import (
    Authorize,
    Contactor,
    ContactorAsked,
    Ended,
    Fault,
    Locked,
    Measured,
    Offer,
    Resume,
    Stop,
)
from pilotwire.protocols.iec61851.ev import HighLevelAsked
from pilotwire.protocols.iec61851.evse import PhasesAsked
from pilotwire.protocols.iec61851.high_level import FellBack, LinkOver, MatchingAsked, PilotState
from pilotwire.protocols.slac import events as slac

from .plug import EvPlug, EvsePlug

_BOTH = (Contactor, Locked, Measured, Offer, Authorize, Fault, Resume)
_SLAC = (
    slac.MatchingBegun, slac.Matched, slac.MatchingFailed, slac.StepWanted, slac.GivenUp, slac.AmpMap, slac.LinkUp,
    slac.TogglesWanted,
)  # fmt: skip
_INSIDE = (PilotState, MatchingAsked, FellBack, PhasesAsked, *_SLAC)
"""What the two say to each other and a station has no ear for; `watch` hears it."""


class Beside:
    """The routes between station, pilot and V2G."""

    def __init__(self, event: Callable[[Any], None], watch: Callable[[Any], None] = lambda event: None) -> None:
        self.plug: EvsePlug | None = None
        self._event = event
        self._watch = watch
        self._v2g: Callable[[Any], None] | None = None
        self._stop: Stop | None = None
        self._session = False

    @property
    def talking(self) -> bool:
        """There is a conversation over V2G."""
        return self._v2g is not None

    def begin(self, command: Callable[[Any], None]) -> None:
        """V2G may begin; `command` takes what is said to it."""
        self._v2g, self._session = command, False

    def over(self) -> None:
        """The connection is gone. A session that has not said so itself is over without order."""
        unsaid, self._v2g = self._session, None
        if unsaid:
            self._ended(Ended(reason="the connection was lost", by="ev", ok=False))

    # ── from the station ─────────────────────────────────────────────────────────────────────────────────────────
    def command(self, command: Any) -> None:
        """What an `EvseLink` takes."""
        if self._v2g is None:
            self._to_pilot(command)
            return
        if isinstance(command, Stop):
            self._stop = command
            if command.emergency:
                self._to_pilot(command)
        elif isinstance(command, _BOTH):
            self._to_pilot(command)
        if self._v2g is not None:
            self._v2g(command)

    def _to_pilot(self, command: Any) -> None:
        if self.plug is not None:
            self.plug.command(command)

    # ── from both links ──────────────────────────────────────────────────────────────────────────────────────────
    def v2g_event(self, event: Any) -> None:
        """An event of the conversation."""
        if isinstance(event, ContactorAsked):
            self._to_pilot(event)
        elif isinstance(event, Ended):
            self._ended(event)
        else:
            self._session = True
            self._event(event)

    def _ended(self, event: Ended) -> None:
        self._session = False
        self._to_pilot(ContactorAsked(False))
        self._event(event)
        stop, self._stop = self._stop, None
        if stop is not None:
            self._to_pilot(stop)

    def plug_event(self, event: Any) -> None:
        """An event of the pilot, or of SLAC."""
        if isinstance(event, LinkOver):
            if self._v2g is not None and self._session:
                self._v2g(Stop(event.reason, emergency=True))
            self._watch(event)
        elif isinstance(event, _INSIDE):
            self._watch(event)
        else:
            self._event(event)


class EvBeside:
    """The same for the vehicle: it shows C from the moment at which it is authorised to the end of the session.

    `plug_event` and `v2g_event` as there; `command` takes what an `EvLink` takes. When 5 % is gone while it talks, the
    session ends at once.
    """

    def __init__(self, event: Callable[[Any], None], watch: Callable[[Any], None] = lambda event: None) -> None:
        self.plug: EvPlug | None = None
        self._event = event
        self._watch = watch
        self._v2g: Callable[[Any], None] | None = None

    @property
    def talking(self) -> bool:
        """There is a conversation over V2G."""
        return self._v2g is not None

    def begin(self, command: Callable[[Any], None]) -> None:
        """V2G may begin."""
        self._v2g = command

    def command(self, command: Any) -> None:
        """What an `EvLink` takes. What the battery is and wants is kept for the pilot, should it come to that."""
        if self._v2g is not None:
            self._v2g(command)
            if isinstance(command, Halt | Rest | Ask):
                return
        if self.plug is not None:
            self.plug.command(command)

    def v2g_event(self, event: Any) -> None:
        """An event of the conversation."""
        if self.plug is not None and isinstance(event, Allowed):
            self.plug.show("C")
        elif self.plug is not None and isinstance(event, Parted):
            self.plug.show("B")
            self._v2g = None
        self._event(event)

    def plug_event(self, event: Any) -> None:
        """An event of the pilot, or of SLAC."""
        if isinstance(event, HighLevelAsked):
            if not event.asked and self._v2g is not None:
                self._v2g(Halt("the pilot no longer asks for it", emergency=True))
            self._watch(event)
        elif isinstance(event, _SLAC):
            self._watch(event)
        elif self._v2g is None:
            self._event(event)
