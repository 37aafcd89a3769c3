"""Roll-outs over the API: stages, watching, stopping, pausing, resuming, ending, and a restart in the middle."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.conftest import NOW, World, station
from tests.crypto.firmware_kit import image

from pilotwire.api.firmware_worker import FirmwareWorker
from pilotwire.api.happenings.worker import Happenings
from pilotwire.domain import facts, records
from pilotwire.transport.bus import CommandReply, CommandRequest

WHY = {"reason": "a fault in the meter"}
POLICY = {"stages": [10, 100], "watch_s": 600, "lost_s": 60, "at_once": 50, "wait_s": 3600}


class Fleet:
    """Stations that take every order; what becomes of it is told by the tests."""

    def __init__(self, world: World, count: int) -> None:
        self.world = world
        self.names = [f"F-{number:02d}" for number in range(count)]
        self.ordered: list[str] = []
        self.answer: dict[str, Any] = {"status": "Accepted"}
        for name in self.names:
            self.put(name)
        world.bus.serve("command.default.>", self._serve)

    def put(self, name: str, **fields: Any) -> records.Station:
        """The station's record, as it is now."""
        record = station(name, "2.0.1", records.Connector(1, 1, "Available", since=NOW))
        record.connected_at = record.last_seen = self.world.clock.now()
        for field, value in fields.items():
            setattr(record, field, value)
        self.world.commit(name, touched=(record,))
        return record

    async def _serve(self, request: CommandRequest) -> CommandReply:
        self.ordered.append(request.station)
        return CommandReply(command_id="c", outcome="answered", action=request.action, answer=self.answer)

    def boots(self, *names: str, version: str = "2.0.0") -> None:
        for name in names:
            self.world.commit(name, facts.FirmwareStatusChanged(event_time=NOW, status="Installing"))
            booted = facts.StationBooted(event_time=NOW, vendor="V", model="M", firmware=version)
            self.world.commit(name, booted, touched=(self.put(name, firmware=version),))

    def alive(self) -> None:
        for name in self.names:
            self.put(name, firmware="2.0.0" if name in self.ordered else "1.4.2")


class Rolling:
    """A roll-out and the worker that does it."""

    def __init__(self, world: World, api: httpx.AsyncClient, fleet: Fleet) -> None:
        self.world, self.api, self.fleet = world, api, fleet
        self.id = ""
        self.worker = FirmwareWorker(world.context)

    async def begin(self, **policy: Any) -> Rolling:
        await self.worker.start()
        made = (await self.api.post("/api/v1/firmware", json={"version": "2.0.0"})).json()
        await self.api.put(f"/api/v1/firmware/{made['id']}/content", content=image("2.0.0"))
        order = {"firmware_id": made["id"], "station_ids": self.fleet.names, "policy": {**POLICY, **policy}, **WHY}
        answer = await self.api.post("/api/v1/rollouts", json=order)
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["id"]
        await self.settle()
        return self

    async def settle(self, seconds: int = 0) -> dict[str, Any]:
        self.world.clock.run_for(seconds * 1000)
        for _ in range(3):
            await self.worker.settle()
            for task in list(self.worker.tasks):
                await task
        return await self.shown()

    async def shown(self) -> dict[str, Any]:
        return (await self.api.get(f"/api/v1/rollouts/{self.id}")).json()

    async def steer(self, what: str, **body: Any) -> dict[str, Any]:
        answer = await self.api.post(f"/api/v1/rollouts/{self.id}/{what}", json=body or None)
        assert answer.status_code == 200, answer.text
        return await self.settle()

    async def members(self, **which: Any) -> dict[str, str]:
        page = (await self.api.get(f"/api/v1/rollouts/{self.id}/stations", params={"limit": 500, **which})).json()
        return {one["station_id"]: one["text"] for one in page["items"]}


@pytest.fixture
async def rolling(world: World, api: httpx.AsyncClient, tmp_path: Path) -> AsyncIterator[Rolling]:
    world.context.files = tmp_path
    made = Rolling(world, api, Fleet(world, 20))
    yield made
    await made.worker.stop()


async def test_stage_by_stage_to_its_end(rolling: Rolling) -> None:
    fleet = rolling.fleet
    shown = await (await rolling.begin()).shown()
    assert (shown["status"], shown["stage"], shown["under_way"]) == ("running", 1, 2)
    assert [(one["stations"], one["status"]) for one in shown["stages"]] == [(2, "running"), (18, "ahead")]
    first = list(fleet.ordered)
    assert len(first) == 2
    fleet.boots(*first)
    shown = await rolling.settle()
    assert (shown["status"], shown["installed"], shown["percent"]) == ("watching", 2, 10.0)
    await rolling.settle(590)
    assert len(fleet.ordered) == 2, "the first ones are still watched"
    fleet.alive()
    shown = await rolling.settle(20)
    assert (shown["stage"], len(fleet.ordered)) == (2, 20)
    fleet.boots(*fleet.ordered[2:])
    assert (await rolling.settle())["status"] == "watching"
    fleet.alive()
    shown = await rolling.settle(610)
    assert (shown["status"], shown["installed"], shown["ended_at"] is not None) == ("done", 20, True)
    assert len(await rolling.members(state="installed")) == 20
    refused = await rolling.api.post(f"/api/v1/rollouts/{rolling.id}/pause")
    assert (refused.status_code, refused.json()["type"]) == (409, "/api#problem-in-use")
    assert (await rolling.api.get("/api/v1/rollouts")).json()["items"][0]["id"] == rolling.id
    assert (await rolling.api.delete(f"/api/v1/rollouts/{rolling.id}")).status_code == 204
    assert (await rolling.api.get(f"/api/v1/rollouts/{rolling.id}")).status_code == 404


