"""The place where an action's handler goes: what is asked before a decision and what follows from it."""

from __future__ import annotations

from typing import Any

import pytest
from csms_kit import World

from pilotwire.csms import speech
from pilotwire.csms.actions import SPECIAL, Follow, Special
from pilotwire.csms.actor import StationActor
from pilotwire.domain.facts import ConnectorStatusChanged
from pilotwire.domain.inputs import Heartbeat, Status


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
