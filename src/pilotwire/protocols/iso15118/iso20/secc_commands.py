"""What a station says to its machine: the commands of `core.evse_link`, and what of them the vehicle is notified of."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Literal

from pilotwire.core import evse_link as link
from pilotwire.core.evse_link import Authorize, Measured, Offer, Schedule

from . import schedules, timers

if TYPE_CHECKING:
    from .secc import Iso20Secc

Message = dict[str, Any]
Notice = Literal[
    "Terminate", "Pause", "ServiceRenegotiation", "ScheduleRenegotiation", "MeteringConfirmation", "ExitStandby"
]
URGENCY: Final[tuple[Notice, ...]] = (
    "Terminate", "Pause", "ServiceRenegotiation", "ScheduleRenegotiation", "MeteringConfirmation", "ExitStandby",
)  # fmt: skip
"""EVSENotification carries one at a time: the most urgent first."""
PAUSE_DELAY_S: Final = 60
"""NotificationMaxDelay of a pause under dynamic control ([V2G20-1850]); all else is wanted at once."""


class Commands:
    """The part of the station's machine that takes commands. They may come at any time; the last one counts."""

    def __init__(self, secc: Iso20Secc) -> None:
        self.secc = secc
        self.handlers: dict[type, Callable[[Any], None]] = {
            link.Offer: self._offered,
            link.Measured: self._measured,
            link.Authorize: self._authorized,
            link.Isolation: self._isolated,
            link.Locked: self._locked,
            link.Contactor: self._contactor,
            link.Certificate: secc.access.installed,
            link.Schedule: self._scheduled,
            link.Positioned: self._positioned,
            link.ReceiptWanted: lambda _: secc.sides.want_receipt(),
            link.Pause: lambda _: self._pause(),
            link.Resume: lambda _: self._resume(),
            link.Renegotiate: self._renegotiate,
            link.Stop: self._stop,
            link.Fault: lambda fault: secc.doom(fault.text or fault.code, "evse", fault.code),
        }

    def _offered(self, offer: Offer) -> None:
        self.secc.offer = offer
        self._changed()

    def _measured(self, measured: Measured) -> None:
        self.secc.measured = measured
        if self.secc.in_loop:
            self.secc.sides.count()
        self._changed()

    def _positioned(self, position: link.Positioned) -> None:
        self.secc.position = position
        self._changed()

    def _changed(self) -> None:
        if self.secc.mode is not None:
            self.secc.mode.changed()

    def _authorized(self, authorize: Authorize) -> None:
        self.secc.authorize = authorize
        if not authorize.accepted and self.secc.output.authorised:
            self.secc.doom(f"it may not charge any more: {authorize.reason}", "evse", "PowerDeliveryNotApplied")

    def _isolated(self, isolation: link.Isolation) -> None:
        self.secc.output.tested(isolation.status)
        if isolation.status in ("fault", "no-monitor"):
            self.secc.doom(f"isolation: {isolation.status}", "evse", "GroundFailure")
        self._changed()

    def _locked(self, locked: link.Locked) -> None:
        self.secc.output.locked = locked.locked
        if not locked.locked and self.secc.output.lock_wanted:
            self.secc.doom("the plug is not locked", "evse", "ConnectorLockFailure")
            return
        self.secc.power.proceed()
        self._changed()

    def _contactor(self, contactor: link.Contactor) -> None:
        wrong = self.secc.output.contactor(contactor.closed)
        if wrong:
            words = {"failed": "the contactor does not close", "lost": "the contactor has opened by itself"}
            self.secc.doom(words[wrong], "evse", "PowerSwitchFailure", "FAILED_ContactorError")
            return
        self.secc.power.proceed()
        self._changed()

    def _scheduled(self, schedule: Schedule) -> None:
        plain = schedules.plain(schedule)
        self.secc.schedules.pop(plain.id, None)
        self.secc.schedules[plain.id] = plain
        while len(self.secc.schedules) > 3:  # ScheduleTuple comes three times at most
            del self.secc.schedules[next(iter(self.secc.schedules))]

    def _pause(self) -> None:
        self.secc.notices.discard("ExitStandby")
        self.secc.notices.add("Pause")

    def _resume(self) -> None:
        self.secc.notices.discard("Pause")
        if self.secc.power.standby:
            self.secc.notices.add("ExitStandby")

    def _renegotiate(self, wanted: link.Renegotiate) -> None:
        selection = self.secc.session.selection
        if wanted.service:
            self.secc.notices.add("ServiceRenegotiation")
        elif self.secc.session.exchanged and selection is not None and not selection.dynamic:
            self.secc.notices.add("ScheduleRenegotiation")

    def _stop(self, stop: link.Stop) -> None:
        reason = stop.reason or "the station ends the session"
        if stop.emergency:
            self.secc.doom(reason, "evse", "EmergencyStop")
        elif self.secc.in_loop:
            self.secc.notices.add("Terminate")
            self.secc.alarms.begin("obey", self.secc.now + timers.OBEY.ms)
        elif not self.secc.power.stopped:
            self.secc.doom(reason, "evse", "Stop")

    def status(self) -> Message | None:
        """EVSEStatus: what the vehicle is to do; None: go on."""
        notice = next((one for one in URGENCY if one in self.secc.notices), None)
        if notice is None:
            return None
        dynamic = self.secc.session.selection is not None and self.secc.session.selection.dynamic
        delay = PAUSE_DELAY_S if notice == "Pause" and dynamic else 0
        return {"NotificationMaxDelay": delay, "EVSENotification": notice}
