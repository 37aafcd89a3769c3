"""The pages of firmware: an image is added and sent, a roll-out begun, watched, steered and forgotten."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from tests.api.conftest import KEY, NOW, World, seed, station
from tests.crypto.firmware_kit import image

from pilotwire.api.firmware_worker import FirmwareWorker
from pilotwire.console.app import create_app
from pilotwire.domain import facts, records
from pilotwire.transport.bus import CommandReply, CommandRequest

DATA = image("2.0.0", 600_000)
ORDER = {
    "site": "", "q": "CP-A", "stages": "1, 10 100 %", "watch_min": "60", "max_failed_percent": "1", "at_once": "20",
    "wait_h": "24", "silent_min": "30", "reason": "a fault in the meter",
}  # fmt: skip


@pytest.fixture
async def world(tmp_path: Path) -> World:
    made = World()
    seed(made)
    made.context.files = tmp_path
    return made


@pytest.fixture
async def console(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with every right; forms come from the console's own pages."""
    transport = httpx.ASGITransport(app=create_app(world.context), client=("203.0.113.9", 50_000))
    headers = {"Authorization": f"Bearer {KEY}", "Sec-Fetch-Site": "same-origin"}
    async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
        yield client


async def added(console: httpx.AsyncClient, **fields: str) -> str:
    """The path of a new image."""
    made = await console.post("/firmware/new", data={"version": "2.0.0", "vendor": "Voltwerk", **fields})
    assert made.status_code == 303, made.text
    return made.headers["location"]


async def test_an_image_is_added_sent_and_deleted(console: httpx.AsyncClient) -> None:
    assert "No image yet" in (await console.get("/firmware")).text
    path = await added(console, note="tried in the laboratory")
    text = (await console.get(path)).text
    assert "Send the file" in text and "Roll it out" not in text and "tried in the laboratory" in text
    lost = await console.post(f"{path}/file", content=b"--x", headers={"content-type": "multipart/form-data"})
    assert lost.status_code == 303 and "no file yet" in (await console.get(path)).text
    sent = await console.post(f"{path}/file", files={"file": ("2.0.0.bin", DATA)})
    assert sent.status_code == 303
    text = (await console.get(path)).text
    assert "The file is here and whole." in text and "Roll it out" in text and "0.6 MiB" in text
    api = path.replace("/firmware", "/api/v1/firmware")
    assert (await console.get(f"{api}/content")).content == DATA
    assert "2.0.0" in (await console.get("/firmware")).text
    await console.post(f"{path}/delete")
    assert "No image yet" in (await console.get("/firmware")).text


async def test_what_is_wrong_with_an_image_is_said_at_the_field(console: httpx.AsyncClient) -> None:
    answer = await console.post("/firmware/new", data={"version": "2", "signature": "eA=="})
    assert answer.status_code == 422 and 'aria-invalid="true"' in answer.text
    assert "certificate and signature belong together" in answer.text


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stages": "a few"}, "Percentages with a space between"),
        ({"stages": "10 20"}, "the last stage is 100 percent"),
        ({"watch_min": "soon"}, "A whole number is needed"),
        ({"reason": ""}, "Say why"),
        ({"q": "nobody"}, "no station fits"),
    ],
)
async def test_what_is_no_roll_out_is_said_at_the_field(
    console: httpx.AsyncClient, change: dict[str, str], said: str
) -> None:
    path = await added(console)
    await console.post(f"{path}/file", files={"file": ("2.0.0.bin", DATA)})
    answer = await console.post(f"{path}/rollout", data={**ORDER, **change})
    assert answer.status_code == 422 and said in answer.text


