"""2.0.1 and 2.1: TransactionEvent, each event counted once, in whatever order it comes (`docs/sessions.md`).

The transactionId is the station's. An event is the same event when transactionId, seqNo and eventType are the same; one
Started, one Ended and everything between make a transaction.
"""

from __future__ import annotations

from msgspec import structs

from . import costs, inputs, metering, ranges, tokens
from .boot import DONE
from .context import Context, Decision, Need
from .facts import AnyFact, OrphanReceived, SessionEnded, SessionStarted, SessionUpdated, TokenPresented
from .inputs import TokenVerdict, TransactionAnswered, TransactionEvent
from .kept import SessionLimit
from .records import Register, Sample, Session
from .state import StationState
from .tokens import verdict

_PLAIN = TransactionAnswered()


def transaction_event(state: StationState, given: TransactionEvent, ctx: Context) -> Decision | Need:
    """TransactionEvent. A token in it is looked up again, whatever the station decided (E05)."""
    session = _named(state, given)
    if session is None:
        need = state.need(transaction=given.transaction)
        if need is not None:
            return need
    token: TokenVerdict | None = None
    answer = _PLAIN
    if given.token or given.token_type:
        token = verdict(given.token, given.token_type, ctx)
        if given.kind == "Started" or given.trigger == "Authorized":
            token = tokens.beginning(state, token)
        answer = TransactionAnswered(token=token)
    begins = given.kind == "Started" or given.trigger == "Authorized"
    if given.remote_start_id is not None or (begins and token is not None and token.credit):
        answer = _limited(state, given, answer)
    samples = given.samples
    reused = False
    if session is not None:
        metering.assign(samples, session.id)
        if given.kind == "Started" and "no-start" not in session.flags:
            if _is_other_start(session, given):
                reused = True
            elif ranges.contains(session.seen, given.seq_no):
                return _repeat(session, samples, answer)
        elif given.kind == "Ended" and session.reported_stop is not None:
            if session.ended_seq == given.seq_no and session.reported_stop == given.time:
                return _repeat(session, samples, answer)
            return _second_end(state, given, answer)
        elif (
            given.kind == "Updated"
            and ranges.contains(session.seen, given.seq_no)
            and given.time <= session.latest_event
        ):
            return _repeat(session, samples, answer)
    reading = metering.read(samples) if samples else metering.NOTHING
    facts: list[AnyFact] = []
    if session is None or reused:
        session_id = ctx.ids.new()
        metering.assign(samples, session_id)
        if given.kind != "Started":
            facts.append(_start(given, session_id, ctx.version, token, None, implied=True, reused=False))
        started = False
    else:
        session_id = session.id
        started = "no-start" not in session.flags
    if given.kind == "Started" and not started:
        facts += _superseded(state, given, session_id)
        facts.append(_start(given, session_id, ctx.version, token, reading.first, implied=False, reused=reused))
        if _says_more(given, reading, reading.first):
            facts.append(_update(given, session_id, reading))
    elif given.kind == "Ended":
        if _says_more(given, reading, reading.last) or given.evse is not None:
            facts.append(_update(given, session_id, reading))
        facts.append(_end(given, session_id, reading))
    else:
        facts.append(_update(given, session_id, reading))
    costs.of_event(state, given, session_id, "" if token is None else token.parent, facts, ctx)
    if token is not None and given.kind != "Started":
        facts.append(
            TokenPresented(
                event_time=given.time,
                token=given.token,
                token_type=given.token_type,
                verdict=token.status,
                evse=given.evse or 0,
            )
        )
    return Decision(tuple(facts), samples, answer)


def _limited(state: StationState, given: TransactionEvent, answer: TransactionAnswered) -> TransactionAnswered:
    """2.1 F07.FR.02: the event that names the start is answered with its limit, as far as the driver's own is not lower
    (E16.FR.08); C17.FR.03: one that a prepaid token begins, with what is left of it."""
    kept = state.station.kept
    start_id = given.remote_start_id
    wanted = None if kept is None or start_id is None else kept.session_limits.get(start_id)
    if answer.token is not None and answer.token.credit and answer.token.status == "Accepted":
        credit = SessionLimit(max_cost=answer.token.credit)
        wanted = credit if wanted is None else wanted.lowest(credit)
    if wanted is not None and given.limit is not None:
        wanted = wanted.within(given.limit)
    return answer if wanted is None else structs.replace(answer, limit=wanted)


def meter_values(state: StationState, given: inputs.MeterValues, ctx: Context) -> Decision:
    """MeterValues outside of transactions (J01): samples of no session."""
    metering.assign(given.samples, "")
    return Decision((), given.samples, DONE)


