"""2.0.1 and 2.1: the rules of docs/sessions.md one by one."""

from __future__ import annotations

from itertools import permutations

import msgspec
import pytest

from pilotwire.domain.facts import OrphanReceived, TokenPresented
from pilotwire.domain.inputs import MeterValues, TokenVerdict, TransactionEvent
from pilotwire.domain.records import Sample
from pilotwire.domain.stations import Fold

T = 1_767_225_600_000
MIN = 60_000


def register(time, wh, context="", evse=1, **more):
    return Sample(evse, 1, time, "Energy.Active.Import.Register", wh * 1000, "Wh", context=context, **more)


def event(kind, seq, *samples, time=None, transaction="TX", **more):
    more.setdefault("trigger", {"Started": "CablePluggedIn", "Ended": "EVDeparted"}.get(kind, "MeterValuePeriodic"))
    time = T + seq * MIN if time is None else time
    return TransactionEvent(kind=kind, transaction=transaction, seq_no=seq, time=time, samples=samples, **more)


def five(offset=0):
    """Started without a meter value; the token and the state come later; Ended with the last register."""
    t = T + offset
    return [
        event("Started", 0, time=t, evse=1, connector=2, charging_state="EVConnected"),
        event("Updated", 1, register(t + MIN, 1000), time=t + MIN, token="TAG", token_type="ISO14443"),
        event("Updated", 2, register(t + 2 * MIN, 2500), time=t + 2 * MIN, charging_state="Charging"),
        event("Updated", 3, register(t + 3 * MIN, 4000), time=t + 3 * MIN, charging_state="SuspendedEV"),
        event("Ended", 4, register(t + 4 * MIN, 4321), time=t + 4 * MIN, stopped_reason="EVDisconnected"),
    ]


def test_a_session_from_start_to_end(desk2):
    desk2.recheck = True
    for n, one in enumerate(five()):
        desk2.send(one, at=T + n * MIN + 100)
    session = desk2.session
    assert (session.status, session.energy_wh, session.seen, session.flags) == ("ended", 3321, [[0, 4]], [])
    assert (session.evse, session.connector, session.token, session.token_type) == (1, 2, "TAG", "ISO14443")
    assert (session.started_at, session.ended_at) == (T, T + 4 * MIN)
    assert (session.meter_start_wh, session.meter_stop_wh) == (1000, 4321)
    assert (session.stop_reason, session.ended_seq, session.ocpp_version) == ("EVDisconnected", 4, "2.0.1")
    desk2.assert_refold_is_equal()


@pytest.mark.parametrize("offset", [0, 90_000, -T, 3 * 365 * 86_400_000], ids=["right", "fast", "1970", "future"])
def test_every_order_of_arrival_gives_the_same_record(make_desk, offset):
    expected = None
    for order in permutations(range(5)):
        desk = make_desk("2.1")
        for n in order:
            desk.send(five(offset)[n], at=T + 10 * MIN)
            desk.send(five(offset)[n])  # a retry at once
            assert desk.last.facts == ()
        for n in order[::2]:
            desk.send(five(offset)[n])  # and late ones
            assert desk.last.facts == ()
        got = msgspec.json.encode(desk.session)
        expected = expected or got
        assert got == expected, order
        assert desk.session.energy_wh == 3321
        assert desk.session.ended_at - desk.session.started_at == 4 * MIN
        desk.assert_refold_is_equal()


def test_a_gap_is_flagged_until_it_is_filled(desk2):
    events = five()
    desk2.send(events[0])
    desk2.send(events[2])
    assert desk2.session.flags == ["seq-gap"] and desk2.session.seen == [[0, 0], [2, 2]]
    desk2.send(events[1])
    assert desk2.session.flags == [] and desk2.session.seen == [[0, 2]]


def test_counters_need_not_begin_at_zero(desk2):
    for n, kind in enumerate(["Started", "Updated", "Ended"]):
        desk2.send(event(kind, 4711 + n, register(T + n * MIN, 100 * n), time=T + n * MIN))
    assert (desk2.session.flags, desk2.session.seen, desk2.session.energy_wh) == ([], [[4711, 4713]], 200)


def test_a_late_started_completes_what_a_later_event_began(desk2):
    events = five()
    desk2.send(events[3])
    assert desk2.session.flags == ["no-start"] and desk2.session.status == "active"
    desk2.send(events[4])
    assert desk2.session.status == "ended"
    identity = desk2.session.id
    desk2.send(events[0])
    session = desk2.session
    assert (session.id, session.status, session.started_at) == (identity, "ended", T)
    assert session.flags == ["seq-gap"]
    assert (session.evse, session.connector) == (1, 2)


