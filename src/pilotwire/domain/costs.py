"""Block I of the domain: what sessions cost, as the central system works it out, and what stations say of it.

A session's tariff is chosen when it begins: the one that the station names (2.1, where it works out the cost itself),
else the driver's, else the default one of its place (`Context.price`). The tariff is in the fact, so that the cost
follows from the journal alone; the fold (`Session.bill`) prices every message of the session step by step.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from msgspec import structs

from . import costs_fold
from .boot import DONE
from .context import Asked, Chosen, Context, Decision
from .facts import (
    AnyFact,
    DefaultTariffSet,
    SessionCostDiffered,
    SessionCostTold,
    SessionEnded,
    SessionStarted,
    SessionTariffDeclined,
    SessionTariffOffered,
    SessionTariffSet,
    SessionUpdated,
    TariffsCleared,
)
from .inputs import Input, Outcome, TransactionAnswered, TransactionEvent
from .records import Pricing, Session, Station
from .state import StationState
from .tariffs import bill as bills
from .tariffs import checking, course
from .tariffs.model import Tariff
from .tokens import DIRECT

NOBODY = "NoAuthorization"
"""IdTokenEnumType where nobody is asked."""

DECLINED = "TariffNotAccepted"
"""TriggerReasonEnumType."""

# ── what comes in ────────────────────────────────────────────────────────────────────────────────────────────────────


class DefaultAccepted(Input, frozen=True):
    """The station has taken a default tariff, for one EVSE or (0) for all."""

    evse: int
    tariff: Tariff


class Cleared(Input, frozen=True):
    """The station does not have these default tariffs (any more); None: none at all."""

    ids: tuple[str, ...] | None
    evse: int = 0


class Listed(Input, frozen=True):
    """The station has said which default tariffs it holds, at one EVSE or (0) at all."""

    ids: frozenset[str]
    evse: int = 0


class TariffOffered(Input, frozen=True):
    """The station has taken another tariff for a running transaction."""

    transaction: str
    tariff: Tariff


class Changed(Input, frozen=True):
    """Somebody here has another tariff in mind for a session whose cost is worked out here alone."""

    session: str
    tariff: Tariff
    zone: str = ""


def default_accepted(state: StationState, given: DefaultAccepted, ctx: Context) -> Decision:
    fact = DefaultTariffSet(event_time=ctx.now + state.station.skew_ms, evse=given.evse, tariff=given.tariff)
    return Decision((fact,), (), DONE)


def cleared(state: StationState, given: Cleared, ctx: Context) -> Decision:
    held = () if state.station.pricing is None else state.station.pricing.tariffs.items()
    ids = {
        tariff.tariff_id
        for evse, tariffs in held
        if not given.evse or evse == given.evse
        for tariff in tariffs
        if given.ids is None or tariff.tariff_id in given.ids
    }
    if not ids:
        return Decision((), (), DONE)
    return Decision((TariffsCleared(event_time=ctx.now, ids=tuple(sorted(ids)), evse=given.evse),), (), DONE)


def listed(state: StationState, given: Listed, ctx: Context) -> Decision:
    """What we thought that it holds, and it does not, is gone."""
    held = {} if state.station.pricing is None else state.station.pricing.tariffs
    places = held.values() if not given.evse else [held.get(given.evse, [])]
    gone = {tariff.tariff_id for tariffs in places for tariff in tariffs} - given.ids
    if not gone:
        return Decision((), (), DONE)
    return Decision((TariffsCleared(event_time=ctx.now, ids=tuple(sorted(gone)), evse=given.evse),), (), DONE)


def unfit(pricing: Pricing | None, tariff: Tariff) -> str:
    """Why a station cannot work by a tariff, as far as it has said so; "" where nothing speaks against it."""
    if pricing is None:
        return ""
    if False in (pricing.takes_tariffs, pricing.calculates):
        return "the station does not work out cost"
    if pricing.takes_conditions is False and checking.conditional(tariff):
        return "the station takes no conditions"
    if pricing.most_prices is not None and checking.elements(tariff) > pricing.most_prices:
        return f"the station takes {pricing.most_prices} prices"
    return ""


def tariff_offered(state: StationState, given: TariffOffered, ctx: Context) -> Decision:
    session = state.by_transaction(given.transaction)
    if session is None:
        return Decision((), (), DONE)
    fact = SessionTariffOffered(event_time=ctx.now, session_id=session.id, tariff=given.tariff)
    return Decision((fact,), (), DONE)


def changed(state: StationState, given: Changed, ctx: Context) -> Decision:
    session = state.sessions.get(given.session)
    if session is None or session.status != "active":
        return Decision((), (), DONE)
    # By the station's own clock, and not before what is known of it already.
    time = max(ctx.now + state.station.skew_ms, session.latest_event)
    found = Chosen(given.tariff, "changed", given.zone)
    return Decision((_set(state.station, session.id, session.evse, found, time),), (), DONE)


def _set(
    station: Station,
    session_id: str,
    evse: int,
    found: Chosen,
    time: int,
    *,
    begins: bool = False,
    reservation: int | None = None,
) -> SessionTariffSet:
    pricing = station.pricing or Pricing()
    return SessionTariffSet(
        event_time=time,
        session_id=session_id,
        tariff=found.tariff,
        why=found.why,
        local=found.why == "station",
        begins=begins,
        zone=found.zone if pricing.zone is None else pricing.zone,
        evse_kind=pricing.kinds.get(evse, "AC"),
        reserved_ms=_reserved(station, reservation, time),
    )


def _reserved(station: Station, reservation: int | None, time: int) -> int | None:
    """How long a place was reserved for a session that begins at `time`, in whole seconds."""
    if reservation is None or station.kept is None:
        return None
    made = next((one.made_at for one in reversed(station.kept.reservations) if one.id == reservation), None)
    return None if made is None else max(0, time - made - station.skew_ms) // 1000 * 1000


def objection(session: Session, tariff: Tariff) -> str:
    """Why a session cannot have this tariff; "" where it can."""
    if session.status != "active":
        return "the session has ended"
    if session.bill is not None and session.bill.currency not in ("", tariff.currency):
        return f"the session is billed in {session.bill.currency}"
    return ""


# ── sessions as they begin and go on ─────────────────────────────────────────────────────────────────────────────────


def _choose(state: StationState, ctx: Context, evse: int, token: str, group: str, named: str, at: int) -> Chosen | None:
    """Which tariff it is. `named`: the one that the station says it uses."""
    if named:
        pricing = state.station.pricing
        for tariffs in () if pricing is None else pricing.tariffs.values():
            for tariff in tariffs:
                if tariff.tariff_id == named:
                    return Chosen(tariff, "station", "")
    if ctx.price is None:
        return None
    found = ctx.price(Asked(evse, token, group, named, at))
    return found._replace(why="station") if found is not None and named else found


def begun(state: StationState, start: SessionStarted, group: str, ctx: Context) -> list[AnyFact]:
    """1.6: what follows a start."""
    if ctx.price is None:
        return []
    found = _choose(state, ctx, start.evse, start.token, group, "", start.event_time)
    if found is None:
        return []
    fact = _set(
        state.station,
        start.session_id,
        start.evse,
        found,
        start.event_time,
        begins=True,
        reservation=start.reservation_id,
    )
    return [fact]


def of_event(
    state: StationState, given: TransactionEvent, session_id: str, group: str, facts: list[AnyFact], ctx: Context
) -> None:
    """Put among the facts of a TransactionEvent what it means for the cost."""
    if ctx.price is None and not given.tariff_id and given.cost is None and state.station.pricing is None:
        return
    session = state.sessions.get(session_id)
    bill = None if session is None else session.bill
    if bill is not None and given.trigger == DECLINED:
        facts.insert(0, SessionTariffDeclined(event_time=given.time, session_id=session_id))
        return
    evse = given.evse or (session.evse if session is not None else 0)
    if bill is None or (not bill.tariff_id and given.tariff_id):
        # It begins; or it has, and only now is it said by which tariff, or known for whom.
        token = given.token or _token(session)
        begins = given.kind == "Started" or session is None
        nameless = session is not None and not session.token
        if given.tariff_id or (_known(given, token) if given.kind == "Started" or nameless else begins):
            found = _choose(state, ctx, evse, token, group, given.tariff_id, given.time)
            if found is not None:
                fact = _set(
                    state.station, session_id, evse, found, given.time, begins=begins, reservation=given.reservation_id
                )
                _insert(facts, structs.replace(fact, seq_no=given.seq_no))
    elif given.kind == "Started" and bill.costing is None and bill.first is not None:
        # Other messages of it came first; only now is it known how it began.
        found = _choose(state, ctx, evse, given.token or _token(session), group, given.tariff_id, given.time)
        if found is not None:
            fact = _set(
                state.station, session_id, evse, found, given.time, begins=True, reservation=given.reservation_id
            )
            place = next((at for at, one in enumerate(facts) if isinstance(one, SessionStarted)), 0)
            more = any(isinstance(one, SessionUpdated) for one in facts)
            facts.insert(place, structs.replace(fact, seq_no=given.seq_no, more=more))
    elif given.tariff_id and given.tariff_id != bill.tariff_id:
        offered = next((one for one in bill.offered if one.tariff_id == given.tariff_id), None)
        found = Chosen(offered, "station", "") if offered is not None else None
        if found is None:
            found = _choose(state, ctx, evse, given.token, group, given.tariff_id, given.time)
        if found is not None:
            fact = _set(state.station, session_id, evse, found, given.time)
            _insert(facts, structs.replace(fact, seq_no=given.seq_no, why="changed", local=True))
    elif given.tariff_id and not bill.local:
        current = None if bill.costing is None else bill.costing.tariff
        if current is not None:
            fact = _set(state.station, session_id, evse, Chosen(current, "station", bill.zone), given.time)
            _insert(facts, fact)
    if given.cost is not None:
        facts.append(SessionCostTold(event_time=given.time, session_id=session_id, told=given.cost))
    if session is not None and bill is not None:
        facts += _compared(session, facts)


def _token(session: Session | None) -> str:
    return "" if session is None else session.token


def _known(given: TransactionEvent, token: str) -> bool:
    """Whether a transaction's driver is known, or nobody asks who it is. Before that it has no tariff (I08.FR.04)."""
    return bool(token) or given.token_type == NOBODY or given.charging_state == course.CHARGING


