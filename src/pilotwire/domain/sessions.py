"""The fold of session facts: what each does to its `Session`. One set of rules for live messages and for replay.

Nothing here decides whether a message counts (`sessions_v16`, `sessions_v2` do). In 2.x every field is merged by its
place in the transaction, so that all orders of arrival end in the same record; `docs/sessions.md` has the table.
"""

from __future__ import annotations

from . import clock, ranges
from .facts import ChargingNeedsNotified, SessionEnded, SessionStarted, SessionUpdated
from .flags import clear, flag
from .records import Reading, Register, Session, SessionVehicle


def create(tenant: str, station: str, fact: SessionStarted, recv_time: int) -> Session:
    """A session of which nothing is known but its name and when it was first heard of."""
    return Session(
        tenant=tenant,
        id=fact.session_id,
        station_id=station,
        transaction=fact.transaction,
        start_key=fact.start_key,
        ocpp_version=fact.ocpp_version,
        evse=0,
        connector=0,
        started_at=fact.event_time,
        received_at=recv_time,
    )


def on_started(session: Session, fact: SessionStarted, recv_time: int, skew_ms: int) -> None:
    """The start: announced, or implied by a later event that came first."""
    if fact.reused:
        flag(session, "transaction-reused")
    seq = fact.seq_no
    if fact.implied:
        flag(session, "no-start")
    else:
        clear(session, "no-start")
        if seq is not None:
            session.marks.started = seq
        if fact.offline:
            flag(session, "started-offline")
        if fact.verdict not in ("Accepted", ""):
            flag(session, "not-authorized")
    session.reported_start = fact.event_time
    if fact.event_time > session.latest_event:
        session.latest_event = fact.event_time
    if fact.token:
        _token(session, fact.token, fact.token_type, seq)
    if fact.vehicle:
        _vehicle(session, fact.vehicle, fact.vehicle_type)
    if fact.evse:
        _place(session, fact.evse, fact.connector, seq)
    if fact.charging_state:
        _charging_state(session, fact.charging_state, seq)
    if fact.meter_start_wh is not None:
        reading = Register(fact.event_time, fact.meter_start_wh)
        if seq is None:
            session.meter_start_wh = fact.meter_start_wh
            session.first = session.last = reading
        else:
            _edge(session, Reading(seq, reading.time, reading.wh))
    if seq is not None:
        _saw(session, seq)
        count_energy(session)
    clock.settle_times(session, fact.event_time, recv_time, skew_ms)
    session.updated_at = recv_time


def on_updated(session: Session, fact: SessionUpdated, recv_time: int, skew_ms: int) -> None:
    """News of a session, running or ended: registers, power, state, and in 2.x late knowledge of token and place."""
    seq = fact.seq_no
    marks = session.marks
    time = fact.event_time
    if time > session.latest_event:
        session.latest_event = time
    if session.clock_ms or time < recv_time - clock.UNSET_MS or time > recv_time + clock.DAY_MS:
        clock.settle_times(session, time, recv_time, skew_ms)
    wh = fact.register_wh
    if seq is None:
        if wh is not None:
            last = session.last
            register_time = fact.register_time or time
            if last is None or wh > last.wh or register_time > last.time:
                session.last = Register(register_time, wh)
            if session.reported_stop is None:
                count_energy(session)
        if fact.power_w is not None:
            marks.power = time
            if session.status == "active":
                session.power_w = fact.power_w
        if fact.soc is not None:
            marks.soc = time
            session.soc = fact.soc
        if fact.charging_state:
            session.charging_state = fact.charging_state
        session.updated_at = recv_time
        return
    if "no-start" in session.flags and (not session.seen or seq < session.seen[0][0]):
        session.reported_start = time
        clock.settle_times(session, time, recv_time, skew_ms)
    if fact.token:
        _token(session, fact.token, fact.token_type, seq)
    if fact.vehicle:
        _vehicle(session, fact.vehicle, fact.vehicle_type)
    if fact.evse is not None:
        _place(session, fact.evse, fact.connector or 0, seq)
    if fact.charging_state:
        _charging_state(session, fact.charging_state, seq)
    if wh is not None:
        register_time = fact.register_time or time
        first = fact.first_register_wh
        if first is not None or not fact.begins:
            _edge(session, Reading(seq, register_time, wh))
        if first is not None:
            _edge(session, Reading(-1 if fact.begins else seq, fact.first_register_time or time, first))
        elif fact.begins:
            _edge(session, Reading(-1, register_time, wh))
        count_energy(session)
    if fact.power_w is not None and seq >= marks.power:
        marks.power = seq
        if session.status == "active":
            session.power_w = fact.power_w
    if fact.soc is not None and seq >= marks.soc:
        marks.soc = seq
        session.soc = fact.soc
    _saw(session, seq)
    session.updated_at = recv_time


