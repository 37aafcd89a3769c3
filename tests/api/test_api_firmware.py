"""Firmware images, updates of stations, and the file server: links, ranges, limits, logs that stations leave."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.conftest import MINUTE, NOW, World
from tests.crypto.firmware_kit import Manufacturer, image

from pilotwire.api.files.folder import Folder, TooLarge
from pilotwire.api.files.links import KIND, Links
from pilotwire.api.firmware_worker import FirmwareWorker
from pilotwire.api.resources import logs
from pilotwire.api.tenancy import PLATFORM
from pilotwire.core.errors import LocalError
from pilotwire.core.time import to_datetime
from pilotwire.domain import facts
from pilotwire.domain.trust import ANCHORS, TrustAnchor
from pilotwire.storage import documents
from pilotwire.transport.bus import CommandReply, CommandRequest

DATA = image("2.0.0")
DAY = 86_400_000
WHY = {"reason": "a fault in the meter"}


class Station:
    """Answers commands as it is told to, and keeps them."""

    def __init__(self, world: World, name: str) -> None:
        self.asked: list[CommandRequest] = []
        self.answer: dict[str, Any] = {"status": "Accepted"}
        self.outcome: Any = "answered"
        world.bus.serve(f"command.default.{name}", self._serve)

    async def _serve(self, request: CommandRequest) -> CommandReply:
        self.asked.append(request)
        return CommandReply(command_id="c-1", outcome=self.outcome, action=request.action, answer=self.answer)


@pytest.fixture
async def world(world: World, tmp_path: Path) -> World:
    world.context.files = tmp_path
    return world


@pytest.fixture
async def outside(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A station's HTTP: no login."""
    async with world.client(address="198.51.100.7") as client:
        yield client


@pytest.fixture
async def worker(world: World) -> AsyncIterator[FirmwareWorker]:
    made = FirmwareWorker(world.context)
    await made.start()
    yield made
    await made.stop()


def maker(**how: Any) -> Manufacturer:
    return Manufacturer(to_datetime(NOW), **how)


async def trust(world: World, made: Manufacturer, use: Any = "manufacturer") -> None:
    anchor = TrustAnchor(name="Voltwerk", use=use, certificate=made.root)
    await world.store.write_documents("default", [documents.put(ANCHORS, f"a-{use}", anchor)])


async def upload(api: httpx.AsyncClient, data: bytes = DATA, **fields: Any) -> dict[str, Any]:
    made = await api.post("/api/v1/firmware", json={"version": "2.0.0", **fields})
    assert made.status_code == 201, made.text
    sent = await api.put(
        f"/api/v1/firmware/{made.json()['id']}/content",
        content=data,
        headers={"content-type": "application/octet-stream"},
    )
    assert sent.status_code == 200, sent.text
    return sent.json()


def path_of(location: str) -> str:
    assert location.startswith("http://localhost:8080/files/")
    return location.removeprefix("http://localhost:8080")


# -- images -----------------------------------------------------------------------------------------------------------
async def test_an_image_is_taken_checked_and_given_back(api: httpx.AsyncClient) -> None:
    made = await api.post("/api/v1/firmware", json={"version": "2.0.0", "vendor": "Voltwerk", "name": 'a"ö.bin'})
    assert (made.json()["status"], made.json()["signed"]) == ("empty", False)
    id = made.json()["id"]
    assert (await api.get(f"/api/v1/firmware/{id}/content")).status_code == 404
    found = await api.put(f"/api/v1/firmware/{id}/content", content=DATA)
    assert found.status_code == 200
    shown = found.json()
    assert (shown["status"], shown["size"]) == ("ready", len(DATA))
    assert shown["sha256"] == hashlib.sha256(DATA).hexdigest()
    assert shown["md5"] == hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    again = await api.put(f"/api/v1/firmware/{id}/content", content=b"other")
    assert (again.status_code, again.json()["type"]) == (409, "/api#problem-exists")
    back = await api.get(f"/api/v1/firmware/{id}/content")
    assert back.content == DATA
    assert back.headers["content-disposition"].startswith("attachment; filename=\"a__.bin\"; filename*=UTF-8''a%22")
    listed = (await api.get("/api/v1/firmware", params={"q": "volt"})).json()["items"]
    assert [one["id"] for one in listed] == [id]
    assert (await api.get("/api/v1/firmware", params={"q": "nothing"})).json()["items"] == []
    changed = await api.patch(f"/api/v1/firmware/{id}", json={"note": "tried in the laboratory"})
    assert changed.json()["note"] == "tried in the laboratory"
    assert (await api.delete(f"/api/v1/firmware/{id}")).status_code == 204
    assert (await api.get(f"/api/v1/firmware/{id}")).status_code == 404


