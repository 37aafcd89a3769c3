"""The vehicle from ScheduleExchange to SessionStop: plans, starts, keeps to its profile, stands by, ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from pilotwire.core.ev_link import Flowing, Offered
from pilotwire.core.evse_link import Offer, Schedule
from pilotwire.core.timers import TimerRule

from .. import pnc, v2gtp
from . import schedules, timers, wire
from .rational import of_whole
from .session import Ending, Kept
from .wire import Came, sub

if TYPE_CHECKING:
    from .evcc import Iso20Evcc

Message = dict[str, Any]

BY_DEFAULT_S: Final = 86_400
"""Departure under dynamic control, where the vehicle does not know."""
EASE_ROUNDS: Final = 10
"""Rounds of the loop that the current gets to go down before PowerDelivery(Stop)."""
EASED_MA: Final = 1_000


class Power:
    """The part of the vehicle's machine around the energy services."""

    def __init__(self, evcc: Iso20Evcc) -> None:
        self.evcc = evcc
        self.handlers: dict[str, Callable[[Came], None]] = {
            "ScheduleExchangeRes": self._exchanged,
            "PowerDeliveryRes": self._delivered,
            "MeteringConfirmationRes": lambda came: None,
            "SessionStopRes": self._session_stopped,
        }
        self.doing = "SessionSetup"
        """What is Ongoing, in the words of the standard."""
        self.ongoing_rule: TimerRule = timers.ONGOING
        self.flows = False
        """In the charge loop."""
        self.standby = False
        self.hurried = False
        """The end is urgent: no waiting for the current to go down."""
        self.offer = Offer()
        self.flowing = Flowing()
        self._told: Offered | None = None
        self._schedules: tuple[Schedule, ...] = ()
        self._chosen: Schedule | None = None
        self._exchanged_at = 0
        """When, by our clock."""
        self._anchor = 0
        """The same, by the EVSE's."""
        self._exchanged_once = False
        self._progress = ""
        self._stopping = False
        self._stop_sent = False
        self._eased = 0
        self._new_profile = False
        self._standby_refused = False
        self._wake = False
        self._session_stop: Ending = ""

    def begin(self) -> None:
        """A service is selected."""
        self.flows = self.standby = self._exchanged_once = self._stopping = self._stop_sent = False
        self._new_profile = self._standby_refused = self._wake = False
        self._eased = 0

    # ── ScheduleExchange ─────────────────────────────────────────────────────────────────────────────────────────────
    def exchange(self) -> None:
        """On the main stream, before energy flows."""
        self.doing, self.ongoing_rule = "ScheduleExchange", timers.ONGOING
        self._ask(v2gtp.MAIN)

    def ask_schedules(self) -> None:
        """On the side stream, while energy flows."""
        if self.flows and not self.evcc.waits(v2gtp.SCHEDULE_RENEGOTIATION):
            self._ask(v2gtp.SCHEDULE_RENEGOTIATION)

    def _ask(self, payload_type: int) -> None:
        evcc = self.evcc
        assert evcc.mode is not None
        most = min(1024, max(12, evcc.config.tuples))
        drive = evcc.drive
        energies = self.energies()
        if evcc.mode.selection.dynamic:
            mode: Message = {"DepartureTime": self.departure_s(), **energies}
            if not evcc.mode.selection.mobility_by_secc:
                mode["TargetSOC"] = _percent(drive.target_soc)
            control = {"Dynamic_SEReqControlMode": mode}
        else:
            if drive.departure_ms is not None:
                energies["DepartureTime"] = _seconds(drive.departure_ms)
            control = {"Scheduled_SEReqControlMode": energies}
        evcc.send(payload_type, "ScheduleExchangeReq", MaximumSupportingPoints=most, **control)

    def departure_s(self) -> int:
        departure = self.evcc.drive.departure_ms
        return BY_DEFAULT_S if departure is None else _seconds(departure)

    def energies(self) -> Message:
        """EVTargetEnergyRequest and its bounds; under zero: the vehicle has more than it wants."""
        drive = self.evcc.drive
        target = drive.capacity_wh * (drive.target_soc - drive.soc) // 1000
        return {
            "EVTargetEnergyRequest": of_whole(target if drive.energy_wh is None else drive.energy_wh),
            "EVMaximumEnergyRequest": of_whole(drive.capacity_wh * (1000 - drive.soc) // 1000),
            "EVMinimumEnergyRequest": of_whole(0),
        }

    def _exchanged(self, came: Came) -> None:
        evcc, body = self.evcc, came.body
        assert evcc.mode is not None
        side = came.stream != wire.MAIN_STREAM
        if body["EVSEProcessing"] != "Finished":
            if side:
                evcc.alarms.set("side", evcc.now + 500)
            else:
                evcc.poll(self.exchange)
            return
        if not side:
            evcc.alarms.drop("ongoing")
        tuples: list[Message] = sub(body, "Scheduled_SEResControlMode").get("ScheduleTuple", [])
        if not tuples and not evcc.mode.selection.dynamic:
            evcc.wrong("scheduled control was agreed upon, and there is no schedule", "8.3.4.3.7", "NoSchedule")
            return
        self._anchor = body["Header"]["TimeStamp"] * 1000
        self._exchanged_at = evcc.now
        self._schedules = tuple(schedules.read_tuple(one, self._anchor) for one in tuples)
        self._chosen = self._choose() if self._schedules else None
        self._exchanged_once = True
        self.tell(self.offer)
        if side:
            self._new_profile = True
        elif body.get("GoToPause"):
            evcc.ending = evcc.ending or "Pause"
            self.stop_session(evcc.ending)
        else:
            evcc.mode.prepare()

    def _choose(self) -> Schedule:
        """The schedule that is cheapest on its way, the first of them."""

        def mean(one: Schedule) -> Any:
            return sum((price.amount for price in one.prices), start=0) / len(one.prices) if one.prices else 0

        return min(self._schedules, key=mean)

    def within_schedule(self, mw: int) -> int:
        """A power, as far as the schedule allows it now."""
        if self._chosen is None:
            return mw
        least, most = schedules.bounds(self._chosen.points, (self.evcc.now - self._exchanged_at) // 1000)
        return min(mw, most) if least is None else max(least, min(mw, most))

    def tell(self, offer: Offer) -> None:
        """What the EVSE offers, whenever it changes."""
        self.offer = offer
        offered = Offered(offer=offer, schedules=self._schedules)
        if offered != self._told:
            self._told = offered
            self.evcc.emit(offered)

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
            fields["EVPowerProfile"] = self._profile()
        if progress == "Start" and evcc.mode.selection.bidirectional:
            fields["BPT_ChannelSelection"] = "Discharge" if evcc.drive.target_ma < 0 else "Charge"
        evcc.common("PowerDeliveryReq", **fields)

    def _profile(self) -> Message:
        """How it will draw: as much as the schedule gives and it can take."""
        drive, chosen = self.evcc.drive, self._chosen
        if chosen is None:
            return schedules.profile(((0, drive.max_mw),), self._peer_now, None, self.departure_s() or BY_DEFAULT_S)
        points = tuple((start, max(-drive.max_discharge_mw, min(mw, drive.max_mw))) for start, mw in chosen.points)
        return schedules.profile(points, self._anchor, chosen.id, chosen.duration_s)

    @property
    def _peer_now(self) -> int:
        return self._anchor + self.evcc.now - self._exchanged_at

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
            self._new_profile = False
            self.loop()

    # ── the loop ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def loop(self) -> None:
        """What comes next while energy flows: an end, a new profile, standby, or another round."""
        evcc, drive = self.evcc, self.evcc.drive
        assert evcc.mode is not None
        self.flows = True
        if evcc.ending and self._may_stop():
            self._stop()
        elif self._new_profile:
            self._deliver("ScheduleRenegotiation", profile=True)
        elif not self.standby and not drive.ready and not self._standby_refused and not evcc.ending:
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
            "PresentSOC": _percent(drive.soc),
            "TargetSOC": _percent(drive.target_soc),
            "ChargingComplete": drive.soc >= drive.target_soc,
            "BatteryEnergyCapacity": of_whole(drive.capacity_wh),
        }
        if drive.remaining_ms is not None:
            shown["RemainingTimeToTargetSOC"] = _seconds(drive.remaining_ms)
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
            if not self._new_profile:
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
        if self._chosen is None:
            data["Dynamic_SMDTControlMode"] = {}
        else:
            data["Scheduled_SMDTControlMode"] = {"SelectedScheduleTupleID": self._chosen.id}
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
        if evcc.ending == "Pause" and not self._exchanged_once:
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


def _seconds(ms: int) -> int:
    """As 32 bits take them."""
    return max(0, min(ms // 1000, 0xFFFF_FFFF))


def _percent(permille: int) -> int:
    return max(0, min(100, permille // 10))