async def fails(rolling: Rolling, name: str) -> None:
    rolling.world.commit(name, facts.FirmwareStatusChanged(event_time=NOW, status="InstallationFailed"))


async def comes_back_old(rolling: Rolling, name: str) -> None:
    rolling.fleet.boots(name, version="1.4.2")


async def falls_silent(rolling: Rolling, name: str) -> None:
    rolling.fleet.boots(*(one for one in rolling.fleet.ordered if one != name))
    await rolling.settle(1810)


async def loses_its_connection(rolling: Rolling, name: str) -> None:
    rolling.fleet.boots(*rolling.fleet.ordered)
    await rolling.settle()
    rolling.fleet.put(name, firmware="2.0.0", connected=False, disconnected_at=rolling.world.clock.now())
    await rolling.settle(30)
    await rolling.settle(60)


async def has_no_heartbeat(rolling: Rolling, name: str) -> None:
    rolling.fleet.boots(*rolling.fleet.ordered)
    await rolling.settle()
    for _ in range(5):
        rolling.world.clock.run_for(60_000)
        for one in rolling.fleet.names:
            if one != name:
                rolling.fleet.put(one, firmware="2.0.0" if one in rolling.fleet.ordered else "1.4.2")
    await rolling.settle(15)


async def tells_a_security_event(rolling: Rolling, name: str) -> None:
    rolling.world.commit(name, facts.SecurityEventNotified(event_time=NOW, kind="TamperDetectionActivated"))


async def ends_sessions(rolling: Rolling, name: str) -> None:
    rolling.fleet.boots(*rolling.fleet.ordered)
    await rolling.settle()
    ended = facts.SessionEnded(event_time=NOW, session_id="s", reason="PowerLoss")
    rolling.world.commit(name, ended)


@pytest.mark.parametrize(
    ("trouble", "why"),
    [
        (fails, "failed or fell silent"),
        (comes_back_old, "failed or fell silent"),
        (falls_silent, "failed or fell silent"),
        (loses_its_connection, "not heard of"),
        (has_no_heartbeat, "not heard of"),
        (tells_a_security_event, "1 security events"),
        (ends_sessions, "sessions that failed"),
    ],
)
async def test_it_stops_itself(rolling: Rolling, trouble: Any, why: str) -> None:
    happenings = Happenings(rolling.world.context)
    await happenings.start()
    await rolling.begin(watch_s=7200, quiet_s=120, lost_s=60 if trouble is loses_its_connection else 600)
    await trouble(rolling, rolling.fleet.ordered[0])
    shown = await rolling.settle()
    assert (shown["status"], shown["by_itself"], shown["stage"]) == ("stopped", True, 1)
    assert why in shown["why"]
    await rolling.settle(24 * 3600)
    assert len(rolling.fleet.ordered) == 2, "nobody else gets what the first ones did not survive"
    await happenings.settle()
    alarms = (await rolling.api.get("/api/v1/alarms", params={"rule": "rollout-stopped"})).json()["items"]
    assert [one["state"] for one in alarms] == ["open"]
    rows = (await rolling.api.get("/api/v1/audit", params={"action": "rollouts.stop"})).json()["items"]
    assert [row["reason"] for row in rows] == [shown["why"]]
    await happenings.stop()


@pytest.mark.parametrize(
    "expected",
    [
        facts.SecurityEventNotified(event_time=NOW, kind="FirmwareUpdated"),
        facts.SecurityEventNotified(event_time=NOW, kind="StartupOfTheDevice"),
        facts.SessionEnded(event_time=NOW, session_id="s", reason="EVDisconnected"),
    ],
)
async def test_what_belongs_to_an_update_does_not_stop_it(rolling: Rolling, expected: Any) -> None:
    await rolling.begin()
    rolling.fleet.boots(*rolling.fleet.ordered)
    await rolling.settle()
    rolling.world.commit(rolling.fleet.ordered[0], expected)
    assert (await rolling.settle())["status"] == "watching"


