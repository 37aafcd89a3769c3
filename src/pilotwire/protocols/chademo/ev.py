"""The vehicle's end of CHAdeMO 1.x and 2.0 with V2X: an `EvLink` whose units are `CanFrame` and `Pin`.

    plugged → greet (d1) → waiting → ready (k) → contactors (d2) → output → power
      → current down → open → weld → charger off → over

The request follows `Drive` by at most 20 A/s. Which way power flows, the charger decides; a vehicle that can give
says so (102.5.7, 200) and is told of what flows by `Flowing`, negative when it gives.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Final, Literal

import msgspec

from pilotwire.core.ev_link import (
    Allowed,
    Contacts,
    ContactsAsked,
    Drive,
    EvCommand,
    Flowing,
    Halt,
    Linked,
    Offered,
    Parted,
    Rest,
)
from pilotwire.core.evse_link import Fault, Offer
from pilotwire.core.machines import Send

from . import ev_frames
from .config import ChademoEvConfig
from .engine import End
from .ev_rules import EvStopRule, stop_of
from .flow import SLEW_MA_PER_MS
from .frames import CHARGER_LIMITS, CHARGER_STATUS, OF_EVSE
from .pins import Pin
from .timers import CYCLE_MS

EvPhase = Literal[
    "plugged",
    "greet",
    "waiting",
    "ready",
    "contactors",
    "output",
    "power",
    "current down",
    "open",
    "weld",
    "charger off",
    "over",
]
ENDING: Final = frozenset({"current down", "open", "weld", "charger off", "over"})
SAFE_MA: Final = 5_000
EMPTY_MV: Final = 10_000
DEVIATION_MA: Final = 10_000
"""More than requested by so much is a deviation."""
_BYTE_MA: Final = 254_000
_STEP_MA: Final = SLEW_MA_PER_MS * CYCLE_MS
FAULT_BITS: Final = {
    "OverVoltage": "battery_overvoltage",
    "UnderVoltage": "battery_undervoltage",
    "OverCurrentFailure": "battery_current_deviation",
    "EVBatteryTemperature": "high_battery_temperature",
    "EVVoltageDeviation": "battery_voltage_deviation",
}
"""Fault codes that have a bit of their own in 102.4; all others are 102.5.2."""


class ChademoEv(End):
    """A vehicle's end."""

    side = "ev"
    theirs = OF_EVSE
    drives = frozenset({"k"})

    def __init__(self, config: ChademoEvConfig = ChademoEvConfig()) -> None:  # noqa: B008 - frozen
        super().__init__(config.babble_frames)
        self.config = config
        self.drive = Drive()
        self.closed = False
        self.not_in_park = False
        self._fresh()

    def _fresh(self) -> None:
        self.phase: EvPhase = "plugged"
        self.faults: set[str] = set()
        """Signals of 102.4 and 102.5 that are set."""
        self.enabled = False
        self.told_open = True
        self.wants_stop = False
        self.asked_ma = 0
        self.statuses = 0
        """So many 102 have been sent."""
        self.seen: set[int] = set()
        self.heard.clear()
        self.pins["k"] = False
        self._offer: Offer | None = None
        self._flowing: Flowing | None = None
        self._opened_mv = 0
        self._part_as: Parted | None = None
        self._ready_seen = False
        self.emergency = False

    @property
    def extended(self) -> bool:
        """The request is in 110.1-2, since it does not fit into 102.3."""
        return self._high_current and self.asked_ma > _BYTE_MA

    @property
    def _high_current(self) -> bool:
        return self.config.version >= 2 and bool(self.heard.get("charger_high_current_control"))

    @property
    def discharges(self) -> bool:
        """Both ends can turn the flow round."""
        return self.config.discharge and bool(self.heard.get("charger_discharge_compatible"))

    @property
    def given_ma(self) -> int:
        """What it would give at most now (200.0)."""
        drive = self.drive
        if drive.soc <= self.config.minimum_level * 10:
            return 0
        most = drive.max_discharge_ma
        return (
            min(most, drive.max_discharge_mw * 1_000 // max(1_000, drive.present_mv))
            if drive.max_discharge_mw
            else most
        )

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
            self._stop(EvStopRule(holds=_never, words=words, rule="102.5.0", emergency=command.emergency,
                                  code="EmergencyStop" if command.emergency else "", by="ev"))  # fmt: skip
        elif isinstance(command, Rest):
            self._stop(EvStopRule(holds=_never, words="the vehicle pauses: CHAdeMO ends the session", rule="102.5.0",
                                  by="ev"))  # fmt: skip
        elif isinstance(command, Fault):
            self._fail(command.code, command.text or command.code, command.rule or "102.5.2", tell=False)
        self._advance()
        return self._end()

    def lost(self, now: int) -> list[Any]:
        """The carrier is gone."""
        self._begin(now)
        if self.phase not in ("plugged", "over"):
            self._stop(EvStopRule(holds=_never, words="the bus to the charger is gone", rule="CAN",
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

    # ── stops ────────────────────────────────────────────────────────────────────────────────────────────────────────

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
        self._stop(EvStopRule(holds=_never, words=words, rule=rule, code=code, emergency=True, by="ev"), tell=tell)

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
            self._switch("k", False)
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

    # ── flow ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _voltage(self) -> int:
        return self.heard.get("present_output_voltage") or 0

    @property
    def _present_ma(self) -> int:
        """What flows, as the charger says; negative: out of the battery."""
        given: int = self.heard.get("present_discharge_current") or 0
        if given:
            return -given
        byte: int = self.heard.get("present_output_current") or 0
        more: int = self.heard.get("extended_present_current") or 0
        return max(byte, more) if self._high_current else byte

    def _tick(self) -> None:
        self.statuses += 1
        if self.phase == "power":
            goal = self._wanted()
            step = max(-_STEP_MA, min(_STEP_MA, goal - self.asked_ma))
            self.asked_ma += step
        for frame in ev_frames.cycle(self):
            self._send(frame)

    def _wanted(self) -> int:
        drive = self.drive
        most = self.heard.get("available_output_current") or 0
        if self._high_current:
            most = max(most, self.heard.get("extended_available_current") or 0)
        wanted = min(drive.target_ma, drive.max_ma, most) if drive.ready else 0
        return max(0, wanted // 1_000 * 1_000)

    def _say(self) -> None:
        """102 outside of the cycle: what has changed is to be known at once."""
        if self._cycle is not None:
            self.statuses += 1
            self._send(ev_frames.status(self))

    def _tell(self) -> None:
        if not {CHARGER_LIMITS, CHARGER_STATUS} <= self.seen:
            return
        heard = self.heard
        most = heard["available_output_current"]
        if self._high_current:
            most = max(most, heard.get("extended_available_current") or 0)
        offer = Offer(
            max_mv=heard["available_output_voltage"],
            max_ma=most,
            max_discharge_ma=(heard.get("available_input_current") or 0) if self.discharges else 0,
        )
        if offer != self._offer:
            self._offer = offer
            self._event(Offered(offer=offer))
        flowing = Flowing(mv=self._voltage, ma=self._present_ma)
        if flowing != self._flowing:
            self._flowing = flowing
            self._event(flowing)

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


class EvPhaseRule(msgspec.Struct, frozen=True):
    """One phase: what it waits for, what comes then, and how long it waits."""

    done: Callable[[ChademoEv], bool]
    then: EvPhase
    timer: str = ""


def _never(*_: object) -> bool:
    return False


def _weld_over(end: ChademoEv) -> bool:
    """Nothing to test, or tested: in an emergency the charger may not bring its output down in order."""
    tested = not end.told_open and bool(end.heard.get("weld_detection_supported")) and not end.emergency
    return not tested or (end.heard.get("present_output_voltage") or 0) <= EMPTY_MV


_WELD_REST: Final = 1_000
_LATE: Final = {
    "charger frames first": ("ChargerCommunicationError", "no frames of the charger", "108 and 109"),
    "charger ready": ("ChargerTimeout", "the charger did not become ready", "pin 10"),
    "contactors": ("EVContactorFault", "the inlet's contactors did not close", "102.5.3"),
    "output start": ("ChargerTimeout", "the charger did not begin", "109.5.0"),
    "charger frames": ("ChargerCommunicationError", "no 109 for one second", "109"),
    "current deviation": ("OverCurrentFailure", "more current than requested for one second", "102.4.2"),
}
PHASES: Final[dict[str, EvPhaseRule]] = {
    "greet": EvPhaseRule(
        lambda end: {CHARGER_LIMITS, CHARGER_STATUS} <= end.seen, "waiting", "charger frames first"
    ),
    "waiting": EvPhaseRule(lambda end: end.drive.ready, "ready"),
    "ready": EvPhaseRule(lambda end: end.pins["d2"], "contactors", "charger ready"),
    "contactors": EvPhaseRule(lambda end: end.closed, "output", "contactors"),
    "output": EvPhaseRule(
        lambda end: bool(end.heard.get("charger_charging")) and not end.heard.get("charging_stop_control"),
        "power", "output start",
    ),
    "current down": EvPhaseRule(
        lambda end: abs(end.heard.get("present_output_current") or 0) <= SAFE_MA
        and (end.heard.get("present_discharge_current") or 0) <= SAFE_MA,
        "open", "current down",
    ),
    "open": EvPhaseRule(lambda end: not end.closed, "weld"),
    "weld": EvPhaseRule(_weld_over, "charger off"),
    "charger off": EvPhaseRule(lambda end: not end.pins["d1"] and not end.pins["d2"], "over", "charger off"),
}  # fmt: skip
"""What each phase waits for; `power` waits for nothing, `plugged` for d1."""
