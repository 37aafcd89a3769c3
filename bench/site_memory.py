"""`pilotwire site run` as a process with 50 EVSEs over 50 simulated Modbus chargers: memory, CPU, ticks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from .harness import ENVIRONMENT, ROOT, cpu_seconds, rss
from .site_plant import site_text


class Held(NamedTuple):
    """After the watched time."""

    bytes: int
    cpu_permille: int
    """Of one core, while it runs."""
    ticks_s: float
    online: int
    """EVSEs that have a set-point above 0."""


def measure(chargers: int, watched_s: float) -> Held:
    """Raises RuntimeError where the site does not run."""
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    plant = subprocess.Popen(
        [sys.executable, "-m", "bench.site_plant", str(chargers)], cwd=ROOT, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    with tempfile.TemporaryDirectory(prefix="pilotwire-bench-") as folder:
        assert plant.stdout is not None
        file, said = Path(folder) / "site.yaml", Path(folder) / "said"
        file.write_text(site_text(json.loads(plant.stdout.readline())))
        with said.open("w") as out:
            site = subprocess.Popen(
                [sys.executable, "-m", "pilotwire", "site", "run", str(file), "--data", folder, "--json"],
                cwd=ROOT, env=environment, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            time.sleep(max(5.0, watched_s / 2))
            process = psutil.Process(site.pid)
            if site.poll() is not None:
                raise RuntimeError(f"`pilotwire site run` ended: {said.read_text()[-2000:]}")
            begun, before = time.monotonic(), cpu_seconds(process)
            ticks = _last(said)["counts"]["ticks"]
            time.sleep(watched_s)
            spent, took = cpu_seconds(process) - before, time.monotonic() - begun
            last = _last(said)
            online = sum(each["value"] > 0 for each in last["evses"].values())
            return Held(rss(process), int(spent * 1_000 / took), (last["counts"]["ticks"] - ticks) / took, online)
        finally:
            site.terminate()
            site.wait(60)
            plant.communicate("")


def _last(said: Path) -> dict[str, Any]:
    for line in reversed(said.read_text().splitlines()[:-1]):
        if line.startswith("{"):
            return json.loads(line)
    raise RuntimeError(f"`pilotwire site run` says nothing: {said.read_text()[-2000:]}")