async def test_an_image_has_a_limit_and_is_not_empty(world: World, api: httpx.AsyncClient, tmp_path: Path) -> None:
    object.__setattr__(world.context.config, "firmware_limit", 1 << 20)
    made = (await api.post("/api/v1/firmware", json={"version": "1"})).json()

    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(9):
            yield b"x" * 131_072

    url = f"/api/v1/firmware/{made['id']}/content"
    headers = {"content-type": "application/octet-stream"}
    large = await api.put(url, content=pieces(), headers=headers)
    assert (large.status_code, large.json()["type"]) == (413, "/api#problem-too-large")
    empty = await api.put(url, content=b"", headers=headers)
    assert empty.status_code == 422
    text = await api.put(url, content=b"{}", headers={"content-type": "application/json"})
    assert text.status_code == 415
    assert not [one for one in tmp_path.rglob("*") if one.is_file()], "something was left behind"
    assert (await api.get(f"/api/v1/firmware/{made['id']}")).json()["status"] == "empty"


async def test_a_signature_is_checked_before_anything_is_sent(world: World, api: httpx.AsyncClient) -> None:
    made, station = maker(), Station(world, "CP-A")
    half = await api.post("/api/v1/firmware", json={"version": "2", "signing_certificate": made.certificate})
    assert (half.status_code, half.json()["errors"][0]["field"]) == (422, "signature")
    bad = await api.post("/api/v1/firmware", json={"version": "2", "signing_certificate": "x", "signature": "eA=="})
    assert bad.json()["errors"][0]["field"] == "signing_certificate"
    # Nobody trusts this manufacturer for firmware yet; who is trusted for something else does not count.
    await trust(world, made, "v2g")
    shown = await upload(api, signing_certificate=made.certificate, signature=made.sign(DATA))
    assert (shown["status"], shown["signed_by"]) == ("rejected", "CN=Voltwerk firmware")
    assert shown["fault"].startswith("InvalidCertificate")
    order = {"firmware_id": shown["id"], **WHY}
    refused = await api.post("/api/v1/stations/CP-A/firmware-update", json=order)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "firmware_id")
    await trust(world, made)
    answer = await api.post("/api/v1/stations/CP-A/firmware-update", json=order)
    assert answer.status_code == 200, answer.text
    sent = station.asked[-1].payload
    assert (sent["signing_certificate"], sent["signature"]) == (made.certificate.strip(), shown["signature"])
    # A signature of another file: kept, told, not sent; a right one mends it.
    wrong = await upload(api, signing_certificate=made.certificate, signature=made.sign(DATA + b"."))
    assert wrong["fault"].startswith("InvalidSignature")
    number = len(station.asked)
    order = {"firmware_id": wrong["id"], **WHY}
    assert (await api.post("/api/v1/stations/CP-A/firmware-update", json=order)).status_code == 422
    mended = await api.patch(f"/api/v1/firmware/{wrong['id']}", json={"signature": made.sign(DATA)})
    assert mended.json()["status"] == "ready"
    # Certificates expire: what could be sent once cannot be sent for ever.
    world.clock.run_for(400 * DAY)
    assert (await api.post("/api/v1/stations/CP-A/firmware-update", json=order)).status_code == 422
    assert len(station.asked) == number