def _insert(facts: list[AnyFact], fact: SessionTariffSet) -> None:
    """After the start, before what the message measured."""
    place = next((at + 1 for at, one in reversed(list(enumerate(facts))) if isinstance(one, SessionStarted)), 0)
    facts.insert(place, fact)


def _compared(session: Session, facts: Iterable[AnyFact]) -> list[AnyFact]:
    """Whether the station's final cost is ours: said once, when the last of both has come."""
    bill = session.bill
    assert bill is not None
    final = any(isinstance(fact, SessionCostTold) and fact.told.final for fact in facts)
    if not final and not (bill.told is not None and bill.told.final and bill.held):
        return []
    shadow = Session(
        tenant="", id=session.id, station_id="", transaction="", ocpp_version="", evse=0, connector=0, started_at=0
    )
    shadow.bill = bill.copy()
    for fact in facts:
        if isinstance(fact, SessionUpdated):
            costs_fold.on_updated(shadow, fact)
        elif isinstance(fact, SessionEnded):
            costs_fold.on_ended(shadow, fact)
        elif isinstance(fact, SessionCostTold):
            costs_fold.on_told(shadow, fact)
        elif isinstance(fact, SessionTariffSet):
            costs_fold.on_set(shadow, fact)
    new = shadow.bill
    assert new is not None and new.told is not None
    if bills.agrees(new) is not False:
        return []
    assert new.amount is not None
    return [
        SessionCostDiffered(
            event_time=session.latest_event,
            session_id=session.id,
            tariff_id=new.tariff_id,
            currency=new.currency,
            expected=str(new.amount),
            told=str(new.told.amount),
        )
    ]


def told(state: StationState, given: Input, outcome: Outcome) -> Outcome:
    """The answer to a TransactionEvent with the cost, where it is worked out here alone (I02, I03)."""
    assert isinstance(given, TransactionEvent) and isinstance(outcome, TransactionAnswered)
    if given.kind == "Started":
        return outcome
    session = state.by_transaction(given.transaction)
    bill = None if session is None else session.bill
    if bill is None or bill.local or bill.amount is None:
        return structs.replace(outcome, total_cost=Decimal(0)) if _for_nothing(given, session) else outcome
    return structs.replace(outcome, total_cost=bill.amount)


def _for_nothing(given: TransactionEvent, session: Session | None) -> bool:
    """2.1 C20.FR.03: who has paid beforehand and drew nothing gets the money back, whoever works out the cost."""
    if given.kind != "Ended" or session is None or session.token_type != DIRECT or session.energy_wh:
        return False
    if session.bill is None:
        return True  # there is no tariff by which anything could cost
    told = session.bill.told
    return told is not None and told.amount == 0
