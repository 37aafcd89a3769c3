"""Offline: nothing is lost, order is kept, and who may charge is decided by the standard's rules."""

from __future__ import annotations

import pytest

VERSIONS = ("1.6", "2.0.1", "2.1")
DAY = 86_400


def prepare(world, *, known="AA11"):
    """Online once, so that the cache knows a card."""
    world.station.power_on()
    world.run(5)
    world.station.plug(1, world.car())
    world.station.tap(1, known)
    world.run(60)
    world.station.tap(1, known)
    world.run(2)
    world.station.unplug(1)
    world.run(5)


def session(world, minutes, token="AA11"):
    world.station.plug(1, world.car())
    world.station.tap(1, token)
    world.run(minutes * 60)
    world.station.tap(1, token)
    world.run(1)
    world.station.unplug(1)
    world.run(1)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_day_offline_is_replayed_in_order(make_world, version):
    world = make_world(version, settings={"sample_interval": "300"})
    prepare(world)
    world.offline()
    for _ in range(12):
        session(world, 60)
        world.run(3600)
    told = len(world.csms.said)
    world.online()
    world.run(3600)
    assert not len(world.station.outbox)
    new = world.csms.said[told:]
    if version == "1.6":
        own = [s.request for s in new if s.action in ("StartTransaction", "MeterValues", "StopTransaction")]
        times = [(r.meter_value[0].timestamp if hasattr(r, "meter_value") else r.timestamp).timestamp() for r in own]
        assert times == sorted(times)
        stops = world.csms.heard("StopTransaction")
        assert [(str(r.transaction_id), r.meter_stop) for r in stops] == [
            (t.transaction, t.register_end) for t in world.station.truth
        ]
        # Every reading carries the id that the CSMS gave to its own transaction.
        current = None
        for said in new:
            if said.action == "StartTransaction":
                current = said.request
            elif said.action == "MeterValues":
                key = (current.connector_id, current.id_tag, current.timestamp, current.meter_start)
                assert said.request.transaction_id == world.csms._started[key]
    else:
        events = [s.request for s in new if s.action == "TransactionEvent"]
        assert all(e.offline for e in events)
        by_transaction: dict[str, list[int]] = {}
        for event in events:
            by_transaction.setdefault(event.transaction_info.transaction_id, []).append(event.seq_no)
        assert len(by_transaction) == 12
        assert all(numbers == list(range(len(numbers))) for numbers in by_transaction.values())
        assert [e.timestamp for e in events] == sorted(e.timestamp for e in events)
    assert len(world.station.truth) == 13


@pytest.mark.parametrize("version", VERSIONS)
def test_lost_replies_make_no_second_session(make_world, version):
    """Every answer to a transaction message is lost once, with the connection: the station says it again."""
    world = make_world(version)
    prepare(world)

    class Cutter:
        def __init__(self):
            self.seen = set()

        def dial(self, tenant, identity, now):
            return ""

        def frame(self, flight):
            from pilotwire.transport.memory import FINE, Fate

            if flight.direction == "up" and (b"Transaction" in flight.data or b"MeterValues" in flight.data):
                key = flight.data[flight.data.index(b"{") :]
                if key not in self.seen:
                    self.seen.add(key)
                    return Fate(cut="after")
            return FINE

    world.network.faults = Cutter()
    session(world, 5)
    world.run(1200)
    assert not len(world.station.outbox)
    truth = world.station.truth[1]
    if version == "1.6":
        starts, stops = world.csms.heard("StartTransaction")[1:], world.csms.heard("StopTransaction")[1:]
        assert len(starts) == len(stops) == 2
        assert starts[0] == starts[1] and stops[0] == stops[1]
        assert stops[0].meter_stop - starts[0].meter_start == truth.energy_wh
    else:
        events = [
            e for e in world.csms.heard("TransactionEvent") if e.transaction_info.transaction_id == truth.transaction
        ]
        numbers = [e.seq_no for e in events]
        assert numbers == sorted(numbers)
        assert sorted(set(numbers)) == list(range(max(numbers) + 1)) and len(numbers) == 2 * len(set(numbers))


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("settings", "token", "starts"),
    [
        ({}, "AA11", True),
        ({}, "UNKNOWN", False),
        ({"offline_unknown": "true"}, "UNKNOWN", True),
        ({"local_offline": "false"}, "AA11", False),
        ({"cache_enabled": "false"}, "AA11", False),
    ],
)
def test_who_may_charge_offline(make_world, version, settings, token, starts):
    world = make_world(version, settings=settings)
    prepare(world)
    world.offline()
    world.run(1)
    world.station.plug(1, world.car())
    world.station.tap(1, token)
    world.run(60)
    assert (len(world.station.truth) == 2) is starts


@pytest.mark.parametrize("version", VERSIONS)
def test_a_blocked_card_stays_blocked_offline(make_world, version):
    world = make_world(version, settings={"offline_unknown": "true"})
    world.csms.token_status = "Blocked"
    world.station.power_on()
    world.run(5)
    world.station.tap(1, "BAD")
    world.run(2)
    world.offline()
    world.run(1)
    world.station.plug(1, world.car())
    world.station.tap(1, "BAD")
    world.run(60)
    assert not world.station.truth


def test_16_offline_sessions_by_a_station_that_sends_minus_one(make_world):
    from pilotwire.station.config import Quirks

    world = make_world("1.6", quirks=Quirks(offline_transaction_minus_one=True))
    prepare(world)
    world.offline()
    session(world, 10)
    world.online()
    world.run(600)
    assert world.csms.heard("StopTransaction")[-1].transaction_id == -1


@pytest.mark.parametrize("version", VERSIONS)
def test_a_full_memory_drops_every_second_periodic_reading(make_world, version):
    world = make_world(version, settings={"sample_interval": "10"}, queue_limit=60)
    prepare(world)
    world.offline()
    session(world, 30)
    assert len(world.station.outbox) <= 61 and world.station.outbox.shed > 50
    world.online()
    world.run(600)
    truth = world.station.truth[1]
    if version == "1.6":
        assert world.csms.heard("StartTransaction")[-1].meter_start == truth.register_start
        assert world.csms.heard("StopTransaction")[-1].meter_stop == truth.register_end
    else:
        kinds = [e.event_type for e in world.csms.heard("TransactionEvent")]
        assert kinds.count("Started") == kinds.count("Ended") == 2


@pytest.mark.parametrize("version", VERSIONS)
def test_back_at_the_csms_without_a_boot(make_world, version):
    """Part 4, 5.3: no BootNotification on reconnection; only changed statuses are told after a short absence."""
    world = make_world(version)
    world.station.power_on()
    world.run(5)
    before = len(world.csms.said)
    world.offline()
    world.online()
    world.run(40)
    assert world.csms.said[before:] == []
    world.offline()
    world.station.plug(1, world.car())
    world.online()
    world.run(40)
    told = "NotifyEvent" if version == "2.1" else "StatusNotification"
    assert [s.action for s in world.csms.said[before:]] == [told]
    world.offline()
    world.run(100)
    world.online()
    world.run(400)
    # Longer than OfflineThreshold: everything is told anew.
    assert len(world.csms.heard(told)) >= {"1.6": 4, "2.0.1": 3, "2.1": 2}[version]
    assert len(world.csms.heard("BootNotification")) == 1
