"""Boot, reconnection, two connections of one identity, and frames that are none."""

from __future__ import annotations

import json
from typing import Any

import pytest
from csms_kit import Client, World, now_of

from pilotwire.domain.facts import DeviationAccepted, StationBooted, StationConnected, StationDisconnected

VERSIONS = ("1.6", "2.0.1", "2.1")


# -- boot ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", VERSIONS)
def test_nothing_before_the_first_boot_and_the_station_is_asked_for_it(version: str) -> None:
    world = World()
    station = world.station(version=version)
    assert station.status() == "SecurityError"
    assert station.call("Heartbeat", {}) == "SecurityError"
    assert [call[2:] for call in station.calls] == [["TriggerMessage", {"requestedMessage": "BootNotification"}]]
    assert station.boot()["status"] == "Accepted"
    assert station.status() == {}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("verdict", ["Pending", "Rejected"])
def test_boot_as_the_account_says(version: str, verdict: str) -> None:
    world = World()
    world.account("CP1", boot=verdict)
    station = world.station(version=version)
    boot = station.boot()
    assert (boot["status"], boot["interval"]) == (verdict, 60)
    if version == "1.6":
        assert station.call("StartTransaction", station.start_v16()) == "SecurityError"
    else:
        assert station.call("TransactionEvent", station.event("Started", 0)) == "SecurityError"
    world.account("CP1", boot="Accepted")
    world.run(60_000)
    assert station.boot()["status"] == "Accepted"
    assert station.status() == {}
    assert [fact.verdict for fact in world.facts(StationBooted)] == [verdict, "Accepted"]


def test_a_station_that_was_accepted_before_need_not_boot_again() -> None:
    world = World()
    station = world.station()
    station.boot()
    world.network.crash()
    world.run()
    world.boot()
    station.dial()
    assert station.status() == {}


# -- coming and going ------------------------------------------------------------------------------------------------


def test_connections_are_facts_with_epochs() -> None:
    world = World()
    station = world.station()
    station.boot()
    station.link.close(1000, "bye")  # type: ignore[union-attr]
    world.run()
    station.dial()
    assert world.record().epoch == 2 and world.record().connected
    assert len(world.facts(StationConnected)) == 2
    (gone,) = world.facts(StationDisconnected)
    assert gone.code == 1000
    assert world.system.counters.connected["1.6"] == 1


def test_a_process_that_was_killed_is_noticed_by_the_next() -> None:
    world = World()
    station = world.station()
    station.boot()
    world.network.crash()
    world.run()
    world.boot()
    station.dial()
    (gone,) = world.facts(StationDisconnected)
    assert gone.code == 1006
    assert (world.record().epoch, world.record().connected) == (2, True)


def test_last_seen_is_written_once_a_minute_at_most() -> None:
    world = World(heartbeat_interval_s=5)
    station = world.station()
    station.boot()
    station.status()
    before = len(world.store._entries)
    for _ in range(100):
        station.call("Heartbeat", {}, ms=5_000)
    written = len(world.store._entries) - before
    assert 7 <= written <= 9
    assert world.clock.now() - world.record().last_seen < 70_000


# -- two connections of one identity ---------------------------------------------------------------------------------


def test_a_second_connection_is_closed_while_the_first_lives() -> None:
    world = World()
    first = world.station()
    first.boot()
    second = Client(world, "CP1", "1.6")
    second.dial()
    second.send("Heartbeat", {})
    world.run(5_000)
    assert second.end == (1008, "this identity is connected") and second.frames == []
    assert first.end is None and first.status() == {}
    counters = world.system.counters
    assert (counters.duplicates_parked, counters.duplicates_refused, counters.duplicates_adopted) == (1, 1, 0)
    assert "a second connection of a connected identity was closed" in world.logged
    assert world.record().epoch == 1


def test_a_second_connection_takes_over_from_a_dead_one_and_nothing_it_said_is_lost() -> None:
    world = World()
    first = world.station()
    first.boot()
    (connection,) = world.network.connections.values()
    connection.cut(notice_up_ms=0, notice_down_ms=3_600_000)  # the central system does not notice
    world.run()
    second = Client(world, "CP1", "1.6")
    second.dial()
    message_id = second.send("Heartbeat", {})
    world.run(1_000)
    assert second.frames == [], "parked: it is not read"
    assert max(world.network.connections.items())[1].csms._paused, "so its TCP waits"
    world.run(5_000)
    assert [frame[1] for frame in second.frames] == [message_id]
    assert (world.record().epoch, world.system.counters.duplicates_adopted) == (2, 1)
    world.run(7_200_000)  # the old link's end comes to light
    assert world.record().connected and second.end is None
    assert world.system.counters.connected["1.6"] == 1


