"""Variables: explained as the standard has them, set through the station, read anew."""

from __future__ import annotations

from typing import Any

import pytest

from pilotwire.domain import records
from pilotwire.transport.bus import CommandReply, CommandRequest

PATH = "/api/v1/stations/{}/variables"


def has(world, station: str, *variables: dict[str, Any]) -> None:
    world.commit(
        station,
        touched=tuple(records.Variable(tenant="default", station_id=station, **one) for one in variables),
    )


def serve(world, *replies: tuple[str, dict]) -> list[CommandRequest]:
    """A gateway that answers with each reply in turn, the last for good."""
    asked: list[CommandRequest] = []

    async def gateway(request: CommandRequest) -> CommandReply:
        asked.append(request)
        outcome, answer = replies[min(len(asked), len(replies)) - 1]
        return CommandReply(command_id=f"c-{len(asked)}", outcome=outcome, action=request.action, answer=answer)

    world.bus.serve("command.>", gateway)
    return asked


async def test_a_variable_is_explained(world, api) -> None:
    has(
        world,
        "CP-B",
        {"component": "", "variable": "HeartbeatInterval", "value": "300", "mutability": "ReadWrite"},
        {"component": "", "variable": "AuthorizationKey", "value": "leaked", "mutability": "WriteOnly"},
        {"component": "", "variable": "VendorX.Blink", "value": "1", "mutability": "ReadOnly"},
    )
    found = {one["variable"]: one for one in (await api.get(PATH.format("CP-B"))).json()["items"]}
    beat = found["HeartbeatInterval"]
    assert (beat["unit"], beat["data_type"], beat["writable"], beat["standard"]) == ("s", "integer", True, True)
    assert "Heartbeat" in beat["description"]
    key = found["AuthorizationKey"]
    assert (key["value"], key["secret"], key["writable"]) == (None, True, True)
    vendor = found["VendorX.Blink"]
    assert (vendor["standard"], vendor["description"], vendor["value"], vendor["writable"]) == (False, "", "1", False)


async def test_the_list_is_filtered(world, api) -> None:
    has(
        world,
        "CP-A",
        {"component": "TxCtrlr", "variable": "EVConnectionTimeOut", "value": "60", "reported_at": 1_000},
        {"component": "Connector", "variable": "AvailabilityState", "value": "Occupied", "evse": 1, "connector": 1},
        {"component": "EVSE", "variable": "Power", "value": "11000", "evse": 1, "reported_at": world.clock.now()},
    )

    async def names(query: str) -> list[str]:
        return [one["variable"] for one in (await api.get(PATH.format("CP-A") + query)).json()["items"]]

    assert await names("") == ["AvailabilityState", "Power", "EVConnectionTimeOut"]
    assert await names("?component=txctrlr") == ["EVConnectionTimeOut"]
    assert await names("?q=plug%20in") == ["EVConnectionTimeOut"]
    assert await names("?writable=true") == ["EVConnectionTimeOut"]
    assert await names("?changed_since=2026-01-01T00:00:00Z") == ["Power"]
    assert (await api.get(PATH.format("CP-A") + "?changed_since=2026-01-01T00:00:00")).status_code == 400


async def test_a_16_station_is_sent_one_key_after_the_other(world, api) -> None:
    asked = serve(world, ("answered", {"status": "Accepted"}), ("answered", {"status": "RebootRequired"}))
    answer = await api.patch(
        PATH.format("CP-B"),
        json={
            "variables": [
                {"variable": "HeartbeatInterval", "value": "60"},
                {"variable": "WebSocketPingInterval", "value": "30"},
            ]
        },
    )
    assert answer.status_code == 200
    told = answer.json()
    assert [(one["status"], one["command_id"]) for one in told["results"]] == [
        ("Accepted", "c-1"),
        ("RebootRequired", "c-2"),
    ]
    assert (told["accepted"], told["reboot_required"]) == (2, True)
    assert "after a restart" in told["results"][1]["message"]
    assert [one.action for one in asked] == ["set-variables"] * 2
    assert asked[0].payload == {"variables": [{"variable": "HeartbeatInterval", "value": "60"}]}


