"""1.6: the rules of docs/sessions.md one by one."""

from __future__ import annotations

import pytest

from pilotwire.domain.facts import OrphanReceived, SessionEnded, SessionStarted, SessionUpdated
from pilotwire.domain.inputs import (
    Boot,
    MeterValues,
    Started,
    StartTransaction,
    Status,
    StopTransaction,
    TokenVerdict,
)
from pilotwire.domain.records import Sample

T = 1_767_225_600_000
MIN = 60_000


def start(time=T, meter=1000, connector=1, token="TAG", **more):
    return StartTransaction(connector=connector, token=token, meter_start_wh=meter, time=time, **more)


def stop(transaction, time=T + 60 * MIN, meter=9000, **more):
    return StopTransaction(transaction_id=transaction, meter_stop_wh=meter, time=time, **more)


def register(time, wh, connector=1, **more):
    return Sample(connector, 1, time, "Energy.Active.Import.Register", wh * 1000, "Wh", **more)


def power(time, watt, connector=1):
    return Sample(connector, 1, time, "Power.Active.Import", watt * 1000, "W")


def values(transaction, *samples, connector=1):
    return MeterValues(evse=connector, connector=1, transaction_id=transaction, samples=samples)


def test_a_session_from_start_to_stop(desk):
    outcome = desk.send(start(), at=T)
    assert isinstance(outcome, Started) and outcome.token.status == "Accepted"
    transaction = outcome.transaction_id
    assert 1 <= transaction < 2**31
    desk.send(values(transaction, register(T + MIN, 2000), power(T + MIN, 11_000)), at=T + MIN)
    running = desk.session
    assert (running.status, running.energy_wh, running.power_w) == ("active", 1000, 11_000)
    desk.send(stop(transaction, reason="EVDisconnected"), at=T + 60 * MIN)
    session = desk.session
    assert (session.status, session.energy_wh, session.power_w) == ("ended", 8000, 0)
    assert (session.started_at, session.ended_at) == (T, T + 60 * MIN)
    assert (session.meter_start_wh, session.meter_stop_wh, session.stop_reason) == (1000, 9000, "EVDisconnected")
    assert (session.evse, session.connector, session.token, session.flags) == (1, 1, "TAG", [])
    desk.assert_refold_is_equal()


def test_a_retried_start_is_the_same_session_even_after_it_ended(desk):
    first = desk.send(start())
    assert desk.send(start(), at=T + MIN) == first
    desk.send(stop(first.transaction_id))
    assert desk.send(start(), at=T + 99 * MIN) == first
    assert len(desk.sessions) == 1 and desk.session.status == "ended"


@pytest.mark.parametrize("change", [{"time": T + 1}, {"meter": 1001}, {"connector": 2}, {"token": "OTHER"}])
def test_each_part_of_the_start_key_counts(desk, change):
    first = desk.send(start())
    assert desk.send(start(**change)).transaction_id != first.transaction_id
    assert len(desk.sessions) == 2


def test_a_blocked_token_is_answered_and_the_session_kept(desk):
    desk.books["TAG"] = TokenVerdict(status="Blocked")
    assert desk.send(start()).token.status == "Blocked"
    assert desk.session.flags == ["not-authorized"]


def test_a_retried_stop_changes_nothing_a_differing_one_is_an_orphan(desk):
    transaction = desk.send(start()).transaction_id
    desk.send(stop(transaction), at=T + 60 * MIN)
    before = dict(desk.stored)
    desk.send(stop(transaction), at=T + 61 * MIN)
    assert desk.last.facts == () and desk.stored == before
    desk.send(stop(transaction, time=T + 62 * MIN, meter=99_999), at=T + 62 * MIN)
    (orphan,) = desk.last.facts
    assert isinstance(orphan, OrphanReceived) and (orphan.why, orphan.meter_wh) == ("second-stop", 99_999)
    assert desk.stored == before
    desk.send(stop(transaction, time=T + 62 * MIN, meter=99_999), at=T + 63 * MIN)
    assert desk.last.facts == ()