def on_ended(session: Session, fact: SessionEnded, recv_time: int, skew_ms: int) -> None:
    """The end: reported by the station, or implied by what came after it."""
    session.status = "ended"
    session.power_w = 0
    if fact.event_time > session.latest_event:
        session.latest_event = fact.event_time
    if fact.implied:
        flag(session, "superseded")
        session.stop_reason = fact.reason
        session.ended_at = max(session.started_at, fact.event_time - session.clock_ms)
        session.updated_at = recv_time
        count_energy(session)
        return
    clear(session, "superseded")
    session.stop_reason = fact.reason
    session.reported_stop = fact.event_time
    seq = fact.seq_no
    if fact.offline:
        flag(session, "ended-offline")
    if seq is None:
        session.charging_state = ""
        if fact.meter_stop_wh is not None:
            session.meter_stop_wh = fact.meter_stop_wh
            session.last = Register(fact.event_time, fact.meter_stop_wh)
    else:
        session.ended_seq = seq
        if fact.token:
            _token(session, fact.token, fact.token_type, seq)
        if fact.charging_state:
            _charging_state(session, fact.charging_state, seq)
        if fact.meter_stop_wh is not None:
            _edge(session, Reading(seq, fact.event_time, fact.meter_stop_wh))
        if "no-start" in session.flags and (not session.seen or seq < session.seen[0][0]):
            session.reported_start = fact.event_time
        _saw(session, seq)
    clock.settle_times(session, fact.event_time, recv_time, skew_ms)
    count_energy(session)
    session.updated_at = recv_time


def count_energy(session: Session) -> None:
    """Energy (Wh) and the register at begin and end, never negative.

    1.6: meterStop - meterStart once stopped, before that the newest register. 2.x: last - first reading, where the
    orders by seqNo and by time each name their first and last and the register, which only rises, chooses between them:
    a clock that was set in mid-session, or old readings carried by a late event, then cost nothing.
    """
    edges = session.edges
    if edges:
        by_seq_first, by_seq_last, by_time_first, by_time_last = edges
        first = by_seq_first if by_seq_first.wh <= by_time_first.wh else by_time_first
        last = by_seq_last if by_seq_last.wh >= by_time_last.wh else by_time_last
        session.first = Register(first.time, first.wh)
        session.last = Register(last.time, last.wh)
        session.meter_start_wh = first.wh
        if session.status == "ended":
            session.meter_stop_wh = last.wh
        energy = last.wh - first.wh
    elif session.meter_start_wh is None or session.last is None:
        return
    elif session.meter_stop_wh is not None:
        energy = session.meter_stop_wh - session.meter_start_wh
    else:
        # Some 1.6 meters count from zero in each session while meterStart is absolute: no news until the stop.
        energy = max(0, session.last.wh - session.meter_start_wh)
    if energy < 0:
        flag(session, "meter-went-back")
        energy = 0
    elif session.flags:
        clear(session, "meter-went-back")
    session.energy_wh = energy


def _edge(session: Session, new: Reading) -> None:
    edges = session.edges
    if not edges:
        session.edges = [new, new, new, new]
        return
    if new < edges[0]:
        edges[0] = new
    if new > edges[1]:
        edges[1] = new
    key = (new.time, new.seq, new.wh)
    early, late = edges[2], edges[3]
    if key < (early.time, early.seq, early.wh):
        edges[2] = new
    if key > (late.time, late.seq, late.wh):
        edges[3] = new


def on_needs(session: Session, fact: ChargingNeedsNotified) -> None:
    """The vehicle has told what it needs; the last word counts."""
    vehicle = session.vehicle = session.vehicle or SessionVehicle()
    vehicle.transfer, vehicle.energy_wh, vehicle.departure = fact.transfer, fact.energy_wh, fact.departure


def _vehicle(session: Session, name: str, kind: str) -> None:
    """A vehicle does not change its name in a session: every event tells the same one."""
    vehicle = session.vehicle = session.vehicle or SessionVehicle()
    vehicle.name, vehicle.name_type = name, kind


def _token(session: Session, token: str, kind: str, seq: int | None) -> None:
    """The token that began the session: of the earliest event that carries one."""
    marks = session.marks
    if seq is None or marks.token < 0 or seq < marks.token:
        session.token = token
        session.token_type = kind
        marks.token = -1 if seq is None else seq


def _place(session: Session, evse: int, connector: int, seq: int | None) -> None:
    """Where it is: as told by the earliest event that says it, in the best detail."""
    marks = session.marks
    if seq is None or marks.evse < 0 or seq < marks.evse or (session.evse == evse and not session.connector):
        if session.evse != evse or connector:
            session.connector = connector
        session.evse = evse
        marks.evse = -1 if seq is None else min(seq, marks.evse) if marks.evse >= 0 else seq


def _charging_state(session: Session, state: str, seq: int | None) -> None:
    marks = session.marks
    if seq is None:
        session.charging_state = state
    elif seq >= marks.state:
        marks.state = seq
        session.charging_state = state


def _saw(session: Session, seq: int) -> None:
    if ranges.insert(session.seen, seq):
        flag(session, "gaps-forgotten")
    if len(session.seen) > 1:
        flag(session, "seq-gap")
    elif "seq-gap" in session.flags:
        clear(session, "seq-gap")
