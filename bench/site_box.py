"""A site on a small box with all that it can have at once, and what its processes weigh together.

`pilotwire site run` with its console, its planner, 25 Modbus chargers and 25 OCPP stations, in front of a central
system. Four event streams of the console are open and pages are asked for, while moments of the past are asked for
one after the other (a child process each) and a plan is made every minute (another). The chargers, the stations and
the central system are processes of their own and are not counted.

`python -m bench.site_box [MODBUS OCPP SECONDS]` prints what it found, process by process.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import msgspec
import psutil

from pilotwire.site.log import segments
from pilotwire.site.log_frames import frames, packed

from .harness import ENVIRONMENT, ROOT, wait_for_port
from .plant_lines import answer, tell
from .ports import free_port
from .site_loop import site_text

LOOKS_S = 0.05
"""How often it is weighed."""
STREAMS = ("live", "why?evse=modbus-1", "energy", "limits?which=grid")
PAGES = ("live", "why?evse=ocpp-1", "energy", "limits", "outlook", "commissioning")


class Weight(NamedTuple):
    """Bytes of all processes of a site at one moment; `parts` by what they are for."""

    bytes: int
    parts: dict[str, int]


class Found(NamedTuple):
    """What was seen of it."""

    start: Weight
    """Cars charge, nobody looks, no plan is being made."""
    rest: Weight
    """The median of the moments without a child process, once everything has been looked at."""
    plan: Weight
    """The most while a plan was being made."""
    past: Weight
    """The most while a moment of the past was made again."""
    most: Weight
    """The most of all."""
    plans: int
    pasts: int
    together: int
    """How often more than one child was there when it was weighed."""
    pages: int
    log_bytes_s: float
    """What its log grows by where it is written once a minute, as it is while nobody asks about the past."""
    load: float
    """Of the machine in the last minute (its processes that wish to run), the bench's own included."""


def weigh(processes: dict[str, int]) -> Weight:
    """Names to pids. Pages of one process count with it, pages of a file that several have count once: with the one
    that has most of them. Others on this machine that share a page (any Python) therefore make nothing lighter."""
    parts: dict[str, int] = {}
    shared: dict[str, int] = {}
    for name, pid in processes.items():
        own, files = _mapped(pid)
        parts[name] = own
        for file, size in files.items():
            parts[name] += max(0, size - shared.get(file, 0))
            shared[file] = max(size, shared.get(file, 0))
    return Weight(sum(parts.values()), parts)


def _mapped(pid: int) -> tuple[int, dict[str, int]]:
    """Bytes that are a process's own, and those of files that others have mapped, too."""
    own, file = 0, ""
    shared: dict[str, int] = {}
    try:
        with open(f"/proc/{pid}/smaps") as lines:
            for line in lines:
                words = line.split()
                if not words[0].endswith(":"):
                    file = f"{words[5]} {words[2]}" if len(words) > 5 else ""
                elif words[0] in ("Private_Clean:", "Private_Dirty:"):
                    own += int(words[1]) * 1024
                elif words[0] in ("Shared_Clean:", "Shared_Dirty:"):
                    if file:
                        shared[file] = shared.get(file, 0) + int(words[1]) * 1024
                    else:
                        own += int(words[1]) * 1024
    except (FileNotFoundError, ProcessLookupError):
        return 0, {}  # it has ended meanwhile
    return own, shared


def _processes(site: psutil.Process) -> dict[str, int]:
    found = {"site": site.pid}
    for child in site.children(recursive=True):
        try:
            command = " ".join(child.cmdline())
        except psutil.Error:
            continue
        name = next((each for each in ("planning", "past") if f".{each}" in command), "starting")
        found[name if name not in found else f"{name} {child.pid}"] = child.pid
    return found


class Scales(threading.Thread):
    """Weighs until `end`, keeping the moments apart by which children were there."""

    def __init__(self, site: psutil.Process) -> None:
        super().__init__(daemon=True)
        self.alone: list[Weight] = []
        self.most: dict[str, Weight] = {}
        """By the child that was there."""
        self.together = 0
        self.seen: set[tuple[str, int]] = set()
        """Children, with their pids."""
        self._site, self._over = site, threading.Event()

    def run(self) -> None:
        while not self._over.wait(LOOKS_S):
            there = _processes(self._site)
            weight = weigh(there)
            children = [name for name in weight.parts if name != "site"]
            self.seen.update((name.split()[0], pid) for name, pid in there.items())
            self.together += len(children) > 1
            if not children:
                self.alone.append(weight)
            for name in children:
                if name not in self.most or self.most[name].bytes < weight.bytes:
                    self.most[name] = weight

    def end(self) -> None:
        self._over.set()
        self.join()