def test_a_stop_of_an_unknown_transaction_ends_nothing(desk):
    desk.send(start())
    desk.send(stop(77, token="TAG"))
    (orphan,) = desk.last.facts
    assert isinstance(orphan, OrphanReceived) and orphan.why == "unknown-transaction"
    assert desk.last.outcome.token.status == "Accepted"
    assert desk.session.status == "active"


@pytest.mark.parametrize("unknown_id", [0, -1, -17])
def test_a_stop_without_our_id_ends_the_sole_session_that_fits(desk, unknown_id):
    desk.send(start())
    desk.send(stop(unknown_id))
    assert (desk.session.status, desk.session.energy_wh) == ("ended", 8000)
    before = dict(desk.stored)
    desk.send(start(time=T + 90 * MIN, meter=9000), at=T + 90 * MIN)
    desk.send(stop(unknown_id), at=T + 91 * MIN)  # late retry while the next one runs
    assert desk.last.facts == ()
    assert [s.status for s in desk.sessions] == ["ended", "active"]
    assert before.items() <= desk.stored.items()


def test_several_queued_pairs_without_ids(desk):
    for n in range(4):
        desk.send(start(time=T + n * 60 * MIN, meter=1000 * n), at=T + 500 * MIN)
        desk.send(stop(-1, time=T + (n * 60 + 30) * MIN, meter=1000 * n + 500), at=T + 500 * MIN)
    assert [(s.status, s.energy_wh) for s in desk.sessions] == [("ended", 500)] * 4


def test_a_stop_without_id_is_told_apart_by_token_or_meter_and_else_kept_as_an_orphan(desk):
    desk.send(start(connector=1, token="A", meter=1000))
    desk.send(start(connector=2, token="B", meter=1000))
    desk.send(start(connector=3, token="C", meter=5000))
    desk.send(stop(-1, meter=4000))  # A and B fit
    assert desk.last.facts[0].why == "no-transaction-id"
    desk.send(stop(-1, meter=4000, time=T + 61 * MIN, token="B"))
    assert [s.status for s in sorted(desk.sessions, key=lambda s: s.evse)] == ["active", "ended", "active"]
    desk.send(stop(-1, meter=4000, time=T + 62 * MIN))  # now only A: C began at 5000
    assert [s.status for s in sorted(desk.sessions, key=lambda s: s.evse)] == ["ended", "ended", "active"]


def test_a_stop_without_id_after_the_clock_was_set_back(desk):
    desk.send(start(), at=T)
    desk.send(stop(-1, time=T - 30 * MIN, meter=1000, token="TAG"), at=T + MIN)  # could be of an older session
    assert desk.session.status == "active"
    desk.send(stop(-1, time=T - 20 * MIN, meter=1200, token="TAG"), at=T + 40 * MIN)
    assert (desk.session.status, desk.session.energy_wh) == ("ended", 200)


def test_a_stop_by_another_card_of_the_same_group_fits(desk):
    desk.books["A"] = desk.books["B"] = TokenVerdict(status="Accepted", parent="GROUP")
    desk.send(start(token="A"))
    desk.send(stop(0, token="C"))
    assert desk.session.status == "active"
    desk.send(stop(0, token="B"))
    assert desk.session.status == "ended"


def test_a_later_start_on_the_connector_closes_a_session_that_was_never_stopped(desk):
    first = desk.send(start()).transaction_id
    desk.send(values(first, register(T + MIN, 3000)), at=T + MIN)
    desk.send(Boot(vendor="V", model="M"), at=T + 2 * MIN)
    assert desk.session.status == "active"
    desk.send(start(time=T + 3 * MIN, meter=4000), at=T + 3 * MIN)
    old, new = desk.sessions
    assert (old.status, old.stop_reason, old.flags, old.energy_wh) == ("ended", "PowerLoss", ["superseded"], 2000)
    assert old.ended_at == T + MIN and new.status == "active"
    # the late stop still counts
    desk.send(stop(first, time=T + 2 * MIN, meter=4000), at=T + 4 * MIN)
    old, new = desk.sessions
    assert (old.energy_wh, old.flags, old.stop_reason, old.ended_at) == (3000, [], "Local", T + 2 * MIN)
    assert new.status == "active"
    desk.assert_refold_is_equal()


