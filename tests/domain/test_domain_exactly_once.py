"""The promise itself: whatever the wire did, the sessions are the true ones, each once, to the Wh.

True sessions are made up first, then told as a faulty world tells them: replies lost and messages sent again, old
copies arriving late, 2.x events in any order, days offline, clocks that are wrong, the server dying in between.
"""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from pilotwire.domain.inputs import Boot, MeterValues, StartTransaction, Status, StopTransaction, TransactionEvent
from pilotwire.domain.records import Sample

T = 1_767_225_600_000
SECOND = 1000
DAY = 86_400_000
CLOCKS = [0, 37_000, -3_600_000, 45 * 60_000, -20 * DAY, -T + 5_000, 3 * 365 * DAY]
PROFILE = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@dataclass
class True_:
    """What really happened."""

    connector: int
    token: str
    start: int
    stop: int
    readings: list[tuple[int, int]]
    """(time, Wh), the first at the start, the last at the stop."""

    @property
    def energy(self) -> int:
        return self.readings[-1][1] - self.readings[0][1]


def truth(random: Random, sessions: int, connectors: int) -> list[True_]:
    made: list[True_] = []
    clock = dict.fromkeys(range(1, connectors + 1), T)
    meter = {n: random.randrange(0, 100_000) for n in clock}
    for n in range(sessions):
        connector = random.randint(1, connectors)
        start = clock[connector] + random.randrange(1, 7200) * SECOND
        readings = [(start, meter[connector])]
        for _ in range(random.randrange(0, 5)):
            time = readings[-1][0] + random.randrange(10, 900) * SECOND
            readings.append((time, readings[-1][1] + random.randrange(0, 4000)))
        stop = readings[-1][0] + random.randrange(1, 900) * SECOND
        readings.append((stop, readings[-1][1] + random.randrange(0, 4000)))
        clock[connector], meter[connector] = stop, readings[-1][1]
        made.append(True_(connector, f"TAG{n % 3}-{connector}", start, stop, readings))
    return made


def samples(connector: int, readings: list[tuple[int, int]], offset: int, context: str = "") -> tuple[Sample, ...]:
    return tuple(
        Sample(connector, 1, time + offset, "Energy.Active.Import.Register", wh * 1000, "Wh", context=context)
        for time, wh in readings
    )


def check(desk, sessions: list[True_], offset: int) -> None:
    found = {(s.evse, s.token, s.reported_start): s for s in desk.sessions}
    assert len(found) == len(desk.sessions), "a session is there twice"
    assert set(found) == {(t.connector, t.token, t.start + offset) for t in sessions}, "lost or invented"
    for true in sessions:
        session = found[true.connector, true.token, true.start + offset]
        assert session.status == "ended"
        assert session.energy_wh == true.energy
        assert (session.meter_start_wh, session.meter_stop_wh) == (true.readings[0][1], true.readings[-1][1])
        assert session.reported_stop == true.stop + offset
        assert session.ended_at - session.started_at == true.stop - true.start
        assert "seq-gap" not in session.flags and "no-start" not in session.flags
        assert "superseded" not in session.flags
    desk.assert_refold_is_equal()


# -- 1.6 --------------------------------------------------------------------------------------------------------------


class Station16:
    """Sends its queue in order; a message is sent again until a reply gets through. Copies may surface later."""

    def __init__(self, desk, random: Random, offset: int, *, learns: bool, offline: bool, restarts: bool) -> None:
        self.desk, self.random, self.offset = desk, random, offset
        self.learns, self.offline, self.restarts = learns, offline, restarts
        self.end = T + 400 * DAY
        self.sent: list = []

    def deliver(self, message, time: int):
        arrival = self.end if self.offline else time + self.random.randrange(0, 3000)
        self.end += 500
        while True:
            outcome = self.desk.send(message, at=max(arrival, self.desk.ctx.now))
            self.sent.append(message)
            if self.restarts and self.random.random() < 0.15:
                self.desk.restart(keep=self.random.randrange(0, 3))
            while self.random.random() < 0.15:
                self.desk.send(self.random.choice(self.sent[-12:]))  # an old copy surfaces
            if self.random.random() < 0.7:
                return outcome
            arrival += 10_000

    def tell(self, sessions: list[True_]) -> None:
        moments: list[tuple[int, int, int, object]] = []
        for n, true in enumerate(sessions):
            moments += [(true.start, 0, n, None), (true.stop, 2, n, None)]
            moments += [(time, 1, n, (time, wh)) for time, wh in true.readings[1:-1]]
        ids: dict[int, int] = {}
        for time, kind, n, reading in sorted(moments, key=lambda m: m[:3]):
            true, offset = sessions[n], self.offset
            if kind == 0:
                reply = self.deliver(
                    StartTransaction(
                        connector=true.connector,
                        token=true.token,
                        meter_start_wh=true.readings[0][1],
                        time=true.start + offset,
                    ),
                    time,
                )
                ids[n] = reply.transaction_id if self.learns else self.random.choice([0, -1])
            elif kind == 1:
                self.deliver(
                    MeterValues(
                        evse=true.connector,
                        connector=1,
                        transaction_id=ids[n],
                        samples=samples(true.connector, [reading], offset),
                    ),
                    time,
                )
            else:
                self.deliver(
                    StopTransaction(
                        transaction_id=ids[n],
                        meter_stop_wh=true.readings[-1][1],
                        time=true.stop + offset,
                        token=true.token,
                    ),
                    time,
                )
            if self.random.random() < 0.1:
                self.deliver(Boot(vendor="V", model="M"), time)
            if self.random.random() < 0.1:
                self.deliver(Status(evse=true.connector, connector=1, status="Charging"), time)


