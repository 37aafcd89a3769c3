"""One plug: the control pilot and SLAC beside each other, each with its runner, and what they say to one another.

    plug = EvsePlug(scheduler, HighLevel(...), SlacEvse(...), drive=..., frame=..., event=...)
    plug.pilot.received(sample)      what is measured on the pilot;  drive(level): what it is to be driven to
    plug.slac.received(frame)        what came on the power line;    frame(bytes): what is to go out there
    plug.command(command)            what the station wants, and what the link's own ContactorAsked wants
    event(...)                       the pilot's events (`PilotEvse`, `HighLevel`), SLAC's, and `Identified` by the
                                     address of the vehicle's modem; at `LinkUp(True)` V2G may begin

`EvPlug` is the vehicle's: `PilotEv` and `SlacEv`, with `show` for what a conversation over V2G wants shown.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pilotwire.core.evse_link import Identified
from pilotwire.core.runner import Runner
from pilotwire.core.time import Scheduler, Timer
from pilotwire.protocols.iec61851.ev import HighLevelAsked, PilotEv, ShowState
from pilotwire.protocols.iec61851.high_level import (
    HighLevel,
    LinkFailed,
    Matched,
    MatchingAsked,
    NoMatch,
    PilotState,
    Step,
)
from pilotwire.protocols.slac import events as slac
from pilotwire.protocols.slac.ev import SlacEv
from pilotwire.protocols.slac.evse import SlacEvse

Out = Callable[[Any], None]


class EvsePlug:
    """The EVSE's plug."""

    def __init__(
        self, scheduler: Scheduler, pilot: HighLevel, matching: SlacEvse, *, drive: Out, frame: Out, event: Out
    ) -> None:
        self.pilot = Runner(pilot, scheduler, send=drive, event=self._of_pilot)
        self.slac = Runner(matching, scheduler, send=frame, event=self._of_slac)
        self._event = event
        self._state = "A"

    def command(self, command: Any) -> None:
        """To the pilot: whatever an `EvseLink` takes, and what `HighLevel` takes beside it."""
        self.pilot.command(command)

    def v2g_failed(self, reason: str, *, comeback: bool = False) -> None:
        """The conversation failed: AC falls back to basic charging; `comeback`: it is tried again over E."""
        self.command(LinkFailed(reason, comeback=comeback))

    def lost(self) -> None:
        """The hardware is gone."""
        self.pilot.lost()
        self.slac.lost()

    def stop(self) -> None:
        """Nothing more is to be done."""
        self.pilot.stop()
        self.slac.stop()

    def _of_pilot(self, event: Any) -> None:
        if isinstance(event, MatchingAsked):
            self.slac.command(slac.Begin() if event.asked else slac.Leave())
        elif isinstance(event, PilotState):
            before, self._state = self._state, event.state
            if (before, event.state) == ("B", "C"):
                self.slac.command(slac.Toggled())
        self._event(event)

    def _of_slac(self, event: Any) -> None:
        if isinstance(event, slac.StepWanted):
            self.pilot.command(Step())
        elif isinstance(event, slac.Matched):
            self.pilot.command(Matched())
            self._event(Identified(mac=event.mac.hex(":")))
        elif isinstance(event, slac.GivenUp):
            self.pilot.command(NoMatch(event.talked))
        self._event(event)


class EvPlug:
    """The vehicle's plug."""

    def __init__(
        self, scheduler: Scheduler, pilot: PilotEv, matching: SlacEv, *, load: Out, frame: Out, event: Out
    ) -> None:
        self.pilot = Runner(pilot, scheduler, send=load, event=self._of_pilot)
        self.slac = Runner(matching, scheduler, send=frame, event=self._of_slac)
        self._scheduler = scheduler
        self._event = event
        self._toggles: list[Timer] = []

    def start(self) -> None:
        """The plug is in."""
        self.pilot.start()

    def command(self, command: Any) -> None:
        """To the pilot: whatever an `EvLink` takes. It counts once it is basic charging."""
        self.pilot.command(command)

    def show(self, state: Any) -> None:
        """What V2G wants shown: B, C or D."""
        self.pilot.command(ShowState(state))

    def lost(self) -> None:
        """The plug was pulled."""
        self._still()
        self.slac.command(slac.Leave())
        self.slac.stop()
        self.pilot.lost()

    def _still(self) -> None:
        for timer in self._toggles:
            timer.cancel()
        self._toggles.clear()

    def _of_pilot(self, event: Any) -> None:
        if isinstance(event, HighLevelAsked):
            self._still()
            if event.asked:
                self.slac.start()
            else:
                self.slac.command(slac.Leave())
        self._event(event)

    def _of_slac(self, event: Any) -> None:
        if isinstance(event, slac.TogglesWanted):
            self._still()
            for n in range(event.count):
                at = 2 * n * event.state_ms
                self._toggles.append(self._scheduler.call_later(at, lambda: self.show("C")))
                self._toggles.append(self._scheduler.call_later(at + event.state_ms, lambda: self.show("B")))
        self._event(event)