async def test_somebody_goes_on_nevertheless(rolling: Rolling) -> None:
    await rolling.begin()
    bad, good = rolling.fleet.ordered
    await fails(rolling, bad)
    assert (await rolling.settle())["status"] == "stopped"
    rolling.fleet.boots(good)
    refused = await rolling.api.post(f"/api/v1/rollouts/{rolling.id}/resume", json={"reason": 1})
    assert refused.status_code == 422
    shown = await rolling.steer("resume", reason="the first was a loose cable")
    assert (shown["status"], shown["failed"], shown["why"]) == ("watching", 1, "")
    rolling.fleet.alive()
    assert (await rolling.settle(610))["stage"] == 2
    await fails(rolling, rolling.fleet.ordered[5])
    assert (await rolling.settle())["status"] == "stopped", "new trouble counts"


async def test_pausing_and_ending(rolling: Rolling) -> None:
    await rolling.begin()
    shown = await rolling.steer("pause")
    assert (shown["status"], shown["under_way"]) == ("pausing", 2)
    rolling.fleet.boots(*rolling.fleet.ordered)
    assert (await rolling.settle())["status"] == "paused"
    await rolling.settle(7200)
    assert len(rolling.fleet.ordered) == 2
    rolling.fleet.alive()
    assert (await rolling.steer("resume", reason="it was lunch"))["status"] == "watching"
    assert (await rolling.api.delete(f"/api/v1/rollouts/{rolling.id}")).status_code == 409
    shown = await rolling.steer("cancel")
    assert (shown["status"], shown["by_itself"], shown["why"]) == ("stopped", False, "a person has ended it")
    await rolling.settle(7200)
    assert len(rolling.fleet.ordered) == 2


async def test_a_restart_in_the_middle(rolling: Rolling) -> None:
    await rolling.begin()
    first, second = rolling.fleet.ordered
    rolling.fleet.boots(first)
    await rolling.settle()
    await rolling.worker.stop()
    rolling.fleet.boots(second)  # while nobody listens
    rolling.world.context.began_at = rolling.world.clock.now()
    rolling.fleet.alive()
    rolling.worker = FirmwareWorker(rolling.world.context)
    await rolling.worker.start()
    shown = await rolling.settle()
    assert (shown["status"], shown["installed"], len(rolling.fleet.ordered)) == ("watching", 2, 2)


async def test_who_is_busy_or_away_is_waited_for_and_then_skipped(rolling: Rolling) -> None:
    fleet = rolling.fleet
    busy = [records.Connector(1, 1, "Occupied", since=NOW, session_id="s-9")]
    for name in fleet.names[:10]:
        fleet.put(name, connectors=busy)
    for name in fleet.names[10:19]:
        fleet.put(name, connected=False)
    fleet.put(fleet.names[19], firmware="2.0.0")
    shown = await (await rolling.begin(stages=[100])).shown()
    assert (shown["waiting"], shown["skipped"], fleet.ordered) == (19, 1, [])
    fleet.put(fleet.names[0])
    await rolling.settle(30)
    assert fleet.ordered == [fleet.names[0]]
    fleet.boots(fleet.names[0])
    shown = await rolling.settle(3700)
    assert (shown["installed"], shown["skipped"], shown["status"]) == (1, 19, "watching")
    texts = await rolling.members(state="skipped")
    assert texts[fleet.names[19]] == "it has this version already"
    assert texts[fleet.names[5]] == "it was busy or away for too long"


async def test_only_so_many_at_once(rolling: Rolling) -> None:
    await rolling.begin(stages=[100], at_once=3)
    assert len(rolling.fleet.ordered) == 3
    rolling.fleet.boots(rolling.fleet.ordered[0])
    await rolling.settle(30)
    assert len(rolling.fleet.ordered) == 4


async def test_a_station_that_refuses_counts(rolling: Rolling) -> None:
    rolling.fleet.answer = {"status": "Rejected"}
    await rolling.begin()
    shown = await rolling.settle()
    assert (shown["status"], shown["failed"]) == ("stopped", 2)
    assert set((await rolling.members(state="refused")).values()) == {"Rejected"}


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"policy": {"stages": [10, 20]}}, "policy.stages"),
        ({"policy": {"stages": [20, 10, 100]}}, "policy.stages"),
        ({"policy": {"stages": []}}, "policy.stages"),
        ({"station_ids": ["nobody"]}, "station_ids"),
        ({"station_ids": None}, "station_ids"),
        ({"reason": " "}, "reason"),
        ({"firmware_id": "none"}, None),
    ],
)
async def test_what_is_no_roll_out(rolling: Rolling, change: dict[str, Any], field: str | None) -> None:
    made = (await rolling.api.post("/api/v1/firmware", json={"version": "2.0.0"})).json()
    order: dict[str, Any] = {"firmware_id": made["id"], "station_ids": rolling.fleet.names, **WHY}
    empty = await rolling.api.post("/api/v1/rollouts", json=order)
    assert empty.json()["errors"][0]["message"] == "the image has no file yet"
    await rolling.api.put(f"/api/v1/firmware/{made['id']}/content", content=image("2.0.0"))
    answer = await rolling.api.post("/api/v1/rollouts", json={**order, **change})
    assert answer.status_code == (422 if field else 404), answer.text
    if field:
        assert answer.json()["errors"][0]["field"] == field
