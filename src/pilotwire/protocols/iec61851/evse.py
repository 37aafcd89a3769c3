"""The EVSE's end of the control pilot: basic charging (modes 2 and 3) as an `EvseLink`.

The carrier's units: `PilotLevel` is sent, `PilotSample` and `ProximitySample` are received. What there is beside the
pilot comes by commands: `Contactor`, `Locked`, `Measured`, and `Fault` for what others find (a residual current
device: MREC2GroundFailure, an emergency stop: MREC8EmergencyStop, heat: MREC19...).

It is level-triggered: after whatever came, `_settle` works out from the facts at hand what the pilot, the contactor
and the lock should be, and asks for the difference. So no order of events leaves energy on by oversight.

    energy is on when      a session is on, it is authorised, nothing is wrong, the plug is locked (where it can be),
                           the vehicle shows C (or D where there is ventilation) and the pilot oscillates
    it stays on            for 6 s when the oscillation stops and the vehicle has not yet gone to B

Beyond the events of `core.evse_link` it says `PhasesAsked`: the contactor of phases is to be set; nothing flows then
for ten seconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from pilotwire.core import evse_link as link
from pilotwire.core.machines import Send

from . import timers
from .contactor import Contact, ContactorControl, PlugLock
from .driver import PilotDriver
from .duty import DIGITAL, LEAST_MA, current, duty
from .errors import MREC
from .levels import STATE_E, STATE_F, X1, PilotLevel, PilotSample, pwm
from .meter import CurrentWatch, MeterWatch
from .proximity import Cable, ProximitySample, cable_of
from .reader import PilotReader

_LEAK_MA = 1_000
_WAKING: Final = ((X1, timers.STEP_X1.ms), (STATE_E, timers.STEP_EF.ms))
"""What is tried, one after the other, with a vehicle that sleeps."""


class PilotEvseConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the outlet is."""

    cable_ma: int | None = None
    """Of the attached cable; None: a socket, the plug's proximity contact says it."""
    lock: bool = False
    """The plug is locked while a session is on."""
    ventilation: bool = False
    """Vehicles that want ventilation (state D) are charged."""
    simplified_ma: int = 10_000
    """The most for a vehicle that never showed B (annex A, simplified pilot)."""
    wake_up: bool = True
    """Vehicles that sleep while they could charge are woken."""
    auto: bool = False
    """Who plugs in is let in: nobody is asked."""


class PhasesAsked(msgspec.Struct, frozen=True):
    """Set the contactor to so many phases; nothing flows now, nor for the next ten seconds."""

    phases: int


