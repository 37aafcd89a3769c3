"""The place where an action's handler goes: what is asked before a decision and what follows from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from csms_kit import World

from pilotwire.csms import speech
from pilotwire.csms.actions import SPECIAL, Follow, Special
from pilotwire.csms.actor import StationActor
from pilotwire.domain.facts import ConnectorStatusChanged, SecurityEventNotified
from pilotwire.domain.inputs import Heartbeat, Input, SecurityEvent, Status
from pilotwire.translate.table import told
from pilotwire.translate.tables import load


def _following(patch: pytest.MonkeyPatch, action: str, follow: Follow) -> World:
    patch.setattr(speech, "SPECIAL", {**SPECIAL, action: Special(follow=follow)})
    return World()


def test_what_follows_a_message_comes_after_its_answer_with_all_that_was_decided(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[Any] = []

    def ask(actor: StationActor, given: Any, decision: Any) -> None:
        seen.append((given, decision.facts, len(world.facts(ConnectorStatusChanged))))
        actor.outbox.ask("ClearCache", b"{}")

    world = _following(monkeypatch, "StatusNotification", ask)
    station = world.station()
    station.boot()
    assert station.status("Charging") == {}
    ((given, facts, stored),) = seen
    assert isinstance(given, Status) and given.status == "Charging"
    assert [type(fact) for fact in facts] == [ConnectorStatusChanged] and stored == 1
    assert [call[2] for call in station.calls] == ["ClearCache"]


def test_what_follows_a_message_that_makes_no_fact(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    world = _following(monkeypatch, "Heartbeat", lambda actor, given, decision: seen.append(given))
    station = world.station()
    station.boot()
    station.call("Heartbeat", {})
    world.run(120_000)
    station.call("Heartbeat", {})  # this one is stored, since the station was last seen a while ago
    assert [type(given) for given in seen] == [Heartbeat, Heartbeat]


def test_nothing_follows_a_message_that_could_not_be_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Any] = []
    world = _following(monkeypatch, "StatusNotification", lambda actor, given, decision: seen.append(given))
    station = world.station()
    station.boot()
    world.store.failing = 1
    assert station.status() == "InternalError" and seen == []
    assert station.status() == {} and len(seen) == 1


def test_a_fault_in_what_follows_costs_the_message_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(actor: StationActor, given: Any, decision: Any) -> None:
        raise ZeroDivisionError

    world = _following(monkeypatch, "StatusNotification", fail)
    station = world.station()
    station.boot()
    assert station.status("Charging") == {} and station.status("Available") == {}
    assert world.system.counters.faults == 2
    assert len(world.facts(ConnectorStatusChanged)) == 2


def test_an_answer_that_cannot_be_made_leaves_nothing_half_done() -> None:
    world = World()
    world.token("ETERNAL", expires_at=10**15)  # a date-time ends with the year 9999
    station = world.station()
    station.boot()
    world.run(120_000)
    assert station.call("Authorize", {"idTag": "ETERNAL"}) == "InternalError"
    world.run(2_000)
    assert station.status("Charging") == {}
    assert world.system.counters.faults == 1


def _fetching(patch: pytest.MonkeyPatch, asked: list[Any]) -> World:
    def fetch(actor: StationActor, given: Any, found: Callable[[Input], None]) -> None:
        asked.append((given, found))

    patch.setattr(speech, "SPECIAL", {**SPECIAL, "StatusNotification": Special(fetch=fetch)})
    return World()


def test_a_message_that_waits_for_somebody_outside_holds_up_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    world = _fetching(monkeypatch, asked)
    station = world.station()
    station.boot()
    waiting = station.send("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
    world.run()
    assert "currentTime" in station.call("Heartbeat", {})
    assert [frame for frame in station.frames if frame[1] == waiting] == []
    ((given, found),) = asked
    found(msgspec.structs.replace(given, status="Faulted"))
    world.run()
    assert [frame[2] for frame in station.frames if frame[1] == waiting] == [{}]
    assert [fact.status for fact in world.facts(ConnectorStatusChanged)] == ["Faulted"]


def test_what_was_found_waits_for_the_message_under_way_and_goes_before_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    asked: list[Any] = []
    world = _fetching(monkeypatch, asked)
    station = world.station()
    station.boot()
    status = {"connectorId": 1, "errorCode": "NoError", "status": "Charging"}
    first = station.send("StatusNotification", status)
    world.run()
    booting = station.send("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
    beat = station.send("Heartbeat", {})
    world.run(12)
    assert world.actor().work is not None
    asked[0][1](asked[0][0])
    world.run()
    assert [frame[1] for frame in station.frames[-3:]] == [booting, first, beat]


def test_what_was_found_for_a_connection_that_is_gone_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    world = _fetching(monkeypatch, asked)
    station = world.station()
    station.boot()
    station.send("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Charging"})
    world.run()
    assert station.link is not None
    station.link.close(1000, "")
    world.run()
    station.dial()
    before = len(station.frames)
    asked[0][1](asked[0][0])
    world.run()
    assert world.system.counters.frames_dropped == 1 and world.facts(ConnectorStatusChanged) == []
    assert station.frames[before:] == [] and "currentTime" in station.call("Heartbeat", {})


STREAM = {"id": 1, "pending": 0, "basetime": "2026-01-01T00:00:00Z", "data": [{"t": 1.5, "v": "1"}]}


def _streaming(patch: pytest.MonkeyPatch, read: Callable[[Any], Input]) -> World:
    tables = {version: load(version) for version in ("1.6", "2.1")}
    tables["2.1"] = {**tables["2.1"], "NotifyPeriodicEventStream": told(read)}
    patch.setattr(speech, "load_table", tables.__getitem__)
    return World()


def test_a_send_that_is_served_is_decided_and_stored_and_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _streaming(monkeypatch, lambda request: SecurityEvent(kind=request.data[0].v, time=0))
    station = world.station(version="2.1")
    station.boot()
    before = len(station.frames)
    station.raw(json.dumps([6, "s", "NotifyPeriodicEventStream", STREAM]).encode())
    world.run()
    world.store.failing = 1
    station.raw(json.dumps([6, "t", "NotifyPeriodicEventStream", STREAM]).encode())
    world.run(3_000)
    assert [fact.kind for fact in world.facts(SecurityEventNotified)] == ["1"]
    assert station.frames[before:] == []
    assert world.system.counters.commit_failures == 1 and world.system.counters.faults == 0


def test_a_fault_in_a_send_costs_that_one_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    world = _streaming(monkeypatch, lambda request: SecurityEvent(kind=request.nothing, time=0))
    station = world.station(version="2.1")
    station.boot()
    before = len(station.frames)
    station.raw(json.dumps([6, "s", "NotifyPeriodicEventStream", STREAM]).encode())
    world.run(3_000)
    assert station.frames[before:] == [] and world.system.counters.faults == 1
    assert station.status() == {}