def test_a_store_that_fails_in_the_middle_of_a_takeover_delays_it_and_no_more() -> None:
    world = World()
    world.station().boot()
    (connection,) = world.network.connections.values()
    connection.cut(notice_up_ms=0, notice_down_ms=3_600_000)
    world.run()
    second = Client(world, "CP1", "1.6")
    second.dial()
    message_id = second.send("Heartbeat", {})
    world.run(1_000)
    world.store.fail()
    world.run(5_000)  # the probe has run out, and that the old connection is gone could not be stored
    assert second.end is None
    now_of(world.store.open())
    world.run(10_000)
    assert [frame[1] for frame in second.frames] == [message_id]
    assert world.record().connected
    assert world.system.counters.connected["1.6"] == 1


def test_what_a_parked_link_had_already_read_is_kept() -> None:
    world = World()
    world.station().boot()
    (connection,) = world.network.connections.values()
    connection.cut(notice_up_ms=0, notice_down_ms=3_600_000)
    second = Client(world, "CP1", "1.6").dial()
    parked = world.actor().duplicates.parked
    assert parked is not None
    parked.frame(b'[2,"early","Heartbeat",{}]')
    assert world.system.counters.held_frames == 1
    world.run(5_000)
    assert [frame[1] for frame in second.frames] == ["early"]


def test_the_parked_one_is_taken_at_once_when_the_old_one_ends() -> None:
    world = World(probe_ms=60_000)
    first = world.station()
    first.boot()
    (connection,) = world.network.connections.values()
    connection.cut(notice_up_ms=0, notice_down_ms=2_000)
    second = Client(world, "CP1", "1.6")
    second.dial()
    world.run(3_000)
    assert second.status() == {}


def test_of_two_parked_ones_the_newest_counts() -> None:
    world = World()
    world.station().boot()
    (connection,) = world.network.connections.values()
    connection.cut(notice_up_ms=0, notice_down_ms=3_600_000)
    second, third = Client(world, "CP1", "1.6"), Client(world, "CP1", "1.6")
    second.dial()
    third.dial()
    world.run(5_000)
    assert second.end is not None and second.end[0] == 1008
    assert third.status() == {}


def test_a_wrong_credential_does_not_touch_the_connection() -> None:
    world = World()
    first = world.station()
    first.boot()
    thief = Client(world, "CP1", "1.6", password=b"guess")
    thief.dial()
    world.run(5_000)
    assert thief.result is not None and thief.result.status == 401
    assert world.system.counters.duplicates_parked == 0 and first.status() == {}


def test_what_an_old_link_still_delivers_is_not_looked_at() -> None:
    world = World()
    world.station().boot()
    actor = world.actor()
    old = actor.current
    assert old is not None
    (connection,) = world.network.connections.values()
    connection.cut(notice_up_ms=0, notice_down_ms=3_600_000)
    second = Client(world, "CP1", "1.6").dial(5_000)
    assert actor.current is not old
    before = len(world.store._entries)
    old.frame(b'[2,"late","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Faulted"}]')
    old.pong()
    old.closed(1006, "")
    world.run()
    assert len(world.store._entries) == before and world.record().connected
    assert second.status() == {}


def test_an_answer_by_an_old_connection_is_dropped() -> None:
    world = World()
    first = world.station()
    first.boot()
    world.run(6_000)
    first.on["Reset"] = lambda payload: None
    replies = world.command("reset", {"type": "soft"})
    world.run()
    (call,) = first.calls
    first.link.close(1000, "")  # type: ignore[union-attr]
    world.run()
    assert [reply.outcome for reply in replies] == ["timed-out"]
    first.dial()
    first.raw(json.dumps([3, call[1], {"status": "Accepted"}]).encode())
    world.run()
    assert len(replies) == 1 and first.status() == {}


# -- what is not served, what is no message --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("version", "action", "payload"),
    [
        ("1.6", "GetConfiguration", {}),
        ("2.1", "AFRRSignal", {"timestamp": "2026-01-01T00:00:00Z", "signal": 1}),
        ("2.0.1", "GetVariables", {"getVariableData": [{"component": {"name": "A"}, "variable": {"name": "B"}}]}),
    ],
)
def test_actions_that_are_not_for_stations_to_send(version: str, action: str, payload: dict[str, Any]) -> None:
    world = World()
    station = world.station(version=version)
    station.boot()
    assert station.call(action, payload) == "NotSupported"
    assert world.system.counters.errors == {"NotSupported": 1}


@pytest.mark.parametrize("version", VERSIONS)
def test_unknown_actions(version: str) -> None:
    world = World()
    station = world.station(version=version)
    station.boot()
    assert station.call("MakeCoffee", {}) == "NotImplemented"


GARBAGE = [
    b"not json",
    b"[]",
    b"{}",
    b"null",
    b"[2]",
    b'[2,"x","Heartbeat"]',
    b'[2,7,"Heartbeat",{}]',
    b'[2,"x","Heartbeat",{"a":1e999}]',
    b'[9,"x",{}]',
    b'[3,"nobody asked",{}]',
    b'[4,"x","GenericError","",{}]',
    b"\xff\xfe",
    b"[" * 5_000,
    b'[2,"' + b"x" * 300 + b'","Heartbeat",{}]',
    b'[2,"m","MeterValues",{"connectorId":1,"meterValue":[{"timestamp":"yesterday","sampledValue":[{"value":"1"}]}]}]',
    b'[2,"m","StartTransaction",{"connectorId":99999999999999999999,"idTag":"A","meterStart":1,"timestamp":"2026-01-01T00:00:00Z"}]',
    b'[6,"x","NotifyPeriodicEventStream",{}]',
]