def _named(state: StationState, given: TransactionEvent) -> Session | None:
    """The session that this event belongs to. Where the station gave an id away twice, time tells them apart."""
    session = state.by_transaction(given.transaction)
    if session is None or "transaction-reused" not in session.flags or given.time >= session.reported_start:
        return session
    older = [s for s in state.sessions.values() if s.transaction == given.transaction and s is not session]
    return max(older, key=lambda s: s.reported_start, default=session)


def _is_other_start(session: Session, given: TransactionEvent) -> bool:
    """A second Started under one transactionId that is no retry: later than all that is known of the first, and either
    counting anew or after its end. A retry carries the time of the first, so it is never taken for one."""
    if given.time <= session.latest_event:
        return False
    return session.status == "ended" or ranges.contains(session.seen, given.seq_no)


def _repeat(session: Session, samples: tuple[Sample, ...], answer: TransactionAnswered) -> Decision:
    """Nothing new. Only where gaps were forgotten may it be an event after all: its samples are kept then."""
    return Decision((), samples if "gaps-forgotten" in session.flags else (), answer)


def _second_end(state: StationState, given: TransactionEvent, answer: TransactionAnswered) -> Decision:
    last = metering.read(given.samples).last
    fact = OrphanReceived(
        event_time=given.time,
        action="TransactionEvent",
        transaction=given.transaction,
        why="second-end",
        meter_wh=None if last is None else last.wh,
    )
    return Decision(() if state.is_known_orphan(fact) else (fact,), given.samples, answer)


def _superseded(state: StationState, given: TransactionEvent, session_id: str) -> list[AnyFact]:
    """Running sessions on the same EVSE that this later start shows to be over. Their own Ended still counts."""
    if not given.evse:
        return []
    return [
        SessionEnded(
            event_time=old.latest_event,
            session_id=old.id,
            reason="PowerLoss" if state.station.booted_at > old.updated_at else "Other",
            implied=True,
        )
        for old in state.active
        if old.evse == given.evse and old.id != session_id and given.time >= old.latest_event
    ]


def _start(
    given: TransactionEvent,
    session_id: str,
    version: str,
    token: TokenVerdict | None,
    first: Register | None,
    *,
    implied: bool,
    reused: bool,
) -> SessionStarted:
    if implied:
        # The event itself follows as an update: only the name is taken from it here.
        return SessionStarted(
            event_time=given.time,
            session_id=session_id,
            transaction=given.transaction,
            start_key="",
            ocpp_version=version,
            evse=0,
            connector=0,
            verdict="",
            implied=True,
        )
    return SessionStarted(
        event_time=given.time,
        session_id=session_id,
        transaction=given.transaction,
        start_key="",
        ocpp_version=version,
        evse=given.evse or 0,
        connector=given.connector or 0,
        token=given.token,
        token_type=given.token_type,
        verdict=token.status if token else "",
        meter_start_wh=None if first is None else first.wh,
        seq_no=given.seq_no,
        trigger=given.trigger,
        charging_state=given.charging_state,
        remote_start_id=given.remote_start_id,
        reservation_id=given.reservation_id,
        offline=given.offline,
        reused=reused,
        vehicle=given.vehicle,
        vehicle_type=given.vehicle_type,
    )


def _says_more(given: TransactionEvent, reading: metering.Reading, register: Register | None) -> bool:
    """Whether the event tells more than the one register that its start or end fact carries."""
    if reading.power_w is not None or reading.soc is not None:
        return True
    return register is not None and (reading.first != reading.last or register.time != given.time or reading.begins)


def _update(given: TransactionEvent, session_id: str, reading: metering.Reading) -> SessionUpdated:
    first, last = reading.first, reading.last
    several = first is not None and first != last
    return SessionUpdated(
        event_time=given.time,
        session_id=session_id,
        seq_no=given.seq_no,
        trigger=given.trigger,
        charging_state=given.charging_state,
        register_wh=None if last is None else last.wh,
        register_time=None if last is None else last.time,
        first_register_wh=first.wh if several and first is not None else None,
        first_register_time=first.time if several and first is not None else None,
        begins=reading.begins,
        power_w=reading.power_w,
        soc=reading.soc,
        evse=given.evse,
        connector=given.connector,
        token=given.token,
        token_type=given.token_type,
        offline=given.offline,
        vehicle=given.vehicle,
        vehicle_type=given.vehicle_type,
    )


def _end(given: TransactionEvent, session_id: str, reading: metering.Reading) -> SessionEnded:
    last = reading.last
    lone_begin = reading.begins and reading.first == last
    return SessionEnded(
        event_time=given.time,
        session_id=session_id,
        reason=given.stopped_reason or "Local",
        seq_no=given.seq_no,
        trigger=given.trigger,
        charging_state=given.charging_state,
        meter_stop_wh=None if last is None or lone_begin else last.wh,
        token=given.token,
        token_type=given.token_type,
        offline=given.offline,
    )