def measure(modbus: int, stations: int, seconds: float) -> Found:
    """Raises RuntimeError where a process ends, nobody charges, or nothing was planned or remembered."""
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    csms, central, ocpp, http = (free_port() for _ in range(4))
    begun: list[subprocess.Popen[str]] = []

    def start(*command: str, out: Any = subprocess.DEVNULL, err: Any = subprocess.DEVNULL) -> subprocess.Popen[str]:
        made = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE,
            stdout=out, stderr=err,
        )  # fmt: skip
        begun.append(made)
        return made

    with tempfile.TemporaryDirectory(prefix="pilotwire-bench-") as name:
        folder = Path(name)
        said = folder / "said"
        try:
            upstream = start(
                "pilotwire", "csms", "--lab", "--no-inventory", "--data", str(folder / "csms"),
                "--ocpp", f"127.0.0.1:{csms}", "--http", f"127.0.0.1:{central}",
            )  # fmt: skip
            wait_for_port(csms, 60, upstream)  # type: ignore[arg-type]
            plant = start(
                "bench.site_loop_plant", str(modbus), str(stations), f"ws://127.0.0.1:{ocpp}/ocpp",
                out=subprocess.PIPE, err=None,
            )  # fmt: skip
            file = folder / "site.yaml"
            text = site_text(answer(plant), stations, ocpp, f"ws://127.0.0.1:{csms}/ocpp")
            file.write_text(text + _planning(folder))
            with said.open("w") as out:
                site = start(
                    "pilotwire", "site", "run", str(file), "--data", name, "--quiet",
                    "--http", f"127.0.0.1:{http}", "--lab", out=out, err=subprocess.STDOUT,
                )  # fmt: skip
            wait_for_port(ocpp, 60, site)  # type: ignore[arg-type]
            wait_for_port(http, 60, site)  # type: ignore[arg-type]
            tell(plant, "connect")
            answer(plant)
            found = _watched(psutil.Process(site.pid), f"http://127.0.0.1:{http}", seconds)
            return found._replace(log_bytes_s=_log_bytes_s(folder / "bench" / "log"))
        except (RuntimeError, httpx.HTTPError) as error:
            text = said.read_text()[-3_000:] if said.exists() else ""
            raise RuntimeError(f"{error}; the site says: {text}") from error
        finally:
            for each in reversed(begun):
                each.terminate()
            for each in begun:
                each.wait(60)


def _watched(site: psutil.Process, url: str, seconds: float) -> Found:
    start = weigh(_processes(site))
    scales = Scales(site)
    scales.start()
    with httpx.Client(base_url=url, timeout=60) as client:
        streams = [Stream(f"{url}/ui/sites/bench/{each}") for each in STREAMS]
        end, pages, pasts = time.monotonic() + seconds, 0, 0
        began = datetime.now(UTC) - timedelta(seconds=2)
        while time.monotonic() < end:
            moment = began + (datetime.now(UTC) - began) * (0.9 if pasts % 2 else 0.3)
            answer = client.get("/api/v1/sites/bench/controller/past", params={"at": moment.isoformat()})
            if answer.status_code != 200 or not answer.json()["same"]:
                raise RuntimeError(f"the past: {answer.status_code} {answer.text[:300]}")
            pasts += 1
            for each in PAGES:
                _checked(client.get(f"/sites/bench/{each}"))
                pages += 1
            time.sleep(0.5)
        plan = _checked(client.get("/api/v1/sites/bench/controller/plan")).json()
        for each in streams:
            each.close()
    scales.end()
    if not plan or "planning" not in scales.most or "past" not in scales.most or not scales.alone:
        raise RuntimeError(f"not all was seen: {sorted(scales.most)}")
    return Found(
        start=start,
        rest=sorted(scales.alone)[len(scales.alone) // 2],
        plan=scales.most["planning"],
        past=scales.most["past"],
        most=max([*scales.alone, *scales.most.values()], key=lambda each: each.bytes),
        plans=sum(name == "planning" for name, _ in scales.seen),
        pasts=pasts,
        together=scales.together,
        pages=pages,
        log_bytes_s=0,
        load=os.getloadavg()[0],
    )


def _log_bytes_s(folder: Path) -> float:
    """Each question about the past has written what was held back, in pieces: here they are whole minutes again."""
    minutes: dict[int, list[bytes]] = {}
    began = ended = 0
    for path in segments(folder):
        for what, payload, _ in frames(path):
            if what == "ticks":
                times = [tick[2] for tick in msgspec.msgpack.decode(payload)]
                began, ended = began or times[0], times[-1]
                minutes.setdefault((times[0] - began) // 60_000, []).append(payload)
    size = sum(len(packed("ticks", b"".join(pieces))) for pieces in minutes.values())
    return size / (ended - began) * 1_000


class Stream:
    """A browser's event stream, read and thrown away."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(timeout=None)
        self._url, self._over = url, False
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        try:
            with self._client.stream("GET", self._url) as answer:
                for _ in answer.iter_raw():
                    if self._over:
                        return
        except httpx.HTTPError:
            pass

    def close(self) -> None:
        self._over = True
        self._thread.join(5)
        self._client.close()


def _checked(answer: httpx.Response) -> httpx.Response:
    if answer.status_code != 200:
        raise RuntimeError(f"{answer.url}: {answer.status_code} {answer.text[:300]}")
    return answer


def _planning(folder: Path) -> str:
    """A price for each quarter of the next two days, the lowest now, so that nobody waits, and cars that have eight
    hours."""
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    rows = [
        f"{(now + timedelta(minutes=15 * at)).isoformat()},{10 if at < 12 else 60 + 7 * (at * 37 % 23)}"
        for at in range(4 * 48)
    ]
    (folder / "prices.csv").write_text("\n".join(["from,import", *rows]) + "\n")
    return "prices: {file: prices.csv}\nplanning: {every_minutes: 1, stay_h: 8, energy_kwh: 40, hours: 24}\n"


def shown(weight: Weight) -> Iterator[str]:
    """In MB, what it is made of."""
    for name, size in weight.parts.items():
        yield f"{name} {size / 1e6:.0f}"


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    found = measure(*(given + [25, 25, 150][len(given) :]))
    for each, value in found._asdict().items():
        print(each, f"{value.bytes / 1e6:.1f} MB: {', '.join(shown(value))}" if isinstance(value, Weight) else value)
