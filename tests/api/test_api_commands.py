"""A command's answer is the station's answer."""

from __future__ import annotations

import pytest

from pilotwire.core.errors import TransientError
from pilotwire.transport.bus import CommandReply, CommandRequest

PATH = "/api/v1/stations/CP-A/commands"


def serve(world, outcome: str, answer: dict | None = None, command_id: str = "c-1") -> list[CommandRequest]:
    asked: list[CommandRequest] = []

    async def gateway(request: CommandRequest) -> CommandReply:
        asked.append(request)
        return CommandReply(command_id=command_id, outcome=outcome, action="Reset", answer=answer or {})

    world.bus.serve("command.>", gateway)
    return asked


async def test_the_answer_comes_back(world, api) -> None:
    asked = serve(world, "answered", {"status": "Accepted"})
    answer = await api.post(
        PATH,
        json={"action": "reset", "reason": "test", "payload": {"type": "soft"}, "timeout_s": 2, "expires_in_s": 60},
    )
    assert answer.status_code == 200
    assert answer.json() == {
        "command_id": "c-1",
        "station_id": "CP-A",
        "action": "Reset",
        "outcome": "answered",
        "answer": {"status": "Accepted"},
    }
    request = asked[0]
    assert (request.tenant, request.station, request.action, request.payload) == (
        "default",
        "CP-A",
        "reset",
        {"type": "soft"},
    )
    assert (request.timeout_ms, request.by) == (2_000, "this machine")
    assert request.expires_at == world.clock.now() + 60_000


async def test_without_expiry_it_is_now_or_never(world, api) -> None:
    asked = serve(world, "answered")
    await api.post(PATH, json={"action": "Heartbeat"})
    assert asked[0].expires_at is None and asked[0].payload == {}


async def test_a_callerror_is_an_answer_too(world, api) -> None:
    serve(world, "refused", {"code": "NotSupported", "description": "no such feature", "details": {}})
    answer = await api.post(PATH, json={"action": "Reset", "reason": "test"})
    assert (answer.status_code, answer.json()["outcome"]) == (200, "refused")
    assert answer.json()["answer"]["code"] == "NotSupported"


@pytest.mark.parametrize(
    ("outcome", "status", "kind"),
    [
        ("undeliverable", 409, "station-offline"),
        ("timed-out", 504, "no-answer"),
        ("expired", 504, "no-answer"),
        ("invalid", 422, "bad-command"),
    ],
)
async def test_what_is_not_an_answer_is_a_problem(world, api, outcome: str, status: int, kind: str) -> None:
    serve(world, outcome, {"code": "Invalid", "description": "must be Soft or Hard", "details": {"field": "type"}})
    answer = await api.post(PATH, json={"action": "Reset", "reason": "test", "payload": {"type": "x"}})
    told = answer.json()
    assert (answer.status_code, told["type"]) == (status, f"/api#problem-{kind}")
    assert told["command_id"] == "c-1"
    if kind == "bad-command":
        assert told["errors"] == [{"field": "type", "message": "must be Soft or Hard"}]
        assert "must be Soft or Hard" in told["detail"]


async def test_no_gateway_is_offline_and_silence_is_504(world, api) -> None:
    answer = await api.post(PATH, json={"action": "Reset", "reason": "test"})
    assert (answer.status_code, answer.json()["type"]) == (409, "/api#problem-station-offline")

    async def silent(request: CommandRequest) -> CommandReply:
        raise TransientError("no answer")

    world.bus.serve("command.>", silent)
    answer = await api.post(PATH, json={"action": "Reset", "reason": "test"})
    assert (answer.status_code, answer.json()["type"]) == (504, "/api#problem-no-answer")


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "action"),
        ({"action": ""}, "action"),
        ({"action": "a b"}, "action"),
        ({"action": "Reset", "reason": "test", "payload": []}, "payload"),
        ({"action": "Reset", "timeout_s": 0}, "timeout_s"),
        ({"action": "Reset", "timeout_s": 1e9}, "timeout_s"),
        ({"action": "Reset", "expires_in_s": -1}, "expires_in_s"),
        ({"action": "Reset", "extra": 1}, "extra"),
    ],
)
async def test_bad_commands_never_reach_the_station(world, api, body: dict, field: str) -> None:
    asked = serve(world, "answered")
    answer = await api.post(PATH, json=body)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)
    assert asked == []


async def test_an_unknown_station_is_404(world, api) -> None:
    asked = serve(world, "answered")
    assert (
        await api.post("/api/v1/stations/none/commands", json={"action": "Reset", "reason": "test"})
    ).status_code == 404
    assert asked == []