def test_events_after_ended_are_counted_but_reopen_nothing(desk2):
    events = five()
    for one in (events[0], events[1], events[4]):
        desk2.send(one)
    desk2.send(event("Updated", 5, register(T + 5 * MIN, 4400)))
    session = desk2.session
    assert (session.status, session.energy_wh, session.ended_at) == ("ended", 3400, T + 4 * MIN)
    assert session.power_w == 0
    assert not list(desk2.state.active)


def test_only_the_ended_event_carries_meter_values(desk2):
    desk2.send(event("Started", 0))
    desk2.send(event("Updated", 1))
    end = event("Ended", 2, register(T, 1000, "Transaction.Begin"), register(T + 2 * MIN, 1750, "Transaction.End"))
    desk2.send(end)
    assert (desk2.session.energy_wh, desk2.session.meter_start_wh, desk2.session.meter_stop_wh) == (750, 1000, 1750)
    desk2.send(end)
    assert desk2.last.facts == ()


def test_the_begin_reading_counts_as_the_first_even_when_the_clock_was_set_meanwhile(desk2):
    desk2.send(event("Started", 0, time=T + 100 * MIN))
    desk2.send(event("Updated", 1, register(T + 1 * MIN, 1200), time=T + 1 * MIN))
    begin = register(T + 100 * MIN, 1000, "Transaction.Begin")
    desk2.send(event("Ended", 2, begin, register(T + 2 * MIN, 1300), time=T + 2 * MIN))
    assert (desk2.session.energy_wh, desk2.session.meter_start_wh) == (300, 1000)


def test_a_lone_begin_reading_in_the_ended_event_is_never_the_last(desk2):
    desk2.send(event("Started", 0, time=T + 100 * MIN))
    desk2.send(event("Updated", 1, register(T + 1 * MIN, 1200), time=T + 1 * MIN))
    desk2.send(event("Ended", 2, register(T + 100 * MIN, 1000, "Transaction.Begin"), time=T + 2 * MIN))
    assert (desk2.session.energy_wh, desk2.session.meter_stop_wh) == (200, 1200)


def test_a_clock_step_costs_no_energy(desk2):
    """The hour that is there twice: seqNo goes on, time goes back."""
    times = [50, 70, 20, 60]
    for seq, (kind, minute) in enumerate(zip(["Started", "Updated", "Updated", "Ended"], times, strict=True)):
        desk2.send(event(kind, seq, register(T + minute * MIN, 1000 + 10 * seq), time=T + minute * MIN))
    assert desk2.session.energy_wh == 30


def test_old_readings_carried_by_a_late_event_count(desk2):
    desk2.send(event("Started", 0))
    desk2.send(event("Updated", 2, register(T + 2 * MIN, 1200)))
    desk2.send(event("Ended", 3, register(T + MIN, 1100), register(T + 2 * MIN, 1200), register(T + 3 * MIN, 1300)))
    assert desk2.session.energy_wh == 200


def test_splitted_events_with_one_timestamp(desk2):
    desk2.send(event("Started", 0, register(T, 10)))
    desk2.send(event("Updated", 1, register(T + MIN, 20), time=T + MIN))
    desk2.send(event("Updated", 2, register(T + MIN, 30), time=T + MIN))
    assert desk2.session.energy_wh == 20


def test_a_token_is_looked_up_again_in_every_event(desk2):
    desk2.books["TAG"] = TokenVerdict(status="Blocked")
    answer = desk2.send(five()[1])
    assert answer.token.status == "Blocked"
    (presented,) = [f for f in desk2.last.facts if isinstance(f, TokenPresented)]
    assert presented.verdict == "Blocked"
    assert desk2.send(five()[1]).token.status == "Blocked"
    assert desk2.last.facts == ()
    assert desk2.send(five()[0]).token is None
    free = desk2.send(event("Updated", 9, token="", token_type="NoAuthorization"))
    assert free.token.status == "Accepted"


def test_the_token_of_a_session_is_the_one_that_began_it(desk2):
    desk2.send(event("Ended", 2, token="STOPPER", token_type="ISO14443"))
    desk2.send(event("Started", 0, token="DRIVER", token_type="eMAID"))
    assert (desk2.session.token, desk2.session.token_type) == ("DRIVER", "eMAID")
    desk2.send(event("Updated", 1, token="STOPPER", token_type="ISO14443"))
    assert (desk2.session.token, desk2.session.token_type) == ("DRIVER", "eMAID")


def test_a_second_end_is_an_orphan(desk2):
    for one in five():
        desk2.send(one)
    before = dict(desk2.stored)
    desk2.send(event("Ended", 5, register(T + 9 * MIN, 9999)))
    (orphan,) = desk2.last.facts
    assert isinstance(orphan, OrphanReceived) and (orphan.why, orphan.meter_wh) == ("second-end", 9999)
    assert desk2.stored == before