def test_without_evidence_an_open_session_is_not_closed(desk):
    first = desk.send(start()).transaction_id
    desk.send(values(first, register(T + 10 * MIN, 3000)), at=T + 10 * MIN)
    desk.send(start(time=T + 5 * MIN, meter=3500), at=T + 11 * MIN)  # earlier than the last value
    desk.send(start(time=T + 15 * MIN, meter=2000), at=T + 15 * MIN)  # register below the last value
    assert desk.sessions[0].status == "active"
    desk.send(Status(evse=1, connector=1, status="Available"), at=T + 16 * MIN)
    desk.send(start(time=T + 20 * MIN, meter=2500), at=T + 20 * MIN)
    assert desk.sessions[0].status == "ended"


def test_other_connectors_are_left_alone(desk):
    desk.send(start(connector=1))
    desk.send(start(connector=2, time=T + MIN))
    assert [s.status for s in desk.sessions] == ["active", "active"]


def test_the_stop_is_authoritative_over_late_values(desk):
    transaction = desk.send(start()).transaction_id
    desk.send(stop(transaction))
    before = dict(desk.stored)
    desk.send(values(transaction, register(T + 59 * MIN, 12_000)))
    assert desk.stored == before
    (sample,) = desk.last.samples
    assert sample.session_id == desk.session.id


def test_a_meter_that_went_back_gives_no_energy(desk):
    transaction = desk.send(start(meter=5000)).transaction_id
    desk.send(stop(transaction, meter=4000))
    assert desk.session.energy_wh == 0
    assert desk.session.flags == ["meter-went-back"]
    assert (desk.session.meter_start_wh, desk.session.meter_stop_wh) == (5000, 4000)


def test_registers_that_count_from_zero_wait_for_the_stop(desk):
    transaction = desk.send(start(meter=50_000)).transaction_id
    desk.send(values(transaction, register(T + MIN, 700)), at=T + MIN)
    assert (desk.session.energy_wh, desk.session.flags) == (0, [])
    desk.send(stop(transaction, meter=50_800))
    assert desk.session.energy_wh == 800


def test_values_without_a_transaction_id_go_to_the_session_on_their_connector(desk):
    desk.send(start(time=T), at=T)
    old, new = register(T - MIN, 10), register(T + MIN, 2500)
    desk.send(values(None, old, new), at=T + MIN)
    assert (old.session_id, new.session_id) == ("", desk.session.id)
    assert desk.session.energy_wh == 1500
    main = register(T + MIN, 999_999, connector=0)
    desk.send(values(None, main, connector=0), at=T + MIN)
    assert main.session_id == "" and desk.session.energy_wh == 1500


def test_repeated_and_older_values_are_no_news(desk):
    transaction = desk.send(start()).transaction_id
    first, second = (
        values(transaction, register(T + MIN, 2000), power(T + MIN, 7000)),
        values(transaction, register(T + 2 * MIN, 3000), power(T + 2 * MIN, 8000)),
    )
    desk.send(first)
    desk.send(second)
    before = dict(desk.stored)
    for message in (first, second, first):
        desk.send(message)
        assert desk.last.facts == () and len(desk.last.samples) == 2
    assert desk.stored == before


def test_one_update_for_each_message(desk):
    transaction = desk.send(start()).transaction_id
    desk.send(values(transaction, *(register(T + n * MIN, 1000 + n) for n in range(1, 9))))
    (fact,) = desk.last.facts
    assert isinstance(fact, SessionUpdated) and fact.register_wh == 1008


