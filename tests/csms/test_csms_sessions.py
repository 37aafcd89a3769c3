"""Whole sessions as raw frames in all three versions, and what the wire does to them."""

from __future__ import annotations

from typing import Any

import pytest
from csms_kit import Client, World

from pilotwire.domain.facts import OrphanReceived, SessionEnded, SessionStarted

V2 = ("2.0.1", "2.1")


def meter_v16(transaction: int, at: str, wh: str, power: str | None = None) -> dict[str, Any]:
    sampled: list[dict[str, Any]] = [{"value": wh}]
    if power is not None:
        sampled.append({"value": power, "measurand": "Power.Active.Import", "unit": "kW"})
    return {
        "connectorId": 1,
        "transactionId": transaction,
        "meterValue": [{"timestamp": at, "sampledValue": sampled}],
    }


def test_a_16_session_from_boot_to_stop() -> None:
    world = World()
    world.token()
    station = world.station()
    boot = station.boot()
    assert boot["status"] == "Accepted" and boot["interval"] == 300 and boot["currentTime"].endswith("Z")
    assert station.status("Preparing") == {}
    assert station.call("Authorize", {"idTag": "tag"}) == {"idTagInfo": {"status": "Accepted"}}
    started = station.call("StartTransaction", station.start_v16())
    assert started["idTagInfo"] == {"status": "Accepted"} and started["transactionId"] > 0
    world.run(60_000)
    assert station.call("MeterValues", meter_v16(started["transactionId"], station.at(), "1500.4", "7.36")) == {}
    (session,) = world.sessions()
    assert (session.status, session.energy_wh, session.power_w) == ("active", 500, 7360)
    stop = {
        "transactionId": started["transactionId"],
        "meterStop": 2500,
        "timestamp": station.at(),
        "idTag": "TAG",
        "reason": "EVDisconnected",
    }
    assert station.call("StopTransaction", stop) == {"idTagInfo": {"status": "Accepted"}}
    (session,) = world.sessions()
    assert (session.status, session.energy_wh, session.stop_reason) == ("ended", 1500, "EVDisconnected")
    assert (session.meter_start_wh, session.meter_stop_wh, session.token) == (1000, 2500, "TAG")
    assert world.record().connected and world.record().ocpp_version == "1.6"


@pytest.mark.parametrize("version", V2)
def test_a_2x_session_from_boot_to_end(version: str) -> None:
    world = World()
    world.token()
    station = world.station(version=version)
    assert station.boot()["status"] == "Accepted"
    assert station.status("Occupied") == {}
    token = {"idToken": "TAG", "type": "ISO14443"}
    assert station.call("Authorize", {"idToken": token}) == {"idTokenInfo": {"status": "Accepted"}}
    first = station.call("TransactionEvent", station.event("Started", 0, 1000, idToken=token))
    assert first == {"idTokenInfo": {"status": "Accepted"}}
    world.run(60_000)
    assert station.call("TransactionEvent", station.event("Updated", 1, 1800)) == {}
    info = {"transactionId": "tx-1", "stoppedReason": "EVDisconnected"}
    assert station.call("TransactionEvent", station.event("Ended", 2, 3000, transactionInfo=info)) == {}
    (session,) = world.sessions()
    assert (session.status, session.energy_wh, session.stop_reason) == ("ended", 2000, "EVDisconnected")
    assert (session.transaction, session.ocpp_version, session.seen) == ("tx-1", version, [[0, 2]])


def test_a_start_whose_reply_was_lost_is_answered_the_same() -> None:
    world = World()
    world.token()
    station = world.station()
    station.boot()
    start = station.start_v16()
    first = station.call("StartTransaction", start, "s-1")
    again = station.call("StartTransaction", start, "s-1")
    other_id = station.call("StartTransaction", start, "s-2")
    assert first == again == other_id
    assert len(world.sessions()) == 1


@pytest.mark.parametrize("version", V2)
def test_an_event_that_comes_again_counts_once(version: str) -> None:
    world = World()
    station = world.station(version=version)
    station.boot()
    event = station.event("Started", 0, 1000)
    station.call("TransactionEvent", event, "e-1")
    station.call("TransactionEvent", event, "e-1")
    station.call("TransactionEvent", event, "e-2")
    ended = station.event("Ended", 1, 1700)
    for message_id in ("e-3", "e-4", "e-3"):
        assert station.call("TransactionEvent", ended, message_id) == {}
    (session,) = world.sessions()
    assert (session.status, session.meter_stop_wh, session.energy_wh) == ("ended", 1700, 700)
    assert len(world.facts(SessionStarted)) == len(world.facts(SessionEnded)) == 1


