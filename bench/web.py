"""The API and the console at 10,000 stations and a million sessions: requests per CPU-second, pages, live updates.

The data set is that of `python -m bench dataset`; PILOTWIRE_BENCH_DATA names a folder with one, else one is made. What
a page takes is measured from outside, from the request to the last byte of the answer on loopback, the server pinned
to a core of its own; "first" is the first request after the start of the server, before anything is in memory.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple
from urllib.parse import quote

import httpx
import psutil

from . import dataset
from .harness import ENVIRONMENT, ROOT, Load, _pin, cpu_seconds, server, wait_for_rest
from .ports import free_port

DATA = "PILOTWIRE_BENCH_DATA"
LISTS = (
    ("stations, 50 by id", "/api/v1/stations"),
    ("stations, filtered, sorted by power, counted", "/api/v1/stations?connected=true&sort=-power_w&count=true"),
    ("stations, searched", "/api/v1/stations?q=cp-0099&count=true"),
    ("one station", "/api/v1/stations/{station_id}"),
    ("totals of today", "/api/v1/totals"),
    ("sessions, newest 50", "/api/v1/sessions"),
    ("sessions that run", "/api/v1/sessions?status=active&count=true"),
    ("sessions of a station", "/api/v1/sessions?station={station_id}&count=true"),
    ("sessions of a site", "/api/v1/sessions?site={site_id}&count=true"),
    ("sessions by a token", "/api/v1/sessions?token={token}&count=true"),
    ("sessions, the most energy first", "/api/v1/sessions?sort=-energy_wh"),
    ("sessions that ended last", "/api/v1/sessions?sort=-ended_at"),
    ("sessions with an anomaly", "/api/v1/sessions?flags=seq-gap&count=true"),
    ("sessions by reason", "/api/v1/sessions?stop_reason=PowerLoss&count=true"),
    ("sessions of much energy", "/api/v1/sessions?energy_from_wh=80000&count=true"),
    ("sessions, searched", "/api/v1/sessions?q={station_id}"),
    ("sessions, nothing found", "/api/v1/sessions?q=zzzz&count=true"),
    ("a session's curve", "/api/v1/sessions/{session_id}/curve"),
)


class Timed(NamedTuple):
    """One address: how long it took first, then in the middle of some, and how much came."""

    what: str
    first_ms: float
    median_ms: float
    kilobytes: float
    status: int


@contextmanager
def data_set(quick: bool) -> Iterator[Path]:
    """A folder with the data set; a small one for `quick`."""
    given = os.environ.get(DATA)
    if given and not quick:
        yield Path(given)
        return
    folder = Path(tempfile.mkdtemp(prefix="pilotwire-bench-"))
    try:
        print("  making the data set", file=sys.stderr)
        asyncio.run(dataset.make(folder, *((200, 5_000) if quick else (10_000, 1_000_000))))
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def served(folder: Path) -> Iterator[tuple[psutil.Process, str, str]]:
    """`pilotwire csms --lab` over it: (process, URL of the API, URL for stations)."""
    http, ocpp = free_port(), free_port()
    command = ["-m", "pilotwire", "csms", "--lab", "--message-rate", "0", "--api-rate", "0", "--data", str(folder)]
    command += ["--http", f"127.0.0.1:{http}", "--ocpp", f"127.0.0.1:{ocpp}"]
    with server(command, http, ocpp, quiet=True) as process:
        yield process, f"http://127.0.0.1:{http}", f"ws://127.0.0.1:{ocpp}/ocpp"


def per_cpu_second(process: psutil.Process, port: int, path: str, seconds: float, *headers: str) -> tuple[float, int]:
    """(requests per CPU-second of the server, bytes of an answer) over 16 connections that stay open."""
    command = [sys.executable, "-m", "bench.http_load", "127.0.0.1", str(port), path, str(seconds), "16", *headers]
    child = subprocess.Popen(
        command, cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: _pin(1)
    )
    assert child.stdout is not None
    try:
        child.stdout.readline()
        before = cpu_seconds(process)
        found = json.loads(child.stdout.readline())
        spent = cpu_seconds(process) - before
    finally:
        child.wait(30)
    if found["bad"] or found["lost"] or not found["answers"]:
        raise RuntimeError(f"not every request was answered: {found}")
    return found["answers"] / spent, found["bytes"] // found["answers"]


def reads(rounds: int, quick: bool) -> tuple[dict[str, float], float, int]:
    """Requests per CPU-second: ours by what is asked, the baseline's with the same size; bytes of the list."""
    seconds = 1.0 if quick else 3.0
    ours: dict[str, list[float]] = {}
    theirs: list[float] = []
    with data_set(quick) as folder:
        key = f"Authorization: Bearer {(folder / 'api-key').read_text()}"
        size = 0
        for _ in range(1 if quick else rounds):
            with served(folder) as (process, url, _):
                wait_for_rest(process)
                port = int(url.rpartition(":")[2])
                answer = httpx.get(f"{url}/api/v1/stations", headers=dict([key.split(": ", 1)]), timeout=60)
                tag = answer.headers["etag"]
                size = len(answer.content)
                asked = {
                    "a list of 50 stations": ("/api/v1/stations", ()),
                    "the same, nothing new (304)": ("/api/v1/stations", (f"If-None-Match: {tag}",)),
                    "one station": ("/api/v1/stations/CP-00042", ()),
                    "50 sessions": ("/api/v1/sessions", ()),
                }
                for what, (path, more) in asked.items():
                    ours.setdefault(what, []).append(per_cpu_second(process, port, path, seconds, key, *more)[0])
            port = free_port()
            with server(["-m", "bench.baseline_api", str(port), str(size)], port, quiet=True) as process:
                theirs.append(per_cpu_second(process, port, "/api/v1/stations", seconds)[0])
    return {what: median(found) for what, found in ours.items()}, median(theirs), size


