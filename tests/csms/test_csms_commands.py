"""Commands: the station's own answer comes back; durable ones outlive connections and processes."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
from csms_kit import Client, World, now_of

from pilotwire.core.ids import DEFAULT_TENANT, StationKey
from pilotwire.domain.facts import CommandRequested, CommandSettled
from pilotwire.domain.records import Command
from pilotwire.transport.bus import CommandRequest

VERSIONS = ("1.6", "2.0.1", "2.1")


def ready(version: str = "1.6", **world: Any) -> tuple[World, Client]:
    made = World(**world)
    made.token()
    station = made.station(version=version)
    station.boot()
    return made, station


def commands(world: World) -> list[Command]:
    found: list[Command] = now_of(world.store.commands(StationKey(DEFAULT_TENANT, "CP1")))
    return found


@pytest.mark.parametrize("version", VERSIONS)
def test_the_answer_is_the_stations_own(version: str) -> None:
    world, station = ready(version)
    station.on["Reset"] = lambda payload: {"status": "Rejected"}
    replies = world.command("reset", {"type": "hard"}, by="ann")
    world.run()
    (reply,) = replies
    assert (reply.outcome, reply.action, reply.answer) == ("answered", "Reset", {"status": "Rejected"})
    assert station.calls[-1][3] == {"type": "Hard" if version == "1.6" else "Immediate"}
    (command,) = commands(world)
    assert (command.id, command.outcome, command.by) == (reply.command_id, "answered", "ann")
    assert json.loads(command.answer) == {"status": "Rejected"}
    assert world.system.counters.commands == {"answered": 1}


def test_a_remote_start_and_stop_of_a_16_session() -> None:
    world, station = ready()
    world.command("start", {"token": "TAG", "evse": 1})
    world.run()
    assert station.calls[-1][2:] == ["RemoteStartTransaction", {"idTag": "TAG", "connectorId": 1}]
    started = station.call("StartTransaction", station.start_v16())
    (session,) = world.sessions()
    replies = world.command("stop", {"session": session.id})
    world.run()
    assert station.calls[-1][2:] == ["RemoteStopTransaction", {"transactionId": started["transactionId"]}]
    assert replies[0].outcome == "answered"
    assert world.command("stop", {"session": "another"})[0].outcome == "invalid"


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_a_remote_start_and_stop_of_a_2x_session(version: str) -> None:
    world, station = ready(version)
    world.command("start", {"token": "TAG", "evse": 1})
    world.run()
    action, payload = station.calls[-1][2:]
    assert action == "RequestStartTransaction" and payload["remoteStartId"] > 0
    station.call("TransactionEvent", station.event("Started", 0, 5))
    (session,) = world.sessions()
    world.command("stop", {"session": session.id})
    world.run()
    assert station.calls[-1][2:] == ["RequestStopTransaction", {"transactionId": "tx-1"}]


def test_a_refusal_is_an_answer() -> None:
    world, station = ready()
    station.on["Reset"] = lambda payload: json.dumps([4, station.calls[-1][1], "NotSupported", "no", {"a": 1}]).encode()
    replies = world.command("reset", {})
    world.run()
    assert replies[0].outcome == "refused"
    assert replies[0].answer == {"code": "NotSupported", "description": "no", "details": {"a": 1}}


def test_an_answer_that_cannot_be_read_ends_the_command() -> None:
    world, station = ready("2.1")
    station.on["Reset"] = lambda payload: {"status": "Perhaps"}
    replies = world.command("reset", {})
    world.run()
    assert replies[0].outcome == "refused" and replies[0].answer["code"]
    assert any(frame[0] == 5 for frame in station.frames), "2.1 is told"
    station.on["Reset"] = lambda payload: {"status": "Accepted"}
    again = world.command("reset", {})
    world.run()
    assert again[0].outcome == "answered"


def test_silence_times_out_and_the_late_answer_counts_for_nothing() -> None:
    world, station = ready()
    station.on["Reset"] = lambda payload: None
    replies = world.command("reset", {}, timeout_ms=5_000)
    world.run(4_000)
    assert replies == []
    world.run(2_000)
    assert [reply.outcome for reply in replies] == ["timed-out"]
    station.raw(json.dumps([3, station.calls[-1][1], {"status": "Accepted"}]).encode())
    world.run()
    assert len(replies) == 1 and commands(world)[0].outcome == "timed-out"
    station.on["ClearCache"] = lambda payload: {"status": "Accepted"}
    assert station.status() == {}
    after = world.command("clear-cache", {})
    world.run()
    assert after[0].outcome == "answered"


def test_one_call_at_a_time_and_the_urgent_first() -> None:
    world, station = ready()
    held: list[bytes] = []

    def later(payload: dict[str, Any]) -> None:
        held.append(json.dumps([3, station.calls[-1][1], {"status": "Accepted"}]).encode())

    for action in ("Reset", "ClearCache", "RemoteStopTransaction"):
        station.on[action] = later
    station.on["GetConfiguration"] = lambda payload: {}
    world.command("reset", {})
    world.command("base-report", {})
    world.command("clear-cache", {})
    world.command("stop", {"transaction": 5})
    world.run()
    assert [call[2] for call in station.calls] == ["Reset"]
    while held:
        station.raw(held.pop())
        world.run()
    assert [call[2] for call in station.calls] == ["Reset", "RemoteStopTransaction", "ClearCache", "GetConfiguration"]
    assert world.system.counters.queued_commands == 0


def test_calls_cross() -> None:
    world, station = ready()
    station.on["Reset"] = lambda payload: None
    replies = world.command("reset", {})
    world.run()
    assert station.status("Charging") == {}, "served while ours waits"
    station.raw(json.dumps([3, station.calls[-1][1], {"status": "Accepted"}]).encode())
    world.run()
    assert replies[0].outcome == "answered"


def test_a_station_that_is_away() -> None:
    world, station = ready()
    station.link.close(1000, "")  # type: ignore[union-attr]
    world.run()
    (reply,) = world.command("reset", {})
    assert (reply.outcome, reply.command_id) == ("undeliverable", "")
    assert world.facts(CommandRequested) == []


@pytest.mark.parametrize("version", VERSIONS)
def test_a_durable_intent_is_sent_after_reconnection_and_boot(version: str) -> None:
    world, station = ready(version)
    station.link.close(1000, "")  # type: ignore[union-attr]
    world.run()
    replies = world.command("availability", {"operative": False}, expires_in=3_600_000)
    world.run(60_000)
    assert replies == [] and commands(world)[0].outcome == "pending"
    station.dial()
    world.run(1_000)
    assert station.calls == [], "the boot may be coming"
    station.boot()
    world.run()
    assert [call[2] for call in station.calls] == ["ChangeAvailability"]
    assert replies[0].outcome == "answered" and commands(world)[0].outcome == "answered"


def test_a_durable_intent_is_sent_to_a_station_that_does_not_boot_again() -> None:
    world, station = ready()
    station.link.close(1000, "")  # type: ignore[union-attr]
    world.run()
    replies = world.command("clear-cache", {}, expires_in=3_600_000)
    station.dial()
    world.run(10_000)
    assert replies[0].outcome == "answered"


def test_a_durable_intent_outlives_the_process() -> None:
    world, station = ready()
    station.link.close(1000, "")  # type: ignore[union-attr]
    world.run()
    world.command("clear-cache", {}, expires_in=3_600_000)
    world.run()
    world.network.crash()
    world.boot()
    station.dial()
    station.boot()
    world.run()
    assert [call[2] for call in station.calls] == ["ClearCache"]
    assert commands(world)[0].outcome == "answered"
    world.network.crash()
    world.run()
    world.boot()
    station.dial()
    station.boot()
    world.run(10_000)
    assert len(station.calls) == 1, "it is done"


def test_what_was_meant_for_now_is_not_sent_by_the_next_process() -> None:
    world, station = ready()
    station.on["Reset"] = lambda payload: None
    world.command("reset", {})
    world.run()
    world.network.crash()
    world.run()
    world.boot()
    station.dial()
    station.boot()
    world.run(10_000)
    assert len(station.calls) == 1
    assert commands(world)[0].outcome == "expired"


def test_a_durable_intent_that_was_cut_off_is_sent_again_under_the_same_id() -> None:
    world, station = ready("2.0.1")
    station.on["ClearCache"] = lambda payload: None
    replies = world.command("clear-cache", {}, expires_in=3_600_000)
    world.run()
    station.link.close(1000, "")  # type: ignore[union-attr]
    world.run()
    del station.on["ClearCache"]
    station.dial()
    station.boot()
    world.run()
    first, second = station.calls
    assert first == second and replies[0].outcome == "answered"


def test_a_durable_intent_expires() -> None:
    world, station = ready()
    station.link.close(1000, "")  # type: ignore[union-attr]
    world.run()
    replies = world.command("clear-cache", {}, expires_in=60_000)
    world.run(59_000)
    assert replies == []
    world.run(2_000)
    assert replies[0].outcome == "expired" and commands(world)[0].outcome == "expired"
    station.dial()
    station.boot()
    world.run(10_000)
    assert station.calls == []
    assert world.command("clear-cache", {}, expires_in=-1)[0].outcome == "expired"


def test_what_is_wrong_is_said_by_field() -> None:
    world, station = ready()
    for action, payload, field in (
        ("start", {"token": "X" * 21}, "idTag"),
        ("RemoteStartTransaction", {"idTag": "A", "connectorId": "1"}, "connectorId"),
        ("reset", {"type": "gently"}, "type"),
        ("Heartbeat", {}, "action"),
        ("MakeCoffee", {}, "action"),
        ("GetVariables", {}, "action"),
        ("set-variables", {"variables": []}, "variables"),
        ("stop", {"transaction": "--5"}, "transaction"),
        ("stop", {"transaction": "7" * 5_000}, "transaction"),
    ):
        (reply,) = world.command(action, payload)
        assert reply.outcome == "invalid", action
        assert reply.answer["details"]["field"] == field, (action, reply.answer)
    world.run()
    assert station.calls == [] and commands(world) == []


def test_a_station_of_unknown_version_cannot_be_commanded() -> None:
    world = World()
    world.account()
    replies = world.command("reset", {}, expires_in=60_000)
    world.run()
    assert replies[0].outcome == "invalid"


def test_nothing_is_sent_to_a_rejected_station_and_no_start_to_a_pending_one() -> None:
    world = World()
    world.account(boot="Pending")
    station = world.station()
    station.boot()
    start = world.command("start", {"token": "TAG"}, timeout_ms=3_000)
    asked = world.command("get-variables", {"variables": ["HeartbeatInterval"]})
    station.on["GetConfiguration"] = lambda payload: {}
    world.run()
    assert [call[2] for call in station.calls] == ["GetConfiguration"] and asked[0].outcome == "answered"
    world.run(5_000)
    assert start[0].outcome == "timed-out"
    world.account(boot="Rejected")
    station.boot()
    reset = world.command("reset", {}, timeout_ms=3_000)
    world.run(20_000)
    assert len(station.calls) == 1 and reset[0].outcome == "timed-out"


def test_reported_configuration_becomes_variables_but_secrets_do_not() -> None:
    world, station = ready()
    station.on["GetConfiguration"] = lambda payload: {
        "configurationKey": [
            {"key": "HeartbeatInterval", "readonly": False, "value": "300"},
            {"key": "AuthorizationKey", "readonly": False, "value": "6f6f70"},
        ]
    }
    world.command("base-report", {})
    world.run()
    found = {one.variable: one.value for one in now_of(world.store.variables(StationKey(DEFAULT_TENANT, "CP1")))}
    assert found == {"HeartbeatInterval": "300", "AuthorizationKey": None}


def test_a_fault_in_taking_in_an_answer_keeps_it_from_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    world, station = ready()
    station.on["GetConfiguration"] = lambda payload: {"configurationKey": []}
    with monkeypatch.context() as patch:
        patch.setattr("pilotwire.translate.answers.report", lambda *_: 1 / 0)
        replies = world.command("base-report", {})
        world.run()
    assert replies[0].outcome == "answered" and commands(world)[0].outcome == "answered"
    # Nothing of it is left behind that would end the next one before its time.
    station.on["ClearCache"] = lambda payload: None
    world.run(world.config.call_timeout_ms - 2_000)
    later = world.command("clear-cache", {})
    world.run(5_000)
    assert later == [] and world.system.counters.faults == 1


def test_a_secret_is_sent_and_kept_nowhere() -> None:
    world, station = ready("2.0.1")
    secret = "correct horse battery"
    station.on["SetVariables"] = lambda payload: {
        "setVariableResult": [
            {
                "attributeStatus": "Accepted",
                "component": payload["setVariableData"][0]["component"],
                "variable": payload["setVariableData"][0]["variable"],
            }
        ]
    }
    tap = world.bus.subscribe("live.>")
    variables = [{"component": "SecurityCtrlr", "variable": "BasicAuthPassword", "value": secret}]
    replies = world.command("set-variables", {"variables": variables})
    world.run()
    assert replies[0].outcome == "answered"
    assert station.calls[-1][3]["setVariableData"][0]["attributeValue"] == secret
    assert secret.encode() not in repr([*world.store._entries, *commands(world), *tap._queue]).encode()
    durable = world.command("set-variables", {"variables": variables}, expires_in=60_000)
    assert durable[0].outcome == "invalid"


def test_the_queue_is_bounded() -> None:
    world, station = ready(queued_commands=3)
    station.on["Reset"] = lambda payload: None
    replies = [world.command("reset", {}) for _ in range(6)]
    assert [len(one) for one in replies] == [0, 0, 0, 1, 1, 1]
    assert replies[3][0].outcome == "undeliverable" and replies[3][0].answer["code"] == "QueueFull"
    world.run()
    assert len(station.calls) == 1
    assert [len(world.command("reset", {})) for _ in range(2)] == [0, 1], "one is on its way, two wait, one fits in"


def test_a_command_that_cannot_be_recorded_is_not_sent() -> None:
    world, station = ready()
    world.store.failing = 1
    replies = world.command("reset", {})
    world.run()
    assert replies[0].outcome == "undeliverable" and station.calls == []
    assert station.status() == {}
    again = world.command("reset", {})
    world.run()
    assert again[0].outcome == "answered"


def test_a_command_in_flight_is_not_sent_twice_when_the_state_is_read_anew() -> None:
    world, station = ready()
    station.on["ClearCache"] = lambda payload: None
    replies = world.command("clear-cache", {}, expires_in=60_000)
    world.run()
    world.store.failing = 1
    assert station.status() == "InternalError"
    assert station.status() == {}
    station.raw(json.dumps([3, station.calls[0][1], {"status": "Accepted"}]).encode())
    world.run(10_000)
    assert len(station.calls) == 1 and replies[0].outcome == "answered"
    assert [command.outcome for command in commands(world)] == ["answered"]


def test_every_recorded_command_is_settled_once() -> None:
    world, _ = ready()
    for _ in range(5):
        world.command("reset", {})
    world.run(5_000)
    assert len(world.facts(CommandRequested)) == len(world.facts(CommandSettled)) == 5
    assert {command.outcome for command in commands(world)} == {"answered"}


async def test_commands_come_by_the_bus() -> None:
    world, station = ready()
    await world.system.start()
    asked = CommandRequest(tenant=DEFAULT_TENANT, station="CP1", action="reset", payload={})
    waiting = asyncio.ensure_future(world.bus.request("command.default.CP1", asked))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    world.run()
    assert (await waiting).answer == {"status": "Accepted"}
    await world.system.stop()
    world.run()
    assert station.end is not None and station.end[0] == 1001
