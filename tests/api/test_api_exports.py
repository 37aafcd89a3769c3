"""Sessions and samples as files: complete, typed, harmless to a spreadsheet, in bounded memory."""

from __future__ import annotations

import asyncio
import csv
import gc
import io
import json
from typing import Any

import httpx
import pyarrow.parquet
import pytest

from pilotwire.api import exports
from pilotwire.core.time import to_rfc3339
from pilotwire.domain import records

NOW = 1_767_268_800_000
COUNT = 2_500


@pytest.fixture
async def many(world) -> Any:
    """More than a page of the store, with texts that a spreadsheet would run."""
    texts = ["=1+1", "+49", "-2", "@SUM(A1)", "\tx", 'a"b,c', "naïve ⚡", ""]
    sessions = tuple(
        records.Session(
            tenant="default", id=f"x-{n:05d}", station_id="CP-B", transaction=texts[n % len(texts)], ocpp_version="1.6",
            evse=1, connector=1, token=f"T{n % 7}", started_at=NOW - n * 60_000, ended_at=NOW - n * 60_000 + 30_000,
            status="ended", energy_wh=n, soc=505 if n % 2 else None, flags=["seq-gap", "no-start"] if n == 3 else [],
        )
        for n in range(COUNT)
    )  # fmt: skip
    world.commit("CP-B", touched=sessions)
    return world


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text, newline="")))


async def test_csv_is_whole_and_harmless(many, api) -> None:
    answer = await api.get("/api/v1/sessions/export?format=csv")
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="sessions-2026-01-01.csv"'
    found = rows(answer.content.decode())
    assert len(found) == COUNT + 2
    assert {"energy_wh", "duration_s", "soc_percent", "started_at"} <= set(found[0]), "units are in the names"
    by_id = {one["id"]: one for one in found}
    transactions = [by_id[f"x-{n:05d}"]["transaction"] for n in range(8)]
    assert transactions == ["'=1+1", "'+49", "'-2", "'@SUM(A1)", "'\tx", 'a"b,c', "naïve ⚡", ""]
    one = by_id["x-00003"]
    assert (one["energy_wh"], one["duration_s"], one["soc_percent"], one["flags"]) == (
        "3", "30", "50.5", "seq-gap no-start",
    )  # fmt: skip
    assert one["started_at"] == to_rfc3339(NOW - 180_000)
    assert by_id["s-1"]["ended_at"] == "" and by_id["s-1"]["status"] == "active"


async def test_json_lines_hold_the_values_as_they_are(many, api) -> None:
    answer = await api.get("/api/v1/sessions/export?format=jsonl&station=CP-B&status=ended&sort=energy_wh")
    found = [json.loads(line) for line in answer.text.splitlines()]
    assert [one["energy_wh"] for one in found] == sorted(one["energy_wh"] for one in found)
    assert len(found) == COUNT + 1 and found[0]["transaction"] == "=1+1" and found[0]["flags"] == []


async def test_parquet_has_types(many, api) -> None:
    answer = await api.get("/api/v1/sessions/export?format=parquet&started_before=2026-01-01T11:59:00Z")
    table = pyarrow.parquet.read_table(io.BytesIO(answer.content))
    kinds = {field.name: str(field.type) for field in table.schema}
    assert kinds["energy_wh"] == "int64" and kinds["soc_percent"] == "double" and kinds["id"] == "string"
    assert kinds["started_at"] == "timestamp[ms, tz=UTC]" and kinds["flags"] == "list<element: string>"
    assert table.num_rows == COUNT + 2 - 2, "those that began in the last minute are left out"
    assert min(table.column("energy_wh").to_pylist()) == 2


@pytest.mark.parametrize("form", ["csv", "jsonl", "parquet"])
async def test_nothing_found_is_an_empty_file(api, form: str) -> None:
    answer = await api.get(f"/api/v1/sessions/export?format={form}&station=none")
    assert answer.status_code == 200
    if form == "parquet":
        assert pyarrow.parquet.read_table(io.BytesIO(answer.content)).num_rows == 0
    else:
        assert len(answer.text.splitlines()) == (1 if form == "csv" else 0)


