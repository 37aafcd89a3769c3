"""1.6: StartTransaction, StopTransaction and MeterValues, each counted once (`docs/sessions.md`).

The transactionId is ours, and the station may never have learned it. What makes a start the same start is (connector,
idTag, timestamp, meterStart); what makes a stop the same stop is (transactionId, timestamp).
"""

from __future__ import annotations

from . import costs, inputs, metering
from .boot import DONE
from .clock import regime
from .context import Context, Decision, Need
from .facts import AnyFact, OrphanReceived, SessionEnded, SessionStarted, SessionUpdated
from .inputs import Started, Stopped, TokenVerdict
from .records import Session
from .state import StationState
from .tokens import verdict

VERSION = "1.6"
TOKEN_TYPE = "ISO14443"  # noqa: S105


def start_key(given: inputs.StartTransaction) -> str:
    """What all retries of one StartTransaction have in common."""
    return f"{given.connector}|{given.token}|{given.time}|{given.meter_start_wh}"


def start(state: StationState, given: inputs.StartTransaction, ctx: Context) -> Decision | Need:
    """StartTransaction: a new session, or the one that this start has made already."""
    key = start_key(given)
    token = verdict(given.token, TOKEN_TYPE, ctx)
    known = state.by_start_key(key)
    if known is not None:
        return Decision((), (), Started(transaction_id=int(known.transaction), token=token))
    need = state.need(start_key=key)
    if need is not None:
        return need
    facts: list[AnyFact] = [_superseded(state, old) for old in state.active if _gives_way(old, given, ctx.now)]
    transaction = ctx.ids.transaction_id()
    while state.by_transaction(str(transaction)) is not None:
        transaction = ctx.ids.transaction_id()
    begun = SessionStarted(
        event_time=given.time,
        session_id=ctx.ids.new(),
        transaction=str(transaction),
        start_key=key,
        ocpp_version=VERSION,
        evse=given.connector,
        connector=1,
        token=given.token,
        token_type=TOKEN_TYPE,
        verdict=token.status,
        meter_start_wh=given.meter_start_wh,
        reservation_id=given.reservation_id,
    )
    facts.append(begun)
    facts += costs.begun(state, begun, token.parent, ctx)
    return Decision(tuple(facts), (), Started(transaction_id=transaction, token=token))


def _gives_way(old: Session, given: inputs.StartTransaction, now: int) -> bool:
    """Whether this start shows that `old`, still open on the same connector, is over without a stop.

    It does when it is later by the station's own clock (where both times can be right) and the register went on from
    where it was, or counts from zero for each session, or the connector has been Available meanwhile.
    """
    if old.ocpp_version != VERSION or old.evse != given.connector:
        return False
    trusted = regime(given.time, now) == 0 and regime(old.reported_start, old.received_at) == 0
    if trusted and given.time < old.latest_event:
        return False
    if "connector-available" in old.flags:
        return True
    last = old.last
    return last is None or given.meter_start_wh >= last.wh or given.meter_start_wh in (0, old.meter_start_wh)


def _superseded(state: StationState, old: Session) -> SessionEnded:
    booted = state.station.booted_at > old.updated_at
    return SessionEnded(
        event_time=old.latest_event, session_id=old.id, reason="PowerLoss" if booted else "Other", implied=True
    )


def stop(state: StationState, given: inputs.StopTransaction, ctx: Context) -> Decision | Need:
    """StopTransaction: ends its session once; what belongs to none is kept as an orphan and answered all the same."""
    token = verdict(given.token, TOKEN_TYPE, ctx) if given.token else None
    answer = Stopped(token=token)
    transaction = given.transaction_id
    if transaction > 0:
        session = state.by_transaction(str(transaction))
        if session is None:
            need = state.need(transaction=str(transaction))
            if need is not None:
                return need
        if session is None or session.ocpp_version != VERSION:
            return _orphan(state, given, "unknown-transaction", answer)
        if session.reported_stop is not None:
            metering.assign(given.samples, session.id)
            if session.reported_stop == given.time:
                return Decision((), (), answer)
            return _orphan(state, given, "second-stop", answer)
    else:
        for known in state.sessions.values():
            if known.reported_stop == given.time and known.meter_stop_wh == given.meter_stop_wh:
                return Decision((), (), answer)
        session = _sole_fit(state, given, token, ctx)
        if session is None:
            return _orphan(state, given, "no-transaction-id", answer)
    metering.assign(given.samples, session.id)
    fact = SessionEnded(
        event_time=given.time,
        session_id=session.id,
        reason=given.reason or "Local",
        meter_stop_wh=given.meter_stop_wh,
        token=given.token,
    )
    return Decision((fact,), given.samples, answer)


