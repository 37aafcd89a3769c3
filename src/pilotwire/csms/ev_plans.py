"""Vehicles that plan (2.x K15 to K17): who tells its needs is sent an offer, and another one when it chose too much."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from pilotwire.domain import ev_plans
from pilotwire.domain.charging import NeedsNotified, VehicleSchedule, Verdict, transactions_of
from pilotwire.domain.context import Decision
from pilotwire.domain.inputs import Input
from pilotwire.domain.schedules.model import Unit

if TYPE_CHECKING:
    from .actor import StationActor


def offer(actor: StationActor, given: Input, decision: Decision) -> None:
    """NotifyEVChargingNeeds was accepted: a TxProfile follows (K15.FR.07, K16.FR.12, K17.FR.07). Was it not, an earlier
    offer is taken back, so that the other profiles of the station hold."""
    if not isinstance(given, NeedsNotified):
        return
    accepted = isinstance(decision.outcome, Verdict) and decision.outcome.status == "Accepted"
    charging = actor.known().station.charging
    before = None if charging is None else ev_plans.offered(charging.profiles, given.evse)
    if not accepted and before is not None:
        payload = msgspec.json.encode({"chargingProfileId": before.id})
        actor.outbox.ask("ClearChargingProfile", payload, urgent=False)
    elif accepted and given.most:
        _send(actor, given.evse, given.unit, given.most, given.departure, given.max_tuples)


def offer_again(actor: StationActor, given: Input, decision: Decision) -> None:
    """The vehicle's schedule is above what it was offered: the offer is made once more (K15.FR.13, K16.FR.08)."""
    rejected = isinstance(decision.outcome, Verdict) and decision.outcome.status == "Rejected"
    charging = actor.known().station.charging
    if not isinstance(given, VehicleSchedule) or not rejected or charging is None:
        return
    before = ev_plans.offered(charging.profiles, given.evse)
    if before is None:
        return
    schedule = before.schedules[0]
    limits = [one.limit for one in schedule.periods if one.limit is not None]
    start, lasts = schedule.start, schedule.duration_ms
    if limits:
        departure = None if start is None or lasts is None else start + lasts
        _send(actor, given.evse, schedule.unit, max(limits), departure, len(schedule.periods))


def _send(actor: StationActor, evse: int, unit: Unit, most: int, departure: int | None, max_tuples: int | None) -> None:
    state = actor.known()
    transaction = transactions_of(state).get(evse)
    if transaction is None:
        return
    charging, kept = state.station.charging, state.station.kept
    station_takes = None if kept is None else kept.limits.get("periods")
    made = ev_plans.plan(
        () if charging is None else charging.profiles,
        evse=evse,
        transaction=transaction,
        unit=unit,
        most=most,
        now=actor.around.now() + state.station.skew_ms,
        departure=departure,
        longest=min(max_tuples or ev_plans.MOST_PERIODS, station_takes or ev_plans.MOST_PERIODS),
    )
    start = datetime.fromtimestamp(made.start / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    payload = msgspec.json.encode(ev_plans.request(made, start))
    actor.outbox.ask("SetChargingProfile", payload, urgent=False)