class PilotEvse:
    """The machine. `seen` is the vehicle's state, `level` what is driven, `contact` where the contactor is."""

    def __init__(self, config: PilotEvseConfig | None = None) -> None:
        self.config = config or PilotEvseConfig()
        self.reader = PilotReader()
        self.driver = PilotDriver()
        self.session = False
        self.authorized = False
        self.simplified = False
        self.faults: dict[str, link.Fault] = {}
        self.ignored = 0
        """Units that mean nothing here."""
        self.digital = False
        """High-level communication has the word: 5 %, and energy when it asks for it (`power`)."""
        self.power = False
        self.step: tuple[PilotLevel, int] | None = None
        """E, F or X1 for so many ms, whatever else is wanted (`toggle`)."""
        self._offer = link.Offer()
        self._cable: Cable | None = None
        """What the plug's proximity contact says; of a socket only."""
        self._contacts = ContactorControl()
        self._latch = PlugLock() if self.config.lock else None
        self._paused = False
        self._stop: link.Stop | None = None
        self._granted = False
        """Authorised before anybody plugged in; the next session has it."""
        self._over = False
        self._phases = 0
        self._phases_at: int | None = None
        self._energised = False
        """The contactor was closed in this session."""
        self._requested = 0
        self._c1_at: int | None = None
        self._b_at: int | None = None
        self._woken = 0
        self._step_until: int | None = None
        self._f_at: int | None = None
        self._shown: set[str] = set()
        """Faults for which the pilot has been at F long enough."""
        self._current = CurrentWatch()
        self._meter = MeterWatch()
        self._out: list[Any] = []

    # ── the machine's face ───────────────────────────────────────────────────────────────────────────────────────
    @property
    def seen(self) -> str | None:
        """The vehicle's state as it counts; `diode` and `range` are what is wrong with it."""
        return self.reader.seen

    @property
    def contact(self) -> Contact:
        """Where the contactor is, as far as is known."""
        return self._contacts.contact

    @property
    def level(self) -> PilotLevel:
        return self.driver.level

    @property
    def deadline(self) -> int | None:
        dues = (
            self.reader.deadline,
            self.driver.deadline,
            self._contacts.deadline,
            None if self._c1_at is None else self._c1_at + timers.LOAD_OFF.ms,
            None if self._b_at is None else self._b_at + timers.WAKE_UP.ms,
            self._step_until,
            self._phases_at,
            self._unlock_due(),
            None if self._f_at is None or self._shown >= set(self.faults) else self._f_at + timers.STATE_F.ms,
            self._current.deadline,
        )
        return min((due for due in dues if due is not None), default=None)

    def receive(self, data: Any, now: int) -> Sequence[Any]:
        if isinstance(data, PilotSample):
            before = self.reader.seen
            if self.driver.tells and self.reader.sample(data, now):
                self._changed(before, now)
        elif isinstance(data, ProximitySample):
            self._proximity_is(data, now)
        else:
            self.ignored += 1
        return self._settle(now)

    def elapse(self, now: int) -> Sequence[Any]:
        before = self.reader.seen
        if self.driver.tells and self.reader.elapse(now):
            self._changed(before, now)
        wrong, rule = self._contacts.late(now)
        if wrong:
            self._raise("MREC17EVSEContactorFault", "evse", wrong, rule)
        if self._current.exceeded(now):
            wrong = "more than 110 % of what the pilot grants"
            self._raise("MREC4OverCurrentFailure", "ev", wrong, timers.OVER_CURRENT.name)
        if self._step_until is not None and now >= self._step_until:
            self.step = self._step_until = None
        if self._phases_at is not None and now >= self._phases_at:
            self._phases, self._phases_at = self._offer.phases, None
        return self._settle(now)

    def lost(self, now: int) -> Sequence[Any]:
        """The pilot is gone: nothing may flow, the session is over. It is an unplugging if A was just shown."""
        if "A" in (self.reader.seen, self.reader.coming):
            self._unplugged()
        elif self.session or self.contact != "open":
            self._raise("MREC14PilotFault", "evse", "the pilot's electronics do not answer")
            if self.session:
                self._end("the pilot's electronics are gone", "evse", ok=False)
        self.reader.forget()
        return self._settle(now)

    def command(self, command: Any, now: int) -> Sequence[Any]:
        if isinstance(command, link.Offer):
            self._offer = command
        elif isinstance(command, link.Authorize):
            self._authorize(command)
        elif isinstance(command, link.Contactor):
            self._contactor_is(command.closed, now)
        elif isinstance(command, link.Locked):
            self._lock_is(command.locked)
        elif isinstance(command, link.Measured):
            self._measured(command, now)
        elif isinstance(command, link.Pause):
            self._paused = True
        elif isinstance(command, link.Resume):
            self._paused = self._contacts.told = False
            self.faults = {code: fault for code, fault in self.faults.items() if self._of_vehicle(code)}
        elif isinstance(command, link.Stop):
            self._stop = command if self.session else None
        elif isinstance(command, link.Fault):
            self._raise(command.code, "evse", command.text, command.rule, tell=False)
        return self._settle(now)

    def toggle(self, level: PilotLevel, ms: int, now: int) -> Sequence[Any]:
        """Drives E, F or X1 for `ms`, then goes on: a vehicle is woken, or matching begins anew."""
        self.step, self._step_until = (level, ms), None
        return self._settle(now)

    # ── what came ────────────────────────────────────────────────────────────────────────────────────────────────
    def _changed(self, before: str | None, now: int) -> None:
        seen = self.reader.seen
        if seen == "A":
            self._unplugged()
        elif seen == "diode":
            self._raise("MREC14PilotFault", "ev", "the vehicle's diode is missing", "A.2.2")
        elif seen == "range":
            self._raise("MREC14PilotFault", "ev", "the pilot's voltage belongs to no state", "table A.2")
        elif seen == "E":
            if self.session:
                self._out.append(self._fault("MREC14PilotFault", "ev", "the pilot is shorted", "table A.2"))
        elif seen == "D" and not self.config.ventilation:
            self._begin(before)
            self._out.append(self._fault("MREC10InvalidVehicleMode", "ev", "it wants ventilation; there is none"))
        else:
            self._begin(before)
        ready = seen in ("C", "D")
        if not ready and before in ("C", "D") and seen == "B" and self.driver.oscillates and self._wanted_ma():
            self._out.append(link.Paused("ev"))
        if seen != "B" or before in ("C", "D"):
            self._b_at = None
        if ready:
            self._woken = 0

    def _begin(self, before: str | None) -> None:
        if self.session or self._over:
            return
        self.session, self.authorized, self._granted = True, self.config.auto or self._granted, False
        self._stop, self._paused, self._woken = None, False, 0
        self.simplified = self.reader.seen in ("C", "D") and before in (None, "A")
        self._phases, self._energised = 0, False
        self._out.append(link.Connected(protocol="iec61851"))
        if self._cable_limit() is not None:
            self._out.append(link.Limits(service="AC", max_ma=self._cable_limit()))
        if not self.authorized:
            self._out.append(link.AuthorizationAsked(by="external"))

    def _unplugged(self) -> None:
        wrong = any(self._of_vehicle(code) for code in self.faults)
        if self.session:
            self._end("the vehicle was unplugged", "ev", ok=not wrong)
        self.faults = {code: fault for code, fault in self.faults.items() if not self._of_vehicle(code)}
        self._over = self.simplified = False
        self._c1_at = self._b_at = None
        self._current.forget()
        self._phases_at = self.step = self._step_until = None
        self._cable = None

    def _end(self, reason: str, by: link.Side, *, ok: bool = True) -> None:
        self.session = self.authorized = self.power = False
        self._stop, self._paused, self._requested = None, False, 0
        self._out.append(link.Ended(reason=reason, by=by, ok=ok))

    def _authorize(self, command: link.Authorize) -> None:
        if self.session:
            self.authorized = command.accepted
            return
        self._granted = command.accepted
        if command.accepted and self._over and self.reader.seen in ("B", "C", "D"):
            self._over = False
            self._begin("B")

    def _proximity_is(self, sample: ProximitySample, now: int) -> None:
        if self.config.cable_ma is not None:
            return
        cable = cable_of(sample.ohm)
        if cable == "open":
            self._cable = None
            if not self.driver.tells:  # in F nothing else tells of the plug
                self.reader.forget()
                self._unplugged()
        elif cable == "fault":
            self._cable = Cable(0, 0)
            self._raise("MREC23ProximityFault", "ev", f"{sample.ohm} ohm is no cable's code", "table B.2")
        else:
            before, self._cable = self._cable, cable
            if cable != before and self.session:
                self._out.append(link.Limits(service="AC", max_ma=self._cable_limit()))

    def _contactor_is(self, closed: bool, now: int) -> None:
        wrong = self._contacts.answer(closed, now)
        self._energised = self._energised or self.contact == "closed"
        if wrong:
            if closed:
                self._out.append(link.ContactorAsked(False))
            self._raise("MREC17EVSEContactorFault", "evse", wrong)

    def _lock_is(self, locked: bool) -> None:
        wrong = "" if self._latch is None else self._latch.answer(locked)
        if wrong:
            self._raise("MREC1ConnectorLockFailure", "evse", wrong)

    def _unlock_due(self) -> int | None:
        if self._f_at is None or self._latch is None or not self._latch.asked or self.contact != "open":
            return None
        return self._f_at + timers.UNLOCK_F.ms

    def _measured(self, measured: link.Measured, now: int) -> None:
        wrong = self._meter.reading(measured, now)
        if wrong:
            self._out.append(self._fault("PowerMeterFailure", "evse", wrong))
        if self.contact == "open" and measured.ma > _LEAK_MA and now >= self._contacts.at + timers.CLOSE.ms:
            self._raise("MREC17EVSEContactorFault", "evse", "current flows though the contactor is open")
        if self.contact == "closed" and not self.digital:
            self._current.measured(measured.ma, now)
        else:
            self._current.forget()

    # ── what is wrong ────────────────────────────────────────────────────────────────────────────────────────────
    @staticmethod
    def _of_vehicle(code: str) -> bool:
        return code in MREC and MREC[code].unplug

    @staticmethod
    def _fault(code: str, by: link.Side, text: str, rule: str = "") -> link.Fault:
        return link.Fault(code=code, by=by, text=text, rule=rule)

    def _raise(self, code: str, by: link.Side, text: str, rule: str = "", *, tell: bool = True) -> None:
        """Something is wrong; what stops energy stays so until it is over (`faults`)."""
        if code in self.faults:
            return
        fault = self._fault(code, by, text, rule)
        if code not in MREC or MREC[code].effect == "stop":
            self.faults[code] = fault
        if tell:
            self._out.append(fault)

    # ── what is to be done ───────────────────────────────────────────────────────────────────────────────────────
    def _cable_limit(self) -> int | None:
        if self.config.cable_ma is not None or self._cable is None:
            return self.config.cable_ma
        return self._cable.single_ma if self._offer.phases == 1 else self._cable.max_ma

    def _most_ma(self) -> int:
        """What may flow at most: the offer, the cable, the vehicle's kind."""
        ma, cable = self._offer.max_ma, self._cable_limit()
        if cable is not None:
            ma = min(ma, cable)
        elif self.config.lock:
            ma = 0  # a socket that does not know its cable gives nothing
        return min(ma, self.config.simplified_ma) if self.simplified else ma

    def _wanted_ma(self) -> int:
        """What the pilot is to grant; 0: no oscillation."""
        if not self.session or not self.authorized or self.faults or self._paused or self._stop or self._switching():
            return 0
        ma = self._most_ma()
        return ma if ma >= LEAST_MA else 0

    def _held_back(self) -> bool:
        """A session that might go on, were it not for the EVSE."""
        on = self.session and self.authorized and self._stop is None
        return on and (self._paused or self._most_ma() < LEAST_MA)

    def _switching(self) -> bool:
        return not self.digital and (self._phases_at is not None or self._phases != self._offer.phases)

    def _wanted_level(self, now: int) -> tuple[PilotLevel, int]:
        if self.faults:
            lasting = any(not self._of_vehicle(code) for code in self.faults)
            if self._f_at is not None and now >= self._f_at + timers.STATE_F.ms:
                self._shown |= set(self.faults)
            return (STATE_F, timers.STATE_F.ms) if lasting or not self._shown >= set(self.faults) else (X1, 0)
        self._shown.clear()
        if self._stop is not None and self._stop.emergency:
            return STATE_F, timers.STATE_F.ms
        if self.step is not None:
            return self.step
        if self.reader.seen == "E":
            return X1, 0
        if self.digital:
            return (pwm(DIGITAL) if self.session and not self._stop else X1), 0
        return pwm(duty(self._wanted_ma())), 0

    def _may_close(self, now: int) -> bool:
        ready = self.reader.seen == "C" or (self.reader.seen == "D" and self.config.ventilation)
        if not self.session or self.faults or not ready:
            return False
        if self._latch is not None and not self._latch.locked:
            return False
        if self._stop is not None and self._stop.emergency:
            return False
        if self.digital:
            return self.power and self.driver.oscillates
        if self.driver.oscillates:
            return self.authorized
        return self._c1_at is not None and now < self._c1_at + timers.LOAD_OFF.ms

    def _settle(self, now: int) -> Sequence[Any]:
        self._phase_switch(now)
        self._drive(now)
        self._contactor(now)
        self._phase_switch(now)
        self._drive(now)
        self._finish(now)
        self._lock(now)
        self._wake(now)
        out, self._out = self._out, []
        return out

    def _drive(self, now: int) -> None:
        wanted, hold_ms = self._wanted_level(now)
        oscillated, told = self.driver.oscillates, self.driver.tells
        level = self.driver.want(wanted, now, hold_ms)
        if self.step is not None and self._step_until is None and self.driver.level == self.step[0]:
            self._step_until = now + self.step[1]
        if level is not None:
            self._out.append(Send(level))
            self._current.grant(current(level.duty), now)
            if told != self.driver.tells:
                self.reader.forget()
        self._f_at = None if self.driver.level.drive != "negative" else self._f_at or now
        if self.driver.oscillates or self.reader.seen not in ("C", "D") or not self._contacts.on:
            self._c1_at = None
        elif oscillated and self.driver.level == X1:
            self._c1_at = now
        if self.driver.oscillates and not oscillated and self.config.wake_up and not self.digital:
            self._b_at = now
        elif not self.driver.oscillates:
            self._b_at = None

    def _contactor(self, now: int) -> None:
        close = self._may_close(now)
        if self._contacts.ask(close, now):
            self._out.append(link.ContactorAsked(close))
            if not close:
                self._c1_at = None
                if self._held_back():
                    self._out.append(link.Paused("evse"))
        ma = self._current.granted_ma if close and self.driver.oscillates and not self.digital else 0
        if ma != self._requested:
            self._requested = ma
            self._out.append(link.Requested(ma=ma))

    def _phase_switch(self, now: int) -> None:
        if not self.session or self.digital or self._phases == self._offer.phases or self._phases_at is not None:
            return
        if self.contact != "open" or self.driver.oscillates:
            return
        self._out.append(PhasesAsked(self._offer.phases))
        if self._energised:
            self._phases_at = now + timers.PHASES.ms
        else:
            self._phases = self._offer.phases

    def _finish(self, now: int) -> None:
        stop = self._stop
        if stop is not None and self.session and self.contact == "open":
            self._over = True
            self._end(stop.reason or "the EVSE ended it", "evse", ok=not stop.emergency)
            if not stop.emergency and self.reader.seen in ("B", "C", "D"):
                self._out.append(link.AuthorizationAsked(by="external"))  # the plug is still in
            self._drive(now)

    def _lock(self, now: int) -> None:
        if self._latch is None:
            return
        lock = self.session and self.reader.seen != "E"
        if self._f_at is not None and now >= self._f_at + timers.UNLOCK_F.ms:
            lock = False
        if (lock or self.contact == "open") and self._latch.ask(lock):
            self._out.append(link.LockAsked(lock))

    def _wake(self, now: int) -> None:
        if self._b_at is None or now < self._b_at + timers.WAKE_UP.ms:
            return
        self._b_at = None
        self._woken += 1
        if self._woken <= len(_WAKING):
            self.step, self._step_until = _WAKING[self._woken - 1], None
            self._drive(now)
