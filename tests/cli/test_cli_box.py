"""A box's own console: beside its loop, which goes on whatever becomes of it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import queue
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from bench.ports import free_port
from bench.site_plant import site_text
from tests.cli.cli_kit import done, pilotwire

from pilotwire.cli import box as of_box
from pilotwire.cli import compose
from pilotwire.cli.addresses import Address
from pilotwire.cli.box import Box, check_lab
from pilotwire.cli.https import HttpsOptions
from pilotwire.core.errors import ConfigError
from pilotwire.site.config import read
from pilotwire.site.demo import TEXT, Demo
from pilotwire.site.loop import Loop
from pilotwire.site.run import run_site
from pilotwire.site.watch import Watched

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
PATIENCE_S = 90
HTML = {"Accept": "text/html"}


class Process:
    """A `pilotwire` of its own, whose words can be waited for."""

    def __init__(self, *command: str, module: str = "pilotwire") -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *command], cwd=ROOT, env=ENVIRONMENT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.said = ""
        self._new: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._new.put(line)

    def until(self, pattern: str) -> str:
        """The first group of what it says at last."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            if found := re.search(pattern, self.said):
                self.said = self.said[found.end() :]
                return found[1]
            with contextlib.suppress(queue.Empty):
                self.said += self._new.get(timeout=0.5)
        raise AssertionError(f"it never said {pattern!r}: {self.said}")

    def end(self) -> str:
        """SIGTERM; the rest of what it said."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)
        while not self._new.empty():
            self.said += self._new.get()
        return self.said


@contextmanager
def running(*command: str, module: str = "pilotwire") -> Iterator[Process]:
    made = Process(*command, module=module)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
        made.process.wait()


def test_a_demo_with_a_console_shows_its_site_and_nothing_of_a_central_system(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    with running("site", "demo", "--http", "127.0.0.1:0", "--data", str(tmp_path), "--quiet") as box:
        url = box.until(r"Console  (http://\S+)/")
        password = box.until(r"admin / (\S+) ")
        with httpx.Client(base_url=url, timeout=PATIENCE_S, headers=HTML) as client:
            assert client.get("/").status_code == 303 and "/login" in client.get("/").headers["location"]
            origin = {"Origin": url}
            client.post("/login", data={"name": "admin", "password": password}, headers=origin)
            assert client.get("/").headers["location"] == "/sites/demo/live"
            shown = client.get("/sites/demo/live").text
            assert "bay-1" in shown
            places = re.findall(r'<a href="([^"]+)"', shown[shown.index('<nav aria-label="Main"') :].split("</nav>")[0])
            assert [place for place in places if place not in ("/commissioning",)] == ["/", "/settings", "/api"]
            settings = re.findall(r'href="(/settings/[a-z-]+)"', client.get("/settings/people").text)
            assert {"/settings/people", "/settings/keys", "/settings/audit"} <= set(settings)
            assert not {"/settings/webhooks", "/settings/tenants", "/settings/mail"} & set(settings)
            for page in ("/stations", "/sessions", "/settings/webhooks", "/connect"):
                answer = client.get(page)
                assert answer.status_code == 404 and "This box runs one site" in answer.text, page
            for path in (
                "/settings/people",
                "/settings/keys",
                "/settings/audit",
                "/settings/about",
                "/api",
                "/profile",
            ):
                assert client.get(path).status_code == 200, path
            api = client.get("/api/v1/stations", headers={"Accept": "application/json"})
            assert api.status_code == 404 and "This box runs one site" in api.json()["detail"]
            assert client.get("/api/v1/sites/demo/controller").json()["site_id"] == "demo"
            assert client.get("/readyz").status_code == 200
            metrics = client.get("/metrics").text
            for name in (
                'site_node_amperes{node="grid",phase="L1"}', "site_ticks_total", "site_late_total",
                "site_commands_total", "site_failures_total", "# HELP pilotwire_site_marks",
                'site_evse_amperes{evse="bay-1"}',
            ):  # fmt: skip
                assert name in metrics, name
            assert "loop_lag_seconds" in metrics
        assert "admin" in done("users", "list", data=data)
        key = done("users", "key", "export", "--role", "viewer", data=data).strip()
        said = box.end()
        assert box.process.returncode == 0 and "Traceback" not in said, said
    assert not (data / "run.json").exists()
    with running("site", "demo", "--http", "127.0.0.1:0", "--data", str(tmp_path), "--json") as again:
        url = again.until(r"Console  (http://\S+)/")
        again.until(r'("seq")')  # lines of JSON come all the same
        answer = httpx.get(f"{url}/api/v1/me", headers={"Authorization": f"Bearer {key}"}, timeout=PATIENCE_S)
        assert answer.json()["name"] == "key export"
        assert "admin /" not in again.end()


def test_an_address_that_cannot_be_had_ends_it_at_once(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        where = f"127.0.0.1:{taken.getsockname()[1]}"
        ended = pilotwire("site", "demo", "--http", where, "--quiet", data=tmp_path)
    assert ended.returncode == 1
    assert f"cannot listen on {where}" in ended.stderr and "--http" in ended.stderr
    ended = pilotwire("site", "demo", "--http", "0.0.0.0:0", "--lab", "--quiet", data=tmp_path)
    assert ended.returncode == 1 and "loopback only" in ended.stderr
    with pytest.raises(ConfigError):
        check_lab(Address("192.0.2.1", 80), lab=True)
    check_lab(Address("192.0.2.1", 80), lab=False)


# --- it fails, and the loop goes on ----------------------------------------------------------------------------------


class Shown:
    """A simulated site with a box, in this process."""

    def __init__(self) -> None:
        self.reports: list[str] = []
        self.loop: Loop | None = None

    def show(self, loop: Loop, *_: Any) -> None:
        self.loop = loop

    @property
    def ticks(self) -> int:
        return 0 if self.loop is None else self.loop.counts.ticks


@asynccontextmanager
async def site(folder: Path, https: HttpsOptions | None = None) -> AsyncIterator[tuple[Shown, Box]]:
    config, _ = read(TEXT)
    assert config is not None
    shown, stop, watched = Shown(), asyncio.Event(), Watched(config)
    where = Address("127.0.0.1", 0)
    box = Box("demo", None, folder, where, watched, lab=True, report=shown.reports.append, https=https)
    running = asyncio.ensure_future(
        run_site(
            config, TEXT, folder, lambda scheduler: Demo(config, scheduler), stop=stop, parts=[box], show=shown.show,
            watched=watched, report=shown.reports.append,
        )
    )  # fmt: skip
    try:
        yield shown, box
        stop.set()
        loop = await running
        assert loop.counts.failures == 0
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(so: Callable[[], Any], what: object = "") -> None:
    for _ in range(PATIENCE_S * 50):
        if so():
            return
        await asyncio.sleep(0.02)
    raise AssertionError(what)


async def answers(box: Box) -> bool:
    with contextlib.suppress(httpx.TransportError):
        async with httpx.AsyncClient(timeout=PATIENCE_S) as client:
            return (await client.get(f"http://{box.http}/healthz")).status_code == 200
    return False


async def test_a_console_that_fails_is_begun_again_and_the_loop_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(of_box, "FIRST_PAUSE_S", 0.1)
    async with site(tmp_path) as (shown, box):
        await until(lambda: any("Console" in each for each in shown.reports), shown.reports)
        assert await answers(box)
        assert box.http is not None
        port, ticks = box.http.port, shown.ticks
        box._servers[0]._task.cancel()  # what nothing of ours does: the server is gone from one moment to the next
        await until(lambda: box.failures == 1 and sum("Console" in each for each in shown.reports) == 2, shown.reports)
        assert box.http.port == port and await answers(box)
        assert any("the site goes on; they begin again in 0.1 s" in each for each in shown.reports)
        await until(lambda: shown.ticks > ticks + 1)


async def test_a_store_that_cannot_be_opened_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(of_box, "FIRST_PAUSE_S", 0.05)
    whole, tries = compose.store_for, []

    def broken(data: Path, database: str | None) -> Any:
        tries.append(data)
        if len(tries) < 3:
            raise OSError("the disk is gone")
        return whole(data, database)

    monkeypatch.setattr(compose, "store_for", broken)
    async with site(tmp_path) as (shown, box):
        await until(lambda: shown.ticks and len(tries) == 3, shown.reports)
        await until(lambda: any("Console" in each for each in shown.reports), shown.reports)
        assert box.failures == 2 and await answers(box)
        assert sum("the disk is gone" in each for each in shown.reports) == 2


async def test_ready_says_whether_the_site_is_controlled(tmp_path: Path) -> None:
    async with site(tmp_path) as (shown, box):
        await until(lambda: shown.ticks > 1 and any("Console" in each for each in shown.reports))
        assert shown.loop is not None
        assert box.readiness(shown.loop) is True
        shown.loop.safe_state = "ValueError: x"
        assert "the safe state is commanded: ValueError: x" in str(box.readiness(shown.loop))
        shown.loop.safe_state = ""
        inputs, shown.loop.inputs = shown.loop.inputs, None
        assert box.readiness(shown.loop) == "The loop has not begun."
        shown.loop.inputs = inputs


# --- linked to a central system --------------------------------------------------------------------------------------


def test_a_box_shows_itself_in_a_central_system_that_is_killed_and_comes_back(tmp_path: Path) -> None:
    """Three processes: chargers and a meter, a box, a central system; over TLS, with a key that the box has pinned."""
    data, own = tmp_path / "central", tmp_path / "box"
    own.mkdir()
    port, http = free_port(), free_port()
    command = (
        "csms", "--http", f"127.0.0.1:{http}", "--https", f"127.0.0.1:{port}", "--ocpp", "127.0.0.1:0",
        "--data", str(data),
    )  # fmt: skip
    with running("2", module="bench.site_plant") as plant:
        file = own / "site.yaml"
        text = site_text(json.loads(plant.until(r"(\{.*\})")), id="yard", log_s=1)
        with running(*command) as central:
            central.until(r"Pilotwire is (running)")
            pin = central.until(r"\n +([0-9a-f]{64})\n")
            run = json.loads((data / "run.json").read_text())
            with httpx.Client(base_url=run["http"], headers={"Authorization": f"Bearer {run['key']}"}) as client:
                assert client.post("/api/v1/sites", json={"id": "depot", "name": "Depot"}).status_code == 201
            key = done("users", "key", "box", "--role", "site-controller", "--site", "depot", data=data)
            (own / "csms.key").write_text(key)
            url = f"https://127.0.0.1:{port}"
            entry = {"url": url, "site": "depot", "key_file": "csms.key", "fingerprint": pin}
            file.write_text(f"{text}central: {json.dumps(entry)}\n")
            top = ("top", "--once", "--url", url, "--key", run["key"])
            assert url in done(*top, "--fingerprint", pin)
            assert "not trusted" in pilotwire(*top).stderr
            with running("site", "run", str(file), "--data", str(own), "--quiet") as box:
                box.until(r"(sees this site)")
                assert "bay-2" in _asked(data, "controller")["evses"][1]["id"]
                central.process.send_signal(signal.SIGKILL)
                central.process.wait()
                box.until(r"(no link to the central system)")
                with running(*command) as again:
                    again.until(r"Pilotwire is (running)")
                    box.until(r"(sees this site)")
                    assert "No plan is in force" in _asked(data, "controller/plan", status=404)["detail"]
                    assert _asked(data, "controller")["site_id"] == "depot"
                    again.end()
                said = box.end()
                assert box.process.returncode == 0 and "Traceback" not in said, said


def _asked(data: Path, path: str, *, status: int = 200) -> Any:
    """What the central system answers about the site, once the box has said hello."""
    run = json.loads((data / "run.json").read_text())
    end = time.monotonic() + PATIENCE_S
    while True:
        answer = httpx.get(
            f"{run['http']}/api/v1/sites/depot/{path}", headers={"Authorization": f"Bearer {run['key']}"},
            timeout=PATIENCE_S,
        )  # fmt: skip
        if answer.status_code == status and "problem-not-found" not in answer.text:
            return answer.json()
        assert time.monotonic() < end, answer.text
        time.sleep(0.1)