# -- updates ----------------------------------------------------------------------------------------------------------
async def test_an_update_is_followed_to_its_proof(
    world: World, api: httpx.AsyncClient, outside: httpx.AsyncClient, worker: FirmwareWorker
) -> None:
    station, shown = Station(world, "CP-A"), await upload(api)
    assert (await api.get("/api/v1/stations/CP-A/firmware-update")).status_code == 404
    order = {"firmware_id": shown["id"], "install_at": "2026-01-01T13:00:00Z", **WHY}
    answer = (await api.post("/api/v1/stations/CP-A/firmware-update", json=order)).json()
    assert (answer["outcome"], answer["version_before"]) == ("running", "1.4.2")
    sent = station.asked[-1]
    assert (sent.action, sent.payload["retries"]) == ("update-firmware", 3)
    assert sent.payload["install_at"] == "2026-01-01T13:00:00.000Z"
    assert sent.payload["retrieve_at"] == "2026-01-01T12:00:00.000Z"
    # What the station fetches is what was uploaded.
    got = await outside.get(path_of(sent.payload["location"]))
    assert (got.status_code, got.content) == (200, DATA)
    number = sent.payload["request_id"]
    for status, request_id in (("Downloading", number), ("Downloaded", 7), ("Installing", number)):
        world.commit("CP-A", facts.FirmwareStatusChanged(event_time=NOW, status=status, request_id=request_id))
    await worker.settle()
    told = (await api.get("/api/v1/stations/CP-A/firmware-update")).json()
    assert [one["status"] for one in told["steps"]] == ["Downloading", "Installing"]  # 7 was about something else
    world.commit("CP-A", facts.FirmwareStatusChanged(event_time=NOW, status="Installed", request_id=number))
    await worker.settle()
    assert (await api.get("/api/v1/stations/CP-A/firmware-update")).json()["outcome"] == "running"
    world.commit("CP-A", facts.StationBooted(event_time=NOW, vendor="V", model="M", firmware="2.0.0"))
    await worker.settle()
    told = (await api.get("/api/v1/stations/CP-A/firmware-update")).json()
    assert (told["outcome"], told["steps"][-1]["status"]) == ("installed", "Booted")
    rows = (await api.get("/api/v1/audit", params={"action": "commands.update-firmware"})).json()["items"]
    assert [row["reason"] for row in rows] == [WHY["reason"]]


@pytest.mark.parametrize(
    ("said", "outcome", "text"),
    [
        ([facts.FirmwareStatusChanged(event_time=NOW, status="DownloadFailed")], "failed", "DownloadFailed"),
        (
            [
                facts.FirmwareStatusChanged(event_time=NOW, status="Installing"),
                facts.StationBooted(event_time=NOW, vendor="V", model="M", firmware="1.4.2"),
            ],
            "failed",
            "came back with version 1.4.2",
        ),
        ([facts.FirmwareStatusChanged(event_time=NOW, status="Downloading")], "silent", "told Downloading last"),
        ([], "silent", "told nothing"),
    ],
)
async def test_how_an_update_can_end(
    world: World, api: httpx.AsyncClient, worker: FirmwareWorker, said: list[Any], outcome: str, text: str
) -> None:
    Station(world, "CP-A")
    shown = await upload(api)
    await api.post("/api/v1/stations/CP-A/firmware-update", json={"firmware_id": shown["id"], **WHY})
    for fact in said:
        world.commit("CP-A", fact)
    await worker.settle()
    world.clock.run_for(31 * MINUTE)
    await worker.settle()
    told = (await api.get("/api/v1/stations/CP-A/firmware-update")).json()
    assert (told["outcome"], told["text"]) == (outcome, text)


async def test_an_update_goes_on_in_the_next_process(world: World, api: httpx.AsyncClient) -> None:
    Station(world, "CP-A")
    shown = await upload(api)
    first = FirmwareWorker(world.context)
    await first.start()
    await api.post("/api/v1/stations/CP-A/firmware-update", json={"firmware_id": shown["id"], **WHY})
    world.commit("CP-A", facts.FirmwareStatusChanged(event_time=NOW, status="Downloading"))
    await first.stop()
    # Nobody listened, but the journal did.
    world.commit("CP-A", facts.FirmwareStatusChanged(event_time=NOW, status="InvalidSignature"))
    second = FirmwareWorker(world.context)
    await second.start()
    told = (await api.get("/api/v1/stations/CP-A/firmware-update")).json()
    assert [one["status"] for one in told["steps"]] == ["Downloading", "InvalidSignature"]
    assert told["outcome"] == "failed"
    await second.stop()


async def test_an_update_that_is_not_taken(world: World, api: httpx.AsyncClient, worker: FirmwareWorker) -> None:
    station, shown = Station(world, "CP-A"), await upload(api, vendor="Voltwerk", model="Column 150")
    order = {"firmware_id": shown["id"], **WHY}
    nobody = await api.post("/api/v1/stations/CP-C/firmware-update", json=order)
    assert (nobody.status_code, nobody.json()["type"]) == (409, "/api#problem-station-offline")
    other = await api.post("/api/v1/stations/CP-B/firmware-update", json=order)
    assert other.status_code == 422
    assert "Wall 22" in other.json()["errors"][0]["message"]
    station.answer = {"status": "Rejected"}
    told = (await api.post("/api/v1/stations/CP-A/firmware-update", json=order)).json()
    assert (told["outcome"], told["text"]) == ("refused", "Rejected")
    bare = await api.post("/api/v1/stations/CP-A/firmware-update", json={"firmware_id": shown["id"], "reason": ""})
    assert (bare.status_code, bare.json()["type"]) == (422, "/api#problem-reason-needed")
    late = await api.post(
        "/api/v1/stations/CP-A/firmware-update", json={**order, "retrieve_at": "2026-06-01T00:00:00Z"}
    )
    assert late.json()["errors"][0]["field"] == "retrieve_at"


