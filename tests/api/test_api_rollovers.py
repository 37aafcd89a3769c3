"""Certificate roll-overs over the API: who is asked, when a station counts as done, and what stops it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest
from tests.api.conftest import NOW, World, station

from pilotwire.api.firmware_worker import FirmwareWorker
from pilotwire.domain import facts, records
from pilotwire.domain.trust import SHOWN, ShownCertificate
from pilotwire.storage import documents
from pilotwire.transport.bus import CommandReply, CommandRequest

POLICY = {"stages": [10, 100], "watch_s": 600, "lost_s": 60, "at_once": 50, "wait_s": 3600, "silent_s": 900}
USE = "ChargingStationCertificate"


class Fleet:
    """Stations that come in by certificates; what becomes of the new ones is told by the tests."""

    def __init__(self, world: World, api: httpx.AsyncClient, count: int) -> None:
        self.world, self.api = world, api
        self.names = [f"F-{number:02d}" for number in range(count)]
        self.asked: list[CommandRequest] = []
        self.answer: dict[str, Any] = {"status": "Accepted"}
        self.worker = FirmwareWorker(world.context)
        self.id = ""
        world.bus.serve("command.default.>", self._serve)

    @property
    def ordered(self) -> list[str]:
        return [one.station for one in self.asked]

    async def _serve(self, request: CommandRequest) -> CommandReply:
        self.asked.append(request)
        return CommandReply(command_id="c", outcome="answered", action=request.action, answer=self.answer)

    def put(self, name: str, version: str = "2.0.1", **fields: Any) -> None:
        record = station(name, version, records.Connector(1, 1, "Available", since=NOW))
        record.connected_at = record.last_seen = self.world.clock.now()
        for field, value in fields.items():
            setattr(record, field, value)
        self.world.commit(name, touched=(record,))

    async def comes_with(self, name: str, serial: str) -> None:
        shown = ShownCertificate(station=name, serial=serial, not_after=NOW + 1)
        change = documents.put(SHOWN, name, shown, sort=documents.sort_time(shown.not_after))
        await self.world.store.write_documents("default", [change])

    def told(self, name: str, status: str, *, use: str = USE, at: int | None = None, serial: str = "") -> None:
        fact = facts.CertificateSettled(
            event_time=self.world.clock.now() if at is None else at,
            enrollment="e",
            use=use,
            status=status,
            reason="the key is too short" if status in ("refused", "failed") else "",
            serial=serial or f"new-{name}",
        )
        self.world.commit(name, fact)

    async def renewed(self, *names: str) -> None:
        """They have the new one, and have come back with it."""
        for name in names:
            self.told(name, "delivered")
            await self.comes_with(name, f"new-{name}")

    async def begin(self, **policy: Any) -> dict[str, Any]:
        await self.worker.start()
        order = {"kind": "certificates", "reason": "a new sub-authority", "filter": {}, "policy": {**POLICY, **policy}}
        answer = await self.api.post("/api/v1/rollouts", json=order)
        assert answer.status_code == 201, answer.text
        self.id = answer.json()["id"]
        return await self.settle()

    async def settle(self, seconds: int = 0) -> dict[str, Any]:
        self.world.clock.run_for(seconds * 1000)
        for _ in range(3):
            await self.worker.settle()
            for task in list(self.worker.tasks):
                await task
        return (await self.api.get(f"/api/v1/rollouts/{self.id}")).json()

    async def states(self) -> dict[str, tuple[str, str]]:
        page = (await self.api.get(f"/api/v1/rollouts/{self.id}/stations", params={"limit": 500})).json()
        return {one["station_id"]: (one["state"], one["text"]) for one in page["items"]}


@pytest.fixture
async def fleet(world: World, api: httpx.AsyncClient) -> AsyncIterator[Fleet]:
    made = Fleet(world, api, 20)
    for number, name in enumerate(made.names):
        made.put(name, ("1.6", "2.0.1", "2.1")[number % 3])
        await made.comes_with(name, "old")
    yield made
    await made.worker.stop()


async def test_a_station_is_done_when_it_has_come_in_with_its_new_certificate(fleet: Fleet) -> None:
    fleet.put("PLAIN")  # comes in by a password
    busy = [records.Connector(1, 1, "Occupied", since=NOW, session_id="s-9")]
    fleet.put(fleet.names[0], "1.6", connectors=busy)
    shown = await fleet.begin()
    assert (shown["kind"], shown["title"], shown["firmware_id"]) == ("certificates", "Certificate roll-over", "")
    assert (shown["total"], shown["under_way"], fleet.ordered) == (20, 2, fleet.names[:2]), "who charges too"
    sent = [(one.action, one.payload["requestedMessage"]) for one in fleet.asked]
    assert sent == [
        ("ExtendedTriggerMessage", "SignChargePointCertificate"),
        ("TriggerMessage", "SignChargingStationCertificate"),
    ]
    first, second = fleet.ordered
    fleet.told(first, "delivered")
    fleet.told(second, "delivered", use="V2GCertificate")
    await fleet.comes_with(second, f"new-{second}")
    shown = await fleet.settle(5)
    assert (shown["installed"], shown["under_way"]) == (0, 2), "delivered is not used; another use is not this one"
    await fleet.renewed(first, second)
    shown = await fleet.settle(5)
    assert (shown["status"], shown["installed"]) == ("watching", 2)
    for name in fleet.names:
        fleet.put(name)
    shown = await fleet.settle(610)
    assert (shown["stage"], len(fleet.ordered)) == (2, 20)
    await fleet.renewed(*fleet.ordered[2:])
    await fleet.settle(5)
    for name in fleet.names:
        fleet.put(name)
    shown = await fleet.settle(610)
    assert (shown["status"], shown["installed"], shown["percent"]) == ("done", 20, 100.0)
    kinds = {kind: (await fleet.api.get("/api/v1/rollouts", params={"kind": kind})).json()["items"]
             for kind in ("firmware", "certificates")}  # fmt: skip
    assert [len(rows) for rows in kinds.values()] == [0, 1]
    rows = (await fleet.api.get("/api/v1/audit", params={"action": "rollouts.create"})).json()["items"]
    assert [(row["reason"], row["detail"]) for row in rows] == [
        ("a new sub-authority", {"kind": "certificates", "stations": 20})
    ]


async def authority_fails(fleet: Fleet, name: str) -> None:
    fleet.told(name, "failed")


async def station_refuses(fleet: Fleet, name: str) -> None:
    fleet.told(name, "refused")


async def stays_away(fleet: Fleet, name: str) -> None:
    await fleet.renewed(*(one for one in fleet.ordered if one != name))
    fleet.told(name, "delivered")
    await fleet.settle()
    await fleet.settle(901)


async def never_asks(fleet: Fleet, name: str) -> None:
    await fleet.renewed(*(one for one in fleet.ordered if one != name))
    await fleet.settle(901)


async def goes_back_to_the_old(fleet: Fleet, name: str) -> None:
    fleet.world.commit(name, facts.SecurityEventNotified(event_time=NOW, kind="DiscardedRenewedClientCertificate"))


async def is_lost_afterwards(fleet: Fleet, name: str) -> None:
    await fleet.renewed(*fleet.ordered)
    await fleet.settle(5)
    fleet.put(name, connected=False, disconnected_at=fleet.world.clock.now())
    await fleet.settle(30)
    await fleet.settle(60)


async def loses_a_session(fleet: Fleet, name: str) -> None:
    await fleet.renewed(*fleet.ordered)
    await fleet.settle(5)
    fleet.world.commit(name, facts.SessionEnded(event_time=NOW, session_id="s", reason="PowerLoss"))


@pytest.mark.parametrize(
    ("trouble", "why", "state"),
    [
        (authority_fails, "failed or fell silent", ("failed", "the key is too short")),
        (station_refuses, "failed or fell silent", ("refused", "the key is too short")),
        (stays_away, "failed or fell silent", ("silent", "it has not come back with it")),
        (never_asks, "failed or fell silent", ("silent", "it has not asked for one")),
        (goes_back_to_the_old, "1 security events", ("updating", "")),
        (is_lost_afterwards, "not heard of", ("installed", "without a connection after it")),
        (loses_a_session, "sessions that failed", ("installed", "a session ended with PowerLoss")),
    ],
)
async def test_it_stops_itself(fleet: Fleet, trouble: Callable[..., Any], why: str, state: tuple[str, str]) -> None:
    await fleet.begin(watch_s=7200)
    name = fleet.ordered[0]
    await trouble(fleet, name)
    shown = await fleet.settle()
    assert (shown["status"], shown["by_itself"], shown["stage"]) == ("stopped", True, 1)
    assert why in shown["why"]
    assert (await fleet.states())[name] == state
    await fleet.settle(24 * 3600)
    assert len(fleet.ordered) == 2, "nobody else is asked"


async def test_whoever_is_under_way_when_it_stops_is_followed_to_the_end(fleet: Fleet) -> None:
    await fleet.begin()
    bad, good = fleet.ordered
    fleet.told(bad, "failed")
    assert (await fleet.settle())["status"] == "stopped"
    await fleet.renewed(good)
    shown = await fleet.settle(5)
    assert (shown["status"], shown["installed"], shown["failed"]) == ("stopped", 1, 1)
    answer = await fleet.api.post(f"/api/v1/rollouts/{fleet.id}/resume", json={"reason": "its clock was wrong"})
    assert answer.status_code == 200, answer.text
    assert (await fleet.settle())["status"] == "watching"


async def test_what_was_told_of_an_earlier_request_does_not_count(fleet: Fleet) -> None:
    fleet.world.clock.run_for(60_000)
    await fleet.begin()
    first = fleet.ordered[0]
    fleet.told(first, "failed", at=fleet.world.clock.now() - 1)
    fleet.told(first, "superseded")
    assert (await fleet.settle())["status"] == "running"
    assert (await fleet.states())[first] == ("updating", "")


async def test_a_restart_in_the_middle(fleet: Fleet) -> None:
    await fleet.begin()
    first, second = fleet.ordered
    fleet.told(first, "delivered")
    await fleet.settle()
    await fleet.worker.stop()
    await fleet.comes_with(first, f"new-{first}")
    await fleet.renewed(second)  # while nobody listens
    fleet.world.context.began_at = fleet.world.clock.now()
    for name in fleet.names:
        fleet.put(name)
    fleet.worker = FirmwareWorker(fleet.world.context)
    await fleet.worker.start()
    shown = await fleet.settle()
    assert (shown["status"], shown["installed"], len(fleet.ordered)) == ("watching", 2, 2)


async def test_a_station_that_refuses_to_ask_and_one_without_a_certificate(fleet: Fleet) -> None:
    await fleet.worker.start()
    fleet.put("PLAIN")
    fleet.answer = {"status": "NotImplemented"}
    order = {"kind": "certificates", "reason": "new", "station_ids": ["PLAIN", "F-00"], "policy": {"stages": [100]}}
    fleet.id = (await fleet.api.post("/api/v1/rollouts", json=order)).json()["id"]
    shown = await fleet.settle()
    assert (shown["status"], shown["skipped"], shown["failed"]) == ("stopped", 1, 1)
    assert await fleet.states() == {
        "PLAIN": ("skipped", "it does not come in by a certificate"),
        "F-00": ("refused", "NotImplemented"),
    }


@pytest.mark.parametrize(
    ("change", "field", "text"),
    [
        ({"reason": " "}, "reason", "say why the certificates are renewed"),
        ({"firmware_id": "x"}, "firmware_id", "certificates have no image"),
        ({"kind": "firmware"}, "firmware_id", "an image is needed"),
        ({"filter": {"q": "nobody"}}, "filter", "no station fits"),
        ({"filter": {"q": "PLAIN"}}, "filter", "no station that fits comes in by a certificate"),
    ],
)
async def test_what_is_no_roll_over(fleet: Fleet, change: dict[str, Any], field: str, text: str) -> None:
    fleet.put("PLAIN")
    order = {"kind": "certificates", "reason": "new", "filter": {}, **change}
    answer = await fleet.api.post("/api/v1/rollouts", json=order)
    assert answer.status_code == 422
    assert (answer.json()["errors"][0]["field"], answer.json()["errors"][0]["message"]) == (field, text)