def test_a_stop_that_comes_again_counts_once() -> None:
    world = World()
    world.token()
    station = world.station()
    station.boot()
    started = station.call("StartTransaction", station.start_v16())
    stop = {"transactionId": started["transactionId"], "meterStop": 1600, "timestamp": station.at()}
    for message_id in ("a", "a", "b"):
        assert station.call("StopTransaction", stop, message_id) == {}
    late = stop | {"meterStop": 9999}
    assert station.call("StopTransaction", late, "c") == {}
    (session,) = world.sessions()
    assert session.energy_wh == 600


def test_a_stop_with_id_minus_one_is_answered_and_kept() -> None:
    world = World()
    station = world.station()
    station.boot()
    stop = {"transactionId": -1, "meterStop": 1600, "timestamp": station.at(), "reason": "PowerLoss"}
    assert station.call("StopTransaction", stop) == {}
    orphans = world.facts(OrphanReceived)
    kept = world.sessions()
    assert len(orphans) + len(kept) == 1, "kept once, as an orphan or as a session without a start"


def test_a_session_goes_on_after_a_broken_connection_without_a_new_boot() -> None:
    world = World()
    world.token()
    station = world.station()
    station.boot()
    started = station.call("StartTransaction", station.start_v16())
    station.link.close(1000, "")  # type: ignore[union-attr]
    world.run()
    assert not world.record().connected
    station.dial()
    world.run(60_000)
    assert station.call("MeterValues", meter_v16(started["transactionId"], station.at(), "1700")) == {}
    stop = {"transactionId": started["transactionId"], "meterStop": 1900, "timestamp": station.at()}
    assert station.call("StopTransaction", stop) == {}
    (session,) = world.sessions()
    assert (session.energy_wh, world.record().epoch) == (900, 2)


def test_a_session_goes_on_after_the_central_system_was_killed() -> None:
    world = World()
    world.token()
    station = world.station()
    station.boot()
    start = station.start_v16()
    started = station.call("StartTransaction", start)
    world.network.crash()
    world.run()
    world.boot()
    station.dial()
    assert station.call("StartTransaction", start, "again")["transactionId"] == started["transactionId"]
    stop = {"transactionId": started["transactionId"], "meterStop": 1900, "timestamp": station.at()}
    assert station.call("StopTransaction", stop) == {}
    (session,) = world.sessions()
    assert (session.status, session.energy_wh) == ("ended", 900)


def test_unknown_blocked_and_expired_tokens() -> None:
    world = World()
    world.token("BLOCKED", status="Blocked")
    world.token("OLD", expires_at=int(world.clock.now()) + 1_000, parent="GROUP")
    station = world.station()
    station.boot()
    world.run(5_000)
    assert station.call("Authorize", {"idTag": "NOBODY"})["idTagInfo"] == {"status": "Invalid"}
    assert station.call("Authorize", {"idTag": "BLOCKED"})["idTagInfo"] == {"status": "Blocked"}
    old = station.call("Authorize", {"idTag": "OLD"})["idTagInfo"]
    assert (old["status"], old["parentIdTag"]) == ("Expired", "GROUP")


async def test_the_lab_takes_any_station_and_token() -> None:
    world = World(lab=True)
    station = Client(world, "STRANGER", "1.6", user=None, password=None).dial()
    station.boot()
    assert station.call("Authorize", {"idTag": "NOBODY"})["idTagInfo"] == {"status": "Accepted"}


def test_frames_that_came_while_a_commit_was_under_way_keep_their_order() -> None:
    world = World(delay_ms=500)
    world.token()
    station = world.station(version="2.0.1")
    world.run()
    station.send("BootNotification", {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}})
    for seq, kind in enumerate(("Started", "Updated", "Ended")):
        station.send("TransactionEvent", station.event(kind, seq, 1000 + seq * 100))
    world.run(300)
    assert station.frames == [], "nothing is answered before it is durable"
    world.run(10_000)
    assert [frame[0] for frame in station.frames] == [3, 3, 3, 3]
    assert [frame[1] for frame in station.frames] == [f"CP1-{n}" for n in range(1, 5)]
    (session,) = world.sessions()
    assert (session.status, session.energy_wh, session.flags) == ("ended", 200, [])