async def test_publishing_at_a_local_controller(world: World, api: httpx.AsyncClient) -> None:
    station, shown = Station(world, "CP-A"), await upload(api)
    answer = await api.post("/api/v1/stations/CP-A/firmware-publication", json={"firmware_id": shown["id"], **WHY})
    assert answer.json()["answer"] == {"status": "Accepted"}
    assert (station.asked[-1].action, station.asked[-1].payload["checksum"]) == ("PublishFirmware", shown["md5"])
    assert shown["md5"] == hashlib.md5(DATA, usedforsecurity=False).hexdigest()
    station.answer = {"status": "DownloadOngoing"}
    answer = await api.post("/api/v1/stations/CP-A/firmware-withdrawal", json={"firmware_id": shown["id"], **WHY})
    assert answer.json()["answer"] == {"status": "DownloadOngoing"}
    assert (station.asked[-1].action, station.asked[-1].payload) == ("UnpublishFirmware", {"checksum": shown["md5"]})
    empty = (await api.post("/api/v1/firmware", json={"version": "9"})).json()["id"]
    for wrong, status in ((empty, 422), ("none", 404)):
        given = {"firmware_id": wrong, **WHY}
        assert (await api.post("/api/v1/stations/CP-A/firmware-withdrawal", json=given)).status_code == status
    given = {"firmware_id": shown["id"], "reason": ""}
    unsaid = await api.post("/api/v1/stations/CP-A/firmware-withdrawal", json=given)
    assert unsaid.json()["type"] == "/api#problem-reason-needed"


# -- fetching ---------------------------------------------------------------------------------------------------------
async def link_to(world: World, api: httpx.AsyncClient) -> tuple[str, str]:
    """A link that a station was given, and the image's id."""
    station, shown = Station(world, "CP-A"), await upload(api)
    await api.post("/api/v1/stations/CP-A/firmware-update", json={"firmware_id": shown["id"], **WHY})
    return path_of(station.asked[-1].payload["location"]), shown["id"]


