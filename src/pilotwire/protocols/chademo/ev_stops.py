"""How a vehicle's end stops: the request goes to zero, the permission is taken back, the contactors open."""

from __future__ import annotations

from typing import Final

from pilotwire.core.ev_link import (
    Parted,
)
from pilotwire.core.evse_link import Fault

from .ev_rules import EvStopRule, stop_of
from .ev_state import DEVIATION_MA, EMPTY_MV, ENDING, FAULT_BITS, EvState
from .frames import CHARGER_LIMITS, CHARGER_STATUS


class EvStops(EvState):
    """The way down, from whatever phase."""

    def _watch(self) -> None:
        if self.phase in ("plugged", "over"):
            return
        powered = self.phase == "power"
        if self.phase in ENDING:
            # The charger takes d1 and d2 away now, as it should.
            if not self.pins["proximity"] and not self.emergency:
                self._fail("ChargerCommunicationError", "the plug was pulled", "pin 7")
            return
        found = stop_of(self.heard, self.pins, ready=self._ready_seen, powered=powered)
        if found is not None:
            self._stop(found)
            return
        highest, present = self.drive.max_mv, self.heard.get("present_output_voltage") or 0
        available = self.heard.get("available_output_voltage")
        if (
            self.phase == "greet"
            and {CHARGER_LIMITS, CHARGER_STATUS} <= self.seen
            and available
            and available < self.drive.target_mv
        ):
            self._fail("ChargerIncompatible", "the charger does not reach the battery's voltage", "108.1-2")
        elif powered and present > highest:
            self._fail("OverVoltage", f"{present} mV at the inlet", "102.4.0")

    def _deviation(self) -> None:
        """More current than was asked for, for a while (102.4.2)."""
        if self.phase != "power":
            self._disarm("current deviation")
            return
        flow = self._present_ma
        beyond = flow > self.asked_ma + DEVIATION_MA or -flow > self.given_ma + DEVIATION_MA
        if not beyond:
            self._disarm("current deviation")
        elif "current deviation" not in self._timers:
            self._arm("current deviation")

    def _contacts(self, closed: bool) -> None:
        was, self.closed = self.closed, closed
        if was and not closed and self.phase == "power":
            self._fail("EVContactorOpened", "the inlet's contactors opened under load", "102.5.3")
        elif closed and self.phase == "open":
            self._fail("EVContactorWelded", "the inlet's contactors stay closed", "102.5.2")
            self._enter("charger off")

    def _fail(self, code: str, words: str, rule: str, *, tell: bool = True) -> None:
        self.faults.add(FAULT_BITS.get(code, "charging_system_fault"))
        self._stop(EvStopRule(holds=never, words=words, rule=rule, code=code, emergency=True, by="ev"), tell=tell)

    def _stop(self, why: EvStopRule, *, tell: bool = True) -> None:
        """The request goes to zero, the permission is taken back, then the contactors open; in an emergency at once."""
        if self.phase in ("plugged", "over"):
            return
        starting = self.phase not in ENDING
        self.asked_ma = 0
        self.enabled = False
        self.wants_stop = self.wants_stop or (starting and why.by == "ev" and self.phase != "power")
        if starting:
            self._part_as = Parted(reason=f"{why.words} ({why.rule})", by=why.by, ok=not why.code)
        elif why.code and self._part_as is not None and self._part_as.ok:
            self._part_as = Parted(reason=f"{why.words} ({why.rule})", by=why.by, ok=False)
        if why.code and tell and (starting or not self.emergency):
            self._event(Fault(code=why.code, by=why.by, text=why.words, rule=why.rule))
        self._disarm("charger frames", "current deviation")
        self._say()
        if why.emergency and not self.emergency:
            self.emergency = True
            if starting or self.phase == "current down":
                self._enter("open")
        elif starting:
            self._enter("current down")

    def _expired(self, name: str) -> None:
        if name == "weld quarter":
            if self._voltage * 4 > self._opened_mv and self._voltage > EMPTY_MV:
                self._welded("more than a quarter of the voltage one second after the contactors opened")
            else:
                self._timers["weld end"] = self._now + _WELD_REST
        elif name == "weld end":
            self._welded("more than 10 V two seconds after the contactors opened")
        elif name == "current down":
            self._fail("OverCurrentFailure", "more than 5 A after the stop", "A.7.2.9")
        elif name == "contactors" and self.phase == "open":
            self._fail("EVContactorWelded", "the inlet's contactors did not open", "102.5.2")
            self._enter("charger off")
        elif name == "charger off":
            self._finish()
        elif name in _LATE:
            self._fail(*_LATE[name])
        self._advance()

    def _welded(self, words: str) -> None:
        self._fail("EVContactorWelded", words, "A.10.2.1")
        self._enter("charger off")


def never(*_: object) -> bool:
    return False


_WELD_REST: Final = 1_000
_LATE: Final = {
    "charger frames first": ("ChargerCommunicationError", "no frames of the charger", "108 and 109"),
    "charger ready": ("ChargerTimeout", "the charger did not become ready", "pin 10"),
    "contactors": ("EVContactorFault", "the inlet's contactors did not close", "102.5.3"),
    "output start": ("ChargerTimeout", "the charger did not begin", "109.5.0"),
    "charger frames": ("ChargerCommunicationError", "no 109 for one second", "109"),
    "current deviation": ("OverCurrentFailure", "more current than requested for one second", "102.4.2"),
}