@PROFILE
@given(
    seed=st.integers(0, 2**32),
    offset=st.sampled_from(CLOCKS),
    offline=st.booleans(),
    restarts=st.booleans(),
    learns=st.booleans(),
)
def test_1_6_sessions_are_counted_exactly_once(make_desk, seed, offset, offline, restarts, learns):
    random = Random(seed)
    desk = make_desk("1.6", seed=seed)
    desk.recheck = True
    sessions = truth(random, random.randrange(1, 12), connectors=2)
    # 1970 clocks live in 1970: what counts there is that the offset holds through a session.
    Station16(desk, random, offset, learns=learns, offline=offline, restarts=restarts).tell(sessions)
    check(desk, sessions, offset)


# -- 2.x --------------------------------------------------------------------------------------------------------------


def events(true: True_, n: int, random: Random, offset: int, first_seq: int) -> list[TransactionEvent]:
    """A transaction as one of the lawful ways tells it: values with each event, or all of them with the end."""
    transaction = f"tx-{n}"
    all_at_end = random.random() < 0.3
    begin_in_start = random.random() < 0.5
    token_at = random.choice(["Started", "Updated"]) if len(true.readings) > 2 else "Started"
    place_at = random.choice(["Started", "Ended"])
    told = []

    def add(kind: str, time: int, *values: Sample, **more) -> None:
        if kind == token_at and not any(e.token for e in told):
            more.update(token=true.token, token_type="ISO14443")
        if kind == place_at:
            more.update(evse=true.connector, connector=1)
        told.append(
            TransactionEvent(
                kind=kind,
                transaction=transaction,
                seq_no=first_seq + len(told),
                time=time + offset,
                trigger="MeterValuePeriodic",
                samples=values,
                **more,
            )
        )

    c, r = true.connector, true.readings
    begin = samples(c, r[:1], offset, "Transaction.Begin")
    end = samples(c, r[-1:], offset, "Transaction.End")
    add("Started", true.start, *(begin if begin_in_start and not all_at_end else ()))
    for time, wh in r[1:-1]:
        add("Updated", time, *(() if all_at_end else samples(c, [(time, wh)], offset)))
    rest = samples(c, r[1:-1], offset) if all_at_end else ()
    missing = () if begin_in_start and not all_at_end else begin
    add("Ended", true.stop, *missing, *rest, *end, stopped_reason="EVDisconnected")
    return told


@PROFILE
@given(
    seed=st.integers(0, 2**32),
    offset=st.sampled_from(CLOCKS),
    restarts=st.booleans(),
    version=st.sampled_from(["2.0.1", "2.1"]),
    reorder=st.sampled_from(["none", "near", "any"]),
    counter=st.booleans(),
)
def test_2_x_sessions_are_counted_exactly_once(make_desk, seed, offset, restarts, version, reorder, counter):
    random = Random(seed)
    desk = make_desk(version, seed=seed)
    desk.recheck = True
    sessions = truth(random, random.randrange(1, 9), connectors=2)
    stream: list[TransactionEvent] = []
    for n, true in enumerate(sessions):
        stream += events(true, n, random, offset, len(stream) if counter else 0)
    stream.sort(key=lambda e: e.time)
    late = T + 400 * DAY if reorder == "any" else 0
    if reorder == "any":
        random.shuffle(stream)
    elif reorder == "near":
        order = sorted(range(len(stream)), key=lambda n: n + random.uniform(0, 4))
        stream = [stream[n] for n in order]
    for n, event in enumerate(stream):
        now = max(late or event.time - offset + random.randrange(0, 3000), desk.ctx.now)
        desk.send(event, at=now)
        while random.random() < 0.3:
            desk.send(random.choice(stream[max(0, n - 10) : n + 1]))
        if restarts and random.random() < 0.15:
            desk.restart(keep=random.randrange(0, 3))
    check(desk, sessions, offset)
    told = sum(len(true.readings) for true in sessions)
    assert len({(s.session_id, s.time) for s in desk.samples.values()}) == len(desk.samples)
    assert len(desk.samples) <= told
    assert all(s.session_id for s in desk.samples.values())


