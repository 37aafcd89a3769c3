"""What the rest of the house hears: facts after their commit with their place in the journal, powers, raw frames."""

from __future__ import annotations

from typing import Any

import pytest
from csms_kit import World, now_of

from pilotwire.csms.durability import ANSWERED_AT_ONCE
from pilotwire.domain.facts import OrphanReceived, StationBooted, TokenPresented
from pilotwire.domain.records import Session
from pilotwire.storage.memory import MemoryStore
from pilotwire.transport.bus import Subscription
from pilotwire.transport.memory import Fate, Flight, NoFaults


def heard(subscription: Subscription) -> list[Any]:
    return [message for _, message in subscription._queue]


def test_events_come_after_the_commit_and_know_their_place() -> None:
    world = World(delay_ms=500)
    facts = world.bus.subscribe("facts.default.>")
    station = world.station()
    world.run(3_000)
    station.send("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    world.run(300)
    assert not any(isinstance(fact, StationBooted) for event in heard(facts) for fact in event.facts)
    world.run(3_000)
    rows: list[Any] = []

    async def read() -> None:
        rows.extend([row async for row in world.store.journal()])

    now_of(read())
    assert [(event.seq, event.facts) for event in heard(facts)] == [(row.seq, row.facts) for row in rows if row.facts]
    assert {event.stream for event in heard(facts)} == {"main"}


def test_power_is_told_when_samples_bring_it() -> None:
    world = World()
    world.token()
    powers = world.bus.subscribe("power.default.CP1")
    station = world.station(version="2.0.1")
    station.boot()
    station.call("TransactionEvent", station.event("Started", 0, 1000))
    values = [
        {"value": 1250},
        {"value": 11.04, "measurand": "Power.Active.Import", "unitOfMeasure": {"unit": "kW"}},
        {"value": 41, "measurand": "SoC"},
    ]
    event = station.event("Updated", 1, meterValue=[{"timestamp": station.at(), "sampledValue": values}])
    station.call("TransactionEvent", event)
    last = heard(powers)[-1]
    assert (last.power_w, last.energy_wh, last.soc, last.evse, last.connector) == (11040, 250, 410, 1, 1)
    station.call("TransactionEvent", station.event("Ended", 2, 1300))
    assert heard(powers)[-1].power_w == 0


def test_frames_are_shown_both_ways_to_whoever_looks() -> None:
    world = World()
    station = world.station()
    tap = world.bus.subscribe("live.default.CP1")
    station.boot()
    world.command("reset", {})
    world.run()
    frames = heard(tap)
    assert [frame.direction for frame in frames] == ["in", "out", "out", "in"]
    assert b"BootNotification" in frames[0].data and b'"Reset"' in frames[2].data


def test_an_authorize_does_not_wait_for_the_disk() -> None:
    world = World(delay_ms=400)
    world.token()
    station = world.station()
    world.run(3_000)
    station.call("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}, ms=2_000)
    assert "Authorize" in ANSWERED_AT_ONCE
    assert station.call("Authorize", {"idTag": "TAG"}, ms=50) == {"idTagInfo": {"status": "Accepted"}}
    world.run(2_000)
    assert len(world.facts(TokenPresented)) == 1


def test_signed_values_are_answered_and_their_frame_is_kept() -> None:
    world = World()
    station = world.station()
    station.boot()
    signed = [{"value": "OCMF|{}|{}", "format": "SignedData"}]
    body = {"connectorId": 1, "meterValue": [{"timestamp": station.at(), "sampledValue": signed}]}
    assert station.call("MeterValues", body) == {}
    assert b"OCMF|{}|{}" in world.store._entries[-1].frame


def test_an_older_session_is_fetched_from_the_store_before_a_stop_is_an_orphan() -> None:
    world = World()
    world.token()
    station = world.station()
    station.boot()
    first = station.call("StartTransaction", station.start_v16())["transactionId"]
    stop = {"transactionId": first, "meterStop": 1500, "timestamp": station.at()}
    station.call("StopTransaction", stop)
    for n in range(40):
        start = station.call("StartTransaction", station.start_v16(meter=n))["transactionId"]
        station.call("StopTransaction", {"transactionId": start, "meterStop": n + 5, "timestamp": station.at()})
    world.network.crash()
    world.run()
    world.boot()
    station.dial()
    assert station.call("StopTransaction", stop, "again", ms=200) == {}
    assert len(world.sessions()) == 41 and world.facts(OrphanReceived) == []
    stranger = stop | {"transactionId": first % 1_000_000 + 1}
    assert station.call("StopTransaction", stranger, ms=200) == {}
    assert world.facts(OrphanReceived) or len(world.sessions()) == 42


class SlowLookup(MemoryStore):
    """Takes a second to find an older session."""

    def find_session(self, key: Any, transaction: str, start_key: str, done: Any) -> None:
        def later(session: Session | None) -> None:
            assert self._scheduler is not None
            self._scheduler.call_later(1_000, lambda: done(session))

        super().find_session(key, transaction, start_key, later)


def test_what_comes_while_an_older_session_is_looked_for_waits_its_turn() -> None:
    world = World(store=SlowLookup)
    world.token()
    station = world.station()
    station.boot()
    for n in range(40):
        start = station.call("StartTransaction", station.start_v16(meter=n), ms=2_000)["transactionId"]
        station.call("StopTransaction", {"transactionId": start, "meterStop": n + 5, "timestamp": station.at()})
    world.network.crash()
    world.run()
    world.boot()
    station.dial()
    before = len(station.frames)
    slow = station.send("StopTransaction", {"transactionId": 77, "meterStop": 5, "timestamp": station.at()})
    quick = station.send("Heartbeat", {})
    world.run(500)
    assert len(station.frames) == before
    world.run(2_000)
    assert [frame[1] for frame in station.frames[before:]] == [slow, quick]


class Cuts(NoFaults):
    """Breaks the connection after some of the station's frames have been delivered: their answers are lost."""

    def frame(self, flight: Flight) -> Fate:
        return Fate(cut="after") if flight.direction == "up" and flight.number % 5 == 4 else Fate()


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_a_session_over_a_line_that_breaks_all_the_time_is_exact(version: str) -> None:
    world = World(faults=Cuts(), delay_ms=15)
    world.token()
    station = world.station(version=version)

    def until_answered(action: str, payload: dict[str, Any]) -> Any:
        for attempt in range(10):
            message_id = station.send(action, payload, f"{action}-{station.count}-{attempt}")
            world.run(500)
            found = [frame[2] for frame in station.frames if frame[1] == message_id and frame[0] == 3]
            if found:
                return found[0]
            if station.link is None:
                station.dial(500)
        raise AssertionError("never answered")

    if version == "1.6":
        until_answered("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
        transaction = until_answered("StartTransaction", station.start_v16())["transactionId"]
        for n in range(20):
            sampled = [{"value": str(1000 + 50 * n)}]
            body = {"connectorId": 1, "transactionId": transaction}
            until_answered("MeterValues", body | {"meterValue": [{"timestamp": station.at(), "sampledValue": sampled}]})
        stop = {"transactionId": transaction, "meterStop": 2222, "timestamp": station.at()}
        until_answered("StopTransaction", stop)
    else:
        until_answered("BootNotification", {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}})
        until_answered("TransactionEvent", station.event("Started", 0, 1000))
        for n in range(1, 21):
            until_answered("TransactionEvent", station.event("Updated", n, 1000 + 50 * n))
        until_answered("TransactionEvent", station.event("Ended", 21, 2222))
    (session,) = world.sessions()
    assert (session.energy_wh, session.status, session.meter_start_wh) == (1222, "ended", 1000)
    assert world.record().epoch >= 4
