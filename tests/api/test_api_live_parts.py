"""Parts of the live picture: of one station alone, and without what the page has already; a large one is kept."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from pilotwire.api import live
from pilotwire.api.live import hub_of
from pilotwire.domain import facts


async def follow(world: Any, count: int, **parts: Any) -> list[dict[str, Any]]:
    """The first `count` messages; after each but the last, something happens at CP-A and CP-B."""
    stream = hub_of(world.context, "default").watch(**parts)
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(30):
        async for data in stream:
            found += [json.loads(line[6:]) for line in data.decode().splitlines() if line.startswith("data: ")]
            if len(found) >= count:
                break
            for name in ("CP-B", "CP-A"):
                world.commit(name, facts.StationDisconnected(event_time=world.clock.now(), code=1006))
    await stream.aclose()
    return found


async def test_of_one_station_alone(world) -> None:
    snapshot, update = await follow(world, 2, only="CP-A")
    assert [one["id"] for one in snapshot["stations"]] == ["CP-A"]
    assert {one["station_id"] for one in snapshot["sessions"]} == {"CP-A"}
    assert {one["station_id"] for one in snapshot["events"]} == {"CP-A"}
    assert snapshot["totals"]["stations"] == 4
    assert [one["id"] for one in update["stations"]] == ["CP-A"]
    assert {one["station_id"] for one in update["events"]} == {"CP-A"}


async def test_brief_snapshots_hold_no_stations_but_updates_do(world) -> None:
    snapshot, update = await follow(world, 2, brief=True)
    assert (snapshot["stations"], snapshot["sessions"]) == ([], [])
    assert snapshot["totals"]["stations"] == 4
    assert snapshot["events"]
    assert {one["id"] for one in update["stations"]} <= {"CP-A", "CP-B"}
    assert update["stations"]


async def test_a_large_picture_is_kept_for_those_who_ask_next(world, monkeypatch) -> None:
    monkeypatch.setattr(live, "KEEP_FROM", 3)
    hub = hub_of(world.context, "default")
    await hub.picture()
    async with asyncio.timeout(30):
        while await hub.picture() is not await hub.picture():
            await asyncio.sleep(0)
    kept = await hub.picture()
    world.commit("CP-A", facts.StationDisconnected(event_time=world.clock.now(), code=1006))
    assert await hub.picture() is kept
    live.close_hubs(world.context)
    again = await hub.picture()
    assert again is not kept