async def test_a_roll_out_is_begun_watched_and_steered(world: World, console: httpx.AsyncClient) -> None:
    async def taken(request: CommandRequest) -> CommandReply:
        return CommandReply(command_id="c", outcome="answered", action=request.action, answer={"status": "Accepted"})

    world.bus.serve("command.default.CP-A", taken)
    worker = FirmwareWorker(world.context)
    await worker.start()
    free = station("CP-A", "2.0.1", records.Connector(1, 1, "Available", since=NOW))
    free.connected_at = world.clock.now()
    world.commit("CP-A", touched=(free,))
    path = await added(console)
    await console.post(f"{path}/file", files={"file": ("2.0.0.bin", DATA)})
    looked = await console.post(f"{path}/rollout", data={**ORDER, "q": "CP", "look": "on"})
    assert looked.status_code == 200 and "Begin with 3 stations" in looked.text
    begun = await console.post(f"{path}/rollout", data=ORDER)
    assert begun.status_code == 303, begun.text
    rollout = begun.headers["location"]
    text = (await console.get(rollout)).text
    assert "CP-A" in text and "1 %" in text and "under way" in text
    assert f'hx-get="/ui{rollout}"' in text
    assert "0 / 1" in (await console.get("/firmware")).text
    await console.post(f"{rollout}/pause")
    assert "being paused" in (await console.get(rollout)).text
    world.commit("CP-A", facts.FirmwareStatusChanged(event_time=0, status="InstallationFailed"))
    for task in list(worker.tasks):
        await task
    await worker.settle()
    text = (await console.get(f"/ui{rollout}")).text
    assert "It stopped itself:" in text and "InstallationFailed" in text and "Why it may go on" in text
    assert "InstallationFailed" in (await console.get(rollout, params={"show": "failed"})).text
    await console.post(f"{rollout}/resume", data={"reason": "a loose cable"})
    assert "watching" in (await console.get(rollout)).text
    await console.post(f"{rollout}/cancel")
    assert "a person has ended it" in (await console.get(rollout)).text
    forgotten = await console.post(f"{rollout}/delete")
    assert forgotten.headers["location"] == "/firmware"
    assert (await console.get(rollout)).status_code == 404
    assert (await console.post(f"{rollout}/sing")).status_code == 404
    await worker.stop()


async def test_one_station_is_updated_and_leaves_its_log(world: World, console: httpx.AsyncClient) -> None:
    asked: list[CommandRequest] = []

    async def taken(request: CommandRequest) -> CommandReply:
        asked.append(request)
        return CommandReply(command_id="c", outcome="answered", action=request.action, answer={"status": "Accepted"})

    world.bus.serve("command.default.CP-A", taken)
    path = await added(console)
    await console.post(f"{path}/file", files={"file": ("2.0.0.bin", DATA)})
    page = "/stations/CP-A/firmware"
    assert "Voltwerk 2.0.0" in (await console.get(page)).text
    order = {"firmware_id": path.rpartition("/")[2], "reason": ""}
    await console.post(f"{page}/update", data=order)
    assert asked == [] and "Update it" in (await console.get(page)).text, "it says why first"
    await console.post(f"{page}/update", data={**order, "reason": "a fault in the meter"})
    text = (await console.get(page)).text
    assert "1.4.2 → 2.0.0" in text and "under way" in text
    await console.post("/stations/CP-A/logs", data={"type": "security"})
    assert "waiting" in (await console.get(page)).text and asked[-1].payload["type"] == "security"
    place = asked[-1].payload["location"].removeprefix("http://localhost:8080")
    assert (await console.put(place, content=b"line\n")).status_code == 201
    text = (await console.get(page)).text
    assert "/content" in text and "security.log" in text


async def test_a_local_controller_offers_an_image_and_withdraws_it(world: World, console: httpx.AsyncClient) -> None:
    asked: list[CommandRequest] = []

    async def taken(request: CommandRequest) -> CommandReply:
        asked.append(request)
        status = "Accepted" if request.action == "PublishFirmware" else "NoFirmware"
        return CommandReply(command_id="c", outcome="answered", action=request.action, answer={"status": status})

    world.bus.serve("command.default.CP-A", taken)
    path = await added(console, model="Another model")
    assert "As a local controller" not in (await console.get("/stations/CP-A/firmware")).text, "there is no file yet"
    await console.post(f"{path}/file", files={"file": ("2.0.0.bin", DATA)})
    assert "As a local controller" in (await console.get("/stations/CP-A/firmware")).text
    assert "As a local controller" not in (await console.get("/stations/CP-B/firmware")).text, "1.6 has none"
    given = {"offered": path.rpartition("/")[2], "why": "for the depot", "what": "publish"}
    await console.post("/stations/CP-A/firmware/offer", data=given)
    assert "The station answers: Accepted" in (await console.get("/stations/CP-A/firmware")).text
    await console.post("/stations/CP-A/firmware/offer", data={**given, "what": "withdraw"})
    assert "The station answers: NoFirmware" in (await console.get("/stations/CP-A/firmware")).text
    assert [one.action for one in asked] == ["PublishFirmware", "UnpublishFirmware"]
    await console.post("/stations/CP-A/firmware/offer", data={**given, "why": ""})
    assert len(asked) == 2, "it says why first"