# -- pages ------------------------------------------------------------------------------------------------------------
def _names(client: httpx.Client) -> dict[str, str]:
    """An example of everything that an address can name, as far as there is one."""
    session = client.get("/api/v1/sessions", params={"limit": 1, "sort": "-ended_at"}).json()["items"][0]
    names = {
        "session_id": session["id"], "station_id": session["station_id"], "token": session["token"],
        "site_id": client.get("/api/v1/sites?limit=1").json()["items"][0]["id"], "action": "Reset", "verb": "reset",
    }  # fmt: skip
    for name, path in (("rule_id", "/api/v1/alarm-rules"), ("key_id", "/api/v1/api-keys")):
        answer = client.get(path, params={"limit": 1})
        if answer.status_code == 200 and answer.json()["items"]:
            names[name] = str(answer.json()["items"][0]["id"])
    return names


def pages() -> list[str]:
    """The addresses of all pages, from the console's own routes."""
    from pilotwire.console.pages.of_a_centre import HANDLERS

    found = {
        re.sub(r":\w+}", "}", path)
        for handler in HANDLERS
        if "GET" in handler.http_methods
        for path in handler.paths
        if not path.startswith(("/ui/", "/login", "/favicon"))
    }
    return sorted(found)


def timed(client: httpx.Client, what: str, path: str, names: dict[str, str], times: int) -> Timed | None:
    """One address; None where there is no example of what it names."""
    if any(name not in names for name in re.findall(r"{(\w+)}", path)):
        return None
    path = re.sub(r"{(\w+)}", lambda found: quote(names[found[1]], safe=""), path)
    took: list[float] = []
    for _ in range(times):
        begun = time.perf_counter()
        answer = client.get(path)
        took.append(1000 * (time.perf_counter() - begun))
    return Timed(what, took[0], median(took[1:]), len(answer.content) / 1000, answer.status_code)


def times(quick: bool) -> tuple[list[Timed], list[Timed], float, float]:
    """(lists of the API, pages, the first page the moment the server listens, that of a server at rest), ms."""
    repeat = 3 if quick else 6
    with data_set(quick) as folder:
        with served(folder) as (process, url, _), httpx.Client(base_url=url, timeout=60) as client:
            begun = time.perf_counter()
            client.get("/").raise_for_status()
            at_once = 1000 * (time.perf_counter() - begun)
            wait_for_rest(process)
            names = _names(client)
            lists = [timed(client, what, path, names, repeat) for what, path in LISTS]
        with served(folder) as (process, url, _), httpx.Client(base_url=url, timeout=60) as client:
            wait_for_rest(process)
            begun = time.perf_counter()
            client.get("/").raise_for_status()
            first_page = 1000 * (time.perf_counter() - begun)
            shown = [timed(client, path, path, names, repeat) for path in pages()]
    return [one for one in lists if one], [one for one in shown if one], at_once, first_page


