"""ETag, If-Match, conditional and sparse reads, HEAD, rate limits: what holds for every resource alike."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from pilotwire.api import edit
from pilotwire.api.openapi import schema_of
from pilotwire.api.problems import Problem
from pilotwire.domain import facts

AUTHORIZED = {"Authorization": "Bearer pw_test-process-key"}


# -- tags -------------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("given", "present", "fits"),
    [
        (None, '"7"', True), ("*", '"7"', True), ('"7"', '"7"', True), ('"6"', '"7"', False), ('"6", "7"', '"7"', True),
        ('W/"7"', '"7"', False), ('"7.abc"', '"7.def"', True), ('"7.abc"', '"8.abc"', False), ("7", '"7"', True),
        ("", '"7"', False), ('"77"', '"7"', False),
    ],
)  # fmt: skip
def test_if_match(given: str | None, present: str, fits: bool) -> None:
    try:
        edit.check(given, present)
    except Problem as refused:
        assert not fits
        assert (refused.status, refused.details.version, refused.headers["ETag"]) == (412, present, present)
    else:
        assert fits


def test_tags_change_with_what_they_stand_for() -> None:
    assert edit.tag_of(7) == '"7"'
    assert edit.tag_of({"a": 1}) == edit.tag_of({"a": 1}) != edit.tag_of({"a": 2})
    assert edit.tag_of(7, shown={"power": 1}) != edit.tag_of(7, shown={"power": 2})
    edit.check(edit.tag_of(7, shown=1), edit.tag_of(7, shown=2))
    assert edit.version_in('"7"', 7) == 7 and edit.version_in(None, 7) is None
    assert edit.matches('"a", W/"b"', 'W/"b"') and not edit.matches('"a"', '"b"') and edit.matches("*", '"b"')


async def test_every_change_of_a_resource_takes_if_match(world) -> None:
    """An operation that changes or deletes one thing has the parameter and says 412."""
    # These change no text that two could be editing: they end something, fill it once, or go to the station itself.
    others = {
        "setVariables", "unmuteAlarms", "resetSecondFactor", "removeSecondFactor", "endUserLogins", "endMyLogins",
        "endMyLogin", "changeMe", "deleteExclusion", "deleteTrustAnchor",
        "putFirmwareContent", "deleteStationLog", "deleteTariffAssignment",
    }  # fmt: skip
    lacking = []
    for path, item in schema_of(world.app)["paths"].items():
        for method, operation in item.items():
            if method not in ("put", "patch", "delete") or operation["operationId"] in others:
                continue
            named = {one["name"] for one in operation.get("parameters", ())}
            if "If-Match" not in named or "412" not in operation["responses"]:
                lacking.append(f"{method} {path} ({operation['operationId']})")
    assert lacking == []


async def test_of_two_who_edit_the_slower_is_told(api) -> None:
    await api.post("/api/v1/stations", json={"id": "NEW-1"})
    read = await api.get("/api/v1/stations/NEW-1")
    tag = read.headers["etag"]
    first = await api.patch("/api/v1/stations/NEW-1", json={"note": "mine"}, headers={"If-Match": tag})
    assert first.status_code == 200 and first.headers["etag"] != tag
    late = await api.patch("/api/v1/stations/NEW-1", json={"note": "theirs"}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["type"]) == (412, "/api#problem-stale")
    assert edit._editable(late.json()["version"]) == edit._editable(first.headers["etag"])
    assert (await api.get("/api/v1/stations/NEW-1")).json()["note"] == "mine"
    gone = await api.delete("/api/v1/stations/NEW-1", headers={"If-Match": tag})
    assert gone.status_code == 412
    assert (await api.delete("/api/v1/stations/NEW-1", headers={"If-Match": first.headers["etag"]})).status_code == 204


# -- conditional reads ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("path", ["/api/v1/stations", "/api/v1/stations/CP-B", "/api/v1/sessions", "/api/v1/me"])
async def test_a_cache_that_has_it_gets_304(api, path: str) -> None:
    first = await api.get(path)
    again = await api.get(path, headers={"If-None-Match": f'"other", {first.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    assert (await api.get(path, headers={"If-None-Match": '"other"'})).status_code == 200


async def test_a_list_of_stations_has_a_new_tag_when_one_changes(world, api) -> None:
    tag = (await api.get("/api/v1/stations")).headers["etag"]
    assert (await api.get("/api/v1/stations", headers={"If-None-Match": tag})).status_code == 304
    await api.post("/api/v1/stations", json={"id": "AA-1"})
    fresh = await api.get("/api/v1/stations", headers={"If-None-Match": tag})
    assert fresh.status_code == 200 and fresh.json()["items"][0]["id"] == "AA-1"
    world.commit("CP-B", _FACT, touched=(_moved(world, "CP-B"),))
    changed = await api.get("/api/v1/stations", headers={"If-None-Match": fresh.headers["etag"]})
    assert changed.status_code == 200
    assert {one["id"]: one["firmware"] for one in changed.json()["items"]}["CP-B"] == "9.9"


_FACT = facts.DataTransferred(event_time=1, vendor_id="v", message_id="1")


def _moved(world: Any, name: str) -> Any:
    world.store._settle()
    record = world.store._stations["default", name]
    record.firmware = "9.9"
    return record


# -- sparse fields ----------------------------------------------------------------------------------------------------
async def test_only_the_fields_that_are_named(api) -> None:
    page = (await api.get("/api/v1/stations?fields=id,connected&limit=2")).json()
    assert page["items"] == [{"id": "CP-A", "connected": True}, {"id": "CP-B", "connected": True}] and page["next"]
    one = (await api.get("/api/v1/sessions/s-1", params={"fields": "energy_wh , id"})).json()
    assert one == {"id": "s-1", "energy_wh": 5_500}
    twice = (await api.get("/api/v1/sessions/s-1?fields=id&fields=token")).json()
    assert set(twice) == {"id", "token"}
    for bad in ("fields=", "fields=nothing", "fields=id,nothing", "fields=,"):
        answer = await api.get(f"/api/v1/stations?{bad}")
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "fields"), bad
    assert (await api.get("/api/v1/stations/none?fields=id")).status_code == 404, "a problem stays whole"
    empty = (await api.get("/api/v1/stations?q=zzzz&fields=nothing")).json()
    assert empty["status"] == 400, "a field is judged by the type, not by what is there"


# -- HEAD -------------------------------------------------------------------------------------------------------------
async def test_head_is_get_without_the_body(api) -> None:
    for path in ("/api/v1/stations", "/api/v1/sessions/s-1", "/healthz", "/openapi.json", "/api/v1/sessions/export"):
        get, head = await api.get(path), await api.head(path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        assert head.headers["content-type"] == get.headers["content-type"], path
        if "content-length" in get.headers:
            assert head.headers["content-length"] == get.headers["content-length"], path
    missing = await api.head("/api/v1/stations/none")
    assert (missing.status_code, missing.content) == (404, b"")


def test_head_of_a_stream_ends_at_once(served) -> None:
    for path in ("/api/v1/events?after=0", "/api/v1/live", "/api/v1/frames"):
        answer = httpx.head(f"{served.url}{path}", headers=AUTHORIZED, timeout=30)
        assert (answer.status_code, answer.headers["content-type"].partition(";")[0]) == (200, "text/event-stream")
    assert httpx.get(f"{served.url}/healthz").status_code == 200


# -- rate limit -------------------------------------------------------------------------------------------------------
async def test_who_asks_too_much_is_told_when_to_come_back(world_of) -> None:
    world = world_of(rate_per_s=2, rate_burst=5)
    async with world.client(headers=AUTHORIZED) as api:
        answers = [await api.get("/api/v1/me") for _ in range(7)]
        assert [one.status_code for one in answers] == [200] * 5 + [429] * 2
        assert answers[0].headers["ratelimit"] == '"principal";r=4;t=1'
        assert answers[0].headers["ratelimit-policy"] == '"principal";q=5;w=2'
        refused = answers[5]
        assert (refused.json()["type"], refused.headers["retry-after"]) == ("/api#problem-too-many-requests", "1")
        assert (await api.get("/healthz")).status_code == 429, "whoever shows a key is known by it"
        async with world.client() as stranger:
            assert (await stranger.get("/healthz")).status_code == 200
        world.clock.run_for(1_000)
        assert [(await api.get("/api/v1/me")).status_code for _ in range(3)] == [200, 200, 429]
        world.clock.run_for(3_600_000)
        assert [(await api.get("/api/v1/me")).status_code for _ in range(6)] == [200] * 5 + [429]


async def test_no_limit_unless_one_is_set(api) -> None:
    answers = await asyncio.gather(*(api.get("/api/v1/me") for _ in range(100)))
    assert {one.status_code for one in answers} == {200}
    assert "ratelimit" not in answers[0].headers
