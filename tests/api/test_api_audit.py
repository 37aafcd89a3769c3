"""The audit log: what is in it, that nobody can change it unseen, and that no secret gets into it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import msgspec
import pytest

from pilotwire.api import audit
from pilotwire.api.access import system
from pilotwire.domain import records
from pilotwire.storage.documents import Delete, Put

ADA = system("default", "ada")


async def write(world: Any, count: int = 6) -> None:
    for number in range(count):
        await audit.record(world.context, ADA, "stations.change", f"station CP-{number}", detail={"n": number})


async def verdict(world: Any) -> audit.Verdict:
    return await audit.verify(world.store, world.context.secret, "default")


async def body(world: Any, seq: int) -> bytes:
    return (await world.store.document("default", audit.KIND, audit.row_id(seq))).body


def rows(world: Any) -> dict[str, Any]:
    """The documents themselves, as somebody with the database file in hands sees them."""
    return world.store._documents._rows["default", audit.KIND]


async def test_a_whole_chain_is_sound(world) -> None:
    assert await verdict(world) == audit.Verdict(rows=0, head=audit.FIRST)
    await write(world)
    found = await verdict(world)
    assert (found.rows, found.fault) == (6, None)
    last = json.loads(await body(world, 6))
    assert found.head == last["digest"] and last["previous"] == json.loads(await body(world, 5))["digest"]


async def test_every_flipped_byte_of_every_row_is_seen_and_the_row_named(world) -> None:
    await write(world, 3)
    kept = rows(world)
    for seq in (1, 2, 3):
        document = kept[audit.row_id(seq)]
        for at in range(len(document.body)):
            changed = bytearray(document.body)
            changed[at] ^= 1
            kept[audit.row_id(seq)] = msgspec.structs.replace(document, body=bytes(changed))
            found = await verdict(world)
            assert found.fault is not None, f"byte {at} of row {seq}"
            assert found.fault.seq == seq and found.rows == seq - 1
        kept[audit.row_id(seq)] = document
    assert (await verdict(world)).fault is None


@pytest.mark.parametrize(("gone", "named"), [((1,), 1), ((3,), 3), ((6,), 6), ((5, 6), 5), ((1, 2, 3, 4, 5, 6), 1)])
async def test_rows_that_are_gone_are_missed(world, gone: tuple[int, ...], named: int) -> None:
    await write(world)
    await world.store.write_documents("default", [Delete(audit.KIND, audit.row_id(seq)) for seq in gone])
    found = await verdict(world)
    assert found.fault is not None and found.fault.seq == named
    assert "missing" in found.fault.text


async def test_rows_that_changed_places_are_seen(world) -> None:
    await write(world)
    kept = rows(world)
    third, fourth = kept[audit.row_id(3)], kept[audit.row_id(4)]
    kept[audit.row_id(3)] = msgspec.structs.replace(third, body=fourth.body)
    kept[audit.row_id(4)] = msgspec.structs.replace(fourth, body=third.body)
    found = await verdict(world)
    assert found.fault is not None and found.fault.seq == 3


async def test_a_row_put_in_is_seen(world) -> None:
    await write(world)
    extra = await body(world, 6)
    await world.store.write_documents(
        "default", [Put(kind=audit.KIND, id=audit.row_id(7), body=extra, sort="9999999999999")]
    )
    found = await verdict(world)
    assert found.fault is not None and found.fault.seq == 7


async def test_a_chain_that_was_computed_anew_lacks_the_seal(world) -> None:
    """Whoever can write into the database, but has not the installation's secret, cannot rewrite history."""
    await write(world)
    kept = rows(world)
    previous = audit.FIRST
    for seq in range(1, 7):
        row = msgspec.json.decode(kept[audit.row_id(seq)].body, type=audit.AuditRow)
        row = msgspec.structs.replace(row, actor="somebody else", previous=previous)
        row = msgspec.structs.replace(row, digest=audit.digest_of(row))
        kept[audit.row_id(seq)] = msgspec.structs.replace(kept[audit.row_id(seq)], body=msgspec.json.encode(row))
        previous = row.digest
    _, head = await audit.head_of(world.store, "default")
    forged = msgspec.structs.replace(head, digest=previous)
    heads = world.store._documents._rows["default", audit.HEAD_KIND]
    heads[audit.HEAD_ID] = msgspec.structs.replace(heads[audit.HEAD_ID], body=msgspec.json.encode(forged))
    found = await verdict(world)
    assert found.fault is not None and "not written by this installation" in found.fault.text


