"""Block K of the domain: what a station has accepted of charging profiles, and what it says of charging itself.

Every change of what is installed at a station becomes a fact when the station has said so; the profiles of a station
are the fold of those (`Station.charging`). By them its own composite schedules are judged.
"""

from __future__ import annotations

from msgspec import structs

from .boot import DONE
from .charging_fold import awaited, store_of
from .context import Context, Decision
from .facts import (
    ChargingLimitChanged,
    ChargingNeedsNotified,
    ChargingProfilesCleared,
    ChargingProfileSet,
    ChargingProfilesReported,
    ChargingRatesUpdated,
    CompositeScheduleDiffered,
    PriorityChargingChanged,
    Step,
    VehicleScheduleNotified,
)
from .inputs import Input, Outcome
from .schedules.engine import Engine
from .schedules.judging import judge, stripped
from .schedules.model import (
    EXTERNAL,
    TX,
    Circumstances,
    Composite,
    Place,
    Profile,
    Rates,
    Schedule,
    Transaction,
    Unit,
)
from .schedules.store import Criteria
from .state import StationState

# ── what comes in ────────────────────────────────────────────────────────────────────────────────────────────────────


class ProfileAccepted(Input, frozen=True):
    """The station has taken a profile that we sent. Its `transaction` is as the version names it."""

    profile: Profile
    version: str
    start_id: int | None = None
    """It came with a remote start of this id: for the transaction that follows."""


class ProfilesCleared(Input, frozen=True):
    """The station has no profile (any more) that fits."""

    criteria: Criteria


class RatesAccepted(Input, frozen=True):
    """The station has taken new rates of a dynamic profile."""

    profile_id: int
    rates: Rates


class CompositeAnswered(Input, frozen=True):
    """The station has stated a composite schedule."""

    answered: Composite
    asked_ms: int


class ProfilesReported(Input, frozen=True):
    """ReportChargingProfiles."""

    evse: int
    source: str
    profiles: tuple[Profile, ...]
    request_id: int
    more: bool = False


class LimitNotified(Input, frozen=True):
    """NotifyChargingLimit; `source` of ClearedChargingLimit with `cleared`."""

    source: str
    evse: int = 0
    schedules: tuple[Schedule, ...] = ()
    critical: bool = False
    local_generation: bool = False
    cleared: bool = False


class PriorityNotified(Input, frozen=True):
    """NotifyPriorityCharging."""

    transaction: str
    activated: bool


class NeedsNotified(Input, frozen=True):
    """NotifyEVChargingNeeds."""

    evse: int
    transfer: str
    energy_wh: int | None = None
    departure: int | None = None
    max_tuples: int | None = None
    unit: Unit = "W"
    most: int = 0
    """How much the vehicle can take at most, in mA or mW; 0: it has not said."""
    newer: bool = False
    """It talks ISO 15118-20 with the station."""


class VehicleSchedule(Input, frozen=True):
    """NotifyEVChargingSchedule: what the vehicle has chosen, from `start` on."""

    evse: int
    start: int
    schedule: Schedule


class RatesAsked(Input, frozen=True):
    """PullDynamicScheduleUpdate."""

    profile_id: int


class Verdict(Outcome, frozen=True):
    """A status, with its reason where it is no."""

    status: str
    reason_code: str = ""


class RatesTold(Outcome, frozen=True):
    """The rates of a dynamic profile; None: there is no such one."""

    rates: Rates | None = None


# ── decisions ────────────────────────────────────────────────────────────────────────────────────────────────────────


def profile_accepted(state: StationState, given: ProfileAccepted, ctx: Context) -> Decision:
    profile = structs.replace(stripped(given.profile), installed=_station_time(state, ctx))
    if profile.purpose == TX and given.start_id is not None:
        profile = structs.replace(profile, transaction=awaited(given.start_id))
    elif profile.purpose == TX and not profile.transaction:
        # 1.6 need not name the transaction: it is the one that runs on the connector.
        running = next((each for each in state.active if each.evse == profile.evse), None)
        profile = structs.replace(profile, transaction=None if running is None else running.transaction)
    return Decision((ChargingProfileSet(event_time=ctx.now, profile=profile, version=given.version),), (), DONE)


def profiles_cleared(state: StationState, given: ProfilesCleared, ctx: Context) -> Decision:
    gone = store_of(state.station).clear(given.criteria)
    if not gone:
        return Decision((), (), DONE)
    ids = tuple(profile.id for profile in gone)
    return Decision((ChargingProfilesCleared(event_time=ctx.now, ids=ids),), (), DONE)


def rates_accepted(state: StationState, given: RatesAccepted, ctx: Context) -> Decision:
    fact = ChargingRatesUpdated(event_time=_station_time(state, ctx), profile_id=given.profile_id, rates=given.rates)
    return Decision((fact,), (), DONE)


def composite_answered(state: StationState, given: CompositeAnswered, ctx: Context) -> Decision:
    charging = state.station.charging
    found = judge(
        () if charging is None else charging.profiles,
        given.answered,
        given.asked_ms,
        transactions_of(state),
        unknown_caps=charging is not None and bool(charging.elsewhere),
    )
    if found is None:
        return Decision((), (), DONE)
    answered = given.answered
    fact = CompositeScheduleDiffered(
        event_time=ctx.now,
        evse=answered.evse,
        unit=answered.unit,
        start=answered.start,
        duration_ms=given.asked_ms,
        why=found.why,
        expected=_steps(found.expected),
        answered=_steps(answered),
        at=tuple(each.start_ms for each in found.differences),
    )
    return Decision((fact,), (), DONE)


