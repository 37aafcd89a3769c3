"""The vehicle from PowerDelivery to SessionStop: starts, keeps to its profile, stands by, confirms, ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pilotwire.core.ev_link import Flowing

from .. import pnc, v2gtp
from . import timers
from .evcc_plan import Plan, percent, seconds
from .rational import of_whole
from .session import Ending, Kept
from .wire import Came

if TYPE_CHECKING:
    from .evcc import Iso20Evcc

Message = dict[str, Any]

EASE_ROUNDS: Final = 10
"""Rounds of the loop that the current gets to go down before PowerDelivery(Stop)."""
EASED_MA: Final = 1_000


class Power(Plan):
    """The part of the vehicle's machine around the energy services."""

    def __init__(self, evcc: Iso20Evcc) -> None:
        super().__init__(evcc)
        self.handlers: dict[str, Callable[[Came], None]] = {
            "ScheduleExchangeRes": self._exchanged,
            "PowerDeliveryRes": self._delivered,
            "MeteringConfirmationRes": lambda came: None,
            "SessionStopRes": self._session_stopped,
        }
        self.standby = False
        self.hurried = False
        """The end is urgent: no waiting for the current to go down."""
        self.flowing = Flowing()
        self._progress = ""
        self._stopping = False
        self._stop_sent = False
        self._eased = 0
        self._standby_refused = False
        self._wake = False
        self._session_stop: Ending = ""

    def begin(self) -> None:
        """A service is selected."""
        self.flows = self.standby = self.agreed = self._stopping = self._stop_sent = False
        self.new_profile = self._standby_refused = self._wake = False
        self._eased = 0

    def flow(self, flowing: Flowing) -> None:
        """What the EVSE measures, whenever it changes."""
        if flowing != self.flowing:
            self.flowing = flowing
            self.evcc.emit(flowing)

    # ── PowerDelivery ────────────────────────────────────────────────────────────────────────────────────────────────
    def start_power(self) -> None:
        """PowerDelivery(Start)."""
        self._deliver("Start", profile=True)

    def _deliver(self, progress: str, *, profile: bool = False) -> None:
        evcc = self.evcc
        assert evcc.mode is not None
        self._progress = progress
        fields: Message = {"EVProcessing": "Finished", "ChargeProgress": progress}
        if profile:
            fields["EVPowerProfile"] = self.profile()
        if progress == "Start" and evcc.mode.selection.bidirectional:
            fields["BPT_ChannelSelection"] = "Discharge" if evcc.drive.target_ma < 0 else "Charge"
        evcc.common("PowerDeliveryReq", **fields)

    def _delivered(self, came: Came) -> None:
        evcc, progress = self.evcc, self._progress
        warned = came.body["ResponseCode"].startswith("WARNING")
        assert evcc.mode is not None
        self.obey(came)
        if progress == "Stop":
            self.flows = self.standby = False
            evcc.contact(False)
            evcc.mode.stopped()
        elif progress == "Start":
            self._wake = False
            resumed, self.standby = self.flows, False
            if resumed:
                self.loop()
            else:
                evcc.mode.started()
        elif progress == "Standby":
            self.standby, self._standby_refused = not warned, warned
            self.loop()
        else:
            self.new_profile = False
            self.loop()

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def loop(self) -> None:
        """What comes next while energy flows: an end, a new profile, standby, or another round."""
        evcc, drive = self.evcc, self.evcc.drive
        assert evcc.mode is not None
        self.flows = True
        if evcc.ending and self._may_stop():
            self._stop()
        elif self.new_profile:
            self._deliver("ScheduleRenegotiation", profile=True)
        elif self._may_stand_by():
            self._deliver("Standby")
        elif self.standby and (drive.ready or self._wake) and not evcc.ending:
            self._deliver("Start")
        else:
            if drive.ready:
                self._standby_refused = False
            fields = evcc.mode.loop_request()
            evcc.send(evcc.mode.payload, evcc.mode.loop, DisplayParameters=self._shown(), **fields)

    @property
    def resting(self) -> bool:
        """Nothing is wanted: it stands by, or it is about to end."""
        return self.standby or self._stopping or not self.evcc.drive.ready

    def takes_ma(self) -> int:
        """Dynamic control: the most that it takes now, whichever way it would have energy flow itself."""
        drive = self.evcc.drive
        if self.resting:
            return 0
        if drive.target_ma < 0:
            return drive.max_ma if drive.soc < drive.target_soc else 0
        return min(drive.max_ma, drive.target_ma)

    def _may_stand_by(self) -> bool:
        """It wants nothing, and nothing flows any more ([V2G20-2116])."""
        idle = not self.evcc.drive.ready and not self.evcc.ending
        return idle and not self.standby and not self._standby_refused and abs(self.flowing.ma) <= EASED_MA

    def _may_stop(self) -> bool:
        """The current is down, or has had its time."""
        self._stopping = True
        self._eased += 1
        return self.hurried or self.standby or abs(self.flowing.ma) <= EASED_MA or self._eased > EASE_ROUNDS

    def _stop(self) -> None:
        self._stop_sent = True
        self._deliver("Stop")

    def _shown(self) -> Message:
        """DisplayParameters."""
        drive = self.evcc.drive
        shown: Message = {
            "PresentSOC": percent(drive.soc),
            "TargetSOC": percent(drive.target_soc),
            "ChargingComplete": drive.soc >= drive.target_soc,
            "BatteryEnergyCapacity": of_whole(drive.capacity_wh),
        }
        if drive.remaining_ms is not None:
            shown["RemainingTimeToTargetSOC"] = seconds(drive.remaining_ms)
        return shown

    def looped(self, came: Came) -> None:
        """Behind each answer of the loop, when the mode has read it."""
        self.obey(came)
        if not self.evcc.over:
            self.evcc.after(timers.LOOP_MS, self.loop)

    def obey(self, came: Came) -> None:
        """EVSEStatus: what the EVSE wants."""
        evcc, status = self.evcc, came.body.get("EVSEStatus")
        if status is None or evcc.mode is None:
            return
        notice = status["EVSENotification"]
        if notice in ("Terminate", "Pause", "ServiceRenegotiation"):
            if not evcc.ending:
                evcc.ending = notice
                evcc.why = ("", f"the EVSE asked for it ({notice})")
        elif notice == "ScheduleRenegotiation":
            if not self.new_profile:
                self.ask_schedules()
        elif notice == "MeteringConfirmation":
            self._confirm(came)
        elif self.standby:
            self._wake = True

    def _confirm(self, came: Came) -> None:
        """MeteringConfirmation on its side stream, signed by the contract."""
        evcc, info = self.evcc, came.body.get("MeterInfo")
        if not evcc.contract or evcc.pnc is None or info is None or evcc.waits(v2gtp.METERING_CONFIRMATION):
            return
        data: Message = {"Id": pnc.ID, "SessionID": evcc.session, "MeterInfo": info}
        if came.body.get("Receipt") is not None:
            data["Receipt"] = came.body["Receipt"]
        if self.chosen is None:
            data["Dynamic_SMDTControlMode"] = {}
        else:
            data["Scheduled_SMDTControlMode"] = {"SelectedScheduleTupleID": self.chosen.id}
        fields = {"SignedMeteringData": data}
        signature = pnc.signed_by_contract(evcc.pnc, "iso20", "MeteringConfirmationReq", fields)
        evcc.send(v2gtp.METERING_CONFIRMATION, "MeteringConfirmationReq", signature, **fields)

    # ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    def ended_by(self) -> None:
        """The vehicle wants an end: what waits for its time need not."""
        if self.flows or self.hurried or self.evcc.ending:
            self.evcc.hurry()

    def divert(self, name: str) -> bool:
        """Before energy flows SessionStop may come in place of any request; a pause wants a schedule first."""
        evcc = self.evcc
        if not evcc.ending or self.flows or self._stop_sent or name == "SessionSetupReq":
            return False
        if evcc.ending == "Pause" and not self.agreed:
            return False
        self.stop_session(evcc.ending)
        return True

    def stop_session(self, ending: Ending = "") -> None:
        """SessionStop, as the end is to be."""
        evcc = self.evcc
        evcc.contact(False)
        if ending != "ServiceRenegotiation":
            self.evcc.begin.check_out()
        self._session_stop = ending or evcc.ending or "Terminate"
        evcc.ending = self._session_stop
        fields: Message = {"ChargingSession": self._session_stop}
        if evcc.why[0]:
            fields["EVTerminationCode"] = evcc.why[0][:80]
        if evcc.why[1]:
            fields["EVTerminationExplanation"] = evcc.why[1][:160]
        evcc.alarms.drop("ongoing")
        evcc.alarms.drop("side")
        evcc.common("SessionStopReq", **fields)

    def _session_stopped(self, came: Came) -> None:
        evcc, code, why = self.evcc, *self.evcc.why
        if self._session_stop == "ServiceRenegotiation":
            assert evcc.mode is not None
            before = evcc.mode.selection.service
            evcc.ending, evcc.why, evcc.mode = "", ("", ""), None
            self._stop_sent = False
            evcc.begin.discover(instead_of=before)
        elif self._session_stop == "Pause":
            assert evcc.mode is not None
            evcc.kept = Kept(session=evcc.session, selection=evcc.mode.selection, contract=evcc.contract)
            evcc.part(why or "the vehicle sleeps", "evse" if why else "ev", ok=True, paused=True)
        else:
            evcc.part(why or "the vehicle ended the session", "ev", ok=not code)
