"""When the station tries again: to the second, as the standard has it."""

from __future__ import annotations

from itertools import pairwise
from random import Random

import pytest

from pilotwire.station.backoff import BackOff
from pilotwire.station.config import Quirks

VERSIONS = ("1.6", "2.0.1", "2.1")
TX = {"1.6": "StartTransaction", "2.0.1": "TransactionEvent", "2.1": "TransactionEvent"}


def begin(world):
    world.station.power_on()
    world.run(5)
    world.station.plug(1, world.car())
    world.run(1)


@pytest.mark.parametrize("version", VERSIONS)
def test_refused_messages_wait_longer_each_time_and_then_are_given_up(make_world, version):
    """1.6 3.7.1 and E13: with 3 attempts and 60 s the waits are 60 and 120 s, then the next message has its turn."""
    world = make_world(version, settings={"sample_interval": "0"})
    begin(world)
    world.csms.refuse[TX[version]] = 3
    world.station.tap(1, "AA11")
    world.run(1000)
    times = world.csms.times(TX[version])[:3]
    # Each wait begins when the refusal has come: 20 ms after the request reached the CSMS.
    assert [round(b - a, 3) for a, b in pairwise(times)] == [60.02, 120.02]
    assert world.station.outbox.discarded == 1
    ids = [s.message_id for s in world.csms.said if s.action == TX[version]][:3]
    assert len(set(ids)) == 1
    if version != "1.6":
        assert world.csms.heard("TransactionEvent")[3].seq_no == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_attempts_and_interval_are_configurable(make_world, version):
    world = make_world(version, settings={"attempts": "5", "attempt_interval": "7", "sample_interval": "0"})
    begin(world)
    world.csms.refuse[TX[version]] = 4
    world.station.tap(1, "AA11")
    world.run(200)
    times = world.csms.times(TX[version])[:5]
    assert [round(b - a, 3) for a, b in pairwise(times)] == [7.02, 14.02, 21.02, 28.02]
    assert world.station.outbox.discarded == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_silence_never_discards(make_world, version):
    world = make_world(
        version, settings={"sample_interval": "0", "heartbeat_interval": "20"}, quirks=Quirks(new_id_on_retry=True)
    )
    world.csms.interval = 20
    begin(world)
    world.csms.silent.add(TX[version])
    world.station.tap(1, "AA11")
    world.run(7200)
    assert world.station.outbox.discarded == 0
    times = world.csms.times(TX[version])
    waits = [round(b - a, 2) for a, b in pairwise(times)]
    # 30 s of waiting for the answer, then the growing interval, no longer than the last configured one.
    assert waits[:2] == [90.0, 150.0] and set(waits[2:]) <= {210.0}
    world.csms.silent.clear()
    world.run(400)
    assert not len(world.station.outbox)


def test_other_messages_do_not_wait_behind_a_stuck_one(make_world):
    world = make_world("1.6", settings={"sample_interval": "0"})
    begin(world)
    world.csms.refuse["StartTransaction"] = 2
    world.station.tap(1, "AA11")
    world.run(30)
    assert world.csms.heard("StatusNotification")[-1].status == "Charging"
    assert len(world.csms.heard("StartTransaction")) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_refused_start_still_delivers_its_end(make_world, version):
    world = make_world(version, settings={"attempts": "1", "sample_interval": "0"})
    begin(world)
    world.csms.refuse[TX[version]] = 1
    world.station.tap(1, "AA11")
    world.run(60)
    world.station.tap(1, "AA11")
    world.run(5)
    truth = world.station.truth[0]
    if version == "1.6":
        stop = world.csms.heard("StopTransaction")[0]
        assert stop.transaction_id == -1 and stop.meter_stop == truth.register_end
    else:
        assert world.csms.heard("TransactionEvent")[-1].event_type == "Ended"


def test_back_off_doubles_so_often_and_adds_a_new_random_part():
    backoff = BackOff(Random(3))
    waits = [backoff.next_wait_ms(10, 5, 3) for _ in range(7)]
    floors = [10, 20, 40, 80, 80, 80, 80]
    assert all(floor * 1000 <= wait <= floor * 1000 + 5000 for floor, wait in zip(floors, waits, strict=True))
    assert len({wait - floor * 1000 for floor, wait in zip(floors, waits, strict=True)}) > 3
    backoff.succeeded()
    assert backoff.next_wait_ms(10, 0, 3) == 10_000


def test_reconnection_follows_the_back_off(make_world):
    world = make_world("2.0.1", settings={"backoff_minimum": "10", "backoff_random": "0", "backoff_repeats": "2"})
    world.station.power_on()
    world.run(5)
    dials = []

    class Watch:
        def dial(self, tenant, identity, now):
            dials.append(now)
            return "no route"

        def frame(self, flight):
            from pilotwire.transport.memory import FINE

            return FINE

    world.network.faults = Watch()
    world.offline()
    start = world.scheduler.now()
    world.run(160)
    # 10 ms there and 10 ms back belong to each attempt.
    assert [dials[0] - start, *(b - a for a, b in pairwise(dials))] == [
        10_010, 20_020, 40_020, 40_020, 40_020,
    ]  # fmt: skip


def test_a_connection_that_swallows_everything_is_given_up(make_world):
    world = make_world("2.0.1", settings={"sample_interval": "0"})
    world.csms.interval = 10
    begin(world)
    connection = next(iter(world.network.connections.values()))
    connection._whole = False  # half-open: what is sent goes nowhere and nobody says so
    dials = world.station.conversation.counts.dials
    world.run(200)
    assert world.station.conversation.counts.dials > dials
    assert world.station.online


def test_a_dead_peer_is_noticed_by_its_missing_pong(make_world):
    world = make_world("1.6", settings={"ping_interval": "20"})
    begin(world)
    world.run(300)
    assert world.station.conversation.counts.dials == 1
    next(iter(world.network.connections.values()))._whole = False
    world.run(60)
    assert world.station.conversation.counts.dials == 2 and world.station.online


@pytest.mark.parametrize("version", VERSIONS)
def test_quirk_every_message_twice(make_world, version):
    world = make_world(version, quirks=Quirks(duplicate_every=1))
    world.csms.rpc = None
    begin(world)
    world.station.tap(1, "AA11")
    world.run(300)
    frames = [(s.message_id, repr(s.request)) for s in world.csms.said if s.action in (TX[version], "MeterValues")]
    assert len(frames) == 2 * len(set(frames)) > 4


def test_quirk_ids_that_count_from_one(make_world):
    world = make_world("1.6", quirks=Quirks(message_ids="counter"))
    begin(world)
    assert [s.message_id for s in world.csms.said] == ["1", "2", "3", "4"]