def test_a_clock_set_back_in_mid_session_does_not_stop_the_count(desk):
    transaction = desk.send(start()).transaction_id
    desk.send(values(transaction, register(T + 30 * MIN, 2000)), at=T + 30 * MIN)
    desk.send(values(transaction, register(T - 20 * MIN, 2500), power(T - 20 * MIN, 3000)), at=T + 40 * MIN)
    assert (desk.session.energy_wh, desk.session.power_w) == (1500, 3000)
    desk.send(stop(transaction, time=T - 10 * MIN, meter=3000), at=T + 50 * MIN)
    session = desk.session
    assert session.energy_wh == 2000
    assert (session.ended_at, session.flags) == (T + 50 * MIN, ["clock-stepped"])
    assert session.reported_stop == T - 10 * MIN


def test_nothing_is_closed_by_silence_boot_or_status(desk):
    desk.send(start())
    desk.send(Boot(vendor="V", model="M", reason="PowerUp"), at=T + MIN)
    desk.send(Status(evse=1, connector=1, status="Available"), at=T + 2 * MIN)
    assert desk.session.status == "active"


def test_the_connector_shows_its_session(desk):
    desk.send(Status(evse=1, connector=1, status="Preparing"), at=T)
    transaction = desk.send(start(), at=T).transaction_id
    desk.send(values(transaction, power(T + MIN, 7400)), at=T + MIN)
    connector = desk.state.connector(1, 1)
    assert (connector.session_id, connector.power_w) == (desk.session.id, 7400)
    desk.send(Status(evse=1, connector=1, status="SuspendedEV"), at=T + 2 * MIN)
    assert desk.session.charging_state == "SuspendedEV"
    desk.send(stop(transaction), at=T + 3 * MIN)
    assert (connector.session_id, connector.power_w) == ("", 0)


def test_older_sessions_are_asked_for_after_a_restart(desk):
    first = desk.send(start(), at=T).transaction_id
    desk.send(stop(first), at=T + 60 * MIN)
    for n in range(2, 5):
        other = desk.send(start(time=T + n * 90 * MIN, meter=9000), at=T + n * 90 * MIN).transaction_id
        desk.send(stop(other, time=T + (n * 90 + 1) * MIN, meter=9000))
    desk.restart(keep=1)
    assert desk.send(start()).transaction_id == first
    desk.restart(keep=1)
    before = dict(desk.stored)
    desk.send(stop(first))
    assert desk.last.facts == () and desk.stored == before
    desk.send(stop(4242))
    assert desk.last.facts[0].why == "unknown-transaction"
    asked = desk.lookups
    desk.send(stop(4242))
    assert desk.lookups == asked  # known to be unknown


def test_memory_is_bounded(desk):
    for n in range(100):
        transaction = desk.send(start(time=T + n * MIN, meter=n)).transaction_id
        desk.send(stop(transaction, time=T + n * MIN + 1, meter=n))
    assert len(desk.state.sessions) == 32 and not desk.state.complete
    assert desk.send(start(time=T, meter=0)).transaction_id == int(desk.sessions[0].transaction)
    assert len(desk.sessions) == 100


def test_a_storm_of_retries_of_old_sessions_stays_bounded(desk):
    told = []
    for n in range(100):
        begin, end = start(time=T + n * MIN, meter=n), {"time": T + n * MIN + 1, "meter": n}
        transaction = desk.send(begin, at=T + n * MIN).transaction_id
        desk.send(stop(transaction, **end))
        told.append((begin, stop(transaction, **end)))
    before = dict(desk.stored)
    for begin, end in told * 2:
        desk.send(begin)
        desk.send(end)
        assert len(desk.state.sessions) <= 33
    assert desk.stored == before


def test_the_facts_tell_the_whole_story(desk):
    transaction = desk.send(start(reservation_id=5)).transaction_id
    (started,) = desk.last.facts
    assert isinstance(started, SessionStarted)
    assert (started.transaction, started.reservation_id, started.meter_start_wh) == (str(transaction), 5, 1000)
    desk.send(stop(transaction, samples=(register(T + MIN, 1500),)))
    (ended,) = desk.last.facts
    assert isinstance(ended, SessionEnded) and ended.meter_stop_wh == 9000
    assert desk.last.samples[0].session_id == desk.session.id