async def test_without_its_head_the_chain_is_not_believed(world) -> None:
    await write(world)
    await world.store.write_documents("default", [Delete(audit.HEAD_KIND, audit.HEAD_ID)])
    found = await verdict(world)
    assert found.fault is not None and "head" in found.fault.text


async def test_many_writers_make_one_chain(world) -> None:
    """Also two contexts over one store, as two processes have."""
    from dataclasses import replace

    other = replace(world.context, parts={})
    await asyncio.gather(
        *(audit.record((world.context, other)[n % 2], ADA, "tokens.create", f"token {n}") for n in range(80))
    )
    found = await verdict(world)
    assert (found.rows, found.fault) == (80, None)
    targets = {json.loads(await body(world, seq))["target"] for seq in range(1, 81)}
    assert targets == {f"token {n}" for n in range(80)}


async def test_a_clock_that_goes_back_does_not_break_the_chain(world) -> None:
    await write(world, 2)
    world.clock._now -= 3_600_000
    await write(world, 2)
    found = await verdict(world)
    assert (found.rows, found.fault) == (4, None)


async def test_a_tenants_chain_is_its_own(world) -> None:
    await write(world, 3)
    await audit.record(world.context, system("north", "nina"), "tokens.create", "token N")
    north = await audit.verify(world.store, world.context.secret, "north")
    assert (north.rows, north.fault) == (1, None)
    # A row of another tenant does not fit in, though its digest is right by itself.
    foreign = world.store._documents._rows["north", audit.KIND][audit.row_id(1)]
    rows(world)[audit.row_id(1)] = foreign
    found = await verdict(world)
    assert found.fault is not None and found.fault.seq == 1


@pytest.mark.parametrize(
    "detail",
    [
        {"password": "hunter2hunter2"},
        {"new_password": "hunter2hunter2"},
        {"nested": [{"clientSecret": "hunter2hunter2"}]},
        {"Authorization": "hunter2hunter2"},
        {"a": {"basic-auth-credential": "hunter2hunter2"}},
        {"private_key": "hunter2hunter2"},
    ],
)
async def test_what_goes_by_the_name_of_a_secret_is_not_kept(world, detail: dict[str, Any]) -> None:
    await audit.record(world.context, ADA, "x.y", "z", detail=detail)
    text = await body(world, 1)
    assert b"hunter2" not in text and b"(not kept)" in text


async def test_long_texts_are_cut(world) -> None:
    await audit.record(world.context, ADA, "x.y", "z" * 9_000, detail={"a": "b" * 90_000}, reason="c" * 9_000)
    assert len(await body(world, 1)) < 3_000
    await audit.record(world.context, ADA, "x.y", "z", detail={str(n): "b" * 400 for n in range(100)})
    assert json.loads(await body(world, 2))["detail"] == {"omitted": "more than is kept here"}
    assert (await verdict(world)).fault is None


