"""Vehicles that plan (ISO 15118; K15 to K20): what they need goes to the CSMS, what it offers goes to them.

A car that knows how (`ports.Planner`) is told the composite schedule of each schedule that the CSMS sends, chooses one,
and says how it will draw. That holds when the CSMS has agreed. Other cars follow what they are offered.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from pilotwire.core.errors import LocalError
from pilotwire.core.time import to_datetime
from pilotwire.domain.schedules.model import EV_SCHEDULE, Composite, Period, Profile, Schedule
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.translate import schedules as wire

from .ports import Planner

if TYPE_CHECKING:
    from .program import Station
    from .sessions import Session
    from .smart_charging import SmartCharging

_ID = -2_000_000
"""Schedules of vehicles have ids from here down; they are reported to nobody."""
_LONGEST_MS = 86_400_000
_PERIODS = 1024


class EvPlanning:
    """What the vehicles at one station have told, and what they were offered."""

    __slots__ = ("_begun", "_dynamic", "_heard", "_smart", "_station", "_told")

    def __init__(self, station: Station, smart: SmartCharging) -> None:
        self._station = station
        self._smart = smart
        self._told: set[str] = set()
        """Transactions whose vehicle has told what it needs."""
        self._dynamic: set[str] = set()
        """Those of them in dynamic control mode: the station says from moment to moment what flows."""
        self._begun: set[str] = set()
        """Those whose vehicle was asked whether it plans."""
        self._heard: set[str] = set()
        """Those whose needs the CSMS has answered at least once."""

    def clear(self) -> None:
        """Nothing of an earlier run is left."""
        for known in (self._told, self._dynamic, self._begun, self._heard):
            known.clear()

    def began(self, session: Session) -> None:
        """A car that plans by ISO 15118-2 says once what it needs; one of ISO 15118-20 does so by `v2x`."""
        if session.key in self._begun or not session.begun:
            return
        self._begun.add(session.key)
        station = self._station
        evse = station.evses[session.evse - 1]
        car = evse.car
        newer = bool(station.v2x.evccid(evse))
        if (
            station.config.version != "1.6"
            and isinstance(car, Planner)
            and not newer
            and station.settings.flag("iso15118_enabled")
        ):
            self.needs(evse.id, energy_wh=car.energy_wh, departure=car.departure, tuples=car.tuples)

    def renew(self, evse_id: int) -> None:
        """The vehicle that plans there needs something else by now: the CSMS hears of it (K17, K20).

        Raises LocalError where there is no such vehicle.
        """
        station = self._station
        tx, car = self._smart.transaction(evse_id), station.evses[evse_id - 1].car
        if tx is None or not isinstance(car, Planner):
            raise LocalError(f"no vehicle that plans is charged by EVSE {evse_id}")
        if station.v2x.tell_again(tx.key):
            station.finish()
        else:
            self.needs(evse_id, energy_wh=car.energy_wh, departure=car.departure, tuples=car.tuples)

    def ended(self, session: Session) -> None:
        """Nothing of the session counts any more."""
        for known in (self._told, self._dynamic, self._begun, self._heard):
            known.discard(session.key)

    def early(self, evse_id: int, transaction: str | None) -> bool:
        """A vehicle has begun to tell its needs on that EVSE, and the first word of it has not gone out yet."""
        waiting = self._station.conversation.waiting("NotifyEVChargingNeeds")
        return transaction not in self._heard and any(cast("Any", each).evse_id == evse_id for each in waiting)

    def told(self, transaction: str | None) -> bool:
        """The vehicle in that transaction has told what it needs."""
        return transaction in self._told

    def tell(self, transaction: str, *, dynamic: bool) -> None:
        """The CSMS knows the needs of the vehicle in that transaction by other ways than `needs`."""
        self._told.add(transaction)
        self._heard.add(transaction)
        if dynamic:
            self._dynamic.add(transaction)

    def needs(self, evse_id: int, *, energy_wh: int, departure: int | None = None, tuples: int | None = None) -> None:
        """The vehicle says by ISO 15118-2 what it needs, or needs now (K15, K17): told to the CSMS, at once or when the
        connection is back.

        `departure`: station clock, ms. Raises LocalError without a transaction, or in 1.6.
        """
        station = self._station
        m = station.messages
        tx = self._smart.transaction(evse_id)
        if station.config.version == "1.6" or tx is None:
            raise LocalError("there is nobody to tell the needs of")
        config = station.evses[evse_id - 1].config
        most = config.max_ma // 1000
        fields: dict[str, Any] = {}
        if config.dc:
            transfer = "DC"
            fields["dc_charging_parameters"] = m.DCChargingParametersType(
                ev_max_current=most, ev_max_voltage=config.max_mv // 1000, energy_amount=energy_wh
            )
        else:
            transfer = ("AC_single_phase", "AC_two_phase", "AC_three_phase")[config.phases - 1]
            fields["ac_charging_parameters"] = m.ACChargingParametersType(
                energy_amount=energy_wh, ev_min_current=6, ev_max_current=most, ev_max_voltage=400
            )
        if departure is not None:
            fields["departure_time"] = to_datetime(departure)
        more: dict[str, Any] = {}
        if station.config.version == "2.1" and not station.online:
            more["timestamp"] = station.clock.wall()  # K15.FR.20
        self._told.add(tx.key)
        station.conversation.call(
            "NotifyEVChargingNeeds",
            m.NotifyEVChargingNeedsRequest(
                evse_id=evse_id,
                charging_needs=m.ChargingNeedsType(requested_energy_transfer=transfer, **fields),
                max_schedule_tuples=tuples,
                **more,
            ),
            lambda response, error: self._answered(tx.key, response, error),
            keep=True,
        )
        if not station.online:
            self.alone(tx.key)  # K15.FR.15
        station.finish()

    def _answered(self, transaction: str, response: Any, error: RpcError | None) -> None:
        if self.told(transaction):
            self._heard.add(transaction)
        if response is None or response.status in ("Rejected", "NoChargingProfile"):
            if error is not None or response is None:
                self._told.discard(transaction)
            self.alone(transaction)  # K15.FR.04, .15: nobody plans, so it is the default profile

    # ── what the vehicle is offered ──────────────────────────────────────────────────────────────────────────────

    def offered(self, profile: Profile) -> None:
        """The CSMS has set a profile for a transaction whose vehicle plans: it plans within it, or anew (K15, K16)."""
        station = self._station
        tx = self._smart.transaction(profile.evse)
        if tx is None:
            return
        now = station.clock.now()
        self._forget(profile.evse)
        if tx.key in self._dynamic:
            # K19.FR.10: whatever the vehicle says, it is made to follow the schedule of the CSMS.
            sent = wire.schedule_wire(station.messages, profile.schedules[0])
            self._tell(profile.evse, now, profile.schedules[0].id, sent)
            return
        offers = [
            self._smart.composite(profile.evse, "W", now, _rest_s(profile, schedule, tx.start, now), choice=choice)
            for choice, schedule in enumerate(profile.schedules)
        ]
        station.links.offered(profile.evse, offers)
        chosen, own = self._asked(profile.evse, offers)
        self._smart.follow(profile.evse, chosen)
        number = profile.schedules[chosen].id
        self._tell(profile.evse, now, number, self._shown(offers[chosen] if own is None else own, number), tx.key, own)

    def alone(self, transaction: str) -> None:
        """Nobody plans for the vehicle: it does so within what holds without (K15.FR.15, K17.FR.15, K18.FR.15)."""
        evse_id = self._smart.evse_of(transaction)
        if evse_id is None or transaction in self._dynamic:
            return
        self._forget(evse_id)
        offer = self._smart.composite(evse_id, "W", self._station.clock.now(), _LONGEST_MS // 1000)
        self._station.links.offered(evse_id, [offer])
        _, own = self._asked(evse_id, [offer])
        if own is not None:
            self._hold(evse_id, transaction, own)

    def chosen(self, evse_id: int, points: Sequence[tuple[int, int]]) -> None:
        """A vehicle has said by its link how it will draw: (start in s from now, mW). It counts within what it was
        offered (K15.FR.09 to .14)."""
        station = self._station
        tx = self._smart.transaction(evse_id)
        if tx is None or not points or not self.told(tx.key) or tx.key in self._dynamic:
            return
        now = station.clock.now()
        offer = self._smart.composite(evse_id, "W", now, _LONGEST_MS // 1000)
        if not offer.intervals:
            return
        rows = tuple(offer.intervals[0]._replace(start_ms=start * 1000, limit=mw) for start, mw in points)
        own = offer._replace(intervals=rows)
        if within(own, offer):
            self._tell(evse_id, now, 1, self._shown(own, 1), tx.key, own)

    def _forget(self, evse_id: int) -> None:
        if self._smart.store.remove(lambda each: each.purpose == EV_SCHEDULE and each.evse == evse_id):
            self._smart.changed()

    def _asked(self, evse_id: int, offers: list[Composite]) -> tuple[int, Composite | None]:
        """Which offer the vehicle takes, and how it will draw; None: as offered.

        What it says counts only within the offer (K15.FR.09, K16.FR.04, K17.FR.09, K18.FR.09).
        """
        car = self._station.evses[evse_id - 1].car
        if not isinstance(car, Planner) or (car.evccid and not car.scheduled):
            return 0, None
        chosen, own = car.plan(offers)
        if not 0 <= chosen < len(offers):
            return 0, None
        if own is None or not within(own, offers[chosen]):
            return chosen, None
        return chosen, own

    def _hold(self, evse_id: int, transaction: str, own: Composite) -> None:
        """The vehicle's own schedule counts from now on (K15.FR.14, K16.FR.10, K17.FR.14, K18.FR.14)."""
        schedule = Schedule(
            unit=own.unit,
            periods=tuple(Period(start_ms=each.start_ms, limit=each.limit) for each in own.intervals),
            start=own.start,
            duration_ms=own.duration_ms,
        )
        self._smart.store.put(
            Profile(
                id=_ID - evse_id,
                evse=evse_id,
                stack=0,
                purpose=EV_SCHEDULE,
                kind="Absolute",
                schedules=(schedule,),
                transaction=transaction,
                installed=own.start,
            )
        )
        self._smart.changed()

    def _shown(self, schedule: Composite, number: int) -> Any:
        m = self._station.messages
        chosen = wire.composite_2(m, schedule)
        return m.ChargingScheduleType(
            id=number,
            charging_rate_unit="W",
            charging_schedule_period=cast("list[Any]", chosen.charging_schedule_period)[:_PERIODS],
            duration=chosen.duration,
        )

    def _tell(
        self, evse_id: int, now: int, number: int, sent: Any, transaction: str = "", own: Composite | None = None
    ) -> None:
        """NotifyEVChargingSchedule: what the vehicle has chosen, or was made to take (K15.FR.10, .19, .21)."""
        station = self._station
        m = station.messages
        more: dict[str, Any] = {}
        if station.config.version == "2.1":
            more["selected_charging_schedule_id"] = number

        def answered(response: Any, error: RpcError | None) -> None:
            still = self._smart.transaction(evse_id)
            agreed = response is not None and response.status == "Accepted"
            if own is not None and agreed and still is not None and still.key == transaction:
                self._hold(evse_id, transaction, own)

        station.conversation.call(
            "NotifyEVChargingSchedule",
            m.NotifyEVChargingScheduleRequest(
                time_base=to_datetime(now), evse_id=evse_id, charging_schedule=sent, **more
            ),
            answered,
        )


def _rest_s(profile: Profile, schedule: Schedule, tx_start: int, now: int) -> int:
    """How long the schedule still lasts."""
    if schedule.duration_ms is None:
        return _LONGEST_MS // 1000
    began = tx_start if profile.kind == "Relative" or schedule.start is None else schedule.start
    return max(1, (began + schedule.duration_ms - now) // 1000)


def within(own: Composite, offer: Composite) -> bool:
    """Whether `own` is nowhere above `offer`, nor longer than it."""
    if not own.intervals or own.intervals[0].start_ms or own.duration_ms > offer.duration_ms or own.unit != offer.unit:
        return False
    starts = sorted({each.start_ms for each in (*own.intervals, *offer.intervals) if each.start_ms < own.duration_ms})
    for at in starts:
        drawn = [each.limit for each in own.intervals if each.start_ms <= at][-1]
        allowed = [each.limit for each in offer.intervals if each.start_ms <= at][-1]
        if allowed is not None and (drawn is None or drawn > allowed):
            return False
    return True
