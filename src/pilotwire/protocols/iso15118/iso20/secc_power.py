"""ScheduleExchange, PowerDelivery and SessionStop: what may flow when, that it flows, and that it ends."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pilotwire.core.evse_link import Needs, ProfileChosen, Schedule

from . import schedules, timers, wire
from .rational import whole
from .wire import Came, sub

if TYPE_CHECKING:
    from .secc import Iso20Secc

Message = dict[str, Any]


class Power:
    """The part of the station's machine around the energy services."""

    def __init__(self, secc: Iso20Secc) -> None:
        self.secc = secc
        self.handlers: dict[str, Callable[[Came], None]] = {
            "ScheduleExchangeReq": self.exchange,
            "PowerDeliveryReq": self._delivery,
            "SessionStopReq": self._session_stop,
        }
        self.standby = False
        self.stopped = False
        """Energy has ended; welding detection and SessionStop are still to come."""
        self._starting: Came | None = None
        """PowerDelivery(Start) that waits for lock and contactor."""
        self._asked = False
        self._told: Needs | None = None

    def begin(self) -> None:
        """A service is selected."""
        self.standby = self.stopped = self._asked = False
        self._starting = None

    # ── ScheduleExchange ─────────────────────────────────────────────────────────────────────────────────────────────
    def exchange(self, came: Came) -> None:
        """On the main stream before energy flows, on its side stream while it does."""
        secc, session = self.secc, self.secc.session
        selection = session.selection
        assert selection is not None and secc.mode is not None
        mode = came.body.get("Dynamic_SEReqControlMode")
        if (mode is not None) != selection.dynamic:
            text = f"{'dynamic' if selection.dynamic else 'scheduled'} control was agreed upon, and it says otherwise"
            secc.refuse(came, "FAILED", text, "8.3.4.3.7")
            return
        request: Message = mode or came.body["Scheduled_SEReqControlMode"]
        self._needs(came, request, selection.dynamic)
        fields: Message = {"EVSEProcessing": "Finished"}
        # Whoever plans has until the next request, if it has not planned before.
        if secc.offer is None or not (secc.schedules or selection.dynamic or self._asked):
            self._asked = True
            fields["EVSEProcessing"] = "Ongoing"
            secc.alarms.begin("ongoing", secc.now + timers.PERFORMANCE.ms)
        else:
            secc.alarms.drop("ongoing")
            session.anchor = secc.now
            session.schedules = {max(1, one.id): one for one in self._plans()}
            session.exchanged = True
            secc.notices.discard("ScheduleRenegotiation")
            if came.stream == wire.MAIN_STREAM:
                if "Pause" in secc.notices:
                    fields["GoToPause"] = True
                secc.go(secc.mode.prepare)
        most = came.body["MaximumSupportingPoints"]
        if selection.dynamic:
            plan = next(iter(secc.schedules.values()), None)
            priced = {} if plan is None else schedules.prices(plan, secc.now, selection, most)
            fields["Dynamic_SEResControlMode"] = priced
        else:
            tuples = schedules.offered(self._plans(), secc.now, selection, most)
            fields["Scheduled_SEResControlMode"] = {"ScheduleTuple": tuples}
        secc.answer(came, **fields)

    def _plans(self) -> list[Schedule]:
        known = list(self.secc.schedules.values())
        if known:
            return known
        offer = self.secc.offer
        return [Schedule(points=((0, self.offered_mw() if offer is not None else 0),))]

    def offered_mw(self) -> int:
        """The most that may flow into the vehicle."""
        offer = self.secc.offer
        if offer is None:
            return 0
        if offer.max_mw is not None:
            return offer.max_mw
        if offer.max_mv is not None:
            return offer.max_mv * offer.max_ma // 1000
        return offer.nominal_mv * offer.max_ma * offer.phases // 1000

    def _needs(self, came: Came, request: Message, dynamic: bool) -> None:
        def energy(name: str) -> int | None:
            number = request.get(name)
            return None if number is None else whole(number)

        departure = request.get("DepartureTime")
        self.tell(
            Needs(
                target_soc=_permille(request.get("TargetSOC")),
                energy_wh=energy("EVTargetEnergyRequest"),
                min_energy_wh=energy("EVMinimumEnergyRequest"),
                max_energy_wh=energy("EVMaximumEnergyRequest"),
                departure_ms=None if departure is None else departure * 1000,
                dynamic=dynamic,
                tuples=came.body["MaximumSupportingPoints"],
            )
        )

    def loop_needs(self, came: Came, control: Message) -> None:
        """What DisplayParameters and the control mode of a loop request say."""
        shown: Message = sub(came.body, "DisplayParameters")
        energy, departure = control.get("EVTargetEnergyRequest"), control.get("DepartureTime")
        least, most = control.get("EVMinimumEnergyRequest"), control.get("EVMaximumEnergyRequest")
        remaining = shown.get("RemainingTimeToTargetSOC")
        selection = self.secc.session.selection
        if not shown and energy is None and departure is None:
            return
        self.tell(
            Needs(
                soc=_permille(shown.get("PresentSOC")),
                target_soc=_permille(shown.get("TargetSOC")),
                energy_wh=None if energy is None else whole(energy),
                min_energy_wh=None if least is None else whole(least),
                max_energy_wh=None if most is None else whole(most),
                departure_ms=None if departure is None else departure * 1000,
                remaining_ms=None if remaining is None else remaining * 1000,
                dynamic=selection is not None and selection.dynamic,
            )
        )

    def tell(self, needs: Needs) -> None:
        """Once, as long as it stays the same."""
        if needs != self._told:
            self._told = needs
            self.secc.emit(needs)

    # ── PowerDelivery ────────────────────────────────────────────────────────────────────────────────────────────────
    def _delivery(self, came: Came) -> None:
        steps = {
            "Start": self._start,
            "Stop": self._stop,
            "Standby": self._standby,
            "ScheduleRenegotiation": self._renegotiated,
        }
        steps[came.body["ChargeProgress"]](came)

    def _start(self, came: Came) -> None:
        secc, session = self.secc, self.secc.session
        assert secc.mode is not None and session.selection is not None
        if secc.in_loop and not self.standby:
            secc.refuse(came, "FAILED_PowerDeliveryNotApplied", "energy flows already", "8.3.4.3.8")
            return
        if came.body["EVProcessing"] != "Finished":
            # Its profile is not made yet; nothing is closed for it.
            secc.answer(came)
            return
        refusal = self._channel(came) or (("", "") if self.standby else self._profile(came))
        if refusal[0]:
            secc.refuse(came, *refusal, "8.3.4.3.8")
            return
        wrong = secc.mode.start_ready()
        if wrong:
            secc.refuse(came, "FAILED_PowerDeliveryNotApplied", wrong, "8.3.4.3.8")
            return
        self._starting = came
        secc.alarms.set("contactor", secc.now + timers.CONTACTOR.ms)
        secc.output.lock()
        self.proceed()

    def _channel(self, came: Came) -> tuple[str, str] | None:
        selection = self.secc.session.selection
        assert selection is not None
        if came.body.get("BPT_ChannelSelection") == "Discharge" and not selection.bidirectional:
            return "FAILED_PowerDeliveryNotApplied", f"{selection.service} gives nothing back"
        return None

    def proceed(self) -> None:
        """Lock or contactor has moved: PowerDelivery(Start) may go on."""
        secc = self.secc
        if self._starting is None or secc.mode is None:
            return
        secc.output.close()
        if not (secc.output.closed and secc.output.locked):
            return
        came, self._starting = self._starting, None
        secc.alarms.drop("contactor")
        self.standby = False
        secc.notices.discard("ExitStandby")
        secc.go(secc.mode.loop)
        secc.answer(came, self._tolerance(came), **self._status())

    def _tolerance(self, came: Came) -> str:
        mode = sub(sub(came.body, "EVPowerProfile"), "Scheduled_EVPPTControlMode")
        accepted = mode.get("PowerToleranceAcceptance", "")
        # We ask for no tolerance, so none is owed: a vehicle that speaks of it is told what it said.
        return {
            "PowerToleranceConfirmed": "OK_PowerToleranceConfirmed",
            "PowerToleranceNotConfirmed": "WARNING_PowerToleranceNotConfirmed",
        }.get(accepted, "OK")

    def _profile(self, came: Came) -> tuple[str, str]:
        """Code and words of what is wrong with EVPowerProfile; ("", ""): nothing, and it holds from now on."""
        secc, session = self.secc, self.secc.session
        assert session.selection is not None
        made: Message | None = came.body.get("EVPowerProfile")
        if made is None:
            if session.selection.dynamic:
                return "", ""
            return "FAILED_EVPowerProfileInvalid", "there is no EVPowerProfile"
        scheduled: Message | None = made.get("Scheduled_EVPPTControlMode")
        if (scheduled is None) != session.selection.dynamic:
            return "FAILED_EVPowerProfileInvalid", "its control mode is not the one agreed upon"
        points, end = schedules.read_profile(made, session.anchor)
        chosen = 0
        if scheduled is not None:
            chosen = scheduled["SelectedScheduleTupleID"]
            schedule = session.schedules.get(chosen)
            if schedule is None:
                return "FAILED_ScheduleSelectionInvalid", f"schedule {chosen} was not offered"
            wrong = schedules.exceeds(points, end, schedule, session.anchor)
            if wrong:
                return "FAILED_EVPowerProfileInvalid", wrong
        session.chosen, session.profile = chosen, points
        ahead = tuple((max(0, (start - secc.now) // 1000), mw) for start, mw in points)
        secc.emit(ProfileChosen(schedule=chosen, points=ahead))
        return "", ""

    def _stop(self, came: Came) -> None:
        secc = self.secc
        assert secc.mode is not None
        secc.output.zero()
        secc.alarms.drop("obey")
        secc.notices &= {"Pause", "ServiceRenegotiation"}
        secc.mode.stop()
        secc.output.off()
        self.standby, self.stopped = False, True
        secc.go(secc.mode.stopped)
        secc.answer(came, **self._status())

    def _standby(self, came: Came) -> None:
        secc = self.secc
        assert secc.mode is not None
        if not secc.in_loop or secc.notices & {"Terminate", "Pause", "ServiceRenegotiation"}:
            secc.answer(came, "WARNING_StandbyNotAllowed", **self._status())
            return
        self.standby = True
        secc.output.zero()  # contactors stay closed in standby, at both ends
        secc.answer(came, **self._status())

    def _renegotiated(self, came: Came) -> None:
        """The profile for the schedules of the side stream. Where it is not good the old one goes on to hold."""
        secc = self.secc
        if not secc.in_loop or came.body.get("EVPowerProfile") is None:
            secc.answer(came, "WARNING_ScheduleRenegotiationFailed", **self._status())
            return
        code, _ = self._profile(came)
        secc.answer(came, "WARNING_ScheduleRenegotiationFailed" if code else "OK", **self._status())

    def _status(self) -> Message:
        status = self.secc.status()
        return {} if status is None else {"EVSEStatus": status}

    # ── SessionStop ──────────────────────────────────────────────────────────────────────────────────────────────────
    def _session_stop(self, came: Came) -> None:
        secc, session = self.secc, self.secc.session
        wanted, why = came.body["ChargingSession"], came.body.get("EVTerminationExplanation") or ""
        if wanted == "Pause":
            if not (session.by and session.selection is not None and session.exchanged):
                text = "a session that has agreed upon nothing cannot sleep"
                secc.refuse(came, "FAILED_PauseNotAllowed", text, "8.3.4.3.10")
                return
            by = "evse" if "Pause" in secc.notices else "ev"
            secc.answer(came)
            secc.sleep(by)
        elif wanted == "ServiceRenegotiation":
            if not session.by:
                text = "services are chosen anew only where one was chosen"
                secc.refuse(came, "FAILED_NoServiceRenegotiationSupported", text, "8.3.4.3.10")
                return
            secc.output.off()
            secc.notices.discard("ServiceRenegotiation")
            secc.mode = None
            secc.go("ServiceDiscovery")
            secc.answer(came)
        else:
            secc.answer(came)
            code = came.body.get("EVTerminationCode")
            said = f" ({': '.join(one for one in (code, why) if one)})" if code or why else ""
            secc.finish(f"the vehicle ended the session by SessionStopReq{said}")


def _permille(percent: int | None) -> int | None:
    return None if percent is None else percent * 10