# -- live -------------------------------------------------------------------------------------------------------------
async def _latency(url: str, ocpp: str, count: int) -> list[float]:
    """Seconds from sending a meter value to its arrival in an open console's stream."""
    import websockets

    name = "LIVE-1"
    taken: list[float] = []
    async with (
        websockets.connect(f"{ocpp}/{name}", subprotocols=[websockets.Subprotocol("ocpp1.6")]) as station,
        httpx.AsyncClient(base_url=url, timeout=60) as client,
    ):

        async def call(action: str, payload: dict[str, Any]) -> Any:
            number = str(time.monotonic_ns())
            await station.send(json.dumps([2, number, action, payload]))
            while True:
                answer = json.loads(await station.recv())
                if answer[0] == 3 and answer[1] == number:
                    return answer[2]

        now = _now()
        await call("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
        begin = {"connectorId": 1, "idTag": "LIVE", "meterStart": 0, "timestamp": now}
        transaction = (await call("StartTransaction", begin))["transactionId"]
        async with client.stream("GET", f"/api/v1/live?station={name}") as stream:
            lines = stream.aiter_lines()
            async for line in lines:
                if line.startswith("event: snapshot"):
                    break
            for number in range(count):
                power = 7_000 + number
                values = [
                    {"value": str(power), "measurand": "Power.Active.Import", "unit": "W"},
                    {"value": str(number), "measurand": "Energy.Active.Import.Register", "unit": "Wh"},
                ]
                sent = {"timestamp": _now(), "sampledValue": values}
                begun = time.perf_counter()
                await call("MeterValues", {"connectorId": 1, "transactionId": transaction, "meterValue": [sent]})
                async for line in lines:
                    if f'"power_w":{power}' in line:
                        taken.append(time.perf_counter() - begun)
                        break
                await asyncio.sleep(0.31)  # not in step with the server's own rhythm
    return taken


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


async def _watch(url: str, path: str, consoles: int, seconds: float) -> int:
    """Open consoles for a while; the bytes that came."""
    came = 0
    opened = asyncio.Semaphore(0)

    async def one(client: httpx.AsyncClient) -> None:
        nonlocal came
        async with client.stream("GET", path) as stream:
            first = True
            async for piece in stream.aiter_raw():
                came += len(piece)
                if first:
                    first = False
                    opened.release()

    limits = httpx.Limits(max_connections=consoles + 1)
    async with httpx.AsyncClient(base_url=url, timeout=60, limits=limits) as client:
        tasks = [asyncio.ensure_future(one(client)) for _ in range(consoles)]
        for _ in range(consoles):
            await opened.acquire()
        print(json.dumps({"open": consoles}), flush=True)
        before = came
        await asyncio.sleep(seconds)
        came -= before
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return came


def consoles(quick: bool) -> tuple[float, dict[int, float], list[float], float]:
    """(what one open console costs, % of a core; the same of several by number; update latencies, s; messages/s)."""
    seconds, stations, rate = (2.0, 50, 50.0) if quick else (8.0, 1_000, 100.0)
    cost: dict[int, float] = {}
    with data_set(quick) as folder, served(folder) as (process, url, ocpp):
        wait_for_rest(process)
        latencies = asyncio.run(_latency(url, ocpp, 5 if quick else 30))
        found = re.search(r'data-live="(/api/[^"]+)"', httpx.get(url, timeout=60).text)
        path = found[1].replace("&amp;", "&") if found else "/api/v1/live"
        for number in (0, 1, 10 if quick else 100):
            load = Load(
                ocpp,
                "open",
                "--stations",
                stations,
                "--seconds",
                seconds + 6,
                "--rate",
                rate,
                "--prefix",
                f"N{number}-",
            )
            load.line()
            child = subprocess.Popen(
                [sys.executable, "-c", f"import bench.web; bench.web.watch({url!r}, {path!r}, {number}, {seconds})"],
                cwd=ROOT, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True, preexec_fn=lambda: _pin(1),
            )  # fmt: skip
            assert child.stdout is not None
            child.stdout.readline()
            before = cpu_seconds(process)
            child.stdout.readline()
            cost[number] = 100 * (cpu_seconds(process) - before) / seconds
            child.wait(30)
            load.finish()
    return cost[1] - cost[0], {number: each - cost[1] for number, each in cost.items() if number > 1}, latencies, rate


def watch(url: str, path: str, consoles: int, seconds: float) -> None:
    """For a process of its own: prints a line when all are open, and one at the end."""
    if consoles == 0:
        print("{}", flush=True)
        time.sleep(seconds)
        print("{}", flush=True)
        return
    print(json.dumps({"bytes": asyncio.run(_watch(url, path, consoles, seconds))}), flush=True)
