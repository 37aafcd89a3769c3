"""What the station says to the SECC of DIN SPEC 70121 and ISO 15118-2, and the output, which is off when in doubt."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from pilotwire.core.evse_link import (
    Authorize,
    Certificate,
    Contactor,
    ContactorAsked,
    EvseCommand,
    Fault,
    Isolation,
    LockAsked,
    Locked,
    Measured,
    Offer,
    Pause,
    ReceiptWanted,
    Renegotiate,
    Requested,
    Resume,
    Schedule,
    Side,
    Stop,
)

from .exchange import Exchange

CONTACTOR: Final = "EVSE_Contactor_Close"
STOPPING: Final = "NotificationMaxDelay"


class Heard(Exchange):
    """The last command of each kind counts, whenever it comes; what the output was asked for is remembered."""

    LIMITS: ClassVar[Mapping[str, int]]
    """ms of each timer, by its name."""

    def __init__(self) -> None:
        super().__init__()
        self.state = "SessionSetup"
        self._held: str | None = None
        """Whose answer waits for the station: the request's name."""
        # what the station has said
        self._offer: Offer | None = None
        self._schedules: dict[int, tuple[Schedule, int]] = {}
        self._authorized: Authorize | None = None
        self._isolation: Isolation | None = None
        self._contactor = False
        self._measured: Measured | None = None
        self._receipt_wanted = False
        self._pausing = False
        self._renegotiating = False
        self._stop: Stop | None = None
        self._fault: Fault | None = None
        # what was asked of it
        self._asked_closed = False
        self._asked_locked = False
        self._used = False
        """The output was set to something."""

    # ── what the station says ────────────────────────────────────────────────────────────────────────────────────────
    def command(self, command: EvseCommand, now: int) -> Sequence[Any]:
        if not self.over:
            handler = _COMMANDS.get(type(command))
            if handler is not None:
                getattr(self, handler)(command, now)
        return self._flush()

    def _on_offer(self, command: Offer, now: int) -> None:
        self._offer = command
        self._offer_changed(now)

    def _offer_changed(self, now: int) -> None:
        """AC follows it; DC asks for it with each request."""

    def _on_authorize(self, command: Authorize, now: int) -> None:
        self._authorized = command

    def _on_isolation(self, command: Isolation, now: int) -> None:
        self._isolation = command

    def _on_contactor(self, command: Contactor, now: int) -> None:
        self._contactor = command.closed
        if command.closed and self._held == "PowerDeliveryReq":
            self._held = None
            self._due.pop(CONTACTOR, None)
            self._power_on(now)
        elif not command.closed:
            if self._asked_closed and self.state in self.LOOP:
                self._contactor_lost(now)
            elif not self._asked_closed:
                self._due.pop(CONTACTOR, None)

    LOOP: ClassVar[frozenset[str]]
    """The states in which energy flows."""

    def _power_on(self, now: int) -> None:
        raise NotImplementedError

    def _contactor_lost(self, now: int) -> None:
        self._on_fault(
            Fault(code="EVSEContactorFault", by="evse", text="the contactor opened while energy flowed"), now
        )

    def _on_locked(self, command: Locked, now: int) -> None:
        if self._asked_locked and not command.locked and not self._fault:
            self._on_fault(Fault(code="ConnectorLockFailure", by="evse", text="the plug is not locked"), now)

    def _on_measured(self, command: Measured, now: int) -> None:
        self._measured = command

    def _on_schedule(self, command: Schedule, now: int) -> None:
        if command.id not in self._schedules and len(self._schedules) >= 3:
            del self._schedules[next(iter(self._schedules))]  # three are what a list may hold
        self._schedules[command.id] = (command, now)

    def _on_pause(self, command: Pause, now: int) -> None:
        self._pausing = True
        self._offer_changed(now)

    def _on_resume(self, command: Resume, now: int) -> None:
        self._pausing = False
        self._offer_changed(now)

    def _on_renegotiate(self, command: Renegotiate, now: int) -> None:
        if not command.service:  # to choose the service anew is of ISO 15118-20 alone
            self._renegotiating = self.state in self.LOOP

    def _on_receipt(self, command: ReceiptWanted, now: int) -> None:
        self._receipt_wanted = True

    def _on_certificate(self, command: Certificate, now: int) -> None:
        """Plug & Charge alone has a use for it."""

    def _on_stop(self, command: Stop, now: int) -> None:
        if self._stop is None or command.emergency:
            self._stop = command
            self._due.setdefault(STOPPING, now + self.LIMITS[STOPPING])
            if command.emergency:
                self._off()
                self._give_up_hold(now)

    def _on_fault(self, command: Fault, now: int) -> None:
        self._fault = command
        self._due.setdefault(STOPPING, now + self.LIMITS[STOPPING])
        self._off()
        self._effects.append(command)
        self._give_up_hold(now)

    def _give_up_hold(self, now: int) -> None:
        """What the vehicle waits for will not come."""
        if self._held is not None:
            name, self._held = self._held, None
            self._fail(name, self._refusal(name), self._why_stopping(), "stop", now, told=self._fault is not None)

    def _refusal(self, name: str) -> str:
        return "FAILED_PowerDeliveryNotApplied" if name == "PowerDeliveryReq" else "FAILED"

    def _why_stopping(self) -> str:
        if self._fault is not None:
            return self._fault.text or self._fault.code
        stop = self._stop
        if stop is None:
            return ""
        return stop.reason or ("emergency stop" if stop.emergency else "the station was told to stop")

    @property
    def _halting(self) -> bool:
        return self._stop is not None or self._fault is not None

    def _fail(
        self,
        request: str,
        response: str,
        text: str,
        clause: str,
        now: int,
        *,
        code: str = "",
        by: Side = "ev",
        told: bool = False,
        reason: str = "",
    ) -> None:
        """Output off, the answer that says why not, and the end. `told`: the fault was told before."""
        raise NotImplementedError

    # ── the output ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _off(self) -> None:
        """No voltage, no current, contactor open, plug free: whatever else is said comes after this."""
        self._zero()
        if self._asked_closed:
            self._asked_closed = False
            self._effects.append(ContactorAsked(False))
        if self._asked_locked:
            self._asked_locked = False
            self._effects.append(LockAsked(False))

    def _zero(self) -> None:
        if self._used:
            self._used = False
            self._effects.append(Requested())

    def _open(self, now: int) -> None:
        """In order, at the end of charging: output to zero, contactor open, and watched to open."""
        self._zero()
        if self._asked_closed:
            self._asked_closed = False
            self._effects.append(ContactorAsked(False))
            if self._contactor:
                self._due[CONTACTOR] = now + self.LIMITS[CONTACTOR]

    def _close(self) -> None:
        if not self._asked_closed:
            self._asked_closed = True
            self._effects.append(ContactorAsked(True))

    def _lock(self) -> None:
        if not self._asked_locked:
            self._asked_locked = True
            self._effects.append(LockAsked(True))


_COMMANDS: Final[dict[type, str]] = {
    Offer: "_on_offer",
    Authorize: "_on_authorize",
    Isolation: "_on_isolation",
    Contactor: "_on_contactor",
    Locked: "_on_locked",
    Measured: "_on_measured",
    Certificate: "_on_certificate",
    Schedule: "_on_schedule",
    ReceiptWanted: "_on_receipt",
    Pause: "_on_pause",
    Resume: "_on_resume",
    Renegotiate: "_on_renegotiate",
    Stop: "_on_stop",
    Fault: "_on_fault",
}
