"""What is said otherwise to a station with a quirk: by itself, or because an operator said so."""

from __future__ import annotations

import json
from typing import Any

from csms_kit import Client, World, now_of

from pilotwire.core.ids import DEFAULT_TENANT
from pilotwire.csms.remedies import KEYS_AT_ONCE, SETTING
from pilotwire.domain.quirks import REMEDIES, Setting, quirks
from pilotwire.storage.documents import put


def said(world: World, remedy: str, **about: Any) -> None:
    now_of(world.store.write_documents(DEFAULT_TENANT, [put(SETTING, remedy, Setting(remedy=remedy, **about))]))
    now_of(world.system.refresh())


def ready(version: str = "1.6", **world: Any) -> tuple[World, Client]:
    made = World(**world)
    made.token()
    station = made.station(version=version)
    station.boot()
    station.status()
    return made, station


def keys(payload: dict[str, Any]) -> dict[str, Any]:
    asked = payload.get("key", [])
    known = [key for key in asked if key.startswith("Meter")]
    return {
        "configurationKey": [{"key": key, "readonly": False, "value": "1"} for key in known],
        "unknownKey": [key for key in asked if key not in known],
    }


def test_every_remedy_of_the_catalogue_is_one() -> None:
    assert {one.remedy for one in quirks().values() if one.remedy} == set(REMEDIES)


def test_a_question_for_all_settings_goes_out_by_name_after_it_was_refused() -> None:
    world, station = ready()
    station.on["GetConfiguration"] = lambda payload: (
        keys(payload)
        if payload.get("key")
        else json.dumps([4, station.calls[-1][1], "InternalError", "out of memory", {}]).encode()
    )
    assert world.command("GetConfiguration", {}) is not None
    world.run()
    assert station.calls[-1][3] == {}
    replies = world.command("base-report", {})
    world.run(5_000)
    (reply,) = replies
    assert reply.outcome == "answered" and reply.action == "GetConfiguration"
    told = {one["key"] for one in reply.answer["configurationKey"]}
    assert {"MeterValueSampleInterval", "MeterValuesSampledData"} <= told
    asked = [call[3]["key"] for call in station.calls if call[2] == "GetConfiguration" and call[3]]
    assert len(asked) > 2 and max(map(len, asked)) == KEYS_AT_ONCE
    assert told | set(reply.answer["unknownKey"]) == {key for part in asked for key in part}
    # One key, or a command that outlives the connection, goes out as it is.
    world.command("GetConfiguration", {"key": ["HeartbeatInterval"]})
    world.run()
    assert station.calls[-1][3] == {"key": ["HeartbeatInterval"]}
    world.command("GetConfiguration", {}, expires_in=60_000)
    world.run()
    assert station.calls[-1][3] == {}


def test_parts_end_with_the_first_that_is_not_answered() -> None:
    world, station = ready()
    said(world, "keys-by-name")
    station.on["GetConfiguration"] = lambda payload: (
        keys(payload)
        if len(station.calls) < 3
        else json.dumps([4, station.calls[-1][1], "InternalError", "", {}]).encode()
    )
    replies = world.command("GetConfiguration", {})
    world.run(5_000)
    assert [one.outcome for one in replies] == ["refused"]
    assert len(station.calls) == 3


def test_variables_one_by_one() -> None:
    world, station = ready("2.0.1")
    said(world, "small-batches", vendor="v", model="M")

    def got(payload: dict[str, Any]) -> dict[str, Any]:
        return {
            "getVariableResult": [
                {**row, "attributeStatus": "Accepted", "attributeValue": "7"} for row in payload["getVariableData"]
            ]
        }

    station.on["GetVariables"] = got
    replies = world.command("get-variables", {"variables": ["OCPPCommCtrlr.HeartbeatInterval", "ClockCtrlr.DateTime"]})
    world.run(5_000)
    assert [len(call[3]["getVariableData"]) for call in station.calls if call[2] == "GetVariables"] == [1, 1]
    names = [one["variable"]["name"] for one in replies[0].answer["getVariableResult"]]
    assert names == ["HeartbeatInterval", "DateTime"]


def test_the_newest_word_that_fits_best_counts() -> None:
    world, _ = ready("2.0.1")
    said(world, "small-batches", model="another")
    assert "small-batches" not in world.actor().quirks.active
    said(world, "small-batches", model="M")
    assert "small-batches" in world.actor().quirks.active
    now_of(
        world.store.write_documents(
            DEFAULT_TENANT, [put(SETTING, "off", Setting(remedy="small-batches", on=False, model="M", firmware=""))]
        )
    )
    said(world, "small-batches")
    assert "small-batches" not in world.actor().quirks.active


def test_a_remote_start_names_the_connector() -> None:
    world, station = ready()
    station.on["RemoteStartTransaction"] = lambda payload: {
        "status": "Accepted" if "connectorId" in payload else "Rejected"
    }
    world.command("start", {"token": "TAG"})
    world.run()
    assert station.calls[-1][3] == {"idTag": "TAG"}
    world.command("start", {"token": "TAG", "evse": 1})
    world.run()
    assert "start-needs-connector" in world.record().quirks
    world.command("start", {"token": "TAG"})
    world.command("RemoteStartTransaction", {"idTag": "TAG"})
    world.run()
    assert [call[3] for call in station.calls[-2:]] == [{"idTag": "TAG", "connectorId": 1}] * 2
    # With two connectors of which none waits, nobody can tell.
    body = {"connectorId": 2, "errorCode": "NoError", "status": "Available"}
    station.call("StatusNotification", body)
    world.command("start", {"token": "TAG"})
    world.run()
    assert station.calls[-1][3] == {"idTag": "TAG"}
    station.call("StatusNotification", {**body, "status": "Preparing"})
    world.command("start", {"token": "TAG"})
    world.run()
    assert station.calls[-1][3] == {"idTag": "TAG", "connectorId": 2}


def test_no_trigger_of_our_own_accord() -> None:
    world = World()
    world.account()
    said(world, "no-triggers")
    station = world.station()
    assert station.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": "Available"}) == (
        "SecurityError"
    )
    world.run(10_000)
    assert station.calls == []
    station.boot()
    world.command("trigger", {"message": "status"})
    world.run()
    assert station.calls[-1][2] == "TriggerMessage", "somebody commanded it"


def test_times_have_whole_seconds() -> None:
    world, station = ready()
    world.run(123)
    assert "." in station.call("Heartbeat", {})["currentTime"].replace(".000", "")
    said(world, "whole-seconds")
    world.run(77)
    told = station.call("Heartbeat", {})["currentTime"]
    assert told.replace(".000", "").endswith("Z") and "." not in told.replace(".000", "")


def test_commands_wait_until_the_station_has_spoken() -> None:
    world, station = ready()
    said(world, "wait-for-boot")
    assert station.link is not None
    station.link.close(1001, "")
    world.run()
    station.dial()
    before = len(station.calls)
    replies = world.command("reset", {}, timeout_ms=60_000)
    world.run(20_000)
    assert len(station.calls) == before and not replies
    station.call("Heartbeat", {})
    world.run()
    assert station.calls[-1][2] == "Reset" and replies[0].outcome == "answered"
