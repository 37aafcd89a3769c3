"""The pages of a certificate roll-over: who fits, how carefully, begun, watched, forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest
from tests.api.conftest import KEY, NOW, World, seed, station

from pilotwire.api.firmware_worker import FirmwareWorker
from pilotwire.console.app import create_app
from pilotwire.domain import facts, records
from pilotwire.domain.trust import SHOWN, ShownCertificate
from pilotwire.storage import documents
from pilotwire.transport.bus import CommandReply, CommandRequest

ORDER = {
    "site": "", "q": "", "stages": "50 100", "watch_min": "0", "max_failed_percent": "1", "at_once": "20",
    "wait_h": "24", "silent_min": "30", "reason": "a new sub-authority",
}  # fmt: skip


@pytest.fixture
async def world() -> World:
    made = World()
    seed(made)
    for name in ("ROLL-1", "ROLL-2", "PLAIN-1"):
        record = station(name, "2.0.1", records.Connector(1, 1, "Available", since=NOW))
        record.connected_at = record.last_seen = made.clock.now()
        made.commit(name, touched=(record,))
    for name in ("ROLL-1", "ROLL-2"):
        await comes_with(made, name, "old")
    return made


async def comes_with(world: World, name: str, serial: str) -> None:
    shown = ShownCertificate(station=name, serial=serial, not_after=NOW + 90 * 86_400_000)
    change = documents.put(SHOWN, name, shown, sort=documents.sort_time(shown.not_after))
    await world.store.write_documents("default", [change])


@pytest.fixture
async def console(world: World) -> AsyncIterator[httpx.AsyncClient]:
    transport = httpx.ASGITransport(app=create_app(world.context), client=("203.0.113.9", 50_000))
    headers = {"Authorization": f"Bearer {KEY}", "Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        yield client


async def test_only_stations_with_certificates_are_offered(console: httpx.AsyncClient) -> None:
    page = (await console.get("/settings/certificates/rollover")).text
    assert "Begin with 2 stations" in page and "ROLL-1, ROLL-2" in page and "PLAIN-1" not in page
    looked = await console.post("/settings/certificates/rollover", data={**ORDER, "q": "ROLL-2", "look": "on"})
    assert looked.status_code == 200 and "Begin with 1 station" in looked.text
    nobody = await console.post("/settings/certificates/rollover", data={**ORDER, "q": "PLAIN", "look": "on"})
    assert "Only stations that come in by a certificate" in nobody.text


@pytest.mark.parametrize(
    ("field", "value", "text"),
    [
        ("reason", "", "Say why"),
        ("stages", "half", "Percentages with a space"),
        ("stages", "10 50", "the last stage is 100 percent"),
        ("watch_min", "soon", "A whole number is needed."),
        ("q", "PLAIN", "no station that fits comes in by a certificate"),
    ],
)
async def test_what_is_wrong_is_said(console: httpx.AsyncClient, field: str, value: str, text: str) -> None:
    answer = await console.post("/settings/certificates/rollover", data={**ORDER, field: value})
    assert answer.status_code == 422 and text in answer.text


async def test_it_is_begun_watched_and_forgotten(world: World, console: httpx.AsyncClient) -> None:
    async def serve(request: CommandRequest) -> CommandReply:
        return CommandReply(command_id="c", outcome="answered", action=request.action, answer={"status": "Accepted"})

    world.bus.serve("command.default.>", serve)
    worker = FirmwareWorker(world.context)
    await worker.start()

    async def settle() -> None:
        world.clock.run_for(3_000)
        for _ in range(3):
            await worker.settle()
            for task in list(worker.tasks):
                await task

    begun = await console.post("/settings/certificates/rollover", data=ORDER)
    assert begun.status_code == 303, begun.text
    path = begun.headers["location"]
    await settle()
    page = (await console.get(path)).text
    assert "Certificate roll-over" in page and "1 under way" in page and 'hx-trigger="every 3s"' in page
    assert "/stations/ROLL-1/certificates" in page and "/settings/certificates" in page
    for name in ("ROLL-1", "ROLL-2"):
        await settle()
        told = facts.CertificateSettled(
            event_time=world.clock.now(), enrollment="e", use="ChargingStationCertificate", status="delivered",
            serial="new",
        )  # fmt: skip
        world.commit(name, told)
        await comes_with(world, name, "new")
        await settle()
    page = (await console.get(f"/ui{path}")).text
    assert (
        "2 renewed" in page and "0 with failed sessions" in page and ">done<" in page.replace(" ", "").replace("\n", "")
    )
    assert "Certificate roll-over" in (await console.get("/settings/certificates")).text
    assert "Certificate roll-over" not in (await console.get("/firmware")).text
    gone = await console.post(f"{path}/delete")
    assert gone.headers["location"] == "/settings/certificates"
    assert (await console.get(path)).status_code == 404
    await worker.stop()
