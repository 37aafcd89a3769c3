"""The vehicle's plan: what it asks for in ScheduleExchange, which schedule it follows, and its profile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from pilotwire.core.ev_link import Offered
from pilotwire.core.evse_link import Offer, Schedule
from pilotwire.core.timers import TimerRule

from .. import v2gtp
from . import schedules, timers, wire
from .rational import of_whole
from .session import Ending
from .wire import Came, sub

if TYPE_CHECKING:
    from .evcc import Iso20Evcc

Message = dict[str, Any]

BY_DEFAULT_S: Final = 86_400
"""Departure under dynamic control, where the vehicle does not know."""


class Plan:
    """ScheduleExchange, and what follows from it. `evcc_power.Power` carries it out."""

    def __init__(self, evcc: Iso20Evcc) -> None:
        self.evcc = evcc
        self.doing = "SessionSetup"
        """What is Ongoing, in the words of the standard."""
        self.ongoing_rule: TimerRule = timers.ONGOING
        self.flows = False
        """In the charge loop."""
        self.offer = Offer()
        self.schedules: tuple[Schedule, ...] = ()
        self.chosen: Schedule | None = None
        self.agreed = False
        """Schedules, or dynamic control, were exchanged."""
        self.new_profile = False
        """Schedules have come on the side stream, and the EVSE has no profile for them yet."""
        self._told: Offered | None = None
        self._exchanged_at = 0
        """When, by our clock."""
        self._anchor = 0
        """The same, by the EVSE's."""

    def stop_session(self, ending: Ending = "") -> None:
        """SessionStop: a station may ask for a pause before energy has flowed."""
        raise NotImplementedError

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
                mode["TargetSOC"] = percent(drive.target_soc)
            control = {"Dynamic_SEReqControlMode": mode}
        else:
            if drive.departure_ms is not None:
                energies["DepartureTime"] = seconds(drive.departure_ms)
            control = {"Scheduled_SEReqControlMode": energies}
        evcc.send(payload_type, "ScheduleExchangeReq", MaximumSupportingPoints=most, **control)

    def departure_s(self) -> int:
        departure = self.evcc.drive.departure_ms
        return BY_DEFAULT_S if departure is None else seconds(departure)

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
        self.schedules = tuple(schedules.read_tuple(one, self._anchor) for one in tuples)
        self.chosen = self._choose() if self.schedules else None
        self.agreed = True
        self.tell(self.offer)
        if side:
            self.new_profile = True
        elif body.get("GoToPause"):
            evcc.ending = evcc.ending or "Pause"
            self.stop_session(evcc.ending)
        else:
            evcc.mode.prepare()

    def _choose(self) -> Schedule:
        """The schedule that is cheapest on its way, the first of them."""

        def mean(one: Schedule) -> Any:
            return sum((price.amount for price in one.prices), start=0) / len(one.prices) if one.prices else 0

        return min(self.schedules, key=mean)

    def within_schedule(self, mw: int) -> int:
        """A power, as far as the schedule allows it now."""
        if self.chosen is None:
            return mw
        least, most = schedules.bounds(self.chosen.points, (self.evcc.now - self._exchanged_at) // 1000)
        return min(mw, most) if least is None else max(least, min(mw, most))

    def tell(self, offer: Offer) -> None:
        """What the EVSE offers, whenever it changes."""
        self.offer = offer
        offered = Offered(offer=offer, schedules=self.schedules)
        if offered != self._told:
            self._told = offered
            self.evcc.emit(offered)

    def profile(self) -> Message:
        """How it will draw: as much as the schedule gives and it can take."""
        drive, chosen = self.evcc.drive, self.chosen
        if chosen is None:
            return schedules.profile(((0, drive.max_mw),), self._peer_now, None, self.departure_s() or BY_DEFAULT_S)
        points = tuple((start, max(-drive.max_discharge_mw, min(mw, drive.max_mw))) for start, mw in chosen.points)
        return schedules.profile(points, self._anchor, chosen.id, chosen.duration_s)

    @property
    def _peer_now(self) -> int:
        return self._anchor + self.evcc.now - self._exchanged_at


def seconds(ms: int) -> int:
    """As 32 bits take them."""
    return max(0, min(ms // 1000, 0xFFFF_FFFF))


def percent(permille: int) -> int:
    return max(0, min(100, permille // 10))