@PROFILE
@given(
    seed=st.integers(0, 2**32),
    offset=st.sampled_from(CLOCKS),
    step=st.sampled_from([-3_600_000, 3_600_000, 7 * DAY, -2 * DAY, -T, T]),
)
def test_2_x_a_clock_that_is_set_in_mid_session_costs_nothing(make_desk, seed, offset, step):
    """All messages after some moment carry another clock; what was measured before and sent after keeps the old."""
    random = Random(seed)
    desk = make_desk("2.0.1", seed=seed)
    desk.recheck = True
    sessions = truth(random, random.randrange(1, 6), connectors=1)
    stream = [e for n, true in enumerate(sessions) for e in events(true, n, random, 0, 0)]
    moment = random.choice(stream).time

    def clock(time: int) -> int:
        return time + offset + (step if time >= moment else 0)

    shown = []
    for e in stream:
        values = tuple(replace(s, time=clock(s.time)) for s in e.samples)
        shown.append((e.time, replace(e, time=clock(e.time), samples=values)))
    if random.random() < 0.5:
        random.shuffle(shown)
    for time, event in shown:
        desk.send(event, at=max(time, desk.ctx.now))
        desk.send(event)
    found = {s.transaction: s for s in desk.sessions}
    assert len(desk.sessions) == len(found) == len(sessions)
    for n, true in enumerate(sessions):
        session = found[f"tx-{n}"]
        assert (session.status, session.energy_wh) == ("ended", true.energy)
        assert session.ended_at >= session.started_at
    desk.assert_refold_is_equal()


@PROFILE
@given(seed=st.integers(0, 2**32), lost=st.floats(0.05, 0.6))
def test_2_x_lost_updates_leave_a_flag_and_the_right_energy(make_desk, seed, lost):
    """A station low on memory drops Updated events for good: the gap is visible, the sum is not touched."""
    random = Random(seed)
    desk = make_desk("2.0.1", seed=seed)
    (true,) = truth(random, 1, connectors=1)
    told = events(true, 0, random, 0, 0)
    kept = [e for e in told if e.kind != "Updated" or e.token or random.random() > lost]
    random.shuffle(kept)
    for event in kept:
        desk.send(event, at=true.stop)
    assert desk.session.energy_wh == true.energy
    assert ("seq-gap" in desk.session.flags) == (len(kept) < len(told))


@PROFILE
@given(seed=st.integers(0, 2**32))
def test_1_6_sessions_whose_stop_never_comes_give_way_with_what_was_measured(make_desk, seed):
    random = Random(seed)
    desk = make_desk("1.6", seed=seed)
    sessions = truth(random, 6, connectors=1)
    stopped = [random.random() < 0.5 for _ in sessions[:-1]] + [True]
    for true, has_stop in zip(sessions, stopped, strict=True):
        transaction = desk.send(
            StartTransaction(connector=1, token=true.token, meter_start_wh=true.readings[0][1], time=true.start),
            at=true.start,
        ).transaction_id
        for reading in true.readings[1:-1]:
            desk.send(
                MeterValues(evse=1, connector=1, transaction_id=transaction, samples=samples(1, [reading], 0)),
                at=reading[0],
            )
        if has_stop:
            desk.send(
                StopTransaction(transaction_id=transaction, meter_stop_wh=true.readings[-1][1], time=true.stop),
                at=true.stop,
            )
    assert len(desk.sessions) == len(sessions)
    for session, true, has_stop in zip(desk.sessions, sessions, stopped, strict=True):
        assert session.status == "ended"
        measured = true.readings[-1] if has_stop else true.readings[-2]
        assert session.energy_wh == measured[1] - true.readings[0][1]
        assert ("superseded" in session.flags) == (not has_stop)
    desk.assert_refold_is_equal()


@pytest.mark.parametrize("seed", range(3))
def test_a_long_life_is_counted_to_the_watt_hour(make_desk, seed):
    """Hundreds of sessions on one station: more than memory holds, so that older ones are asked for."""
    random = Random(seed)
    desk = make_desk("1.6", seed=seed)
    sessions = truth(random, 250, connectors=2)
    Station16(desk, random, 0, learns=True, offline=False, restarts=True).tell(sessions)
    check(desk, sessions, 0)
    assert desk.lookups > 0