def _sole_fit(
    state: StationState, given: inputs.StopTransaction, token: TokenVerdict | None, ctx: Context
) -> Session | None:
    """The one session without a stop that this stop can belong to, judged by meter, time and token.

    Where nothing fits the clock may have been set back since the start: then token and a risen register suffice, if the
    stop is later than all that are known, so that it cannot be an old copy of one that is not in memory any more.
    """
    stops = [s.reported_stop for s in state.sessions.values() if s.reported_stop is not None]
    tries = [(list(state.active), True), ([s for s in state.sessions.values() if "superseded" in s.flags], True)]
    if given.time > max(stops, default=given.time if not state.complete else given.time - 1):
        tries.append((list(state.active), False))
    for candidates, timed in tries:
        fitting = [s for s in candidates if _fits(s, given, token, ctx, timed)]
        if fitting:
            return fitting[0] if len(fitting) == 1 else None
    return None


def _fits(
    session: Session, given: inputs.StopTransaction, token: TokenVerdict | None, ctx: Context, timed: bool
) -> bool:
    if session.ocpp_version != VERSION:
        return False
    meter = session.meter_start_wh
    if meter is not None and meter > given.meter_stop_wh:
        return False
    if session.last is not None and session.last.wh > given.meter_stop_wh:
        return False
    if not timed:
        return given.token == session.token != "" and session.last is not None and session.last.wh < given.meter_stop_wh
    same_clock = regime(given.time, ctx.now) == regime(session.reported_start, session.received_at)
    if same_clock and session.reported_start > given.time:
        return False
    if not given.token or given.token == session.token:
        return True
    if token is None or not token.parent:
        return False
    return verdict(session.token, TOKEN_TYPE, ctx).parent == token.parent


def _orphan(state: StationState, given: inputs.StopTransaction, why: str, answer: Stopped) -> Decision:
    fact = OrphanReceived(
        event_time=given.time,
        action="StopTransaction",
        transaction=str(given.transaction_id),
        why=why,
        meter_wh=given.meter_stop_wh,
    )
    return Decision(() if state.is_known_orphan(fact) else (fact,), given.samples, answer)


def meter_values(state: StationState, given: inputs.MeterValues, ctx: Context) -> Decision | Need:
    """MeterValues: samples always, news of the session where they bring some. A stopped session's total stands."""
    samples = given.samples
    session = _metered(state, given)
    if session is None:
        transaction = given.transaction_id
        if transaction is not None and transaction > 0:
            need = state.need(transaction=str(transaction))
            if need is not None:
                return need
        metering.assign(samples, "")
        return Decision((), samples, DONE)
    if given.transaction_id is None:
        # Without a transactionId only what was measured after the start can belong to the session: some stations send
        # their whole unsent history at the first contact.
        samples = tuple(samples)
        own: metering.Samples = tuple(sample for sample in samples if sample.time >= session.reported_start)
        metering.assign(samples, "")
    else:
        own = samples
    metering.assign(own, session.id)
    if session.reported_stop is not None or not own:
        return Decision((), samples, DONE)
    fact = _news(session, metering.read(own))
    return Decision(() if fact is None else (fact,), samples, DONE)


def _metered(state: StationState, given: inputs.MeterValues) -> Session | None:
    transaction = given.transaction_id
    if transaction is not None and transaction > 0:
        session = state.by_transaction(str(transaction))
        return session if session is not None and session.ocpp_version == VERSION else None
    if given.evse == 0:
        return None  # connector 0: the station's main meter
    newest: Session | None = None
    for session in state.active:
        if session.evse == given.evse and session.ocpp_version == VERSION:
            newest = session
    return newest


def _news(session: Session, reading: metering.Reading) -> SessionUpdated | None:
    """What in this reading the session does not know yet; None where nothing is new (a retry, an old value)."""
    register, power, soc = reading.last, reading.power_w, reading.soc
    marks, last, newest = session.marks, session.last, reading.newest
    risen = register is not None and (last is None or register.wh > last.wh)
    if not risen:
        if register is not None and last is not None and register.time <= last.time:
            register = None
        if newest <= marks.power:
            power = None
        if newest <= marks.soc:
            soc = None
        if register is None and power is None and soc is None:
            return None
    return SessionUpdated(
        event_time=newest,
        session_id=session.id,
        register_wh=None if register is None else register.wh,
        register_time=None if register is None else register.time,
        power_w=power,
        soc=soc,
    )