def test_seq_numbers_that_never_count_lose_nothing(desk2):
    """A faulty station that sends seqNo 0 in every event."""
    desk2.recheck = True
    for n, kind in enumerate(["Started", "Updated", "Updated", "Ended"]):
        one = event(kind, 0, register(T + n * MIN, 100 * n), time=T + n * MIN)
        desk2.send(one)
        desk2.send(one)
        assert desk2.last.facts == ()
    assert (desk2.session.status, desk2.session.energy_wh, len(desk2.samples)) == ("ended", 300, 4)


def test_a_transaction_id_given_away_twice_is_two_sessions(desk2):
    for n in range(2):
        for one in five(n * 60 * MIN):
            desk2.send(one, at=one.time)
            desk2.send(one)
            assert desk2.last.facts == ()
    first, second = desk2.sessions
    assert (first.energy_wh, second.energy_wh) == (3321, 3321)
    assert (first.flags, second.flags) == ([], ["transaction-reused"])
    desk2.send(five()[2])  # late retries of either
    assert desk2.last.facts == ()
    desk2.send(five(60 * MIN)[4])
    assert desk2.last.facts == ()
    desk2.assert_refold_is_equal()


def test_a_later_start_on_the_evse_closes_one_that_never_ended_until_its_end_comes(make_desk):
    end = event("Ended", 1, register(T + MIN, 500), transaction="A")
    records = []
    for late in (False, True):
        desk = make_desk("2.0.1")
        desk.send(event("Started", 0, register(T, 100), transaction="A", evse=1, connector=1), at=T)
        if not late:
            desk.send(end)
        desk.send(event("Started", 0, transaction="B", time=T + 5 * MIN, evse=1, connector=1))
        if late:
            assert desk.sessions[0].flags == ["superseded"] and desk.sessions[0].status == "ended"
            desk.send(end)
        records.append(msgspec.json.encode(desk.sessions[0]))
        assert [s.status for s in desk.sessions] == ["ended", "active"]
        assert desk.state.connector(1, 1).session_id == desk.sessions[1].id
    assert records[0] == records[1]


def test_started_offline_and_queued(desk2):
    for one in five(-7 * 24 * 60 * MIN):
        desk2.send(msgspec.structs.replace(one, offline=True), at=T)
    session = desk2.session
    assert session.flags == ["ended-offline", "started-offline"]
    assert session.started_at == T - 7 * 24 * 60 * MIN and session.energy_wh == 3321
    assert desk2.state.station.clock is None  # queued messages say nothing of the clock


def test_thousands_of_gaps_are_bounded_and_lose_no_samples(desk2):
    desk2.send(event("Started", 0, register(T, 0)))
    for seq in range(2, 2000, 2):
        desk2.send(event("Updated", seq, register(T + seq * MIN, seq)))
    assert len(desk2.session.seen) == 64 and "gaps-forgotten" in desk2.session.flags
    desk2.send(event("Updated", 3, register(T + 3 * MIN, 3)))
    assert desk2.last.samples and desk2.session.energy_wh == 1998
    desk2.send(event("Ended", 2000, register(T + 2000 * MIN, 2000)))
    assert desk2.session.energy_wh == 2000


def test_meter_values_outside_of_transactions(desk2):
    desk2.send(five()[0])
    sample = register(T, 5)
    desk2.send(MeterValues(evse=1, connector=1, samples=(sample,)))
    assert desk2.last.facts == () and desk2.last.samples == (sample,) and sample.session_id == ""


def test_older_transactions_are_asked_for(desk2):
    for one in five():
        desk2.send(one)
    for n in range(1, 4):
        desk2.send(event("Started", 0, transaction=f"T{n}", time=T + n * 60 * MIN))
        desk2.send(event("Ended", 1, transaction=f"T{n}", time=T + n * 60 * MIN + 1))
    desk2.restart(keep=1)
    before = dict(desk2.stored)
    for one in five():
        desk2.send(one)
        assert desk2.last.facts == ()
    assert desk2.stored == before


def test_the_fold_of_a_journal_needs_no_memory_of_the_state(desk2):
    """A fact for a session that left the memory long ago folds all the same."""
    for n in range(80):
        desk2.send(event("Started", 0, transaction=f"T{n}", time=T + n * MIN))
        desk2.send(event("Ended", 2, transaction=f"T{n}", time=T + n * MIN + 1))
    desk2.send(event("Updated", 1, register(T, 5), transaction="T0", time=T))
    assert len(desk2.last.facts) == 1
    assert isinstance(desk2.refolded(), Fold)
    desk2.assert_refold_is_equal()
