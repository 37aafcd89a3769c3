"""How a charger's end stops: output off first, then the reason, then the vehicle, then everything open."""

from __future__ import annotations

from typing import Final

from pilotwire.core.evse_link import (
    Authorize,
    Connected,
    Ended,
    Fault,
    Isolation,
    Requested,
    Side,
    Stop,
)

from . import evse_frames
from .evse_rules import Stage, StopRule, stop_of
from .evse_state import ENDING, EvseState


class EvseStops(EvseState):
    """The way down, from whatever phase."""

    def _watch(self) -> None:
        """Looks for a reason to stop."""
        if self.phase in ("unplugged", "authorize", "over"):
            return
        if self.heard.get("target_battery_voltage") and not self._stage.targeted:
            self._stage = Stage(self._stage.permitted, self._stage.closed, True)
        stage = self._stage
        if self.phase in ENDING:
            # The vehicle takes everything back now, as it should; only what makes it an emergency matters.
            stage = Stage(False, False, False)
        found = stop_of(self.heard, self.pins, stage)
        if self.phase in ENDING:
            orderly = self._end_as is not None and self._end_as.ok
            if found is not None and ((found.code and orderly) or (found.emergency and not self.emergency)):
                self._stop(found)
        elif found is not None:
            self._stop(found)
        else:
            self._watch_own()

    def _watch_own(self) -> None:
        if self._cycle is not None and not self.charging and not self._fits():
            self.incompatible = True
            words = "the battery does not fit: its voltage is out of the charger's reach"
            self._own_fault("EVIncompatible", words, "109.5.3", own=False)
            return
        threshold = evse_frames.threshold_mv(self)
        if self.charging and threshold and self.measured.mv > threshold:
            self._own_fault("OverVoltage", f"{self.measured.mv} mV at the outlet, over the threshold", "108.4-5")

    def _fits(self) -> bool:
        """The compatibility check: the battery's voltages and what the charger reaches."""
        target = self.heard.get("target_battery_voltage") or 0
        highest = self.heard.get("maximum_battery_voltage") or 0
        offer = self.offer
        return offer is None or not ((offer.max_mv is not None and target > offer.max_mv) or 0 < highest < offer.min_mv)

    def _authorized(self, command: Authorize) -> None:
        self.accepted = command.accepted
        if command.accepted and self.phase == "over" and self.pins["proximity"]:
            self._fresh()
            self.accepted = True
            self._event(Connected(protocol="chademo2" if self.config.version >= 2 else "chademo1"))
            self._enter("authorize")
        elif not command.accepted and self.phase == "authorize":
            self._event(Ended(reason=f"not authorised: {command.reason or 'refused'}", by="evse", ok=False))
            self.phase = "over"
        elif not command.accepted and self.phase not in ("unplugged", "over", *ENDING):
            self._stop(_own(f"authorisation withdrawn: {command.reason or 'refused'}", "109.5.5"))

    def _commanded(self, stop: Stop) -> None:
        if self.phase in ("unplugged", "over"):
            return
        if self.phase == "authorize":
            self._event(Ended(reason=f"stopped by the station: {stop.reason or 'no reason given'}", by="evse"))
            self.phase = "over"
            return
        words = f"stopped by the station: {stop.reason or 'no reason given'}"
        code = "EmergencyStop" if stop.emergency else ""
        self._stop(_own(words, "109.5.5", code=code, emergency=stop.emergency))

    def _station_fault(self, fault: Fault) -> None:
        if self.phase in ("unplugged", "authorize", "over"):
            return
        self._own_fault(fault.code, fault.text or fault.code, fault.rule or "109.5.1", tell=False)

    def _tested(self, isolation: Isolation) -> None:
        if self.phase != "insulation":
            return
        if isolation.status == "fault":
            self._own_fault("CableCheckFault", "the insulation test failed", "A.7.2")
        else:
            self.isolation = isolation

    def _contactor(self, closed: bool) -> None:
        was, self.closed = self.closed, closed
        if was and not closed and self.phase == "power":
            self._own_fault("ContactorFault", "the output contactor opened under load", "109.5.1")

    def _own_fault(self, code: str, words: str, rule: str, *, own: bool = True, tell: bool = True) -> None:
        if own:
            self.malfunction = True
        else:
            self.system_malfunction = True
        self._stop(_own(words, rule, code=code, emergency=True), tell=tell)

    def _stop(self, why: StopRule, *, tell: bool = True) -> None:
        """Output off first; then the reason is told, then the vehicle; then down in order, or at once."""
        starting = self.phase not in ENDING
        self._set(Requested())
        if starting:
            self._end_as = Ended(reason=f"{why.words} ({why.rule})", by=why.by, ok=not why.code)
        elif why.code and self._end_as is not None and self._end_as.ok:
            self._end_as = Ended(reason=f"{why.words} ({why.rule})", by=why.by, ok=False)
        if why.code and tell and (starting or not self.emergency):
            self._event(Fault(code=why.code, by=why.by, text=why.words, rule=why.rule))
        if why.code and why.by == "ev":
            self.system_malfunction = True
        self.stopping = True
        self._say()
        if why.emergency:
            self.emergency = True
            self._switch("d2", False)
            self._switch("d1", False)
        if starting:
            powered = self.closed or self.phase in ("output contactor", "power")
            met = self.phase in ("vehicle contactors", "output contactor", "power")
            if self.phase == "wake":
                self._enter("voltage down")
            else:
                self._enter("current down" if powered or met else "voltage down")
        self._disarm("charging time", "vehicle frames")

    def _expired(self, name: str) -> None:
        if name == "charging time":
            self._stop(_own("the vehicle's longest charging time is over", "101.1-2"))
        elif name == "connector lock" and self.phase == "unlock":
            self._late("ConnectorLockFailure", "the plug could not be unlocked", "109.5.2")
            self._finish()
        elif name == "current down":
            self._late("OverCurrentFailure", "more than 5 A after the stop", "A.7.2.9")
            self._enter("contactors open")
        elif name == "vehicle contactors open":
            self._late("EVContactorWelded", "the vehicle did not say that its contactors are open", "102.5.3")
            self._enter("voltage down")
        elif name == "voltage down":
            self._late(
                "OverVoltage", "the voltage at the outlet did not fall below 10 V: the plug stays locked", "A.7.2"
            )
            self._finish()
        elif name in _LATE:
            code, words, rule, by = _LATE[name]
            self.malfunction = self.malfunction or by == "evse"
            self._stop(StopRule(holds=never, words=words, rule=rule, code=code, emergency=True, by=by))
        self._advance()

    def _late(self, code: str, words: str, rule: str) -> None:
        """Something went wrong on the way down: the first reason stays, unless that was an orderly end."""
        by: Side = "ev" if code.startswith("EV") else "evse"
        self._event(Fault(code=code, by=by, text=words, rule=rule))
        if self._end_as is not None and self._end_as.ok:
            self._end_as = Ended(reason=f"{self._end_as.reason}; then: {words} ({rule})", by=by, ok=False)


def never(*_: object) -> bool:
    """For reasons that no table finds."""
    return False


def _own(words: str, rule: str, *, code: str = "", emergency: bool = False) -> StopRule:
    return StopRule(holds=never, words=words, rule=rule, code=code, emergency=emergency, by="evse")


_LATE: Final[dict[str, tuple[str, str, str, Side]]] = {
    "CAN start": ("EVCommunicationError", "no frames of the vehicle within 6 s of d1", "CAN start", "ev"),
    "vehicle permission": ("EVPermissionTimeout", "the vehicle gave no charge permission", "pin 4 and 102.5.0", "ev"),
    "connector lock": ("ConnectorLockFailure", "the lock did not answer", "109.5.2", "evse"),
    "insulation test": ("CableCheckFault", "the insulation monitor did not answer", "A.7.2", "evse"),
    "output discharged": ("CableCheckFault", "20 V or more after the insulation test", "A.7.2", "evse"),
    "vehicle contactors": ("EVContactorTimeout", "the vehicle did not close its contactors", "102.5.3", "ev"),
    "output contactor": ("ContactorFault", "the output contactor did not close", "109.5.1", "evse"),
    "vehicle frames": ("EVCommunicationError", "no 102 for one second", "102", "ev"),
}
