"""Server-sent events: no gap, no repeat, bounded, prompt to end."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from pilotwire.api import events
from pilotwire.api.access import system
from pilotwire.api.events import Wanted, stream
from pilotwire.api.fleet import WARM_FROM, fleet_of
from pilotwire.api.live import QUEUE, LiveHub, hub_of
from pilotwire.api.server import ApiServer
from pilotwire.core.errors import ConfigError
from pilotwire.domain import facts
from pilotwire.domain.records import Station
from pilotwire.transport.bus import PowerNow

HEADERS = {"Authorization": "Bearer pw_test-process-key"}


class Reader:
    """Reads server-sent events one by one."""

    def __init__(self, chunks: AsyncIterator[bytes]) -> None:
        self._chunks = chunks
        self._buffer = b""

    async def raw(self) -> dict[str, str]:
        while b"\n\n" not in self._buffer:
            async with asyncio.timeout(90):
                self._buffer += await anext(self._chunks)
        head, _, self._buffer = self._buffer.partition(b"\n\n")
        return {k: v.strip() for k, _, v in (line.partition(":") for line in head.decode().split("\n"))}

    async def next(self, kind: str | None = None) -> tuple[str, Any, str]:
        """(event, data, id), comments and the retry hint skipped; with `kind` others are skipped too."""
        while True:
            found = await self.raw()
            if "event" in found and kind in (None, found["event"]):
                return found["event"], json.loads(found["data"]), found.get("id", "")


def heartbeat(n: int) -> facts.DataTransferred:
    return facts.DataTransferred(event_time=n, vendor_id="v", message_id=str(n))


def ids(data: dict[str, Any]) -> list[str]:
    return [one["fact"]["message_id"] for one in data["facts"]]


async def test_facts_come_as_they_are_committed(world) -> None:
    reader = Reader(stream(world.context, Wanted(principal=system("default"), after=None)))
    await reader.raw()
    event = world.commit("CP-A", heartbeat(1))
    kind, data, seq = await reader.next()
    assert (kind, seq) == ("facts", str(event.seq))
    assert (data["station_id"], data["seq"]) == ("CP-A", event.seq)
    assert data["facts"] == [
        {
            "type": "data-transferred.1",
            "summary": "data of v 1",
            "fact": {"event_time": 1, "vendor_id": "v", "message_id": "1"},
        }
    ]


async def test_replay_then_live_without_gap_or_repeat(world) -> None:
    first = world.commit("CP-A", heartbeat(1))
    world.commit("CP-A", heartbeat(2))
    reader = Reader(stream(world.context, Wanted(principal=system("default"), after=first.seq)))
    await reader.raw()
    # Committed after the subscription and before the replay is read: in the journal and on the bus.
    world.commit("CP-B", heartbeat(3))
    got = [await reader.next(), await reader.next()]
    world.commit("CP-B", heartbeat(4))
    got.append(await reader.next())
    assert [ids(data) for _, data, _ in got] == [["2"], ["3"], ["4"]]


async def test_from_the_beginning_and_filtered(world) -> None:
    wanted = Wanted(principal=system("default"), after=0, station="CP-A", kinds=frozenset({"session-started"}))
    reader = Reader(stream(world.context, wanted))
    _, data, _ = await reader.next()
    assert [fact["type"] for fact in data["facts"]] == ["session-started.1"]
    assert data["facts"][0]["summary"] == "EVSE 1: session started with token 04A1B2C3"


async def test_tenants_are_apart(world) -> None:
    reader = Reader(stream(world.context, Wanted(principal=system("other"), after=0)))
    await reader.raw()
    waiting = asyncio.ensure_future(reader.next())
    world.commit("CP-A", heartbeat(1))
    await asyncio.sleep(0.05)
    assert not waiting.done()
    waiting.cancel()


async def test_a_slow_client_is_told_and_loses_nothing(world, monkeypatch) -> None:
    monkeypatch.setattr(events, "BUFFER", 10)
    reader = Reader(stream(world.context, Wanted(principal=system("default"), after=None)))
    await reader.raw()
    world.commit("CP-A", heartbeat(0))
    await reader.next()
    for n in range(1, 101):  # nobody reads meanwhile: the bus sheds all but ten
        world.commit("CP-A", heartbeat(n))
    kind, data, _ = await reader.next()
    got: list[str] = []
    if kind == "facts":  # the one that was on its way already
        got += ids(data)
        kind, data, _ = await reader.next()
    assert kind == "lagged" and data["events"] >= 80
    while len(got) < 100:
        _, data, _ = await reader.next("facts")
        got += ids(data)
    assert got == [str(n) for n in range(1, 101)]
    assert not [one for one in world.bus._subscriptions.values() if len(one) > 1]


async def test_the_subscription_ends_with_the_stream(world) -> None:
    made = stream(world.context, Wanted(principal=system("default"), after=None))
    await anext(made)
    assert world.bus.wanted("facts.default.CP-A")
    await made.aclose()
    assert not world.bus.wanted("facts.default.CP-A")


@pytest.fixture
async def server(world):
    made = ApiServer(world.app)
    await made.start("127.0.0.1", 0)
    yield made
    await made.stop()


async def test_over_http_with_last_event_id(world, server) -> None:
    event = world.commit("CP-A", heartbeat(1))
    world.commit("CP-A", heartbeat(2))
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=HEADERS) as client,
        client.stream("GET", "/api/v1/events", headers={"Last-Event-ID": str(event.seq)}) as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert answer.headers["cache-control"] == "no-store"
        reader = Reader(answer.aiter_raw())
        assert ids((await reader.next())[1]) == ["2"]
        world.commit("CP-A", heartbeat(3))
        assert ids((await reader.next())[1]) == ["3"]


@pytest.mark.parametrize("value", ["x", "-1", "1.5", "9" * 19 + "9"])
async def test_a_bad_last_event_id_is_400(world, api, value: str) -> None:
    answer = await api.get("/api/v1/events", headers={"Last-Event-ID": value})
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "Last-Event-ID")


# -- the live picture -------------------------------------------------------------------------------------------------
def power(watts: int, wh: int) -> PowerNow:
    return PowerNow(
        tenant="default",
        station="CP-A",
        time=1_767_268_801_000,
        evse=1,
        connector=1,
        power_w=watts,
        session_id="s-1",
        energy_wh=wh,
        soc=460,
    )


async def test_snapshot_then_updates(world) -> None:
    hub = hub_of(world.context, "default")
    reader = Reader(hub.watch())
    kind, data, _ = await reader.next()
    assert kind == "snapshot"
    assert [one["id"] for one in data["stations"]] == ["CP-A", "CP-B", "CP-C", "CP-D"]
    assert [one["id"] for one in data["sessions"]] == ["s-1"]
    assert [one["summary"] for one in data["events"]][:2] == [
        "connection lost (1006)",
        "session ended (ev disconnected)",
    ]
    world.bus.publish("power.default.CP-A", power(7_400, 5_600))
    kind, data, _ = await reader.next()
    assert kind == "update"
    assert [(one["id"], one["power_w"]) for one in data["stations"]] == [("CP-A", 7_400)]
    assert [(one["id"], one["power_w"], one["energy_wh"], one["soc_percent"]) for one in data["sessions"]] == [
        ("s-1", 7_400, 5_600, 46.0)
    ]
    assert data["totals"]["power_w"] == 7_400


async def test_a_fleet_that_tells_what_it_is_made_of_hides_no_news(world) -> None:
    for _ in range(400):
        world.commit("CP-B", facts.VariablesReported(event_time=1, variables=()))
        world.commit("CP-B", facts.InventoryAsked(event_time=1, firmware="1", status="Accepted"))
    _, data, _ = await Reader(hub_of(world.context, "default").watch()).next("snapshot")
    assert [one["summary"] for one in data["events"]][:1] == ["connection lost (1006)"]


async def test_an_ended_session_comes_once_more(world) -> None:
    reader = Reader(hub_of(world.context, "default").watch())
    await reader.next("snapshot")
    session = await world.store.session("default", "s-1")
    session.status, session.ended_at, session.power_w, session.energy_wh = "ended", world.clock.now(), 0, 6_000
    world.commit("CP-A", facts.SessionEnded(event_time=1, session_id="s-1", reason="Local"), touched=(session,))
    _, data, _ = await reader.next("update")
    assert [(one["id"], one["status"], one["energy_wh"]) for one in data["sessions"]] == [("s-1", "ended", 6_000)]
    assert (data["totals"]["sessions_active"], data["totals"]["energy_today_wh"]) == (0, 6_000 + 7_250)
    assert data["events"][0]["summary"] == "session ended (local)"


async def test_a_thousand_changes_are_a_few_messages(world) -> None:
    """Coalescing: however many meter values come, a watcher gets at most one message a tick."""
    hub = hub_of(world.context, "default")
    reader = Reader(hub.watch())
    await reader.next("snapshot")
    for n in range(1_000):
        world.bus.publish("power.default.CP-A", power(1_000 + n, 6_000 + n))
    world.commit("CP-B", heartbeat(1))
    got = []
    while not got or got[-1]["totals"]["power_w"] != 1_999:
        got.append((await reader.next("update"))[1])
    assert len(got) <= 3
    assert hub.ticks <= 4


async def test_a_slow_watcher_gets_the_whole_picture_anew(world) -> None:
    hub = hub_of(world.context, "default")
    slow = hub.watch()
    await anext(slow)
    for _ in range(QUEUE + 2):
        for watcher in hub._watchers:
            watcher.offer(b"event: update\ndata: {}\n\n")
    first = await anext(slow)
    assert b"event: snapshot" in first


async def test_nobody_watches_nothing_is_kept(world) -> None:
    hub = hub_of(world.context, "default")
    watching = hub.watch()
    await anext(watching)
    assert (hub.watching, world.bus.wanted("power.default.CP-A")) == (1, True)
    await watching.aclose()
    assert (hub.watching, hub._subscriptions) == (0, [])
    again = Reader(hub.watch())
    world.commit("CP-B", heartbeat(1))
    assert (await again.next())[0] == "snapshot"


async def test_the_picture_survives_a_store_that_is_away(world, monkeypatch) -> None:
    reader = Reader(hub_of(world.context, "default").watch())
    await reader.next("snapshot")
    find, failures = world.store.some_stations, []

    async def broken(tenant: str, ids: Any) -> Any:
        if not failures:
            failures.append(ids)
            raise OSError("disk gone")
        return await find(tenant, ids)

    monkeypatch.setattr(world.store, "some_stations", broken)
    world.commit("CP-B", heartbeat(1))
    kind, data, _ = await reader.next()
    assert kind == "snapshot" and len(data["stations"]) == 4 and failures


async def test_new_day(world) -> None:
    hub = hub_of(world.context, "default")
    reader = Reader(hub.watch())
    _, data, _ = await reader.next("snapshot")
    assert data["totals"]["energy_today_wh"] == 12_750
    world.clock.run_for(13 * 3_600_000)
    world.commit("CP-B", heartbeat(1))
    _, data, _ = await reader.next("snapshot")
    share = 5_500 - 5_500 * 750 // 810  # of 13.5 hours one is today's; the station reports no registers
    assert data["totals"]["energy_today_wh"] == share, "and s-0 ended yesterday"


async def test_too_many_watchers_are_told(world, api, monkeypatch) -> None:
    monkeypatch.setattr(LiveHub, "full", property(lambda hub: True))
    answer = await api.get("/api/v1/live")
    assert (answer.status_code, answer.json()["type"]) == (503, "/api#problem-busy")


# -- the server -------------------------------------------------------------------------------------------------------
async def test_stop_ends_streams_at_once(world) -> None:
    server = ApiServer(world.app)
    await server.start("127.0.0.1", 0)
    async with (
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}", headers=HEADERS) as client,
        client.stream("GET", "/api/v1/live") as live,
        client.stream("GET", "/api/v1/events") as journal,
    ):
        streams = [Reader(live.aiter_raw()), Reader(journal.aiter_raw())]
        await streams[0].next("snapshot")
        await streams[1].raw()
        await server.stop()
        for one in streams:  # ended in good order, not cut off by the grace period
            with pytest.raises(StopAsyncIteration):
                while True:
                    await one.raw()
    assert hub_of(world.context, "default").watching == 0


async def test_a_taken_port_is_said_plainly(world, server) -> None:
    with pytest.raises(ConfigError, match=f"127.0.0.1:{server.port}.*--http"):
        await ApiServer(world.app).start("127.0.0.1", server.port)


async def test_nobody_connects_before_what_every_page_needs_is_made(world) -> None:
    probe = socket.socket()
    probe.bind(("127.0.0.1", 0))  # holds the port for this test alone; it never listens
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    port = probe.getsockname()[1]
    refused: list[bool] = []

    async def first() -> None:
        with pytest.raises(ConnectionRefusedError):
            await asyncio.open_connection("127.0.0.1", port)
        refused.append(True)

    def broken() -> None:
        raise RuntimeError("whoever needs it meets it again")

    world.app.state["first"] = [broken, first]
    made = ApiServer(world.app, warm=True)
    probe.close()
    await made.start("127.0.0.1", port)
    try:
        assert refused == [True]
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.close()
        refused.clear()
        with pytest.raises(ConfigError, match="--http"):
            await ApiServer(world.app, warm=True).start("127.0.0.1", port)
        assert not refused  # found before the work
    finally:
        await made.stop()


async def test_a_large_fleet_is_read_before_its_first_page(world) -> None:
    for number in range(WARM_FROM + 1):
        world.commit(f"CP-{number:04}", touched=(Station(tenant="default", id=f"CP-{number:04}"),))
    made = ApiServer(world.app, warm=True)
    await made.start("127.0.0.1", 0)
    try:
        assert len(fleet_of(world.context, "default")._members) > WARM_FROM
    finally:
        await made.stop()