def profiles_reported(state: StationState, given: ProfilesReported, ctx: Context) -> Decision:
    fact = ChargingProfilesReported(
        event_time=ctx.now,
        evse=given.evse,
        source=given.source,
        profiles=tuple(stripped(profile) for profile in given.profiles),
        request_id=given.request_id,
        more=given.more,
    )
    return Decision((fact,), (), DONE)


def limit_notified(state: StationState, given: LimitNotified, ctx: Context) -> Decision:
    fact = ChargingLimitChanged(
        event_time=_station_time(state, ctx),
        source=given.source,
        evse=given.evse,
        schedules=given.schedules,
        critical=given.critical,
        local_generation=given.local_generation,
        cleared=given.cleared,
    )
    return Decision((fact,), (), DONE)


def priority_notified(state: StationState, given: PriorityNotified, ctx: Context) -> Decision:
    fact = PriorityChargingChanged(event_time=ctx.now, transaction=given.transaction, activated=given.activated)
    return Decision((fact,), (), DONE)


def needs_notified(state: StationState, given: NeedsNotified, ctx: Context) -> Decision:
    # Who has said how much it can take gets an offer (`domain.ev_plans`). For others nobody plans: they charge within
    # the limits that are set (K15.FR.04). To ISO 15118-20 Rejected would forbid the transfer itself (K18.FR.04). A car
    # that may give energy back follows the set-points of the profiles that are there: an offer would overrule them.
    running = transactions_of(state).get(given.evse)
    plans = given.most > 0 and running is not None and "BPT" not in given.transfer
    status = "Accepted" if plans else "NoChargingProfile" if given.newer else "Rejected"
    kept = state.station.kept
    allowed = None if kept is None or running is None else kept.transfers.get(running.key)
    if given.newer and allowed is not None and given.transfer not in allowed:
        status = "Rejected"  # K18.FR.22, K19.FR.15, Q01.FR.04: we have said which transfers it may have
    fact = ChargingNeedsNotified(
        event_time=ctx.now,
        evse=given.evse,
        transaction="" if running is None else running.key,
        transfer=given.transfer,
        energy_wh=given.energy_wh,
        departure=given.departure,
        max_tuples=given.max_tuples,
        verdict=status,
    )
    return Decision((fact,), (), Verdict(status=status))


def vehicle_schedule(state: StationState, given: VehicleSchedule, ctx: Context) -> Decision:
    """Within what the profiles allow it is accepted (K15.FR.11, .12)."""
    schedule = given.schedule
    last = schedule.periods[-1].start_ms if schedule.periods else 0
    lasts = schedule.duration_ms or last + 3_600_000
    answered = Engine(
        (
            Profile(
                id=0,
                evse=given.evse,
                stack=0,
                purpose=EXTERNAL,
                kind="Absolute",
                schedules=(structs.replace(schedule, start=given.start, local=False),),
            ),
        )
    ).composite(
        now=given.start,
        duration_ms=lasts,
        evse=given.evse,
        unit=schedule.unit,
        around=Circumstances(places={given.evse: Place()}),
    )
    charging = state.station.charging
    found = judge(
        () if charging is None else charging.profiles, answered, lasts, transactions_of(state), unknown_caps=True
    )
    status = "Accepted" if found is None or found.why != "above" else "Rejected"
    fact = VehicleScheduleNotified(
        event_time=ctx.now, evse=given.evse, start=given.start, schedule=schedule, verdict=status
    )
    return Decision((fact,), (), Verdict(status=status))


def rates_asked(state: StationState, given: RatesAsked, ctx: Context) -> Decision:
    """What a dynamic profile holds is what was set last (K28.FR.07, .12)."""
    profile = store_of(state.station).get(given.profile_id)
    if profile is None or profile.kind != "Dynamic":
        return Decision((), (), RatesTold())
    period = profile.schedules[0].periods[0]
    rates = Rates(**{name: getattr(period, name) for name in Rates.__struct_fields__})
    fact = ChargingRatesUpdated(event_time=_station_time(state, ctx), profile_id=profile.id, rates=rates)
    return Decision((fact,), (), RatesTold(rates=rates))


def _station_time(state: StationState, ctx: Context) -> int:
    """Now by the station's own clock, by which its schedules run."""
    return ctx.now + state.station.skew_ms


def _steps(schedule: Composite) -> tuple[Step, ...]:
    return tuple(
        Step(
            each.start_ms,
            each.limit
            if each.limit is None or schedule.unit == "A"
            else each.limit + (each.limit_l2 or 0) + (each.limit_l3 or 0),
        )
        for each in schedule.intervals
    )


def transactions_of(state: StationState) -> dict[int, Transaction]:
    """What runs on the station's EVSEs, in its own time."""
    charging = state.station.charging
    priority = () if charging is None else charging.priority
    return {
        session.evse: Transaction(
            key=session.transaction,
            start=session.reported_start or session.started_at,
            priority=session.transaction in priority,
        )
        for session in state.active
    }