async def test_a_2x_station_is_sent_all_at_once_and_answers_each(world, api) -> None:
    result = [
        {
            "attributeStatus": "UnknownVariable",
            "component": {"name": "TxCtrlr"},
            "variable": {"name": "Nope"},
            "attributeStatusInfo": {"reasonCode": "NoSuch"},
        },
        {"attributeStatus": "Accepted", "component": {"name": "TxCtrlr"}, "variable": {"name": "EVConnectionTimeOut"}},
    ]
    asked = serve(world, ("answered", {"setVariableResult": result}))
    answer = await api.patch(
        PATH.format("CP-A"),
        json={
            "variables": [
                {"component": "TxCtrlr", "variable": "EVConnectionTimeOut", "value": "90"},
                {"component": "TxCtrlr", "variable": "Nope", "value": "1"},
            ]
        },
    )
    told = answer.json()["results"]
    assert [(one["variable"], one["status"], one["accepted"]) for one in told] == [
        ("EVConnectionTimeOut", "Accepted", True),
        ("Nope", "UnknownVariable", False),
    ]
    assert "NoSuch" in told[1]["message"]
    assert len(asked) == 1 and len(asked[0].payload["variables"]) == 2


@pytest.mark.parametrize(
    ("setting", "says"),
    [
        ({"variable": "NumberOfConnectors", "value": "3"}, "can only be read"),
        ({"variable": "HeartbeatInterval", "value": "soon"}, "whole number"),
        ({"variable": "LightIntensity", "value": "101"}, "100 or less"),
        ({"variable": "LocalPreAuthorize", "value": "yes"}, "true or false"),
    ],
)
async def test_what_cannot_be_right_is_not_sent_unless_insisted_on(world, api, setting: dict, says: str) -> None:
    asked = serve(world, ("answered", {"status": "Accepted"}))
    answer = await api.patch(PATH.format("CP-B"), json={"variables": [setting]})
    assert (answer.status_code, answer.json()["type"]) == (422, "/api#problem-bad-body")
    assert says in answer.json()["errors"][0]["message"] and answer.json()["errors"][0]["field"].startswith(
        "variables[0]"
    )
    assert asked == []
    sure = await api.patch(PATH.format("CP-B"), json={"variables": [setting], "unchecked": True})
    assert sure.status_code == 200 and len(asked) == 1


async def test_when_the_station_goes_away_half_way_that_is_told(world, api) -> None:
    serve(world, ("answered", {"status": "Accepted"}), ("timed-out", {}))
    settings = [{"variable": "HeartbeatInterval", "value": str(n)} for n in (1, 2, 3)]
    told = (await api.patch(PATH.format("CP-B"), json={"variables": settings})).json()
    assert [one["status"] for one in told["results"]] == ["Accepted", "NoAnswer", "NotSent"]
    serve(world, ("undeliverable", {}))
    away = await api.patch(PATH.format("CP-B"), json={"variables": settings})
    assert (away.status_code, away.json()["type"]) == (409, "/api#problem-station-offline")


async def test_values_are_read_anew_as_the_version_does_it(world, api) -> None:
    asked = serve(world, ("answered", {"status": "Accepted"}))
    path = PATH.format("CP-A") + "/refresh"
    whole = await api.post(path, json={})
    assert (whole.status_code, whole.json()["complete"]) == (200, False)
    some = await api.post(path, json={"variables": [{"component": "TxCtrlr", "variable": "EVConnectionTimeOut"}]})
    assert some.json()["complete"] is True
    await api.post(PATH.format("CP-B") + "/refresh", json={})
    assert [(one.action, one.payload) for one in asked] == [
        ("base-report", {"report": "full"}),
        ("get-variables", {"variables": [{"component": "TxCtrlr", "variable": "EVConnectionTimeOut"}]}),
        ("get-variables", {}),
    ]