# -- the API ----------------------------------------------------------------------------------------------------------
async def test_what_people_do_is_in_it(world, api) -> None:
    made = (await api.post("/api/v1/api-keys", json={"name": "export"})).json()
    await api.post("/api/v1/users", json={"name": "otto", "password": "a password of his"})
    await api.post("/api/v1/stations", json={"id": "CP-9", "password": "a-password-of-its"})
    await api.post("/api/v1/tokens", json={"token": "T9"})
    await api.delete("/api/v1/tokens/T9")
    page = (await api.get("/api/v1/audit")).json()
    actions = [one["action"] for one in page["items"]][::-1]
    assert actions == ["keys.create", "users.create", "stations.create", "tokens.create", "tokens.delete"]
    text = json.dumps(page)
    assert made["key"] not in text and "password of his" not in text and "password-of-its" not in text
    assert {one["actor"] for one in page["items"]} == {"this machine"}
    one = (await api.get("/api/v1/audit/2")).json()
    assert (one["target"], one["role"], one["by"]) == ("user otto", "platform-admin", "key")
    assert (await api.get("/api/v1/audit/99")).status_code == 404
    whole = (await api.get("/api/v1/audit/verify")).json()
    assert whole == {"sound": True, "rows": 5, "head": page["items"][0]["digest"], "bad_row": None, "fault": ""}


async def test_filters_and_pages(world, api) -> None:
    for number in range(25):
        who = system("default", "ada" if number % 5 else "otto")
        await audit.record(world.context, who, ("tokens.create", "stations.create")[number % 2], f"thing {number}")
        world.clock.run_for(60_000)

    async def every(**params: Any) -> list[int]:
        found: list[int] = []
        while True:
            page = (await api.get("/api/v1/audit", params={**params, "limit": 4})).json()
            found += [one["seq"] for one in page["items"]]
            if not page["next"]:
                return found
            params["cursor"] = page["next"]

    assert await every() == list(range(25, 0, -1))
    assert await every(actor="OTTO") == [21, 16, 11, 6, 1]
    assert await every(action="stations") == [n for n in range(25, 0, -1) if n % 2 == 0]
    assert await every(action="stations.creat") == []
    assert await every(target="THING 2") == [25, 24, 23, 22, 21, 3]
    assert await every(since="2026-01-01T12:10:00Z", until="2026-01-01T12:12:00Z") == [12, 11]
    bad = await api.get("/api/v1/audit", params={"since": "yesterday"})
    assert bad.status_code == 400
    first = (await api.get("/api/v1/audit", params={"limit": 2})).json()["next"]
    other = await api.get("/api/v1/audit", params={"limit": 2, "actor": "ada", "cursor": first})
    assert other.status_code == 400, "a cursor belongs to its question"


async def test_exports(world, api) -> None:
    await audit.record(world.context, system("default", "=cmd|calc"), "x.y", "z", reason="@SUM(A1)")
    await write(world, 2)
    lines = (await api.get("/api/v1/audit/export?format=jsonl")).text.splitlines()
    assert [json.loads(one)["seq"] for one in lines] == [1, 2, 3]
    answer = await api.get("/api/v1/audit/export?format=csv&action=x")
    assert "attachment" in answer.headers["content-disposition"]
    heading, row = answer.text.splitlines()
    assert heading.startswith("seq,time,actor,") and "'=cmd|calc" in row and "'@SUM(A1)" in row


@pytest.mark.parametrize(("role", "status"), [("auditor", 200), ("admin", 200), ("operator", 403), ("support", 403)])
async def test_who_may_read_it(world, role: str, status: int) -> None:
    await world.store.put_user(records.User(tenant="default", name="p", password="human:x", role=role))
    async with world.client() as client:
        await client.post("/login", json={"name": "p", "password": "x"}, headers={"Origin": "http://localhost"})
        for path in ("/api/v1/audit", "/api/v1/audit/verify", "/api/v1/audit/export", "/api/v1/audit/1"):
            assert (await client.get(path)).status_code == status


async def test_a_row_that_cannot_be_read_is_left_out_of_lists_and_found_by_verify(world, api) -> None:
    await write(world, 3)
    document = rows(world)[audit.row_id(2)]
    rows(world)[audit.row_id(2)] = msgspec.structs.replace(document, body=b"\xff" + document.body[1:])
    assert [one["seq"] for one in (await api.get("/api/v1/audit")).json()["items"]] == [3, 1]
    found = (await api.get("/api/v1/audit/verify")).json()
    assert (found["sound"], found["bad_row"], found["rows"]) == (False, 2, 1)