@pytest.mark.parametrize("version", VERSIONS)
def test_malformed_frames_harm_nobody(version: str) -> None:
    world = World()
    station, other = world.station(version=version), world.station("CP2")
    station.boot()
    other.boot()
    for frame in GARBAGE:
        station.raw(frame)
        world.run(100)
        assert other.call("Heartbeat", {})["currentTime"]
    assert station.end is None and station.status() == {}
    assert world.system.counters.faults == 0


def test_tolerances_are_counted_each_time_and_noted_once() -> None:
    world = World()
    station = world.station()
    station.boot()
    body = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "timestamp": "2026-01-01 12:00:00Z"}
    for n in range(3):
        assert station.call("StatusNotification", body | {"info": str(n)}) == {}
    (noted,) = world.facts(DeviationAccepted)
    assert noted.action == "StatusNotification" and noted.rules
    assert set(world.system.counters.deviations.values()) == {3}


def test_a_send_is_counted_and_never_answered() -> None:
    world = World()
    station = world.station(version="2.1")
    station.boot()
    body = {"id": 1, "pending": 0, "basetime": station.at(), "data": [{"t": 1, "v": "2"}]}
    station.raw(json.dumps([6, "s-1", "NotifyPeriodicEventStream", body]).encode())
    world.run()
    assert len(station.frames) == 1
    assert world.system.counters.messages["2.1"]["NotifyPeriodicEventStream"] == 1


# -- a store that fails ----------------------------------------------------------------------------------------------


def test_a_failed_commit_is_an_internal_error_and_the_retry_counts_once() -> None:
    world = World()
    world.token()
    station = world.station()
    station.boot()
    start = station.start_v16()
    world.store.failing = 1
    assert station.call("StartTransaction", start) == "InternalError"
    assert world.sessions() == []
    started = station.call("StartTransaction", start)
    stop = {"transactionId": started["transactionId"], "meterStop": 1900, "timestamp": station.at()}
    world.store.failing = 1
    assert station.call("StopTransaction", stop) == "InternalError"
    assert station.call("StopTransaction", stop) == {}
    (session,) = world.sessions()
    assert (session.energy_wh, session.status) == (900, "ended")
    assert world.system.counters.commit_failures == 2


def test_a_store_that_fails_for_long_is_not_asked_all_the_time() -> None:
    world = World()
    station = world.station()
    station.boot()
    world.store.failing = 10_000
    for _ in range(20):
        station.call("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}, ms=3_000)
    assert 10_000 - world.store.failing < 100
    world.store.failing = 0
    world.run(5_000)
    assert station.boot()["status"] == "Accepted"
    assert world.record().connected


def test_a_state_that_cannot_be_mended_is_tried_with_pauses() -> None:
    world = World()
    station = world.station()
    station.boot()
    station.link.close(1000, "")  # type: ignore[union-attr]
    world.run()
    world.command("clear-cache", {}, expires_in=5_000)
    world.run()
    world.network.crash()
    world.boot()
    world.run(10_000)
    world.store.failing = 10_000
    station.dial()
    world.run(60_000)
    assert 0 < 10_000 - world.store.failing < 400
    world.store.failing = 0
    world.run(5_000)
    assert station.boot()["status"] == "Accepted"
    assert world.record().connected and world.record().epoch == 2


def test_a_record_that_fails_beside_a_message_leaves_nothing_in_memory() -> None:
    world = World(delay_ms=50)
    station = world.station()
    station.boot()
    station.send("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"})
    world.run(12)
    assert world.actor().work is not None
    world.store.failing = 1
    replies = world.command("reset", {})
    world.run(500)
    assert replies[0].outcome == "undeliverable"
    assert world.actor().known().commands == {} and station.frames[-1][2] == {}
    assert station.status("Charging") == {}


def test_a_fault_of_ours_is_an_internal_error_and_stays_with_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    station = world.station()
    station.boot()
    with monkeypatch.context() as patch:
        patch.setattr("pilotwire.csms.deciding.decide", lambda *_: 1 / 0)
        assert station.call(
            "StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
        ) == ("InternalError")
    assert station.status() == {}
    assert world.system.counters.faults == 1


def test_a_flood_is_read_at_the_pace_of_the_store_and_nothing_is_lost() -> None:
    world = World(delay_ms=200)
    station = world.station()
    station.send("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    for n in range(200):
        body = {"connectorId": 1, "errorCode": "NoError", "status": "Available", "info": str(n)}
        station.send("StatusNotification", body)
    world.run(2_000)
    assert world.system.counters.pauses >= 1
    world.run(120_000)
    assert len(station.frames) == 201
    assert world.system.counters.held_frames == 0
