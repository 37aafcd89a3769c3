"""A POST that is sent twice is done once; its answer, secrets and all, is shown again to whoever sent it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from pilotwire.api import idempotency
from pilotwire.storage.documents import unpack

DAY = idempotency.DAY_MS


def key(text: str) -> dict[str, str]:
    return {"Idempotency-Key": text}


async def kept(world: Any) -> list[Any]:
    page = await world.store.documents("default", idempotency.KIND, limit=500)
    return [unpack(one, idempotency._Remembered).value for one in page.items]


async def test_the_second_gets_the_first_ones_answer(world, api) -> None:
    first = await api.post("/api/v1/stations", json={"id": "NEW-1"}, headers=key("told-by-the-client-1"))
    again = await api.post("/api/v1/stations", json={"id": "NEW-1"}, headers=key("told-by-the-client-1"))
    assert first.status_code == again.status_code == 201
    assert again.json() == first.json() and again.json()["password"], "the password too"
    assert again.headers["idempotent-replayed"] == "true" and "idempotent-replayed" not in first.headers
    assert again.headers["content-type"] == first.headers["content-type"]
    other = await api.post("/api/v1/stations", json={"id": "NEW-1"}, headers=key("k2"))
    assert (other.status_code, other.json()["type"]) == (409, "/api#problem-exists")


async def test_no_secret_lies_in_the_store(world, api) -> None:
    made = await api.post("/api/v1/api-keys", json={"name": "n"}, headers=key("told-by-the-client-1"))
    secret = made.json()["key"].encode()
    page = await world.store.documents("default", idempotency.KIND)
    assert len(page.items) == 1
    import base64

    body = page.items[0].body
    assert secret not in body and base64.b64encode(secret)[:20] not in body and b"told-by-the-client-1" not in body
    again = await api.post("/api/v1/api-keys", json={"name": "n"}, headers=key("told-by-the-client-1"))
    assert again.json()["key"].encode() == secret
    assert len((await api.get("/api/v1/api-keys")).json()["items"]) == 1


async def test_the_same_key_with_another_request(api) -> None:
    await api.post("/api/v1/stations", json={"id": "NEW-1"}, headers=key("told-by-the-client-1"))
    for path, body in (("/api/v1/stations", {"id": "NEW-2"}), ("/api/v1/tokens", {"token": "T"})):
        answer = await api.post(path, json=body, headers=key("told-by-the-client-1"))
        assert (answer.status_code, answer.json()["type"]) == (422, "/api#problem-key-reused"), path
    assert (await api.get("/api/v1/stations/NEW-2")).status_code == 404


async def test_what_was_refused_can_be_mended_and_sent_again(world, api) -> None:
    bad = await api.post("/api/v1/stations", json={"id": "a:b"}, headers=key("told-by-the-client-1"))
    assert bad.status_code == 422 and await kept(world) == []
    assert (
        await api.post("/api/v1/stations", json={"id": "ab"}, headers=key("told-by-the-client-1"))
    ).status_code == 201


async def test_two_at_once_are_done_once(world, api) -> None:
    asked: list[Any] = []
    go = asyncio.Event()

    async def slow(request: Any) -> Any:
        from pilotwire.transport.bus import CommandReply

        asked.append(request)
        await go.wait()
        return CommandReply(command_id="c", outcome="answered", action=request.action, answer={"status": "Accepted"})

    world.bus.serve("command.default.CP-A", slow)

    def send() -> Any:
        body = {"action": "Heartbeat"}
        return api.post("/api/v1/stations/CP-A/commands", json=body, headers=key("told-by-the-client-1"))

    first = asyncio.ensure_future(send())
    while not asked:
        await asyncio.sleep(0)
    second = await send()
    assert (second.status_code, second.json()["type"]) == (409, "/api#problem-key-in-use")
    assert second.headers["retry-after"] == "1"
    go.set()
    assert (await first).status_code == 200
    third = await send()
    assert third.json() == (await first).json() and len(asked) == 1


async def test_a_command_that_nobody_answered_is_not_sent_again(world, api) -> None:
    sent: list[Any] = []

    async def silent(request: Any) -> Any:
        from pilotwire.transport.bus import CommandReply

        sent.append(request)
        return CommandReply(command_id="c", outcome="timed-out", action=request.action, answer={})

    world.bus.serve("command.default.CP-A", silent)
    for replayed in (False, True):
        answer = await api.post(
            "/api/v1/stations/CP-A/commands", json={"action": "Heartbeat"}, headers=key("told-by-the-client-1")
        )
        assert answer.status_code == 504
        assert ("idempotent-replayed" in answer.headers) is replayed
    assert len(sent) == 1


async def test_another_process_that_works_on_it_is_respected_until_it_must_have_died(world, api) -> None:
    await api.post("/api/v1/stations", json={"id": "NEW-1"}, headers=key("told-by-the-client-1"))
    page = await world.store.documents("default", idempotency.KIND)
    there = unpack(page.items[0], idempotency._Remembered).value
    there.state, there.sealed = "running", b""
    from pilotwire.storage.documents import put

    await world.store.write_documents("default", [put(idempotency.KIND, page.items[0].id, there)])
    again = await api.post("/api/v1/stations", json={"id": "NEW-1"}, headers=key("told-by-the-client-1"))
    assert again.json()["type"] == "/api#problem-key-in-use"
    world.clock.run_for(idempotency.LEASE_MS)
    assert (await api.post("/api/v1/stations", json={"id": "NEW-1"}, headers=key("told-by-the-client-1"))).json()[
        "type"
    ] == "/api#problem-exists"


async def test_a_key_lasts_a_day_and_is_swept_then(world, api, monkeypatch) -> None:
    monkeypatch.setattr(idempotency, "_SWEEP_EVERY", 2)
    await api.post("/api/v1/tokens", json={"token": "T1"}, headers=key("told-by-the-client-1"))
    world.clock.run_for(DAY - 1)
    again = await api.post("/api/v1/tokens", json={"token": "T1"}, headers=key("told-by-the-client-1"))
    assert again.headers["idempotent-replayed"] == "true"
    world.clock.run_for(1)
    late = await api.post("/api/v1/tokens", json={"token": "T1"}, headers=key("told-by-the-client-1"))
    assert "idempotent-replayed" not in late.headers
    world.clock.run_for(2 * DAY)
    for n in range(4):
        await api.post("/api/v1/tokens", json={"token": f"S{n}"}, headers=key(f"s{n}"))
    assert len(await kept(world)) == 4


async def test_a_key_belongs_to_who_sent_it(world, api) -> None:
    """Another principal's same key is another key; the answer's secret is for the first credential alone."""
    made = await api.post("/api/v1/api-keys", json={"name": "one", "role": "admin"}, headers=key("k0"))
    other = {"Authorization": f"Bearer {made.json()['key']}"}
    mine = await api.post("/api/v1/tokens", json={"token": "T1"}, headers=key("same"))
    async with world.client(headers=other) as second:
        theirs = await second.post("/api/v1/tokens", json={"token": "T2"}, headers=key("same"))
    assert mine.status_code == theirs.status_code == 200
    assert "idempotent-replayed" not in theirs.headers


def test_what_was_sealed_for_one_is_shut_for_another() -> None:
    answer = idempotency._Answer([("content-type", "application/json")], b"secret")
    sealed = idempotency._Sealer("Bearer one", "k").seal(answer)
    assert b"secret" not in sealed
    assert idempotency._Sealer("Bearer one", "k").open(sealed) == answer
    assert idempotency._Sealer("Bearer two", "k").open(sealed) is None
    assert idempotency._Sealer("Bearer one", "l").open(sealed) is None


@pytest.mark.parametrize("bad", ["", "x" * 256, "ü"])
async def test_keys_that_are_none(api, bad: str) -> None:
    headers = {"Idempotency-Key": bad.encode()}
    answer = await api.post("/api/v1/tokens", json={"token": "T"}, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Idempotency-Key")


async def test_an_answer_too_long_to_keep_is_given_once(world, api, monkeypatch) -> None:
    monkeypatch.setattr(idempotency, "MAX_BODY", 60)
    first = await api.post("/api/v1/tokens", json={"token": "T"}, headers=key("told-by-the-client-1"))
    assert first.status_code == 200 and len(first.content) > 60
    again = await api.post("/api/v1/tokens", json={"token": "T"}, headers=key("told-by-the-client-1"))
    assert again.status_code == 409 and "cannot be shown again" in again.json()["detail"]


async def test_a_handler_that_breaks_frees_the_key(world, api, monkeypatch) -> None:
    put = world.store.put_account

    async def broken(account: Any) -> None:
        raise OSError("disk gone")

    monkeypatch.setattr(world.store, "put_account", broken)
    assert (
        await api.post("/api/v1/stations", json={"id": "NEW-1"}, headers=key("told-by-the-client-1"))
    ).status_code == 500
    monkeypatch.setattr(world.store, "put_account", put)
    assert (
        await api.post("/api/v1/stations", json={"id": "NEW-1"}, headers=key("told-by-the-client-1"))
    ).status_code == 201
