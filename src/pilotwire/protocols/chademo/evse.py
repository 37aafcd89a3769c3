"""The charger's end of CHAdeMO 1.x and 2.0 with V2X: an `EvseLink` whose units are `CanFrame` and `Pin`.

    unplugged → authorize → wake (d1) → negotiate → lock → insulation → discharged → vehicle contactors (d2)
      → output contactor → power → current down → contactors open → voltage down → unlock → over → unplugged

Each phase has one condition to go on and at most one timer (`PHASES`). A stop (`evse_rules.STOPS`, a command, a timer)
turns the output off first, then sets 109.5.5, then goes down the second half; an emergency takes d1 and d2 away at
once. The charger decides which way power flows: a negative `Offer.setpoint_mw` takes it out of a vehicle that can give.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, Literal

import msgspec

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
    Limits,
    LockAsked,
    Locked,
    Measured,
    Needs,
    Offer,
    Pause,
    Requested,
    Resume,
    Side,
    Stop,
)

from . import evse_frames
from .config import ChademoEvseConfig
from .engine import End
from .evse_rules import STOPS, Stage, StopRule, stop_of
from .flow import goal_ma, slewed
from .frames import LIMITS, MAKER, OF_EV, STATUS, TIMES
from .pins import Pin

Phase = Literal[
    "unplugged", "authorize", "wake", "negotiate", "lock", "insulation", "discharged", "vehicle contactors",
    "output contactor", "power", "current down", "contactors open", "voltage down", "unlock", "over",
]  # fmt: skip
ENDING: Final = frozenset({"current down", "contactors open", "voltage down", "unlock", "over"})
SAFE_MA: Final = 5_000
"""What contactors may cut."""
EMPTY_MV: Final = 10_000
"""Below it the plug may be unlocked; and before the insulation test nothing may be there."""
TESTED_MV: Final = 20_000
"""The output must have fallen below this after the insulation test."""


class ChademoEvse(End):
    """A charger's end. Commands that mean nothing to CHAdeMO are ignored."""

    side = "evse"
    theirs = OF_EV
    drives = frozenset({"d1", "d2"})

    def __init__(self, config: ChademoEvseConfig = ChademoEvseConfig()) -> None:  # noqa: B008 - frozen
        super().__init__(config.babble_frames)
        self.config = config
        self.offer: Offer | None = None
        self.measured = Measured()
        self.locked = False
        self.closed = False
        self._paused = False
        self._fresh()

    def _fresh(self) -> None:
        """No session: the next vehicle is authorised anew."""
        self.phase: Phase = "unplugged"
        self.accepted = False
        self.isolation: Isolation | None = None
        self.v2h_sequence: int | None = None
        """The agreed charge and discharge sequence number; None: the vehicle has sent no 201, V2H 1.0 is assumed."""
        self.asked_ma = 0
        self.malfunction = False
        self.system_malfunction = False
        self.incompatible = False
        self.charging = False
        self.emergency = False
        self.stopping = False
        self.until: int | None = None
        """When the vehicle's longest charging time is over."""
        self.frozen_ma: int | None = None
        """108.3 of a vehicle that does not know dynamic control: it stays what it was when power began."""
        self.seen: set[int] = set()
        """Frames that have come."""
        self.heard.clear()
        self.pins["k"] = False
        self._status_frames = 0
        self._stage = Stage(False, False, False)
        self._asked_at = 0
        self._told: Requested | None = None
        self._limits: Limits | None = None
        self._needs: Needs | None = None
        self._end_as: Ended | None = None

    # ── what is agreed ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def dynamic(self) -> bool:
        """Both ends know dynamic control: the available current may change while power flows."""
        return self.config.version >= 2 and bool(self.heard.get("dynamic_control"))

    @property
    def high_current(self) -> bool:
        """Both ends know extended current (more than 254 A)."""
        return self.config.version >= 2 and bool(self.heard.get("high_current_control"))

    @property
    def discharges(self) -> bool:
        """Both ends can turn the flow round (102.5.7 and 109.4.0)."""
        return self.config.discharge and bool(self.heard.get("vehicle_discharge_compatible"))

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
            self._stop(StopRule(holds=_never, words="the bus to the vehicle is gone", rule="CAN",
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
            self._stop(StopRule(holds=_never, words="the vehicle floods the bus", rule="CAN",
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

    # ── stops ────────────────────────────────────────────────────────────────────────────────────────────────────────

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
            self._stop(StopRule(holds=_never, words=words, rule=rule, code=code, emergency=True, by=by))
        self._advance()

    def _late(self, code: str, words: str, rule: str) -> None:
        """Something went wrong on the way down: the first reason stays, unless that was an orderly end."""
        by: Side = "ev" if code.startswith("EV") else "evse"
        self._event(Fault(code=code, by=by, text=words, rule=rule))
        if self._end_as is not None and self._end_as.ok:
            self._end_as = Ended(reason=f"{self._end_as.reason}; then: {words} ({rule})", by=by, ok=False)

    # ── flow ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _tick(self) -> None:
        if self.phase == "power":
            self._follow(rising=True)
        for frame in evse_frames.cycle(self, self._now):
            self._send(frame)

    def _say(self) -> None:
        """109 outside of the cycle: what has changed is to be known at once."""
        if self._cycle is not None:
            self._send(evse_frames.status(self, self._now))

    def _follow(self, *, rising: bool = False) -> None:
        """Sets the output: less at once, more by the slew rate."""
        if self.phase != "power" or self.offer is None:
            return
        goal = 0 if self._paused else goal_ma(
            self.heard, self.offer, self.measured.mv, extended=self.high_current, discharge=self.discharges
        )  # fmt: skip
        passed = self._now - self._asked_at if rising else 0
        self.asked_ma = slewed(self.asked_ma, goal, passed)
        if rising:
            self._asked_at = self._now
        target = self.heard.get("target_battery_voltage") or 0
        mv = target if self.offer.max_mv is None else min(target, self.offer.max_mv)
        self._set(Requested(mv=mv, ma=self.asked_ma))

    def _set(self, requested: Requested) -> None:
        self.asked_ma = requested.ma
        if requested != self._told and (self._told is not None or requested.mv):
            self._told = requested
            self._event(requested)

    def _tell(self) -> None:
        """Limits and needs, when they are new."""
        if not {LIMITS, TIMES, STATUS} <= self.seen:
            return
        heard, gives = self.heard, self.discharges
        limits = Limits(
            service="DC_BPT" if gives else "DC",
            max_mv=heard["maximum_battery_voltage"] or None,
            min_mv=heard["minimum_battery_voltage"] or None,
            min_ma=heard["minimum_charge_current"] or None,
            max_discharge_ma=heard.get("maximum_discharge_current") if gives else None,
            capacity_wh=heard["battery_capacity"] or None,
            min_soc=heard.get("minimum_discharge_level") if gives else None,
        )
        if limits != self._limits:
            self._limits = limits
            self._event(limits)
        believed = self._status_frames > self.config.ignored_soc_frames
        needs = Needs(
            soc=min(heard["charged_rate"], 1_000) if believed else None,
            remaining_ms=heard["estimated_time"] or None,
        )
        if needs != self._needs:
            self._needs = needs
            self._event(needs)

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


class PhaseRule(msgspec.Struct, frozen=True):
    """One phase: what it waits for, how long, and what comes then."""

    done: Callable[[ChademoEvse], bool]
    then: Phase
    timer: str = ""


def _never(*_: object) -> bool:
    """For reasons that no table finds."""
    return False


def _own(words: str, rule: str, *, code: str = "", emergency: bool = False) -> StopRule:
    return StopRule(holds=_never, words=words, rule=rule, code=code, emergency=emergency, by="evse")


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


_has_started: Final = frozenset({LIMITS, TIMES, STATUS})
PHASES: Final[dict[str, PhaseRule]] = {
    "authorize": PhaseRule(lambda end: end.accepted and end.offer is not None, "wake"),
    "wake": PhaseRule(
        lambda end: end.seen >= _has_started,
        "negotiate", "CAN start",
    ),
    "negotiate": PhaseRule(
        lambda end: end.pins["k"] and bool(end.heard.get("vehicle_charging_enabled")), "lock", "vehicle permission"
    ),
    "lock": PhaseRule(lambda end: end.locked, "insulation", "connector lock"),
    "insulation": PhaseRule(lambda end: end.isolation is not None, "discharged", "insulation test"),
    "discharged": PhaseRule(lambda end: end.measured.mv < TESTED_MV, "vehicle contactors", "output discharged"),
    "vehicle contactors": PhaseRule(
        lambda end: not end.heard["vehicle_contactor_open"], "output contactor", "vehicle contactors"
    ),
    "output contactor": PhaseRule(lambda end: end.closed, "power", "output contactor"),
    "current down": PhaseRule(lambda end: abs(end.measured.ma) <= SAFE_MA, "contactors open", "current down"),
    "contactors open": PhaseRule(
        # Without d1 and d2 the vehicle's contactors have no current to hold them.
        lambda end: end.emergency or end.heard.get("vehicle_contactor_open") is not False, "voltage down",
        "vehicle contactors open",
    ),
    "voltage down": PhaseRule(lambda end: end.measured.mv <= EMPTY_MV, "unlock", "voltage down"),
    "unlock": PhaseRule(lambda end: not end.locked, "over", "connector lock"),
}  # fmt: skip
"""What each phase waits for; `power`, `unplugged` and `over` wait for nothing of their own."""
__all__ = ["ENDING", "PHASES", "STOPS", "ChademoEvse", "Phase"]