@pytest.mark.parametrize(
    ("wanted", "status", "part"),
    [
        ("bytes=0-9", 206, DATA[:10]),
        ("bytes=4000-", 206, DATA[4000:]),
        ("bytes=-16", 206, DATA[-16:]),
        ("bytes=10-99999999", 206, DATA[10:]),
        (f"bytes={len(DATA)}-", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=5-2", 200, DATA),
        ("bytes=0-1,4-5", 200, DATA),
        ("items=0-1", 200, DATA),
        ("bytes=a-b", 200, DATA),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_a_download_can_be_resumed(
    world: World, api: httpx.AsyncClient, outside: httpx.AsyncClient, wanted: str, status: int, part: bytes
) -> None:
    path, _ = await link_to(world, api)
    found = await outside.get(path, headers={"range": wanted})
    assert (found.status_code, found.content) == (status, part)
    if status == 206:
        begin = DATA.index(part)
        assert found.headers["content-range"] == f"bytes {begin}-{begin + len(part) - 1}/{len(DATA)}"
    # A part of another file is no part of this one.
    other = await outside.get(path, headers={"range": "bytes=0-9", "if-range": '"something else"'})
    assert (other.status_code, len(other.content)) == (200, len(DATA))


async def test_a_link_is_for_one_file_one_purpose_and_a_time(
    world: World, api: httpx.AsyncClient, outside: httpx.AsyncClient
) -> None:
    path, id = await link_to(world, api)
    head = await outside.head(path)
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(DATA)), b"")
    assert (await outside.get(path.rpartition("/")[0])).status_code == 200  # the name does not matter
    assert (await outside.put(path, content=b"x")).status_code == 405
    token = path.split("/")[2]
    near = token[:-1] + ("B" if token.endswith("A") else "A")
    for wrong in ("/files/", "/files/x", f"/files/{near}/x", f"/files/{'é' * 43}/x", "/files/" + "A" * 43):
        assert (await outside.get(wrong)).status_code == 404
    # Whoever reads the store cannot use it: of a link its digest is kept.
    page = await world.store.documents(PLATFORM, KIND)
    assert token not in repr(page)
    world.clock.run_for(8 * DAY)
    assert (await outside.get(path)).status_code == 404
    assert await Links(world.context).purge() == 1
    path, id = await link_to(world, api)
    assert (await api.delete(f"/api/v1/firmware/{id}")).status_code == 204
    assert (await outside.get(path)).status_code == 404


# -- logs -------------------------------------------------------------------------------------------------------------
async def ask(world: World, api: httpx.AsyncClient, **fields: Any) -> tuple[dict[str, Any], str, CommandRequest]:
    """A log that is waited for: as it is shown, where it is to be left, and what the station was asked."""
    station = Station(world, "CP-A")
    made = await api.post("/api/v1/stations/CP-A/logs", json=fields)
    assert made.status_code == 201, made.text
    return made.json(), path_of(station.asked[-1].payload["location"]), station.asked[-1]


async def test_a_station_leaves_a_log_once(
    world: World, api: httpx.AsyncClient, outside: httpx.AsyncClient, worker: FirmwareWorker
) -> None:
    shown, path, asked = await ask(world, api, type="security", oldest="2026-01-01T00:00:00Z")
    assert (shown["status"], asked.action) == ("waiting", "get-log")
    assert (asked.payload["type"], asked.payload["oldest"]) == ("security", "2026-01-01T00:00:00Z")
    assert (await outside.get(path)).status_code == 405
    assert (await outside.put(path, content=b"line 1\nline 2\n")).status_code == 201
    url = f"/api/v1/stations/CP-A/logs/{shown['id']}"
    world.commit(
        "CP-A", facts.LogStatusChanged(event_time=NOW, status="Uploaded", request_id=asked.payload["request_id"])
    )
    await worker.settle()
    got = (await api.get(url)).json()
    assert (got["status"], got["size"], got["told"], got["name"]) == ("received", 14, "Uploaded", "security.log")
    assert got["sha256"] == hashlib.sha256(b"line 1\nline 2\n").hexdigest()
    assert (await api.get(f"{url}/content")).content == b"line 1\nline 2\n"
    assert (await outside.put(path, content=b"forged")).status_code == 404, "a link takes one file"
    assert [one["id"] for one in (await api.get("/api/v1/stations/CP-A/logs")).json()["items"]] == [shown["id"]]
    assert (await api.get("/api/v1/stations/CP-B/logs")).json()["items"] == []
    assert (await api.get(f"/api/v1/stations/CP-B/logs/{shown['id']}")).status_code == 404
    assert (await api.delete(url)).status_code == 204
    assert (await api.get(f"{url}/content")).status_code == 404


async def test_a_form_is_a_file_too(world: World, api: httpx.AsyncClient, outside: httpx.AsyncClient) -> None:
    shown, path, _ = await ask(world, api)
    sent = await outside.post(path, files={"about": (None, "x"), "upload": ("CP-A.log", b"hello" * 100_000)})
    assert sent.status_code == 201
    got = (await api.get(f"/api/v1/stations/CP-A/logs/{shown['id']}")).json()
    assert (got["size"], got["name"]) == (500_000, "CP-A.log")


@pytest.mark.parametrize(
    ("headers", "content", "status"),
    [
        ({}, b"x" * 200_000, 413),
        ({"content-type": "multipart/form-data"}, b"x", 400),
        ({"content-type": "multipart/form-data; boundary=b"}, b"--b\r\nno end", 400),
        (
            {"content-type": "multipart/form-data; boundary=b"},
            b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--b--\r\n',
            400,
        ),
        ({"content-encoding": "gzip"}, b"x", 415),
    ],
)
async def test_what_is_not_taken_does_not_use_the_link_up(
    world: World, api: httpx.AsyncClient, outside: httpx.AsyncClient, tmp_path: Path, headers: Any, content: bytes,
    status: int,
) -> None:  # fmt: skip
    object.__setattr__(world.context.config, "log_limit", 100_000)
    shown, path, _ = await ask(world, api)
    assert (await outside.post(path, content=content, headers=headers)).status_code == status
    assert not [one for one in tmp_path.rglob("*") if one.is_file()]
    assert (await api.get(f"/api/v1/stations/CP-A/logs/{shown['id']}")).json()["status"] == "waiting"
    assert (await outside.post(path, content=b"y" * 100_000)).status_code == 201


async def test_a_log_that_does_not_come(
    world: World, api: httpx.AsyncClient, outside: httpx.AsyncClient, worker: FirmwareWorker
) -> None:
    shown, path, _asked = await ask(world, api)
    world.commit("CP-A", facts.LogStatusChanged(event_time=NOW, status="UploadFailed", kind="diagnostics"))
    await worker.settle()
    got = (await api.get(f"/api/v1/stations/CP-A/logs/{shown['id']}")).json()
    assert (got["status"], got["told"]) == ("failed", "UploadFailed")
    later, path, _ = await ask(world, api)
    world.clock.run_for(25 * 60 * MINUTE)
    assert (await api.get(f"/api/v1/stations/CP-A/logs/{later['id']}")).json()["status"] == "expired"
    assert (await outside.put(path, content=b"late")).status_code == 404
    station = Station(world, "CP-A")
    station.answer = {"status": "Rejected"}
    refused = (await api.post("/api/v1/stations/CP-A/logs", json={})).json()
    assert (refused["status"], refused["text"]) == ("failed", "Rejected")
    station.answer = {}  # 1.6: no name of a file, nothing that will come
    assert (await api.post("/api/v1/stations/CP-A/logs", json={})).json()["status"] == "failed"
    assert (await outside.put(path_of(station.asked[-1].payload["location"]), content=b"x")).status_code == 404
    assert (await api.post("/api/v1/stations/CP-C/logs", json={})).status_code == 409


async def test_logs_are_not_kept_for_ever(world: World, api: httpx.AsyncClient, outside: httpx.AsyncClient) -> None:
    shown, path, _ = await ask(world, api)
    await outside.put(path, content=b"x")
    world.clock.run_for(89 * DAY)
    assert await logs.purge(world.context, "default") == 0
    world.clock.run_for(2 * DAY)
    assert await logs.purge(world.context, "default") == 1
    assert (await api.get(f"/api/v1/stations/CP-A/logs/{shown['id']}")).status_code == 404


async def test_who_may_what(world: World, api: httpx.AsyncClient, outside: httpx.AsyncClient) -> None:
    assert (await outside.get("/api/v1/firmware")).status_code == 401
    shown = await upload(api)
    key = (await api.post("/api/v1/api-keys", json={"name": "wall display", "role": "viewer"})).json()["key"]
    headers = {"Authorization": f"Bearer {key}"}
    assert (await outside.get("/api/v1/firmware", headers=headers)).status_code == 200
    order = {"firmware_id": shown["id"], **WHY}
    for method, url, body in (
        ("POST", "/api/v1/firmware", {"version": "1"}),
        ("DELETE", f"/api/v1/firmware/{shown['id']}", None),
        ("POST", "/api/v1/stations/CP-A/firmware-update", order),
        ("POST", "/api/v1/stations/CP-A/logs", {}),
        ("GET", "/api/v1/stations/CP-A/logs", None),
    ):
        assert (await outside.request(method, url, json=body, headers=headers)).status_code == 403, url


async def test_without_a_folder_nothing_is_taken(world: World, api: httpx.AsyncClient) -> None:
    world.context.files = None
    made = (await api.post("/api/v1/firmware", json={"version": "1"})).json()
    assert (await api.put(f"/api/v1/firmware/{made['id']}/content", content=b"x")).status_code == 503
    assert (await api.post("/api/v1/stations/CP-A/logs", json={})).status_code == 503
    async with world.client() as anybody:
        assert (await anybody.get("/files/" + "A" * 43)).status_code == 404


# -- the folder -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a.b", "x" * 100, ".part-", "a\0"])
def test_names_stay_below_the_folder(tmp_path: Path, name: str) -> None:
    folder = Folder(tmp_path)
    for given in ((name, "logs", "x"), ("default", name, "x"), ("default", "logs", name)):
        with pytest.raises(LocalError):
            folder.path(*given)


async def test_half_a_file_is_no_file(tmp_path: Path) -> None:
    folder = Folder(tmp_path)
    incoming = folder.incoming("default", "logs", "one", 10)
    await incoming.write(b"12345")
    assert await folder.size("default", "logs", "one") is None
    with pytest.raises(TooLarge):
        await incoming.write(b"678901")
    incoming.drop()
    assert list(tmp_path.rglob("*.part-*")) == []
    killed = folder.incoming("default", "logs", "two", 10)
    await killed.write(b"1")
    assert await folder.sweep(lambda written: False) == 0
    assert await folder.sweep(lambda written: True) == 1
    killed.drop()
