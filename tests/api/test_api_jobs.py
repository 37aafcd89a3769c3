"""Jobs: done to many stations at once, with progress, an end when asked for, and no harm when the server stops."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from pilotwire.api.job_runner import JobRunner
from pilotwire.domain import records
from pilotwire.transport.bus import CommandReply, CommandRequest

WAIT_S = 30
TRIGGER = {"action": "trigger", "payload": {"message": "status"}}


class Gateway:
    """Answers commands; holds back the answers while it is closed."""

    def __init__(self, world: Any) -> None:
        self.asked: list[str] = []
        self.at_once = self.most = 0
        self.open = asyncio.Event()
        self.open.set()
        self.refusing: set[str] = set()
        world.bus.serve("command.>", self.answer)

    async def answer(self, request: CommandRequest) -> CommandReply:
        self.asked.append(request.station)
        self.at_once += 1
        self.most = max(self.most, self.at_once)
        await asyncio.sleep(0)
        await self.open.wait()
        self.at_once -= 1
        status = "Rejected" if request.station in self.refusing else "Accepted"
        number = len(self.asked)
        return CommandReply(
            command_id=f"c-{number}", outcome="answered", action=request.action, answer={"status": status}
        )


@pytest.fixture
async def many(world) -> list[str]:
    names = [f"S-{number:03d}" for number in range(60)]
    for name in names:
        await world.store.put_account(records.StationAccount(tenant="default", id=name, note="of the job"))
    return names


@pytest.fixture
async def runner(world) -> AsyncIterator[JobRunner]:
    made = JobRunner(world.context)
    await made.start()
    yield made
    await made.stop()


async def order(api, **fields: Any) -> dict[str, Any]:
    answer = await api.post("/api/v1/jobs", json={"kind": "command", "payload": TRIGGER, **fields})
    assert answer.status_code == 201, answer.text
    return answer.json()


async def until(api, job: str, fits: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
    async with asyncio.timeout(WAIT_S):
        while not fits(told := (await api.get(f"/api/v1/jobs/{job}")).json()):
            await asyncio.sleep(0.005)
    return told


def ended(job: dict[str, Any]) -> bool:
    return job["ended_at"] is not None


async def outcomes(api, job: str, **query: Any) -> list[dict[str, Any]]:
    return (await api.get(f"/api/v1/jobs/{job}/outcomes", params={"limit": 500, **query})).json()["items"]


async def test_a_command_goes_to_every_station_a_few_at_a_time(world, api, many, runner) -> None:
    gateway = Gateway(world)
    gateway.refusing = {"S-007"}
    job = await order(api, filter={"q": "of the job"}, concurrency=4)
    assert (job["total"], job["title"]) == (60, "Command trigger")
    told = await until(api, job["id"], ended)
    assert (told["status"], told["succeeded"], told["failed"], told["waiting"], told["percent"]) == (
        "done",
        59,
        1,
        0,
        100,
    )
    assert sorted(gateway.asked) == many and gateway.most <= 4
    found = await outcomes(api, job["id"])
    assert [one["station_id"] for one in found] == many
    (refused,) = await outcomes(api, job["id"], ok="false")
    assert (refused["station_id"], refused["outcome"], refused["answer"]) == (
        "S-007",
        "refused",
        {"status": "Rejected"},
    )
    first = (await api.get(f"/api/v1/jobs/{job['id']}/outcomes?limit=25")).json()
    rest = await outcomes(api, job["id"], cursor=first["next"])
    assert len(first["items"]) + len(rest) == 60
    assert [one["id"] for one in (await api.get("/api/v1/jobs?status=done")).json()["items"]] == [job["id"]]


async def test_it_ends_with_the_first_failure_where_that_is_asked_for(world, api, many, runner) -> None:
    gateway = Gateway(world)
    gateway.refusing = {"S-003"}
    job = await order(api, station_ids=many, concurrency=1, continue_on_error=False)
    told = await until(api, job["id"], ended)
    assert (told["status"], told["succeeded"], told["failed"], told["skipped"]) == ("failed", 3, 1, 56)
    assert gateway.asked == many[:4]


async def test_a_job_is_cancelled_in_the_middle(world, api, many, runner) -> None:
    gateway = Gateway(world)
    gateway.open.clear()
    job = await order(api, station_ids=many, concurrency=2)
    async with asyncio.timeout(WAIT_S):
        while len(gateway.asked) < 2:
            await asyncio.sleep(0)
    assert (await api.delete(f"/api/v1/jobs/{job['id']}")).status_code == 409
    cancelled = await api.post(f"/api/v1/jobs/{job['id']}/cancel")
    assert cancelled.json()["status"] == "cancelling"
    gateway.open.set()
    told = await until(api, job["id"], ended)
    assert (told["status"], told["succeeded"], told["skipped"]) == ("cancelled", 2, 58)
    assert len(gateway.asked) == 2
    assert (await api.post(f"/api/v1/jobs/{job['id']}/cancel")).json()["status"] == "cancelled"
    assert (await api.delete(f"/api/v1/jobs/{job['id']}")).status_code == 204
    assert (await api.get(f"/api/v1/jobs/{job['id']}")).status_code == 404
    assert (await world.store.documents("default", "job-outcome")).items == []


async def test_the_next_process_goes_on_and_repeats_no_command(world, api, many) -> None:
    gateway = Gateway(world)
    first = JobRunner(world.context)
    await first.start()
    job = await order(api, station_ids=many, concurrency=5)
    async with asyncio.timeout(WAIT_S):
        while len(gateway.asked) < 8:
            await asyncio.sleep(0)
    gateway.open.clear()
    async with asyncio.timeout(WAIT_S):
        while gateway.at_once < 5:
            await asyncio.sleep(0)
    under_way = gateway.asked[-5:]
    await first.stop()
    gateway.open.set()
    second = JobRunner(world.context)
    await second.start()
    told = await until(api, job["id"], ended)
    await second.stop()
    assert (told["status"], told["succeeded"], told["failed"]) == ("done", 55, 5)
    assert sorted(gateway.asked) == many, "each station was asked exactly once"
    lost = await outcomes(api, job["id"], ok="false")
    assert {one["station_id"] for one in lost} == set(under_way)
    assert {one["outcome"] for one in lost} == {"unknown"}


async def test_a_process_that_died_is_taken_over_too(world, api, many) -> None:
    """Nothing was written at the end: the wave that was under way is uncertain, the rest is done."""
    Gateway(world)
    job = await order(api, station_ids=many[:30], concurrency=1)
    kept = await world.store.document("default", "job", job["id"])
    from pilotwire.api.resources.jobs import JobRecord
    from pilotwire.storage.documents import put, unpack

    record = unpack(kept, JobRecord).value
    record.status, record.under_way = "running", many[:2]
    await world.store.write_documents("default", [put("job", job["id"], record)])
    runner = JobRunner(world.context)
    await runner.start()
    told = await until(api, job["id"], ended)
    await runner.stop()
    assert (told["succeeded"], told["failed"], told["status"]) == (28, 2, "done")


async def test_accounts_are_changed_and_deleted(world, api, many, runner) -> None:
    await api.post("/api/v1/sites", json={"id": "north", "name": "North"})
    job = await order(api, kind="change", station_ids=many[:5], payload={"site": "north", "enabled": False})
    assert (await until(api, job["id"], ended))["succeeded"] == 5
    moved = [one.id for one in await world.store.accounts("default") if one.site == "north" and not one.enabled]
    assert moved == many[:5]
    job = await order(api, kind="delete", station_ids=[*many[:2], "CP-C"], payload={})
    told = await until(api, job["id"], ended)
    assert (told["succeeded"], told["failed"]) == (2, 1)
    (failed,) = await outcomes(api, job["id"], ok="false")
    assert (failed["station_id"], failed["problem"]) == ("CP-C", "not-found")


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"station_ids": ["S-000", "S-999"]}, "station_ids"),
        ({}, "station_ids"),
        ({"station_ids": ["S-000"], "filter": {}}, "station_ids"),
        ({"filter": {"vendor": ["Nobody"]}}, "filter"),
        ({"station_ids": ["S-000"], "payload": {"action": 7}}, "payload"),
        ({"station_ids": ["S-000"], "payload": {"action": "Reset", "payload": {"type": "Soft"}}}, "reason"),
        ({"station_ids": ["S-000"], "kind": "change", "payload": {"password": "long-enough"}}, "payload"),
        (
            {
                "station_ids": ["S-000"],
                "kind": "set-variables",
                "payload": {"variables": [{"variable": "AuthorizationKey", "value": "0011"}]},
            },
            "payload",
        ),
    ],
)
async def test_what_cannot_be_ordered_is_refused(api, many, fields: dict, field: str) -> None:
    answer = await api.post("/api/v1/jobs", json={"kind": "command", "payload": TRIGGER, **fields})
    assert answer.status_code == 422, answer.text
    assert answer.json()["errors"][0]["field"] == field


async def test_a_job_waits_for_a_runner(world, api, many) -> None:
    gateway = Gateway(world)
    job = await order(api, station_ids=many[:3], title="Later")
    assert (await api.get(f"/api/v1/jobs/{job['id']}")).json()["status"] == "queued"
    runner = JobRunner(world.context)
    await runner.start()
    assert (await until(api, job["id"], ended))["succeeded"] == 3 and len(gateway.asked) == 3
    await runner.stop()


async def test_a_role_orders_only_what_it_may_do_itself(world, many) -> None:
    digest = hashlib.sha256(b"pw_s").hexdigest()
    await world.store.put_api_key(records.ApiKey(tenant="default", id="k", name="s", role="service", digest=digest))
    async with world.client(headers={"Authorization": "Bearer pw_s"}) as service:
        body = {"kind": "command", "station_ids": many[:1], "reason": "because", "payload": {"action": "reset"}}
        assert (await service.post("/api/v1/jobs", json=body)).status_code == 403
        body["payload"] = TRIGGER
        assert (await service.post("/api/v1/jobs", json=body)).status_code == 201
