"""What flows, and when to look again: limits, their sharing, one timer per EVSE, and the readings of the meter.

Nothing ticks. Between two events a constant power flows, and the next event is known: the car has moved on by a
percent, a limit changes, a reading is due, a wait is over.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pilotwire.core.time import Timer
from pilotwire.domain.schedules.model import Limits
from pilotwire.domain.schedules.store import ProfileStore

from .evse import Evse
from .meter import MICROJOULES_PER_WH
from .phases import as_metered
from .points import FLOWING
from .sessions import Reading, Session
from .states import Event

if TYPE_CHECKING:
    from .program import Station

CLOCK = "Sample.Clock"
"""ReadingContext of clock-aligned readings."""
_KEPT_READINGS = 200
_LIMIT_REASONS = {
    "CostLimitReached": "LocalOutOfCredit",
    "EnergyLimitReached": "EnergyLimitReached",
    "SoCLimitReached": "SOCLimitReached",
    "TimeLimitReached": "TimeLimitReached",
}
"""ReasonEnumType by the trigger of a limit that ends a transaction."""


class Energy:
    """The flow of energy in one station."""

    __slots__ = ("_balancing", "_ended_timer", "_station", "_timer")

    def __init__(self, station: Station) -> None:
        self._station = station
        self._balancing = False
        self._timer: Timer | None = None
        self._ended_timer: Timer | None = None

    def stop(self) -> None:
        """Power-off."""
        for evse in self._station.evses:
            self.cancel(evse)
        for timer in (self._timer, self._ended_timer):
            if timer is not None:
                timer.cancel()
        self._timer = self._ended_timer = None

    @property
    def profiles(self) -> ProfileStore:
        """The installed charging profiles."""
        return self._station.smart_charging.store

    def limit(self, evse: Evse, at: int | None = None) -> Limits:
        """What `evse` may draw by all profiles, at station clock `at` (default: now)."""
        station = self._station
        smart = station.smart_charging
        now = station.clock.now() if at is None else at
        limit = smart.limits(evse, now)
        if limit.rich is not None and limit.rich.setpoint is not None:
            # A set-point towards the vehicle is not exceeded; one from it is `v2x`'s.
            asked = station.v2x.asked(limit.rich)
            limit = limit.lowest(Limits(mw=max(0, asked)))
        if smart.bound_together:
            limit = limit.lowest(smart.sharing.part(evse, smart.station_limits(now)))
        return limit

    def rebalance(self, cause: Evse) -> None:
        """`cause` takes or leaves a part of the station's limit: the others get theirs anew."""
        if not self._station.smart_charging.bound_together or self._balancing:
            return
        self._balancing = True
        try:
            for evse in self._station.evses:
                if evse is not cause and evse.session is not None:
                    self.refresh(evse)
        finally:
            self._balancing = False

    def refresh(self, evse: Evse) -> None:
        """Integrate, look at limits and car anew, and set what flows from now on."""
        station = self._station
        now = int(station.scheduler.now())
        evse.settle(now)
        session = evse.session
        until: int | None = None
        again: int | None = None
        if session is not None and not session.ending and not session.authorized:
            evse.open()
        elif session is not None and not session.ending:
            if session.allowed_wh is not None and evse.meter.register_wh >= session.allowed_wh:
                session.held = True
            if evse.car is None:
                evse.open()
                event: Event = "ev-pause"
            elif session.wait_until is not None and now < session.wait_until:
                evse.open()
                event, again = "evse-pause", session.wait_until
            elif session.held or evse.unlocked or station.costs.stops(evse) or station.swap.full(evse):
                evse.open()
                event = "evse-pause"
            else:
                station.smart_charging.can_flow(evse, session)
                limit = self.limit(evse)
                until = limit.until
                flows, again = station.v2x.drive(evse, limit)
                event = "evse-pause" if flows is None else "energize" if flows else "ev-pause"
            before = evse.phase
            if event != "energize" and before == "Charging" and FLOWING in station.points.stop:
                self._flowed(evse, session, event)
                return
            if event == "energize" and not session.begun:
                station.availability.advance(evse, event, quiet=True)
                station.transactions.flows(evse)
                station.availability.report(evse)
            if event != "ev-pause" or not (station.links.preparing(evse) or evse.meter.preparing):
                station.availability.advance(evse, event)
            if evse.phase != before:
                self.rebalance(evse)
        self.rearm(evse, until, again)
        station.costs.after(evse)
        station.meter_watch.look(evse)
        station.payment.look(evse)
        station.links.look(evse)

    def _flowed(self, evse: Evse, session: Session, event: Event) -> None:
        """Energy flows no more, and with it the transaction is over (E06.FR.07, E16.FR.06)."""
        station = self._station
        trigger = "ChargingStateChanged"
        if event == "ev-pause":
            reason = "StoppedByEV"
        elif session.held:
            reason = "DeAuthorized"
        else:
            trigger = station.costs.why(evse) or trigger
            reason = _LIMIT_REASONS.get(trigger, "Other")
        station.transactions.end(evse, reason, trigger)

    def rearm(self, evse: Evse, limit_until: int | None = None, again: int | None = None) -> None:
        """One timer per EVSE, for the first thing that can happen by itself.

        A limit holds until `limit_until` by the station's clock, `again` is true time.
        """
        station = self._station
        self.cancel(evse)
        now = int(station.scheduler.now())
        due: list[int] = []
        wake = evse.wake_in() if evse.session is not None else None
        if wake is not None:
            due.append(now + wake)
        if limit_until is not None:
            due.append(station.clock.true(limit_until))
        if again is not None:
            due.append(again)
        if evse.session is not None:
            samples = (evse.session.next_sample, evse.session.next_ended_sample)
            due.extend(sample for sample in samples if sample is not None)
            if evse.session.cable_by is not None:
                due.append(evse.session.cable_by)
            if evse.session.allowed_wh is not None and not evse.session.held and evse.meter.power_mw > 0:
                left = evse.session.allowed_wh * MICROJOULES_PER_WH - evse.meter.energy_uj
                due.append(now + max(1, -(-left // evse.meter.power_mw)))
        if evse.pending is not None:
            due.append(evse.pending.deadline)
        if due:
            evse.timer = station.scheduler.call_later(max(0, min(due) - now), lambda: self._wake(evse))

    def cancel(self, evse: Evse) -> None:
        """Forget the EVSE's timer."""
        if evse.timer is not None:
            evse.timer.cancel()
            evse.timer = None

    def _wake(self, evse: Evse) -> None:
        station = self._station
        evse.timer = None
        now = int(station.scheduler.now())
        if evse.pending is not None and evse.pending.deadline <= now and evse.session is None:
            station.entrance.give_up(evse)
            station.availability.advance(evse, "deauthorize")
        if evse.session is not None and evse.session.cable_by is not None and evse.session.cable_by <= now:
            evse.session.cable_by = None
            station.transactions.cable_missed(evse)
        session = evse.session
        if session is not None:
            if session.next_ended_sample is not None and session.next_ended_sample <= now:
                kept = self.read(evse, "ended", "Sample.Periodic")
                if kept.values:
                    self._keep(session, kept)
                session.next_ended_sample += max(1, self.ended_interval) * 1000
            if session.next_sample is not None and session.next_sample <= now:
                reading = self.read(evse, "sampled", "Sample.Periodic")
                session.next_sample += max(1, station.settings.number("sample_interval")) * 1000
                session.last_interval_wh = evse.meter.register_wh
                if reading.values:
                    station.dialect.sampled(evse, session, reading, "MeterValuePeriodic")
                evse.wander(station.random)
        self.refresh(evse)
        station.finish()

    def read(self, evse: Evse, setting: str, context: str) -> Reading:
        """What the meter shows now of the measurands in `setting`."""
        station = self._station
        evse.settle(int(station.scheduler.now()))
        base = evse.session.last_interval_wh if evse.session is not None else None
        known = station.links.soc_known(evse)
        measurands = station.settings.members(setting)
        more = station.v2x.measurands(evse, setting)
        if more:
            known = known or station.v2x.speaks(evse)
            measurands = (*measurands, *(name for name in more if name not in measurands))
        values = evse.measure(measurands, base, soc_known=known, mhz=station.grid.now.mhz)
        if more:
            values += station.v2x.measure(evse, more)
        values = as_metered(values, station.settings.text("phase_rotation"), evse.id)
        return Reading(station.clock.now(), context, values)

    # ── clock-aligned readings ───────────────────────────────────────────────────────────────────────────────────

    def align(self) -> None:
        """Wait for the next clock-aligned instant (1.6 ClockAlignedDataInterval; 2.x AlignedDataCtrlr.Interval, and
        TxEndedInterval for those that go with the end of a transaction)."""
        self._align_sent()
        self._align_ended()

    def _align_sent(self) -> None:
        self._timer = self._at_next(self._timer, "aligned_interval", self._aligned)

    def _align_ended(self) -> None:
        ended = "aligned_interval" if self._station.config.version == "1.6" else "aligned_ended_interval"
        self._ended_timer = self._at_next(self._ended_timer, ended, self._aligned_ended)

    def _at_next(self, timer: Timer | None, setting: str, then: Callable[[], None]) -> Timer | None:
        station = self._station
        if timer is not None:
            timer.cancel()
        interval = station.settings.number(setting) * 1000
        if not interval or not station.powered:
            return None
        return station.scheduler.call_later(interval - station.clock.now() % 86_400_000 % interval, then)

    def _aligned_ended(self) -> None:
        """Kept for the last message of the transaction (1.6 StopTxnAlignedData, 2.x TxEndedMeasurands)."""
        station = self._station
        self._ended_timer = None
        for evse in station.evses:
            reading = self.read(evse, "aligned_ended", CLOCK)
            if evse.session is not None and reading.values:
                self._keep(evse.session, reading)
        self._align_ended()
        station.finish()

    @property
    def ended_interval(self) -> int:
        """Seconds between the readings that go with a transaction's last message; 1.6 has one interval for all."""
        own = self._station.settings.number("ended_interval")
        return own or (self._station.settings.number("sample_interval") if self._station.config.version == "1.6" else 0)

    def _keep(self, session: Session, reading: Reading) -> None:
        session.kept.append(reading)
        if len(session.kept) > _KEPT_READINGS:
            # E06.FR.13: the intermediate values go first, never the first one.
            session.kept = session.kept[:1] + session.kept[2::2]

    def _aligned(self) -> None:
        station = self._station
        self._timer = None
        # J01.FR.20: where they are wanted of an idle station alone, none goes out while a transaction runs.
        if not (station.settings.flag("aligned_idle") and station.transactions.busy):
            for evse in station.evses:
                self.send_reading(evse, CLOCK, "MeterValueClock")
        self._align_sent()
        station.finish()

    def send_reading(self, evse: Evse, context: str, trigger: str) -> None:
        """The clock-aligned measurands of `evse`, now: within its session, or of the idle EVSE."""
        station = self._station
        reading = self.read(evse, "aligned", context)
        if not reading.values:
            return
        if evse.session is not None:
            station.dialect.sampled(evse, evse.session, reading, trigger)
        else:
            station.dialect.idle_sampled(evse, reading)
