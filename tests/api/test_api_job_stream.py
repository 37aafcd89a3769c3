"""A job followed by server-sent events: at once, as it goes on, and to its end."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pilotwire.api.access import system
from pilotwire.api.job_runner import JobRunner
from pilotwire.api.job_stream import stream

NEW = {"kind": "change", "payload": {"note": "spring"}, "station_ids": ["CP-A", "CP-B"]}


async def told(pieces: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(30):
        async for piece in pieces:
            found += [json.loads(line[6:]) for line in piece.decode().splitlines() if line.startswith("data: ")]
    return found


async def test_a_job_is_told_until_it_has_ended(world, api) -> None:
    made = (await api.post("/api/v1/jobs", json=NEW)).json()
    following = asyncio.create_task(told(stream(world.context, system("default"), made["id"])))
    await asyncio.sleep(0)
    runner = JobRunner(world.context)
    await runner.start()
    found = await following
    await runner.stop()
    assert (found[0]["status"], found[0]["waiting"]) == ("queued", 2)
    assert found[-1]["status"] == "done"
    assert found[-1]["succeeded"] + found[-1]["failed"] == 2
    assert [one["waiting"] for one in found] == sorted((one["waiting"] for one in found), reverse=True)
    # Of a job that has ended it tells once.
    (last,) = await told(stream(world.context, system("default"), made["id"]))
    assert last == found[-1]


async def test_over_http(api) -> None:
    assert (await api.get("/api/v1/jobs/nothing/live")).status_code == 404
    made = (await api.post("/api/v1/jobs", json=NEW)).json()
    assert (await api.post(f"/api/v1/jobs/{made['id']}/cancel")).status_code == 200


async def test_a_stream_ends_with_the_server(world, api) -> None:
    made = (await api.post("/api/v1/jobs", json=NEW)).json()
    pieces = stream(world.context, system("default"), made["id"])
    assert b"event: job" in await anext(pieces)
    world.context.closing.set()
    assert [piece async for piece in pieces] in ([], [b": still here\n\n"])