async def test_samples_as_files(api) -> None:
    as_json = (await api.get("/api/v1/sessions/s-1/samples")).json()["items"]
    lines = (await api.get("/api/v1/sessions/s-1/samples?format=jsonl")).text.splitlines()
    assert [json.loads(line) for line in lines] == as_json
    table = rows((await api.get("/api/v1/sessions/s-1/samples?format=csv&measurand=Power.Active.Import")).text)
    assert [float(one["value"]) for one in table] == [one["value"] for one in as_json]
    content = (await api.get("/api/v1/sessions/s-1/samples?format=parquet&limit=5")).content
    assert pyarrow.parquet.read_table(io.BytesIO(content)).column("value").to_pylist() == [
        one["value"] for one in as_json[:5]
    ]


async def test_who_may_not_export_is_told(world, api) -> None:
    made = (await api.post("/api/v1/api-keys", json={"name": "v", "role": "viewer"})).json()["key"]
    async with world.client(headers={"Authorization": f"Bearer {made}"}) as viewer:
        assert (await viewer.get("/api/v1/sessions")).status_code == 200
        for path in ("/api/v1/sessions/export", "/api/v1/sessions/s-1/samples?format=csv"):
            answer = await viewer.get(path)
            assert (answer.status_code, answer.json()["type"]) == (403, "/api#problem-not-allowed"), path
        assert (await viewer.get("/api/v1/sessions/s-1/samples")).status_code == 200


async def test_an_export_is_in_the_audit_log(many, api) -> None:
    await api.get("/api/v1/sessions/export?format=csv&station=CP-B")
    entries = (await api.get("/api/v1/audit?action=sessions.export")).json()["items"]
    assert entries[0]["detail"]["format"] == "csv" and entries[0]["detail"]["stations"] == ["CP-B"]


async def test_pages_are_read_one_at_a_time(many, monkeypatch) -> None:
    """What is held at once is a page, however much is exported."""
    from pilotwire.api.access import system
    from pilotwire.api.queries import Queries
    from pilotwire.storage.session_list import SessionQuery

    asked: list[int] = []
    find = many.store.find_sessions

    async def counted(*args: Any, **named: Any) -> Any:
        page = await find(*args, **named)
        asked.append(len(page.items))
        return page

    monkeypatch.setattr(many.store, "find_sessions", counted)
    queries = Queries(many.context, system("default"))
    pieces = await exports.sessions(many.context, queries, SessionQuery(), "csv")
    await anext(pieces)
    await anext(pieces)
    assert len(asked) == 1, "the second page is read when the first has gone out"
    rest = [piece async for piece in pieces]
    assert asked == [1000, 1000, 502] and len(rest) == 2


async def test_so_many_at_once_and_no_more(many) -> None:
    from pilotwire.api.access import system
    from pilotwire.api.problems import Problem
    from pilotwire.api.queries import Queries
    from pilotwire.storage.session_list import SessionQuery

    queries = Queries(many.context, system("default"))
    running = []
    for _ in range(exports.AT_ONCE):
        pieces = await exports.sessions(many.context, queries, SessionQuery(), "jsonl")
        await anext(pieces)
        running.append(pieces)
    with pytest.raises(Problem) as told:
        await exports.sessions(many.context, queries, SessionQuery(), "csv")
    assert told.value.status == 503
    await running[0].aclose()
    asked = await asyncio.gather(
        *(exports.sessions(many.context, queries, SessionQuery(), "csv") for _ in range(3)), return_exceptions=True
    )
    assert [isinstance(one, Problem) for one in asked] == [False, True, True], "who came at the same time counts too"
    del asked  # its reader has gone before the first byte
    await asyncio.sleep(0)
    gc.collect()
    assert await exports.sessions(many.context, queries, SessionQuery(), "csv")


def test_a_file_that_is_cut_short_is_seen_to_be(served) -> None:
    """The server closes in the middle: the client must not take a part for the whole."""
    find = served.world.store.find_sessions
    turns = []

    async def failing(*args: Any, **named: Any) -> Any:
        turns.append(named.get("cursor"))
        if len(turns) > 1:
            raise OSError("disk gone")
        page = await find(*args, **named)
        page.next = "more"
        return page

    served.world.store.find_sessions = failing
    try:
        with pytest.raises(httpx.RemoteProtocolError):
            httpx.get(
                f"{served.url}/api/v1/sessions/export?format=jsonl",
                headers={"Authorization": "Bearer pw_test-process-key"},
                timeout=30,
            )
    finally:
        del served.world.store.find_sessions
