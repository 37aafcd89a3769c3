"""`pilotwire site run` as a process with 50 EVSEs over 50 simulated Modbus chargers: memory, CPU, ticks.

With its console (`--http`) it is loaded by another process's requests for pages and the API, evenly in time, and says
how late its loop was meanwhile.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import httpx
import psutil

from .harness import ENVIRONMENT, ROOT, cpu_seconds, rss
from .ports import free_port
from .site_plant import site_text

PAGE = "/sites/bench/live"


class Held(NamedTuple):
    """After the watched time."""

    bytes: int
    cpu_permille: int
    """Of one core, while it runs."""
    ticks_s: float
    online: int
    """EVSEs that have a set-point above 0."""
    late_ms: int = 0
    """With a console: how late the event loop was at most in any ten seconds of the load."""
    late_ticks: int = 0
    served: int = 0
    """Requests answered well."""
    median_ms: float = 0.0
    """Their median time."""


def measure(chargers: int, watched_s: float, requests_s: int | None = None) -> Held:
    """`requests_s`: with a console, which is asked so often (0: not at all). Raises RuntimeError where the site does
    not run."""
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    plant = subprocess.Popen(
        [sys.executable, "-m", "bench.site_plant", str(chargers)], cwd=ROOT, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="pilotwire-bench-") as folder:
        assert plant.stdout is not None
        file, said = Path(folder) / "site.yaml", Path(folder) / "said"
        file.write_text(site_text(json.loads(plant.stdout.readline())))
        port = free_port() if requests_s is not None else 0
        console = ["--http", f"127.0.0.1:{port}", "--lab"] if port else []
        with said.open("w") as out:
            site = subprocess.Popen(
                [sys.executable, "-m", "pilotwire", "site", "run", str(file), "--data", folder, "--json", *console],
                cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            time.sleep(max(5.0, watched_s / 2))
            process = psutil.Process(site.pid)
            if site.poll() is not None:
                raise RuntimeError(f"`pilotwire site run` ended: {said.read_text()[-2000:]}")
            begun, before = time.monotonic(), cpu_seconds(process)
            ticks, late = _last(said)["counts"]["ticks"], _last(said)["counts"]["late"]
            asked = Asked(f"http://127.0.0.1:{port}", requests_s or 0) if port else None
            if asked is None:
                time.sleep(watched_s)
            else:
                asked.load(watched_s)
            spent, took = cpu_seconds(process) - before, time.monotonic() - begun
            last = _last(said)
            online = sum(each["value"] > 0 for each in last["evses"].values())
            held = Held(rss(process), int(spent * 1_000 / took), (last["counts"]["ticks"] - ticks) / took, online)
            if asked is None:
                return held
            return held._replace(
                late_ms=asked.late_ms, late_ticks=last["counts"]["late"] - late, served=len(asked.took),
                median_ms=median(asked.took) * 1_000 if asked.took else 0.0,
            )  # fmt: skip
        finally:
            site.terminate()
            site.wait(60)
            plant.communicate("")


class Asked:
    """Requests for pages, the API and metrics in turn, one connection for all; they are begun evenly in time."""

    def __init__(self, url: str, per_s: int) -> None:
        self.per_s, self.late_ms = per_s, 0
        self.took: list[float] = []
        self._url = url

    def load(self, seconds: float) -> None:
        """For so long. Raises RuntimeError for an answer that is none."""
        paths = [PAGE, "/api/v1/sites/bench/controller", PAGE, "/settings/people", "/readyz"]
        end, number = time.monotonic() + seconds, 0
        with httpx.Client(base_url=self._url, timeout=60) as client:
            due = looked = time.monotonic()
            while (now := time.monotonic()) < end:
                if now - looked > 5:
                    looked = now
                    self._look(client)
                if not self.per_s or now < due:
                    time.sleep(min(0.2, max(0.0, due - now)) if self.per_s else 0.2)
                    continue
                due += 1 / self.per_s
                begun, number = time.monotonic(), number + 1
                answer = client.get(paths[number % len(paths)])
                if answer.status_code != 200:
                    raise RuntimeError(f"{answer.url}: {answer.status_code} {answer.text[:300]}")
                self.took.append(time.monotonic() - begun)
            self._look(client)

    def _look(self, client: httpx.Client) -> None:
        for line in client.get("/metrics").text.splitlines():
            if line.startswith("pilotwire_loop_lag_seconds "):
                self.late_ms = max(self.late_ms, int(float(line.split()[1]) * 1_000))


def _last(said: Path) -> dict[str, Any]:
    for line in reversed(said.read_text().splitlines()[:-1]):
        if line.startswith("{"):
            return json.loads(line)
    raise RuntimeError(f"`pilotwire site run` says nothing: {said.read_text()[-2000:]}")
